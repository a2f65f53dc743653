"""Search in shards: each is a task, and what was found is merged."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash.hamming._merge import merge_within
from sklhash.neighbors import index_of, nearest, split, within
from sklhash.workers import call_in_workers

from ._checks import Neighbors, check_n_neighbors, check_radius
from ._merge import merge_neighbors
from ._shards import Shard, Sharded, open_shard


def search_shards(
    queries: Any,
    shards: Iterable[Shard],
    n_neighbors: int = 10,
    *,
    metric: str = "hamming",
    n_jobs: int | None = None,
) -> Neighbors:
    """Find the nearest codes in a gallery that is cut into shards.

    Each shard is one task of joblib's backend in force, by default processes; choose
    threads, or a cluster, by :func:`joblib.parallel_config`. Files are mapped where
    they are searched: only their paths and the queries are sent, and what is found.
    They are sent with each task, so that on Dask the shard of a worker that is lost is
    searched by another one.

    Parameters
    ----------
    queries : PackedCodes, or array-like of shape (n_queries, n_bits)
        A bit is set where the value is ``> 0``. For ``metric='asymmetric'``
        projections.
    shards : iterable of PackedCodes or path
        Paths of files that :meth:`PackedCodes.save` wrote.
    n_neighbors : int, default=10
    metric : {'hamming', 'spherical', 'asymmetric'}, default='hamming'
        As in :class:`~sklhash.HammingRetriever`.
    n_jobs : int, default=None
        Tasks at a time, as in joblib.

    Returns
    -------
    distances : ndarray of shape (n_queries, n_neighbors), dtype int32 or float64
        Ascending.
    positions : ndarray of shape (n_queries, n_neighbors), dtype intp
        Places in the shards' concatenation, in the order given; equal distances are
        ordered by place. Bit for bit what one search in it would give.

    Raises
    ------
    ValueError
        If shards and queries have different code lengths, a file holds no codes, or
        there are fewer than `n_neighbors` codes.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ, search_shards
    >>> X, y = load_digits(return_X_y=True)
    >>> codes = ITQ(n_bits=32, random_state=0).fit(X).encode(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     shards = [f"{folder}/{i}.npy" for i in range(2)]
    ...     codes[2:900].save(shards[0])
    ...     codes[900:].save(shards[1])
    ...     distances, positions = search_shards(codes[:2], shards, n_neighbors=3)
    >>> y[2:][positions]
    array([[0, 0, 0],
           [1, 1, 1]])
    """
    checked = Sharded.from_input(queries, shards, metric).without_empty()
    k = check_n_neighbors(n_neighbors, sum(checked.sizes))
    arguments = [(checked.queries, shard, k, metric) for shard in checked.shards]
    found = call_in_workers(_nearest_in_shard, arguments, n_jobs)
    return merge_neighbors(found, checked.sizes, n_neighbors=k)


def search_shards_within(
    queries: Any,
    shards: Iterable[Shard],
    radius: float = 2,
    *,
    metric: str = "hamming",
    n_jobs: int | None = None,
) -> Neighbors:
    """Find all codes within a distance in a gallery that is cut into shards.

    Parameters
    ----------
    queries, shards, metric, n_jobs
        As in :func:`search_shards`.
    radius : int or float, default=2
        Inclusive; in the unit of `metric`.

    Returns
    -------
    distances : ndarray of shape (n_queries,), of ndarrays of dtype int32 or float64
        Ascending.
    positions : ndarray of shape (n_queries,), of ndarrays of dtype intp
        As from :func:`search_shards`. If no shard holds a code, nothing is found.

    Raises
    ------
    ValueError
        If shards and queries have different code lengths, a file holds no codes, or
        `radius` is no finite number >= 0.

    Examples
    --------
    >>> from sklhash import PackedCodes, search_shards_within
    >>> shards = [
    ...     PackedCodes.from_codes([[0, 0, 1], [0, 1, 1]]),
    ...     PackedCodes.from_codes([[1, 1, 1]]),
    ... ]
    >>> distances, positions = search_shards_within([[1, 1, 1]], shards, radius=1)
    >>> distances[0], positions[0]
    (array([0, 1], dtype=int32), array([2, 1]))
    """
    checked = Sharded.from_input(queries, shards, metric).without_empty()
    check_radius(radius)
    arguments = [(checked.queries, shard, radius, metric) for shard in checked.shards]
    found = call_in_workers(_within_in_shard, arguments, n_jobs)
    indptrs, distances, positions = zip(*found, strict=True)
    starts = accumulate(checked.sizes[:-1], initial=0)
    placed = [p + start for p, start in zip(positions, starts, strict=True)]
    indptr, distance, position = merge_within(indptrs, distances, placed)
    return split(distance, indptr), split(position, indptr)


def _nearest_in_shard(
    queries: NDArray[Any], shard: Shard, k: int, metric: str
) -> Neighbors:
    codes = open_shard(shard)
    index = index_of(codes, "brute", "cpu")
    return nearest(queries, index, min(k, len(codes)), metric=metric, n_jobs=1)


def _within_in_shard(
    queries: NDArray[Any], shard: Shard, radius: float, metric: str
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
    index = index_of(open_shard(shard), "brute", "cpu")
    return within(queries, index, radius, metric=metric, n_jobs=1)
