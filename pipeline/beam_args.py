"""How Beam runs here, unless told otherwise."""

from __future__ import annotations

# Small data is served best by one process: several would each import the whole
# stack. Named in full, for what 'DirectRunner' means changes between releases.
BEAM_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
# Unless an image is named, TFX packs itself for the workers of every component: seconds
# each time, and a copy of it that stays in the folder for temporary files.
NO_PACKAGE = "--sdk_container_image=unused"
BEAM_ARGS = (f"--runner={BEAM_RUNNER}", "--direct_running_mode=in_memory", NO_PACKAGE)
