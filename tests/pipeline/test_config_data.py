"""The promises of the configuration about data, and a schema of it."""

from pathlib import Path

import pytest

from seq2seq_tfx.components import data_config
from seq2seq_tfx.components.batch_predictor import stamped_files
from seq2seq_tfx.components.data_config import files_of, parts_of

from .configured import GOOD, load, problem_of, problems_of

pytestmark = pytest.mark.usefixtures("pairs_file")

FILES = (
    "expected a path or a glob pattern, {source: ..., target: ...} of two aligned files, or a list"
)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("input: 3", f"data.input: {FILES} of such, received 3"),
        ("input: {source: pairs.tsv}", f"data.input: {FILES} of such, received {{'source': "),
        ("input: []", "data.input: expected a path or a glob pattern, received an empty list"),
        (
            "input: pairs.tsv, columns: {source: 0, target: b}",
            "data.columns.source: expected a column's name, or its number from 1, received 0",
        ),
        *(
            (
                f"input: pairs.tsv, extra: {{{name}: x}}",
                "data.extra: expected names of letters, digits and '_' other than file, line, "
                "rarest_word, references, set, source, source_length, target; "
                f"received '{name}'",
            )
            for name in ("source", "file", "line", "set", "source_length", "rarest_word")
        ),
        (
            "input: [pairs.tsv, {source: pairs.tsv, target: pairs.tsv}], extra: {topic: 3}",
            "data.extra: expected inputs with columns, such as tsv, received aligned files",
        ),
        (
            "input: {train: pairs.tsv, validation: pairs.tsv, "
            "test: {source: pairs.tsv, target: pairs.tsv}}, extra: {topic: 3}",
            "data.extra: expected inputs with columns, such as tsv, received aligned files",
        ),
        (
            "input: pairs.tsv, weight: confidence",
            "data.weight: expected a name of data.extra (which is empty), received 'confidence'",
        ),
        (
            "input: pairs.tsv, extra: {score: confidence, key: 4}, weight: confidence",
            "data.weight: expected a name of data.extra (score, key), received 'confidence'",
        ),
        ("input: pairs.tsv, weight: 3", "data.weight: expected a string, received 3"),
        (
            "input: pairs.tsv, format: tatoeba, columns: {source: 4, target: 2}",
            "data.columns: expected none of Tatoeba's exports, which have their own; with "
            "format: tsv they have columns 1 to 4",
        ),
        (
            "input: pairs.tsv, format: tatoeba, extra: {key: id}",
            "data.extra: expected a column of Tatoeba's exports (source_id, source, target_id, "
            "target, or its number from 1 to 4), received 'id' for 'key'",
        ),
        (
            "input: pairs.tsv, format: tatoeba, extra: {id: 9}",
            "data.extra: expected a column of Tatoeba's exports (source_id, source, target_id, "
            "target, or its number from 1 to 4), received 9 for 'id'",
        ),
        *(
            (
                f"input: '{pattern}'",
                "data.input: expected {SPAN} once, or {YYYY}, {MM} and {DD} once each, and "
                f"{{VERSION}} once or not at all beside them, received {came} in '{pattern}'",
            )
            for pattern, came in (
                ("{YYYY}-{MM}.tsv", "{YYYY}, {MM}"),
                ("{SPAN}/{SPAN}.tsv", "{SPAN}, {SPAN}"),
                ("{SPAN}/{DD}.tsv", "{SPAN}, {DD}"),
                ("{SPAN}/{VERSION}/{VERSION}.tsv", "{SPAN}, {VERSION}, {VERSION}"),
                ("{VERSION}.tsv", "{VERSION}"),
            )
        ),
        (
            "input: ['{SPAN}.tsv', '{YYYY}{MM}{DD}.tsv', pairs.tsv]",
            "data.input: expected numbers ({SPAN}) or days ({YYYY}, {MM} and {DD}) in all paths "
            "that name spans, received both: {SPAN}.tsv, {YYYY}{MM}{DD}.tsv",
        ),
        ("input: pairs.tsv, format: xml", "data.format: expected 'auto', 'tsv', 'csv', "),
        ("input: pairs.tsv, delimiter: ab", "data.delimiter: expected one ASCII character"),
        (
            "input: pairs.tsv, languages: {source: e n, target: de}",
            "data.languages.source: String should match pattern",
        ),
        ("input: [pairs.tsv, '*.csv']", "data.input: expected a file, found none at '*.csv'"),
        (
            "input: [pairs.tsv, {source: a, target: pairs.tsv}]",
            "data.input: expected a file, found none at 'a'",
        ),
    ],
)
def test_what_is_wrong_with_the_data_is_told(data, problem):
    text = GOOD.replace("data:\n  input: pairs.tsv", f"data: {{{data}}}")
    found = [told.partition(": ")[2] for told in problems_of(text)]
    assert any(told.startswith(problem) for told in found), found


def test_inputs_may_be_several_and_aligned(tmp_path):
    Path("a.en").write_text("")
    text = GOOD.replace(
        "input: pairs.tsv",
        "input: [pairs.tsv, 'gs://b/*.tsv', {source: a.en, target: 'pairs.{SPAN}tsv'}]",
    )
    Path("pairs.7tsv").write_text("")
    assert load(text).data.patterns == [
        str(tmp_path / "pairs.tsv"), "gs://b/*.tsv", str(tmp_path / "a.en"),
        str(tmp_path / "pairs.{SPAN}tsv"),
    ]  # fmt: skip


def test_a_folder_that_paths_are_relative_to_is_no_pattern(tmp_path, monkeypatch):
    for name in ("runs[1]", "runs1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pairs.tsv").write_text("a\tb\n")
    monkeypatch.chdir(tmp_path / "runs[1]")
    files = files_of(load(GOOD).data)
    assert [file.paths for file in files] == [(str(tmp_path / "runs[1]/pairs.tsv"),)]


def test_a_pattern_that_matches_nothing_may_be_the_name_of_a_file(tmp_path, monkeypatch):
    (tmp_path / "[v2]").mkdir()
    (tmp_path / "[v2]" / "pairs.tsv").write_text("a\tb\n")
    named = GOOD.replace("pairs.tsv", "'[v2]/pairs.tsv'")
    config = load(f"{named}prediction: {{input: '[v2]/pairs.tsv'}}\n")
    path = str(tmp_path / "[v2]" / "pairs.tsv")
    (file,) = files_of(config.data)
    assert file.paths == (path,)
    monkeypatch.setattr(data_config, "PART_BYTES", 1)
    assert parts_of([file]) == 5
    assert parts_of([file._replace(format="parquet")]) == 21  # packed within
    assert [*stamped_files(config.prediction.patterns)] == [path]
    for name in ("v", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pairs.tsv").write_text("a\tb\n")
    assert len(files_of(load(named).data)) == 2


def test_missing_data_is_told_with_where_it_was_sought(tmp_path):
    assert problem_of(GOOD.replace("pairs", "pears")) == (
        f"job.yaml:3: data.input: expected a file, found none at 'pears.tsv' (relative to "
        f"{tmp_path}). `seq2seq data` obtains the data of the shipped jobs."
    )
    expected = "expected a path or a glob pattern, received an empty string"
    assert problem_of(GOOD.replace("pairs.tsv", "' '")) == f"job.yaml:3: data.input: {expected}"


def test_a_folder_is_no_file_of_pairs():
    Path("folder").mkdir()
    assert "data.input: expected a file" in problem_of(GOOD.replace("pairs.tsv", "folder"))


SCHEMA = "".join(
    f'feature {{ name: "{name}" type: BYTES presence {{ min_count: 1 }} {shape} }}\n'
    for name, shape in (
        ("source", "shape { dim { size: 1 } }"), ("target", "shape { dim { size: 1 } }"),
        ("references", "value_count { min: 1 }"),
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (None, "expected a schema as text: [Errno 2] No such file or directory: 's.pbtxt'"),
        ("feature {", "expected a schema as text, as SchemaGen writes it: "),
        (SCHEMA.replace("BYTES", "INT", 1), "expected a feature 'source' of type BYTES, found INT"),
        (SCHEMA.replace("target", "x"), "expected a feature 'target' of type BYTES, found nothing"),
    ],
)
def test_a_schema_that_cannot_be_is_told(tmp_path, schema, message):
    if schema is not None:
        (tmp_path / "s.pbtxt").write_text(schema)
    told = problem_of(GOOD + "data_validation: {schema_file: s.pbtxt}\n")
    assert told.startswith(f"job.yaml:7: data_validation.schema_file: {message}")


def test_a_schema_is_read_when_it_is_imported_so_that_a_changed_one_is_another_input(tmp_path):
    from seq2seq_tfx.components.imported_schema import ImportedSchema

    (tmp_path / "s.pbtxt").write_text(SCHEMA)
    path = load(GOOD + "data_validation: {schema_file: s.pbtxt}\n").data_validation.schema_file
    assert path == str(tmp_path / "s.pbtxt")
    before = ImportedSchema(path).exec_properties
    (tmp_path / "s.pbtxt").write_text(SCHEMA + "# curated\n")
    assert ImportedSchema(path).exec_properties != before
