"""Search by any metric, and what answers are made into."""

from __future__ import annotations

import itertools
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .codes import PackedCodes
from .hamming import (
    GalleryIndex,
    asymmetric_top_k,
    asymmetric_within_radius,
    top_k,
    within_radius,
)

Answers = tuple[NDArray[Any], NDArray[np.intp]]


def check_has_gallery(retriever: Any) -> None:
    """Refuse a retriever that is not fitted.

    scikit-learn's own check builds the estimator's tags first, which takes as long as a
    small search.
    """
    if not hasattr(retriever, "gallery_codes_"):
        check_is_fitted(retriever)


class DeviceIndex:
    """Exact search of one gallery on a device of PyTorch's.

    Parameters
    ----------
    packed : ndarray of shape (n_gallery, n_bytes), dtype uint8
        Copied to the device by the first search.
    device : str
        Looked for by the first search.
    """

    def __init__(self, packed: NDArray[np.uint8], device: str) -> None:
        self.packed, self.device = packed, device
        self._lock = Lock()
        self._gallery: Any = None

    @property
    def nbytes(self) -> int:
        """Memory of the codes on the device."""
        return 0 if self._gallery is None else self.packed.nbytes

    def extend(self, packed: NDArray[np.uint8]) -> None:
        """Take a gallery that has grown: all rows of the old one, then new ones."""
        with self._lock:
            if self._gallery is not None:
                self._gallery.extend(packed[len(self.packed) :])
            self.packed = packed

    def top_k(
        self, queries: NDArray[np.uint8], k: int, *, n_jobs: int | None = None
    ) -> Answers:
        """Find the k nearest codes, as :func:`sklhash.hamming.top_k` does."""
        return self._on_device().top_k(queries, k)

    def within_radius(
        self, queries: NDArray[np.uint8], radius: float, *, n_jobs: int | None = None
    ) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
        """Find near codes, as :func:`sklhash.hamming.within_radius` does."""
        return self._on_device().within_radius(queries, radius)

    def _on_device(self) -> Any:
        from .hamming._torch import DeviceGallery

        with self._lock:
            if self._gallery is None:
                self._gallery = DeviceGallery(self.packed, self.device)
            return self._gallery


def check_device(device: str, metric: str) -> None:
    """Refuse a device that there is not, or that cannot search by a metric.

    Parameters
    ----------
    device : str
    metric : str

    Raises
    ------
    ValueError
    """
    from .hamming import _torch

    if metric != "hamming":
        raise ValueError(
            f"device={device!r} searches by metric='hamming' only; got "
            f"metric={metric!r}. Use device='cpu'"
        )
    _torch.check_device(device)


def index_of(codes: PackedCodes, algorithm: str, device: str) -> Any:
    """Prepare a gallery for repeated search by Hamming distance.

    Parameters
    ----------
    codes : PackedCodes
    algorithm : {'auto', 'brute', 'multi_index'}
    device : str

    Returns
    -------
    index : GalleryIndex or DeviceIndex
    """
    if device != "cpu":
        return DeviceIndex(codes.packed, device)
    return GalleryIndex(codes.packed, n_bits=codes.n_bits, algorithm=algorithm)


def nearest(
    queries: NDArray[Any],
    index: Any,
    k: int,
    *,
    metric: str,
    n_jobs: int | None = None,
) -> Answers:
    """Find the k nearest gallery codes of every query.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8, or, for asymmetric \
            distances, of shape (n_queries, n_bits), dtype float64
    index : GalleryIndex or DeviceIndex
    k : int
        1 to n_gallery.
    metric : {'hamming', 'spherical', 'asymmetric'}
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    distances, positions
        As from :func:`sklhash.hamming.top_k`.
    """
    if metric == "hamming":
        return index.top_k(queries, k, n_jobs=n_jobs)
    if metric == "asymmetric":
        return asymmetric_top_k(queries, index.packed, k, n_jobs=n_jobs)
    return top_k(queries, index.packed, k, metric=metric, n_jobs=n_jobs)


def within(
    queries: NDArray[Any],
    index: Any,
    radius: float,
    *,
    metric: str,
    n_jobs: int | None = None,
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp]]:
    """Find all gallery codes at most `radius` away.

    Parameters
    ----------
    queries, index, metric, n_jobs
        As in :func:`nearest`.
    radius : int or float
        Inclusive.

    Returns
    -------
    indptr, distances, positions
        As from :func:`sklhash.hamming.within_radius`.
    """
    if metric == "hamming":
        return index.within_radius(queries, radius, n_jobs=n_jobs)
    gallery = index.packed
    if metric == "asymmetric":
        return asymmetric_within_radius(queries, gallery, radius, n_jobs=n_jobs)
    return within_radius(queries, gallery, radius, metric=metric, n_jobs=n_jobs)


def without_self(positions: NDArray[np.intp], first: int) -> NDArray[np.bool_]:
    """Mask each row's own position; where duplicates displaced it, the last one.

    Parameters
    ----------
    positions : ndarray of shape (n_queries, n_found), dtype intp
    first : int
        Position of the first query.

    Returns
    -------
    others : ndarray of shape (n_queries, n_found), dtype bool
        False once in each row.
    """
    others = positions != first + np.arange(len(positions))[:, None]
    others[others.all(axis=1), -1] = False
    return others


def split(values: NDArray[Any], indptr: NDArray[np.intp]) -> NDArray[Any]:
    """Cut what all queries found into an array for each.

    Parameters
    ----------
    values : ndarray of shape (n_found,)
    indptr : ndarray of shape (n_queries + 1,), dtype intp

    Returns
    -------
    parts : ndarray of shape (n_queries,), of ndarrays
    """
    parts = np.empty(len(indptr) - 1, object)
    for i, (start, stop) in enumerate(itertools.pairwise(indptr)):
        parts[i] = values[start:stop]
    return parts
