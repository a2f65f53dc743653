"""Neighbours, their numbers and a radius, checked before the work."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Distances and positions.
Neighbors = tuple[NDArray[Any], NDArray[np.intp]]


def check_part(part: Any) -> Neighbors:
    """Give the distances and positions of one gallery as arrays of one shape.

    Parameters
    ----------
    part : tuple (distances, positions)

    Returns
    -------
    distances, positions : ndarray of shape (n_queries, k)
    """
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
    _check_distances(distances)
    if positions.size and positions.dtype.kind not in "iu":
        raise TypeError(f"positions must be integers; got {positions.dtype}")
    return distances, positions


def check_sizes(sizes: Any) -> list[int]:
    """Give the rows of each gallery as integers of Python's, which do not overflow.

    Parameters
    ----------
    sizes : sequence of int

    Returns
    -------
    sizes : list of int
    """
    try:
        sizes = list(sizes)
    except TypeError:
        raise TypeError(
            f"sizes must be a sequence, of the rows of each gallery; got {sizes!r}"
        ) from None
    for place, size in enumerate(sizes):
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise TypeError(
                f"sizes[{place}] must be an integer, the rows of a gallery, such as "
                f"len(codes); got {size!r}"
            )
        if size < 0:
            raise ValueError(f"sizes[{place}] must be 0 or more; got {size}")
    sizes = [int(size) for size in sizes]
    if sum(sizes) > np.iinfo(np.intp).max:
        raise ValueError(
            f"sizes add up to {sum(sizes)} rows, more than positions can count"
        )
    return sizes


def check_n_neighbors(n_neighbors: Any, n_gallery: int) -> int:
    """Check a number of neighbours against the rows of all galleries.

    Parameters
    ----------
    n_neighbors : int
    n_gallery : int

    Returns
    -------
    n_neighbors : int
    """
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral):
        raise TypeError(f"n_neighbors must be an integer; got {n_neighbors!r}")
    if not n_gallery:
        raise ValueError(
            f"n_neighbors={n_neighbors} needs neighbours, but the galleries hold 0 rows"
        )
    if not 1 <= int(n_neighbors) <= n_gallery:
        raise ValueError(
            f"n_neighbors must be 1 or more and at most the {n_gallery} rows of all "
            f"galleries; got {n_neighbors}"
        )
    return int(n_neighbors)


def check_fit(
    distances: NDArray[Any],
    positions: NDArray[np.intp],
    n_queries: int,
    size: int,
    k: int,
) -> None:
    """Refuse what no search of `n_queries` for k of all neighbours can have given.

    Parameters
    ----------
    distances, positions : ndarray of shape (n_queries, k_i)
    n_queries, size, k : int
    """
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


def check_radius(radius: float) -> None:
    """Check that a radius is a finite number >= 0.

    Parameters
    ----------
    radius : int or float
    """
    if isinstance(radius, bool) or not isinstance(radius, Real):
        raise TypeError(f"radius must be a number; got {radius!r}")
    if not 0 <= radius < np.inf:
        raise ValueError(f"radius must be a finite number >= 0; got {radius}")


def _check_distances(distances: NDArray[Any]) -> None:
    if distances.dtype.kind not in "iuf":
        raise TypeError(
            "distances must be integers or floats, as a search gives them; got "
            f"{distances.dtype}"
        )
    if np.isnan(distances).any():
        raise ValueError(
            "distances hold NaN, which has no place in a ranking: replace it, by inf "
            "for what is to come last"
        )
