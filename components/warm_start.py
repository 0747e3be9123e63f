"""Warm start: a new model begins with what an exported one has learned."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import sentencepiece

from ..models import features
from ..models.model_config import ModelConfig
from ..models.seq2seq import Seq2Seq
from ..serving.export_record import ExportRecord, read_record, weight_paths
from .errors import PipelineError


class WarmStart(NamedTuple):
    """What was taken over."""

    weights: int  # tensors
    source_tokens: int  # of the new vocabulary that the old one had
    target_tokens: int


def warm_start(
    model: Seq2Seq, directory: str, source_model: bytes, target_model: bytes
) -> WarmStart:
    """Gives a model the weights of an exported one.

    Vocabularies may differ: a token that both have keeps its embedding and its
    output weights, wherever it stands, and a new one keeps its random start.

    Args:
      model: built, of the same architecture and size as the exported one.
      directory: of the exported SavedModel.
      source_model: the SentencePiece model of the new source vocabulary.
      target_model: that of the target's.

    Raises:
      PipelineError: there is no such export, or its architecture is another.
    """
    try:
        record = read_record(directory)
    except ValueError as error:
        raise PipelineError(f"training.warm_start: {error}") from error
    sides = {
        "source": _kept(record.source_model, source_model),
        "target": _kept(record.target_model, target_model),
    }
    variables = dict(zip(weight_paths(model.weights), model.weights, strict=True))
    _check_same_parts(record, variables)
    _check_same_use(ModelConfig(**record.settings), ModelConfig(**model.settings))
    for path, variable in variables.items():
        old, new = record.weights[path], np.array(keras.ops.convert_to_numpy(variable))
        found = _vocabulary_axis(path)
        if found is None:
            if old.shape != new.shape:
                raise _differs(f"{path} was {old.shape} and is {new.shape}")
            variable.assign(old)
            continue
        side, axis = found
        new_ids, old_ids = sides[side]
        if np.delete(old.shape, axis).tolist() != np.delete(new.shape, axis).tolist():
            raise _differs(f"{path} was {old.shape} and is {new.shape}")
        # A view with the vocabulary first.
        np.moveaxis(new, axis, 0)[new_ids] = np.moveaxis(old, axis, 0)[old_ids]
        variable.assign(new)
    return WarmStart(len(variables), *(len(sides[side][0]) for side in ("source", "target")))


def _vocabulary_axis(path: str) -> tuple[str, int] | None:
    """Whose vocabulary a weight has along which axis."""
    if path.endswith("embedding/embeddings"):
        # One matrix for both sides stands in neither of them, and has one vocabulary.
        return ("target" if path.startswith("decoder/") else "source"), 0
    for ending, axis in (("readout/output/kernel", 1), ("readout/output/bias", 0)):
        if path.endswith(ending):
            return "target", axis
    return None


def _kept(old_model: bytes, new_model: bytes) -> tuple[list[int], list[int]]:
    """The ids of the tokens that both vocabularies have: in the new one, in the old one."""
    old, new = (_pieces(model) for model in (old_model, new_model))
    places = {piece: i for i, piece in enumerate(old)}
    pairs = [(i, places[piece]) for i, piece in enumerate(new) if piece in places]
    # Special ids mean the same in every vocabulary, whatever their pieces are called.
    special = range(len(features.SPECIAL_TOKENS))
    pairs = [(i, i) for i in special] + [pair for pair in pairs if min(pair) >= len(special)]
    return [new_id for new_id, _ in pairs], [old_id for _, old_id in pairs]


def _pieces(model: bytes) -> list[str]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def _check_same_parts(record: ExportRecord, variables: dict[str, Any]) -> None:
    if record.weights.keys() != variables.keys():
        missing = sorted(variables.keys() - record.weights.keys())[:3]
        extra = sorted(record.weights.keys() - variables.keys())[:3]
        raise _differs(f"it lacks {missing or 'nothing'} and has {extra or 'nothing'} besides")


def _check_same_use(old: ModelConfig, new: ModelConfig) -> None:
    """Weights of the same shapes may mean another thing, as those of another cell or score do."""
    was, now = _matters(old), _matters(new)
    if keys := [key for key in {**was, **now} if was.get(key) != now.get(key)]:
        told = (f"{key} was {was.get(key)!r} and is {now.get(key)!r}" for key in keys)
        raise _differs(", ".join(told))


def _matters(config: ModelConfig) -> dict[str, Any]:
    """What decides what a network does with its weights, beside their shapes."""
    kinds = config.encoder, config.decoder
    unused = {"preset", "size", "dropout", "variational_dropout"}
    unused |= {"forget_bias", "recurrent_initializer"}  # what weights start as
    if "transformer" not in kinds:
        unused.add("norm")
    if "recurrent" not in kinds:
        unused.add("cell")
    if config.encoder != "recurrent":
        unused.add("bidirectional")
    if config.decoder != "recurrent" or config.attention == "none":
        unused |= {"attention_query", "attention_layer"}
    layers = config.size.encoder_layers, config.size.decoder_layers
    if (config.residual_from or 0) > max(layers):
        unused.add("residual_from")
    found = config.model_dump(exclude=unused)
    if "transformer" in kinds or config.attention == "multi_head":
        found["size.heads"] = config.size.heads
    return found


def _differs(how: str) -> PipelineError:
    return PipelineError(
        "training.warm_start: expected a model of the same `model` section, and the "
        f"exported one differs: {how}. Train from nothing (warm_start: null) or keep the "
        "architecture."
    )
