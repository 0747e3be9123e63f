"""Boxes, arrows and text as SVG, for `draw_pictures`."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

# The colours say what a thing is, the same in every diagram.
TOKEN, ENCODER, DECODER, ATTENTION, OUTPUT = "#f2f2f2", "#c6dbef", "#fde0c5", "#d3ecd0", "#e3dcf1"
INK, PALE, OPTION = "#333333", "#707070", "#08519c"
MINUS, TIMES, GAP = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EM SPACE}"
_SHIFTED = re.compile(r"([_^])\{(.*?)\}")


class Diagram:
    """Boxes, arrows and text on white ground; `_{i}` and `^{i}` in a text are set low and high."""

    def __init__(self, width: int, height: int, title: str, description: str):
        heads = "".join(
            f'<marker id="head{color[1:]}" viewBox="0 0 10 10" refX="9" refY="5" '
            'markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
            f'<path d="M0 1 10 5 0 9z" fill="{color}"/></marker>'
            for color in (INK, PALE, OPTION)
        )
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="title description" '
            "font-family=\"'Noto Sans', 'DejaVu Sans', sans-serif\" font-size=\"14\">",
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(description)}</desc>',
            f"<defs>{heads}</defs>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" '
            'fill="#ffffff" stroke="#d0d0d0"/>',
        ]

    def box(
        self,
        x: float,
        y: float,
        text: str,
        fill: str,
        width: float = 64,
        height: float = 36,
        dashed: bool = False,
        size: float = 14,
    ) -> None:
        """A box about (x, y), its text in lines."""
        stroke = f'stroke="{PALE}" stroke-dasharray="4 3"' if dashed else f'stroke="{INK}"'
        self._parts.append(
            f'<rect x="{_number(x - width / 2)}" y="{_number(y - height / 2)}" '
            f'width="{_number(width)}" height="{_number(height)}" rx="6" fill="{fill}" {stroke}/>'
        )
        lines = text.split("\n")
        for i, line in enumerate(lines):
            down = (i - (len(lines) - 1) / 2) * size * 1.25 + size * 0.35
            self.text(x, y + down, line, size=size, color=PALE if dashed else INK)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        anchor: str = "middle",
        size: float = 14,
        color: str = INK,
        bold: bool = False,
    ) -> None:
        """A line of text whose baseline is at y."""
        weight = ' font-weight="bold"' if bold else ""
        written, moved, end = [], 0.0, 0
        for shifted in [*_SHIFTED.finditer(text), None]:
            plain = text[end : shifted.start() if shifted else None]
            if plain:
                back = f' dy="{_number(-moved)}"' if moved else ""
                written.append(f"<tspan{back}>{escape(plain)}</tspan>" if back else escape(plain))
                moved = 0.0
            if shifted:
                shift = size * (0.25 if shifted[1] == "_" else -0.35)
                small = f'dy="{_number(shift - moved)}" font-size="{_number(size * 0.72)}"'
                written.append(f"<tspan {small}>{escape(shifted[2])}</tspan>")
                moved, end = shift, shifted.end()
        self._parts.append(
            f'<text x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" '
            f'text-anchor="{anchor}" fill="{color}"{weight}>{"".join(written)}</text>'
        )

    def option(self, x: float, y: float, text: str, anchor: str = "middle") -> None:
        """The name of a configuration key."""
        self.text(x, y, text, anchor, size=12.5, color=OPTION)

    def arrow(
        self,
        *points: tuple[float, float],
        color: str = INK,
        dashed: bool = False,
        head: bool = True,
    ) -> None:
        """A line through points, its head at the last."""
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        end = f' marker-end="url(#head{color[1:]})"' if head else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5" '
            f'stroke-linejoin="round"{dashes}{end}/>'
        )

    def dot(self, x: float, y: float, color: str = INK) -> None:
        """Where a line divides."""
        self._parts.append(f'<circle cx="{_number(x)}" cy="{_number(y)}" r="3" fill="{color}"/>')

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """A frame around parts that belong together."""
        self._parts.append(
            f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" '
            f'height="{_number(height)}" rx="10" fill="none" stroke="{PALE}"/>'
        )

    def svg(self) -> str:
        """The document."""
        return "\n".join([*self._parts, "</svg>"]) + "\n"


def _number(value: float) -> str:
    """To two digits, without zeros at the end."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
