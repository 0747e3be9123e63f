"""Signatures as JSON, in the words of their protocol buffers.

Written by hand: what the library writes of empty fields depends on its release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tensorflow.core.framework import types_pb2


def metadata_json(name: str, version: int, signature_defs: Mapping[str, Any]) -> bytes:
    """The answer to GET /v1/models/NAME/metadata.

    Args:
      name: of the model.
      version: its number.
      signature_defs: a `SignatureDef` for each signature.
    """
    signatures = {
        key: {
            "inputs": {k: _tensor(v) for k, v in sorted(signature.inputs.items())},
            "outputs": {k: _tensor(v) for k, v in sorted(signature.outputs.items())},
            "method_name": signature.method_name,
        }
        for key, signature in sorted(signature_defs.items())
    }
    answer = {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
    return json.dumps(answer, indent=1).encode()


def _tensor(info: Any) -> dict[str, Any]:
    return {
        "dtype": types_pb2.DataType.Name(info.dtype),
        "tensor_shape": {
            "dim": [{"size": str(dim.size), "name": dim.name} for dim in info.tensor_shape.dim],
            "unknown_rank": info.tensor_shape.unknown_rank,
        },
        "name": info.name,
    }
