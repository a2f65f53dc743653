"""Hashers that project linearly, and the algebra they share."""

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip
from sklearn.utils.sparsefuncs import min_max_axis

from ._sklearn import get_namespace_and_device, move_to
from .base import BaseHasher
from .rows import BATCH_ROWS, astype, float_dtypes, stack

EPS = np.finfo(np.float64).eps

#: Widest rows whose covariance matrix is formed (512 MiB of float64).
MAX_COVARIANCE_FEATURES = 8192


class LinearHasher(BaseHasher):
    """Base class of hashers whose projections are ``(X - mean_) @ components_.T``."""

    _array_attribute = "components_"

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
        In the dtype of dense X; float64 for sparse X, which is not densified.
    """
    if issparse(X):
        return X @ components.T - mean @ components.T
    xp, _, _ = get_namespace_and_device(X)
    center = xp.astype(mean, X.dtype)
    rounding = (center - mean) @ components.T  # of the mean, in single precision
    W = xp.astype(components.T, X.dtype)
    return (X - center) @ W + xp.astype(rounding, X.dtype)


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


def principal_directions(moments, n_components):
    """Directions of largest variance, without those of no variance.

    Parameters
    ----------
    moments : Moments
    n_components : int
        Directions wanted, at most.

    Returns
    -------
    components : ndarray of shape (rank, n_features)
        Orthonormal rows, largest variance first, their largest entry positive; rank
        is at most `n_components`.
    """
    covariance = moments.covariance()
    n_features = len(covariance)
    first = max(0, n_features - n_components)
    values, vectors = eigh(covariance, subset_by_index=[first, n_features - 1])
    # What rounding leaves of a null direction differs from machine to machine: drop it.
    noise = abs(values[-1]) * max(moments.n_samples, n_features) * EPS
    components = vectors.T[::-1][values[::-1] > max(noise, _rounding(moments.mean))]
    return svd_flip(None, components, u_based_decision=False)[1]


def _rounding(mean):
    """Bound the variance that centring leaves of rows that are all equal."""
    return 100 * len(mean) * (EPS * np.abs(mean).max()) ** 2


def wide_principal_directions(X, n_components, rng):
    """Directions of largest variance of very wide rows, by Lanczos iteration.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        More features than :data:`MAX_COVARIANCE_FEATURES`.
    n_components : int
        Directions wanted, at most.
    rng : RandomState

    Returns
    -------
    mean : ndarray of shape (n_features,)
    components : ndarray of shape (rank, n_features)
        As from :func:`principal_directions`.
    """
    from sklearn.decomposition import PCA  # a quarter second that few users need

    lowest, highest = min_max_axis(X, axis=0) if issparse(X) else (X.min(0), X.max(0))
    if np.array_equal(lowest, highest):  # ARPACK fails on what is all zero
        return lowest, np.empty((0, X.shape[1]))
    # n rows span n - 1 centred directions at most
    pca = PCA(min(n_components, X.shape[0] - 1), svd_solver="arpack", random_state=rng)
    pca.fit(X.astype(np.float64))
    values = pca.explained_variance_
    noise = values.max() * max(X.shape) * EPS
    return pca.mean_, pca.components_[values > noise]


def check_covariance_width(n_columns, what="X has"):
    """Refuse rows so wide that their covariance matrix would not fit.

    Parameters
    ----------
    n_columns : int
    what : str
        Begins the message.

    Raises
    ------
    ValueError
        If there are more than :data:`MAX_COVARIANCE_FEATURES` columns.
    """
    if n_columns > MAX_COVARIANCE_FEATURES:
        raise ValueError(
            f"{what} {n_columns} columns, but the covariance matrix of a stream, or "
            f"with labels, takes {MAX_COVARIANCE_FEATURES} at most: reduce them, as by "
            "TruncatedSVD"
        )


def check_rank(components):
    """Refuse directions of rows that are all equal.

    Parameters
    ----------
    components : ndarray of shape (rank, n_features)

    Raises
    ------
    ValueError
        If rank is 0.
    """
    if len(components) == 0:
        raise ValueError("all rows of X are equal: there is no direction to hash by")


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
