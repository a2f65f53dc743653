"""The shortest code that is about as good as the best."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._comparison import HasherComparison
from ._lookup import find_hasher, find_metric


def fewest_within_error(
    n_bits: NDArray[np.int64],
    means: NDArray[np.float64],
    errors: NDArray[np.float64],
) -> int:
    """Choose the fewest bits within one standard error of the best mean.

    Parameters
    ----------
    n_bits : ndarray of shape (n_candidates,), dtype int64
    means, errors : ndarray of shape (n_candidates,)
        Mean scores, larger is better, and their standard errors. Candidates with a NaN
        mean are left out.

    Returns
    -------
    choice : int
        Place of the candidate. Of several with the fewest bits, the one of the best
        mean.

    Raises
    ------
    ValueError
        If all means are NaN.
    """
    if np.isnan(means).all():
        raise ValueError("no candidate has a score: every fit failed")
    best = int(np.nanargmax(means))
    good = means >= means[best] - errors[best]
    fewest = good & (n_bits == n_bits[good].min())
    return int(np.argmax(np.where(fewest, means, -np.inf)))


def fewest_bits(
    results: HasherComparison | Mapping[str, Any],
    hasher: str | None = None,
    *,
    param: str | None = None,
    metric: str | None = None,
) -> int:
    """Choose the fewest bits whose score is within one standard error of the best.

    Longer codes mostly rank better, but by less and less. This rule takes the shortest
    code whose mean score is no further below the best one than the best one's standard
    error: its standard deviation over splits, as the results show it, divided by the
    root of their number.

    Of a comparison that was stopped, or in which fits failed, the code lengths of the
    most runs are chosen from. A single run has no standard error: of a comparison of
    one split the length of the best mean is given, the shortest of equal ones.

    Parameters
    ----------
    results : HasherComparison, or dict
        A comparison; or the `cv_results_` of a grid search. As scikit-learn calls a
        function given as `refit` with these, ``GridSearchCV(refit=fewest_bits)`` makes
        the search keep to the rule. Of halving searches, whose iterations use more and
        more rows, the last iteration counts; as they do not call a function given as
        `refit`, call this one with their `cv_results_`.
    hasher : str, default=None
        Name of a hasher of the comparison; may be left out if there is but one.
    param : str, default=None
        Parameter of the search that is the number of bits, such as ``'itq__n_bits'``.
        None for the only one that ends in ``n_bits``.
    metric : str, default=None
        None for the comparison's first metric, or the only one of the search.

    Returns
    -------
    choice : int
        Of a comparison, the number of bits. Of a search, the place of the candidate in
        `cv_results_`, which becomes `best_index_`: of those with the fewest bits, that
        with the best mean.

    Raises
    ------
    ValueError
        If there is no such hasher, parameter or metric, it cannot be told which one is
        meant, nothing has a score, or a search has fewer than two splits; or if `param`
        is given with a comparison, or `hasher` with a search.
    TypeError
        If the results are neither a comparison nor a dict.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklhash import HammingRetriever, PCAHashing
    >>> from sklhash.model_selection import compare_hashers, fewest_bits
    >>> X, y = load_digits(return_X_y=True)
    >>> grid = {"hasher__n_bits": [4, 8, 12, 16]}
    >>> search = GridSearchCV(HammingRetriever(PCAHashing()), grid, refit=fewest_bits)
    >>> search.fit(X, y).best_params_
    {'hasher__n_bits': 8}

    A comparison's choice; and a search over several metrics or parameters.

    >>> fewest_bits(compare_hashers(PCAHashing(), X, y, n_bits=[4, 8, 12]))
    8
    >>> refit = partial(fewest_bits, param="hasher__n_bits", metric="map")
    """
    is_comparison = isinstance(results, HasherComparison)
    if not is_comparison and not isinstance(results, Mapping):
        raise TypeError(
            "results must be a comparison, or the cv_results_ of a search, as by "
            f"fewest_bits(search.cv_results_); got {type(results).__name__}"
        )
    if (param if is_comparison else hasher) is not None:
        name, other = ("param", "search") if is_comparison else ("hasher", "comparison")
        raise ValueError(f"{name} is for the results of a {other}: leave it out")
    if isinstance(results, HasherComparison):
        return _of_comparison(results, hasher, metric)
    return _of_search(results, param, metric)


def _of_comparison(
    results: HasherComparison, hasher: str | None, metric: str | None
) -> int:
    name = find_hasher(results.hashers, hasher)
    metric = find_metric(results.metrics, metric)
    rows = [row for row in results.summary() if row["hasher"] == name and row["n_runs"]]
    if not rows:
        raise ValueError(f"{name} has no score: every fit failed or was not reached")
    most = max(row["n_runs"] for row in rows)
    rows = [row for row in rows if row["n_runs"] == most]  # means alike in kind
    n_bits = np.array([row["n_bits"] for row in rows])
    means = np.array([row[metric] for row in rows])
    spread = np.array([row[f"{metric}_sd"] for row in rows])
    errors = spread / np.sqrt(most)
    return int(n_bits[fewest_within_error(n_bits, means, errors)])


def _of_search(
    results: Mapping[str, Any], param: str | None, metric: str | None
) -> int:
    n_bits = _bits_of_candidates(results, param)
    name = _score_name(results, metric)
    splits = re.compile(rf"split\d+_test_{re.escape(name)}")
    n_splits = sum(splits.fullmatch(key) is not None for key in results)
    if n_splits < 2:
        raise ValueError(
            f"a standard error needs the scores of 2 splits or more; got {n_splits}, "
            f"by the keys split0_test_{name}, ...: search with cv=2 or more"
        )
    means = _column(results, f"mean_test_{name}", len(n_bits))
    spread = _column(results, f"std_test_{name}", len(n_bits))
    errors = np.nan_to_num(spread) / np.sqrt(n_splits)  # NaN of an infinite mean
    last = _last_iteration(results, len(means))
    return int(last[fewest_within_error(n_bits[last], means[last], errors[last])])


def _last_iteration(results: Mapping[str, Any], n_candidates: int) -> NDArray[np.intp]:
    """Places of the candidates that a halving search kept to the end, or of all."""
    iteration = np.asarray(results.get("iter", np.zeros(n_candidates)))
    return np.flatnonzero(iteration == iteration.max())


def _column(results: Mapping[str, Any], key: str, n_candidates: int) -> Any:
    """Give a column of numbers, one for each candidate."""
    if key not in results:
        raise ValueError(f"results hold no {key}: give the cv_results_ of a search")
    column = np.asarray(results[key], np.float64)
    if column.shape != (n_candidates,):
        raise ValueError(
            f"{key} must hold a number for each of {n_candidates} candidates; got "
            f"shape {column.shape}"
        )
    return column


def _bits_of_candidates(
    results: Mapping[str, Any], param: str | None
) -> NDArray[np.int64]:
    """Find the column of the numbers of bits, one for each candidate."""
    searched = [key for key in results if key.startswith("param_")]
    found = [
        key
        for key in searched
        if (key.endswith("n_bits") if param is None else key == f"param_{param}")
    ]
    if len(found) != 1:
        names = ", ".join(key.removeprefix("param_") for key in searched)
        wanted = "one parameter that ends in n_bits" if param is None else repr(param)
        raise ValueError(
            f"the search must be over {wanted}, but is over {names}. Name the "
            "number of bits by functools.partial(fewest_bits, param='...')."
        )
    column = results[found[0]]
    if np.ma.getmaskarray(column).any():
        raise ValueError(
            f"some candidates have no {found[0].removeprefix('param_')}: give "
            "every one a number of bits"
        )
    for value in column:
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(
                f"{found[0].removeprefix('param_')} must be numbers of bits, integers "
                f">= 1; got {value!r}"
            )
    return np.asarray(column, np.int64)


def _score_name(results: Mapping[str, Any], metric: str | None) -> str:
    prefix = "mean_test_"
    names = [key.removeprefix(prefix) for key in results if key.startswith(prefix)]
    if not names:
        raise ValueError(
            f"results hold no {prefix}...: give the cv_results_ of a search"
        )
    if metric is None and len(names) == 1:
        return names[0]
    if metric is None or metric not in names:
        raise ValueError(
            f"metric must be one of {', '.join(map(repr, names))}: "
            f"functools.partial(fewest_bits, metric={names[0]!r}); got {metric!r}"
        )
    return metric
