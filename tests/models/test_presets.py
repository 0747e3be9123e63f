"""Every preset against its paper's network, written out in NumPy for one pair at a time."""

import numpy as np
import pytest

from .equations import (
    affine,
    array,
    attend,
    cell_step,
    feed_forward,
    maxout,
    multi_head,
    positioned,
    real,
    recurrence,
    recurrent_encoder,
    self_attention,
    sublayer,
    transformer_encoder,
)
from .tiny import PRESETS, SOURCES, TARGETS, tiny, whole


def embedded(decoder, ids):
    return array(decoder.embedding.embeddings)[np.array(ids)]


def started(decoder, summary):
    """tanh(W h_T + b), for each state of the one layer."""
    return [np.tanh(affine(bridge, summary)) for bridge in decoder.bridges]


def default(model, source, target):
    """An LSTM that asks its memory by the general score after each step."""
    decoder = model.decoder
    memory, summary, _ = recurrent_encoder(model.encoder, source)
    start = started(decoder, summary)
    states, _ = recurrence(decoder.layers[0], embedded(decoder, target), start)
    answers = [attend("general", decoder.attention, s, memory) for s in states]
    read = [np.concatenate([s, c]) for s, (c, _) in zip(states, answers, strict=True)]
    return affine(decoder.readout.output_projection, np.array(read)), [w for _, w in answers]


def sutskever2014(model, source, target):
    decoder = model.decoder
    _, _, states = recurrent_encoder(model.encoder, source)
    x = embedded(decoder, target)
    for layer, start in zip(decoder.layers, states, strict=True):
        x, _ = recurrence(layer, x, start)
    return affine(decoder.readout.output_projection, x), np.zeros((len(target), len(source)))


def cho2014(model, source, target):
    """Section 2.2: h_t = f(h_t-1, y_t-1, c), and P(y_t) of h_t, y_t-1 and c."""
    decoder = model.decoder
    _, c, _ = recurrent_encoder(model.encoder, source)
    start = started(decoder, c)
    words = embedded(decoder, target)
    states, _ = recurrence(decoder.layers[0], np.array([[*y, *c] for y in words]), start)
    read = [
        maxout(decoder.readout, np.concatenate([h, c, y]))
        for h, y in zip(states, words, strict=True)
    ]
    logits = affine(decoder.readout.output_projection, np.array(read))
    return logits, np.zeros((len(target), len(source)))


def bahdanau2015(model, source, target):
    """Section A.2.2: c_t by s_t-1, s_t = f(s_t-1, y_t-1, c_t)."""
    decoder, logits, attention = model.decoder, [], []
    memory, summary, _ = recurrent_encoder(model.encoder, source)
    states = started(decoder, summary)
    for y in embedded(decoder, target):
        c, weights = attend("additive", decoder.attention, states[0], memory)
        states = cell_step(decoder.layers[0], np.concatenate([y, c]), states)
        read = maxout(decoder.readout, np.concatenate([states[0], c, y]))
        logits.append(affine(decoder.readout.output_projection, read))
        attention.append(weights)
    return logits, attention


def luong2015(model, source, target):
    """Section 3.3: the attentional vector of a step is part of the input of the next."""
    decoder, logits, attention = model.decoder, [], []
    memory, _, states = recurrent_encoder(model.encoder, source)
    attentional = np.zeros(decoder.readout.units)
    for y in embedded(decoder, target):
        x = np.concatenate([y, attentional])
        for i, layer in enumerate(decoder.layers):
            states[i] = cell_step(layer, x, states[i])
            x = states[i][0]
        c, weights = attend("general", decoder.attention, x, memory)
        attentional = np.tanh(affine(decoder.readout.combination, np.concatenate([x, c])))
        logits.append(affine(decoder.readout.output_projection, attentional))
        attention.append(weights)
    return logits, attention


def gnmt2016(model, source, target):
    """Section 3: the bottom layer's last state asks, the context goes into every layer.

    From the third layer on, what a layer is given from below is added to what it gives.
    """
    decoder, logits, attention = model.decoder, [], []
    memory, _, _ = recurrent_encoder(model.encoder, source)
    states = [[np.zeros(layer.units)] * 2 for layer in decoder.layers]
    for x in embedded(decoder, target):
        c, weights = attend("additive", decoder.attention, states[0][0], memory)
        for i, layer in enumerate(decoder.layers):
            states[i] = cell_step(layer, np.concatenate([x, c]), states[i])
            x = states[i][0] + (x if i >= 2 else 0)
        logits.append(affine(decoder.readout.output_projection, x))
        attention.append(weights)
    return logits, attention


def transformer2017(model, source, target):
    """Figure 1; one matrix embeds both sides and gives the logits: section 3.4."""
    decoder = model.decoder
    memory = transformer_encoder(model.encoder, source)
    x = positioned(decoder.embedding, target)
    for i, own in enumerate(decoder.self_attentions):
        x = self_attention(own, x, causal=True)
        other, network = decoder.attentions[i].attention, decoder.networks[i]
        answers = [multi_head(other, query, memory) for query in x]
        x = sublayer(decoder.attentions[i], x, lambda x: np.array([c for c, _ in answers]))  # noqa: B023
        x = sublayer(network, x, lambda x: feed_forward(network, x))  # noqa: B023
    return x @ array(model.encoder.embedding.embeddings).T, [w for _, w in answers]


NETWORKS = {
    function.__name__: function
    for function in (
        *(default, sutskever2014, cho2014, bahdanau2015),
        *(luong2015, gnmt2016, transformer2017),
    )
}


@pytest.mark.parametrize("name", PRESETS)
def test_logits_and_attention_are_those_of_the_paper(name):
    logits, attention = whole(name)
    for row in range(len(SOURCES)):
        source, target = (real(ids[row]) for ids in (SOURCES, TARGETS))
        expected, weights = NETWORKS[name](tiny(name), source, target)
        np.testing.assert_allclose(logits[row, : len(target)], expected, atol=2e-5)
        found = attention[row, : len(target), : len(source)]
        np.testing.assert_allclose(found, weights, atol=2e-5)
