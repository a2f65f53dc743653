"""Principal directions of rows that come in batches, and hashers that begin there."""

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import eigh
from sklearn.utils.extmath import svd_flip

from ._sklearn import fit_context, move_to
from .linear import EPS
from .rows import all_rows_equal, stack
from .streaming import Moments, Reservoir, StreamingHasher

#: Widest rows whose covariance matrix is formed (512 MiB of float64).
MAX_COVARIANCE_FEATURES = 8192


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
    variances : ndarray of shape (rank,)
    """
    covariance = moments.covariance()
    n_features = len(covariance)
    first = max(0, n_features - n_components)
    values, vectors = eigh(covariance, subset_by_index=[first, n_features - 1])
    values, components = values[::-1], vectors.T[::-1]
    # What rounding leaves of a null direction differs from machine to machine: drop it.
    noise = abs(values[0]) * max(moments.n_samples, n_features) * EPS
    varies = values > max(noise, _rounding(moments.mean))
    _, components = svd_flip(None, components[varies], u_based_decision=False)
    return components, values[varies]


def _rounding(mean):
    """Bound the variance that centring leaves of rows that are all equal."""
    return 100 * len(mean) * (EPS * np.abs(mean).max()) ** 2


def wide_principal_directions(X, n_components, rng):
    """Directions of largest variance of very wide rows, by Lanczos iteration.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features)
        More features than :data:`MAX_COVARIANCE_FEATURES`.
    n_components : int
        Directions wanted, at most.
    rng : RandomState

    Returns
    -------
    mean : ndarray of shape (n_features,)
    components : ndarray of shape (rank, n_features)
    variances : ndarray of shape (rank,)
        As from :func:`principal_directions`.
    """
    from sklearn.decomposition import PCA  # a quarter second that few users need

    X = move_to(X, xp=np, device="cpu")
    if all_rows_equal(X):  # ARPACK fails on what is all zero
        return np.zeros(X.shape[1]), np.empty((0, X.shape[1])), np.empty(0)
    # n rows span n - 1 centred directions at most
    pca = PCA(min(n_components, X.shape[0] - 1), svd_solver="arpack", random_state=rng)
    pca.fit(X.astype(np.float64))
    values = pca.explained_variance_
    varies = values > values.max() * max(X.shape) * EPS
    return pca.mean_, pca.components_[varies], values[varies]


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


@dataclass
class PrincipalStatistics:
    """What is kept of the rows seen so far to find their principal directions.

    Parameters
    ----------
    seed : int
        For whatever is drawn later.
    sample : Reservoir, default=None
        Rows kept, if any.
    """

    seed: int
    sample: Reservoir | None = None
    moments: Moments = field(default_factory=Moments)
    example: Any = None  # no rows, of the kind that the rows are
    directions: tuple | None = None  # of rows too wide for moments

    def add(self, rows):
        """Add rows.

        Parameters
        ----------
        rows : Batches
            No wider than a covariance matrix allows.
        """
        check_covariance_width(rows.shape[1])
        self.example = rows.example
        for X in rows:
            self.moments.update(X)
            if self.sample is not None:
                self.sample.update(X)

    @contextmanager
    def all_or_nothing(self):
        """Forget rows added within, if adding them breaks off, as by an interrupt."""
        kept = nullcontext() if self.sample is None else self.sample.all_or_nothing()
        with self.moments.all_or_nothing(), kept:
            yield

    def take_wide(self, rows, n_components):
        """Find the directions of all rows at once, however wide they are.

        Parameters
        ----------
        rows : Batches
        n_components : int
        """
        self.example, whole = rows.example, stack(list(rows))
        rng = np.random.RandomState(self.seed)
        self.directions = wide_principal_directions(whole, n_components, rng)
        if self.sample is not None:
            self.sample.update(whole)

    def principal_directions(self, n_components):
        """Mean, directions of largest variance, and the variances.

        Parameters
        ----------
        n_components : int
            Directions wanted, at most.

        Returns
        -------
        mean : ndarray of shape (n_features,)
        components : ndarray of shape (rank, n_features)
        variances : ndarray of shape (rank,)

        Raises
        ------
        ValueError
            If there is one row only, or all rows are equal.
        """
        if self.directions is None:
            if self.moments.n_samples < 2:
                raise ValueError("2 rows or more are needed; so far there is 1")
            W, variances = principal_directions(self.moments, n_components)
            mean = self.moments.mean
        else:
            mean, W, variances = self.directions
        if len(W) == 0:
            raise ValueError(
                "all rows of X are equal: there is no direction to hash by"
            )
        return mean, W, variances


class PrincipalHasher(StreamingHasher):
    """Base class of hashers that begin with the principal directions of the rows.

    A subclass writes `_learn`, which is given :class:`PrincipalStatistics`. If it keeps
    a sample of the rows, it has a parameter `max_samples`.
    """

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn from the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            For scikit-learn's conventions; callbacks that score are given it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If all rows are equal, or vary in too few directions for the method.
        """
        rows, seen = self._read(X, reset=True, min_samples=2), self._nothing_seen()
        if rows.shape[1] > MAX_COVARIANCE_FEATURES:
            seen.take_wide(rows, self.n_bits)
        else:
            seen.add(rows)
        return self._learn_now(seen, (X, y))

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Add rows to those learned from.

        However the rows are split, the directions are those of one `fit` on all of
        them, up to rounding; rows seen by `fit` count. The attributes are learned when
        they are next needed. Codes encoded before do not compare with codes encoded
        after.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At most 8,192 features.
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X is too wide, or if the hasher was fitted by `fit` and has been pickled
            since.
        """
        seen = self._resume()
        rows = self._read(X, reset=seen is None, at_once=True)
        seen = seen or self._nothing_seen()
        with seen.all_or_nothing():
            seen.add(rows)
            return self._learn_later(seen)

    def _nothing_seen(self):
        seeds = self._check_random_state().randint(2**31 - 1, size=2)
        sample = None
        if hasattr(self, "max_samples"):
            sample = Reservoir(self.max_samples, np.random.RandomState(seeds[0]))
        return PrincipalStatistics(seeds[1], sample)
