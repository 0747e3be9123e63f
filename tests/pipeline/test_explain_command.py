"""The promises of `explain`: two pictures, an answer, and a warning where a font is missing."""

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from seq2seq_tfx.pipeline.explain_command import CannotExplain, explain_text
from seq2seq_tfx.report.fonts import Fonts
from seq2seq_tfx.serving.local_model import ExplainedHypothesis, Explanation

SOURCE, TARGET = ["▁the", "▁[bold]fox", "</s>"], ["▁狐狸", "</s>"]
LOOK = [[0.1, 0.8, 0.1], [0.25, 0.0, 0.75]]


class Model:
    """Answers every source as it was made to."""

    def __init__(self, attention=LOOK, source=SOURCE, target=TARGET):
        hypothesis = ExplainedHypothesis("狐狸", -0.25, -0.5, target, np.array(attention))
        self._explanation = Explanation(source, [hypothesis])

    def explain(self, sources, nbest=1):
        return [self._explanation] * len(sources)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def explain(model=None, stem="explanation", fonts=None):
    return explain_text(model or Model(), "the fox", Path(stem), fonts or Fonts([]))


def test_both_pictures_are_written_and_named(capsys):
    png, svg = explain(stem="new/folder/v1.5")
    assert (png, svg) == (Path("new/folder/v1.5.png"), Path("new/folder/v1.5.svg"))
    assert capsys.readouterr().out.splitlines()[-2:] == [str(png), str(svg)]
    root = ElementTree.parse(svg).getroot()
    written = "".join(root.itertext())
    assert all(token in written for token in SOURCE + TARGET)
    image = Image.open(io.BytesIO(png.read_bytes()))
    assert image.width == pytest.approx(2 * float(root.get("width")), abs=2)


@pytest.mark.parametrize(
    ("stem", "expected"), [("x.png", "x.png"), ("x.svg", "x.png"), (".", "explanation.png")]
)
def test_a_folder_or_a_file_name_tells_the_place_as_well(stem, expected):
    assert explain(stem=stem)[0] == Path(expected)


def test_the_answer_its_score_and_the_strongest_sources_are_told(capsys):
    explain()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["answer: 狐狸", "score: -0.2500"]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert rows == [["▁狐狸", "▁[bold]fox", "0.80"], ["</s>", "</s>", "0.75"]]


def test_characters_without_a_font_are_told_and_the_pictures_made_all_the_same(capsys):
    assert all(file.stat().st_size for file in explain())
    told = capsys.readouterr().err
    assert "Chinese characters: U+72D0 U+72F8\n" in told
    assert "apt-get install fonts-noto-cjk;" in told
    assert "The SVG is complete" in told


def test_where_every_character_has_a_font_nothing_is_warned_of(capsys):
    explain(Model(target=["▁fox", "</s>"]))
    assert capsys.readouterr().err == ""


def test_a_model_without_attention_is_told_apart_from_one_that_errs():
    with pytest.raises(CannotExplain, match="this model has no attention"):
        explain(Model(attention=np.zeros((2, 3))))
    with pytest.raises(CannotExplain, match=r"cannot be drawn: .* not finite"):
        explain(Model(attention=[[np.nan] * 3] * 2))
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("source", "target"), [(["</s>"], ["</s>"]), (SOURCE, [])])
def test_an_empty_text_or_answer_has_nothing_to_explain(source, target):
    attention = np.zeros((len(target), len(source)))
    with pytest.raises(CannotExplain, match="expected a text with tokens and an answer"):
        explain(Model(attention, source, target))


def test_a_place_that_cannot_be_written_is_told():
    Path("file").write_text("")
    with pytest.raises(CannotExplain, match=r"cannot be written: .*file"):
        explain(stem="file/x")
