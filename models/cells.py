"""Recurrent cells and the layer that runs one over a sequence.

Shape suffixes: B batch, T time, E input features, H hidden units, G gate
features (H for a simple RNN, 3H for a GRU, 4H for an LSTM).
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from .composite import Composite
from .projection import Projection
from .recurrence import recurrence

RecurrentInitializer = Literal["orthogonal", "orthogonal_gates"]


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class EachOrthogonal(keras.initializers.Initializer):
    """The matrices U of several gates side by side, each orthogonal by itself.

    Cut from one orthogonal matrix [H, G H] each would be weaker by the root of G, those
    of an LSTM half as strong.

    Args:
      gates: G.
    """

    def __init__(self, gates: int):
        self.gates = gates
        # Each has a seed of its own, which it keeps.
        self._each = [keras.initializers.Orthogonal() for _ in range(gates)]

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        rows, columns = shape
        one = (rows, columns // self.gates)
        return ops.concatenate([each(one, dtype) for each in self._each], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {"gates": self.gates}


class Cell(keras.layers.Layer):
    """One step of a recurrence, given its input already projected.

    The product W x + b does not depend on the recurrence, so the caller makes
    it for all steps at once and the cell holds the recurrent weights U alone.
    The first state is the output h. U starts orthogonal: as one matrix for all gates or,
    by 'orthogonal_gates', as one for each. A step may be given a mask of h, which applies
    to what U is multiplied by and nowhere else: the variational dropout of Gal and
    Ghahramani (2016), who keep it for all steps of a sequence.

    Args:
      units: the hidden size H.
      recurrent_initializer: what U starts as.
    """

    GATES = 1  # G / H
    STATES = 1  # how many states [B, H] a step hands to the next
    KERNEL: str | None = None  # of a backend that runs it over time faster

    def __init__(
        self,
        units: int,
        recurrent_initializer: RecurrentInitializer = "orthogonal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.recurrent_initializer = units, recurrent_initializer

    def _start(self, gates: int) -> keras.initializers.Initializer:
        """What U starts as where so many gates share a matrix."""
        each = self.recurrent_initializer == "orthogonal_gates"
        return EachOrthogonal(gates) if each else keras.initializers.Orthogonal()

    @property
    def recurrent_weights(self) -> list[Any]:
        """U, in the order that the kernel takes."""
        return [ops.convert_to_tensor(weight) for weight in self.weights]

    @staticmethod
    def initial_bias(units: int, forget: float) -> keras.initializers.Initializer:
        """What b starts as; `forget` is that of an LSTM's forget gate."""
        return keras.initializers.Zeros()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "recurrent_initializer": self.recurrent_initializer,
        }


def _dropped(hidden_BH: Any, kept_BH: Any) -> Any:
    return hidden_BH if kept_BH is None else hidden_BH * kept_BH


class SimpleRNNCell(Cell):
    """h_t = phi(W x_t + U h_{t-1} + b): Elman (1990).

    Args:
      units: the hidden size H.
      activation: phi.
    """

    def __init__(self, units: int, *args: Any, activation: str = "tanh", **kwargs: Any):
        super().__init__(units, *args, **kwargs)
        self.activation = activation
        self._phi = keras.activations.get(activation)

    def build(self, *_: Any) -> None:
        # A ReLU keeps its past when it starts from the identity: Le et al. (2015).
        start = "identity" if self.activation == "relu" else "orthogonal"
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units), initializer=start, name="recurrent_kernel"
        )

    def call(self, projected_BG: Any, states: Any, kept_BH: Any = None) -> tuple[Any, list[Any]]:
        """Returns the output [B, H] and the new state (h,)."""
        before_BH = _dropped(states[0], kept_BH)
        hidden_BH = self._phi(projected_BG + ops.matmul(before_BH, self.recurrent_kernel))
        return hidden_BH, [hidden_BH]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": self.activation}


class GRUCell(Cell):
    """A gated recurrent unit: Cho et al. (2014), equations 5 to 8.

    r, z = sigmoid(W x + U h + b), g = tanh(W x + U (r * h) + b),
    h' = z * h + (1 - z) * g.
    """

    GATES = 3
    KERNEL = "gru"

    def build(self, *_: Any) -> None:
        self.gate_kernel = self.add_weight(
            shape=(self.units, 2 * self.units),
            initializer=self._start(2),
            name="gate_kernel",
        )
        self.candidate_kernel = self.add_weight(
            shape=(self.units, self.units), initializer="orthogonal", name="candidate_kernel"
        )

    def call(self, projected_BG: Any, states: Any, kept_BH: Any = None) -> tuple[Any, list[Any]]:
        """Returns the output [B, H] and the new state (h,)."""
        hidden_BH, before_BH = states[0], _dropped(states[0], kept_BH)
        gates_BG, candidate_BH = ops.split(projected_BG, [2 * self.units], axis=-1)
        gates_BG = ops.sigmoid(gates_BG + ops.matmul(before_BH, self.gate_kernel))
        r_BH, z_BH = ops.split(gates_BG, 2, axis=-1)
        candidate_BH = ops.tanh(candidate_BH + ops.matmul(r_BH * before_BH, self.candidate_kernel))
        hidden_BH = z_BH * hidden_BH + (1 - z_BH) * candidate_BH
        return hidden_BH, [hidden_BH]


class LSTMCell(Cell):
    """A long short-term memory: Hochreiter and Schmidhuber (1997).

    With the forget gate of Gers et al. (2000):
    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b),
    c' = f * c + i * g, h' = o * tanh(c').
    """

    GATES = 4
    STATES = 2
    KERNEL = "lstm"

    def build(self, *_: Any) -> None:
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.GATES * self.units),
            initializer=self._start(self.GATES),
            name="recurrent_kernel",
        )

    def call(self, projected_BG: Any, states: Any, kept_BH: Any = None) -> tuple[Any, list[Any]]:
        """Returns the output [B, H] and the new states (h, c), each [B, H]."""
        hidden_BH, memory_BH = states
        before_BH = _dropped(hidden_BH, kept_BH)
        gates_BG = projected_BG + ops.matmul(before_BH, self.recurrent_kernel)
        i_BH, f_BH, o_BH, g_BH = ops.split(gates_BG, self.GATES, axis=-1)
        memory_BH = ops.sigmoid(f_BH) * memory_BH + ops.sigmoid(i_BH) * ops.tanh(g_BH)
        hidden_BH = ops.sigmoid(o_BH) * ops.tanh(memory_BH)
        return hidden_BH, [hidden_BH, memory_BH]

    @staticmethod
    def initial_bias(units: int, forget: float) -> keras.initializers.Initializer:
        """A forget gate that starts open: Gers et al. (2000), Jozefowicz et al. (2015).

        At 1 it keeps sigmoid(1) = 0.73 of the memory a step, 0.04 over ten steps; at 2
        it keeps 0.88, and 0.28 over ten.
        """
        return _ForgetGateOpen(units, forget)


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class _ForgetGateOpen(keras.initializers.Initializer):
    """Zeros for the gates i, o, g and `forget` for f."""

    def __init__(self, units: int, forget: float):
        self.units, self.forget = units, forget

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        zeros = ops.zeros((self.units,), dtype)
        return ops.concatenate([zeros, zeros + self.forget, zeros, zeros])

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "forget": self.forget}


CELLS: dict[str, tuple[type[Cell], dict[str, Any]]] = {
    "rnn_tanh": (SimpleRNNCell, {"activation": "tanh"}),
    "rnn_relu": (SimpleRNNCell, {"activation": "relu"}),
    "gru": (GRUCell, {}),
    "lstm": (LSTMCell, {}),
}


class Recurrent(Composite):
    """A cell run over a sequence in one direction.

    Args:
      cell: one of `CELLS`.
      units: the hidden size H.
      reverse: read the sequence from its end.
      forget_bias: what the bias of an LSTM's forget gate starts as.
      recurrent_initializer: what U starts as: see `Cell`.
    """

    def __init__(
        self,
        cell: str,
        units: int,
        reverse: bool = False,
        forget_bias: float = 1.0,
        recurrent_initializer: RecurrentInitializer = "orthogonal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.cell_name, self.units, self.reverse = cell, units, reverse
        self.forget_bias, self.recurrent_initializer = forget_bias, recurrent_initializer
        cell_class, settings = CELLS[cell]
        self.cell = cell_class(
            units, recurrent_initializer, dtype=self.dtype_policy, name="cell", **settings
        )
        self.input_projection = Projection(
            cell_class.GATES * units,
            bias_initializer=cell_class.initial_bias(units, forget_bias),
            dtype=self.dtype_policy,
            name="input_projection",
        )

    def call(
        self,
        inputs_BTE: Any,
        mask_BT: Any = None,
        initial_state: Any = None,
        kept_BH: Any = None,
        training: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """Runs the cell over all steps.

        Args:
          inputs_BTE: the inputs.
          mask_BT: True where a position is real; None where all are. A masked
            position leaves the state as it was.
          initial_state: the cell's states, each [B, H]; zeros if None.
          kept_BH: the dropout of the state, the same at all steps; None for none.
          training: whether gradients will be asked for.

        Returns:
          The outputs [B, T, H] in the order of the inputs, and the last states.
        """
        if self.reverse:
            inputs_BTE = ops.flip(inputs_BTE, axis=1)
            mask_BT = None if mask_BT is None else ops.flip(mask_BT, axis=1)
        if initial_state is None:
            zeros_BH = ops.zeros((ops.shape(inputs_BTE)[0], self.units), self.compute_dtype)
            initial_state = [zeros_BH] * self.cell.STATES

        if not self.cell.built:
            self.cell.build()
        outputs_BTH, states = recurrence(
            self.cell,
            self.input_projection,
            inputs_BTE,
            initial_state,
            mask_BT,
            kept_BH,
            training,
        )
        return ops.flip(outputs_BTH, axis=1) if self.reverse else outputs_BTH, states

    def step(self, inputs_BE: Any, states: Any, kept_BH: Any = None) -> tuple[Any, list[Any]]:
        """Runs the cell for one step: output [B, H] and the new states."""
        return self.cell(self.input_projection(inputs_BE), states, kept_BH)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cell": self.cell_name,
            "units": self.units,
            "reverse": self.reverse,
            "forget_bias": self.forget_bias,
            "recurrent_initializer": self.recurrent_initializer,
        }
