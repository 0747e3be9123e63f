"""Where the tokens of a hypothesis looked, summed while it is searched for.

Shape suffixes: B batch, N hypotheses, S source time, X rows of any kind.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

TINY = 1e-30  # less than any attention that counts


class Attended(NamedTuple):
    """What the tokens of each hypothesis, or of each prefix, gave to each source position.

    With a_ts the attention of token t to position s; [] is what nobody asked for.
    """

    all_BNS: Any = []  # sum_t a_ts, EOS included: the coverage
    words_BNS: Any = []  # the same without the last token, which of a hypothesis is EOS
    entropy_BNS: Any = []  # -sum_t a_ts log a_ts


def nothing_attended(shape: Any, covers: bool, watches: bool) -> Attended:
    """What no token has given yet.

    Args:
      shape: of each part.
      covers: whether a coverage penalty asks for the sum.
      watches: whether somebody asks for all parts.
    """

    def none() -> Any:
        return ops.zeros(shape, "float32")

    if watches:
        return Attended(none(), none(), none())
    return Attended(none()) if covers else Attended()


def with_token(before: Attended, weights_XS: Any) -> Attended:
    """With the attention of one token more, in the parts that are asked for.

    Args:
      before: of the prefixes without the token, [X, S] each.
      weights_XS: the attention of the token.
    """
    if keras.tree.is_nested(before.all_BNS):
        return before
    weights_XS = ops.cast(weights_XS, "float32")
    after = before._replace(all_BNS=before.all_BNS + weights_XS)
    if keras.tree.is_nested(before.words_BNS):
        return after
    # Nothing given has no entropy.
    entropy_XS = -weights_XS * ops.log(ops.maximum(weights_XS, TINY))
    return Attended(after.all_BNS, before.all_BNS, before.entropy_BNS + entropy_XS)
