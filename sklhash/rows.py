"""Rows of any kind, read in batches: arrays, sparse matrices, mapped files."""

import mmap
from contextlib import suppress

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, gen_batches
from sklearn.utils.extmath import row_norms
from sklearn.utils.sparsefuncs import min_max_axis

from ._sklearn import get_namespace_and_device, max_float_dtype

#: Rows projected at once: the projections of a batch stay in a core's cache.
BATCH_ROWS = 8192


class Batches:
    """Rows of a matrix, checked and given batch by batch.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features)

    Attributes
    ----------
    ensure_all_finite : bool
        Whether to look for NaN and infinity. If not, X is a NumPy array.
    """

    def __init__(self, X):
        self.X = X
        self.shape = X.shape
        self.ensure_all_finite = True

    @property
    def example(self):
        """No row at all, to remember the rows' namespace and device by."""
        if sp.issparse(self.X):
            return np.empty((0, self.shape[1]))
        xp, _, _ = get_namespace_and_device(self.X)
        return xp.asarray(self.X[:0, :], copy=True)

    def __iter__(self):
        for rows in self.slices():
            yield self.read(rows)
            release(self.X)

    def slices(self):
        """Where the batches lie, first to last."""
        return list(gen_batches(self.shape[0], BATCH_ROWS))

    def read(self, rows):
        """Check one batch and give it.

        Parameters
        ----------
        rows : slice

        Returns
        -------
        batch : {array, CSR matrix} of shape (n_rows, n_features), dtype float
            In C order, or with sorted indices and no entry stored twice.
        """
        batch, dtypes = self.X[rows, :], float_dtypes(self.X)
        # In C order, as sums round differently in another, and codes may hang on that.
        if not self.ensure_all_finite and batch.dtype in dtypes:
            return np.ascontiguousarray(batch)
        batch = check_array(
            batch,
            accept_sparse="csr",
            dtype=dtypes,
            order="C",
            ensure_all_finite=self.ensure_all_finite,
            input_name="X",
        )
        return _canonical(batch) if sp.issparse(batch) else batch


def _canonical(X):
    """Sort a CSR matrix's indices and join entries stored twice, in a copy.

    scikit-learn's norms take such entries for two, and its k-means takes 32-bit indices
    only, which number everything in a batch.
    """
    short = max(X.nnz, X.shape[1]) <= np.iinfo(np.int32).max
    index = np.dtype(np.int32) if short else X.indices.dtype
    if X.has_canonical_format and X.indices.dtype == X.indptr.dtype == index:
        return X
    X = X.copy()
    X.sum_duplicates()
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def release(X):
    """Let go of the pages of a mapped file that have been read.

    They stay in the system's cache, but no longer count as this process's memory.
    Only files mapped for reading: pages changed in memory would be lost.
    """
    if isinstance(X, np.memmap) and X.mode == "r":
        while isinstance(X, np.ndarray):
            X = X.base
        with suppress(AttributeError, ValueError):  # not everywhere; closed by now
            X.madvise(mmap.MADV_DONTNEED)


def float_dtypes(X):
    """Floating dtypes that rows may have, in the namespace and on the device of X."""
    xp, _, device = get_namespace_and_device(X)
    if max_float_dtype(xp, device) == xp.float32:
        return (xp.float32,)
    return (xp.float64, xp.float32)


def is_array_api(X):
    """Tell whether X is an array of another namespace, to be left there."""
    return not isinstance(X, np.ndarray) and get_namespace_and_device(X)[1]


def all_rows_equal(X):
    """Tell whether all rows of an array or a sparse matrix are equal, exactly."""
    if sp.issparse(X):
        return np.array_equal(*min_max_axis(X, axis=0))
    xp, _, _ = get_namespace_and_device(X)
    return bool(xp.all(X[:1, :] == X))


def check_squares(X):
    """Refuse rows whose squares do not add up to a number of their dtype.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features), dtype float

    Raises
    ------
    ValueError
    """
    with np.errstate(over="ignore"):
        norms = row_norms(X, squared=True)
        xp, _, _ = get_namespace_and_device(norms)
        finite = xp.isfinite(xp.sum(norms))
    if not finite:
        raise ValueError("X is so large that its squares overflow: scale it down")


def astype(X, dtype):
    """Convert an array of any namespace, or a sparse matrix, if it must be."""
    if sp.issparse(X):
        return X.astype(dtype, copy=False)
    xp, _, _ = get_namespace_and_device(X)
    return xp.astype(X, dtype, copy=False)


def take(X, rows):
    """Copy rows of an array of any namespace, or of a sparse matrix.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features)
    rows : ndarray of shape (n_rows,), dtype intp

    Returns
    -------
    taken : {array, CSR matrix} of shape (n_rows, n_features)
    """
    if sp.issparse(X):
        return X[rows]
    xp, _, device = get_namespace_and_device(X)
    return xp.take(X, xp.asarray(rows, device=device), axis=0)


def stack(parts):
    """Join rows; sparse only if all of them are.

    Parameters
    ----------
    parts : list of {array, CSR matrix} of shape (n_rows, n_features)

    Returns
    -------
    rows : {array, CSR matrix} of shape (n_samples, n_features)
    """
    if all(sp.issparse(part) for part in parts):
        return sp.vstack(parts, format="csr")
    parts = [part.toarray() if sp.issparse(part) else part for part in parts]
    xp, _, _ = get_namespace_and_device(parts[0])
    return xp.concat(parts)
