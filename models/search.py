"""Search: from a decoder's step to whole hypotheses, inside the graph.

Shape suffixes: B batch, W beam width, N hypotheses kept, L maximum length,
V target vocabulary.

A hypothesis ends with EOS, which counts in its length and its probability. At
the limit of its source nothing but EOS may follow, so every hypothesis is
complete. The limit is each source's own, so that an answer does not depend on
what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
from keras import ops
from pydantic import Field

from . import features
from .configuration import Section

IMPOSSIBLE = float(np.finfo(np.float32).min)  # a finite 'never': JSON has no infinity

Step = Callable[[Any, Any, Any], tuple[Any, Any, Any]]
"""(ids [B], state, memory) -> (logits [B, V], new state, attention [B, S])."""


class SearchConfig(Section):
    """The `search` section: how the exported model looks for its answer."""

    beam_size: Annotated[int, Field(ge=1, le=64)] = 4
    length_penalty: Annotated[float, Field(ge=0, le=5)] = 1.0
    # The longest answer: this many tokens, and no more than a multiple of the source's.
    max_length: Annotated[int, Field(ge=1)] = 128
    max_length_ratio: Annotated[float, Field(gt=0)] = 2.0


def length_limits(source_length_B: Any, config: SearchConfig) -> Any:
    """The longest hypothesis of each source, EOS included: int32 [B].

    min(max_length, ratio * |X| + 10), for even one token may mean a few words.
    """
    by_ratio_B = ops.cast(source_length_B, "float32") * config.max_length_ratio + 10.0
    return ops.cast(ops.minimum(by_ratio_B, float(config.max_length)), "int32")


class Hypotheses(NamedTuple):
    """Finished hypotheses of each source, best first.

    `ids` holds tokens, EOS, then PAD. A place that search left empty has the
    lowest finite float as score and log-probability, and PAD alone as ids.
    """

    ids_BNL: Any
    scores_BN: Any  # log-probability / length penalty: what ranks
    log_probs_BN: Any  # the model's own log-probability, EOS included


def length_penalty(length: Any, alpha: float) -> Any:
    """lp(Y) = ((5 + |Y|) / 6)^alpha: Wu et al. (2016), equation 14.

    Args:
      length: tokens, EOS included.
      alpha: 0 ranks by probability; larger values favour long hypotheses.
    """
    return ops.power((5.0 + ops.cast(length, "float32")) / 6.0, alpha)


def greedy_search(
    step: Step, state: Any, memory: Any, limits_B: Any, max_length: int, alpha: float = 0.0
) -> Hypotheses:
    """Takes the likeliest token at every step.

    Args:
      step: the decoder's step.
      state: the decoder's state before the first token, one row for each source.
      memory: the source as the step wants it.
      limits_B: the longest hypothesis of each source, EOS included.
      max_length: L, no less than any limit.
      alpha: the length penalty that `scores_BN` is reported with.

    Returns:
      One hypothesis for each source (N = 1).
    """
    batch_size, limits_B = _batch_size(state), ops.cast(limits_B, "int32")
    positions_L = ops.arange(max_length)

    def proceed(t: Any, ids_B: Any, done_B: Any, *_: Any) -> Any:
        return ops.logical_and(t < max_length, ops.logical_not(ops.all(done_B)))

    def advance(t: Any, ids_B: Any, done_B: Any, ids_BL: Any, log_prob_B: Any, state: Any) -> Any:
        logits_BV, state, _ = step(ids_B, state, memory)
        log_probs_BV = _allowed(ops.log_softmax(logits_BV, axis=-1), t + 1 >= limits_B)
        next_B = ops.cast(ops.argmax(log_probs_BV, axis=-1), "int32")
        gain_B = ops.max(log_probs_BV, axis=-1)
        next_B = ops.where(done_B, features.PAD, next_B)
        log_prob_B = ops.where(done_B, log_prob_B, log_prob_B + gain_B)
        ids_BL = ops.where(positions_L == t, next_B[:, None], ids_BL)
        done_B = ops.logical_or(done_B, next_B == features.EOS)
        return t + 1, next_B, done_B, ids_BL, log_prob_B, state

    _, _, _, ids_BL, log_prob_B, _ = ops.while_loop(
        proceed,
        advance,
        (
            ops.convert_to_tensor(0, "int32"),
            ops.full((batch_size,), features.BOS, "int32"),
            ops.zeros((batch_size,), "bool"),
            ops.full((batch_size, max_length), features.PAD, "int32"),
            ops.zeros((batch_size,), "float32"),
            state,
        ),
    )
    length_B = ops.sum(ops.cast(ids_BL != features.PAD, "int32"), axis=-1)
    score_B = log_prob_B / length_penalty(length_B, alpha)
    return Hypotheses(ids_BL[:, None], score_B[:, None], log_prob_B[:, None])


def beam_search(
    step: Step,
    state: Any,
    memory: Any,
    limits_B: Any,
    max_length: int,
    beam_size: int,
    n_best: int,
    alpha: float = 0.0,
) -> Hypotheses:
    """Keeps the W likeliest prefixes at every step.

    A prefix that takes EOS leaves the beam for the pool of the n best finished
    hypotheses and its place stays empty, as in GNMT. A source is done when its
    beam is empty or when no living prefix can still beat the worst of a full
    pool: its log-probability only falls, so divided by the penalty of the
    longest possible hypothesis it bounds every score it can reach.

    Args:
      step: the decoder's step; it is called with B*W rows.
      state: the decoder's state before the first token, one row for each source.
      memory: the source as the step wants it, likewise.
      limits_B: the longest hypothesis of each source, EOS included.
      max_length: L, no less than any limit.
      beam_size: W.
      n_best: N, how many hypotheses to find; fewer are found sooner.
      alpha: see `length_penalty`.

    Returns:
      N hypotheses for each source, best first.
    """
    width, batch_size, limits_B = beam_size, _batch_size(state), ops.cast(limits_B, "int32")
    memory_of_each, state = keras.tree.map_structure(
        lambda x: ops.repeat(x, width, axis=0), (memory, state)
    )
    positions_L = ops.arange(max_length)
    longest_penalty_B = length_penalty(limits_B, alpha)
    limits_of_each = ops.repeat(limits_B, width, axis=0)

    def rows(tensor: Any) -> Any:
        """[B, W, ...] -> [B*W, ...]."""
        return ops.reshape(tensor, (-1, *tensor.shape[2:]))

    def gather(tensor_BWX: Any, index_BW: Any) -> Any:
        index = index_BW
        for _ in tensor_BWX.shape[2:]:
            index = index[..., None]
        return ops.take_along_axis(tensor_BWX, index, axis=1)

    def proceed(t: Any, prefixes_BWL: Any, alive_BW: Any, state: Any, pool: Hypotheses) -> Any:
        best_alive_B = ops.max(alive_BW, axis=1) / longest_penalty_B
        done_B = best_alive_B <= ops.min(pool.scores_BN, axis=1)
        return ops.logical_and(t < max_length, ops.logical_not(ops.all(done_B)))

    def advance(t: Any, prefixes_BWL: Any, alive_BW: Any, state: Any, pool: Hypotheses) -> Any:
        last_BW = ops.where(
            t == 0, features.BOS, ops.take(prefixes_BWL, ops.maximum(t - 1, 0), axis=2)
        )
        logits, state, _ = step(rows(last_BW), state, memory_of_each)
        log_probs = _allowed(ops.log_softmax(logits, axis=-1), t + 1 >= limits_of_each)
        vocabulary = log_probs.shape[-1]
        total_BWV = ops.maximum(
            alive_BW[..., None] + ops.reshape(log_probs, (-1, width, vocabulary)), IMPOSSIBLE
        )
        total_BW, choice_BW = ops.top_k(ops.reshape(total_BWV, (-1, width * vocabulary)), width)
        parent_BW, token_BW = choice_BW // vocabulary, choice_BW % vocabulary

        prefixes_BWL = gather(prefixes_BWL, parent_BW)
        prefixes_BWL = ops.where(positions_L == t, token_BW[..., None], prefixes_BWL)
        flat_parent = ops.reshape(
            parent_BW + width * ops.arange(batch_size, dtype="int32")[:, None], (-1,)
        )
        state = keras.tree.map_structure(lambda x: ops.take(x, flat_parent, axis=0), state)

        ended_BW = ops.logical_and(token_BW == features.EOS, total_BW > IMPOSSIBLE)
        score_BW = ops.where(ended_BW, total_BW / length_penalty(t + 1, alpha), IMPOSSIBLE)
        pool = _best(
            n_best,
            ops.concatenate([pool.ids_BNL, prefixes_BWL], axis=1),
            ops.concatenate([pool.scores_BN, score_BW], axis=1),
            ops.concatenate([pool.log_probs_BN, total_BW], axis=1),
            gather,
        )
        alive_BW = ops.where(token_BW == features.EOS, IMPOSSIBLE, total_BW)
        return t + 1, prefixes_BWL, alive_BW, state, pool

    # All places but the first start empty, or the beam would fill with copies.
    alive_W = np.full((1, width), IMPOSSIBLE, "float32")
    alive_W[0, 0] = 0.0
    alive_BW = ops.tile(ops.convert_to_tensor(alive_W), (batch_size, 1))
    pool = Hypotheses(
        ops.full((batch_size, n_best, max_length), features.PAD, "int32"),
        ops.full((batch_size, n_best), IMPOSSIBLE, "float32"),
        ops.full((batch_size, n_best), IMPOSSIBLE, "float32"),
    )
    prefixes_BWL = ops.full((batch_size, width, max_length), features.PAD, "int32")
    *_, pool = ops.while_loop(
        proceed,
        advance,
        (ops.convert_to_tensor(0, "int32"), prefixes_BWL, alive_BW, state, pool),
    )
    empty_BN = pool.scores_BN == IMPOSSIBLE
    return Hypotheses(
        ops.where(empty_BN[..., None], features.PAD, pool.ids_BNL),
        pool.scores_BN,
        ops.where(empty_BN, IMPOSSIBLE, pool.log_probs_BN),
    )


def search(
    step: Step, state: Any, memory: Any, limits_B: Any, config: SearchConfig, n_best: int = 1
) -> Hypotheses:
    """Runs the search that the configuration asks for.

    Args:
      step: the decoder's step.
      state: the decoder's state before the first token.
      memory: the source as the step wants it.
      limits_B: of `length_limits`.
      config: the `search` section.
      n_best: how many hypotheses to find, at most `config.beam_size`.
    """
    common = (step, state, memory, limits_B, config.max_length)
    if config.beam_size == 1:
        return greedy_search(*common, config.length_penalty)
    return beam_search(*common, config.beam_size, n_best, config.length_penalty)


def _batch_size(state: Any) -> Any:
    return ops.shape(keras.tree.flatten(state)[0])[0]


def _allowed(log_probs_XV: Any, last_X: Any) -> Any:
    """Rules out PAD and BOS, and everything but EOS in the last place."""
    vocabulary_V = ops.arange(log_probs_XV.shape[-1])
    never_V = ops.logical_or(vocabulary_V == features.PAD, vocabulary_V == features.BOS)
    not_end_V = vocabulary_V != features.EOS
    never_XV = ops.logical_or(never_V, ops.logical_and(last_X[:, None], not_end_V))
    return ops.where(never_XV, IMPOSSIBLE, ops.cast(log_probs_XV, "float32"))


def _best(
    n_best: int, ids_BXL: Any, scores_BX: Any, log_probs_BX: Any, gather: Callable[[Any, Any], Any]
) -> Hypotheses:
    """The N best of X hypotheses, best first."""
    scores_BN, index_BN = ops.top_k(scores_BX, n_best)
    return Hypotheses(gather(ids_BXL, index_BN), scores_BN, gather(log_probs_BX, index_BN))
