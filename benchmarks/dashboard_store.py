"""Makes an output folder with many runs and many sentences, by the project's own writers."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import ml_metadata as mlmd
import pyarrow.parquet as pq
from ml_metadata.proto import metadata_store_pb2 as pb2

from seq2seq_tfx.components.sentence_files import schema_of, to_table, write_words
from seq2seq_tfx.components.sentences import (
    BASELINE,
    CANDIDATE,
    MODELS,
    compare,
    make_record,
    new_row,
)
from seq2seq_tfx.components.slices import SET, length_label

# Of each component: what it makes, and what it is given.
COMPONENTS = {
    "PairExampleGen": (["examples", "rejected"], []),
    "BitextValidator": (["report"], ["examples"]),
    "TokenizerTrainer": (["tokenizer"], ["examples"]),
    "Transform": (["transformed_examples"], ["examples", "tokenizer"]),
    "Trainer": (["model", "model_run"], ["transformed_examples", "tokenizer"]),
    "Evaluator": (["evaluation", "sentences"], ["examples", "model"]),
    "Gate": (["blessing", "verdict"], ["evaluation", "sentences", "model"]),
    "InfraValidator": (["infra_blessing"], ["model"]),
    "Pusher": (["pushed_model"], ["model", "blessing", "infra_blessing"]),
}
METRICS = (
    "bleu", "chrf", "token_error_rate", "length_ratio", "repetition_rate", "copy_rate",
    "empty_rate", "unknown_token_rate",
)  # fmt: skip
EPOCH = 1_790_000_000_000  # of the first run, in milliseconds


class Maker:
    """Writes runs into an output folder.

    Args:
      folder: new.
      pipeline: its name.
    """

    def __init__(self, folder: Path, pipeline: str = "translation"):
        self.folder = folder
        self._pipeline = pipeline
        self._runs = 0
        folder.mkdir(parents=True)
        config = pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(folder / "metadata.sqlite")
        config.sqlite.connection_mode = pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self._store = mlmd.MetadataStore(config)
        for name in ("pipeline_run", "node"):
            self._store.put_context_type(pb2.ContextType(name=name))

    def add(
        self,
        rows: Sequence[dict],
        learning_rate: float = 0.001,
        blessed: bool = True,
        version: int | None = None,
    ) -> int:
        """Adds a run that evaluated these sentences.

        Args:
          rows: with answers and statistics: see `make_rows`.
          learning_rate: what changed in the configuration.
          blessed: what came of it.
          version: that was pushed, if one was.

        Returns:
          Its number.
        """
        self._runs += 1
        context = pb2.Context(
            type_id=self._store.get_context_type("pipeline_run").id, name=f"run-{self._runs}"
        )
        [run] = self._store.put_contexts([context])
        made: dict[str, int] = {}
        for component, (outputs, inputs) in COMPONENTS.items():
            given = [made[i] for i in inputs]
            made |= self._execute(run, component, outputs, given, learning_rate, version)
        self._write(rows, blessed)
        return run

    def _execute(
        self,
        run: int,
        component: str,
        outputs: list[str],
        inputs: list[int],
        rate: float,
        version: int | None,
    ) -> dict[str, int]:
        store = self._store
        execution = pb2.Execution(
            type_id=store.put_execution_type(pb2.ExecutionType(name=component)),
            last_known_state=pb2.Execution.COMPLETE,
        )
        properties = {"code_digest": f"digest of {component}"}
        if component == "PairExampleGen":
            properties["data"] = json.dumps({"input": "data/pairs.tsv", "format": "auto"})
        if component == "Trainer":
            settings = json.dumps({"training": {"learning_rate": rate, "epochs": 5}})
            properties["custom_config"] = json.dumps({"settings": settings})
        for key, value in properties.items():
            execution.custom_properties[key].string_value = value
        contexts = []
        for kind, name in (("pipeline_run", f"run-{self._runs}"),
                           ("node", f"{self._pipeline}.{component}")):  # fmt: skip
            kind_id = store.get_context_type(kind).id
            found = store.get_context_by_type_and_name(kind, name)
            contexts.append(found or pb2.Context(type_id=kind_id, name=name))
        pairs: list = [
            (store.get_artifacts_by_id([i])[0], pb2.Event(type=pb2.Event.INPUT)) for i in inputs
        ]
        for key in outputs:
            place = self.folder / "artifacts" / component / key / str(self._runs)
            place.mkdir(parents=True)
            artifact = pb2.Artifact(
                type_id=store.put_artifact_type(pb2.ArtifactType(name=key)), uri=str(place)
            )
            if key == "examples":
                told = f"split:input_0,num_files:1,total_bytes:{4_000_000 + self._runs // 10}"
                artifact.custom_properties["input_fingerprint"].string_value = told
            if key == "pushed_model" and version:
                pushed = self.folder / "serving" / self._pipeline / str(version)
                pushed.mkdir(parents=True)
                (pushed / "saved_model.pb").touch()
                artifact.custom_properties["pushed"].int_value = 1
                artifact.custom_properties["pushed_version"].string_value = str(version)
                artifact.custom_properties["pushed_destination"].string_value = str(pushed)
            event = pb2.Event(type=pb2.Event.OUTPUT)
            event.path.steps.add(key=key)
            pairs.append((artifact, event))
        _, artifacts, _ = store.put_execution(execution, pairs, contexts)
        return dict(zip(outputs, artifacts[len(inputs) :], strict=True))

    def _place(self, component: str, key: str) -> Path:
        return self.folder / "artifacts" / component / key / str(self._runs)

    def _write(self, rows: Sequence[dict], blessed: bool) -> None:
        place = self._place("Evaluator", "sentences")
        names = [*rows[0][CANDIDATE]["statistics"]]
        dimensions = [name for name in rows[0]["slices"] if name != SET]
        models = [model for model in MODELS if model in rows[0]]
        table = to_table(rows, schema_of(dimensions, models, names))
        pq.write_table(table, place / "sentences-00000-of-00001.parquet")
        words = {word for row in rows for text in row["references"] for word in text.split()}
        write_words(str(place), {word: len(word) ** len(word) % 150 for word in sorted(words)})
        (place / "record.json").write_text(make_record([1], names))
        (place / "attention.jsonl").write_text("")
        verdict = _verdict(rows, names, blessed)
        (self._place("Gate", "verdict") / "verdict.json").write_text(json.dumps(verdict))
        counts = {"read": 9000, "accepted": 8990, "rejected": {"empty_target": 10},
                  "examples": {"train": 8000, "test": len(rows)}}  # fmt: skip
        (self._place("PairExampleGen", "rejected") / "counts.json").write_text(json.dumps(counts))
        infra = self._place("InfraValidator", "infra_blessing")
        (infra / "report.json").write_text(json.dumps({"faults": []}))
        epochs = [{"loss": 4 / i + 1, "val_loss": 4 / i + 1.2} for i in range(1, 6)]
        history = {"epochs": epochs}
        (self._place("Trainer", "model_run") / "history.json").write_text(json.dumps(history))


def _verdict(rows: Sequence[dict], names: Sequence[str], blessed: bool) -> dict:
    from seq2seq_tfx.components.metrics import MEASURES

    def figures(model: str, chosen: Sequence[dict]) -> dict[str, float]:
        return {
            name: MEASURES[name].figure(
                [sum(c) for c in zip(*(r[model]["statistics"][name] for r in chosen), strict=True)]
            )
            for name in names
        }

    models = [model for model in (CANDIDATE, BASELINE) if model in rows[0]]
    of = {model: figures(model, rows) for model in models}
    rule = {
        "rule": f"{names[0]} >= 20", "kind": "threshold", "metric": names[0],
        "slice": "test split", "sentences": len(rows), "figure": of[CANDIDATE][names[0]],
        "limit": 20.0, "bound": None, "confidence": None, "p_value": None, "passed": blessed,
        "note": "",
    }  # fmt: skip
    labels = sorted({row["slices"]["source_length"] for row in rows})
    parts = {x: [row for row in rows if row["slices"]["source_length"] == x] for x in labels}
    return {
        "blessed": blessed, "rules": [rule], "examples": len(rows), "candidate": of[CANDIDATE],
        "baseline": of.get(BASELINE), "confidence": 0.95, "signatures": {},
        "intervals": {m: {n: [f - 0.01, f + 0.01] for n, f in of[m].items()} for m in models},
        "slices": [
            {"slice": f"source_length={label}", "examples": len(part), "small": len(part) < 100,
             "candidate": figures(CANDIDATE, part), "baseline": None}
            for label, part in parts.items()
        ],
    }  # fmt: skip


DISTINCT = 20_000  # answers; more sentences have the same ones again, which takes less time


def make_rows(
    sentences: int, seed: int, errors: float = 0.3, names: Sequence[str] = METRICS
) -> list[dict]:
    """Sentences of 3 to 18 words, and answers that differ from their references.

    Args:
      sentences: how many; the same seed's sentences are the same in every run.
      seed: of the answers.
      errors: the share of wrong words of the candidate.
      names: of the measures.
    """
    texts, answers = random.Random(0), random.Random(seed)
    words = [f"w{i}" for i in range(5000)]
    rows = []
    for i in range(min(sentences, DISTINCT)):
        reference = texts.choices(words, k=texts.randint(3, 18))
        source = f"{i} " + " ".join(reversed(reference))
        row = new_row(source, [" ".join(reference)], {
            "set": "test", "source_length": length_label(source),
            "rarest_word": texts.choice(["0", "1-9", "10-99", "100+"]),
        })  # fmt: skip
        for model, share in ((CANDIDATE, errors), (BASELINE, 0.3)):
            found = [w if answers.random() > share else answers.choice(words) for w in reference]
            log_prob = -answers.random() * len(found)
            row[model] = {"text": " ".join(found), "score": log_prob / len(found),
                          "log_prob": log_prob}  # fmt: skip
        rows.append(compare(row, names))
    for i in range(DISTINCT, sentences):
        like = rows[i % DISTINCT]
        source = f"{i} {like['source'].partition(' ')[2]}"
        fresh = new_row(source, like["references"], like["slices"])
        rows.append({**fresh, **{model: like[model] for model in (CANDIDATE, BASELINE)}})
    return rows
