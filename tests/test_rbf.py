"""RBF features on anchors, and what the hashers that use them share."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import sklhash.rbf
from sklhash.ksh import KernelSupervisedHashing
from sklhash.rbf import mean_squared_distance, rbf_features, squared_distances
from sklhash.sdh import SupervisedDiscreteHashing

HASHERS = [
    SupervisedDiscreteHashing(12, n_anchors=100, random_state=0),
    KernelSupervisedHashing(12, n_anchors=100, max_samples=500, random_state=0),
]
both = pytest.mark.parametrize("hasher", HASHERS, ids=lambda h: type(h).__name__)


def test_distances_and_features_match_plain_loops(rng):
    """Distances, their mean over pairs, and features are those of the formulas."""
    X, anchors = rng.randn(7, 3), rng.randn(4, 3)
    squared = np.empty((7, 4))
    for i in range(7):
        for j in range(4):
            squared[i, j] = sum((X[i, k] - anchors[j, k]) ** 2 for k in range(3))
    assert_allclose(squared_distances(X, anchors), squared)
    assert_allclose(rbf_features(X, anchors, 0.3), np.exp(-0.3 * squared))
    for batches in [[X], [X[:5], sp.csr_array(X[5:])]]:
        assert_allclose(mean_squared_distance(batches, anchors), squared.mean())


def test_distances_far_from_the_origin_keep_their_digits(rng):
    """A common offset costs dense rows no more than its own rounding."""
    X, anchors = rng.randn(7, 3), rng.randn(4, 3)
    moved = squared_distances(X + 1e8, anchors + 1e8)
    assert_allclose(moved, squared_distances(X, anchors), atol=1e-5)


@both
def test_projections_match_the_formula(hasher, digits):
    """They are linear in the centred features, plus the intercept if there is one."""
    X, y = digits
    hasher = clone(hasher).fit(X, y)
    Phi = rbf_features(X, hasher.anchors_, hasher.gamma_)
    assert_allclose(hasher.mean_, Phi.mean(axis=0))
    expected = (Phi - Phi.mean(axis=0)) @ hasher.components_.T
    expected += getattr(hasher, "intercept_", 0)
    assert_allclose(hasher.decision_function(X), expected, atol=1e-6)


@both
def test_anchors_are_distinct_training_rows(hasher, digits):
    """As many as asked for, or all rows if there are fewer."""
    X, y = digits
    anchors = clone(hasher).fit(X, y).anchors_
    assert anchors.shape == (100, 64)
    assert {row.tobytes() for row in anchors} < {row.tobytes() for row in X}
    assert_array_equal(clone(hasher).fit(X[:80], y[:80]).anchors_, X[:80])


@both
def test_default_width_follows_the_scale_of_the_rows(hasher, digits):
    """Half the inverse mean squared distance; rows in other units get equal codes."""
    X, y = digits
    fitted = clone(hasher).fit(X, y)
    distances = squared_distances(X, fitted.anchors_)
    assert_allclose(fitted.gamma_, 1 / (2 * distances.mean()))
    assert clone(hasher).fit(X / 1024, y).encode(X / 1024) == fitted.encode(X)
    assert clone(hasher).set_params(gamma=1e-3).fit(X, y).gamma_ == 1e-3


@both
def test_large_offset_in_single_precision_costs_nothing(hasher, digits):
    """Rows far from the origin get the codes of centred rows."""
    X, y = digits
    shifted = (X + 1e4).astype(np.float32)
    codes = clone(hasher).fit(X, y).transform(X)
    assert np.mean(clone(hasher).fit(shifted, y).transform(shifted) != codes) < 0.01


@both
def test_sparse_and_dense_rows_mix(hasher, digits):
    """A hasher that learned from sparse rows hashes dense ones, and vice versa."""
    X, y = digits
    rows = sp.csr_array(X)
    from_sparse, from_dense = clone(hasher).fit(rows, y), clone(hasher).fit(X, y)
    assert sp.issparse(from_sparse.anchors_)
    codes = from_dense.transform(X)
    assert np.mean(from_dense.transform(rows) != codes) < 1e-3
    assert np.mean(from_sparse.transform(X) != codes) < 1e-3


@both
@pytest.mark.parametrize("form", ["indicator", "sparse", "list", "names", "dates"])
def test_form_of_labels_does_not_matter(hasher, form, digits):
    """Classes of any type and their indicator matrix give the same codes."""
    X, y = digits
    indicator = np.eye(10, dtype=int)[y]
    labels = {
        "indicator": indicator,
        "sparse": sp.csr_array(indicator),
        "list": y.tolist(),
        "names": np.array([f"digit {c}" for c in y]),
        "dates": y.astype("M8[D]"),
    }[form]
    assert clone(hasher).fit(X, labels).encode(X) == clone(hasher).fit(X, y).encode(X)


@both
def test_features_are_held_in_blocks(hasher, rng, monkeypatch):
    """Neither fitting nor hashing holds the features of all rows, nor depends on it."""
    X, y = rng.randn(20_000, 8), rng.randint(3, size=20_000)
    expected = clone(hasher).fit(X, y).decision_function(X[:99])
    monkeypatch.setattr(sklhash.rbf, "BLOCK_SIZE", 2**16)
    tracemalloc.start()
    hasher = clone(hasher).fit(X, y)
    hasher.encode(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_allclose(hasher.decision_function(X[:99]), expected, atol=1e-6)
    assert peak < 10e6  # 16 MB of features


def indicator_of_equal_rows(y):
    return np.tile([1, 0, 1], (len(y), 1))


@both
@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        ({}, lambda X, y: (X, None), "requires y to be passed, but the target y is No"),
        ({}, lambda X, y: (X, y * 0), "all labels are equal: there is nothing to tell"),
        ({}, lambda X, y: (X, indicator_of_equal_rows(y)), "all labels are equal"),
        ({}, lambda X, y: (X, y[:9]), r"inconsistent numbers of samples: \[1797, 9\]"),
        ({}, lambda X, y: (X, y + 0.5), "must hold class labels; got NaN, inf or fra"),
        ({}, lambda X, y: (X * 0 + 0.1, y), "all rows of X are equal"),
        ({}, lambda X, y: (sp.csr_array(X * 0 + 0.1), y), "all rows of X are equal"),
        ({}, lambda X, y: (X * 1e-200, y), "all rows of X are equal, or nearly"),
        ({}, lambda X, y: (X * 1e200, y), "X is so large that its squares overflow"),
        ({"gamma": 1e-15}, lambda X, y: (X, y), "gamma=1e-15 is too small for the dis"),
        ({"gamma": 99}, lambda X, y: (X, y), "gamma=99 is too large for the distances"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    hasher, params, change, message, digits
):
    """The message names the argument, and what is wrong with it."""
    with pytest.raises(ValueError, match=message):
        clone(hasher).set_params(**params).fit(*change(*digits))


@both
def test_a_width_for_clustered_rows_is_taken(hasher, rng):
    """A kernel that sees nothing between clusters is fine if it does within them."""
    y = np.arange(300) % 3
    X = 1e4 * np.eye(3)[y] + rng.randn(300, 3)
    codes = clone(hasher).set_params(gamma=0.3).fit(X, y).transform(X)
    assert len(np.unique(codes, axis=0)) >= 3
