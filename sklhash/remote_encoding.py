"""Rows that are hashed by others: workers that the caller has chosen, or Dask."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from .rows import release
from .workers import call_in_workers, count_workers

#: Slices of rows, and the bytes of their codes.
Parts = Iterator[tuple[slice, NDArray[np.uint8]]]
#: Tasks for each worker that rows are cut into: a slow one then holds up little.
TASKS_A_WORKER = 4
#: Rows sent with a task, and codes that wait to be put in place, at most.
TASK_BYTES, CODES_BYTES = 2**26, 2**28


def is_dask_array(X: Any) -> bool:
    """Tell whether X is an array of Dask's, without importing Dask."""
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(X, module.Array)


def row_like(X: Any) -> NDArray[Any]:
    """Give a row of zeros, to check by it what can be known of a Dask array.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, ...)

    Returns
    -------
    row : ndarray of shape (1, ...), or (0, ...) if X has no rows

    Raises
    ------
    ValueError
        If a size of X is unknown.
    """
    if np.isnan(X.shape).any():
        raise ValueError(
            f"X is a Dask array of unknown shape {X.shape}: call "
            "X.compute_chunk_sizes() first"
        )
    return np.zeros((*(min(1, n) for n in X.shape[:1]), *X.shape[1:]), X.dtype)


def encode_elsewhere(
    hasher: Any, X: Any, batches: Sequence[slice], n_jobs: int | None
) -> Parts | None:
    """Have rows hashed where they are, or by workers that the caller has chosen.

    Parameters
    ----------
    hasher : BaseHasher
        Fitted; it has checked that the columns are its own.
    X : array of shape (n_samples, ...), or CSR matrix, or Dask array
    batches : sequence of slice
        How this process would hash the rows. So do the others: the last digits of a
        projection depend on the rows beside it.
    n_jobs : int or None
        As in joblib.

    Returns
    -------
    parts : iterator of tuple (rows, packed), or None
        Slices of rows and their codes, ndarrays of dtype uint8. None if it is for this
        process to hash them.
    """
    if is_dask_array(X):
        return _encode_blocks(_without_names(hasher), X, batches)
    if len(batches) == 1 or not (isinstance(X, np.ndarray) or issparse(X)):
        return None
    n_workers = count_workers(n_jobs)
    if n_workers == 1:
        return None
    return _encode_in_workers(_without_names(hasher), X, batches, n_workers, n_jobs)


def _without_names(hasher: Any) -> Any:
    """Forget the columns' names: they have been compared, and parts of X have none."""
    anonymous = object.__new__(type(hasher))
    anonymous.__dict__.update(vars(hasher))
    anonymous.__dict__.pop("feature_names_in_", None)
    return anonymous


def _encode_in_workers(
    hasher: Any, X: Any, batches: Sequence[slice], n_workers: int, n_jobs: int | None
) -> Parts:
    """Send the rows of several batches with each task, and the hasher."""
    nbytes = X.data.nbytes + X.indices.nbytes if issparse(X) else X.nbytes
    most = TASK_BYTES * len(batches) // max(1, nbytes)
    each = max(1, min(most, -(-len(batches) // (TASKS_A_WORKER * n_workers))))
    runs = [batches[run] for run in gen_batches(len(batches), each)]
    parts = [slice(run[0].start, run[-1].stop) for run in runs]

    def rows_of(wave: slice) -> Iterator[tuple[Any, ...]]:
        for rows in parts[wave]:
            yield hasher, X[rows]
            release(X)

    for wave in _waves(parts, hasher):
        codes = call_in_workers(_encode_here, rows_of(wave), n_jobs)
        yield from zip(parts[wave], codes, strict=True)


def _encode_blocks(hasher: Any, X: Any, batches: Sequence[slice]) -> Parts:
    """Hash the blocks of a Dask array, cut anew where batches are cut."""
    import dask

    starts = np.array([rows.start for rows in batches])
    ends = np.cumsum(X.chunks[0])[:-1]
    cuts = np.unique(starts[np.searchsorted(starts, ends, side="right") - 1])
    bounds = [0, *cuts[cuts > 0].tolist(), X.shape[0]]
    parts = [slice(*pair) for pair in pairwise(bounds)]
    whole = dict.fromkeys(range(1, X.ndim), -1)
    blocks = X.rechunk({0: tuple(np.diff(bounds).tolist()), **whole}).to_delayed()
    encode, once = (dask.delayed(it, pure=False) for it in (_encode_here, hasher))
    tasks = [encode(once, block) for block in blocks.ravel()]
    for wave in _waves(parts, hasher):
        yield from zip(parts[wave], dask.compute(*tasks[wave]), strict=True)


def _waves(parts: Sequence[slice], hasher: Any) -> Iterator[slice]:
    """Take so many parts at a time that their codes can wait in memory."""
    n_rows = max(part.stop - part.start for part in parts)
    each = CODES_BYTES // (n_rows * -(-hasher._n_features_out // 8))
    return gen_batches(len(parts), max(1, each))


def _encode_here(hasher: Any, X: Any) -> NDArray[np.uint8]:
    return hasher.encode(X, n_jobs=1).packed
