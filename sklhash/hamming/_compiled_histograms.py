"""Counts by compiled kernels: a gallery laid out for them, and their workspace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from ._blocks import Packed, padded_words
from ._code_metrics import possible_distances, spherical_distances
from ._cuts import cut
from ._scan import _aligned, _places
from ._threads import n_threads, run

Words = NDArray[np.uint64]

#: Gallery codes that are counted for one pair of queries after the other.
TILE_CODES = 2**16
#: Distances that are computed before they are counted.
N_PLACES = 512
#: Codes in a gallery from which counting for two queries at once pays.
MANY_CODES = 2**14
#: Codes whose bit planes, less than 1 MB, stay in a core's second cache.
PLANE_CODES = 2**15
#: Codes in a gallery from which counting by bit planes pays.
MANY_PLANE_CODES = 2**11
#: Labels of a query, in root mean square, up to which counting by bit planes pays.
FEW_LABELS = 8
#: Rows of a label matrix that are packed at once.
LABEL_ROWS = 2**16
#: Counts, of 4 bytes, that stay in a core's first cache.
WORKSPACE_CELLS = 2**13
#: Queries that visit a few gallery codes together, at most.
MAX_QUERIES = 16
#: Queries of a task, at least.
MIN_QUERIES = 64


class CompiledCells:
    """A gallery whose items are counted by set bits, differing bits and grade.

    Parameters
    ----------
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    labels : ndarray of shape (n_gallery,), dtype int64, \
            or csr_array of shape (n_gallery, n_labels), dtype float32
    set_bits : ndarray of shape (n_gallery,), dtype int64, default=None
        What items are grouped by, the fewest first; None for one group.
    n_bits, n_grades : int
    """

    def __init__(
        self,
        gallery: Packed,
        labels: Any,
        set_bits: NDArray[np.int64] | None,
        *,
        n_bits: int,
        n_grades: int,
    ) -> None:
        self.n_bits, self.n_grades = n_bits, n_grades
        self.are_classes = labels.ndim == 1
        self.by_planes = planes_pay()
        many = MANY_PLANE_CODES if self.by_planes else MANY_CODES
        one_word = set_bits is None and gallery.shape[1] <= 8 and len(gallery) >= many
        self.by_class = one_word and self.are_classes
        self.by_label = one_word and self.by_planes and not self.are_classes
        order: Any = np.argsort(labels) if self.by_class else slice(None)
        self.bounds = [0, len(gallery)]
        if set_bits is not None:
            small = set_bits.astype(np.min_scalar_type(n_bits))
            order = np.argsort(small, kind="stable")  # radix sort
            n_items = np.bincount(set_bits)
            self.bounds = [0, *np.cumsum(n_items[n_items > 0]).tolist()]
        self.codes = _to_words(gallery[order])
        self.classes = labels[order] if self.by_class else labels[:0]
        self.labels = _label_words(labels[order])

    def count(
        self, queries: Packed, labels: Any, n_jobs: int | None = None
    ) -> NDArray[np.int64]:
        """Count all items for some queries.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_bytes), dtype uint8
        labels : ndarray or csr_array
            Of the queries.
        n_jobs : int, default=None
            Threads, as in joblib.

        Returns
        -------
        cells : ndarray of shape (n_queries, n_groups, n_bits + 1, n_grades), \
                dtype int64
        """
        # Kernels shift distances to make room for a grade.
        n_grades = 1 << (self.n_grades - 1).bit_length()
        shape = len(queries), len(self.bounds) - 1, self.n_bits + 1, n_grades
        cells = np.zeros(shape, np.int64)
        count = self._count_codes
        if self.by_class:
            count = self._count_planes if self.by_planes else self._count_pairs
        elif self.by_label and _are_few(labels):
            count = self._count_label_planes
        rows_a_task = max(MIN_QUERIES, -(-len(queries) // n_threads(n_jobs)))
        tasks = [
            partial(count, cells[rows], queries[rows], labels[rows])
            for rows in cut(len(queries), rows_a_task)
        ]
        run(tasks, n_jobs)
        return cells[..., : self.n_grades]

    def _count_planes(self, cells: Any, queries: Packed, labels: Any) -> None:
        from ._plane_histogram_kernels import count_by_planes

        n_bytes = queries.shape[1]
        places = _places(padded_words(queries), n_bytes) * np.uint32(64)
        space = _plane_workspace(min(len(self.codes[0]), PLANE_CODES), n_bytes)
        for part, *ends in self._parts(labels, PLANE_CODES):
            layout = _layout(self.codes[0, part], places, space)
            count_by_planes((0,) * n_bytes, layout, cells[:, 0], *ends)

    def _count_label_planes(self, cells: Any, queries: Packed, labels: Any) -> None:
        from ._plane_histogram_kernels import LabelLayout, count_grades

        n_bytes, n_codes = queries.shape[1], self.codes.shape[1]
        places = _places(padded_words(queries), n_bytes) * np.uint32(64)
        rows, columns = labels.nonzero()
        n_labels = np.bincount(rows, minlength=len(queries))
        ends = np.cumsum(n_labels).astype(np.uint64)
        # Bits of a byte stand for labels from the highest on.
        own: Words = 64 * (1 + (columns.astype(np.uint64) ^ 7))
        n_grades = 1 + int(n_labels.max(initial=0))
        space = _plane_workspace(min(n_codes, PLANE_CODES), n_bytes, n_grades)
        n_planes = 1 + 64 * len(self.labels)
        planes = _aligned(8 * n_planes * len(space[0]))
        for part in gen_batches(n_codes, PLANE_CODES):
            layout = _layout(self.codes[0, part], places, space)
            words = self.labels[:, part]
            sizes = len(words), words.strides[0], 64 * n_planes
            addresses = (x.ctypes.data for x in (words, planes, own))
            label_layout = LabelLayout(*np.array([*sizes, *addresses], np.uint64))
            count_grades((0,) * n_bytes, layout, label_layout, cells[:, 0], ends)

    def _count_pairs(self, cells: Any, queries: Packed, labels: Any) -> None:
        from ._histogram_kernels import PAIR_SHIFT, count_pairs

        rows = np.argsort(labels)  # two queries of one class share more
        n_distances = 8 * queries.shape[1] + 1
        workspace = (
            np.zeros((3, n_distances << int(PAIR_SHIFT)), np.uint32),
            np.empty((2, n_distances), np.uint32),
            np.empty(N_PLACES, np.uint64),
        )
        words, codes = _to_words(queries[rows])[0], self.codes[0]
        for part, *ends in self._parts(labels[rows], TILE_CODES):
            count_pairs(
                cells[:, 0],
                rows.astype(np.uint64),
                words,
                codes[part],
                *ends,
                *workspace,
            )

    def _parts(self, labels: Any, size: int) -> Iterator[tuple[slice, Words, Words]]:
        """Cut the codes, and tell where in a part the class of each query lies."""
        first = np.searchsorted(self.classes, labels)
        last = np.searchsorted(self.classes, labels, side="right")
        for part in gen_batches(len(self.classes), size):
            begin, end = (np.clip(x, part.start, part.stop) for x in (first, last))
            begin, end = begin - part.start, end - part.start
            yield part, begin.astype(np.uint64), end.astype(np.uint64)

    def _count_codes(self, cells: Any, queries: Packed, labels: Any) -> None:
        from ._histogram_kernels import count_codes

        shift = (self.n_grades - 1).bit_length()
        n_cells = (8 * queries.shape[1] + 1) << shift
        at_once = int(np.clip(WORKSPACE_CELLS // (2 * n_cells), 1, MAX_QUERIES))
        workspace = (
            np.zeros((at_once, 2, n_cells), np.uint32),
            np.empty(N_PLACES, np.uint64),
        )
        words, label_words = _to_words(queries), _label_words(labels)
        for group, bounds in enumerate(pairwise(self.bounds)):
            count_codes(
                cells.reshape(*cells.shape[:2], -1),
                np.uint64(group),
                words,
                self.codes,
                *map(np.uint64, bounds),
                label_words,
                self.labels,
                self.are_classes,
                np.uint64(shift),
                *workspace,
            )


@cache
def planes_pay() -> bool:
    """Tell whether kernels are compiled for vectors of popcounts."""
    from numba.core.registry import cpu_target

    from ._vectors import has_feature

    return has_feature(cpu_target.target_context, "avx512vpopcntdq")


def _are_few(labels: Any) -> bool:
    """Tell whether queries have so few labels that counting by bit planes pays.

    Marking codes takes time by the square of their number.
    """
    n_labels = np.diff(labels.indptr).astype(np.int64)
    return bool((n_labels**2).sum() <= FEW_LABELS**2 * len(n_labels))


def _plane_workspace(
    n_codes: int, n_bytes: int, n_grades: int = 2
) -> tuple[Words, ...]:
    """Give the planes of tiles, rows, marks, and sums, as `Layout` tells them."""
    from ._bit_planes import BLOCK, n_planes_of

    planes = -(-n_codes // BLOCK), 8 * n_planes_of(n_bytes)
    sums = n_grades, 8 * n_bytes + 1, 8
    shapes: list[tuple[int, ...]] = [planes, (64, 8), (n_grades, 8), sums]
    sizes = [math.prod(shape) for shape in shapes]
    space = np.split(_aligned(sum(sizes)), np.cumsum(sizes[:-1]))
    space[-1][:] = 0
    return tuple(map(np.reshape, space, shapes))


def _layout(codes: Words, places: Any, space: tuple[Words, ...]) -> Any:
    """Give the `Layout` of some codes, the places of queries, and a workspace."""
    from ._plane_histogram_kernels import Layout

    sizes = len(codes), space[0][0].nbytes, places[0].nbytes
    addresses = (x.ctypes.data for x in (codes, places, *space))
    return Layout(*np.array([*sizes, *addresses], np.uint64))


def merge_spherical(
    cells: NDArray[np.int64],
    query_bits: NDArray[np.int64],
    group_bits: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Add up the counts at equal spherical distances, in the order of distances.

    Parameters
    ----------
    cells : ndarray of shape (n_queries, n_groups, n_bits + 1, n_grades), dtype int64
    query_bits, group_bits : ndarray of shape (n_queries,) and (n_groups,), dtype int64
        Set bits.

    Returns
    -------
    counts : ndarray of shape (n_queries, n_most, n_grades), dtype int64
        Empty after the last distance of a query.
    distances : ndarray of shape (n_queries, n_most), dtype float64
        The distances that occur, ascending; infinite after the last.
    """
    from . import _histogram_kernels as kernels

    n_queries, n_groups, n_distances, n_grades = cells.shape
    possible = possible_distances(n_distances - 1, metric="spherical")
    # Differing bits are all odd, or all even, for two numbers of set bits.
    n_most = min(len(possible), n_groups * (n_distances // 2 + 1))
    counts = np.zeros((n_queries, n_most, n_grades), np.int64)
    ranks = np.full((n_queries, n_most), len(possible), np.int32)
    kernels.merge_spherical(
        counts,
        ranks,
        np.ascontiguousarray(cells),
        query_bits.astype(np.uint64),
        group_bits.astype(np.uint64),
        _rank_of(n_distances - 1),
        np.zeros((len(possible), n_grades), np.int64),
    )
    n_most = (ranks < len(possible)).sum(axis=1).max(initial=0)
    return counts[:, :n_most], np.append(possible, np.inf)[ranks[:, :n_most]]


@lru_cache(maxsize=4)
def _rank_of(n_bits: int) -> NDArray[np.int32]:
    """Places of spherical distances, by differing and common bits."""
    numbers = np.arange(n_bits + 1)
    bits, common = np.nonzero(numbers[:, None] + numbers <= n_bits)
    ranks = np.zeros((n_bits + 1, n_bits + 1), np.int32)
    possible = possible_distances(n_bits, metric="spherical")
    ranks[bits, common] = np.searchsorted(possible, spherical_distances(bits, common))
    return ranks


def _to_words(packed: Packed) -> Words:
    """Lay codes out word by word, zero padded: (n_words, n_samples)."""
    return np.ascontiguousarray(padded_words(packed).T)


def _label_words(labels: Any) -> Words:
    """Lay labels out as (n_words, n_samples): a class, or a bit a label."""
    if not issparse(labels):
        return np.ascontiguousarray(labels[None], np.int64).view(np.uint64)
    packed = np.empty((labels.shape[0], -(-labels.shape[1] // 8)), np.uint8)
    for rows in gen_batches(len(packed), LABEL_ROWS):
        packed[rows] = np.packbits(labels[rows].toarray() > 0, axis=1)
    return _to_words(packed)
