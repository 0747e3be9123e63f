"""Shows where a model looked while it wrote its answer."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..report.fonts import Fonts, advice
from ..report.heat_map import HeatMapError, heat_map, strongest
from ..report.labels import visible
from ..report.png import to_png
from ..report.shaping import Shaper
from ..report.svg import to_svg
from ..serving.local_model import ExplainedHypothesis, LocalModel


class CannotExplain(Exception):
    """There is nothing to draw, or nowhere to put it."""


def explain_text(
    model: LocalModel, text: str, stem: Path, fonts: Fonts | None = None
) -> tuple[Path, Path]:
    """Answers a text, prints the answer and draws its attention.

    Args:
      model: a loaded model.
      text: the source.
      stem: of the two files, or an existing folder for them.
      fonts: for the PNG; those of the machine if None. What they lack is told on
        standard error.

    Returns:
      The PNG and the SVG.

    Raises:
      CannotExplain: the text has no token, the model has no attention, or the files
        cannot be written.
    """
    source_tokens, hypotheses = model.explain([text])[0]
    if len(source_tokens) < 2 or not hypotheses or not hypotheses[0].target_tokens:
        # Of an empty text EOS alone is left.
        raise CannotExplain(f"expected a text with tokens and an answer, received {text!r}")
    best = hypotheses[0]
    fonts = fonts or Fonts()
    shaper = Shaper(fonts, [*source_tokens, *best.target_tokens])
    try:
        picture = heat_map(source_tokens, best.target_tokens, best.attention, shaper.width)
    except HeatMapError as error:
        if not best.attention.any():
            raise CannotExplain(
                "this model has no attention: it gives a weight of 0 to every source token"
            ) from error
        raise CannotExplain(f"the model's attention cannot be drawn: {error}") from error

    if stem.is_dir():
        stem = stem / "explanation"
    elif stem.suffix in (".png", ".svg"):
        stem = stem.with_suffix("")
    files = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        files[0].write_bytes(to_png(picture, fonts))
        files[1].write_text(to_svg(picture), encoding="utf-8")
    except OSError as error:
        raise CannotExplain(f"the pictures cannot be written: {error}") from error
    _print(source_tokens, best)
    for file in files:
        print(file)
    if missing := fonts.missing(label.text for label in picture.labels):
        print(f"warning: {advice(missing)}", file=sys.stderr)
        print("The SVG is complete: its viewer brings the fonts.", file=sys.stderr)
    return files


def _print(source_tokens: list[str], best: ExplainedHypothesis) -> None:
    """The answer, its score, and the source token that each of its tokens looked at most."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"answer: {best.text}"))
    console.print(f"score: {best.score:.4f}")
    table = Table("target", "source, the strongest")
    table.add_column("weight", justify="right")
    for token, weights, position in zip(
        best.target_tokens, best.attention, strongest(best.attention), strict=True
    ):
        source = Text(visible(source_tokens[position]))
        table.add_row(Text(visible(token)), source, f"{weights[position]:.2f}")
    console.print(table)
