"""How Beam runs here, unless told otherwise."""

from __future__ import annotations

# Small data is served best by one process: several would each import the whole
# stack. Named in full, for what 'DirectRunner' means changes between releases.
BEAM_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
BEAM_ARGS = [f"--runner={BEAM_RUNNER}", "--direct_running_mode=in_memory"]
