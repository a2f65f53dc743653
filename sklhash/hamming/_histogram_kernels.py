"""Compiled counts of gallery items by distance and grade.

A count is one increment in memory, and a processor makes about one in a cycle: that,
not the distances, is what counting costs. So distances are computed first, a row of
them at a time and vectorised; then they are counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._numba import jit
from ._vectors import popcount

#: Bits of a place that are for the second of two distances, up to 64 each.
PAIR_SHIFT = np.uint64(7)

# Loops over signed numbers are not vectorised: an index might be negative.
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)


@jit
def count_pairs(
    counts: Any,
    rows: Any,
    queries: Any,
    codes: Any,
    first: Any,
    last: Any,
    pairs: Any,
    sums: Any,
    places: Any,
) -> None:
    """Count codes of one word by distance and class, for two queries at once.

    A code is counted by its distances to both queries, one increment in a square whose
    rows and columns are summed in the end.

    Parameters
    ----------
    counts : ndarray of shape (n_rows, n_bits + 1, 2), dtype int64
        Is added to: codes of other classes, and of the query's.
    rows : ndarray of shape (n_queries,), dtype uint64
        Where in `counts` each query is counted.
    queries, codes : ndarray of shape (n_queries,) and (n_codes,), dtype uint64
        Both sorted by their class.
    first, last : ndarray of shape (n_queries,), dtype uint64
        ``codes[first[i]:last[i]]`` are of the class of query i.
    pairs : ndarray of shape (3, n_distances << PAIR_SHIFT), dtype uint32
        Zeros, before and after: squares for codes that are of neither class, of the
        first query's, and of the second's if it is another.
    sums : ndarray of shape (2, n_distances), dtype uint32
        Workspace.
    places : ndarray of shape (any,), dtype uint64
        Workspace.
    """
    n_queries, n_codes = np.uint64(len(queries)), np.uint64(len(codes))
    width = np.uint64(len(places))
    for i in range(ZERO, n_queries, TWO):
        other = min(i + ONE, n_queries - ONE)
        query, second = queries[i], queries[other]
        same = first[i] == first[other] and last[i] == last[other]
        begin = last[i] if same else first[other]
        ranges = (
            (ZERO, ZERO, first[i]),
            (ONE, first[i], last[i]),
            (ZERO, last[i], begin),
            (TWO, begin, last[other]),
            (ZERO, last[other], n_codes),
        )
        for square, start, stop in ranges:
            for j in range(start, stop, width):
                n = min(width, stop - j)
                for p in range(n):
                    code = codes[j + p]
                    row = popcount(query ^ code) << PAIR_SHIFT
                    places[p] = row + popcount(second ^ code)
                for p in range(n):
                    pairs[square, places[p]] += ONE
        for k in range(TWO if same else TWO + ONE):
            sum_square(pairs[k], sums)
            grade, other_grade = (
                np.uint64(k == ONE),
                np.uint64(k == (ONE if same else TWO)),
            )
            for d in range(np.uint64(counts.shape[1])):
                counts[rows[i], d, grade] += sums[ZERO, d]
                if other > i:
                    counts[rows[other], d, other_grade] += sums[ONE, d]


@jit
def sum_square(pairs: Any, sums: Any) -> None:
    """Sum the rows and the columns of a square of counts, and clear it.

    Parameters
    ----------
    pairs : ndarray of shape (n_distances << PAIR_SHIFT,), dtype uint32
    sums : ndarray of shape (2, n_distances), dtype uint32
        Is written to.
    """
    n_distances = np.uint64(sums.shape[1])
    sums[ONE] = 0
    for row in range(n_distances):
        total = np.uint32(0)
        for d in range(n_distances):
            n = pairs[(row << PAIR_SHIFT) + d]
            pairs[(row << PAIR_SHIFT) + d] = 0
            sums[ONE, d] += n
            total += n
        sums[ZERO, row] = total


@jit
def count_codes(
    counts: Any,
    group: Any,
    queries: Any,
    codes: Any,
    start: Any,
    stop: Any,
    query_labels: Any,
    labels: Any,
    are_classes: Any,
    shift: Any,
    parts: Any,
    places: Any,
) -> None:
    """Count some codes of any length by distance and grade.

    Parameters
    ----------
    counts : ndarray of shape (n_queries, n_groups, (n_bits + 1) << shift), dtype int64
        Is added to: grade g at distance d at place ``(d << shift) + g``.
    group : uint64
        Where in `counts` these codes are counted.
    queries, codes : ndarray of shape (n_words, n_queries or n_codes), dtype uint64
    start, stop : uint64
        Range of the codes that are counted.
    query_labels, labels : ndarray of shape (n_label_words, n_queries or n_codes), \
            dtype uint64
        A class, or labels a bit each.
    are_classes : bool
    shift : uint64
        ``2**shift`` grades or fewer.
    parts : ndarray of shape (any, 2, n_distances << shift), dtype uint32
        Zeros, before and after: counts of so many queries, which share each visit to
        the codes. Neighbours are counted in different halves, because an increment
        that waits for the one before takes five times as long.
    places : ndarray of shape (any,), dtype uint64
        Workspace.
    """
    width = np.uint64(len(places))
    n_queries, at_once = np.uint64(queries.shape[1]), np.uint64(len(parts))
    for batch in range(ZERO, n_queries, at_once):
        end = min(n_queries, batch + at_once)
        for j in range(start, stop, width):
            n = min(width, stop - j)
            for i in range(batch, end):
                query = queries[ZERO, i]
                for p in range(n):
                    places[p] = popcount(query ^ codes[ZERO, j + p])
                for word in range(ONE, np.uint64(len(codes))):
                    query = queries[word, i]
                    for p in range(n):
                        places[p] += popcount(query ^ codes[word, j + p])
                own = query_labels[ZERO, i]
                if are_classes:
                    for p in range(n):
                        same = np.uint64(own == labels[ZERO, j + p])
                        places[p] = (places[p] << shift) + same
                else:
                    for p in range(n):
                        shared = popcount(own & labels[ZERO, j + p])
                        places[p] = (places[p] << shift) + shared
                for word in range(ONE, np.uint64(len(labels))):
                    own = query_labels[word, i]
                    for p in range(n):
                        places[p] += popcount(own & labels[word, j + p])
                for p in range(n):
                    parts[i - batch, p & ONE, places[p]] += ONE
        for i in range(batch, end):
            for p in range(np.uint64(counts.shape[2])):
                n = parts[i - batch, ZERO, p] + parts[i - batch, ONE, p]
                counts[i, group, p] += n
        parts[:] = 0


@jit
def merge_spherical(
    counts: Any,
    ranks: Any,
    cells: Any,
    query_bits: Any,
    group_bits: Any,
    rank_of: Any,
    totals: Any,
) -> None:
    """Add up the counts at equal spherical distances, in the order of distances.

    Parameters
    ----------
    counts : ndarray of shape (n_queries, n_most, n_grades), dtype int64
        Is written to: the counts at each distance that occurs, ascending.
    ranks : ndarray of shape (n_queries, n_most), dtype int32
        Is written to: those distances, by their place among all that are possible.
    cells : ndarray of shape (n_queries, n_groups, n_bits + 1, n_grades), dtype int64
        Counts by number of set bits and differing bits.
    query_bits, group_bits : ndarray of shape (n_queries,) and (n_groups,), dtype uint64
        Set bits.
    rank_of : ndarray of shape (n_bits + 1, n_bits + 1), dtype int32
        Place of the distance of codes by their differing and common bits.
    totals : ndarray of shape (n_distances, n_grades), dtype int64
        Zeros, before and after.
    """
    n_bits = np.uint64(cells.shape[2]) - ONE
    n_grades = np.uint64(cells.shape[3])
    for i in range(np.uint64(len(cells))):
        for group in range(np.uint64(len(group_bits))):
            a, b = query_bits[i], group_bits[group]
            most = min(a + b, TWO * n_bits - (a + b))
            for bits in range(max(a, b) - min(a, b), most + ONE, TWO):
                rank = np.uint64(rank_of[bits, (a + b - bits) // TWO])
                for grade in range(n_grades):
                    totals[rank, grade] += cells[i, group, bits, grade]
        place = ZERO
        for found in range(np.uint64(len(totals))):
            n = 0
            for grade in range(n_grades):
                n += totals[found, grade]
            if n:
                for grade in range(n_grades):
                    counts[i, place, grade] = totals[found, grade]
                    totals[found, grade] = 0
                ranks[i, place] = found
                place += ONE
