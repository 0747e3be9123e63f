"""The whole DAG on one screen."""

from __future__ import annotations

from pathlib import Path

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.pusher.component import Pusher
from tfx.components.schema_gen.component import SchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2

from ..components.baseline import baseline_resolver
from ..components.bitext_validator import BitextValidator
from ..components.evaluator import Evaluator
from ..components.gate import Gate
from ..components.imported_schema import ImportedSchema
from ..components.infra_validator import InfraValidator
from ..components.named_export import NamedExport
from ..components.pair_example_gen import PairExampleGen
from ..components.previous_span import previous_span_resolver
from ..components.tokenizer_trainer import TokenizerTrainer
from ..components.trainer import Trainer
from ..components.transform import Transform
from .beam_args import BEAM_ARGS
from .config import PipelineConfig
from .run_folder import ARTIFACTS, EXPORTS, METADATA, SERVING


def serving_dir(config: PipelineConfig, output: Path) -> Path:
    """Where versions of the model are pushed, as TensorFlow Serving wants them."""
    return output / SERVING / config.serving.model_name


def named_export_dir(config: PipelineConfig, output: Path, form: str) -> Path:
    """Where versions of another form of the model are put."""
    return output / EXPORTS / f"{config.serving.model_name}-{form}"


def metadata_path(output: Path) -> Path:
    """Where the runs are recorded."""
    return output / METADATA


def create_pipeline(config: PipelineConfig, output: Path) -> Pipeline:
    """Builds the pipeline; each component gets its own section and no more.

    Args:
      config: the job.
      output: the folder of all that it makes.
    """
    pairs = PairExampleGen(config.data)
    examples = pairs.outputs["examples"]
    statistics = StatisticsGen(examples=examples)
    curated = config.data_validation.schema_file
    schema = (
        ImportedSchema(curated)
        if curated
        else SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    )
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    previous = previous_span_resolver(examples) if config.data_validation.limits_drift else None
    bitext = BitextValidator(
        examples,
        pairs.outputs["rejected"],
        config.data_validation,
        validator.outputs["anomalies"] if curated else None,
        previous.outputs["report"] if previous else None,
    )
    tokenizer = TokenizerTrainer(examples, config.tokenizer)
    tokenizer.add_upstream_node(bitext)  # nothing is learned from pairs that do not pass
    transform = Transform(examples, schema.outputs["schema"], tokenizer.outputs["tokenizer"])
    trainer = Trainer(
        transform.outputs["transformed_examples"],
        tokenizer.outputs["tokenizer"],
        config.trainer_settings,
    )
    model = trainer.outputs["model"]
    baseline = baseline_resolver(model)
    evaluator = Evaluator(examples, model, baseline.outputs["model"], config.evaluation)
    gate = Gate(evaluator.outputs["evaluation"], evaluator.outputs["sentences"], model, config.gate)
    infra_validator = InfraValidator(model, examples, config.infra_validation)
    pusher = Pusher(
        model=model,
        model_blessing=gate.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(
                base_directory=str(serving_dir(config, output))
            )
        ),
    )
    forms = [
        NamedExport(
            form,
            str(named_export_dir(config, output, form)),
            model,
            pusher.outputs["pushed_model"],
            evaluator.outputs["sentences"],
            config.search,
            config.serving,
            config.gate,
        ).with_id(f"NamedExport-{form}")
        for form in config.export.forms
    ]
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(output / ARTIFACTS),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(metadata_path(output))
        ),
        components=[
            pairs,
            statistics,
            schema,
            validator,
            *([previous] if previous else []),
            bitext,
            tokenizer,
            transform,
            trainer,
            baseline,
            evaluator,
            gate,
            infra_validator,
            pusher,
            *forms,
        ],
        enable_cache=True,
        beam_pipeline_args=BEAM_ARGS,
    )
