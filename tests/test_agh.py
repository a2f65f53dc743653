"""Anchor graph hashing: the paper's matrices in plain loops, parts, the bands."""

import tracemalloc
from math import exp, sqrt

import numpy as np
import pytest
import scipy.sparse as sp
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from sklhash import PCAHashing
from sklhash.agh import (
    AnchorGraphHashing,
    anchor_weights,
    graph_eigenfunctions,
    kmeans_anchors,
    layer_thresholds,
    nearest_anchors,
)


@pytest.fixture(scope="module")
def rows():
    """A few rows of a ring, which make a graph of one part."""
    rng = np.random.RandomState(0)
    angle = rng.uniform(0, 2 * np.pi, 60)
    ring = np.c_[np.cos(angle), np.sin(angle), 0.2 * angle]
    return ring + 0.05 * rng.randn(60, 3)


@pytest.fixture(scope="module")
def hasher(rows):
    """A hasher fitted on them: four eigenvectors, each split."""
    return AnchorGraphHashing(8, n_anchors=12, random_state=0).fit(rows)


@pytest.fixture(scope="module")
def blobs():
    """Ten groups, far from each other, and which group each row is in."""
    return make_blobs(
        800,
        16,
        centers=10,
        cluster_std=0.5,
        center_box=(-9, 9),
        random_state=0,
    )


def literal_weights(X, anchors, s, sigma=None):
    """Z and sigma, row by row and anchor by anchor; Z is dense."""
    Z = np.zeros((len(X), len(anchors)))
    distance = [[sqrt(sum((x - u) ** 2)) for u in anchors] for x in X]
    nearest = [sorted(range(len(anchors)), key=row.__getitem__)[:s] for row in distance]
    if sigma is None:
        lasts = [row[near[-1]] for row, near in zip(distance, nearest, strict=True)]
        sigma = sum(lasts) / len(lasts)
    for i, near in enumerate(nearest):
        kernel = {j: exp(-(distance[i][j] ** 2) / sigma**2) for j in near}
        for j in near:
            Z[i, j] = kernel[j] / sum(kernel.values())
    return Z, sigma


def fitted_weights(hasher, X):
    nearest = nearest_anchors(X, hasher.anchors_, hasher.n_neighbors_)
    return anchor_weights(*nearest, hasher.bandwidth_, len(hasher.anchors_))


def adjacency(Z):
    return Z @ np.diag(1 / Z.sum(axis=0)) @ Z.T


@pytest.mark.parametrize("s", [2, 3, 12])
@pytest.mark.parametrize("sigma", [None, 0.4])
def test_weights_match_plain_loops(s, sigma, rows):
    """Nearest anchors, bandwidth and normalised kernel are the paper's."""
    hasher = AnchorGraphHashing(
        4, n_anchors=12, n_neighbors=s, bandwidth=sigma, random_state=0
    ).fit(rows)
    expected, width = literal_weights(rows, hasher.anchors_, s, sigma)
    assert_allclose(hasher.bandwidth_, width, rtol=1e-12)
    Z = fitted_weights(hasher, rows)
    assert Z.nnz == s * len(rows)
    assert_allclose(Z.toarray(), expected, atol=1e-12)


def test_weights_of_far_rows_do_not_vanish(hasher):
    """Rows so far away that the kernel underflows weigh their anchors all the same."""
    far = np.array([[1e4, 0, 0], [0, -1e9, 3]])
    weights = fitted_weights(hasher, far).toarray()
    assert_allclose(weights.sum(axis=1), 1)
    assert np.isfinite(hasher.decision_function(far)).all()


def test_eigenfunctions_match_plain_loops(hasher, rows):
    """M and W = sqrt(n) Λ^-1/2 V Σ^-1/2 are the paper's, up to each column's sign."""
    Z, _ = literal_weights(rows, hasher.anchors_, 3)
    n, m = Z.shape
    size = [sum(Z[i, j] for i in range(n)) for j in range(m)]
    M = np.empty((m, m))
    for j in range(m):
        for k in range(m):
            shared = sum(Z[i, j] * Z[i, k] for i in range(n))
            M[j, k] = shared / sqrt(size[j] * size[k])
    values, V = np.linalg.eigh(M)
    assert_allclose(values[-1], 1)
    Sigma, W = graph_eigenfunctions(sp.csr_array(Z), np.random.RandomState(0))
    assert_allclose(Sigma, values[-2::-1], atol=1e-12)
    assert_allclose(hasher.eigenvalues_, Sigma[:4])
    for k in range(4):
        w = [sqrt(n / size[j] / Sigma[k]) * V[j, -2 - k] for j in range(m)]
        assert_allclose(W[:, k], w if w[0] * W[0, k] > 0 else np.negative(w), atol=1e-9)
        assert_allclose(hasher.eigenfunctions_[:, k], W[:, k], atol=1e-9)


def test_eigenvectors_are_those_of_the_graph(hasher, rows):
    """Y = Z W holds eigenvectors of Z Λ^-1 Z^T; Y^T Y = n I; columns sum to 0."""
    Z = fitted_weights(hasher, rows).toarray()
    A = adjacency(Z)
    assert_allclose(A.sum(axis=1), 1)
    Sigma, W = graph_eigenfunctions(sp.csr_array(Z), np.random.RandomState(0))
    Y = Z @ W
    assert_allclose(A @ Y, Y * Sigma, atol=1e-8)
    assert_allclose(Y.T @ Y, len(rows) * np.eye(11), atol=1e-8)
    assert_allclose(Y.sum(axis=0), 0, atol=1e-8)
    assert_allclose(Sigma, np.linalg.eigvalsh(A)[-2:-13:-1], atol=1e-12)


def literal_second_layer(y, b_plus, b_minus):
    return np.array([v - b_plus if v > 0 else b_minus - v for v in y])


def test_thresholds_minimise_the_laplacian_form(hasher, rows):
    """Among balanced second layers v, b+ and b- have the least v^T (I - A) v."""
    Z = fitted_weights(hasher, rows).toarray()
    L = np.eye(len(rows)) - adjacency(Z)
    thresholds = layer_thresholds(sp.csr_array(Z), hasher.eigenfunctions_)
    assert_allclose(hasher.thresholds_, thresholds, atol=1e-9)
    for y, b_plus, b_minus in zip(
        (Z @ hasher.eigenfunctions_).T, *thresholds, strict=True
    ):
        n_plus = sum(v > 0 for v in y)

        def form(b, y=y, n_plus=n_plus):
            balanced = (n_plus * b - sum(abs(v) for v in y)) / (len(y) - n_plus)
            v = literal_second_layer(y, b, balanced)
            assert_allclose(v.sum(), 0, atol=1e-9)
            return v @ L @ v, balanced

        left, middle, right = (form(b)[0] for b in (-1, 0, 1))  # on a parabola
        expected = (left - right) / (2 * (left + right - 2 * middle))
        assert_allclose(b_plus, expected, atol=1e-8)
        assert_allclose(b_minus, form(expected)[1], atol=1e-8)


def test_thresholds_add_up_over_batches(hasher, rows):
    """A graph of all rows many times over has the thresholds of the rows."""
    Z = fitted_weights(hasher, rows)
    many = sp.vstack([Z] * 300, format="csr")
    W = hasher.eigenfunctions_
    assert_allclose(layer_thresholds(many, W), layer_thresholds(Z, W), atol=1e-9)


def test_bits_are_those_of_both_layers(hasher, rows):
    """First come the signs of the eigenvectors, then those of their second layers."""
    Z, _ = literal_weights(rows, hasher.anchors_, 3)
    Y = Z @ hasher.eigenfunctions_
    second = [
        literal_second_layer(y, *b)
        for y, b in zip(Y.T, hasher.thresholds_.T, strict=True)
    ]
    expected = np.hstack([Y, np.transpose(second)])
    assert_allclose(hasher.decision_function(rows), expected, atol=1e-9)
    assert_array_equal(hasher.transform(rows), expected > 0)


def test_new_rows_are_hashed_as_training_rows_are(hasher, rows):
    """A row alone, or among others, has the code that it had in training."""
    codes = hasher.transform(rows)
    assert_array_equal(hasher.transform(rows[7:8]), codes[7:8])
    others = np.random.RandomState(1).randn(30, 3)
    assert_array_equal(hasher.transform(np.r_[others, rows])[30:], codes)


@pytest.mark.parametrize("n_bits", [1, 2, 5, 16, 21])
def test_layers_share_their_eigenvectors(n_bits, rows):
    """Two layers give any number of bits, the first of them those of one layer."""
    params = {"n_anchors": 12, "random_state": 0}
    two = AnchorGraphHashing(n_bits, **params).fit(rows)
    n_first = -(-n_bits // 2)
    assert two.eigenvalues_.shape == (n_first,)
    assert two.thresholds_.shape == (2, n_bits - n_first)
    one = AnchorGraphHashing(n_first, n_layers=1, **params).fit(rows)
    assert_array_equal(two.transform(rows)[:, :n_first], one.transform(rows))
    assert two.get_feature_names_out().shape == (n_bits,)


def test_too_many_bits_are_refused(rows):
    """The message names bits, anchors and the largest number that works."""
    for n_layers, limit in ((1, 11), (2, 22)):
        hasher = AnchorGraphHashing(n_anchors=12, n_layers=n_layers, random_state=0)
        hasher.set_params(n_bits=limit).fit(rows)
        with pytest.raises(
            ValueError, match=f"n_bits={limit + 1} .* n_anchors=12: use n_bits<={limit}"
        ):
            hasher.set_params(n_bits=limit + 1).fit(rows)


class TestParts:
    """Graphs that fall into parts which no edge joins."""

    def test_bits_tell_the_parts_apart(self, blobs):
        """Eigenvectors of eigenvalue 1 are kept, but for the constant one."""
        X, group = blobs
        hasher = AnchorGraphHashing(16, n_anchors=80, random_state=0).fit(X)
        assert np.sum(hasher.eigenvalues_ == 1) == 9
        assert hasher.thresholds_.shape == (2, 3)  # 9 + 4 eigenvectors, 3 of them split
        Y = hasher.decision_function(X)[:, :9]
        centres = np.array([Y[group == k].mean(axis=0) for k in range(10)])
        assert_allclose(Y, centres[group], atol=1e-9)
        assert_allclose(Y.T @ Y / len(X), np.eye(9), atol=1e-9)
        assert len(np.unique(hasher.transform(X)[:, :9], axis=0)) == 10
        assert mean_map(hasher, X, group, n_splits=2) > 0.95

    def test_their_basis_hangs_on_the_seed_alone(self, blobs):
        """Rounding that differs leaves the codes; another seed draws another basis."""
        X, _ = blobs
        nearest, squared = nearest_anchors(X, X[:80], 3)
        Z = anchor_weights(nearest, squared, 1.0, 80)
        noisy = Z + 1e-14 * Z.multiply(np.random.RandomState(1).rand(*Z.shape))
        W, same, other = (
            graph_eigenfunctions(weights, np.random.RandomState(seed))[1]
            for weights, seed in ((Z, 0), (noisy.tocsr(), 0), (Z, 1))
        )
        assert_allclose(W[:, :9], same[:, :9], atol=1e-6)
        assert np.abs(W[:, :9] - other[:, :9]).max() > 0.1

    def test_eigenvectors_vanish_on_other_parts(self, blobs):
        """A bit that says nothing on a part is 0 there, not the sign of rounding."""
        X, group = blobs
        hasher = AnchorGraphHashing(40, n_anchors=80, n_layers=1, random_state=0)
        Y = hasher.fit(X).decision_function(X)[:, 9:]
        silent = [np.abs(Y[group == k]).max(axis=0) < 1e-6 for k in range(10)]
        assert np.mean(silent) > 0.8
        for k in range(10):
            assert not Y[group == k][:, silent[k]].any()

    def test_codes_hold_for_sparse_rows(self, blobs):
        """Sparse rows get the codes of dense ones, parts or not."""
        X, _ = blobs
        hasher = AnchorGraphHashing(24, n_anchors=80, random_state=0)
        codes = hasher.fit(X).transform(X)
        sparse = sp.csr_array(X)
        assert np.mean(hasher.fit(sparse).transform(sparse) != codes) < 1e-3

    def test_more_parts_than_bits(self, blobs):
        """Few bits are all taken by the parts, and the second layer stays empty."""
        X, _ = blobs
        hasher = AnchorGraphHashing(5, n_anchors=80, random_state=0).fit(X)
        assert_array_equal(hasher.eigenvalues_, np.ones(5))
        assert hasher.transform(X).shape == (len(X), 5)


class TestAnchors:
    """Where the anchors come from."""

    @pytest.mark.parametrize("seed", range(5))
    def test_dense_and_sparse_rows_have_the_same(self, seed, digits):
        """Integer features, with many equal distances, give the same anchors."""
        X, _ = digits
        anchors = [
            kmeans_anchors(rows, 50, 5, np.random.RandomState(seed))
            for rows in (X, sp.csr_array(X), X - 1e8)
        ]
        assert_allclose(anchors[0], anchors[1], atol=1e-9)
        assert_allclose(anchors[0], anchors[2] + 1e8, atol=1e-6)

    def test_inertia_is_that_of_k_means(self, digits):
        """Anchors describe the rows as well as those of KMeans do."""
        X, _ = digits
        ours, theirs = [], []
        for seed in range(5):
            anchors = kmeans_anchors(X, 100, 5, np.random.RandomState(seed))
            ours.append(nearest_anchors(X, anchors, 1)[1].sum())
            kmeans = KMeans(100, n_init=1, max_iter=5, random_state=seed).fit(X)
            theirs.append(kmeans.inertia_)
        assert 0.97 < np.mean(ours) / np.mean(theirs) < 1.03

    def test_steps_match_plain_loops(self, rows):
        """A step moves each anchor to the mean of the rows nearest to it."""
        one, two = (
            kmeans_anchors(rows, 6, steps, np.random.RandomState(0)) for steps in (1, 2)
        )
        joined = [[] for _ in one]
        for x in rows:
            joined[np.argmin([sum((x - u) ** 2) for u in one])].append(x)
        assert_allclose(two, [np.mean(group, axis=0) for group in joined], atol=1e-12)

    def test_repeated_rows_make_fewer(self):
        """There are no more anchors than distinct rows, and no row is lost."""
        X = np.repeat(np.random.RandomState(0).randn(9, 4), 10, axis=0)
        hasher = AnchorGraphHashing(3, n_anchors=20, random_state=0).fit(X)
        assert_allclose(np.sort(hasher.anchors_, axis=0), np.sort(X[::10], axis=0))
        with pytest.raises(ValueError, match="n_neighbors=10 is more than the 9 diff"):
            AnchorGraphHashing(3, n_anchors=20, n_neighbors=10).fit(X)

    def test_anchors_that_no_row_is_near_do_no_harm(self, rows):
        """An anchor without rows has the value 0; the others are as without it."""
        Z, _ = literal_weights(rows, rows[::5], 3)
        padded = np.hstack([Z, np.zeros((len(rows), 1))])
        for Sigma, W in (
            graph_eigenfunctions(sp.csr_array(weights), np.random.RandomState(0))
            for weights in (Z, padded)
        ):
            b = layer_thresholds(sp.csr_array(padded[:, : len(W)]), W)
            assert np.isfinite([Sigma, *b]).all()
            assert len(Sigma) == 11
        assert_array_equal(W[-1], 0)

    def test_only_they_are_found_in_a_sample(self, digits):
        """`max_samples` bounds the rows searched for anchors; the graph has all."""
        X, _ = digits
        few = AnchorGraphHashing(8, n_anchors=50, max_samples=200, random_state=0)
        few.fit(X)
        Y = few.decision_function(X)[:, :4]
        assert_allclose(Y.T @ Y, len(X) * np.eye(4), atol=1e-6)
        with pytest.raises(ValueError, match="n_anchors=300 is more than the 200 rows"):
            few.set_params(n_anchors=300).fit(X)


def test_fit_takes_little_memory():
    """Distances to all anchors are there for one batch of rows at a time."""
    X = np.random.RandomState(0).randn(60_000, 4).astype(np.float32)
    hasher = AnchorGraphHashing(16, max_samples=1000, random_state=0)
    tracemalloc.start()
    hasher.fit(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6  # 144 MB of the distances of all rows


def test_offset_costs_nothing(digits):
    """Rows far from the origin get the codes of the same rows near it."""
    X, _ = digits
    hasher = AnchorGraphHashing(16, random_state=0)
    codes = hasher.fit(X).transform(X)
    assert np.mean(hasher.fit(X + 1e8).transform(X + 1e8) != codes) < 1e-3


def test_parameters_set_after_fit_wait(hasher, rows):
    """The fitted hasher goes on with what it was fitted with."""
    before = hasher.encode(rows)
    changed = {"n_neighbors": 5, "n_layers": 1, "bandwidth": 9.0, "n_bits": 3}
    original = hasher.get_params()
    assert hasher.set_params(**changed).encode(rows) == before
    hasher.set_params(**original)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((30, 3)), "all rows of X are equal"),
        (sp.csr_array(np.full((30, 3), 1e6 + 0.1)), "all rows of X are equal"),
        (1e200 * np.random.RandomState(0).randn(30, 3), "its squares overflow"),
        (
            1e-200 * np.random.RandomState(0).randn(30, 3),
            "the 1 different anchors found",
        ),
        (np.random.RandomState(0).randn(10, 3), "n_anchors=12 is more than the 10"),
    ],
    ids=["equal", "sparse_equal", "large", "small", "few"],
)
def test_rows_without_a_graph_are_refused(X, message):
    """The message says what is wrong with the rows."""
    with pytest.raises(ValueError, match=message):
        AnchorGraphHashing(2, n_anchors=12, random_state=0).fit(X)


def test_rows_beyond_the_sample_are_checked():
    """Squares that overflow are found in rows that no anchor is sought among."""
    X = np.random.RandomState(0).randn(500, 3)
    X[499] = 1e200
    hasher = AnchorGraphHashing(4, n_anchors=12, max_samples=20, random_state=0)
    with pytest.raises(ValueError, match="its squares overflow"):
        hasher.fit(X)


def test_rows_too_large_to_hash_are_refused(hasher):
    """Codes are never made of distances that are no numbers."""
    with pytest.raises(ValueError, match="overflow"):
        hasher.transform([[1e200, 0, 0]])


@pytest.mark.parametrize(
    ("n_bits", "one", "two"),
    [
        (16, (0.788, 0.076), (0.845, 0.089)),
        (32, (0.597, 0.097), (0.855, 0.056)),
        (64, (0.476, 0.050), (0.792, 0.052)),
    ],
)
def test_digits_map_within_band(n_bits, one, two, digits):
    """MAP on the digits stays where it was measured; two layers beat one."""
    scores = [
        mean_map(AnchorGraphHashing(n_bits, n_layers=n_layers), *digits)
        for n_layers in (1, 2)
    ]
    for score, (expected, band) in zip(scores, (one, two), strict=True):
        assert abs(score - expected) <= band
    assert scores[1] > scores[0] > 0.1 + mean_map(PCAHashing(min(n_bits, 60)), *digits)
