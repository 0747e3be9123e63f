"""The page on which a model is tried: a text in; hypotheses, scores and attention out.

The dashboard shows it, and the local server at `/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from .html_document import as_image, html_document
from .run_files import draw_or_tell

TEXT, PREFIX = "text", "prefix"
LONGEST = 16_384  # bytes of a text
UNEXPLAINED = (
    "No attention is shown: an earlier version exported this model, which does not tell it "
    "of such answers. Train it again."
)


class Option(NamedTuple):
    """A field for an option of search."""

    name: str  # as the signature `decode` has it
    label: str
    kind: type[int] | type[float]
    about: str


OPTIONS = (
    Option("beam_size", "beam size", int, "width of the beam"),
    Option("hypotheses", "hypotheses", int, "how many answers"),
    Option("length_penalty", "length penalty", float, "0 to 5"),
    Option("coverage_penalty", "coverage penalty", float, "0 to 5"),
    Option("min_length", "shortest", int, "tokens"),
    Option("max_length", "longest", int, "tokens"),
    Option("temperature", "temperature", float, "above 0 draws"),
    Option("top_k", "top k", int, "0 for all"),
    Option("top_p", "top p", float, "1 for all"),
    Option("seed", "seed", int, "of what is drawn"),
)


class BadForm(ValueError):
    """A field of the form cannot be used."""


class Asked(NamedTuple):
    """What a form asks."""

    text: str
    options: dict[str, float | str]  # those that are not left to the export


class Attention(NamedTuple):
    """Tokens of both sides and the weights between them [T, S]."""

    source_tokens: Sequence[str]
    target_tokens: Sequence[str]
    weights: np.ndarray


class Hypothesis(NamedTuple):
    """An answer."""

    text: str
    score: float
    log_prob: float
    attention: Attention | None


def read_form(fields: Mapping[str, str]) -> Asked:
    """Reads a form.

    Args:
      fields: by name; an empty one is left to the export.

    Raises:
      BadForm: a field is no number, or the text is too long.
    """
    text = fields.get(TEXT, "").replace("\r\n", " ").replace("\n", " ")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadForm("text: expected UTF-8") from None
    if size > LONGEST:
        raise BadForm(f"text: expected at most {LONGEST:,} bytes, received {size:,}")
    options: dict[str, float | str] = {}
    for option in OPTIONS:
        if value := fields.get(option.name, "").strip():
            try:
                options[option.name] = number = option.kind(value)
            except ValueError:
                kind = "a whole number" if option.kind is int else "a number"
                raise BadForm(f"{option.name}: expected {kind}, received {value[:50]!r}") from None
            if not -1 <= number < 2**31:
                raise BadForm(f"{option.name}: expected -1 to {2**31 - 1}, received {value[:50]}")
    if prefix := fields.get(PREFIX, ""):
        options[PREFIX] = prefix
    return Asked(text, options)


class Answer(Protocol):
    """An answer of a model: `serving.local_model` has them."""

    @property
    def text(self) -> str:
        """What it says."""

    @property
    def score(self) -> float:
        """What ranks."""

    @property
    def log_prob(self) -> float:
        """The model's own."""


class ExplainedAnswer(Answer, Protocol):
    """An answer that tells where the model looked."""

    @property
    def target_tokens(self) -> Sequence[str]:
        """Its tokens, EOS last."""

    @property
    def attention(self) -> np.ndarray:
        """Of each of them to each source token."""


def with_attention(
    source_tokens: Sequence[str], answers: Sequence[ExplainedAnswer]
) -> list[Hypothesis]:
    """What is shown of answers that are explained.

    Args:
      source_tokens: EOS last.
      answers: best first.
    """
    return [
        Hypothesis(
            one.text,
            one.score,
            one.log_prob,
            Attention(source_tokens, one.target_tokens, one.attention),
        )
        for one in answers
    ]


def without_attention(answers: Sequence[Answer]) -> list[Hypothesis]:
    """What is shown of answers that are not; `UNEXPLAINED` says why."""
    return [Hypothesis(one.text, one.score, one.log_prob, None) for one in answers]


def render(
    fields: Mapping[str, str],
    hypotheses: Sequence[Hypothesis] | None,
    error: str = "",
    note: str = "",
    template: str = "try.html",
    **more: Any,
) -> str:
    """Writes the page.

    Args:
      fields: what the form held; it is shown again.
      hypotheses: best first; None if nothing was asked.
      error: why there are none.
      note: about the answers.
      template: `try.html`, or one that extends it.
      more: what the template names beside: `title`, `about`.
    """
    names = (TEXT, PREFIX, *(option.name for option in OPTIONS))
    # A lone surrogate cannot be sent back.
    shown = {name: fields.get(name, "").encode("utf-8", "replace").decode() for name in names}
    rows = []
    for hypothesis in hypotheses or ():
        # Where no attention was found `note` says why.
        asked = hypothesis.attention
        picture, why = draw_or_tell(*asked) if asked else (None, "")
        rows.append((hypothesis, as_image(picture) if picture else None, why))
    return html_document(
        template,
        **more,
        fields=shown,
        options=OPTIONS,
        opened=any(shown[name] for name in names[1:]),
        rows=None if hypotheses is None else rows,
        longest=LONGEST,
        error=error,
        note=note,
    )
