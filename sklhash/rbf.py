"""Hashers that are linear in RBF features: how near a row lies to some anchors."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.sparsefuncs import min_max_axis
from sklearn.utils.validation import check_consistent_length

from .base import BaseHasher
from .cca import one_hot
from .metrics.labels import check_labels
from .streaming import BLOCK_SIZE, Reservoir


def squared_distances(X, Y):
    """Squared Euclidean distances between rows, in double precision.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    Y : {ndarray, CSR matrix} of shape (n_others, n_features)

    Returns
    -------
    distances : ndarray of shape (n_samples, n_others), dtype float64
    """
    from sklearn.metrics.pairwise import euclidean_distances  # loads all metrics

    X = X.astype(np.float64)  # a copy
    if not issparse(X) and not issparse(Y):
        centre = Y.mean(axis=0)  # far from the origin, squares would lose digits
        X -= centre
        Y = Y - centre
    return euclidean_distances(X, Y, squared=True)


def mean_squared_distance(batches, anchors):
    """Squared distance between a row and an anchor, averaged over all pairs.

    It is the rows' mean squared distance to the anchors' mean, plus that of the
    anchors, so no pair's distance is needed.

    Parameters
    ----------
    batches : iterable of {ndarray, CSR matrix} of shape (n_samples, n_features)
    anchors : {ndarray, CSR matrix} of shape (n_anchors, n_features), dtype float64

    Returns
    -------
    float
    """
    centre = np.asarray(anchors.mean(axis=0)).reshape(1, -1)
    from_centre = np.concatenate([squared_distances(X, centre) for X in batches])
    return from_centre.mean() + squared_distances(anchors, centre).mean()


def rbf_features(X, anchors, gamma):
    """RBF kernel between rows and anchors, ``exp(-gamma ||x - a||^2)``.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    anchors : {ndarray, CSR matrix} of shape (n_anchors, n_features), dtype float64
    gamma : float

    Returns
    -------
    features : ndarray of shape (n_samples, n_anchors), dtype float64
    """
    features = squared_distances(X, anchors)
    features *= -gamma
    return np.exp(features, out=features)


class RBFHasher(BaseHasher):
    """Base class of supervised hashers that are linear in centred RBF features.

    The projections are ``(phi(X) - mean_) @ components_.T``, phi the RBF kernel between
    a row and each of the anchors. A subclass has the parameters `n_anchors` and
    `gamma`, and finds `mean_` and `components_`.
    """

    def _project(self, X):
        return np.concatenate(
            [Phi @ self.components_.T for _, Phi in self._features([X])]
        )

    def _read_labelled(self, X, y):
        """Give the rows in batches, and their labels as an indicator matrix (CSR)."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None"
            )
        batches = self._read(X, reset=True, min_samples=2)
        y = check_labels(y)
        check_consistent_length(batches.X, y)
        Y = y if issparse(y) else one_hot(y, np.unique(y))
        if _all_equal([Y]):
            raise ValueError("all labels are equal: there is nothing to tell apart")
        return batches, Y

    def _place_anchors(self, batches, rng):
        """Draw the anchors from the rows, and choose the width of the kernel."""
        drawn = Reservoir(self.n_anchors, rng)
        drawn.add(batches)
        self.anchors_ = drawn.rows.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # the checks below tell
            scale = mean_squared_distance(batches, self.anchors_)
        if not np.isfinite(scale):
            raise ValueError("X is so large that its squares overflow: scale it down")
        if _all_equal(batches) or scale < np.finfo(np.float64).tiny:
            raise ValueError("all rows of X are equal, or nearly: nothing to hash by")
        self.gamma_ = 1 / (2 * scale) if self.gamma is None else self.gamma

    def _check_width(self, n_samples):
        """Refuse a kernel that sees no difference, or nothing but differences."""
        similarity = self.mean_.mean()
        to_others = similarity * n_samples - 1  # an anchor's to itself is 1
        for extreme, what in (1 - similarity, "small"), (to_others, "large"):
            if extreme < 1e-9:
                raise ValueError(
                    f"gamma={self.gamma} is too {what} for the distances between these "
                    "rows: use gamma=None, or scale X"
                )

    def _features(self, batches):
        """Give rows (a slice) and their centred features, in bounded memory."""
        for rows, Phi in self._uncentred_features(batches):
            Phi -= self.mean_
            yield rows, Phi

    def _uncentred_features(self, batches):
        """Give the same before `mean_` is known."""
        start, (n_anchors, n_features) = 0, self.anchors_.shape
        for X in batches:
            width = n_anchors if issparse(X) else max(n_anchors, n_features)
            for part in gen_batches(X.shape[0], max(1, BLOCK_SIZE // width)):
                rows = slice(start + part.start, start + part.stop)
                yield rows, rbf_features(X[part], self.anchors_, self.gamma_)
            start += X.shape[0]

    @property
    def _n_features_out(self):
        return len(self.components_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _all_equal(batches):
    """Tell whether all rows are equal, without rounding."""
    lowest, highest = zip(*map(_range, batches), strict=True)
    return np.array_equal(np.min(lowest, axis=0), np.max(highest, axis=0))


def _range(X):
    return min_max_axis(X, axis=0) if issparse(X) else (X.min(axis=0), X.max(axis=0))
