"""Data and settings that all tests share."""

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from sklearn.datasets import load_digits

# Time limits of single examples fail on a busy machine, not on a wrong result.
settings.register_profile(
    "sklhash", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sklhash")


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


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
