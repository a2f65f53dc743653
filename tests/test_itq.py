"""ITQ: the algebra of the paper, the published bands, streaming."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import svd
from sklearn.cross_decomposition import CCA
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder

from sklhash import ITQ, HammingRetriever, PCAHashing
from sklhash.cca import canonical_directions
from sklhash.itq import _procrustes, learn_rotation
from sklhash.linear import random_rotation
from sklhash.principal import MAX_COVARIANCE_FEATURES
from sklhash.streaming import Moments, Reservoir


@pytest.fixture(scope="module")
def projected(digits):
    """Digits on their 16 principal directions."""
    return PCA(16).fit_transform(digits[0])


@pytest.mark.parametrize(
    ("projection", "n_bits", "expected", "band"),
    [
        ("pca", 16, 0.6256, 0.03),
        ("pca", 32, 0.6589, 0.03),
        ("pca", 64, 0.6935, 0.03),
        ("cca", 16, 0.8715, 0.03),
        ("cca", 32, 0.9030, 0.02),
        ("cca", 64, 0.9125, 0.02),
    ],
)
def test_digits_map_within_reference_band(projection, n_bits, expected, band, digits):
    """MAP on the digits is that of an independent implementation."""
    score = mean_map(ITQ(n_bits, projection=projection), *digits)
    assert abs(score - expected) <= band


@pytest.mark.parametrize("seed", range(20))
def test_quantization_error_never_rises(seed, digits):
    """Each alternation lowers the quantization error or leaves it."""
    errors = ITQ(16, random_state=seed).fit(digits[0]).quantization_error_
    assert len(errors) == 50
    assert np.all(np.diff(errors) <= 1e-9 * errors[0])


@pytest.mark.parametrize("seed", range(20))
def test_transposed_update_raises_the_error(seed, projected):
    """The update with one transpose too many, seen in other libraries, is no descent.

    It guards the test above: a descent check that it passes would be worthless.
    """
    V = projected
    R = random_rotation(16, 16, np.random.RandomState(seed))
    errors = []
    for _ in range(7):
        Z = V @ R
        B = np.where(Z > 0, 1.0, -1.0)
        errors.append(np.mean((B - Z) ** 2))
        U, _, Qt = svd(V.T @ B)
        R = U @ Qt.T
    assert np.diff(errors).max() > 0


def test_rotation_update_matches_plain_loops(rng):
    """Two alternations equal the paper's steps, written entry by entry."""
    V, R = rng.randn(9, 3), random_rotation(3, 3, rng)
    expected, errors = R.copy(), []
    for _ in range(2):
        B, M = np.empty((9, 3)), np.zeros((3, 3))
        for i in range(9):
            for j in range(3):
                B[i, j] = (
                    1 if sum(V[i, k] * expected[k, j] for k in range(3)) > 0 else -1
                )
        errors.append(
            sum(
                (B[i, j] - sum(V[i, k] * expected[k, j] for k in range(3))) ** 2
                for i in range(9)
                for j in range(3)
            )
            / 27
        )
        for k in range(3):
            for j in range(3):
                M[k, j] = sum(V[i, k] * B[i, j] for i in range(9))
        U, _, Qt = np.linalg.svd(M)
        expected = U @ Qt
    actual, curve = learn_rotation(V, R, max_iter=2)
    assert_allclose(actual, expected, atol=1e-12)
    assert_allclose(curve, errors, rtol=1e-12)


@pytest.mark.parametrize("n_bits", [5, 16, 40])
def test_rotation_has_orthonormal_rows(n_bits, projected, rng):
    """The learned rotation is one, or its first rows where there are more bits."""
    rank = min(n_bits, 16)
    start = random_rotation(rank, n_bits, rng)
    R, _ = learn_rotation(projected[:, :rank], start, max_iter=10)
    assert_allclose(R @ R.T, np.eye(rank), atol=1e-12)


def test_error_after_update_is_the_sum_of_singular_values(projected, rng):
    """Right after the rotation step ||B - VR||^2 = nc + ||V||^2 - 2 sum(sigma)."""
    V, n_bits = projected, 16
    R = random_rotation(16, n_bits, rng)
    B = np.where(V @ R > 0, 1.0, -1.0)
    R, _ = learn_rotation(V, R, max_iter=1)
    sigma = svd(V.T @ B, compute_uv=False)
    expected = V.shape[0] * n_bits + np.sum(V**2) - 2 * sigma.sum()
    assert_allclose(np.sum((B - V @ R) ** 2), expected, rtol=1e-12)


def test_scale_does_not_matter(projected, rng):
    """Multiplying the rows by a constant leaves the rotation alone."""
    start = random_rotation(16, 16, rng)
    R, _ = learn_rotation(projected, start, max_iter=5)
    scaled, _ = learn_rotation(1e-3 * projected, start, max_iter=5)
    assert_allclose(R, scaled, atol=1e-10)


def test_more_bits_than_rank_equals_zero_padding(projected, rng):
    """The thin rotation is the square one of rows padded with zero columns."""
    V, n_bits = projected, 24
    square = random_rotation(n_bits, n_bits, rng)
    thin, _ = learn_rotation(V, square[:16], max_iter=20)
    padded = np.hstack([V, np.zeros((len(V), n_bits - 16))])
    full, _ = learn_rotation(padded, square, max_iter=20)
    assert_allclose(thin, full[:16], atol=1e-9)


def test_rotated_hypercube_is_recovered():
    """Rotated corners of the cube are found again by the best of ten starts."""
    errors = []
    for seed in range(10):
        rng = np.random.RandomState(seed)
        corners = np.where(rng.rand(500, 4) > 0.5, 1.0, -1.0)
        V = corners @ random_rotation(4, 4, rng).T
        _, curve = learn_rotation(V, random_rotation(4, 4, rng), max_iter=100)
        errors.append(curve[-1])
    assert min(errors) < 1e-9


def test_null_directions_are_dropped(digits):
    """Pixels that never vary carry no direction, and more bits than rank work."""
    X, _ = digits
    rank = np.linalg.matrix_rank(X - X.mean(axis=0))
    itq = ITQ(64, max_iter=3, random_state=0).fit(X)
    assert itq.rotation_.shape == (rank, 64)
    assert rank < 64


def test_large_offset_in_single_precision_costs_nothing(digits):
    """Rows far from the origin get the codes of centred rows."""
    X, _ = digits
    codes = ITQ(16, random_state=0).fit(X).transform(X)
    shifted = (X + 1e4).astype(np.float32)
    moved = ITQ(16, random_state=0).fit(shifted).transform(shifted)
    assert np.mean(codes != moved) < 1e-3


def test_tolerance_stops_early_and_warns_when_missed(digits):
    """`tol` ends the alternation early, and says so when `max_iter` comes first."""
    X, _ = digits
    itq = ITQ(16, tol=1e-3, random_state=0).fit(X)
    assert itq.n_iter_ == len(itq.quantization_error_) < 50
    with pytest.warns(ConvergenceWarning, match="raise max_iter or tol") as record:
        ITQ(16, tol=0, max_iter=3, random_state=0).fit(X)
    assert record[0].filename == __file__


def test_max_samples_bounds_the_rotation_sample_only(digits):
    """The projection is learned on all rows, whatever `max_samples`."""
    X, _ = digits
    few = ITQ(8, max_samples=100, random_state=0).fit(X)
    every = ITQ(8, max_samples=None, random_state=0).fit(X)
    assert_array_equal(few.mean_, every.mean_)
    span_few = np.linalg.qr(few.components_.T)[0]
    span_all = np.linalg.qr(every.components_.T)[0]
    assert_allclose(svd(span_few.T @ span_all, compute_uv=False), 1, atol=1e-9)
    assert np.abs(few.components_ - every.components_).max() > 1e-3


@pytest.mark.parametrize("width", [40, MAX_COVARIANCE_FEATURES + 1])
def test_the_sample_can_decide_on_the_projection_as_well(width, rng):
    """With ``subsample='all'`` rows beyond the sample change nothing, however wide."""
    X = rng.randn(80, width)
    params = {"max_samples": 40, "random_state": 0}
    itq = ITQ(8, subsample="all", **params).fit(X)
    kept = itq._seen.sample.rows
    assert_allclose(itq.mean_, kept.mean(axis=0), atol=1e-12)
    rotation = ITQ(8, **params).fit(X)
    assert_allclose(rotation.mean_, X.mean(axis=0), atol=1e-12)


def test_wide_sparse_rows_need_no_covariance_matrix(rng):
    """Rows of tens of thousands of features need no matrix of that size."""
    n_features = 5 * MAX_COVARIANCE_FEATURES
    X = sp.random_array((60, n_features), density=0.002, format="csr", random_state=rng)
    for hasher in (ITQ(8, random_state=0), PCAHashing(8)):
        codes = hasher.fit(X).transform(X)
        assert 0.2 < codes.mean() < 0.8
    dense = PCA(8, svd_solver="full").fit(X.toarray())
    cosines = np.abs(np.sum(hasher.components_ * dense.components_, axis=1))
    assert_allclose(cosines, 1, atol=1e-6)


@pytest.mark.parametrize("seed", range(60))
def test_nearest_rotation_of_a_singular_matrix(seed):
    """It maximises tr(Q^T M), has orthonormal rows, and of these is nearest to R."""
    rng = np.random.RandomState(seed)
    n_bits = rng.randint(1, 9)
    rank = rng.randint(1, n_bits + 1)
    inner = rng.randint(0, rank + 1)
    M = rng.randn(rank, inner) @ rng.randn(inner, n_bits)
    R = random_rotation(rank, n_bits, rng)
    Q = _procrustes(M, R)
    assert_allclose(Q @ Q.T, np.eye(rank), atol=1e-13)
    U, sigma, Vt = svd(M)
    assert np.sum(Q * M) == pytest.approx(sigma.sum(), abs=1e-12)
    for _ in range(20):  # any other: what M leaves open is turned at random
        open_ended = random_rotation(rank - inner, n_bits - inner, rng) @ Vt[inner:]
        other = U[:, :inner] @ Vt[:inner] + U[:, inner:] @ open_ended
        assert np.sum(other * M) == pytest.approx(sigma.sum(), abs=1e-12)
        assert np.sum((Q - R) ** 2) <= np.sum((other - R) ** 2) + 1e-12


def test_nearest_rotation_has_no_choice_by_rounding():
    """Where R says nothing about the directions that M leaves open, Q is a rotation."""
    M, R = np.array([[1.0, 0], [0, 0]]), np.array([[0, 1.0], [1, 0]])
    assert_allclose(abs(_procrustes(M, R)), np.eye(2), atol=1e-15)


class TestCanonicalCorrelations:
    """The supervised projection."""

    def test_correlations_are_those_of_an_independent_solver(self):
        """With vanishing `reg` the correlations are scikit-learn's."""
        X, y = make_classification(
            400, 6, n_informative=4, n_redundant=0, n_classes=3, random_state=0
        )
        itq = ITQ(4, projection="cca", reg=1e-10, random_state=0).fit(X, y)
        Y = OneHotEncoder(sparse_output=False, drop="first").fit_transform(y[:, None])
        U, V = CCA(2, max_iter=5000).fit_transform(X, Y)
        expected = [np.corrcoef(U[:, k], V[:, k])[0, 1] for k in range(2)]
        assert_allclose(itq.canonical_correlations_, expected, atol=1e-4)

    def test_directions_solve_the_generalised_eigenproblem(self, rng):
        """C_xy (C_yy + reg I)^-1 C_yx w = lambda^2 (C_xx + reg I) w."""
        X = rng.randn(50, 5)
        Y = (X @ rng.randn(5, 3) + rng.randn(50, 3) > 0).astype(float)
        moments = Moments()
        moments.update(X, Y)
        W, correlations = canonical_directions(moments, 5, 5, reg=1e-2)
        C = np.cov(np.hstack([X, Y]).T) + 1e-2 * np.eye(8)
        left = C[:5, 5:] @ np.linalg.inv(C[5:, 5:]) @ C[5:, :5]
        for w, value in zip(W, correlations, strict=True):
            assert_allclose(left @ w, value**2 * (C[:5, :5] @ w), atol=1e-10)
            assert_allclose(w @ C[:5, :5] @ w, value**2, rtol=1e-9)  # scaled by lambda

    def test_classes_give_one_direction_less_than_classes(self, digits):
        """Ten classes span nine directions, spread over all bits."""
        X, y = digits
        itq = ITQ(32, projection="cca", random_state=0).fit(X, y)
        assert itq.rotation_.shape == (9, 32)
        assert len(itq.canonical_correlations_) == 9
        assert_allclose(
            itq.canonical_correlations_[:3], [0.942, 0.910, 0.903], atol=0.006
        )

    def test_scaling_by_the_correlations_matters(self, digits):
        """Without the scaling, more bits than classes lose most of the mAP."""
        X, y = digits
        gallery, query, y_gallery, y_query = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=0
        )
        itq = ITQ(32, projection="cca", random_state=0)
        scaled = HammingRetriever(itq).fit(gallery, y_gallery).score(query, y_query)

        C = np.cov(np.hstack([gallery, np.eye(10)[y_gallery]]).T) + 1e-4 * np.eye(74)
        L_x, L_y = np.linalg.cholesky(C[:64, :64]), np.linalg.cholesky(C[64:, 64:])
        A = np.linalg.inv(L_x) @ C[:64, 64:] @ np.linalg.inv(L_y).T
        W = (np.linalg.inv(L_x).T @ np.linalg.svd(A)[0][:, :32]).T
        mean = gallery.mean(axis=0)
        V = (gallery - mean) @ W.T  # 9 directions of the classes, 23 of none
        R, _ = learn_rotation(V, random_rotation(32, 32, np.random.RandomState(0)), 50)
        unscaled = HammingRetriever().fit(V @ R, y_gallery)
        assert scaled - unscaled.score((query - mean) @ W.T @ R, y_query) > 0.4

    @pytest.mark.parametrize("form", [np.asarray, sp.csr_array, list])
    def test_indicator_matrix_equals_class_vector(self, form, digits):
        """Classes and their indicator matrix, dense or sparse, give the same codes."""
        X, y = digits
        indicator = np.eye(10, dtype=int)[y]
        codes = ITQ(16, projection="cca", random_state=0).fit(X, y).encode(X)
        Y = form(indicator) if form is not list else indicator.tolist()
        assert ITQ(16, projection="cca", random_state=0).fit(X, Y).encode(X) == codes

    def test_string_classes(self, digits):
        """Classes may be strings."""
        X, y = digits
        names = np.array([f"digit {c}" for c in y])
        codes = ITQ(16, projection="cca", random_state=0).fit(X, y).encode(X)
        assert (
            ITQ(16, projection="cca", random_state=0).fit(X, names).encode(X) == codes
        )


class TestStreaming:
    """`partial_fit`."""

    @pytest.mark.parametrize("projection", ["pca", "cca"])
    @pytest.mark.parametrize("max_samples", [300, 32768])
    @pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
    def test_batches_equal_one_fit(self, projection, max_samples, form, digits):
        """However the rows are split, the result is that of one fit."""
        X, y = form(digits[0]), digits[1]
        params = {
            "projection": projection,
            "max_samples": max_samples,
            "random_state": 0,
        }
        whole = ITQ(12, **params).fit(X, y)
        stream = ITQ(12, **params)
        for start, stop in [(0, 1), (1, 500), (500, 501), (501, 1797)]:
            stream.partial_fit(X[start:stop], y[start:stop], classes=range(10))
        assert_allclose(stream.mean_, whole.mean_, atol=1e-10)
        assert_allclose(stream.components_, whole.components_, atol=1e-6)
        assert np.mean(stream.transform(X) != whole.transform(X)) < 1e-3

    def test_moments_are_exact_under_large_offsets(self, rng):
        """Merged covariances equal the two-pass formula, far from the origin too."""
        X = rng.randn(3000, 7) @ rng.randn(7, 7) + 1e6
        moments = Moments()
        for batch in np.array_split(X, [1, 2, 40, 1000]):
            moments.update(batch)
        assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-14)
        assert_allclose(moments.covariance(), np.cov(X.T), rtol=1e-7)

    def test_an_interrupted_stream_puts_rows_back(self, rng):
        """Of rows replaced several times within one call, the first ones return."""
        sample = Reservoir(20, np.random.RandomState(0))
        sample.update(rng.randn(50, 3))
        before = sample.rows.copy()

        def interrupted():
            with sample.all_or_nothing():
                for _ in range(5):
                    sample.update(rng.randn(200, 3))
                changed = np.flatnonzero((before != sample.rows).any(axis=1))
                kept = np.concatenate([slots for slots, _ in sample.replaced[0][2]])
                assert_array_equal(np.sort(kept), changed)  # no row twice
                assert len(changed) > 10
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert_array_equal(sample.rows, before)
        assert sample.n_seen == 50
        assert "replaced" not in vars(sample)

    def test_sample_is_uniform(self):
        """Every row has the same chance to be in the sample."""
        counts = np.zeros(30)
        for seed in range(3000):
            sample = Reservoir(10, np.random.RandomState(seed))
            rows = np.arange(30.0)[:, None]
            sample.update(rows[:17])
            sample.update(rows[17:])
            kept = sample.rows.ravel().astype(int)
            assert len(set(kept)) == 10
            counts[kept] += 1
        # 3000 draws with probability 1/3: standard deviation 26
        assert np.abs(counts - 1000).max() < 5 * 26

    def test_rows_after_fit_are_added(self, digits):
        """`partial_fit` goes on from `fit`, and codes change with it."""
        X, _ = digits
        whole = ITQ(12, random_state=0).fit(X)
        itq = ITQ(12, random_state=0).fit(X[:900])
        before = itq.encode(X)
        itq.partial_fit(X[900:])
        assert itq.encode(X) == whole.encode(X) != before

    def test_learning_is_put_off_and_done_once(self, digits, monkeypatch):
        """Batches are only summed up; many threads then learn from them once."""
        X, _ = digits
        calls = []
        learn = ITQ._learn
        monkeypatch.setattr(ITQ, "_learn", lambda *a: calls.append(a) or learn(*a))
        itq = ITQ(12, random_state=0)
        for batch in np.array_split(X, 9):
            itq.partial_fit(batch)
        assert not calls
        codes = itq.encode(np.tile(X, (10, 1)), n_jobs=2)
        assert len(calls) == 1
        assert codes[: len(X)] == itq.encode(X)

    def test_fit_forgets_the_stream(self, digits):
        """`fit` starts anew."""
        X, _ = digits
        itq = ITQ(12, random_state=0).partial_fit(X[:500]).fit(X)
        assert itq.encode(X) == ITQ(12, random_state=0).fit(X).encode(X)

    def test_pickles_keep_a_stream_but_not_the_rows_of_a_fit(self, digits):
        """A stream can be pickled and resumed; a plain fit pickles small."""
        X, _ = digits
        whole = ITQ(12, random_state=0).fit(X)
        stream = ITQ(12, random_state=0).partial_fit(X[:900])
        resumed = pickle.loads(pickle.dumps(stream)).partial_fit(X[900:])
        assert resumed.encode(X) == whole.encode(X)
        assert len(pickle.dumps(whole)) < 30_000 < X.nbytes
        with pytest.raises(ValueError, match="call partial_fit on a clone"):
            pickle.loads(pickle.dumps(whole)).partial_fit(X)
