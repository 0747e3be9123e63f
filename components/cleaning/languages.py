"""A filter by language, as a small offline model identifies it."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from .agreement import PLACEHOLDER
from .filter import Fault, PairFilter
from .sides import Sides

# Languages that text is often found to be in, where another was expected. Those with
# scripts of their own cost nothing.
OFTEN = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "zh"]
Code = Annotated[str, Field(pattern="^[a-z]{2}$")]


class LanguageOf(PairFilter):
    """A side that is clearly in another language than its own is refused.

    What is short, or not clear, is kept: the model compares n-grams of characters, and
    names and single words are in many languages.
    """

    filter: Literal["language"]
    source: Code | None = None  # ISO 639-1, such as en
    target: Code | None = None
    among: list[Code] = OFTEN  # what else a side may be in; fewer are faster
    min_characters: Annotated[int, Field(ge=1)] = 20
    # How far ahead of the next language the likeliest must be, from 0 to 1.
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @field_validator("source", "target", "among")
    @classmethod
    def _is_known(cls, value: Any) -> Any:
        known = known_codes()
        for code in value if isinstance(value, list) else filter(None, [value]):
            if code not in known:
                raise ValueError(f"expected one of {', '.join(sorted(known))}, received '{code}'")
        return value

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        return self.apply_all([(source, target)])[0]

    def changes(self, sides: Sides) -> dict[int, tuple[str, str] | Fault]:
        found: dict[int, tuple[str, str] | Fault] = {}
        codes = tuple(sorted({*self.among, *filter(None, (self.source, self.target))}))
        for side, (name, wanted) in enumerate((("source", self.source), ("target", self.target))):
            if wanted is None or len(codes) < 2:
                continue
            plain = [PLACEHOLDER.sub(" ", pair[side]).strip() for pair in sides.pairs]
            places = [i for i, text in enumerate(plain) if len(text) >= self.min_characters]
            texts = [plain[place] for place in places]
            answers = detector(codes, self.margin).detect_languages_in_parallel_of(texts)
            for place, answer in zip(places, answers, strict=True):
                code = answer.iso_code_639_1.name.lower() if answer else wanted
                if code != wanted and place not in found:
                    found[place] = Fault(
                        f"{name}_language", f"seems to be '{code}', not '{wanted}'"
                    )
        return found


def known_codes() -> set[str]:
    """The languages that the model knows.

    Raises:
      ValueError: there is no model.
    """
    try:
        from lingua import Language
    except ImportError as error:
        raise ValueError(
            "the filter `language` needs a model that is not installed: "
            "pip install 'lingua-language-detector>=2.1,<2.2'"
        ) from error
    return {language.iso_code_639_1.name.lower() for language in Language.all()}


@lru_cache(maxsize=8)
def detector(codes: tuple[str, ...], margin: float) -> Any:
    """What tells some languages apart."""
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    named = [IsoCode639_1.from_str(code.upper()) for code in codes]
    builder = LanguageDetectorBuilder.from_iso_codes_639_1(*named)
    return builder.with_minimum_relative_distance(margin).build()
