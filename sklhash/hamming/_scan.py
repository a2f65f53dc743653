"""Compiled top-k and radius search: cuts the work and prepares what kernels work on."""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._blocks import Packed, padded_words
from ._merge import merge_nearest
from ._threads import n_threads, run

Words = NDArray[np.uint64]
Neighbors = tuple[NDArray[np.int32], NDArray[np.intp]]

#: Queries from which cutting the gallery into bit planes pays.
MANY_QUERIES = 12
#: Queries that visit the gallery together, at most, and hits kept for them, about.
MAX_QUERIES, MAX_KEYS = 1024, 2**21
#: Words compared from which several threads pay.
THREADED_WORDS = 2**21
#: Bytes of a tile's planes, about: they stay in a core's nearest cache.
TILE_BYTES = 2**15
#: Bytes of the longest codes whose comparison is written out word by word.
MAX_WIDTH = 128
#: Times 512 codes are a tile of a search for few queries.
FEW_ROWS = np.uint64(4)
#: Codes that give a first bound, for each neighbour wanted and at least.
FIRST_CODES, MIN_FIRST_CODES = 4, 128
#: Neighbours from which a sample of the gallery gives a better one, and its share.
SAMPLED_NEIGHBORS, SAMPLE = 32, 64
#: Hits that a radius search keeps until they are sorted.
ROOM = 2**17

_NOTHING = np.empty((0, 0), np.uint64)


class Geometry(NamedTuple):
    """What the kernels need to know of codes of some width."""

    unit: tuple[int, ...]  # as long as a word of them, in bytes
    width: tuple[int, ...]  # as long as a code, if that is not too long
    sizes: tuple[int, ...]  # n_bytes, n_words, n_planes, n_rows, n_counters
    spaces: tuple[int, ...]  # words of workspace: rows, planes, counters, masks


class Work(NamedTuple):
    """What the kernels work on."""

    kinds: tuple[Any, Any, Any]  # unit, width, layout
    bounds: Words
    kept: tuple[Any, ...]  # the layout has the addresses of these


def top_k(queries: Packed, gallery: Packed, k: int, n_jobs: int | None) -> Neighbors:
    """Find the k nearest codes, as :func:`sklhash.hamming.top_k` does.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    k : int
    n_jobs : int or None

    Returns
    -------
    distances : ndarray of shape (n_queries, k), dtype int32
    positions : ndarray of shape (n_queries, k), dtype intp
    """
    queries, gallery = np.ascontiguousarray(queries), np.ascontiguousarray(gallery)
    words = len(queries) * len(gallery) * -(-gallery.shape[1] // 8)
    if len(queries) < MANY_QUERIES and words < THREADED_WORDS:
        return _top_k_of(queries, gallery, k)
    batches, shards = _cut(queries, gallery, n_jobs, least=k, most=MAX_KEYS // (2 * k))
    tasks = [
        partial(_top_k_of, queries[rows], gallery[shard], k)
        for rows in batches
        for shard in shards
    ]
    parts = run(tasks, n_jobs)
    if len(shards) > 1:
        n = len(shards)
        parts = [_merge(parts[i : i + n], shards, k) for i in range(0, len(parts), n)]
    if len(parts) == 1:
        return parts[0]
    distances, positions = zip(*parts, strict=True)
    return np.concatenate(distances), np.concatenate(positions)


def within_radius(
    queries: Packed, gallery: Packed, radius: float, n_jobs: int | None
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.intp]]:
    """Find all codes within a radius, as :func:`sklhash.hamming.within_radius` does.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    radius : int or float
    n_jobs : int or None

    Returns
    -------
    indptr : ndarray of shape (n_queries + 1,), dtype intp
    distances : ndarray of shape (n_found,), dtype int32
    positions : ndarray of shape (n_found,), dtype intp
    """
    queries, gallery = np.ascontiguousarray(queries), np.ascontiguousarray(gallery)
    batches, shards = _cut(queries, gallery, n_jobs, least=1, most=MAX_QUERIES)
    tasks = [
        partial(
            _hits_of, queries[rows], gallery[shard], radius, rows.start, shard.start
        )
        for rows in batches
        for shard in shards
    ]
    hits = np.concatenate(run(tasks, n_jobs))
    # Sorted by query, then by distance and position, which are one number.
    hits = hits[np.lexsort((hits[:, 1], hits[:, 0]))]
    counts = np.bincount(hits[:, 0].astype(np.intp), minlength=len(queries))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    return indptr, *_split_keys(hits[:, 1])


def _merge(parts: list[Neighbors], shards: list[slice], k: int) -> Neighbors:
    distances = [found for found, _ in parts]
    pairs = zip(parts, shards, strict=True)
    return merge_nearest(distances, [p + shard.start for (_, p), shard in pairs], k)


def _cut(
    queries: Packed, gallery: Packed, n_jobs: int | None, least: int, most: int
) -> tuple[list[slice], list[slice]]:
    """Cut the queries into batches, or the gallery into shards if they are few."""
    n, n_gallery = len(queries), len(gallery)
    words = n * n_gallery * -(-gallery.shape[1] // 8)
    threads = n_threads(n_jobs) if words >= THREADED_WORDS else 1
    size, n_shards = max(1, min(MAX_QUERIES, most)), 1
    if n >= 8 * MANY_QUERIES * threads:
        size = min(size, -(-n // threads))
    else:
        n_shards = max(1, min(threads, n_gallery // max(least, 512)))
    return _slices(n, size), _slices(n_gallery, max(least, -(-n_gallery // n_shards)))


def _slices(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of `size`, and what is left into the last of them."""
    n_slices = max(1, n // size)  # `gen_batches` takes as long as a small search
    starts = [i * size for i in range(n_slices)]
    return [slice(*ends) for ends in pairwise([*starts, n])]


def _top_k_of(queries: Packed, gallery: Packed, k: int) -> Neighbors:
    """Search a shard for a batch, with a bound that a sample of it gives."""
    if len(queries) < MANY_QUERIES:
        return _top_k_of_few(queries, gallery, k)
    if k < SAMPLED_NEIGHBORS or len(gallery) < 2 * SAMPLE * k:
        return _top_k_below(queries, gallery, k)[:2]
    # Of the k nearest, about k / 64 are in the sample; rarely as many as three
    # standard deviations more. If that bound is too low for a query, it starts anew.
    expected = k / SAMPLE
    rank = int(np.ceil(expected + 3 * np.sqrt(expected) + 3))
    sample = np.ascontiguousarray(gallery[::SAMPLE])
    bound = _top_k_below(queries, sample, rank)[0][:, -1] + 1
    distances, positions, missed = _top_k_below(queries, gallery, k, bound)
    if missed.any():
        again = _top_k_below(queries[missed], gallery, k)
        distances[missed], positions[missed] = again[:2]
    return distances, positions


def _top_k_of_few(queries: Packed, gallery: Packed, k: int) -> Neighbors:
    from ._scan_kernels import nearest_of_few

    unit, width, _, _ = geometry(gallery.shape[1], False)
    numbers = gallery.ctypes.data, *gallery.shape[::-1]
    codes, n_bytes, n_gallery = map(np.uint64, numbers)
    kinds, sizes = (unit, width, codes), (np.uint64(k), FEW_ROWS)
    distances, positions = nearest_of_few(
        *kinds, n_bytes, n_gallery, padded_words(queries), *sizes
    )
    return distances, positions.astype(np.intp, copy=False)


def _top_k_below(
    queries: Packed, gallery: Packed, k: int, bound: NDArray[np.int32] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.bool_]]:
    """Search for the k nearest codes that are nearer than a bound.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    k : int
    bound : ndarray of shape (n_queries,), dtype int32, default=None
        None for no bound.

    Returns
    -------
    distances, positions : ndarray of shape (n_queries, k)
    missed : ndarray of shape (n_queries,), dtype bool
        Queries with fewer than k codes below their bound: what is given is wrong.
    """
    from ._bit_planes import BLOCK
    from ._scan_kernels import nearest, rank

    n, n_gallery, n_bits = len(queries), len(gallery), 8 * gallery.shape[1]
    worst = np.full(n, n_bits + 1, np.uint64) if bound is None else bound.astype("u8")
    first = max(MIN_FIRST_CODES, FIRST_CODES * k) if bound is None else 0
    first = min(first, n_gallery)
    n_rows = geometry(gallery.shape[1], True).sizes[3]
    capacity = 2 * (k + BLOCK * n_rows)
    keys, n_keys = np.empty((n, capacity), np.uint64), np.zeros(n, np.uint64)
    below, counts = np.zeros(n, np.uint64), np.zeros((n, n_bits + 2), np.uint32)
    for rows, planes in ((slice(0, first), False), (slice(first, n_gallery), True)):
        if rows.start < rows.stop:
            work = prepare(queries, gallery, worst, planes=planes)
            begin, end = np.uint64(rows.start), np.uint64(rows.stop)
            state = keys, n_keys, worst, below, counts, work.bounds
            nearest(*work.kinds, begin, end, np.uint64(k), *state)
    missed = np.zeros(n, bool) if bound is None else worst == bound
    worst[missed], counts[missed] = 0, 0
    distances, positions = np.empty((n, k), np.int32), np.empty((n, k), np.intp)
    ranked = np.zeros(capacity, np.uint64)
    rank(np.uint64(k), keys, n_keys, worst, counts, ranked, distances, positions)
    return distances, positions, missed


def _hits_of(
    queries: Packed, gallery: Packed, radius: float, first_query: int, first: int
) -> Words:
    """Give (query, distance and position) of all codes within a radius."""
    from ._scan_kernels import within

    n, n_gallery = np.uint64(len(queries)), np.uint64(len(gallery))
    n_bits = 8 * gallery.shape[1]
    bound = np.uint64(max(0, np.floor(min(radius, n_bits)) + 1))
    worst = np.full(len(queries), bound)
    work = prepare(queries, gallery, worst, planes=len(queries) >= MANY_QUERIES)
    room = np.empty((ROOM, 2), np.uint64)
    parts = [room[:0]]
    at = query = np.uint64(0)
    while at < n_gallery:
        m, at, query = map(
            np.uint64, within(*work.kinds, at, n_gallery, query, n, bound, room)
        )
        parts.append(room[: int(m)] + np.array([first_query, first], np.uint64))
    return np.concatenate(parts)


def _split_keys(keys: Words) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    from ._scan_kernels import POSITION_BITS, POSITION_MASK

    distances = (keys >> POSITION_BITS).astype(np.int32)
    return distances, (keys & POSITION_MASK).astype(np.intp)


def prepare(queries: Packed, gallery: Packed, worst: Words, *, planes: bool) -> Work:
    """Lay out queries and workspace for the kernels.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : contiguous ndarray of shape (n_gallery, n_bytes), dtype uint8
    worst : ndarray of shape (n_queries,), dtype uint64
        Bounds of the queries.
    planes : bool
        Whether tiles are cut into bit planes.

    Returns
    -------
    Work
    """
    from ._scan_kernels import Layout

    unit, width, sizes, spaces = geometry(gallery.shape[1], planes)
    words = padded_words(queries)
    bounds = places = _NOTHING
    if planes:
        bits = worst[:, None] >> np.arange(sizes[-1], dtype=np.uint64)
        bounds = np.uint64(0) - (bits & np.uint64(1))
        places = _places(words, len(unit)) * np.uint32(64 * sizes[3])
    space = _aligned(sum(spaces))
    kept = gallery, words, places, bounds, space
    addresses = [array.ctypes.data for array in kept]
    for n in spaces[:-1]:
        addresses.append(addresses[-1] + 8 * n)
    layout = Layout(*np.array([*sizes, *addresses], np.uint64))
    return Work((unit, width, layout), bounds, kept)


@cache
def geometry(n_bytes: int, planes: bool) -> Geometry:
    """Give what the kernels need to know of codes of so many bytes.

    Parameters
    ----------
    n_bytes : int
    planes : bool
        Whether tiles are cut into bit planes.

    Returns
    -------
    Geometry
    """
    from ._bit_planes import n_planes_of

    unit, n_words = min(8, n_bytes), -(-n_bytes // 8)
    n_planes, n_counters = n_planes_of(unit), (64 * n_words).bit_length()
    n_rows = min(8, max(1, TILE_BYTES // (64 * n_planes * n_words)))
    if not planes:
        n_planes = 0
    spaces = 512, n_words * n_planes * n_rows * 8, n_counters * n_rows * 8, n_rows * 8
    width = n_bytes if n_bytes <= MAX_WIDTH else 0
    sizes = n_bytes, n_words, n_planes, n_rows, n_counters
    return Geometry((0,) * unit, (0,) * width, sizes, spaces)


def _aligned(n: int) -> Words:
    """Give words that begin where vectors do, at a multiple of 64 bytes."""
    memory = np.empty(n + 8, np.uint64)
    start = -memory.ctypes.data % 64 // 8
    return memory[start : start + n]


def _places(words: Words, unit: int) -> NDArray[np.uint32]:
    """Give the planes that stand for the bits in which each query differs.

    Parameters
    ----------
    words : ndarray of shape (n_queries, n_words), dtype uint64
    unit : int
        Bytes of a word that are used.

    Returns
    -------
    places : ndarray of shape (n_queries, n_words, n_places), dtype uint32
        As `all_flips` orders the planes of three bits; then those of single bits.
    """
    from ._bit_planes import TRIPLE

    n_triples, n_single = divmod(8 * unit, 3)
    triple, single = np.arange(n_triples), np.arange(n_single) + 3 * n_triples
    flips = (words[:, :, None] >> (3 * triple).astype(np.uint64)).astype(np.uint32) & 7
    sums, carries = np.bitwise_count(flips) & 1, flips + 2
    of_triples = np.stack([sums, carries], axis=3) + TRIPLE * triple[:, None]
    flips = (words[:, :, None] >> single.astype(np.uint64)).astype(np.uint32) & 1
    of_single = flips + (TRIPLE * n_triples + 2 * np.arange(n_single))
    shape = *words.shape, 2 * n_triples
    parts = [of_triples.reshape(shape), of_single]
    return np.concatenate(parts, axis=2).astype(np.uint32)
