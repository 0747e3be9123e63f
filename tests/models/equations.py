"""The equations of the papers in NumPy, one source or one step at a time, in float64.

They take the weights from a layer and nothing else.
"""

import numpy as np
from keras import ops

from seq2seq_tfx.models import features


def real(ids):
    """The ids of one row without its padding."""
    return [int(i) for i in ids if i != features.PAD]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    x = np.asarray(x, "float64")
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def array(weight):
    return ops.convert_to_numpy(weight).astype("float64")


def affine(projection, x):
    """W x + b, or W x where there is no b."""
    product = x @ array(projection.kernel)
    return product + array(projection.bias) if projection.use_bias else product


def rnn(phi):
    def step(layer, x, states):
        return [phi(x + states[0] @ array(layer.cell.recurrent_kernel))]

    return step


def gru(layer, x, states):
    """Cho et al. (2014), equations 5 to 8."""
    (h,) = states
    (x_r, x_z, x_g), (u_r, u_z) = np.split(x, 3, -1), np.split(array(layer.cell.gate_kernel), 2, -1)
    r, z = sigmoid(x_r + h @ u_r), sigmoid(x_z + h @ u_z)
    g = np.tanh(x_g + (r * h) @ array(layer.cell.candidate_kernel))
    return [z * h + (1 - z) * g]


def lstm(layer, x, states):
    """i, f, o = sigmoid(Wx + Uh + b), g = tanh(...), c' = fc + ig, h' = o tanh(c')."""
    h, c = states
    i, f, o, g = np.split(x + h @ array(layer.cell.recurrent_kernel), 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


CELLS = {
    "rnn_tanh": (rnn(np.tanh), 1),
    "rnn_relu": (rnn(lambda x: np.maximum(x, 0)), 1),
    "gru": (gru, 1),
    "lstm": (lstm, 2),
}


def cell_step(layer, x, states):
    """The states after one step of a `Recurrent`; the first is its output."""
    return CELLS[layer.cell_name][0](layer, affine(layer.input_projection, x), states)


def recurrence(layer, inputs, initial=None):
    """A `Recurrent` over inputs [T, E]: outputs [T, H] in their order, and the last states."""
    states = initial or [np.zeros(layer.units)] * CELLS[layer.cell_name][1]
    outputs = np.zeros((len(inputs), layer.units))
    for t in reversed(range(len(inputs))) if layer.reverse else range(len(inputs)):
        states = cell_step(layer, inputs[t], states)
        outputs[t] = states[0]
    return outputs, states


def both_ways(directions, inputs):
    """[forward; backward], and the last state of each side by side."""
    runs = [recurrence(layer, inputs) for layer in directions]
    return np.concatenate([o for o, _ in runs], -1), np.concatenate([s[0] for _, s in runs])


def additive_energies(attention, query, memory, coverage=None):
    """v^T tanh(W s + b + U h_i [+ w_c cov_i]) of one query."""
    inner = affine(attention.query_projection, query) + affine(attention.memory_projection, memory)
    if coverage is not None:
        inner = inner + coverage[:, None] * array(attention.coverage_kernel)
    return np.tanh(inner) @ array(attention.v)


def energies(name, attention, query, memory, coverage=None):
    """e_i of one query [Q] for each row of the memory [S, M]."""
    if name == "additive":
        return additive_energies(attention, query, memory, coverage)
    if name == "general":
        return (memory @ array(attention.memory_projection.kernel)) @ query
    return memory @ query / (np.sqrt(len(query)) if name == "scaled_dot" else 1)


def multi_head(attention, query, memory):
    """Concat(head_1 .. head_N) W^O of one query, and the mean of the heads' weights."""
    width = attention.units // attention.heads
    q, k, v = (
        affine(projection, x)
        for projection, x in (
            (attention.query_projection, query),
            (attention.key_projection, memory),
            (attention.value_projection, memory),
        )
    )
    contexts, weights = [], []
    for head in range(attention.heads):
        mine = slice(head * width, (head + 1) * width)
        weights.append(softmax(k[:, mine] @ q[mine] / np.sqrt(width)))
        contexts.append(weights[-1] @ v[:, mine])
    return affine(attention.output_projection, np.concatenate(contexts)), np.mean(weights, axis=0)


def attend(name, attention, query, memory, coverage=None):
    """The context and the weights of one query over a whole memory."""
    if name == "multi_head":
        return multi_head(attention, query, memory)
    weights = softmax(energies(name, attention, query, memory, coverage))
    return weights @ memory, weights


def maxout(readout, joined):
    """max(t_2j-1, t_2j) of t = W x + b."""
    return affine(readout.combination, joined).reshape(-1, 2).max(axis=-1)


def layer_norm(layer, x):
    """(x - mean) / sqrt(var + eps) * gamma + beta: Ba et al. (2016)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return centred / deviation * array(layer.gamma) + array(layer.beta)


def feed_forward(layer, x):
    return affine(layer.second, np.maximum(affine(layer.first, x), 0))


def sinusoids(length, width):
    """PE(pos, 2i) = sin(pos / 10000^(2i/E)), PE(pos, 2i+1) = cos of the same."""
    table = np.zeros((length, width))
    for position in range(length):
        for i in range(0, width, 2):
            angle = position / 10000 ** (i / width)
            table[position, i : i + 2] = np.sin(angle), np.cos(angle)
    return table


def mixture(head, logits, weights, known, source_ids):
    """P(w) = p_gen P_vocab(w) + (1 - p_gen) sum_{i: x_i = w} a_i: See et al. (2017)."""
    write = sigmoid(affine(head.gate, known))
    probabilities = write * softmax(logits)
    for token, weight in zip(source_ids, weights, strict=True):
        probabilities[token] += (1 - write[0]) * weight
    return probabilities


def recurrent_encoder(encoder, ids):
    """Memory [S, M], summary [M] and the forward states of each layer, of one source."""
    settings = encoder.settings
    read = [*ids[:-1][::-1], ids[-1]] if settings["reverse_source"] else ids
    x, states = array(encoder.embedding.embeddings)[np.array(read)], []
    for number, forward in enumerate(encoder.forward, start=1):
        outputs, summary = both_ways([forward, *encoder.backward[number - 1 : number]], x)
        states.append(recurrence(forward, x)[1])
        residual = settings["residual_from"] and number >= settings["residual_from"]
        x = outputs + x if residual else outputs
    if settings["reverse_source"]:
        x = np.concatenate([x[:-1][::-1], x[-1:]])
    return x, summary, states


def sublayer(layer, x, change):
    """LayerNorm(x + f(x)), or x + f(LayerNorm(x)) if the norm comes before."""
    if layer.norm == "pre":
        return x + change(layer_norm(layer.layer_norm, x))
    return layer_norm(layer.layer_norm, x + change(x))


def self_attention(layer, x, causal=False):
    """The sublayer in which each position looks at all, or at none after itself."""

    def change(x):
        return np.array(
            [
                multi_head(layer.attention, query, x[: t + 1] if causal else x)[0]
                for t, query in enumerate(x)
            ]
        )

    return sublayer(layer, x, change)


def positioned(embedding, ids):
    """sqrt(D) E[ids] + PE."""
    rows = array(embedding.embeddings)
    return np.sqrt(rows.shape[1]) * rows[np.array(ids)] + sinusoids(len(ids), rows.shape[1])


def transformer_encoder(encoder, ids):
    """Memory [S, D] of one source."""
    x = positioned(encoder.embedding, ids)
    for attention, network in zip(encoder.attentions, encoder.networks, strict=True):
        x = self_attention(attention, x)
        x = sublayer(network, x, lambda x: feed_forward(network, x))  # noqa: B023
    return layer_norm(encoder.last_norm, x) if encoder.last_norm else x


def readout(layer, hidden, context, embedded):
    """r_t of state, context (or None) and embedded last token."""
    joined = hidden if context is None else np.concatenate([hidden, context])
    if layer.kind == "attentional":
        return np.tanh(affine(layer.combination, joined))
    if layer.kind == "maxout":
        return maxout(layer, np.concatenate([joined, embedded]))
    return joined if layer.kind == "concat" else hidden


def output(decoder, read):
    """The logits of what is read out."""
    layer = decoder.readout
    if layer.tied_to is None:
        return affine(layer.output_projection, read)
    if layer.to_embedding is not None:
        read = affine(layer.to_embedding, read)
    return array(layer.tied_to.embeddings) @ read


def with_copies(decoder, logits, weights, known, source):
    if decoder.copy_head is None:
        return logits
    return np.log(mixture(decoder.copy_head, logits, weights, np.concatenate(known), source))


def recurrent_decoder(decoder, memory, summary, encoder_states, source, target):
    """Logits [T, V] and attention [T, S] of one pair, whatever the settings."""
    settings = decoder.settings
    deep, attends = len(decoder.layers), settings["attention"] != "none"
    before = attends and settings["attention_query"] == "previous"
    asker = 0 if settings["attention_layer"] == "bottom" else deep - 1
    if settings["initial_state"] == "copy":
        states = list(encoder_states)
    else:
        zeros = [np.zeros(settings["units"])] * CELLS[settings["cell"]][1]
        states = [list(zeros) for _ in range(deep)]
        if settings["initial_state"] == "project":
            given = iter(decoder.bridges)
            states = [[np.tanh(affine(next(given), summary)) for _ in zeros] for _ in states]

    covered = np.zeros(len(source)) if settings["coverage"] else None

    def ask(query):
        return attend(settings["attention"], decoder.attention, query, memory, covered)

    context = None if attends or not settings["input_feeding"] else summary
    fed = None
    all_logits, all_weights = [], []
    for y in array(decoder.embedding.embeddings)[np.array(target)]:
        weights = np.zeros(len(source))
        if before:
            context, weights = ask(states[asker][0])
        x = y
        if settings["input_feeding"]:
            if attends and not before:
                if fed is None:
                    fed = np.zeros(decoder.layers[0].input_projection.kernel.shape[0] - len(y))
                x = np.concatenate([y, fed])
            else:
                x = np.concatenate([y, context])
        for i, layer in enumerate(decoder.layers):
            above = attends and i > asker
            states[i] = cell_step(layer, np.concatenate([x, context]) if above else x, states[i])
            residual = settings["residual_from"] and i + 1 >= settings["residual_from"]
            x = states[i][0] + x if residual else states[i][0]
            if attends and not before and i == asker:
                context, weights = ask(x)
        read = readout(decoder.readout, x, context, y)
        fed = read if decoder.readout.kind == "attentional" else context
        if covered is not None:
            covered = covered + weights
        all_logits.append(
            with_copies(decoder, output(decoder, read), weights, (context, x, y), source)
        )
        all_weights.append(weights)
    return np.array(all_logits), np.array(all_weights)


def transformer_decoder(decoder, memory, source, target):
    """The same of a Transformer."""
    embedded = x = positioned(decoder.embedding, target)
    for own, other, network in zip(
        decoder.self_attentions, decoder.attentions, decoder.networks, strict=True
    ):
        x = self_attention(own, x, causal=True)
        answers = []

        def look(x, other=other, answers=answers):
            answers += [multi_head(other.attention, query, memory) for query in x]
            return np.array([context for context, _ in answers])

        x = sublayer(other, x, look)
        x = sublayer(network, x, lambda x, network=network: feed_forward(network, x))
    if decoder.last_norm:
        x = layer_norm(decoder.last_norm, x)
    logits = [
        with_copies(decoder, output(decoder, state), weights, (context, state, word), source)
        for state, word, (context, weights) in zip(x, embedded, answers, strict=True)
    ]
    return np.array(logits), np.array([weights for _, weights in answers])


def network(model, source, target):
    """Logits and attention of one pair."""
    encoder, decoder, states = model.encoder, model.decoder, None
    if hasattr(encoder, "forward"):
        memory, summary, states = recurrent_encoder(encoder, source)
    else:
        memory = transformer_encoder(encoder, source)
        summary = memory.mean(axis=0)
    if hasattr(decoder, "self_attentions"):
        return transformer_decoder(decoder, memory, source, target)
    return recurrent_decoder(decoder, memory, summary, states, source, target)
