"""Search by plain Python: the same questions, answered with lists and without a graph.

The decoder is anything that gives the distribution after every prefix; `Table`
is one made of random numbers, so that search can be proved on many at no cost.
"""

import dataclasses

import numpy as np
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.search import Begun
from seq2seq_tfx.models.search_options import IMPOSSIBLE, Options

from .equations import log_softmax


@dataclasses.dataclass(frozen=True)
class Asked:
    """The options of one source."""

    limit: int
    shortest: int = 0
    beam: int = 4
    hypotheses: int = 4
    alpha: float = 0.0
    beta: float = 0.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    prefix: tuple = ()


def options(asked):
    """The same for a batch, as search takes it."""

    def column(name, dtype):
        return ops.convert_to_tensor(np.array([getattr(a, name) for a in asked], dtype))

    columns = [column(name, "int32") for name in ("limit", "shortest", "beam", "hypotheses")]
    columns += [column(name, "float32") for name in ("alpha", "beta", "temperature")]
    columns += [column("top_k", "int32"), column("top_p", "float32")]
    if not any(a.prefix for a in asked):
        return Options(*columns)
    longest = max(len(a.prefix) for a in asked)
    prefixes = [[*a.prefix, *[features.PAD] * (longest - len(a.prefix))] for a in asked]
    lengths = [len(a.prefix) for a in asked]
    return Options(*columns, *(ops.convert_to_tensor(x, "int32") for x in (prefixes, lengths)))


class Table:
    """Random logits and attention after every prefix of each source.

    A prefix is a number: 1 for the empty one, and V * p + token after one more.
    """

    def __init__(self, sources, vocabulary, length, source_length=4, seed=0, scale=2.0):
        rng = np.random.default_rng(seed)
        self.vocabulary, self.size = vocabulary, 2 * vocabulary ** (length - 1)
        shape = (sources, self.size)
        self.logits = (scale * rng.normal(size=(*shape, vocabulary))).astype("float32")
        self.mask = np.arange(source_length) < rng.integers(1, source_length + 1, (sources, 1))
        energies = 2.0 * rng.normal(size=(*shape, source_length))
        energies = np.where(self.mask[:, None], energies, -np.inf)
        weights = np.exp(energies - energies.max(axis=-1, keepdims=True))
        self.weights = (weights / weights.sum(axis=-1, keepdims=True)).astype("float32")

    def begun(self, rows):
        """The decoder before the first token of some of the sources."""
        rows = np.array(rows, "int32")
        logits, weights = (
            ops.convert_to_tensor(x.reshape(-1, x.shape[-1])) for x in (self.logits, self.weights)
        )

        def step(ids, prefix, row):
            following = ops.minimum(prefix * self.vocabulary + ids, self.size - 1)
            prefix = ops.where(ids == features.BOS, 1, following)
            index = row * self.size + prefix
            return ops.take(logits, index, axis=0), prefix, ops.take(weights, index, axis=0)

        start = ops.zeros(rows.shape, "int32")
        return Begun(
            step, start, ops.convert_to_tensor(rows), ops.convert_to_tensor(self.mask[rows])
        )

    def number(self, prefix):
        number = 1
        for token in prefix:
            number = number * self.vocabulary + token
        return number

    def log_probs(self, row, prefix):
        return log_softmax(self.logits[row, self.number(prefix)])

    def attention(self, row, prefix):
        """What each real source position gets with the token after the prefix."""
        return self.weights[row, self.number(prefix)][self.mask[row]].astype("float64")


def may_follow(asked, t, vocabulary):
    """The tokens that may stand in place t."""
    if t < len(asked.prefix):
        return [asked.prefix[t]]
    if t + 1 >= asked.limit:
        return [features.EOS]
    words = [i for i in range(vocabulary) if i not in (features.PAD, features.BOS, features.EOS)]
    return words if t < asked.shortest else [features.EOS, *words]


def log_prob(table, row, ids):
    return sum(table.log_probs(row, ids[:t])[token] for t, token in enumerate(ids))


def score(table, row, ids, asked):
    """log P / ((5 + |Y|) / 6)^alpha + beta sum_i log(min(sum_j p_ij, 1)): Wu et al. (2016)."""
    found = log_prob(table, row, ids) / ((5 + len(ids)) / 6) ** asked.alpha
    if asked.beta:
        covered = sum(table.attention(row, ids[:t]) for t in range(len(ids)))
        found += asked.beta * np.log(np.minimum(covered, 1.0)).sum()
    return found


def every_hypothesis(asked, vocabulary, prefix=()):
    for token in may_follow(asked, len(prefix), vocabulary):
        ids = (*prefix, token)
        if token == features.EOS:
            yield ids
        else:
            yield from every_hypothesis(asked, vocabulary, ids)


def enumerated(table, row, asked):
    """(score, ids) of every hypothesis that there is, best first."""
    found = [
        (score(table, row, ids, asked), ids) for ids in every_hypothesis(asked, table.vocabulary)
    ]
    return sorted(found, reverse=True)


def beam(table, row, asked):
    """(score, ids) of what a beam finds that nothing stops before it is empty, best first."""
    alive, finished = [(0.0, ())], []
    for t in range(asked.limit):
        candidates = []
        for total, prefix in alive:
            following = table.log_probs(row, prefix)
            for token in may_follow(asked, t, table.vocabulary):
                candidates.append((total + following[token], (*prefix, token)))
        kept = sorted(candidates, reverse=True)[: asked.beam]
        finished += [
            (score(table, row, ids, asked), ids) for _, ids in kept if ids[-1] == features.EOS
        ]
        alive = [(total, ids) for total, ids in kept if ids[-1] != features.EOS]
    return sorted(finished, reverse=True)[: asked.hypotheses]


def greedy(table, row, asked):
    ids = ()
    while not ids or ids[-1] != features.EOS:
        following = table.log_probs(row, ids)
        allowed = may_follow(asked, len(ids), table.vocabulary)
        ids = (*ids, max(allowed, key=lambda token: following[token]))
    return ids


def nucleus(table, row, asked, prefix):
    """What may be drawn after a prefix, likeliest first, and how likely each is."""
    allowed = may_follow(asked, len(prefix), table.vocabulary)
    following = table.log_probs(row, prefix)
    allowed = sorted(allowed, key=lambda token: -following[token])
    warmed = np.exp(log_softmax(following[allowed] / asked.temperature))
    likeliest = allowed[: asked.top_k or None]
    kept = [token for i, token in enumerate(likeliest) if warmed[:i].sum() < asked.top_p]
    return kept, warmed[: len(kept)] / warmed[: len(kept)].sum()


def drawn(table, row, asked, uniforms):
    """The hypothesis that some uniforms decide on: the token where their share of the sum falls."""
    ids = ()
    while not ids or ids[-1] != features.EOS:
        tokens, probabilities = nucleus(table, row, asked, ids)
        place = np.searchsorted(probabilities.cumsum(), uniforms[len(ids)], side="right")
        ids = (*ids, tokens[min(place, len(tokens) - 1)])
    return ids


def found_in(hypotheses, row):
    """(score, log-probability, ids) of the places that search filled for a row, best first."""
    ids, scores, log_probs = (ops.convert_to_numpy(x)[row] for x in hypotheses[:3])
    for place in range(len(scores)):
        if scores[place] == IMPOSSIBLE:
            assert log_probs[place] == np.float32(IMPOSSIBLE)
            assert not ids[place].any()
            assert (scores[place:] == np.float32(IMPOSSIBLE)).all()
    return [
        (float(s), float(p), tuple(int(i) for i in h[: np.flatnonzero(h)[-1] + 1]))
        for s, p, h in zip(scores, log_probs, ids, strict=True)
        if s != np.float32(IMPOSSIBLE)
    ]
