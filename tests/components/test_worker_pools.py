"""Two workers that have only the lock and the source distribution do what one process does.

With WORKER_POOLS=FILE what was compared is written there as JSON (`make worker-pools`).
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent import futures
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.local_job_service import LocalJobServicer
from apache_beam.utils.shared import Shared
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from seq2seq_tfx.components.data_config import DataConfig
from seq2seq_tfx.components.decoding import DecodeOnce
from seq2seq_tfx.components.imported_schema import ImportedSchema
from seq2seq_tfx.components.pair_example_gen import PairExampleGen
from seq2seq_tfx.components.sentences import CANDIDATE, new_row
from seq2seq_tfx.components.slices import SET
from seq2seq_tfx.components.tokenizer_trainer import (
    SideConfig,
    TokenizerConfig,
    TokenizerTrainer,
    train_tokenizer,
)
from seq2seq_tfx.components.transform import Transform
from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
from seq2seq_tfx.pipeline.beam_operator import beam_arguments
from seq2seq_tfx.pipeline.predict_file import predict_file
from seq2seq_tfx.pipeline.predict_on_beam import predict_on_beam
from seq2seq_tfx.pipeline.runner_config import Portable
from seq2seq_tfx.serving.local_model import LocalModel
from seq2seq_tfx.serving.predictor import Predictor
from seq2seq_tfx.serving.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROOMS = ("models", "report", "serving", "components", "pipeline")
# Beam's servers listen everywhere unless they are kept from it.
SCHEMA = "".join(
    f'feature {{ name: "{name}" type: BYTES presence {{ min_fraction: 1 min_count: 1 }} '
    f"{shape} }}\n"
    for name, shape in (
        (features.SOURCE, "shape { dim { size: 1 } }"),
        (features.TARGET, "shape { dim { size: 1 } }"),
        (features.REFERENCES, "value_count { min: 1 }"),
    )
)
LOOPBACK = """
import signal, sys, grpc
from concurrent import futures
# A shell may have had what it started in the background ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
kind = type(grpc.server(futures.ThreadPoolExecutor(1)))
bind = kind.add_insecure_port
kind.add_insecure_port = lambda self, at: bind(self, at.replace("[::]", "localhost"))
from apache_beam.runners.worker import worker_pool_main
worker_pool_main.main(["--service_port", sys.argv[1]])
"""


# What a distribution is made of, and the locks.
SOURCES = [*ROOMS, "requirements", "setup.py", "pyproject.toml", "README.md", "LICENSE"]
# Builtins alone, for a worker has nothing of the tests.
WHENCE = """[__import__("importlib").import_module(f"seq2seq_tfx.components.{name}") and None
for name in ("pair_example_gen", "transform", "batch_answers")] and {
    "prefix": __import__("sys").prefix,
    "path": __import__("sys").path,
    "files": [str(getattr(module, "__file__", None) or "")
        for module in list(__import__("sys").modules.values())],
}"""


@pytest.fixture(scope="module")
def told():
    """What was done and compared, by stage; kept where WORKER_POOLS says."""
    results = {}
    yield results
    if file := os.environ.get("WORKER_POOLS"):
        Path(file).write_text(json.dumps(results, indent=1) + "\n")


@pytest.fixture(scope="module")
def worker_python(tmp_path_factory, told):
    """Python of an environment made by the commands of docs/runners.md, and by no others."""
    folder = tmp_path_factory.mktemp("worker")
    checkout, environment = folder / "checkout", folder / "environment"
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name)
        else:
            shutil.copy(ROOT / name, checkout)
    page = (ROOT / "docs" / "runners.md").read_text("utf-8")
    (block,) = re.findall(r"^```sh\n(python setup\.py sdist.*?)^PATH=.*?^```$", page, re.S | re.M)
    base = Path(sys.base_exec_prefix, "bin", f"python3.{sys.version_info.minor}")
    block = block.replace("/opt/seq2seq", str(environment)).replace("python3.10", str(base))
    if sys.version_info >= (3, 11):
        block = block.replace("wide.txt", "modern.txt")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    begun = time.monotonic()
    subprocess.run(
        ["sh", "-euc", f'uv() {{ "{ROOT}/scripts/uv.sh" "$@"; }}\n{block}'],
        cwd=checkout,
        env={**os.environ, "PATH": path},
        check=True,
    )
    seconds = time.monotonic() - begun
    shutil.rmtree(checkout)
    try:
        yield environment / "bin" / "python"
        files = [file.lstat() for file in environment.rglob("*") if not file.is_dir()]
        own = sum(file.st_size for file in files if file.st_nlink == 1)
        told["environment"] = {
            "seconds": round(seconds, 1),
            "bytes": sum(file.st_size for file in files),
            "bytes_not_shared_with_the_cache": own,
        }
    finally:
        shutil.rmtree(environment)  # pytest would keep three


@pytest.fixture(scope="module")
def pool(worker_python, tmp_path_factory):
    """The address of a worker pool that knows nothing of this process, and its log."""
    folder = tmp_path_factory.mktemp("pool")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    log = folder / "pool.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [worker_python, "-c", LOOPBACK, str(port)],
            cwd=folder,
            stdout=file,
            stderr=file,
            env={
                "PATH": f"{worker_python.parent}:/usr/bin:/bin",
                "HOME": str(folder),
                "TF_ENABLE_ONEDNN_OPTS": os.environ["TF_ENABLE_ONEDNN_OPTS"],
            },
        )
    try:
        grpc.channel_ready_future(grpc.insecure_channel(f"localhost:{port}")).result(120)
        yield f"localhost:{port}", log
    finally:
        process.send_signal(2)  # it stops its workers on its way out
        process.wait(60)


@pytest.fixture
def job_service(monkeypatch):
    """Beam's job service for Python, with two workers for each job."""

    class TwoWorkers(fn_runner.FnApiRunner):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self._num_workers = 2

    server_type = type(grpc.server(futures.ThreadPoolExecutor(1)))
    bind = server_type.add_insecure_port
    monkeypatch.setattr(
        server_type,
        "add_insecure_port",
        lambda self, address: bind(self, address.replace("[::]", "localhost")),
    )
    monkeypatch.setattr(fn_runner, "FnApiRunner", TwoWorkers)
    service = LocalJobServicer()
    yield f"localhost:{service.start_grpc_server()}"
    service.stop()


def on_workers(job_service, address):
    """The options of Beam that send work to the two workers."""
    return Portable(
        runner="portable",
        job_endpoint=job_service,
        workers=2,
        environment="EXTERNAL",
        environment_config=address,
    ).arguments()


def started(log):
    """How many workers the pool has started."""
    return log.read_text().count("Starting worker with command")


def compared(here, there):
    """How many rows there were on each side, and how many are on both."""
    both = sum((Counter(here) & Counter(there)).values())
    return {"one_process": len(here), "two_workers": len(there), "equal": both}


def in_order(record):
    """An Example with its features in order: Transform writes them in any."""
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def run(config, output, schema, arguments):
    """Runs ingestion and Transform by TFX; gives the rows of each split, and those rejected."""
    pairs = PairExampleGen(config)
    examples = pairs.outputs["examples"]
    word = SideConfig(kind="word")
    tokenizer = TokenizerTrainer(examples, TokenizerConfig(source=word, target=word))
    curated = ImportedSchema(str(schema))
    transform = Transform(examples, curated.outputs["schema"], tokenizer.outputs["tokenizer"])
    pipeline = Pipeline(
        pipeline_name="pairs",
        pipeline_root=str(output / "artifacts"),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(output / "metadata.sqlite")
        ),
        components=[pairs, tokenizer, curated, transform],
        enable_cache=True,
        beam_pipeline_args=list(BEAM_ARGS),
    )
    with beam_arguments(arguments):
        LocalDagRunner().run(pipeline)
    folder = output / "artifacts"
    rows = {}
    for made in ("PairExampleGen/examples", "Transform/transformed_examples"):
        for split in (features.TRAIN, features.VALIDATION, features.TEST):
            files = [str(file) for file in folder.glob(f"{made}/*/Split-{split}/*.gz")]
            if files:
                dataset = tf.data.TFRecordDataset(files, compression_type="GZIP")
                rows[made, split] = sorted(map(in_order, dataset.as_numpy_iterator()))
    (rejected,) = folder.glob("PairExampleGen/rejected/*/rejected.jsonl")
    rows["rejected"] = sorted(rejected.read_text("utf-8").splitlines())
    (counts,) = folder.glob("PairExampleGen/rejected/*/counts.json")
    return rows, json.loads(counts.read_text())


def test_workers_import_what_their_environment_has_and_nothing_of_the_checkout(
    tmp_path, worker_python, pool, job_service
):
    address, _ = pool
    options = PipelineOptions(on_workers(job_service, address))
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create([WHENCE])
            | beam.Map(eval)
            | beam.Map(json.dumps)
            | beam.io.WriteToText(str(tmp_path / "whence"), shard_name_template="")
        )
    whence = json.loads((tmp_path / "whence").read_text())
    environment = str(worker_python.parents[1])
    assert whence["prefix"] == environment
    assert any("seq2seq_tfx" in file for file in whence["files"])
    for path in filter(None, [*whence["path"], *whence["files"]]):
        assert not path.startswith((str(ROOT), sys.prefix))
        assert "site-packages" not in path or path.startswith(environment)


def test_two_workers_give_the_same_rows_and_the_cache_holds_for_both(
    tmp_path, pool, job_service, told
):
    for number in range(4):
        lines = [f"Source {i % 700}\tZiel {i % 900}" for i in range(number, 4000, 3)]
        lines += ["bad", "a  b\ta b", "x\t\x07"]
        (tmp_path / f"{number}.tsv").write_text("".join(f"{line}\n" for line in lines))
    filters = ["normalize", "identical", "control_characters", "duplicates", "near_duplicates"]
    config = DataConfig(
        input=str(tmp_path / "*.tsv"), cleaning=[{"filter": name} for name in filters]
    )
    schema = tmp_path / "schema.pbtxt"
    schema.write_text(SCHEMA)
    address, log = pool
    portable = on_workers(job_service, address)

    here, counts = run(config, tmp_path / "here", schema, list(BEAM_ARGS))
    before = started(log)
    there, counts_there = run(config, tmp_path / "there", schema, portable)
    assert started(log) == before + 4  # two for each component that runs on Beam
    assert counts == counts_there
    assert len(here) == 6  # Transform leaves the test split as it is
    assert here == there
    assert all(here.values())
    for stage, rows in here.items():
        name = stage if isinstance(stage, str) else " ".join(stage)
        told[name] = compared(rows, there[stage])

    # Where work was done is no input: the rows made here serve there.
    again, _ = run(config, tmp_path / "here", schema, portable)
    assert started(log) == before + 4
    assert again == here


def test_two_workers_give_the_same_answers(tmp_path, pool, job_service, told):
    texts = [f"{'abcd'[i % 4] * (1 + i % 9)} {i % 7}" for i in range(200)]
    model = train_tokenizer(iter(texts), SideConfig(kind="character"), False)
    source, target = Tokenizer(model, "source"), Tokenizer(model, "target")
    sizes = source.vocabulary_size, target.vocabulary_size
    network = build_seq2seq(ModelConfig(size={"embedding": 8, "units": 8}), *sizes)
    search = SearchConfig(beam_size=2, max_length=6)
    Predictor(network, source, target, search, max_source_tokens=12).export(str(tmp_path / "1"))
    rows = [new_row(text, [text], {SET: features.TEST}) for text in dict.fromkeys(texts)]
    address, log = pool

    def answered(name, arguments):
        with beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:
            _ = (
                pipeline
                | beam.Create([rows])
                | DecodeOnce({CANDIDATE: str(tmp_path / "1")}, Shared())
                | beam.FlatMap(lambda rows: rows)
                | beam.Map(json.dumps)
                | beam.io.WriteToText(str(tmp_path / name))
            )
        return sorted(line for file in tmp_path.glob(f"{name}*") for line in file.open())

    here = answered("here", list(BEAM_ARGS))
    before = started(log)
    there = answered("there", on_workers(job_service, address))
    assert started(log) == before + 2
    assert len(here) == len(rows)
    assert all(json.loads(line)[CANDIDATE]["text"] is not None for line in here)
    assert here == there
    told["answers in Evaluator"] = compared(here, there)

    # `seq2seq predict` as well: two pieces, each answered by a worker.
    (tmp_path / "in.txt").write_text("\n".join(texts * 50))
    exported = tmp_path / "1"
    predict_file(LocalModel(exported), "1", tmp_path / "in.txt", tmp_path / "here.jsonl")
    portable = on_workers(job_service, address)
    done = predict_on_beam(exported, tmp_path / "in.txt", tmp_path / "there.jsonl", 1, portable)
    assert done == (len(texts) * 50, 0, 0)
    here, there = ((tmp_path / f"{name}.jsonl").read_bytes() for name in ("here", "there"))
    assert here == there
    told["answers of seq2seq predict"] = compared(here.splitlines(), there.splitlines())
