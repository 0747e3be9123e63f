"""Trying the model of a run."""

from __future__ import annotations

from collections.abc import Mapping

from ...models import features
from ..try_page import (
    UNEXPLAINED,
    Asked,
    BadForm,
    Hypothesis,
    read_form,
    render,
    with_attention,
    without_attention,
)
from .records import Run, Store
from .runs_page import when
from .source import Model, Source


def try_page(source: Source, store: Store, run: Run, fields: Mapping[str, str] | None) -> str:
    """Writes the page.

    Args:
      source: of everything.
      store: of the run.
      run: whose model answers.
      fields: of the form; None before it was sent.
    """
    hypotheses, error, note = None, "", ""
    if fields is not None:
        try:
            asked = read_form(fields)
            hypotheses, note = answer(source.model(store, run), asked)
        except BadForm as failure:
            error = str(failure)
        except source.outside.model_errors as failure:
            error = str(failure)
    return render(
        fields or {},
        hypotheses,
        error,
        note,
        "dashboard/try.html",
        title=run.pipeline,
        about=f"The model of {when(run.started)}. The first answer waits until it is loaded.",
        address=f"{store.name}/{run.id}",
        has_sentences=source.has_sentences(store, run),
    )


def answer(model: Model, asked: Asked) -> tuple[list[Hypothesis], str]:
    """What a model answers, and a note about it."""
    if not asked.options:
        return with_attention(*model.explain([asked.text], model.most)[0]), ""
    if model.has(features.EXPLAIN_DECODE_SIGNATURE):
        return with_attention(*model.explain_decode(asked.text, asked.options)), ""
    return without_attention(model.decode(asked.text, asked.options)), UNEXPLAINED
