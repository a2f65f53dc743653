"""Exact neighbours in Hamming space as a scikit-learn estimator."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import (
    check_consistent_length,
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
from ._stamps import stamp, unstamp
from .codes import PackedCodes
from .encoding import encode_with
from .graphs import NeighborGraphs
from .hamming import ALGORITHMS, METRICS
from .metrics import RetrievalScorer
from .metrics.labels import check_labels, join_labels
from .neighbors import (
    check_device,
    check_has_gallery,
    index_of,
    nearest,
    split,
    within,
    without_self,
)
from .projections import as_projections, holds_codes, project_with
from .raw_rows import RawRows
from .rerank import RERANKS, rerank_blocks

#: Radii: of Hamming distances, and of others.
WHOLE, REAL = Integer(0, None), Interval(Real, 0, None, closed="left")


class HammingRetriever(CallbackSupportMixin, NeighborGraphs, BaseEstimator):
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
        number of bits, for other distances any finite number >= 0 (about half of all
        pairs of random codes are within the default, if distances are spherical).
    mode : {'distance', 'connectivity'}, default='distance'
        What `transform` puts into the graph: distances, for which it looks for one
        neighbour more because a training row finds itself, or ones.
    metric : {'hamming', 'spherical', 'asymmetric'}, default='hamming'
        ``'hamming'`` is the number of differing bits. ``'spherical'`` is the spherical
        Hamming distance of Spherical Hashing [1]_: differing bits divided by common
        ones, bits that both codes set, plus 0.1 (the 0.1 is from the authors' code). It
        is made for codes whose bit 1 means "inside a ball", as those of
        :class:`~sklhash.SphericalHashing`: inverting all bits changes it. The triangle
        inequality does not hold. ``'asymmetric'`` compares the real-valued projections
        of the queries with the bits of the gallery: the sum of ``abs(p)`` over the
        projections p whose sign is not that of the bit, see Notes.
    algorithm : {'auto', 'brute', 'multi_index'}, default='auto'
        How to search by Hamming distance; all algorithms give the same answers in the
        same order. ``'brute'`` compares with the whole gallery.
        ``'multi_index'`` looks queries up in tables of parts of the codes [2]_, which
        need memory of their own, see Notes, and leaves those to brute force that the
        tables would take longer for. ``'auto'`` measures what is faster, and builds
        tables for large galleries only (half a million words of 64 bits or more).
    device : str, default='cpu'
        Where to search by Hamming distance: ``'cpu'``, or a device of PyTorch's, such
        as ``'cuda'``, to which the first search copies the codes, and where `algorithm`
        and `n_jobs` do not count.
    rerank : {'cosine', 'euclidean'} or None, default=None
        Take the nearest codes as a shortlist and order it by this distance of the raw
        rows, in double precision: `kneighbors`, `kneighbors_graph`, `transform` and
        `predict` then answer with the best `n_neighbors` of the shortlist. The rows of
        the gallery are kept for that, see Notes. `radius_neighbors` and `score` stay
        with the codes.
    n_candidates : int, default=None
        Length of the shortlist, `n_neighbors` or more; a whole gallery that is shorter.
        None for ``max(10 * n_neighbors, 100)``. Without `rerank` it means nothing.
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
    index_nbytes_ : int
        Memory, in bytes, of what has been built for searching: tables, or codes on
        `device`. Pickles leave it out; it is built again when it is wanted.
    gallery_rows_ : RawRows or None
        The gallery's raw rows, with `rerank`; its `parts` are the matrices given.
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

    Several threads may search one retriever at once. None may while another one calls
    `fit` or `partial_fit`, which change several attributes, one after the other.

    Distances are int32 numbers of bits, or float64 otherwise. Spherical ones are ranked
    as fractions of whole numbers, so that rounding neither makes nor breaks a tie.

    **Asymmetric distances** keep what rounding a query to bits would lose. The gallery
    takes no more memory; a search takes several times as long as by Hamming distance,
    as every byte of the gallery is looked up in a table. Dong et al. [3]_ and Gordo et
    al. [4]_ propose distances of this kind; we could not read them in full, and the
    weight ``abs(p)`` is our choice. It is how far a query would have to move, one
    projection after the other, to have the code, and ranks as the inner product of p
    with the code as -1 and +1 does. Distances are in the unit of the projections. Those
    are a hasher's `decision_function`, or the output of a plain transformer. Without a
    hasher X holds them, while `fit` also takes codes. They are not kept for the
    gallery, so queries must be given, and cannot be codes.

    **Re-ranking** keeps the rows that `fit` and `partial_fit` are given, by reference:
    arrays, memory maps and CSR matrices are not copied, so a map stays on disk, and
    must not be changed afterwards. (Other forms are converted. Pickling the retriever
    writes the rows, too.) Cosine distances are one minus the cosine, 1 from a row of
    zeros.

    References
    ----------
    .. [1] J.-P. Heo, Y. Lee, J. He, S.-F. Chang, S.-E. Yoon, "Spherical hashing", CVPR
       2012; "Spherical hashing: binary code embedding with hyperspheres", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 37 (11), 2015.
    .. [2] M. Norouzi, A. Punjani, D. J. Fleet, "Fast search in Hamming space with
       multi-index hashing", CVPR 2012.
    .. [3] W. Dong, M. Charikar, K. Li, "Asymmetric distance estimation with sketches
       for similarity search in high-dimensional spaces", SIGIR 2008.
    .. [4] A. Gordo, F. Perronnin, Y. Gong, S. Lazebnik, "Asymmetric distances for
       binary embeddings", IEEE Transactions on Pattern Analysis and Machine
       Intelligence 36 (1), 2014.

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
    >>> retriever.set_params(metric="asymmetric").score(X[:100], y[:100])
    0.67...

    Codes as an index for Euclidean neighbours:

    >>> retriever.set_params(metric="hamming", rerank="euclidean").fit(X[100:])
    HammingRetriever(hasher=ITQ(random_state=0), n_neighbors=3, rerank='euclidean')
    >>> distances, positions = retriever.kneighbors(X[:2])
    >>> distances.round(1)
    array([[11. , 12.8, 13.1],
           [19.4, 19.5, 19.7]])
    """

    _parameter_constraints: dict = {
        "hasher": [HasMethods(["fit", "transform"]), None],
        "n_neighbors": [Integer(1, None)],
        "radius": [REAL],
        "mode": [StrOptions({"distance", "connectivity"})],
        "metric": [StrOptions({*METRICS, "asymmetric"})],
        "algorithm": [StrOptions(set(ALGORITHMS))],
        "device": [str],
        "rerank": [StrOptions(set(RERANKS)), None],
        "n_candidates": [Integer(1, None), None],
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
        device="cpu",
        rerank=None,
        n_candidates=None,
        n_jobs=None,
    ):
        self.hasher = hasher
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.mode = mode
        self.metric = metric
        self.algorithm = algorithm
        self.device = device
        self.rerank = rerank
        self.n_candidates = n_candidates
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **fit_params):
        """Fit the hasher, if there is one, and take the rows as the gallery.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or PackedCodes without a hasher
            With `rerank` it is kept, see Notes.
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
        rows = self._read_rows(X)
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
        self._set_gallery(codes, labels, rows)
        self._forget_index()
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
            With `rerank` it is kept beside what `fit` was given, which is not copied.
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
        gallery_rows = self._fitted_rows()
        codes, rows = self.encode(X), self._read_rows(X)
        if rows is not None:
            rows = gallery_rows.append(rows)
        codes = PackedCodes.concatenate([self.gallery_codes_, codes])
        self._current_index().extend(codes.packed)
        return self._set_gallery(codes, labels, rows)

    def encode(self, X):
        """Give the codes that the search compares.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or PackedCodes

        Returns
        -------
        PackedCodes
        """
        check_has_gallery(self)
        if self.hasher_ is None or isinstance(X, PackedCodes):
            return self._check_length(self._check_codes(X, reset=False))
        return self._check_length(encode_with(self.hasher_, X))

    def project(self, X):
        """Give the projections of queries that an asymmetric search compares.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Without a hasher the projections themselves.

        Returns
        -------
        projections : ndarray of shape (n_samples, n_bits), dtype float64

        Raises
        ------
        ValueError
            If X, or what the hasher makes of it, holds codes.
        """
        check_has_gallery(self)
        if self.hasher_ is not None:
            return self._check_length(project_with(self.hasher_, X))
        if not isinstance(X, PackedCodes):
            X = validate_data(self, X, reset=False)
        return self._check_length(as_projections(X))

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
            Ascending; in bits (int32), or by `rerank` or another `metric` (float64).
            Only with `return_distance`.
        positions : ndarray of shape (n_queries, n_neighbors), dtype intp
            Places in the gallery; equal distances are ordered by place.

        Raises
        ------
        ValueError
            If `n_neighbors` is not positive or exceeds the gallery, or, with `rerank`,
            `n_candidates`; if queries are missing, or codes, where projections or raw
            rows are needed.
        """
        distances, positions = self._neighbors(X, n_neighbors)
        return (distances, positions) if return_distance else positions

    def _neighbors(self, X, n_neighbors, extra=0):
        """Find `extra` neighbours, and candidates, more than is said elsewhere."""
        check_has_gallery(self)
        k = self._check_n_neighbors(n_neighbors)
        n_candidates = self._check_n_candidates(k) + extra
        k, itself = k + extra, X is None
        gallery_rows = self._fitted_rows()
        queries = self._queries(X)  # the hasher knows best what is wrong with X
        rows = gallery_rows if itself else self._read_rows(X)
        if k + itself > self.n_samples_fit_:
            raise ValueError(
                f"Expected n_neighbors {'<' if itself else '<='} n_samples_fit, but "
                f"n_neighbors = {k}, n_samples_fit = {self.n_samples_fit_}, "
                f"n_samples = {len(queries)}"
            )
        if rows is None:
            return self._nearest_codes(queries, k, itself)
        gallery_rows.check_features(rows)
        n_candidates = min(n_candidates, self.n_samples_fit_ - itself)

        def shortlist(batch):
            codes = queries[batch]
            return self._nearest_codes(codes, n_candidates, itself, batch.start)[1]

        return rerank_blocks(
            shortlist,
            n_candidates,
            rows,
            gallery_rows,
            k,
            metric=self.rerank,
            n_jobs=self.n_jobs,
        )

    def _nearest_codes(self, queries, k, itself, first=0):
        """Find the k nearest codes; other ones, if queries are the gallery's own."""
        distances, positions = nearest(
            queries,
            self._current_index(),
            k + itself,
            metric=self.metric,
            n_jobs=self.n_jobs,
        )
        if not itself:
            return distances, positions
        others = without_self(positions, first)
        return distances[others].reshape(-1, k), positions[others].reshape(-1, k)

    def radius_neighbors(
        self, X=None, radius=None, return_distance=True, sort_results=True
    ):
        """Find all gallery rows within a distance of each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.
        radius : int or float, default=None
            In the unit of `metric`, inclusive. None for the constructor's.
        return_distance : bool, default=True
        sort_results : bool, default=True
            For scikit-learn's signature: results are always sorted.

        Returns
        -------
        distances : ndarray of shape (n_queries,), of ndarrays of dtype int32 or float64
            Ascending; in bits (int32), or by another `metric` (float64), whatever
            `rerank`. Only with `return_distance`.
        positions : ndarray of shape (n_queries,), of ndarrays of dtype intp
            Places in the gallery; equal distances are ordered by place.

        Raises
        ------
        ValueError
            If `radius` is no finite number >= 0, or for Hamming no integer.
        """
        indptr, distances, positions = self._search_radius(X, radius)
        positions = split(positions, indptr)
        return (split(distances, indptr), positions) if return_distance else positions

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
        """Compare the length of codes, or of projections, with the gallery's."""
        n_bits = codes.shape[1]
        if n_bits != self.gallery_codes_.n_bits:
            raise ValueError(
                f"X has codes of {n_bits} bits, but those of the gallery have "
                f"{self.gallery_codes_.n_bits}"
            )
        return codes

    def _queries(self, X):
        """Give what the search compares with the gallery's codes."""
        if self.metric != "asymmetric":
            return (self.gallery_codes_ if X is None else self.encode(X)).packed
        if X is None:
            raise ValueError(
                "X is missing: metric='asymmetric' compares projections of queries, "
                "and those of the gallery are not kept. Give its rows as X, of which "
                "each then finds itself, too"
            )
        return self.project(X)

    def _read_rows(self, X):
        """Check and keep raw rows, if there is something to re-rank."""
        if self.rerank is None:
            return None
        if not isinstance(X, PackedCodes):
            rows = RawRows.from_input(X)
            if self.hasher is not None or not holds_codes(rows.parts[0]):
                return rows
        raise ValueError(
            f"rerank={self.rerank!r} compares raw rows, but X holds codes: give a "
            "hasher and raw rows, or use rerank=None"
        )

    def _fitted_rows(self):
        """Give the raw rows of the gallery, if there is something to re-rank."""
        if self.rerank is None:
            return None
        if self.gallery_rows_ is None:
            raise ValueError(
                f"rerank={self.rerank!r} needs the gallery's raw rows, which were not "
                "kept: call fit with it"
            )
        return self.gallery_rows_

    def _check_n_neighbors(self, n_neighbors):
        if n_neighbors is None:
            n_neighbors = self.n_neighbors
        if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral):
            raise TypeError(
                f"n_neighbors does not take {type(n_neighbors)} value, enter integer "
                "value"
            )
        if n_neighbors <= 0:
            raise ValueError(f"Expected n_neighbors > 0. Got {n_neighbors}")
        return int(n_neighbors)

    def _check_n_candidates(self, k):
        if self.rerank is None or self.n_candidates is None:
            return max(10 * k, 100)
        if self.n_candidates < k:
            raise ValueError(
                f"n_candidates must be n_neighbors or more; got {self.n_candidates} "
                f"and n_neighbors = {k}"
            )
        return self.n_candidates

    def _validate_params(self):
        super()._validate_params()
        self._check_radius(None)
        self._check_n_candidates(self.n_neighbors)
        if self.device != "cpu":
            check_device(self.device, self.metric)

    def _check_radius(self, radius):
        if radius is None:
            radius = self.radius
        number = WHOLE if self.metric == "hamming" else REAL
        if isinstance(radius, bool) or not number.is_satisfied_by(radius):
            raise InvalidParameterError(
                f"radius must be {number} with metric={self.metric!r}; got {radius!r}"
            )
        return int(radius) if number is WHOLE else float(radius)

    def _set_gallery(self, codes, labels, rows):
        self.gallery_codes_, self.gallery_labels_ = codes, labels
        self.gallery_rows_ = rows
        self.n_samples_fit_ = len(codes)
        return self

    def _search_radius(self, X, radius):
        """Answers of all queries in a row, as in :func:`within_radius`."""
        check_has_gallery(self)
        radius = self._check_radius(radius)
        queries = self._queries(X)
        indptr, distances, positions = within(
            queries,
            self._current_index(),
            radius,
            metric=self.metric,
            n_jobs=self.n_jobs,
        )
        if X is not None:
            return indptr, distances, positions
        others = positions != np.repeat(np.arange(len(queries)), np.diff(indptr))
        indptr = indptr - np.arange(len(indptr))  # each row has found itself once
        return indptr, distances[others], positions[others]

    @property
    def index_nbytes_(self):
        """Memory, in bytes, of what has been built for searching."""
        check_has_gallery(self)
        return self._current_index().nbytes

    def _current_index(self):
        """Give what searches the gallery, as `algorithm` and `device` now are."""
        kind, gallery, found = (self.algorithm, self.device), self.gallery_codes_, None
        if self._index is not None and self._index[0] == kind:
            found = self._index[1]
        # It holds another gallery after a `partial_fit` that was interrupted.
        if found is None or found.packed is not gallery.packed:
            found = index_of(gallery, *kind)
            self._index = kind, found
        return found

    def _forget_index(self):
        self._index = None
        self._current_index()  # searching is not to change attributes

    def __getstate__(self):
        """Leave out what can be built again, and say which version this is from."""
        state = stamp(super().__getstate__())
        state.pop("_index", None)
        return state

    def __setstate__(self, state):
        """Build it again when it is wanted; a device may be missing here."""
        super().__setstate__(unstamp(state, type(self).__name__))
        if hasattr(self, "gallery_codes_"):
            self._forget_index()

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


def _labels_of(X, y):
    """Validate the labels of rows, and copy them, so that the gallery is its own."""
    if y is None:
        return None
    labels = check_labels(y)
    check_consistent_length(X, labels)
    return labels.copy()
