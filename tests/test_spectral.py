"""Spectral hashing: the reference's matrices of modes, its box, streaming."""

import numpy as np
import pytest
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal

from sklhash import SpectralHashing
from sklhash.spectral import smallest_modes


def literal_modes(V, n_bits):
    """Enumerate modes as the authors do: a matrix with a row a mode."""
    lowest, highest = V.min(axis=0), V.max(axis=0)
    extent = highest - lowest
    n_modes = [int(np.ceil((n_bits + 1) * r / max(extent))) for r in extent]
    modes = [[0] * len(extent)]
    for i in range(len(extent)):
        modes += [
            [m if j == i else 0 for j in range(len(extent))]
            for m in range(1, n_modes[i])
        ]
    eigenvalues = [
        sum((m * np.pi / r) ** 2 for m, r in zip(row, extent, strict=True))
        for row in modes
    ]
    order = sorted(range(len(modes)), key=lambda place: eigenvalues[place])
    return lowest, extent, [modes[place] for place in order[1 : n_bits + 1]]


def literal_bits(V, lowest, extent, modes):
    """Multiply the sines of all directions, as the authors do."""
    bits = np.empty((len(V), len(modes)), bool)
    for row, v in enumerate(V):
        for bit, mode in enumerate(modes):
            value = 1.0
            for j, m in enumerate(mode):
                omega = m * np.pi / extent[j]
                value *= np.sin(omega * (v[j] - lowest[j]) + np.pi / 2)
            bits[row, bit] = value > 0
    return bits


@pytest.mark.parametrize("n_bits", [1, 8, 33, 60, 200])
def test_codes_are_those_of_the_mode_matrix(n_bits, rng):
    """Bits equal those of the reference's form, also beyond the training range."""
    X = rng.randn(300, 20) @ rng.randn(20, 20)
    queries = 1.5 * rng.randn(40, 20) @ rng.randn(20, 20)
    hasher = SpectralHashing(n_bits).fit(X)
    W = hasher.components_.T
    box = literal_modes((X - X.mean(axis=0)) @ W, n_bits)
    expected = literal_bits((queries - X.mean(axis=0)) @ W, *box)
    assert_array_equal(hasher.transform(queries), expected)


def test_frequencies_rise_and_there_are_enough():
    """Modes come in order of m / R, at least as many as bits, whatever the ranges."""
    for ranges in ([1.0], [5.0, 1e-9, 0.0], [1.0, 1.0, 1.0], np.arange(1.0, 40)):
        ranges = np.array(ranges)
        directions, modes = smallest_modes(ranges, 50)
        assert len(modes) == 50
        assert modes.min() == 1
        assert np.all(np.diff(modes / ranges[directions]) >= 0)


def test_near_constant_directions_carry_no_bit(rng):
    """A direction that hardly varies has no mode."""
    X = rng.randn(200, 5) * [3, 2, 1, 1e-4, 0]
    hasher = SpectralHashing(30).fit(X)
    assert set(hasher.directions_) == {0, 1, 2}


def test_reflections_leave_distances(rng):
    """Mirrored features change codes, but no distance between codes."""
    X = rng.randn(100, 6)
    distances = []
    for signs in (1, [1, -1, 1, -1, 1, -1]):
        codes = SpectralHashing(20).fit(X * signs).transform(X * signs).astype(int)
        distances.append(np.abs(codes[:, None] - codes).sum(axis=2))
    assert_array_equal(*distances)


def test_rows_beyond_the_range_wrap_or_are_moved(rng):
    """Far outliers repeat the pattern by default; with quantiles they hash as ends."""
    X = np.c_[rng.uniform(0, 1, 1000)]
    far = [[-7.3], [9.1]]
    wrapped = SpectralHashing(6).fit(X)
    period = 2 * wrapped.ranges_  # of the slowest cosine
    assert_array_equal(wrapped.transform(X), wrapped.transform(X + 5 * period))
    clipped = SpectralHashing(6, range="quantile").fit(X)
    ends = clipped.mean_ + clipped.lower_bounds_ + np.outer([0, 1], clipped.ranges_)
    assert_array_equal(clipped.transform(far), clipped.transform(ends))
    assert_allclose(clipped.decision_function(far)[0], 1)


def test_quantiles_ignore_outliers(rng):
    """A single far row stretches the range from least to greatest only."""
    X = np.r_[rng.randn(999, 3), [[1e4, 0, 0]]]
    assert SpectralHashing(8).fit(X).ranges_.max() > 5000
    assert SpectralHashing(8, range="quantile").fit(X).ranges_.max() < 10


def test_fit_takes_least_and_greatest_over_all_rows(digits):
    """The sample does not limit the range that `fit` finds."""
    X, _ = digits
    few = SpectralHashing(8, max_samples=50, random_state=0).fit(X)
    every = SpectralHashing(8, max_samples=None).fit(X)
    assert_array_equal(few.ranges_, every.ranges_)
    V = (X - X.mean(axis=0)) @ every.components_.T
    assert_allclose(every.lower_bounds_, V.min(axis=0), rtol=1e-12)
    assert_allclose(every.ranges_, np.ptp(V, axis=0), rtol=1e-12)


@pytest.mark.parametrize("extent", ["minmax", "quantile"])
def test_batches_equal_one_fit(extent, digits):
    """While the sample holds all rows, a stream learns what one fit does."""
    X, _ = digits
    whole = SpectralHashing(20, range=extent, random_state=0).fit(X)
    stream = SpectralHashing(20, range=extent, random_state=0)
    for batch in np.array_split(X, [3, 900]):
        stream.partial_fit(batch)
    assert_allclose(stream.ranges_, whole.ranges_)
    assert np.mean(stream.transform(X) != whole.transform(X)) < 1e-3
    before = whole.encode(X)
    assert whole.partial_fit(10 * X[:5]).encode(X) != before


@pytest.mark.parametrize(
    ("n_bits", "expected", "band"),
    [(16, 0.3839, 0.049), (32, 0.3711, 0.026), (64, 0.3747, 0.018)],
)
def test_digits_map_within_reference_band(n_bits, expected, band, digits):
    """MAP on the digits is that of an independent implementation, within 3 s.d."""
    assert abs(mean_map(SpectralHashing(n_bits), *digits) - expected) <= band


def test_nothing_to_hash_by(rng):
    """Rows that are equal, or nearly all equal with quantiles, are refused."""
    with pytest.raises(ValueError, match="all rows of X are equal"):
        SpectralHashing(4).fit(np.ones((10, 3)))
    X = np.zeros((1000, 2))
    X[0] = 1
    SpectralHashing(4).fit(X)
    with pytest.raises(ValueError, match="99 % of the rows of X are equal"):
        SpectralHashing(4, range="quantile").fit(X)


def test_wide_rows_need_no_covariance_matrix(rng):
    """Rows wider than a covariance matrix allows are hashed all the same."""
    X = rng.randn(40, 9000)
    codes = SpectralHashing(8, random_state=0).fit(X).transform(X)
    assert 0.2 < codes.mean() < 0.8
    with pytest.raises(ValueError, match="X has 9000 columns"):
        SpectralHashing(8).partial_fit(X)
