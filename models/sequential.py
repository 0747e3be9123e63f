"""A recurrent decoder over a whole target, where a step needs the attention of the one before.

Shape suffixes: B batch, T target time, E embedding features, H hidden units,
G gate features, X and Z what a layer reads in a step.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .attention import AdditiveAttention
from .scan import scan


def one_by_one(
    decoder: Any, embedded_BTE: Any, state: Any, source: Any, training: bool | None
) -> tuple[Any, Any, Any]:
    """Runs `RecurrentDecoder.advance` over a whole target by teacher forcing.

    Args:
      decoder: a `RecurrentDecoder`.
      embedded_BTE: the tokens.
      state: before the first of them.
      source: of `RecurrentDecoder.begin`.
      training: whether dropout applies.

    Returns:
      What is read out [B, T, R], what the copy head knows, the attention [B, T, S].
    """
    if training and _has_kernel(decoder):
        return _by_kernel(decoder, embedded_BTE, state, source)
    return plain_one_by_one(decoder, embedded_BTE, state, source, training)


def plain_one_by_one(
    decoder: Any, embedded_BTE: Any, state: Any, source: Any, training: bool | None
) -> tuple[Any, Any, Any]:
    """As `one_by_one`, for every decoder and backend."""
    embedded_TBE = ops.transpose(embedded_BTE, (1, 0, 2))
    width = embedded_TBE.shape[-1]
    masks, kept = _dropout(decoder, embedded_TBE, state, source, training)
    projected_TBG: Any = ()
    if decoder.feeds:
        projected_TBG, project_fed = _project(decoder, embedded_TBE, masks, state, source)

    def advance(state: Any, inputs: Any) -> Any:
        embedded_BE, masks, projected_BG = inputs

        def step(i: int, inputs_BX: Any) -> tuple[Any, list[Any]]:
            if i == 0 and decoder.feeds:
                projected = projected_BG + project_fed(inputs_BX[:, width:])
                return decoder.layers[0].cell(projected, state.layers[0], kept[0])
            return decoder.layers[i].step(inputs_BX, state.layers[i], kept[i])

        read, known, weights, state = decoder.advance(
            embedded_BE,
            state,
            source,
            step,
            lambda i, inputs: inputs * masks[i][:, None] if masks else inputs,
        )
        return state, keras.tree.map_structure(lambda x: x[:, 0], (read, known, weights))

    _, outputs = scan(advance, state, (embedded_TBE, masks, projected_TBG))
    return keras.tree.map_structure(lambda x: ops.transpose(x, (1, 0, 2)), outputs)


def _has_kernel(decoder: Any) -> bool:
    """Whether the decoder is one of `sequential_tensorflow`, its weights made."""
    return (
        keras.backend.backend() == "tensorflow"
        and decoder.compute_dtype == "float32"
        and decoder.layers[0].cell_name == "lstm"
        and isinstance(decoder.attention, AdditiveAttention)
        and decoder.feeds
        and not (decoder.asks_before or decoder.coverage or decoder.copy_head)
        and not decoder.residual_from
        and decoder.asker == len(decoder.layers) - 1
        and decoder.readout.kind == "attentional"
        and decoder.readout.combination.built
    )


def _by_kernel(
    decoder: Any, embedded_BTE: Any, state: Any, source: Any
) -> tuple[Any, tuple[()], Any]:
    """As `one_by_one` in training, by TensorFlow's kernel."""
    from .sequential_tensorflow import FedWeights, fed_lstm

    embedded_TBE = ops.transpose(embedded_BTE, (1, 0, 2))
    width = embedded_TBE.shape[-1]
    masks, kept = _dropout(decoder, embedded_TBE, state, source, training=True)
    projected_TBG, _ = _project(decoder, embedded_TBE, masks, state, source)
    inputs = [ops.convert_to_tensor(layer.input_projection.kernel) for layer in decoder.layers]
    kernels_ZG = [
        ops.concatenate([kernel, *layer.cell.recurrent_weights], axis=0)
        for kernel, layer in zip([inputs[0][width:], *inputs[1:]], decoder.layers, strict=True)
    ]
    ask, attended = decoder.attention.query_projection, source.attended
    weights = FedWeights(
        kernels_ZG,
        [ops.convert_to_tensor(layer.input_projection.bias) for layer in decoder.layers[1:]],
        ops.convert_to_tensor(ask.kernel),
        ops.convert_to_tensor(ask.bias),
        ops.convert_to_tensor(decoder.attention.v),
        ops.convert_to_tensor(decoder.readout.combination.kernel),
    )
    kept_TBZ = []
    for i, mask_TBX in enumerate(masks):
        read_TBX = mask_TBX[..., width:] if i == 0 else mask_TBX
        shape = (*ops.shape(read_TBX)[:2], decoder.units)
        of_state = ops.ones(shape, read_TBX.dtype) if kept[i] is None else kept[i]
        kept_TBZ.append(ops.concatenate([read_TBX, ops.broadcast_to(of_state, shape)], axis=-1))
    read_TBR, weights_TBS = fed_lstm(
        projected_TBG,
        weights,
        [list(layer) for layer in state.layers],
        attended.keys_BSK,
        attended.values_BSM,
        attended.mask,
        kept_TBZ,
    )
    return ops.transpose(read_TBR, (1, 0, 2)), (), ops.transpose(weights_TBS, (1, 0, 2))


def _dropout(
    decoder: Any, embedded_TBE: Any, state: Any, source: Any, training: bool | None
) -> tuple[list[Any], list[Any]]:
    """What each layer's inputs [T, B, X] and state [B, H] are multiplied by.

    Drawn before the loop, for not every backend can draw inside of one.

    Returns:
      Of the inputs, empty for nothing, and of the states, None for nothing.
    """
    if not (training and decoder.dropout.rate):
        return [], [None] * len(decoder.layers)
    context = source.attended.values_BSM.shape[-1]
    width = embedded_TBE.shape[-1]
    if decoder.feeds:
        width += _fed_width(decoder, state, source)
    widths = [width]
    for i in range(1, len(decoder.layers)):
        widths.append(decoder.units + (context if i > decoder.asker else 0))
    steps, batch = ops.shape(embedded_TBE)[:2]
    masks = [decoder.dropout.masks(steps, batch, width, decoder.compute_dtype) for width in widths]
    return masks, [decoder.dropout.of_state(layer[0], training) for layer in state.layers]


def _project(
    decoder: Any, embedded_TBE: Any, masks: list[Any], state: Any, source: Any
) -> tuple[Any, Any]:
    """What the first layer reads of the tokens, which needs no step before: see `in_parts`."""
    width = embedded_TBE.shape[-1]
    kept_TBE = embedded_TBE * masks[0][..., :width] if masks else embedded_TBE
    return decoder.layers[0].input_projection.in_parts(
        kept_TBE, width + _fed_width(decoder, state, source)
    )


def _fed_width(decoder: Any, state: Any, source: Any) -> int:
    """The features of what is fed in beside the token."""
    fed = source.attended.values_BSM if decoder.asks_before else state.fed_BF
    return int(fed.shape[-1])
