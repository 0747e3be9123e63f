"""The English conversations of the ChatterBot corpus: an utterance to its reply.

In most of its files a conversation is a list of turns, and each turn with the one after it is a
pair. In two of them a list is a first line and several replies to it, none of which answers
another: there, each reply is a pair with that first line. The files do not say which they are;
it was found by reading them. Replies of several lines are program listings, which mean nothing
once their line breaks are gone, and are dropped.
"""

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from . import pypi
from .common import PAIRS, Dataset, DataUnavailable, Progress, Report, already_there, write_dataset

WHEEL = pypi.Wheel(
    package="chatterbot-corpus==1.3.3",
    size=345_706,
    sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
    python="3.10",
)
# The number counts changes of the rules in this file: a new one makes the data anew.
VERSION = f"{WHEEL.package} english, rules 1"

FILES = "chatterbot_corpus/data/english/*.yml"
# The files whose lists are a first line and the replies to it.
ALTERNATIVES = {"computers", "emotion"}

# The wheel carries no licence text; this is that of the source distribution of the same version.
LICENCE = """\
Copyright (c) 2017, Gunther Cox All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:

    Redistributions of source code must retain the above copyright notice, this list of
    conditions and the following disclaimer.

    Redistributions in binary form must reproduce the above copyright notice, this list of
    conditions and the following disclaimer in the documentation and/or other materials provided
    with the distribution.

    Neither the name of chatterbot nor the names of its contributors may be used to endorse or
    promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER
IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT
OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""


def obtain(output_dir: Path, report: Report, progress: Progress) -> Path:
    """Downloads the corpus and writes its English conversations as utterances and replies.

    Args:
        output_dir: The folder for pairs.tsv, LICENSE and VERSION.
        report: Takes lines for the user.
        progress: Takes the bytes downloaded and their total.

    Raises:
        DataUnavailable: No wheel came, it is not the recorded one, it holds no conversation, or
            the folder is not writable.
    """
    if already_there(output_dir, VERSION):
        report(f"already there: {output_dir / PAIRS}")
        return output_dir / PAIRS
    with pypi.opened(WHEEL, report, progress) as archive:
        pairs, dropped = _pairs(archive, report)
    if not pairs:
        raise DataUnavailable(
            f"English conversations in {WHEEL.package}",
            "there are none",
            "see above which files were skipped, and why",
        )
    path = write_dataset(output_dir, VERSION, sorted(pairs), {"LICENSE": LICENCE.encode()})
    report(f"{len(pairs) + sum(dropped.values()):,} utterances with a reply read")
    for reason, count in sorted(dropped.items()):
        report(f"{count:,} dropped: {reason}")
    sources = len({source for source, _ in pairs})
    report(f"{len(pairs):,} pairs of {sources:,} distinct utterances written to {path}")
    return path


def _pairs(archive: zipfile.ZipFile, report: Report) -> tuple[set[tuple[str, str]], Counter[str]]:
    """Pairs utterances with replies, and counts by reason what was dropped."""
    pairs: set[tuple[str, str]] = set()
    dropped: Counter[str] = Counter()
    for name in sorted(archive.namelist()):
        if not PurePosixPath(name).match(FILES):
            continue
        file = PurePosixPath(name)
        try:
            conversations = _conversations(archive.read(name))
        except (YAMLError, UnicodeDecodeError, ValueError) as error:
            report(f"{file.name} skipped: {' '.join(str(error).split())}")
            continue
        for conversation in conversations:
            if not isinstance(conversation, list) or len(conversation) < 2:
                dropped["not a list of utterances"] += 1
                continue
            for source, target in _turns(conversation, file.stem in ALTERNATIVES):
                if not (isinstance(source, str) and isinstance(target, str)):
                    dropped["not text"] += 1
                    continue
                # A text that YAML folded has no line breaks left; a listing has kept them.
                if "\n" in source.strip() or "\n" in target.strip():
                    dropped["several lines: a program listing"] += 1
                    continue
                # One line a pair, and no tab within a side.
                pair = " ".join(source.split()), " ".join(target.split())
                if not all(pair):
                    dropped["an empty side"] += 1
                elif pair in pairs:
                    dropped["a repeated pair"] += 1
                else:
                    pairs.add(pair)
    return pairs, dropped


def _conversations(content: bytes) -> list[Any]:
    """Reads the conversations of a file.

    Raises:
        YAMLError, UnicodeDecodeError: The file is no YAML.
        ValueError: It is another YAML than expected.
    """
    document = YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    conversations = document.get("conversations") if isinstance(document, dict) else None
    if not isinstance(conversations, list):
        raise ValueError("expected a list under the key 'conversations', found none")
    return conversations


def _turns(conversation: list[Any], alternatives: bool) -> Iterator[tuple[Any, Any]]:
    first, *replies = conversation
    sources = [first] * len(replies) if alternatives else conversation
    yield from zip(sources, replies, strict=False)


DATASET = Dataset(
    name="chatterbot",
    description="English utterances and replies, about a thousand, from the ChatterBot corpus: "
    "enough to try a dialogue job, too little to learn to converse.",
    licence="BSD-3-Clause",
    default_output=Path("data/chatterbot"),
    obtain=obtain,
)
