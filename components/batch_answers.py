"""Answers files of any size over Beam: in pieces, each whole on disk or not there at all.

A piece is some lines of a file. A worker is told where its piece begins, and writes the
answers beside those of the others, under a name that sorts as the lines do: no text
crosses a shuffle, and the order needs no sorting. A piece that is there is not answered
again, so what was stopped goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import escape
from itertools import islice
from typing import IO, NamedTuple
from uuid import uuid4

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.utils.shared import Shared

from ..serving.answered_lines import WINDOW, answer_lines, count, read_lines, to_line
from .decoding import AsksModels
from .readers.files import opened
from .sentences import CANDIDATE

PREFIX = "predictions"
SUFFIX = ".jsonl"

Counts = tuple[int, int]  # lines that were answered, and that were rejected


class Piece(NamedTuple):
    """Some lines of a file, `WINDOW` at most."""

    path: str
    file: int  # number of the file
    number: int  # of the piece in it
    before: int  # lines of the file before it
    offset: int | None  # bytes before it, unpacked; None where the file cannot be wound

    @property
    def name(self) -> str:
        """Of the file with its answers."""
        return f"{PREFIX}-{self.file:05d}-{self.number:06d}{SUFFIX}"


def pieces_of(file: tuple[int, str]) -> Iterator[Piece]:
    """Cuts a file into pieces.

    Args:
      file: its number and its path.
    """
    number, path = file
    with opened(path) as stream:
        before = place = 0
        while True:
            offset = stream.tell() if stream.seekable() else None
            lines = sum(1 for _ in islice(read_lines(stream), WINDOW))
            if not lines:
                return
            yield Piece(path, number, place, before, offset)
            before, place = before + lines, place + 1


class AnswerPiece(AsksModels):
    """Answers the pieces that are not there yet; gives the counts of each.

    Args:
      model: folder of the SavedModel.
      folder: of the answers.
      nbest: hypotheses a line.
      names_files: whether each row says which file it is of.
    """

    def __init__(self, model: str, folder: str, nbest: int, names_files: bool):
        super().__init__({CANDIDATE: model}, Shared())
        self._folder, self._nbest, self._names_files = folder, nbest, names_files

    def process(self, piece: Piece) -> Iterator[Counts]:
        target = FileSystems.join(self._folder, piece.name)
        if not FileSystems.exists(target):
            lines = _lines_of(piece)
            model = self._models.by_name[CANDIDATE]
            rows = answer_lines(model, lines, piece.before, self._nbest)
            if self._names_files:
                rows = [{"file": piece.path, **row} for row in rows]
            self._write(target, b"".join(map(to_line, rows)))
        with FileSystems.open(target, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield count(file)

    def _write(self, target: str, content: bytes) -> None:
        going = FileSystems.join(self._folder, f"unfinished-{uuid4().hex}")
        with FileSystems.create(going, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            file.write(content)
        FileSystems.rename([going], [target])


def _lines_of(piece: Piece) -> list[bytes | None]:
    with opened(piece.path) as stream:
        return list(islice(_from(stream, piece), WINDOW))


def _from(stream: IO[bytes], piece: Piece) -> Iterator[bytes | None]:
    """The lines of a file from a piece on."""
    if piece.offset is None:
        return islice(read_lines(stream), piece.before, None)
    stream.seek(piece.offset)
    return read_lines(stream)


def total(counts: Iterable[Counts]) -> Counts:
    """Adds up counts."""
    answered = rejected = 0
    for one in counts:
        answered, rejected = answered + one[0], rejected + one[1]
    return answered, rejected


def pieces_in(folder: str) -> list[str]:
    """The answers that are in a folder, in the order of the lines."""
    (found,) = FileSystems.match([FileSystems.join(escape(folder), f"{PREFIX}-*{SUFFIX}")])
    return sorted((one.path for one in found.metadata_list), key=os.path.basename)


@beam.ptransform_fn
def AnswerFiles(
    start: beam.Pipeline, paths: list[str], model: str, folder: str, nbest: int
) -> beam.PCollection:
    """Writes the answers to files of lines; gives their counts, one element in all.

    Args:
      start: the pipeline.
      paths: of the files.
      model: folder of the SavedModel.
      folder: of the answers, which exists.
      nbest: hypotheses a line.
    """
    return (
        start
        | "Files" >> beam.Create(list(enumerate(paths)))
        | "Pieces" >> beam.FlatMap(pieces_of)
        | "Spread" >> beam.Reshuffle()
        | "Answer" >> beam.ParDo(AnswerPiece(model, folder, nbest, len(paths) > 1))
        | "Count" >> beam.CombineGlobally(total)
    )
