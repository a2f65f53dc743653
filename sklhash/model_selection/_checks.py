"""What a comparison is given, checked before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sklhash._sklearn import StrOptions, validate_parameter_constraints
from sklhash.hamming import possible_distances
from sklhash.metrics._measures import parse_metrics
from sklhash.metrics._scores import DISTANCES, RULES
from sklhash.metrics.labels import check_labels

from ._rankings import Neighbors
from ._row_numbers import check_count, check_rows, count_rows
from ._split import RetrievalSplit, retrieval_split

WITH_LABELS = ("map", "ndcg@100", "precision@100")
WITHOUT_LABELS = ("recall@10", "recall@100", "map")


def check_rules(**rules: Any) -> None:
    """Refuse rules of scoring that there are not.

    Not by a decorator: it would switch off, or speak for, the hashers' own checks.

    Parameters
    ----------
    **rules
        `ties`, `normalize` and `code_distance`.

    Raises
    ------
    ValueError
        If one is unknown.
    """
    known = {**RULES, "code_distance": [StrOptions(set(DISTANCES))]}
    validate_parameter_constraints(known, rules, caller_name="compare_hashers")


def check_n_bits(n_bits: Any, code_distance: str) -> list[int]:
    """Give code lengths as a list of integers.

    Parameters
    ----------
    n_bits : int or sequence of int
    code_distance : str
        By which codes of these lengths are compared.

    Returns
    -------
    list of int

    Raises
    ------
    TypeError
        If one is no integer.
    ValueError
        If there are none, one is there twice, is below 1, or is too long.
    """
    several = isinstance(n_bits, Iterable) and not isinstance(n_bits, str)
    values = list(n_bits) if several else [n_bits]
    lengths = [check_count(value, "n_bits") for value in values]
    if not lengths or len(set(lengths)) < len(lengths):
        raise ValueError(f"n_bits must hold code lengths, each once; got {n_bits}")
    if code_distance != "asymmetric":
        possible_distances(max(lengths), metric=code_distance)  # can be listed
    return lengths


def check_data(X: Any, y: Any) -> tuple[Any, Any]:
    """Bring rows and labels to a form that rows can be selected of.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_samples, ...)
    y : array-like, sparse matrix or None

    Returns
    -------
    X, y
        Sparse ones as CSR; labels as an array, if they are no Series or frame.

    Raises
    ------
    ValueError
        If the labels are none, or not as many as rows.
    """
    X = X.tocsr() if issparse(X) else X
    n_samples = count_rows(X)
    if y is None:
        return X, None
    labels = check_labels(y)
    if labels.shape[0] != n_samples:
        raise ValueError(
            f"y must have one row a row of X; got {labels.shape[0]} and {n_samples}"
        )
    if issparse(y):
        return X, y.tocsr()
    is_frame = hasattr(y, "iloc") or hasattr(y, "to_arrow")  # pandas, polars
    return X, y if is_frame else np.asarray(y)


def check_metrics(metrics: str | Sequence[str] | None, y: Any) -> list[str]:
    """Give the metrics' names, the usual ones for None.

    Parameters
    ----------
    metrics : str, sequence of str or None
    y : labels or None

    Returns
    -------
    list of str

    Raises
    ------
    TypeError
        If they are no names.
    ValueError
        If there are none or one is unknown.
    """
    if metrics is not None and not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be names of metrics, or None; got {metrics!r}")
    if metrics is None:
        metrics = WITHOUT_LABELS if y is None else WITH_LABELS
    return list(parse_metrics(metrics or ()))


def check_seed(random_state: Any) -> None:
    """Refuse seeds to which no number can be added.

    Parameters
    ----------
    random_state : int or None

    Raises
    ------
    TypeError
        If it is something else.
    """
    if random_state is None:
        return
    is_integer = isinstance(random_state, Integral)
    if isinstance(random_state, bool) or not is_integer or random_state < 0:
        raise TypeError(
            "random_state must be an integer >= 0, to which the number of the split is "
            f"added, or None; got {random_state!r}"
        )


def check_error_score(error_score: Any) -> None:
    """Refuse what is neither 'raise' nor NaN.

    Parameters
    ----------
    error_score : 'raise' or NaN

    Raises
    ------
    ValueError
        If it is something else.
    """
    is_nan = isinstance(error_score, Real) and np.isnan(float(error_score))
    if error_score != "raise" and not is_nan:
        raise ValueError(f"error_score must be 'raise' or NaN; got {error_score!r}")


def check_splits(
    splits: Any, X: Any, y: Any, random_state: int | None
) -> list[RetrievalSplit]:
    """Draw splits, or check those given.

    Parameters
    ----------
    splits : int or iterable of tuples of row numbers
    X, y : data of all rows
    random_state : int or None

    Returns
    -------
    list of RetrievalSplit

    Raises
    ------
    TypeError
        If splits are neither a number nor an iterable.
    ValueError
        If there are none, rows are out of range, or a query is in the gallery or
        learned from.
    """
    if isinstance(splits, str) or not isinstance(splits, (Iterable, Integral)):
        raise TypeError(
            "splits must be a number of splits, or row numbers, as a list of "
            "retrieval_split(X, y, protocol=...) or cv.split(X, y) gives them; got "
            f"{splits!r}"
        )
    if isinstance(splits, Iterable):
        given = [splits] if isinstance(splits, RetrievalSplit) else list(splits)
        if not given:
            raise ValueError("splits is empty: give a number, or row numbers of one")
        n_samples = count_rows(X)
        _check_last_seed(random_state, len(given))
        return [_check_split(split, i, n_samples) for i, split in enumerate(given)]
    number = check_count(splits, "splits")
    _check_last_seed(random_state, number)
    seeds = [None if random_state is None else random_state + i for i in range(number)]
    return [retrieval_split(X, y, random_state=seed) for seed in seeds]


def _check_last_seed(random_state: int | None, n_splits: int) -> None:
    if random_state is not None and random_state + n_splits > 2**32:
        raise ValueError(
            f"random_state={random_state} is too large: with the number of the split "
            "added it must be below 2**32"
        )


def _check_split(split: Any, i: int, n_samples: int) -> RetrievalSplit:
    parts = tuple(split) if isinstance(split, Iterable) else (split,)
    if any(isinstance(part, Integral) for part in parts):
        raise ValueError(
            f"split {i} must be row numbers of its parts; got row numbers alone. Put a "
            "single split in a list: splits=[(gallery, query)]"
        )
    if len(parts) not in (2, 3):
        raise ValueError(
            f"split {i} must be row numbers, (train, gallery, query) or (gallery, "
            f"query); got {len(parts)} parts"
        )
    named = zip(RetrievalSplit._fields, (parts[0], *parts[-2:]), strict=True)
    train, gallery, query = (
        check_rows(rows, f"{name} of split {i}", n_samples) for name, rows in named
    )
    for name, rows in (("gallery", gallery), ("train", train)):
        shared = np.intersect1d(rows, query)
        if len(shared):
            raise ValueError(
                f"row {shared[0]} is a query of split {i} and in its {name}, too: "
                "leave queries out of what is searched and learned from"
            )
    return RetrievalSplit(train, gallery, query)


def count_without_relevant(
    splits: list[RetrievalSplit], y: Any, neighbors: Neighbors | None
) -> int:
    """Count the queries, of all splits, that have no relevant row in the gallery.

    Parameters
    ----------
    splits : list of RetrievalSplit
    y : labels or None
    neighbors : Neighbors or None

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If no query of a split has a relevant row, or there are fewer rows than
        neighbours.
    """
    if neighbors is not None:
        fewest = min(len(split.gallery) for split in splits)
        if neighbors.number > fewest:
            raise ValueError(
                f"n_neighbors={neighbors.number} is more than the {fewest} rows of a "
                "gallery: lower it"
            )
        return 0
    labels = check_labels(y)
    without = [~_has_relevant(labels, split) for split in splits]
    for i, missing in enumerate(without):
        if missing.all():
            raise ValueError(
                f"no query of split {i} has a relevant row in the gallery: do they "
                "share labels? Splits of sorted data need shuffling."
            )
    return int(sum(missing.sum() for missing in without))


def _has_relevant(labels: Any, split: RetrievalSplit) -> NDArray[np.bool_]:
    query, gallery = labels[split.query], labels[split.gallery]
    if labels.ndim == 1:
        return np.isin(query, gallery)
    shared: NDArray[np.bool_] = query @ gallery.sum(axis=0) > 0
    return shared
