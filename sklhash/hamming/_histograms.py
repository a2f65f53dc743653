"""Counts of items by distance and by number of shared labels."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import Packed, count_set_bits, gallery_blocks, query_batches
from ._checks import (
    check_codes,
    check_label_pair,
    check_labels,
    check_n_bits,
    check_packed,
    check_padding,
)
from ._code_metrics import (
    MAX_LISTED_BITS,
    METRICS,
    SphericalMetric,
    possible_distances,
)
from ._numba import kernels_pay

#: Counts by set bits and differing bits that are made at once, at most about.
GROUPED_CELLS = 2**23
#: Columns of a label matrix up to which kernels compare its rows as packed bits.
MAX_PACKED_LABELS = 512


def count_shared_labels(query_labels: Any, gallery_labels: Any) -> NDArray[np.int64]:
    """Count the labels that each query shares with each gallery item.

    Parameters
    ----------
    query_labels : ndarray of shape (n_queries,), dtype int64, \
            or csr_array of shape (n_queries, n_labels), dtype float32
        Class numbers, or an indicator matrix of zeros and ones.
    gallery_labels : like `query_labels`, for the n_gallery items

    Returns
    -------
    shared : ndarray of shape (n_queries, n_gallery), dtype int64
        For class numbers 1 where they are equal, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from sklhash.hamming import count_shared_labels
    >>> count_shared_labels(np.array([3, 7]), np.array([7, 7, 3]))
    array([[0, 0, 1],
           [1, 1, 0]])
    >>> labels = csr_array(np.array([[1, 1, 0], [0, 1, 1]], np.float32))
    >>> count_shared_labels(labels, labels)
    array([[2, 1],
           [1, 2]])
    """
    check_label_pair(query_labels, gallery_labels)
    if query_labels.ndim == 1:
        return (query_labels[:, None] == gallery_labels).astype(np.int64)
    # Sparse times dense: its cost is that of the labels that are set.
    return (gallery_labels @ query_labels.toarray().T).T.astype(np.int64)


def histograms(
    queries: Packed,
    gallery: Packed,
    query_labels: Any,
    gallery_labels: Any,
    *,
    n_bits: int,
    n_grades: int,
    metric: str = "hamming",
    n_jobs: int | None = None,
) -> NDArray[np.int64]:
    """Count, for every query, the gallery items at each distance and grade.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    query_labels, gallery_labels : ndarray or csr_array
        As in :func:`count_shared_labels`.
    n_bits : int
        Code length.
    n_grades : int
        One more than the largest number of shared labels.
    metric : {'hamming', 'spherical'}, default='hamming'
    n_jobs : int, default=None
        Threads, as in joblib. The counts do not depend on it.

    Returns
    -------
    counts : ndarray of shape (n_queries, n_distances, n_grades), dtype int64
        ``counts[i, d, g]`` items lie at the d-th of the :func:`possible_distances` from
        query i (for Hamming d bits away) and share g labels with it. The counts of two
        galleries add up to those of their union.

    Raises
    ------
    ValueError
        If `metric` is unknown, or spherical and `n_bits` above 1,024.

    Examples
    --------
    One query of class 7, and codes that differ from its own in 0, 1 and 2 bits: row d
    of the counts holds the items of other classes, and those of class 7.

    >>> import numpy as np
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import histograms
    >>> gallery = PackedCodes.from_codes([[1, 1], [0, 1], [1, 0], [0, 0]])
    >>> query, labels = gallery[0], np.array([7, 7, 3, 3])
    >>> histograms(
    ...     query.packed, gallery.packed, labels[:1], labels, n_bits=2, n_grades=2
    ... )
    array([[[0, 1],
            [1, 1],
            [1, 0]]])
    """
    check_codes(queries, gallery)
    possible_distances(n_bits, metric=metric)  # can be listed
    counter = HistogramCounter(
        gallery,
        gallery_labels,
        n_bits=n_bits,
        n_grades=n_grades,
        metric=metric,
        n_queries=len(queries),
        n_jobs=n_jobs,
    )
    return counter.count(queries, query_labels)


def occurring_histograms(
    queries: Packed,
    gallery: Packed,
    query_labels: Any,
    gallery_labels: Any,
    *,
    n_bits: int,
    n_grades: int,
    n_jobs: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count items as :func:`histograms` does, only at spherical distances that occur.

    Parameters
    ----------
    queries, gallery, query_labels, gallery_labels, n_bits, n_grades, n_jobs
        As in :func:`histograms`.

    Returns
    -------
    counts : ndarray of shape (n_queries, n_most, n_grades), dtype int64
        Empty after the last distance of a query.
    distances : ndarray of shape (n_queries, n_most), dtype float64
        The distances that occur for each query, ascending; infinite after the last.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import occurring_histograms
    >>> gallery = PackedCodes.from_codes([[1, 1], [0, 1], [1, 0]])
    >>> query, labels = gallery[0], np.array([7, 7, 3])
    >>> counts, distances = occurring_histograms(
    ...     query.packed, gallery.packed, labels[:1], labels, n_bits=2, n_grades=2
    ... )
    >>> counts, distances.round(3)
    (array([[[0, 1],
            [1, 1]]]), array([[0.   , 0.909]]))
    """
    check_codes(queries, gallery)
    counter = HistogramCounter(
        gallery,
        gallery_labels,
        n_bits=n_bits,
        n_grades=n_grades,
        metric="spherical",
        n_queries=len(queries),
        n_jobs=n_jobs,
    )
    return counter.count_occurring(queries, query_labels)


class HistogramCounter:
    """Counts the items of one gallery, which it prepares once, for many queries.

    Parameters
    ----------
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    labels : ndarray or csr_array
        Of the gallery.
    n_queries : int
        Queries that will come: for few of them numpy counts, else compiled kernels.
    n_bits, n_grades, metric, n_jobs
        As in :func:`histograms`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import HistogramCounter
    >>> gallery = PackedCodes.from_codes([[1, 1], [0, 1], [1, 0], [0, 0]])
    >>> labels = np.array([7, 7, 3, 3])
    >>> counter = HistogramCounter(
    ...     gallery.packed, labels, n_queries=2, n_bits=2, n_grades=2
    ... )
    >>> counter.count(gallery.packed[:2], labels[:2]).shape
    (2, 3, 2)
    """

    def __init__(
        self,
        gallery: Packed,
        labels: Any,
        *,
        n_queries: int,
        n_bits: int,
        n_grades: int,
        metric: str = "hamming",
        n_jobs: int | None = None,
    ) -> None:
        _check_sizes(n_bits, n_grades, metric)
        _check_gallery(gallery, labels, n_bits)
        self.n_bits, self.n_grades, self.n_jobs = n_bits, n_grades, n_jobs
        self._gallery, self._labels = gallery[:1], labels[:1]  # their forms
        # Differing bits, and the set bits of both, give the spherical distance.
        set_bits = None if metric == "hamming" else count_set_bits(gallery)
        self._group_bits: Any = None
        if set_bits is not None:
            self._group_bits = np.flatnonzero(np.bincount(set_bits))
        cells, self._merge = _choose_backend(n_queries, gallery, labels)
        self._cells = cells(gallery, labels, set_bits, n_bits=n_bits, n_grades=n_grades)

    def count(self, queries: Packed, labels: Any) -> NDArray[np.int64]:
        """Count as :func:`histograms` does."""
        self._check_queries(queries, labels)
        if self._group_bits is None:
            return self._cells.count(queries, labels, self.n_jobs)[:, 0]
        possible = possible_distances(self.n_bits, metric="spherical")
        # One place more, where the infinite distances go.
        shape = len(queries), len(possible) + 1, self.n_grades
        counts = np.zeros(shape, np.int64)
        cells = len(self._group_bits) * (self.n_bits + 1) * self.n_grades
        for rows in query_batches(len(queries), max(1, GROUPED_CELLS // cells)):
            found, distances = self.count_occurring(queries[rows], labels[rows])
            place = np.searchsorted(possible, distances)
            np.put_along_axis(counts[rows], place[:, :, None], found, axis=1)
        return counts[:, :-1]

    def count_occurring(
        self, queries: Packed, labels: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Count as :func:`occurring_histograms` does."""
        if self._group_bits is None:
            raise ValueError("count_occurring needs metric='spherical'; got 'hamming'")
        self._check_queries(queries, labels)
        cells = self._cells.count(queries, labels, self.n_jobs)
        return self._merge(cells, count_set_bits(queries), self._group_bits)

    def _check_queries(self, queries: Packed, labels: Any) -> None:
        check_codes(queries, self._gallery)
        check_padding(queries, self.n_bits)
        check_label_pair(labels, self._labels)
        check_labels(labels, len(queries))
        most = 1 if labels.ndim == 1 else int(labels.sum(axis=1).max(initial=0))
        if most >= self.n_grades:
            raise ValueError(
                f"a query may share {most} labels; got n_grades={self.n_grades}"
            )


def _check_sizes(n_bits: Any, n_grades: Any, metric: str) -> None:
    check_n_bits(n_bits)
    if isinstance(n_grades, bool) or not isinstance(n_grades, Integral):
        raise TypeError(f"n_grades must be an integer; got {n_grades!r}")
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}")


def _check_gallery(gallery: Packed, labels: Any, n_bits: int) -> None:
    check_packed(gallery, "gallery")
    check_n_bits(n_bits, gallery)
    check_padding(gallery, n_bits)
    check_labels(labels, len(gallery))
    if not len(gallery):
        raise ValueError("gallery holds 0 codes while a minimum of 1 is required")


def _choose_backend(n_queries: int, gallery: Packed, labels: Any) -> tuple[Any, Any]:
    """Give what counts, and what merges counts at equal spherical distances."""
    n_gallery, n_bytes = gallery.shape
    packable = labels.ndim == 1 or labels.shape[1] <= MAX_PACKED_LABELS
    if not packable or not kernels_pay(n_queries, n_gallery, -(-n_bytes // 8)):
        return NumpyCells, _merge_spherical
    from ._compiled_histograms import CompiledCells, merge_spherical

    listed = 8 * n_bytes <= MAX_LISTED_BITS
    return CompiledCells, merge_spherical if listed else _merge_spherical


class NumpyCells:
    """A gallery whose items are counted by set bits, differing bits and grade.

    Parameters
    ----------
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    labels : ndarray or csr_array
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
        self.gallery, self.labels = gallery, labels
        if set_bits is None:
            set_bits = np.zeros(len(gallery), np.int64)
        occurs = np.bincount(set_bits) > 0
        group = (np.cumsum(occurs) - 1)[set_bits]
        self.shape = int(occurs.sum()), n_bits + 1, n_grades
        self.first_cell = group * ((n_bits + 1) * n_grades)

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
            Is not used: numpy holds the interpreter's lock most of the time.

        Returns
        -------
        cells : ndarray of shape (n_queries, n_groups, n_bits + 1, n_grades), \
                dtype int64
        """
        counts = np.zeros((len(queries), *self.shape), np.int64)
        n_cells, n_grades = math.prod(self.shape), np.int64(self.shape[-1])
        for rows in query_batches(len(queries)):
            batch, batch_labels = queries[rows], labels[rows]
            cells = counts[rows].reshape(-1)  # a view
            first_cell = np.arange(0, len(cells), n_cells)[:, None]
            for columns, bits in gallery_blocks(batch, self.gallery):
                cell = count_shared_labels(batch_labels, self.labels[columns])
                cell += bits * n_grades
                cell += first_cell
                cell += self.first_cell[columns]
                np.add.at(cells, cell.ravel(), 1)  # bincount would make all cells anew
        return counts


def _merge_spherical(
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
    counts, distances
        As from :func:`occurring_histograms`.
    """
    n_queries, _, n_distances, n_grades = cells.shape
    occurs = np.flatnonzero(cells.reshape(-1, n_grades).any(axis=1))
    query, group, bits = np.unravel_index(occurs, cells.shape[:3])
    metric = SphericalMetric(n_distances - 1, query_bits, group_bits)

    # Several cells of a query may lie at one distance: they have one rank.
    key = query * metric.n_ranks + metric.ranks(bits, query, group)
    order = np.argsort(key)
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    items = np.add.reduceat(cells.reshape(-1, n_grades)[occurs[order]], first)
    group, query, bits = (x[order[first]] for x in (group, query, bits))

    place = np.arange(len(query)) - np.searchsorted(query, query)
    n_most = place.max(initial=-1) + 1
    counts = np.zeros((n_queries, n_most, n_grades), np.int64)
    counts[query, place] = items
    distances = np.full((n_queries, n_most), np.inf)
    distances[query, place] = metric.distances(bits, query, group)
    return counts, distances
