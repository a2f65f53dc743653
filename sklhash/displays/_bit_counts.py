"""Shares of ones of bits, and their correlations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sklhash.codes import as_packed

#: Codes that are unpacked at once.
BLOCK_ROWS = 10_000


def bit_statistics(codes: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute shares of ones and correlations of bits, some codes after the others.

    Parameters
    ----------
    codes : PackedCodes or array-like of shape (n_samples, n_bits)

    Returns
    -------
    balance : ndarray of shape (n_bits,)
    correlation : ndarray of shape (n_bits, n_bits)
        NaN in rows and columns of constant bits.
    """
    packed = as_packed(codes)
    n_samples, n_bits = packed.shape
    both = np.zeros((n_bits, n_bits))  # codes that have both bits set
    for rows in gen_batches(n_samples, BLOCK_ROWS):
        bits = packed[rows].unpack().astype(np.float32)  # exact up to 2**24 rows
        both += bits.T @ bits
    ones = np.diag(both)
    # n times the covariance, in whole numbers: exactly 0 for constant bits.
    covariance = n_samples * both - np.outer(ones, ones)
    deviation = np.sqrt(np.diag(covariance))
    deviation[deviation == 0] = np.nan
    correlation = covariance / np.outer(deviation, deviation)
    np.fill_diagonal(correlation, np.where(np.isnan(deviation), np.nan, 1.0))
    return ones / n_samples, correlation
