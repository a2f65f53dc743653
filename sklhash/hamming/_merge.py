"""Neighbours of several galleries, merged into those of their concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def merge_nearest(
    distances: Sequence[NDArray[Any]], positions: Sequence[NDArray[np.intp]], k: int
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Keep the k nearest of several lists of neighbours.

    Parameters
    ----------
    distances : sequence of ndarray of shape (n_queries, k_i)
    positions : sequence of ndarray of shape (n_queries, k_i), dtype intp
        Places in the joint gallery.
    k : int
        At most the sum of all k_i.

    Returns
    -------
    distances : ndarray of shape (n_queries, k)
        Ascending.
    positions : ndarray of shape (n_queries, k), dtype intp
        Equal distances are ordered by position.
    """
    return smallest(np.hstack(distances), np.hstack(positions), k)


def smallest(
    distances: NDArray[Any], positions: NDArray[np.intp], k: int
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Sort rows by (distance, position) and keep their first k places.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_found)
    positions : ndarray of shape (n_queries, n_found), dtype intp
    k : int
        At most n_found.

    Returns
    -------
    distances : ndarray of shape (n_queries, k)
    positions : ndarray of shape (n_queries, k), dtype intp
    """
    order = np.argsort(distances, axis=1)  # much faster than `lexsort`
    ranked = np.take_along_axis(distances, order, axis=1)[:, : k + 1]
    tied = (ranked[:, 1:] == ranked[:, :-1]).any(axis=1)
    order[tied] = np.lexsort((positions[tied], distances[tied]))
    order = order[:, :k]
    return ranked[:, :k], np.take_along_axis(positions, order, axis=1)


def merge_within(
    indptrs: Sequence[NDArray[np.intp]],
    distances: Sequence[NDArray[Any]],
    positions: Sequence[NDArray[np.intp]],
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
    """Join the answers of radius searches in several galleries.

    Parameters
    ----------
    indptrs : sequence of ndarray of shape (n_queries + 1,), dtype intp
        As from :func:`within_radius`.
    distances : sequence of ndarray of shape (n_found_i,)
    positions : sequence of ndarray of shape (n_found_i,), dtype intp
        Places in the joint gallery.

    Returns
    -------
    indptr, distances, positions
        As from :func:`within_radius`.
    """
    counts = np.array([np.diff(indptr) for indptr in indptrs])
    queries = np.arange(counts.shape[1])
    query = np.concatenate([np.repeat(queries, found) for found in counts])
    distance, position = np.concatenate(distances), np.concatenate(positions)
    order = np.lexsort((position, distance, query))
    indptr = np.concatenate([[0], counts.sum(axis=0).cumsum()]).astype(np.intp)
    return indptr, distance[order], position[order]
