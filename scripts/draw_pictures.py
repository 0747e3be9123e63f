"""Draws the pictures of docs/seq2seq.md: docs/pictures/*.svg.

    .venv/bin/python scripts/draw_pictures.py              # all: trains a model, half a minute
    .venv/bin/python scripts/draw_pictures.py beam_search  # one

Seeded: the same environment draws the same bytes.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from diagram import (
    ATTENTION,
    DECODER,
    ENCODER,
    GAP,
    INK,
    MINUS,
    OPTION,
    OUTPUT,
    PALE,
    TIMES,
    TOKEN,
    Diagram,
)

from seq2seq_tfx.models import features
from seq2seq_tfx.report.heat_map import color_of, heat_map
from seq2seq_tfx.report.picture import GREY, LINE, Label, Picture, Rectangle
from seq2seq_tfx.report.svg import to_svg

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"


def fixed_context() -> str:
    """Encoder-decoder without attention."""
    d = Diagram(
        860,
        300,
        "An encoder-decoder with a fixed context",
        "The encoder reads x1, x2, x3 and the end of the sentence; what it ends with is the "
        "context c. The decoder starts from it and writes y1, y2, y3 and the end, reading its own "
        "last token at each step; with input_feeding it reads c at each step as well.",
    )
    row, low, high = 160, 235, 80
    for i, token in enumerate(("x_{1}", "x_{2}", "x_{3}", "</s>")):
        x = 60 + 90 * i
        d.box(x, row, f"h_{{{i + 1}}}", ENCODER)
        d.text(x, low + 5, token)
        d.arrow((x, low - 12), (x, row + 18))
        d.arrow((x + 32, row), (x + (58 if i < 3 else 54), row))
    d.box(415, row, "c", ATTENTION, width=62, height=62)
    d.arrow((446, row), (538, row), color=OPTION)
    d.option(492, row - 9, "initial_state")
    d.option(492, row + 20, "project")
    d.option(492, row + 36, "or copy")
    d.arrow((415, row - 31), (415, 118), (834, 118), color=OPTION, dashed=True, head=False)
    d.option(418, 108, "input_feeding: true", "start")
    for i, (last, new) in enumerate(
        (("<s>", "y_{1}"), ("y_{1}", "y_{2}"), ("y_{2}", "y_{3}"), ("y_{3}", "</s>"))
    ):
        x = 570 + 82 * i
        d.arrow((x + 18, 118), (x + 18, row - 18), color=OPTION, dashed=True)
        d.box(x, row, f"s_{{{i + 1}}}", DECODER, width=60)
        d.text(x, low + 5, last)
        d.arrow((x, low - 12), (x, row + 18))
        d.arrow((x, row - 18), (x, high + 12))
        d.text(x, high, new)
        if i < 3:
            d.arrow((x + 30, row), (x + 52, row))
    d.text(195, 278, "encoder", color=PALE)
    d.text(693, 278, "decoder: reads its own last token", color=PALE)
    d.text(693, 38, "readout: P(y_{t} | y_{<t}, x)", color=PALE)
    d.text(20, 38, "one vector for a source of any length", "start", bold=True)
    return d.svg()


def recurrent_decoder() -> str:
    """A step of the recurrent decoder in both orders."""
    d = Diagram(
        900,
        500,
        "One step of the recurrent decoder with attention, in the two orders",
        "Left, attention_query: previous. The state before asks, and the context goes into the "
        "cell and the readout. Right, attention_query: current. The new state asks, the "
        "attentional layer joins state and context, and input_feeding hands its output to the "
        "next step.",
    )
    d.arrow((450, 20), (450, 480), color="#d0d0d0", head=False)
    # Left: Bahdanau.
    d.text(24, 34, "the state before asks", "start", bold=True)
    d.option(24, 54, "attention_query: previous", "start")
    d.box(240, 110, "readout", OUTPUT, width=130, height=44)
    d.text(240, 56, "P(y_{t})")
    d.arrow((240, 88), (240, 66))
    d.option(312, 98, "readout:", "start")
    d.option(312, 114, "maxout", "start")
    d.box(80, 120, "memory\nh_{1} … h_{S}", ENCODER, width=110, height=48)
    d.box(80, 220, "attention", ATTENTION, width=110, height=44)
    d.arrow((80, 144), (80, 198))
    d.box(80, 330, "s_{t-1}", DECODER, width=80, height=44)
    d.arrow((80, 308), (80, 242), color=OPTION)
    d.option(90, 280, "asks", "start")
    d.box(240, 330, "s_{t} = f(…)", DECODER, width=130, height=44)
    d.arrow((120, 330), (175, 330))
    d.arrow((305, 330), (350, 330))
    d.text(356, 335, "t + 1", "start")
    d.arrow((135, 220), (205, 220), head=False)
    d.dot(205, 220)
    d.text(170, 213, "c_{t}")
    d.arrow((205, 220), (205, 132))
    d.arrow((205, 220), (205, 308), color=OPTION)
    d.option(196, 268, "input_", "end")
    d.option(196, 284, "feeding", "end")
    d.arrow((270, 308), (270, 132))
    d.box(240, 430, "E y_{t-1}", TOKEN, width=130)
    d.arrow((240, 412), (240, 352))
    d.arrow((305, 430), (412, 430), (412, 128), (305, 128), color=OPTION)
    d.option(404, 424, "maxout reads it", "end")
    d.text(24, 482, "Bahdanau et al. (2015)", "start", size=12.5, color=PALE)
    # Right: Luong.
    d.text(474, 34, "the new state asks", "start", bold=True)
    d.option(474, 54, "attention_query: current", "start")
    d.box(660, 110, "h̃_{t} = tanh(W_{c} [s_{t}; c_{t}])", OUTPUT, width=190, height=44)
    d.text(660, 56, "P(y_{t})")
    d.arrow((660, 88), (660, 66))
    d.option(762, 90, "readout:", "start")
    d.option(762, 106, "attentional", "start")
    d.box(820, 330, "memory\nh_{1} … h_{S}", ENCODER, width=110, height=48)
    d.box(820, 220, "attention", ATTENTION, width=110, height=44)
    d.arrow((820, 306), (820, 242))
    d.box(520, 330, "s_{t-1}", DECODER, width=80, height=44)
    d.box(660, 330, "s_{t} = f(…)", DECODER, width=130, height=44)
    d.arrow((560, 330), (595, 330))
    d.arrow((635, 308), (635, 132))
    d.arrow((700, 308), (700, 232), (765, 232), color=OPTION)
    d.option(708, 250, "asks", "start")
    d.arrow((765, 208), (700, 208), (700, 132))
    d.text(735, 201, "c_{t}")
    d.arrow((840, 198), (840, 176), (888, 176), (888, 220), (875, 220), color=OPTION, dashed=True)
    d.option(884, 168, "coverage: the weights so far", "end")
    d.box(660, 430, "E y_{t-1}", TOKEN, width=130)
    d.arrow((670, 412), (670, 352))
    d.box(520, 430, "h̃_{t-1}", OUTPUT, width=80)
    d.arrow((520, 412), (520, 382), (625, 382), (625, 352), color=OPTION)
    d.option(528, 400, "input_feeding", "start")
    d.arrow((565, 110), (510, 110))
    d.text(504, 115, "t + 1", "end")
    d.text(474, 482, "Luong et al. (2015)", "start", size=12.5, color=PALE)
    return d.svg()


def transformer() -> str:
    """One layer of each side, and the two places of the normalization."""
    d = Diagram(
        900,
        620,
        "The layers of a Transformer",
        "Left, an encoder layer: self-attention, then a feed-forward network, each with a "
        "residual connection and a layer norm. Middle, a decoder layer: masked self-attention, "
        "attention to the memory, feed-forward network. Right, where the norm stands: after the "
        "sum (norm: post) or before the sublayer (norm: pre).",
    )
    wide = 150

    def stack(x: float, bottom: float, parts: list[tuple[str, str]]) -> float:
        """Sublayers from the bottom up, each with its residual connection; gives the top."""
        y = bottom
        d.arrow((x, y + 12), (x, y), head=False)
        for text, fill in parts:
            d.arrow((x, y), (x, y - 26))
            d.dot(x, y - 8)
            d.box(x, y - 48, text, fill, width=wide, height=44)
            d.arrow((x, y - 70), (x, y - 84))
            d.box(x, y - 96, "add, norm", TOKEN, width=wide, height=24, size=12.5)
            left = x - wide / 2 - 16
            d.arrow((x, y - 8), (left, y - 8), (left, y - 96), (x - wide / 2, y - 96), color=PALE)
            y -= 108
        return y

    def embedded(x: float, tokens: str) -> None:
        d.box(x, 542, "√D E x + positions", TOKEN, width=wide, height=36)
        d.text(x, 600, tokens)
        d.arrow((x, 584), (x, 562))

    network = "feed-forward"
    embedded(140, "x_{1} … x_{S}")
    top = stack(140, 512, [("self-attention", ENCODER), (network, ENCODER)])
    d.frame(30, 288, 210, 222)
    d.option(34, 278, f"{TIMES} encoder_layers", "start")
    d.arrow((140, top), (140, 240), head=False)
    embedded(410, "<s> y_{1} … y_{T-1}")
    parts = [("masked\nself-attention", DECODER), ("attention", ATTENTION), (network, DECODER)]
    top = stack(410, 512, parts)
    d.frame(300, 182, 210, 328)
    d.option(304, 172, f"{TIMES} decoder_layers", "start")
    # The memory, read by the attention of every decoder layer.
    memory = 512 - 108 - 48
    d.arrow((140, 240), (270, 240), (270, memory), (335, memory))
    d.text(150, 232, "memory", "start", size=12.5, color=PALE)
    d.box(410, 130, "logits = E^{T} x", OUTPUT, width=wide, height=36)
    d.arrow((410, top), (410, 148))
    d.option(492, 126, "tied_embeddings:", "start")
    d.option(492, 142, "output or all", "start")
    d.text(410, 78, "P(y_{1}) … P(y_{T})")
    d.arrow((410, 112), (410, 88))
    d.text(24, 34, "all positions of a layer at once", "start", bold=True)

    def sublayer(x: float, title: str, parts: list[tuple[str, str]], join: int) -> None:
        """A sublayer in the large; the residual joins in part `join`."""
        d.option(x, 246, title)
        d.text(x, 530, "x")
        d.arrow((x, 514), (x, 488))
        d.dot(x, 506)
        y = 472
        for i, (text, fill) in enumerate(parts):
            d.box(x, y, text, fill, width=92, height=32, size=13)
            d.arrow((x, y - 16), (x, y - 36))
            if i == join:
                d.arrow((x, 506), (x - 62, 506), (x - 62, y), (x - 46, y), color=PALE)
            y -= 52
        d.frame(x - 76, 258, 140, 284)

    f, norm, add, drop = ("f", DECODER), ("norm", TOKEN), ("+", TOKEN), ("dropout", TOKEN)
    sublayer(630, "norm: post", [f, drop, add, norm], 2)
    sublayer(800, "norm: pre", [norm, f, drop, add], 3)
    d.text(630, 570, "LayerNorm(x + f(x))", size=12.5)
    d.text(800, 570, "x + f(LayerNorm(x))", size=12.5)
    return d.svg()


# P(next token | prefix) of the search that `beam_search` draws.
NEXT = {
    "": {"A": 0.6, "B": 0.3, "$": 0.1},
    "A": {"A": 0.1, "B": 0.5, "$": 0.4},
    "B": {"A": 0.5, "B": 0.3, "$": 0.2},
    "AB": {"A": 0.2, "B": 0.1, "$": 0.7},
}
WIDTH, LIMIT = 2, 5


def penalty(length: int) -> float:
    """GNMT's length penalty with alpha = 1."""
    return (5 + length) / 6


def searched() -> tuple[list[dict[str, float]], list[list[str]], dict[str, float]]:
    """What a beam of `WIDTH` looks at in each step, what it keeps, and the pool's scores."""
    alive, looked, kept, pool = {"": 0.0}, [], [], {}
    while alive and len(looked) < LIMIT:
        step = {
            prefix + token: log_prob + math.log(share)
            for prefix, log_prob in alive.items()
            for token, share in NEXT[prefix].items()
        }
        best = sorted(step, key=lambda prefix: -step[prefix])[:WIDTH]
        looked.append(step)
        kept.append(best)
        pool |= {prefix: step[prefix] / penalty(len(prefix)) for prefix in best if "$" in prefix}
        alive = {prefix: step[prefix] for prefix in best if "$" not in prefix}
        if pool and max(alive.values()) / penalty(LIMIT) <= max(pool.values()):
            break
    return looked, kept, pool


def beam_search() -> str:
    """A beam of two with its pool of finished hypotheses."""
    looked, kept, pool = searched()
    best = max(pool, key=lambda prefix: pool[prefix])
    d = Diagram(
        900,
        520,
        "Beam search with a pool of finished hypotheses",
        f"A beam of {WIDTH}: at each step the {WIDTH} likeliest of all extensions are kept. One "
        "that ends goes to the pool, scored by its log-probability over its length penalty. The "
        f"search stops after step {len(looked)}, when no living prefix can beat the pool.",
    )
    columns, gap, top, wide = [70, 225, 415, 625], 40, 80, 124

    def shown(prefix: str) -> str:
        return " ".join(prefix).replace("$", "</s>") or "<s>"

    d.text(20, 34, f"beam_size: {WIDTH}, length_penalty: 1, one answer wanted", "start", bold=True)
    places = {"": (columns[0], top + 2 * gap)}
    d.box(*places[""], "<s>", TOKEN)
    for step, (candidates, chosen) in enumerate(zip(looked, kept, strict=True), start=1):
        d.text(columns[step], 62, f"step {step}", color=PALE)
        # Those that end stand last, above the pool.
        order = sorted(candidates, key=lambda prefix: prefix in chosen and "$" in prefix)
        start = top + (6 - len(order)) * gap / 2 + 8
        for i, prefix in enumerate(order):
            x, y = places[prefix] = columns[step], start + i * gap
            px, py = places[prefix[:-1]]
            edge = px + (32 if step == 1 else wide / 2)
            keep = prefix in chosen
            color = INK if keep else PALE
            d.arrow((edge, py), (x - wide / 2, y), color=color, dashed=not keep)
        for prefix in order:
            fill = "#ffffff"
            if prefix in chosen:
                fill = ATTENTION if "$" in prefix else DECODER
            text = f"{shown(prefix)}{GAP}{candidates[prefix]:.2f}".replace("-", MINUS)
            d.box(*places[prefix], text, fill, wide, 30, dashed=prefix not in chosen, size=13)
    # The pool.
    d.frame(294, 400, 460, 104)
    d.text(284, 438, "pool of finished hypotheses", "end", color=PALE)
    d.text(284, 458, "scored by log P / lp", "end", color=PALE)
    for prefix, score in pool.items():
        x, y = places[prefix]
        ratio = f"{looked[len(prefix) - 1][prefix]:.2f} / {penalty(len(prefix)):.2f}"
        text = f"{shown(prefix)}:  {ratio} = {score:.2f}".replace("-", MINUS)
        x += -4 if prefix != best else 14
        d.box(x, 442, text, ATTENTION, 206, 34, size=13)
        d.arrow((places[prefix][0], y + 15), (places[prefix][0], 425))
        if prefix == best:
            d.text(x, 484, "the answer", bold=True)
        else:
            d.text(x, 484, "likelier, and shorter", color=PALE, size=12.5)
    # Why it stops.
    alive = next(prefix for prefix in kept[-1] if "$" not in prefix)
    x, y = places[alive]
    bound = looked[-1][alive] / penalty(LIMIT)
    lines = (
        f"the best that {shown(alive)} can become,",
        f"at the limit of {LIMIT} tokens:",
        f"{looked[-1][alive]:.2f} / {penalty(LIMIT):.2f} = {bound:.2f}",
        f"≤ {pool[best]:.2f}: done",
    )
    for i, line in enumerate(lines):
        d.text(x + wide / 2 + 12, y - 6 + 18 * i, line.replace("-", MINUS), "start", 12.5, OPTION)
    return d.svg()


def sinusoids() -> str:
    """The positions of a Transformer, as the project computes them."""
    from seq2seq_tfx.models.embeddings import sinusoids as positions

    shown, width, cell = 20, 32, 14.0
    values_PE = np.array(positions(np.arange(shown), width))
    left, top = 60.0, 44.0
    right, bottom = left + width * cell, top + shown * cell
    # Rounded, so that a machine whose sine differs in the last bit draws the same.
    rectangles = [
        Rectangle(left + i * cell, top + p * cell, cell, cell, color_of(round((v + 1) / 2, 3)))
        for p, row_E in enumerate(values_PE.tolist())
        for i, v in enumerate(row_E)
    ]
    labels = [
        Label(f"feature i of E = {width}: sine, cosine, …", left, 18, 12, color=GREY),
        Label("position", 18, (top + bottom) / 2, 12, "middle", -90, GREY),
    ]
    for i in range(0, width, 4):
        labels.append(Label(str(i), left + (i + 0.5) * cell, top - 6, 12, "middle"))
    for p in range(0, shown, 4):
        labels.append(Label(str(p), left - 6, top + (p + 0.7) * cell, 12, "right"))
    steps, y = 40, bottom + 16
    rectangles.append(Rectangle(left - 1, y - 1, 162, 14, LINE))
    for i in range(steps):
        rectangles.append(Rectangle(left + i * 4, y, 4, 12, color_of(i / (steps - 1))))
    for share, text in ((0.0, f"{MINUS}1"), (0.5, "0"), (1.0, "1")):
        labels.append(Label(text, left + 160 * share, y + 28, 12, "middle"))
    picture = Picture(
        right + 20,
        y + 44,
        "Sinusoids as positions",
        f"A heat map of {shown} positions, rows, and {width} features, columns: the first "
        "features change from position to position, the last hardly at all.",
        rectangles,
        labels,
    )
    return to_svg(picture)


def attention() -> str:
    """The attention of a model that has learned to reverse words."""
    import keras
    import tensorflow as tf

    from seq2seq_tfx.models.losses import TokenCrossEntropy
    from seq2seq_tfx.models.model_config import ModelConfig
    from seq2seq_tfx.models.seq2seq import build_seq2seq

    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    first, letters, batch, steps, epochs = len(features.SPECIAL_TOKENS), 26, 128, 480, 4

    def padded(rows: list[list[int]], before: tuple[int, ...] = ()) -> np.ndarray:
        rows = [[*before, *row, features.EOS] for row in rows]
        longest = max(map(len, rows))
        return np.array([row + [features.PAD] * (longest - len(row)) for row in rows], "int32")

    def inputs(rows: list[list[int]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        target = padded([row[::-1] for row in rows], before=(features.BOS,))
        sides = {features.SOURCE_IDS: padded(rows), features.TARGET_IDS: target[:, :-1]}
        return sides, target[:, 1:]

    generator = np.random.default_rng(1)
    words = [
        generator.integers(first, first + letters, length).tolist()
        for length in generator.integers(2, 11, batch * steps // epochs)
    ]
    config = ModelConfig(size={"embedding": 32, "units": 64}, dropout=0.0)
    model = build_seq2seq(config, first + letters, first + letters)
    warm = steps // 8
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm, warmup_target=0.01, warmup_steps=warm
    )
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    model.compile(optimizer, TokenCrossEntropy(), jit_compile=False)
    model.fit(*inputs(words), batch_size=batch, epochs=epochs, verbose=0)

    word = "attention"
    sides, labels = inputs([[first + ord(letter) - ord("a") for letter in word]])
    encoded = model.encoder(sides[features.SOURCE_IDS], training=False)
    logits_BTV, weights_BTS = model.decoder(sides[features.TARGET_IDS], encoded, training=False)
    if not np.array_equal(np.argmax(logits_BTV, axis=-1), labels):
        raise SystemExit("the model did not learn to reverse")
    end = features.SPECIAL_TOKENS[features.EOS]
    # Rounded, as machines differ in the last digits of what they learn.
    weights_TS = np.array(weights_BTS)[0].round(2)
    # The width of letters is guessed: that of the fonts here would be another elsewhere.
    return to_svg(
        heat_map([*word, end], [*word[::-1], end], weights_TS, lambda text: 0.6 * len(text))
    )


# Those that need no model, and the others.
DIAGRAMS: dict[str, Callable[[], str]] = {
    "fixed_context": fixed_context,
    "recurrent_decoder": recurrent_decoder,
    "transformer": transformer,
    "beam_search": beam_search,
}
PICTURES = {**DIAGRAMS, "sinusoids": sinusoids, "attention": attention}


def main(names: list[str]) -> None:
    """Draws the pictures of these names, or all."""
    if unknown := set(names) - set(PICTURES):
        raise SystemExit(f"expected names of {', '.join(PICTURES)}; received {unknown}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        (FOLDER / f"{name}.svg").write_text(PICTURES[name](), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
