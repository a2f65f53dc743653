"""What a ranking is scored from: codes with labels, or a pair of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, gen_batches

from sklhash.codes import PackedCodes, as_packed
from sklhash.hamming import (
    HistogramCounter,
    asymmetric_distances,
    count_set_bits,
    count_shared_labels,
    distances,
    paired_distances,
    possible_distances,
)
from sklhash.projections import as_projections

from ._tie_groups import (
    TieGroups,
    groups_from_histograms,
    groups_from_order,
    histograms_from_matrix,
)
from .labels import check_grades, check_relevance, encode_labels, n_grades

#: Histogram cells, or items, that are counted or sorted at once.
BLOCK_CELLS = 2**21
#: Largest count of a histogram: more codes no search can number.
MAX_COUNT = 2**32
#: Histogram cells whose closed forms are computed at once, in a core's cache.
SCORED_CELLS = 2**16
#: Counts for each gallery item up to which counting is cheaper than sorting, about.
MAX_COUNTS_AN_ITEM = 16


class CodePairs(NamedTuple):
    """Codes and labels of queries and gallery, checked against each other."""

    queries: PackedCodes
    gallery: PackedCodes
    query_labels: Any
    gallery_labels: Any
    n_grades: int
    exclude_self: bool
    code_distance: str
    projections: Any = None  # of the queries, for asymmetric distances

    @classmethod
    def from_input(
        cls,
        query_codes: Any,
        gallery_codes: Any,
        y_query: Any,
        y_gallery: Any,
        exclude_self: bool,
        code_distance: str,
    ) -> CodePairs:
        projections = None
        if code_distance == "asymmetric":
            projections = query_codes = as_projections(query_codes, "query_codes")
        queries = as_packed(query_codes, "query_codes")
        gallery = as_packed(gallery_codes, "gallery_codes")
        if queries.n_bits != gallery.n_bits:
            raise ValueError(
                "query_codes and gallery_codes must have equally many bits; got "
                f"{queries.n_bits} and {gallery.n_bits}"
            )
        labels = encode_labels(y_query, y_gallery)
        _check_lengths(queries, labels[0], "query")
        _check_lengths(gallery, labels[1], "gallery")
        if exclude_self:
            _check_square(len(queries), len(gallery))
        grades = n_grades(labels[0])
        check_grades(grades - 1)
        return cls(
            queries, gallery, *labels, grades, exclude_self, code_distance, projections
        )

    @property
    def n_queries(self) -> int:
        return len(self.queries)

    @property
    def n_ranks(self) -> int:
        return len(self.gallery) - self.exclude_self

    @property
    def possible_distances(self) -> NDArray[Any]:
        return possible_distances(self.queries.n_bits, metric=self.code_distance)

    def histograms(self) -> NDArray[np.int64]:
        """Count the items at each of the possible distances."""
        return self._count(self._counter(), slice(0, self.n_queries))

    def histogram_blocks(self) -> Iterator[NDArray[np.int64]]:
        """Count as `histograms` does, some queries after the others."""
        counter = self._counter()
        n_cells = len(self.possible_distances) * self.n_grades
        for rows in _batches(self.n_queries, n_cells):
            counts = self._count(counter, rows)
            for part in _batches(len(counts), n_cells, SCORED_CELLS):
                yield counts[part]

    def _counter(self) -> HistogramCounter:
        return HistogramCounter(
            self.gallery.packed,
            self.gallery_labels,
            n_queries=self.n_queries,
            n_bits=self.queries.n_bits,
            n_grades=self.n_grades,
            metric=self.code_distance,
        )

    def _count(self, counter: HistogramCounter, rows: slice) -> NDArray[np.int64]:
        counts = counter.count(self.queries.packed[rows], self.query_labels[rows])
        self._leave_out_self(counts, self.possible_distances, rows)
        return counts

    def tie_groups(self, ties: str) -> Iterator[TieGroups]:
        if ties == "index":
            return self._sorted_groups(ties, len(self.gallery))
        if self.code_distance == "asymmetric":
            return self._sorted_groups(ties, len(self.gallery) * self.n_grades)
        if self.code_distance == "hamming":
            distance = self.possible_distances[None]
            return (
                groups_from_histograms(counts, distance, ties)
                for counts in self.histogram_blocks()
            )
        set_bits = np.unique(count_set_bits(self.gallery.packed))
        n_counts = len(set_bits) * (self.queries.n_bits + 1)
        n_cells = n_counts * self.n_grades
        if n_counts > MAX_COUNTS_AN_ITEM * len(self.gallery) or n_cells > BLOCK_CELLS:
            return self._sorted_groups(ties, len(self.gallery) * self.n_grades)
        return self._spherical_groups(ties, n_cells)

    def _spherical_groups(self, ties: str, n_cells: int) -> Iterator[TieGroups]:
        counter = self._counter()
        for rows in _batches(self.n_queries, n_cells):
            queries, labels = self.queries.packed[rows], self.query_labels[rows]
            counts, distance = counter.count_occurring(queries, labels)
            self._leave_out_self(counts, distance, rows)
            for part in _batches(len(counts), counts[0].size, SCORED_CELLS):
                yield groups_from_histograms(counts[part], distance[part], ties)

    def _sorted_groups(self, ties: str, n_cells: int) -> Iterator[TieGroups]:
        for rows in _batches(len(self.queries), n_cells):
            yield groups_from_matrix(*self._matrices(rows), self.n_grades, ties)

    def _leave_out_self(
        self, counts: NDArray[np.int64], distance: NDArray[Any], rows: slice
    ) -> None:
        """Take the item that stands in the place of each query out of its counts."""
        if not self.exclude_self:
            return
        queries, itself = self.queries.packed[rows], self.gallery.packed[rows]
        own = paired_distances(queries, itself, metric=self.code_distance)
        place = (distance < own[:, None]).sum(axis=1)
        shared = _paired_shared_labels(
            self.query_labels[rows], self.gallery_labels[rows]
        )
        counts[np.arange(len(counts)), place, shared] -= 1

    def _matrices(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.int64]]:
        queries, gallery = self.queries.packed[rows], self.gallery.packed
        if self.projections is None:
            distance = distances(queries, gallery, metric=self.code_distance)
        else:
            distance = asymmetric_distances(self.projections[rows], gallery)
        grade = count_shared_labels(self.query_labels[rows], self.gallery_labels)
        if self.exclude_self:
            _mark_self(grade, rows)
        return distance, grade


class MatrixPairs(NamedTuple):
    """A relevance and a distance for each pair of query and gallery item."""

    grade: NDArray[np.int64]
    distance: NDArray[Any]
    exclude_self: bool

    @classmethod
    def from_input(
        cls, relevance: Any, distances: Any, exclude_self: bool
    ) -> MatrixPairs:
        if relevance is None or distances is None:
            raise ValueError(
                "relevance and distances go together: give both, of shape "
                "(n_queries, n_gallery)"
            )
        grade = check_relevance(relevance)
        distance = check_array(distances, input_name="distances")
        if grade.shape != distance.shape:
            raise ValueError(
                "relevance and distances must have one shape; got "
                f"{grade.shape} and {distance.shape}"
            )
        if exclude_self:
            _check_square(*grade.shape)
        return cls(grade, distance, exclude_self)

    @property
    def n_queries(self) -> int:
        return len(self.grade)

    @property
    def n_ranks(self) -> int:
        return self.grade.shape[1] - self.exclude_self

    def tie_groups(self, ties: str) -> Iterator[TieGroups]:
        grades = 1 + int(self.grade.max())
        for rows in _batches(len(self.grade), self.grade.shape[1] * grades):
            distance, grade = self.distance[rows], self.grade[rows]
            if self.exclude_self:
                grade = grade.copy()
                _mark_self(grade, rows)
            yield groups_from_matrix(distance, grade, grades, ties)


def groups_from_matrix(
    distance: NDArray[Any], grade: NDArray[np.int64], n_grades: int, ties: str
) -> TieGroups:
    if ties == "index":
        return groups_from_order(distance, grade, n_grades)
    counts, distinct = histograms_from_matrix(distance, grade, n_grades)
    return groups_from_histograms(counts, distinct, ties)


def _batches(
    n_queries: int, cells_a_query: int, most: int = BLOCK_CELLS
) -> Iterator[slice]:
    return gen_batches(n_queries, max(1, most // cells_a_query))


def _mark_self(grade: NDArray[np.int64], rows: slice) -> None:
    grade[np.arange(len(grade)), np.arange(rows.start, rows.start + len(grade))] = -1


def _paired_shared_labels(first: Any, second: Any) -> NDArray[np.int64]:
    if first.ndim == 1:
        return (first == second).astype(np.int64)
    return np.asarray(first.multiply(second).sum(axis=1)).astype(np.int64)


def _check_lengths(codes: PackedCodes, labels: Any, name: str) -> None:
    if len(codes) != labels.shape[0]:
        raise ValueError(
            f"{name}_codes and y_{name} must have one row an item; got {len(codes)} "
            f"and {labels.shape[0]} rows"
        )


def _check_square(n_queries: int, n_gallery: int) -> None:
    if n_queries != n_gallery or n_gallery < 2:
        raise ValueError(
            "exclude_self=True takes the queries to be the gallery, row by row, with 2 "
            f"rows or more; got {n_queries} queries and {n_gallery} gallery items"
        )


def check_histograms(histograms: Any) -> NDArray[np.int64]:
    """Validate counts that may come from several galleries.

    Parameters
    ----------
    histograms : array-like of shape (n_queries, n_distances, n_grades)

    Returns
    -------
    histograms : ndarray of shape (n_queries, n_distances, n_grades), dtype int64

    Raises
    ------
    ValueError
        If the counts are negative, fractional or differ in total between queries.
    """
    counts = check_array(
        histograms, allow_nd=True, ensure_2d=False, input_name="histograms"
    )
    if counts.ndim != 3 or counts.shape[2] < 2:
        raise ValueError(
            "histograms must have shape (n_queries, n_distances, n_grades) with 2 or "
            f"more grades; got {counts.shape}"
        )
    check_grades(counts.shape[2] - 1)
    if counts.min() < 0 or (counts != np.floor(counts)).any():
        raise ValueError("histograms must hold whole numbers >= 0")
    if counts.max() > MAX_COUNT:
        raise ValueError(
            f"histograms may count {MAX_COUNT} items at a distance; got {counts.max()}"
        )
    totals = counts.sum(axis=(1, 2))
    if totals[0] == 0 or (totals != totals[0]).any():
        raise ValueError(
            "histograms must count equally many items, 1 or more, for every query; got "
            f"{totals.min():g} to {totals.max():g}"
        )
    return counts.astype(np.int64)
