"""The two baselines: random hyperplanes and principal components."""

import numpy as np
import pytest
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from sklhash import PCAHashing, RandomHyperplaneHashing


def test_distance_estimates_the_angle(rng):
    """The share of differing bits is angle / pi, within four standard errors."""
    X, n_bits = rng.randn(2, 50), 20_000
    hasher = RandomHyperplaneHashing(n_bits, center=False, random_state=0).fit(X)
    first, second = hasher.transform(X)
    angle = np.arccos(X[0] @ X[1] / np.linalg.norm(X[0]) / np.linalg.norm(X[1]))
    share = angle / np.pi
    error = np.sqrt(share * (1 - share) / n_bits)
    assert abs(np.mean(first != second) - share) < 4 * error


def test_centring_moves_the_hyperplanes_through_the_mean(rng):
    """Centred codes do not change when all rows are shifted; uncentred ones do."""
    X = rng.randn(100, 8)
    centred = RandomHyperplaneHashing(16, random_state=0)
    plain = RandomHyperplaneHashing(16, center=False, random_state=0)
    assert centred.fit(X).encode(X) == centred.fit(X + 3).encode(X + 3)
    assert plain.fit(X).encode(X) != plain.fit(X + 3).encode(X + 3)


def test_orthogonal_blocks(rng):
    """Normals are orthonormal within each block of n_features."""
    X = rng.randn(10, 6)
    hasher = RandomHyperplaneHashing(15, orthogonal=True, random_state=0).fit(X)
    for start in (0, 6, 12):
        block = hasher.components_[start : start + 6]
        assert_allclose(block @ block.T, np.eye(len(block)), atol=1e-12)


def test_principal_signs_are_those_of_pca(digits):
    """Bits are the signs of scikit-learn's principal components."""
    X, _ = digits
    components = PCA(20, svd_solver="full").fit_transform(X)
    codes = PCAHashing(20).fit(X).transform(X)
    agreement = np.mean(codes == (components > 0), axis=0)
    assert_array_equal(np.maximum(agreement, 1 - agreement), 1)  # up to each sign


def test_random_rotation_spreads_the_directions_over_more_bits(digits):
    """With a rotation there may be more bits than directions, and none is dead."""
    X, _ = digits
    codes = PCAHashing(100, rotation="random", random_state=0).fit(X).transform(X)
    assert codes.shape == (len(X), 100)
    assert codes.mean(axis=0).min() > 0.2


@pytest.mark.parametrize(
    ("hasher", "expected", "band"),
    [
        (RandomHyperplaneHashing(64), 0.5644, 0.04),
        (PCAHashing(32), 0.2908, 0.02),
        (PCAHashing(64, rotation="random"), 0.5950, 0.04),
    ],
    ids=str,
)
def test_digits_map_within_reference_band(hasher, expected, band, digits):
    """MAP on the digits is that of an independent implementation."""
    assert abs(mean_map(hasher, *digits) - expected) <= band
