"""Labels show what tokens hold, and nothing of a token acts."""

import unicodedata
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_tfx.report.labels import clusters, readable, shorten, visible

# Every code point, lone surrogates and noncharacters too.
ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=8)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("▁Über", "▁Über"),
        ("机器", "机器"),
        ("a b\u00a0c\u3000", "a␣b␣c␣"),
        ("\t\n\x00\x7f", "␉␊␀␡"),
        ("\x85\u2028", "[U+0085][U+2028]"),
        ("\u202eevil", "[U+202E]evil"),
        ("\u0301", "◌\u0301"),
        ("\u093f", "◌\u093f"),
        ("\u200d", "[U+200D]"),
        ("क्\u200dष", "क्\u200dष"),
        ("\ud800\uffff", "[U+D800][U+FFFF]"),
        ("", ""),
    ],
    ids=ascii,
)
def test_what_cannot_be_seen_is_shown(token, shown):
    assert visible(token) == shown


@given(ANYTHING)
def test_no_token_makes_a_label_that_xml_cannot_hold(token):
    shown = visible(token)
    parsed = ElementTree.fromstring(f"<a>{escape(shown)}</a>".encode())
    assert (parsed.text or "") == shown
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zs", "Zl", "Zp") for c in shown)


@given(ANYTHING)
def test_clusters_are_the_text(token):
    assert "".join(clusters(token)) == token


@pytest.mark.parametrize("whole", ["e\u0301", "कि", "👩‍👩‍👧", "🇩🇪", "👍🏽", "❤️", "1️⃣"], ids=ascii)
def test_what_is_seen_as_one_character_is_not_torn(whole):
    assert clusters(f"a{whole}b") == ["a", whole, "b"]
    assert clusters(whole * 2) == [whole, whole]


def test_a_long_label_ends_in_an_ellipsis():
    assert shorten("abcd", 4) == "abcd"
    assert shorten("abcde", 4) == "abc…"
    assert shorten("e\u0301" * 5, 4) == "e\u0301" * 3 + "…"


@settings(deadline=None)
@given(ANYTHING)
def test_a_readable_text_keeps_its_spaces_and_shows_all_else(text):
    shown = readable(text, 1000)
    assert shown == " ".join(visible(part) for part in text.split(" "))
    shown.encode("utf-8")


def test_of_a_very_long_text_the_beginning_is_read():
    assert readable("a b" * 100_000, 5) == "a ba…"
    assert readable("\u0301" * 100_000, 5).endswith("…")
    assert readable("abc", 3) == "abc"
