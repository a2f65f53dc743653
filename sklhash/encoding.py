"""The packed codes that any estimator makes of rows."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .codes import PackedCodes


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
    estimator = _unwrap(estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
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
    estimator = _unwrap(estimator)
    while isinstance(estimator, Pipeline):
        estimator = _unwrap(estimator[-1])
    return estimator


def _unwrap(estimator: Any) -> Any:
    """Take a fitted estimator out of what scikit-learn wraps around it."""
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator
