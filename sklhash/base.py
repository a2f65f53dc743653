"""What all hashers share: a method writes `fit` and `_project`, this gives the rest."""

from abc import ABC, abstractmethod
from contextlib import contextmanager
from itertools import repeat

import numpy as np
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from ._sklearn import check_same_namespace, get_namespace_and_device, move_to
from .codes import PackedCodes, pack
from .rows import BATCH_ROWS, Batches, float_dtypes, is_array_api, stack


class BaseHasher(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    ABC,
):
    """Base class of all hashers.

    A subclass has a parameter `n_bits`, a `fit` that calls ``validate_data``, and
    `_project`, which gives the projections of a validated batch of rows. Rows are
    always projected in the same batches, so `decision_function`, `transform` and
    `encode` agree to the bit, whatever the number of jobs.
    """

    #: A fitted array, if the hasher takes arrays of any array API namespace.
    _array_attribute: str | None = None

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
        batches = self._batches(X, "decision_function")
        return stack([self._projections(batch) for batch in batches])

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
        return stack([self._hash(batch) for batch in self._batches(X, "transform")])

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
            delayed(self._encode_batch)(batch) for batch in self._batches(X, "encode")
        )
        return PackedCodes.concatenate(parts)

    def _projections(self, X):
        with np.errstate(over="ignore", invalid="ignore"):  # the check below tells
            projections = self._project(X)
        xp, _, _ = get_namespace_and_device(projections)
        if not xp.all(xp.isfinite(projections)):
            raise ValueError(
                "X is so large that its projections overflow: scale it down"
            )
        return projections

    def _hash(self, X):
        projections = self._projections(X)
        xp, _, _ = get_namespace_and_device(projections)
        return xp.astype(projections > 0, xp.uint8)

    def _encode_batch(self, X):
        codes = move_to(self._hash(X), xp=np, device="cpu")
        return PackedCodes(pack(codes), codes.shape[1])

    def _batches(self, X, method):
        """Validate rows and give them batch by batch, in an order all methods share."""
        check_is_fitted(self)
        if self._array_attribute is not None:
            name = self._array_attribute
            check_same_namespace(X, self, attribute=name, method=method)
        return self._read(X, reset=False)

    def _read(self, X, *, reset, min_samples=1, at_once=False):
        """Validate rows and give them batch by batch.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A large matrix, such as a memory map, is converted and checked one batch
            after the other, so that no copy of the whole is made.
        reset : bool
            Learn the number and names of the features, or compare with them.
        min_samples : int, default=1
        at_once : bool, default=False
            Check a large matrix now, too.

        Returns
        -------
        Batches
        """
        if _is_large_matrix(X) and not at_once:
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse="csr",
                dtype=float_dtypes(X),
                ensure_min_samples=min_samples,
            )
        return Batches(X.tocsr() if issparse(X) else X)

    @contextmanager
    def _iterations(self, data, n_iter, fitted):
        """Show the iterations of `fit` to scikit-learn's callbacks.

        Parameters
        ----------
        data : tuple (X, y) or None
            What `fit` was given, for callbacks that score; None to show nothing.
        n_iter : int
            Iterations, at most.
        fitted : callable
            Gives the fitted attributes as a dict, from whatever state an iteration
            reports.

        Yields
        ------
        reports : iterable of callable
            One for each iteration, to be called with the state at its end; true if a
            callback asks to stop.
        """
        if data is None:
            yield quiet(n_iter)
            return
        known = {"estimator": self, "X": data[0], "y": data[1]}
        context = self._init_callback_context(max_subtasks=n_iter)
        context.call_on_fit_task_begin(**known)

        def reports():
            for _ in range(n_iter):
                task = context.subcontext(task_name="iteration")
                task.call_on_fit_task_begin(**known)

                def report(*state, task=task):
                    return task.call_on_fit_task_end(
                        **known, reconstruction_attributes=lambda: fitted(*state)
                    )

                yield report

        yield reports()
        context.call_on_fit_task_end(**known)

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
        tags.array_api_support = self._array_attribute is not None
        return tags


def quiet(n_iter):
    """Give reports of iterations that nobody reads.

    Parameters
    ----------
    n_iter : int

    Returns
    -------
    reports : iterable of callable
    """
    return repeat(lambda *state: False, n_iter)


def _is_large_matrix(X):
    is_matrix = issparse(X) or isinstance(X, np.ndarray) or is_array_api(X)
    return is_matrix and X.ndim == 2 and X.shape[0] > BATCH_ROWS
