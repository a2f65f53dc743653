"""Kernel-based supervised hashing: its parts against plain forms, figures on digits."""

import numpy as np
import pytest
import scipy.sparse as sp
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import eigh
from scipy.optimize import approx_fprime
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning

from sklhash import ITQ, HammingRetriever
from sklhash.ksh import (
    KernelSupervisedHashing,
    Residual,
    better_bit,
    climb,
    learn_bits,
    smoothed,
    top_eigenvector,
    whitening,
)
from sklhash.streaming import Reservoir


@pytest.fixture
def problem(rng):
    """Features of 40 rows, and the similarities of their labels, as a matrix."""
    K = rng.randn(40, 6)
    y = (K[:, 0] > 0).astype(int) + (K[:, 1] > 0)
    S = np.where(y[:, None] == y, 8.0, -8.0)
    return K, S, sp.csr_array(np.eye(3)[y])


@pytest.mark.parametrize(
    ("n_bits", "n_splits", "expected", "band"),
    [(16, 5, 0.986, 0.008), (32, 3, 0.988, 0.007), (64, 2, 0.988, 0.007)],
)
def test_digits_map(n_bits, n_splits, expected, band, digits):
    """MAP on the digits is high above that of unsupervised codes, .626/.659/.694.

    The bands are three standard deviations of one split.
    """
    score = mean_map(KernelSupervisedHashing(n_bits), *digits, n_splits=n_splits)
    assert abs(score - expected) <= band


def test_rows_that_share_labels_are_near():
    """With several labels a row, too, codes rank better than unsupervised ones."""
    X, Y = make_multilabel_classification(900, 30, n_classes=6, random_state=0)
    gallery, query = slice(0, 700), slice(700, None)
    scores = [
        HammingRetriever(hasher)
        .fit(X[gallery], sp.csr_array(Y[gallery]))
        .score(X[query], sp.csr_array(Y[query]))
        for hasher in (KernelSupervisedHashing(random_state=0), ITQ(random_state=0))
    ]
    assert scores[0] > scores[1] + 0.1


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_residual_matches_plain_loops(kind, rng):
    """S is n_bits S0 less the bits' outer products, for pairs that share a label."""
    Y = np.eye(4)[rng.randint(4, size=12)]
    if kind == "labels":
        Y = rng.randint(2, size=(12, 4))
        Y[3] = 0  # no label: like no row
    S = Residual.of_labels(sp.csr_array(Y), n_bits=5)
    S.B[:, :2] = np.where(rng.rand(12, 2) > 0.5, 1, -1)
    expected = np.empty((12, 12))
    for i in range(12):
        for j in range(12):
            shared = any(Y[i, c] and Y[j, c] for c in range(4))
            expected[i, j] = 5 if shared else -5
            for k in range(2):
                expected[i, j] -= S.B[i, k] * S.B[j, k]
    assert_allclose(S @ np.eye(12), expected)
    v = rng.randn(12)
    assert_allclose(S @ v, expected @ v)


def test_smoothed_objective_matches_plain_loops(problem, rng):
    """Its value is the double sum of the paper, its gradient the finite difference."""
    _, S, _ = problem
    u = rng.randn(40)
    y = [2 / (1 + np.exp(-u[i])) - 1 for i in range(40)]
    value, gradient = smoothed(u, S)
    double_sum = sum(y[i] * S[i, j] * y[j] for i in range(40) for j in range(40))
    assert_allclose(value, double_sum)
    differences = approx_fprime(u, lambda u: smoothed(u, S)[0], 1e-6)
    assert_allclose(gradient, differences, rtol=1e-3, atol=1e-3)


def nesterov_by_loops(K, S, a, n_iter):
    """The iteration as it is written in papers, every product formed anew."""

    def f(a):
        return smoothed(K @ a, S)[0]

    before, L, t_before, t = a, 1.0, 0.0, 1.0
    for _ in range(n_iter):
        v = a + (t_before - 1) / t * (a - before)
        g = np.zeros(len(a))
        slope = smoothed(K @ v, S)[1]
        for i in range(len(K)):
            g += K[i] * slope[i]
        while f(v + g / L) < f(v) + g @ g / (2 * L):
            L = 2 * L
        before, a = a, v + g / L
        t_before, t = t, (1 + (1 + 4 * t * t) ** 0.5) / 2
    return a


@pytest.mark.parametrize("n_iter", [1, 2, 7])
def test_ascent_matches_plain_loops(n_iter, problem, rng):
    """Probe point, step width and momentum are those of Nesterov's method."""
    K, S, _ = problem
    start = rng.randn(6) / 10
    a, steps, converged = climb(K, S, start, n_iter, tol=0)
    assert (steps, converged) == (n_iter, False)
    assert_allclose(a, nesterov_by_loops(K, S, start, n_iter), rtol=1e-8)


def test_ascent_climbs_until_a_step_gains_little(problem, rng):
    """It ends higher than it began, and the sooner the larger `tol`."""
    K, S, _ = problem
    start = rng.randn(6) / 10
    first = smoothed(K @ start, S)[0]
    loose, few, converged = climb(K, S, start, 10_000, tol=1e-2 * np.abs(S).sum())
    tight, many, also = climb(K, S, start, 10_000, tol=1e-6 * np.abs(S).sum())
    assert converged
    assert also
    assert few < many
    assert first < smoothed(K @ loose, S)[0] < smoothed(K @ tight, S)[0]


def test_whitening_gives_unit_axes(problem):
    """T^T (K^T K + reg m I) T is the identity."""
    K, _, _ = problem
    T = whitening(K, 0.5)
    R = K.T @ K
    R += 0.5 * np.trace(R) / 6 * np.eye(6)
    assert_allclose(T.T @ R @ T, np.eye(6), atol=1e-12)


def test_null_directions_are_left_out(rng):
    """Features that depend on others leave no direction of mere rounding."""
    K = rng.randn(40, 3) @ rng.randn(3, 6)
    T = whitening(K, 0)
    assert T.shape == (6, 3)
    assert_allclose((K @ T).T @ (K @ T), np.eye(3), atol=1e-10)


def test_first_candidate_solves_the_generalised_eigenproblem(problem):
    """In whitened coordinates it is the top eigenvector of the paper's pencil."""
    K, S, _ = problem
    R = K.T @ K
    R += 0.01 * np.trace(R) / 6 * np.eye(6)
    values, vectors = eigh(K.T @ S @ K, R)
    T = whitening(K, 0.01)
    a = T @ top_eigenvector(T.T @ K.T @ S @ K @ T)
    assert_allclose(a @ K.T @ S @ K @ a, values[-1])
    assert_allclose(np.abs(a), np.abs(vectors[:, -1]))


def test_the_better_bit_is_kept(problem, rng):
    """The candidate whose signs agree more with S wins; the first one of equals."""
    K, S, _ = problem
    candidates = list(rng.randn(5, 6))
    values = []
    for a in candidates:
        y = np.where(K @ a > 0, 1, -1)
        values.append(sum(y[i] * S[i, j] * y[j] for i in range(40) for j in range(40)))
    a, y = better_bit(K, S, *candidates)
    assert_array_equal(a, candidates[np.argmax(values)])
    assert_array_equal(y, np.where(K @ a > 0, 1, -1))
    assert better_bit(K, S, a, 2 * a)[0] is a


def test_bits_are_learned_from_what_earlier_ones_leave(problem):
    """Each bit equals one learned alone from the explicit residual matrix."""
    K, S, Y = problem
    K = K @ whitening(K, 0.01)
    residual = Residual.of_labels(Y, n_bits=8)
    A, n_iter, converged = learn_bits(K, residual, max_iter=200, tol=1.0)
    assert n_iter.shape == converged.shape == (8,)
    for k in range(8):
        start = top_eigenvector(K.T @ S @ K) * np.sqrt(40)
        a, y = better_bit(K, S, start, climb(K, S, start, 200, 1.0)[0])
        assert_allclose(A[:, k], a, atol=1e-6)
        assert_array_equal(residual.B[:, k], y)
        S = S - np.outer(y, y)


def test_gradient_steps_help(digits):
    """On the labelled rows, bits agree better with S than without the ascent."""
    X, y = digits
    Y = np.eye(10)[y[:300]]
    errors = []
    for max_iter in (1, 500):
        ksh = KernelSupervisedHashing(
            8, n_anchors=60, max_iter=max_iter, tol=1.0 / max_iter**2, random_state=0
        )
        B = 2.0 * ksh.fit(X[:300], y[:300]).transform(X[:300]) - 1
        errors.append(np.sum((8 * (2 * Y @ Y.T - 1) - B @ B.T) ** 2))
    assert errors[1] < 0.98 * errors[0]


def test_only_the_drawn_labels_count(digits):
    """Labels of rows that are not drawn do not matter; with None all are."""
    X, y = digits
    ksh = KernelSupervisedHashing(
        6, n_anchors=50, max_samples=200, gamma=1e-3, random_state=0
    )
    codes = ksh.fit(X, y).encode(X)
    draws = np.random.RandomState(0)
    Reservoir(50, draws).update(X)
    others = draws.permutation(len(X))[200:]
    changed = y.copy()
    changed[others] = 0
    assert ksh.fit(X, changed).encode(X) == codes
    every = ksh.set_params(max_samples=None).fit(X, y).encode(X)
    assert every == ksh.set_params(max_samples=5000).fit(X, y).encode(X) != codes


def test_bits_that_hit_the_limit_are_reported(digits):
    """A warning, at the caller's line, says how many bits stopped at `max_iter`."""
    X, y = digits
    ksh = KernelSupervisedHashing(4, n_anchors=50, max_iter=2, tol=0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="for 4 of 4 bits") as record:
        ksh.fit(X, y)
    assert record[0].filename == __file__
    assert ksh.n_iter_ == 2


def test_similarities_that_are_all_the_same_are_refused(digits):
    """If all rows share a label, or the drawn ones do, there is nothing to learn."""
    X, y = digits
    everywhere = np.column_stack([np.ones(len(y)), y > 4])
    with pytest.raises(ValueError, match="all pairs of the 1797 rows learned from sha"):
        KernelSupervisedHashing(random_state=0).fit(X, everywhere)
    rare = (np.arange(len(y)) == 7).astype(int)
    with pytest.raises(ValueError, match=r"of the 5 rows .*\(see max_samples\)"):
        KernelSupervisedHashing(max_samples=5, random_state=0).fit(X, rare)
