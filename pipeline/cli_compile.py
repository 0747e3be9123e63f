"""The commands that write the pipeline down for other runners: compile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from .cli_common import ERROR, asks_a_configuration, fail, refuse


def writes_a_file(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option of a command that names the file it writes."""
    kind = click.Path(path_type=Path, dir_okay=False)
    return click.option("--output", type=kind, required=True, help=what)


@click.group("compile")
def compile_() -> None:
    """Write the pipeline of a configuration down for a cluster. Nothing is sent anywhere."""


@compile_.command()
@asks_a_configuration
@writes_a_file("FILE.yaml: the specification. FILE.json: the whole job, for Vertex AI.")
def kubeflow(config_path: Path, output: Path) -> None:
    """Write the specification for Kubeflow Pipelines v2 or Vertex AI.

    The configuration needs a section `runner.kubeflow`.
    """
    if output.suffix not in (".yaml", ".yml", ".json"):
        raise click.BadParameter(
            f"expected a name that ends in .yaml or .json, received '{output}'",
            param_hint="--output",
        )
    from .config import ConfigurationError, load_config
    from .kubeflow import compile_file, tasks_of

    try:
        spec = compile_file(config_path, load_config(config_path), output)
    except ConfigurationError as error:
        refuse(error)
    except OSError as error:
        fail(f"{output} cannot be written: {error}", ERROR)
    tasks = tasks_of(spec)
    for name, waits in tasks.items():
        click.echo(f"{name:17}after {', '.join(waits) or 'nothing'}")
    click.echo(f"written: {output}, {len(tasks)} tasks")


@compile_.command()
@asks_a_configuration
@writes_a_file("FILE.yaml: the manifests, for `kubectl apply`.")
def kubernetes(config_path: Path, output: Path) -> None:
    """Write a Job of Kubernetes whose workers train together.

    The configuration needs a section `runner.kubernetes`, and stands in the manifests: a
    changed one asks for new ones.
    """
    from ..serving.production import as_yaml
    from .config import ConfigurationError, load_config
    from .kubernetes_training import manifests

    try:
        config = load_config(config_path, files=False)  # they lie in the cluster
        if config.runner.kubernetes is None:
            raise ConfigurationError(
                [f"{config_path}: runner.kubernetes: required section is missing"]
            )
        problems = []
        if config.unattended.catch_up:
            problems.append(
                f"{config_path}: unattended.catch_up: a worker follows one training, and each "
                "span caught up is another; expected false, received true"
            )
        if config.training.distribution not in ("auto", "multi_worker"):
            problems.append(
                f"{config_path}: training.distribution: expected multi_worker or auto, with which "
                f"the workers train together, received {config.training.distribution}, with which "
                "the first would train alone and the others wait for it"
            )
        shared = os.path.normpath(config.runner.kubernetes.folder)
        if not Path(os.path.normpath(shared / config.output)).is_relative_to(shared):
            problems.append(
                f"{config_path}: runner.output: expected a folder below {shared}, the volume that "
                f"all workers write to (runner.kubernetes.folder), received {config.output}"
            )
        if problems:
            raise ConfigurationError(problems)
        text = config_path.read_text("utf-8")
        try:
            made = manifests(config.name, config.output, config.runner.kubernetes, text)
        except ValueError as error:
            raise ConfigurationError([f"{config_path}: name: {error}"]) from error
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(as_yaml(made), "utf-8")
    except ConfigurationError as error:
        refuse(error)
    except OSError as error:
        fail(f"{output} cannot be written: {error}", ERROR)
    for document in made:
        click.echo(f"{document['kind']:10} {document['metadata']['name']}")
    click.echo(f"written: {output}")
