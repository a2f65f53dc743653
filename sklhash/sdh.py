"""Supervised discrete hashing: codes from which the labels can be read linearly."""

from numbers import Real
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ._sklearn import Integer, Interval, fit_context
from .codes import MAX_BITS
from .rbf import RBFHasher
from .streaming import Moments

#: Sweeps over the bits in one B-step, at most, as in the authors' code.
MAX_SWEEPS = 10


def label_weights(B, Y, reg):
    """W-step: ridge regression of the labels on the codes.

    Parameters
    ----------
    B : ndarray of shape (n_samples, n_bits)
        Signs.
    Y : {ndarray, CSR matrix} of shape (n_samples, n_labels)
        Indicator matrix.
    reg : float

    Returns
    -------
    W : ndarray of shape (n_bits, n_labels), dtype float64
        ``(B^T B + reg I)^-1 B^T Y``.
    """
    return cho_solve(factor_ridge(B.T @ B, reg, "reg"), B.T @ Y)


def factor_ridge(A, alpha, name):
    """Cholesky factor of ``A + alpha I``.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        Symmetric, without negative eigenvalues.
    alpha : float
    name : str
        What to call `alpha` in the error message.

    Returns
    -------
    factor : tuple
        For :func:`scipy.linalg.cho_solve`.

    Raises
    ------
    ValueError
        If the sum is singular up to rounding.
    """
    try:
        return cho_factor(A + alpha * np.eye(len(A)))
    except LinAlgError as error:
        raise ValueError(f"{name}={alpha} drowns in rounding: raise it") from error


def descend_bits(B, Q, W, max_sweeps=MAX_SWEEPS):
    """B-step: minimise ``||B W||^2 - 2 <B, Q>`` over signs, one bit after the other.

    Given the other bits B', with weights W', the best bits of one column, with weights
    v, are ``sgn(q - B' W' v)``. The rows do not depend on each other.

    Parameters
    ----------
    B : ndarray of shape (n_samples, n_bits)
        Signs to start from.
    Q : ndarray of shape (n_samples, n_bits)
    W : ndarray of shape (n_bits, n_labels)
    max_sweeps : int, default=10
        Sweeps over all bits; fewer if a sweep changes none.

    Returns
    -------
    B : ndarray of shape (n_samples, n_bits), dtype float64
    """
    B, G = B.astype(np.float64), W @ W.T
    np.fill_diagonal(G, 0)  # so that G[:, k] is W' v, and 0 for bit k itself
    for _ in range(max_sweeps):
        before = B.copy()
        for k in range(B.shape[1]):
            B[:, k] = np.where(Q[:, k] > B @ G[:, k], 1, -1)
        if np.array_equal(B, before):
            break
    return B


class SupervisedDiscreteHashing(RBFHasher):
    """Supervised discrete hashing (SDH).

    Looks for codes from which a linear classifier can read the labels, and for a
    function of the rows that gives these codes. The codes stay binary all the while:
    they are improved bit by bit, not relaxed to real values and cut off at the end.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535.
    n_anchors : int, default=1000
        Rows drawn at random as centres of the RBF features; all rows if there are
        fewer.
    gamma : float, default=None
        Width of the kernel ``exp(-gamma d^2)``; None for 1 / (2 s), s the mean squared
        distance between rows and anchors.
    max_iter : int, default=5
        Alternations of the three steps, at most; fewer if one changes no bit.
    reg : float, default=1.0
        Lambda, the ridge penalty on the weights W that read labels from codes.
    penalty : float, default=1e-5
        Nu, what a squared difference between code and function costs, compared with
        a squared error in a label.
    ridge : float, default=1e-2
        Penalty on the weights of the function F that gives the codes of rows.
    random_state : int, RandomState instance or None, default=None
        Draws the anchors and the first codes; None draws a fresh seed from the
        operating system.

    Attributes
    ----------
    anchors_ : {ndarray, CSR matrix} of shape (n_anchors, n_features)
        The rows drawn.
    gamma_ : float
        Width of the kernel.
    mean_ : ndarray of shape (n_anchors,)
        Mean RBF features of the training rows.
    components_ : ndarray of shape (n_bits, n_anchors)
        Weights of the centred features.
    intercept_ : ndarray of shape (n_bits,)
        Mean of the learned codes, as signs.
    objective_ : ndarray of shape (n_iter + 1,)
        What is minimised (see Notes), for the random codes at the start and after each
        iteration; it never rises.
    n_iter_ : int
        Iterations run.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    KernelSupervisedHashing : Learns from similar and dissimilar pairs.
    ITQ : With ``projection='cca'``, linear and much cheaper.

    Notes
    -----
    The objective, with rows of B, Y and F(X) for items, is ``||Y - B W||^2 +
    reg ||W||^2 + penalty (||B - F(X)||^2 + ridge ||P||^2)``, P the weights of F. A code
    is the sign of F, for training rows as for new ones.

    From the authors' code: the defaults, the ridge penalty on P, at most ten sweeps
    over the bits a step, and that F has an intercept. Ours: the intercept is not
    penalised, each sweep starts from the codes at hand (the authors start from zeros),
    so that the objective never rises, and the choice of `gamma`: the authors set 0.5 /
    0.4^2 for rows of unit length.

    With so small a `penalty` all training rows with the same labels soon share one
    code, and F is little more than a ridge regression on these codes; bits that take
    the same value for all labels are possible.

    There is no `partial_fit`: the codes of all rows change in each iteration. Memory
    beyond X is that of the codes (4 bytes a bit) and a batch of features. Sparse rows
    are not centred before distances are taken, so a column very far from zero costs
    them digits.

    References
    ----------
    F. Shen, C. Shen, W. Liu and H. T. Shen, "Supervised discrete hashing", CVPR 2015
    (with the squared loss).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import SupervisedDiscreteHashing
    >>> X, y = load_digits(return_X_y=True)
    >>> sdh = SupervisedDiscreteHashing(n_bits=16, n_anchors=300, random_state=0)
    >>> sdh.fit(X, y).encode(X)
    PackedCodes(n_samples=1797, n_bits=16)
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "n_anchors": [Integer(1, None)],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "max_iter": [Integer(1, None)],
        "reg": [Interval(Real, 0, None, closed="neither")],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "ridge": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_bits=32,
        *,
        n_anchors=1000,
        gamma=None,
        max_iter=5,
        reg=1.0,
        penalty=1e-5,
        ridge=1e-2,
        random_state=None,
    ):
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.gamma = gamma
        self.max_iter = max_iter
        self.reg = reg
        self.penalty = penalty
        self.ridge = ridge
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Learn the codes of the rows and the function that gives them.

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
            If y is missing, or all rows or all labels are equal.
        """
        batches, Y = self._read_labelled(X, y)
        rng = self._check_random_state()
        self._place_anchors(batches, rng)
        gram = self._factor_gram(batches)
        B = _random_signs((Y.shape[0], self.n_bits), rng)
        products = sum(Phi.T @ B[rows] for rows, Phi in self._features(batches))
        maps = self._fit_maps(B, Y, products, gram)
        objective = [maps.objective]
        with self._iterations((X, y), self.max_iter, _Maps.attributes) as reports:
            for report in reports:
                changed, products = self._update_codes(batches, B, Y, maps)  # B-step
                maps = self._fit_maps(B, Y, products, gram)  # W-step and F-step
                objective.append(maps.objective)
                if report(maps) or not changed:
                    break
        self.__dict__.update(maps.attributes())
        self.objective_, self.n_iter_ = np.array(objective), len(objective) - 1
        return self

    def _factor_gram(self, batches):
        """Find the features' mean; factor ``Phi^T Phi + ridge I``, Phi centred."""
        moments = Moments()
        moments.add(Phi for _, Phi in self._uncentred_features(batches))
        self.mean_ = moments.mean
        self._check_width(moments.n_samples)
        return factor_ridge(moments.scatter, self.ridge, "ridge")

    def _fit_maps(self, B, Y, products, gram):
        """Fit W to codes and labels, and F to features and codes."""
        W = label_weights(B, Y, self.reg)
        P = cho_solve(gram, products)
        intercept = B.mean(axis=0, dtype=np.float64)
        # At the best W, ||Y - B W||^2 + reg ||W||^2 = ||Y||^2 - <W, B^T Y>; P likewise.
        label_error = Y.nnz - np.sum(W * (B.T @ Y))
        code_error = B.size - len(B) * np.sum(intercept**2) - np.sum(P * products)
        return _Maps(W, P, intercept, label_error + self.penalty * code_error)

    def _update_codes(self, batches, B, Y, maps):
        """Improve B in place; tell whether a bit changed, and give ``Phi^T B``."""
        changed, products = False, 0
        for rows, Phi in self._features(batches):
            F = Phi @ maps.P + maps.intercept
            Q = Y[rows] @ maps.W.T + self.penalty * F
            better = descend_bits(B[rows], Q, maps.W)
            changed |= not np.array_equal(B[rows], better)
            B[rows] = better
            products += Phi.T @ better
        return changed, products

    def _project(self, X):
        return super()._project(X) + self.intercept_


class _Maps(NamedTuple):
    """The linear maps that fit given codes best."""

    W: np.ndarray  # (n_bits, n_labels), from codes to labels
    P: np.ndarray  # (n_anchors, n_bits), from centred features to codes
    intercept: np.ndarray  # (n_bits,)
    objective: float

    def attributes(self):
        """Give what a fitted hasher needs."""
        return {"components_": self.P.T, "intercept_": self.intercept}


def _random_signs(shape, rng):
    """Draw signs of equal chance; single precision counts them exactly."""
    return 2 * rng.randint(2, size=shape, dtype=np.int8).astype(np.float32) - 1
