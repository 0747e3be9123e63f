"""The options of a `decode` request: what they mean, and which are refused.

Shape suffixes: B batch, P prefix length.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..models import features
from ..models.search_options import Options, SearchConfig, length_limits
from .tokenizer import Tokenizer

DEFAULT = -1  # as a number: what the export was configured with
PREFIX = "prefix"

INTEGERS = ("beam_size", "hypotheses", "max_length", "min_length", "top_k", "seed")
FLOATS = ("length_penalty", "coverage_penalty", "temperature", "top_p")

INPUTS = [
    tf.TensorSpec([None], tf.string, name=features.TEXT),
    *(tf.TensorSpec([None], tf.int32, name=name) for name in INTEGERS),
    *(tf.TensorSpec([None], tf.float32, name=name) for name in FLOATS),
    tf.TensorSpec([None], tf.string, name=PREFIX),
]
"""What `decode` takes; each [N], and every request has all of them.

| input | meaning | refused |
|---|---|---|
| text | the source | |
| beam_size | width of the beam | above the export's `max_beam_size` |
| hypotheses | how many answers; by default the beam size | above the beam size; drawn ones above K |
| max_length | longest answer in tokens, EOS included | above the export's |
| min_length | tokens before the answer may end | `max_length` and more |
| top_k, top_p | what is drawn from; 0 and 1 for all | |
| seed | of what is drawn | |
| length_penalty, coverage_penalty | alpha and beta of GNMT's score | outside of 0 to 5; coverage without attention |
| temperature | above 0 the answers are drawn | above 100 |
| prefix | what the answer begins with; '' for nothing | longer than `max_length` allows |

-1 as a number means the export's default, which is never refused.
"""  # noqa: E501  a table


def one_for_each(rows: tf.Tensor, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Refuses options of which there is not one value for each of so many rows."""
    message = ": expected one value for each of {} texts, received {}"
    checks = []
    for name, values in inputs.items():
        received = tf.shape(values)[0]
        told = tf.strings.format(name + message, (rows, received))
        checks.append((received == rows, told))
    with tf.control_dependencies([_all_hold(checks)]):
        return {name: tf.identity(values) for name, values in inputs.items()}


def read_options(
    inputs: dict[str, tf.Tensor],
    config: SearchConfig,
    source_length_B: tf.Tensor,
    tokenizer: Tokenizer,
    has_attention: bool,
) -> tuple[Options, tf.Tensor]:
    """Fills in the defaults and refuses what the export cannot do.

    Args:
      inputs: by the names of `INPUTS`.
      config: the export's defaults and limits.
      source_length_B: tokens of each source, EOS included.
      tokenizer: of the target, for prefixes.
      has_attention: whether the model can have a coverage penalty.

    Returns:
      The options and the seeds [B]. The graph fails with INVALID_ARGUMENT where
      an option is refused, and says which.
    """
    most = config.most_hypotheses
    given: dict[str, Any] = {}
    for name in (*INTEGERS, *FLOATS):
        default = given["beam_size"] if name == "hypotheses" else getattr(config, name)
        given[name] = tf.where(inputs[name] == DEFAULT, default, inputs[name])
    prefix = tokenizer.tokenize(inputs[PREFIX])
    prefix_length_B = tf.cast(prefix.row_lengths(), tf.int32)
    limits = [
        ("beam_size", 1, most),
        ("hypotheses", 1, tf.where(given["temperature"] > 0, most, given["beam_size"])),
        ("max_length", 1, config.max_length),
        ("min_length", 0, given["max_length"] - 1),
        ("top_k", 0, tf.int32.max),
        ("seed", 0, tf.int32.max),
        ("length_penalty", 0.0, 5.0),
        ("coverage_penalty", 0.0, 5.0 if has_attention else 0.0),
        ("temperature", 0.0, 100.0),
        ("top_p", 1e-6, 1.0),
    ]
    checks = []
    for name, low, high in limits:
        asked = inputs[name]
        low, high = (tf.broadcast_to(tf.cast(x, asked.dtype), tf.shape(asked)) for x in (low, high))
        fits_B = (asked >= low) & (asked <= high)  # NaN fits nothing
        message = name + ": expected -1 (the default) or {} to {} in row {}, received {}"
        checks.append(_of_each_row((asked == DEFAULT) | fits_B, message, low, high, None, asked))
    message = "prefix: expected fewer tokens than max_length, {} in row {}, received {}"
    fits_B = prefix_length_B < given["max_length"]
    checks.append(_of_each_row(fits_B, message, given["max_length"], None, prefix_length_B))
    with tf.control_dependencies([_all_hold(checks)]):
        limits_B = length_limits(source_length_B, given["max_length"], config.max_length_ratio)
    options = Options(
        tf.maximum(limits_B, prefix_length_B + 1),
        given["min_length"],
        given["beam_size"],
        given["hypotheses"],
        given["length_penalty"],
        given["coverage_penalty"],
        given["temperature"],
        given["top_k"],
        given["top_p"],
        # At least one column, for search looks into it at every step, and no more than
        # may be, for what is refused may be long.
        tf.pad(
            tf.cast(prefix[:, : config.max_length].to_tensor(features.PAD), tf.int32),
            [[0, 0], [0, 1]],
        ),
        prefix_length_B,
    )
    return options, given["seed"]


def _of_each_row(
    fits_B: tf.Tensor, message: str, *told: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether all rows fit, and what to say of the first that does not.

    Args:
      fits_B: whether each row does.
      message: with a place for each value told.
      told: values [B]; None for the number of the row.
    """
    row = tf.argmin(tf.cast(fits_B, tf.int32), output_type=tf.int32)
    values = [row if value is None else value[row] for value in told]
    return tf.reduce_all(fits_B), tf.strings.format(message, values)


def _all_hold(checks: list[tuple[tf.Tensor, tf.Tensor]]) -> tf.Operation:
    """Fails with the message of the first check that does not hold."""
    held, messages = (tf.stack(column) for column in zip(*checks, strict=True))
    first = tf.argmin(tf.cast(held, tf.int32))
    return tf.debugging.Assert(tf.reduce_all(held), [messages[first]])
