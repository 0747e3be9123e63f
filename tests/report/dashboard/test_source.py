"""What pages show is what lies in the output folder when they are asked for."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from seq2seq_tfx.report.dashboard.records import Artifact, Execution, Run, Store
from seq2seq_tfx.report.dashboard.source import Outside, Source

from .test_sentences_page import LIBRARY, answer


def write(folder, text, metric):
    """An output folder of one run; gives what is read of its metadata."""
    places = {name: folder / "artifacts" / name for name in ("sentences", "verdict", "model")}
    for place in places.values():
        place.mkdir(parents=True)
    row = {"id": "ab", "source": text, "references": ["c"], "slices": {"set": "test"}}
    row |= {"candidate": answer(None)}
    row["candidate"]["statistics"]["other"] = [1, 1]
    pq.write_table(pa.Table.from_pylist([row]), places["sentences"] / "sentences-0.parquet")
    (places["verdict"] / "verdict.json").write_text(json.dumps({"rules": [{"metric": metric}]}))
    (places["model"] / "Format-Serving").mkdir()
    (places["model"] / "Format-Serving" / "name").write_text(text)
    (folder / "database").write_text(text)


def read_store(folder, name, is_busy):
    names = ["sentences", "verdict", "model"]
    made = [
        Execution(i, component, "done", 0.0, 0.0, {}, {}, {key: [i]})
        for i, (component, key) in enumerate(
            zip(("Evaluator", "Gate", "Trainer"), names, strict=True)
        )
    ]
    artifacts = {i: Artifact(i, "", str(folder / "artifacts" / n), {}) for i, n in enumerate(names)}
    return Store(name, folder, [Run(1, "job", 0.0, made)], artifacts)


def test_of_a_folder_that_was_made_anew_nothing_earlier_is_shown(tmp_path):
    outside = Outside(
        read_store=read_store,
        database=lambda folder: folder / "database",
        is_busy=lambda folder: False,
        library=lambda: LIBRARY._replace(interval=lambda values: (0.0, 0.0)),
        load_model=lambda folder: (folder / "name").read_text(),
        labels=lambda folder: {},
        model_errors=(),
    )
    folder = tmp_path / "job"
    source = Source({"job": folder}, outside)

    def shown():
        store, run = source.run("job", 1)
        found = source.compare((store, run), (store, run), "errors")
        sentence = source.sentences(store, run).row(0)["source"]
        return sentence, source.metric(store, run), source.model(store, run), found

    write(folder, "old", "bleu")
    *old, first = shown()
    assert old == ["old", "bleu", "old"] and shown()[-1] is first  # held
    both = (source.run("job", 1),) * 2
    by_other = source.compare(*both, "other")
    assert by_other.metric == "other" and by_other.overall is first.overall
    shutil.rmtree(folder)
    write(folder, "new", "chrf")
    *new, second = shown()
    assert new == ["new", "chrf", "new"] and second is not first


def test_a_file_that_comes_later_is_read(tmp_path):
    source = Source({}, None)
    assert source.json(tmp_path / "a.json") is None
    (tmp_path / "a.json").write_text("[1]")
    assert source.json(tmp_path / "a.json") == [1]
