"""Cosines of features: thresholds, half-Gaussians, blocks, rounding."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import pdist
from scipy.stats import norm
from sklearn.utils import gen_batches

from sklhash.deep import similarity
from sklhash.deep.similarity import (
    cosine_distances_of_pairs,
    half_gaussian_bounds,
    similarity_threshold,
)


def all_distances(features):
    return np.concatenate(list(cosine_distances_of_pairs(features)))


def dense_distances(features):
    """Cosine distances of all pairs at once, pair by pair as SciPy orders them."""
    return np.clip(pdist(features.astype(np.float64), "cosine"), 0, 2)


@pytest.fixture(params=["positive", "signed", "far"])
def features(request, rng):
    """Activations after ReLU, before it, and far from the origin."""
    X = rng.randn(120, 4) @ rng.randn(4, 10) + 0.5
    return {"positive": np.maximum(X, 0), "signed": X, "far": X + 8}[request.param]


@pytest.fixture(params=[1, 7, 119, 120, 1000])
def block_size(request, monkeypatch):
    """Blocks of this many rows."""
    monkeypatch.setattr(
        similarity, "gen_batches", lambda n, _: gen_batches(n, request.param)
    )
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_pair_comes_once_and_in_order(features, dtype):
    """Pairs are (0, 1), (0, 2), ... (1, 2), ..., with their distance in doubles."""
    features = features.astype(dtype)
    distances = all_distances(features)
    assert distances.dtype == np.float64
    assert_allclose(distances, dense_distances(features), atol=1e-14)


def test_blocks_change_nothing(features, block_size):
    """However many rows a block has, the pairs and their order are the same."""
    blocks = list(cosine_distances_of_pairs(features))
    assert len(blocks) == -(-len(features) // block_size)
    assert_allclose(np.concatenate(blocks), dense_distances(features), atol=1e-14)


def test_many_rows_come_in_blocks(rng):
    """No block holds many more than two million distances."""
    features = rng.randn(1600, 3)
    sizes = [len(block) for block in cosine_distances_of_pairs(features)]
    assert len(sizes) > 1
    assert max(sizes) <= 2**21
    assert sum(sizes) == 1600 * 1599 // 2


def test_equal_rows_are_at_distance_zero(rng):
    """Rounding gives no negative distance, nor one above two."""
    rows = rng.rand(300, 7)
    equal = all_distances(np.repeat(rows[:1], 300, axis=0))
    assert equal.min() >= 0
    assert_allclose(equal, 0, atol=1e-15)
    pairs = [all_distances(np.vstack([row, 3 * row, -row])) for row in rows]
    assert np.min(pairs) >= 0
    assert np.max(pairs) <= 2
    assert_allclose(pairs, np.tile([0, 2, 2], (300, 1)), atol=1e-15)


def test_rows_of_zeros_are_unlike_all_others():
    """They have no direction: their distance is one, from each other as well."""
    features = np.array([[0.0, 0], [3, 4], [0, 0]])
    assert_array_equal(all_distances(features), [1, 1, 1])


def test_lengths_of_rows_do_not_matter(features, rng):
    """Only directions count."""
    scaled = features * (0.1 + rng.rand(120, 1))
    assert_allclose(all_distances(scaled), all_distances(features), atol=1e-14)


@pytest.mark.parametrize("quantile", [0.001, 0.5, 0.9, 0.999])
def test_threshold_is_a_quantile_of_the_cosines(features, quantile, block_size):
    """It is the quantile of the cosines of all pairs of different rows."""
    cosines = 1 - dense_distances(features)
    threshold = similarity_threshold(features, quantile)
    assert isinstance(threshold, float)
    assert_allclose(threshold, np.quantile(cosines, quantile), atol=1e-14)
    pair = 1 / len(cosines)
    assert np.mean(cosines < threshold - 1e-12) <= quantile + pair
    assert np.mean(cosines <= threshold + 1e-12) >= quantile - pair


def test_threshold_of_two_rows():
    """One pair is its own quantile."""
    assert_allclose(similarity_threshold(np.array([[1.0, 0], [3, 4]])), 0.6)


def dense_bounds(features, width):
    """SSDH's bounds, with Gaussians fitted to halves that are mirrored first."""
    d = dense_distances(features)
    counts = {}
    for value in d:
        first = np.floor((value + 1e-8) / 0.01)
        counts[first] = counts.get(first, 0) + 1
    m = 0.01 * min(counts, key=lambda first: (-counts[first], first)) - 1e-8
    bounds = []
    for half, side in ((d[d <= m], -1), (d[d > m], 1)):
        assert len(half) > 10
        mean, sigma = norm.fit(np.concatenate([half, 2 * m - half]))
        assert_allclose(mean, m, atol=1e-12)
        bounds.append(m + side * width * sigma)
    return bounds


@pytest.mark.parametrize("width", [2.0, 0.5])
def test_half_gaussians_are_maximum_likelihood_fits(features, width, block_size):
    """The closed form is that of SciPy's fit to mirrored halves, dense, in one go."""
    bounds = half_gaussian_bounds(features, width)
    assert all(isinstance(bound, float) for bound in bounds)
    assert_allclose(bounds, dense_bounds(features, width), rtol=1e-10)


def test_half_gaussians_find_the_spread_of_each_side(rng):
    """Distances drawn from two half-Gaussians give their bounds back.

    The angles between one row and all others are drawn; other pairs are left out.
    """
    m, spread = 0.5, np.where(rng.rand(400_000) < 0.5, -0.05, 0.12)
    drawn = np.clip(m + spread * np.abs(rng.randn(400_000)), 0, 2)
    angles = np.arccos(1 - drawn)
    features = np.column_stack([np.cos(angles), np.sin(angles)])
    first = np.array([[1.0, 0.0]])

    def of_first(_):
        yield np.clip(1 - (features @ first.T).ravel(), 0, 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "cosine_distances_of_pairs", of_first)
        similar, dissimilar = half_gaussian_bounds(features)
    assert_allclose([similar, dissimilar], [0.4, 0.74], atol=0.02)  # a bin is 0.01


@pytest.mark.parametrize(
    "features",
    [np.eye(4), np.ones((4, 3)), np.array([[1.0, 0], [-1, 0]])],
    ids=["orthogonal", "equal", "opposite"],
)
def test_an_empty_half_gives_finite_bounds(features):
    """Rows that are all equally far apart leave one half empty, which is no NaN."""
    similar, dissimilar = half_gaussian_bounds(features)
    d = all_distances(features)[0]
    assert similar <= d <= dissimilar + 1e-8
    assert_allclose([similar, dissimilar], d, atol=0.05)
