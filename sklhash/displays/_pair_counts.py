"""Relevant and irrelevant pairs at each distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._sklearn import validate_params
from sklhash.metrics._sources import CodePairs


@validate_params({"exclude_self": ["boolean"]}, prefer_skip_nested_validation=True)
def count_pairs(
    query_codes: Any,
    gallery_codes: Any,
    y_query: Any,
    y_gallery: Any,
    *,
    exclude_self: bool = False,
) -> NDArray[np.int64]:
    """Count relevant and other pairs at each distance, some queries after the others.

    Parameters
    ----------
    query_codes, gallery_codes, y_query, y_gallery, exclude_self
        As in :func:`sklhash.metrics.relevance_histograms`.

    Returns
    -------
    counts : ndarray of shape (2, n_bits + 1), dtype int64
    """
    pairs = CodePairs.from_input(
        query_codes, gallery_codes, y_query, y_gallery, exclude_self, "hamming"
    )
    counts = np.zeros((2, pairs.queries.n_bits + 1), dtype=np.int64)
    for block in pairs.histogram_blocks():
        counts[0] += block[:, :, 1:].sum(axis=(0, 2))
        counts[1] += block[:, :, 0].sum(axis=0)
    return counts
