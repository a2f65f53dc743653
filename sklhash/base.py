"""What all hashers share: a method writes `fit` and `_project`, this gives the rest."""

from abc import ABC, abstractmethod

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from .codes import PackedCodes, pack

#: Rows projected at once: the projections of a batch stay in a core's cache.
BATCH_ROWS = 8192

FLOATS = (np.float64, np.float32)


class BaseHasher(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """Base class of all hashers.

    A subclass has a parameter `n_bits`, a `fit` that calls ``validate_data``, and
    `_project`, which gives the projections of a validated batch of rows. Rows are
    always projected in the same batches, so `decision_function`, `transform` and
    `encode` agree to the bit, whatever the number of jobs.
    """

    @abstractmethod
    def _project(self, X):
        """Give the projections of one batch.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_samples, n_features), dtype float32 or \
                float64

        Returns
        -------
        projections : ndarray of shape (n_samples, n_bits), dtype float
        """

    def decision_function(self, X):
        """Project rows; a bit is set where the projection is ``> 0``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        projections : ndarray of shape (n_samples, n_bits), dtype float
        """
        return np.concatenate([self._projections(batch) for batch in self._batches(X)])

    def transform(self, X):
        """Hash rows to codes, one byte a bit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_bits), dtype uint8
            Zeros and ones.
        """
        return np.concatenate([self._hash(batch) for batch in self._batches(X)])

    def encode(self, X, *, n_jobs=None):
        """Hash rows to packed codes, in batches of bounded memory.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            May be a memory map: it is read batch by batch.
        n_jobs : int, default=None
            Threads, as in joblib. The codes do not depend on it.

        Returns
        -------
        PackedCodes
        """
        parts = Parallel(n_jobs, require="sharedmem")(
            delayed(self._encode_batch)(batch) for batch in self._batches(X)
        )
        return PackedCodes.concatenate(parts)

    def _projections(self, X):
        with np.errstate(over="ignore", invalid="ignore"):  # the check below tells
            projections = self._project(X)
        if not np.isfinite(projections).all():
            raise ValueError(
                "X is so large that its projections overflow: scale it down"
            )
        return projections

    def _hash(self, X):
        return (self._projections(X) > 0).astype(np.uint8)

    def _encode_batch(self, X):
        codes = self._hash(X)
        return PackedCodes(pack(codes), codes.shape[1])

    def _batches(self, X):
        """Validate rows and give them batch by batch, in an order all methods share."""
        check_is_fitted(self)
        if _is_large_matrix(X):  # leave conversions and checks to the batches
            validate_data(self, X, reset=False, skip_check_array=True)
        else:
            X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=FLOATS)
        if issparse(X):
            X = X.tocsr()
        return (
            check_array(X[rows], accept_sparse="csr", dtype=FLOATS, input_name="X")
            for rows in gen_batches(X.shape[0], BATCH_ROWS)
        )

    def _check_random_state(self):
        """Give a generator of our own: None does not touch NumPy's global one."""
        if self.random_state is None:
            return np.random.RandomState()
        return check_random_state(self.random_state)

    @property
    def _n_features_out(self):
        """Columns of `transform`; there are none before `fit`, as scikit-learn asks."""
        if not hasattr(self, "n_features_in_"):
            raise AttributeError("_n_features_out")
        return self.n_bits

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []  # codes are uint8
        return tags


def _is_large_matrix(X):
    is_matrix = issparse(X) or isinstance(X, np.ndarray)
    return is_matrix and X.ndim == 2 and X.shape[0] > BATCH_ROWS
