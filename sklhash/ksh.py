"""Kernel-based supervised hashing: codes whose inner products tell similar pairs."""

import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import svd_flip

from ._sklearn import Integer, Interval, fit_context
from .codes import MAX_BITS
from .linear import EPS
from .rbf import RBFHasher


@dataclass
class Residual:
    """What the bits so far leave of the similarities, ``S = n_bits S0 - B B^T``.

    S0 is 1 for pairs of rows that share a label and -1 for others. Rows with the same
    labels have the same similarities, so S is never formed: S0 is kept as that of
    the distinct rows of labels.
    """

    group: csr_array  # (n_samples, n_groups), which row of labels a row has
    similarity: np.ndarray  # (n_groups, n_groups), S0 of the distinct rows of labels
    B: np.ndarray  # (n_samples, n_bits), signs; 0 where the bit is still to come

    @classmethod
    def of_labels(cls, Y, n_bits):
        """Start without a bit.

        Parameters
        ----------
        Y : CSR matrix of shape (n_samples, n_labels)
            Indicator matrix.
        n_bits : int
        """
        distinct, group = np.unique(Y.toarray(), axis=0, return_inverse=True)
        n_samples, ones = Y.shape[0], np.ones(Y.shape[0])
        return cls(
            csr_array((ones, group.ravel(), np.arange(n_samples + 1))),
            np.where(distinct @ distinct.T > 0, 1.0, -1.0),
            np.zeros((n_samples, n_bits)),
        )

    def __matmul__(self, V):
        """Give ``S V`` for an ndarray V of n_samples rows."""
        similar = self.group @ (self.similarity @ (self.group.T @ V))
        return self.B.shape[1] * similar - self.B @ (self.B.T @ V)


def smoothed(u, S):
    """Objective ``y^T S y`` with smooth signs ``y = 2 / (1 + exp(-u)) - 1``.

    Parameters
    ----------
    u : ndarray of shape (n_samples,)
        Projections of one bit.
    S : ndarray of shape (n_samples, n_samples) or Residual

    Returns
    -------
    value : float
    gradient : ndarray of shape (n_samples,)
        With respect to u.
    """
    y = np.tanh(u / 2)
    Sy = S @ y
    return y @ Sy, Sy * (1 - y**2)


def climb(K, S, a, max_iter, tol):
    """Maximise the smoothed objective of ``u = K a`` by Nesterov's gradient method.

    The step 1 / L is halved until it gains what a curvature of L at most would allow.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_features)
    S : ndarray of shape (n_samples, n_samples) or Residual
    a : ndarray of shape (n_features,)
        Where to start.
    max_iter : int
    tol : float
        Stop once a step changes the objective by no more.

    Returns
    -------
    a : ndarray of shape (n_features,)
    n_iter : int
        Steps taken.
    converged : bool
    """
    u = K @ a
    last_a, last_u, value = a, u, smoothed(u, S)[0]
    L, last_t, t = 1.0, 0.0, 1.0
    for n_iter in range(1, max_iter + 1):
        momentum = (last_t - 1) / t
        v, Kv = a + momentum * (a - last_a), u + momentum * (u - last_u)
        value_v, slope = smoothed(Kv, S)
        g = K.T @ slope
        Kg, gain = K @ g, g @ g / 2
        last_value = value
        while (value := smoothed(Kv + Kg / L, S)[0]) < value_v + gain / L:
            L *= 2
        last_a, a, last_u, u = a, v + g / L, u, Kv + Kg / L
        last_t, t = t, (1 + np.sqrt(1 + 4 * t**2)) / 2
        if abs(value - last_value) <= tol:
            return a, n_iter, True
    return a, max_iter, False


def whitening(K, reg):
    """Coordinates in which ``K^T K + reg m I`` is the identity, m its mean eigenvalue.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_features)
    reg : float

    Returns
    -------
    T : ndarray of shape (n_features, rank)
        ``T^T (K^T K + reg m I) T = I``; directions in which K is zero, up to rounding,
        are left out.
    """
    values, U = eigh(K.T @ K)
    kept = values > values[-1] * max(K.shape) * EPS
    U, _ = svd_flip(U[:, kept], None)
    return U / np.sqrt(values[kept] + reg * values.mean())


def learn_bits(K, S, max_iter, tol):
    """Learn one bit after the other, each from what the earlier ones leave.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_features)
        Whitened.
    S : Residual
        Without a bit; filled.
    max_iter, tol
        Of :func:`climb`.

    Returns
    -------
    A : ndarray of shape (n_features, n_bits)
        The bits are the signs of ``K A``.
    n_iter : ndarray of shape (n_bits,)
        Gradient steps of each bit.
    converged : ndarray of shape (n_bits,), dtype bool
    """
    n_samples, n_bits = S.B.shape
    A, steps = np.empty((K.shape[1], n_bits)), []
    M = K.T @ (S @ K)
    for k in range(n_bits):
        relaxed = top_eigenvector(M) * np.sqrt(n_samples)
        climbed, *step = climb(K, S, relaxed, max_iter, tol)
        A[:, k], y = better_bit(K, S, relaxed, climbed)
        S.B[:, k] = y  # S - y y^T is left
        M -= np.outer(K.T @ y, K.T @ y)
        steps.append(step)
    n_iter, converged = np.array(steps).T
    return A, n_iter, converged.astype(bool)


def top_eigenvector(M):
    """Unit eigenvector of the largest eigenvalue, its largest entry positive.

    Parameters
    ----------
    M : ndarray of shape (n_features, n_features)

    Returns
    -------
    a : ndarray of shape (n_features,)
    """
    last = len(M) - 1
    _, vectors = eigh(M, subset_by_index=[last, last])
    return svd_flip(vectors, None)[0].ravel()


def better_bit(K, S, *candidates):
    """Choose the projection whose signs y have the largest ``y^T S y``.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_features)
    S : ndarray of shape (n_samples, n_samples) or Residual
    *candidates : ndarray of shape (n_features,)

    Returns
    -------
    a : ndarray of shape (n_features,)
        The first of equally good ones.
    y : ndarray of shape (n_samples,)
    """
    bits = [np.where(K @ a > 0, 1.0, -1.0) for a in candidates]
    best = np.argmax([y @ (S @ y) for y in bits])
    return candidates[best], bits[best]


class KernelSupervisedHashing(RBFHasher):
    """Kernel-based supervised hashing (KSH).

    Looks for codes whose inner products are as large as can be for pairs of rows that
    share a label, and as small as can be for others. One bit is learned after the
    other, each from what the earlier ones leave.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535.
    n_anchors : int, default=300
        Rows drawn at random as centres of the RBF features; all rows if there are
        fewer.
    max_samples : int or None, default=2000
        Learn from the labels of that many rows, drawn at random; None uses all rows.
        They should be several times as many as the anchors.
    gamma : float, default=None
        Width of the kernel ``exp(-gamma d^2)``; None for 1 / (2 s), s the mean squared
        distance between rows and anchors.
    reg : float, default=1e-2
        Ridge penalty on the weights of a bit, as a share of the mean eigenvalue of
        ``K^T K``, K the centred features of the labelled rows.
    max_iter : int, default=500
        Gradient steps a bit, at most.
    tol : float, default=1e-4
        Stop a bit's gradient steps once one changes the objective by no more than this
        share of its largest possible value, ``n_bits * n_labelled^2``.
    random_state : int, RandomState instance or None, default=None
        Draws the anchors and the labelled rows; None draws a fresh seed from the
        operating system.

    Attributes
    ----------
    anchors_ : {ndarray, CSR matrix} of shape (n_anchors, n_features)
        The rows drawn as centres.
    gamma_ : float
        Width of the kernel.
    mean_ : ndarray of shape (n_anchors,)
        Mean RBF features of all training rows.
    components_ : ndarray of shape (n_bits, n_anchors)
        Weights of the centred features.
    n_iter_ : int
        Gradient steps of the bit that took most.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    SupervisedDiscreteHashing : Learns from the labels of all rows.
    ITQ : With ``projection='cca'``, linear and much cheaper.

    Notes
    -----
    A bit y is to maximise ``y^T S y``. S starts as ``n_bits`` times the matrix of ones,
    for pairs with a shared label, and minus ones, for others; each bit subtracts ``y
    y^T``. The candidates are the signs of ``K a``, for a the top eigenvector of
    ``K^T S K a = lambda K^T K a``, and for what accelerated gradient ascent makes of it
    with ``2 / (1 + exp(-x)) - 1`` in the place of the sign; the better one is kept.

    From the authors' code: the defaults of `n_anchors`, `max_samples` and `max_iter`,
    and s the mean squared distance. Ours: the penalty `reg`, which also keeps
    ``K^T K + reg m I`` (m its mean eigenvalue) from being singular; the gradient steps
    in coordinates in which that matrix is the identity, which takes far fewer of them;
    and `tol` as a share: the authors stop where a step changes the objective by no more
    than 0.01 a row. Labelled rows are drawn uniformly, which also suits rows with
    several labels and keeps the classes' shares.

    There is no `partial_fit`: the similarities are those of a fixed sample. The matrix
    S is not formed. Memory grows with the labelled rows times the anchors, and with
    the square of the number of distinct label sets, at most that of the labelled rows.
    Sparse rows are not centred before distances are taken, so a column very far from
    zero costs them digits.

    References
    ----------
    W. Liu, J. Wang, R. Ji, Y.-G. Jiang and S.-F. Chang, "Supervised hashing with
    kernels", CVPR 2012.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import KernelSupervisedHashing
    >>> X, y = load_digits(return_X_y=True)
    >>> ksh = KernelSupervisedHashing(n_bits=8, n_anchors=100, random_state=0)
    >>> ksh.fit(X, y).encode(X)
    PackedCodes(n_samples=1797, n_bits=8)
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "n_anchors": [Integer(1, None)],
        "max_samples": [Integer(2, None), None],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "reg": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Integer(1, None)],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_bits=32,
        *,
        n_anchors=300,
        max_samples=2000,
        gamma=None,
        reg=1e-2,
        max_iter=500,
        tol=1e-4,
        random_state=None,
    ):
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.max_samples = max_samples
        self.gamma = gamma
        self.reg = reg
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Learn the bits, one after the other.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels)
            Classes or an indicator matrix.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If y is missing, or all rows are equal, or all pairs of the labelled rows
            are similar, or none.
        """
        batches, Y = self._read_labelled(X, y)
        rng = self._check_random_state()
        self._place_anchors(batches, rng)
        chosen = np.zeros(Y.shape[0], dtype=bool)
        chosen[rng.permutation(len(chosen))[: self.max_samples]] = True
        S = Residual.of_labels(Y[chosen], self.n_bits)
        if np.ptp(S.similarity) == 0:
            raise ValueError(
                f"all pairs of the {len(S.B)} rows learned from share a label, or none "
                "does: there is nothing to tell apart (see max_samples)"
            )
        K = self._chosen_features(batches, chosen)
        T = whitening(K, self.reg)
        tol = self.tol * self.n_bits * len(K) ** 2
        A, n_iter, converged = learn_bits(K @ T, S, self.max_iter, tol)
        self._warn_unless(converged)
        self.components_, self.n_iter_ = (T @ A).T, int(n_iter.max())
        return self

    def _chosen_features(self, batches, chosen):
        """Find the mean features of all rows; centre those of the chosen ones."""
        total, parts = 0, []
        for rows, Phi in self._uncentred_features(batches):
            total += Phi.sum(axis=0)
            parts.append(Phi[chosen[rows]])
        self.mean_ = total / len(chosen)
        self._check_width(len(chosen))
        return np.concatenate(parts) - self.mean_

    def _warn_unless(self, converged):
        if not converged.all():
            warnings.warn(
                f"KernelSupervisedHashing stopped at max_iter={self.max_iter} gradient "
                f"steps for {np.sum(~converged)} of {self.n_bits} bits, which had not "
                f"reached tol={self.tol}: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=5,  # the caller of `fit`
            )
