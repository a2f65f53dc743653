"""Hashers that project linearly, and the algebra they share."""

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import issparse
from sklearn.utils.extmath import svd_flip

from .base import BaseHasher
from .streaming import Moments

#: Widest rows whose covariance matrix is formed (512 MiB of float64).
MAX_COVARIANCE_FEATURES = 8192


class LinearHasher(BaseHasher):
    """Base class of hashers whose projections are ``(X - mean_) @ components_.T``."""

    def _project(self, X):
        return project(X, self.mean_, self.components_)


def project(X, mean, components):
    """Centre rows and project them.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features), dtype float
    mean : ndarray of shape (n_features,)
    components : ndarray of shape (n_components, n_features)

    Returns
    -------
    projections : ndarray of shape (n_samples, n_components)
        In the dtype of dense X; float64 for sparse X, which is not densified.
    """
    if issparse(X):
        return X @ components.T - mean @ components.T
    center = mean.astype(X.dtype)
    rounding = (center - mean) @ components.T  # of the mean, in single precision
    return (X - center) @ components.T.astype(X.dtype) + rounding.astype(X.dtype)


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
    eps = np.finfo(np.float64).eps
    noise = abs(values[-1]) * max(moments.n_samples, n_features) * eps
    centring = 100 * n_features * (eps * np.abs(moments.mean).max()) ** 2
    components = vectors.T[::-1][values[::-1] > max(noise, centring)]
    return svd_flip(None, components, u_based_decision=False)[1]


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

    # n rows span n - 1 centred directions at most
    pca = PCA(min(n_components, X.shape[0] - 1), svd_solver="arpack", random_state=rng)
    pca.fit(X)
    values = pca.singular_values_
    noise = values.max(initial=0) * max(X.shape) * np.finfo(X.dtype).eps
    return pca.mean_, pca.components_[values > noise]


def mean_and_directions(X, n_components, rng):
    """Mean and principal directions of all rows.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    n_components : int
        Directions wanted, at most.
    rng : RandomState
        Starts the iteration for very wide rows; not used otherwise.

    Returns
    -------
    mean : ndarray of shape (n_features,)
    components : ndarray of shape (rank, n_features)
    """
    if X.shape[1] > MAX_COVARIANCE_FEATURES:
        return wide_principal_directions(X, n_components, rng)
    moments = Moments()
    moments.update(X)
    return moments.mean, principal_directions(moments, n_components)


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
