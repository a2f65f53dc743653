"""Neighbours found in several galleries, merged into those of all together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from sklhash.hamming._merge import merge_nearest

from ._checks import Neighbors, check_fit, check_n_neighbors, check_part, check_sizes


def merge_neighbors(
    parts: Iterable[Neighbors], sizes: Sequence[int], *, n_neighbors: int | None = None
) -> Neighbors:
    """Merge the neighbours found in several galleries into those of all together.

    Parameters
    ----------
    parts : iterable of tuple (distances, positions)
        What each gallery's search gave for the same queries: arrays of shape
        (n_queries, k_i), as from :meth:`HammingRetriever.kneighbors`; positions count
        from the first row of the gallery they are of.
    sizes : sequence of int
        Rows of each gallery, 0 or more. What one without rows gives adds nothing, not
        even the dtype of its distances.
    n_neighbors : int, default=None
        Neighbours to keep; None for as many as the longest part has. Every gallery
        must have been searched for so many, or for all of its rows.

    Returns
    -------
    distances : ndarray of shape (n_queries, n_neighbors)
        Ascending.
    positions : ndarray of shape (n_queries, n_neighbors), dtype intp
        Places in the galleries' concatenation, in the order given; equal distances are
        ordered by place. Bit for bit what one search in it would give.

    Raises
    ------
    TypeError
        If distances are no real numbers, or positions or sizes no integers.
    ValueError
        If parts do not fit each other or their sizes, or are too short, or distances
        hold NaN.

    See Also
    --------
    search_shards : Search and merge.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ, HammingRetriever
    >>> from sklhash import merge_neighbors
    >>> X, y = load_digits(return_X_y=True)
    >>> codes = ITQ(n_bits=32, random_state=0).fit(X).encode(X)
    >>> galleries = codes[2:900], codes[900:]
    >>> parts = [HammingRetriever().fit(g).kneighbors(codes[:2], 3) for g in galleries]
    >>> distances, positions = merge_neighbors(parts, [len(g) for g in galleries])
    >>> y[2:][positions]
    array([[0, 0, 0],
           [1, 1, 1]])
    """
    parts, sizes = [check_part(part) for part in parts], check_sizes(sizes)
    if not parts or len(parts) != len(sizes):
        raise ValueError(
            "merge_neighbors needs one or more parts, and the size of each gallery; "
            f"got {len(parts)} parts and {len(sizes)} sizes"
        )
    k = max(distances.shape[1] for distances, _ in parts)
    if n_neighbors is not None:
        k = check_n_neighbors(n_neighbors, sum(sizes))
    k = min(k, sum(sizes))
    for (distances, positions), size in zip(parts, sizes, strict=True):
        check_fit(distances, positions, len(parts[0][0]), size, k)
    starts = accumulate(sizes[:-1], initial=0)
    placed = [
        positions.astype(np.intp) + start
        for (_, positions), start in zip(parts, starts, strict=True)
    ]
    kept = [i for i, size in enumerate(sizes) if size] or [0]
    return merge_nearest([parts[i][0] for i in kept], [placed[i] for i in kept], k)
