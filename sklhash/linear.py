"""Hashers that project linearly, and the algebra they share."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from ._sklearn import get_namespace_and_device, move_to
from .base import BaseHasher
from .rows import BATCH_ROWS, astype, float_dtypes, stack

EPS = np.finfo(np.float64).eps

#: Bytes of centred rows at a time, at most about: they stay in a core's cache.
BLOCK_BYTES = 2**19
#: Rows at a time, at least: a matrix product of fewer is slow.
MIN_BLOCK_ROWS = 128


class LinearHasher(BaseHasher):
    """Base class of hashers whose projections are ``(X - mean_) @ components_.T``.

    A subclass that writes a `_project` of its own lets NaN among these stay NaN.
    """

    _array_attribute = "components_"
    _projects_nan_to_nan = True
    _threads_instead_of_blas = True

    def _project(self, X):
        return project(X, self.mean_, self.components_)

    @property
    def _n_features_out(self):
        return self.components_.shape[0]


def project(X, mean, components):
    """Centre rows and project them.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features), dtype float
    mean : array of shape (n_features,)
    components : array of shape (n_components, n_features)

    Returns
    -------
    projections : array of shape (n_samples, n_components)
        In the dtype of dense X; float64 for sparse X, which is not densified. Of a
        NumPy array, rows that are not finite, and some rows beside them, become NaN.
    """
    if issparse(X):
        return X @ components.T - mean @ components.T
    xp, _, _ = get_namespace_and_device(X)
    center = xp.astype(mean, X.dtype)
    rounding = (center - mean) @ components.T  # of the mean, in single precision
    rounding = xp.astype(rounding, X.dtype)
    W = xp.astype(components.T, X.dtype)
    if not isinstance(X, np.ndarray):
        return (X - center) @ W + rounding
    projections = np.empty((X.shape[0], W.shape[1]), X.dtype)
    every_weight_counts = W.all()  # not every BLAS lets NaN through where one is zero
    size = max(MIN_BLOCK_ROWS, BLOCK_BYTES // (X.shape[1] * X.itemsize))
    for start in range(0, X.shape[0], size):
        rows = slice(start, start + size)
        centred = X[rows] - center
        block = centred @ W + rounding
        checked = block if every_weight_counts else centred
        projections[rows] = block if _is_finite(checked) else np.nan
    return projections


def _is_finite(X):
    values = X.ravel(order="K")
    # The sum of squares takes a fifth of the time, but overflows before they do.
    return np.isfinite(np.dot(values, values)) or np.isfinite(values).all()


def project_in_float64(X, mean, components):
    """Do the same in double precision, batch by batch.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features), dtype float
    mean : array of shape (n_features,)
    components : array of shape (n_components, n_features)

    Returns
    -------
    projections : array of shape (n_samples, n_components), dtype float64
    """
    dtype = float_dtypes(X)[0]
    return stack(
        [
            project(astype(X[rows, :], dtype), mean, components)
            for rows in gen_batches(X.shape[0], BATCH_ROWS)
        ]
    )


def like(X, *arrays):
    """Move arrays to where X lies.

    Parameters
    ----------
    X : {array, CSR matrix}
        Arrays of other namespaces than NumPy's, such as torch tensors on a GPU, are
        what scikit-learn's ``array_api_dispatch`` lets through.
    *arrays : ndarray, dtype float

    Returns
    -------
    arrays : tuple of array
        In the namespace and on the device of X, in double precision if it has any.
    """
    xp, _, device = get_namespace_and_device(X)
    dtype = float_dtypes(X)[0]
    moved = (move_to(np.asarray(array), xp=xp, device=device) for array in arrays)
    return tuple(xp.astype(array, dtype) for array in moved)


def random_rotation(n_rows, n_columns, rng):
    """First rows of a random rotation (Haar measure).

    Parameters
    ----------
    n_rows, n_columns : int
        ``n_rows <= n_columns``.
    rng : RandomState

    Returns
    -------
    R : ndarray of shape (n_rows, n_columns)
        Orthonormal rows.
    """
    Q, R = np.linalg.qr(rng.standard_normal((n_columns, n_rows)))
    return (Q * np.sign(np.diag(R))).T
