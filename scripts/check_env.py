"""Imports the stack for real and shows its versions.

``import tfx.v1`` proves nothing by itself: a component whose own import fails
is quietly ``None`` there.
"""

import os
import platform
import sys
import warnings
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")

import tensorflow_text  # noqa: E402, F401
from tfx.v1 import components  # noqa: E402

import seq2seq_tfx.models  # noqa: E402, F401

USED = (
    "Evaluator",
    "ExampleValidator",
    "Pusher",
    "SchemaGen",
    "StatisticsGen",
    "Trainer",
    "Transform",
)
SHOWN = (
    "tfx",
    "tensorflow",
    "keras",
    "tensorflow-text",
    "apache-beam",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "ml-metadata",
    "protobuf",
    "numpy",
    "pyarrow",
)

print(f"python {platform.python_version()}, glibc {platform.libc_ver()[1]}")
print("\n".join(f"{name} {version(name)}" for name in SHOWN))

missing = [name for name in USED if getattr(components, name, None) is None]
if missing:
    sys.exit(f"tfx.v1.components cannot give: {', '.join(missing)}")
