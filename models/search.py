"""Search: from a decoder's step to whole hypotheses, inside the graph.

Shape suffixes: B batch, W beam width, N hypotheses kept, L maximum length,
V target vocabulary, S source time, X rows of any kind.

A hypothesis ends with EOS, which counts in its length and its probability. At
the limit of its source nothing but EOS may follow, so every hypothesis is
complete. All limits and options are each source's own, so that an answer does
not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from . import features
from .attended import Attended, nothing_attended, with_token
from .search_options import IMPOSSIBLE, Options, coverage_penalty, length_penalty

Step = Callable[[Any, Any, Any], tuple[Any, Any, Any]]
"""(ids [B], state, source) -> (logits [B, V], new state, attention [B, S])."""


class Hypotheses(NamedTuple):
    """Finished hypotheses of each source, best first.

    `ids` holds tokens, EOS, then PAD. A place that search left empty has the
    lowest finite float as score and log-probability, and PAD alone as ids.
    """

    ids_BNL: Any
    scores_BN: Any  # log-probability / length penalty + coverage penalty: what ranks
    log_probs_BN: Any  # the model's own log-probability, EOS included
    attended: Attended = Attended()  # filled where search was asked to watch


class Begun(NamedTuple):
    """A decoder before its first token, with one row for each source."""

    step: Step
    state: Any
    source: Any
    mask_BS: Any  # True where a source position is real


def greedy_search(
    begun: Begun, options: Options, max_length: int, covers: bool, watches: bool = False
) -> Hypotheses:
    """Takes the likeliest token at every step.

    Args:
      begun: the decoder.
      options: of each source; the beam size is not looked at.
      max_length: L, no less than any limit.
      covers: whether any source has a coverage penalty.
      watches: whether to tell where the hypotheses looked.

    Returns:
      One hypothesis for each source (N = 1).
    """

    def likeliest(t: Any, log_probs_XV: Any) -> Any:
        return ops.cast(ops.argmax(log_probs_XV, axis=-1), "int32")

    return _follow(begun, options, max_length, covers, 1, likeliest, watches)


def sample(
    begun: Begun,
    options: Options,
    max_length: int,
    covers: bool,
    uniforms_BNL: Any,
    watches: bool = False,
) -> Hypotheses:
    """Draws hypotheses token by token.

    The distribution is softmax(log P / temperature), cut to the `top_k` likeliest
    tokens (Fan et al., 2018, section 5.3) and to the fewest that hold `top_p` of
    it (Holtzman et al., 2020, section 3.1). Log-probabilities stay the model's own.

    Args:
      begun: the decoder.
      options: of each source; temperatures above 0.
      max_length: L, no less than any limit.
      covers: whether any source has a coverage penalty.
      uniforms_BNL: what decides each draw, in [0, 1).
      watches: whether to tell where the hypotheses looked.

    Returns:
      N hypotheses for each source, best first.
    """
    samples = uniforms_BNL.shape[1]
    temperature_X1, top_k_X1, top_p_X1 = (
        ops.repeat(x, samples, axis=0)[:, None]
        for x in (options.temperature_B, options.top_k_B, options.top_p_B)
    )
    # Over less every log-probability would be infinite, and one token as good as another.
    temperature_X1 = ops.maximum(temperature_X1, 1e-30)
    uniforms_XL = ops.reshape(uniforms_BNL, (-1, max_length))

    def drawn(t: Any, log_probs_XV: Any) -> Any:
        vocabulary = log_probs_XV.shape[-1]
        warmed_XV = ops.maximum(log_probs_XV / temperature_X1, IMPOSSIBLE)
        sorted_XV, ids_XV = ops.top_k(warmed_XV, vocabulary)
        probs_XV = ops.softmax(sorted_XV, axis=-1)
        before_XV = ops.cumsum(probs_XV, axis=-1) - probs_XV
        among_k_XV = ops.logical_or(top_k_X1 == 0, ops.arange(vocabulary) < top_k_X1)
        first_V = ops.arange(vocabulary) == 0  # is always in, whatever the rounding
        kept_XV = ops.logical_or(ops.logical_and(among_k_XV, before_XV < top_p_X1), first_V)
        summed_XV = ops.cumsum(ops.where(kept_XV, probs_XV, 0.0), axis=-1)
        threshold_X1 = ops.take(uniforms_XL, t, axis=1)[:, None] * summed_XV[:, -1:]
        place_X1 = ops.sum(ops.cast(summed_XV <= threshold_X1, "int32"), axis=-1, keepdims=True)
        place_X1 = ops.minimum(place_X1, vocabulary - 1)
        return ops.cast(ops.take_along_axis(ids_XV, place_X1, axis=1)[:, 0], "int32")

    return _follow(begun, options, max_length, covers, samples, drawn, watches)


def beam_search(
    begun: Begun,
    options: Options,
    max_length: int,
    covers: bool,
    beam_size: int,
    n_best: int,
    watches: bool = False,
) -> Hypotheses:
    """Keeps the likeliest prefixes at every step, up to each source's beam size.

    A prefix that takes EOS leaves the beam for the pool of the best finished
    hypotheses (Sutskever et al., 2014, section 3.2).
    A source is done when its beam is empty or when no living prefix can still
    beat the worst hypothesis that is wanted: its log-probability only falls, so
    divided by the penalty of the longest possible hypothesis it bounds every
    score that it can reach, and a coverage penalty only lowers that.

    Args:
      begun: the decoder; its step is called with B*W rows.
      options: of each source.
      max_length: L, no less than any limit.
      covers: whether any source has a coverage penalty.
      beam_size: W, the widest beam of the batch.
      n_best: N, the most hypotheses that any source wants.
      watches: whether to tell where the hypotheses looked.

    Returns:
      N hypotheses for each source, best first.
    """
    width, batch_size = beam_size, ops.shape(options.limits_B)[0]
    begun = _repeated(begun, width)
    rows_options = _repeated(options, width)
    positions_L = ops.arange(max_length)
    longest_penalty_B = length_penalty(options.limits_B, options.length_penalty_B)
    narrow_BW = ops.arange(width) >= options.beam_size_B[:, None]

    def rows(tensor: Any) -> Any:
        """[B, W, ...] -> [B*W, ...]."""
        return ops.reshape(tensor, (-1, *ops.shape(tensor)[2:]))

    def places(tensor: Any) -> Any:
        """[B*W, S] -> [B, W, S]."""
        return ops.reshape(tensor, (batch_size, width, ops.shape(tensor)[1]))

    def proceed(t: Any, prefixes: Any, alive_BW: Any, state: Any, paid: Any, pool: Any) -> Any:
        best_alive_B = ops.max(alive_BW, axis=1)
        worst_B = ops.take_along_axis(pool.scores_BN, options.hypotheses_B[:, None] - 1, axis=1)
        done_B = ops.logical_or(
            best_alive_B == IMPOSSIBLE, best_alive_B / longest_penalty_B <= worst_B[:, 0]
        )
        return ops.logical_and(t < max_length, ops.logical_not(ops.all(done_B)))

    def advance(t: Any, prefixes: Any, alive_BW: Any, state: Any, paid: Any, pool: Any) -> Any:
        last_BW = ops.where(t == 0, features.BOS, ops.take(prefixes, ops.maximum(t - 1, 0), axis=2))
        logits, state, weights = begun.step(rows(last_BW), state, begun.source)
        log_probs = _allowed(ops.log_softmax(logits, axis=-1), t, rows_options)
        vocabulary = log_probs.shape[-1]
        total_BWV = ops.maximum(
            alive_BW[..., None] + ops.reshape(log_probs, (-1, width, vocabulary)), IMPOSSIBLE
        )
        total_BW, choice_BW = ops.top_k(ops.reshape(total_BWV, (-1, width * vocabulary)), width)
        total_BW = ops.where(narrow_BW, IMPOSSIBLE, total_BW)
        parent_BW, token_BW = choice_BW // vocabulary, choice_BW % vocabulary

        prefixes = _gather(prefixes, parent_BW)
        prefixes = ops.where(positions_L == t, token_BW[..., None], prefixes)
        parent_X = rows(parent_BW + width * ops.arange(batch_size, dtype="int32")[:, None])
        paid = with_token(paid, weights)
        state, paid = keras.tree.map_structure(
            lambda x: ops.take(x, parent_X, axis=0), (state, paid)
        )

        ended_BW = ops.logical_and(token_BW == features.EOS, total_BW > IMPOSSIBLE)
        score_BW = total_BW / length_penalty(t + 1, options.length_penalty_B)[:, None]
        if covers:
            penalty_X = coverage_penalty(
                paid.all_BNS, begun.mask_BS, rows_options.coverage_penalty_B
            )
            score_BW = score_BW + ops.reshape(penalty_X, (-1, width))
        pool = _best(
            n_best,
            ops.concatenate([pool.ids_BNL, prefixes], axis=1),
            ops.concatenate([pool.scores_BN, ops.where(ended_BW, score_BW, IMPOSSIBLE)], axis=1),
            ops.concatenate([pool.log_probs_BN, total_BW], axis=1),
            keras.tree.map_structure(
                lambda best, living: ops.concatenate([best, places(living)], axis=1),
                pool.attended,
                paid if watches else Attended(),
            ),
        )
        alive_BW = ops.where(token_BW == features.EOS, IMPOSSIBLE, total_BW)
        return t + 1, prefixes, alive_BW, state, paid, pool

    # All places but the first start empty, or the beam would fill with copies.
    alive_W = np.full((1, width), IMPOSSIBLE, "float32")
    alive_W[0, 0] = 0.0
    *_, pool = ops.while_loop(
        proceed,
        advance,
        (
            ops.convert_to_tensor(0, "int32"),
            ops.full((batch_size, width, max_length), features.PAD, "int32"),
            ops.tile(ops.convert_to_tensor(alive_W), (batch_size, 1)),
            begun.state,
            nothing_attended(ops.shape(begun.mask_BS), covers, watches),
            Hypotheses(
                ops.full((batch_size, n_best, max_length), features.PAD, "int32"),
                ops.full((batch_size, n_best), IMPOSSIBLE, "float32"),
                ops.full((batch_size, n_best), IMPOSSIBLE, "float32"),
                nothing_attended(
                    (batch_size, n_best, ops.shape(begun.mask_BS)[1]), watches, watches
                ),
            ),
        ),
    )
    return without_places(pool, pool.scores_BN == IMPOSSIBLE)


def without_places(found: Hypotheses, empty_BN: Any) -> Hypotheses:
    """Empties the places where `empty_BN` is True."""
    return Hypotheses(
        ops.where(empty_BN[..., None], features.PAD, found.ids_BNL),
        ops.where(empty_BN, IMPOSSIBLE, found.scores_BN),
        ops.where(empty_BN, IMPOSSIBLE, found.log_probs_BN),
        keras.tree.map_structure(lambda x: ops.where(empty_BN[..., None], 0.0, x), found.attended),
    )


def _follow(
    begun: Begun,
    options: Options,
    max_length: int,
    covers: bool,
    samples: int,
    choose: Callable[[Any, Any], Any],
    watches: bool,
) -> Hypotheses:
    """Follows `samples` prefixes of each source, none of which looks at another.

    Args:
      begun: the decoder.
      options: of each source.
      max_length: L.
      covers: whether any source has a coverage penalty.
      samples: N.
      choose: (t, log-probabilities [X, V]) -> the next tokens, int32 [X].
      watches: whether to tell where the hypotheses looked.
    """
    begun, options = _repeated(begun, samples), _repeated(options, samples)
    count = ops.shape(options.limits_B)[0]
    positions_L = ops.arange(max_length)

    def proceed(t: Any, ids_X: Any, done_X: Any, *_: Any) -> Any:
        return ops.logical_and(t < max_length, ops.logical_not(ops.all(done_X)))

    def advance(
        t: Any, ids_X: Any, done_X: Any, ids_XL: Any, log_prob_X: Any, state: Any, paid: Any
    ) -> Any:
        logits_XV, state, weights_XS = begun.step(ids_X, state, begun.source)
        log_probs_XV = _allowed(ops.log_softmax(logits_XV, axis=-1), t, options)
        next_X = choose(t, log_probs_XV)
        gain_X = ops.take_along_axis(log_probs_XV, next_X[:, None], axis=1)[:, 0]
        next_X = ops.where(done_X, features.PAD, next_X)
        log_prob_X = ops.where(done_X, log_prob_X, log_prob_X + gain_X)
        paid = keras.tree.map_structure(
            lambda before, after: ops.where(done_X[:, None], before, after),
            paid,
            with_token(paid, weights_XS),
        )
        ids_XL = ops.where(positions_L == t, next_X[:, None], ids_XL)
        done_X = ops.logical_or(done_X, next_X == features.EOS)
        return t + 1, next_X, done_X, ids_XL, log_prob_X, state, paid

    *_, ids_XL, log_prob_X, _, paid = ops.while_loop(
        proceed,
        advance,
        (
            ops.convert_to_tensor(0, "int32"),
            ops.full((count,), features.BOS, "int32"),
            ops.zeros((count,), "bool"),
            ops.full((count, max_length), features.PAD, "int32"),
            ops.zeros((count,), "float32"),
            begun.state,
            nothing_attended(ops.shape(begun.mask_BS), covers, watches),
        ),
    )
    length_X = ops.sum(ops.cast(ids_XL != features.PAD, "int32"), axis=-1)
    score_X = log_prob_X / length_penalty(length_X, options.length_penalty_B)
    if covers:
        score_X = score_X + coverage_penalty(
            paid.all_BNS, begun.mask_BS, options.coverage_penalty_B
        )
    return _best(
        samples,
        ops.reshape(ids_XL, (-1, samples, max_length)),
        ops.reshape(score_X, (-1, samples)),
        ops.reshape(log_prob_X, (-1, samples)),
        keras.tree.map_structure(
            lambda x: ops.reshape(x, (-1, samples, ops.shape(x)[1])),
            paid if watches else Attended(),
        ),
    )


def _repeated(record: Any, times: int) -> Any:
    """`Begun` or `Options` with each row `times` times, one below the other."""
    if times == 1:
        return record
    return type(record)(
        *(
            part
            if part is None or callable(part)
            else keras.tree.map_structure(lambda x: ops.repeat(x, times, axis=0), part)
            for part in record
        )
    )


def _allowed(log_probs_XV: Any, t: Any, options: Options) -> Any:
    """Rules out what may not come in place t.

    PAD and BOS nowhere, EOS before the shortest end, all but EOS in the last
    place, all but the prefix within the prefix.
    """
    vocabulary_V = ops.arange(log_probs_XV.shape[-1])
    never_V = ops.logical_or(vocabulary_V == features.PAD, vocabulary_V == features.BOS)
    last_X1 = (t + 1 >= options.limits_B)[:, None]
    early_X1 = ops.logical_and(t < options.shortest_B, t + 1 < options.limits_B)[:, None]
    end_V = vocabulary_V == features.EOS
    never_XV = ops.logical_or(
        ops.logical_or(never_V, ops.logical_and(last_X1, ops.logical_not(end_V))),
        ops.logical_and(early_X1, end_V),
    )
    if options.prefix_BP is not None:
        place = ops.minimum(t, ops.shape(options.prefix_BP)[1] - 1)
        forced_X1 = ops.take(options.prefix_BP, place, axis=1)[:, None]
        within_X1 = (t < options.prefix_length_B)[:, None]
        never_XV = ops.where(within_X1, vocabulary_V != forced_X1, never_XV)
    return ops.where(never_XV, IMPOSSIBLE, ops.cast(log_probs_XV, "float32"))


def _gather(tensor_BWX: Any, index_BW: Any) -> Any:
    index = index_BW
    for _ in tensor_BWX.shape[2:]:
        index = index[..., None]
    return ops.take_along_axis(tensor_BWX, index, axis=1)


def _best(
    n_best: int, ids_BXL: Any, scores_BX: Any, log_probs_BX: Any, attended: Attended
) -> Hypotheses:
    """The N best of X hypotheses, best first."""
    scores_BN, index_BN = ops.top_k(scores_BX, n_best)
    return Hypotheses(
        _gather(ids_BXL, index_BN),
        scores_BN,
        _gather(log_probs_BX, index_BN),
        keras.tree.map_structure(lambda x: _gather(x, index_BN), attended),
    )
