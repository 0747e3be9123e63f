"""A picture as PNG, its text drawn by HarfBuzz."""

from __future__ import annotations

import io
import math
from collections import defaultdict

import uharfbuzz as hb
from PIL import Image, ImageDraw

from .fonts import Fonts
from .picture import PALE, Color, Label, Picture
from .shaping import Glyph, Shaper

SCALE = 2.0  # sharp on a dense screen and in print
MOST_PIXELS = 40_000_000


def to_png(picture: Picture, fonts: Fonts) -> bytes:
    """Draws a picture.

    Args:
      picture: a large one is drawn smaller, to at most `MOST_PIXELS`.
      fonts: what they lack becomes a box; `Fonts.missing` tells what that is.

    Returns:
      The content of a PNG file.
    """
    scale = min(SCALE, math.sqrt(MOST_PIXELS / (picture.width * picture.height)))
    size = math.ceil(picture.width * scale), math.ceil(picture.height * scale)
    image = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for part in picture.rectangles:
        left, top = round(part.x * scale), round(part.y * scale)
        right = round((part.x + part.width) * scale) - 1  # Pillow includes the last pixel
        bottom = round((part.y + part.height) * scale) - 1
        if right >= left and bottom >= top:
            draw.rectangle((left, top, right, bottom), part.fill)
    shaper = Shaper(fonts, [label.text for label in picture.labels])
    pen = _Pen(image, scale)
    for label in picture.labels:
        pen.write(label, shaper)
    pen.ink()
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


class _Pen:
    """Collects the outlines of labels, and inks those of a colour at once.

    Args:
      image: to write on.
      scale: pixels of it for one of the picture.
    """

    def __init__(self, image: Image.Image, scale: float):
        self._image = image
        self._scale = scale
        self._outlines: defaultdict[Color, hb.RasterDraw] = defaultdict(hb.RasterDraw)

    def write(self, label: Label, shaper: Shaper) -> None:
        """Adds the outlines of a label; pastes glyphs that are bitmaps."""
        glyphs, width = shaper.shape(label.text)
        start = {"left": 0.0, "middle": -width / 2, "right": -width}[label.anchor]
        turn = math.radians(-label.angle)  # HarfBuzz's y goes up
        size = label.size * self._scale
        for glyph in glyphs:
            along, across = (start + glyph.x) * size, glyph.y * size
            x = label.x * self._scale + along * math.cos(turn) - across * math.sin(turn)
            y = label.y * self._scale - along * math.sin(turn) - across * math.cos(turn)
            if not self._paste(glyph, x, y, size, turn):
                unit = size / glyph.typeface.face.upem
                cosine, sine = unit * math.cos(turn), unit * math.sin(turn)
                outlines = self._outlines[PALE if glyph.is_space else label.color]
                outlines.transform = (cosine, sine, -sine, cosine, x, self._image.height - y)
                outlines.draw_glyph(glyph.typeface.font, glyph.glyph_id)

    def ink(self) -> None:
        """Fills the outlines."""
        width, height = self._image.size
        for color, outlines in self._outlines.items():
            outlines.extents = hb.RasterExtents(0, 0, width, height, 0)
            filled = outlines.render()
            if filled is None:
                raise MemoryError(f"no memory to draw text on {width} x {height} pixels")
            stride = filled.extents.stride
            mask = Image.frombytes("L", (width, height), filled.buffer, "raw", "L", stride, -1)
            self._image.paste(color, (0, 0), mask)

    def _paste(self, glyph: Glyph, x: float, y: float, size: float, turn: float) -> bool:
        """Pastes a glyph that is a bitmap, as emoji are; False if it is none."""
        if not glyph.typeface.face.has_color_png:
            return False
        blob = glyph.typeface.font.get_glyph_color_png(glyph.glyph_id)
        extents = glyph.typeface.font.get_glyph_extents(glyph.glyph_id)
        if not blob or not blob.data or extents is None:
            return False
        unit = size / glyph.typeface.face.upem
        width, height = abs(extents.width) * unit, abs(extents.height) * unit
        bitmap = Image.open(io.BytesIO(blob.data)).convert("RGBA")
        bitmap = bitmap.resize((max(round(width), 1), max(round(height), 1)), Image.Resampling.BOX)
        bitmap = bitmap.rotate(math.degrees(turn), Image.Resampling.BICUBIC, expand=True)
        # Turned about its centre: that is where it has to be.
        along = extents.x_bearing * unit + width / 2
        across = extents.y_bearing * unit - height / 2
        center_x = x + along * math.cos(turn) - across * math.sin(turn)
        center_y = y - along * math.sin(turn) - across * math.cos(turn)
        corner = round(center_x - bitmap.width / 2), round(center_y - bitmap.height / 2)
        self._image.paste(bitmap, corner, bitmap)
        return True
