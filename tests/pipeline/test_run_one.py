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
    (first,) = read_runs(output)
    assert (first.name, first.spans, first.verdict) == ("night 1", ["1"], "data_gate")
    assert first.components == {
        "PairExampleGen": "done",
        "StatisticsGen": "done",
        "BitextValidator": "failed",
    }
    assert "max_identical: found 1" in capsys.readouterr().err

    assert run("Trainr", "night 2") == 1
    assert "expected one of PairExampleGen" in capsys.readouterr().err
    assert run("PairExampleGen", "night 2") == 0
    assert [each.spans for each in read_runs(output)] == [["1"], ["2"]]


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
