"""Names of estimators, metrics and distances as plots show them."""

from __future__ import annotations

import re
from typing import Any

from sklearn.pipeline import Pipeline

from sklhash.encoding import last_step, unwrap


def name_of(estimator: Any, n_bits: int | None = None) -> str:
    """Name an estimator after the hasher in it.

    Parameters
    ----------
    estimator : estimator
        A hasher, a retriever, or a pipeline ending in one; frozen or searched for.
    n_bits : int, default=None
        Length of its codes.

    Returns
    -------
    name : str
        Such as ``'ITQ, 32 bits'``.
    """
    hasher = last_step(estimator)
    if hasattr(hasher, "gallery_codes_"):  # a retriever
        hasher = last_step(hasher.hasher_) or _step_before(estimator) or hasher
    name = type(hasher).__name__
    return name if n_bits is None else f"{name}, {in_bits(n_bits)}"


def _step_before(estimator: Any) -> Any:
    """Give what makes the codes that the last step of a pipeline searches."""
    estimator = unwrap(estimator)
    while isinstance(estimator, Pipeline):
        inner = unwrap(estimator[-1])
        if not isinstance(inner, Pipeline):
            return last_step(estimator[-2]) if len(estimator.steps) > 1 else None
        estimator = inner
    return None


def metric_label(metric: str) -> str:
    """Write a metric as people do: ``'ndcg@100'`` is nDCG@100.

    Parameters
    ----------
    metric : str
        As for :func:`sklhash.metrics.retrieval_scores`.

    Returns
    -------
    label : str
    """
    capitals = {"map": "mAP", "ndcg": "nDCG", "acg": "ACG", "wap": "WAP"}
    name, _, cut = metric.partition("@")
    radius = re.fullmatch("r([0-9]+)", cut)
    label = capitals.get(name, name)
    if radius:
        return f"{label} within {in_bits(int(radius[1]))}"
    return f"{label}@{cut}" if cut else label


def in_bits(n: int) -> str:
    """Write a number of bits.

    Parameters
    ----------
    n : int

    Returns
    -------
    text : str
    """
    return "1 bit" if n == 1 else f"{n} bits"
