"""A form that loses more than the gate allows against the plain export is left out."""

import json
from types import SimpleNamespace

import pytest
from tfx.types import standard_artifacts

from seq2seq_tfx.components import named_export
from seq2seq_tfx.components.artifacts import EvaluatedSentences, NamedModel
from seq2seq_tfx.components.judgement import GateConfig
from seq2seq_tfx.components.sentences import CANDIDATE
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.serving.predictor import ServingConfig

from .test_gate import write_sentences

RIGHT, WRONG = "the quick brown fox", "the quick brown cat"


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Runs the component on a form that answers so many of 30 sources wrong."""

    def run(wrong, **margins):
        class Form:
            def __init__(self, directory):
                assert (directory / "saved_model.pb").read_bytes() == b"narrow"

            def has(self, signature):
                return False

            def predict(self, sources):
                answers = (WRONG if int(source[1:]) < wrong else RIGHT for source in sources)
                return [[Answer(text)] for text in answers]

        class Answer(SimpleNamespace):
            def __init__(self, text):
                super().__init__(text=text, score=0.0, log_prob=0.0)

            def _asdict(self):
                return vars(self)

        def made(directory):
            (tmp_path / "named" / "model").mkdir()
            (tmp_path / "named" / "model" / "saved_model.pb").write_bytes(b"narrow")

        monkeypatch.setattr(named_export, "LocalModel", Form)
        monkeypatch.setattr(
            named_export, "variant_of", lambda *arguments: SimpleNamespace(export=made)
        )
        (tmp_path / "sentences").mkdir()
        write_sentences(tmp_path / "sentences", {CANDIDATE: RIGHT})
        artifacts = {
            "model": standard_artifacts.Model(),
            "pushed_model": standard_artifacts.PushedModel(),
            "sentences": EvaluatedSentences(),
            "named": NamedModel(),
        }
        for name, artifact in artifacts.items():
            artifact.uri = str(tmp_path / name)
        artifacts["pushed_model"].set_int_custom_property("pushed", 1)
        artifacts["pushed_model"].set_string_custom_property("pushed_destination", "serving/m/7")
        named_export.Executor().Do(
            {name: [artifacts[name]] for name in ("model", "pushed_model", "sentences")},
            {"named_model": [artifacts["named"]]},
            {
                "form": "int8",
                "folder": str(tmp_path / "exports"),
                "search": SearchConfig().model_dump_json(),
                "serving": ServingConfig().model_dump_json(),
                "gate_config": GateConfig(
                    thresholds={"bleu": {"min": 1.0}}, **margins
                ).model_dump_json(),
            },
        )
        return json.loads((tmp_path / "named" / "named_export.json").read_text())

    return run


@pytest.mark.parametrize(("wrong", "kept"), [(0, True), (30, False)])
def test_a_form_is_served_only_if_it_answers_as_well_as_the_plain_export(
    export, tmp_path, wrong, kept
):
    told = export(wrong, max_loss={"bleu": 2.0})
    assert told["kept"] is kept
    served = tmp_path / "exports" / "7" / "saved_model.pb"
    assert served.exists() is kept
    assert told.get("place") == (str(served.parent) if kept else None)
    (loss,) = told["losses"]
    assert (loss["metric"], loss["limit"], loss["passed"]) == ("bleu", 2.0, kept)
    assert (loss["bound"] >= 2.0) is not kept and loss["sentences"] == 30


def test_a_form_that_loses_little_is_left_out_where_the_evidence_allows_more(export, tmp_path):
    told = export(1, max_loss={"bleu": 2.5})
    (loss,) = told["losses"]
    assert loss["figure"] < 2.5 <= loss["bound"]
    assert told["kept"] is False and not (tmp_path / "exports").exists()


def test_a_form_is_left_out_for_a_critical_slice_alone(export, tmp_path):
    told = export(30, max_loss={"bleu": 100.5}, critical={"source_length": {"bleu": 2.0}})
    assert [loss["passed"] for loss in told["losses"]] == [True, False]
    assert told["kept"] is False and not (tmp_path / "exports").exists()
