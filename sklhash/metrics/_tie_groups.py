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
    nearer : ndarray of shape (n_queries, n_groups), dtype int64
        Items in all nearer groups.
    """

    distance: NDArray[Any]
    items: NDArray[np.int64]
    relevant: NDArray[np.int64]
    shared: NDArray[np.int64]
    gains: NDArray[np.float64]
    totals: NDArray[np.int64]
    nearer: NDArray[np.int64]

    @property
    def n_relevant(self) -> NDArray[np.int64]:
        """Relevant items in the gallery, for each query."""
        return self.totals[:, 1:].sum(axis=1)

    def leading(self, k: int) -> TieGroups:
        """Leave out the groups, at the end, of which no query counts the first k."""
        if k >= self.totals[0].sum():
            return self
        counted = slice(int((self.nearer < k).any(axis=0).sum()))
        cut = {
            name: getattr(self, name)[:, counted]
            for name in self._fields
            if name != "totals"
        }
        return self._replace(**cut)


def before(counts: NDArray[Any]) -> NDArray[Any]:
    """Sum what stands in nearer groups.

    Parameters
    ----------
    counts : ndarray of shape (n_queries, n_groups)

    Returns
    -------
    ndarray of shape (n_queries, n_groups)
    """
    return np.cumsum(counts, axis=1) - counts


def gain(grade: Any) -> Any:
    """``2**grade - 1``, the gain of nDCG.

    Parameters
    ----------
    grade : int or ndarray of integers
        Shared labels.

    Returns
    -------
    gain : float64 or ndarray of that dtype
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
    n_queries, n_distances, n_grades = counts.shape
    totals = np.einsum("qdg->qg", counts)  # faster than sum() at short last axes
    if ties == "expected":
        return _whole_groups(distance, counts, totals)
    grades = np.arange(n_grades)
    order = grades[::-1] if ties == "optimistic" else grades
    items = counts[:, :, order].reshape(n_queries, -1)
    grade = np.tile(order, n_distances)
    return TieGroups(
        np.repeat(distance, n_grades, axis=1),
        items,
        items * (grade > 0),
        items * grade,
        items * gain(grade),
        totals,
        before(items),
    )


def _whole_groups(
    distance: NDArray[Any], counts: NDArray[np.int64], totals: NDArray[np.int64]
) -> TieGroups:
    items = np.einsum("qdg->qd", counts)
    occurs = np.flatnonzero(items.any(axis=0))
    used = slice(occurs[0], occurs[-1] + 1)
    distance, counts, items = distance[:, used], counts[:, used], items[:, used]
    relevant = items - counts[:, :, 0]
    shared, gains = relevant.copy(), relevant.astype(np.float64)
    for grade in range(2, counts.shape[2]):
        shared += (grade - 1) * counts[:, :, grade]
        gains += (gain(grade) - 1) * counts[:, :, grade]
    return TieGroups(distance, items, relevant, shared, gains, totals, before(items))


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
        before(items),
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
    order = np.argsort(distance, axis=1)  # not stable: equal distances are counted
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
