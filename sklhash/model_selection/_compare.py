"""Compare hashers on the same splits, by the same rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sklhash._sklearn import safe_indexing

from ._checks import (
    check_data,
    check_error_score,
    check_metrics,
    check_n_bits,
    check_rules,
    check_seed,
    check_splits,
    count_without_relevant,
)
from ._comparison import HasherComparison
from ._names import check_hashers
from ._progress import check_progress
from ._rankings import (
    Neighbors,
    as_float_rows,
    check_neighbors,
    check_references,
    float_neighbors,
)
from ._row_numbers import count_rows
from ._runs import Task
from ._schedule import Plan, do_all
from ._sizes import n_features
from ._split import RetrievalSplit, first_alike


def compare_hashers(
    hashers: Any,
    X: Any,
    y: Any = None,
    *,
    n_bits: int | Sequence[int] = (16, 32, 64),
    splits: Any = 3,
    metrics: str | Sequence[str] | None = None,
    references: str | Sequence[str] = ("cosine", "euclidean"),
    n_neighbors: int = 10,
    neighbors_metric: str = "euclidean",
    code_distance: str = "hamming",
    ties: str = "expected",
    normalize: str = "min",
    random_state: int | None = 0,
    error_score: Any = np.nan,
    n_jobs: int | None = None,
    progress: Any = False,
) -> HasherComparison:
    """Fit, encode and score hashers on the same splits, at several code lengths.

    Parameters
    ----------
    hashers : estimator, list of estimators, or dict of str to estimator
        Hashers, or pipelines that end in one. They are cloned.
    X : {array-like, sparse matrix, frame} of shape (n_samples, ...)
        May be a memory map: the rows of one split are read for each run.
    y : array-like of shape (n_samples,), or {array-like, sparse matrix} of shape \
            (n_samples, n_labels), default=None
        Classes or an indicator matrix, to learn from and to tell what is relevant: rows
        of the same class, or with a label in common. Without, the relevant rows of a
        query are the `n_neighbors` nearest rows of the gallery by distances of floats.
    n_bits : int or sequence of int, default=(16, 32, 64)
        Code lengths.
    splits : int or iterable, default=3
        So many splits drawn by :func:`retrieval_split`, the i-th with the seed
        ``random_state + i``; or splits as from it: tuples of row numbers (train,
        gallery, query), or (gallery, query) to learn from the whole gallery, as from
        ``cv.split(X, y)``.
    metrics : str or sequence of str, default=None
        Metrics of :func:`~sklhash.metrics.retrieval_scores`. None for ``('map',
        'ndcg@100', 'precision@100')`` with labels, else ``('recall@10', 'recall@100',
        'map')``.
    references : str or sequence of str, default=('cosine', 'euclidean')
        Distances of floats, of :func:`sklearn.metrics.pairwise_distances`, by which X
        itself is ranked. Without labels, `neighbors_metric` is left out: its ranking is
        right by definition. Metrics within a radius in bits are NaN for them.
    n_neighbors : int, default=10
        Relevant rows a query, if there are no labels; of equally distant rows the
        first.
    neighbors_metric : str, default='euclidean'
        Distance by which they are found.
    code_distance : {'hamming', 'spherical', 'asymmetric'}, default='hamming'
        How codes are compared, as in :func:`~sklhash.metrics.retrieval_scores`.
    ties : {'expected', 'optimistic', 'pessimistic', 'index'}, default='expected'
        As in :func:`~sklhash.metrics.retrieval_scores`.
    normalize : {'min', 'relevant', 'retrieved'}, default='min'
        As in :func:`~sklhash.metrics.retrieval_scores`.
    random_state : int or None, default=0
        On the i-th split every `random_state` of a hasher, or of its pipeline's steps,
        is ``random_state + i``. None leaves them as they are and draws splits at
        random.
    error_score : 'raise' or NaN, default=NaN
        What to do if a hasher's fit or encoding raises ValueError, as with more bits
        than the data has directions: raise it, or go on, note why, and warn at the end.
    n_jobs : int, default=None
        Runs at a time, as in joblib. The scores do not depend on it; times do.
    progress : bool or callable, default=False
        True for a bar (needs rich), or a function ``progress(n_done, n_runs, record)``
        that is called after each run with its record.

    Returns
    -------
    comparison : HasherComparison

    Raises
    ------
    ValueError
        If an argument is out of range or they do not fit together, before any fit; or
        if all fits fail.
    KeyboardInterrupt
        If no run has been finished.

    Warns
    -----
    FitFailedWarning
        If some fits, or what follows them, failed.
    RuntimeWarning
        If the comparison was stopped by Ctrl-C; what was finished is returned.

    Notes
    -----
    Distances of floats are computed for some queries after the others, so memory does
    not grow with their number times that of the gallery.

    Before its first run in a process each hasher is fitted once to a few rows, for one
    epoch and with 8 bits, by a clone and whatever comes of it: the imports and
    compilations of a first fit are not in the times.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ, PCAHashing
    >>> from sklhash.model_selection import compare_hashers
    >>> X, y = load_digits(return_X_y=True)
    >>> comparison = compare_hashers(
    ...     {"ITQ": ITQ(), "PCA": PCAHashing()}, X, y, n_bits=[16, 32])
    >>> print(comparison.table("map"))
    hasher     16 bits       32 bits
    ITQ     0.630 ±0.011  0.659 ±0.005
    PCA     0.339 ±0.004  0.287 ±0.003
    """
    check_rules(ties=ties, normalize=normalize, code_distance=code_distance)
    check_progress(progress)
    check_seed(random_state)
    check_error_score(error_score)
    named = check_hashers(hashers, code_distance)
    lengths = check_n_bits(n_bits, code_distance)
    X, y = check_data(X, y)
    rules = {"metrics": check_metrics(metrics, y), "ties": ties, "normalize": normalize}
    neighbors = check_neighbors(n_neighbors, neighbors_metric, X, y)
    floats = check_references(references, named, X, neighbors)
    parts = check_splits(splits, X, y, random_state)
    without = count_without_relevant(parts, y, neighbors)

    alike = first_alike(parts)
    relevant = {i: _find(neighbors, X, parts[i]) for i in sorted(set(alike))}
    tasks = [
        Task(X, y, split, relevant[i], rules, code_distance)
        for split, i in zip(parts, alike, strict=True)
    ]
    plan = Plan(tasks, random_state, named, lengths, floats, error_score)
    records, scores, complete = do_all(plan, n_jobs, progress)
    return HasherComparison(
        metrics=tuple(rules["metrics"]),
        n_bits=tuple(lengths),
        hashers=tuple(named),
        references=tuple(floats),
        n_splits=len(parts),
        complete=complete,
        data=_describe(tasks, neighbors, without),
        records=records,
        query_rows=tuple(split.query for split in parts),
        run_scores=scores,
    )


def _find(neighbors: Neighbors | None, X: Any, split: RetrievalSplit) -> Any:
    """Find the relevant rows of one split's queries, unless labels tell."""
    if neighbors is None:
        return None
    queries, gallery = (
        as_float_rows(safe_indexing(X, rows)) for rows in (split.query, split.gallery)
    )
    return float_neighbors(queries, gallery, neighbors)


def _describe(
    tasks: list[Task], neighbors: Neighbors | None, without: int
) -> dict[str, Any]:
    """Sizes of the data, what is relevant in words, and the rules."""
    X, y = tasks[0].X, tasks[0].y
    sizes = np.mean([[len(rows) for rows in task.split] for task in tasks], axis=0)
    if neighbors is not None:
        number, metric = neighbors
        relevance = f"the {number} nearest rows by {metric} distance"
    else:
        is_matrix = issparse(y) or (len(y.shape) == 2 and y.shape[1] > 1)
        relevance = "a label in common" if is_matrix else "same class"
    return {
        "n_samples": count_rows(X),
        "n_features": n_features(X),
        "n_train": round(sizes[0]),
        "n_gallery": round(sizes[1]),
        "n_queries": round(sizes[2]),
        "queries_without_relevant": without,
        "relevance": relevance,
        "ties": tasks[0].rules["ties"],
        "normalize": tasks[0].rules["normalize"],
        "code_distance": tasks[0].code_distance,
    }
