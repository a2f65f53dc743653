"""Density sensitive hashing: the paper's steps in plain loops, ties, streaming."""

from math import floor, log

import numpy as np
import pytest
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklhash import DensitySensitiveHashing
from sklhash.density_sensitive import (
    adjacent_pairs,
    balanced_planes,
    candidate_pairs,
    median_planes,
)


def literal_planes(centers, shares, r, n_bits):
    """Follow the paper's steps group by group and pair by pair."""
    k = len(centers)
    distance = [[float(np.sum((a - b) ** 2)) for b in centers] for a in centers]
    nearest = [
        sorted((j for j in range(k) if j != i), key=lambda j: distance[i][j])[:r]
        for i in range(k)
    ]
    planes = []
    for i in range(k):
        for j in range(i + 1, k):
            if i in nearest[j] or j in nearest[i]:
                w = centers[i] - centers[j]
                t = sum((centers[i] + centers[j]) / 2 * w)
                P = sum(
                    nu
                    for mu, nu in zip(centers, shares, strict=True)
                    if sum(w * mu) > t
                )
                entropy = -sum(p * log(p) for p in (P, 1 - P))
                planes.append((-round(entropy, 9), distance[i][j], i, j, w, t))
    planes.sort(key=lambda plane: plane[:4])
    return planes[:n_bits]


@pytest.mark.parametrize("n_bits", [2, 8, 16, 64])
def test_planes_are_those_of_the_literal_form(n_bits, digits):
    """Hyperplanes, thresholds, entropies and their order follow the paper's steps."""
    X, _ = digits
    hasher = DensitySensitiveHashing(n_bits, random_state=0).fit(X)
    shares = hasher.cluster_sizes_ / len(X)
    centers = hasher.cluster_centers_
    expected = literal_planes(centers, shares, 3, n_bits)
    assert_allclose(hasher.entropies_, [-plane[0] for plane in expected], atol=1e-8)
    W = np.array([plane[4] for plane in expected])
    assert_allclose(hasher.components_, W, atol=1e-9)
    t = [plane[5] for plane in expected]
    assert_allclose(hasher.thresholds_ + W @ hasher.mean_, t, atol=1e-8)
    assert_array_equal(hasher.transform(X), t < X @ W.T)


def test_planes_lie_midway(rng):
    """Both centres of a pair are equally far from their plane, on two sides."""
    centers = rng.randn(9, 4)
    i, j = adjacent_pairs(((centers[:, None] - centers) ** 2).sum(axis=2), 2)
    w, t = median_planes(centers, i, j)
    above = np.sum(centers[i] * w, axis=1) - t
    below = np.sum(centers[j] * w, axis=1) - t
    assert_allclose(above, -below)
    assert np.all(above > 0)


def test_number_of_groups_rounds_halves_up():
    """There are floor(alpha * n_bits + 1/2) groups."""
    X = np.random.RandomState(0).randn(300, 5)
    for n_bits in (1, 3, 5, 7, 16):
        hasher = DensitySensitiveHashing(n_bits, random_state=0).fit(X)
        assert len(hasher.cluster_sizes_) == floor(1.5 * n_bits + 0.5)
        assert hasher.cluster_sizes_.sum() == 300


def test_pairs_at_equal_distance_stay_apart():
    """One-hot centres, all equally far from each other, give a plane for each pair."""
    squared = 2 * (1 - np.eye(24))
    i, j = adjacent_pairs(squared, 23)
    assert len(i) == 24 * 23 / 2
    assert np.all(i < j)


def test_neighbourhoods_grow_until_there_are_enough():
    """More neighbours are looked at where r of them make too few planes."""
    X = np.random.RandomState(0).randn(400, 6)
    hasher = DensitySensitiveHashing(16, alpha=1, n_adjacent=1, random_state=0).fit(X)
    assert len(adjacent_pairs(squared_distances(hasher.cluster_centers_), 1)[0]) < 16
    assert hasher.components_.shape == (16, 6)


def squared_distances(centers):
    return ((centers[:, None] - centers) ** 2).sum(axis=2)


@pytest.mark.parametrize("seed", range(6))
def test_rounding_decides_nothing(seed, digits):
    """Integer rows, equally far from several centres, hash alike in every form."""
    X, _ = digits
    codes = DensitySensitiveHashing(32, random_state=seed).fit(X).transform(X)
    for rows in (csr_array(X), X.astype(np.float32), np.asfortranarray(X)):
        hasher = DensitySensitiveHashing(32, random_state=seed).fit(rows)
        assert np.mean(hasher.transform(rows) != codes) < 1e-3


def test_ties_go_to_the_smaller_distance():
    """Of equally even planes the one between nearer centres comes first."""
    centers = np.array([[0.0], [1.0], [10.0], [13.0]])
    i, j, squared = candidate_pairs(centers, 3, 3)
    w, t = median_planes(centers, i, j)
    chosen, entropies = balanced_planes(
        w, t, squared, centers, np.array([5, 5, 5, 5]), 3
    )
    pairs = [(int(i[place]), int(j[place])) for place in chosen]
    assert pairs == [(1, 2), (0, 2), (1, 3)]  # two groups on either side
    assert_allclose(entropies, log(2))


def test_too_few_rows_or_groups_are_refused():
    """The message names rows, bits and alpha, and the way out."""
    rng = np.random.RandomState(0)
    with pytest.raises(ValueError, match=r"20 rows cannot make the 24 groups .*alpha"):
        DensitySensitiveHashing(16).fit(rng.randn(20, 3))
    X = np.repeat(np.eye(4), 25, axis=0)
    with pytest.raises(ValueError, match=r"the 4 groups of rows make only 6 pairs"):
        DensitySensitiveHashing(16, random_state=1).fit(X)
    with pytest.raises(ValueError, match=r"make only 0 pairs of different"):
        DensitySensitiveHashing(2).fit(np.ones((9, 3)))


def test_digits_map_within_reference_band(digits):
    """MAP on the digits is that of an independent implementation, within 3 s.d."""
    bands = {16: (0.4469, 0.032), 32: (0.4984, 0.073), 64: (0.5548, 0.042)}
    for n_bits, (expected, band) in bands.items():
        score = mean_map(DensitySensitiveHashing(n_bits), *digits)
        assert abs(score - expected) <= band


class TestStreaming:
    """`partial_fit`."""

    def test_groups_count_all_rows(self, digits):
        """The groups' sizes add up to the rows seen, after `fit` as well."""
        X, _ = digits
        stream = DensitySensitiveHashing(16, random_state=0)
        for batch in np.array_split(X, 5):
            stream.partial_fit(batch)
        assert stream.cluster_sizes_.sum() == len(X)
        assert stream.n_iter_ == 5
        fitted = DensitySensitiveHashing(16, random_state=0).fit(X[:900])
        before = fitted.cluster_centers_
        fitted.partial_fit(X[900:])
        assert fitted.cluster_sizes_.sum() == len(X)
        assert 0 < np.abs(fitted.cluster_centers_ - before).max() < 16

    def test_rows_after_fit_weigh_as_one_each(self):
        """A centre that `fit` found moves to the mean of all its rows, old and new."""
        X = np.array([[0.0], [1.0], [10.0], [11.0]])
        hasher = DensitySensitiveHashing(1, random_state=0).fit(X)
        assert_allclose(np.sort(hasher.cluster_centers_.ravel()), [0.5, 10.5])
        hasher.partial_fit([[3.5]])
        assert_allclose(np.sort(hasher.cluster_centers_.ravel()), [1.5, 10.5])

    def test_ranks_about_as_well_as_fit(self, digits):
        """Codes of a stream rank within a few points of those of a fit."""

        class Streamed(DensitySensitiveHashing):
            def fit(self, X, y=None):
                vars(self).pop("_seen", None)
                for batch in np.array_split(X, 4):
                    self.partial_fit(batch)
                return self

        stream = mean_map(Streamed(32), *digits)
        assert abs(stream - mean_map(DensitySensitiveHashing(32), *digits)) < 0.06

    def test_first_batch_and_parameters(self, digits):
        """Too small a first batch, and another number of groups later, are refused."""
        X, _ = digits
        hasher = DensitySensitiveHashing(16)
        with pytest.raises(ValueError, match="20 rows cannot make the 24 groups"):
            hasher.partial_fit(X[:20])
        hasher.partial_fit(X[:100]).set_params(n_bits=32)
        with pytest.raises(ValueError, match=r"make 48 groups, but .* into 24"):
            hasher.partial_fit(X[100:])
