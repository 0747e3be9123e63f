"""Drift and vocabularies: against definitions written out, and what the limits say of them."""

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from seq2seq_tfx.components.bitext_statistics import BitextCounts
from seq2seq_tfx.components.drift import DriftLimits, drift, jensen_shannon
from seq2seq_tfx.components.vocabulary_counts import VocabularyCounts


def test_the_divergence_is_scipys():
    generator = np.random.default_rng(1)
    for _ in range(20):
        p, q = (generator.dirichlet(np.ones(9)) for _ in range(2))
        p[3] = q[5] = 0
        p, q = p / p.sum(), q / q.sum()
        assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == 1
    assert jensen_shannon(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0


def statistics(pairs):
    counts = BitextCounts()
    counts.add_all(pairs)
    return counts.as_dict()


PAIRS = [(f"the word {i % 7}", f"das Wort {i % 7}") for i in range(50)]


def test_the_same_pairs_have_not_moved_and_others_have_where_they_differ():
    before = statistics(PAIRS)
    assert all(
        found == {"distance": 0, "items": []} for found in drift(statistics(PAIRS), before).values()
    )
    longer = statistics([(f"{source} {source}", f"{target} {target}") for source, target in PAIRS])
    found = drift(longer, before)
    assert found["lengths"]["distance"] == 1 and found["scripts"]["distance"] == 0
    assert found["vocabulary"]["distance"] == pytest.approx(0, abs=1e-6)
    cyrillic = statistics([(source, "слово") for source, _ in PAIRS])
    found = drift(cyrillic, before)
    assert set(found) == set(DriftLimits.model_fields)
    assert found["scripts"] == {
        "distance": 1, "items": [["target", "CYRILLIC", 0, 1], ["target", "LATIN", 1, 0]],
    }  # fmt: skip
    assert ["target", "слово", 0, 1] in found["vocabulary"]["items"]
    assert found["characters"]["distance"] == 1


def test_what_stands_behind_the_end_of_a_list_has_not_gone():
    before, now = statistics(PAIRS), statistics(PAIRS)

    def has(told, first, **more):
        words = {f"w{i}": 10 for i in range(first, first + 2000 - len(more))}
        told["vocabulary"]["source"] = {"words": words | more, "tokens": 40_000}
        told["characters"]["source"] = {chr(0x4E00 + first + i): 10 for i in range(500)}

    has(before, 0)
    has(now, 100)
    found = drift(now, before)
    for section in ("vocabulary", "characters"):
        assert found[section]["distance"] == pytest.approx(0, abs=1e-6)
    has(now, 100, new=10_000)
    items = drift(now, before)["vocabulary"]["items"]
    assert [item[1] for item in items[:2]] == ["(others)", "new"]  # as far as one another
    assert items[1] == ["source", "new", 0.00025, 0.25]


def test_words_are_counted_as_by_hand_and_unknown_ones_named():
    counts = VocabularyCounts()
    train, held_out = ["One two two", "three"], ["two four four", "FIVE one"]
    counts.add(train)
    other = VocabularyCounts()
    other.add(held_out, held_out=True)
    counts.merge(other)
    told = counts.as_dict()
    assert told["words"] == Counter(" ".join([*train, *held_out]).lower().split())
    assert (told["tokens"], told["held_out_tokens"]) == (9, 5)
    assert told["unknown"] == pytest.approx(3 / 5, abs=1e-4)
    assert told["unknown_words"] == ["four", "five"]
    assert told["coverage"]["100"] == 1
    assert VocabularyCounts().as_dict()["unknown"] == 0


@pytest.mark.slow
def test_how_many_words_are_unknown_is_estimated_well_though_many_share_a_bin():
    counts = VocabularyCounts()
    counts.add([" ".join(f"w{i}" for i in range(400_000))])
    other = VocabularyCounts()
    other.add([" ".join(f"w{i}" for i in range(100_000, 700_000))], held_out=True)
    counts.merge(other)
    assert counts.as_dict()["unknown"] == pytest.approx(0.5, abs=0.01)
    assert len(counts.as_dict()["words"]) == 2000
