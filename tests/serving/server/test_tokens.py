"""Tokens are counted as the model itself counts them."""

import io
import re
import resource
from types import SimpleNamespace

import numpy as np
import pytest
import sentencepiece

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.export_record import FOLDER
from seq2seq_tfx.serving.server.metrics import Metrics
from seq2seq_tfx.serving.server.servable import Servable
from seq2seq_tfx.serving.server.tokens import counting
from seq2seq_tfx.serving.tokenizer import SOURCE_MODEL, TARGET_MODEL


def counted(metrics):
    found = re.finditer(
        r'^seq2seq_serving_tokens_total\{side="(\w+)",signature="(\w+)"\} (\d+)',
        metrics.text().decode(),
        re.MULTILINE,
    )
    return {(match[2], match[1]): int(match[3]) for match in found}


def asked(run, signature, *texts):
    return run(signature, {features.TEXT: np.array([t.encode() for t in texts], object)})


@pytest.mark.slow
def test_tokens_are_counted_as_the_model_tells_them(exported):
    servable, metrics = Servable(1, exported.directory), Metrics()
    run = counting(servable, metrics)
    texts = ["the fox", "", "quick", "brown", "x", "the quick", "fox brown"]
    told = asked(servable.run, features.CONFIDENCE_SIGNATURE, *texts)
    # What is unknown is written with spaces around it, which were no tokens.
    plain = [i for i, text in enumerate(told[features.TEXT]) if "⁇".encode() not in text]
    texts = [texts[i] for i in plain]
    source, target = (
        (told[name][plain] - 1).sum() for name in (features.SOURCE_LENGTH, features.TARGET_LENGTH)
    )
    assert source and target
    for signature in (features.SERVING_SIGNATURE, features.NBEST_SIGNATURE):
        asked(run, signature, *texts)
        asked(run, signature)
        asked(run, signature, *texts)
        assert counted(metrics)[signature, "source"] == 2 * source
        assert counted(metrics)[signature, "target"] == 2 * target
    bad = run(features.SERVING_SIGNATURE, {features.TEXT: np.array([b"\xff\xfe", b"\0"], object)})
    assert len(bad[features.TEXT]) == 2
    servable.close()


def test_a_version_without_its_tokenizers_is_answered_and_not_counted(made):
    servable, metrics = Servable(1, made / "1"), Metrics()
    outputs = asked(counting(servable, metrics), features.SERVING_SIGNATURE, "a")
    assert outputs[features.TEXT].tolist() == [b"v1:a"]
    assert counted(metrics) == {}
    servable.close()


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_THREAD"), reason="Linux counts by thread")
def test_counting_waits_for_no_other_thread(tmp_path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["ab", "ba"]), model_writer=model, model_type="char", vocab_size=6
    )
    (tmp_path / FOLDER).mkdir(parents=True)
    for name in (SOURCE_MODEL, TARGET_MODEL):
        (tmp_path / FOLDER / name).write_bytes(model.getvalue())
    servable = SimpleNamespace(directory=tmp_path, run=lambda signature, inputs: inputs)
    run, calls = counting(servable, Metrics()), 200
    asked(run, features.SERVING_SIGNATURE, "ab", "b")
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    for _ in range(calls):
        asked(run, features.SERVING_SIGNATURE, "ab", "b")
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < calls / 4
