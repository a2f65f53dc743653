"""Precision and recall over the radius."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._sklearn import validate_params

from ._scores import CODE_DISTANCE, RULES, check_some_count, check_weight, scaled
from ._sources import CodePairs


@validate_params(
    {
        **CODE_DISTANCE,
        "no_relevant": RULES["no_relevant"],
        "exclude_self": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def precision_recall_curve(
    query_codes: Any,
    gallery_codes: Any,
    y_query: Any,
    y_gallery: Any,
    *,
    code_distance: str = "hamming",
    no_relevant: str = "omit",
    exclude_self: bool = False,
    sample_weight: Any = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """Precision and recall within every radius, averaged over the queries.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    code_distance : {'hamming', 'spherical'}, default='hamming'
        As in :func:`retrieval_scores`.
    no_relevant : {'omit', 'zero'}, default='omit'
        Queries without a relevant item: left out of the means, or counted as 0.
    exclude_self : bool, default=False
        Queries are the gallery itself, row by row; leave item i out for query i.
    sample_weight : array-like of shape (n_queries,), default=None
        Weights of the queries in the means.

    Returns
    -------
    precision : ndarray of shape (n_distances,)
        Relevant share of what lies within the radius; a query that finds nothing
        counts as 0, as in the hashing literature.
    recall : ndarray of shape (n_distances,)
        Share of the relevant items that lie within the radius; the last is 1.
    radius : ndarray of shape (n_distances,)
        0, 1, ..., n_bits, in bits; or the spherical distances that codes of `n_bits`
        can have, ascending.

    Raises
    ------
    ValueError
        If the inputs do not fit together, no query has a relevant item, or codes have
        more than 1,024 bits with spherical distances.

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
        query_codes, gallery_codes, y_query, y_gallery, exclude_self, code_distance
    )
    weight = scaled(check_weight(sample_weight, source.n_queries))
    radius = source.possible_distances
    sums = np.zeros((2, len(radius)))
    counted, start = [], 0
    for counts in source.histogram_blocks():
        relevant = counts[:, :, 1:].sum(axis=2)
        n_relevant = relevant.sum(axis=1)
        w = weight[start : start + len(n_relevant)]
        w = w * ((n_relevant > 0) | (no_relevant == "zero"))
        hits, retrieved = relevant.cumsum(axis=1), counts.sum(axis=2).cumsum(axis=1)
        sums[0] += w @ (hits / np.maximum(retrieved, 1))
        sums[1] += w @ (hits / np.maximum(n_relevant, 1)[:, None])
        counted.append(w)
        start += len(n_relevant)
    check_some_count(np.concatenate(counted))
    precision, recall = sums / np.concatenate(counted).sum()
    return precision, recall, radius
