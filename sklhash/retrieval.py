"""Exact neighbours in Hamming space as a scikit-learn estimator."""

import itertools
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import gen_batches, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from ._sklearn import (
    HasMethods,
    Integer,
    Interval,
    InvalidParameterError,
    StrOptions,
    fit_context,
    raise_for_params,
)
from .codes import PackedCodes
from .encoding import encode_with
from .hamming import METRICS, top_k, within_radius
from .metrics import RetrievalScorer
from .metrics.labels import check_labels, join_labels

#: Votes, queries times classes, that `predict` counts at once.
BLOCK_VOTES = 2**20
#: Radii: of Hamming distances, and of others.
WHOLE, REAL = Integer(0, None), Interval(Real, 0, None, closed="left")


class HammingRetriever(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Search a gallery of binary codes, exactly.

    The fitted rows are the gallery. Without a hasher the rows are codes already, so a
    retriever can be the last step of a pipeline; with one they are raw rows, which the
    retriever hashes itself.

    Parameters
    ----------
    hasher : estimator or None, default=None
        Cloned and fitted in `fit`; any transformer whose output has a bit where it is
        ``> 0``. A :class:`~sklearn.frozen.FrozenEstimator` keeps a fitted one as it is.
    n_neighbors : int, default=10
        Neighbours that `kneighbors`, `predict` and `transform` look for.
    radius : int or float, default=2
        Largest distance that `radius_neighbors` accepts; inclusive. For Hamming a whole
        number of bits, for spherical distances any finite number >= 0 (about half of
        all pairs of random codes are within the default).
    mode : {'distance', 'connectivity'}, default='distance'
        What `transform` puts into the graph: distances, for which it looks for one
        neighbour more because a training row finds itself, or ones.
    metric : {'hamming', 'spherical'}, default='hamming'
        ``'hamming'`` is the number of differing bits. ``'spherical'`` is the spherical
        Hamming distance of Spherical Hashing [1]_: differing bits divided by common
        ones, bits that both codes set, plus 0.1 (the 0.1 is from the authors' code). It
        is made for codes whose bit 1 means "inside a ball", as those of
        :class:`~sklhash.SphericalHashing`: inverting all bits changes it. The triangle
        inequality does not hold.
    algorithm : {'auto', 'brute'}, default='auto'
        How to search; all algorithms give the same answers in the same order.
        ``'brute'`` compares with the whole gallery, and so does ``'auto'`` for now.
    n_jobs : int, default=None
        Threads that search, as in joblib. Answers do not depend on it.

    Attributes
    ----------
    hasher_ : estimator or None
        The fitted hasher.
    gallery_codes_ : PackedCodes
        Codes of the gallery.
    gallery_labels_ : ndarray of shape (n_gallery,), csr_array of shape \
            (n_gallery, n_labels), or None
        Labels of the gallery, if given.
    n_samples_fit_ : int
        Number of rows in the gallery.
    n_features_in_ : int
        Number of features, or of bits without a hasher.

    See Also
    --------
    sklearn.neighbors.NearestNeighbors : The same methods for other distances.
    sklhash.metrics.RetrievalScorer : Other scores than `score`.

    Notes
    -----
    Neighbours are ordered by (distance, position in the gallery), so answers are the
    same on every machine. Without a hasher X holds 0/1, boolean, -1/+1 or real values,
    of which a bit is ``> 0``, or is a :class:`PackedCodes`. At the end of a pipeline
    the neighbours of X are ``pipe[-1].kneighbors(pipe[:-1].transform(X))``.

    Distances are int32 numbers of bits, or float64 with ``metric='spherical'``. Those
    are ranked as fractions of whole numbers, so that rounding neither makes nor breaks
    a tie.

    References
    ----------
    .. [1] J.-P. Heo, Y. Lee, J. He, S.-F. Chang, S.-E. Yoon, "Spherical hashing", CVPR
       2012; "Spherical hashing: binary code embedding with hyperspheres", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 37 (11), 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ, HammingRetriever
    >>> X, y = load_digits(return_X_y=True)
    >>> retriever = HammingRetriever(ITQ(n_bits=32, random_state=0), n_neighbors=3)
    >>> retriever.fit(X[100:], y[100:])
    HammingRetriever(hasher=ITQ(random_state=0), n_neighbors=3)
    >>> distances, positions = retriever.kneighbors(X[:2])
    >>> y[100:][positions]
    array([[0, 0, 0],
           [1, 1, 1]])
    >>> retriever.score(X[:100], y[:100])
    0.65...
    """

    _parameter_constraints: dict = {
        "hasher": [HasMethods(["fit", "transform"]), None],
        "n_neighbors": [Integer(1, None)],
        "radius": [REAL],
        "mode": [StrOptions({"distance", "connectivity"})],
        "metric": [StrOptions(set(METRICS))],
        "algorithm": [StrOptions({"auto", "brute"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        hasher=None,
        *,
        n_neighbors=10,
        radius=2,
        mode="distance",
        metric="hamming",
        algorithm="auto",
        n_jobs=None,
    ):
        self.hasher = hasher
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.mode = mode
        self.metric = metric
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **fit_params):
        """Fit the hasher, if there is one, and take the rows as the gallery.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or PackedCodes without a hasher
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels), default=None
            Classes or an indicator matrix; `predict` and `score` need them.
        **fit_params : dict
            Routed to the hasher's `fit`, with metadata routing enabled.

        Returns
        -------
        self : object
        """
        raise_for_params(fit_params, self, "fit")
        routed = process_routing(self, "fit", **fit_params)
        labels = _labels_of(X, y)
        task = self._init_callback_context(max_subtasks=int(self.hasher is not None))
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if self.hasher is None:
            codes, hasher = self._check_codes(X, reset=True), None
        elif isinstance(X, PackedCodes):
            raise ValueError(
                "X holds codes already, but hasher is set: use hasher=None for "
                "PackedCodes, or give raw rows"
            )
        else:
            hasher = self._fit_hasher(X, y, routed.hasher.fit, task)
            codes = encode_with(hasher, X)
            _copy_columns(hasher, self)
        self.hasher_ = hasher
        self._set_gallery(codes, labels)
        task.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _fit_hasher(self, X, y, fit_params, task):
        """Fit a clone of the hasher, and let callbacks of ours see it."""
        hasher, part = clone(self.hasher), task.subcontext(task_name="fit-hasher")
        with part.propagate_callback_context(hasher):
            part.call_on_fit_task_begin(estimator=self, X=X, y=y)
            hasher.fit(X, y, **fit_params)
            part.call_on_fit_task_end(estimator=self, X=X, y=y)
        return hasher

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y=None):
        """Add rows to the gallery and leave the hasher as it is.

        The first call on an unfitted retriever is a `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or PackedCodes
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels), default=None
            Labels, if the gallery has any.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If only one of gallery and new rows has labels, or their forms differ.
        """
        if not hasattr(self, "gallery_codes_"):
            return self.fit(X, y)
        labels = join_labels(self.gallery_labels_, _labels_of(X, y))
        codes = self.encode(X)
        codes = PackedCodes.concatenate([self.gallery_codes_, codes])
        return self._set_gallery(codes, labels)

    def encode(self, X):
        """Give the codes that the search compares.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or PackedCodes

        Returns
        -------
        PackedCodes
        """
        check_is_fitted(self)
        if self.hasher_ is None or isinstance(X, PackedCodes):
            return self._check_length(self._check_codes(X, reset=False))
        return self._check_length(encode_with(self.hasher_, X))

    def kneighbors(self, X=None, n_neighbors=None, return_distance=True):
        """Find the nearest gallery rows of each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.
        n_neighbors : int, default=None
            None for the constructor's.
        return_distance : bool, default=True

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), dtype int32 or float64
            In bits (int32), or spherical (float64); ascending. Only with
            `return_distance`.
        positions : ndarray of shape (n_queries, n_neighbors), dtype intp
            Places in the gallery; equal distances are ordered by place.

        Raises
        ------
        ValueError
            If `n_neighbors` is not positive or exceeds the gallery.
        """
        check_is_fitted(self)
        k = self._check_n_neighbors(n_neighbors)
        queries = self.gallery_codes_ if X is None else self.encode(X)
        itself = X is None
        if k + itself > self.n_samples_fit_:
            raise ValueError(
                f"Expected n_neighbors {'<' if itself else '<='} n_samples_fit, but "
                f"n_neighbors = {k}, n_samples_fit = {self.n_samples_fit_}, "
                f"n_samples = {len(queries)}"
            )
        distances, positions = top_k(
            queries.packed,
            self.gallery_codes_.packed,
            k + itself,
            metric=self.metric,
            n_jobs=self.n_jobs,
        )
        if itself:
            others = _without_self(positions)
            distances = distances[others].reshape(-1, k)
            positions = positions[others].reshape(-1, k)
        return (distances, positions) if return_distance else positions

    def radius_neighbors(
        self, X=None, radius=None, return_distance=True, sort_results=True
    ):
        """Find all gallery rows within a distance of each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.
        radius : int or float, default=None
            In bits, or a spherical distance; inclusive. None for the constructor's.
        return_distance : bool, default=True
        sort_results : bool, default=True
            For scikit-learn's signature: results are always sorted.

        Returns
        -------
        distances : ndarray of shape (n_queries,), of ndarrays of dtype int32 or float64
            In bits (int32), or spherical (float64); ascending. Only with
            `return_distance`.
        positions : ndarray of shape (n_queries,), of ndarrays of dtype intp
            Places in the gallery; equal distances are ordered by place.

        Raises
        ------
        ValueError
            If `radius` is no finite number >= 0, or for Hamming no integer.
        """
        indptr, distances, positions = self._search_radius(X, radius)
        positions = _split(positions, indptr)
        return (_split(distances, indptr), positions) if return_distance else positions

    def kneighbors_graph(self, X=None, n_neighbors=None, mode="connectivity"):
        """Give the nearest gallery rows of each query as a sparse matrix.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.
        n_neighbors : int, default=None
            None for the constructor's.
        mode : {'connectivity', 'distance'}, default='connectivity'
            Ones, or distances (a distance of 0 is an explicit zero).

        Returns
        -------
        graph : csr_matrix of shape (n_queries, n_gallery), dtype float64
        """
        _check_graph_mode(mode)
        distances, positions = self.kneighbors(X, n_neighbors)
        indptr = np.arange(len(positions) + 1) * positions.shape[1]
        return self._graph(indptr, distances.ravel(), positions.ravel(), mode)

    def radius_neighbors_graph(
        self, X=None, radius=None, mode="connectivity", sort_results=True
    ):
        """Give all gallery rows within a distance as a sparse matrix.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.
        radius : int or float, default=None
            In bits, or a spherical distance; inclusive. None for the constructor's.
        mode : {'connectivity', 'distance'}, default='connectivity'
            Ones, or distances (a distance of 0 is an explicit zero).
        sort_results : bool, default=True
            For scikit-learn's signature: results are always sorted.

        Returns
        -------
        graph : csr_matrix of shape (n_queries, n_gallery), dtype float64
        """
        _check_graph_mode(mode)
        return self._graph(*self._search_radius(X, radius), mode)

    def transform(self, X):
        """Give the sparse graph of neighbours, as `KNeighborsTransformer` does.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or PackedCodes

        Returns
        -------
        graph : csr_matrix of shape (n_queries, n_gallery), dtype float64
            With ``mode='distance'`` of `n_neighbors` + 1 rows each, the query itself
            among them if it is in the gallery.
        """
        check_is_fitted(self)
        k = self._check_n_neighbors(None) + (self.mode == "distance")
        return self.kneighbors_graph(X, k, mode=self.mode)

    def predict(self, X=None):
        """Let the neighbours vote on the labels.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.

        Returns
        -------
        y : ndarray of shape (n_queries,) or (n_queries, n_labels)
            The most frequent class, the smallest of several; or, for an indicator
            matrix, the labels that more than half of the neighbours have (int64).

        Raises
        ------
        ValueError
            If the gallery has no labels.
        """
        check_is_fitted(self)
        if self.gallery_labels_ is None:
            raise ValueError(
                "predict needs labels: this retriever was fitted without y"
            )
        graph = self.kneighbors_graph(X)
        if issparse(self.gallery_labels_):
            votes = (graph @ self.gallery_labels_).toarray()
            return (2 * votes > self.n_neighbors).astype(np.int64)
        classes, labels = np.unique(self.gallery_labels_, return_inverse=True)
        one_hot = csr_matrix((np.ones(len(labels)), (np.arange(len(labels)), labels)))
        winners = [
            (graph[rows] @ one_hot).toarray().argmax(axis=1)
            for rows in gen_batches(graph.shape[0], max(1, BLOCK_VOTES // len(classes)))
        ]
        return classes[np.concatenate(winners)]

    def score(self, X, y=None, sample_weight=None):
        """Tie-aware mean average precision of the queries X against the gallery.

        Scores the whole ranking by `metric`, whatever `n_neighbors`. Queries that are
        the gallery itself, row by row, leave themselves out, as training scores must;
        for the rule and its limits see `exclude_self` of
        :class:`~sklhash.metrics.RetrievalScorer`.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or PackedCodes
        y : array-like of shape (n_queries,) or {array-like, sparse matrix} of shape \
                (n_queries, n_labels)
        sample_weight : array-like of shape (n_queries,), default=None
            Weights of the queries in the mean.

        Returns
        -------
        map : float
            See :func:`sklhash.metrics.mean_average_precision`.

        Raises
        ------
        ValueError
            If gallery or queries have no labels, or no query has a relevant item.
        """
        return RetrievalScorer("map")(self, X, y, sample_weight=sample_weight)

    def _check_codes(self, X, reset):
        """Read rows as codes."""
        if not isinstance(X, PackedCodes):
            return PackedCodes.from_codes(validate_data(self, X, reset=reset))
        if len(X) == 0:
            raise ValueError("X holds 0 codes while a minimum of 1 is required")
        if reset:
            _forget_columns(self)
            self.n_features_in_ = X.n_bits
        return X

    def _check_length(self, codes):
        if codes.n_bits != self.gallery_codes_.n_bits:
            raise ValueError(
                f"X has codes of {codes.n_bits} bits, but those of the gallery have "
                f"{self.gallery_codes_.n_bits}"
            )
        return codes

    def _check_n_neighbors(self, n_neighbors):
        if n_neighbors is None:
            n_neighbors = self.n_neighbors
        if not isinstance(n_neighbors, Integral):
            raise TypeError(
                f"n_neighbors does not take {type(n_neighbors)} value, enter integer "
                "value"
            )
        if n_neighbors <= 0:
            raise ValueError(f"Expected n_neighbors > 0. Got {n_neighbors}")
        return int(n_neighbors)

    def _validate_params(self):
        super()._validate_params()
        self._check_radius(None)

    def _check_radius(self, radius):
        if radius is None:
            radius = self.radius
        number = WHOLE if self.metric == "hamming" else REAL
        if isinstance(radius, bool) or not number.is_satisfied_by(radius):
            raise InvalidParameterError(
                f"radius must be {number} with metric={self.metric!r}; got {radius!r}"
            )
        return int(radius) if number is WHOLE else float(radius)

    def _set_gallery(self, codes, labels):
        self.gallery_codes_, self.gallery_labels_ = codes, labels
        self.n_samples_fit_ = len(codes)
        return self

    def _search_radius(self, X, radius):
        """Answers of all queries in a row, as in :func:`within_radius`."""
        check_is_fitted(self)
        radius = self._check_radius(radius)
        queries = self.gallery_codes_ if X is None else self.encode(X)
        indptr, distances, positions = within_radius(
            queries.packed,
            self.gallery_codes_.packed,
            radius,
            metric=self.metric,
            n_jobs=self.n_jobs,
        )
        if X is not None:
            return indptr, distances, positions
        others = positions != np.repeat(np.arange(len(queries)), np.diff(indptr))
        indptr = indptr - np.arange(len(indptr))  # each row has found itself once
        return indptr, distances[others], positions[others]

    def _graph(self, indptr, distances, positions, mode):
        data = distances if mode == "distance" else np.ones(len(distances))
        shape = (len(indptr) - 1, self.n_samples_fit_)
        return csr_matrix((data.astype(np.float64), positions, indptr), shape)

    @property
    def _n_features_out(self):
        return self.n_samples_fit_

    def get_metadata_routing(self):
        """Route the metadata of `fit` to the hasher.

        Returns
        -------
        routing : MetadataRouter
        """
        fit_to_fit = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(hasher=self.hasher, method_mapping=fit_to_fit)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # graphs are float64
        if self.hasher is not None:
            hasher_tags = get_tags(self.hasher)
            tags.input_tags = hasher_tags.input_tags
            tags.target_tags.required = hasher_tags.target_tags.required
        return tags


COLUMNS = ("n_features_in_", "feature_names_in_")


def _forget_columns(retriever):
    for name in COLUMNS:
        retriever.__dict__.pop(name, None)


def _copy_columns(hasher, retriever):
    """Take over what a hasher knows of its input columns."""
    _forget_columns(retriever)
    for name in COLUMNS:
        if hasattr(hasher, name):
            setattr(retriever, name, getattr(hasher, name))


def _check_graph_mode(mode):
    if mode not in ("connectivity", "distance"):
        raise ValueError(f"mode must be 'connectivity' or 'distance'; got {mode!r}")


def _labels_of(X, y):
    """Validate the labels of rows, and copy them, so that the gallery is its own."""
    if y is None:
        return None
    labels = check_labels(y)
    check_consistent_length(X, labels)
    return labels.copy()


def _without_self(positions):
    """Mask each row's own position; where duplicates displaced it, the last one."""
    others = positions != np.arange(len(positions))[:, None]
    others[others.all(axis=1), -1] = False
    return others


def _split(values, indptr):
    parts = np.empty(len(indptr) - 1, object)
    for i, (start, stop) in enumerate(itertools.pairwise(indptr)):
        parts[i] = values[start:stop]
    return parts
