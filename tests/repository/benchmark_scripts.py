"""Import the scripts of benchmarks/, which import each other by name."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load_script(name, folder="."):
    """Return a module of benchmarks/, or of a folder in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS / folder)
        return importlib.import_module(name)
