"""Precision and recall over the Hamming radius."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._sklearn import validate_params

from ._scores import RULES, check_some_count, check_weight
from ._sources import CodePairs


@validate_params(
    {"no_relevant": RULES["no_relevant"], "exclude_self": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def precision_recall_curve(
    query_codes: Any,
    gallery_codes: Any,
    y_query: Any,
    y_gallery: Any,
    *,
    no_relevant: str = "omit",
    exclude_self: bool = False,
    sample_weight: Any = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Precision and recall within every Hamming radius, averaged over the queries.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    no_relevant : {'omit', 'zero'}, default='omit'
        Queries without a relevant item: left out of the means, or counted as 0.
    exclude_self : bool, default=False
        Queries are the gallery itself, row by row; leave item i out for query i.
    sample_weight : array-like of shape (n_queries,), default=None
        Weights of the queries in the means.

    Returns
    -------
    precision : ndarray of shape (n_bits + 1,)
        Relevant share of what lies within the radius; a query that finds nothing
        counts as 0, as in the hashing literature.
    recall : ndarray of shape (n_bits + 1,)
        Share of the relevant items that lie within the radius; the last is 1.
    radius : ndarray of shape (n_bits + 1,)
        0, 1, ..., n_bits, in bits.

    Examples
    --------
    >>> from sklhash.metrics import precision_recall_curve
    >>> queries, gallery = [[0, 1]], [[0, 1], [1, 1], [1, 1]]
    >>> precision, recall, radius = precision_recall_curve(
    ...     queries, gallery, [7], [7, 7, 8])
    >>> precision, recall, radius
    (array([1. , 0.66..., 0.66...]), array([0.5, 1. , 1. ]), array([0, 1, 2]))
    """
    source = CodePairs.from_input(
        query_codes, gallery_codes, y_query, y_gallery, exclude_self
    )
    weight = check_weight(sample_weight, source.n_queries)
    sums = np.zeros((2, source.queries.n_bits + 1))
    counted, start = [], 0
    for groups in source.tie_groups("expected"):
        n_relevant = groups.n_relevant
        w = weight[start : start + len(n_relevant)]
        w = w * ((n_relevant > 0) | (no_relevant == "zero"))
        hits, retrieved = groups.relevant.cumsum(axis=1), groups.items.cumsum(axis=1)
        sums[0] += w @ (hits / np.maximum(retrieved, 1))
        sums[1] += w @ (hits / np.maximum(n_relevant, 1)[:, None])
        counted.append(w)
        start += len(n_relevant)
    check_some_count(np.concatenate(counted))
    precision, recall = sums / np.concatenate(counted).sum()
    return precision, recall, np.arange(len(precision))
