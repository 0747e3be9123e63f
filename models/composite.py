"""The base of layers that are made of layers."""

from __future__ import annotations

from typing import Any

import keras


class Composite(keras.layers.Layer):
    """A layer whose weights are all in its sublayers, which build when first called.

    Without a `build` of its own, Keras would trace the call of a layer once more
    to build it, and of each layer inside of it again: twice as often a level.
    """

    def build(self, *_: Any) -> None:
        """Builds nothing."""
