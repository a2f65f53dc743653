"""Checks of what displays are given, before a figure is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def refuse_keywords(given: Mapping[str, Any], *names: str, use: str = "") -> None:
    """Refuse keywords of matplotlib that a display sets itself.

    Parameters
    ----------
    given : dict
    *names : str
    use : str
        What to use instead.

    Raises
    ------
    ValueError
        If there is one.
    """
    for name in names:
        if name in given:
            way_out = f"use {use}" if use else "leave it out"
            raise ValueError(f"{name} is set by the display: {way_out}")


def check_mapping(value: Any, name: str, example: str) -> None:
    """Refuse what is no dict.

    Parameters
    ----------
    value : object
    name : str
    example : str

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be a dict of names to arrays, as {example}; got "
            f"{type(value).__name__}"
        )


def check_bits(balance: Any, correlation: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Take shares of ones and correlations of bits as arrays.

    Parameters
    ----------
    balance : array-like of shape (n_bits,)
    correlation : array-like of shape (n_bits, n_bits)

    Returns
    -------
    balance, correlation : ndarray, dtype float64

    Raises
    ------
    ValueError
        If shapes do not fit, or values are no shares or no correlations.
    """
    balance, correlation = np.asarray(balance, float), np.asarray(correlation, float)
    shape = (balance.size, balance.size)
    if balance.ndim != 1 or correlation.shape != shape or not balance.size:
        raise ValueError(
            "balance and correlation must have shapes (n_bits,) and (n_bits, "
            f"n_bits); got {balance.shape} and {correlation.shape}"
        )
    if not ((balance >= 0) & (balance <= 1)).all():
        raise ValueError(f"balance must hold shares from 0 to 1; got {balance}")
    if (np.abs(correlation) > 1 + 1e-6).any():
        raise ValueError("correlation must hold values from -1 to 1, or NaN")
    return balance, correlation
