"""The promise of serving: whoever is asked, the answer is that of the model that was trained."""

import contextlib
import shutil
from itertools import compress

import pytest

from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.serving.predictor import Predictor

from ..scripts import script
from .asking import REAL
from .model_server import BINARY, ModelServer
from .running import Running

parity = script("benchmarks/serving_parity")
native = script("benchmarks/without_python")
COUNT = 60


def test_what_differs_is_told_from_what_ties():
    expected = [("a", -1.0), ("b", -2.0), ("c", -3.0), ("d", -4.0)]
    found = [("a", -1.00005), ("x", -2.0), ("c", -3.1), ("y", -4.5)]
    same, ties, different, largest = parity.compare(expected, found)
    assert (same, ties, different) == (1, 1, 2)
    assert largest == pytest.approx(0.5)


def test_fuzzed_sources_are_unicode_and_of_many_kinds():
    sources = parity.fuzzed_sources(500, seed=1)
    assert len(sources) == 500 and len(set(sources)) > 400
    assert len({c for text in sources for c in text}) > 100
    assert all(text.encode().decode() == text for text in sources)


@pytest.mark.slow
@pytest.mark.modern
@pytest.mark.parametrize("beam", [1, 3])
def test_in_process_fresh_without_python_rest_grpc_and_beam_give_the_same(exported, tmp_path, beam):
    search = SearchConfig(**{**exported.search.model_dump(), "beam_size": beam})
    predictor = Predictor(
        exported.model,
        exported.predictor.source_tokenizer,
        exported.predictor.target_tokenizer,
        search,
        exported.max_source_tokens,
    )
    predictor.export(str(tmp_path / "1"))
    sources = [*REAL, *parity.fuzzed_sources(COUNT, seed=beam)]
    expected = parity.in_process(predictor, sources)
    assert len({text for text, _ in expected}) >= 10
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Running(tmp_path / "1"))
        places = [f"http://{server.address.rest}", server.address.grpc]
        if BINARY:
            (base := tmp_path / "seq2seq").mkdir()
            shutil.copytree(tmp_path / "1", base / "1")
            address = stack.enter_context(ModelServer.of(BINARY, base)).address
            places += [f"http://{address.rest}", address.grpc]
        for found in (
            parity.in_fresh_process(tmp_path / "1", sources),
            native.best_answers(tmp_path / "1", parity.batches(sources), tmp_path),
            *(parity.from_server(place, sources) for place in places),
        ):
            compared = parity.compare(expected, found)
            assert compared.different == 0, compared
            assert compared.same >= len(sources) - 2, compared
    lines = [parity.one_line(source) for source in sources]
    assert sum(lines) > len(sources) / 2
    found = parity.from_beam(tmp_path / "1", list(compress(sources, lines)), tmp_path)
    compared = parity.compare(list(compress(expected, lines)), found)
    assert compared.different == 0, compared
    assert compared.same >= sum(lines) - 2, compared
