"""The whole DAG on one screen."""

from __future__ import annotations

from pathlib import Path

from tensorflow_data_validation import StatsOptions
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.pusher.component import Pusher
from tfx.components.schema_gen.component import SchemaGen
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2

from ..components.batch_predictor import BatchPredictor
from ..components.bitext_validator import BitextValidator
from ..components.curated_schema import STATS_OPTIONS
from ..components.evaluator import Evaluator
from ..components.gate import Gate
from ..components.imported_schema import ImportedSchema
from ..components.infra_validator import InfraValidator
from ..components.named_export import NamedExport
from ..components.pair_example_gen import PairExampleGen
from ..components.statistics_gen import StatisticsGen
from ..components.tokenizer_trainer import TokenizerTrainer
from ..components.trainer import Trainer
from ..components.transform import Transform
from ..components.tuner import Tuner
from .binding import Binding, here
from .config import PipelineConfig


def create_pipeline(config: PipelineConfig, place: Path | Binding) -> Pipeline:
    """Builds the pipeline; each component gets its own section and no more.

    Args:
      config: the job.
      place: the folder of all that it makes, or what another runner decides.
    """
    bound = place if isinstance(place, Binding) else here(config, place)
    pairs = PairExampleGen(config.data, bound.spans)
    examples = pairs.outputs["examples"]
    statistics = StatisticsGen(examples=examples, stats_options=StatsOptions(**STATS_OPTIONS))
    curated = config.data_validation.schema_file
    schema = (
        ImportedSchema(curated)
        if curated
        else SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    )
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    previous = bound.previous_span(examples) if config.data_validation.limits_drift else None
    bitext = BitextValidator(
        examples,
        pairs.outputs["rejected"],
        config.data_validation,
        validator.outputs["anomalies"] if curated else None,
        previous.outputs["report"] if previous else None,
    )
    tokenizer = TokenizerTrainer(examples, config.tokenizer)
    tokenizer.add_upstream_node(bitext)  # nothing is learned from pairs that do not pass
    transform = Transform(
        examples, schema.outputs["schema"], tokenizer.outputs["tokenizer"], config.data.weight
    )
    learned = (
        transform.outputs["transformed_examples"],
        tokenizer.outputs["tokenizer"],
        config.trainer_settings,
    )
    tuner = Tuner(*learned, config.tuning) if config.tuning else None
    trainer = Trainer(*learned, tuner.outputs["best_hyperparameters"] if tuner else None)
    model = trainer.outputs["model"]
    baseline = bound.baseline(model)
    evaluator = Evaluator(examples, model, baseline.outputs["model"], config.evaluation)
    infra_validator = InfraValidator(model, examples, config.infra_validation)
    gate = Gate(
        evaluator.outputs["evaluation"],
        evaluator.outputs["sentences"],
        model,
        infra_validator.outputs["blessing"],
        config.gate,
    )
    pusher = Pusher(
        model=model,
        model_blessing=gate.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=bound.serving)
        ),
    )
    forms = [
        NamedExport(
            form,
            f"{bound.exports}/{config.serving.model_name}-{form}",
            model,
            pusher.outputs["pushed_model"],
            evaluator.outputs["sentences"],
            config.search,
            config.serving,
            config.gate,
        ).with_id(f"NamedExport-{form}")
        for form in config.export.forms
    ]
    pushed = pusher.outputs["pushed_model"]
    predictor = BatchPredictor(model, pushed, config.prediction) if config.prediction else None
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=bound.artifacts,
        metadata_connection_config=bound.metadata,
        components=[
            pairs,
            statistics,
            schema,
            validator,
            *([previous] if previous else []),
            bitext,
            tokenizer,
            transform,
            *([tuner] if tuner else []),
            trainer,
            baseline,
            evaluator,
            infra_validator,
            gate,
            pusher,
            *forms,
            *([predictor] if predictor else []),
        ],
        enable_cache=True,
        beam_pipeline_args=list(bound.beam_args),
    )
