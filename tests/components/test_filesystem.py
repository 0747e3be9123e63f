"""Pairs on a filesystem that is not this machine's, behind Beam's interface."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystem import CompressionTypes, FileMetadata, FileSystem

from seq2seq_tfx.components.bitext_limits import DataValidationConfig
from seq2seq_tfx.components.data_check import check_pairs
from seq2seq_tfx.components.data_config import DataConfig
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS


def _parquet():
    written = io.BytesIO()
    pq.write_table(pa.table({"source": ["p"], "target": ["q"]}), written)
    return written.getvalue()


PACKED = gzip.compress(b'{"source": "x", "target": "y"}\n')
FILES = {
    "memory://good/a.tsv": b"a\tb\nbad\n",
    "memory://good/c.jsonl.gz": PACKED,
    "memory://good/p.parquet": _parquet(),
    "memory://cut/c.jsonl.gz": PACKED[:-9],
}


class MemoryFileSystem(FileSystem):
    """Files of `FILES`, to be read."""

    @classmethod
    def scheme(cls):
        return "memory"

    def join(self, basepath, *paths):
        return "/".join([basepath, *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for path, content in FILES.items():
            if path.startswith(dir_or_prefix):
                yield FileMetadata(path, len(content), 0)

    def open(
        self, path, mime_type="", compression_type=CompressionTypes.AUTO
    ):  # as Beam's own have it
        return io.BufferedReader(io.BytesIO(FILES[path]))

    def exists(self, path):
        return path in FILES

    def size(self, path):
        return len(FILES[path])

    def metadata(self, path):
        return FileMetadata(path, len(FILES[path]), 0)

    def last_updated(self, path):
        return 0

    def checksum(self, path):
        return ""

    def _only_read(self, *arguments, **options):
        raise NotImplementedError

    mkdirs = create = copy = rename = delete = _only_read


@pytest.mark.slow
def test_pairs_are_read_from_any_filesystem_that_beam_knows(tmp_path):
    limits = DataValidationConfig()
    config = DataConfig(input="memory://good/*")
    report = check_pairs(config, limits, tmp_path, list(BEAM_ARGS))
    assert (report.read, report.kept) == (4, 3)
    assert report.files == [path for path in FILES if "good" in path]
    kept = map(json.loads, (tmp_path / "kept.jsonl").read_text().splitlines())
    assert sorted((row["file"], row["source"], row["line"]) for row in kept) == [
        ("memory://good/a.tsv", "a", 1), ("memory://good/c.jsonl.gz", "x", 1),
        ("memory://good/p.parquet", "p", 1),
    ]  # fmt: skip
    with pytest.raises(PipelineError, match=r"memory://cut/c\.jsonl\.gz cannot be read: "):
        check_pairs(DataConfig(input="memory://cut/*"), limits, tmp_path / "cut", list(BEAM_ARGS))
