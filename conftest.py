"""What all tests run with, those of docstrings and documents, too."""

import os
import sys

os.environ.setdefault("MPLBACKEND", "Agg")
# The networks here are so small that PyTorch's threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def close_figures():
    """Leave no figure open: matplotlib warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
