"""Distances of all pairs, or of paired rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import Packed, gallery_blocks, query_batches
from ._checks import check_codes
from ._code_metrics import EVERY_QUERY, bind_metric


def distances(
    queries: Packed, gallery: Packed, *, metric: str = "hamming"
) -> NDArray[Any]:
    """Distance of every query to every gallery code.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    metric : {'hamming', 'spherical'}, default='hamming'

    Returns
    -------
    distances : ndarray of shape (n_queries, n_gallery), dtype int32 or float64
        In bits (int32), or spherical (float64). This is the whole matrix: prefer
        :func:`top_k`, :func:`within_radius` or :func:`histograms`, which never build
        it.

    Examples
    --------
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import distances
    >>> codes = PackedCodes.from_codes([[0, 0, 1], [0, 1, 1], [1, 1, 1]])
    >>> distances(codes.packed[:2], codes.packed)
    array([[0, 1, 2],
           [1, 0, 1]], dtype=int32)
    """
    check_codes(queries, gallery)
    bound = bind_metric(metric, queries, gallery)
    result = np.empty((len(queries), len(gallery)), bound.dtype)
    for rows in query_batches(len(queries)):
        batch = bound.of_queries(rows)
        for columns, bits in gallery_blocks(queries[rows], gallery):
            result[rows, columns] = batch.distances(bits, EVERY_QUERY, columns)
    return result


def paired_distances(
    first: Packed, second: Packed, *, metric: str = "hamming"
) -> NDArray[Any]:
    """Distance of row i of one array to row i of the other.

    Parameters
    ----------
    first, second : ndarray of shape (n_samples, n_bytes), dtype uint8
    metric : {'hamming', 'spherical'}, default='hamming'

    Returns
    -------
    distances : ndarray of shape (n_samples,), dtype int32 or float64
        In bits (int32), or spherical (float64).

    Examples
    --------
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import paired_distances
    >>> codes = PackedCodes.from_codes([[0, 0, 1], [0, 1, 1], [1, 0, 0]])
    >>> paired_distances(codes.packed[:2], codes.packed[1:])
    array([1, 3], dtype=int32)
    """
    check_codes(first, second, ("first", "second"))
    if len(first) != len(second):
        raise ValueError(
            "first and second must have equally many rows, to be paired; got "
            f"{len(first)} and {len(second)}"
        )
    bits = np.bitwise_count(first ^ second).sum(axis=1, dtype=np.int64)
    bound, each = bind_metric(metric, first, second), slice(None)
    return bound.distances(bits, each, each).astype(bound.dtype, copy=False)
