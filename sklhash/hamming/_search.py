"""Exact nearest neighbours and radius search, ordered by (distance, position).

A pair that may be an answer is kept as one integer,

    key = (query * (max_distance + 1) + distance) * n_gallery + position,

so that sorting keys sorts the answers of every query by (distance, position).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ._blocks import Packed, gallery_blocks, query_batches

Keys = NDArray[np.int64]

#: Gallery codes in a block for each neighbour wanted, at least.
BLOCK_WIDTH = 16
#: Pairs of codes in one block, at most about, however many neighbours are wanted.
MAX_BLOCK_PAIRS = 2**22
#: Hits for each neighbour wanted from which selecting is cheaper than sorting all.
CROWDED = 4


class _KeyCodec(NamedTuple):
    """How (query, distance, position) become one integer and back."""

    n_distances: int
    n_gallery: int

    def encode(self, query: Any, distance: Any, position: Any) -> Keys:
        key = np.multiply(query, self.n_distances, dtype=np.int64)
        key += distance
        key *= self.n_gallery
        key += position
        return key

    def decode(self, keys: Keys) -> tuple[Keys, Keys, Keys]:
        keys, position = np.divmod(keys, self.n_gallery)
        query, distance = np.divmod(keys, self.n_distances)
        return query, distance, position


def top_k(
    queries: Packed, gallery: Packed, k: int, *, n_jobs: int | None = None
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Find the k nearest gallery codes of every query.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    k : int
        1 to n_gallery.
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    distances : ndarray of shape (n_queries, k), dtype int32
        In bits, ascending.
    positions : ndarray of shape (n_queries, k), dtype intp
        Equal distances are ordered by position.
    """
    size = max(1, MAX_BLOCK_PAIRS // (BLOCK_WIDTH * k))
    parts = Parallel(n_jobs, require="sharedmem")(
        delayed(_top_k_batch)(queries[rows], gallery, k)
        for rows in query_batches(len(queries), size)
    )
    found, positions = zip(*parts, strict=True)
    return np.vstack(found), np.vstack(positions)


def within_radius(
    queries: Packed, gallery: Packed, radius: int, *, n_jobs: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.intp]]:
    """Find all gallery codes at most `radius` bits away.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    radius : int
        In bits, inclusive.
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    indptr : ndarray of shape (n_queries + 1,), dtype intp
        The answers of query i stand at ``indptr[i]:indptr[i + 1]``.
    distances : ndarray of shape (n_found,), dtype int32
        In bits, ascending for each query.
    positions : ndarray of shape (n_found,), dtype intp
        Equal distances are ordered by position.
    """
    parts = Parallel(n_jobs, require="sharedmem")(
        delayed(_within_radius_batch)(queries[rows], gallery, radius)
        for rows in query_batches(len(queries))
    )
    counts, found, positions = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    return indptr, found, positions


def _top_k_batch(
    queries: Packed, gallery: Packed, k: int
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    n_queries, codec = len(queries), _codec(queries, gallery)
    best = np.empty((n_queries, 0), np.int64)  # after the first block: k a query
    bound = np.full((n_queries, 1), codec.n_distances)  # the k-th best so far
    # `_merge` needs k codes in the first block; more of them amortise its sorting.
    for columns, block in gallery_blocks(queries, gallery, min_width=BLOCK_WIDTH * k):
        # Later positions lose ties, so only smaller distances can enter.
        hits = block < bound
        if np.count_nonzero(hits) > CROWDED * n_queries * k:
            hits &= block <= _kth_smallest(block, k)
        query, column = np.nonzero(hits)
        keys = codec.encode(query, block[query, column], column + columns.start)
        best = _merge(best, keys, query, k)
        bound = codec.decode(best[:, -1:])[1]
    _, distances, positions = codec.decode(best)
    return distances.astype(np.int32), positions.astype(np.intp)


def _merge(best: Keys, keys: Keys, query: NDArray[np.intp], k: int) -> Keys:
    """Merge new keys into the best ones and keep the k smallest of every query."""
    n_queries, n_best = best.shape
    merged = np.sort(np.concatenate([best.ravel(), keys]))
    counts = n_best + np.bincount(query, minlength=n_queries)
    starts = np.cumsum(counts) - counts
    return merged[starts[:, None] + np.arange(k)]


def _kth_smallest(block: NDArray[Any], k: int) -> NDArray[Any]:
    kth = min(k, block.shape[1]) - 1
    return np.partition(block, kth, axis=1)[:, kth, None]


def _within_radius_batch(
    queries: Packed, gallery: Packed, radius: int
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.intp]]:
    codec = _codec(queries, gallery)
    parts = []
    for columns, block in gallery_blocks(queries, gallery):
        query, column = np.nonzero(block <= radius)
        parts.append(codec.encode(query, block[query, column], column + columns.start))
    query, distances, positions = codec.decode(np.sort(np.concatenate(parts)))
    counts = np.bincount(query, minlength=len(queries))
    return counts, distances.astype(np.int32), positions.astype(np.intp)


def _codec(queries: Packed, gallery: Packed) -> _KeyCodec:
    return _KeyCodec(8 * queries.shape[1] + 1, len(gallery))
