"""Asymmetric search: real-valued projections of queries against bits of a gallery.

Distances are those of :mod:`._lookup_tables`; answers are ordered by (distance,
position), the same whatever the blocks, the number of jobs, and with or without numba.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from . import _threads
from ._blocks import Packed
from ._checks import check_k, check_radius
from ._cuts import cut
from ._lookup_tables import (
    Projections,
    Tables,
    block_by_kernel,
    check_projections,
    distance_blocks,
    for_kernel,
    lookup_tables,
    query_batches,
)
from ._merge import merge_nearest, smallest
from ._numba import kernels_pay

#: Gallery codes from which one query is searched for by several threads.
SHARD_SIZE = 2**15
#: Neighbours from which a sample of one in so many items tells where to look.
MANY_NEIGHBORS, SAMPLING = 256, 16
#: Gallery codes in a block for each neighbour wanted, at least, without kernels.
BLOCK_WIDTH = 4


def asymmetric_top_k(
    projections: Projections, gallery: Packed, k: int, *, n_jobs: int | None = None
) -> tuple[Projections, NDArray[np.intp]]:
    """Find the k nearest gallery codes of every query.

    Parameters
    ----------
    projections : ndarray of shape (n_queries, n_bits), dtype float64
    gallery : ndarray of shape (n_gallery, ceil(n_bits / 8)), dtype uint8
    k : int
        1 to n_gallery.
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    distances : ndarray of shape (n_queries, k), dtype float64
        Ascending; in the unit of the projections.
    positions : ndarray of shape (n_queries, k), dtype intp
        Equal distances are ordered by position.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import asymmetric_top_k
    >>> gallery = PackedCodes.from_codes([[0, 1], [1, 0]])
    >>> asymmetric_top_k(np.array([[0.9, 0.2]]), gallery.packed, 1)
    (array([[0.2]]), array([[1]]))
    """
    check_projections(projections, gallery)
    check_k(k, len(gallery))
    compiled = kernels_pay(len(projections), len(gallery), gallery.shape[1])
    search = _nearest_by_kernel if compiled else _nearest
    threads = _threads.n_threads(n_jobs)
    batches = query_batches(len(projections), gallery.shape[1], threads, k)
    shards = _shards(len(gallery), k, threads // len(batches))
    parts = _threads.run(
        [
            partial(search, projections[rows], gallery[columns], k)
            for rows in batches
            for columns in shards
        ],
        n_jobs,
    )
    if len(shards) > 1:
        parts = [
            _merge_shards(parts[start : start + len(shards)], shards, k)
            for start in range(0, len(parts), len(shards))
        ]
    distances, positions = zip(*parts, strict=True)
    return np.vstack(distances), np.vstack(positions)


def asymmetric_within_radius(
    projections: Projections,
    gallery: Packed,
    radius: float,
    *,
    n_jobs: int | None = None,
) -> tuple[NDArray[np.intp], Projections, NDArray[np.intp]]:
    """Find all gallery codes at most `radius` away.

    Parameters
    ----------
    projections : ndarray of shape (n_queries, n_bits), dtype float64
    gallery : ndarray of shape (n_gallery, ceil(n_bits / 8)), dtype uint8
    radius : float
        Inclusive; in the unit of the projections.
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    indptr : ndarray of shape (n_queries + 1,), dtype intp
        The answers of query i stand at ``indptr[i]:indptr[i + 1]``.
    distances : ndarray of shape (n_found,), dtype float64
        Ascending for each query.
    positions : ndarray of shape (n_found,), dtype intp
        Equal distances are ordered by position.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import asymmetric_within_radius
    >>> gallery = PackedCodes.from_codes([[0, 1], [1, 0]])
    >>> asymmetric_within_radius(np.array([[0.9, 0.2]]), gallery.packed, 0.5)
    (array([0, 1]), array([0.2]), array([1]))
    """
    check_projections(projections, gallery)
    check_radius(radius)
    compiled = kernels_pay(len(projections), len(gallery), gallery.shape[1])
    threads = _threads.n_threads(n_jobs)
    batches = query_batches(len(projections), gallery.shape[1], threads)
    parts = _threads.run(
        [
            partial(_within_radius, projections[rows], gallery, radius, compiled)
            for rows in batches
        ],
        n_jobs,
    )
    counts, found, positions = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    return indptr, found, positions


def _shards(n_gallery: int, k: int, threads: int) -> list[slice]:
    """Cut the gallery for the threads that search for one batch of queries."""
    n_shards = min(threads, n_gallery // SHARD_SIZE)
    if n_shards <= 1 or k > SHARD_SIZE:
        return [slice(0, n_gallery)]
    return cut(n_gallery, -(-n_gallery // n_shards))


def _merge_shards(
    parts: list[tuple[Projections, NDArray[np.intp]]], shards: list[slice], k: int
) -> tuple[Projections, NDArray[np.intp]]:
    distances, positions = zip(*parts, strict=True)
    placed = [p + shard.start for p, shard in zip(positions, shards, strict=True)]
    return merge_nearest(distances, placed, k)


def _nearest_by_kernel(
    projections: Projections, gallery: Packed, k: int
) -> tuple[Projections, NDArray[np.intp]]:
    k = min(k, len(gallery))
    tables = lookup_tables(projections)
    tables = tables.reshape(len(tables), 256 * gallery.shape[1])
    limits = _sampled_limits(tables, gallery, k) if k >= MANY_NEIGHBORS else None
    if limits is None:
        return _nearest_by_heap(tables, gallery, k)
    return _nearest_below(tables, gallery, k, *limits)


def _nearest_by_heap(
    tables: Tables, gallery: Packed, k: int
) -> tuple[Projections, NDArray[np.intp]]:
    from ._asymmetric_kernels import keep_nearest

    distances = np.full((len(tables), k), np.inf)
    positions = np.zeros((len(tables), k), np.int64)
    keep_nearest(for_kernel(tables), for_kernel(gallery), distances, positions)
    return smallest(distances, positions.astype(np.intp, copy=False), k)


def _sampled_limits(
    tables: Tables, gallery: Packed, k: int
) -> tuple[Projections, int] | None:
    """Guess from a sample what distance a few more than k items stay below.

    Returns
    -------
    limits : ndarray of shape (n_queries,), dtype float64
    expected : int
        Items that stay below, about; or None if the sample is too small to tell.
    """
    sample = gallery[::SAMPLING]
    hits = k / SAMPLING
    rank = int(hits + 3 * np.sqrt(hits) + 3)
    if rank >= len(sample) // 2:
        return None
    distances = block_by_kernel(tables, sample)
    return np.partition(distances, rank, axis=1)[:, rank], SAMPLING * rank


def _nearest_below(
    tables: Tables, gallery: Packed, k: int, limits: Projections, expected: int
) -> tuple[Projections, NDArray[np.intp]]:
    """Select from what lies below the limits; where they were bad guesses, search."""
    from ._asymmetric_kernels import collect_below

    shape = len(tables), 2 * expected
    distances, positions = np.full(shape, np.inf), np.zeros(shape, np.int64)
    counts = np.zeros(len(tables), np.int64)
    arrays = for_kernel(tables), for_kernel(gallery), limits
    collect_below(*arrays, distances, positions, counts)
    found = smallest(distances, positions.astype(np.intp, copy=False), k)
    bad = (counts < k) | (counts > shape[1])
    if bad.any():
        for part, again in zip(
            found, _nearest_by_heap(tables[bad], gallery, k), strict=True
        ):
            part[bad] = again
    return found


def _nearest(
    projections: Projections, gallery: Packed, k: int
) -> tuple[Projections, NDArray[np.intp]]:
    n_queries, k = len(projections), min(k, len(gallery))
    best = np.empty((n_queries, 0)), np.empty((n_queries, 0), np.intp)
    tables, width = lookup_tables(projections), BLOCK_WIDTH * k
    for columns, block in distance_blocks(tables, gallery, False, width):
        # Later positions lose ties, so only smaller distances can enter.
        limit = best[0][:, -1:] if best[0].size else np.inf
        hits = block < limit
        if np.count_nonzero(hits) > BLOCK_WIDTH * n_queries * k:
            kth = min(k, block.shape[1]) - 1
            hits &= block <= np.partition(block, kth, axis=1)[:, kth, None]
        best = _merge_hits(best, block, hits, columns.start, k)
    return best


def _merge_hits(
    best: tuple[Projections, NDArray[np.intp]],
    block: Projections,
    hits: NDArray[np.bool_],
    first: int,
    k: int,
) -> tuple[Projections, NDArray[np.intp]]:
    """Merge the hits of a block into the best ones and keep k of every query."""
    n_queries, n_best = best[0].shape
    query, column = np.nonzero(hits)
    queries = np.concatenate([np.repeat(np.arange(n_queries), n_best), query])
    distances = np.concatenate([best[0].ravel(), block[query, column]])
    positions = np.concatenate([best[1].ravel(), column + first])
    order = np.lexsort((positions, distances, queries))
    counts = n_best + np.bincount(query, minlength=n_queries)
    kept = order[(counts.cumsum() - counts)[:, None] + np.arange(k)]
    return distances[kept], positions[kept]


def _within_radius(
    projections: Projections, gallery: Packed, radius: float, compiled: bool
) -> tuple[NDArray[np.intp], Projections, NDArray[np.intp]]:
    found = []
    tables = lookup_tables(projections)
    for columns, block in distance_blocks(tables, gallery, compiled):
        query, column = np.nonzero(block <= radius)
        found.append((query, block[query, column], column + columns.start))
    query, distance, position = (np.concatenate(x) for x in zip(*found, strict=True))
    order = np.lexsort((position, distance, query))
    counts = np.bincount(query, minlength=len(projections))
    return counts, distance[order], position[order]
