"""All that Beam sends to workers arrives in another process, which has the package alone."""

import ast
import base64
import builtins
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import apache_beam as beam
import pytest
from apache_beam.internal import pickler
from apache_beam.utils.shared import Shared
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio.dataset_options import RecordBatchesOptions

from seq2seq_tfx import components
from seq2seq_tfx.components.data_check import MERGES
from seq2seq_tfx.components.data_config import DataConfig
from seq2seq_tfx.components.readers.registry import InputFile
from seq2seq_tfx.components.row_lines import kept_as_json
from seq2seq_tfx.components.splits import SplitShares, splitter

pytestmark = pytest.mark.slow  # imports TFX twice

CONFIG = DataConfig(
    input="pairs.tsv", cleaning=[{"filter": "normalize"}, {"filter": "near_duplicates"}]
)
MODULES = [
    importlib.import_module(f"{components.__name__}.{module.name}")
    for module in pkgutil.iter_modules(components.__path__)
]
FUNCTIONS = {
    "Map", "FlatMap", "MapTuple", "FlatMapTuple", "Filter", "CombinePerKey", "CombineGlobally",
}  # fmt: skip
FILES = [InputFile(("pairs.tsv",), "tsv")]
ARGUMENTS = {
    "ReadBatches": (CONFIG, "scratch"),
    "LayAside": (CONFIG, "scratch", 2),
    "Compare": (CONFIG, 0, "scratch"),
    "TakeUp": (FILES, CONFIG, True),
    "PackSources": ("scratch", True),
    "FindNearLeaks": (0.8,),
    "WriteLines": ("kept", "folder", kept_as_json, len, sum),
    "WriteMerged": ("folder", MERGES),
    "ReadRecordBatches": (schema_pb2.Schema(), RecordBatchesOptions(1000)),
    "EncodeRecordBatches": (schema_pb2.Schema(),),
    "WriteExamples": (splitter(SplitShares(), FILES), {"train": "folder"}, 2),
    "ReadRows": (["source_length"], {"word": 1}),
    "Answer": ({"candidate": "model"}, Shared()),
    "AnswerPiece": ("model", "folder", 1, False),
    "AsksModels": ({"candidate": "model"}, Shared()),
    "Explain": ({"candidate": "model"}, Shared()),
    "SumStatistics": (["example_count", "bleu"], ["bleu"], "candidate"),
}


def classes():
    """Every DoFn and CombineFn of ours that is used as it is."""
    return {
        name: value
        for module in MODULES
        for name, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__ == module.__name__
        and issubclass(value, beam.DoFn | beam.CombineFn)
        and not name.startswith("_")
    }


def functions():
    """What is handed to `beam.Map` and its like, as (module, the expression)."""
    for module in MODULES:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in FUNCTIONS and ast.unparse(node.func.value) == "beam":
                yield module, node.args[0]
            if node.func.attr == "Of":  # combiners.Top.Of(number, key=...)
                yield from ((module, each.value) for each in node.keywords if each.arg == "key")


def test_a_worker_of_ingestion_imports_neither_tfx_nor_tensorflow(tmp_path):
    # Each would take it longer than 100,000 pairs.
    code = (
        "import sys, seq2seq_tfx.components.write_examples, seq2seq_tfx.components.measure_bitext\n"
        "print(sorted({'tfx', 'tensorflow'} & {*sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert done.stdout.split() == [b"[]"], done.stderr[-2000:]


def test_no_lambda_and_no_inner_function_is_handed_to_beam():
    found = list(functions())
    assert len(found) > 12
    for module, expression in found:
        if isinstance(expression, ast.Name):
            known = hasattr(module, expression.id) or hasattr(builtins, expression.id)
            assert known, f"{module.__name__}: {expression.id} is not of the module"
        else:
            assert isinstance(expression, ast.Attribute | ast.Call), (
                f"{module.__name__}:{expression.lineno}: {ast.unparse(expression)}"
            )


def test_every_function_arrives_in_a_second_process(tmp_path):
    sent = {name: kind(*ARGUMENTS.get(name, ())) for name, kind in classes().items()}
    assert len(sent) >= 11
    for module, expression in functions():
        if isinstance(expression, ast.Name) and hasattr(module, expression.id):
            sent[f"{module.__name__}.{expression.id}"] = getattr(module, expression.id)
    pickled = {
        name: base64.b64encode(pickler.dumps(value)).decode() for name, value in sent.items()
    }
    code = (
        "import base64, json, sys\n"
        "from apache_beam.internal import pickler\n"
        "sent = json.load(sys.stdin)\n"
        "got = {n: pickler.loads(base64.b64decode(v)) for n, v in sent.items()}\n"
        "name = lambda v: f'{v.__module__}.{getattr(v, \"__name__\", type(v).__name__)}'\n"
        "print(json.dumps({n: name(v) for n, v in got.items()}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(pickled),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        name: f"{value.__module__}.{getattr(value, '__name__', type(value).__name__)}"
        for name, value in sent.items()
    }
