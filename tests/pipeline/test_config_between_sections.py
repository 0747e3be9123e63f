"""The promises of the configuration about sections that must fit each other."""

from pathlib import Path

import pytest

from .configured import GOOD, load, problem_of, problems_of

pytestmark = pytest.mark.usefixtures("pairs_file")


def test_a_key_of_the_model_that_does_nothing_is_told_unless_a_trial_may_use_it():
    deep = f"{GOOD}model: {{norm: pre, residual_from: 3, size: {{decoder_layers: 2}}}}\n"
    assert problems_of(deep) == [
        "job.yaml:7: model.norm: belongs to a Transformer, and neither encoder nor decoder is one",
        "job.yaml:7: model.residual_from: expected at most 2, the layers of the deeper recurrent "
        "part, received 3",
    ]
    load(f"{deep}tuning: {{keys: {{model.size.decoder_layers: [2, 4]}}}}\n")


def test_a_slice_by_a_column_that_is_not_read_is_told_before_anything_is_trained():
    sliced = f"{GOOD}evaluation: {{slices: [source_length, topic]}}\n"
    assert problem_of(sliced) == (
        "job.yaml:7: evaluation.slices: expected source_length or rarest_word, as data.extra "
        "names columns, received 'topic'"
    )
    load(sliced.replace("pairs.tsv", "pairs.tsv\n  extra: {topic: 3}"))


def test_slices_are_combined_of_known_dimensions_and_may_be_critical():
    entry = "evaluation: {slices: [source_length, 'source_length, topic']}\n"
    critical = "  critical: {'topic, source_length=1-4': {bleu: 1}}\n"
    assert problem_of(GOOD + critical + entry) == (
        "job.yaml:8: evaluation.slices: expected source_length or rarest_word, as data.extra "
        "names columns, received 'topic'"
    )
    good = GOOD.replace("pairs.tsv", "pairs.tsv\n  extra: {topic: 3}")
    assert load(good + critical + entry).evaluation.dimensions == ["source_length", "topic"]
    assert problem_of(good + critical.replace("topic, ", "topic, rarest_word, ") + entry) == (
        "job.yaml:8: gate.critical.topic, rarest_word, source_length=1-4: expected a slice that "
        "evaluation.slices names (source_length; source_length, topic), or 'set=NAME' of "
        "evaluation.challenge_sets"
    )
    for twice in ("'topic, topic'", "'topic, source_length', 'source_length, topic'"):
        text = f"{good}evaluation: {{slices: [{twice}]}}\n"
        assert "once, received" in problem_of(text)


def test_a_gate_judges_by_evaluated_metrics():
    text = GOOD.replace("bleu", "token_error_rate") + "  max_loss: {sequence_error_rate: 1}\n"
    needs = "the gate needs '{}', which evaluation.metrics does not name"
    assert problems_of(text) == [
        "job.yaml:6: gate.thresholds.token_error_rate: " + needs.format("token_error_rate"),
        "job.yaml:7: gate.max_loss.sequence_error_rate: " + needs.format("sequence_error_rate"),
    ]


def test_a_gate_judges_slices_that_are_evaluated():
    text = GOOD + "  critical: {domain: {bleu: 1}, source_length=1-4: {bleu: 1, ter: 1}}\n"
    assert problems_of(text) == [
        "job.yaml:7: gate.critical.domain: expected a slice that evaluation.slices names "
        "(source_length), or 'set=NAME' of evaluation.challenge_sets",
        "job.yaml:7: gate.critical.source_length=1-4.ter: the gate needs 'ter', which "
        "evaluation.metrics does not name",
    ]
    assert problems_of(GOOD + "  critical: 1\n")[0].startswith(
        "job.yaml:7: gate.critical: expected"
    )


def test_a_challenge_set_is_a_file_and_may_be_critical(tmp_path):
    text = GOOD + "  critical: {set=names: {bleu: 1}}\n"
    assert "gate.critical.set=names: expected a slice" in problem_of(text)
    text += "evaluation: {challenge_sets: {names: names.tsv}}\n"
    assert problem_of(text) == (
        "job.yaml:8: evaluation.challenge_sets.names: expected a file, found none at 'names.tsv' "
        f"(relative to {tmp_path})"
    )
    Path("names.tsv").write_text("a\tb\n")
    assert load(text).evaluation.challenge_sets == {"names": str(tmp_path / "names.tsv")}
    text = text.replace("names: names", "test: names").replace("set=names", "source_length")
    assert "another name than 'test'" in problem_of(text)


def test_what_is_always_measured_may_be_judged_unnamed():
    assert load(GOOD + "  max_loss: {empty_rate: 0.01}\n").gate.max_loss == {"empty_rate": 0.01}


SHARE = "needs one vocabulary for both sides (preset '{}'); set tokenizer.shared: true"
ATTEND = "needs a model with attention, and preset '{}' as it is here has none"


@pytest.mark.parametrize(
    ("added", "problems"),
    [
        (
            "model:\n  preset: transformer2017",
            [f":7: model.tied_embeddings: {SHARE.format('transformer2017')}"],
        ),
        (
            "model:\n  copy_head: true\n  tied_embeddings: all",
            [
                f":8: model.copy_head: {SHARE.format('default')}",
                f":9: model.tied_embeddings: {SHARE.format('default')}",
            ],
        ),
        (
            "model: {preset: sutskever2014}\nsearch:\n  coverage_penalty: 0.2",
            [f":9: search.coverage_penalty: {ATTEND.format('sutskever2014')}"],
        ),
        (
            "search:\n  replace_unknown: true\nmodel: {attention: none, copy_head: false}",
            [f":8: search.replace_unknown: {ATTEND.format('default')}"],
        ),
        (
            "prediction: {input: pairs.tsv, nbest: 9}",
            [":7: prediction.nbest: expected at most 4, all that search gives, received 9"],
        ),
        (
            "export:\n  forms: [int8]",
            [":8: export.forms: needs gate.max_loss: what loses more than that is left out"],
        ),
    ],
)
def test_sections_that_do_not_fit_each_other_are_told(added, problems):
    assert problems_of(f"{GOOD}{added}\n") == [f"job.yaml{problem}" for problem in problems]


def test_sections_that_fit_each_other_are_taken():
    shared = "tokenizer: {shared: true}\n"
    for added in (
        f"{shared}model: {{preset: transformer2017}}\nsearch: {{coverage_penalty: 0.2}}",
        f"{shared}model: {{copy_head: true}}\nsearch: {{replace_unknown: true}}",
        "model: {tied_embeddings: output}",
        "model: {preset: sutskever2014}\nsearch: {temperature: 1, max_beam_size: 64}",
    ):
        assert load(f"{GOOD}{added}\n")
