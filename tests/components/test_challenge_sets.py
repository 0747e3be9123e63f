"""The promises of challenge sets: every line counts, and a changed file is a changed input."""

import pytest

from seq2seq_tfx.components.challenge_sets import digest_of, read_challenge_sets
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.evaluator import numbers_of_references
from seq2seq_tfx.components.sentences import new_row


def test_pairs_of_a_source_are_its_references(tmp_path):
    (tmp_path / "a.tsv").write_text("one\teins\ntwo\tzwei\none\tein\none\teins\n")
    (tmp_path / "b.tsv").write_text("one\tun\n")
    files = {name: str(tmp_path / f"{name}.tsv") for name in "ab"}
    found = [
        (row["source"], row["references"], row["slices"]) for row in read_challenge_sets(files)
    ]
    assert found == [
        ("one", ["eins", "ein"], {"set": "a"}),
        ("two", ["zwei"], {"set": "a"}),
        ("one", ["un"], {"set": "b"}),
    ]


def test_their_references_are_not_in_the_signatures_of_the_split():
    rows = [new_row("one", ["eins"], {"set": "test"})]
    rows.append(new_row("one", ["eins", "ein"], {"set": "a"}))
    assert numbers_of_references(rows) == {1}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a\tb\nno tab\n", r"sets\.names: .*names\.tsv:2: .*wrong_field_count"),
        (b"a\tb\n\n", r"names\.tsv:2: .*empty_line"),
        (b"caf\xe9\tb\n", r"names\.tsv:1: .*invalid_utf8 \(at byte 4\)"),
        (b"", r"names\.tsv holds no pair"),
    ],
)
def test_a_line_that_is_no_pair_stops_the_run(tmp_path, content, told):
    (tmp_path / "names.tsv").write_bytes(content)
    with pytest.raises(PipelineError, match=told):
        read_challenge_sets({"names": str(tmp_path / "names.tsv")})


def test_the_digest_follows_name_and_content(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("one\teins\n")
    first = digest_of({"a": str(path)})
    assert first == digest_of({"a": str(path)}) != digest_of({"b": str(path)})
    path.write_text("one\tein\n")
    assert digest_of({"a": str(path)}) != first
