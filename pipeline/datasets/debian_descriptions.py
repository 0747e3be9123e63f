"""Debian's packages: the long description of a package to its synopsis, the one line above it.

The descriptions come from apt's Translation-en indices, of free software alone: see `apt`.

The source is the description from its start, as many whole paragraphs as fit into 600
characters, which holds seven in eight of them whole. Nearly every synopsis says what the first
paragraph says.

Nearly half of the packages are variants: a library, its headers, its documentation and its
Python binding share what they describe, and would put one text into several splits. So one
package of a family is kept. A family has first paragraphs that are the same once all is left out
that tells siblings apart: names, numbers and rare words. Kept is the one whose synopsis its first
paragraph covers best. What follows that paragraph stays in the source, for a synopsis may speak
of it ("... - documentation"). Where most of a source's sentences, so reduced, are in the sources
of others, the source goes too; sentences that many packages share ("Node.js is an event-based
server-side JavaScript engine.") do not count.

Dropped as well are packages that only move users to another, and texts with no more words than
their synopsis.
"""

import hashlib
import re
import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .apt import english_indices, records
from .common import (
    PAIRS,
    Dataset,
    Progress,
    Report,
    recorded_version,
    write_dataset,
)

# The number counts changes of the rules in this file: a new one makes the data anew.
RULES = "descriptions of Debian packages, rules 1"

MAX_CHARACTERS = 600
FREQUENT = 20  # a word or sentence in fewer texts is rare
FEWEST_WORDS = 4  # a text that the reduction leaves with fewer stands for itself

_MOVED = re.compile(
    r"\b(?:transitional|dummy)\b(?: \S+){0,2} (?:meta-?)?packages?\b", re.IGNORECASE
)
_BREAK = re.compile(r"^[ \t]+\.[ \t]*$", re.MULTILINE)
# Verbatim lines, which are indented by two or more, have "o" and "+" for a bullet too.
_BULLET = re.compile(r"^(?:[ \t]+(?:[*•·]|--?)|[ \t]{2,}[o+])[ \t]+(?=\S)", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]+")
_AROUND = string.punctuation + "\u2018\u2019\u201c\u201d"
_SENTENCE = re.compile(r"(?<=[.!?:])\s|\s\* ")
_END = re.compile(r"[.!?](?=\s)|(?=\s\* )")

NOTICE = """\
Descriptions of packages and their synopses, from the English indices of

{indices}

SHA-256 of the indices' text, in this order: {digest}

A description is part of its package. It is under the licence of the package's
own files, which the copyright file of that package states; line N of PACKAGES
names the package of line N of pairs.tsv. Nobody has checked these licences one
by one: what is known is that all packages are of components that take free
software alone. Long descriptions were put on one line and shortened.
"""


@dataclass(frozen=True)
class Description:
    """What an index says of a package.

    Args:
        package: Its name.
        synopsis: Its one line.
        paragraphs: Its long description, each paragraph on one line.
    """

    package: str
    synopsis: str
    paragraphs: tuple[str, ...]


class Chosen(NamedTuple):
    """A pair, in the order in which pairs are sorted, and whose it is."""

    source: str
    target: str
    package: str
    shortened: bool


def obtain(output_dir: Path, report: Report, progress: Progress) -> Path:
    """Writes the descriptions that the machine's apt can have as long text and synopsis.

    What is there already stays, whatever apt can have by now: a job's data does not change by
    itself.

    Args:
        output_dir: The folder for pairs.tsv, PACKAGES, NOTICE and VERSION.
        report: Takes lines for the user.
        progress: Takes the indices read and their number.

    Raises:
        DataUnavailable: There is no apt, it has no such descriptions, or the folder is not
            writable.
    """
    if recorded_version(output_dir).startswith(f"{RULES},"):
        report(f"already there: {output_dir / PAIRS} (remove it to have it of today's packages)")
        return output_dir / PAIRS
    indices = english_indices(report)
    descriptions: dict[str, Description] = {}
    dropped: Counter[str] = Counter()
    for number, index in enumerate(indices, 1):
        found = list(parse(index.text))
        report(f"{index.release}: {len(found):,} descriptions")
        for description in found:
            # A package that several releases have counts as the first of them has it.
            if description.package in descriptions:
                dropped["another version of a package"] += 1
            else:
                descriptions[description.package] = description
        progress(number, len(indices))
    pairs = choose(descriptions.values(), dropped)
    digest = hashlib.sha256("".join(index.text for index in indices).encode()).hexdigest()
    releases = [index.release for index in indices]
    notice = NOTICE.format(indices="\n".join(f"  {name}" for name in releases), digest=digest)
    path = write_dataset(
        output_dir,
        f"{RULES}, of {'; '.join(releases)}; sha256 {digest}",
        ((pair.source, pair.target) for pair in pairs),
        {
            "NOTICE": notice.encode(),
            "PACKAGES": "".join(f"{pair.package}\n" for pair in pairs).encode(),
        },
    )
    for reason, count in sorted((+dropped).items()):
        report(f"{count:,} dropped: {reason}")
    shortened = sum(pair.shortened for pair in pairs)
    report(
        f"{len(pairs):,} pairs written to {path}; {shortened:,} descriptions were shortened to "
        f"{MAX_CHARACTERS} characters"
    )
    return path


def parse(text: str) -> Iterator[Description]:
    """Reads the descriptions of an index; one without a long text has no paragraphs.

    Args:
        text: Records of fields, an empty line between them.
    """
    for record in records(text):
        synopsis, _, folded = record.get("Description-en", "").partition("\n")
        yield Description(
            record.get("Package", ""), " ".join(synopsis.split()), tuple(_paragraphs(folded))
        )


def choose(descriptions: Iterable[Description], dropped: Counter[str]) -> list[Chosen]:
    """Chooses one pair of each family, sorted.

    Args:
        descriptions: One of each package.
        dropped: Takes the counts of those dropped, by reason.
    """
    usable = []
    for description in descriptions:
        if not description.synopsis or not description.paragraphs:
            dropped["no English description"] += 1
        elif _MOVED.search(f"{description.synopsis}\n{description.paragraphs[0]}"):
            dropped["transitional or dummy"] += 1
        else:
            usable.append(description)
    firsts = {description.paragraphs[0] for description in usable}
    frequency = Counter(word for first in firsts for word in set(_words(first)))
    families: dict[str, list[Description]] = defaultdict(list)
    for description in usable:
        families[_reduced(description.paragraphs[0], frequency)].append(description)
    # Sorted, so that of two that tell the same the better one is seen first.
    kept = sorted((min(family, key=_preference) for family in families.values()), key=_preference)
    dropped["a variant of another package"] += len(usable) - len(kept)

    sources = [shorten(description.paragraphs) for description in kept]
    sentences = [
        {_reduced(sentence, frequency) for sentence in _SENTENCE.split(source)}
        for source in sources
    ]
    shared = Counter(sentence for those in sentences for sentence in those)
    told: set[str] = set()
    chosen: dict[str, Chosen] = {}
    for description, source, those in zip(kept, sources, sentences, strict=True):
        own = {sentence for sentence in those if shared[sentence] < FREQUENT}
        if len(_WORD.findall(source)) <= len(_WORD.findall(description.synopsis)):
            dropped["no longer than the synopsis"] += 1
        elif 2 * sum(map(len, own & told)) > sum(map(len, own)) or source in chosen:
            dropped["mostly told by others"] += 1
        else:
            told |= own
            shortened = len(source) < len(" ".join(description.paragraphs))
            chosen[source] = Chosen(source, description.synopsis, description.package, shortened)
    return sorted(chosen.values())


def shorten(paragraphs: Iterable[str]) -> str:
    """Joins as many paragraphs as fit, or what fits of the first, to the end of a sentence.

    Args:
        paragraphs: At least one.
    """
    source, *others = paragraphs
    if len(source) > MAX_CHARACTERS:
        fitting = source[: MAX_CHARACTERS + 1]
        ends = [match.end() for match in _END.finditer(fitting)]
        if ends and ends[-1] > MAX_CHARACTERS // 2:
            return fitting[: ends[-1]]
        return fitting.rpartition(" ")[0] or fitting[:MAX_CHARACTERS]
    for paragraph in others:
        if len(source) + 1 + len(paragraph) > MAX_CHARACTERS:
            if source.endswith(":"):  # it announces what does not fit
                ends = [match.end() for match in _END.finditer(source)]
                return source[: ends[-1]] if ends else source
            break
        source += " " + paragraph
    return source


def _paragraphs(folded: str) -> Iterator[str]:
    """Puts each paragraph on one line, with one bullet for all and without ruled lines."""
    for paragraph in _BREAK.split(folded):
        lines = _BULLET.sub(" * ", paragraph).split("\n")
        if joined := " ".join(" ".join(line for line in lines if _WORD.search(line)).split()):
            yield joined


def _reduced(text: str, frequency: Counter[str]) -> str:
    words = _words(text)
    common = [word for word in words if word.islower() and frequency[word] >= FREQUENT]
    return " ".join(common if len(common) >= FEWEST_WORDS else words).lower()


def _words(text: str) -> list[str]:
    """Returns the words of a text; what holds more than letters ("bit_vec") is a name."""
    return [word for token in text.split() if (word := token.strip(_AROUND)).isalpha()]


def _preference(description: Description) -> tuple[float, int, int, str]:
    words = _WORD.findall(description.synopsis.lower())
    first = set(_WORD.findall(description.paragraphs[0].lower()))
    covered = sum(word in first for word in words)
    length = sum(map(len, description.paragraphs))
    return -covered / max(len(words), 1), -covered, length, description.package


DATASET = Dataset(
    name="debian_descriptions",
    description="Long descriptions of Debian or Ubuntu packages and their synopses, as this "
    "machine's apt has them.",
    licence="each description that of its package, a free one",
    default_output=Path("data/debian_descriptions"),
    obtain=obtain,
)
