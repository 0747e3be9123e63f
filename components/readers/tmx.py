"""Translation Memory eXchange 1.4: units with a variant for each language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from .extras import ABSENT, Extras
from .options import LanguagesConfig, ReadingConfig
from .rows import Rejected, Row, checked, shown, unreadable
from .xml_stream import XML_LANG, SideText, events_of, speaks

# Elements whose content is formatting codes of some other program, and no text.
CODES = {"bpt", "ept", "it", "ph", "ut"}
MOST_VARIANTS = 1000


class _Unit:
    """A translation unit that is being read."""

    def __init__(self, line: int, attributes: dict[str, str]):
        self.line = line
        self.properties = dict(attributes)
        self.variants: list[tuple[str, str]] = []  # language and text


def read_tmx(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each unit gives a pair for each variant of a side with each of the other, or a rejection.

    Without `languages` the header's `srclang` is the source, and the target is
    whatever else a unit has, if that is one language.

    Args:
      stream: the file's bytes.
      file: the name to report.
      config: how to read; `extra` knows the unit's attributes and its `prop` types.

    Raises:
      PipelineError: it is no TMX, or names no source language and nor does `config`, or no
        unit has a column of `extra`.
    """
    unit: _Unit | None = None
    extras = Extras(config, file)
    srclang, language, kind = "", "", ""
    text: SideText | None = None
    codes = 0
    root = ""
    for event in events_of(stream, file):
        name = event.value
        if event.kind == "text":
            if text is not None and not codes:
                text.add(name)
        elif event.kind == "start":
            if not root:
                root = name
                if root != "tmx":
                    raise unreadable(file, f"expected TMX, found <{shown(root)}>", event.line)
            if name == "header":
                srclang = event.attributes.get("srclang", "")
            elif name == "tu":
                unit = _Unit(event.line, event.attributes)
                if config.languages is None and srclang.lower() in ("", "*all*"):
                    problem = "its header names no source language: set data.languages"
                    raise unreadable(file, problem, event.line)
            elif name == "tuv":
                attributes = event.attributes
                language = attributes.get(XML_LANG) or attributes.get("lang") or ""
            elif name in ("seg", "prop") and unit and text is None:
                text, codes = SideText(config.longest_line), 0
                kind = event.attributes.get("type", "")
            elif name in CODES:
                codes += 1
        elif name in CODES:
            codes = max(0, codes - 1)
        elif name == "seg" and unit and text is not None:
            unit.variants.append((language, str(text)))
            text = None
            if len(unit.variants) > MOST_VARIANTS:
                raise unreadable(file, f"more than {MOST_VARIANTS:,} variants", unit.line)
        elif name == "prop" and unit and text is not None:
            if kind in config.extra.values():
                unit.properties.setdefault(kind, str(text).strip())
            text = None
        elif name == "tu" and unit:
            yield from _rows(unit, srclang, file, config, extras)
            unit = text = None
    extras.check()


def _rows(
    unit: _Unit, srclang: str, file: str, config: ReadingConfig, extras: Extras
) -> Iterator[Row]:
    srclang = unit.properties.get("srclang", srclang)
    wanted = config.languages
    if wanted is None:
        others = {lang.lower() for lang, _ in unit.variants if not speaks(lang, srclang)}
        if len(others) != 1:
            names = ", ".join(sorted(others)) or "none"
            detail = f"beside '{srclang}' one other language is needed, found {names}"
            text = shown(*(text for _, text in unit.variants))
            yield Rejected("unclear_languages", detail, file, unit.line, text)
            return
        # `model_construct`: the file's own codes need not be well-formed.
        wanted = LanguagesConfig.model_construct(source=srclang, target=others.pop())
    sources = _in_language(unit, wanted.source)
    targets = _in_language(unit, wanted.target)
    extra = extras.of(lambda column: unit.properties.get(str(column), ABSENT))
    if len(sources) * len(targets) > MOST_VARIANTS:
        detail = f"{len(sources):,} variants in the source language, {len(targets):,} in the target"
        yield Rejected("many_variants", detail, file, unit.line, shown(sources[0], targets[0]))
        return
    for source in sources or (None,):
        for target in targets or (None,):
            yield checked(source, target, file, unit.line, config.max_characters, extra)


def _in_language(unit: _Unit, wanted: str) -> list[str]:
    """The texts of exactly that language, or else of its regional forms."""
    exact = [text for language, text in unit.variants if _same(language, wanted)]
    return exact or [text for language, text in unit.variants if speaks(language, wanted)]


def _same(language: str, wanted: str) -> bool:
    return speaks(language, wanted) and speaks(wanted, language)
