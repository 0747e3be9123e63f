"""NamedExport: a pushed model in another form, if it answers as well.

The form is made from the exported model, decodes the sources that Evaluator has decoded,
and is compared with the plain export on the same sentences, by the rules of
`gate.max_loss` and `gate.critical`. What loses more is left out, and said to be.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import logging
from pydantic import field_validator
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import path_utils

from ..models.configuration import Section
from ..models.search_options import SearchConfig
from ..serving.equal_batches import batches
from ..serving.local_model import LocalModel
from ..serving.predictor import ServingConfig
from ..serving.restored_predictor import Form, variant_of
from .artifacts import EvaluatedSentences, NamedModel
from .code_digest import code_digest
from .decoding import answered
from .judgement import GateConfig, Rule, comparisons
from .model_metrics import FORCED
from .sentence_files import read_record, read_rows, schema_of, statistics_of, to_table
from .sentences import BASELINE, CANDIDATE, MODELS, Row, compare
from .slices import SET

REPORT = "named_export.json"
SAVED_MODEL = "model"  # the folder of the SavedModel in the artifact


class ExportConfig(Section):
    """The `export` section: other forms of the model, beside the one that is pushed."""

    forms: list[Form] = []

    @field_validator("forms")
    @classmethod
    def _named_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError(f"expected each form once, received {value}")
        return value


class NamedExportSpec(ComponentSpec):
    """A pushed model and its evaluated answers in; the model in another form out."""

    PARAMETERS = {
        "form": ExecutionParameter(type=str),
        "folder": ExecutionParameter(type=str),
        "search": ExecutionParameter(type=str),
        "serving": ExecutionParameter(type=str),
        "gate_config": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "pushed_model": ChannelParameter(type=standard_artifacts.PushedModel),
        "sentences": ChannelParameter(type=EvaluatedSentences),
    }
    OUTPUTS = {"named_model": ChannelParameter(type=NamedModel)}


def losses(
    model: LocalModel, rows: Iterable[Row], names: Sequence[str], config: GateConfig
) -> list[Rule]:
    """How much worse a form answers than the plain export, rule by rule.

    Args:
      model: the form.
      rows: evaluated sentences; their candidate is the plain export.
      names: of the measures that they have.
      config: the rules.
    """
    # Workers write in no particular order.
    ordered = sorted(rows, key=lambda row: row["id"])
    dimensions = dict.fromkeys(name for row in ordered for name in row["slices"] if name != SET)
    table = to_table([*_compared(model, ordered, names)], schema_of([*dimensions], MODELS, names))
    return comparisons(config, statistics_of(table, names))


def _compared(model: LocalModel, rows: list[Row], names: Sequence[str]) -> Iterator[Row]:
    """The rows with the plain export as the baseline, and the form as the candidate."""
    forces = any(name in FORCED for name in names)
    for places in batches([len(row["source"]) for row in rows]):
        answers = answered(model, [rows[place] for place in places], forces)
        for place, answer in zip(places, answers, strict=True):
            row = {**rows[place], CANDIDATE: answer}
            row.pop(BASELINE, None)
            yield {**compare(row, names), BASELINE: rows[place][CANDIDATE]}


class Executor(base_executor.BaseExecutor):
    """Makes the form, measures it and puts it where servers find it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the report, and the export where it may be served."""
        self._log_startup(input_dict, output_dict, exec_properties)
        named = artifact_utils.get_single_uri(output_dict["named_model"])
        fileio.makedirs(named)
        report: dict[str, Any] = {"form": exec_properties["form"], "kept": False}
        pushed = artifact_utils.get_single_instance(input_dict["pushed_model"])
        if pushed.get_int_custom_property("pushed"):
            version = Path(pushed.get_string_custom_property("pushed_destination")).name
            report |= self._made(input_dict, os.path.join(named, SAVED_MODEL), exec_properties)
            if report["kept"]:
                target = Path(exec_properties["folder"]) / version
                _put(Path(named) / SAVED_MODEL, target)
                report["place"] = str(target)
        with fileio.open(os.path.join(named, REPORT), "w") as file:
            file.write(json.dumps(report, indent=2))

    def _made(
        self,
        input_dict: dict[str, list[types.Artifact]],
        directory: str,
        exec_properties: dict[str, Any],
    ) -> dict[str, Any]:
        """Exports the form; gives what it weighs and loses."""
        form = exec_properties["form"]
        plain = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        search = SearchConfig.model_validate_json(exec_properties["search"])
        serving = ServingConfig.model_validate_json(exec_properties["serving"])
        variant_of(plain, form, search, serving.max_source_tokens).export(directory)
        sentences = artifact_utils.get_single_uri(input_dict["sentences"])
        rules = losses(
            LocalModel(Path(directory)),
            read_rows(sentences),
            read_record(sentences)["measures"],
            GateConfig.model_validate_json(exec_properties["gate_config"]),
        )
        for rule in rules:
            if not rule.passed:
                logging.warning(
                    "export.forms: %s is left out: in %s it loses %.4g of %s against the plain "
                    "export, with an upper bound of %s where gate allows %g. %s",
                    form, rule.slice, rule.figure, rule.metric, rule.bound, rule.limit, rule.note,
                )  # fmt: skip
        told = ("metric", "slice", "sentences", "figure", "bound", "limit", "passed", "note")
        return {
            "kept": bool(rules) and all(rule.passed for rule in rules),
            "losses": [{name: getattr(rule, name) for name in told} for rule in rules],
            "bytes": {"plain": _bytes(plain), form: _bytes(directory)},
        }


def _put(export: Path, target: Path) -> None:
    """Copies an export so that no server sees half of it."""
    going = target.with_name(f".{target.name}")
    for old in (going, target):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(export, going)
    os.replace(going, target)


def _bytes(directory: str) -> int:
    return sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())


class NamedExport(base_component.BaseComponent):
    """Exports a pushed model in another form, and serves that if it answers as well.

    Args:
      form: which.
      folder: of the versions of that form.
      model: the candidate.
      pushed_model: of `Pusher`, whose version the form gets.
      sentences: of `Evaluator`.
      search: the `search` section that the model was exported with.
      serving: the `serving` section.
      gate: the `gate` section, whose margins of loss decide.
    """

    SPEC_CLASS = NamedExportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        form: Form,
        folder: str,
        model: types.BaseChannel,
        pushed_model: types.BaseChannel,
        sentences: types.BaseChannel,
        search: SearchConfig,
        serving: ServingConfig,
        gate: GateConfig,
    ):
        super().__init__(
            spec=NamedExportSpec(
                form=form,
                folder=folder,
                model=model,
                pushed_model=pushed_model,
                sentences=sentences,
                search=search.model_dump_json(),
                serving=serving.model_dump_json(),
                gate_config=gate.model_dump_json(),
                code_digest=code_digest(__name__),
                named_model=types.Channel(type=NamedModel),
            )
        )
