"""What queries find in a retriever's gallery, for a sheet of images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklhash.encoding import unwrap
from sklhash.metrics.labels import encode_labels
from sklhash.retrieval import HammingRetriever

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
    query_images: Any,
    gallery_images: Any,
    positions: Any,
    *,
    distances: Any = None,
    relevant: Any = None,
) -> tuple[NDArray[np.intp], Any, Any]:
    """Check positions against the images, and what else is known of them.

    Parameters
    ----------
    query_images, gallery_images : sequence
    positions : array-like of shape (n_queries, n_neighbors)
    distances, relevant : array-like of shape (n_queries, n_neighbors) or None

    Returns
    -------
    positions, distances, relevant : ndarray of shape (n_queries, n_neighbors) or None
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
    distances = _of_shape(distances, positions.shape, "distances")
    if distances is not None and distances.dtype.kind not in "iuf":
        raise ValueError(f"distances must be real numbers; got {distances.dtype}")
    return positions, distances, _as_flags(relevant, positions.shape)


def _as_flags(relevant: Any, shape: tuple[int, ...]) -> Any:
    relevant = _of_shape(relevant, shape, "relevant")
    if relevant is None or relevant.dtype.kind == "b":
        return relevant
    if relevant.dtype.kind not in "iuf" or not np.isin(relevant, (0, 1)).all():
        raise ValueError(
            f"relevant must be boolean, or hold 0 and 1; got {relevant.dtype} values"
        )
    return relevant.astype(bool)


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
    if isinstance(retriever, HammingRetriever):
        check_is_fitted(retriever)
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
