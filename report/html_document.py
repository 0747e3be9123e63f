"""HTML documents: they open from disk, ask for nothing and run nothing.

None has a script, and their policy forbids any; all text goes through Jinja's escaping.
What is drawn is SVG in the document, or a picture of this room as an image.
"""

from __future__ import annotations

import base64
import math
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from .labels import readable
from .picture import Picture
from .svg import to_svg

LONGEST = 400  # clusters of a text that are shown
WHOLE = 20_000  # where the text is what one came for
TEMPLATES = Path(__file__).parent / "templates"

# What a page is served with: no script, nothing from elsewhere, in no frame.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def html_document(template: str, **values: Any) -> str:
    """Writes a document.

    Args:
      template: its file in `templates`.
      values: what the template names; foreign text is shown by its filters `short` and `whole`.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_number,
        seconds=_seconds,
        thousands=lambda value: f"{value:,}",
        short=lambda text: readable(text, LONGEST),
        whole=lambda text: readable(text, WHOLE),
    )
    return environment


def as_image(picture: Picture) -> tuple[Picture, str]:
    """A picture, and the address that shows it as an image of its own.

    Nothing of it can reach into the document, and no two pictures share an id.
    """
    svg = base64.b64encode(to_svg(picture).encode()).decode()
    return picture, f"data:image/svg+xml;base64,{svg}"


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "no number"
    shown = f"{value:.2f}" if abs(value) >= 10 else f"{round(value, 4) + 0.0:.4f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def _seconds(value: float) -> str:
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s"
