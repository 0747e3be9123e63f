"""`seq2seq gate calibrate` trains what a run would, of the same spans and from the same model."""

from pathlib import Path

from click.testing import CliRunner

from seq2seq_tfx.pipeline import calibrate_command, cli, runners

from .recorded import Recorded

JOB = """\
name: job
data: {input: "pairs-{SPAN}.tsv", window: 2}
training: {warm_start: last_blessed}
gate: {thresholds: {bleu: {min: 1}}, max_loss: {bleu: 1}}
"""


def calibrate():
    command = ["gate", "calibrate", "--config", "job.yaml", "--output", "out", "--seeds", "2"]
    return CliRunner().invoke(cli.main, command, catch_exceptions=False)


def test_a_training_reads_the_window_and_begins_with_the_model_of_a_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("job.yaml").write_text(JOB)
    for span in (1, 2, 3):
        Path(f"pairs-{span}.tsv").write_text("a\tb\n")
    recorded = Recorded(tmp_path / "out")
    blessed = recorded.run(["1"], version=11)
    given = []

    def run_pipeline(config, output):
        given.append((config, output))
        raise runners.RunFailed("enough")

    monkeypatch.setattr(calibrate_command, "run_pipeline", run_pipeline)
    assert calibrate().exit_code == 1
    ((config, output),) = given
    assert output == Path("out/calibration")
    assert config.data.spans == ["2", "3"]
    model = Path(recorded.artifacts[blessed, "Model"].uri)
    assert config.training.warm_start == str(model / "Format-Serving")
