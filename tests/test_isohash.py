"""Isotropic hashing: equal variances, the paper's steps, streaming, the bands."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from sklhash import PCAHashing
from sklhash import isohash as module
from sklhash.isohash import IsotropicHashing, isotropic_rotation, lift_and_project
from sklhash.linear import random_rotation
from sklhash.principal import MAX_COVARIANCE_FEATURES

#: Spectra as data have them, and odd ones; largest first.
SPECTRA = {
    "power": 1 / np.arange(1.0, 17),
    "geometric": 0.5 ** np.arange(12.0),
    "one_dominates": np.r_[1.0, np.full(15, 1e-3)],
    "one_is_tiny": np.r_[np.ones(15), 1e-6],
    "two_values": np.repeat([2.0, 1.0], 8),
    "two_bits": np.array([5.0, 1.0]),
    "wide_range": 10.0 ** -np.linspace(0, 6, 24),
}


def covariance(Lambda, R):
    return R.T @ np.diag(Lambda) @ R


@pytest.fixture(scope="module")
def spectrum(digits):
    """Variances of the first 16 principal components of the digits."""
    return np.linalg.eigvalsh(np.cov(digits[0].T))[::-1][:16]


@pytest.mark.parametrize("n_bits", [1, 2, 3, 16, 60])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", [np.asarray, np.float32, sp.csr_array], ids=str)
def test_all_bits_have_the_same_variance(n_bits, seed, form, digits):
    """Variances of the training rows' projections agree to a millionth."""
    X = form(digits[0])
    hasher = IsotropicHashing(n_bits, random_state=seed).fit(X)
    V = (digits[0] - hasher.mean_) @ hasher.components_.T
    variances = V.var(axis=0)
    assert np.ptp(variances) <= 1e-6 * variances.mean()
    assert hasher.variance_gap_[-1] <= 1e-7
    assert hasher.n_iter_ == len(hasher.variance_gap_)


def test_the_projected_space_is_that_of_pca(digits):
    """The directions are the principal ones, rotated."""
    X, _ = digits
    hasher = IsotropicHashing(16, random_state=0).fit(X)
    W = PCAHashing(16).fit(X).components_
    assert_allclose(hasher.components_, hasher.rotation_.T @ W, atol=1e-12)
    assert_allclose(hasher.rotation_ @ hasher.rotation_.T, np.eye(16), atol=1e-12)


@pytest.mark.parametrize("Lambda", SPECTRA.values(), ids=SPECTRA)
def test_steps_keep_spectrum_and_approach(Lambda, rng):
    """Every step keeps the eigenvalues Λ, and none moves away from equal variances."""
    n_bits, a = len(Lambda), Lambda.mean()
    R, before = random_rotation(n_bits, n_bits, rng), np.inf
    for _ in range(30):
        Z = covariance(Lambda, R)
        assert_allclose(R @ R.T, np.eye(n_bits), atol=1e-12)
        assert_allclose(np.linalg.eigvalsh(Z)[::-1], Lambda, atol=1e-12)
        distance = np.linalg.norm(np.diag(Z) - a)  # from Z to its lift
        assert distance <= before + 1e-12
        before, R = distance, lift_and_project(Lambda, R)


@pytest.mark.parametrize("Lambda", SPECTRA.values(), ids=SPECTRA)
@pytest.mark.parametrize("seed", range(5))
def test_spectra_converge(Lambda, seed):
    """Dominant, tiny and repeated variances are evened out, too."""
    start = random_rotation(len(Lambda), len(Lambda), np.random.RandomState(seed))
    R, gaps = isotropic_rotation(Lambda, start, 1000, 1e-7)
    diagonal = np.diag(covariance(Lambda, R))
    assert_allclose(diagonal, Lambda.mean(), rtol=1.1e-7)
    assert gaps[-1] <= 1e-7


def literal_step(Lambda, R):
    """Lift and project as the paper does, entry by entry."""
    c = len(Lambda)
    a = sum(Lambda) / c
    T, Z = np.empty((2, c, c))
    for i in range(c):
        for j in range(c):
            T[i, j] = sum(R[k, i] * Lambda[k] * R[k, j] for k in range(c))
        T[i, i] = a
    values, vectors = np.linalg.eig(T)
    order = sorted(range(c), key=lambda k: -values[k])
    for i in range(c):
        for j in range(c):
            Z[i, j] = sum(
                vectors[i, k] * Lambda[place] * vectors[j, k]
                for place, k in enumerate(order)
            )
    return Z


def test_step_matches_plain_loops(rng):
    """One step leads to the covariance that the paper's form leads to."""
    Lambda, R = np.array([4.0, 2.5, 1.0, 0.3]), random_rotation(4, 4, rng)
    for _ in range(3):
        expected = literal_step(Lambda, R)
        R = lift_and_project(Lambda, R)
        assert_allclose(covariance(Lambda, R), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_other_order_and_transpose_do_not_converge(seed, spectrum):
    """Eigenvectors in ascending order, seen in other code, even nothing out.

    It guards the tests above: convergence that this has, too, would be worthless.
    """
    start = random_rotation(16, 16, np.random.RandomState(seed))
    _, gaps = isotropic_rotation(spectrum, start, 100, 1e-7)
    assert gaps[-1] <= 1e-7
    Z, a = covariance(spectrum, start), spectrum.mean()
    for _ in range(100):
        T = Z.copy()
        np.fill_diagonal(T, a)
        _, R = np.linalg.eigh(T)
        Z = R.T @ np.diag(spectrum) @ R
    assert np.abs(np.diag(Z) - a).max() > 0.1 * a


def test_codes_do_not_hang_on_the_signs_of_eigenvectors(spectrum, monkeypatch, rng):
    """However LAPACK signs its eigenvectors, the rotation is the same."""
    start = random_rotation(16, 16, rng)
    expected, _ = isotropic_rotation(spectrum, start, 100, 1e-7)
    eigh, draw = np.linalg.eigh, np.random.RandomState(1)

    def signed(T):
        values, Q = eigh(T)
        return values, Q * draw.choice([-1, 1], size=len(T))

    monkeypatch.setattr(module.np.linalg, "eigh", signed)
    actual, _ = isotropic_rotation(spectrum, start, 100, 1e-7)
    assert_allclose(actual, expected, atol=1e-9)


def test_variances_that_are_equal_need_no_step(rng):
    """Where nothing is to be done the first rotation stays."""
    start = random_rotation(5, 5, rng)
    R, gaps = isotropic_rotation(np.full(5, 3.0), start, 100, 1e-7)
    assert_array_equal(R, start)
    assert len(gaps) == 1


def test_a_stop_before_the_tolerance_is_told(digits):
    """`max_iter` that comes first gives a warning where `fit` was called."""
    X, _ = digits
    with pytest.warns(
        ConvergenceWarning, match=r"max_iter=3 .* change random_"
    ) as told:
        hasher = IsotropicHashing(16, max_iter=3, random_state=0).fit(X)
    assert told[0].filename == __file__
    assert hasher.n_iter_ == 3
    assert hasher.variance_gap_[-1] > 1e-7


def test_slow_starts_are_told():
    """Few variances of two values are a spectrum that some starts creep on."""
    Lambda, rng = np.array([2.0, 2, 1, 1]), np.random.RandomState(0)
    slow = 0
    for _ in range(200):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            _, gaps = isotropic_rotation(Lambda, random_rotation(4, 4, rng), 300, 1e-7)
        assert (gaps[-1] > 1e-7) == bool(told)
        slow += len(told)
    assert 0 < slow < 60


def test_reports_may_stop(spectrum, rng):
    """Whoever is shown the rotations may say that it is enough."""
    shown = []
    reports = [lambda R: bool(shown.append(R) or len(shown) == 4)] * 100
    start = random_rotation(16, 16, rng)
    R, gaps = isotropic_rotation(spectrum, start, 100, 1e-7, reports)
    assert len(shown) == len(gaps) == 4
    assert_array_equal(shown[0], start)
    assert_array_equal(shown[-1], R)


def test_more_bits_than_directions_are_refused(digits):
    """The message names the bits, the rank and the way out."""
    X, _ = digits
    rank = np.linalg.matrix_rank(X - X.mean(axis=0))
    with pytest.raises(ValueError, match=f"n_bits=64 .* n_bits<={rank}, or ITQ"):
        IsotropicHashing(64).fit(X)
    with pytest.raises(ValueError, match="n_bits=3 is more than the 2 directions"):
        IsotropicHashing(3).fit(X[:3])
    with pytest.raises(ValueError, match="all rows of X are equal"):
        IsotropicHashing(3).fit(np.ones((9, 4)))


def test_wide_rows_need_no_covariance_matrix(rng):
    """Rows of tens of thousands of features need no matrix of that size."""
    n_features = 2 * MAX_COVARIANCE_FEATURES
    X = sp.random_array((60, n_features), density=0.002, format="csr", random_state=rng)
    codes = []
    for rows in (X, X.toarray()):
        hasher = IsotropicHashing(8, random_state=0).fit(rows)
        variances = hasher.decision_function(rows).var(axis=0)
        assert np.ptp(variances) <= 1e-6 * variances.mean()
        codes.append(hasher.transform(rows))
    assert_array_equal(*codes)
    with pytest.raises(ValueError, match=f"X has {n_features} columns"):
        IsotropicHashing(8).partial_fit(X)


class TestStreaming:
    """`partial_fit`."""

    @pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
    def test_batches_equal_one_fit(self, form, digits):
        """However the rows are split, the result is that of one fit."""
        X = form(digits[0])
        whole = IsotropicHashing(12, random_state=0).fit(X)
        stream = IsotropicHashing(12, random_state=0)
        for start, stop in [(0, 1), (1, 500), (500, 501), (501, 1797)]:
            stream.partial_fit(X[start:stop])
        assert_allclose(stream.mean_, whole.mean_, atol=1e-10)
        assert_allclose(stream.components_, whole.components_, atol=1e-6)
        assert np.mean(stream.transform(X) != whole.transform(X)) < 1e-3

    def test_rows_after_fit_are_added(self, digits):
        """`partial_fit` goes on from `fit`, and codes change with it."""
        X, _ = digits
        whole = IsotropicHashing(12, random_state=0).fit(X)
        hasher = IsotropicHashing(12, random_state=0).fit(X[:900])
        before = hasher.encode(X)
        hasher.partial_fit(X[900:])
        assert np.mean(hasher.transform(X) != whole.transform(X)) < 1e-3
        assert hasher.encode(X) != before

    def test_pickles_keep_a_stream_but_not_the_sums_of_a_fit(self, digits):
        """A stream can be pickled and resumed; a plain fit pickles small."""
        X, _ = digits
        whole = IsotropicHashing(12, random_state=0).fit(X)
        stream = IsotropicHashing(12, random_state=0).partial_fit(X[:900])
        resumed = pickle.loads(pickle.dumps(stream)).partial_fit(X[900:])
        assert_allclose(resumed.components_, whole.components_, atol=1e-6)
        assert len(pickle.dumps(whole)) < 15_000
        with pytest.raises(ValueError, match="call partial_fit on a clone"):
            pickle.loads(pickle.dumps(whole)).partial_fit(X)

    def test_one_row_is_too_few(self, digits):
        """A single row has no variance."""
        hasher = IsotropicHashing(2).partial_fit(digits[0][:1])
        assert not hasattr(hasher, "components_")


@pytest.mark.parametrize(
    ("n_bits", "expected", "band"),
    [(16, 0.505, 0.05), (32, 0.558, 0.036), (48, 0.593, 0.037)],
)
def test_digits_map_within_band(n_bits, expected, band, digits):
    """MAP on the digits stays where it was measured, far above that of plain PCA."""
    score = mean_map(IsotropicHashing(n_bits), *digits)
    assert abs(score - expected) <= band
    assert score > mean_map(PCAHashing(n_bits), *digits) + 0.1
