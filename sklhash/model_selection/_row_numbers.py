"""Numbers of rows, row numbers and seeds, checked."""

from __future__ import annotations

from collections.abc import Mapping, Set
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

Rows = NDArray[np.intp]


def own_generator(random_state: Any) -> np.random.RandomState:
    """Give a generator; None does not touch NumPy's global one.

    Parameters
    ----------
    random_state : int, RandomState instance or None

    Returns
    -------
    RandomState
    """
    if random_state is None:
        return np.random.RandomState()
    rng: np.random.RandomState = check_random_state(random_state)
    return rng


def count_rows(X: Any) -> int:
    """Count the rows of anything that has some.

    Parameters
    ----------
    X : array-like, sparse matrix, frame or PackedCodes

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it has no rows.
    ValueError
        If there are fewer than two.
    """
    shape = getattr(X, "shape", None)
    has_rows = hasattr(X, "__len__") and not isinstance(X, str | bytes | Mapping | Set)
    if shape == () or (shape is None and not has_rows):
        raise TypeError(f"X must have rows, as arrays and frames do; got {X!r}")
    n_samples = len(X) if shape is None else int(shape[0])
    if n_samples < 2:
        raise ValueError(f"X must have 2 rows or more to be split; got {n_samples}")
    return n_samples


def check_rows(rows: Any, name: str, n_samples: int) -> Rows:
    """Validate row numbers.

    Parameters
    ----------
    rows : array-like of int of shape (n_rows,)
    name : str
        What to call them in error messages.
    n_samples : int

    Returns
    -------
    rows : ndarray of shape (n_rows,), dtype intp

    Raises
    ------
    ValueError
        If they are empty, no integers, out of range, or one is there twice.
    """
    array = np.asarray(rows)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise ValueError(
            f"{name} must hold row numbers, one or more integers; got shape "
            f"{array.shape} of dtype {array.dtype}. Of a boolean mask, np.flatnonzero "
            "gives them."
        )
    if array.min() < 0 or array.max() >= n_samples:
        outside = array[(array < 0) | (array >= n_samples)][0]
        raise ValueError(
            f"{name} must hold row numbers from 0 to {n_samples - 1}, the last row of "
            f"X; got {outside}"
        )
    if len(np.unique(array)) < len(array):
        values, counts = np.unique(array, return_counts=True)
        raise ValueError(f"{name} holds row {values[counts > 1][0]} more than once")
    return array.astype(np.intp)


def check_count(value: Any, name: str) -> int:
    """Validate a number of things, one or more.

    Parameters
    ----------
    value : int
    name : str
        What to call it in error messages.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more; got {value}")
    return int(value)
