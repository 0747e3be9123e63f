"""What the configuration says of reading: the part of `data` that readers use."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from ...models import features
from ...models.configuration import Section
from ..slices import RAREST_WORD, SET, SOURCE_LENGTH

Format = Literal[
    "auto", "tsv", "csv", "tatoeba", "aligned", "jsonl", "parquet", "tmx", "xliff", "gettext",
    "tfrecord",
]  # fmt: skip

PLACE = ("file", "line")  # of a pair, beside its sides where pairs are written
MADE = (SET, SOURCE_LENGTH, RAREST_WORD)  # slices that Evaluator makes, and no column of the data


def _names_a_column(value: Any) -> Any:
    named = isinstance(value, str) and value.strip()
    numbered = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not named and not numbered:
        raise ValueError(f"expected a column's name, or its number from 1, received {value!r}")
    return value


# A name in the header, a path into a record with dots, or a number from 1.
Column = Annotated[int | str, BeforeValidator(_names_a_column)]


class ColumnsConfig(Section):
    """Where the sides stand in a table or a record."""

    source: Column = features.SOURCE
    target: Column = features.TARGET


class LanguagesConfig(Section):
    """The languages of the sides as BCP 47 has them: `en` takes `en-GB` for itself, too."""

    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$")]
    target: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$")]


class ReadingConfig(Section):
    """How files are read."""

    format: Format = "auto"  # by the ending of each file's name
    max_characters: Annotated[int, Field(ge=1)] = 2000
    columns: ColumnsConfig | None = None
    extra: dict[str, Column] = {}  # what travels along with a pair: feature and its column
    header: bool | None = None  # of a table; None: there is one if `columns` are names
    delimiter: str | None = None  # of a table; None: a tab or a comma, by the format
    languages: LanguagesConfig | None = None

    @property
    def longest_line(self) -> int:
        """No line is longer than so many bytes: what is, is not held, but rejected."""
        return max(1 << 20, 16 * self.max_characters)

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '"\r\n' or ord(value) > 127):
            raise ValueError(f"expected one ASCII character and no quote, received {value!r}")
        return value

    @field_validator("extra")
    @classmethod
    def _has_names_of_its_own(cls, value: dict[str, Column]) -> dict[str, Column]:
        taken = {features.SOURCE, features.TARGET, features.REFERENCES, *PLACE, *MADE}
        for name in value:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in taken:
                raise ValueError(
                    "expected names of letters, digits and '_' other than "
                    f"{', '.join(sorted(taken))}; received {name!r}"
                )
        return value
