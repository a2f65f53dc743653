"""Spherical hashing: balls that each hold half of the data, and overlap evenly."""

import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import row_norms

from ._sklearn import (
    Integer,
    Interval,
    StrOptions,
    fit_context,
    get_namespace_and_device,
    move_to,
)
from .base import quiet
from .codes import MAX_BITS
from .linear import like, project
from .rows import all_rows_equal, astype, check_squares, float_dtypes, take
from .streaming import Reservoir, StreamingHasher


def balance(X, P):
    """Find the radii at which each ball holds half of the rows, and count overlaps.

    A radius lies in the middle between the distances of the last row inside and the
    first one outside, so that no row's bit depends on rounding.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features), dtype float64
    P : array of shape (n_bits, n_features), dtype float64
        Pivots, the centres of the balls.

    Returns
    -------
    radii : array of shape (n_bits,), dtype float64
    overlaps : ndarray of shape (n_bits, n_bits), dtype float64
        ``o_ij``, the number of rows in both balls.
    """
    from sklearn.metrics.pairwise import euclidean_distances  # loads all metrics

    xp, _, _ = get_namespace_and_device(P)
    half = X.shape[0] // 2
    squared = euclidean_distances(P, X, squared=True)  # (n_bits, n_samples)
    if isinstance(squared, np.ndarray):
        ordered = np.partition(squared, (half - 1, half), axis=1)
    else:
        ordered = xp.sort(squared, axis=1)
    radii = (xp.sqrt(ordered[:, half - 1]) + xp.sqrt(ordered[:, half])) / 2
    inside = xp.astype(squared < (radii**2)[:, None], P.dtype)
    return radii, move_to(inside @ inside.T, xp=np, device="cpu")


def repel(P, overlaps, n_samples):
    """Move pivots apart that share too many rows, and together that share too few.

    The force of pivot j on pivot i is ``(o_ij - n/4) / (n/4) (p_i - p_j) / 2``, and a
    pivot moves by the mean of its forces.

    Parameters
    ----------
    P : array of shape (n_bits, n_features)
    overlaps : ndarray of shape (n_bits, n_bits)
    n_samples : int

    Returns
    -------
    P : array of shape (n_bits, n_features)
    """
    quarter = n_samples / 4
    A = (overlaps - quarter) / (2 * len(overlaps) * quarter)
    np.fill_diagonal(A, 0)
    (A,) = like(P, A)
    xp, _, _ = get_namespace_and_device(P)
    return P + xp.sum(A, axis=1)[:, None] * P - A @ P


def overlap_errors(overlaps, n_samples):
    """Measure how far the overlaps are from n/4, for all pairs of balls.

    Parameters
    ----------
    overlaps : ndarray of shape (n_bits, n_bits)
    n_samples : int

    Returns
    -------
    deviation, bias, spread : float
        Mean distance from n/4, distance of the mean from n/4, and standard deviation,
        as shares of n/4; zeros for a single ball.
    """
    o = overlaps[np.triu_indices(len(overlaps), 1)] / (n_samples / 4)
    if len(o) == 0:
        return 0.0, 0.0, 0.0
    return np.mean(np.abs(o - 1)), np.abs(np.mean(o) - 1), np.std(o)


def learn_balls(X, P, *, tol_mean, tol_std, stop="paper", max_iter=100, reports=None):
    """Move pivots until their balls overlap evenly.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features), dtype float64
    P : array of shape (n_bits, n_features), dtype float64
        Where to start.
    tol_mean, tol_std : float
        Largest mean and standard deviation of the overlaps, as shares of n/4.
    stop : {'paper', 'cpp'}, default='paper'
        Take the mean of the deviations, or the deviation of the mean.
    max_iter : int, default=100
    reports : iterable of callable, default=None
        One for each iteration, called with pivots and radii; true to stop.

    Returns
    -------
    P : array of shape (n_bits, n_features), dtype float64
    radii : array of shape (n_bits,), dtype float64
    errors : ndarray of shape (n_iter, 2), dtype float64
        Mean and standard deviation of each iteration, as compared with the tolerances.
    """
    errors, overlaps = [], None
    for report in quiet(max_iter) if reports is None else reports:
        if overlaps is not None:
            P = repel(P, overlaps, X.shape[0])
        radii, overlaps = balance(X, P)
        deviation, bias, spread = overlap_errors(overlaps, X.shape[0])
        errors.append((deviation if stop == "paper" else bias, spread))
        if report(P, radii) or (errors[-1][0] <= tol_mean and spread <= tol_std):
            return P, radii, np.array(errors)
    warnings.warn(
        f"SphericalHashing stopped at max_iter={max_iter} with overlaps that deviate "
        f"by {errors[-1][0]:.2f} (tol_mean={tol_mean}) and spread by {spread:.2f} "
        f"(tol_std={tol_std}) of n/4: the codes are usable, but less balanced than "
        "asked for. Rows that are few, discrete or of few features may never get there",
        ConvergenceWarning,
        stacklevel=7,  # the caller of `fit`
    )
    return P, radii, np.array(errors)


class SphericalHashing(StreamingHasher):
    """Spherical hashing (SpH): each bit tells whether a row lies in a ball.

    Every ball holds half of the training rows and every two balls share a quarter of
    them, so that bits are balanced and pairwise independent. Balls bound tighter
    regions than hyperplanes do.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535; may exceed the number of features.
    stop : {'paper', 'cpp'}, default='paper'
        When the overlaps ``o_ij`` count as even. ``'paper'``: the mean of
        ``|o_ij - n/4|`` is at most `tol_mean` and the standard deviation of ``o_ij`` at
        most `tol_std`, both as shares of n/4. ``'cpp'``: the distance of their mean
        from n/4 takes the place of the first, which is weaker; so does the authors'
        C++ code.
    tol_mean : float, default=0.1
        The paper's epsilon_m.
    tol_std : float, default=0.15
        The paper's epsilon_s.
    max_iter : int, default=100
        Moves of the pivots, at most. The authors' C++ code has 50; their MATLAB code
        has no limit, and need not come to an end.
    init_size : int, default=5
        A pivot starts at the mean of that many rows, drawn without replacement; 5 in
        the authors' MATLAB code. Their C++ code takes 10, with replacement.
    max_samples : int or None, default=10000
        Learn from that many rows, drawn at random, as the authors' C++ code does; None
        uses all rows.
    random_state : int, RandomState instance or None, default=None
        Draws the first pivots and the sample; None draws a fresh seed from the
        operating system.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training sample, subtracted for numerical reasons only; zeros if
        the sample is sparse.
    pivots_ : ndarray of shape (n_bits, n_features)
        Centres of the balls.
    radii_ : ndarray of shape (n_bits,)
        Their radii.
    overlap_errors_ : ndarray of shape (n_iter, 2)
        For each iteration the two numbers that are compared with `tol_mean` and
        `tol_std`.
    n_iter_ : int
        Iterations run.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    HammingRetriever : Searches these codes by ``metric='spherical'``, too.

    Notes
    -----
    The paper compares the codes by the spherical Hamming distance, which relates the
    bits that differ to the balls that both rows lie in. It ranks Euclidean neighbours
    better than the Hamming distance does, and classes often worse.

    The projection is ``radius^2 - ||x - pivot||^2``. A radius lies midway between the
    last training row inside and the first one outside, which is ours: in the authors'
    code it passes through a row. The paper's radius in the largest gap near the median
    is not built.

    After `partial_fit` the balls are learned anew from the sample when they are next
    needed, and codes encoded before it do not compare with codes encoded after.

    References
    ----------
    J.-P. Heo, Y. Lee, J. He, S.-F. Chang and S.-E. Yoon, "Spherical hashing", CVPR
    2012; IEEE TPAMI 37(11), 2015. Constants: the authors' MATLAB and C++ code.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import SphericalHashing
    >>> X, _ = load_digits(return_X_y=True)
    >>> hasher = SphericalHashing(n_bits=16, random_state=0).fit(X)
    >>> float(hasher.transform(X).mean().round(2))  # half of the rows lie in each ball
    0.5
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "stop": [StrOptions({"paper", "cpp"})],
        "tol_mean": [Interval(Real, 0, None, closed="left")],
        "tol_std": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Integer(1, None)],
        "init_size": [Integer(1, None)],
        "max_samples": [Integer(2, None), None],
        "random_state": ["random_state"],
    }
    _learned = ("mean_", "pivots_", "radii_", "overlap_errors_", "n_iter_")
    _array_attribute = "pivots_"

    def __init__(
        self,
        n_bits=32,
        *,
        stop="paper",
        tol_mean=0.1,
        tol_std=0.15,
        max_iter=100,
        init_size=5,
        max_samples=10_000,
        random_state=None,
    ):
        self.n_bits = n_bits
        self.stop = stop
        self.tol_mean = tol_mean
        self.tol_std = tol_std
        self.max_iter = max_iter
        self.init_size = init_size
        self.max_samples = max_samples
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the balls.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            For scikit-learn's conventions; callbacks that score are given it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If all rows are equal.
        """
        rows, seen = self._read(X, reset=True, min_samples=2), _Seen.nothing(self)
        seen.sample.add(rows)
        return self._learn_now(seen, (X, y))

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Add rows to those that the sample is drawn from.

        However the rows are split, the result is that of one `fit` on all of them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the hasher was fitted by `fit` and has been pickled since.
        """
        seen = self._resume()
        rows = self._read(X, reset=seen is None, at_once=True)
        seen = seen or _Seen.nothing(self)
        with seen.sample.all_or_nothing():
            seen.sample.add(rows)
            return self._learn_later(seen)

    def _learn(self, seen, data=None):
        """Start from means of a few rows, and let the balls repel each other."""
        X, mean = _centred_in_float64(seen.sample.rows)
        rng = np.random.RandomState(seen.pivot_seed)
        P = _first_pivots(X, self.n_bits, self.init_size, rng)

        def fitted(P, radii):
            return {"mean_": mean, "pivots_": P + mean, "radii_": radii}

        with self._iterations(data, self.max_iter, fitted) as reports:
            P, radii, errors = learn_balls(
                X,
                P,
                tol_mean=self.tol_mean,
                tol_std=self.tol_std,
                stop=self.stop,
                max_iter=self.max_iter,
                reports=reports,
            )
        (curves,) = like(P, errors)
        return fitted(P, radii) | {"overlap_errors_": curves, "n_iter_": len(errors)}

    def _project(self, X):
        """Give ``radius^2 - ||x - pivot||^2``."""
        P = self.pivots_ - self.mean_
        xp, _, _ = get_namespace_and_device(P)
        inner = project(X, self.mean_, P)
        constant = self.radii_**2 - xp.sum(P**2, axis=1)
        norms = _squared_norms(X, self.mean_)
        return 2 * inner - norms[:, None] + astype(constant, inner.dtype)

    @property
    def _n_features_out(self):
        return self.radii_.shape[0]


@dataclass
class _Seen:
    """What SphericalHashing keeps of the rows seen so far."""

    sample: Reservoir
    pivot_seed: int

    @classmethod
    def nothing(cls, hasher):
        seeds = hasher._check_random_state().randint(2**31 - 1, size=2)
        rng = np.random.RandomState(seeds[0])
        return cls(Reservoir(hasher.max_samples, rng), seeds[1])


def _centred_in_float64(X):
    """Subtract the mean, unless that would fill a sparse matrix."""
    X = astype(X, float_dtypes(X)[0])
    check_squares(X)
    xp, _, _ = get_namespace_and_device(X)  # NumPy's, for sparse rows
    mean = np.zeros(X.shape[1]) if issparse(X) else xp.mean(X, axis=0)
    # Tiny rows may differ, but their squares vanish.
    if all_rows_equal(X) or not xp.any(_squared_norms(X, mean) > 0):
        raise ValueError(
            f"all {X.shape[0]} rows of X are equal, or differ too little for floats: "
            "no ball can hold half of them"
        )
    return X if issparse(X) else X - mean, mean


def _first_pivots(X, n_bits, size, rng):
    """Means of a few random rows, one for each bit."""
    n_samples = X.shape[0]
    size = min(size, n_samples)
    drawn = [rng.choice(n_samples, size, replace=False) for _ in range(n_bits)]
    rows = take(X, np.concatenate(drawn))  # (n_bits * size, n_features)
    rows = rows.toarray() if issparse(rows) else rows
    xp, _, _ = get_namespace_and_device(rows)
    return xp.mean(xp.reshape(rows, (n_bits, size, X.shape[1])), axis=1)


def _squared_norms(X, mean):
    """``||x - mean||^2`` of each row."""
    if issparse(X):
        return row_norms(X, squared=True) - 2 * (X @ mean) + mean @ mean
    return row_norms(X - astype(mean, X.dtype), squared=True)
