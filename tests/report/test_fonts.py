"""The right font is found, and what no font knows is told."""

from pathlib import Path

import pytest

from seq2seq_tfx.report.fonts import Fonts, advice


def test_a_plain_sans_serif_is_preferred_and_the_others_fill_its_gaps(folder):
    place = folder(
        **{"NotoSans-Regular": "ab", "NotoSans-Bold": "abc", "DejaVuSans": "abd", "Zapfino": "abe"}
    )
    fonts = Fonts([place])
    names = {letter: fonts.choose(letter).name for letter in "abcde"}
    assert names == {
        "a": "NotoSans-Regular.ttf",
        "b": "NotoSans-Regular.ttf",
        "c": "NotoSans-Bold.ttf",
        "d": "DejaVuSans.ttf",
        "e": "Zapfino.ttf",
    }


def test_an_emoji_font_draws_emoji_and_nothing_that_another_can(folder):
    fonts = Fonts([folder(NotoColorEmoji={"1": "x", "❤": "x", "😀": "x"}, Other="1❤"[:1])])
    assert fonts.choose("😀").name == "NotoColorEmoji.ttf"
    assert fonts.choose("❤\ufe0f").name == "NotoColorEmoji.ttf"
    assert fonts.choose("1").name == "Other.ttf"


def test_what_is_no_font_is_passed_over(folder):
    place = folder(B="x")
    (place / "A.ttf").write_bytes(b"\x00\x01\x00\x00 this is no font")
    (place / "A.otf").write_bytes(b"")
    (place / "A.ttc").symlink_to(place / "nowhere")
    assert Fonts([place, place / "absent"]).choose("x").name == "B.ttf"


def test_fonts_are_where_the_desktop_specification_says(folder, monkeypatch, tmp_path):
    place = folder(Mine={"\u4e2d": "x"})
    home = tmp_path / "home"
    for variable in ("XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    monkeypatch.setattr(Path, "home", lambda: home)
    assert Fonts().missing("\u4e2d") == ["\u4e2d"]
    monkeypatch.setenv("XDG_DATA_DIRS", f"/none:{place.parent}")
    assert Fonts().missing("\u4e2d") == []
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "none"))
    monkeypatch.delenv("XDG_DATA_HOME")
    (home / ".local/share").mkdir(parents=True)
    (home / ".local/share/fonts").symlink_to(place, target_is_directory=True)
    assert Fonts().choose("\u4e2d").name == "Mine.ttf"


def test_without_any_font_ascii_is_drawn_all_the_same(bare):
    ascii_text = "".join(map(chr, range(0x20, 0x7F)))
    assert bare.missing([ascii_text, "▁word␣s", "◌"]) == []
    assert bare.drawable("▁a␣b") == "_a_b"


def test_every_character_that_no_font_knows_is_told_once(folder):
    fonts = Fonts([folder(Some={"a": "a", "ñ": "n"})])
    assert fonts.missing(["▁año", "中文", "año中", "a\u200db\ufe0f"]) == ["中", "文"]
    assert fonts.missing([]) == []


def test_a_cluster_that_no_single_font_knows_is_drawn_by_several(folder):
    fonts = Fonts([folder(Letters="e", Marks={"\u0301": "x"})])
    assert fonts.missing(["e\u0301"]) == []
    assert fonts.parts("xe\u0301") == ["x", "e", "\u0301"]
    assert fonts.parts("xe\u0302") == ["x", "e", "\u0302"]
    assert fonts.missing(["xe\u0302"]) == ["\u0302"]


@pytest.mark.parametrize(
    ("character", "script", "package"),
    [
        ("中", "Chinese characters", "fonts-noto-cjk"),
        ("。", "Chinese characters", "fonts-noto-cjk"),
        ("の", "Hiragana", "fonts-noto-cjk"),
        ("한", "Hangul", "fonts-noto-cjk"),
        ("\uff01", "East Asian signs", "fonts-noto-cjk"),
        ("م", "Arabic", "fonts-noto-core"),
        ("ह", "Devanagari", "fonts-noto-core"),
        ("ñ", "Latin", "fonts-noto-core"),
        ("😀", "Emoji", "fonts-noto-color-emoji"),
        ("→", "Signs", "fonts-noto-core"),
        ("\U0003fff0", "Characters without a name", "fonts-noto-core"),
    ],
)
def test_the_advice_names_script_character_and_package(character, script, package):
    told = advice([character])
    assert f"  {script}: U+{ord(character):04X}\n" in told
    assert f"apt-get install {package};" in told


def test_the_advice_is_short_for_many_characters():
    told = advice(map(chr, range(0x4E00, 0x4E00 + 100)))
    assert "U+4E07 and 92 more\n" in told and "U+4E08" not in told
