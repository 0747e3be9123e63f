"""Shows pushed versions and their labels."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..serving.local_model import ModelError, newest_model
from ..serving.promotion import Promotion, config_file, read
from ..serving.server.version_folder import SAVED_MODEL, versions_in


def folder_of(model: Path | None, output: Path) -> Path:
    """The folder of versions that a command line names.

    Args:
      model: a version, or a folder of versions; None for that of the newest below
        `output`.
      output: where to look for pushed models.

    Raises:
      ModelError: there is none.
    """
    # `..` and `.` have no name, and a link keeps its own.
    model = Path(os.path.abspath(model or newest_model(output)))
    base = model.parent if (model / SAVED_MODEL).is_file() else model
    if not base.is_dir():
        raise ModelError(f"expected a folder of pushed versions, found none at {base}")
    return base


def print_versions(base: Path, promotion: Promotion | None = None) -> None:
    """Prints every version, newest first, with its time, size and labels.

    Args:
      base: the folder of versions.
      promotion: what the configuration says; None to read it.

    Raises:
      PromotionError: the configuration is damaged.
    """
    promotion = read(base) if promotion is None else promotion
    table = Table(
        "version", "pushed", "MB", "labels", title=escape(str(base)), title_justify="left"
    )
    for version in versions_in(base):
        files = [path for path in (base / str(version)).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        pushed = datetime.fromtimestamp((base / str(version) / SAVED_MODEL).stat().st_mtime)
        labels = [label for label, number in promotion.labels.items() if number == version]
        told = [str(version), f"{pushed:%Y-%m-%d %H:%M}", f"{size:.1f}", ", ".join(sorted(labels))]
        table.add_row(*told)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(table)
    if promotion.labels:
        newest = max(promotion.labels.values())
        console.print(f"{config_file(base)}: requests without a label go to version {newest}")
    else:
        console.print("nothing is promoted: servers load the newest version as it is pushed")
