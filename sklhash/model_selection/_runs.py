"""One run of a comparison: fit, encode, score."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches

from sklhash._sklearn import safe_indexing
from sklhash.codes import PackedCodes
from sklhash.encoding import encode_with
from sklhash.metrics import retrieval_scores
from sklhash.metrics.labels import encode_labels
from sklhash.projections import project_with

from ._rankings import as_float_rows, float_scores
from ._sizes import bytes_of_a_row
from ._split import RetrievalSplit
from ._warm_up import warm_up

#: Rows of the gallery that are selected and encoded at once.
ENCODED_ROWS = 2**17


@dataclass(frozen=True)
class Task:
    """What all runs on one split share.

    Parameters
    ----------
    X, y : data of all rows, as the user gave them
    split : RetrievalSplit
    neighbors : csr_array of shape (n_queries, n_gallery), or None
        The relevant rows, if not those that share a label.
    rules : dict
        `metrics`, `ties`, `normalize` of :func:`retrieval_scores`.
    code_distance : str
    """

    X: Any
    y: Any
    split: RetrievalSplit
    neighbors: csr_array | None
    rules: dict[str, Any]
    code_distance: str

    def labels(self) -> tuple[Any, Any]:
        """Labels of queries and gallery.

        Where relevance is a matrix, each query is a label of its own, which its
        neighbours hold, too: so one way of counting does for both.
        """
        if self.neighbors is None:
            query = safe_indexing(self.y, self.split.query)
            return query, safe_indexing(self.y, self.split.gallery)
        n_queries = len(self.split.query)
        own = eye_array(n_queries, format="csr", dtype=np.float32)
        return own, self.neighbors.T.tocsr()


def n_bits_parameter(estimator: Any) -> str:
    """Find the name under which the last step's code length is set.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    str
        Such as ``'itq__n_bits'``.
    """
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return f"{prefix}n_bits"


def prepare(estimator: Any, n_bits: int, seed: int | None) -> Any:
    """Clone an estimator for one run.

    Parameters
    ----------
    estimator : estimator
    n_bits : int
    seed : int or None
        For every parameter that is called `random_state`; None to leave them alone.

    Returns
    -------
    estimator
        Unfitted.
    """
    hasher = clone(estimator)
    params: dict[str, Any] = {n_bits_parameter(hasher): n_bits}
    if seed is not None:
        params |= {
            name: seed
            for name in hasher.get_params()
            if name.rpartition("__")[2] == "random_state"
        }
    return hasher.set_params(**params)


def run_hasher(
    task: Task, hasher: Any, n_bits: int, error_score: Any
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]] | None]:
    """Fit, encode and score a hasher.

    Parameters
    ----------
    task : Task
    hasher : estimator
        Unfitted.
    n_bits : int
    error_score : 'raise' or NaN

    Returns
    -------
    costs : dict
        `fit_time`, `encode_time`, `bytes_per_item` and `error`.
    scores : dict of str to ndarray of shape (n_queries,), or None
        None if it failed.
    """
    costs = _costs(float(-(-n_bits // 8)))
    rows = safe_indexing(task.X, task.split.train)
    y = None if task.y is None else safe_indexing(task.y, task.split.train)
    warm_up(hasher, task.X, task.y, task.split.train)
    try:
        start = time.perf_counter()
        hasher.fit(rows, y)
        fit_time = time.perf_counter() - start
        scores, encode_time = _score(task, hasher)
    except ValueError as error:
        if error_score == "raise":
            raise
        return {**costs, "error": str(error)}, None
    return {**costs, "fit_time": fit_time, "encode_time": encode_time}, scores


def _score(task: Task, hasher: Any) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Score the queries of a fitted hasher, and time the encoding of the gallery."""
    gallery, encode_time = _encode(hasher, task.X, task.split.gallery)
    queries = safe_indexing(task.X, task.split.query)
    by_sign = task.code_distance != "asymmetric"
    scores = retrieval_scores(
        encode_with(hasher, queries) if by_sign else project_with(hasher, queries),
        gallery,
        *task.labels(),
        code_distance=task.code_distance,
        per_query=True,
        **task.rules,
    )
    return {name: scores[name] for name in task.rules["metrics"]}, encode_time


def _encode(hasher: Any, X: Any, rows: NDArray[np.intp]) -> tuple[PackedCodes, float]:
    """Encode rows, and time it; selecting them from X is not counted."""
    parts, seconds = [], 0.0
    for batch in gen_batches(len(rows), ENCODED_ROWS):
        selected = safe_indexing(X, rows[batch])
        start = time.perf_counter()
        parts.append(encode_with(hasher, selected))
        seconds += time.perf_counter() - start
    return PackedCodes.concatenate(parts), seconds


def run_reference(
    task: Task, metric: str
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Score the ranking by a distance of floats.

    Parameters
    ----------
    task : Task
    metric : str
        Of :func:`sklearn.metrics.pairwise_distances`.

    Returns
    -------
    costs : dict
        As from :func:`run_hasher`; there is nothing to fit or to encode.
    scores : dict of str to ndarray of shape (n_queries,)
        NaN for metrics within a radius in bits.
    """
    queries, gallery = (
        as_float_rows(safe_indexing(task.X, rows))
        for rows in (task.split.query, task.split.gallery)
    )
    names = [name for name in task.rules["metrics"] if "@r" not in name]
    scores = dict.fromkeys(task.rules["metrics"], np.full(queries.shape[0], np.nan))
    if names:
        labels = encode_labels(*task.labels())
        rules = {**task.rules, "metrics": names}
        scores |= float_scores(queries, gallery, *labels, metric, **rules)
    return _costs(bytes_of_a_row(task.X)), scores


def _costs(bytes_per_item: float) -> dict[str, Any]:
    return {
        "fit_time": np.nan,
        "encode_time": np.nan,
        "bytes_per_item": bytes_per_item,
        "error": None,
    }
