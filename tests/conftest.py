"""Data and settings that all tests share."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def digits():
    """The 8 x 8 digits: rows, classes."""
    X, y = load_digits(return_X_y=True)
    X.flags.writeable = False
    return X, y


@pytest.fixture
def rng():
    """A seeded generator."""
    return np.random.RandomState(0)
