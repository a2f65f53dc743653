"""Rankings as groups of equally distant items, and what a tie rule makes of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TIES = ("expected", "optimistic", "pessimistic", "index")


class TieGroups(NamedTuple):
    """Rankings of several queries, nearest group first, one row a query.

    Inside a group every order is equally likely.

    Parameters
    ----------
    distance : ndarray of shape (n_queries or 1, n_groups)
        In bits, spherical, or whatever the distances were given in.
    items, relevant, shared : ndarray of shape (n_queries, n_groups), dtype int64
        Items in the group, those that share a label with the query, and the labels
        that they share, summed.
    gains : ndarray of shape (n_queries, n_groups), dtype float64
        Sum of ``2**shared - 1`` over the group's items.
    totals : ndarray of shape (n_queries, n_grades), dtype int64
        Items of the whole gallery that share g labels with the query.
    """

    distance: NDArray[Any]
    items: NDArray[np.int64]
    relevant: NDArray[np.int64]
    shared: NDArray[np.int64]
    gains: NDArray[np.float64]
    totals: NDArray[np.int64]

    @property
    def n_relevant(self) -> NDArray[np.int64]:
        """Relevant items in the gallery, for each query."""
        return self.totals[:, 1:].sum(axis=1)


def gain(grade: NDArray[np.int64]) -> NDArray[np.float64]:
    """``2**grade - 1``, the gain of nDCG.

    Parameters
    ----------
    grade : ndarray, dtype int64
        Shared labels.

    Returns
    -------
    gain : ndarray, dtype float64
    """
    return np.exp2(grade) - 1


def groups_from_histograms(
    counts: NDArray[np.int64], distance: NDArray[Any], ties: str
) -> TieGroups:
    """Turn counts by distance and grade into tie groups.

    Parameters
    ----------
    counts : ndarray of shape (n_queries, n_distances, n_grades), dtype int64
    distance : ndarray of shape (n_queries or 1, n_distances)
    ties : {'expected', 'optimistic', 'pessimistic'}
        ``'expected'`` keeps each distance as one group. The others split it by grade,
        the best grade first or last.

    Returns
    -------
    TieGroups
    """
    n_queries, _, n_grades = counts.shape
    grades = np.arange(n_grades)
    totals = counts.sum(axis=1)
    if ties == "expected":
        return TieGroups(
            distance,
            counts.sum(axis=2),
            counts[:, :, 1:].sum(axis=2),
            counts @ grades,
            counts @ gain(grades),
            totals,
        )
    order = grades[::-1] if ties == "optimistic" else grades
    items = counts[:, :, order].reshape(n_queries, -1)
    grade = np.tile(order, counts.shape[1])
    return TieGroups(
        np.repeat(distance, n_grades, axis=1),
        items,
        items * (grade > 0),
        items * grade,
        items * gain(grade),
        totals,
    )


def groups_from_order(
    distance: NDArray[Any], grade: NDArray[np.int64], n_grades: int
) -> TieGroups:
    """Make each item a group of its own: equal distances keep their gallery order.

    Parameters
    ----------
    distance : ndarray of shape (n_queries, n_gallery)
    grade : ndarray of shape (n_queries, n_gallery), dtype int64
        Shared labels; -1 marks an item that is left out.
    n_grades : int

    Returns
    -------
    TieGroups
    """
    order = np.argsort(distance, axis=1, kind="stable")
    grade = np.take_along_axis(grade, order, axis=1)
    items = (grade >= 0).astype(np.int64)
    totals = np.stack([(grade == g).sum(axis=1) for g in range(n_grades)], axis=1)
    grade = np.maximum(grade, 0)
    return TieGroups(
        np.take_along_axis(distance, order, axis=1),
        items,
        (grade > 0).astype(np.int64),
        grade,
        gain(grade),
        totals,
    )


def histograms_from_matrix(
    distance: NDArray[Any], grade: NDArray[np.int64], n_grades: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Count items by their distinct distances and grades.

    Parameters
    ----------
    distance : ndarray of shape (n_queries, n_gallery)
        Any real numbers.
    grade : ndarray of shape (n_queries, n_gallery), dtype int64
        Shared labels; -1 marks an item that is left out.
    n_grades : int

    Returns
    -------
    counts : ndarray of shape (n_queries, n_gallery, n_grades), dtype int64
        The g-th smallest distinct distance of a query stands at place g; places after
        the last are empty.
    distance : ndarray of shape (n_queries, n_gallery)
        The distinct distances; infinite after the last.
    """
    n_queries, n_gallery = distance.shape
    order = np.argsort(distance, axis=1, kind="stable")
    distance = np.take_along_axis(distance, order, axis=1)
    grade = np.take_along_axis(grade, order, axis=1)

    group = np.zeros((n_queries, n_gallery), np.int64)
    np.cumsum(distance[:, 1:] != distance[:, :-1], axis=1, out=group[:, 1:])
    distinct = np.full((n_queries, n_gallery), np.inf)
    np.put_along_axis(distinct, group, distance, axis=1)

    row = np.arange(n_queries)[:, None] * n_gallery
    cell = ((row + group) * n_grades + grade)[grade >= 0]
    counts = np.bincount(cell, minlength=n_queries * n_gallery * n_grades)
    return counts.reshape(n_queries, n_gallery, n_grades), distinct
