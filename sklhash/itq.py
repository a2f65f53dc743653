"""Iterative quantization: rotate the data so that its signs lose least."""

import warnings
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_consistent_length

from ._sklearn import (
    Integer,
    Interval,
    StrOptions,
    fit_context,
    get_namespace_and_device,
    move_to,
)
from .base import quiet
from .cca import LabelColumns, canonical_directions
from .codes import MAX_BITS
from .linear import (
    EPS,
    LinearHasher,
    like,
    project_in_float64,
    random_rotation,
)
from .principal import (
    MAX_COVARIANCE_FEATURES,
    PrincipalHasher,
    PrincipalStatistics,
    check_covariance_width,
)
from .rows import Batches, is_array_api

#: Rows whose codes are updated at once: they stay in a core's cache.
BLOCK_ROWS = 2048


def learn_rotation(V, R, max_iter, tol=None, reports=None):
    """Minimise ``||B - V R||^2`` over signs B and rotations R, by alternation (Eq. 2).

    Parameters
    ----------
    V : array of shape (n_samples, rank), dtype float64
        Projected rows.
    R : array of shape (rank, n_bits), dtype float64
        Where to start; orthonormal rows. In the namespace of V.
    max_iter : int
    tol : float, default=None
        Stop once an iteration lowers the error by no more than this share of it.
    reports : iterable of callable, default=None
        One for each iteration, called with R at its end; true to stop.

    Returns
    -------
    R : array of shape (rank, n_bits), dtype float64
    errors : ndarray of shape (n_iter,), dtype float64
        ``||B - V R||^2 / (n_samples * n_bits)`` of each iteration; never rises.
    """
    xp, _, _ = get_namespace_and_device(V)
    n_entries, norm = V.shape[0] * R.shape[1], float(xp.sum(V**2))
    errors = []
    for report in quiet(max_iter) if reports is None else reports:
        M = _correlation(V, R)  # V^T B; fix R, update B
        # ||B - VR||^2 = ||B||^2 + ||V||^2 - 2 tr(R^T V^T B)
        errors.append(1 + (norm - 2 * float(xp.sum(M * R))) / n_entries)
        R = _procrustes(M, R)  # fix B, update R
        if report(R) or (tol is not None and len(errors) > 1 and _gain(errors) <= tol):
            return R, np.array(errors)
    if tol is not None:
        warnings.warn(
            f"ITQ stopped at max_iter={max_iter} before the gain of an iteration fell "
            f"to tol={tol}: raise max_iter or tol",
            ConvergenceWarning,
            stacklevel=7,  # the caller of `fit`
        )
    return R, np.array(errors)


def _correlation(V, R):
    """``V^T B`` with the signs B of ``V R``, block by block; sgn(0) is 1."""
    xp, _, device = get_namespace_and_device(V)
    one = xp.asarray(1, dtype=V.dtype, device=device)
    M = 0  # (rank, n_bits)
    for rows in gen_batches(V.shape[0], BLOCK_ROWS):
        B = xp.copysign(one, V[rows, :] @ R)
        M = M + V[rows, :].T @ B
    return M


def _procrustes(M, R):
    """Rotation nearest to M, its unitary polar factor ``U Q^T``.

    Where M is singular, as where directions do not vary in the sample, there are many:
    of these, the nearest to R. LAPACK's choice would hang on rounding, and differ with
    the number of its threads.
    """
    # scipy.linalg.polar is the same, but several times slower in this loop, as SciPy
    # and NumPy wheels bring a thread pool each: see benchmarks/rotation_step.py. So
    # small a matrix is also faster on the CPU than on another device.
    U, sigma, Qt = np.linalg.svd(move_to(M, xp=np, device="cpu"), full_matrices=False)
    null = sigma <= sigma[0] * max(M.shape) * EPS
    if null.any():
        kept = Qt[~null]
        free = np.linalg.svd(kept)[2][len(kept) :]  # directions that M leaves open
        near = U[:, null].T @ move_to(R, xp=np, device="cpu") @ free.T
        A, _, Bt = np.linalg.svd(near, full_matrices=False)
        Qt[null] = A @ Bt @ free
    return like(M, U @ Qt)[0]


def _gain(errors):
    before, after = errors[-2:]
    return (before - after) / before if before > 0 else 0.0


class ITQ(PrincipalHasher, LinearHasher):
    """Iterative quantization (ITQ), unsupervised or guided by labels.

    Rows are projected on their principal directions, or on the directions most
    correlated with the labels, and then rotated so that they lie as near as possible
    to the corners of the binary cube. The codes are the signs.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535. More bits than the projection has dimensions are our
        extension: the dimensions are spread over all bits by a rotation with
        orthonormal rows (the same as padding with zero columns).
    projection : {'pca', 'cca'}, default='pca'
        ``'pca'``: principal components, unsupervised. ``'cca'``: canonical directions
        between X and the labels y, scaled by their correlations.
    max_iter : int, default=50
        Alternations between codes and rotation, as in the authors' code.
    tol : float, default=None
        Stop once an alternation lowers the quantization error by no more than this
        share of it; None runs all `max_iter`, as the authors do.
    reg : float, default=1e-4
        Added to the diagonals of both covariances for ``projection='cca'``. It is
        absolute, as in the authors' code: standardize rows of very small scale.
    max_samples : int or None, default=32768
        Learn the rotation on that many rows, drawn at random; None uses all rows. This
        is ours: the rotation has few parameters, and more rows change it little.
    subsample : {'rotation', 'all'}, default='rotation'
        What is learned on these `max_samples` rows only: the rotation, or the
        principal directions as well, which saves the covariance matrix of all rows.
        ``'all'`` goes with ``projection='pca'``.
    random_state : int, RandomState instance or None, default=None
        Draws the first rotation and the sample; None draws a fresh seed from the
        operating system.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    components_ : ndarray of shape (n_bits, n_features)
        Directions of projection, rotation included.
    rotation_ : ndarray of shape (rank, n_bits)
        The learned rotation.
    quantization_error_ : ndarray of shape (n_iter,)
        Mean squared difference between an entry of the rotated rows and its sign, at
        each iteration; it never rises.
    canonical_correlations_ : ndarray of shape (rank,)
        Only with ``projection='cca'``.
    n_iter_ : int
        Iterations run.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    PCAHashing : The same without learning the rotation.
    RandomHyperplaneHashing : Learns nothing but the mean.

    Notes
    -----
    After `partial_fit` the attributes are learned when they are next needed, and codes
    encoded before it do not compare with codes encoded after. So that `partial_fit`
    can go on from `fit`, a fitted hasher keeps the covariance matrix and the sample of
    rows in memory; pickles and copies leave them out.

    With scikit-learn's ``array_api_dispatch``, arrays of other namespaces, such as
    torch tensors on a GPU, are learned from and hashed where they lie; only the
    algebra of small matrices is done on the CPU. `set_callbacks` takes scikit-learn's
    callbacks, which see each alternation.

    References
    ----------
    Y. Gong, S. Lazebnik, A. Gordo and F. Perronnin, "Iterative quantization: a
    Procrustean approach to learning binary codes for large-scale image retrieval",
    IEEE TPAMI 35(12), 2013 (Eq. 2 and 3; CVPR 2011). Scaling and regularisation of the
    canonical directions: the authors' ``cca.m``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ
    >>> X, y = load_digits(return_X_y=True)
    >>> itq = ITQ(n_bits=16, random_state=0).fit(X)
    >>> itq.transform(X[:1]).shape, itq.encode(X)
    ((1, 16), PackedCodes(n_samples=1797, n_bits=16))
    >>> supervised = ITQ(n_bits=16, projection="cca", random_state=0).fit(X, y)
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "projection": [StrOptions({"pca", "cca"})],
        "max_iter": [Integer(1, None)],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "reg": [Interval(Real, 0, None, closed="neither")],
        "max_samples": [Integer(2, None), None],
        "subsample": [StrOptions({"rotation", "all"})],
        "random_state": ["random_state"],
    }
    _learned = (
        "mean_",
        "components_",
        "rotation_",
        "quantization_error_",
        "canonical_correlations_",
        "n_iter_",
    )

    def __init__(
        self,
        n_bits=32,
        *,
        projection="pca",
        max_iter=50,
        tol=None,
        reg=1e-4,
        max_samples=32768,
        subsample="rotation",
        random_state=None,
    ):
        self.n_bits = n_bits
        self.projection = projection
        self.max_iter = max_iter
        self.tol = tol
        self.reg = reg
        self.max_samples = max_samples
        self.subsample = subsample
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn projection and rotation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels), default=None
            Classes or an indicator matrix, for ``projection='cca'``; otherwise ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If all rows are equal, or y is missing for ``projection='cca'`` or does not
            correlate with X.
        """
        rows, seen = self._read(X, reset=True, min_samples=2), self._nothing_seen()
        wide = rows.shape[1] > MAX_COVARIANCE_FEATURES
        if wide and self.projection == "pca" and self.subsample == "rotation":
            seen.take_wide(rows, self.n_bits)
        else:
            self._add(seen, rows, y)
        return self._learn_now(seen, (X, y))

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None):
        """Add rows to those learned from.

        However the rows are split, the result is that of one `fit` on all of them, up
        to rounding; rows seen by `fit` count. The attributes are learned when they are
        next needed. Until then, and to go on later, the hasher keeps the covariance
        matrix and the sample of rows; a hasher that has only seen `fit` leaves them
        out when it is pickled.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At most 8,192 features.
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels), default=None
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes there will be, for ``projection='cca'`` with a class vector;
            only used in the first call. None for those of the first y.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If y holds a class that `classes` lacks, or if the hasher was fitted by
            `fit` and has been pickled since.
        """
        seen = self._resume()
        rows = self._read(X, reset=seen is None, at_once=True)
        seen = seen or self._nothing_seen()
        for name in ("projection", "subsample"):
            before, now = getattr(seen, name), getattr(self, name)
            if before != now:
                raise ValueError(
                    f"{name}={now!r} was {before!r} when the first rows came: call "
                    "fit, or partial_fit on a clone"
                )
        with seen.all_or_nothing():
            self._add(seen, rows, y, classes)
            return self._learn_later(seen)

    def _nothing_seen(self):
        seen = super()._nothing_seen()
        return _Seen(
            seen.seed,
            seen.sample,
            projection=self.projection,
            subsample=self.subsample,
        )

    def _add(self, seen, rows, y, classes=None):
        """Add rows to what has been seen."""
        if self.projection == "cca":
            self._add_labelled(seen, rows, y, classes)
        elif self.subsample == "all":
            seen.sample.add(rows)
        else:
            seen.add(rows)

    def _add_labelled(self, seen, rows, y, classes):
        """Add rows side by side with the columns of their labels."""
        if self.subsample == "all":
            raise ValueError(
                "subsample='all' goes with projection='pca' only: canonical directions "
                "are learned on all rows and labels; use subsample='rotation'"
            )
        y = move_to(y, xp=np, device="cpu") if is_array_api(y) else y
        Y = seen.labels.indicator(y, classes)
        check_consistent_length(rows, Y)
        width = rows.shape[1] + Y.shape[1]
        check_covariance_width(width, "X and the labels together have")
        start = 0
        for X in rows:
            seen.moments.update(X, Y[start : start + X.shape[0]])
            seen.sample.update(X)
            start += X.shape[0]

    def _learn(self, seen, data=None):
        """Learn the projection, then the rotation, and fold both into one."""
        mean, W, correlations = self._directions(seen)
        rng = np.random.RandomState(seen.seed)
        R = random_rotation(len(W), self.n_bits, rng)
        mean, W, R = like(seen.sample.rows, mean, W, R)
        V = project_in_float64(seen.sample.rows, mean, W)  # (n_samples, rank)

        def fitted(R):
            return {"mean_": mean, "components_": R.T @ W, "rotation_": R}

        with self._iterations(data, self.max_iter, fitted) as reports:
            R, errors = learn_rotation(V, R, self.max_iter, self.tol, reports)
        learned = fitted(R) | {"n_iter_": len(errors)}
        learned["quantization_error_"] = like(R, errors)[0]
        if correlations is not None:
            learned["canonical_correlations_"] = like(R, correlations)[0]
        return learned

    def _directions(self, seen):
        """Mean of the rows, directions to project them on, and their correlations."""
        if seen.projection == "cca":
            return self._canonical_directions(seen.moments)
        if seen.subsample == "all":
            rows = Batches(seen.sample.rows)
            seen = PrincipalStatistics(seen.seed)
            if rows.shape[1] > MAX_COVARIANCE_FEATURES:
                seen.take_wide(rows, self.n_bits)
            else:
                seen.add(rows)
        mean, W, _ = seen.principal_directions(self.n_bits)
        return mean, W, None

    def _canonical_directions(self, moments):
        if moments.n_samples < 2:
            raise ValueError("2 rows or more are needed; so far there is 1")
        d = self.n_features_in_
        W, correlations = canonical_directions(moments, d, self.n_bits, self.reg)
        if len(W) == 0:
            raise ValueError(
                "X and y are uncorrelated: all rows or all labels are equal, or X is "
                f"so small that reg={self.reg} drowns it (standardize X)"
            )
        return moments.mean[:d], W, correlations

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.projection == "cca"
        return tags


@dataclass
class _Seen(PrincipalStatistics):
    """What ITQ keeps of the rows seen so far, and of their labels."""

    projection: str = "pca"
    subsample: str = "rotation"
    labels: LabelColumns = field(default_factory=LabelColumns)
