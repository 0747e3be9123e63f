"""TokenizerTrainer: learns the SentencePiece models of both sides from the train split."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import sentencepiece
import tensorflow as tf
from pydantic import Field, model_validator
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils

from ..models import features
from ..models.configuration import Section
from ..serving.tokenizer import SOURCE_MODEL, TARGET_MODEL
from .artifacts import TokenizerModel
from .code_digest import code_digest
from .errors import PipelineError

Kind = Literal["character", "word", "unigram", "bpe"]
SENTENCEPIECE_TYPES = {"character": "char", "word": "word", "unigram": "unigram", "bpe": "bpe"}
UNKNOWN = "\u2585"  # SentencePiece's sign of its own: it learns from no sentence that has one
LONGEST_SENTENCE = 1 << 30  # bytes, the most that can be set: SentencePiece skips what is longer


class SideConfig(Section):
    """How one side is cut into tokens."""

    kind: Kind = "unigram"
    # At most as many; None keeps every character or word there is.
    vocabulary_size: Annotated[int, Field(ge=8)] | None = None
    # NFKC makes one character of many that mean the same, such as full and half width,
    # and the zero-width ones of some scripts white space; an answer has none of them then.
    normalization: Literal["nfkc", "none"] = "nfkc"

    @model_validator(mode="after")
    def _subwords_need_a_size(self) -> SideConfig:
        if self.kind in ("unigram", "bpe") and self.vocabulary_size is None:
            raise ValueError(f"expected vocabulary_size for kind '{self.kind}', received none")
        return self


class TokenizerConfig(Section):
    """The `tokenizer` section: each side its own, or one of both."""

    source: SideConfig = SideConfig(vocabulary_size=8000)
    target: SideConfig = SideConfig(vocabulary_size=8000)
    shared: bool = False  # learn one tokenizer, of `source`'s kind, from both sides
    lowercase: bool = False
    max_sentences: Annotated[int, Field(ge=1)] = 1_000_000

    @model_validator(mode="after")
    def _shared_sides_agree(self) -> TokenizerConfig:
        if self.shared and self.source != self.target:
            raise ValueError("expected source and target to be equal when shared is true")
        return self

    @model_validator(mode="after")
    def _case_is_folded_by_nfkc(self) -> TokenizerConfig:
        if self.lowercase and "none" in (self.source.normalization, self.target.normalization):
            raise ValueError(
                "expected normalization: nfkc on both sides when lowercase is true, received none"
            )
        return self


class TokenizerTrainerSpec(ComponentSpec):
    """Examples in, tokenizer models out."""

    PARAMETERS = {
        "tokenizer_config": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"tokenizer": ChannelParameter(type=TokenizerModel)}


def train_tokenizer(sentences: Iterator[str], side: SideConfig, lowercase: bool) -> bytes:
    """Learns a SentencePiece model (Kudo and Richardson, 2018).

    The special ids are those of `features`. How text is normalized is a part of the model,
    so that training and the served graph do it alike.

    Args:
      sentences: the text to learn from.
      side: kind, size and normalization.
      lowercase: fold letter case, in what is read and what is answered.

    Returns:
      The serialized model.

    Raises:
      PipelineError: the text does not allow such a model.
    """
    model = io.BytesIO()
    everything = side.vocabulary_size is None
    pieces = {} if everything else {"vocab_size": side.vocabulary_size}
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(sentence.replace(UNKNOWN, " ") for sentence in sentences),
            model_writer=model,
            model_type=SENTENCEPIECE_TYPES[side.kind],
            use_all_vocab=everything,
            hard_vocab_limit=False,
            character_coverage=1.0,
            # Between characters there is nothing to mark; before words there is.
            add_dummy_prefix=side.kind != "character",
            normalization_rule_name=_rule(side, lowercase),
            max_sentence_length=LONGEST_SENTENCE,
            pad_id=features.PAD,
            bos_id=features.BOS,
            eos_id=features.EOS,
            unk_id=features.UNK,
            num_threads=1,  # the order of additions is part of the result
            minloglevel=1,
            **pieces,
        )
        vocabulary(model.getvalue())  # a model may have a word that none of its readers take
    except (RuntimeError, OSError) as error:
        raise PipelineError(
            f"tokenizer: SentencePiece cannot learn a '{side.kind}' vocabulary of "
            f"{side.vocabulary_size or 'any'} tokens from this text: {error}. "
            "Mend tokenizer.source or tokenizer.target, or give more text."
        ) from error
    return model.getvalue()


def _rule(side: SideConfig, lowercase: bool) -> str:
    """SentencePiece's name of a normalization."""
    if side.normalization == "none":
        return "identity"
    return "nmt_nfkc_cf" if lowercase else "nmt_nfkc"


class Executor(base_executor.BaseExecutor):
    """Runs the learning."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the models and, for people, their vocabularies."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = TokenizerConfig.model_validate_json(exec_properties["tokenizer_config"])
        uri = artifact_utils.get_split_uri(input_dict["examples"], features.TRAIN)
        files = fileio.glob(io_utils.all_files_pattern(uri))
        folder = artifact_utils.get_single_uri(output_dict["tokenizer"])

        def learn(side: SideConfig, *names: str) -> bytes:
            sentences = read_texts(files, names, config.max_sentences)
            return train_tokenizer(sentences, side, config.lowercase)

        if config.shared:
            source = target = learn(config.source, features.SOURCE, features.TARGET)
        else:
            source = learn(config.source, features.SOURCE)
            target = learn(config.target, features.TARGET)
        for name, model in ((SOURCE_MODEL, source), (TARGET_MODEL, target)):
            with fileio.open(os.path.join(folder, name), "wb") as file:
                file.write(model)
            with fileio.open(os.path.join(folder, f"{name}.vocabulary.txt"), "w") as file:
                file.write("\n".join(vocabulary(model)) + "\n")


def vocabulary(model: bytes) -> list[str]:
    """The tokens of a SentencePiece model in the order of their ids."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())]


def read_texts(files: list[str], names: tuple[str, ...], limit: int) -> Iterator[str]:
    """Yields the text of some features of gzipped TFRecords of Examples, in order."""
    one = tf.io.FixedLenFeature([], tf.string)
    several = tf.io.VarLenFeature(tf.string)
    spec = {name: several if name == features.REFERENCES else one for name in names}
    dataset = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").take(limit)
    for batch in dataset.batch(4096).as_numpy_iterator():
        parsed = tf.io.parse_example(batch, spec)
        for name in names:
            texts = parsed[name]
            for text in (texts.values if name == features.REFERENCES else texts).numpy():
                yield text.decode()


class TokenizerTrainer(base_component.BaseComponent):
    """Learns the tokenizers.

    Args:
      examples: of `PairExampleGen`; only the train split is read.
      config: the `tokenizer` section.
    """

    SPEC_CLASS = TokenizerTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel, config: TokenizerConfig):
        super().__init__(
            spec=TokenizerTrainerSpec(
                examples=examples,
                tokenizer_config=config.model_dump_json(),
                code_digest=code_digest(__name__),
                tokenizer=types.Channel(type=TokenizerModel),
            )
        )
