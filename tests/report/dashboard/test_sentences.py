"""The error browser finds, filters and sorts what a plain loop over the rows would."""

import random

import numpy as np
import pytest

from seq2seq_tfx.report.dashboard.sentences import PAGE, CannotRead, Query, Sentences

from .evaluated import LIBRARY, row, write


def figure(one, model, metric):
    top, bottom = one[model]["statistics"][metric]
    return top / bottom if bottom else float("inf")


def expected(rows, keep, key):
    def order(one):
        doubt = one["candidate"]["log_prob"]
        return (-key(one), -np.inf if doubt != doubt else doubt, one["id"])

    return [one["id"] for one in sorted(filter(keep, rows), key=order)]


@pytest.mark.parametrize(
    ("query", "keep", "key"),
    [
        (Query("errors"), lambda r: True, lambda r: figure(r, "candidate", "errors")),
        (Query("share"), lambda r: True, lambda r: -figure(r, "candidate", "share")),
        (Query("ratio"), lambda r: True, lambda r: abs(figure(r, "candidate", "ratio") - 1)),
        (
            Query("share", order="lost"),
            lambda r: figure(r, "candidate", "share") < figure(r, "baseline", "share"),
            lambda r: figure(r, "baseline", "share") - figure(r, "candidate", "share"),
        ),
        (Query("share", order="repetition"), lambda r: True,
         lambda r: figure(r, "candidate", "repetition_rate")),
        (Query("share", order="length"), lambda r: True, lambda r: len(r["source"])),
        (Query("share", order="doubt_by_token"), lambda r: True,
         lambda r: -r["candidate"]["confidence"]["mean_log_prob"]),
        (Query("share", order="ignored"), lambda r: True,
         lambda r: r["candidate"]["confidence"]["ignored_source"]),
        (Query("share", slices={"domain": "Ü<b>"}, order="length"),
         lambda r: r["slices"].get("domain") == "Ü<b>", lambda r: len(r["source"])),
        (Query("share", search="ärger", order="length"), lambda r: "ÄRGER" in r["source"],
         lambda r: len(r["source"])),
        (Query("share", search="a b", order="length"),
         lambda r: any("a b" in text for text in
                       (r["candidate"]["text"], r["baseline"]["text"], *r["references"])),
         lambda r: len(r["source"])),
        (Query("share", search="nowhere"), lambda r: False, lambda r: 0),
    ],
)  # fmt: skip
def test_what_is_found_is_what_a_loop_finds_in_its_order(rows, sentences, query, keep, key):
    found = []
    page = 1
    while True:
        part = sentences.find(query._replace(page=page), LIBRARY)
        found += [sentences.row(place)["id"] for place in part.places]
        assert len(part.places) <= PAGE and part.total == len(expected(rows, keep, key))
        if page >= part.pages:
            break
        page += 1
    assert found == expected(rows, keep, key)


def test_a_row_comes_back_as_it_was_written(rows, sentences):
    for one in rows[::7]:
        back = sentences.row(sentences.place_of(one["id"]))
        for model in ("candidate", "baseline"):
            assert back[model]["text"] == one[model]["text"]
            assert back[model]["statistics"] == one[model]["statistics"]
        assert {k: back[k] for k in ("source", "references", "slices")} == {
            k: one[k] for k in ("source", "references", "slices")
        }
    assert sentences.place_of("0" * 16) is None


def test_slices_tell_how_many_sentences_they_have(rows, sentences):
    counts = dict(sentences.dimensions["domain"])
    assert counts == {
        label: sum(one["slices"].get("domain") == label for one in rows)
        for label in ("2020-01-01", "Ü<b>")
    }


def test_a_page_beyond_the_end_is_the_last(sentences):
    assert sentences.find(Query("share", page=10**8), LIBRARY).page == 5


def test_damage_is_told_with_its_file(tmp_path):
    folder = write(tmp_path / "d", [row(1, random.Random(1))], [row(2, random.Random(2))])
    whole = (folder / "sentences-1.parquet").read_bytes()
    for damaged in (whole[:-9], whole[:40] + bytes(40) + whole[80:], b""):
        (folder / "sentences-1.parquet").write_bytes(damaged)
        with pytest.raises(CannotRead, match=r"sentences-1\.parquet: expected a Parquet file"):
            Sentences(folder)
    with pytest.raises(CannotRead, match="found none"):
        Sentences(tmp_path)


def test_sentences_are_sorted_by_what_their_model_told_and_by_nothing_else(rows, tmp_path):
    told = Sentences(write(tmp_path / "told", rows)).orders
    assert "doubt_by_token" in told and "ignored" in told and "spread" not in told
    earlier = [{**one, "candidate": {**one["candidate"]}} for one in rows]
    for one in earlier:
        del one["candidate"]["confidence"]
    silent = Sentences(write(tmp_path / "silent", earlier))
    assert not {"doubt_by_token", "ignored", "uncovered", "spread"} & set(silent.orders)
    assert silent.find(Query("share", order="ignored"), LIBRARY).total == len(rows)
