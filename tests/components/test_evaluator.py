"""The promises of Evaluator: sacreBLEU's figures of what exported models answer, decoded once."""

import json
import math
import re

import pyarrow.parquet as pq
import pytest
import sacrebleu
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from seq2seq_tfx.components import decoding
from seq2seq_tfx.components.artifacts import EvaluatedSentences
from seq2seq_tfx.components.evaluation import OVERALL, EvaluationConfig, read_evaluation
from seq2seq_tfx.components.evaluator import Executor
from seq2seq_tfx.components.metrics import MEASURES
from seq2seq_tfx.components.sentence_files import read_record, read_rows
from seq2seq_tfx.components.sentences import BASELINE, CANDIDATE
from seq2seq_tfx.models import features
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS

pytestmark = [pytest.mark.slow, pytest.mark.modern]

NOUNS = ["cat", "dog", "house", "train", "letter", "garden", "river", "window"]
SOURCES = [
    f"the {a} sees {b} near the old {c}" for a in NOUNS for b in NOUNS[:4] for c in NOUNS[:3]
]
SOURCES += [f"{a}s" for a in NOUNS]


class Rewriter(tf.Module):
    """A model whose answers are known: it replaces one word."""

    def __init__(self, old, new):
        super().__init__()
        self._old, self._new = old, new

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def best(self, text):
        rows = tf.cast(tf.shape(text)[0], tf.float32)
        return {
            "text": tf.strings.regex_replace(text, self._old, self._new),
            "score": tf.fill(tf.shape(text), rows),
            "log_prob": tf.fill(tf.shape(text), -2.0),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def nbest(self, text):
        return {name: values[:, tf.newaxis] for name, values in self.best(text).items()}


class Teller(Rewriter):
    """One that tells of its answers and scores references by their lengths."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def confidence(self, text):
        length = tf.strings.length(text)
        told = {"ignored_source": tf.where(length % 2 == 0, 1.0, 0.0)}
        told["attention_entropy"] = tf.zeros(tf.shape(text))
        return {**self.best(text), **told, "source_length": length, "target_length": length}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name=name) for name in ("text", "reference")
        ]
    )
    def teacher_forcing(self, text, reference):
        tokens = tf.strings.length(reference)
        nats = tf.cast(tokens, tf.float32) / 8 + tf.cast(tf.strings.length(text), tf.float32)
        return {"log_prob": -nats, "target_length": tokens, "correct_tokens": tokens // 2}


MODELS = {CANDIDATE: ("old", "new"), BASELINE: ("sees .* near", "near")}


def answer(model, source):
    return re.sub(*MODELS[model], source)


def artifact(kind, folder):
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


def write_examples(folder):
    for split, sources in (("train", ["the cat"] * 20 + ["a dog"] * 5), ("test", SOURCES)):
        (folder / f"Split-{split}").mkdir(parents=True)
        path = str(folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz")
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for i, source in enumerate(sources):
                example = tf.train.Example()
                references = [source, f"{source} now"] if i % 3 else [source]
                for name, values in (
                    ("source", [source]),
                    ("target", references[:1]),
                    ("references", references),
                    ("domain", ["short" if len(source) < 9 else "long"]),
                ):
                    encoded = [value.encode() for value in values]
                    example.features.feature[name].bytes_list.value.extend(encoded)
                writer.write(example.SerializeToString())


def evaluate(folder, models, **config):
    """Runs the component; gives the folders of its outputs."""
    examples = artifact(standard_artifacts.Examples, folder / "examples")
    examples.split_names = json.dumps(["train", "test"])
    write_examples(folder / "examples")
    inputs = {"examples": [examples]}
    for model, key in ((CANDIDATE, "model"), (BASELINE, "baseline_model")):
        if model in models:
            inputs[key] = [artifact(standard_artifacts.Model, folder / model)]
            module = (Teller if model == CANDIDATE else Rewriter)(*MODELS[model])
            where = str(folder / model / "Format-Serving")
            signatures = {
                features.SERVING_SIGNATURE: module.best,
                features.NBEST_SIGNATURE: module.nbest,
            }
            if model == CANDIDATE:
                signatures[features.CONFIDENCE_SIGNATURE] = module.confidence
                signatures[features.TEACHER_FORCING_SIGNATURE] = module.teacher_forcing
            tf.saved_model.save(module, where, signatures)
    outputs = {
        "evaluation": [artifact(standard_artifacts.ModelEvaluation, folder / "evaluation")],
        "sentences": [artifact(EvaluatedSentences, folder / "sentences")],
    }
    context = BaseBeamExecutor.Context(list(BEAM_ARGS), str(folder / "scratch"), "1")
    Executor(context).Do(
        inputs, outputs, {"evaluation_config": EvaluationConfig(**config).model_dump_json()}
    )
    return str(folder / "evaluation"), str(folder / "sentences")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Both models, and how many sources each batch had."""
    decoded = []
    answer_batch = decoding.Answer.process

    def counted(self, batch):
        decoded.extend(row["source"] for row in batch)
        return answer_batch(self, batch)

    patch = pytest.MonkeyPatch()
    patch.setattr(decoding.Answer, "process", counted)
    config = {
        "metrics": ["bleu", "chrf++", "ter", "sequence_error_rate", "perplexity", "token_accuracy"],
        "slices": ["domain", "rarest_word", "rarest_word, domain"],
    }
    folders = evaluate(tmp_path_factory.mktemp("evaluated"), MODELS, **config)
    patch.undo()
    return *folders, decoded


def references_of(source):
    return [source, f"{source} now" if SOURCES.index(source) % 3 else None]


@pytest.mark.parametrize("model", MODELS)
def test_figures_are_sacrebleus_on_the_same_strings_overall_and_by_slice(evaluated, model):
    uri, _, _ = evaluated
    found = read_evaluation(uri, model)
    slices = {
        OVERALL: SOURCES,
        (("domain", "long"), ("set", "test")): SOURCES[:-8],
        (("domain", "short"), ("set", "test")): SOURCES[-8:],
        (("rarest_word", "0"), ("set", "test")): SOURCES,
        (("domain", "long"), ("rarest_word", "0"), ("set", "test")): SOURCES[:-8],
        (("domain", "short"), ("rarest_word", "0"), ("set", "test")): SOURCES[-8:],
    }
    assert set(found) == set(slices)
    for key, sources in slices.items():
        hypotheses = [answer(model, source) for source in sources]
        streams = list(zip(*(references_of(source) for source in sources), strict=True))
        assert found[key].examples == len(sources)
        for name, metric in (
            ("bleu", sacrebleu.BLEU()),
            ("chrf++", sacrebleu.CHRF(word_order=2)),
            ("ter", sacrebleu.TER()),
        ):
            expected = metric.corpus_score(hypotheses, streams).score
            assert found[key].metrics[name] == pytest.approx(expected, abs=1e-6), (key, name)
        wrong = sum(h not in references_of(s) for h, s in zip(hypotheses, sources, strict=True))
        assert found[key].metrics["sequence_error_rate"] == pytest.approx(wrong / len(sources))
        assert found[key].metrics["empty_rate"] == 0


def test_perplexity_and_token_accuracy_are_of_every_reference_overall_and_by_slice(evaluated):
    uri, folder, _ = evaluated
    found = read_evaluation(uri, CANDIDATE)
    for key, sources in (
        (OVERALL, SOURCES),
        ((("domain", "short"), ("set", "test")), SOURCES[-8:]),
    ):
        pairs = [(s, r) for s in sources for r in references_of(s) if r]
        tokens = sum(len(r) for _, r in pairs)
        nats = sum(len(r) / 8 + len(s) for s, r in pairs)
        told = found[key].metrics
        assert told["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-6)
        assert told["token_accuracy"] == pytest.approx(sum(len(r) // 2 for _, r in pairs) / tokens)
        ignored = sum(len(s) % 2 == 0 for s in sources) / len(sources)
        assert told["hallucination_rate"] == pytest.approx(ignored)
    # The baseline is an export of an earlier version: it tells nothing of the kind.
    silent = read_evaluation(uri, BASELINE)[OVERALL].metrics
    for name in ("perplexity", "token_accuracy", "hallucination_rate"):
        assert math.isnan(silent[name])
    for row in read_rows(folder):
        assert row["candidate"]["confidence"]["source_length"] == len(row["source"])
        assert len(row["candidate"]["forced"]) == len(row["references"])
        assert not {"confidence", "forced"} & set(row["baseline"])


def test_each_source_is_decoded_once(evaluated):
    _, _, decoded = evaluated
    assert sorted(decoded) == sorted(SOURCES)


def test_each_sentence_is_kept_with_what_was_answered(evaluated):
    uri, folder, _ = evaluated
    rows = list(read_rows(folder))
    assert sorted(row["source"] for row in rows) == sorted(SOURCES)
    for row in rows:
        assert row["references"] == [r for r in references_of(row["source"]) if r]
        assert row["slices"]["set"] == "test"
        for model in MODELS:
            assert row[model]["text"] == answer(model, row["source"])
            assert row[model]["log_prob"] == -2.0
    # Their statistics are sufficient: summed, they give what TFMA gave.
    for model in MODELS:
        figures = read_evaluation(uri, model)[OVERALL].metrics
        for name, figure in figures.items():
            columns = zip(*(row[model]["statistics"][name] for row in rows), strict=True)
            assert MEASURES[name].figure([sum(c) for c in columns]) == pytest.approx(
                figure, nan_ok=True
            )
    assert read_record(folder)["signatures"]["bleu"].startswith("nrefs:var|")


def test_how_often_words_of_references_were_trained_on_is_kept(evaluated):
    _, folder, _ = evaluated
    table = pq.read_table(f"{folder}/trained_words.parquet")
    counts = dict(zip(*table.to_pydict().values(), strict=True))
    words = {word for source in SOURCES for text in references_of(source) if text
             for word in text.split()}  # fmt: skip
    trained = {"the": 20, "cat": 20, "a": 5, "dog": 5}
    assert counts == {word: times for word, times in trained.items() if word in words} != {}


def test_challenge_sets_are_evaluated_apart_from_the_split(tmp_path):
    (tmp_path / "names.tsv").write_text("the old fox\tthe new fox\nthe old fox\tx\nyes\tno\n")
    sets = {"names": str(tmp_path / "names.tsv")}
    uri, folder = evaluate(
        tmp_path, [CANDIDATE], metrics=["exact_match"], slices=[], challenge_sets=sets
    )
    found = read_evaluation(uri, CANDIDATE)
    assert set(found) == {OVERALL, (("set", "names"),)}
    assert found[OVERALL].examples == len(SOURCES)
    assert found[(("set", "names"),)].examples == 2
    assert found[(("set", "names"),)].metrics["exact_match"] == 0.5
    (fox,) = (row for row in read_rows(folder) if row["source"] == "the old fox")
    assert fox["references"] == ["the new fox", "x"]


def test_without_a_baseline_the_candidate_is_evaluated_alone(tmp_path):
    uri, folder = evaluate(tmp_path, [CANDIDATE], metrics=["bleu"])
    assert read_evaluation(uri, BASELINE) == {}
    assert read_evaluation(uri, CANDIDATE)[OVERALL].examples == len(SOURCES)
    assert all(BASELINE not in row for row in read_rows(folder))


def test_a_slice_that_is_no_column_stops_the_run_and_tells_the_columns(tmp_path):
    with pytest.raises(Exception, match=r"a column of the data \(domain, references, source"):
        evaluate(tmp_path, [CANDIDATE], slices=["topic"])
