"""Ingestion, cleaning and statistics on another Beam runner, by its arguments alone."""

import json
from concurrent import futures

import grpc
import pytest
from apache_beam.runners.portability.local_job_service import LocalJobServicer

from seq2seq_tfx.components.bitext_limits import DataValidationConfig
from seq2seq_tfx.components.data_check import KEPT, REJECTED, check_pairs
from seq2seq_tfx.components.data_config import DataConfig
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS


@pytest.fixture
def job_service(monkeypatch):
    """Beam's job service for Python in this process; its servers listen on loopback alone."""
    server_type = type(grpc.server(futures.ThreadPoolExecutor(1)))
    bind = server_type.add_insecure_port
    bound = []

    def loopback(self, address):
        address = address.replace("[::]", "localhost")
        bound.append(address)
        return bind(self, address)

    monkeypatch.setattr(server_type, "add_insecure_port", loopback)
    service = LocalJobServicer()
    yield f"localhost:{service.start_grpc_server()}"
    service.stop()
    assert len(bound) > 1 and all(address.startswith("localhost:") for address in bound)


@pytest.mark.slow
def test_the_portable_runner_gives_the_same_rows(tmp_path, job_service):
    for number in range(3):
        lines = [f"Source {i % 70}\tZiel {i % 80}" for i in range(number, 300, 2)]
        lines += ["bad", "a  b\ta b", "x\t\x07"]
        (tmp_path / f"{number}.tsv").write_text("".join(f"{line}\n" for line in lines))
    filters = ["normalize", "identical", "control_characters", "duplicates", "near_duplicates"]
    config = DataConfig(
        input=str(tmp_path / "*.tsv"), cleaning=[{"filter": name} for name in filters]
    )
    portable = [
        "--runner=PortableRunner", f"--job_endpoint={job_service}",
        "--environment_type=LOOPBACK",
    ]  # fmt: skip
    found = []
    for name, arguments in (("local", list(BEAM_ARGS)), ("portable", portable)):
        report = check_pairs(config, DataValidationConfig(), tmp_path / name, arguments)
        rows = [
            sorted((tmp_path / name / file).read_text("utf-8").splitlines())
            for file in (KEPT, REJECTED)
        ]
        found.append((json.loads(json.dumps(report._asdict())), *rows))
    assert found[0] == found[1]
    assert found[0][0]["kept"] > 0
    assert {"duplicate", "identical_sides", "wrong_field_count"} < set(found[0][0]["rejected"])
