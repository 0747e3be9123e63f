"""What a component that stops a run wrote until then, out of reach of TFX's launcher.

Whatever error ends a component, the launcher removes the folders of its outputs.
"""

from __future__ import annotations

import os

from tfx import types
from tfx.dsl.io import fileio

# Below the component's own folder: gc removes what is there with its execution.
PLACE = (".system", "stopped")


def keep_files(artifact: types.Artifact) -> str:
    """Copies the files at the top of an output's folder, and tells where they are then."""
    of_output, execution = os.path.split(artifact.uri)
    folder = os.path.join(os.path.dirname(of_output), *PLACE, execution)
    fileio.makedirs(folder)
    for name in fileio.listdir(artifact.uri):
        if not fileio.isdir(os.path.join(artifact.uri, name)):
            path = os.path.join(folder, name)
            fileio.copy(os.path.join(artifact.uri, name), path, overwrite=True)
    return folder
