"""Recurrent cells and the layer that runs one over a sequence.

Shape suffixes: B batch, T time, E input features, H hidden units, G gate
features (4H for an LSTM).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .projection import Projection


class LSTMCell(keras.layers.Layer):
    """One step of a long short-term memory, given its input already projected.

    Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000):
    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b),
    c' = f * c + i * g, h' = o * tanh(c').

    The product W x + b does not depend on the recurrence, so the caller makes
    it for all steps at once and the cell holds U alone.

    Args:
      units: the hidden size H.
    """

    GATES = 4

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape: Any) -> None:
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.GATES * self.units),
            initializer="orthogonal",
            name="recurrent_kernel",
        )

    def call(self, projected_BG: Any, states: Any) -> tuple[Any, list[Any]]:
        """Returns the output [B, H] and the new states (h, c), each [B, H]."""
        hidden_BH, memory_BH = states
        gates_BG = projected_BG + ops.matmul(hidden_BH, self.recurrent_kernel)
        i_BH, f_BH, o_BH, g_BH = ops.split(gates_BG, self.GATES, axis=-1)
        memory_BH = ops.sigmoid(f_BH) * memory_BH + ops.sigmoid(i_BH) * ops.tanh(g_BH)
        hidden_BH = ops.sigmoid(o_BH) * ops.tanh(memory_BH)
        return hidden_BH, [hidden_BH, memory_BH]

    @staticmethod
    def initial_bias(units: int) -> keras.initializers.Initializer:
        """A forget gate that starts open (Jozefowicz et al., 2015)."""
        return _ForgetGateOpen(units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class _ForgetGateOpen(keras.initializers.Initializer):
    """Zeros for the gates i, o, g and ones for f."""

    def __init__(self, units: int):
        self.units = units

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        zeros = ops.zeros((self.units,), dtype)
        return ops.concatenate([zeros, ops.ones((self.units,), dtype), zeros, zeros])

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


CELLS = {"lstm": LSTMCell}


class Recurrent(keras.layers.Layer):
    """A cell run over a sequence in one direction.

    Args:
      cell: one of `CELLS`.
      units: the hidden size H.
      reverse: read the sequence from its end.
    """

    def __init__(self, cell: str, units: int, reverse: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.cell_name, self.units, self.reverse = cell, units, reverse
        cell_class = CELLS[cell]
        self.input_projection = Projection(
            cell_class.GATES * units,
            bias_initializer=cell_class.initial_bias(units),
            name="input_projection",
        )
        self.cell = cell_class(units, name="cell")
        self.loop = keras.layers.RNN(
            self.cell,
            return_sequences=True,
            return_state=True,
            go_backwards=reverse,
            name="loop",
        )

    def call(
        self, inputs_BTE: Any, mask_BT: Any = None, initial_state: Any = None
    ) -> tuple[Any, list[Any]]:
        """Runs the cell over all steps.

        Args:
          inputs_BTE: the inputs.
          mask_BT: True where a position is real; None where all are. A masked
            position leaves the state as it was.
          initial_state: the cell's states, each [B, H]; zeros if None.

        Returns:
          The outputs [B, T, H] in the order of the inputs, and the last states.
        """
        outputs_BTH, *states = self.loop(
            self.input_projection(inputs_BTE), mask=mask_BT, initial_state=initial_state
        )
        if self.reverse:
            outputs_BTH = ops.flip(outputs_BTH, axis=1)
        return outputs_BTH, states

    def step(self, inputs_BE: Any, states: Any) -> tuple[Any, list[Any]]:
        """Runs the cell for one step: output [B, H] and the new states."""
        return self.cell(self.input_projection(inputs_BE), states)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cell": self.cell_name,
            "units": self.units,
            "reverse": self.reverse,
        }
