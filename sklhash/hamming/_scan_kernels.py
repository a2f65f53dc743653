"""Compiled scans of a gallery: the nearest codes, and those within a radius.

Tile by tile, the codes that are nearer to a query than a bound are marked: with few
queries by counting bits code by code, with many by bit planes (:mod:`._bit_planes`),
into which a tile is cut first. Marked codes are rare, so what is done with them costs
little.

Kernels get addresses instead of arrays where they call each other: numba counts every
array in and out of every call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._bit_planes import (
    BLOCK,
    add_unit,
    combine_planes,
    nearer_by_counters,
    nearer_in_tile,
    transpose,
)
from ._numba import jit
from ._vectors import (
    load_short,
    load_word,
    lowest_bit,
    nearer_in_rows,
    popcount,
    store_word,
)

#: Bits of a hit that hold its position; the bits above hold its distance.
POSITION_BITS = np.uint64(40)
POSITION_MASK = np.uint64(2**40 - 1)

ZERO, ONE, SEVEN, EIGHT = (np.uint64(x) for x in (0, 1, 7, 8))
WORD_BITS = np.uint64(64)


class Layout(NamedTuple):
    """Sizes, and addresses of what a scan works on, as 64-bit words."""

    n_bytes: np.uint64  #: Bytes of a code.
    n_words: np.uint64  #: Words of a code, the last one filled with zeros.
    n_planes: np.uint64  #: Planes of a word of a tile; 0 if it is not cut.
    n_rows: np.uint64  #: Rows of 64 bytes in a plane.
    n_counters: np.uint64  #: Bits of a distance.
    codes: np.uint64  #: (n_gallery, n_bytes) uint8
    queries: np.uint64  #: (n_queries, n_words)
    places: np.uint64  #: (n_queries, n_words, planes looked up) uint32, in bytes
    bounds: np.uint64  #: (n_queries, n_counters), the bits of bounds as 0 or ~0
    rows: np.uint64  #: (64, 8), workspace
    planes: np.uint64  #: (n_words, n_planes, n_rows, 8), workspace
    counters: np.uint64  #: (n_counters, n_rows, 8), workspace
    masks: np.uint64  #: (n_rows, 8), marks of codes


# Codes


@jit
def word_of(unit: Any, address: Any, n_bytes: Any, w: Any) -> Any:
    """Give word w of the code at an address."""
    if n_bytes <= EIGHT:
        return load_short(unit, address)
    missing = EIGHT * (w + ONE)
    if missing <= n_bytes:
        return load_word(address + EIGHT * w)
    missing -= n_bytes  # read the last eight bytes, to stay within the codes
    return load_word(address + n_bytes - EIGHT) >> (EIGHT * missing)


@jit
def differing_bits(unit: Any, address: Any, n_bytes: Any, query: Any) -> Any:
    """Count the bits in which the code at an address differs from a query's words."""
    total = ZERO
    for w in range((n_bytes + SEVEN) >> np.uint64(3)):
        word = word_of(unit, address, n_bytes, w)
        total += popcount(word ^ load_word(query + EIGHT * w))
    return total


# Tiles


@jit
def cut_tile(unit: Any, at: Any, first: Any, last: Any) -> None:
    """Cut codes first to last of the gallery into the planes of a tile."""
    apart = WORD_BITS * at.n_rows
    planes = at.planes
    for w in range(at.n_words):
        code, address = first, at.codes + first * at.n_bytes
        for r in range(at.n_rows):
            n = min(last - code, np.uint64(BLOCK))
            for i in range(n):
                word = word_of(unit, address, at.n_bytes, w)
                store_word(at.rows + EIGHT * i, word)
                address += at.n_bytes
            for i in range(n, np.uint64(BLOCK)):
                store_word(at.rows + EIGHT * i, ZERO)
            transpose(at.rows)
            combine_planes(unit, at.rows, planes + WORD_BITS * r, apart)
            code += n
        planes += at.n_planes * apart


@jit
def mark_by_planes(unit: Any, at: Any, q: Any) -> Any:
    """Mark the codes of a tile, cut into planes, that are nearer than a query's bound.

    Gives a number that is not 0 if there are any.
    """
    n_places = np.uint64(4 * (8 * len(unit) // 3 * 2 + 8 * len(unit) % 3))  # bytes
    planes, places = at.planes, at.places + n_places * at.n_words * q
    bounds = at.bounds + EIGHT * at.n_counters * q
    if at.n_words == ONE:
        return nearer_in_tile(unit, planes, places, bounds, at.masks, at.n_rows)
    for i in range(EIGHT * at.n_counters * at.n_rows):
        store_word(at.counters + EIGHT * i, ZERO)
    for _ in range(at.n_words):
        add_unit(unit, planes, places, at.counters, at.n_counters, at.n_rows)
        planes += WORD_BITS * at.n_planes * at.n_rows
        places += n_places
    return nearer_by_counters(at.counters, at.n_counters, bounds, at.masks, at.n_rows)


@jit
def mark_by_counts(
    unit: Any, width: Any, at: Any, first: Any, n: Any, q: Any, bound: Any
) -> Any:
    """Mark those of n codes from the first on that are nearer to a query than a bound.

    Gives a number that is not 0 if there are any.
    """
    codes = at.codes + first * at.n_bytes
    query = at.queries + EIGHT * at.n_words * q
    found, done = ZERO, ZERO
    if len(width):
        done = n & ~(WORD_BITS - ONE)
        found = nearer_in_rows(width, codes, query, bound, at.masks, done)
    while done < n:
        mask = ZERO
        for i in range(min(WORD_BITS, n - done)):
            code = codes + (done + i) * at.n_bytes
            if differing_bits(unit, code, at.n_bytes, query) < bound:
                mask |= ONE << i
        store_word(at.masks + (done >> np.uint64(3)), mask)
        found |= mask
        done += WORD_BITS
    return found


@jit
def mark(unit: Any, width: Any, at: Any, first: Any, n: Any, q: Any, bound: Any) -> Any:
    """Mark the codes of a tile that are nearer to a query than its bound."""
    if at.n_planes:
        return mark_by_planes(unit, at, q)
    return mark_by_counts(unit, width, at, first, n, q, bound)


@jit
def place_in_tile(at: Any, j: Any, bit: Any) -> Any:
    """Give the code that a bit of word j of the marks stands for."""
    if at.n_planes:  # word j of a row has every eighth code of a block
        return (j & ~SEVEN) * WORD_BITS + EIGHT * bit + (j & SEVEN)
    return WORD_BITS * j + bit


# Searches


@jit
def nearest(
    unit: Any,
    width: Any,
    at: Any,
    first: Any,
    last: Any,
    k: Any,
    keys: Any,
    n_keys: Any,
    worst: Any,
    below: Any,
    counts: Any,
    bounds: Any,
) -> None:
    """Offer the gallery's codes first to last to the k best hits of every query.

    Codes that are as far as `worst` at the start of a tile are refused: those before
    them have lower positions. Inside a tile hits come in any order, so ties with
    `worst` are kept.

    Parameters
    ----------
    unit, width : tuple
        As many integers as a word, and as a code, has bytes; `width` is empty for
        the longest codes.
    at : Layout
    first, last, k : uint64
    keys : ndarray of shape (n_queries, capacity), dtype uint64
        Hits: ``distance << 40 | position``. There is room for 2 k and two tiles: k
        that are nearer than `worst`, k that are as far, and those of a tile.
    n_keys : ndarray of shape (n_queries,), dtype uint64
    worst : ndarray of shape (n_queries,), dtype uint64
        The k-th smallest distance so far, or a first bound above it.
    below : ndarray of shape (n_queries,), dtype uint64
        Hits that are nearer than `worst`: fewer than k.
    counts : ndarray of shape (n_queries, n_distances), dtype uint32
        Hits by distance.
    bounds : ndarray of shape (n_queries, n_counters), dtype uint64
        The bits of `worst`, lowest first, as 0 or ~0; empty without planes.
    """
    size, begin = np.uint64(BLOCK) * at.n_rows, first
    step = size if at.n_planes else WORD_BITS  # all of the first codes are hits
    while begin < last:
        n = min(step, last - begin)
        if at.n_planes:
            cut_tile(unit, at, begin, begin + n)
        for q in range(np.uint64(len(keys))):
            if not mark(unit, width, at, begin, n, q, worst[q]):
                continue
            far, nearer, m = worst[q], below[q], n_keys[q]
            if m + size > np.uint64(keys.shape[1]):
                kept = ZERO
                for i in range(m):
                    if keys[q, i] >> POSITION_BITS <= far:
                        keys[q, kept] = keys[q, i]
                        kept += ONE
                m = kept
            codes = at.codes + begin * at.n_bytes
            query = at.queries + EIGHT * at.n_words * q
            for j in range(
                (n + WORD_BITS - ONE) // WORD_BITS
                if not at.n_planes
                else EIGHT * at.n_rows
            ):
                mask = load_word(at.masks + EIGHT * j)
                while mask:
                    i = place_in_tile(at, j, lowest_bit(mask))
                    mask &= mask - ONE
                    if i >= n:  # the tile is not full
                        continue
                    code = codes + i * at.n_bytes
                    bits = differing_bits(unit, code, at.n_bytes, query)
                    if bits > far:
                        continue
                    keys[q, m] = bits << POSITION_BITS | (begin + i)
                    m += ONE
                    counts[q, bits] += np.uint32(1)
                    nearer += np.uint64(bits < far)
                    while nearer >= k:
                        far -= ONE
                        nearer -= np.uint64(counts[q, far])
            n_keys[q], below[q] = m, nearer
            if far < worst[q]:
                worst[q] = far
                if at.n_planes:
                    for i in range(at.n_counters):
                        bounds[q, i] = ZERO - ((far >> i) & ONE)
        begin += n
        step = min(np.uint64(2) * step, size)


@jit
def rank(
    k: Any,
    keys: Any,
    n_keys: Any,
    worst: Any,
    counts: Any,
    ranked: Any,
    distances: Any,
    positions: Any,
) -> None:
    """Sort the hits of every query by (distance, position), and give the first k.

    Parameters
    ----------
    k : uint64
    keys, n_keys, worst, counts
        As `nearest` left them; `counts` is used up.
    ranked : ndarray of shape (capacity,), dtype uint64
        Workspace.
    distances : ndarray of shape (n_queries, k), dtype int32
    positions : ndarray of shape (n_queries, k), dtype intp
        Filled.
    """
    for q in range(np.uint64(len(keys))):
        total = np.uint32(0)
        for d in range(worst[q] + ONE):  # where the hits of each distance begin
            n = counts[q, d]
            counts[q, d] = total
            total += n
        for i in range(n_keys[q]):
            key = keys[q, i]
            d = key >> POSITION_BITS
            if d <= worst[q]:
                ranked[counts[q, d]] = key
                counts[q, d] += np.uint32(1)
        for place in range(ONE, np.uint64(total)):  # of a distance, nearly in order
            key, j = ranked[place], np.uint64(place)
            while j and ranked[j - ONE] > key:
                ranked[j] = ranked[j - ONE]
                j -= ONE
            ranked[j] = key
        for i in range(k):
            distances[q, i] = ranked[i] >> POSITION_BITS
            positions[q, i] = ranked[i] & POSITION_MASK


@jit
def nearest_of_few(
    unit: Any,
    width: Any,
    codes: Any,
    n_bytes: Any,
    n_gallery: Any,
    words: Any,
    k: Any,
    n_rows: Any,
) -> tuple[Any, Any]:
    """Find the k nearest codes of a few queries, all in one call.

    What a call from Python takes, and finding cold what it touches, is as long as a
    small search.

    Parameters
    ----------
    unit, width
        As in `nearest`.
    codes : uint64
        Address of the gallery.
    n_bytes, n_gallery, k, n_rows : uint64
        `n_rows` times 512 codes make a tile.
    words : ndarray of shape (n_queries, n_words), dtype uint64

    Returns
    -------
    distances : ndarray of shape (n_queries, k), dtype int32
    positions : ndarray of shape (n_queries, k), dtype int64
    """
    n, n_words, n_bits = len(words), np.uint64(words.shape[1]), EIGHT * n_bytes
    capacity = np.uint64(2) * (k + np.uint64(BLOCK) * n_rows)
    keys, n_keys = np.empty((n, capacity), np.uint64), np.zeros(n, np.uint64)
    worst, below = np.full(n, n_bits + ONE), np.zeros(n, np.uint64)
    counts = np.zeros((n, n_bits + np.uint64(2)), np.uint32)
    bounds, masks = np.empty((0, 0), np.uint64), np.empty(EIGHT * n_rows, np.uint64)
    at = Layout(
        n_bytes,
        n_words,
        ZERO,
        n_rows,
        ZERO,
        codes,
        np.uint64(words.ctypes.data),
        ZERO,
        ZERO,
        ZERO,
        ZERO,
        ZERO,
        np.uint64(masks.ctypes.data),
    )
    state = keys, n_keys, worst, below, counts, bounds
    nearest(unit, width, at, ZERO, n_gallery, k, *state)
    distances = np.empty((n, k), np.int32)
    positions = np.empty((n, k), np.int64)
    ranked = np.empty(capacity, np.uint64)
    rank(k, keys, n_keys, worst, counts, ranked, distances, positions)
    masks[0] = ZERO  # until here numba must not free it: `at` has its address only
    return distances, positions


@jit
def within(
    unit: Any,
    width: Any,
    at: Any,
    first: Any,
    last: Any,
    first_query: Any,
    n_queries: Any,
    bound: Any,
    hits: Any,
) -> tuple[Any, Any, Any]:
    """Collect codes that are nearer to queries than a bound, while there is room.

    Parameters
    ----------
    unit, width, at, first, last
        As in `nearest`.
    first_query : uint64
        Query to begin with in the first tile.
    n_queries, bound : uint64
    hits : ndarray of shape (room, 2), dtype uint64
        Filled: the query, and ``distance << 40 | position``. There is room for a tile.

    Returns
    -------
    n_hits, next_first, next_query : uint64
        Where to go on; all is done where `next_first` is `last`.
    """
    size, m = np.uint64(BLOCK) * at.n_rows, ZERO
    for begin in range(first, last, size):
        n = min(size, last - begin)
        if at.n_planes:
            cut_tile(unit, at, begin, begin + n)
        for q in range(first_query, n_queries):
            if m + size > np.uint64(len(hits)):
                return m, begin, q
            if not mark(unit, width, at, begin, n, q, bound):
                continue
            codes = at.codes + begin * at.n_bytes
            query = at.queries + EIGHT * at.n_words * q
            for j in range(
                (n + WORD_BITS - ONE) // WORD_BITS
                if not at.n_planes
                else EIGHT * at.n_rows
            ):
                mask = load_word(at.masks + EIGHT * j)
                while mask:
                    i = place_in_tile(at, j, lowest_bit(mask))
                    mask &= mask - ONE
                    if i < n:
                        code = codes + i * at.n_bytes
                        bits = differing_bits(unit, code, at.n_bytes, query)
                        hits[m, 0] = q
                        hits[m, 1] = bits << POSITION_BITS | (begin + i)
                        m += ONE
        first_query = ZERO
    return m, last, ZERO
