"""Density sensitive hashing: hyperplanes between neighbouring groups of rows."""

import copy
import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning

from ._sklearn import Integer, Interval, fit_context
from .codes import MAX_BITS
from .linear import project
from .rows import astype, check_squares
from .streaming import Reservoir, StreamingHasher


def adjacent_pairs(squared, r):
    """Find the pairs of groups of which one is among the r nearest of the other.

    Parameters
    ----------
    squared : ndarray of shape (k, k)
        Squared distances between the groups' centres.
    r : int

    Returns
    -------
    i, j : ndarray of shape (n_pairs,), dtype intp
        ``i < j``; pairs of centres that are equal, up to rounding, are left out.
    """
    k, different = len(squared), squared > 1e-12 * squared.max()
    others = squared + np.diag(np.full(k, np.inf))
    nearest = np.argsort(others, axis=1, kind="stable")[:, : min(r, k - 1)]
    adjacent = np.zeros((k, k), bool)
    np.put_along_axis(adjacent, nearest, True, axis=1)
    return np.nonzero(np.triu((adjacent | adjacent.T) & different))


def candidate_pairs(centers, r, n_bits):
    """Find r-adjacent pairs, with a larger r if there are fewer than bits.

    Parameters
    ----------
    centers : ndarray of shape (k, n_features)
    r : int
    n_bits : int

    Returns
    -------
    i, j : ndarray of shape (n_pairs,), dtype intp
    squared : ndarray of shape (n_pairs,)
        Squared distance of each pair.

    Raises
    ------
    ValueError
        If all pairs together are too few.
    """
    from sklearn.metrics.pairwise import euclidean_distances  # loads all metrics

    squared = euclidean_distances(centers, squared=True)
    for size in range(r, max(r, len(centers) - 1) + 1):
        i, j = adjacent_pairs(squared, size)
        if len(i) >= n_bits:
            return i, j, squared[i, j]
    raise ValueError(
        f"n_bits={n_bits} hyperplanes are wanted, but the {len(centers)} groups of "
        f"rows make only {len(i)} pairs of different centres: raise alpha, lower "
        "n_bits, or give rows that differ more"
    )


def median_planes(centers, i, j):
    """Hyperplanes midway between pairs of centres.

    Parameters
    ----------
    centers : ndarray of shape (k, n_features)
    i, j : ndarray of shape (n_pairs,)

    Returns
    -------
    w : ndarray of shape (n_pairs, n_features)
        ``mu_i - mu_j``
    t : ndarray of shape (n_pairs,)
        ``(mu_i + mu_j)^T (mu_i - mu_j) / 2``
    """
    w = centers[i] - centers[j]
    return w, np.einsum("pd,pd->p", centers[i] + centers[j], w) / 2


def balanced_planes(w, t, squared, centers, counts, n_bits):
    """Choose the hyperplanes that divide the rows most evenly.

    The paper maximises the entropy of ``P_1 = sum of nu_l over w^T mu_l > t``, where
    nu_l is the share of the rows in group l. It rises with the smaller of the two
    shares, here counted in rows, which makes ties exact; ties go to the smaller
    distance between the centres, as in the authors' code, and then by index.

    Parameters
    ----------
    w, t, squared : ndarray of shape (n_pairs, n_features), (n_pairs,), (n_pairs,)
        Hyperplanes, and squared distances of the centres they divide.
    centers : ndarray of shape (k, n_features)
    counts : ndarray of shape (k,), dtype int
        Rows in each group.
    n_bits : int

    Returns
    -------
    chosen : ndarray of shape (n_bits,), dtype intp
        Most even first.
    entropies : ndarray of shape (n_bits,)
        In nats.
    """
    above = (centers @ w.T > t).T @ counts  # rows, by the side of their centre
    smaller = np.minimum(above, counts.sum() - above)
    chosen = np.lexsort((squared, -smaller))[:n_bits]  # stable: then by index
    P = smaller[chosen] / counts.sum()
    return chosen, -P * np.log(np.maximum(P, 1e-300)) - (1 - P) * np.log1p(-P)


class DensitySensitiveHashing(StreamingHasher):
    """Density sensitive hashing (DSH).

    The rows are grouped by a few steps of k-means. Hyperplanes midway between
    neighbouring groups pass through thin regions; of these, the ones that divide the
    rows most evenly make the bits. (Not the deep supervised hashing of the same
    abbreviation.)

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535; may exceed the number of features.
    alpha : float, default=1.5
        Groups per bit: there are ``floor(alpha * n_bits + 1/2)``, 2 at least.
    max_iter : int, default=3
        Lloyd iterations of k-means, the paper's p.
    n_adjacent : int, default=3
        Two groups are neighbours if one is among that many nearest of the other, the
        paper's r. Raised as far as needed if there are fewer neighbours than bits,
        which is ours.
    max_samples : int or None, default=100000
        `fit` groups that many rows, drawn at random; None takes all. The sample is
        ours.
    random_state : int, RandomState instance or None, default=None
        Draws the first centres and the sample; None draws a fresh seed from the
        operating system. With so few iterations it matters.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the centres, weighted by rows.
    components_ : ndarray of shape (n_bits, n_features)
        Normals of the hyperplanes.
    thresholds_ : ndarray of shape (n_bits,)
        A bit is set where ``(x - mean_) @ w > threshold``.
    entropies_ : ndarray of shape (n_bits,)
        How evenly each hyperplane divides the groups' rows, in nats, largest first; at
        most log 2.
    cluster_centers_ : ndarray of shape (n_groups, n_features)
    cluster_sizes_ : ndarray of shape (n_groups,), dtype int
        Rows in each group.
    n_iter_ : int
        Lloyd iterations run; in a stream, batches.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    RandomHyperplaneHashing : Hyperplanes that do not look at the data.

    Notes
    -----
    `partial_fit` groups by scikit-learn's
    :class:`~sklearn.cluster.MiniBatchKMeans`: the result depends on the batches, and
    is not that of one `fit`. Codes encoded before it do not compare with codes encoded
    after.

    References
    ----------
    Z. Jin, C. Li, Y. Lin and D. Cai, "Density sensitive hashing", IEEE Transactions on
    Cybernetics 44(8), 2014. Constants and the order of ties: the authors'
    ``DSH_learn.m``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import DensitySensitiveHashing
    >>> X, _ = load_digits(return_X_y=True)
    >>> hasher = DensitySensitiveHashing(n_bits=16, random_state=0).fit(X)
    >>> hasher.cluster_centers_.shape
    (24, 64)
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Integer(1, None)],
        "n_adjacent": [Integer(1, None)],
        "max_samples": [Integer(2, None), None],
        "random_state": ["random_state"],
    }
    _learned = (
        "mean_",
        "components_",
        "thresholds_",
        "entropies_",
        "cluster_centers_",
        "cluster_sizes_",
        "n_iter_",
    )

    def __init__(
        self,
        n_bits=32,
        *,
        alpha=1.5,
        max_iter=3,
        n_adjacent=3,
        max_samples=100_000,
        random_state=None,
    ):
        self.n_bits = n_bits
        self.alpha = alpha
        self.max_iter = max_iter
        self.n_adjacent = n_adjacent
        self.max_samples = max_samples
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Group the rows and choose hyperplanes between the groups.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least as many rows as groups.
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are fewer rows than groups, or fewer pairs of distinct groups than
            bits.
        """
        rows, rng = self._read(X, reset=True, min_samples=2), self._check_random_state()
        seeds = rng.randint(2**31 - 1, size=2)
        sample = Reservoir(self.max_samples, np.random.RandomState(seeds[0]))
        sample.add(rows)
        return self._learn_now(self._group(sample.rows, seeds[1]))

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Move the groups' centres towards more rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            In the first call at least as many rows as groups.
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the first rows are fewer than the groups, or if the hasher was fitted by
            `fit` and has been pickled since.
        """
        seen = self._resume()
        rows = self._read(X, reset=seen is None, at_once=True)
        if seen is None:
            seed = self._check_random_state().randint(2**31 - 1)
            self._check_n_rows(rows.shape[0])
            seen = _Groups(self._n_groups(), seed)
        elif seen.n_groups != self._n_groups():
            raise ValueError(
                f"n_bits={self.n_bits} and alpha={self.alpha} make {self._n_groups()} "
                f"groups, but the first rows were put into {seen.n_groups}: call fit, "
                "or partial_fit on a clone"
            )
        return self._learn_later(seen.moved_by(rows.read(slice(None))))

    def _n_groups(self):
        return max(2, int(np.floor(self.alpha * self.n_bits + 0.5)))

    def _check_n_rows(self, n_rows):
        if n_rows < self._n_groups():
            raise ValueError(
                f"{n_rows} rows cannot make the {self._n_groups()} groups that "
                f"n_bits={self.n_bits} and alpha={self.alpha} ask for: give more rows "
                "(a larger max_samples, or a larger first batch), or lower n_bits or "
                "alpha"
            )

    def _group(self, X, seed):
        """Group the rows by a few steps of k-means."""
        from sklearn.cluster import KMeans  # a tenth of a second that few users need

        self._check_n_rows(X.shape[0])
        X = astype(X, np.float64)
        check_squares(X)
        start = _random_rows(X, self._n_groups(), np.random.RandomState(seed))
        kmeans = KMeans(
            len(start),
            init=start,
            n_init=1,
            max_iter=self.max_iter,
            random_state=seed,
        )
        with warnings.catch_warnings():  # of equal centres, which make no plane
            warnings.simplefilter("ignore", ConvergenceWarning)
            kmeans.fit(X)
        sizes = np.bincount(kmeans.labels_, minlength=self._n_groups())
        centers = kmeans.cluster_centers_.astype(np.float64)
        return _Groups(self._n_groups(), seed, centers, sizes, kmeans.n_iter_)

    def _learn(self, seen, data=None):
        """Choose hyperplanes between neighbouring groups."""
        held = seen.sizes > 0  # where rows repeat, some groups may stay empty
        sizes, mu = seen.sizes[held], seen.centers[held]
        mean = sizes @ mu / sizes.sum()
        mu = mu - mean
        i, j, squared = candidate_pairs(mu, self.n_adjacent, self.n_bits)
        w, t = median_planes(mu, i, j)
        chosen, entropies = balanced_planes(w, t, squared, mu, sizes, self.n_bits)
        learned = (mean, w[chosen], t[chosen], entropies)
        groups = (seen.centers, seen.sizes, seen.n_iter)
        return dict(zip(self._learned, learned + groups, strict=True))

    def _project(self, X):
        inner = project(X, self.mean_, self.components_)
        return inner - self.thresholds_.astype(inner.dtype)

    @property
    def _n_features_out(self):
        return len(self.thresholds_)


def _random_rows(X, k, rng):
    """Draw k rows to start from, moved by a millionth of their size.

    A row may be equally far from two of them, as where features are integers. Rounding,
    which differs between dense and sparse rows, must not decide where it goes.
    """
    rows = X[rng.choice(X.shape[0], k, replace=False)]
    rows = rows.toarray() if issparse(rows) else rows
    size = np.sqrt(np.mean(rows**2))
    return rows + 1e-6 * size * rng.standard_normal(rows.shape)


@dataclass
class _Groups:
    """Groups of the rows seen so far."""

    n_groups: int
    seed: int
    centers: np.ndarray | None = None
    sizes: np.ndarray | None = None
    n_iter: int = 0
    kmeans: object = None  # a MiniBatchKMeans, in a stream

    def moved_by(self, X):
        """Let more rows join the groups and pull at their centres, in a copy."""
        X = X.astype(np.float64)
        check_squares(X)
        kmeans = self._start() if self.kmeans is None else copy.deepcopy(self.kmeans)
        kmeans.partial_fit(X)
        joined = np.bincount(kmeans.labels_, minlength=self.n_groups)
        sizes = joined if self.sizes is None else self.sizes + joined
        centers = kmeans.cluster_centers_.copy()
        return _Groups(
            self.n_groups, self.seed, centers, sizes, self.n_iter + 1, kmeans
        )

    def _start(self):
        from sklearn.cluster import MiniBatchKMeans

        kmeans = MiniBatchKMeans(
            self.n_groups,
            init="random" if self.centers is None else self.centers,
            n_init=1,
            reassignment_ratio=0,
            random_state=self.seed,
        )
        if self.centers is not None:  # each stands for the rows of its group
            kmeans.partial_fit(self.centers, sample_weight=self.sizes)
        return kmeans
