"""Counts of items by distance and shared labels: they add up over shards."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._sklearn import StrOptions, validate_params
from sklhash.hamming import MAX_LISTED_BITS, possible_distances

from ._closed_forms import RankSums
from ._measures import Rules, parse_metrics
from ._scores import (
    CODE_DISTANCE,
    DEFAULT_METRICS,
    RULES,
    check_weight,
    score_block,
    summarize,
)
from ._sources import CodePairs, check_histograms
from ._tie_groups import TIES, groups_from_histograms


@validate_params(
    {**CODE_DISTANCE, "exclude_self": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def relevance_histograms(
    query_codes: Any,
    gallery_codes: Any,
    y_query: Any,
    y_gallery: Any,
    *,
    code_distance: str = "hamming",
    exclude_self: bool = False,
) -> NDArray[np.int64]:
    """Count the items at each distance and with each number of shared labels.

    These counts are all that the measures need. Those of several galleries (shards)
    add up, and :func:`scores_from_histograms` scores the sum as if it were one.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    code_distance : {'hamming', 'spherical'}, default='hamming'
        As in :func:`retrieval_scores`.
    exclude_self : bool, default=False
        Queries are the gallery itself, row by row; leave item i out for query i.

    Returns
    -------
    histograms : ndarray of shape (n_queries, n_distances, n_grades), dtype int64
        ``histograms[i, d, g]`` items are d bits away from query i (spherical: lie at
        the d-th distance) and share g labels with it. `n_grades` is one more than the
        most labels that a query has. There are n_bits + 1 distances, or all spherical
        ones that codes of `n_bits` can have: 2,033 for 64 bits, 31,859 for 256, which
        :func:`sklhash.hamming.possible_distances` lists.

    Raises
    ------
    ValueError
        If the inputs do not fit together, or have more than 1,024 bits with spherical
        distances.

    Examples
    --------
    >>> from sklhash.metrics import relevance_histograms
    >>> queries, gallery = [[0, 1]], [[0, 1], [1, 1], [1, 1]]
    >>> relevance_histograms(queries, gallery, [7], [7, 7, 8])
    array([[[0, 1],
            [1, 1],
            [0, 0]]])
    """
    return CodePairs.from_input(
        query_codes, gallery_codes, y_query, y_gallery, exclude_self, code_distance
    ).histograms()


@validate_params(
    {
        **RULES,
        **CODE_DISTANCE,
        "metrics": [str, "array-like"],
        "ties": [StrOptions(set(TIES) - {"index"})],
        "per_query": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def scores_from_histograms(
    histograms: Any,
    *,
    code_distance: str = "hamming",
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    ties: str = "expected",
    normalize: str = "min",
    no_relevant: str = "omit",
    per_query: bool = False,
    sample_weight: Any = None,
) -> dict[str, Any]:
    """Score the counts of :func:`relevance_histograms`, or the sum of several.

    Parameters
    ----------
    histograms : array-like of shape (n_queries, n_distances, n_grades)
        Counts; every query has the same number of items.
    code_distance : {'hamming', 'spherical'}, default='hamming'
        The one that the items were counted by.
    metrics : str or sequence of str
        As in :func:`retrieval_scores`.
    ties : {'expected', 'optimistic', 'pessimistic'}, default='expected'
        As in :func:`retrieval_scores`; ``'index'`` needs the ranking itself.
    normalize : {'min', 'relevant', 'retrieved'}, default='min'
        As in :func:`retrieval_scores`.
    no_relevant : {'omit', 'zero'}, default='omit'
        As in :func:`retrieval_scores`.
    per_query : bool, default=False
        Return a value a query instead of their mean.
    sample_weight : array-like of shape (n_queries,), default=None
        Weights of the queries in the means.

    Returns
    -------
    scores : dict
        As from :func:`retrieval_scores`.

    Raises
    ------
    ValueError
        If the counts are negative, fractional or differ in total between queries, or
        if codes of no length have so many distances.

    Examples
    --------
    >>> from sklhash.metrics import relevance_histograms, scores_from_histograms
    >>> queries, y = [[0, 1]], [7]
    >>> shards = ([[0, 1]], [7]), ([[1, 1], [1, 1]], [7, 8])
    >>> counts = sum(relevance_histograms(queries, X, y, y_X) for X, y_X in shards)
    >>> scores_from_histograms(counts, metrics="map")
    {'map': 0.916..., 'queries_without_relevant': 0}
    """
    parsed = parse_metrics(metrics)
    counts = check_histograms(histograms)
    rules = Rules(ties, normalize, RankSums.up_to(int(counts[0].sum())))
    distance = _distances_of_axis(counts.shape[1], code_distance)
    groups = groups_from_histograms(counts, distance[None], ties)
    weight = check_weight(sample_weight, len(counts))
    blocks = [score_block(groups, parsed, rules)]
    return summarize(blocks, parsed, no_relevant, per_query, weight)


def _distances_of_axis(n_distances: int, code_distance: str) -> NDArray[Any]:
    """List the distances of the codes, of any length, that have so many."""

    def listed(n_bits: int) -> NDArray[Any]:
        return possible_distances(n_bits, metric=code_distance)

    if code_distance == "hamming":
        return listed(n_distances - 1)
    lengths = range(1, MAX_LISTED_BITS)
    n_bits = 1 + bisect_left(lengths, n_distances, key=lambda n: len(listed(n)))
    if len(listed(n_bits)) != n_distances:
        raise ValueError(
            f"histograms have {n_distances} distances, but codes of no length have so "
            f"many {code_distance} ones"
        )
    return listed(n_bits)
