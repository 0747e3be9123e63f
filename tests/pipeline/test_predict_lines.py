"""The promises of `predict`: as many lines out as in, each where it belongs."""

import io

import pytest

from seq2seq_tfx.pipeline.predict_lines import BATCH, predict_lines
from seq2seq_tfx.serving.local_model import Hypothesis


class Echo:
    """Answers with the source in angle brackets and how good each hypothesis is."""

    def __init__(self, answer="<{}>"):
        self._answer = answer
        self.batches = []

    def predict(self, sources, nbest=1):
        self.batches.append(list(sources))
        return [
            [Hypothesis(self._answer.format(s) + str(i) * i, (1 - i) / 8, -i) for i in range(nbest)]
            for s in sources
        ]


def predict(data, nbest=1, scores=False, model=None):
    answers = io.StringIO()
    bad = predict_lines(model or Echo(), io.BytesIO(data), answers, nbest, scores)
    return answers.getvalue(), bad


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 5])
def test_every_line_is_answered_in_its_place(count):
    lines = [f"liné {i}" for i in range(count)]
    expected = "".join(f"<{line}>\n" for line in lines)
    assert predict("\n".join([*lines, ""]).encode()) == (expected, 0)


def test_many_lines_are_answered_together():
    model = Echo()
    predict(b"x\n" * (BATCH + 1), model=model)
    assert [len(batch) for batch in model.batches] == [BATCH, 1]


def test_a_person_at_a_terminal_is_answered_line_by_line():
    answers, model, seen = io.StringIO(), Echo(), []

    class Terminal(io.BytesIO):
        def isatty(self):
            return True

        def __next__(self):
            seen.append(answers.getvalue())
            return super().__next__()

    predict_lines(model, Terminal(b"a\nb\n"), answers, 1, False)
    assert seen == ["", "<a>\n", "<a>\n<b>\n"]


def test_empty_input_has_no_answer():
    model = Echo()
    assert predict(b"", model=model) == ("", 0)
    assert model.batches == []


@pytest.mark.parametrize(
    "data", [b"a\n\nb\n", b"a\n\nb", b"a\r\n\r\nb\r\n", b"a\r\n\r\nb"], ids=repr
)
def test_line_ends_are_no_part_of_a_line(data):
    assert predict(data) == ("<a>\n<>\n<b>\n", 0)


def test_what_only_looks_like_a_line_end_stays_in_its_line():
    assert predict("a\u2028b\x0bc\x85d\n".encode()) == ("<a\u2028b\x0bc\x85d>\n", 0)


def test_a_line_that_is_no_utf8_has_an_empty_place_and_is_reported(capsys):
    lines = [b"good"] * (BATCH + 3)
    lines[1], lines[BATCH + 1] = b"caf\xe9", b"\xff"
    answers, bad = predict(b"\n".join(lines), model=Echo("{}"))
    assert bad == 2
    assert [i for i, line in enumerate(answers.split("\n")) if line != "good"] == [
        1,
        BATCH + 1,
        BATCH + 3,
    ]
    assert capsys.readouterr().err.splitlines() == [
        "line 2: not UTF-8 at byte 4",
        f"line {BATCH + 2}: not UTF-8 at byte 1",
    ]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [(False, "<a>\t<a>1\t<a>22\n"), (True, "<a>\t0.1250\t<a>1\t0.0000\t<a>22\t-0.1250\n")],
)
def test_hypotheses_are_columns_best_first(scores, expected):
    assert predict(b"a\n", nbest=3, scores=scores) == (expected, 0)


@pytest.mark.parametrize("torn", ["a\tb", "a\nb", "a\r\nb", "a\rb", "\t\n", "a\u2028b\x85c\x0bd"])
def test_no_answer_tears_the_table(torn, tmp_path):
    path = tmp_path / "answers.tsv"
    with path.open("w", encoding="utf-8") as file:
        predict_lines(Echo(torn), io.BytesIO(b"x\ny\n"), file, 2, True)
    # As most programs read it: every kind of line end is one.
    table = path.read_text("utf-8").split("\n")
    assert table.pop() == ""
    assert [len(line.split("\t")) for line in table] == [4, 4]


def test_a_line_without_hypotheses_still_has_its_line():
    class Silent:
        def predict(self, sources, nbest=1):
            return [[] for _ in sources]

    assert predict(b"a\nb\n", nbest=2, model=Silent()) == ("\n\n", 0)
