"""Compiled asymmetric search: sums of table entries, and the nearest codes by them.

All sums have the order that :mod:`._lookup_tables` names, so both give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._numba import jit

#: Gallery bytes that all queries visit before the next ones: they stay in the cache.
TILE_BYTES = np.uint64(2**16)
#: Entries in a byte's table.
ENTRIES = np.uint64(256)

# Loop variables are unsigned: LLVM would handle signed ones as if they could wrap.
ZERO, ONE = np.uint64(0), np.uint64(1)


@jit
def fill_distances(tables: Any, gallery: Any, out: Any) -> None:
    """Write the distances of all pairs.

    Parameters
    ----------
    tables : read-only ndarray of shape (n_queries, n_bytes * 256), dtype float64
    gallery : read-only ndarray of shape (n_gallery, n_bytes), dtype uint8
    out : ndarray of shape (n_queries, n_gallery), dtype float64
    """
    n_gallery, n_bytes = np.uint64(gallery.shape[0]), np.uint64(gallery.shape[1])
    for query in range(np.uint64(len(tables))):
        for item in range(n_gallery):
            distance = tables[query, np.uint64(gallery[item, ZERO])]
            for byte in range(ONE, n_bytes):
                distance += tables[query, byte * ENTRIES + gallery[item, byte]]
            out[query, item] = distance


@jit
def keep_nearest(tables: Any, gallery: Any, distances: Any, positions: Any) -> None:
    """Keep the nearest items of each query, in a heap whose root is the farthest.

    Parameters
    ----------
    tables : read-only ndarray of shape (n_queries, n_bytes * 256), dtype float64
    gallery : read-only ndarray of shape (n_gallery, n_bytes), dtype uint8
    distances : ndarray of shape (n_queries, k), dtype float64
        Infinite to begin with; not sorted in the end.
    positions : ndarray of shape (n_queries, k), dtype int64
        Is written to.
    """
    n_gallery, n_bytes = np.uint64(gallery.shape[0]), np.uint64(gallery.shape[1])
    k = np.uint64(distances.shape[1])
    tile = max(ONE, TILE_BYTES // n_bytes)
    for start in range(ZERO, n_gallery, tile):
        stop = min(n_gallery, start + tile)
        for query in range(np.uint64(len(tables))):
            for item in range(start, stop):
                distance = tables[query, np.uint64(gallery[item, ZERO])]
                for byte in range(ONE, n_bytes):
                    distance += tables[query, byte * ENTRIES + gallery[item, byte]]
                if distance >= distances[query, ZERO]:
                    continue  # the later of two equals is the farther one
                # The new item replaces the root and sinks below what is farther.
                place = ZERO
                while True:
                    child = place + place + ONE
                    if child >= k:
                        break
                    other = child + ONE
                    if other < k:
                        first, second = distances[query, child], distances[query, other]
                        if second > first or (
                            second == first
                            and positions[query, other] > positions[query, child]
                        ):
                            child = other
                    if distances[query, child] <= distance:
                        break
                    distances[query, place] = distances[query, child]
                    positions[query, place] = positions[query, child]
                    place = child
                distances[query, place] = distance
                positions[query, place] = np.int64(item)


@jit
def collect_below(
    tables: Any, gallery: Any, limits: Any, distances: Any, positions: Any, counts: Any
) -> None:
    """Collect all items nearer than a limit, first to last, as far as there is room.

    Parameters
    ----------
    tables : read-only ndarray of shape (n_queries, n_bytes * 256), dtype float64
    gallery : read-only ndarray of shape (n_gallery, n_bytes), dtype uint8
    limits : ndarray of shape (n_queries,), dtype float64
    distances : ndarray of shape (n_queries, room), dtype float64
    positions : ndarray of shape (n_queries, room), dtype int64
        Are written to.
    counts : ndarray of shape (n_queries,), dtype int64
        Zero to begin with; then the number of items found, whether there was room.
    """
    n_gallery, n_bytes = np.uint64(gallery.shape[0]), np.uint64(gallery.shape[1])
    room = np.uint64(distances.shape[1])
    tile = max(ONE, TILE_BYTES // n_bytes)
    for start in range(ZERO, n_gallery, tile):
        stop = min(n_gallery, start + tile)
        for query in range(np.uint64(len(tables))):
            limit, count = limits[query], np.uint64(counts[query])
            for item in range(start, stop):
                distance = tables[query, np.uint64(gallery[item, ZERO])]
                for byte in range(ONE, n_bytes):
                    distance += tables[query, byte * ENTRIES + gallery[item, byte]]
                if distance < limit:
                    if count < room:
                        distances[query, count] = distance
                        positions[query, count] = np.int64(item)
                    count += ONE
            counts[query] = np.int64(count)
