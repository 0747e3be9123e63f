"""Each filter by examples: what it lets through, mends and refuses."""

import pytest
from pydantic import TypeAdapter

from seq2seq_tfx.components.cleaning.filters import AnyFilter, clean
from seq2seq_tfx.components.cleaning.scripts import script_of
from seq2seq_tfx.components.readers.rows import Pair, Rejected

FILTERS = TypeAdapter(list[AnyFilter])


def cleaned(source, target, *filters):
    """The sides after filters, or the reason and detail."""
    row = clean(Pair(source, target, "f", 7), FILTERS.validate_python(list(filters)))
    if isinstance(row, Rejected):
        assert (row.file, row.line) == ("f", 7)
        return row.reason, row.detail
    return row.source, row.target


def reason(source, target, **settings):
    found = cleaned(source, target, settings)
    return None if found == (source, target) else found[0]


def test_normalization_composes_and_collapses_white_space():
    decomposed = "e\u0301 \u00a0\n a\ufb01"
    assert cleaned(decomposed, "x", {"filter": "normalize"}) == ("é a\ufb01", "x")
    compatible = {"filter": "normalize", "form": "NFKC"}
    assert cleaned(decomposed, "x", compatible) == ("é afi", "x")
    kept = {"filter": "normalize", "white_space": False}
    assert cleaned("e\u0301  b", "x", kept) == ("é  b", "x")


def test_control_characters_are_refused_or_removed():
    for bad, code in (("\x07", "0007"), ("\u200b", "200B"), ("\ue000", "E000"), ("\x85", "0085")):
        told = cleaned("good", f"a{bad}b", {"filter": "control_characters"})
        assert told == ("control_character", f"U+{code} in the target, at character 2")
        removed = {"filter": "control_characters", "action": "remove"}
        assert cleaned("good", f"a{bad}b", removed) == ("good", "ab")
        assert cleaned("good", bad, removed)[0] == "empty_target"


@pytest.mark.parametrize(
    "text",
    ["a\tb\nc", "\u0645\u06cc\u200c\u062e\u0648", "👩\u200d🔬", "한국어"],
)
def test_what_scripts_and_lines_need_is_no_control_character(text):
    assert reason(text, text, filter="control_characters") is None


def test_markup_is_compared_refused_or_removed():
    same = ('<a href="x">one</a> <br/>', '<br> <a href="y">eins</a>')
    other = ("<b>one</b>", "eins")
    assert reason(*same, filter="markup") is None
    assert reason(*other, filter="markup") == "markup_differs"
    assert reason(*same, filter="markup", action="reject") == "markup"
    removed = {"filter": "markup", "action": "remove"}
    assert cleaned("<b>one</b> &amp; two<!-- x -->", "eins", removed) == ("one & two", "eins")
    assert cleaned("<br/>", "eins", removed)[0] == "empty_source"
    kept = ("%<count>d files at %<price>.2f", "%<count>s")
    assert cleaned(*kept, removed) == kept
    assert cleaned("100%<br>done", "eins", removed) == ("100% done", "eins")
    for text in ("a < b and c > d", "1<2", "<3 you", "x <- y -> z"):
        assert reason(text, "x", filter="markup", action="reject") is None


def test_lengths_are_bounded_in_characters_or_words():
    assert reason("abc", "abcd", filter="length", min=3, max=4) is None
    assert reason("ab", "abcd", filter="length", min=3, max=4) == "short_source"
    assert reason("abc", "abcde", filter="length", min=3, max=4) == "long_target"
    assert reason("a b c", "a b", filter="length", unit="words", max=2) == "long_source"


@pytest.mark.parametrize(
    ("source", "target", "settings", "fine"),
    [
        ("a" * 10, "b" * 30, {}, True),
        ("a" * 10, "b" * 31, {}, False),
        ("a" * 31, "b" * 10, {}, False),
        ("one two", "a b c d e", {"unit": "words", "max": 2.5}, True),
        ("one two", "a b c d e f", {"unit": "words", "max": 2.5}, False),
        ("a", "b" * 5, {"slack": 1}, True),
        ("a", "b" * 6, {"slack": 1}, False),
    ],
)
def test_the_ratio_of_lengths_is_bounded_both_ways(source, target, settings, fine):
    found = reason(source, target, filter="length_ratio", **settings)
    assert found == (None if fine else "length_ratio")


def test_identical_sides_are_refused():
    assert reason("Home Page", "home page", filter="identical") == "identical_sides"
    assert reason("Home Page", "home page", filter="identical", ignore_case=False) is None
    assert reason("Berlin", "Berlin", filter="identical", min_words=2) is None


@pytest.mark.parametrize(
    ("source", "target", "fine"),
    [
        ("Hi {name}, %d files", "%d Dateien, {name}", True),
        ("Hi {name}", "Hallo {namen}", False),
        ("{{ name }} and ${x}", "${x} und {{ name }}", True),
        ("{{ name }}", "{{name }}", False),
        ("%(count)s of %1$s", "%1$s von %(count)s", True),
        ("%s and %s", "%s", False),
        ("{}", "", False),
        ("100% of it", "100 % davon", True),
        ("a set {of words}", "eine Menge", True),
        ("%5.2f", "%.2f", False),
        ("%<count>d files", "%<count>d Dateien", True),
        ("%<count>d files", "%<anzahl>d Dateien", False),
        ("in $HOME/x", "in $HOME/y", True),
        ("$name is here", "$nome ist da", False),
        ("costs $5 or US$ 5", "kostet 5 $", True),
        ("Delete %@?", "%@ entfernen", True),
        ("Delete %1$@", "Entfernen", False),
        (
            "{n, plural, one {file} other {# files of {x}}}",
            "{n, plural, one {plik} few {# pliki z {x}} many {# z {x}} other {# z {x}}}",
            True,
        ),
        ("{n, plural, one {a} other {b}}", "{m, plural, one {a} other {b}}", False),
        ("{n, plural, other {of {x}}}", "{n, plural, other {von {y}}}", False),
    ],
)
def test_placeholders_must_be_on_both_sides(source, target, fine):
    found = reason(source, target, filter="placeholders")
    assert found == (None if fine else "placeholders_differ")


@pytest.mark.parametrize(
    ("source", "target", "fine"),
    [
        ("1,000 of 12", "12 von 1.000", True),
        ("1000", "1 000", True),
        ("in 2019", "im Jahr 2020", False),
        ("3.5 km", "3,5 km", True),
        ("٣ books", "3 Bücher", True),
        ("07 May", "7. Mai", True),
        ("one", "1", False),
        ("CO2", "CO\u2082", True),
        ("no number", "keine", True),
        ("In 2020 100 people", "100 Menschen im Jahr 2020", True),
        ("12,345,678.25", "12 345 678,25", True),
        ("1,000 francs", "1\u2019000 Franken", True),
        ("1234.567", "1,234.567", True),
    ],
)
def test_numbers_must_be_on_both_sides(source, target, fine):
    assert reason(source, target, filter="numbers") == (None if fine else "numbers_differ")


@pytest.mark.parametrize(
    ("letters", "script"),
    [
        ("aÉßªº\uff21\U0001d431\u212a", "LATIN"), ("µωΩ", "GREEK"), ("жЯ", "CYRILLIC"),
        ("世々", "HAN"), ("カーｶ", "KATAKANA"), ("ひ", "HIRAGANA"), ("한", "HANGUL"),
        ("שﬡ", "HEBREW"), ("ﻋ", "ARABIC"),
    ],
)  # fmt: skip
def test_the_script_of_a_letter_does_not_depend_on_its_dress(letters, script):
    assert {script_of(letter) for letter in letters} == {script}


def test_letters_must_be_of_the_script():
    settings = {"filter": "script", "source": ["Latin"], "target": ["Han", "Hiragana"]}
    assert cleaned("Hello 42", "こんにちは 世界 X", settings) == ("Hello 42", "こんにちは 世界 X")
    assert cleaned("Привет", "世界", settings) == (
        "source_script", "0% of the letters are Latin, at least 50%",
    )  # fmt: skip
    assert cleaned("Hello", "World 世", settings)[0] == "target_script"
    assert cleaned("42", "!", settings) == ("42", "!")


def test_filters_come_in_their_order_and_the_first_fault_ends_it():
    upper = {"filter": "normalize"}
    assert cleaned("a  b", "a b", upper, {"filter": "identical"})[0] == "identical_sides"
    assert cleaned("a  b", "a b", {"filter": "identical"}, upper) == ("a b", "a b")
    both = ({"filter": "length", "min": 9}, {"filter": "identical"})
    assert cleaned("a", "a", *both)[0] == "short_source"


def test_what_is_rejected_is_shown_as_it_came():
    filters = FILTERS.validate_python([{"filter": "normalize"}, {"filter": "identical"}])
    row = clean(Pair("a  b", "a b", "f", 7), filters)
    assert row.text == "a  b\ta b"


def test_a_side_in_another_language_is_refused_and_what_is_not_clear_is_kept():
    english = "The weather station does not answer any more."
    german = "Die Wetterstation antwortet seit gestern nicht mehr."
    french = "La station météo ne répond plus depuis hier soir."
    settings = {"filter": "language", "source": "en", "target": "de", "among": ["fr"]}
    told = {
        (english, german): (english, german),
        (english, english): ("target_language", "seems to be 'en', not 'de'"),
        (german, english): ("source_language", "seems to be 'de', not 'en'"),
        (english, french): ("target_language", "seems to be 'fr', not 'de'"),
        ("API", "Port"): ("API", "Port"),
    }
    assert {pair: cleaned(*pair, settings) for pair in told} == told
    assert cleaned(german, french, {**settings, "source": None}) == (
        "target_language", "seems to be 'fr', not 'de'",
    )  # fmt: skip


def test_many_pairs_are_judged_as_each_alone():
    (language,) = FILTERS.validate_python([{"filter": "language", "source": "en", "among": ["de"]}])
    texts = [
        "This is a sentence in English.",
        "Dies ist ein deutscher Satz.",
        "ok",
        "12345 67890 1",
    ]
    pairs = [(text, "x") for text in texts] * 3
    assert language.apply_all(pairs) == [language.apply(*pair) for pair in pairs]


def test_a_language_that_no_model_knows_is_refused():
    for bad in ({"source": "xx"}, {"among": ["en", "qq"]}):
        with pytest.raises(ValueError, match="expected one of af, "):
            FILTERS.validate_python([{"filter": "language", **bad}])
