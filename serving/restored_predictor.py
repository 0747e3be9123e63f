"""A predictor from an export and the settings that it was made with."""

from __future__ import annotations

from typing import Literal

from ..models.model_config import ModelConfig
from ..models.search_options import SearchConfig
from ..models.seq2seq import Seq2Seq, build_seq2seq
from .compact_weights import CompactWeights
from .compiled_predictor import CompiledPredictor
from .export_record import read_record, weight_paths
from .predictor import Predictor
from .tokenizer import Tokenizer

Form = Literal["float16", "int8", "xla"]


def restored_network(directory: str) -> tuple[Seq2Seq, Tokenizer, Tokenizer]:
    """The network of an export, and the tokenizers of source and target.

    Args:
      directory: of the SavedModel.

    Raises:
      ValueError: it is not an export of this project, or a file of it is damaged.
    """
    record = read_record(directory)
    source, target = Tokenizer(record.source_model), Tokenizer(record.target_model)
    network = build_seq2seq(
        ModelConfig(**record.settings), source.vocabulary_size, target.vocabulary_size
    )
    for path, variable in zip(weight_paths(network.weights), network.weights, strict=True):
        variable.assign(record.weights[path])
    return network, source, target


def variant_of(directory: str, kind: Form, search: SearchConfig, most: int) -> Predictor:
    """The same model, ready to be exported in another form.

    Args:
      directory: of the SavedModel.
      kind: `float16`, `int8` or `xla`.
      search: as the export has it.
      most: tokens of a source that are read.

    Raises:
      ValueError: it is not an export of this project, or a file of it is damaged.
    """
    network, source, target = restored_network(directory)
    if kind == "xla":
        return CompiledPredictor(network, source, target, search, most)
    compact = CompactWeights(network.weights, kind)
    return Predictor(network, source, target, search, most, compact)
