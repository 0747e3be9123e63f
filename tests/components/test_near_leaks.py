"""Near twins between splits: found where the texts say so, and counted once."""

import random
from functools import cache

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from seq2seq_tfx.components import near_leaks
from seq2seq_tfx.components.aside import Aside, RowsAside
from seq2seq_tfx.components.bitext_statistics import EXAMPLE_CHARACTERS as SHOWN
from seq2seq_tfx.components.cleaning.duplicates import band_keys, hash64, minhashes
from seq2seq_tfx.components.gathered import Gather, gathered
from seq2seq_tfx.components.measure_bitext import STATISTICS, MeasureBitext, merge_statistics
from seq2seq_tfx.components.near_leaks import (
    BANDS,
    ROWS,
    FindNearLeaks,
    add_near_leaks,
    near_leak_statistics,
    packed,
    sample,
)
from seq2seq_tfx.components.splits import comparable
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS


def held_out(split, *sources):
    return [(hash64(source), split, source) for source in sources]


def found(tmp_path, learned, others, similarity=0.8):
    aside = Aside(str(tmp_path))
    rows = RowsAside(aside, pa.schema([("source", pa.string())]))
    rows.add([(source,) for source in learned], 0)
    rows.close()
    ((_, path),) = aside.close()
    return add_near_leaks(FindNearLeaks(similarity).process(path, [packed(others)]))


def grams(text):
    return {text[i : i + 4] for i in range(len(text) - 3)}


@pytest.mark.slow
def test_twins_are_those_that_brute_force_finds(tmp_path):
    generator = random.Random(1)
    words = ["".join(generator.choices("abcdefgh", k=5)) for _ in range(200)]
    learned = [" ".join(generator.choices(words, k=12)) for _ in range(300)]
    others = []
    for text in learned[:80]:
        changed = text.split()
        for _ in range(generator.randrange(1, 4)):
            changed[generator.randrange(12)] = generator.choice(words)
        others.append(" ".join(changed))
    near = {
        text: max(len(grams(text) & grams(t)) / len(grams(text) | grams(t)) for t in learned)
        for text in others
        if text not in learned
    }
    leaks = found(tmp_path, learned, held_out("test", *others), 0.7)
    assert all(abs(near[source] - similarity) < 1e-3 for _, _, source, _, similarity in leaks)
    wanted = {text for text, similarity in near.items() if similarity >= 0.7}
    told = {source for _, _, source, _, _ in leaks}
    assert told <= wanted and len(told) >= 0.8 * len(wanted) > 20


def by_brute_force(learned, others, similarity):
    """Each pair that shares a band, compared as sets of strings; the nearest twin of each."""
    nearest = {}
    for key, split, other in others:
        for source in learned:
            if comparable(source) == comparable(other) or not shares_a_band(source, other):
                continue
            ours, theirs = (grams(" ".join(t.casefold().split()).ljust(4)) for t in (other, source))
            near = len(ours & theirs) / len(ours | theirs)
            if near >= similarity:
                leak = (split, key, other[:SHOWN], source[:SHOWN], round(near, 3))
                before = nearest.get((split, key), leak)
                nearest[split, key] = max(before, leak, key=lambda one: (one[4], one[3]))
    return sorted(nearest.values())


@cache
def keys_of(text):
    return band_keys([text], minhashes([text], BANDS * ROWS), BANDS)[0]


def shares_a_band(source, other):
    return bool((keys_of(source) == keys_of(other)).any())


@pytest.mark.parametrize("similarity", [0.5, 0.8, 1.0])
def test_the_nearest_twins_of_templated_sources_are_those_of_brute_force(tmp_path, similarity):
    generator = random.Random(5)
    templates = [
        "Please show me the current state of the {} in the kitchen",
        "The {} was switched off", "{}", "ÉTAT de la {}  — 漢字 {} 😀", "No way to connect to {} 7",
    ]  # fmt: skip
    names = ["", "a", "B", "light", "lights", "Heizung", "heizungen", "😀😀", "漢"]
    names += ["".join(generator.choices("abc", k=n)) for n in range(1, 30)]

    def sources(number):
        for _ in range(number):
            template = generator.choice(templates)
            yield template.replace("{}", generator.choice(names)) or "x"

    learned = [*sources(150), "no twin of anything here", "?!"]
    others = sorted({(comparable(s), s) for s in sources(80)})
    others = [(hash64(plain), generator.choice(["test", "validation"]), s) for plain, s in others]
    others = sample([others])
    leaks = found(tmp_path, learned, others, similarity)
    assert leaks == by_brute_force(learned, others, similarity)
    assert len(leaks) > 5 or similarity == 1


def test_exact_twins_and_other_numbers_are_not_near_twins(tmp_path):
    text = "The quick brown fox jumps over the lazy dog"
    others = held_out("test", f"{text.upper()}!", f"{text} 7")
    assert found(tmp_path, [text, f"{text} 8"], others) == []


def test_the_sample_is_the_same_in_any_order_and_has_each_source_once(monkeypatch):
    monkeypatch.setattr(near_leaks, "LOOKED_AT", 5)
    rows = held_out("test", *"abcdefgh") + held_out("validation", *"abcd")
    chosen = sample([rows])
    assert chosen == sorted(rows)[:5] == sample([rows[:3], rows[3:] * 2, rows[::-1]])


def test_statistics_have_the_nearest_first():
    leaks = [("test", 1, "a", "b", 0.8), ("validation", 2, "c", "d", 0.9)]
    told = near_leak_statistics(leaks, held_out("test", "a", "x"), ["validation", "test"])
    assert told == {
        "looked_at": {"validation": 0, "test": 2},
        "found": {"validation": 1, "test": 1},
        "capped": 0,
        "examples": [["validation", "c", "d", 0.9], ["test", "a", "b", 0.8]],
    }


def test_a_source_of_a_template_is_compared_with_a_bounded_number_and_that_is_told(monkeypatch):
    monkeypatch.setattr(near_leaks, "MOST", 40)
    owners = np.arange(1000) % 250
    few, many, none = (10, 20), (100, 1000), (5, 5)
    begins, ends = np.array([many, few, none, none]).T
    chosen, whole = near_leaks._candidates(owners, begins, ends, "a source")
    # All of the rarer band, and some of the other, other ones for another source.
    assert set(range(10, 20)) <= set(chosen.tolist()) and len(chosen) <= 40 and not whole
    other, _ = near_leaks._candidates(owners, begins, ends, "another")
    assert chosen.tolist() != other.tolist()
    begins, ends = np.array([few, few, none, none]).T
    chosen, whole = near_leaks._candidates(owners, begins, ends, "a source")
    assert chosen.tolist() == list(range(10, 20)) and whole


@pytest.mark.slow
def test_sources_that_are_not_compared_with_all_are_counted_in_the_statistics(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(near_leaks, "MOST", 4)
    template = "this offer is valid only while stocks last and cannot be combined with any other"
    rows = [("train", f"{template} {chr(97 + n)}", "x") for n in range(9)]
    rows += [("test", f"{template} {chr(110 + n)}", "x") for n in range(9)]
    with beam.Pipeline(options=PipelineOptions(list(BEAM_ARGS))) as pipeline:
        parts = pipeline | beam.Create([rows]) | MeasureBitext(str(tmp_path), 0.8)
        _ = (parts,) | Gather(str(tmp_path), {STATISTICS: merge_statistics})
    found = gathered(str(tmp_path), {STATISTICS: merge_statistics})[STATISTICS]["near_leaks"]
    assert found["capped"] == 9 and 0 < found["found"]["test"] <= 9
