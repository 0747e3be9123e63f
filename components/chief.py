"""The chief's training as a process of its own: see `workers`."""

from __future__ import annotations

import sys
from pathlib import Path

from . import interruption, progress
from .errors import PeersLost, may_pass, reason_of
from .workers import FAILED, LOST, STOPPED, TO_MEND, Telling, train_as_one


def main(folder: Path) -> int:
    """Trains and exports; returns the exit code."""
    telling = Telling()
    with interruption.stoppable(), progress.listening(telling):
        try:
            train_as_one(folder)
        except (Exception, interruption.Interrupted) as error:
            stopped = isinstance(error, interruption.Interrupted)
            telling.end(str(error) if stopped else reason_of(error))
            if stopped:
                return STOPPED
            if isinstance(error, PeersLost):
                return LOST
            return FAILED if may_pass(error) else TO_MEND
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
