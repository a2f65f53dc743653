"""What queries find in a retriever's gallery, for a sheet of images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sklhash.encoding import unwrap
from sklhash.metrics.labels import encode_labels

#: Queries on one sheet.
MAX_QUERIES = 100


def check_n_queries(n_queries: int) -> None:
    """Refuse a sheet that nobody would read."""
    if n_queries > MAX_QUERIES:
        raise ValueError(
            f"{n_queries} queries are too many for one sheet: give {MAX_QUERIES} at "
            "most, such as X[:8]"
        )


def check_found(
    query_images: Any, gallery_images: Any, positions: Any, **others: Any
) -> tuple[NDArray[np.intp], Any, Any]:
    """Check positions against the images, and what else is known of them.

    Parameters
    ----------
    query_images, gallery_images : sequence
    positions : array-like of shape (n_queries, n_neighbors)
    **others : array-like of shape (n_queries, n_neighbors) or None
        By name, for the message.

    Returns
    -------
    positions, *others : ndarray of shape (n_queries, n_neighbors) or None
    """
    positions = np.asarray(positions)
    n_queries, n_gallery = len(query_images), len(gallery_images)
    if positions.ndim != 2 or 0 in positions.shape or len(positions) != n_queries:
        raise ValueError(
            "positions must have shape (n_queries, n_neighbors), a row for each of "
            f"the {n_queries} query_images; got {positions.shape}"
        )
    check_n_queries(n_queries)
    if positions.dtype.kind not in "iu":
        raise ValueError(f"positions must be integers; got {positions.dtype}")
    if positions.min() < 0 or positions.max() >= n_gallery:
        raise ValueError(
            f"positions must be from 0 to {n_gallery - 1}, places in gallery_images; "
            f"got {positions.min()} to {positions.max()}"
        )
    checked = [_of_shape(value, positions.shape, key) for key, value in others.items()]
    return positions, checked[0], checked[1]


def _of_shape(value: Any, shape: tuple[int, ...], name: str) -> Any:
    if value is None:
        return None
    value = np.asarray(value)
    if value.shape != shape:
        raise ValueError(
            f"{name} must have the shape of positions, {shape}; got {value.shape}"
        )
    return value


def check_retriever(retriever: Any, y: Any) -> None:
    """Refuse what has no gallery, or no labels where they are wanted."""
    if not hasattr(retriever, "gallery_codes_"):
        raise TypeError(
            f"{type(retriever).__name__} is no fitted HammingRetriever: fit "
            "HammingRetriever(FrozenEstimator(hasher)) with the gallery, or use "
            "from_predictions"
        )
    if y is not None and retriever.gallery_labels_ is None:
        raise ValueError(
            "y is given, but the retriever was fitted without labels: fit it with y, "
            "or leave y out"
        )


def check_images(X: Any, images: Any, gallery_images: Any, retriever: Any) -> Any:
    """Give the queries' images; check the numbers of all images."""
    if images is None and np.ndim(X) < 3:
        raise ValueError(
            "images is missing: X holds rows, not images. Give the queries as images, "
            "as images=X.reshape(-1, 8, 8)"
        )
    n_queries = X.shape[0] if hasattr(X, "shape") else len(X)
    check_n_queries(n_queries)
    images = X if images is None else images
    if len(images) != n_queries:
        raise ValueError(
            f"images must be as many as the queries, {n_queries}; got {len(images)}"
        )
    if len(gallery_images) != retriever.n_samples_fit_:
        raise ValueError(
            "gallery_images must be as many as the gallery's rows, "
            f"{retriever.n_samples_fit_}; got {len(gallery_images)}"
        )
    return images


def kneighbors_of(estimator: Any, X: Any, n_neighbors: int | None) -> Any:
    """Search with what a pipeline ends in."""
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        return kneighbors_of(estimator[-1], X, n_neighbors)
    return estimator.kneighbors(X, n_neighbors)


def relevance_of(
    y: Any, y_gallery: Any, positions: NDArray[np.intp]
) -> NDArray[np.bool]:
    """Tell whether query and item share a label, for what was found only."""
    query, found = encode_labels(y, y_gallery[positions.ravel()])
    if query.shape[0] != len(positions):
        raise ValueError(
            f"y must have a row for each of the {len(positions)} queries; got "
            f"{query.shape[0]}"
        )
    owner = np.repeat(np.arange(len(positions)), positions.shape[1])
    if query.ndim == 1:
        shared = query[owner] == found
    else:
        shared = np.asarray(query[owner].multiply(found).sum(axis=1)).ravel() > 0
    return shared.reshape(positions.shape)
