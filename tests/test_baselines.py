"""The two baselines: random hyperplanes and principal components."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

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


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    "hasher",
    [
        PCAHashing(12),
        PCAHashing(70, rotation="random", random_state=0),
        RandomHyperplaneHashing(12, random_state=0),
        RandomHyperplaneHashing(70, center=False, orthogonal=True, random_state=0),
    ],
    ids=str,
)
def test_batches_equal_one_fit(hasher, form, digits):
    """However the rows are split, the result is that of one fit, before or after it."""
    X = form(digits[0])
    whole = clone(hasher).fit(X)
    stream = clone(hasher)
    for start, stop in [(0, 1), (1, 500), (500, 1797)]:
        stream.partial_fit(X[start:stop])
    resumed = clone(hasher).fit(X[:900]).partial_fit(X[900:])
    for other in (stream, resumed):
        assert_allclose(other.mean_, whole.mean_, atol=1e-10)
        assert_allclose(other.components_, whole.components_, atol=1e-6)


def test_streams_end_in_clear_errors(rng):
    """What a stream cannot do is said by the call that asks for it."""
    X = rng.randn(20, 3)
    with pytest.raises(ValueError, match="X has 9000 columns"):
        PCAHashing(2).partial_fit(np.ones((2, 9000)))
    with pytest.raises(NotFittedError, match="n_bits=4 is more than the 3 directions"):
        PCAHashing(4).partial_fit(X).transform(X)
    hasher = RandomHyperplaneHashing(4, random_state=0).fit(X)
    with pytest.raises(ValueError, match="X has 2 features, but"):
        hasher.partial_fit(X[:, :2])
    assert hasher.n_samples_seen_ == 20
    assert pickle.loads(pickle.dumps(hasher)).partial_fit(X).n_samples_seen_ == 40
