"""StatisticsGen and Transform in batches make what TFX's own make one by one."""

import json
import random

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen import executor as tfx_statistics
from tfx.components.transform import executor as tfx_transform
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import channel_utils, standard_artifacts
from tfx.utils import json_utils

from seq2seq_tfx.components import statistics_gen, transform
from seq2seq_tfx.components.artifacts import TokenizerModel
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.example_files import encode_example, write_tfrecord
from seq2seq_tfx.components.preprocessing import TOKENIZER
from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.models import features
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
from seq2seq_tfx.serving.tokenizer import SOURCE_MODEL, TARGET_MODEL

pytestmark = pytest.mark.slow

SPLITS = (features.TRAIN, features.VALIDATION)
ROWS = 1203  # of a file: a batch, and a part of one


def texts(seed):
    generator = random.Random(seed)
    return ["".join(generator.choices("ab é学", k=generator.randint(1, 40))) for _ in range(ROWS)]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """An artifact of two splits, one of them of two files."""
    folder = tmp_path_factory.mktemp("examples")
    for seed, (split, name) in enumerate([(SPLITS[0], "a"), (SPLITS[0], "b"), (SPLITS[1], "a")]):
        sides = zip(texts(seed), texts(seed + 10), strict=True)
        records = [
            encode_example({"source": [one], "target": [other], "references": [other]})
            for one, other in sides
        ]
        path = folder / f"Split-{split}"
        path.mkdir(exist_ok=True)
        write_tfrecord(str(path / f"data_tfrecord-{name}.gz"), records)
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(folder), json.dumps(SPLITS)
    return artifact


def made(kind, folder):
    folder.mkdir(parents=True)
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


def run(executor, inputs, outputs, properties, folder):
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(BEAM_ARGS), tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    executor(context).Do(inputs, outputs, properties)


def statistics(executor, examples, folder):
    """The statistics of each split by feature, in any order."""
    artifact = made(standard_artifacts.ExampleStatistics, folder / "statistics")
    component = statistics_gen.StatisticsGen(
        examples=channel_utils.as_channel([examples]),
        stats_options=tfdv.StatsOptions(use_sketch_based_topk_uniques=True),
    )
    run(
        executor,
        {"examples": [examples]},
        {"statistics": [artifact]},
        component.exec_properties,
        folder,
    )
    found = {}
    for split in SPLITS:
        path = folder / "statistics" / f"Split-{split}" / "FeatureStats.pb"
        for feature in tfdv.load_stats_binary(str(path)).datasets[0].features:
            found[split, feature.path.step[0]] = feature
    return found


def test_statistics_are_those_of_tfx(examples, tmp_path):
    one, other = (
        statistics(executor, examples, tmp_path / name)
        for name, executor in (("one", statistics_gen.Executor), ("other", tfx_statistics.Executor))
    )
    assert one.keys() == other.keys() and len(one) == 6
    for key, feature in one.items():
        expected = other[key]
        assert feature.string_stats.unique == expected.string_stats.unique, key
        assert feature.string_stats.avg_length == pytest.approx(expected.string_stats.avg_length)
        numbers = [
            (x.num_non_missing, x.min_num_values, x.max_num_values, x.tot_num_values)
            for x in (feature.string_stats.common_stats, expected.string_stats.common_stats)
        ]
        assert numbers[0] == numbers[1] and numbers[0][0] in (ROWS, 2 * ROWS)


def transformed(executor, examples, folder, custom):
    """(source ids, target ids) of each split, in the order of its files."""
    schema = made(standard_artifacts.Schema, folder / "schema")
    (folder / "schema" / "schema.pbtxt").write_text(
        "".join(
            f'feature {{ name: "{name}" type: BYTES presence {{ min_fraction: 1 }} '
            "shape { dim { size: 1 } } }\n"
            for name in (features.SOURCE, features.TARGET, features.REFERENCES)
        )
    )
    tokenizer = made(TokenizerModel, folder / "tokenizer")
    model = train_tokenizer(iter(texts(0)), SideConfig(vocabulary_size=60), False)
    for name in (SOURCE_MODEL, TARGET_MODEL):
        (folder / "tokenizer" / name).write_bytes(model)
    inputs = {"examples": [examples], "schema": [schema], TOKENIZER: [tokenizer]}
    component = transform.Transform(*map(channel_utils.as_channel, inputs.values()))
    outputs = {
        "transform_graph": [made(standard_artifacts.TransformGraph, folder / "graph")],
        "transformed_examples": [made(standard_artifacts.Examples, folder / "transformed")],
    }
    properties = {**component.exec_properties, **custom(tokenizer)}
    run(executor, inputs, outputs, properties, folder)
    found = {}
    for split in SPLITS:
        files = sorted((folder / "transformed" / f"Split-{split}").iterdir())
        assert all(path.name.startswith("transformed_examples-0") for path in files)
        records = tf.data.TFRecordDataset(list(map(str, files)), "GZIP").as_numpy_iterator()
        parsed = [tf.train.Example.FromString(record).features.feature for record in records]
        found[split] = [
            tuple(tuple(row[name].int64_list.value) for name in ("source_ids", "target_ids"))
            for row in parsed
        ]
    return found


def test_token_ids_are_those_of_tfx_row_by_row(examples, tmp_path):
    def as_ours_does(tokenizer):
        return {"custom_config": json_utils.dumps({TOKENIZER: tokenizer.uri})}

    one = transformed(transform.Executor, examples, tmp_path / "one", lambda _: {})
    other = transformed(tfx_transform.Executor, examples, tmp_path / "other", as_ours_does)
    assert one == other
    assert {split: len(rows) for split, rows in one.items()} == {
        features.TRAIN: 2 * ROWS,
        features.VALIDATION: ROWS,
    }


def test_a_split_without_files_is_told(examples, tmp_path):
    empty = standard_artifacts.Examples()
    (tmp_path / "empty" / f"Split-{features.TRAIN}").mkdir(parents=True)
    empty.uri, empty.split_names = str(tmp_path / "empty"), json.dumps([features.TRAIN])
    with pytest.raises(PipelineError, match=r"expected Examples in .*Split-train"):
        statistics(statistics_gen.Executor, empty, tmp_path / "out")
