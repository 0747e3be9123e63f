"""The promises of infra validation: every way of not being servable is found and named."""

import json

import pytest
import tensorflow as tf

from seq2seq_tfx.components.infra_validator import HOSTILE, find_faults
from seq2seq_tfx.serving import model_check

SOURCES = ["hello", "wörld", "a b c", "字", "last one"]
FIRST_ALONE = len(SOURCES) // 4 + 1
TIMEOUT = 120


class Echo(tf.Module):
    """Answers a text with itself, twice in n-best."""

    def __init__(self, faulty):
        super().__init__()
        self._faulty = faulty

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def best(self, text):
        rows = tf.size(text)
        if self._faulty:
            text = tf.strings.join([text, tf.fill([rows], tf.strings.as_string(rows))])
        return {"text": text, "score": tf.zeros([rows]), "log_prob": -tf.ones([rows])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def nbest(self, text):
        found = {name: tf.stack([value, value], 1) for name, value in self.best(text).items()}
        if self._faulty:
            found["score"] /= 0.0
        return found

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def examples(self, examples):
        spec = {"source": tf.io.FixedLenFeature([], tf.string)}
        return self.best(tf.io.parse_example(examples, spec)["source"])

    def save(self, folder):
        signatures = {"serving_default": self.best, "nbest": self.nbest}
        if not self._faulty:
            signatures["examples"] = self.examples
        tf.saved_model.save(self, str(folder), signatures=signatures)
        return str(folder)


@pytest.mark.slow
def test_a_good_model_has_no_fault(tmp_path):
    assert find_faults(Echo(faulty=False).save(tmp_path), SOURCES, TIMEOUT) == []


@pytest.mark.slow
def test_all_faults_of_a_model_are_told_at_once(tmp_path):
    faults = find_faults(Echo(faulty=True).save(tmp_path), SOURCES, TIMEOUT)
    assert faults[0] == "no signature 'examples', only ['nbest', 'serving_default']"
    not_finite = [fault for fault in faults if fault.startswith("nbest: 'score' is not finite: [")]
    assert len(not_finite) == 2 + FIRST_ALONE  # the request of no rows has no score
    assert faults[1 + len(not_finite) :] == [
        "'hello' is answered 'hello1' alone, 'hello5' in a batch",
        "'wörld' is answered 'wörld1' alone, 'wörld5' in a batch",
    ]


@pytest.mark.slow
def test_a_folder_that_is_no_model_is_one_fault_that_says_why(tmp_path):
    (fault,) = find_faults(str(tmp_path), SOURCES, TIMEOUT)
    assert fault.startswith("the process failed: ")
    assert "SavedModel file does not exist" in fault and str(tmp_path) in fault


# Below, a script without TensorFlow stands in for the process.


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Lets `change(request, signature, outputs)` spoil the answers of a good model."""

    def use(change="pass", before=""):
        script = tmp_path / "stand_in.py"
        script.write_text(
            f"""
import json, sys
{before}
requests = json.load(sys.stdin)
json.dump(requests, open({str(tmp_path / "requests.json")!r}, "w"))
answers = []
for number, request in enumerate(requests):
    answers.append({{}})
    for signature in ("serving_default", "nbest"):
        zeros = [0.0] * len(request)
        out = {{"text": list(request), "score": list(zeros), "log_prob": list(zeros)}}
        if signature == "nbest":
            out = {{name: [[v, v] for v in values] for name, values in out.items()}}
        {change}
        answers[-1][signature] = out
signatures = ["examples", "nbest", "serving_default"]
json.dump({{"signatures": signatures, "answers": answers}}, sys.stdout)
"""
        )
        monkeypatch.setattr(model_check, "__file__", str(script))

    return use


def test_a_process_that_is_killed_without_a_word_is_told_by_its_signal(stand_in):
    stand_in(before="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    (fault,) = find_faults("model", SOURCES, TIMEOUT)
    assert "died with <Signals.SIGKILL: 9>" in fault


def test_requests_are_a_batch_none_hostile_ones_and_single_ones(stand_in, tmp_path):
    stand_in()
    assert find_faults("model", SOURCES, TIMEOUT) == []
    requests = json.loads((tmp_path / "requests.json").read_text())
    assert requests == [SOURCES, [], HOSTILE, ["hello"], ["wörld"]]
    assert {"", "\0"} <= set(HOSTILE) and max(map(len, HOSTILE)) >= 10_000


def test_without_a_source_the_hostile_requests_remain(stand_in):
    stand_in()
    assert find_faults("model", [], TIMEOUT) == []


@pytest.mark.parametrize("number", ["float('nan')", "float('inf')", "-float('inf')"])
@pytest.mark.parametrize("name", ["score", "log_prob"])
def test_a_figure_that_is_no_number_is_a_fault(stand_in, name, number):
    stand_in(f"if number == 2 and signature == 'nbest': out[{name!r}][3][1] = {number}")
    (fault,) = find_faults("model", SOURCES, TIMEOUT)
    assert fault.startswith(f"nbest: '{name}' is not finite: [0.0, 0.0")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            "if number == 0 and signature == 'nbest': out['text'].pop()",
            "nbest: 5 rows in, 'text' out: ",
        ),
        (
            "if number == 1 and signature == 'serving_default': out['score'].append(0.0)",
            "serving_default: 0 rows in, 'score' out: [0.0]",
        ),
        (
            "if number == 3 and signature == 'nbest': del out['log_prob']",
            "nbest: 1 rows in, 'log_prob' out: None",
        ),
        (
            "if number == 3 and signature == 'serving_default': out['text'] = []",
            "serving_default: 1 rows in, 'text' out: []",
        ),
        (
            "if number == 3 and signature == 'serving_default': del out['text']",
            "serving_default: 1 rows in, 'text' out: None",
        ),
        (
            "if number == 3 and signature == 'serving_default': out['score'] = 0.0",
            "serving_default: 1 rows in, 'score' out: 0.0",
        ),
    ],
    ids=["fewer", "more", "missing", "no text", "missing text", "no list"],
)
def test_rows_that_do_not_match_the_request_are_a_fault(stand_in, change, fault):
    stand_in(change)
    faults = find_faults("model", SOURCES, TIMEOUT)
    assert any(one.startswith(fault) for one in faults)


def test_an_answer_that_depends_on_the_batch_is_a_fault(stand_in):
    stand_in("if number == 4: out['text'] = ['other']")
    faults = find_faults("model", SOURCES, TIMEOUT)
    assert "'wörld' is answered 'other' alone, 'wörld' in a batch" in faults


def test_a_process_that_never_answers_is_a_fault(stand_in):
    stand_in(before="import time; time.sleep(60)")
    assert find_faults("model", SOURCES, 1) == ["no answer within 1 s"]


def test_a_process_that_dies_is_a_fault_with_its_last_words(stand_in):
    stand_in(before="sys.exit('out of memory')")
    assert find_faults("model", SOURCES, TIMEOUT) == ["the process failed: out of memory"]


def test_output_that_is_no_answer_is_a_fault(stand_in):
    stand_in(before="print('hello'); sys.exit()")
    (fault,) = find_faults("model", SOURCES, TIMEOUT)
    assert "hello" in fault
