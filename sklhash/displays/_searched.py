"""What an estimator's queries search in, by the rules of `RetrievalScorer`."""

from __future__ import annotations

from typing import Any

from sklhash.metrics import RetrievalScorer


def search_pairs(
    estimator: Any,
    X: Any,
    y: Any,
    gallery: Any,
    exclude_self: str | bool,
    code_distance: str = "auto",
) -> dict[str, Any]:
    """Hash the queries, and find codes and labels of the gallery.

    Parameters
    ----------
    estimator : estimator
    X : array-like of shape (n_queries, n_features)
    y : array-like of shape (n_queries,) or (n_queries, n_labels)
    gallery, exclude_self, code_distance
        As in :class:`sklhash.metrics.RetrievalScorer`.

    Returns
    -------
    pairs : dict
        Keywords of :func:`sklhash.metrics.retrieval_scores`.

    Raises
    ------
    ValueError
        If y is missing, `gallery` is none, or there is none with labels.
    """
    if not isinstance(gallery, (str, tuple)):  # name the type, print no arrays
        raise ValueError(
            "gallery must be 'auto', 'fitted', 'self' or a tuple (X_gallery, "
            f"y_gallery); got {type(gallery).__name__}"
        )
    scorer = RetrievalScorer(
        gallery=gallery, exclude_self=exclude_self, code_distance=code_distance
    )
    scorer._validate_params()
    return scorer._pairs(estimator, X, y)
