"""The whole configuration: the rooms' sections composed, read and checked.

Importing this module imports TensorFlow and TFX, for each section is defined
beside the component that uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError, model_validator

from ..components.batch_predictor import PredictionConfig
from ..components.bitext_limits import DataValidationConfig
from ..components.curated_schema import read_schema
from ..components.data_config import (
    DataConfig,
    absolute_pattern,
    is_local,
    matches_something,
    patterns_of,
)
from ..components.evaluation import EvaluationConfig
from ..components.infra_validator import InfraValidationConfig
from ..components.judgement import GateConfig
from ..components.metrics import ALWAYS, MEASURES
from ..components.named_export import ExportConfig
from ..components.slices import RAREST_WORD, SET, SOURCE_LENGTH, dimensions_of, parts_of
from ..components.spans import names_spans
from ..components.tokenizer_trainer import TokenizerConfig
from ..components.trainer import LAST_BLESSED, TrainerSettings, TrainingConfig, ties_lazy_rows
from ..components.tuning import TuningConfig
from ..models.configuration import Section
from ..models.model_config import ModelConfig, Preset, preset_search
from ..models.search_options import SearchConfig
from ..serving.predictor import ServingConfig
from ..serving.production import DeploymentConfig
from ..serving.server.version_folder import versions_in
from .config_file import (
    ConfigurationError,
    Misfits,
    explain,
    lines_of,
    place_of,
    plain,
    read_document,
)
from .night_config import NotifyConfig, UnattendedConfig
from .runner_config import RunnerConfig, output_folder


class PipelineConfig(Section):
    """A job: its name, one section for each component, and where they run."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]  # as TFX has it
    data: DataConfig
    data_validation: DataValidationConfig = DataValidationConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    tuning: TuningConfig | None = None
    search: SearchConfig = SearchConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig
    infra_validation: InfraValidationConfig = InfraValidationConfig()
    serving: ServingConfig = ServingConfig()
    export: ExportConfig = ExportConfig()
    prediction: PredictionConfig | None = None
    deployment: DeploymentConfig = DeploymentConfig()
    unattended: UnattendedConfig = UnattendedConfig()
    notify: NotifyConfig = NotifyConfig()
    runner: RunnerConfig = RunnerConfig()

    @model_validator(mode="before")
    @classmethod
    def _search_as_the_preset_does(cls, given: Any) -> Any:
        """A preset of the model may say how it is searched, too."""
        if not isinstance(given, dict):
            return given
        model, search = given.get("model", {}), given.get("search", {})
        name = model.get("preset") if isinstance(model, dict) else None
        if not isinstance(name, str) or name not in get_args(Preset):
            return given
        if not isinstance(search, dict):
            return given
        return {**given, "search": {**preset_search(name), **search}}

    @model_validator(mode="after")
    def _sections_fit(self) -> PipelineConfig:
        problems: list[tuple[tuple[str, ...], str]] = []
        tried = self.tuning.keys if self.tuning else {}
        for key in ("copy_head", "tied_embeddings"):
            values = tried.get(f"model.{key}", [])
            if not self.tokenizer.shared and isinstance(values, list) and {True, "all"} & {*values}:
                needs = "one of its values needs one vocabulary for both sides; "
                told = f"{needs}set tokenizer.shared: true"
                problems.append((("tuning", "keys", f"model.{key}"), told))
            if getattr(self.model, key) in (True, "all") and not self.tokenizer.shared:
                needs = f"needs one vocabulary for both sides (preset '{self.model.preset}'); "
                problems.append((("model", key), f"{needs}set tokenizer.shared: true"))
        if not any(key.startswith("model.") for key in tried):  # a trial may have use for them
            problems += [(("model", key), told) for key, told in self.model.idle().items()]
        for key in ("coverage_penalty", "replace_unknown"):
            if getattr(self.search, key) and not self.model.has_attention:
                needs = f"needs a model with attention, and preset '{self.model.preset}' "
                problems.append((("search", key), f"{needs}as it is here has none"))
        if self.export.forms and not self.gate.max_loss:
            needs = "needs gate.max_loss: what loses more than that is left out"
            problems.append((("export", "forms"), needs))
        most = self.search.most_hypotheses
        if self.prediction and self.prediction.nbest > most:
            needs = f"expected at most {most}, all that search gives, received "
            problems.append((("prediction", "nbest"), f"{needs}{self.prediction.nbest}"))
        if self.training.warm_start == LAST_BLESSED and not any(
            map(names_spans, self.data.patterns)
        ):
            needs = "needs {SPAN} or a date in data.input: a run that is repeated must begin "
            problems.append((("training", "warm_start"), f"{needs}with the same model again"))
        if told := ties_lazy_rows(self.model, self.training):
            problems.append((("training", "lazy_embeddings"), told))
        elif self.tuning:
            for key, needs in self.tuning.misfits(self.trainer_settings):
                problems.append((("tuning", "keys", key), needs))
        if problems:
            raise Misfits(problems)
        return self

    @property
    def output(self) -> Path:
        """Where all that its runs make goes, unless --output says otherwise."""
        return output_folder(self.name, self.runner.output)

    @property
    def trainer_settings(self) -> TrainerSettings:
        """The sections that Trainer depends on."""
        return TrainerSettings(
            model=self.model,
            training=self.training,
            search=self.search,
            serving=self.serving,
            weighted=self.data.weight is not None,
        )


def load_config(path: str | Path, files: bool = True) -> PipelineConfig:
    """Reads a configuration file (YAML 1.2) and checks all of it.

    Paths in it are relative to the working directory.

    Args:
      path: of the file.
      files: whether the files that it names must be there; not where another machine runs it.

    Returns:
      The configuration, with the paths of the data made absolute.

    Raises:
      ConfigurationError: with every problem: where, what was expected, what came.
    """
    document = read_document(path)
    lines = lines_of(document)
    problems = []
    try:
        config = PipelineConfig.model_validate(plain(document))
    except ValidationError as error:
        for problem in error.errors():
            for where, explained in explain(problem, PipelineConfig):
                key = ".".join(map(str, where))
                place = place_of(path, lines, where)
                problems.append(f"{place}{key + ': ' if key else ''}{explained}")
    # What follows is asked of the file and not of the configuration, so that it
    # is told together with whatever else is wrong.
    for where, needs in [*_unmeasured(document), *(_missing_files(document) if files else ())]:
        problems.append(f"{place_of(path, lines, where)}{'.'.join(where)}: {needs}")
    if problems:
        raise ConfigurationError(problems)
    if files and (version := _exported_version(config.training.warm_start)):
        # The version itself, so that a newer one is another input of Trainer.
        warm = config.training.model_copy(update={"warm_start": str(version.absolute())})
        config = config.model_copy(update={"training": warm})
    sets = {
        name: str(Path(file).absolute()) if is_local(file) else file
        for name, file in config.evaluation.challenge_sets.items()
    }
    evaluation = config.evaluation.model_copy(update={"challenge_sets": sets})
    found = [*map(absolute_pattern, config.data.patterns)]
    limits = config.data_validation
    if limits.schema_file:
        absolute = str(Path(limits.schema_file).absolute())
        limits = limits.model_copy(update={"schema_file": absolute})
    sections: dict[str, Any] = {
        "data": config.data.with_patterns(found),
        "data_validation": limits,
    }
    if config.prediction:
        asked = [*map(absolute_pattern, config.prediction.patterns)]
        sections["prediction"] = config.prediction.model_copy(update={"input": asked})
    return config.model_copy(update={**sections, "evaluation": evaluation})


def _missing_files(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is named and is not there, or cannot be read, and where it is named."""

    def section(name: str) -> Mapping[str, Any]:
        found = document.get(name)
        return found if isinstance(found, Mapping) else {}

    below = f"(relative to {Path.cwd()})"
    for name, hint in (("data", " `seq2seq data` obtains the data of the shipped jobs."),
                       ("prediction", "")):  # fmt: skip
        for pattern in patterns_of(section(name).get("input")):
            if pattern.strip() and is_local(pattern) and not matches_something(pattern):
                yield (name, "input"), f"expected a file, found none at '{pattern}' {below}.{hint}"
    for where, file in _challenge_files(document):
        if is_local(file) and not Path(file).is_file():
            yield where, f"expected a file, found none at '{file}' {below}"
    schema = section("data_validation").get("schema_file")
    if isinstance(schema, str) and schema:
        try:
            read_schema(schema)
        except ValueError as error:
            yield ("data_validation", "schema_file"), str(error)
    start = str(section("training").get("warm_start") or "")
    if _is_exported_here(start) and _exported_version(start) is None:
        needs = "expected an exported model, or a folder of versions, found none at"
        yield ("training", "warm_start"), f"{needs} '{start}' {below}"


def _challenge_files(document: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """The files of challenge sets, and where they are named."""
    section = document.get("evaluation")
    sets = section.get("challenge_sets") if isinstance(section, Mapping) else None
    return [
        (("evaluation", "challenge_sets", str(name)), str(file))
        for name, file in (sets.items() if isinstance(sets, Mapping) else ())
    ]


def _is_exported_here(start: str) -> bool:
    """Whether a warm start names a folder of this machine."""
    # Which one is the last blessed, the run finds out.
    return bool(start) and start != LAST_BLESSED and "://" not in start


def _exported_version(start: str | None) -> Path | None:
    """The export at a path, or the newest version below it; None if there is none."""
    if not start or not _is_exported_here(start):
        return None
    if (Path(start) / "saved_model.pb").is_file():
        return Path(start)
    newest = versions_in(Path(start))[:1]
    return Path(start, str(newest[0])) if newest else None


def _unmeasured(document: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """What is asked of the gate or of slices and is not there, and where it is asked for."""

    def section(name: str, key: str) -> Any:
        found = document.get(name)
        return found.get(key) if isinstance(found, Mapping) else None

    def names(value: Any) -> list[str]:
        return [str(name) for name in value] if isinstance(value, Mapping) else []

    metrics, slices = section("evaluation", "metrics"), section("evaluation", "slices")
    metrics = metrics if isinstance(metrics, list) else EvaluationConfig().metrics
    slices = slices if isinstance(slices, list) else EvaluationConfig().slices
    critical = section("gate", "critical")
    judged: list[tuple[str, ...]] = []
    for key in ("thresholds", "max_loss"):
        judged += [("gate", key, name) for name in names(section("gate", key))]
    problems: list[tuple[tuple[str, ...], str]] = []
    known = [SOURCE_LENGTH, RAREST_WORD, *names(section("data", "extra"))]
    entries = [dimensions_of(entry) for entry in slices if isinstance(entry, str)]
    for dimension in (name for entry in entries for name in entry):
        if dimension not in known:
            needs = f"expected {' or '.join(known)}, as data.extra names columns, received"
            problems.append((("evaluation", "slices"), f"{needs} '{dimension}'"))
    for part in names(critical):
        judged += [("gate", "critical", part, name) for name in names(critical[part])]
        parts = dict(parts_of(part, [SET, *known]))
        challenge = [*parts] == [SET] and parts[SET] in names(
            section("evaluation", "challenge_sets")
        )
        if {*parts} not in map(set, entries) and not challenge:
            needs = (
                f"expected a slice that evaluation.slices names ({'; '.join(map(str, slices))}), "
                f"or '{SET}=NAME' of evaluation.challenge_sets"
            )
            problems.append((("gate", "critical", part), needs))
    for where in judged:
        if where[-1] in MEASURES and where[-1] not in (*metrics, *ALWAYS):
            needs = f"the gate needs '{where[-1]}', which evaluation.metrics does not name"
            problems.append((where, needs))
    return problems
