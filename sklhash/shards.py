"""Search in a gallery that is cut into shards, by several processes or machines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from .codes import PackedCodes, as_packed
from .hamming import METRICS
from .hamming._merge import merge_nearest, merge_within
from .neighbors import index_of, nearest, split, within
from .projections import as_projections

__all__ = ["merge_neighbors", "search_shards", "search_shards_within"]

Neighbors = tuple[NDArray[Any], NDArray[np.intp]]
#: A shard: codes, or the path of a file of codes.
Shard = PackedCodes | str | os.PathLike[str]


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
        Rows of each gallery.
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
    ValueError
        If parts do not fit each other or their sizes, or are too short.

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
    parts, sizes = [_check_part(part) for part in parts], list(sizes)
    if not parts or len(parts) != len(sizes):
        raise ValueError(
            "merge_neighbors needs one or more parts, and the size of each gallery; "
            f"got {len(parts)} parts and {len(sizes)} sizes"
        )
    k = max(distances.shape[1] for distances, _ in parts)
    if n_neighbors is not None:
        k = _check_n_neighbors(n_neighbors, sum(sizes))
    k = min(k, sum(sizes))
    for (distances, positions), size in zip(parts, sizes, strict=True):
        _check_fit(distances, positions, len(parts[0][0]), size, k)
    starts = np.cumsum([0, *sizes[:-1]])
    placed = [
        positions.astype(np.intp) + start
        for (_, positions), start in zip(parts, starts, strict=True)
    ]
    return merge_nearest([distances for distances, _ in parts], placed, k)


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
    they are searched: only their paths are sent, and what is found.

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
    queries, shards, sizes = _check_input(queries, shards, metric)
    k = _check_n_neighbors(n_neighbors, sum(sizes))
    found = Parallel(n_jobs)(
        delayed(_nearest_in_shard)(queries, shard, k, metric) for shard in shards
    )
    return merge_neighbors(found, sizes, n_neighbors=k)


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
        As from :func:`search_shards`.

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
    queries, shards, sizes = _check_input(queries, shards, metric)
    if isinstance(radius, bool) or not isinstance(radius, Real):
        raise TypeError(f"radius must be a number; got {radius!r}")
    if not 0 <= radius < np.inf:
        raise ValueError(f"radius must be a finite number >= 0; got {radius}")
    found = Parallel(n_jobs)(
        delayed(_within_in_shard)(queries, shard, radius, metric) for shard in shards
    )
    indptrs, distances, positions = zip(*found, strict=True)
    starts = np.cumsum([0, *sizes[:-1]])
    placed = [p + start for p, start in zip(positions, starts, strict=True)]
    indptr, distance, position = merge_within(indptrs, distances, placed)
    return split(distance, indptr), split(position, indptr)


def _nearest_in_shard(
    queries: NDArray[Any], shard: Shard, k: int, metric: str
) -> Neighbors:
    codes = _open(shard)
    index = index_of(codes, "brute", "cpu")
    return nearest(queries, index, min(k, len(codes)), metric=metric, n_jobs=1)


def _within_in_shard(
    queries: NDArray[Any], shard: Shard, radius: float, metric: str
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
    index = index_of(_open(shard), "brute", "cpu")
    return within(queries, index, radius, metric=metric, n_jobs=1)


def _open(shard: Shard) -> PackedCodes:
    if isinstance(shard, PackedCodes):
        return shard
    return PackedCodes.load(shard, mmap_mode="r")


def _check_input(
    queries: Any, shards: Iterable[Shard], metric: str
) -> tuple[NDArray[Any], list[Shard], list[int]]:
    """Check everything before anything is searched, and give what workers need."""
    if metric not in (*METRICS, "asymmetric"):
        raise ValueError(
            f"metric must be one of {', '.join(METRICS)}, asymmetric; got {metric!r}"
        )
    if isinstance(shards, PackedCodes | str | os.PathLike):
        raise TypeError("shards must be a sequence of PackedCodes or paths; got one")
    shards = list(shards)
    if not shards:
        raise ValueError("shards is empty: give PackedCodes or paths of saved ones")
    for shard in shards:
        if not isinstance(shard, PackedCodes | str | os.PathLike):
            raise TypeError(
                "shards must be PackedCodes, or paths of files that PackedCodes.save "
                f"wrote; got {type(shard).__name__}"
            )
    values: NDArray[Any]
    if metric == "asymmetric":
        values = as_projections(queries, "queries")
        n_bits = values.shape[1]
    else:
        codes = as_packed(queries, "queries")
        values, n_bits = codes.packed, codes.n_bits
    sizes = []
    for place, shard in enumerate(shards):
        opened = _open(shard)
        if opened.n_bits != n_bits:
            raise ValueError(
                f"queries have {n_bits} bits, but shard {place} has {opened.n_bits}"
            )
        sizes.append(len(opened))
    full = [shard for shard, size in zip(shards, sizes, strict=True) if size]
    return values, full, [size for size in sizes if size]


def _check_n_neighbors(n_neighbors: Any, n_gallery: int) -> int:
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral):
        raise TypeError(f"n_neighbors must be an integer; got {n_neighbors!r}")
    if not 1 <= int(n_neighbors) <= n_gallery:
        raise ValueError(
            f"n_neighbors must be 1 or more and at most the {n_gallery} rows of all "
            f"galleries; got {n_neighbors}"
        )
    return int(n_neighbors)


def _check_part(part: Any) -> Neighbors:
    if len(part) != 2:
        raise ValueError(
            f"a part must be a tuple (distances, positions); got {len(part)} values"
        )
    distances, positions = np.asarray(part[0]), np.asarray(part[1])
    if distances.ndim != 2 or distances.shape != positions.shape:
        raise ValueError(
            "distances and positions of a part must have one shape (n_queries, k); got "
            f"{distances.shape} and {positions.shape}"
        )
    if positions.dtype.kind not in "iu":
        raise TypeError(f"positions must be integers; got {positions.dtype}")
    return distances, positions


def _check_fit(
    distances: NDArray[Any],
    positions: NDArray[np.intp],
    n_queries: int,
    size: int,
    k: int,
) -> None:
    if len(distances) != n_queries:
        raise ValueError(
            f"parts must answer the same queries; got {n_queries} and {len(distances)}"
        )
    if positions.size and not 0 <= positions.min() <= positions.max() < size:
        raise ValueError(
            f"positions in a gallery of {size} rows must be in [0, {size}); got "
            f"{positions.min()} to {positions.max()}"
        )
    if distances.shape[1] < min(k, size):
        raise ValueError(
            f"a part has {distances.shape[1]} neighbours, but {k} of all need "
            f"{min(k, size)} of its gallery of {size} rows"
        )
