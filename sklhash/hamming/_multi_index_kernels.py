"""Compiled loops of multi-index hashing: filling tables, and looking queries up.

Imported only where numba compiles (see :mod:`._numba`). A *key* is an answer as one
integer, ``distance << 32 | position``, so that keys sort as answers do. Indices are
unsigned: signed ones cost numba a test for negative values at every access. Unsigned
numbers must not meet plain integers, which would make floats of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._multi_index import BROKE, BUCKET_COST, FULL, MASK_COST, Tables
from ._numba import jit
from ._vectors import lowest_bit, popcount

ZERO, ONE, TWO, SIX, EIGHT = (np.uint64(x) for x in (0, 1, 2, 6, 8))
FOUR = np.uint64(4)
LINE, PREFETCHED = np.uint64(64), np.uint64(64)
SIXTY_THREE = np.uint64(63)
#: Place of the distance in a key.
SHIFT = np.uint64(32)


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Ask the memory for the line at an address, and do not wait for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        hints = [ir.IntType(32)(x) for x in (0, 3, 1)]  # read, keep it, data
        kind = ir.FunctionType(ir.VoidType(), [pointer.type] + 3 * [ir.IntType(32)])
        function = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.prefetch.p0"
        )
        builder.call(function, [pointer, *hints])
        return context.get_dummy_value()

    return types.void(types.uint64), generate


@jit
def fill_table(
    words: Any, word: Any, shift: Any, width: Any, offsets: Any, ids: Any, codes: Any
) -> None:
    """Sort positions, and codes if there is room for them, by a substring of the code.

    Parameters
    ----------
    words : ndarray of shape (n_codes, n_words), dtype uint64
    word, shift, width : uint64
        The substring: `width` bits of `word` from bit `shift` on.
    offsets : ndarray of shape (2**width + 2,), dtype uint32
        Zeros. On return bucket b is ``offsets[b]:offsets[b + 1]``.
    ids : ndarray of shape (n_codes,), dtype uint32
        Set to the positions, bucket by bucket, ascending in each.
    codes : ndarray of shape (n_codes or 0, n_words), dtype uint64
        Set to the codes in the same order.
    """
    n_codes, n_words = np.uint64(words.shape[0]), np.uint64(words.shape[1])
    mask = (ONE << width) - ONE
    for i in range(n_codes):
        offsets[((words[i, word] >> shift) & mask) + TWO] += np.uint32(1)
    for bucket in range(TWO, np.uint64(len(offsets))):
        offsets[bucket] += offsets[bucket - ONE]
    copied = np.uint64(codes.shape[0]) > ZERO
    for i in range(n_codes):
        bucket = ((words[i, word] >> shift) & mask) + ONE
        slot = np.uint64(offsets[bucket])
        offsets[bucket] += np.uint32(1)
        ids[slot] = np.uint32(i)
        if copied:
            for w in range(n_words):
                codes[slot, w] = words[i, w]


@jit
def look_up(
    values: Any,
    queries: Any,
    radius: Any,
    stop_when_full: Any,
    budget: Any,
    keys: Any,
    found: Any,
    spans: Any,
    hits: Any,
) -> None:
    """Find the answers of all queries that the budget allows.

    Parameters
    ----------
    values : tuple
        The values of `Tables`: numba recognises a plain tuple some microseconds faster.
    queries : ndarray of shape (n_queries, n_words), dtype uint64
    radius : uint64
        Largest distance of an answer, in bits.
    stop_when_full : bool
        Give a query up when it has more answers than there is room (`FULL`); if not,
        the smallest keys stay.
    budget : float64
        Cost that a query may have, in nanoseconds; beyond it is given up (`BROKE`).
    keys : ndarray of shape (n_queries, room), dtype uint64
        Set to the answers, in no order.
    found : ndarray of shape (n_queries,), dtype int64
        Set to the number of answers, `BROKE` or `FULL`.
    spans : ndarray of shape (CHUNK, 2), dtype uint64
        Workspace: buckets, whose places are read before their codes are, so that many
        reads overlap.
    hits : ndarray of shape (HITS, 2), dtype uint64
        Workspace: near codes, whose positions are read later for the same reason.
    """
    tables = Tables(*values)
    for q in range(np.uint64(queries.shape[0])):
        found[q] = _look_up_one(
            tables, queries[q], radius, stop_when_full, budget, keys[q], spans, hits
        )


@jit
def _look_up_one(
    tables: Any,
    query: Any,
    radius: Any,
    stop_when_full: Any,
    budget: Any,
    heap: Any,
    spans: Any,
    hits: Any,
) -> Any:
    """Probe table after table, weight after weight, until no better code can be left.

    After weight a of tables 0 to t, every code at most ``n_tables * a + t`` away has
    been seen: another one differs by more than a in t + 1 substrings, and by at least a
    in all.
    """
    n_tables, room = np.uint64(tables.places.shape[0]), np.uint64(len(heap))
    size, limit, spent = ZERO, (radius + ONE) << SHIFT, 0.0
    n_steps = n_tables * np.uint64(tables.n_masks.shape[1])
    for step in range(min(radius + ONE, n_steps)):
        weight = step // n_tables
        table = step - weight * n_tables
        left = tables.n_masks[table, weight]
        spent += left * MASK_COST
        mask = (ONE << weight) - ONE
        while left > ZERO:
            if spent > budget:
                return np.int64(BROKE)
            n_masks = min(left, np.uint64(len(spans)))
            n_spans, n_codes, mask = _probe(tables, query, table, mask, n_masks, spans)
            spent += n_spans * BUCKET_COST
            if tables.direct:
                size, limit = _take(tables, weight, spans[:n_spans], heap, size, limit)
            else:
                spent += n_codes * tables.code_cost
                if spent > budget:
                    return np.int64(BROKE)
                size, limit = _compare(
                    tables,
                    query,
                    table,
                    weight,
                    spans[:n_spans],
                    hits,
                    heap,
                    size,
                    limit,
                )
            if stop_when_full and size == room:
                return np.int64(FULL)
            left -= n_masks
        if size == room and (limit >> SHIFT) <= step:
            break
    return np.int64(size)


@jit
def _probe(
    tables: Any, query: Any, table: Any, mask: Any, n_masks: Any, spans: Any
) -> Any:
    """Read where the next buckets are, and leave the empty ones out."""
    word, shift = tables.places[table, 0], tables.places[table, 1]
    width, first = tables.places[table, 2], tables.places[table, 3]
    substring = (query[word] >> shift) & ((ONE << width) - ONE)
    n_spans, n_codes = ZERO, ZERO
    for _ in range(n_masks):
        bucket = first + (substring ^ mask)
        spans[n_spans, 0] = bucket
        n_spans += (tables.occupied[bucket >> SIX] >> (bucket & SIXTY_THREE)) & ONE
        # The next larger number with as many bits set.
        lowest = mask & (~mask + ONE)
        carried = mask + lowest
        mask = carried | (((carried ^ mask) >> TWO) >> lowest_bit(mask))
    row_bytes = EIGHT * np.uint64(tables.codes.shape[1])
    rows = np.uint64(tables.codes.ctypes.data) + table * tables.n_codes * row_bytes
    for i in range(n_spans):
        bucket = spans[i, 0]
        start = np.uint64(tables.offsets[bucket])
        stop = np.uint64(tables.offsets[bucket + ONE])
        spans[i, 0], spans[i, 1] = start, stop
        n_codes += stop - start
        if tables.copied:
            end = min(start + PREFETCHED, stop) * row_bytes
            for line in range(start * row_bytes, end, LINE):
                prefetch(rows + line)
    return n_spans, n_codes, mask


@jit
def _take(
    tables: Any, weight: Any, spans: Any, heap: Any, size: Any, limit: Any
) -> Any:
    """Take positions from buckets of equal codes, in order, while they are wanted."""
    for i in range(np.uint64(len(spans))):
        for j in range(spans[i, 0], spans[i, 1]):
            key = (weight << SHIFT) | np.uint64(tables.ids[j])
            if key >= limit:
                break
            size, limit = _push(heap, size, limit, key)
    return size, limit


@jit
def _compare(
    tables: Any,
    query: Any,
    table: Any,
    weight: Any,
    spans: Any,
    hits: Any,
    heap: Any,
    size: Any,
    limit: Any,
) -> Any:
    """Compare with the codes of the buckets, and keep those that are wanted.

    A code is in a bucket of every table: it counts in the first that is probed. Whether
    an earlier one showed it is read from the differing bits.
    """
    n_tables, n_words = np.uint64(tables.places.shape[0]), np.uint64(len(query))
    first, ids = table * tables.n_codes, np.uint64(tables.ids.ctypes.data)
    n_hits, bound = ZERO, limit >> SHIFT
    one_word, query_word = tables.copied and n_words == ONE, query[0]
    for i in range(np.uint64(len(spans))):
        next_, stop = first + spans[i, 0], first + spans[i, 1]
        while True:
            if one_word:  # a loop of its own for most codes, which are too far away
                while (
                    next_ < stop
                    and popcount(tables.codes[next_, 0] ^ query_word) > bound
                ):
                    next_ += ONE
            if next_ >= stop:
                break
            j = next_
            next_ += ONE
            row = j if tables.copied else np.uint64(tables.ids[j])
            distance = popcount(tables.codes[row, 0] ^ query[0])
            for w in range(ONE, n_words):
                distance += popcount(tables.codes[row, w] ^ query[w])
            if distance > bound:
                continue
            new = True
            for other in range(n_tables):
                word, shift = tables.places[other, 0], tables.places[other, 1]
                bits = (ONE << tables.places[other, 2]) - ONE
                differing = ((tables.codes[row, word] ^ query[word]) >> shift) & bits
                reached = popcount(differing) + np.uint64(other > table) <= weight
                new = new and not (reached and other != table)
            if not new:
                continue
            prefetch(ids + FOUR * j)
            hits[n_hits, 0], hits[n_hits, 1] = j, distance
            n_hits += ONE
            if n_hits == np.uint64(len(hits)):
                size, limit = _keep(tables.ids, hits, heap, size, limit)
                n_hits, bound = ZERO, limit >> SHIFT
    return _keep(tables.ids, hits[:n_hits], heap, size, limit)


@jit
def _keep(ids: Any, hits: Any, heap: Any, size: Any, limit: Any) -> Any:
    """Keep those of the codes near enough that are wanted."""
    for i in range(np.uint64(len(hits))):
        key = (hits[i, 1] << SHIFT) | np.uint64(ids[hits[i, 0]])
        if key < limit:
            size, limit = _push(heap, size, limit, key)
    return size, limit


@jit
def _push(heap: Any, size: Any, limit: Any, key: Any) -> Any:
    """Keep a key: in a full heap, whose root is the largest, it takes the root's place.

    Returns
    -------
    size : uint64
    limit : uint64
        Keys from here on are not wanted.
    """
    room = np.uint64(len(heap))
    if size < room:
        heap[size] = key
        size += ONE
        if size < room:
            return size, limit
        for root in range(room // TWO):
            _sift(heap, room // TWO - ONE - root, heap[room // TWO - ONE - root])
    else:
        _sift(heap, ZERO, key)
    return size, heap[0]


@jit
def _sift(heap: Any, place: Any, key: Any) -> None:
    """Put a key at a place of the heap, or below it where larger keys are."""
    room = np.uint64(len(heap))
    child = TWO * place + ONE
    while child < room:
        if child + ONE < room and heap[child + ONE] > heap[child]:
            child += ONE
        if heap[child] <= key:
            break
        heap[place] = heap[child]
        place = child
        child = TWO * place + ONE
    heap[place] = key
