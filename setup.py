"""Maps the folders at the root to one installed package, ``seq2seq_tfx``.

The metadata stands in ``pyproject.toml``. Beam ships this file to remote
workers (``--setup_file``), so that they run the same code.
"""

from setuptools import find_packages, setup

ROOMS = ("models", "report", "serving", "components", "pipeline")

packages = {f"seq2seq_tfx.{room}": room for room in ROOMS}
for room in ROOMS:
    for sub in find_packages(room):
        packages[f"seq2seq_tfx.{room}.{sub}"] = f"{room}/{sub.replace('.', '/')}"

setup(
    packages=list(packages),
    package_dir=packages,
    package_data={
        "seq2seq_tfx.models": ["presets/*.yaml"],
        "seq2seq_tfx.report": ["templates/*.html", "templates/*/*.html"],
    },
)
