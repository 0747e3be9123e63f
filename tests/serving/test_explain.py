"""What the model looked at: tokens of both sides, attention, and the words put in by it."""

import functools

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.models import features
from seq2seq_tfx.models.search_options import IMPOSSIBLE, SearchConfig
from seq2seq_tfx.serving.tokenizer import Tokenizer

from .asking import (
    NAMES,
    REAL,
    TEXTS,
    UNKNOWN,
    ask,
    assert_same,
    attended,
    decode,
    eagerly,
    gnmt_score,
    ids_of,
    source_ids_of,
    variant,
)

pytestmark = [pytest.mark.slow, pytest.mark.modern]  # six exports

EOS = features.SPECIAL_TOKENS[features.EOS]


def explanations(answers):
    """Of each row its source tokens and, of each place, text, scores, tokens, attention."""
    rows = []
    for row, text in enumerate(answers[features.TEXT]):
        read = answers[features.SOURCE_LENGTH][row]
        source = [token.decode() for token in answers[features.SOURCE_TOKENS][row, :read]]
        places = []
        for place in range(len(text)):
            written = answers[features.TARGET_LENGTH][row, place]
            tokens = answers[features.TARGET_TOKENS][row, place, :written]
            places.append(
                (
                    text[place].decode(),
                    answers[features.SCORE][row, place],
                    answers[features.LOG_PROB][row, place],
                    [token.decode() for token in tokens],
                    answers[features.ATTENTION][row, place, :written, :read],
                )
            )
        rows.append((source, places))
    return rows


@pytest.fixture(scope="module")
def answers(exported):
    return ask(exported, TEXTS, features.EXPLAIN_SIGNATURE)


@pytest.fixture(scope="module")
def explained(answers):
    return explanations(answers)


def test_what_is_explained_are_the_answers_of_nbest(exported, answers):
    nbest = ask(exported, TEXTS, features.NBEST_SIGNATURE)
    assert_same({name: answers[name] for name in NAMES}, nbest)


def test_shapes_are_those_of_the_longest_and_beyond_each_length_is_nothing(answers):
    rows, places = answers[features.TEXT].shape
    read, written = answers[features.SOURCE_LENGTH], answers[features.TARGET_LENGTH]
    longest, steps = read.max(), written.max()
    assert answers[features.SOURCE_TOKENS].shape == (rows, longest)
    assert answers[features.TARGET_TOKENS].shape == (rows, places, steps)
    assert answers[features.ATTENTION].shape == (rows, places, steps, longest)
    in_source = np.arange(longest) < read[:, None]
    in_target = np.arange(steps) < written[..., None]
    np.testing.assert_array_equal(answers[features.SOURCE_TOKENS] != b"", in_source)
    np.testing.assert_array_equal(answers[features.TARGET_TOKENS] != b"", in_target)
    inside = in_target[..., None] & in_source[:, None, None]
    assert (answers[features.ATTENTION][~inside] == 0).all()
    np.testing.assert_allclose(answers[features.ATTENTION].sum(-1), in_target, atol=1e-5)


def test_an_empty_place_has_no_tokens(answers):
    empty = answers[features.SCORE] == IMPOSSIBLE
    np.testing.assert_array_equal(answers[features.TARGET_LENGTH] == 0, empty)
    assert empty.sum() == 4  # two empty sources have one answer each


def test_an_empty_source_is_answered_by_the_end_alone(explained):
    for row in (TEXTS.index(""), TEXTS.index(" \t ")):
        source, ((text, score, log_prob, tokens, attention), *_) = explained[row]
        assert (source, text, score, log_prob, tokens) == ([EOS], "", 0, 0, [EOS])
        np.testing.assert_allclose(attention, [[1.0]], atol=1e-6)


def test_tokens_spell_what_was_read_and_what_is_answered(exported, explained):
    lengths = set()
    for text, (source, places) in zip(TEXTS, explained, strict=True):
        if text in REAL:
            kept = " ".join(text.split())[: exported.max_source_tokens]
            assert "".join(source[:-1]).replace("▁", " ") == kept
            assert source[-1] == EOS
            for answer, _, _, tokens, _ in places:
                assert tokens[-1] == EOS and tokens.count(EOS) == 1
                assert "".join(tokens[:-1]).replace("<unk>", UNKNOWN) == answer
                lengths.add(len(tokens))
    assert len(lengths) >= 3


def test_the_attention_is_what_the_decoder_pays_step_by_step(exported, explained):
    for text, (_, places) in zip(TEXTS, explained, strict=True):
        if text in REAL:
            source = source_ids_of(exported.predictor, text)
            for answer, _, _, _, attention in places:
                expected = attended(exported.model, source, ids_of(exported, answer))
                np.testing.assert_allclose(attention, expected, atol=1e-5)


def test_a_row_is_explained_as_it_would_be_alone(exported, explained):
    for number, text in enumerate(TEXTS):
        (alone,) = explanations(ask(exported, [text], features.EXPLAIN_SIGNATURE))
        source, places = explained[number]
        assert alone[0] == source
        for one, other in zip(alone[1], places, strict=True):
            assert one[0] == other[0] and one[3] == other[3]
            np.testing.assert_allclose(one[1:3], other[1:3], rtol=1e-5)
            np.testing.assert_allclose(one[4], other[4], atol=1e-5)


# Beams, prefixes and draws beside each other.
OPTIONS = {
    "beam_size": [1, 3, 2, -1, 3],
    "hypotheses": [1, 2, -1, -1, 3],
    "length_penalty": [0.0, 3.0, -1.0, -1.0, -1.0],
    "temperature": [-1.0, -1.0, -1.0, 1.5, 1.5],
    "seed": [-1, -1, -1, 4, 5],
    "prefix": ["", "", "ab", "", "c"],
    "min_length": [4, 0, 0, 0, 0],
}


def test_with_options_what_is_explained_are_the_answers_of_decode(exported):
    texts = REAL[: len(OPTIONS["seed"])]
    answers = decode(exported, texts, features.EXPLAIN_DECODE_SIGNATURE, **OPTIONS)
    decoded = decode(exported, texts, **OPTIONS)
    assert_same({name: answers[name] for name in NAMES}, decoded)
    plain = ask(exported, texts, features.EXPLAIN_SIGNATURE)
    differ = 0
    for text, (source, places), known in zip(
        texts, explanations(answers), plain[features.TEXT], strict=True
    ):
        ids = source_ids_of(exported.predictor, text)
        assert len(source) == len(ids)
        for answer, score, _, tokens, attention in places:
            assert (score == IMPOSSIBLE) == (tokens == [])
            if tokens:
                expected = attended(exported.model, ids, ids_of(exported, answer))
                np.testing.assert_allclose(attention, expected, atol=1e-5)
                differ += answer.encode() not in known
    assert differ >= 3  # answers that a search without options does not find


def test_the_coverage_penalty_is_gnmts_formula_over_the_attention_explained(exported):
    covered = variant(exported.predictor, coverage_penalty=0.7)
    answers = eagerly(covered, "explain", REAL)
    for _, places in explanations(answers):
        for _, score, log_prob, tokens, attention in places:
            expected = gnmt_score(log_prob, len(tokens), attention, 0.7, 0.7)
            assert score == pytest.approx(expected, abs=1e-3)
    asked = decode(exported, REAL, coverage_penalty=0.7)
    assert_same({name: answers[name] for name in NAMES}, asked, atol=1e-3)


def test_a_model_without_attention_has_none_to_show(plain):
    answers = eagerly(plain, "explain", ["the fox", ""])
    assert answers[features.ATTENTION].shape == (2, 3, answers[features.TARGET_LENGTH].max(), 8)
    assert not answers[features.ATTENTION].any()
    (source, places), _ = explanations(answers)
    assert source == [*"the▁fox", EOS] and all(tokens[-1] == EOS for *_, tokens, _ in places)


def test_a_reversed_source_is_explained_in_its_own_order(new_predictor):
    # The same network, once with the words turned round inside of it and once outside.
    inside, outside = (
        new_predictor({"preset": "luong2015", "reverse_source": reverse})
        for reverse in (True, False)
    )
    texts = ["thefox", "quick", "Übergroße"]
    found = explanations(eagerly(inside, "explain", texts))
    turned = explanations(eagerly(outside, "explain", [text[::-1] for text in texts]))
    for text, (source, places), (_, expected) in zip(texts, found, turned, strict=True):
        assert source == [*text, EOS]
        for one, other in zip(places, expected, strict=True):
            assert one[0] == other[0] and one[3] == other[3]
            *words, end = range(len(source))
            np.testing.assert_allclose(one[4], other[4][:, [*words[::-1], end]], atol=1e-5)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("</s><x", ["</", "s", "><", "x"]),  # text alone never makes a special token
        ("a▁ \u3000b", ["a", "▁", "b"]),
        (b"the \xff\xfe fox", [*"the▁", "\ufffd\ufffd", *"▁fox"]),
        ("№x", ["⁇", "o", "x"]),  # one character that becomes 'No', of which 'N' is unknown
        ("😀" * 5000, ["😀" * 5000]),
        ("x" * 100_000, ["x"] * 12),
    ],
    ids=["special", "spaces", "bytes", "expanded", "unknown", "long"],
)
def test_tokens_are_text_whatever_was_sent(exported, text, tokens):
    answers = ask(exported, [text, "x"], features.EXPLAIN_SIGNATURE)
    source, _ = explanations(answers)[0]
    if text == "</s><x":  # 's' is a letter of the vocabulary only if it was read
        known = exported.predictor.source_tokenizer.tokenize(tf.constant(["s"])).to_list() != [[3]]
        tokens = tokens if known else ["</s><", "x"]
    assert source == [*tokens, EOS]


# Unknown words.

SENTENCE = "the quick brown fox jumps over a lazy dog"
TARGETS = ["der schnelle braune Fuchs springt über den faulen Hund"] * 3
SEARCH = SearchConfig(beam_size=3, max_length=9, max_length_ratio=1.0)
# No two unknown words side by side, or they were one token.
QUESTIONS = [
    "THE Zürich fox ﬁne-tuned Dog",
    "Ⅳ QUICK \u3000 \uff21\uff22\uff23 a Σίσυφος",
    "dog\u00a0Foo the",
    "",
    "</s> lazy",
    "over Ünder",
]


def tokenizer(texts, kind, lowercase=False, size=None):
    side = SideConfig(kind=kind, vocabulary_size=size)
    return Tokenizer(train_tokenizer(iter(texts), side, lowercase))


@pytest.fixture(scope="module")
def replacing(new_predictor):
    """Makes a predictor that replaces what is unknown, given the kind of its target's tokens."""
    source = tokenizer([SENTENCE], "word", lowercase=True)

    @functools.cache
    def new(kind):
        target = tokenizer(TARGETS, kind, size=40 if kind == "unigram" else None)
        predictor = new_predictor({"preset": "luong2015"}, SEARCH, (source, target), 3.0)
        return variant(predictor, replace_unknown=True)

    return new


def spelled(kind, tokens, words):
    """What tokens spell with words in place of UNK."""
    glue = "▁" if kind == "word" else ""
    pairs = zip(tokens[:-1], words, strict=True)
    text = "".join(glue + word if token == "<unk>" else token for token, word in pairs)
    return text.replace("▁", " ").strip()


@pytest.mark.parametrize("kind", ["word", "unigram", "character"])
def test_an_unknown_word_becomes_the_source_word_attended_to_most_as_it_was_written(
    replacing, kind
):
    predictor = replacing(kind)
    answers = eagerly(predictor, "explain", QUESTIONS)
    without = eagerly(variant(predictor, replace_unknown=False), "explain", QUESTIONS)
    put_in = set()
    for question, (_, places), (_, others) in zip(
        QUESTIONS, explanations(answers), explanations(without), strict=True
    ):
        words = question.split()
        for (text, *_, tokens, attention), (other, *_) in zip(places, others, strict=True):
            if "<unk>" not in tokens:
                assert text == other
                continue
            most = [words[place] for place in attention[:-1, :-1].argmax(axis=1)]
            assert text == spelled(kind, tokens, most)
            assert "⁇" not in text and "⁇" in other
            put_in |= {w for w, token in zip(most, tokens[:-1], strict=True) if token == "<unk>"}
    # Of what is put in, some was unknown as well, some has case, some is not in NFKC.
    assert len(put_in) >= 4, put_in
    for name in set(answers) - {features.TEXT}:
        np.testing.assert_array_equal(answers[name], without[name], err_msg=name)


def test_all_signatures_replace_alike(replacing):
    predictor = replacing("word")
    expected = eagerly(predictor, "explain", QUESTIONS)[features.TEXT]
    asked = eagerly(predictor, "decode", QUESTIONS)
    np.testing.assert_array_equal(asked[features.TEXT], expected)
    in_graph = predictor.nbest(tf.constant(QUESTIONS))
    np.testing.assert_array_equal(in_graph[features.TEXT], expected)


def test_what_is_put_in_is_text_even_where_the_source_was_none(replacing):
    answers = eagerly(replacing("word"), "nbest", [b"\xff\xfe", b"\xe4 the \xff\x00"])
    texts = [text.decode() for text in answers[features.TEXT].ravel()]
    assert any("\ufffd" in text for text in texts)


def test_subwords_are_put_in_as_they_were_written(new_predictor):
    texts = [SENTENCE, "Über große Flüsse führen schöne Brücken"] * 3
    shared = tokenizer(texts, "bpe", lowercase=True, size=60)
    library = sentencepiece.SentencePieceProcessor(model_proto=shared.model)
    predictor = new_predictor({"preset": "luong2015"}, SEARCH, (shared, shared), 4.0)
    questions = ["BRÜCKEN 学 ox", "Σ Fox", "Großer Dog"]
    answers = eagerly(variant(predictor, replace_unknown=True), "explain", questions)
    put_in = set()
    for question, (_, places) in zip(questions, explanations(answers), strict=True):
        # Letter by letter what was read is as long as what was written.
        ends = np.cumsum([len(piece) for piece in library.encode(question, out_type=str)])
        whole = f" {question}"
        surfaces = [whole[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        assert "".join(surfaces) == whole
        for text, _, _, tokens, attention in places:
            most = [surfaces[place] for place in attention[:-1, :-1].argmax(axis=1)]
            assert text == spelled("bpe", tokens, [word.strip() or "▁" for word in most])
            put_in |= {w for w, token in zip(most, tokens[:-1], strict=True) if token == "<unk>"}
    assert len(put_in) >= 2, put_in
