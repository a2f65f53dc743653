"""Rows drawn class by class, or label by label."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ._row_numbers import Rows, check_count


def draw_per_class(
    rows: Rows, labels: Any, number: Any, name: str, rng: np.random.RandomState
) -> Rows:
    """Draw as many of some rows for each class, or for each label.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), dtype intp
        To draw from.
    labels : ndarray, csr_array or None
        Of all rows, as from :func:`sklhash.metrics.labels.check_labels`.
    number : int
        Rows of each class or label.
    name : str
        What to call the number in error messages.
    rng : RandomState

    Returns
    -------
    drawn : ndarray of shape (n_drawn,), dtype intp
        In ascending order.

    Raises
    ------
    TypeError, ValueError
        If there are no labels, or the number is none or more than there are rows.
    """
    if labels is None:
        raise ValueError("per_class=True needs y, the classes or labels of the rows")
    if number is None or not isinstance(number, Integral):
        raise ValueError(
            f"per_class=True needs {name}, a number of rows for each class; got "
            f"{number!r}"
        )
    number = check_count(number, name)
    taken = np.zeros(labels.shape[0], bool)
    for label, members in _members_by_rarity(rows, labels):
        free = members[~taken[members]]
        if len(free) < number:
            raise ValueError(
                f"{name}={number} for each class or label asks for more rows than "
                f"{label} has left, {len(free)}: lower {name}, or leave that one out"
            )
        taken[rng.choice(free, number, replace=False)] = True
    return np.flatnonzero(taken)


def _members_by_rarity(rows: Rows, labels: Any) -> Iterator[tuple[str, Rows]]:
    """Rows of each class in order; rows with each label, the rarest label first."""
    if not issparse(labels):
        for value in np.unique(labels):
            yield f"class {value}", rows[labels[rows] == value]
        return
    held = labels[rows].tocsc()
    counts = np.diff(held.indptr)
    for j in np.argsort(counts, kind="stable"):
        yield f"label {j}", rows[held[:, [j]].nonzero()[0]]


def gallery_without(query: Rows, labels: Any, n_queries: int) -> Rows:
    """Give all rows but the queries, some of each class.

    Parameters
    ----------
    query : ndarray of shape (n_queries,), dtype intp
    labels : ndarray or csr_array
        Of all rows.
    n_queries : int
        Queries of each class or label.

    Returns
    -------
    gallery : ndarray of shape (n_gallery,), dtype intp

    Raises
    ------
    ValueError
        If no row is left, or none of a class.
    """
    gallery = np.setdiff1d(np.arange(labels.shape[0]), query)
    lost = "the data" if not len(gallery) else None
    if lost is None and not issparse(labels):
        gone = np.setdiff1d(labels, labels[gallery])
        lost = f"class {gone[0]}" if len(gone) else None
    if lost is not None:
        raise ValueError(
            f"n_queries={n_queries} for each class or label takes every row of {lost}: "
            "lower n_queries, so that some are left to search in"
        )
    return gallery
