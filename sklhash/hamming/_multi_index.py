"""Multi-index hashing: exact answers from tables of substrings of the codes.

Codes that differ in few bits agree, or nearly agree, in one of several disjoint
substrings: if m substrings were probed up to weight a, every code less than
``m * (a + 1)`` bits away has been met [1]_. From the paper are the tables, the order of
probing and the number of substrings; ours are the codes kept in the buckets' order, the
way of recognising codes met before, and the budget after which a query is given up.

References
----------
.. [1] M. Norouzi, A. Punjani, D. J. Fleet, "Fast search in Hamming space with
   multi-index hashing", CVPR 2012.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._blocks import Packed, padded_words
from ._threads import n_threads, run

Words = NDArray[np.uint64]

#: Longest code that is put into tables: longer ones have too many substrings to probe.
MAX_TABLE_BITS = 256
#: Most codes in tables, whose positions are 32 bits wide.
MAX_TABLE_CODES = 2**32 - 1
#: Bits of the shortest substring aimed at, of the longest, and of codes that are one
#: substring however few they are.
SHORT_BITS, LONG_BITS, DIRECT_BITS = 16, 24, 20
#: Words of the longest code that the buckets hold a copy of.
COPIED_WORDS = 2
#: Cost of a mask, of a bucket that holds codes, and of comparing with one of them, with
#: a copy of it in the bucket or without, in nanoseconds. What is not in the bucket, or
#: not in sequence, misses the cache.
MASK_COST, BUCKET_COST, COPY_COST, GATHER_COST = 3.0, 40.0, 2.0, 15.0
#: Buckets whose places are read together, and near codes whose positions are.
CHUNK, HITS = 256, 64
#: What stands for the number of answers where the budget, or the room, ran out.
BROKE, FULL = -1, -2


class Tables(NamedTuple):
    """Positions of codes sorted by each of several substrings; what kernels take.

    Attributes
    ----------
    places : ndarray of shape (n_tables, 4), dtype uint64
        Of each substring: its word, first bit and width, and where its offsets start.
    n_masks : ndarray of shape (n_tables, LONG_BITS + 1), dtype uint64
        Buckets at each distance from another.
    occupied : ndarray of shape (ceil(sum(2**width + 2) / 64),), dtype uint64
        A bit for each of the offsets: whether its bucket holds codes.
    offsets : ndarray of shape (sum(2**width + 2),), dtype uint32
        Bucket b of a table is ``offsets[b]:offsets[b + 1]``.
    ids : ndarray of shape (n_tables * n_codes,), dtype uint32
        Positions in the gallery, ascending in a bucket.
    codes : ndarray of shape (n_tables * n_codes or n_codes or 0, n_words), dtype uint64
        Codes in the order of `ids`, or of the gallery, or none.
    n_codes : uint64
    copied : bool
        Whether `codes` are in the order of `ids`.
    direct : bool
        Whether a bucket holds equal codes, so that none need be compared with.
    code_cost : float
        Of comparing with a code, in nanoseconds.
    """

    places: Words
    n_masks: Words
    occupied: Words
    offsets: NDArray[np.uint32]
    ids: NDArray[np.uint32]
    codes: Words
    n_codes: np.uint64
    copied: bool
    direct: bool
    code_cost: float


Place = tuple[int, int, int]


@lru_cache(64)
def substrings(n_codes: int, n_bits: int) -> tuple[Place, ...]:
    """Choose the substrings: about log2(n_codes) bits long, none across two words.

    A short rest in the last word is left out: substrings need not cover the code.

    Parameters
    ----------
    n_codes, n_bits : int

    Returns
    -------
    places : tuple of (word, shift, width)
    """
    wanted = max(math.log2(n_codes), SHORT_BITS)
    longest = min(max(int(wanted) + 2, DIRECT_BITS), LONG_BITS)
    places: list[Place] = []
    for word, start in enumerate(range(0, n_bits, 64)):
        bits = min(n_bits - start, 64)
        least = -(-bits // longest) if bits > longest else int(word == 0)
        n_parts = max(round(bits / wanted), least)
        edges = [bits * part // n_parts for part in range(n_parts + 1) if n_parts]
        places += [(word, a, b - a) for a, b in itertools.pairwise(edges)]
    return tuple(places)


@lru_cache(64)
def table_bytes(n_codes: int, n_bits: int) -> int:
    """Tell the memory that tables take: see :class:`GalleryIndex`."""
    places, n_words = substrings(n_codes, n_bits), -(-n_bits // 64)
    copied = 8 * n_words if _copied(n_bits, places) else 0
    padded = not (copied or _direct(n_bits, places)) and -(-n_bits // 8) % 8
    n_offsets = sum(2**width + 2 for _, _, width in places)
    marks = -(-n_offsets // 64) * 8
    rows = n_codes * (len(places) * (4 + copied) + (8 * n_words if padded else 0))
    return rows + 4 * n_offsets + marks


def nbytes(tables: Tables, packed: Packed) -> int:
    """Tell the memory that tables of a gallery take beside it."""
    codes = 0 if np.may_share_memory(tables.codes, packed) else tables.codes.nbytes
    tables_alone = tables.occupied, tables.offsets, tables.ids
    return codes + sum(array.nbytes for array in tables_alone)


def _direct(n_bits: int, places: tuple[Place, ...]) -> bool:
    return places == ((0, 0, n_bits),)


def _copied(n_bits: int, places: tuple[Place, ...]) -> bool:
    return n_bits <= 64 * COPIED_WORDS and not _direct(n_bits, places)


def build(packed: Packed, n_bits: int, n_jobs: int | None = None) -> Tables:
    """Sort the codes of a gallery into tables.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, n_bytes), dtype uint8
        At least one code, of 256 bits at most.
    n_bits : int
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    Tables
    """
    from ._multi_index_kernels import fill_table

    n_codes, places = len(packed), substrings(len(packed), n_bits)
    direct, copied = _direct(n_bits, places), _copied(n_bits, places)
    words = as_words(packed)
    starts = np.cumsum([0] + [2**width + 2 for _, _, width in places])
    offsets = np.zeros(starts[-1], np.uint32)
    ids = np.empty((len(places), n_codes), np.uint32)
    rows = n_codes if copied else 0
    codes = np.empty((len(places), rows, words.shape[1]), np.uint64)

    def fill(table: int) -> None:
        part = offsets[starts[table] : starts[table + 1]]
        place = [np.uint64(x) for x in places[table]]
        fill_table(words, *place, part, ids[table], codes[table])

    run([partial(fill, table) for table in range(len(places))], n_jobs)
    copies = codes.reshape(-1, words.shape[1])
    copies.flags.writeable = False  # as those of `as_words`: one compiled kernel
    return Tables(
        places=np.column_stack([places, starts[:-1]]).astype(np.uint64),
        n_masks=np.array([_n_masks(width) for _, _, width in places], np.uint64),
        occupied=_occupied(offsets),
        offsets=offsets,
        ids=ids.ravel(),
        codes=copies if direct or copied else words,
        n_codes=np.uint64(n_codes),
        copied=copied,
        direct=direct,
        code_cost=COPY_COST if copied else GATHER_COST,
    )


def _n_masks(width: int) -> list[int]:
    """Count the buckets at each distance from another."""
    return [math.comb(width, weight) for weight in range(LONG_BITS + 1)]


def _occupied(offsets: NDArray[np.uint32]) -> Words:
    """Mark the buckets that hold codes, by one bit each."""
    marks = np.zeros(-(-len(offsets) // 64) * 8, np.uint8)
    bits = np.packbits(offsets[:-1] < offsets[1:], bitorder="little")
    marks[: len(bits)] = bits
    return marks.view(np.uint64)


def as_words(packed: Packed) -> Words:
    """View codes as words of 64 bits, or copy them where their bytes do not allow it.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, n_bytes), dtype uint8

    Returns
    -------
    words : ndarray of shape (n_codes, ceil(n_bytes / 8)), dtype uint64
    """
    packed = np.asarray(packed)  # a memory map stays one, but loses its type
    in_words = packed.shape[1] % 8 == 0 and packed.ctypes.data % 8 == 0
    fits = in_words and packed.flags.c_contiguous
    words = packed.view(np.uint64) if fits else padded_words(packed)
    words.flags.writeable = False  # one type of array, one compiled kernel
    return words


def look_up(
    tables: Tables,
    queries: Words,
    room: int,
    *,
    radius: int | None = None,
    budget: float = math.inf,
    n_jobs: int | None = None,
) -> tuple[Words, NDArray[np.int64]]:
    """Find the nearest codes of those queries for which the budget suffices.

    Parameters
    ----------
    tables : Tables
    queries : ndarray of shape (n_queries, n_words), dtype uint64
    room : int
        Answers to find; with a radius, answers a query may have, at most.
    radius : int, default=None
        Largest distance of an answer, in bits.
    budget : float
        Estimated nanoseconds a query after which it is given up.
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    keys : ndarray of shape (n_queries, room), dtype uint64
        ``distance << 32 | position``, in no order.
    found : ndarray of shape (n_queries,), dtype int64
        Number of answers of each query; `BROKE` if it was given up, and `FULL` if there
        are as many answers within the radius as there is room, or more.
    """
    from ._multi_index_kernels import look_up as compiled

    queries = queries.view()
    queries.flags.writeable = False  # as those of `as_words`: one compiled kernel
    keys = np.empty((len(queries), room), np.uint64)
    found = np.empty(len(queries), np.int64)
    reach = np.uint64(64 * queries.shape[1] if radius is None else radius)

    def look(rows: slice) -> None:
        spans, hits = np.empty((CHUNK, 2), np.uint64), np.empty((HITS, 2), np.uint64)
        limits = reach, radius is not None, float(budget)
        compiled(
            tuple(tables), queries[rows], *limits, keys[rows], found[rows], spans, hits
        )

    if len(queries) == 1:  # asking for the number of threads takes some microseconds
        look(slice(1))
    else:
        size = max(1, -(-len(queries) // n_threads(n_jobs)))
        batches = [slice(i, i + size) for i in range(0, len(queries), size)]
        run([partial(look, rows) for rows in batches], n_jobs)
    return keys, found
