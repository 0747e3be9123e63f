"""The promises of the configuration: what is wrong is refused, all of it, and where it stands."""

import re
from pathlib import Path

import pytest

from seq2seq_tfx.models.model_config import Preset
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.pipeline import config as config_module
from seq2seq_tfx.pipeline.config import ConfigurationError, load_config
from seq2seq_tfx.pipeline.graph import create_pipeline

from .configured import GOOD, load, problem_of, problems_of

pytestmark = pytest.mark.usefixtures("pairs_file")
ROOT = Path(__file__).parents[2]
JOBS = [ROOT / "pipeline_config.yaml", *sorted((ROOT / "examples").glob("**/*.yaml"))]
TOP = (
    "data, data_validation, deployment, evaluation, export, gate, infra_validation, model, name, "
    "notify, prediction, runner, search, serving, tokenizer, training, tuning, unattended"
)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_shipped_jobs_are_valid(path):
    # What stands below `input`, up to the next key of `data`.
    given = re.search(r"(?ms)^  input:(.+?)^  \w", path.read_text("utf-8"))[1]
    files = [Path(name) for name in re.findall(r"data/[^\s,}]+", given)]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a\tb\n")
    assert files and load_config(path).data.patterns == [str(file.absolute()) for file in files]


def test_the_path_of_the_data_is_made_absolute(tmp_path):
    assert load(GOOD).data.input == str(tmp_path / "pairs.tsv")
    assert load(GOOD.replace("pairs.tsv", "'*.tsv'")).data.input == str(tmp_path / "*.tsv")
    assert load(GOOD.replace("pairs.tsv", "gs://b/p.tsv")).data.input == "gs://b/p.tsv"


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ("trainin: {}", f"trainin: unknown key; expected one of: {TOP}"),
        (
            "serving: {name: x}",
            "serving.name: unknown key; expected one of: max_source_tokens, model_name",
        ),
        (
            "model: {size: {unit: 3}}",
            "model.size.unit: unknown key; expected one of: attention, decoder_layers, embedding, "
            "encoder_layers, feed_forward, heads, readout, units",
        ),
        ("model: {size: 5}", "model.size: expected keys and values, received 5"),
        ("model: {size: {units: 0}}", "model.size.units: expected greater than 0, received 0"),
        (
            "model: {preset: transformer}",
            "model.preset: expected 'default', 'sutskever2014', 'cho2014', 'bahdanau2015', "
            "'luong2015', 'gnmt2016' or 'transformer2017', received 'transformer'",
        ),
        (
            "model: {cell: lstmm}",
            "model.cell: expected 'rnn_tanh', 'rnn_relu', 'gru' or 'lstm', received 'lstmm'",
        ),
        ("model: {copy_head: 1}", "model.copy_head: expected a boolean, received 1"),
        (
            "search: {temperature: -0.5}",
            "search.temperature: expected greater than or equal to 0, received -0.5",
        ),
        ("search: {top_p: 0}", "search.top_p: expected greater than 0, received 0"),
        (
            "search: {min_length: 128}",
            "search: expected min_length below max_length (128), received 128",
        ),
        (
            "search: {beam_size: 4, max_beam_size: 2}",
            "search: expected max_beam_size of at least beam_size (4), received 2",
        ),
        (
            "model: {attention: dot}",
            "model.attention: 'dot' compares states of equal width, and the memory has 512 "
            "features and the decoder 256; use 'general', or bidirectional: none",
        ),
        (
            "tokenizer: {source: {sort: word}}",
            "tokenizer.source.sort: unknown key; expected one of: kind, normalization, "
            "vocabulary_size",
        ),
        (
            "training: {epochs: 0}",
            "training.epochs: expected greater than or equal to 1, received 0",
        ),
        (
            "search: {beam_size: 65}",
            "search.beam_size: expected less than or equal to 64, received 65",
        ),
        (
            "training: {schedule: linear}",
            "training.schedule: expected 'constant', 'cosine', 'inverse_sqrt' or 'plateau', "
            "received 'linear'",
        ),
        ("tokenizer: {lowercase: yes}", "tokenizer.lowercase: expected a boolean, received 'yes'"),
        ("training:", "training: expected keys and values, received None"),
        ("training: [1]", "training: expected keys and values, received [1]"),
        (
            "tokenizer: {source: {kind: bpe}}",
            "tokenizer.source: expected vocabulary_size for kind 'bpe', received none",
        ),
        (
            "evaluation: {metrics: [bleu, bluu]}",
            "evaluation.metrics.1: expected 'sequence_error_rate', 'exact_match', "
            "'token_error_rate', 'bleu', 'chrf', 'chrf++', 'ter', 'rouge1', 'rouge2', 'rougeL', "
            "'length_ratio', 'repetition_rate', 'copy_rate', 'empty_rate', "
            "'unknown_token_rate', 'perplexity', 'token_accuracy' or 'hallucination_rate', "
            "received 'bluu'",
        ),
        ("3: 4", f"3: unknown key; expected one of: {TOP}"),
    ],
)
def test_a_bad_value_is_told_with_its_line_what_was_expected_and_what_came(added, problem):
    assert problem_of(f"{GOOD}{added}\n") == f"job.yaml:7: {problem}"


def test_the_line_is_that_of_the_key_however_deep():
    text = GOOD.replace("gate:", "  splits:\n    train: 8\n    trian: 1\ngate:")
    expected = (
        "data.splits.trian: unknown key; expected one of: by, column, test, train, validation"
    )
    assert problem_of(text) == f"job.yaml:6: {expected}"
    text = GOOD.replace("{min: 1}", "\n      min: 1\n      mean: 2")
    expected = "gate.thresholds.bleu.mean: unknown key; expected one of: max, min"
    assert problem_of(text) == f"job.yaml:8: {expected}"


@pytest.mark.parametrize("value", ["true", "'3'", "3.0", "", "2020-01-01", "[3]"])
def test_a_whole_number_is_nothing_else(value):
    problem = problem_of(f"{GOOD}training:\n  epochs: {value}\n")
    assert re.fullmatch(r"job.yaml:8: training.epochs: expected an? integer, received .*", problem)


def test_an_anchor_does_not_turn_a_truth_value_into_a_number():
    problem = problem_of(f"{GOOD}training: {{epochs: &many true}}\n")
    assert problem.endswith("received True")


def test_numbers_are_those_of_yaml_1_2():
    training = load(
        f"{GOOD}training: {{learning_rate: 1e-3, clip_norm: 2, epochs: 010}}\n"
    ).training
    assert (training.learning_rate, training.clip_norm, training.epochs) == (0.001, 2.0, 10)


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize(
    "added",
    [
        "training: {learning_rate: X}",
        "training: {clip_norm: X}",
        "training: {label_smoothing: X}",
        "model: {dropout: X}",
        "search: {length_penalty: X}",
        "search: {max_length_ratio: X}",
        "search: {coverage_penalty: X}",
        "search: {temperature: X}",
        "search: {top_p: X}",
        "  max_loss: {bleu: X}",
        "    chrf: {min: X}",
        "    chrf: {max: X}",
    ],
)
def test_a_figure_is_a_finite_number(added, value):
    # Others have no JSON form, in which components get their sections.
    assert problem_of(f"{GOOD}{added}\n".replace("X", value)).startswith("job.yaml:7: ")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_is_one_that_keras_takes(seed):
    assert problem_of(f"{GOOD}training: {{seed: {seed}}}\n").startswith("job.yaml:7: training.seed")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_model_is_not_pushed_beside_its_folder(name):
    problem = problem_of(f"{GOOD}serving: {{model_name: '{name}'}}\n")
    assert problem.startswith("job.yaml:7: serving.model_name: ")


def test_a_name_is_one_that_tfx_takes():
    longest = load(GOOD.replace("name: job", f"name: {'j' * 63}"))
    create_pipeline(longest, Path("output"))
    told = problem_of(GOOD.replace("name: job", f"name: {'j' * 64}"))
    assert "name: String should match pattern" in told


@pytest.mark.parametrize("section", ["gate", "data", "name"])
def test_a_missing_section_is_told(section):
    text = "".join(part for part in re.split(r"(?m)^(?=\w)", GOOD) if not part.startswith(section))
    assert problem_of(text) == f"job.yaml: {section}: required key is missing"


def test_all_problems_are_told_at_once():
    text = GOOD.replace("pairs", "pears") + "training: {epochs: 0, batch: 1}\nsearch: []\n"
    assert [problem.split(": ")[:2] for problem in problems_of(text)] == [
        ["job.yaml:7", "training.epochs"],
        ["job.yaml:7", "training.batch"],
        ["job.yaml:8", "search"],
        ["job.yaml:3", "data.input"],
    ]


def test_a_fault_in_a_section_does_not_hide_one_between_sections():
    problems = problems_of(GOOD.replace("bleu", "token_error_rate") + "training: {epochs: 0}\n")
    assert len(problems) == 2 and any("evaluation.metrics" in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"{GOOD}training: {{epochs: 3\nx: [",
            ":8: not valid YAML: expected ',' or '}', but got ':'",
        ),
        (
            f"{GOOD}name: other\n",
            ':7: not valid YAML: found duplicate key "name" with value "other" '
            '(original value: "job")',
        ),
        (f"{GOOD}---\nname: x\n", ":7: not valid YAML: but found another document"),
        (f"{GOOD}training: *none\n", ":7: not valid YAML: found undefined alias 'none'"),
        (
            f"{GOOD}training: {{warm_start: 2026-11-31}}\n",
            ": not valid YAML: day is out of range for month",
        ),
        ("name: !!bool maybe\n", ": not valid YAML: 'maybe'"),
        ("", ": expected keys and values, received None"),
        ("# nothing\n", ": expected keys and values, received None"),
        ("- a\n- b\n", ": expected keys and values, received ['a', 'b']"),
        ("word\n", ": expected keys and values, received 'word'"),
    ],
)
def test_what_is_no_job_at_all_is_told(text, problem):
    assert problem_of(text) == f"job.yaml{problem}"


def test_unreadable_files_are_told():
    assert problem_of(b"name: \xff").startswith("job.yaml: cannot be read: 'utf-8' codec")
    assert problem_of(b"name: \0").startswith("job.yaml: not valid YAML: unacceptable character")
    with pytest.raises(ConfigurationError, match=r"^none\.yaml: cannot be read: .*No such file"):
        load_config("none.yaml")


def test_anchors_and_merge_keys_are_yaml_too():
    sides = load(f"{GOOD}tokenizer:\n  source: &s {{kind: word}}\n  target: *s\n").tokenizer
    assert sides.source == sides.target
    merged = load(
        f"{GOOD}tokenizer:\n  source: &s\n    kind: word\n  target:\n    <<: *s\n"
    ).tokenizer
    assert merged.target == sides.target


def test_every_section_says_which_keys_it_knows():
    # The list is found by walking the models' annotations: hold it to each.
    for name, field in config_module.PipelineConfig.model_fields.items():
        if name == "name":
            continue
        section = load(GOOD).__getattribute__(name)
        kind = type(section)
        more = ""
        # Two may be absent, and need a key.
        if name == "tuning":
            kind, more = config_module.TuningConfig, ", keys: {model.dropout: [0.1]}"
        if name == "prediction":
            kind, more = config_module.PredictionConfig, ", input: pairs.tsv"
        base = GOOD if name not in ("data", "gate") else None
        text = (
            f"{base}{name}: {{zzz: 1{more}}}\n"
            if base
            else re.sub(rf"(?m)^{name}:\n", f"{name}:\n  zzz: 1\n", GOOD)
        )
        known = ", ".join(sorted(kind.model_fields))
        assert problem_of(text).endswith(f"{name}.zzz: unknown key; expected one of: {known}")
        assert field.annotation in (kind, kind | None)


def test_every_fault_of_a_section_is_told_with_the_line_of_its_key():
    text = f"""{GOOD}model:
  attention: none
  coverage: true
  encoder: transformer
  size:
    units: 30
    heads: 7
"""
    assert problems_of(text) == [
        "job.yaml:13: model.size.heads: expected a divisor of size.units (30), received 7",
        "job.yaml:9: model.coverage: needs attention: additive of a recurrent decoder",
    ]
    # Where the preset has it and the file does not, with the closest line that is there.
    text = f"{GOOD}model:\n  preset: transformer2017\n  size:\n    units: 30\n"
    assert problem_of(text).startswith("job.yaml:9: model.size.heads: expected a divisor")


def test_files_to_be_answered_are_looked_for():
    (problem,) = problems_of(f"{GOOD}prediction: {{input: [pairs.tsv, new/*.txt]}}\n")
    assert problem.startswith("job.yaml:7: prediction.input: expected a file, found none at 'new/*")
    found = load(f"{GOOD}prediction: {{input: '*.tsv', nbest: 4}}\n").prediction
    assert found.patterns == [str(Path("*.tsv").absolute())]


@pytest.mark.parametrize("name", Preset.__args__)
def test_every_preset_is_a_valid_model_whose_keys_can_be_overridden(name):
    load_with = f"{GOOD}tokenizer: {{shared: true}}\nmodel:\n  preset: {name}\n"
    model, changed = (
        load(load_with + more).model for more in ("", "  size: {units: 64}\n  dropout: 0.4\n")
    )
    assert model.preset == name and changed.size.units == 64 != model.size.units
    expected = {"size": {**model.size.model_dump(), "units": 64}, "dropout": 0.4}
    assert changed.model_dump() == model.model_dump() | expected
    # As components get it: resolved, it does not depend on the preset any more.
    assert type(model).model_validate_json(model.model_dump_json()) == model


def test_a_preset_is_searched_as_its_paper_does_unless_the_file_says_otherwise():
    """Wu et al. (2016), section 7; Vaswani et al. (2017), section 6.1."""

    def search(more):
        return load(f"{GOOD}tokenizer: {{shared: true}}\n{more}\n").search

    gnmt = search("model: {preset: gnmt2016}")
    assert (gnmt.length_penalty, gnmt.coverage_penalty) == (0.2, 0.2)
    transformer = search("model: {preset: transformer2017}")
    assert (transformer.beam_size, transformer.length_penalty) == (4, 0.6)
    told = search("model: {preset: gnmt2016}\nsearch: {coverage_penalty: 0, max_length: 9}")
    assert (told.length_penalty, told.coverage_penalty, told.max_length) == (0.2, 0.0, 9)
    assert search("") == search("model: {preset: default}") == SearchConfig()


def test_a_warm_start_names_an_export_or_the_newest_of_a_folder():
    problem = problem_of(f"{GOOD}training: {{warm_start: nowhere}}\n")
    assert problem.startswith("job.yaml:7: training.warm_start: expected an exported model")
    for version in (9, 10, "²"):
        folder = Path("versions") / str(version)
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").touch()
    Path("job.yaml").write_text(f"{GOOD}training: {{warm_start: versions}}\n")
    newest = str(Path("versions/10").absolute())
    assert load_config("job.yaml").training.warm_start == newest


def test_what_tuning_cannot_try_is_told_with_the_line_of_its_key():
    keys = "training.learning_rat: [0.1]\n    model.dropout: [0.1, 1.5]"
    with pytest.raises(ConfigurationError) as caught:
        load(f"{GOOD}tuning:\n  keys:\n    {keys}\n")
    unknown, refused = caught.value.problems
    assert unknown.startswith("job.yaml:9: tuning.keys.training.learning_rat: expected a key of")
    assert refused.startswith("job.yaml:10: tuning.keys.model.dropout: ")
    assert refused.endswith("received 1.5")
