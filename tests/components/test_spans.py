"""Spans in paths: found, filled in and written as TFX does it."""

from datetime import date

import pytest

from seq2seq_tfx.components.data_config import AlignedInput, DataConfig, available_spans, with_spans
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.spans import Span, newest_versions, spans_in


@pytest.mark.parametrize("label", ["7", "7v2", "2026-01-31", "2026-01-31v3", "0"])
def test_a_span_reads_what_it_writes(label):
    assert str(Span.parse(label)) == label


@pytest.mark.parametrize("label", ["", "x", "7v", "2026-13-01", "-1", "7 "])
def test_what_is_no_span_is_refused(label):
    with pytest.raises(ValueError, match=r"expected a span|month must be"):
        Span.parse(label)


@pytest.mark.parametrize(
    ("pattern", "paths", "expected"),
    [
        ("d/{SPAN}.tsv", "d/1.tsv d/10.tsv d/x.tsv d/2/3.tsv", "1 10"),
        ("d/{SPAN:3}/v{VERSION}/*.tsv", "d/007/v1/a.tsv d/007/v2/a.tsv d/8/v1/a.tsv", "7v1 7v2"),
        ("{YYYY}-{MM}-{DD}.tsv", "2026-01-31.tsv 2026-02-31.tsv", "2026-01-31"),
        ("a+b/{SPAN}?.t", "a+b/12x.t aab/13x.t", "12"),
        ("a[[]1]/{SPAN}[!x^].t", "a[1]/1y.t a[1]/2x.t a[1]/3^.t a1/4y.t", "1"),
    ],
)
def test_spans_are_read_from_paths(pattern, paths, expected):
    found = spans_in(pattern, paths.split())
    assert " ".join(map(str, found)) == expected
    if not set("*?[") & set(pattern):
        assert all(span.filled(pattern) in paths for span in found)


def test_the_newest_version_is_one_that_all_patterns_have():
    sources, targets = ([Span(1, 1), Span(1, 2), Span(2, 1)], [Span(1, 1), Span(3, 1)])
    assert newest_versions([sources, targets]) == [Span(1, 1)]
    assert newest_versions([sources, [Span(2)]]) == [Span(2, 1)]


def test_a_day_is_numbered_from_1970():
    assert Span.parse("2026-11-25").number == (date(2026, 11, 25) - date(1970, 1, 1)).days


def test_the_files_of_spans_stand_in_place_of_their_pattern(tmp_path):
    for name in ("base.tsv", "1.en", "1.de", "2.en", "2.de", "3.en"):
        (tmp_path / name).write_text("")
    sides = AlignedInput(source=f"{tmp_path}/{{SPAN}}.en", target=f"{tmp_path}/{{SPAN}}.de")
    config = DataConfig(input=[f"{tmp_path}/base.tsv", sides])
    spans = available_spans(config)
    assert spans == [Span(1), Span(2)]  # the third has one side alone
    chosen = with_spans(config, spans)
    assert chosen.spans == ["1", "2"]
    assert [p.rpartition("/")[2] for p in chosen.patterns] == [
        "base.tsv", "1.en", "1.de", "2.en", "2.de",
    ]  # fmt: skip
    assert available_spans(DataConfig(input=f"{tmp_path}/base.tsv")) == []
    strangers = [f"{tmp_path}/{{SPAN}}.de", f"{tmp_path}/base{{SPAN}}*"]
    with pytest.raises(PipelineError, match="expected a span that all of"):
        available_spans(DataConfig(input=strangers))
