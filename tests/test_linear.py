"""The algebra that linear hashers share."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklhash import ITQ, PCAHashing, RandomHyperplaneHashing
from sklhash.linear import project, random_rotation
from sklhash.principal import principal_directions
from sklhash.streaming import Moments


def test_projections_in_single_precision_keep_the_mean(rng):
    """Rounding the mean to single precision does not shift the projections."""
    mean, components = 1e4 + rng.rand(50), rng.randn(8, 50)
    X = (np.round(rng.randn(100, 50)) + 1e4).astype(np.float32)
    exact = (X.astype(np.float64) - mean) @ components.T
    assert_allclose(project(X, mean, components), exact, atol=1e-4)


def test_noise_is_no_direction(rng):
    """Linearly dependent columns add no direction, though rounding says otherwise."""
    X = rng.randn(5000, 5) @ rng.randn(5, 40) + 10
    moments = Moments()
    moments.update(X)
    components, variances = principal_directions(moments, 40)
    assert components.shape == (5, 40)
    assert_allclose(variances, np.var(X @ components.T, axis=0, ddof=1))
    with pytest.raises(ValueError, match="5 directions in which X varies"):
        PCAHashing(6).fit(X)


def test_random_rotations_have_no_preferred_side():
    """Entries of a random rotation are positive half of the time (Haar measure)."""
    rng = np.random.RandomState(0)
    positive = np.mean([random_rotation(3, 4, rng) > 0 for _ in range(4000)], axis=0)
    assert np.abs(positive - 0.5).max() < 5 * 0.5 / np.sqrt(4000)


def test_hyperplanes_go_through_the_exact_mean(rng):
    """The mean of many rows in single precision is that in double precision."""
    X = (rng.rand(100_000, 2) + 1000).astype(np.float32)
    hasher = RandomHyperplaneHashing(4, random_state=0).fit(X)
    assert_allclose(hasher.mean_, X.astype(np.float64).mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("center", "what"), [(True, "mean overflows"), (False, "projections overflow")]
)
def test_values_that_overflow_are_refused(center, what, rng):
    """Codes are never made of projections that are no numbers."""
    X = 1e308 * (0.5 + rng.rand(30, 6))
    hasher = RandomHyperplaneHashing(64, center=center, random_state=0)
    with pytest.raises(ValueError, match=f"X is so large that its {what}"):
        hasher.fit(X).transform(X)


@pytest.mark.parametrize(
    "hasher",
    [ITQ(16), RandomHyperplaneHashing(16), PCAHashing(16, rotation="random")],
    ids=str,
)
def test_without_random_state_each_fit_draws_anew(hasher, digits):
    """Two fits without a random state differ."""
    X, _ = digits
    assert hasher.fit(X).encode(X) != hasher.fit(X).encode(X)
