"""The promise of `seq2seq run --component`: processes that each run one make one run."""

import pytest

from seq2seq_tfx.pipeline.config import load_config
from seq2seq_tfx.pipeline.graph import create_pipeline
from seq2seq_tfx.pipeline.run_records import read_runs
from seq2seq_tfx.pipeline.schedule_command import CannotSchedule, job_of, with_components
from seq2seq_tfx.pipeline.unattended import run_one

from ..jobs import words, write_job

pytestmark = pytest.mark.slow


def test_components_make_one_run_of_the_spans_that_the_first_chose(tmp_path, capsys):
    def arrives(span):
        pairs = "".join(f"{word}\t{word}\n" for word in words(span, 200))
        (tmp_path / f"p-{span}.tsv").write_text(pairs)

    job = write_job(tmp_path, "one", data=tmp_path / "p-{SPAN}.tsv")
    with job.open("a") as file:
        file.write("data_validation: {max_identical: 0.1}\n")
    output = tmp_path / "output"

    def run(component, name="night 1"):
        return run_one(load_config(job), job, output, component, name)

    arrives(1)
    assert run("PairExampleGen") == 0
    arrives(2)
    assert run("StatisticsGen") == 0
    assert [run("BitextValidator"), run("BitextValidator")] == [5, 5]
    assert run("SchemaGen") == 0  # which no gate holds back, and which ends nothing
    (first,) = read_runs(output)
    assert (first.name, first.spans, first.verdict) == ("night 1", ["1"], "data_gate")
    assert first.components == {
        "PairExampleGen": "done",
        "StatisticsGen": "done",
        "BitextValidator": "failed",
        "SchemaGen": "done",
    }
    assert "max_identical: found 1" in capsys.readouterr().err

    assert run("Trainr", "night 2") == 6
    assert "expected one of PairExampleGen" in capsys.readouterr().err
    assert run("PairExampleGen", "night 2") == 0
    assert [each.spans for each in read_runs(output)] == [["1"], ["2"]]


def test_a_run_of_components_has_ended_when_the_last_is_done(tmp_path, capsys):
    pairs = "".join(f"{word}\t{word}\n" for word in words(1, 200))
    (tmp_path / "pairs.tsv").write_text(pairs)
    (tmp_path / "lines.txt").write_text("ab\n")
    told = tmp_path / "told.jsonl"
    job = write_job(tmp_path, "one", worst=1, epochs=1)
    limits = "  thresholds:\n    empty_rate: {max: 1}\n    repetition_rate: {max: 1}\n"
    job.write_text(job.read_text().replace("  thresholds:\n", limits))  # any model will do
    with job.open("a") as file:
        file.write(f"export: {{forms: [float16]}}\nprediction: {{input: '{tmp_path}/lines.txt'}}\n")
        file.write(f"notify: {{command: [sh, -c, 'cat >> {told}'], on: [blessed]}}\n")
    output = tmp_path / "output"
    names = [node.id for node in create_pipeline(load_config(job), output).components]
    assert names[-3] == "Pusher" and {*names[-2:]} == {"NamedExport-float16", "BatchPredictor"}
    for number, name in enumerate(names):
        assert run_one(load_config(job), job, output, name, "night 1") == 0, name
        ended = number == len(names) - 1
        assert ("report: " in capsys.readouterr().out) == told.exists() == ended, name
    (run,) = read_runs(output)
    assert run.verdict == "pushed" and set(run.components.values()) == {"done"}
    # Its last component, run again when another night has begun, ends this one.
    assert run_one(load_config(job), job, output, names[0], "night 2") == 0
    assert run_one(load_config(job), job, output, names[-1], "night 1") == 0
    first, second = read_runs(output)
    assert (first.verdict, second.verdict) == ("pushed", "running")


def test_a_schedule_of_components_has_those_of_the_pipeline_and_reads_one_window(tmp_path):
    (tmp_path / "p-1.tsv").write_text("a\tb\n")
    path = write_job(tmp_path, "one", data=tmp_path / "p-{SPAN}.tsv")
    job = with_components(job_of(path, None, "2:30", 5))
    nodes = create_pipeline(load_config(path), tmp_path).components
    assert job.components == {
        node.id: sorted(each.id for each in node.upstream_nodes) for node in nodes
    }
    with path.open("a") as file:
        file.write("unattended: {catch_up: true}\n")
    with pytest.raises(CannotSchedule, match="expected --tasks pipeline, received components"):
        with_components(job)
