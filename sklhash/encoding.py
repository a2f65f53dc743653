"""The packed codes that any estimator makes of rows, and room for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .codes import PackedCodes
from .remote_encoding import is_dask_array


def encode_with(estimator: Any, X: Any) -> PackedCodes:
    """Hash rows with a fitted hasher, retriever, pipeline or plain transformer.

    Parameters
    ----------
    estimator : estimator
        Its `encode` is used where it has one. Of a plain transformer's output, which
        must be dense, the bits are the values ``> 0``. Frozen estimators and grid
        searches stand for what they hold.
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    PackedCodes
    """
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = X.compute() if is_dask_array(X) else X  # other steps know no blocks
            X = estimator[:-1].transform(X)
        return encode_with(estimator[-1], X)
    if estimator is None or isinstance(estimator, str):  # 'passthrough'
        return PackedCodes.from_codes(X)
    if callable(getattr(estimator, "encode", None)):  # not KBinsDiscretizer's parameter
        return estimator.encode(X)
    return PackedCodes.from_codes(estimator.transform(X))


def last_step(estimator: Any) -> Any:
    """Give what a pipeline, and any pipeline at its end, ends in.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator
    """
    estimator = unwrap(estimator)
    while isinstance(estimator, Pipeline):
        estimator = unwrap(estimator[-1])
    return estimator


def room_for_codes(
    out: Any, n_samples: int, n_bits: int, X: Any = None
) -> NDArray[np.uint8]:
    """Check an array that packed codes are to be written to, or make one.

    Parameters
    ----------
    out : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8, or None
    n_samples, n_bits : int
    X : array-like, default=None
        What is hashed; if it is an array, `out` must not share its memory.

    Returns
    -------
    out : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8

    Raises
    ------
    TypeError
        If `out` is no uint8 array.
    ValueError
        If its shape is another, or it must not be written to.
    """
    shape = (n_samples, -(-n_bits // 8))
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8:
        got = getattr(out, "dtype", type(out).__name__)
        raise TypeError(f"out must be a uint8 array or None; got {got}")
    if out.shape != shape:
        raise ValueError(
            f"out must have shape {shape}, for {n_samples} codes of {n_bits} bits; got "
            f"{out.shape}"
        )
    if not out.flags.writeable:
        raise ValueError(
            "out cannot be written to: map a file with mode='r+' or 'w+', not 'r'"
        )
    if isinstance(X, np.ndarray) and np.shares_memory(X, out):
        raise ValueError("out shares memory with X: give an array of its own")
    return out


def unwrap(estimator: Any) -> Any:
    """Take a fitted estimator out of what scikit-learn wraps around it.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator
        What a frozen estimator, or a fitted search, stands for.
    """
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator
