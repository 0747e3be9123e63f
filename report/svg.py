"""A picture as SVG: plain, alone in its file, its text as text."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from . import bidi
from .labels import SPACES
from .picture import PALE, Color, Label, Picture, Rectangle

# What XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES = re.compile(f"[{SPACES}]+")
_FAMILIES = "'Noto Sans', 'DejaVu Sans', sans-serif"


def to_svg(picture: Picture) -> str:
    """Writes a picture as an SVG document.

    Viewers choose the fonts and shape the text; each label says which way it reads.
    """
    width, height = _number(picture.width), _number(picture.height)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="title description" '
        f"font-family={quoteattr(_FAMILIES)}>",
        f'<title id="title">{_text(picture.title)}</title>',
        f'<desc id="description">{_text(picture.description)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<g shape-rendering="crispEdges">',
        *map(_rectangle, picture.rectangles),
        "</g>",
        *map(_label, picture.labels),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _rectangle(rectangle: Rectangle) -> str:
    place = " ".join(
        f'{name}="{_number(getattr(rectangle, name))}"' for name in ("x", "y", "width", "height")
    )
    tag = f'<rect {place} fill="{_color(rectangle.fill)}"'
    if not rectangle.tooltip:
        return f"{tag}/>"
    return f"{tag}><title>{_text(rectangle.tooltip)}</title></rect>"


def _label(label: Label) -> str:
    rtl = bidi.is_right_to_left(label.text)
    # SVG anchors by the direction of the text, and a label by what is seen.
    ends = {"left": "end" if rtl else "start", "right": "start" if rtl else "end"}
    attributes = {
        "x": _number(label.x),
        "y": _number(label.y),
        "font-size": _number(label.size),
        "fill": _color(label.color),
        "text-anchor": ends.get(label.anchor, "middle"),
        "direction": "rtl" if rtl else "ltr",
        "unicode-bidi": "embed",
    }
    if label.angle:
        turn = f"rotate({_number(label.angle)} {_number(label.x)} {_number(label.y)})"
        attributes["transform"] = turn
    written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    tooltip = f"<title>{_text(label.tooltip)}</title>" if label.tooltip else ""
    text = _SPACES.sub(rf'<tspan fill="{_color(PALE)}">\g<0></tspan>', _text(label.text))
    return f"<text {written}>{tooltip}{text}</text>"


def _text(text: str) -> str:
    return escape(_ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _color(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
