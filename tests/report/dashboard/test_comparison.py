"""Two runs are compared as a plain loop over the rows compares them."""

import json
import random
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from seq2seq_tfx.components.sentence_files import write_words
from seq2seq_tfx.report.dashboard import comparison
from seq2seq_tfx.report.dashboard.compare_page import _shown, compare_page
from seq2seq_tfx.report.dashboard.comparison import Change
from seq2seq_tfx.report.dashboard.records import Run
from seq2seq_tfx.report.dashboard.sentences import Sentences

from .evaluated import LIBRARY, row, write


def compare(before, after, metric, library):
    """Both halves of a comparison together."""
    overall = comparison.compare_overall(before, after, library)
    by = comparison.compare(before, after, metric, library, overall)
    return SimpleNamespace(**overall._asdict(), **by._asdict())


def difference(metric, pair, groups):
    return comparison.differences([comparison.ask(metric, metric, pair, groups)], LIBRARY)[0]


def page_of(sides, found, metric=""):
    """The page of two runs."""
    source = SimpleNamespace(
        sentences=lambda store, run: sides[run.id],
        metric=lambda store, run: "share",
        compare=lambda before, after, metric: found,
        library=LIBRARY,
    )
    store = SimpleNamespace(name="s", artifacts={})
    return compare_page(source, *((store, Run(i, "p", 0.0, [])) for i in (0, 1)), metric)


def test_references_are_the_same_where_a_loop_finds_the_same_in_any_order(rows, tmp_path):
    generator = random.Random(8)

    texts = ["a", "b\0a", "a\0b", ""]
    first = [generator.choices(texts, k=generator.randint(0, 3)) for _ in rows]
    second = [generator.sample(some, len(some)) for some in first]
    for some in filter(None, second[::3]):
        some[0] = generator.choice(texts)
    second[0] = [*first[0], "one more"]
    lists = [first, second]
    sides = []
    for name, some in zip("ab", lists, strict=True):
        told = [{**one, "references": asked} for one, asked in zip(rows, some, strict=True)]
        sides.append(Sentences(write(tmp_path / name, told)))
    alike = [sorted(was) == sorted(now) for was, now in zip(*lists, strict=True)]
    in_order = [was == now for was, now in zip(*lists, strict=True)]
    assert sum(in_order) < sum(alike) < len(rows)
    found = comparison._have_same_references(sides, (np.arange(len(rows)),) * 2)
    assert found.tolist() == alike


@pytest.fixture(scope="module")
def later(rows, tmp_path_factory):
    """Another run: some sentences are new, and answers are better."""
    generator = random.Random(6)
    changed = json.loads(json.dumps(rows[10:]))
    for one in changed:
        top, bottom = one["candidate"]["statistics"]["share"]
        one["candidate"]["statistics"]["share"] = [min(bottom, top + 3), bottom]
        one["candidate"]["text"] = one["references"][0]
    shard = [*changed, *(row(i, generator, False) for i in range(500, 505))]
    generator.shuffle(shard)
    return Sentences(write(tmp_path_factory.mktemp("s") / "b", shard))


def test_two_runs_are_compared_on_the_sentences_that_both_have(rows, sentences, later):
    found = compare(sentences, later, "share", LIBRARY)
    assert (found.shared, found.alone) == (110, (10, 5))
    share = next(one for one in found.metrics if one.name == "share")
    sums = np.sum([one["candidate"]["statistics"]["share"] for one in rows[10:]], axis=0)
    assert share.before == pytest.approx(sums[0] / sums[1])
    assert share.low < share.after - share.before < share.high and share.low > 0
    assert share.better is True
    assert next(one for one in found.metrics if one.name == "errors").better is None
    assert not found.worse and found.better[0].gain == max(one.gain for one in found.better)
    assert {one.name for one in found.slices} >= {"rarest_word=0", "rarest_word=1-9"}


def test_combinations_that_were_evaluated_are_slices_of_a_comparison(rows, tmp_path):
    folder = write(tmp_path / "c", rows)
    record = json.dumps({"slices": [["domain"], ["rarest_word", "domain"]]})
    (folder / "record.json").write_text(record)
    found = compare(Sentences(folder), Sentences(folder), "share", LIBRARY)
    counts = Counter(
        f"domain={one['slices']['domain']}, rarest_word={one['slices']['rarest_word']}"
        for one in rows
        if "domain" in one["slices"]
    )
    assert len(counts) == 4
    assert {one.name: one.sentences for one in found.slices if "," in one.name} == counts


def test_of_many_slices_challenge_sets_and_the_largest_are_compared(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "SLICES", 2)
    sliced = [{"set": "names"}] * 3 + [{"set": "test", "domain": "a"}] * 10
    sliced += [{"set": "test", "domain": "b"}] * (len(rows) - len(sliced))
    labelled = [{**row, "slices": labels} for row, labels in zip(rows, sliced, strict=True)]
    mixed = Sentences(write(tmp_path / "mixed", labelled))
    found = compare(mixed, mixed, "share", LIBRARY)
    assert {one.name for one in found.slices} == {"set=names", "domain=b"}
    assert found.untold == 1


def test_challenge_sets_are_slices_of_a_comparison_and_no_part_of_its_figures(rows, tmp_path):
    asked = [{**one, "slices": {"set": "names"}} for one in rows[:30]]
    mixed = Sentences(write(tmp_path / "mixed", asked + rows[30:]))
    alone = Sentences(write(tmp_path / "alone", rows[30:]))
    found = compare(mixed, mixed, "share", LIBRARY)
    plain = compare(alone, alone, "share", LIBRARY)
    assert (found.metrics, found.shared) == (plain.metrics, 90) and found.alone == (0, 0)
    assert {one.name: one.sentences for one in found.slices}["set=names"] == 30
    only = compare(mixed, Sentences(write(tmp_path / "only", asked)), "share", LIBRARY)
    assert only.shared == 0 and "set=names" in {one.name for one in only.slices}


def test_sentences_with_other_references_are_left_out_and_their_number_is_told(rows, tmp_path):
    two = [{**one, "references": [*one["references"], "another"]} for one in rows]
    turned = [{**one, "references": one["references"][::-1]} for one in two]
    turned[7] = {**turned[7], "references": ["corrected", "another"]}
    sides = [Sentences(write(tmp_path / name, some)) for name, some in (("a", two), ("b", turned))]
    found = compare(*sides, "share", LIBRARY)
    assert (found.shared, found.alone, found.restated) == (119, (0, 0), 1)
    assert "1 that both answered have other references in the two runs" in page_of(sides, found)


def test_what_no_run_tells_is_left_out_and_what_one_tells_is_no_number_of_the_other(rows, tmp_path):
    def side(name, **more):
        changed = json.loads(json.dumps(rows))
        for one in changed:
            one["candidate"]["statistics"] |= {"silent": [0, 0], **more}
        return Sentences(write(tmp_path / name, changed))

    sides = [side("a", once=[0, 0]), side("b", once=[1, 2])]
    found = compare(*sides, "once", LIBRARY)
    assert "silent" not in {one.name for one in found.metrics}
    assert next(one for one in found.metrics if one.name == "once").after == 0.5
    page = page_of(sides, found, "once")
    cells = re.findall(r"<td>once</td>.*?</tr>", page, re.DOTALL)[0]
    assert "no number" in cells and "may be chance" not in cells
    assert ">silent<" not in page and not re.search(r"\b(nan|inf)\b", page)


def test_words_are_counted_as_a_loop_counts_them(rows, sentences, later):
    found = compare(sentences, later, "share", LIBRARY)
    old = {one["id"]: one["candidate"]["text"].split() for one in rows[10:]}
    for one in found.improved:
        if " " not in one.text:
            pairs = [(r["references"][0].split(), old[r["id"]]) for r in rows[10:]]
            differing = [(want, had) for want, had in pairs if want != had]
            assert one.wanted == sum(want.count(one.text) for want, _ in differing)
            assert one.before == sum(
                min(want.count(one.text), had.count(one.text)) for want, had in differing
            )


def test_words_are_right_by_how_often_each_was_trained_on(tmp_path):
    times = {"a": 500, "b": 99, "c": 9, "ss": 10}  # and "d" never
    bucket = {"a": "100+", "b": "10-99", "c": "1-9", "ß": "10-99", "D": "0"}
    generator = random.Random(9)

    def text(most):
        return " ".join(generator.choices([*bucket], k=generator.randint(0, most)))

    def side(name, rows):
        folder = write(tmp_path / name, rows)
        write_words(str(folder), times)
        return Sentences(folder)

    first = [row(i, generator) for i in range(200)]
    for one in first:
        one["references"] = [f" {text(6)}", *(text(6) for _ in range(generator.randint(0, 2)))]
    second = json.loads(json.dumps(first))
    for one in (*first, *second):
        one["candidate"]["text"] = text(7)
    found = compare(side("a", first), side("b", second), "share", LIBRARY)

    def counted(rows):
        all_words, right = Counter(), Counter()
        for one in rows:
            had = Counter(one["candidate"]["text"].split())
            pairs = [
                (asked, asked & had) for asked in map(Counter, map(str.split, one["references"]))
            ]
            asked, matched = max(pairs, key=lambda p: (p[1].total(), -p[0].total()))
            for counter, words in ((all_words, asked), (right, matched)):
                for word, number in words.items():
                    counter[bucket[word]] += number
        return all_words, right

    (asked, right), (asked_later, right_later) = counted(first), counted(second)
    assert {one.label: one[1:] for one in found.accuracy} == {
        label: (
            asked_later[label],
            pytest.approx(right[label] / asked[label]),
            pytest.approx(right_later[label] / asked_later[label]),
        )
        for label in ("0", "1-9", "10-99", "100+")
    }
    assert compare(Sentences(write(tmp_path / "c", first)), side("d", second), "share", LIBRARY)
    uncounted = Sentences(write(tmp_path / "e", second))  # of an earlier version
    assert compare(uncounted, uncounted, "share", LIBRARY).accuracy == []


def test_an_answer_is_held_to_the_reference_that_it_is_closest_to(rows, tmp_path):
    base = {**rows[0], "references": ["x y z z z z", "a b c"], "slices": {**rows[0]["slices"]}}

    def side(name, text):
        one = {**base, "candidate": {**base["candidate"], "text": text}}
        folder = write(tmp_path / name, [one])
        write_words(str(folder), {"a": 1, "b": 2, "c": 3})
        return Sentences(folder)

    found = compare(side("before", "a b d"), side("after", "a b c"), "share", LIBRARY)
    assert {one.text: one[1:] for one in found.improved} == {"c": (1, 0, 1), "b c": (1, 0, 1)}
    assert [one[1:] for one in found.accuracy] == [(3, pytest.approx(2 / 3), 1.0)]
    shown = _shown(Change("i", "s", base["references"], "x y", "a b c", 1.0))
    assert [span.text for span in shown["after"].hypothesis if span.differs] == []
    assert [*shown["references"]] == ["x y z z z z", "a b c"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(1.2, 1.0, True), (1.0, 1.2, False), (0.8, 1.0, True), (0.9, 1.1, None), (1.1, 0.9, None)],
)
def test_of_a_ratio_the_distance_from_one_decides_and_not_the_difference(before, after, expected):
    generator = np.random.default_rng(4)
    lengths = generator.integers(20, 40, 500).astype(float)
    noise = generator.normal(0, 1, 500)
    pair = [np.stack([lengths * ratio + noise, lengths], axis=1) for ratio in (before, after)]
    found = difference("ratio", pair, 2_000)
    assert found.better is expected and (found.low > 0 or found.high < 0)


def test_groups_of_sentences_vary_as_single_ones_do(monkeypatch):
    generator = np.random.default_rng(3)
    sizes = generator.integers(1, 9, 20_000)
    pair = [np.stack([generator.binomial(sizes, p), sizes], axis=1) for p in (0.5, 0.52)]
    pair = [one.astype(float) for one in pair]
    grouped = difference("share", pair, 2_000)
    monkeypatch.setattr(comparison, "RESAMPLES", 300)
    alone = difference("share", pair, 20_000)
    width = alone.high - alone.low
    assert grouped.high - grouped.low == pytest.approx(width, rel=0.15)
    assert grouped.low == pytest.approx(alone.low, abs=width / 8)
