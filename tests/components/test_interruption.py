"""A process that is asked to stop does, whenever it is asked."""

import os
import signal

import pytest

from seq2seq_tfx.components import interruption


def work(done, saves):
    with interruption.stoppable():
        if saves:
            with interruption.saving():
                os.kill(os.getpid(), signal.SIGTERM)  # after its last look
                done.append("saved")
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        done.append("the next component")


@pytest.mark.parametrize(("saves", "through"), [(False, []), (True, ["saved"])])
def test_work_that_saves_its_state_ends_and_what_comes_after_it_is_not_begun(saves, through):
    done = []
    with pytest.raises(interruption.Interrupted, match="SIGTERM"):
        work(done, saves)
    assert done == through and interruption.asked() is None
