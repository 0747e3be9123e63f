"""What ingestion promises at size: text stays out of shuffles, and parts make up the whole."""

import json
from collections import Counter

import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import execution

from seq2seq_tfx.components import data_config, ingestion
from seq2seq_tfx.components.aside import Aside, RowsAside, batches_aside, part_of
from seq2seq_tfx.components.bitext_limits import DataValidationConfig
from seq2seq_tfx.components.data_check import check_pairs
from seq2seq_tfx.components.data_config import DataConfig
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS

from .test_pair_example_gen import SPLITS, Run


def test_rows_laid_aside_come_back_by_the_parts_of_their_text(tmp_path):
    aside = Aside(str(tmp_path))
    schema = pa.schema([("number", pa.uint32()), ("text", pa.string())])
    rows = RowsAside(aside, schema, parts=3, by="text", name="rows")
    given = [(i, f"wörd {i % 40}") for i in range(500)]
    rows.add(given[:300], 1)
    rows.add(given[300:], 1 << 30)
    rows.close()
    found = {}
    for (name, part), path in aside.close():
        assert name == "rows"
        table = pa.Table.from_batches(list(batches_aside(path)))
        found[part] = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert found == {
        part: [row for row in given if part_of(row[1], 3) == part] for part in range(3)
    }


@pytest.fixture
def shuffled(monkeypatch):
    """All bytes that cross from one stage to another, in memory."""
    crossed = []
    for buffer in (execution.ListBuffer, execution.GroupingBuffer):
        append = buffer.append

        def spy(self, element, append=append):
            crossed.append(bytes(element))
            return append(self, element)

        monkeypatch.setattr(buffer, "append", spy)
    return crossed


FILTERS = [{"filter": "normalize"}, {"filter": "duplicates"}, {"filter": "near_duplicates"}]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["data check", "run"])
def test_no_text_crosses_a_shuffle(tmp_path, shuffled, way):
    # "Marker" is in each pair, with two targets for each source. What leaks is shown in
    # the report, so nothing does; and of rejected rows, the first few.
    words = ["".join(chr(97 + (i * 7 + j * j) % 26) for j in range(12)) for i in range(300)]
    lines = [f"Marker{w}{i}\tMarker{w}{i} {t}" for i, w in enumerate(words) for t in "xy"]
    (tmp_path / "a.tsv").write_text("".join(f"{line}\n" for line in [*lines, *lines]))
    if way == "data check":
        config = DataConfig(
            input=str(tmp_path / "a.tsv"), cleaning=FILTERS,
            splits={"train": 98, "validation": 1, "test": 1},
        )  # fmt: skip
        report = check_pairs(config, DataValidationConfig(), tmp_path / "out", list(BEAM_ARGS))
        read = report.read
    else:
        run = Run(tmp_path / "a.tsv", tmp_path / "run", cleaning=FILTERS)
        assert run.error is None
        read = run.counts["read"]
    assert read == 1200
    assert sum(b"Marker" in element for element in shuffled) <= 10
    assert shuffled


@pytest.mark.slow
def test_many_parts_have_the_examples_of_one(tmp_path, monkeypatch):
    for name in "ab":
        lines = [f"source {i % 90}\tZiel {i} {name}" for i in range(200)]
        (tmp_path / f"{name}.tsv").write_text("".join(f"{line}\n" for line in [*lines, "bad"]))
    whole = Run(tmp_path / "*.tsv", tmp_path / "whole")
    monkeypatch.setattr(data_config, "PART_BYTES", 1000)
    parts = Run(tmp_path / "*.tsv", tmp_path / "parts")
    assert whole.error is parts.error is None
    assert whole.counts == parts.counts
    for split in SPLITS:
        found = [
            Counter(json.dumps(features, sort_keys=True) for features in run.features(split))
            for run in (whole, parts)
        ]
        assert found[0] == found[1]
    names = [path.name for path in (tmp_path / "parts/examples/Split-train").iterdir()]
    assert len(names) > 5 and all(name.startswith("data_tfrecord-000") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("cleaning", [[], [{"filter": "duplicates"}]])
def test_a_row_that_is_lost_between_reading_and_writing_ends_the_run(
    tmp_path, monkeypatch, cleaning
):
    (tmp_path / "a.tsv").write_text("a\tb\nc\td\ne\tf\n")
    config = DataConfig(input=str(tmp_path / "a.tsv"), cleaning=cleaning)
    monkeypatch.setattr(ingestion, "clean_all", lambda rows, filters: rows[1:])
    with pytest.raises(RuntimeError, match="3 rows were read, but 2 kept or rejected: a fault of"):
        check_pairs(config, DataValidationConfig(), tmp_path / "out[1]", list(BEAM_ARGS))
    monkeypatch.undo()
    report = check_pairs(config, DataValidationConfig(), tmp_path / "out[1]", list(BEAM_ARGS))
    assert report.read == report.kept == 3


def test_what_leaks_is_told_once_however_many_targets_it_has(tmp_path):
    texts = {"train": "Hello!\tx\n", "validation": "other\ty\n", "test": "hello\tz%d\n"}
    for split, line in texts.items():
        rows = range(12) if "%" in line else ()
        (tmp_path / f"{split}.tsv").write_text("".join(line % i for i in rows) or line)
    config = DataConfig(input={split: f"{tmp_path}/{split}.tsv" for split in texts})
    report = check_pairs(config, DataValidationConfig(), tmp_path / "out", list(BEAM_ARGS))
    assert report.statistics["leaks"] == [["test", "train", "hello"]]


def test_what_travels_along_counts_for_the_size_of_a_batch(tmp_path):
    row = json.dumps({"source": "a", "target": "b", "document": "x" * 100_000})
    (tmp_path / "a.jsonl").write_text(f"{row}\n" * 200)
    config = DataConfig(input=f"{tmp_path}/a.jsonl", extra={"document": "document"})
    (part,) = ingestion.parts_to_read(data_config.files_of(config), config)
    batches = [kept for kept, _, _ in ingestion.cleaned_batches(part, config, str(tmp_path))]
    assert sum(map(len, batches)) == 200 and max(map(len, batches)) == 42  # 4 MB


def test_a_split_that_is_given_and_empty_is_asked_for_and_no_larger_share(tmp_path):
    (tmp_path / "a.csv").write_text("source,target,part\na,b,train\nc,d,test\n")
    run = Run(tmp_path / "a.csv", tmp_path / "run", column="part", extra={"part": "part"})
    assert "the validation split got no pair" in run.error
    assert "(rejected: none). Give it pairs of its own." in run.error
