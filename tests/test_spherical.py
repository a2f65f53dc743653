"""Spherical hashing: the paper's forces, balance, stop rules, polarity."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import euclidean_distances

from sklhash import HammingRetriever, SphericalHashing
from sklhash.metrics import mean_average_precision
from sklhash.spherical import balance, learn_balls, overlap_errors, repel


def loop_of_forces(P, overlaps, n):
    """Move each pivot by the mean of its forces, pair by pair."""
    moved = P.copy()
    for i in range(len(P)):
        total = np.zeros(P.shape[1])
        for j in range(len(P)):
            if j != i:
                share = (overlaps[i, j] - n / 4) / (n / 4)
                total += 0.5 * share * (P[i] - P[j])
        moved[i] += total / len(P)
    return moved


def test_update_equals_the_double_loop(rng):
    """Twenty moves in matrix form are those of the forces between pairs."""
    X, P = rng.randn(80, 5), rng.randn(6, 5)
    expected = P.copy()
    for _ in range(20):
        _, overlaps = balance(X, P)
        P, expected = repel(P, overlaps, 80), loop_of_forces(expected, overlaps, 80)
        assert_allclose(P, expected, atol=1e-12)


@pytest.mark.parametrize("n_samples", [2, 3, 40, 41])
def test_each_ball_holds_half(n_samples, rng):
    """A ball holds floor(n / 2) rows, its radius midway to the next row."""
    X, P = rng.randn(n_samples, 4), rng.randn(7, 4)
    radii, overlaps = balance(X, P)
    distances = np.sqrt(((P[:, None] - X) ** 2).sum(axis=2))
    half = n_samples // 2
    for row, radius in zip(np.sort(distances, axis=1), radii, strict=True):
        assert_allclose(radius, (row[half - 1] + row[half]) / 2)
    assert_array_equal(np.diag(overlaps), half)
    expected = [
        [sum(a < r and b < s for a, b in zip(first, second, strict=True))
         for second, s in zip(distances, radii, strict=True)]
        for first, r in zip(distances, radii, strict=True)
    ]  # fmt: skip
    assert_array_equal(overlaps, expected)


def test_errors_leave_the_diagonal_out():
    """Mean, bias and spread are over pairs of different balls, as shares of n / 4."""
    overlaps = np.array([[8.0, 2, 6], [2, 8, 4], [6, 4, 8]])
    deviation, bias, spread = overlap_errors(overlaps, 16)
    assert_allclose(deviation, (0.5 + 0.5 + 0) / 3)
    assert_allclose(bias, 0)
    assert_allclose(spread, np.std([0.5, 1.5, 1.0]))
    assert overlap_errors(np.array([[8.0]]), 16) == (0, 0, 0)


def test_converges_on_gaussian_rows():
    """In enough dimensions both tolerances are met after a dozen iterations."""
    for seed in range(3):
        rng = np.random.RandomState(seed)
        hasher = SphericalHashing(16, random_state=seed).fit(rng.randn(2000, 32))
        assert 10 <= hasher.n_iter_ <= 15
        deviation, spread = hasher.overlap_errors_[-1]
        assert deviation <= 0.10
        assert spread <= 0.15


def test_few_dimensions_stall_and_warn(rng):
    """In eight dimensions the overlaps stay uneven, which is said, and codes made."""
    X = rng.randn(2000, 8)
    hasher = SphericalHashing(16, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"deviate by 0\.1\d .*n/4") as record:
        hasher.fit(X)
    assert record[0].filename == __file__
    assert hasher.n_iter_ == 100
    assert 0.11 < hasher.overlap_errors_[-1, 0] < 0.14
    assert_allclose(hasher.transform(X).mean(axis=0), 0.5)


def test_stop_rules_differ():
    """The mean of the deviations is never below the deviation of the mean."""
    rng = np.random.RandomState(0)
    X, P = rng.randn(500, 20), rng.randn(12, 20)
    tolerances = {"tol_mean": 0.1, "tol_std": 0.15}
    paper = learn_balls(X, P, stop="paper", **tolerances)
    cpp = learn_balls(X, P, stop="cpp", **tolerances)
    n = min(len(paper[2]), len(cpp[2]))
    assert np.all(paper[2][:n, 0] >= cpp[2][:n, 0])
    assert len(paper[2]) >= len(cpp[2])


def test_bits_say_inside(digits):
    """A pivot itself is inside its ball; a row far away is in no ball."""
    X, _ = digits
    hasher = SphericalHashing(16, random_state=0).fit(X)
    inside = hasher.transform(hasher.pivots_)
    assert_array_equal(np.diag(inside), 1)
    assert not hasher.transform(X[:1] + 1e3).any()
    distances = np.sqrt(((X[:, None] - hasher.pivots_) ** 2).sum(axis=2))
    assert_array_equal(hasher.transform(X), distances < hasher.radii_)
    assert_array_equal(hasher.transform(X).sum(axis=0), len(X) // 2)


def test_offsets_cost_nothing(digits):
    """Rows far from the origin get the codes of centred rows, in single precision."""
    X, _ = digits
    codes = SphericalHashing(16, random_state=0).fit(X).transform(X)
    far = (X + 1e4).astype(np.float32)
    moved = SphericalHashing(16, random_state=0).fit(far).transform(far)
    assert np.mean(codes != moved) < 2e-3


def test_sparse_rows_stay_sparse(rng):
    """Sparse rows of many features are never made dense."""
    X = sp.random_array((500, 50_000), density=1e-3, format="csr", random_state=rng)
    hasher = SphericalHashing(4, tol_mean=9, tol_std=9, random_state=0)
    tracemalloc.start()
    codes = hasher.fit(X).transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_allclose(codes.mean(axis=0), 0.5)
    assert peak < 40e6  # 200 MB if dense


def test_one_bit_needs_no_pairs(rng):
    """A single ball has nothing to repel."""
    hasher = SphericalHashing(1, random_state=0).fit(rng.randn(30, 2))
    assert hasher.n_iter_ == 1
    assert_array_equal(hasher.overlap_errors_, [[0, 0]])


def test_duplicates_and_discrete_rows_end(rng):
    """Rows that cannot be halved evenly come to an end, with a warning."""
    X = np.repeat(rng.randn(5, 3), 20, axis=0)
    with pytest.warns(ConvergenceWarning):
        codes = SphericalHashing(16, max_iter=20, random_state=0).fit(X).transform(X)
    assert_array_equal(codes[:20], codes[:1].repeat(20, axis=0))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_equal_rows_are_refused(form):
    """There is no ball that holds half of equal rows."""
    with pytest.raises(ValueError, match=r"all 9 rows of X are equal, or"):
        SphericalHashing(4).fit(form(np.ones((9, 3))))


@pytest.mark.parametrize("max_samples", [200, None])
def test_batches_equal_one_fit(max_samples, digits):
    """However the rows are split, the balls are those of one fit."""
    X, _ = digits
    params = {"max_samples": max_samples, "random_state": 0, "max_iter": 5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole = SphericalHashing(8, **params).fit(X)
        stream = SphericalHashing(8, **params)
        for batch in np.array_split(X, [1, 900]):
            stream.partial_fit(batch)
        assert stream.encode(X) == whole.encode(X)
        assert whole.partial_fit(X[:900] + 5).encode(X) != stream.encode(X)


#: Reference mAP and three standard deviations: by the Hamming distance, and by the
#: spherical one.
BANDS = {
    ("paper", 16): [(0.3966, 0.049), (0.3835, 0.046)],
    ("paper", 32): [(0.4487, 0.026), (0.4237, 0.034)],
    ("paper", 64): [(0.4611, 0.031), (0.4255, 0.021)],
    ("cpp", 16): [(0.4207, 0.022), (0.4056, 0.018)],
    ("cpp", 32): [(0.4877, 0.047), (0.4611, 0.050)],
    ("cpp", 64): [(0.5313, 0.033), (0.4941, 0.017)],
}


@pytest.mark.parametrize(("stop", "n_bits"), BANDS)
def test_digits_map_within_reference_band(stop, n_bits, digits):
    """MAP by both distances is that of an independent implementation, within 3 s.d."""
    params = {"init_size": 10, "max_iter": 50} if stop == "cpp" else {}
    hasher = SphericalHashing(n_bits, stop=stop, **params)
    bands = zip(("hamming", "spherical"), BANDS[stop, n_bits], strict=True)
    for metric, (expected, band) in bands:
        assert abs(mean_map(hasher, *digits, metric=metric) - expected) <= band


def test_spherical_distance_ranks_neighbours_better(digits):
    """It ranks Euclidean neighbours better than inverted bits do: 1 means inside."""
    X, _ = digits
    gallery, queries = X[300:], X[:300]
    distances = euclidean_distances(queries, gallery)
    relevance = distances <= np.sort(distances, axis=1)[:, 49:50]
    hasher = SphericalHashing(64, stop="cpp", random_state=0).fit(gallery)
    codes = hasher.transform(queries), hasher.transform(gallery)
    scores = {}
    for name, bits in {"inside": codes, "outside": [1 - c for c in codes]}.items():
        retriever = HammingRetriever(metric="spherical").fit(bits[1])
        graph = retriever.kneighbors_graph(bits[0], len(gallery), mode="distance")
        scores[name] = mean_average_precision(
            relevance=relevance, distances=graph.toarray()
        )
    assert scores["inside"] > scores["outside"] + 0.02
