"""Compiled counts of gallery items by distance and grade, by bit planes.

512 codes are compared with a query at once, and those at a distance are counted by one
popcount of a mask (:mod:`._plane_counts`): that takes less than counting one by one
where a processor has vectors of popcounts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._bit_planes import BLOCK, combine_planes, transpose
from ._numba import jit
from ._plane_counts import (
    count_grades_in_tile,
    count_in_tile,
    mark_grades,
    take_sum,
)
from ._vectors import load_word, store_word

ZERO, ONE, SEVEN, EIGHT, WORD_BITS = (np.uint64(x) for x in (0, 1, 7, 8, 64))
ALL, TILE = ~ZERO, np.uint64(BLOCK)


class Layout(NamedTuple):
    """Sizes, and addresses of what counting works on, as 64-bit words."""

    n_codes: np.uint64
    tile_size: np.uint64  #: Bytes of the planes of a tile.
    query_size: np.uint64  #: Bytes of the places of a query.
    codes: np.uint64  #: (n_codes,)
    places: np.uint64  #: (n_queries, planes looked up) uint32, in bytes
    planes: np.uint64  #: (n_tiles, n_planes, 8), workspace
    rows: np.uint64  #: (64, 8), workspace
    #: (n_grades, 8), workspace: of all codes of a tile and of some, or of each grade
    marks: np.uint64
    sums: np.uint64  #: (n_grades, 8 n_bytes + 1, 8), zeros before and after


class LabelLayout(NamedTuple):
    """Sizes, and addresses of what grades are told from, as 64-bit words."""

    n_words: np.uint64  #: Words of a code's labels, a bit a label.
    words_size: np.uint64  #: Bytes from word to word of a code.
    tile_size: np.uint64  #: Bytes of the planes of a tile.
    words: np.uint64  #: (n_words, n_codes), the first of each `words_size` apart
    #: (n_tiles, 1 + 64 n_words, 8), workspace: all codes, and those with each label
    planes: np.uint64
    labels: np.uint64  #: (any,): of query after query, places of planes in bytes


@jit
def cut_words(words: Any, n: Any, rows: Any) -> None:
    """Cut the first n words, up to 512, into 64 bit planes; there are zeros after."""
    for i in range(n):
        store_word(rows + EIGHT * i, load_word(words + EIGHT * i))
    for i in range(n, TILE):
        store_word(rows + EIGHT * i, ZERO)
    transpose(rows)


@jit
def cut_tiles(unit: Any, at: Any) -> None:
    """Cut the codes into the planes of tiles, of which the last need not be full."""
    planes = at.planes
    for begin in range(ZERO, at.n_codes, TILE):
        n = min(TILE, at.n_codes - begin)
        cut_words(at.codes + EIGHT * begin, n, at.rows)
        combine_planes(unit, at.rows, planes, WORD_BITS)
        planes += at.tile_size


@jit
def first_marks(word: Any, n: Any) -> Any:
    """Mark the first n codes of a tile: code c is bit c // 8 of word c % 8."""
    n_marks = (n + SEVEN - word) // EIGHT
    return ~(ALL << n_marks) if n_marks < WORD_BITS else ALL


@jit
def mark_range(marks: Any, start: Any, stop: Any) -> None:
    """Mark codes start to stop of a tile."""
    for word in range(EIGHT):
        some = first_marks(word, stop) & ~first_marks(word, start)
        store_word(marks + EIGHT * word, some)


@jit
def cut_labels(n_codes: Any, own: Any) -> None:
    """Cut the labels of codes into planes, after one of the codes that there are."""
    planes = own.planes
    for begin in range(ZERO, n_codes, TILE):
        n = min(TILE, n_codes - begin)
        mark_range(planes, ZERO, n)
        for word in range(own.n_words):
            words = own.words + own.words_size * word + EIGHT * begin
            cut_words(words, n, planes + WORD_BITS * (ONE + WORD_BITS * word))
        planes += own.tile_size


@jit
def count_by_planes(unit: Any, at: Any, counts: Any, first: Any, last: Any) -> None:
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
    cut_tiles(unit, at)
    mark_range(at.marks, ZERO, TILE)
    places, sums_size = at.places, WORD_BITS * np.uint64(8 * len(unit) + 1)
    for q in range(np.uint64(len(counts))):
        ranges = (
            (ZERO, ZERO, first[q]),
            (ONE, first[q], last[q]),
            (ZERO, last[q], at.n_codes),
        )
        for grade, begin, end in ranges:
            sums = at.sums + grade * sums_size
            while begin < end:
                tile, start = begin // TILE, begin % TILE
                n, marks = min(end - begin, TILE - start), at.marks
                if n < TILE:
                    marks += WORD_BITS
                    mark_range(marks, start, start + n)
                planes = at.planes + tile * at.tile_size
                count_in_tile(unit, planes, places, marks, sums)
                begin += n
        for own in range(ONE + np.uint64(first[q] < last[q])):
            sums = at.sums + own * sums_size
            for d in range(np.uint64(counts.shape[1])):
                counts[q, d, own] += take_sum(sums + WORD_BITS * d)
        places += at.query_size


@jit
def count_grades(unit: Any, at: Any, own: Any, counts: Any, ends: Any) -> None:
    """Count codes of up to eight bytes by distance and number of shared labels.

    Parameters
    ----------
    unit : tuple of as many integers as a code has bytes
    at : Layout
    own : LabelLayout
    counts : ndarray of shape (n_queries, n_bits + 1, n_grades), dtype int64
        Is added to.
    ends : ndarray of shape (n_queries,), dtype uint64
        Where the labels of each query end.
    """
    cut_tiles(unit, at)
    cut_labels(at.n_codes, own)
    places, start = at.places, ZERO
    sums_size = WORD_BITS * np.uint64(8 * len(unit) + 1)
    for q in range(np.uint64(len(counts))):
        n_labels = ends[q] - start
        labels, n_grades = own.labels + EIGHT * start, n_labels + ONE
        planes, label_planes = at.planes, own.planes
        for _ in range(ZERO, at.n_codes, TILE):
            mark_grades(label_planes, labels, n_labels, at.marks)
            count_grades_in_tile(unit, planes, places, at.marks, at.sums, n_grades)
            planes += at.tile_size
            label_planes += own.tile_size
        for grade in range(n_grades):
            sums = at.sums + grade * sums_size
            for d in range(np.uint64(counts.shape[1])):
                counts[q, d, grade] += take_sum(sums + WORD_BITS * d)
        places += at.query_size
        start = ends[q]
