"""The error browser, and one sentence with what the model says of it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ..differences import closest, difference
from ..html_document import as_image, html_document
from ..run_files import draw_or_tell
from .records import Run, Store
from .runs_page import when
from .sentences import BASELINE, CANDIDATE, ORDERS, Query, Sentences
from .source import NotThere, Source

SLICE = "slice."  # before the name of a dimension, in addresses
ESCAPE = "="  # before a label that is empty or begins with it: a field left empty is any label
WORST, OTHER = "this model", "last blessed"


def read_query(fields: Mapping[str, str], sentences: Sentences, metrics: Sequence[str]) -> Query:
    """Reads an address; what it cannot mean is as if it were not there.

    Args:
      fields: of the address.
      sentences: that are asked about.
      metrics: that can be chosen, the usual one first.
    """
    page = fields.get("page", "")
    order = fields.get("sort", "")
    wanted = fields.get("metric", "")
    return Query(
        metric=wanted if wanted in metrics else metrics[0],
        search=fields.get("q", "")[:1000],
        slices={
            name: label.removeprefix(ESCAPE)
            for name in sentences.dimensions
            if (label := fields.get(f"{SLICE}{name}", ""))
        },
        order=order if order in ORDERS else "loss",
        page=int(page) if page.isdecimal() and len(page) < 9 else 1,
    )


def sentences_page(source: Source, store: Store, run: Run, fields: Mapping[str, str]) -> str:
    """Writes a page of the error browser.

    Args:
      source: of everything.
      store: of the run.
      run: whose sentences.
      fields: of the address.
    """
    sentences = source.sentences(store, run)
    metric = source.metric(store, run)
    metrics = sentences.told_metrics(source.library)
    query = read_query(fields, sentences, [*(m for m in metrics if m == metric), *metrics])
    found = sentences.find(query, source.library)
    kept = {
        "q": query.search,
        "metric": query.metric,
        "sort": query.order,
        **{f"{SLICE}{name}": _written(label) for name, label in query.slices.items()},
    }
    address = f"/runs/{store.name}/{run.id}/sentences"

    def page(number: int) -> str:
        return f"{address}?{urlencode({**kept, 'page': number})}"

    return html_document(
        "dashboard/sentences.html",
        run=run,
        when=when(run.started),
        address=f"{store.name}/{run.id}",
        has_model=source.model_folder(store, run) is not None,
        query=query,
        found=found,
        orders=sentences.orders,
        metrics=metrics,
        dimensions=sentences.dimensions,
        written=_written,
        rows=[_row(source, sentences, place, query.metric) for place in found.places],
        total=sentences.size,
        page=page,
    )


def _written(label: str) -> str:
    """A label as addresses have it."""
    return label if label and not label.startswith(ESCAPE) else f"{ESCAPE}{label}"


def _row(source: Source, sentences: Sentences, place: int, metric: str) -> dict[str, Any]:
    row = sentences.row(place)
    text = row[CANDIDATE]["text"]
    reference = closest(row["references"], text)
    other = row.get(BASELINE)
    return {
        **row,
        "reference": reference,
        "more": len(row["references"]) - 1,
        "compared": difference(reference, text),
        "figure": float(sentences.figures(source.library, CANDIDATE, metric)[place]),
        "other": other and difference(reference, other["text"]),
        "same": other is not None and other["text"] == text,
        "other_figure": None
        if other is None
        else float(sentences.figures(source.library, BASELINE, metric)[place]),
    }


def sentence_page(source: Source, store: Store, run: Run, identity: str, asks: bool) -> str:
    """Writes the page of a sentence.

    Args:
      source: of everything.
      store: of the run.
      run: whose answers.
      identity: the sentence's id.
      asks: whether the model is asked for its n-best and attention, which takes a while.

    Raises:
      NotThere: there is no such sentence.
    """
    sentences = source.sentences(store, run)
    place = sentences.place_of(identity)
    if place is None:
        raise NotThere(f"expected a sentence of this run, found none with id {identity}")
    row = sentences.row(place)
    models = []
    for model, name in ((CANDIDATE, WORST), (BASELINE, OTHER)):
        if row.get(model):
            text = row[model]["text"]
            right = text in row["references"]
            compared = None if right else difference(closest(row["references"], text), text)
            models.append((name, row[model], compared))
    figures = [
        (
            metric,
            [
                float(sentences.figures(source.library, model, metric)[place])
                for model in sentences.models
                if row.get(model)
            ],
        )
        for metric in sentences.told_metrics(source.library)
    ]
    answers, error = None, ""
    if asks:
        try:
            answers = _ask(source, store, run, row["source"])
        except source.outside.model_errors as failure:
            error = str(failure)
    return html_document(
        "dashboard/sentence.html",
        run=run,
        when=when(run.started),
        address=f"{store.name}/{run.id}",
        row=row,
        models=models,
        figures=figures,
        told=_told([answer for _, answer, _ in models]),
        has_model=source.model_folder(store, run) is not None,
        answers=answers,
        error=error,
        recorded=row[CANDIDATE]["text"],
    )


def _told(answers: list[dict[str, Any]]) -> list[tuple[str, list[float | None]]]:
    """What each model told of its answer, by name; nothing where none did."""
    known = [answer.get("confidence") or {} for answer in answers]
    names = dict.fromkeys(name for one in known for name in one)
    return [(name.replace("_", " "), [one.get(name) for one in known]) for name in names]


def _ask(source: Source, store: Store, run: Run, text: str) -> list[tuple[Any, Any, str]]:
    """The n-best list, each with its attention as an image, or why it has none."""
    model = source.model(store, run)
    tokens, hypotheses = model.explain([text], model.most)[0]
    drawn = []
    for hypothesis in hypotheses:
        picture, why = draw_or_tell(tokens, hypothesis.target_tokens, hypothesis.attention)
        drawn.append((hypothesis, as_image(picture) if picture else None, why))
    return drawn
