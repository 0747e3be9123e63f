"""The options of a `decode` request: what they mean, and which are refused.

Shape suffixes: B batch, P prefix length.
"""

from __future__ import annotations

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

-1 as a number means the export's default.
"""  # noqa: E501  a table


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
    defaults = {**{name: getattr(config, name) for name in INTEGERS if name != "hypotheses"}}
    given = {
        name: tf.where(inputs[name] == DEFAULT, default, inputs[name])
        for name, default in defaults.items()
    }
    for name in FLOATS:
        given[name] = tf.where(inputs[name] == float(DEFAULT), getattr(config, name), inputs[name])
    drawn_B = given["temperature"] > 0
    widest_B = tf.where(drawn_B, most, given["beam_size"])
    given["hypotheses"] = tf.where(
        inputs["hypotheses"] == DEFAULT, given["beam_size"], inputs["hypotheses"]
    )
    prefix = tokenizer.tokenize(inputs[PREFIX])
    prefix_length_B = tf.cast(prefix.row_lengths(), tf.int32)
    checks = [
        ("beam_size", 1, most),
        ("hypotheses", 1, widest_B),
        ("max_length", 1, config.max_length),
        ("min_length", 0, given["max_length"] - 1),
        ("top_k", 0, tf.int32.max),
        ("seed", 0, tf.int32.max),
        ("length_penalty", 0.0, 5.0),
        ("coverage_penalty", 0.0, 5.0 if has_attention else 0.0),
        ("temperature", 0.0, 100.0),
        ("top_p", 1e-6, 1.0),
    ]
    asserts = [_assert_between(given[name], low, high, name) for name, low, high in checks]
    asserts.append(
        tf.debugging.Assert(
            tf.reduce_all(prefix_length_B < given["max_length"]),
            [
                "prefix: expected fewer tokens than max_length, received",
                prefix_length_B,
                "and max_length",
                given["max_length"],
            ],
            summarize=8,
        )
    )
    with tf.control_dependencies(asserts):
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
        # At least one column, for search looks into it at every step.
        tf.pad(tf.cast(prefix.to_tensor(features.PAD), tf.int32), [[0, 0], [0, 1]]),
        prefix_length_B,
    )
    return options, given["seed"]


def _assert_between(values: tf.Tensor, low: object, high: object, name: str) -> tf.Operation:
    low, high = (tf.broadcast_to(tf.cast(x, values.dtype), tf.shape(values)) for x in (low, high))
    fits = tf.logical_and(values >= low, values <= high)  # NaN fits nothing
    return tf.debugging.Assert(
        tf.reduce_all(fits),
        [
            *(f"{name}: expected -1 (the default) or a value between", low, "and", high),
            *("for each row, received", values),
        ],
        summarize=8,
    )
