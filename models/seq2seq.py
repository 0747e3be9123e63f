"""The encoder-decoder as a Keras model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
from keras import ops

from . import features
from .decoders import RecurrentDecoder
from .embeddings import TokenEmbedding
from .encoders import RecurrentEncoder
from .model_config import ModelConfig
from .scheduled_sampling import ScheduledSampling
from .transformer import TransformerDecoder, TransformerEncoder


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class Seq2Seq(keras.Model):
    """P(target | source) = prod_t P(y_t | y_<t, source): Sutskever et al. (2014), equation 1.

    Called with a dict of `source_ids` [B, S] (tokens, EOS) and `target_ids`
    [B, T] (BOS, tokens), both padded on the right with `features.PAD`, it gives
    the logits [B, T, V] of the token after each target position; with
    `target_positions` [N] beside them, those of these positions alone, [N, V],
    which spares the output layer all padding.

    Args:
      source_vocabulary_size: how many source ids there are.
      target_vocabulary_size: V.
      settings: the fields of `ModelConfig`.
      scheduled_sampling: what a training by `fit` makes of the targets. Not in the config.

    Raises:
      ValueError: parts that share a vocabulary were given two.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        settings: dict[str, Any],
        scheduled_sampling: ScheduledSampling | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.settings = dict(settings)
        config = ModelConfig(**settings)
        self.has_attention = config.has_attention
        shares = config.copy_head or config.tied_embeddings == "all"
        if shares and source_vocabulary_size != target_vocabulary_size:
            raise ValueError(
                "Expected one vocabulary for both sides (copy_head, tied_embeddings: all). "
                f"Received: {source_vocabulary_size} and {target_vocabulary_size} tokens"
            )
        embedding = None
        if config.tied_embeddings == "all":
            transformer = config.encoder == "transformer"
            embedding = TokenEmbedding(
                source_vocabulary_size,
                config.size.units if transformer else config.size.embedding,
                scaled=transformer,
                dtype=self.dtype_policy,
                name="embedding",
            )
        self.encoder = _encoder(config, source_vocabulary_size, embedding, self.dtype_policy)
        self.decoder = _decoder(config, target_vocabulary_size, embedding, self.dtype_policy)
        self.scheduled_sampling = scheduled_sampling
        # Keras reports under this name its mean over the rows of batches, and then this.
        self._mean_loss = keras.metrics.Mean("loss")

    def build(self, *_: Any) -> None:
        """Builds nothing: see `composite.Composite`."""

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        encoded = self.encoder(inputs[features.SOURCE_IDS], training=training)
        target_ids = inputs[features.TARGET_IDS]
        if training and self.scheduled_sampling:
            forced, _ = self.decoder(target_ids, encoded, training=False)
            target_ids = self.scheduled_sampling(target_ids, forced, step=self.optimizer.iterations)
        logits, _ = self.decoder(
            target_ids,
            encoded,
            inputs.get(features.TARGET_POSITIONS),
            training=training,
        )
        return logits

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """As Keras's; `loss`, as `fit` and `evaluate` tell it, is the mean over real tokens.

        However batches are cut. Where pairs are weighted, the weights of a batch's tokens
        are 1 in the mean, so that the batch counts for as many as it has.
        """
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        tokens = ops.sum(ops.cast(ops.not_equal(y, features.PAD), "float32"))
        self._mean_loss.update_state(loss, sample_weight=tokens)
        return loss

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Allocates the weights, by a call; `keras.saving.load_model` fills them in."""
        ids = ops.ones((1, 2), dtype="int32")
        self({features.SOURCE_IDS: ids, features.TARGET_IDS: ids})

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "source_vocabulary_size": self.source_vocabulary_size,
            "target_vocabulary_size": self.target_vocabulary_size,
            "settings": self.settings,
        }


def build_seq2seq(
    config: ModelConfig,
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    scheduled_sampling: ScheduledSampling | None = None,
) -> Seq2Seq:
    """Builds a model with its weights allocated."""
    model = Seq2Seq(
        source_vocabulary_size, target_vocabulary_size, config.model_dump(), scheduled_sampling
    )
    model.build_from_config({})
    return model


def count_parameters(
    config: ModelConfig, source_vocabulary_size: int, target_vocabulary_size: int
) -> int:
    """Counts the weights that `build_seq2seq` would allocate, and allocates none."""

    def count() -> int:
        # Weights stay without a value in such a scope, and get one as it ends.
        # The scope belongs to its thread, and with the thread it is gone unended.
        keras.StatelessScope().__enter__()
        ids = keras.KerasTensor((1, 2), dtype="int32")
        model = Seq2Seq(source_vocabulary_size, target_vocabulary_size, config.model_dump())
        model({features.SOURCE_IDS: ids, features.TARGET_IDS: ids})
        return model.count_params()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(count).result()


def _encoder(
    config: ModelConfig, vocabulary_size: int, embedding: TokenEmbedding | None, dtype: Any
) -> RecurrentEncoder | TransformerEncoder:
    size = config.size
    if config.encoder == "transformer":
        return TransformerEncoder(
            vocabulary_size,
            size.units,
            size.encoder_layers,
            size.heads,
            size.feed_forward,
            config.norm,
            config.dropout,
            embedding,
            dtype=dtype,
            name="encoder",
        )
    return RecurrentEncoder(
        vocabulary_size,
        size.embedding,
        size.units,
        size.encoder_layers,
        config.bidirectional,
        config.cell,
        config.reverse_source,
        config.residual_from,
        config.dropout,
        config.variational_dropout,
        config.forget_bias,
        config.recurrent_initializer,
        embedding,
        dtype=dtype,
        name="encoder",
    )


def _decoder(
    config: ModelConfig, vocabulary_size: int, embedding: TokenEmbedding | None, dtype: Any
) -> RecurrentDecoder | TransformerDecoder:
    size = config.size
    if config.decoder == "transformer":
        return TransformerDecoder(
            vocabulary_size,
            size.units,
            size.decoder_layers,
            size.heads,
            size.feed_forward,
            config.norm,
            config.copy_head,
            config.output_bias,
            config.tied_embeddings != "none",
            config.dropout,
            embedding,
            dtype=dtype,
            name="decoder",
        )
    return RecurrentDecoder(
        vocabulary_size,
        size.embedding,
        size.units,
        size.decoder_layers,
        config.cell,
        config.attention,
        size.attention,
        size.heads,
        config.attention_query,
        config.attention_layer,
        config.input_feeding,
        config.coverage,
        config.readout,
        size.readout,
        config.copy_head,
        config.initial_state,
        config.residual_from,
        config.output_bias,
        config.tied_embeddings != "none",
        config.dropout,
        config.variational_dropout,
        config.forget_bias,
        config.recurrent_initializer,
        embedding,
        dtype=dtype,
        name="decoder",
    )
