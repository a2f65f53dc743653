"""Numbers by which stores know codes."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What 64 bits with a sign hold.
LEAST, GREATEST = -(2**63), 2**63 - 1


def check_ids(ids: Any, n_codes: int, *, lowest: int = LEAST) -> NDArray[np.int64]:
    """Check that every code has an id of its own; by default its position.

    Parameters
    ----------
    ids : array-like of shape (n_codes,), of int, or None
    n_codes : int
    lowest : int
        The least that the store takes.

    Returns
    -------
    ids : ndarray of shape (n_codes,), dtype int64

    Raises
    ------
    TypeError
        If ids are no integers.
    ValueError
        If there is not one for each code, two are the same, or one is out of range.
    """
    if ids is None:
        return np.arange(n_codes)
    values = np.asarray(ids)
    if not values.ndim:
        raise TypeError(
            f"ids must be a list or an array of integers; got {type(ids).__name__}"
        )
    if values.shape != (n_codes,):
        raise ValueError(
            f"ids must be one integer for each of {n_codes} codes; got an array of "
            f"shape {values.shape}"
        )
    if np.ma.getmaskarray(ids).any():
        raise ValueError("ids must be one integer for each code; some are masked")
    if not n_codes:
        return np.empty(0, np.int64)  # an empty list would be floats
    values = _integers(ids, values)
    for wrong in (int(values.min()), int(values.max())):
        if not lowest <= wrong <= GREATEST:
            raise ValueError(f"ids must be in [{lowest}, {GREATEST}]; got {wrong}")
    ordered = np.sort(values)
    twice = ordered[1:] == ordered[:-1]
    if twice.any():
        raise ValueError(f"ids must differ; got {ordered[1:][twice][0]} more than once")
    return values.astype(np.int64)


def _integers(ids: Any, values: NDArray[Any]) -> NDArray[Any]:
    """See that all are integers: numpy makes floats of a list such as [-1, 2**63]."""
    if values.dtype.kind in ("f", "O"):
        values = np.asarray(ids, object)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"ids must be integers; got {value!r}")
    elif values.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers; got dtype {values.dtype}")
    return values
