"""Token embeddings, also as output layer, and the positions that self-attention needs.

Shape suffixes: B batch, T time, E embedding features, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class TokenEmbedding(keras.layers.Embedding):
    """A vector for each token, which may serve as output weights as well.

    Args:
      vocabulary_size: V.
      width: E.
      scaled: multiply by sqrt(E), as Vaswani et al. (2017), section 3.4, so that
        one matrix fits input and output.
    """

    def __init__(self, vocabulary_size: int, width: int, scaled: bool = False, **kwargs: Any):
        if scaled:
            kwargs.setdefault(
                "embeddings_initializer", keras.initializers.RandomNormal(stddev=width**-0.5)
            )
        super().__init__(vocabulary_size, width, **kwargs)
        self.scaled = scaled

    def call(self, ids: Any) -> Any:
        """Maps ids [...] to vectors [..., E]."""
        vectors = super().call(ids)
        return vectors * self.output_dim**0.5 if self.scaled else vectors

    def logits(self, vectors_BTE: Any) -> Any:
        """Maps vectors [B, T, E] to the logits [B, T, V] of tied weights.

        Press and Wolf (2017).
        """
        shape = ops.shape(vectors_BTE)
        kernel_VE = ops.cast(ops.convert_to_tensor(self.embeddings), vectors_BTE.dtype)
        flat = ops.matmul(ops.reshape(vectors_BTE, (-1, self.output_dim)), ops.transpose(kernel_VE))
        return ops.reshape(flat, (*shape[:2], self.input_dim))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            "vocabulary_size": config.pop("input_dim"),
            "width": config.pop("output_dim"),
            "scaled": self.scaled,
            **config,
        }


def sinusoids(positions: Any, width: int) -> Any:
    """PE(pos, 2i) = sin(pos / 10000^(2i/E)), PE(pos, 2i+1) = cos(...).

    Vaswani et al. (2017), section 3.5: no weights, so any length will do.

    Args:
      positions: whole numbers, [...].
      width: E, even.

    Returns:
      The encodings [..., E], float32.
    """
    rates = 10000.0 ** (-ops.arange(0, width, 2, dtype="float32") / width)
    angles = ops.cast(positions, "float32")[..., None] * rates
    pairs = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
    return ops.reshape(pairs, (*ops.shape(angles)[:-1], width))


def with_positions(embedding: TokenEmbedding, ids_BT: Any, dtype: str, first_B: Any = None) -> Any:
    """Embeds ids [B, T] and adds where they stand: Vaswani et al. (2017), sections 3.4 and 3.5.

    Args:
      embedding: of width E.
      ids_BT: the tokens.
      dtype: of the answer.
      first_B: the position of each row's first token; 0 if None.
    """
    positions = ops.arange(ops.shape(ids_BT)[1])[None]
    if first_B is not None:
        positions = positions + first_B[:, None]
    return embedding(ids_BT) + ops.cast(sinusoids(positions, embedding.output_dim), dtype)
