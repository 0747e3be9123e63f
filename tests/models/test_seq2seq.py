"""The whole network: its parts together, and its configuration."""

import numpy as np
import pytest

from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import Seq2Seq, build_seq2seq

from .tiny import KINDS, SOURCES, TARGETS, config_of, every_kind, slow_but, tiny, twin, whole

INPUTS = {features.SOURCE_IDS: SOURCES, features.TARGET_IDS: TARGETS}


@pytest.mark.parametrize("kind", slow_but(KINDS, ["gnmt2016", "tied_all"]))
def test_a_model_made_from_its_config_computes_the_same(kind):
    model = tiny(kind)
    other = twin(model)
    other(INPUTS)
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other(INPUTS), whole(kind)[0])
    assert other.has_attention == model.has_attention


def test_a_model_is_built_with_its_weights_allocated():
    config = config_of("gnmt2016")
    model = build_seq2seq(config, 9, 11)
    assert model.built
    assert [w.shape for w in model.weights] == [w.shape for w in tiny("gnmt2016").weights]
    assert {w.path.partition("/")[2] for w in model.weights} == {
        w.path.partition("/")[2] for w in tiny("gnmt2016").weights
    }
    model.set_weights(tiny("gnmt2016").get_weights())
    np.testing.assert_array_equal(model(INPUTS), whole("gnmt2016")[0])


@every_kind
def test_positions_that_are_asked_for_get_the_logits_that_all_would(kind):
    positions = np.array([0, 1, 5, 6, 12, 0], "int32")  # b T + t, out of rows of all lengths
    logits = tiny(kind)({**INPUTS, features.TARGET_POSITIONS: positions})
    expected = whole(kind)[0].reshape(-1, whole(kind)[0].shape[-1])[positions]
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@every_kind
def test_every_setting_reaches_its_part(kind):
    model, config = tiny(kind), config_of(kind)
    fields, size = config.model_dump(), config.model_dump()["size"]
    said = {
        **{"units": size["units"], "heads": size["heads"], "feed_forward": size["feed_forward"]},
        **{"embedding_size": size["embedding"], "attention_units": size["attention"]},
        "readout_units": size["readout"],
        "tied_output": fields["tied_embeddings"] != "none",
        **{key: value for key, value in fields.items() if key not in ("size", "preset")},
    }
    for part, vocabulary, layers in (
        (model.encoder, model.source_vocabulary_size, size["encoder_layers"]),
        (model.decoder, 11, size["decoder_layers"]),
    ):
        expected = {**said, "vocabulary_size": vocabulary, "layers": layers}
        assert part.settings == {key: expected[key] for key in part.settings}


def test_every_recurrent_layer_starts_as_the_settings_say():
    size = {"embedding": 3, "units": 4, "encoder_layers": 2, "decoder_layers": 2}
    config = ModelConfig(size=size, forget_bias=2.0, recurrent_initializer="orthogonal_gates")
    model = build_seq2seq(config, 9, 11)
    layers = [*model.encoder.forward, *model.encoder.backward, *model.decoder.layers]
    biases = [np.asarray(layer.input_projection.bias) for layer in layers]
    np.testing.assert_array_equal(biases, [[0.0] * 4 + [2.0] * 4 + [0.0] * 8] * 6)
    for layer in layers:
        forget = np.asarray(layer.cell.recurrent_kernel)[:, 4:8]
        np.testing.assert_allclose(forget.T @ forget, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("kind", ["transformer2017", "tied_all"])
def test_a_vocabulary_of_both_sides_is_one_matrix(kind):
    model = tiny(kind)
    embeddings = [w for w in model.weights if w.path.endswith("embeddings")]
    assert len(embeddings) == 1
    assert model.encoder.embedding is model.decoder.embedding
    assert model.decoder.readout.tied_to is model.encoder.embedding


def test_an_output_that_is_tied_is_the_targets_matrix_alone():
    model = tiny("tied_output")
    assert sum(w.path.endswith("embeddings") for w in model.weights) == 2
    assert model.decoder.readout.tied_to is model.decoder.embedding


@pytest.mark.parametrize("kind", ["transformer2017", "tied_all", "copy", "pointer"])
def test_parts_that_share_a_vocabulary_refuse_two(kind):
    with pytest.raises(ValueError, match=r"one vocabulary for both sides.* 9 and 11 tokens"):
        Seq2Seq(9, 11, config_of(kind).model_dump())


@pytest.mark.parametrize("kind", ["luong2015", "transformer2017", "tied_all", "pointer"])
def test_mixed_precision_of_a_model_is_that_of_all_its_parts(kind):
    config = config_of(kind)
    model = Seq2Seq(11, 11, config.model_dump(), dtype="mixed_bfloat16")
    model(INPUTS)
    other = twin(model)
    other(INPUTS)
    for made in (model, other):
        exempt = made.decoder.copy_head._flatten_layers() if config.copy_head else []
        for part in made._flatten_layers():
            expected = "float32" if part in exempt else "bfloat16"
            assert part.compute_dtype == expected, part.path


def test_the_precision_of_a_model_is_its_own_whatever_the_policy_around_it(policy):
    policy("mixed_bfloat16")
    model = Seq2Seq(11, 11, config_of("pointer").model_dump(), dtype="float32")
    model(INPUTS)
    model.set_weights(tiny("pointer").get_weights())
    np.testing.assert_array_equal(model(INPUTS), whole("pointer")[0])
