"""TensorFlow Serving itself, where SEQ2SEQ_TENSORFLOW_SERVING names its binary."""

import os

from ..scripts import script
from .running import Address

VARIABLE = "SEQ2SEQ_TENSORFLOW_SERVING"
BINARY = os.environ.get(VARIABLE)


class ModelServer(script("benchmarks/model_server").ModelServer):
    """That binary, with an address as the other servers of these tests have."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.address = Address(*(f"127.0.0.1:{port}" for port in self.ports), "seq2seq")
