"""The whole configuration: the rooms' sections composed, read and checked.

Importing this module imports TensorFlow and TFX, for each section is defined
beside the component that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from ..components.evaluation import EvaluationConfig
from ..components.infra_validator import InfraValidationConfig
from ..components.judgement import GateConfig
from ..components.metrics import ALWAYS, MEASURES
from ..components.pair_example_gen import DataConfig
from ..components.slices import SET
from ..components.tokenizer_trainer import TokenizerConfig
from ..components.trainer import TrainerSettings, TrainingConfig
from ..models.configuration import Section
from ..models.model_config import ModelConfig, Preset, preset_search
from ..models.search_options import SearchConfig
from ..serving.predictor import ServingConfig


class ConfigurationError(Exception):
    """A configuration cannot be used; holds every problem found, one a line."""

    def __init__(self, problems: Sequence[str]):
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class _Misfits(ValueError):
    """What does not fit together, with the key that each is told of."""

    def __init__(self, problems: Sequence[tuple[tuple[str, ...], str]]):
        super().__init__("; ".join(f"{'.'.join(where)}: {what}" for where, what in problems))
        self.problems = problems


class PipelineConfig(Section):
    """A job: its name and one section for each component."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig
    infra_validation: InfraValidationConfig = InfraValidationConfig()
    serving: ServingConfig = ServingConfig()

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
        problems = []
        for key in ("copy_head", "tied_embeddings"):
            if getattr(self.model, key) in (True, "all") and not self.tokenizer.shared:
                needs = f"needs one vocabulary for both sides (preset '{self.model.preset}'); "
                problems.append((("model", key), f"{needs}set tokenizer.shared: true"))
        for key in ("coverage_penalty", "replace_unknown"):
            if getattr(self.search, key) and not self.model.has_attention:
                needs = f"needs a model with attention, and preset '{self.model.preset}' "
                problems.append((("search", key), f"{needs}as it is here has none"))
        if problems:
            raise _Misfits(problems)
        return self

    @property
    def trainer_settings(self) -> TrainerSettings:
        """The sections that Trainer depends on."""
        return TrainerSettings(
            model=self.model, training=self.training, search=self.search, serving=self.serving
        )


def load_config(path: str | Path) -> PipelineConfig:
    """Reads a configuration file (YAML 1.2) and checks all of it.

    Paths in it are relative to the working directory.

    Args:
      path: of the file.

    Returns:
      The configuration, with the paths of the data made absolute.

    Raises:
      ConfigurationError: with every problem: where, what was expected, what came.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read: {error}"]) from error
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigurationError([f"{path}{line}: not valid YAML: {error.problem}"]) from error
    except (YAMLError, RecursionError) as error:
        raise ConfigurationError([f"{path}: not valid YAML: {error}"]) from error
    if not isinstance(document, Mapping):
        raise ConfigurationError([f"{path}: expected keys and values, received {document!r}"])

    lines = _lines_of(document)
    problems = []
    try:
        config = PipelineConfig.model_validate(_plain(document))
    except ValidationError as error:
        for problem in error.errors():
            for where, explained in _explain(problem):
                key = ".".join(map(str, where))
                place = _place(path, lines, where)
                problems.append(f"{place}{key + ': ' if key else ''}{explained}")
    # What follows is asked of the file and not of the configuration, so that it
    # is told together with whatever else is wrong.
    for where, needs in _unmeasured(document):
        problems.append(f"{_place(path, lines, where)}{'.'.join(where)}: {needs}")
    data = document.get("data")
    pattern = str(data.get("input") or "") if isinstance(data, Mapping) else ""
    local = pattern.strip() != "" and "://" not in pattern
    if local and not any(Path(found).is_file() for found in glob(pattern)):
        problems.append(
            f"{_place(path, lines, ('data', 'input'))}data.input: expected a file, found none at "
            f"'{pattern}' (relative to {Path.cwd()}). "
            "`seq2seq data` obtains the data of the shipped jobs."
        )
    for where, file in _challenge_files(document):
        if "://" not in file and not Path(file).is_file():
            problems.append(
                f"{_place(path, lines, where)}{'.'.join(where)}: expected a file, found none at "
                f"'{file}' (relative to {Path.cwd()})"
            )
    training = document.get("training")
    start = str(training.get("warm_start") or "") if isinstance(training, Mapping) else ""
    version = _exported_version(start) if start and "://" not in start else None
    if start and "://" not in start and version is None:
        problems.append(
            f"{_place(path, lines, ('training', 'warm_start'))}training.warm_start: expected an "
            f"exported model, or a folder of versions, found none at '{start}' "
            f"(relative to {Path.cwd()})"
        )
    if problems:
        raise ConfigurationError(problems)
    if version is not None:
        # The version itself, so that a newer one is another input of Trainer.
        warm = config.training.model_copy(update={"warm_start": str(version.absolute())})
        config = config.model_copy(update={"training": warm})
    sets = {
        name: file if "://" in file else str(Path(file).absolute())
        for name, file in config.evaluation.challenge_sets.items()
    }
    evaluation = config.evaluation.model_copy(update={"challenge_sets": sets})
    config = config.model_copy(update={"evaluation": evaluation})
    if not local:
        return config
    absolute = config.data.model_copy(update={"input": str(Path(pattern).absolute())})
    return config.model_copy(update={"data": absolute})


def _challenge_files(document: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """The files of challenge sets, and where they are named."""
    section = document.get("evaluation")
    sets = section.get("challenge_sets") if isinstance(section, Mapping) else None
    return [
        (("evaluation", "challenge_sets", str(name)), str(file))
        for name, file in (sets.items() if isinstance(sets, Mapping) else ())
    ]


def _exported_version(start: str) -> Path | None:
    """The export at a path, or the newest version below it; None if there is none."""
    if (Path(start) / "saved_model.pb").is_file():
        return Path(start)
    versions = [p.parent for p in Path(start).glob("*/saved_model.pb") if p.parent.name.isdigit()]
    return max(versions, key=lambda version: int(version.name), default=None)


def _unmeasured(document: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """What the gate judges and evaluation leaves out, and where it is asked for."""

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
    for part in names(critical):
        judged += [("gate", "critical", part, name) for name in names(critical[part])]
        dimension, _, label = part.partition("=")
        challenge = dimension == SET and label in names(section("evaluation", "challenge_sets"))
        if dimension not in slices and not challenge:
            needs = (
                f"expected a slice that evaluation.slices names ({', '.join(map(str, slices))}), "
                f"or '{SET}=NAME' of evaluation.challenge_sets"
            )
            problems.append((("gate", "critical", part), needs))
    for where in judged:
        if where[-1] in MEASURES and where[-1] not in (*metrics, *ALWAYS):
            needs = f"the gate needs '{where[-1]}', which evaluation.metrics does not name"
            problems.append((where, needs))
    return problems


def _place(path: str | Path, lines: dict[tuple[Any, ...], int], where: tuple[Any, ...]) -> str:
    """`FILE:LINE: ` of a key, or of the closest one around it that is there."""
    for length in range(len(where), 0, -1):
        if line := lines.get(where[:length]):
            return f"{path}:{line}: "
    return f"{path}: "


def _plain(node: Any) -> Any:
    """The YAML tree as built-in types."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, ScalarBoolean):  # an int in Python's eyes
        return bool(node)
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _lines_of(node: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], int]:
    """The line of every key of a tree that ruamel.yaml read, from 1."""
    children: list[tuple[Any, Any]]
    if isinstance(node, CommentedMap):
        children = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, CommentedSeq):
        children = list(enumerate(node))
    else:
        return {}
    # Keys that were merged in from elsewhere (`<<`) have no line here.
    places = {str(key): place[0] + 1 for key, place in (node.lc.data or {}).items()}
    lines = {}
    for key, value in children:
        inner = path + (key,)  # noqa: RUF005  unpacking in an index needs Python 3.11
        if str(key) in places:
            lines[inner] = places[str(key)]
        lines |= _lines_of(value, inner)
    return lines


def _explain(problem: Any) -> list[tuple[tuple[Any, ...], str]]:
    """What was expected and what came, in the words of a configuration file, and of which key."""
    where = tuple(part for part in problem["loc"] if part != "[key]")
    kind, received = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        known = ", ".join(sorted(_keys_at(where[:-1])))
        return [(where, f"unknown key; expected one of: {known}")]
    if kind == "missing":
        return [(where, "required key is missing")]
    if kind == "value_error":
        error = problem["ctx"]["error"]
        return list(error.problems) if isinstance(error, _Misfits) else _split(where, str(error))
    message = problem["msg"].replace("Input should be", "expected")
    message = message.replace("a valid integer", "an integer").replace("valid ", "")
    if kind == "model_type":
        message = "expected keys and values"
    return [(where, f"{message}, received {received!r}")]


def _split(where: tuple[Any, ...], message: str) -> list[tuple[tuple[Any, ...], str]]:
    """Several faults that a section tells at once, each with the key that it begins with."""
    told = []
    for part in re.split(r"; (?=[a-z_.]+: )", message):
        name, _, rest = part.partition(": ")
        inner = tuple(name.split("."))
        known = bool(rest) and inner[-1] in _keys_at((*where, *inner[:-1]))
        told.append(((*where, *inner), rest) if known else (where, part))
    return told


def _keys_at(where: tuple[Any, ...]) -> list[str]:
    section: Any = PipelineConfig
    for part in where:
        field = section.model_fields.get(part) if hasattr(section, "model_fields") else None
        if field is None:
            # Inside a mapping of sections, such as gate.thresholds.<metric>.
            continue
        section = field.annotation
        for inner in getattr(section, "__args__", ()):
            if hasattr(inner, "model_fields"):
                section = inner
    return list(getattr(section, "model_fields", {}))
