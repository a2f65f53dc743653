"""The packed codes that any estimator makes of rows."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from .codes import PackedCodes


def encode_with(estimator: Any, X: Any) -> PackedCodes:
    """Hash rows with a fitted hasher, retriever, pipeline or plain transformer.

    Parameters
    ----------
    estimator : estimator
        Its `encode` is used where it has one; of a plain transformer's output the bits
        are the values ``> 0``.
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    PackedCodes
    """
    if isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        return encode_with(estimator[-1], X)
    if hasattr(estimator, "encode"):
        return estimator.encode(X)
    if estimator is None or estimator == "passthrough":
        return PackedCodes.from_codes(X)
    return PackedCodes.from_codes(estimator.transform(X))
