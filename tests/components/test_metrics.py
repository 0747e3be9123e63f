"""The promises of the metrics: the figures of sacreBLEU, and of edit distances by the book."""

import math
import random

import pytest
import sacrebleu

from seq2seq_tfx.components import metrics
from seq2seq_tfx.components.metrics import MEASURES, Sentence, SumStatistics

# Hypotheses with one, two or three references each.
CORPUS = [
    ("The cat sat on the mat.", ["The cat sat on the mat.", "There was a cat on the mat."]),
    ("He goes to school by the bus", ["He goes to school by bus.", "He takes the bus to school."]),
    ("It is raining, isn't it?", ["It's raining, isn't it?"]),
    ("", ["Nothing was said.", "No answer."]),
    ("Der Zug fährt um 8:30 Uhr ab.", ["Der Zug fährt um 8:30 Uhr.", "Um 8:30 fährt der Zug ab."]),
    ("the the the the the the", ["The quick brown fox.", "A quick fox.", "the fox"]),
    ("我 喜欢 猫", ["我 很 喜欢 猫"]),
    ("no overlap whatsoever here", ["Completely different words stand there, many of them."]),
]


@pytest.fixture(autouse=True)
def _sentences_as_extracts(monkeypatch):
    monkeypatch.setattr(metrics, "sentence_of", lambda extracts, model_name: Sentence(*extracts))


def figure(name, corpus, groups=None):
    """The figure of a corpus, its accumulators merged in the given groups."""
    combiner = SumStatistics("key", name, "model")
    groups = groups or [corpus]
    accumulators = []
    for group in groups:
        accumulator = combiner.create_accumulator()
        for sentence in group:
            accumulator = combiner.add_input(accumulator, sentence)
        accumulators.append(accumulator)
    return combiner.extract_output(combiner.merge_accumulators(accumulators))["key"]


def of_sacrebleu(name, corpus):
    """sacreBLEU's public corpus figure; streams of references are filled up with None."""
    most = max(len(references) for _, references in corpus)
    streams = [
        [references[i] if i < len(references) else None for _, references in corpus]
        for i in range(most)
    ]
    hypotheses = [hypothesis for hypothesis, _ in corpus]
    return {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}[name](
        hypotheses, streams
    ).score


def distance(a, b):
    """Levenshtein's, by his recurrence."""
    table = [[max(i, j) if not i * j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i][j] = min(
                table[i - 1][j] + 1,
                table[i][j - 1] + 1,
                table[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
            )
    return table[-1][-1]


@pytest.mark.parametrize("name", ["bleu", "chrf"])
@pytest.mark.parametrize(
    "corpus",
    [
        [(hypothesis, references[:1]) for hypothesis, references in CORPUS],
        [(hypothesis, references[:2]) for hypothesis, references in CORPUS if references[1:]],
        CORPUS,
        [("", ["Not a word came."])],
        [("exactly the same five words", ["exactly the same five words"])] * 2,
    ],
    ids=["one", "two", "varying", "empty", "perfect"],
)
def test_figures_are_those_of_sacrebleu(name, corpus):
    assert figure(name, corpus) == pytest.approx(of_sacrebleu(name, corpus), abs=1e-9)


def test_the_corpus_figure_is_no_mean_of_sentences():
    # The reference above would otherwise not tell the two apart.
    mean = sum(sacrebleu.sentence_bleu(h, r).score for h, r in CORPUS) / len(CORPUS)
    assert abs(figure("bleu", CORPUS) - mean) > 1


def test_token_error_rate_is_edits_over_length_of_the_closest_reference():
    generator = random.Random(3)

    def sequence():
        return " ".join(generator.choices("abc", k=generator.randint(0, 7)))

    corpus = [
        (sequence(), [sequence() or "a" for _ in range(generator.randint(1, 3))])
        for _ in range(150)
    ]
    errors = length = 0
    for hypothesis, references in corpus:
        best = min(
            (distance(hypothesis.split(), reference.split()), len(reference.split()))
            for reference in references
        )
        errors, length = errors + best[0], length + best[1]
    assert figure("token_error_rate", corpus) == errors / length


def test_token_error_rate_of_known_cases():
    assert figure("token_error_rate", [("HH AH L OW", ["HH EH L OW"])]) == 0.25
    assert figure("token_error_rate", [("a  b\u00a0c ", ["a b c"])]) == 0
    assert figure("token_error_rate", [("", ["a b"])]) == 1
    assert figure("token_error_rate", [("a b c d", ["x"])]) == 4
    # The closest is the one with the fewest edits, not the lowest rate.
    assert figure("token_error_rate", [("a b", ["a b c", "a b c d e f g h i"])]) == 1 / 3


def test_sequence_error_rate_counts_what_equals_no_reference():
    corpus = [("a b", ["a b"]), ("a b", ["c", "a b"]), ("a b", ["a  b"]), ("", ["c"])]
    assert figure("sequence_error_rate", corpus) == 0.5


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_figures_do_not_depend_on_how_workers_share_the_corpus(name):
    whole = figure(name, CORPUS)
    groupings = [
        [[sentence] for sentence in reversed(CORPUS)],
        [CORPUS[:3], [], CORPUS[3:]],
        [[], CORPUS[5:], CORPUS[:5], []],
    ]
    for groups in groupings:
        assert figure(name, CORPUS, groups) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_merging_leaves_its_arguments_as_they_were(name):
    combiner = SumStatistics("key", name, "model")
    one, two = (combiner.add_input([], sentence) for sentence in CORPUS[:2])
    before = list(one), list(two)
    combiner.merge_accumulators([one, two])
    combiner.add_input(one, CORPUS[2])
    assert (one, two) == before


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_nothing_evaluated_is_no_number(name):
    assert math.isnan(figure(name, []))
