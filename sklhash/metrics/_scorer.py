"""Retrieval measures as scikit-learn scorers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import MetadataRequest

from sklhash._sklearn import Integer, StrOptions
from sklhash.codes import PackedCodes
from sklhash.encoding import encode_with, last_step
from sklhash.hamming import paired_distances
from sklhash.projections import project_with

from ._measures import parse_metrics
from ._scores import DISTANCES, RULES, retrieval_scores
from .labels import check_labels


class RetrievalScorer(BaseEstimator):
    """Score a hasher or a retriever by how it ranks: ``scorer(estimator, X, y)``.

    It goes wherever scikit-learn takes ``scoring=``: `GridSearchCV`, `cross_validate`,
    `learning_curve`. It can be pickled, cloned and shown.

    Parameters
    ----------
    metric : str or sequence of str, default='map'
        A metric of :func:`retrieval_scores`, such as ``'ndcg@100'``. With several,
        the scorer returns a dict, computed in one pass (multimetric scoring).
    k : int, default=None
        Cut-off of every metric that does not name one itself.
    gallery : {'auto', 'fitted', 'self'} or tuple (X_gallery, y_gallery), \
            default='auto'
        What the rows X search in:

        - ``'fitted'``: the rows that the :class:`~sklhash.HammingRetriever`, which the
          estimator is or ends in, was fitted with. In cross-validation this is the
          training fold.
        - ``'self'``: X itself, each row leaving itself out.
        - a tuple: these rows and labels, hashed by the estimator; the fixed database
          of the papers.
        - ``'auto'``: ``'fitted'`` where there is a retriever, else ``'self'``.

    exclude_self : {'auto'} or bool, default='auto'
        Whether the queries are the gallery itself, row by row, so that each must leave
        itself out, as training scores in `cross_validate` need. ``'auto'`` takes them
        to be if their labels agree with the gallery's in every row and their codes in
        99 of 100. It knows nothing of queries that are part of the gallery, or its
        rows in another order; and it misses training rows whose codes change between
        `fit_transform` and `transform`, as behind a `TargetEncoder`: say True there,
        if only training scores are wanted.
    code_distance : {'auto', 'hamming', 'spherical', 'asymmetric'}, default='auto'
        How codes are compared, as in :func:`retrieval_scores`; the projections of the
        queries, for ``'asymmetric'``, are the estimator's. ``'auto'`` takes the
        `metric` of the :class:`~sklhash.HammingRetriever` that the estimator is or ends
        in, whatever the gallery; without one, Hamming. Its `rerank` plays no part.
    ties : {'expected', 'optimistic', 'pessimistic', 'index'}, default='expected'
        As in :func:`retrieval_scores`.
    normalize : {'min', 'relevant', 'retrieved'}, default='min'
        As in :func:`retrieval_scores`.
    no_relevant : {'omit', 'zero'}, default='omit'
        As in :func:`retrieval_scores`.

    Raises
    ------
    ValueError
        When called: if y is missing, the estimator keeps no gallery or no labels for
        ``gallery='fitted'``, or no query has a relevant item.

    See Also
    --------
    map_scorer : ``RetrievalScorer("map")``.
    ndcg_scorer : ``RetrievalScorer("ndcg")``.

    Notes
    -----
    With metadata routing enabled, ``set_score_request(sample_weight=True)`` weights
    the queries.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklhash import ITQ
    >>> from sklhash.metrics import RetrievalScorer
    >>> X, y = load_digits(return_X_y=True)
    >>> scorer = RetrievalScorer("map", k=100)
    >>> cross_val_score(ITQ(n_bits=16, random_state=0), X, y, scoring=scorer, cv=3)
    array([0.56..., 0.59..., 0.57...])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "metric": [str, "array-like"],
        "k": [Integer(1, None), None],
        "gallery": [StrOptions({"auto", "fitted", "self"}), tuple],
        "exclude_self": [StrOptions({"auto"}), "boolean"],
        "code_distance": [StrOptions({"auto", *DISTANCES})],
        **RULES,
    }

    def __init__(
        self,
        metric: str | Sequence[str] = "map",
        *,
        k: int | None = None,
        gallery: Any = "auto",
        exclude_self: str | bool = "auto",
        code_distance: str = "auto",
        ties: str = "expected",
        normalize: str = "min",
        no_relevant: str = "omit",
    ) -> None:
        self.metric = metric
        self.k = k
        self.gallery = gallery
        self.exclude_self = exclude_self
        self.code_distance = code_distance
        self.ties = ties
        self.normalize = normalize
        self.no_relevant = no_relevant

    def __call__(
        self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None
    ) -> float | dict[str, float]:
        """Score a fitted estimator's ranking for the queries X.

        Parameters
        ----------
        estimator : estimator
            A fitted hasher, retriever, or pipeline ending in one.
        X : array-like of shape (n_queries, n_features)
        y : array-like of shape (n_queries,) or (n_queries, n_labels)
            Labels of the queries.
        sample_weight : array-like of shape (n_queries,), default=None

        Returns
        -------
        score : float, or dict of str to float
            Larger is better.
        """
        self._validate_params()
        names = self._full_names()
        scores = retrieval_scores(
            **self._pairs(estimator, X, y),
            metrics=list(names.values()),
            ties=self.ties,
            normalize=self.normalize,
            no_relevant=self.no_relevant,
            sample_weight=sample_weight,
        )
        if isinstance(self.metric, str):
            return scores[names[self.metric]]
        return {name: scores[full] for name, full in names.items()}

    def _get_metadata_request(self) -> MetadataRequest:
        """Refuse weights that nobody asked for, as scikit-learn's scorers do."""
        if hasattr(self, "_metadata_request"):
            return super()._get_metadata_request()
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=None)
        return request

    def set_score_request(self, *, sample_weight: bool | str | None) -> RetrievalScorer:
        """Ask for the weights of the queries, under metadata routing.

        Parameters
        ----------
        sample_weight : bool, str or None
            True to be given `sample_weight`, False not to be, None to have passing it
            refused, or the name under which it is passed.

        Returns
        -------
        self : RetrievalScorer

        Raises
        ------
        RuntimeError
            If metadata routing is not enabled.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request needs metadata routing: call "
                "sklearn.set_config(enable_metadata_routing=True) first"
            )
        self._metadata_request = MetadataRequest(owner=self)
        self._metadata_request.score.add_request(
            param="sample_weight", alias=sample_weight
        )
        return self

    def _full_names(self) -> dict[str, str]:
        """Give each metric its cut-off, and refuse unknown ones."""
        names = [self.metric] if isinstance(self.metric, str) else list(self.metric)
        parse_metrics(names)
        if self.k is None:
            return {name: name for name in names}
        if all("@" in name for name in names):
            raise ValueError(
                f"the cut-off is given twice: metric={self.metric!r} and k={self.k}"
            )
        return {name: name if "@" in name else f"{name}@{self.k}" for name in names}

    def _pairs(self, estimator: Any, X: Any, y: Any) -> dict[str, Any]:
        """Hash the queries, find the gallery: keywords of :func:`retrieval_scores`."""
        if y is None:
            raise ValueError("y is missing: relevance needs the labels of the queries")
        gallery = self._find_gallery(estimator)
        code_distance = self._find_code_distance(estimator)
        queries: Any
        if code_distance == "asymmetric":
            queries = project_with(estimator, X)
            query_codes = PackedCodes.from_codes(queries)
        else:
            queries = query_codes = encode_with(estimator, X)
        codes, labels = (query_codes, y) if gallery is None else gallery
        exclude_self = self.exclude_self
        if exclude_self == "auto":
            exclude_self = _is_gallery_itself(query_codes, y, codes, labels)
        return {
            "query_codes": queries,
            "gallery_codes": codes,
            "y_query": y,
            "y_gallery": labels,
            "exclude_self": exclude_self,
            "code_distance": code_distance,
        }

    def _find_gallery(self, estimator: Any) -> tuple[PackedCodes, Any] | None:
        """Give codes and labels to search in, or None for those of the queries."""
        if isinstance(self.gallery, tuple):
            X_gallery, y_gallery = _check_pair(self.gallery)
            return encode_with(estimator, X_gallery), y_gallery
        retriever = last_step(estimator)
        has_gallery = hasattr(retriever, "gallery_codes_")
        if self.gallery == "self" or (self.gallery == "auto" and not has_gallery):
            return None
        return _fitted_gallery(retriever)

    def _find_code_distance(self, estimator: Any) -> str:
        if self.code_distance != "auto":
            return self.code_distance
        retriever = last_step(estimator)
        is_retriever = hasattr(retriever, "gallery_codes_")
        return retriever.metric if is_retriever else "hamming"


def _check_pair(gallery: tuple[Any, ...]) -> tuple[Any, Any]:
    if len(gallery) != 2:
        raise ValueError(
            "gallery must be 'auto', 'fitted', 'self' or a tuple (X_gallery, "
            f"y_gallery); got a tuple of {len(gallery)}"
        )
    X_gallery, y_gallery = gallery
    return X_gallery, y_gallery


def _fitted_gallery(retriever: Any) -> tuple[PackedCodes, Any]:
    """Codes and labels that a retriever was fitted with."""
    codes = getattr(retriever, "gallery_codes_", None)
    if codes is None:
        raise ValueError(
            f"{type(retriever).__name__} keeps no gallery: score a HammingRetriever, "
            "or use gallery='self' or gallery=(X_gallery, y_gallery)"
        )
    if retriever.gallery_labels_ is None:
        raise ValueError(
            f"this {type(retriever).__name__} was fitted without y: labels of the "
            "gallery are needed"
        )
    return codes, retriever.gallery_labels_


def _is_gallery_itself(
    queries: PackedCodes, y_query: Any, gallery: PackedCodes, y_gallery: Any
) -> bool:
    """Tell whether the queries are the gallery's rows, in its order.

    A transformer that rounds differently in `fit_transform` and `transform` may flip a
    bit here and there; hence not all codes need agree.
    """
    if queries.shape != gallery.shape:
        return False
    y_query = check_labels(y_query, "y")
    y_gallery = check_labels(y_gallery, "y_gallery")
    if y_query.shape != y_gallery.shape or issparse(y_query) != issparse(y_gallery):
        return False
    if issparse(y_query):
        same_labels = (y_query != y_gallery).nnz == 0
    else:
        same_labels = np.array_equal(y_query, y_gallery)
    same_codes = paired_distances(queries.packed, gallery.packed) == 0
    return bool(same_labels and same_codes.mean() >= 0.99)


map_scorer = RetrievalScorer("map")
ndcg_scorer = RetrievalScorer("ndcg")
