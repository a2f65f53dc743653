"""Compiled counts of gallery items by distance and class, by bit planes.

Counting pair by pair costs an increment in memory for a pair or two. Here 512 codes are
compared with a query at once, and counted at each distance by one popcount of a mask.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.core.registry import cpu_target

from ._bit_planes import BLOCK, combine_planes, count_in_tile, take_sum, transpose
from ._numba import jit
from ._vectors import has_feature, load_word, store_word

ZERO, ONE, SEVEN, EIGHT = (np.uint64(x) for x in (0, 1, 7, 8))
ALL = ~ZERO
WORD_BITS, TILE = np.uint64(64), np.uint64(BLOCK)


class Layout(NamedTuple):
    """Sizes, and addresses of what counting works on, as 64-bit words."""

    n_codes: np.uint64
    tile_size: np.uint64  #: Bytes of the planes of a tile.
    query_size: np.uint64  #: Bytes of the places of a query.
    codes: np.uint64  #: (n_codes,)
    places: np.uint64  #: (n_queries, planes looked up) uint32, in bytes
    planes: np.uint64  #: (n_tiles, n_planes, 8), workspace
    rows: np.uint64  #: (64, 8), workspace
    masks: np.uint64  #: (2, 8), workspace: all ones, and codes of a tile
    sums: np.uint64  #: (2, n_bits + 1, 8), zeros before and after


def planes_pay() -> bool:
    """Tell whether code is generated for a processor with vectors of popcounts."""
    return has_feature(cpu_target.target_context, "avx512vpopcntdq")


@jit
def cut_tiles(unit: Any, at: Any) -> None:
    """Cut codes into the planes of tiles, the last one filled with zeros."""
    planes = at.planes
    for begin in range(ZERO, at.n_codes, TILE):
        n = min(TILE, at.n_codes - begin)
        for i in range(n):
            store_word(at.rows + EIGHT * i, load_word(at.codes + EIGHT * (begin + i)))
        for i in range(n, TILE):
            store_word(at.rows + EIGHT * i, ZERO)
        transpose(at.rows)
        combine_planes(unit, at.rows, planes, WORD_BITS)
        planes += at.tile_size


@jit
def mark_range(mask: Any, start: Any, stop: Any) -> None:
    """Mark codes start to stop of a tile: code c is bit c // 8 of word c % 8."""
    for word in range(EIGHT):
        below = (start + SEVEN - word) // EIGHT  # codes of this word before `start`
        marks = (ALL << below) if below < WORD_BITS else ZERO
        below = (stop + SEVEN - word) // EIGHT
        if below < WORD_BITS:
            marks &= ~(ALL << below)
        store_word(mask + EIGHT * word, marks)


@jit
def count_by_planes(
    unit: Any, at: Any, counts: Any, first: Any, last: Any
) -> None:
    """Count codes of up to eight bytes by distance and class.

    Parameters
    ----------
    unit : tuple of as many integers as a code has bytes
    at : Layout
        Its codes are sorted by their class.
    counts : ndarray of shape (n_queries, n_bits + 1, 2), dtype int64
        Is added to: codes of other classes, and of the query's.
    first, last : ndarray of shape (n_queries,), dtype uint64
        Codes ``first[i]`` to ``last[i]`` are of the class of query i.
    """
    n_distances = np.uint64(8 * len(unit) + 1)
    cut_tiles(unit, at)
    for word in range(EIGHT):
        store_word(at.masks + EIGHT * word, ALL)
    places = at.places
    for q in range(np.uint64(len(counts))):
        ranges = (
            (ZERO, ZERO, first[q]),
            (ONE, first[q], last[q]),
            (ZERO, last[q], at.n_codes),
        )
        for grade, begin, end in ranges:
            sums = at.sums + grade * n_distances * WORD_BITS
            while begin < end:
                tile, start = begin // TILE, begin % TILE
                n = min(end - begin, TILE - start)
                mask = at.masks
                if n < TILE:
                    mask += WORD_BITS
                    mark_range(mask, start, start + n)
                planes = at.planes + tile * at.tile_size
                count_in_tile(unit, planes, places, mask, sums)
                begin += n
        for grade in range(ONE + np.uint64(first[q] < last[q])):
            sums = at.sums + grade * n_distances * WORD_BITS
            for d in range(np.uint64(counts.shape[1])):
                counts[q, d, grade] += take_sum(sums + WORD_BITS * d)
        places += at.query_size
