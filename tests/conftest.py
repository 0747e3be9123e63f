"""One arithmetic for all processes of a test.

The command sets `TF_ENABLE_ONEDNN_OPTS` where it is imported, which is too late for
TensorFlow in this process and not for those that a test starts: they would round
differently. Whole runs (`jobs`) have what the command sets.
"""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
