"""What is asked of many texts at once is what is asked of each alone."""

import re
import unicodedata
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from seq2seq_tfx.components.bitext_statistics import main_script, main_scripts
from seq2seq_tfx.components.cleaning.duplicates import band_keys, hash64, hashes64, minhashes
from seq2seq_tfx.components.cleaning.filters import AnyFilter
from seq2seq_tfx.components.splits import comparable, comparables
from seq2seq_tfx.components.vocabulary_counts import VocabularyCounts

FILTERS = TypeAdapter(list[AnyFilter]).validate_python(
    [
        {"filter": "normalize"},
        {"filter": "normalize", "form": "NFKC", "white_space": False},
        {"filter": "control_characters"},
        {"filter": "control_characters", "action": "remove"},
        {"filter": "markup"},
        {"filter": "markup", "action": "reject"},
        {"filter": "markup", "action": "remove"},
        {"filter": "length", "min": 2, "max": 5},
        {"filter": "length", "unit": "words", "max": 2},
        {"filter": "length_ratio", "max": 1.5},
        {"filter": "length_ratio", "unit": "words", "slack": 1},
        {"filter": "identical"},
        {"filter": "identical", "ignore_case": False, "min_words": 2},
        {"filter": "placeholders"},
        {"filter": "numbers"},
    ]
)
# What the short ways look for, among all else.
LETTERS = (
    "aAb ßẞS\u017fé\u0301ŉ1٣²①\U0001d7d99,.{}%sd \u00a0\u3000\x1c\x85\t\x07\u200d日Жﬁ😀İ<>/&;가̧"
)
TEXT = st.text(st.one_of(st.sampled_from(LETTERS), st.characters(codec="utf-8")), max_size=12)
SIDES = TEXT.filter(str.strip)
MANY = settings(max_examples=150, deadline=None)


@MANY
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=8))
def test_pairs_are_judged_together_as_each_alone(pairs):
    for each in FILTERS:
        assert each.apply_all(pairs) == [each.apply(*pair) for pair in pairs]


@MANY
@given(st.lists(TEXT, min_size=1, max_size=8))
def test_texts_are_hashed_compared_and_named_together_as_each_alone(texts):
    assert hashes64(texts).tolist() == [hash64(text) for text in texts]
    assert comparables(texts) == [comparable(text) for text in texts]
    assert main_scripts(texts) == [main_script(text) for text in texts]
    digits = [hash64(re.sub(r"\D+", " ", text)) for text in texts]
    signatures = np.zeros((len(texts), 2), np.uint64)
    assert band_keys(texts, signatures, 1)[:, 0].tolist() == digits
    assert len(minhashes(texts)) == len(texts)


@MANY
@given(st.lists(st.lists(TEXT, max_size=4), max_size=4), st.booleans())
def test_words_are_those_of_python(batches, held_out):
    counts = VocabularyCounts()
    for texts in batches:
        counts.add(texts, held_out)
    words = Counter(" ".join(t for texts in batches for t in texts).casefold().split())
    found = counts.as_dict()
    assert found["tokens"] == words.total()
    assert found["words"] == dict(words)


def test_the_first_character_tells_whether_texts_may_be_alike():
    # `Identical` leaves out all others: of no character may the case depend on the next.
    for code in (*range(0x300), 0x3A3, 0x3C2, 0x130, 0xFB01, 0x1E9E):
        for after in ("", "a", "\u0307", "Σ"):
            text = unicodedata.normalize("NFC", chr(code) + after)
            assert text.casefold().startswith(text[:1].casefold())
