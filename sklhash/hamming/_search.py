"""Exact nearest neighbours and radius search, ordered by (distance, position).

Hamming distances are searched by compiled kernels (:mod:`._scan`), where those can be
had and are worth loading; what stands here does the rest, and is what kernels are
tested against. A pair that may be an answer is kept as one integer,

    pair = (query * n_ranks + rank) * n_gallery + position,

where the rank stands for the distance (see :mod:`._code_metrics`), so that sorting
pairs sorts the answers of every query by (distance, position).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ._blocks import (
    Packed,
    gallery_blocks,
    query_batches,
)
from ._checks import check_codes, check_k, check_radius
from ._code_metrics import EVERY_QUERY, CodeMetric, bind_metric
from ._numba import kernels_pay

Pairs = NDArray[np.int64]

#: Gallery codes in a block for each neighbour wanted, at least.
BLOCK_WIDTH = 16
#: Pairs of codes in one block, at most about, however many neighbours are wanted.
MAX_BLOCK_PAIRS = 2**22
#: Hits for each neighbour wanted from which selecting is cheaper than sorting all.
CROWDED = 4


class _PairCodec(NamedTuple):
    """How (query, rank, position) become one integer and back."""

    n_ranks: int
    n_gallery: int

    @property
    def max_queries(self) -> int:
        """Queries whose pairs fit 64 bits."""
        return (2**63 - 1) // (self.n_ranks * self.n_gallery)

    def encode(self, query: Any, rank: Any, position: Any) -> Pairs:
        pair = np.multiply(query, self.n_ranks, dtype=np.int64)
        pair += rank
        pair *= self.n_gallery
        pair += position
        return pair

    def decode(self, pairs: Pairs) -> tuple[Pairs, Pairs, Pairs]:
        pairs, position = np.divmod(pairs, self.n_gallery)
        query, rank = np.divmod(pairs, self.n_ranks)
        return query, rank, position


def top_k(
    queries: Packed,
    gallery: Packed,
    k: int,
    *,
    metric: str = "hamming",
    n_jobs: int | None = None,
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Find the k nearest gallery codes of every query.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    k : int
        1 to n_gallery.
    metric : {'hamming', 'spherical'}, default='hamming'
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    distances : ndarray of shape (n_queries, k), dtype int32 or float64
        Ascending; in bits (int32), or spherical (float64).
    positions : ndarray of shape (n_queries, k), dtype intp
        Equal distances are ordered by position.

    Raises
    ------
    ValueError
        If these are no packed codes of one length, or `k` exceeds the gallery.

    Examples
    --------
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import top_k
    >>> gallery = PackedCodes.from_codes([[0, 0, 1], [0, 1, 1], [1, 1, 1]])
    >>> query = PackedCodes.from_codes([[1, 1, 1]])
    >>> top_k(query.packed, gallery.packed, 2)
    (array([[0, 1]], dtype=int32), array([[2, 1]]))
    """
    check_codes(queries, gallery)
    check_k(k, len(gallery))
    if metric == "hamming" and _by_kernels(queries, gallery):
        from ._scan import top_k as compiled

        return compiled(queries, gallery, k, n_jobs)
    bound = bind_metric(metric, queries, gallery)
    size = max(1, MAX_BLOCK_PAIRS // (BLOCK_WIDTH * k))
    size = min(size, _codec(bound, gallery).max_queries)
    parts = Parallel(n_jobs, require="sharedmem")(
        delayed(_top_k_batch)(queries[rows], gallery, bound.of_queries(rows), k)
        for rows in query_batches(len(queries), size)
    )
    found, positions = zip(*parts, strict=True)
    return np.vstack(found), np.vstack(positions)


def within_radius(
    queries: Packed,
    gallery: Packed,
    radius: float,
    *,
    metric: str = "hamming",
    n_jobs: int | None = None,
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
    """Find all gallery codes at most `radius` away.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    radius : int or float
        Inclusive; in bits, or a spherical distance.
    metric : {'hamming', 'spherical'}, default='hamming'
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    indptr : ndarray of shape (n_queries + 1,), dtype intp
        The answers of query i stand at ``indptr[i]:indptr[i + 1]``.
    distances : ndarray of shape (n_found,), dtype int32 or float64
        Ascending for each query; in bits (int32), or spherical (float64).
    positions : ndarray of shape (n_found,), dtype intp
        Equal distances are ordered by position.

    Raises
    ------
    ValueError
        If these are no packed codes of one length.

    Examples
    --------
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import within_radius
    >>> gallery = PackedCodes.from_codes([[0, 0, 1], [0, 1, 1], [1, 1, 1]])
    >>> queries = PackedCodes.from_codes([[1, 1, 1], [0, 0, 0]])
    >>> indptr, distances, positions = within_radius(queries.packed, gallery.packed, 1)
    >>> positions[indptr[0] : indptr[1]], positions[indptr[1] : indptr[2]]
    (array([2, 1]), array([0]))
    """
    check_codes(queries, gallery)
    check_radius(radius)
    if metric == "hamming" and _by_kernels(queries, gallery):
        from ._scan import within_radius as compiled

        return compiled(queries, gallery, radius, n_jobs)
    bound = bind_metric(metric, queries, gallery)
    parts = Parallel(n_jobs, require="sharedmem")(
        delayed(_within_radius_batch)(
            queries[rows], gallery, bound.of_queries(rows), radius
        )
        for rows in query_batches(len(queries), _codec(bound, gallery).max_queries)
    )
    counts, found, positions = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    return indptr, found, positions


def _by_kernels(queries: Packed, gallery: Packed) -> bool:
    n_bytes = gallery.shape[1]
    return kernels_pay(len(queries), len(gallery), -(-n_bytes // 8), n_bytes)


def _top_k_batch(
    queries: Packed, gallery: Packed, metric: CodeMetric, k: int
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    n_queries, codec = len(queries), _codec(metric, gallery)
    best = np.empty((n_queries, 0), np.int64)  # after the first block: k a query
    limit: Any = np.inf  # the key of the k-th best so far
    # `_merge` needs k codes in the first block; more of them amortise its sorting.
    for columns, bits in gallery_blocks(queries, gallery, min_width=BLOCK_WIDTH * k):
        keys = metric.keys(bits, EVERY_QUERY, columns)
        # Later positions lose ties, so only smaller distances can enter.
        hits = keys < limit
        if np.count_nonzero(hits) > CROWDED * n_queries * k:
            hits &= keys <= _kth_smallest(keys, k)
        pairs, query = _encode(hits, bits, columns, codec, metric)
        best = _merge(best, pairs, query, k)
        limit = metric.keys(*_decode(best[:, -1:], codec, metric)).astype(keys.dtype)
    bits, query, position = _decode(best, codec, metric)
    distances = metric.distances(bits, query, position)
    return distances.astype(metric.dtype, copy=False), position.astype(np.intp)


def _merge(best: Pairs, pairs: Pairs, query: NDArray[np.intp], k: int) -> Pairs:
    """Merge new pairs into the best ones and keep the k smallest of every query."""
    n_queries, n_best = best.shape
    merged = np.sort(np.concatenate([best.ravel(), pairs]))
    counts = n_best + np.bincount(query, minlength=n_queries)
    starts = np.cumsum(counts) - counts
    return merged[starts[:, None] + np.arange(k)]


def _kth_smallest(keys: NDArray[Any], k: int) -> NDArray[Any]:
    kth = min(k, keys.shape[1]) - 1
    return np.partition(keys, kth, axis=1)[:, kth, None]


def _within_radius_batch(
    queries: Packed, gallery: Packed, metric: CodeMetric, radius: float
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
    codec, limit = _codec(metric, gallery), metric.largest_key(radius)
    parts = []
    for columns, bits in gallery_blocks(queries, gallery):
        hits = metric.keys(bits, EVERY_QUERY, columns) <= limit
        parts.append(_encode(hits, bits, columns, codec, metric)[0])
    pairs = np.sort(np.concatenate(parts))
    bits, query, position = _decode(pairs, codec, metric)
    counts = np.bincount(query, minlength=len(queries))
    distances = metric.distances(bits, query, position)
    return counts, distances.astype(metric.dtype, copy=False), position.astype(np.intp)


def _codec(metric: CodeMetric, gallery: Packed) -> _PairCodec:
    return _PairCodec(metric.n_ranks, max(1, len(gallery)))


def _encode(
    hits: NDArray[np.bool_],
    bits: NDArray[Any],
    columns: slice,
    codec: _PairCodec,
    metric: CodeMetric,
) -> tuple[Pairs, NDArray[np.intp]]:
    """Give the hits of a block as pairs, and the query of each."""
    query, column = np.nonzero(hits)
    position = column + columns.start
    rank = metric.ranks(bits[query, column], query, position)
    return codec.encode(query, rank, position), query


def _decode(
    pairs: Pairs, codec: _PairCodec, metric: CodeMetric
) -> tuple[NDArray[Any], Pairs, Pairs]:
    """Give differing bits, query and position of each pair."""
    query, rank, position = codec.decode(pairs)
    return metric.bits(rank, query, position), query, position
