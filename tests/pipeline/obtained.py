"""Data sets as a user obtains them."""

from pathlib import Path

from seq2seq_tfx.pipeline.datasets import DATASETS


class Run:
    """Obtains a data set and keeps what it told."""

    def __init__(self, name: str, folder: Path) -> None:
        self.reports: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.path = DATASETS[name].obtain(
            folder, self.reports.append, lambda done, total: self.steps.append((done, total))
        )
        lines = self.path.read_text("utf-8").split("\n")
        assert lines.pop() == ""
        self.pairs = [tuple(line.split("\t")) for line in lines]
