"""The gate that pairs must pass: what it counts, and how it stops a run."""

import json
import random

import pytest
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from seq2seq_tfx.components.artifacts import BitextReport, RejectedPairs
from seq2seq_tfx.components.bitext_limits import Breach, DataValidationConfig
from seq2seq_tfx.components.bitext_statistics import LENGTHS, RATIOS, BitextCounts
from seq2seq_tfx.components.bitext_validator import (
    BitextValidator,
    Executor,
    batches_of_examples,
)
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.splits import SPLITS, comparable
from seq2seq_tfx.components.write_examples import WriteExamples
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
from seq2seq_tfx.report.bitext_page import bitext_page

PAIRS = {
    "train": [(f"source {i}", f"Ziel {i}") for i in range(50)]
    + [("source 1", "Ziel 1")] * 3
    + [("same", "Same"), ("{name} x", "x"), ("a 5", "b 6")],
    "validation": [("SOURCE, 7!", "Ziel 7"), ("new", "neu"), ("Other.", "anderes")],
    "test": [("source-8", "Ziel 8"), ("source  9", "Ziel 9"), ("other", "anderes")],
}
EMPTY = [
    {"reason": "empty_source", "detail": "no text", "file": "a.tsv", "line": n, "text": f"\tx{n}"}
    for n in range(1, 11)
]
COUNTS = {
    "read": 80, "accepted": 62, "rejected": {"nul_byte": 1, "empty_source": 17},
    "rejected_rows": {"empty_source": EMPTY}, "compared_in_part": 0,
}  # fmt: skip


def validate(folder, previous=None, **limits):
    """The statistics, the page and the error of the component on `PAIRS`."""
    examples, rejected, report = standard_artifacts.Examples(), RejectedPairs(), BitextReport()
    for artifact, name in ((examples, "examples"), (rejected, "rejected"), (report, "report")):
        artifact.uri = str(folder / name)
        (folder / name).mkdir()
    examples.split_names = json.dumps(list(SPLITS))
    for split, pairs in PAIRS.items():
        (folder / f"examples/Split-{split}").mkdir()
        path = str(folder / f"examples/Split-{split}/data.gz")
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for pair in pairs:
                example = tf.train.Example()
                texts = {"source": pair[0], "target": pair[1], "references": pair[1]}
                for name, text in texts.items():
                    example.features.feature[name].bytes_list.value.append(text.encode())
                writer.write(example.SerializeToString())
    (folder / "rejected/counts.json").write_text(json.dumps(COUNTS))
    config = DataValidationConfig(**limits)
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(BEAM_ARGS), tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    error = None
    try:
        inputs = {"examples": [examples], "rejected": [rejected]}
        if previous is not None:
            before = BitextReport()
            before.uri = str(folder / "before")
            (folder / "before").mkdir()
            (folder / "before/statistics.json").write_text(json.dumps(previous))
            inputs["previous"] = [before]
        Executor(context).Do(
            inputs,
            {"report": [report]},
            {"data_validation": config.model_dump_json()},
        )
    except PipelineError as raised:
        error = str(raised)
    statistics = json.loads((folder / "report/statistics.json").read_text("utf-8"))
    return statistics, (folder / "report/report.html").read_text("utf-8"), error


@pytest.mark.slow
def test_pairs_are_counted_over_all_splits(tmp_path):
    statistics, page, error = validate(tmp_path)
    assert error is None
    assert statistics["pairs"] == 62
    assert statistics["duplicates"] == 3
    assert statistics["faults"] == {"identical": 1, "placeholders": 1, "numbers": 1}
    assert statistics["examples"]["numbers"] == [["a 5", "b 6"]]
    assert statistics["held_out_sources"] == {"validation": 3, "test": 3}
    assert statistics["leaked_sources"] == {"validation": 2, "test": 2}
    assert sorted(statistics["leaks"]) == [
        ["test", "train", "source  9"], ["test", "train", "source-8"],
        ["validation", "test", "Other."], ["validation", "train", "SOURCE, 7!"],
    ]  # fmt: skip
    assert "80 rows read, 62 pairs kept, 18 rows rejected" in page


@pytest.mark.slow
@pytest.mark.modern
def test_a_limit_that_does_not_hold_stops_the_run_with_examples(tmp_path):
    _, page, error = validate(
        tmp_path,
        max_rejected=0.2,
        max_leaked=0.5,
        max_identical=0.5,
        min_pairs=63,
        max_duplicates=0,
    )
    assert error is not None
    told = error.split("\n")
    assert told[0] == "data_validation.min_pairs: found 62, at least 63"
    assert told[11] == "data_validation.max_rejected: found 0.225, at most 0.2"
    rows = ["  empty_source 17: a.tsv:1: no text: '\\tx1'", "  nul_byte 1"]
    rows += [f"  empty_source 17: a.tsv:{n}: no text: '\\tx{n}'" for n in range(2, 10)]
    assert told[1:11] == told[12:22] == rows
    assert told[22] == "data_validation.max_duplicates: found 0.0483871, at most 0"
    assert told[23] == "  4 times 'source 1' / 'Ziel 1'"
    assert told[24] == "data_validation.max_leaked: found 0.666667, at most 0.5"
    assert "  'SOURCE, 7!', in validation and in train" in told
    assert "max_identical" not in error
    assert "max_leaked: found 0.6667" in page and "a.tsv:1: no text" in page


@pytest.mark.slow
def test_drift_from_the_span_before_stops_the_run_and_says_what_moved(tmp_path):
    previous = counted([("alpha beta", "слово")] * 9).as_dict()
    limits = {"max_drift": {"scripts": 0.5}, "max_unknown_words": 0.2}
    statistics, page, error = validate(tmp_path, previous, **limits)
    assert statistics["drift"]["scripts"]["distance"] == 1
    told = error.split("\n")
    assert "data_validation.max_drift.scripts: found 1, at most 0.5" in told
    assert "  'CYRILLIC', target: 100.00%, now 0.00%" in told
    assert told[0].startswith("data_validation.max_unknown_words: found 0.")
    assert "Distance from the span before" in page and "Lengths of both sides" in page


def counted(pairs):
    counts = BitextCounts()
    for source, target in pairs:
        counts.add(source, target)
    return counts


def test_a_fault_that_comes_again_is_one_example():
    found = counted([("a 1", "b")] * 20 + [("a 2", "b")])
    found.merge(counted([("a 1", "b")]))
    told = found.as_dict()
    assert told["faults"]["numbers"] == 22
    assert told["examples"]["numbers"] == [("a 1", "b"), ("a 2", "b")]


@pytest.mark.parametrize("split", SPLITS)
def test_all_pairs_of_a_split_are_looked_at(tmp_path, split):
    rows = [("a", text, str(tmp_path / "a.tsv"), 1, ()) for text in "xyz"]
    write = WriteExamples(SplitterOf(split), {split: str(tmp_path) for split in SPLITS}, 1)
    list(write.process(rows))
    (path,) = map(str, tmp_path.iterdir())
    (batch,) = batches_of_examples((split, path))
    assert batch == [(split, "a", text) for text in "xyz"]


class SplitterOf:
    by_pair = False

    def __init__(self, split):
        self._split = split

    def splits(self, pairs):
        return [self._split] * len(pairs)


def test_counts_of_parts_add_up_to_those_of_the_whole():
    generator = random.Random(1)
    pairs = [
        ("".join(generator.choices("ab1 {x}д", k=generator.randint(1, 40))),) * 2
        for _ in range(200)
    ]
    whole = counted(pairs).as_dict()
    part = counted(pairs[:70])
    part.merge(counted(pairs[70:]))
    merged = part.as_dict()
    for found in (whole, merged):
        assert all(len(examples) <= 10 for examples in found.pop("examples").values())
        assert sum(map(sum, found["together"])) == 200
    assert merged == whole
    assert sum(whole["lengths"]["source"]) == whole["pairs"] == sum(whole["ratios"]) == 200


@pytest.mark.parametrize(
    ("source", "target"), [("a", "b" * 5000), ("a" * 5000, "b"), ("abc", "abcd"), ("ab", "a")]
)
def test_every_pair_falls_into_the_bin_of_its_length_and_ratio(source, target):
    found = counted([(source, target)]).as_dict()
    for side, text in (("source", source), ("target", target)):
        place = found["lengths"][side].index(1)
        assert LENGTHS[place] <= len(text) and all(low > len(text) for low in LENGTHS[place + 1 :])
    ratio, place = len(target) / len(source), found["ratios"].index(1)
    assert place == 0 or 2 ** RATIOS[place] <= ratio
    assert all(2**low > ratio for low in RATIOS[place + 1 :])


def test_twins_are_comparable_and_what_has_no_letters_is_itself():
    assert comparable("Hello, WORLD! ") == comparable("hello world") != comparable("hello worlds")
    assert comparable("\N{FULLWIDTH LATIN CAPITAL LETTER F}ull") == comparable("full")
    assert comparable("?!") == "?!"
    # He goes, she goes; a vowel and a tone of Thai; an accent that no letter is composed with.
    for one, other in (("वह जाता है", "वह जाती है"), ("ไม่มา", "ไม่มี"), ("ไม่", "ไม"), ("x\u0301", "x")):
        assert comparable(one) != comparable(other)
    assert comparable("वह, जाता है!") == comparable("वह जाता है")
    assert comparable("Two \u2764\ufe0f") == comparable("two \u2764")


def test_the_page_shows_text_and_obeys_none():
    bad = "<script>alert(1)</script>\"'&"
    statistics = counted([(bad, bad)]).as_dict() | {
        "duplicates": 0, "held_out_sources": {"test": 1}, "leaked_sources": {"test": 1},
        "leaks": [["test", "train", bad]],
    }  # fmt: skip
    row = {"file": bad, "line": 1, "detail": bad, "text": bad}
    page = bitext_page(
        {
            "read": 1, "kept": 1, "rejected": {bad: 1}, "examples": {bad: [row]},
            "statistics": statistics, "compared_in_part": 1,
            "breaches": [{"limit": bad, "found": 1.0, "allowed": 0.0, "examples": [bad]}],
        },
        LENGTHS, RATIOS,
    )  # fmt: skip
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_limit_tells_counts_as_they_are():
    breach = Breach("min_pairs", 2_000_000, 1_999_999, [])
    assert str(breach) == "data_validation.min_pairs: found 1,999,999, at least 2,000,000"
    statistics = counted([("a", "b")]).as_dict() | {
        "duplicates": 0, "held_out_sources": {}, "leaked_sources": {}, "leaks": [],
    }  # fmt: skip
    report = {"read": 1, "kept": 1, "rejected": {}, "examples": {}, "compared_in_part": 0}
    report |= {"statistics": statistics, "breaches": [breach._asdict()]}
    assert "found 1,999,999</b>, allowed 2,000,000" in bitext_page(report, LENGTHS, RATIOS)


def test_the_cache_key_holds_the_limits_and_the_code():
    inputs = [types.Channel(type=t) for t in (standard_artifacts.Examples, RejectedPairs)]

    def key(**limits):
        return BitextValidator(*inputs, DataValidationConfig(**limits)).exec_properties

    assert key() == key() != key(max_leaked=0.1)
    assert len(key()["code_digest"]) == 16
