"""What TensorFlow and Keras read from the environment of a process of ours."""

from __future__ import annotations

import os
import warnings


def prepare() -> None:
    """Sets it; to be called before anything imports TensorFlow or Keras."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it greets with lines about absent GPUs
    os.environ["KERAS_BACKEND"] = "tensorflow"  # what is exported is a SavedModel
    # Without it TensorFlow has oneDNN's products on the newest processors alone; a training
    # step took 1.4 times as long with AVX2 (benchmarks/LOG.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
