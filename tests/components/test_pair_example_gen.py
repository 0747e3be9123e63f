"""The promises of ingestion, kept by its executor on real files."""

import gzip
import hashlib
import json
from collections import Counter, defaultdict

import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from seq2seq_tfx.components.artifacts import RejectedPairs
from seq2seq_tfx.components.bitext_limits import DataValidationConfig
from seq2seq_tfx.components.data_check import check_pairs
from seq2seq_tfx.components.data_config import (
    AlignedInput,
    DataConfig,
    SpannedData,
    available_spans,
    files_of,
    with_spans,
)
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.pair_example_gen import Driver, Executor, PairExampleGen
from seq2seq_tfx.components.splits import SplitShares, splits_of
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS

pytestmark = pytest.mark.slow  # each is a Beam pipeline

SHARES = {"train": 8, "validation": 1, "test": 1}
SPLITS = list(SHARES)


class Run:
    """Runs the executor as the component has it run, and reads what it wrote."""

    def __init__(self, pattern, folder, by="source", column=None, **config):
        self.folder = folder
        examples, rejected = standard_artifacts.Examples(), RejectedPairs()
        for artifact, name in ((examples, "examples"), (rejected, "rejected")):
            artifact.uri = str(folder / name)
            (folder / name).mkdir(parents=True)
        given = pattern if isinstance(pattern, list | dict) else str(pattern)
        shares = SplitShares(**SHARES, by=by, column=column)
        component = PairExampleGen(DataConfig(input=given, splits=shares, **config))
        context = BaseBeamExecutor.Context(
            beam_pipeline_args=list(BEAM_ARGS), tmp_dir=str(folder / "tmp"), unique_id="1"
        )
        outputs = {"examples": [examples], "rejected": [rejected]}
        self.error = None
        try:
            Executor(context).Do({}, outputs, component.exec_properties)
        except PipelineError as error:
            self.error = str(error)
        self.split_names = json.loads(examples.split_names)

    @property
    def counts(self):
        return json.loads((self.folder / "rejected/counts.json").read_text())

    @property
    def rejected(self):
        text = (self.folder / "rejected/rejected.jsonl").read_text("utf-8")
        assert not text or text.endswith("\n")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def features(self, split):
        """The texts of each feature of each example."""
        files = sorted(map(str, (self.folder / f"examples/Split-{split}").iterdir()))
        for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            yield {k: [text.decode() for text in v.bytes_list.value] for k, v in feature.items()}

    def examples(self, split):
        """(source, target, references) of each example, which has no other feature."""
        found = []
        for feature in self.features(split):
            assert set(feature) == {"source", "target", "references"}
            (source,), (target,) = feature["source"], feature["target"]
            found.append((source, target, feature["references"]))
        return found

    def written(self):
        """The content of every file; gzip headers hold a time."""
        return {
            str(path.relative_to(self.folder)): gzip.decompress(path.read_bytes())
            if path.suffix == ".gz"
            else path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


# What stands in the files, in the order of their names.
FIRST = [(f"wörd {i}", f"W{i} {j}") for i in range(300) for j in range(1 + i % 3)]
SECOND = [(f"wörd {i}", f"W{i} {i % 2}") for i in range(0, 300, 7)] + [("one", "more")] * 2
BAD = {
    ("a.tsv", 1): (b"no tab", "wrong_field_count"),
    ("a.tsv", 5): (b"\tonly target", "empty_source"),
    ("a.tsv", 6): (b"", "empty_line"),
    ("a.tsv", 9): (b"caf\xe9\tx", "invalid_utf8"),
    ("b.tsv.gz", 2): ("\u2028\t".encode(), "empty_line"),
    ("b.tsv.gz", 3): (b"a\tb\tc", "wrong_field_count"),
    ("b.tsv.gz", 47): (b"y" * 5000 + b"\tx", "long_source"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, pairs, end in (("a.tsv", FIRST, b"\r\n"), ("b.tsv.gz", SECOND, b"\n")):
        lines = [f"{source}\t{target}".encode() for source, target in pairs]
        for (file, number), (line, _) in BAD.items():
            if file == name:
                lines.insert(number - 1, line)
        content = end.join(lines)  # the last line has no end
        (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    (folder / "c.txt").write_text("not\tmatched\n")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    run = Run(data / "[ab].tsv*", tmp_path_factory.mktemp("run"))
    assert run.error is None
    return run


def expected_split(source):
    number = int(hashlib.sha256(source.encode()).hexdigest()[:16], 16) % 10
    return "train" if number < 8 else "validation" if number == 8 else "test"


def test_every_line_is_counted_once(run):
    rejected, accepted = len(BAD), len(FIRST) + len(SECOND)
    assert run.counts["accepted"] == accepted
    assert run.counts["read"] == accepted + rejected
    assert run.counts["rejected"] == dict(Counter(reason for _, reason in BAD.values()))


def test_every_rejected_line_can_be_found_again(run, data):
    told = {(row["file"], row["line"]): (row["reason"], row["text"]) for row in run.rejected}
    assert len(run.rejected) == len(told)
    assert told == {
        (str(data / file), number): (reason, line.decode("utf-8", "backslashreplace")[:200])
        for (file, number), (line, reason) in BAD.items()
    }
    assert all(row["detail"] for row in run.rejected)


def test_every_accepted_pair_is_in_the_split_of_its_source(run):
    assert run.split_names == SPLITS
    pairs = Counter(FIRST + SECOND)
    for split in ("train", "validation"):
        found = Counter((source, target) for source, target, _ in run.examples(split))
        wanted = {pair: n for pair, n in pairs.items() if expected_split(pair[0]) == split}
        assert found == wanted and wanted


def test_the_test_split_has_each_source_once_with_all_its_references(run):
    references = defaultdict(dict)
    for source, target in FIRST + SECOND:
        references[source][target] = None
    found = run.examples("test")
    wanted = {s: list(ts) for s, ts in references.items() if expected_split(s) == "test"}
    assert len(found) == len(wanted)
    assert {source: all_of_it for source, _, all_of_it in found} == wanted
    assert all(target == all_of_it[0] for _, target, all_of_it in found)
    assert {len(all_of_it) for all_of_it in wanted.values()} == {1, 2, 3}


def test_the_counts_are_those_of_the_files(run):
    assert run.counts["examples"] == {split: len(run.examples(split)) for split in SPLITS}


def test_a_second_run_writes_the_same(run, data, tmp_path):
    again = Run(data / "[ab].tsv*", tmp_path / "again").written()
    assert again == run.written()
    assert len(again) == 5


def test_the_split_of_a_source_depends_on_nothing_but_the_source():
    # So it stays where it is when data is added.
    shares = SplitShares(**SHARES)
    for source, _ in FIRST + SECOND:
        assert splits_of([source], shares) == [expected_split(source)]


def test_splits_have_their_shares():
    shares = SplitShares(train=90, validation=7, test=3)
    drawn = Counter(splits_of([f"source {i}" for i in range(20_000)], shares))
    for split, share in (("train", 0.9), ("validation", 0.07), ("test", 0.03)):
        deviation = (share * (1 - share) / 20_000) ** 0.5
        assert abs(drawn[split] / 20_000 - share) < 4 * deviation


@pytest.mark.parametrize(
    ("content", "message", "kept"),
    [
        (b"", "data.input: no pair was kept of {}: 0 rows read, rejected: none.", 0),
        (
            b"one\ntwo\n\tthree\n",
            "data.input: no pair was kept of {}: 3 rows read, "
            "rejected: empty_source 1, wrong_field_count 2.",
            3,
        ),
        (
            b"in train\tone\nbad\nin train\ttwo\n",
            "data.splits: the validation split got no pair of the 2 kept of {} "
            "(rejected: wrong_field_count 1).",
            1,
        ),
    ],
    ids=["empty", "only bad lines", "an empty split"],
)
def test_too_little_data_is_an_error_that_says_what_came(tmp_path, content, message, kept):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    run = Run(path, tmp_path / "run")
    assert run.error is not None and run.error.startswith(message.format(path))
    # The lines themselves are there to be looked at.
    assert sum(run.counts["rejected"].values()) == len(run.rejected) == kept


def test_an_unreadable_file_ends_the_run_with_that_error(tmp_path):
    (tmp_path / "pairs.tsv").mkdir()
    error = Run(tmp_path / "pairs.tsv", tmp_path / "run").error
    assert error is not None and error.startswith(f"{tmp_path}/pairs.tsv cannot be read: ")


def test_inputs_of_several_formats_become_one_and_what_travels_along_stays(tmp_path):
    first = "".join(f'{{"source": "s{i}", "target": "j", "topic": "t{i}"}}\n' for i in range(40))
    (tmp_path / "a.jsonl").write_text(first)
    second = "".join(f"c,s{i},x\n" for i in range(40))
    (tmp_path / "b.csv").write_text(f"target,source,topic\n{second}")
    (tmp_path / "c.en").write_text("".join(f"s{i}\n" for i in range(40)))
    (tmp_path / "c.de").write_text("a\n" * 40)
    inputs = [
        str(tmp_path / "*.jsonl"),
        str(tmp_path / "b.csv"),
        AlignedInput(source=str(tmp_path / "c.en"), target=str(tmp_path / "c.de")),
    ]
    run = Run(inputs, tmp_path / "run")
    assert run.error is None
    assert (run.counts["read"], run.counts["accepted"]) == (120, 120)
    assert sum(run.counts["examples"][split] for split in ("train", "validation")) % 3 == 0
    assert all(references == ["j", "c", "a"] for _, _, references in run.examples("test"))


def test_extra_columns_become_features(tmp_path):
    lines = "".join(f"s{i},t{i},topic {i}\n" for i in range(40))
    (tmp_path / "a.csv").write_text(f"source,target,topic\n{lines}")
    run = Run(tmp_path / "a.csv", tmp_path / "run", extra={"domain": "topic"})
    assert run.error is None
    seen = [feature for split in SPLITS for feature in run.features(split)]
    assert {f["source"][0][1:]: f["domain"][0][6:] for f in seen} == {
        str(i): str(i) for i in range(40)
    }


def fingerprint(inputs):
    """What TFX knows of the input files when it decides whether to run again."""
    component = PairExampleGen(DataConfig(input=inputs))
    return Driver(None).resolve_exec_properties(dict(component.exec_properties), None, None)


def test_a_change_of_any_input_file_is_a_change_of_inputs(tmp_path):
    names = ["a.tsv", "b1.tsv", "b2.tsv", "c.en", "c.de"]
    for name in names:
        (tmp_path / name).write_text("x\ty\n")
    inputs = [
        str(tmp_path / "a.tsv"),
        str(tmp_path / "b*.tsv"),
        AlignedInput(source=str(tmp_path / "c.en"), target=str(tmp_path / "c.de")),
    ]
    before = fingerprint(inputs)["input_fingerprint"]
    assert fingerprint(inputs)["input_fingerprint"] == before
    for name in [*names, "b3.tsv"]:
        (tmp_path / name).write_text("x\ty\nz\tw\n")
        after = fingerprint(inputs)["input_fingerprint"]
        assert after != before, name
        before = after


def test_the_newest_span_and_version_is_taken(tmp_path):
    for span, version in ((1, 1), (2, 1), (2, 3)):
        folder = tmp_path / f"span-{span}" / f"v{version}"
        folder.mkdir(parents=True)
        (folder / "a.tsv").write_text("x\ty\n")
    found = fingerprint(str(tmp_path / "span-{SPAN}" / "v{VERSION}" / "*.tsv"))
    assert (found["span"], found["version"]) == (2, 3)
    assert "span-2/v3/*.tsv" in found["input_config"]


def test_chosen_spans_are_read_together_and_the_newest_is_recorded(tmp_path):
    for span, version in ((1, 1), (2, 1), (2, 3), (3, 1)):
        folder = tmp_path / f"span-{span}" / f"v{version}"
        folder.mkdir(parents=True)
        (folder / "a.tsv").write_text(
            "".join(f"{span}.{version} {i}\tx\n" for i in range(60 if span < 3 else 1))
        )
    pattern = str(tmp_path / "span-{SPAN}" / "v{VERSION}" / "*.tsv")
    config = DataConfig(input=pattern)
    # TFX's own driver finds the same newest span and version.
    assert fingerprint(pattern)["span"] == available_spans(config)[-1].number
    chosen = with_spans(config, available_spans(config)[:2])
    component = PairExampleGen(chosen)
    found = Driver(None).resolve_exec_properties(dict(component.exec_properties), None, None)
    assert (found["span"], found["version"]) == (2, 3)
    files = files_of(SpannedData.model_validate_json(component.exec_properties["data"]))
    assert [path.partition("span-")[2] for file in files for path in file.paths] == [
        "1/v1/a.tsv", "2/v3/a.tsv",
    ]  # fmt: skip


def test_splits_may_go_by_a_group_or_by_what_sources_have_in_common(tmp_path):
    lines = "".join(f"{word} {i}!,t,{word}\n" for word in range(100) for i in range(3))
    (tmp_path / "a.csv").write_text(f"source,target,document\n{lines}")
    extra = {"document": "document"}
    run = Run(tmp_path / "a.csv", tmp_path / "grouped", by="document", extra=extra)
    assert run.error is None
    groups = [{f["document"][0] for f in run.features(split)} for split in SPLITS]
    assert sum(map(len, groups)) == 100 and all(groups)

    (tmp_path / "b.tsv").write_text("".join(f"Wort {i}\tx\nwort-{i}!\ty\n" for i in range(60)))
    run = Run(tmp_path / "b.tsv", tmp_path / "twins", by="comparable_source")
    numbers = [{source[5:].strip("!") for source, _, _ in run.examples(s)} for s in SPLITS]
    assert sum(map(len, numbers)) == 60 and all(numbers)


def test_a_document_stays_together_in_a_run_and_in_data_check(tmp_path):
    # Every document has "Hello." beside a sentence of its own.
    rows = "".join(f"Hello.,Hallo {i},{i}\nsentence {i},Satz {i},{i}\n" for i in range(60))
    (tmp_path / "a.csv").write_text(f"source,target,document\n{rows}")
    extra = {"document": "document"}
    run = Run(tmp_path / "a.csv", tmp_path / "run", by="document", extra=extra)
    assert run.error is None
    documents = [{f["document"][0] for f in run.features(split)} for split in ("train", "test")]
    for number in documents[0]:
        assert expected_split(number) == "train"
    told = [[f["source"][0] for f in run.features(split)].count("Hello.") for split in SPLITS]
    assert told[0] == len(documents[0]) and told[2] == 1
    (greeting,) = [f for f in run.features("test") if f["source"] == ["Hello."]]
    of_test = [i for i in range(60) if expected_split(str(i)) == "test"]
    assert greeting["references"] == [f"Hallo {i}" for i in of_test]
    # The same splits are looked at, and what is in several of them is told.
    shares = SplitShares(**SHARES, by="document")
    config = DataConfig(input=str(tmp_path / "a.csv"), splits=shares, extra=extra)
    report = check_pairs(config, DataValidationConfig(), tmp_path / "out", list(BEAM_ARGS))
    assert report.statistics["leaked_sources"] == {"validation": 1, "test": 1}
    held_out = report.statistics["held_out_sources"]
    assert held_out["test"] == run.counts["examples"]["test"] == len(of_test) + 1


def test_splits_that_are_given_as_inputs_stay_as_they_are(tmp_path):
    pairs = {"train": ["a\tx", "b\tx", "b\ty"], "validation": ["a\tz"], "test": ["b\tv", "b\tw"]}
    for split, lines in pairs.items():
        (tmp_path / f"{split}.tsv").write_text("".join(f"{line}\n" for line in [*lines, "bad"]))
    inputs = {split: str(tmp_path / f"{split}.tsv") for split in SPLITS}
    run = Run({**inputs, "train": [inputs["train"]]}, tmp_path / "run")
    assert run.error is None
    assert sorted(run.examples("train")) == [
        ("a", "x", ["x"]), ("b", "x", ["x", "y"]), ("b", "y", ["x", "y"]),
    ]  # fmt: skip
    assert run.examples("validation") == [("a", "z", ["z"])]
    assert run.examples("test") == [("b", "v", ["v", "w"])]
    assert run.counts["rejected"] == {"wrong_field_count": 3}


def test_splits_that_a_column_gives_stay_as_they_are(tmp_path):
    rows = ["source,target,part", "a,x,train", "a,y,dev", "c,z,Test", "d,z,other", "e,z,"]
    (tmp_path / "a.csv").write_text("".join(f"{row}\n" for row in rows))
    run = Run(tmp_path / "a.csv", tmp_path / "run", column="part", extra={"part": "part"})
    assert run.error is None
    assert [len(list(run.features(split))) for split in SPLITS] == [1, 1, 1]
    assert [(row["reason"], row["line"]) for row in run.rejected] == [
        ("unknown_split", 5), ("unknown_split", 6),
    ]  # fmt: skip
    assert run.rejected[0]["detail"].endswith("in 'part', received 'other'")


def test_a_row_whose_weight_is_none_is_rejected_in_a_run_and_in_data_check(tmp_path):
    bad = ["much", "nan", "-1", "inf", "", "1,5"]
    weights = ["1", "0", "2.5", "1e-3", *bad] * 8
    given = [{"source": f"s{i}", "target": "t", "sure": w} for i, w in enumerate(weights)]
    given += [{"source": "s", "target": "t"}, {"source": "", "target": "t", "sure": "x"}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in given))
    config = {"extra": {"weight": "sure"}, "weight": "weight"}
    run = Run(path, tmp_path / "run", **config)
    assert run.error is None
    rejected = {"bad_weight": 8 * len(bad) + 1, "empty_source": 1}
    assert (run.counts["read"], run.counts["accepted"]) == (82, 32)
    assert run.counts["rejected"] == rejected
    places = {row["line"]: row for row in run.rejected if row["reason"] == "bad_weight"}
    assert sorted(places) == [i for i, w in enumerate(weights, 1) if w in bad] + [81]
    assert {row["file"] for row in places.values()} == {str(path)}
    assert places[5]["detail"] == "expected a number from 0 on in 'weight', received 'much'"
    kept = [f["weight"][0] for split in SPLITS for f in run.features(split)]
    assert Counter(kept) == dict.fromkeys(weights[:4], 8)
    data = DataConfig(input=str(path), **config)
    report = check_pairs(data, DataValidationConfig(), tmp_path / "check", list(BEAM_ARGS))
    assert (report.read, report.kept, report.rejected) == (82, 32, rejected)
