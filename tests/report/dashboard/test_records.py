"""What follows from ML Metadata: what changed between runs, and where a model comes from."""

import json

from seq2seq_tfx.report.dashboard.records import (
    Artifact,
    Execution,
    Run,
    Store,
    changes,
    input_files,
    lineage,
)


def run(number, first, rate="0.1", code="a", state="done"):
    """Two components; `first` is the id of what the first made."""
    settings = json.dumps({"training": {"rate": rate, "epochs": 3}})
    return Run(
        number, "job", float(number),
        [
            Execution(number * 10, "PairExampleGen", "done", 0.0, 1.5,
                      {"data": '{"input": ["a.tsv", "b.tsv"]}', "code_digest": "x"},
                      {}, {"examples": [first]}),
            Execution(number * 10 + 1, "Trainer", state, 0.0, 3.0,
                      {"custom_config": json.dumps({"settings": settings}), "code_digest": code},
                      {"examples": [first]}, {"model": [first + 1]}),
        ],
    )  # fmt: skip


def examples(number, size):
    told = {"input_fingerprint": f"split:s,num_files:2,total_bytes:{size},xor_checksum:{size}"}
    return Artifact(number, "Examples", f"/old/out/artifacts/P/examples/{number}", told)


def store(folder, *runs, **sizes):
    artifacts = {}
    for one in runs:
        number = one.output("PairExampleGen", "examples")
        artifacts[number] = examples(number, sizes.get(f"size{one.id}", 7))
        artifacts[number + 1] = Artifact(number + 1, "Model", f"/gone/model/{number}", {})
    return Store("s", folder, sorted(runs, key=lambda r: -r.id), artifacts)


def test_a_changed_setting_is_named_with_both_values_though_it_lies_in_json_in_json(tmp_path):
    both = store(tmp_path, run(1, 1), run(2, 3, rate="0.2"))
    found = changes(both, *both.runs)
    assert [tuple(one) for one in found.settings] == [("Trainer: training.rate", "0.1", "0.2")]
    assert not found.data and not found.code and found.any


def test_changed_code_and_data_are_named(tmp_path):
    both = store(tmp_path, run(1, 1), run(2, 3, code="b"), size2=9)
    found = changes(both, *both.runs)
    assert found.code == ["Trainer"] and found.settings == []
    assert found.data == ["2 files of 7 bytes before, 2 files of 9 bytes now"]


def test_runs_that_are_alike_changed_in_nothing(tmp_path):
    both = store(tmp_path, run(1, 1), run(2, 3))
    assert not changes(both, *both.runs).any
    assert both.before(both.runs[0]) is both.runs[1] and both.before(both.runs[1]) is None


def test_lineage_goes_back_to_the_files(tmp_path):
    one = store(tmp_path, run(1, 1))
    found = lineage(one, 2)
    assert [(o.artifact.type, o.component, o.depth, o.made_of) for o in found] == [
        ("Model", "Trainer", 0, ["Examples"]), ("Examples", "PairExampleGen", 1, []),
    ]  # fmt: skip
    assert input_files(one, one.runs[0])[:2] == ["a.tsv", "b.tsv"]


def test_what_came_from_the_cache_is_of_the_run_that_made_it(tmp_path):
    cached = store(tmp_path, run(1, 1), run(2, 1, state="cached"))
    assert {origin.run.id for origin in lineage(cached, 2)} == {1}
    assert cached.runs[0].seconds == 1.5


def test_artifacts_are_found_where_the_output_folder_was_moved_to(tmp_path):
    one = store(tmp_path, run(1, 1))
    assert one.place(1) is None and one.place(99) is None and one.place(None) is None
    (tmp_path / "artifacts/P/examples/1").mkdir(parents=True)
    assert one.place(1) == tmp_path / "artifacts/P/examples/1"
