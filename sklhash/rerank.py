"""Exact order of shortlists by raw rows, which codes stand for only roughly.

All sums are in double precision and have a fixed order: the second half of the terms is
added to the first, until one is left. So a distance depends neither on the other pairs
nor on jobs, nor on whether numba is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from .hamming import _threads
from .hamming._cuts import cut
from .hamming._merge import smallest
from .hamming._numba import kernels_pay
from .raw_rows import RawRows

#: Distances between raw rows that a shortlist can be ordered by.
RERANKS = ("cosine", "euclidean")
#: Pairs of query and candidate whose distances are kept at once.
BLOCK_CANDIDATES = 2**20
#: Values of rows that are compared at once: 2 MB of them.
BLOCK_VALUES = 2**18


def rerank_blocks(
    shortlist: Callable[[slice], NDArray[np.intp]],
    n_candidates: int,
    queries: RawRows,
    gallery: RawRows,
    k: int,
    *,
    metric: str,
    n_jobs: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Find and order shortlists, those of some queries after those of others.

    Parameters
    ----------
    shortlist : callable
        Gives the shortlists of a slice of the queries.
    n_candidates : int
        Their length.
    queries, gallery, k, metric, n_jobs
        As in :func:`rerank`.

    Returns
    -------
    distances, positions
        As from :func:`rerank`.
    """
    if metric not in RERANKS:
        raise ValueError(f"rerank must be one of {', '.join(RERANKS)}; got {metric!r}")
    size = max(1, BLOCK_CANDIDATES // n_candidates)
    found = [
        rerank(queries, batch.start, gallery, shortlist(batch), k, metric, n_jobs)
        for batch in cut(queries.n_samples, size)
    ]
    distances, positions = zip(*found, strict=True)
    return np.vstack(distances), np.vstack(positions)


def rerank(
    queries: RawRows,
    first: int,
    gallery: RawRows,
    shortlists: NDArray[np.intp],
    k: int,
    metric: str,
    n_jobs: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Order shortlists by the distances of raw rows, and keep the nearest ones.

    Parameters
    ----------
    queries : RawRows
    first : int
        Place of the row that the first shortlist belongs to.
    gallery : RawRows
    shortlists : ndarray of shape (n_shortlists, n_candidates), dtype intp
        Positions in the gallery.
    k : int
        1 to n_candidates.
    metric : {'cosine', 'euclidean'}
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    distances : ndarray of shape (n_shortlists, k), dtype float64
        Ascending.
    positions : ndarray of shape (n_shortlists, k), dtype intp
        Equal distances are ordered by position.
    """
    n_pairs = shortlists.size
    compiled = kernels_pay(1, n_pairs, gallery.n_features) and not gallery.is_sparse
    distances = np.empty(shortlists.shape)
    compare = partial(
        _compare, queries, first, gallery, shortlists, metric, compiled, distances
    )
    size = max(1, BLOCK_VALUES // gallery.pair_size)
    tasks = [partial(compare, pairs) for pairs in cut(n_pairs, size)]
    _threads.run(tasks, n_jobs)
    for rows in (queries, gallery):
        rows.release()
    return smallest(distances, shortlists, k)


def _compare(
    queries: RawRows,
    first: int,
    gallery: RawRows,
    shortlists: NDArray[np.intp],
    metric: str,
    compiled: bool,
    distances: NDArray[np.float64],
    pairs: slice,
) -> None:
    """Fill in the distances of some pairs of query and candidate."""
    owner = np.arange(pairs.start, pairs.stop) // shortlists.shape[1]
    batch = queries.take(first + np.arange(owner[0], owner[-1] + 1))
    owner -= owner[0]
    positions, out = shortlists.reshape(-1)[pairs], distances.reshape(-1)[pairs]
    direct = compiled and len(gallery.parts) == 1 and _suits_kernel(gallery.parts[0])
    rows = gallery.parts[0] if direct else gallery.take(positions)
    if issparse(batch) != issparse(rows):
        batch = csr_array(batch) if issparse(rows) else batch.toarray()
    if not compiled:
        out[:] = pair_distances(batch, owner, rows, metric)
        return
    if not direct:
        positions = np.arange(len(positions))
    _fill_by_kernel(batch, owner, rows, positions, metric, out)


def pair_distances(
    queries: Any, owner: NDArray[np.intp], rows: Any, metric: str
) -> NDArray[np.float64]:
    """Distance of each row to the query that it belongs to.

    Parameters
    ----------
    queries : {ndarray, CSR array} of shape (n_queries, n_features), dtype float64
    owner : ndarray of shape (n_rows,), dtype intp
        Place of each row's query.
    rows : like `queries`, of shape (n_rows, n_features)
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    distances : ndarray of shape (n_rows,), dtype float64
        Euclidean: the length of the difference. Cosine: half the squared length of the
        difference of the rows scaled to length 1, which is one minus the cosine and
        exactly 0 for equal rows; 1 where a row is zero.
    """
    if metric == "euclidean":
        return np.sqrt(_sums_of_squares(rows - queries[owner]))
    inverse, own_inverse = _inverse_norms(rows), _inverse_norms(queries)
    difference = _scale(rows, inverse) - _scale(queries, own_inverse)[owner]
    distances = _sums_of_squares(difference) / 2
    distances[(inverse == 0) | (own_inverse[owner] == 0)] = 1
    return distances


def _fill_by_kernel(
    queries: NDArray[np.float64],
    owner: NDArray[np.intp],
    rows: NDArray[Any],
    positions: NDArray[np.intp],
    metric: str,
    out: NDArray[np.float64],
) -> None:
    from ._rerank_kernels import fill_cosine, fill_euclidean

    rows, terms = rows.view(np.ndarray), np.empty(rows.shape[1])
    rows.flags.writeable = False  # one type to compile for, mapped or not
    pairs = owner.astype(np.int64), positions.astype(np.int64)
    if metric == "euclidean":
        fill_euclidean(queries, rows, *pairs, terms, out)
        return
    inverse = _inverse_norms(queries)
    fill_cosine(_scale(queries, inverse), inverse, rows, *pairs, terms, out)


def _suits_kernel(rows: Any) -> bool:
    suits = isinstance(rows, np.ndarray) and rows.flags.c_contiguous
    return suits and rows.dtype in (np.float32, np.float64) and rows.dtype.isnative


def _scale(rows: Any, factor: NDArray[np.float64]) -> Any:
    if issparse(rows):
        return rows.multiply(factor[:, None]).tocsr()
    return rows * factor[:, None]


def _inverse_norms(rows: Any) -> NDArray[np.float64]:
    """Give 1 / length of each row; 0 for a zero row."""
    norms = np.sqrt(_sums_of_squares(rows))
    return np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)


def _sums_of_squares(rows: Any) -> NDArray[np.float64]:
    if issparse(rows):
        return rows.multiply(rows).sum(axis=1)
    terms, left = np.square(rows), rows.shape[1]
    while left > 1:
        half = (left + 1) // 2
        terms[:, : left - half] += terms[:, half:left]
        left = half
    return terms[:, 0]
