"""The promises of the metrics: the reference libraries' figures, and edit distances by the book."""

import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
import regex
import sacrebleu
import sacrebleu.tokenizers.tokenizer_13a
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from seq2seq_tfx.components.measure import Sentence
from seq2seq_tfx.components.metrics import MEASURES, signatures
from seq2seq_tfx.components.text_metrics import EXAMPLE_COUNT, SumStatistics
from seq2seq_tfx.serving.told import Forced

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


TOKENS = sacrebleu.tokenizers.tokenizer_13a.Tokenizer13a()
OF_SACREBLEU = {
    "bleu": sacrebleu.BLEU,
    "chrf": sacrebleu.CHRF,
    "chrf++": lambda: sacrebleu.CHRF(word_order=2),
    "ter": sacrebleu.TER,
}


def told_of(hypothesis):
    """What a model might tell of it."""
    size = len(hypothesis)
    return {
        "forced": (Forced(-1.5 * size - 0.25, size + 1, size // 2),),
        "confidence": {
            "ignored_source": size % 2,
            "attention_entropy": 0.5,
            "source_length": 6,
            "target_length": 6,
        },
    }


def added(combiner, name, corpus):
    """An accumulator of a corpus, sentence by sentence."""
    accumulator = combiner.create_accumulator()
    for hypothesis, references, *source in corpus:
        sentence = Sentence(hypothesis, tuple(references), *source)
        statistics = MEASURES[name].statistics(sentence._replace(**told_of(hypothesis)))
        prediction = np.array([1.0, *statistics])
        extracts = SimpleNamespace(get_predictions=lambda model, given=prediction: given)
        accumulator = combiner.add_input(accumulator, extracts)
    return accumulator


def figure(name, corpus, groups=None):
    """The figure of a corpus, its accumulators merged in the given groups."""
    combiner = SumStatistics([EXAMPLE_COUNT, name], [name], "model")
    accumulators = [added(combiner, name, group) for group in groups or [corpus]]
    found = combiner.extract_output(combiner.merge_accumulators(accumulators))
    assert found[EXAMPLE_COUNT] == len(corpus)
    return found[name]


def of_sacrebleu(name, corpus):
    """sacreBLEU's public corpus figure; streams of references are filled up with None."""
    metric = OF_SACREBLEU[name]()
    most = max(len(references) for _, references in corpus)
    streams = [
        [references[i] if i < len(references) else None for _, references in corpus]
        for i in range(most)
    ]
    hypotheses = [hypothesis for hypothesis, _ in corpus]
    return metric.corpus_score(hypotheses, streams), metric


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


@pytest.mark.parametrize("name", OF_SACREBLEU)
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
    expected, metric = of_sacrebleu(name, corpus)
    assert figure(name, corpus) == pytest.approx(expected.score, abs=1e-9)
    counts = {len(references) for _, references in corpus}
    assert signatures([name], counts) == {name: str(metric.get_signature())}


def test_length_ratio_is_that_of_sacrebleu():
    expected, _ = of_sacrebleu("bleu", CORPUS)
    assert figure("length_ratio", CORPUS) == pytest.approx(expected.sys_len / expected.ref_len)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_length_ratio_counts_tokens_as_sacrebleu_does(text):
    hypothesis, _ = MEASURES["length_ratio"].statistics(Sentence(text, ("a",)))
    assert hypothesis == len(TOKENS(text.rstrip()).split())


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_is_the_mean_of_rouge_score(name):
    corpus = [pair for pair in CORPUS if "".join([pair[0], *pair[1]]).isascii()]
    scorer = RougeScorer([name])
    scores = [scorer.score_multi(r, h)[name].fmeasure for h, r in corpus]
    assert 0 < figure(name, corpus) == pytest.approx(sum(scores) / len(scores), abs=1e-9)


class WordsOfAnyScript(Tokenizer):
    """As `docs/evaluation.md` has it: lower-cased runs of letters, marks and digits."""

    def tokenize(self, text):
        return regex.findall(r"[\p{L}\p{M}\p{N}]+", text.lower())


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
@given(
    st.lists(
        st.lists(st.text("aßÄ किताबें猫٣é-。", max_size=12), min_size=2, max_size=4),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=50, deadline=None)
def test_in_any_script_rouge_is_that_of_rouge_score_but_for_its_tokenizer(name, texts):
    corpus = [(hypothesis, references) for hypothesis, *references in texts]
    scorer = RougeScorer([name], tokenizer=WordsOfAnyScript())
    scores = [
        max(scorer.score(reference, hypothesis)[name].fmeasure for reference in references)
        for hypothesis, references in corpus
    ]
    assert figure(name, corpus) == pytest.approx(np.mean(scores), abs=1e-12)


def test_rouge_reads_words_of_every_script():
    # To rouge-score's own tokenizer these hold no word, or torn ones.
    assert figure("rouge1", [("Übergrößen für alle", ["für Ärzte übergrößen"])]) == 2 / 3
    assert figure("rouge2", [("मैं घर जा", ["मैं घर जा"])]) == 1
    assert figure("rouge1", [("किताब", ["किताबें"])]) == 0


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


def test_exact_match_is_what_is_no_error():
    assert figure("exact_match", CORPUS) == 1 - figure("sequence_error_rate", CORPUS) == 1 / 8


@pytest.mark.parametrize(
    ("name", "corpus", "expected"),
    [
        # 7 tokens have 4 4-grams, of which "a b a b" comes twice; the other has none.
        ("repetition_rate", [("a b a b a b x", ["-"]), ("a b c", ["-"])], 1 / 4),
        ("repetition_rate", [("ababababab", ["-"])], 5 / 7),
        ("repetition_rate", [("", ["-"])], 0),
        ("copy_rate", [("a b", ["c"], "a  b"), ("a b", ["c", "a b"], "a b"), ("c", ["d"], "a")],
         1 / 3),
        ("empty_rate", [("", ["a"]), (" \u00a0\n", ["a"]), ("\u2047", ["a"]), ("a", ["a"])], 1 / 2),
        ("unknown_token_rate", [("a \u2047 b", ["-"]), ("c\u2047", ["-"]), ("", ["-"])], 2 / 5),
    ],
)  # fmt: skip
def test_a_broken_generator_shows(name, corpus, expected):
    assert figure(name, corpus) == expected


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
    combiner = SumStatistics([EXAMPLE_COUNT, name], [name], "model")
    one, two = (added(combiner, name, [sentence]) for sentence in CORPUS[:2])
    before = one.tolist(), two.tolist()
    combiner.merge_accumulators([one, two])
    assert (one.tolist(), two.tolist()) == before


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_nothing_evaluated_is_no_number(name):
    assert math.isnan(figure(name, []))
