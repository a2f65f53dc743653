"""Ranking measures of binary codes, and of any distance matrix, by the same rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._sklearn import StrOptions, check_sample_weight, validate_params
from sklhash.hamming import METRICS

from ._closed_forms import RankSums
from ._measures import MEASURES, Metric, Rules, parse_metrics
from ._sources import CodePairs, MatrixPairs
from ._tie_groups import TIES, TieGroups

DEFAULT_METRICS = (
    "map",
    "map@5000",
    "ndcg@100",
    "precision@100",
    "recall@100",
    "precision@r2",
    "acg@100",
    "wap@100",
)

#: Constraints of the parameters that say how ranks are counted.
RULES: dict[str, list[Any]] = {
    "ties": [StrOptions(set(TIES))],
    "normalize": [StrOptions({"min", "relevant", "retrieved"})],
    "no_relevant": [StrOptions({"omit", "zero"})],
}
#: Constraint of the parameter that says how codes are compared.
CODE_DISTANCE: dict[str, list[Any]] = {"code_distance": [StrOptions(set(METRICS))]}
#: Ways to compare codes that a ranking can be scored by, histograms or not.
DISTANCES = (*METRICS, "asymmetric")


@validate_params(
    {
        **RULES,
        "code_distance": [StrOptions(set(DISTANCES))],
        "metrics": [str, "array-like"],
        "exclude_self": ["boolean"],
        "per_query": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def retrieval_scores(
    query_codes: Any = None,
    gallery_codes: Any = None,
    y_query: Any = None,
    y_gallery: Any = None,
    *,
    relevance: Any = None,
    distances: Any = None,
    code_distance: str = "hamming",
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    ties: str = "expected",
    normalize: str = "min",
    no_relevant: str = "omit",
    exclude_self: bool = False,
    per_query: bool = False,
    sample_weight: Any = None,
) -> dict[str, Any]:
    """Score rankings of a gallery by every metric asked for, in one pass.

    Give either codes and labels, or a `relevance` and a `distances` matrix. From
    codes, two small histograms a query are counted and no ranking is sorted (but with
    spherical distances of long codes, or of a small gallery, where sorting is cheaper,
    and with asymmetric ones).

    Parameters
    ----------
    query_codes : PackedCodes or array-like of shape (n_queries, n_bits)
        A bit is set where the value is ``> 0``. For asymmetric distances the queries'
        projections, and no codes.
    gallery_codes : PackedCodes or array-like of shape (n_gallery, n_bits)
    y_query : array-like of shape (n_queries,), or {array-like, sparse matrix} of \
            shape (n_queries, n_labels)
        Classes, or an indicator matrix of zeros and ones. An item is relevant to a
        query of the same class, or with which it shares at least one label.
    y_gallery : like `y_query`, for the gallery
    relevance : array-like of shape (n_queries, n_gallery), default=None
        Booleans, or the number of shared labels of each pair.
    distances : array-like of shape (n_queries, n_gallery), default=None
        Any finite real numbers, small for near.
    code_distance : {'hamming', 'spherical', 'asymmetric'}, default='hamming'
        How codes are compared: by the number of differing bits; by that number divided
        by the common ones plus 0.1, the spherical Hamming distance of
        :class:`~sklhash.HammingRetriever`; or by the magnitudes of the projections of
        the query at differing bits, summed, its asymmetric distance.
    metrics : str or sequence of str
        ``'map'``, ``'ndcg'``, ``'precision'``, ``'recall'``, ``'acg'`` (average
        cumulative gain: mean number of shared labels) and ``'wap'`` (weighted average
        precision), alone for the whole gallery or with ``'@k'`` for the first k
        places; ``'precision@rR'`` and ``'recall@rR'`` count the items within R bits
        (or the spherical distance R, or R in the unit of `distances` or projections), R
        included (precision is 0 where there are none). With fewer than k items in the
        gallery the missing places count as irrelevant.
    ties : {'expected', 'optimistic', 'pessimistic', 'index'}, default='expected'
        Rule for equally distant items: the mean over all their orders, in closed
        form; the most relevant first; the most relevant last; gallery order.
    normalize : {'min', 'relevant', 'retrieved'}, default='min'
        Denominator of AP@k and WAP@k: min(k, relevant items in the gallery); relevant
        items in the gallery; relevant items among the first k, as in most
        published code on hashing, which is larger. Without a cut-off they agree.
    no_relevant : {'omit', 'zero'}, default='omit'
        Queries without a relevant item: left out of the means, or counted as 0.
    exclude_self : bool, default=False
        Queries are the gallery itself, row by row; leave item i out for query i.
    per_query : bool, default=False
        Return a value a query instead of their mean.
    sample_weight : array-like of shape (n_queries,), default=None
        Weights of the queries in the means.

    Returns
    -------
    scores : dict
        For each metric a float, or with `per_query` an array of shape (n_queries,),
        NaN for omitted queries. ``'queries_without_relevant'`` counts the queries that
        have no relevant item in the gallery.

    Raises
    ------
    ValueError
        If inputs are missing, do not fit together, or no query has a relevant item.

    Notes
    -----
    The gain of nDCG is ``2**shared - 1``, the discount ``1 / log2(1 + rank)`` and the
    ideal ranking that of the whole gallery.

    Examples
    --------
    >>> from sklhash.metrics import retrieval_scores
    >>> queries, gallery = [[0, 0, 1]], [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]]
    >>> retrieval_scores(queries, gallery, ["a"], ["a", "a", "b", "b"],
    ...                  metrics=["map", "precision@r1"])
    {'map': 0.916..., 'precision@r1': 0.666..., 'queries_without_relevant': 0}
    """
    parsed = parse_metrics(metrics)
    source: CodePairs | MatrixPairs
    if relevance is None and distances is None:
        source = CodePairs.from_input(
            query_codes, gallery_codes, y_query, y_gallery, exclude_self, code_distance
        )
    elif code_distance != "hamming":
        raise ValueError(
            f"code_distance={code_distance!r} compares codes, but distances are given"
        )
    elif any(x is not None for x in (query_codes, gallery_codes, y_query, y_gallery)):
        raise ValueError(
            "give codes and labels, or relevance and distances, but not both"
        )
    else:
        source = MatrixPairs.from_input(relevance, distances, exclude_self)
    rules = Rules(ties, normalize, RankSums.up_to(source.n_ranks))
    weight = check_weight(sample_weight, source.n_queries)
    blocks = [score_block(block, parsed, rules) for block in source.tie_groups(ties)]
    return summarize(blocks, parsed, no_relevant, per_query, weight)


def check_weight(sample_weight: Any, n_queries: int) -> NDArray[np.float64]:
    """Validate weights of queries; ones if there are none."""
    queries = np.empty((n_queries, 1))
    return check_sample_weight(sample_weight, queries, ensure_non_negative=True)


def scaled(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide weights by a power of two, so that the largest is about 1.

    Their sum is then neither infinite nor nearly 0. Nothing is rounded but weights that
    would not count beside the largest one.
    """
    return np.ldexp(weight, -np.frexp(weight.max(initial=0))[1])


def check_some_count(weight: NDArray[np.float64]) -> None:
    """Refuse a mean over no query at all."""
    if not weight.any():
        raise ValueError(
            f"none of the {len(weight)} queries (with a positive weight) has a "
            "relevant item in the gallery. Do queries and gallery share labels? "
            "Splits of sorted data need shuffling, as by cv=StratifiedKFold()."
        )


def score_block(
    groups: TieGroups, metrics: dict[str, Metric], rules: Rules
) -> dict[str, NDArray[Any]]:
    scores = {
        name: MEASURES[metric.name](groups, metric, rules)
        for name, metric in metrics.items()
    }
    return {**scores, "n_relevant": groups.n_relevant}


def summarize(
    blocks: list[dict[str, NDArray[Any]]],
    metrics: Iterable[str],
    no_relevant: str,
    per_query: bool,
    weight: NDArray[np.float64],
) -> dict[str, Any]:
    """Join the blocks and average over the queries that count."""
    n_relevant = np.concatenate([block["n_relevant"] for block in blocks])
    counted = (n_relevant > 0) | (no_relevant == "zero")
    used = scaled(weight[counted])
    if not per_query:
        check_some_count(weight * counted)
    result: dict[str, Any] = {}
    for name in metrics:
        scores = np.concatenate([block[name] for block in blocks])
        if per_query:
            result[name] = np.where(counted, scores, np.nan)
        else:
            result[name] = float(np.average(scores[counted], weights=used))
    result["queries_without_relevant"] = int((n_relevant == 0).sum())
    return result
