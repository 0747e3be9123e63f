"""Asks the versions of a toy, without a server around them."""

import numpy as np

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.metrics import Metrics
from seq2seq_tfx.serving.server.prediction import answer


async def ask(versions, text="a", **which):
    """Who answers."""
    with versions.using(**which) as version:
        inputs = {features.TEXT: np.array([text.encode()], object)}
        outputs = await answer(version, "serving_default", inputs, Limits(), Metrics())
    return outputs[features.TEXT][0].decode().split(":")[0]


def states(versions):
    return {version.number: version.state.name for version in versions.known()}
