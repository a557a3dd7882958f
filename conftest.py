"""Settings of all tests and of the examples in docstrings: no picture is shown."""

import os
import sys

import pytest
from hypothesis import settings

os.environ["MPLBACKEND"] = "agg"

# They hold fixtures, no examples; all have one name, of which pytest imports one only.
collect_ignore_glob = ["tests/*/conftest.py"]

# Speed is measured in benchmarks/, never asserted: no test fails for a slow machine.
settings.register_profile("skmhe", deadline=None)
settings.load_profile("skmhe")


@pytest.fixture(autouse=True)
def no_figure_is_left():
    """Close the figures of each test; matplotlib warns of more than 20."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
