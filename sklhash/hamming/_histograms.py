"""Counts of items by distance and by number of shared labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import Packed, count_set_bits, gallery_blocks, query_batches
from ._code_metrics import SphericalMetric, possible_distances

#: Counts by set bits and differing bits that are made at once, at most about.
GROUPED_CELLS = 2**23


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
    """
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
    """
    n_distances = len(possible_distances(n_bits, metric=metric))
    if metric == "hamming":
        counts = np.zeros((len(queries), n_distances, 1, n_grades), np.int64)
        _add_by_bits(counts, queries, gallery, query_labels, gallery_labels)
        return counts[:, :, 0]
    # One place more, where the infinite distances go.
    counts = np.zeros((len(queries), n_distances + 1, n_grades), np.int64)
    most = max(1, GROUPED_CELLS // ((n_bits + 1) ** 2 * n_grades))
    for rows in query_batches(len(queries), most):
        occurring, distances = occurring_histograms(
            queries[rows],
            gallery,
            query_labels[rows],
            gallery_labels,
            n_bits=n_bits,
            n_grades=n_grades,
        )
        place = np.searchsorted(possible_distances(n_bits, metric=metric), distances)
        np.put_along_axis(counts[rows], place[:, :, None], occurring, axis=1)
    return counts[:, :-1]


def occurring_histograms(
    queries: Packed,
    gallery: Packed,
    query_labels: Any,
    gallery_labels: Any,
    *,
    n_bits: int,
    n_grades: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count items as :func:`histograms` does, only at spherical distances that occur.

    Parameters
    ----------
    queries, gallery, query_labels, gallery_labels, n_bits, n_grades
        As in :func:`histograms`.

    Returns
    -------
    counts : ndarray of shape (n_queries, n_most, n_grades), dtype int64
        Empty after the last distance of a query.
    distances : ndarray of shape (n_queries, n_most), dtype float64
        The distances that occur for each query, ascending; infinite after the last.
    """
    set_bits, group = _group_by_set_bits(gallery)
    shape = len(queries), n_bits + 1, len(set_bits), n_grades
    counts = np.zeros(shape, np.int64)
    _add_by_bits(counts, queries, gallery, query_labels, gallery_labels, group)
    cells = np.flatnonzero(counts) // n_grades  # ascending
    cells = cells[np.diff(cells, prepend=-1) > 0]
    query, bits, group = np.unravel_index(cells, shape[:3])
    metric = SphericalMetric(n_bits, count_set_bits(queries), set_bits)

    # Several cells of a query may lie at one distance: they have one rank.
    key = query * metric.n_ranks + metric.ranks(bits, query, group)
    order = np.argsort(key)
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    items = np.add.reduceat(counts.reshape(-1, n_grades)[cells[order]], first)
    group, query, bits = (x[order[first]] for x in (group, query, bits))

    place = np.arange(len(query)) - np.searchsorted(query, query)
    n_most = place.max() + 1
    occurring = np.zeros((len(queries), n_most, n_grades), np.int64)
    occurring[query, place] = items
    distances = np.full((len(queries), n_most), np.inf)
    distances[query, place] = metric.distances(bits, query, group)
    return occurring, distances


def _group_by_set_bits(gallery: Packed) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Numbers of set bits that occur, ascending, and the place of each item's there."""
    set_bits = count_set_bits(gallery)
    occurs = np.bincount(set_bits) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[set_bits]


def _add_by_bits(
    counts: NDArray[np.int64],
    queries: Packed,
    gallery: Packed,
    query_labels: Any,
    gallery_labels: Any,
    group: NDArray[np.intp] | None = None,
) -> None:
    """Add the number of items at each number of differing bits, by group and grade.

    Parameters
    ----------
    counts : contiguous ndarray of shape (n_queries, n_bits + 1, n_groups, n_grades), \
            dtype int64
        Is added to.
    queries, gallery, query_labels, gallery_labels
        As in :func:`histograms`.
    group : ndarray of shape (n_gallery,), default=None
        Group of each item; None where there is one only.
    """
    n_cells, (n_groups, n_grades) = counts[0].size, counts.shape[2:]
    offset = None if group is None else group * n_grades
    for rows in query_batches(len(queries)):
        batch, labels = queries[rows], query_labels[rows]
        cells = counts[rows].reshape(-1)  # a view
        first_cell = np.arange(0, len(cells), n_cells)[:, None]
        for columns, bits in gallery_blocks(batch, gallery):
            cell = count_shared_labels(labels, gallery_labels[columns])
            cell += bits * np.int64(n_groups * n_grades)
            cell += first_cell if offset is None else first_cell + offset[columns]
            np.add.at(cells, cell.ravel(), 1)  # np.bincount would make all cells anew
