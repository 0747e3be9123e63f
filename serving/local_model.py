"""A pushed model in this process: what a server would answer, without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..models import features
from .graph_errors import said_of_graph
from .server.version_folder import SAVED_MODEL, versions_in
from .told import Assessed, Forced, confidences_of, forced_of


class Hypothesis(NamedTuple):
    """One answer."""

    text: str
    score: float  # what ranks
    log_prob: float  # the model's own


class ExplainedHypothesis(NamedTuple):
    """One answer and where the model looked while it wrote it."""

    text: str
    score: float
    log_prob: float
    target_tokens: list[str]  # T pieces, EOS last
    attention: np.ndarray  # [T, S], rows sum to 1; all 0 for a model without attention


class Explanation(NamedTuple):
    """The answers to one source, best first."""

    source_tokens: list[str]  # S pieces, EOS last
    hypotheses: list[ExplainedHypothesis]


class ModelError(Exception):
    """A model cannot be found, loaded, or asked for so much."""


def newest_model(root: Path) -> Path:
    """The newest pushed version below a folder.

    Args:
      root: an output folder, or a folder of output folders.

    Raises:
      ModelError: there is none.
    """
    versions = [
        base / str(version)
        for pattern in ("serving/*", "*/serving/*")
        for base in root.glob(pattern)
        for version in versions_in(base)[:1]
    ]
    if not versions:
        raise ModelError(
            f"expected a pushed model below {root.absolute()}, found none; "
            "`seq2seq run` makes one, --model names another"
        )
    return max(versions, key=lambda path: int(path.name))


def hypotheses_of(
    outputs: Mapping[str, np.ndarray], rows: int, nbest: int
) -> list[list[Hypothesis]]:
    """What a signature answered, without the places that search left empty.

    Args:
      outputs: text (bytes), score and log-probability, each [N] or [N, K].
      rows: N.
      nbest: how many hypotheses at most, no more than K.
    """
    columns = [
        outputs[name].reshape(rows, -1)[:, :nbest].tolist()
        for name in (features.TEXT, features.SCORE, features.LOG_PROB)
    ]
    lowest = float(np.finfo(np.float32).min)
    return [
        [
            Hypothesis(text.decode(), score, log_prob)
            for text, score, log_prob in zip(*row, strict=True)
            if score > lowest
        ]
        for row in zip(*columns, strict=True)
    ]


def explanation_of(row: Mapping[str, np.ndarray], nbest: int) -> Explanation:
    """What `explain` answered to one source, with nothing of the padding.

    Args:
      row: its outputs, without the axis of sources.
      nbest: how many hypotheses at most, no more than K.
    """
    lowest = float(np.finfo(np.float32).min)
    read = int(row[features.SOURCE_LENGTH])
    hypotheses = []
    for place in range(nbest):
        score = float(row[features.SCORE][place])
        if score > lowest:
            written = int(row[features.TARGET_LENGTH][place])
            tokens = row[features.TARGET_TOKENS][place, :written]
            hypotheses.append(
                ExplainedHypothesis(
                    row[features.TEXT][place].decode(),
                    score,
                    float(row[features.LOG_PROB][place]),
                    [token.decode() for token in tokens],
                    row[features.ATTENTION][place, :written, :read],
                )
            )
    tokens = row[features.SOURCE_TOKENS][:read]
    return Explanation([token.decode() for token in tokens], hypotheses)


def check_nbest(nbest: int, most: int | None = None) -> None:
    """Makes sure that so many hypotheses can be asked for.

    Args:
      nbest: how many.
      most: that the export gives; None where that is not known yet.

    Raises:
      ModelError: they cannot.
    """
    if nbest < 1:
        raise ModelError(f"expected at least one hypothesis, received nbest = {nbest}")
    if most is not None and nbest > most:
        raise ModelError(
            f"expected at most {most} hypotheses, which this model was exported "
            f"with (search.beam_size), received {nbest}"
        )


def most_of(directory: Path) -> int:
    """How many hypotheses an export gives at most; told without loading it.

    Args:
      directory: of the SavedModel.

    Raises:
      ModelError: it is not a model of this project, or is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = directory / SAVED_MODEL
    if not path.is_file():
        raise ModelError(f"expected a SavedModel at {directory}, found no {SAVED_MODEL}")
    try:
        graphs = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs
    except (OSError, DecodeError) as error:
        raise ModelError(f"{directory} cannot be loaded: {error}") from error
    known = graphs[0].signature_def if graphs else {}
    sizes = []
    if features.NBEST_SIGNATURE in known:
        sizes = [*known[features.NBEST_SIGNATURE].outputs[features.TEXT].tensor_shape.dim]
    if len(sizes) != 2:  # sources, hypotheses
        found = sorted(name for name in known if not name.startswith("__"))  # the loader's own
        raise ModelError(
            f"expected a signature '{features.NBEST_SIGNATURE}' in {directory}, found {found}"
        )
    return int(sizes[1].size)


class LocalModel:
    """A SavedModel, loaded with tensorflow and tensorflow_text alone.

    Args:
      directory: of the SavedModel.

    Raises:
      ModelError: it is not a model of this project, or is damaged.
    """

    def __init__(self, directory: Path):
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  registers the ops that the graph holds

        self._tf = tf
        self.most = most_of(directory)
        try:
            self._model = tf.saved_model.load(str(directory))
        # Whatever a damaged file makes the loader raise, it is the model that cannot be used.
        except Exception as error:
            raise ModelError(f"{directory} cannot be loaded: {error}") from error

    def predict(self, sources: Sequence[str], nbest: int = 1) -> list[list[Hypothesis]]:
        """Answers each source with its best hypotheses, best first.

        Args:
          sources: texts.
          nbest: how many hypotheses, at most `most`. Where search found fewer,
            fewer come.

        Raises:
          ModelError: more were asked for than the export gives.
        """
        if not sources:
            return []
        self._check(nbest)
        signature = features.SERVING_SIGNATURE if nbest == 1 else features.NBEST_SIGNATURE
        return hypotheses_of(self._answer(signature, sources), len(sources), nbest)

    def explain(self, sources: Sequence[str], nbest: int = 1) -> list[Explanation]:
        """Answers as `predict` does, with the tokens of both sides and the attention.

        Args:
          sources: texts.
          nbest: how many hypotheses, at most `most`. Where search found fewer,
            fewer come.

        Raises:
          ModelError: the model was exported without this, or more were asked for
            than the export gives.
        """
        self._needs(features.EXPLAIN_SIGNATURE)
        if not sources:
            return []
        self._check(nbest)
        outputs = self._answer(features.EXPLAIN_SIGNATURE, sources)
        return [
            explanation_of({name: values[row] for name, values in outputs.items()}, nbest)
            for row in range(len(sources))
        ]

    def has(self, signature: str) -> bool:
        """Whether the model was exported with a signature: earlier versions had fewer."""
        return signature in self._model.signatures

    def assess(self, sources: Sequence[str]) -> list[Assessed]:
        """Answers each source, and tells how sure the model may be of it.

        Args:
          sources: texts.

        Raises:
          ModelError: the model was exported without this.
        """
        self._needs(features.CONFIDENCE_SIGNATURE)
        if not sources:
            return []
        outputs = self._answer(features.CONFIDENCE_SIGNATURE, sources)
        best = [found[0] for found in hypotheses_of(outputs, len(sources), 1)]
        told = confidences_of(outputs)
        return [Assessed(*one, confidence) for one, confidence in zip(best, told, strict=True)]

    def force(self, sources: Sequence[str], references: Sequence[str]) -> list[Forced]:
        """Scores a given target of each source by teacher forcing.

        Args:
          sources: texts.
          references: as many.

        Raises:
          ModelError: the model was exported without this.
        """
        self._needs(features.TEACHER_FORCING_SIGNATURE)
        if not sources:
            return []
        outputs = self._answer(
            features.TEACHER_FORCING_SIGNATURE, sources, {features.REFERENCE: references}
        )
        return forced_of(outputs)

    def decode(self, source: str, options: Mapping[str, float | str]) -> list[Hypothesis]:
        """Answers a source with options of search.

        Args:
          source: a text.
          options: by the names of `decode_options.INPUTS`; the export's defaults for those
            left out.

        Raises:
          ModelError: the model was exported without this, or an option is refused.
        """
        outputs = self._requested(features.DECODE_SIGNATURE, source, options)
        return hypotheses_of(outputs, 1, outputs[features.TEXT].shape[1])[0]

    def explain_decode(self, source: str, options: Mapping[str, float | str]) -> Explanation:
        """Answers as `decode` does, with the tokens of both sides and the attention.

        Args:
          source: a text.
          options: as `decode` takes them.

        Raises:
          ModelError: the model was exported without this, or an option is refused.
        """
        outputs = self._requested(features.EXPLAIN_DECODE_SIGNATURE, source, options)
        row = {name: values[0] for name, values in outputs.items()}
        return explanation_of(row, len(row[features.SCORE]))

    def _requested(
        self, signature: str, source: str, options: Mapping[str, float | str]
    ) -> dict[str, np.ndarray]:
        from .decode_options import DEFAULT, FLOATS, INTEGERS, PREFIX

        self._needs(signature)
        known = {PREFIX, *INTEGERS, *FLOATS}
        if unknown := sorted(set(options) - known):
            raise ModelError(f"expected options of {sorted(known)}, received {unknown}")
        inputs = {features.TEXT: self._tf.constant([source])}
        inputs[PREFIX] = self._tf.constant([str(options.get(PREFIX, ""))])
        for names, kind in ((INTEGERS, self._tf.int32), (FLOATS, self._tf.float32)):
            for name in names:
                value: Any = options.get(name, DEFAULT)
                try:
                    number = index(value) if kind.is_integer else float(value)
                    if not kind.min <= number <= kind.max:  # TensorFlow would take what is left
                        raise OverflowError(number)
                except (TypeError, ValueError, OverflowError) as error:
                    raise ModelError(
                        f"{name}: expected a number of {kind.name}, received {value!r}"
                    ) from error
                inputs[name] = self._tf.constant([number], kind)
        try:
            outputs = self._model.signatures[signature](**inputs)
        except self._tf.errors.InvalidArgumentError as error:
            raise ModelError(said_of_graph(str(error))) from error
        return {name: values.numpy() for name, values in outputs.items()}

    def _check(self, nbest: int) -> None:
        check_nbest(nbest, self.most)

    def _needs(self, signature: str) -> None:
        if not self.has(signature):
            raise ModelError(
                f"expected a signature '{signature}' in this model, found "
                f"{sorted(self._model.signatures)}: an earlier version exported it, train it again"
            )

    def _answer(
        self,
        signature: str,
        sources: Sequence[str],
        more: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, np.ndarray]:
        inputs = {
            name: self._tf.constant(list(texts), self._tf.string, shape=[len(texts)])
            for name, texts in {features.TEXT: sources, **(more or {})}.items()
        }
        outputs = self._model.signatures[signature](**inputs)
        return {name: values.numpy() for name, values in outputs.items()}
