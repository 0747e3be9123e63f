"""The `model` section: what a preset says, what beats it, and what cannot be."""

import json
import re
from importlib import resources

import pytest
from pydantic import ValidationError

from seq2seq_tfx.models.model_config import ModelConfig, Preset, Size, preset

from .tiny import KINDS, SOURCES, config_of, every_kind, tiny

NAMES = Preset.__args__
TRANSFORMER = {"preset": "transformer2017"}


def messages(**settings):
    with pytest.raises(ValidationError) as caught:
        ModelConfig(**settings)
    (error,) = caught.value.errors()
    assert error["type"] == "value_error"
    return error["msg"].removeprefix("Value error, ").split("; ")


# Every message of `_misfits`, each by what makes it and by what is nearly that and fits.
MISFITS = {
    "dot-wide": (
        {"attention": "dot"},
        "attention: 'dot' compares states of equal width, and the memory has 512 features and "
        "the decoder 256; use 'general', or bidirectional: none",
        {"attention": "dot", "bidirectional": "none"},
    ),
    "scaled_dot-first": (
        {"attention": "scaled_dot", "bidirectional": "first"},
        "attention: 'scaled_dot' compares states of equal width, and the memory has 512 "
        "features and the decoder 256; use 'general', or bidirectional: none",
        {"attention": "scaled_dot", "bidirectional": "first", "size": {"encoder_layers": 2}},
    ),
    "heads": (
        {"attention": "multi_head", "size": {"heads": 3}},
        "size.heads: expected a divisor of size.units (256), received 3",
        {"attention": "general", "size": {"heads": 3}},
    ),
    "heads-transformer_encoder": (
        {"encoder": "transformer", "size": {"units": 20}},
        "size.heads: expected a divisor of size.units (20), received 8",
        {"encoder": "transformer", "size": {"units": 20, "heads": 4}},
    ),
    "odd-transformer": (
        {**TRANSFORMER, "size": {"units": 15, "heads": 5}},
        "size.units: expected an even number for a Transformer, received 15",
        {"size": {"units": 15}},
    ),
    "coverage-general": (
        {"coverage": True},
        "coverage: needs attention: additive of a recurrent decoder",
        {"coverage": True, "attention": "additive"},
    ),
    "coverage-transformer": (
        {**TRANSFORMER, "coverage": True, "attention": "additive"},
        "coverage: needs attention: additive of a recurrent decoder",
        TRANSFORMER,
    ),
    "copy_head-alone": (
        {"attention": "none", "copy_head": True},
        "copy_head: needs attention to point with, and attention is 'none'",
        {**TRANSFORMER, "attention": "none", "copy_head": True},
    ),
    "previous-alone": (
        {"attention": "none", "attention_query": "previous"},
        "attention_query: has no meaning where attention is 'none'",
        {"attention_query": "previous"},
    ),
    "zero-alone": (
        {"attention": "none", "initial_state": "zero"},
        "initial_state: 'zero' without attention hides the source from the decoder; use "
        "'project' or 'copy', or input_feeding: true",
        {"attention": "none", "initial_state": "zero", "input_feeding": True},
    ),
    "state-attention": (
        {"readout": "state"},
        "readout: 'state' leaves out what attention found, and nothing else reads it; use "
        "another readout, or input_feeding: true",
        {"readout": "state", "copy_head": True},
    ),
    "state-attention-bottom": (
        {"readout": "state", "attention_layer": "bottom"},
        "readout: 'state' leaves out what attention found, and nothing else reads it; use "
        "another readout, or input_feeding: true",
        {"readout": "state", "attention_layer": "bottom", "size": {"decoder_layers": 2}},
    ),
    "fed-transformer": (
        {**TRANSFORMER, "input_feeding": True},
        "input_feeding, readout and residual_from: belong to a recurrent decoder",
        {"input_feeding": True},
    ),
    "readout-transformer": (
        {**TRANSFORMER, "readout": "concat"},
        "input_feeding, readout and residual_from: belong to a recurrent decoder",
        {"readout": "concat"},
    ),
    "residual-transformer": (
        {**TRANSFORMER, "residual_from": 2},
        "input_feeding, readout and residual_from: belong to a recurrent decoder",
        {"residual_from": 2},
    ),
    "variational-transformer": (
        {**TRANSFORMER, "encoder": "transformer", "variational_dropout": True},
        "variational_dropout: belongs to a recurrent encoder or decoder",
        {"variational_dropout": True},
    ),
    "forget_bias-gru": (
        {"cell": "gru", "forget_bias": 2},
        "forget_bias: belongs to cell: lstm of a recurrent encoder or decoder",
        {"forget_bias": 2},
    ),
    "forget_bias-transformer": (
        {**TRANSFORMER, "encoder": "transformer", "forget_bias": 2},
        "forget_bias: belongs to cell: lstm of a recurrent encoder or decoder",
        {"forget_bias": 2},
    ),
    "copy-both_ways": (
        {"initial_state": "copy"},
        "initial_state: 'copy' needs a recurrent encoder in one direction (bidirectional: none) "
        "with as many layers as the decoder",
        {"initial_state": "copy", "bidirectional": "none"},
    ),
    "copy-depths": (
        {"initial_state": "copy", "bidirectional": "none", "size": {"encoder_layers": 2}},
        "initial_state: 'copy' needs a recurrent encoder in one direction (bidirectional: none) "
        "with as many layers as the decoder",
        {"initial_state": "copy", "bidirectional": "none"}
        | {"size": {"encoder_layers": 2, "decoder_layers": 2}},
    ),
    "copy-transformer_encoder": (
        {"initial_state": "copy", "bidirectional": "none", "encoder": "transformer"},
        "initial_state: 'copy' needs a recurrent encoder in one direction (bidirectional: none) "
        "with as many layers as the decoder",
        {"initial_state": "project", "encoder": "transformer"},
    ),
    "residual-first": (
        {"bidirectional": "first", "residual_from": 2, "size": {"encoder_layers": 2}},
        "residual_from: expected at least 3, for with bidirectional: 'first' the layers below "
        "differ in width",
        {"bidirectional": "first", "residual_from": 2},
    ),
    "tied-kinds": (
        {"tied_embeddings": "all", "encoder": "transformer"},
        "tied_embeddings: 'all' needs an encoder and a decoder of one kind",
        {"tied_embeddings": "output", "encoder": "transformer"},
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_be_together_is_refused_with_what_to_do(name):
    settings, message, near = MISFITS[name]
    assert messages(**settings) == message.split("; ")
    ModelConfig(**near)


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        ({"encoder": "transformer", "reverse_source": True}, {"reverse_source"}),
        ({"norm": "pre"}, {"norm"}),
        ({"residual_from": 3, "size": {"encoder_layers": 2}}, {"residual_from"}),
        (
            {"encoder": "transformer", "residual_from": 2, "size": {"encoder_layers": 2}},
            {"residual_from"},
        ),
        ({**TRANSFORMER, "cell": "gru", "bidirectional": "none"}, {"cell", "bidirectional"}),
        ({**TRANSFORMER, "attention": "additive"}, {"attention"}),
        # What does something, and what came with a preset.
        ({"encoder": "transformer", "norm": "pre", "cell": "gru", "attention": "dot"}, set()),
        ({"residual_from": 3, "size": {"decoder_layers": 3}}, set()),
        ({"preset": "gnmt2016", "size": {"encoder_layers": 2, "decoder_layers": 1}}, set()),
        ({"preset": "luong2015", "encoder": "transformer", "initial_state": "zero"}, set()),
    ],
)
def test_a_key_that_is_set_and_does_nothing_is_told(settings, idle):
    config = ModelConfig(**settings)
    assert set(config.idle()) == set(ModelConfig(**config.model_dump()).idle()) == idle


def test_in_no_preset_and_no_kind_does_a_key_do_nothing():
    assert not any(config_of(kind).idle() for kind in KINDS)


def test_every_message_is_proved_above():
    def pattern(message):
        return re.sub(r"'\w+'|\d+", "_", message)

    proved = {pattern(message) for _, message, _ in MISFITS.values()}
    assert {pattern(message) for _, message in ModelConfig()._misfits()} <= proved


def test_all_misfits_are_told_at_once():
    found = messages(coverage=True, tied_embeddings="all", encoder="transformer")
    assert [message.partition(":")[0] for message in found] == ["coverage", "tied_embeddings"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"unit": 4}, ("unit",)),
        ({"units": 4}, ("units",)),
        ({"size": {"unit": 4}}, ("size", "unit")),
        ({"size": {"units": 0}}, ("size", "units")),
        ({"size": {"units": "4"}}, ("size", "units")),
        ({"size": {"units": 4.0}}, ("size", "units")),
        ({"size": {"embedding": -1}}, ("size", "embedding")),
        ({"size": {"encoder_layers": 0}}, ("size", "encoder_layers")),
        ({"size": {"heads": None}}, ("size", "heads")),
        ({"size": 4}, ("size",)),
        ({"preset": "gpt2"}, ("preset",)),
        ({"preset": 3}, ("preset",)),
        ({"preset": None}, ("preset",)),
        ({"encoder": "cnn"}, ("encoder",)),
        ({"cell": "LSTM"}, ("cell",)),
        ({"bidirectional": True}, ("bidirectional",)),
        ({"attention": "dot_product"}, ("attention",)),
        ({"residual_from": 1}, ("residual_from",)),
        ({"input_feeding": 1}, ("input_feeding",)),
        ({"norm": "none"}, ("norm",)),
        ({"dropout": 1.0}, ("dropout",)),
        ({"dropout": -0.1}, ("dropout",)),
        ({"dropout": float("nan")}, ("dropout",)),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(settings, field):
    with pytest.raises(ValidationError) as caught:
        ModelConfig(**settings)
    (error,) = caught.value.errors()
    assert error["loc"] == field


def test_an_unknown_preset_is_answered_with_those_that_there_are():
    with pytest.raises(ValidationError) as caught:
        ModelConfig(preset="gpt2")
    for name in NAMES:
        assert f"'{name}'" in str(caught.value)


def test_a_configuration_does_not_change_once_read():
    with pytest.raises(ValidationError, match="frozen"):
        ModelConfig().dropout = 0.3
    with pytest.raises(ValidationError, match="frozen"):
        ModelConfig().size.units = 3


def test_every_file_of_presets_is_a_preset_and_every_preset_has_a_file():
    folder = resources.files("seq2seq_tfx.models") / "presets"
    assert {f.name for f in folder.iterdir() if f.is_file()} == {f"{name}.yaml" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_what_its_file_says_and_defaults_for_the_rest(name):
    config, base = ModelConfig(preset=name).model_dump(), preset(name)
    plain = {key: field.get_default() for key, field in ModelConfig.model_fields.items()}
    for key, value in config.items():
        if key == "size":
            assert value == {**Size().model_dump(), **base.get("size", {})}
        else:
            assert value == (name if key == "preset" else base.get(key, plain[key]))
    assert set(base) <= set(config)


def test_what_is_given_beats_the_preset():
    config = ModelConfig(preset="gnmt2016", dropout=0.0, residual_from=None, cell="gru")
    assert (config.dropout, config.residual_from, config.cell) == (0.0, None, "gru")
    assert config.attention_layer == "bottom"  # as the preset has it
    # Even where what is given is what a model without a preset would have.
    assert ModelConfig(preset="bahdanau2015", cell="lstm").cell == "lstm"
    assert ModelConfig(preset="bahdanau2015").cell == "gru"


def test_sizes_are_merged_key_by_key():
    size = ModelConfig(preset="bahdanau2015", size={"units": 64, "attention": None}).size
    assert (size.embedding, size.units, size.attention, size.readout) == (620, 64, None, 500)
    assert size.heads == Size().heads


def test_presets_stay_as_they_are_whatever_is_merged_into_them():
    before = json.dumps(preset("luong2015"))
    ModelConfig(preset="luong2015", cell="gru", size={"units": 7})
    assert json.dumps(preset("luong2015")) == before
    assert ModelConfig(preset="luong2015").size.units == 1000


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_survives_json_and_its_preset_is_not_applied_again(name):
    # Every setting that differs from the preset is back to what 'default' has.
    given = {
        key: value
        for key, value in ModelConfig().model_dump().items()
        if key not in ("preset", "size")
    }
    config = ModelConfig(preset=name, **given, size=Size().model_dump())
    for other in (
        ModelConfig.model_validate_json(config.model_dump_json()),
        ModelConfig(**json.loads(json.dumps(config.model_dump()))),
        ModelConfig(**config.model_dump()),
    ):
        assert other == config
        assert other.model_dump(exclude={"preset"}) == ModelConfig().model_dump(exclude={"preset"})
    plain = ModelConfig(preset=name)
    assert ModelConfig.model_validate_json(plain.model_dump_json()) == plain


def test_json_may_leave_out_what_the_preset_says():
    config = ModelConfig.model_validate_json('{"preset": "cho2014", "size": {"units": 32}}')
    assert config == ModelConfig(preset="cho2014", size={"units": 32})
    assert (config.cell, config.size.embedding) == ("gru", 100)


@every_kind
def test_the_memory_is_as_wide_as_said_and_attention_is_there_if_said(kind):
    model, config = tiny(kind), config_of(kind)
    encoded = model.encoder(SOURCES[:1])
    assert encoded.memory_BSM.shape[-1] == encoded.summary_BM.shape[-1] == config.memory_width
    attends = config.decoder == "transformer" or "attention" in vars(model.decoder)
    assert model.has_attention == config.has_attention == attends


def test_there_is_a_kind_for_every_choice():
    configs = [config_of(kind) for kind in KINDS]
    for name, field in ModelConfig.model_fields.items():
        choices = getattr(field.annotation, "__args__", ())
        if choices and all(isinstance(choice, str) for choice in choices):
            assert {getattr(config, name) for config in configs} == set(choices), name
