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
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._sklearn import check_same_namespace, get_namespace_and_device, move_to
from ._stamps import stamp, unstamp
from .codes import PackedCodes, pack
from .encoding import room_for_codes
from .remote_encoding import encode_elsewhere, is_dask_array, row_like
from .rows import BATCH_ROWS, Batches, float_dtypes, is_array_api, release, stack
from .workers import call_in_threads


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
    #: Whether dense rows that are not finite have projections that are not either. Then
    #: the rows need not be read twice: to be checked, and to be projected.
    _projects_nan_to_nan = False
    #: Whether `_project` calls BLAS so often that threads of ours, if nobody says how
    #: many, do better than BLAS's own, which wait for each other at the end of a call.
    _threads_instead_of_blas = False

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
        return stack(self._map(lambda batch, rows: self._projections(batch), batches))

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
        batches = self._batches(X, "transform")
        return stack(self._map(lambda batch, rows: self._hash(batch), batches))

    def encode(self, X, *, n_jobs=None, out=None):
        """Hash rows to packed codes, in batches of bounded memory.

        Besides the codes, each thread holds the projections of one batch of 8192 rows,
        and the rows themselves where they must be converted to floats.

        Under a joblib backend of other processes or machines, which
        :func:`joblib.parallel_config` chooses, such as ``"dask"``, several batches
        together are a task: their rows, and the hasher, are sent to a worker, and the
        codes come back. Rows of other array namespaces than NumPy's stay here.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            May be a memory map: it is read batch by batch. May be a Dask array: its
            blocks are hashed where Dask computes them, and only their codes come here.
        n_jobs : int, default=None
            Threads, as in joblib; with several, BLAS runs on one in each. The codes do
            not depend on it. With None, linear hashers take as many as BLAS would, and
            other hashers one, which leaves BLAS, or PyTorch, to its own. Under a
            backend as above jobs are tasks at a time, and with 1 nothing is sent. Dask
            takes all its workers, and Dask arrays leave it to Dask.
        out : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8, default=None
            Where to put the codes, such as a memory map. None makes an array. If X
            turns out bad only after some batches, as where one of its last rows is NaN,
            `out` is left with the codes of some rows, and nothing is returned.

        Returns
        -------
        PackedCodes
            Of `out` itself, if that is given.

        Raises
        ------
        TypeError
            If `out` is no uint8 array.
        ValueError
            If X is not as in `fit` or not finite, or is a Dask array that does not know
            the sizes of its chunks; or if `out` has another shape, cannot be written
            to, or shares memory with X. In the latter cases nothing has been written.
        """
        lazy = is_dask_array(X)
        batches = self._batches(row_like(X) if lazy else X, "encode")
        if lazy:
            batches.shape = X.shape
        n_bits = self._n_features_out
        packed = room_for_codes(out, batches.shape[0], n_bits, batches.X)

        def encode(batch, rows):
            codes = self._hash(batch)
            if codes.shape[1] != n_bits:
                raise ValueError(
                    f"{type(self).__name__} projects to {codes.shape[1]} bits, but has "
                    f"{n_bits} features out: was n_bits changed after fit?"
                )
            packed[rows] = pack(move_to(codes, xp=np, device="cpu"))

        parts = encode_elsewhere(
            self, X if lazy else batches.X, batches.slices(), n_jobs
        )
        if parts is None:
            self._map(encode, batches, n_jobs)
        else:
            for rows, codes in parts:
                packed[rows] = codes
        return PackedCodes(packed, n_bits)

    def _map(self, function, batches, n_jobs=None):
        """List what a function gives for each batch and the slice of its rows."""

        def read_and_call(rows):
            result = function(batches.read(rows), rows)
            release(batches.X)
            return result

        return call_in_threads(
            read_and_call,
            batches.slices(),
            n_jobs,
            instead_of_blas=self._threads_instead_of_blas
            and not is_array_api(batches.X),
        )

    def _projections(self, X):
        with np.errstate(over="ignore", invalid="ignore"):  # the check below tells
            projections = self._project(X)
            xp, _, _ = get_namespace_and_device(projections)
            if xp.all(xp.isfinite(projections)):
                return projections
            if isinstance(X, np.ndarray):
                assert_all_finite(X, input_name="X")
        raise ValueError("X is so large that its projections overflow: scale it down")

    def _hash(self, X):
        projections = self._projections(X)
        xp, _, _ = get_namespace_and_device(projections)
        return xp.astype(projections > 0, xp.uint8)

    def _batches(self, X, method):
        """Validate rows and give them batch by batch, in an order all methods share."""
        check_is_fitted(self)
        if self._array_attribute is not None:
            name = self._array_attribute
            check_same_namespace(X, self, attribute=name, method=method)
        batches = self._read(X, reset=False)
        if self._projects_nan_to_nan and isinstance(batches.X, np.ndarray):
            batches.ensure_all_finite = False
        return batches

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

    def __getstate__(self):
        """Say which version of sklhash the state is from."""
        return stamp(super().__getstate__())

    def __setstate__(self, state):
        """Take over a state that this version can read."""
        super().__setstate__(unstamp(state, type(self).__name__))

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
