"""Counts of items by distance and by number of shared labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import Packed, gallery_blocks, query_batches


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

    Returns
    -------
    counts : ndarray of shape (n_queries, n_bits + 1, n_grades), dtype int64
        ``counts[i, d, g]`` items are d bits away from query i and share g labels with
        it. The counts of two galleries add up to those of their union.
    """
    n_cells = (n_bits + 1) * n_grades
    counts = np.empty((len(queries), n_cells), np.int64)
    for rows in query_batches(len(queries)):
        batch, labels = queries[rows], query_labels[rows]
        first_cell = np.arange(len(batch))[:, None] * n_cells
        total = np.zeros(len(batch) * n_cells, np.int64)
        for columns, block in gallery_blocks(batch, gallery):
            cell = count_shared_labels(labels, gallery_labels[columns])
            cell += block * np.int64(n_grades)
            cell += first_cell
            total += np.bincount(cell.ravel(), minlength=len(total))
        counts[rows] = total.reshape(len(batch), n_cells)
    return counts.reshape(len(queries), n_bits + 1, n_grades)
