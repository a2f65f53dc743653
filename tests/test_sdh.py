"""Supervised discrete hashing: its three steps, its objective, figures on digits."""

from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_multilabel_classification

from sklhash import ITQ, HammingRetriever
from sklhash.rbf import rbf_features
from sklhash.sdh import SupervisedDiscreteHashing, descend_bits, label_weights
from sklhash.streaming import Reservoir


def signs(rng, *shape):
    return np.where(rng.rand(*shape) > 0.5, 1.0, -1.0)


@pytest.mark.parametrize(
    ("n_bits", "expected", "band"),
    [(16, 0.983, 0.013), (32, 0.985, 0.009), (64, 0.989, 0.006)],
)
def test_digits_map(n_bits, expected, band, digits):
    """MAP on the digits is high above that of unsupervised codes, .626/.659/.694.

    The bands are three standard deviations of one split.
    """
    assert abs(mean_map(SupervisedDiscreteHashing(n_bits), *digits) - expected) <= band


def test_rows_that_share_labels_are_near():
    """With several labels a row, too, codes rank better than unsupervised ones."""
    X, Y = make_multilabel_classification(900, 30, n_classes=6, random_state=0)
    gallery, query = slice(0, 700), slice(700, None)
    scores = [
        HammingRetriever(hasher)
        .fit(X[gallery], sp.csr_array(Y[gallery]))
        .score(X[query], sp.csr_array(Y[query]))
        for hasher in (SupervisedDiscreteHashing(random_state=0), ITQ(random_state=0))
    ]
    assert scores[0] > scores[1] + 0.1


def test_label_weights_solve_the_normal_equations(rng):
    """W-step: the gradient of the ridge regression vanishes, summed up by loops."""
    B, Y = signs(rng, 9, 3), rng.randint(2, size=(9, 2))
    W = label_weights(B.astype(np.float32), sp.csr_array(Y, dtype=np.float32), 0.7)
    for k in range(3):
        for c in range(2):
            gradient = 0.7 * W[k, c]
            for i in range(9):
                error = sum(B[i, j] * W[j, c] for j in range(3)) - Y[i, c]
                gradient += B[i, k] * error
            assert_allclose(gradient, 0, atol=1e-12)


def row_objective(b, q, W):
    """||b W||^2 - 2 <b, q> of one row, by loops."""
    total = 0.0
    for c in range(W.shape[1]):
        total += sum(b[k] * W[k, c] for k in range(len(b))) ** 2
    return total - 2 * sum(b[k] * q[k] for k in range(len(b)))


def test_each_bit_takes_its_better_value(rng):
    """B-step: a sweep sets each bit in turn to the better of its two values."""
    W, Q, B = rng.randn(4, 3), 2 * rng.randn(20, 4), signs(rng, 20, 4)
    expected = B.copy()
    for i in range(20):
        for k in range(4):
            flipped = expected[i].copy()
            flipped[k] *= -1
            if row_objective(flipped, Q[i], W) < row_objective(expected[i], Q[i], W):
                expected[i] = flipped
    assert_array_equal(descend_bits(B, Q, W, max_sweeps=1), expected)


def test_descent_never_rises_and_ends_where_no_flip_helps(rng):
    """B-step: more sweeps are no worse; at the end no single bit is to be improved."""
    W, Q, B = rng.randn(6, 3), rng.randn(50, 6), signs(rng, 50, 6)
    sweeps = [descend_bits(B, Q, W, max_sweeps=n) for n in range(20)]
    values = [
        [row_objective(b, q, W) for b, q in zip(S, Q, strict=True)] for S in sweeps
    ]
    assert np.diff(values, axis=0).max() <= 1e-12
    assert_array_equal(sweeps[-1], sweeps[-2])
    for i, k in product(range(50), range(6)):
        flipped = sweeps[-1][i].copy()
        flipped[k] *= -1
        assert row_objective(flipped, Q[i], W) >= values[-1][i] - 1e-12


def test_descent_finds_the_best_row_where_bits_do_not_interact(rng):
    """B-step: with orthogonal weights one sweep gives the best of all 2^4 rows."""
    W = np.linalg.qr(rng.randn(5, 4))[0].T * [[1], [2], [3], [4]]
    Q = rng.randn(10, 4)
    found = descend_bits(signs(rng, 10, 4), Q, W, max_sweeps=1)
    for b, q in zip(found, Q, strict=True):
        best = min(product([-1, 1], repeat=4), key=lambda b: row_objective(b, q, W))
        assert_array_equal(b, best)


def objective(Y, B, W, Phi, P, intercept, hasher):
    """What SDH minimises, by loops over rows, labels and bits."""
    (n, n_bits), total = B.shape, 0.0
    for i in range(n):
        for c in range(Y.shape[1]):
            read = sum(B[i, k] * W[k, c] for k in range(n_bits))
            total += (Y[i, c] - read) ** 2
        for k in range(n_bits):
            F = sum(Phi[i, j] * P[j, k] for j in range(Phi.shape[1])) + intercept[k]
            total += hasher.penalty * (B[i, k] - F) ** 2
    total += hasher.reg * sum(w**2 for w in W.flat)
    return total + hasher.penalty * hasher.ridge * sum(p**2 for p in P.flat)


@pytest.mark.parametrize("penalty", [1e-5, 0.5])
def test_fit_matches_the_three_steps_in_turn(penalty, rng):
    """The whole alternation equals one with dense algebra and row-wise loops."""
    X, Y = rng.randn(14, 3), np.eye(3)[np.arange(14) % 3]
    hasher = SupervisedDiscreteHashing(
        4, n_anchors=6, penalty=penalty, ridge=0.3, random_state=0
    ).fit(X, Y)

    draws = np.random.RandomState(0)
    Reservoir(6, draws).update(X)
    B = 2.0 * draws.randint(2, size=(14, 4), dtype=np.int8) - 1
    Phi = rbf_features(X, hasher.anchors_, hasher.gamma_)
    Phi -= Phi.mean(axis=0)
    curve = []
    for _ in range(hasher.n_iter_ + 1):
        W = np.linalg.inv(B.T @ B + np.eye(4)) @ B.T @ Y
        intercept = B.mean(axis=0)
        P = np.linalg.inv(Phi.T @ Phi + 0.3 * np.eye(6)) @ Phi.T @ (B - intercept)
        curve.append(objective(Y, B, W, Phi, P, intercept, hasher))
        learned = P.T, intercept
        Q = Y @ W.T + penalty * (Phi @ P + intercept)
        for _ in range(10):
            for i, k in product(range(14), range(4)):
                others = [j for j in range(4) if j != k]
                z = Q[i, k] - sum(B[i, j] * (W[j] @ W[k]) for j in others)
                B[i, k] = 1 if z > 0 else -1
    assert_allclose(hasher.objective_, curve, rtol=1e-9)
    assert_allclose(hasher.components_, learned[0], atol=1e-9)
    assert_allclose(hasher.intercept_, learned[1])


@pytest.mark.parametrize("penalty", [0, 1e-5, 1e-2, 10])
@pytest.mark.parametrize("seed", range(5))
def test_objective_never_rises(seed, penalty):
    """Each alternation lowers the objective or leaves it."""
    X, Y = make_multilabel_classification(300, 20, n_classes=5, random_state=seed)
    curve = (
        SupervisedDiscreteHashing(
            24, n_anchors=50, penalty=penalty, max_iter=20, random_state=seed
        )
        .fit(X, Y)
        .objective_
    )
    assert np.all(np.diff(curve) <= 1e-9 * curve[0])
    assert curve[-1] < curve[0] / 2


def test_it_stops_where_no_bit_changes(digits):
    """The alternation ends at a fixed point, and at `max_iter` otherwise."""
    X, y = digits
    sdh = SupervisedDiscreteHashing(16, n_anchors=100, max_iter=50, random_state=0)
    sdh.fit(X, y)
    assert 1 < sdh.n_iter_ < 50
    assert len(sdh.objective_) == sdh.n_iter_ + 1
    assert sdh.objective_[-1] == sdh.objective_[-2]
    assert sdh.set_params(max_iter=1).fit(X, y).n_iter_ == 1


@pytest.mark.parametrize("name", ["reg", "ridge"])
def test_a_penalty_that_rounding_swallows_is_refused(name, digits):
    """Where the matrix stays singular, the message names the parameter."""
    X, y = np.repeat(digits[0][:50], 2, axis=0), np.repeat(digits[1][:50], 2)
    sdh = SupervisedDiscreteHashing(110, random_state=0, **{name: 1e-30})
    with pytest.raises(ValueError, match=f"{name}=1e-30 drowns in rounding: raise it"):
        sdh.fit(X, y)


class Recorder:
    """A callback that counts iterations, hashes, and stops when it is asked to."""

    def __init__(self, stop_at=None):
        self.n_iter, self.stop_at = 0, stop_at

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        if context.task_name == "iteration":
            self.n_iter += 1
            self.codes = fitted_estimator.encode(X)
        return self.n_iter == self.stop_at


def test_callbacks_see_each_iteration(digits):
    """scikit-learn's callbacks get the hasher so far, change nothing, and can stop."""
    X, y = digits
    params = {"n_anchors": 100, "penalty": 0.1, "random_state": 0}
    recorder, stopper = Recorder(), Recorder(stop_at=1)
    sdh = SupervisedDiscreteHashing(16, **params).set_callbacks(recorder).fit(X, y)
    unwatched = SupervisedDiscreteHashing(16, **params).fit(X, y)
    assert sdh.encode(X) == recorder.codes == unwatched.encode(X)
    assert recorder.n_iter == sdh.n_iter_ > 1
    assert sdh.set_callbacks(stopper).fit(X, y).n_iter_ == 1
