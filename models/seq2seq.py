"""The encoder-decoder as a Keras model, and the settings that describe it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import keras
from pydantic import Field

from . import features
from .configuration import Section
from .decoders import Decoder
from .encoders import Encoder

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class ModelConfig(Section):
    """The `model` section: what the network is made of."""

    embedding_size: Count = 128
    units: Count = 256
    encoder_layers: Count = 1
    decoder_layers: Count = 1
    bidirectional: bool = True
    cell: Literal["lstm"] = "lstm"
    attention: Literal["additive", "dot_product"] = "additive"
    dropout: Share = 0.2


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class Seq2Seq(keras.Model):
    """P(target | source) = prod_t P(y_t | y_<t, source): Sutskever et al. (2014), equation 1.

    Called with a dict of `source_ids` [B, S] (tokens, EOS) and `target_ids`
    [B, T] (BOS, tokens), both padded on the right with `features.PAD`, it gives
    the logits [B, T, V] of the token after each target position.

    Args:
      source_vocabulary_size: how many source ids there are.
      target_vocabulary_size: V.
      settings: the fields of `ModelConfig`.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        settings: dict[str, Any],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.settings = dict(settings)
        config = ModelConfig(**settings)
        self.encoder = Encoder(
            source_vocabulary_size,
            config.embedding_size,
            config.units,
            config.encoder_layers,
            config.bidirectional,
            config.cell,
            config.dropout,
            name="encoder",
        )
        self.decoder = Decoder(
            target_vocabulary_size,
            config.embedding_size,
            config.units,
            config.decoder_layers,
            config.cell,
            config.attention,
            config.dropout,
            name="decoder",
        )

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        encoded = self.encoder(inputs[features.SOURCE_IDS], training=training)
        return self.decoder(inputs[features.TARGET_IDS], encoded, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "source_vocabulary_size": self.source_vocabulary_size,
            "target_vocabulary_size": self.target_vocabulary_size,
            "settings": self.settings,
        }


def build_seq2seq(
    config: ModelConfig, source_vocabulary_size: int, target_vocabulary_size: int
) -> Seq2Seq:
    """Builds a model with its weights allocated."""
    model = Seq2Seq(source_vocabulary_size, target_vocabulary_size, config.model_dump())
    ids = keras.ops.ones((1, 2), dtype="int64")
    model({features.SOURCE_IDS: ids, features.TARGET_IDS: ids})
    return model
