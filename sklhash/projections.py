"""The projections that any estimator makes of rows: what asymmetric distances need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from ._sklearn import move_to
from .codes import MAX_BITS, PackedCodes
from .encoding import unwrap


def project_with(estimator: Any, X: Any) -> NDArray[np.float64]:
    """Project rows with a fitted hasher, retriever, pipeline or plain transformer.

    The counterpart of :func:`sklhash.encoding.encode_with`: a bit of what that gives is
    set where a projection is ``> 0``.

    Parameters
    ----------
    estimator : estimator
        The `decision_function` of what has an `encode` is used, and the output of a
        plain transformer. Frozen estimators and grid searches stand for what they hold.
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    projections : ndarray of shape (n_samples, n_bits), dtype float64

    Raises
    ------
    ValueError
        If the estimator gives codes only.
    """
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        return project_with(estimator[-1], X)
    if estimator is None or isinstance(estimator, str):  # 'passthrough'
        return as_projections(X)
    if callable(getattr(estimator, "project", None)):  # a retriever
        return estimator.project(X)
    if isinstance(X, PackedCodes):
        raise ValueError(_no_projections("X"))
    if not callable(getattr(estimator, "encode", None)):
        return as_projections(estimator.transform(X), "the hasher's output")
    if not callable(getattr(estimator, "decision_function", None)):
        raise ValueError(
            f"{type(estimator).__name__} has no decision_function, which asymmetric "
            "distances need: give another hasher, or use metric='hamming'"
        )
    return as_projections(estimator.decision_function(X), "decision_function(X)")


def as_projections(values: Any, name: str = "X") -> NDArray[np.float64]:
    """Check that values can be the projections of queries.

    Parameters
    ----------
    values : array-like of shape (n_queries, n_bits)
        Real numbers; a bit of the query is set where the value is ``> 0``.
    name : str
        What to call `values` in error messages.

    Returns
    -------
    projections : ndarray of shape (n_queries, n_bits), dtype float64

    Raises
    ------
    ValueError
        If the values are codes: packed, booleans, or integers none of which is other
        than 0 and 1; or are not finite, or their sums are not.
    """
    if isinstance(values, PackedCodes):
        raise ValueError(_no_projections(name))
    if not isinstance(values, np.ndarray) and hasattr(values, "__dlpack__"):
        values = move_to(values, xp=np, device="cpu")
    values = check_array(values, input_name=name)
    if values.shape[1] > MAX_BITS:
        raise ValueError(
            f"{name} has {values.shape[1]} columns, but codes {MAX_BITS} bits at most"
        )
    if holds_codes(values):
        raise ValueError(_no_projections(name))
    projections = values.astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        largest = 2 * np.abs(projections).sum(axis=1).max()  # 2: for rounding
    if not np.isfinite(largest):
        raise ValueError(
            f"{name} holds projections so large that their distances overflow: scale "
            "them down"
        )
    return projections


def holds_codes(values: Any) -> bool:
    """Tell whether rows are codes of zeros and ones, by their type and values.

    Parameters
    ----------
    values : {ndarray, sparse matrix} of shape (n_samples, n_bits), or PackedCodes

    Returns
    -------
    bool
        True for packed codes, for booleans, and for integers none of which is other
        than 0 and 1.
    """
    if isinstance(values, PackedCodes):
        return True
    if values.dtype.kind not in "biu":
        return False
    values = values.data if issparse(values) else values
    return bool(((values == 0) | (values == 1)).all())


def _no_projections(name: str) -> str:
    return (
        f"{name} holds codes, but asymmetric distances need real-valued projections of "
        "the queries: give the hasher's decision_function(X); or give a "
        "HammingRetriever the hasher itself, hasher=..., and raw rows"
    )
