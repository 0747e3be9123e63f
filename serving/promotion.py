"""Which pushed version is served under which label: TensorFlow Serving's model configuration.

The file lies beside the folder of versions, `<folder>.config`. It names the versions to
load and their labels, so that a newly pushed one answers nobody until it is promoted.
TensorFlow Serving follows it with `--model_config_file` and
`--model_config_file_poll_wait_seconds`, the local server with `--model-config`.

TensorFlow Serving refuses a whole file in which a label moves to a version that it has not
loaded, and so never loads it (`ServerCore::ReloadConfig`); and a label whose version it was
told to unload in the same breath answers nobody for a while. So there are steps: the file
names the version; once servers have it the label moves; once it has moved what it left goes.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from .server.version_folder import versions_in

STABLE, CANARY = "stable", "canary"
# The folder as servers see it was told, and is not where the file lies.
_ELSEWHERE = "# served from where --base-path said"
# What a path of REST can name.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BEFORE = re.compile(r"^# stable before: (\d+)$", re.MULTILINE)


class PromotionError(Exception):
    """A version cannot be promoted, or there is nothing to go back to."""


@dataclass(frozen=True)
class Promotion:
    """What a model configuration says."""

    labels: dict[str, int] = field(default_factory=dict)
    before: int | None = None  # what was stable before
    base_path: str = ""  # of the folder where it is served, if not here


def config_file(base: Path) -> Path:
    """Where the configuration of a folder of versions is."""
    return base.with_name(f"{base.name}.config")


def read(base: Path) -> Promotion:
    """Reads what was promoted; nothing where there is no file.

    Args:
      base: the folder of versions.

    Raises:
      PromotionError: the file is damaged.
    """
    text, model = _file(base)
    before = _BEFORE.search(text)
    return Promotion(
        dict(model.version_labels),
        int(before[1]) if before else None,
        model.base_path if _ELSEWHERE in text.splitlines() else "",
    )


def _file(base: Path) -> tuple[str, model_server_config_pb2.ModelConfig]:
    """The file and what it says of the model; nothing where there is none."""
    path = config_file(base)
    try:
        text = path.read_text("utf-8")
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except FileNotFoundError:
        return "", model_server_config_pb2.ModelConfig()
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise PromotionError(f"{path}: expected a ModelServerConfig: {error}") from error
    models = config.model_config_list.config
    if len(models) != 1:
        raise PromotionError(f"{path}: expected one model, found {len(models)}")
    return text, models[0]


# Waits until servers have these labels, and these versions alone.
Follow = Callable[[Mapping[str, int], Collection[int]], None]


def promote(
    base: Path,
    version: int,
    label: str = STABLE,
    base_path: str = "",
    follow: Follow | None = None,
) -> Promotion:
    """Gives a version a label: readers see the old file or the new one.

    Where servers follow, there are steps between the two: see above.

    Args:
      base: the folder of versions.
      version: a pushed one.
      label: STABLE, CANARY, or another.
      base_path: of the folder where it is served, if not here; told once, it stays.
      follow: waits for servers between the steps; what it raises before they all have the
        version leaves the file as it was. None where no server runs that must follow.

    Raises:
      PromotionError: there is no such version, no such label can be asked for, or the
        file cannot be written.
    """
    if not _LABEL.fullmatch(label):
        raise PromotionError(
            f"expected a label of letters, digits, '.', '_' and '-', which a path can name, "
            f"received {label!r}"
        )
    with alone(base):
        return _promoted(base, version, label, base_path, follow)


def roll_back(base: Path, base_path: str = "", follow: Follow | None = None) -> Promotion:
    """Makes the version stable that was so before; once more undoes it.

    Args:
      base: the folder of versions.
      base_path: of the folder where it is served, if not here and not told before.
      follow: as of `promote`.

    Raises:
      PromotionError: none was, or it is gone.
    """
    with alone(base):
        before = read(base).before
        if before is None:
            raise PromotionError(
                f"expected a version that was stable before, found none for {base}"
            )
        return _promoted(base, before, STABLE, base_path, follow)


def withdraw(base: Path, label: str) -> Promotion:
    """Takes a label away, such as that of a canary that failed.

    Args:
      base: the folder of versions.
      label: not STABLE, without which servers would have nothing to answer with.

    Raises:
      PromotionError: no version has it, it is STABLE, or the file cannot be written.
    """
    with alone(base):
        known = read(base)
        others = sorted({*known.labels} - {STABLE})
        if label not in others:
            raise PromotionError(
                f"expected a label to take away, received '{label}'; "
                f"found {', '.join(others) or 'none'} beside '{STABLE}'"
            )
        labels = {name: version for name, version in known.labels.items() if name != label}
        if not labels:
            config_file(base).unlink()  # servers follow the newest version again
            return Promotion()
        return _write(base, replace(known, labels=labels))


def unannounced(before: Promotion, after: Promotion) -> list[int]:
    """Versions to which a label moved though no file had named them: see above."""
    return sorted(
        {
            version
            for label, version in after.labels.items()
            if before.labels.get(label, version) != version
            and version not in before.labels.values()
        }
    )


def _promoted(
    base: Path, version: int, label: str, base_path: str, follow: Follow | None
) -> Promotion:
    found = versions_in(base)
    if version not in found:
        raise PromotionError(
            f"expected a pushed version in {base}, received {version}; found {found}"
        )
    known = read(base)
    labels = {**known.labels, label: version}
    before = known.before
    if label == STABLE:
        if known.labels.get(STABLE) != version:
            before = known.labels.get(STABLE)
        if labels.get(CANARY) == version:
            del labels[CANARY]  # it has arrived
    promotion = Promotion(labels, before, base_path or known.base_path)
    if follow is None or not known.labels:
        return _write(base, promotion)
    # More than have labels, where a promotion ended between its steps.
    held = {*_file(base)[1].model_version_policy.specific.versions}
    follow(known.labels, held)  # whatever was changed before has come about
    both = held | {version}
    if version not in held:
        _write(base, replace(known, base_path=promotion.base_path), both)
        try:
            follow(known.labels, both)
        except BaseException:
            _write(base, known, held)
            raise
    for versions in (both, {*labels.values()}):
        _write(base, promotion, versions)
        follow(labels, versions)
    return promotion


@contextmanager
def alone(base: Path) -> Iterator[None]:
    """Holds promotions of versions, and removals of them, between a look and what follows.

    Args:
      base: the folder of versions.

    Raises:
      PromotionError: the folder that it is in cannot be read.
    """
    try:
        folder = os.open(base.parent, os.O_RDONLY)
    except OSError as error:
        raise PromotionError(f"{base.parent} cannot be read: {error}") from error
    try:
        # Of the folder, for the file is replaced. NFS and buckets have no such locks.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(base: Path, promotion: Promotion, versions: Collection[int] = ()) -> Promotion:
    """Writes the file; `versions` are those to load, if others than have labels."""
    config = model_server_config_pb2.ModelServerConfig()
    model = config.model_config_list.config.add(
        name=base.name,
        base_path=promotion.base_path or str(base.absolute()),
        model_platform="tensorflow",
    )
    named = sorted({*(versions or promotion.labels.values())})
    model.model_version_policy.specific.versions.extend(named)
    for label, version in sorted(promotion.labels.items()):
        model.version_labels[label] = version
    lines = ["# Written by `seq2seq versions`."]
    if promotion.before is not None:
        lines.append(f"# stable before: {promotion.before}")
    if promotion.base_path:
        lines.append(_ELSEWHERE)
    text = "\n".join([*lines, text_format.MessageToString(config)])
    path = config_file(base)
    try:
        # In the same folder, or the replacement would not be one step.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # servers run as other users
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise PromotionError(f"{path} cannot be written: {error}") from error
    return promotion
