"""Isotropic hashing: rotate the principal components to equal variances."""

import warnings
from numbers import Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._sklearn import Integer, Interval
from .base import quiet
from .codes import MAX_BITS
from .linear import LinearHasher, like, random_rotation
from .principal import PrincipalHasher


def lift_and_project(Lambda, R):
    """One step towards a rotation that gives all bits the same variance.

    The covariance ``Z = R^T Λ R`` is moved to the nearest matrix of constant diagonal
    and from there to the nearest matrix with the eigenvalues Λ.

    Parameters
    ----------
    Lambda : ndarray of shape (n_bits,), dtype float64
        Variances of the principal components, largest first.
    R : ndarray of shape (n_bits, n_bits), dtype float64
        A rotation.

    Returns
    -------
    R : ndarray of shape (n_bits, n_bits), dtype float64
        The next rotation.
    """
    T = R.T @ (Lambda[:, None] * R)  # Z
    np.fill_diagonal(T, Lambda.mean())  # lift
    _, Q = np.linalg.eigh(T)
    Q = Q[:, ::-1]  # largest eigenvalue first, as in Λ
    # Project: Z = Q Λ Q^T whatever the signs of the eigenvectors, but the codes depend
    # on them. LAPACK's signs are arbitrary; those next to R are not.
    return np.copysign(1, np.sum(R * Q.T, axis=1))[:, None] * Q.T


def isotropic_rotation(Lambda, R, max_iter, tol, reports=None):
    """Find a rotation that gives all bits the same variance, by lift and projection.

    Parameters
    ----------
    Lambda : ndarray of shape (n_bits,), dtype float64
        Variances of the principal components, largest first.
    R : ndarray of shape (n_bits, n_bits), dtype float64
        The rotation to start from.
    max_iter : int
    tol : float
        Stop once no variance differs from their mean by more than this share of it.
    reports : iterable of callable, default=None
        One for each rotation, called with it; true to stop.

    Returns
    -------
    R : ndarray of shape (n_bits, n_bits), dtype float64
        The covariance of the rotated components is ``R^T Λ R``.
    gaps : ndarray of shape (n_iter,), dtype float64
        Largest difference between a variance and their mean, as a share of the mean,
        for each rotation from that given to that returned.
    """
    gaps = []
    for report in quiet(max_iter) if reports is None else reports:
        if gaps:
            R = lift_and_project(Lambda, R)
        gaps.append(_gap(Lambda, R))
        if report(R) or gaps[-1] <= tol:
            return R, np.array(gaps)
    warnings.warn(
        f"IsotropicHashing stopped at max_iter={max_iter} with variances that differ "
        f"from their mean by {gaps[-1]:.1e} of it, more than tol={tol}: raise max_iter "
        "or tol, or change random_state",
        ConvergenceWarning,
        stacklevel=7,  # the caller of `fit`
    )
    return R, np.array(gaps)


def _gap(Lambda, R):
    a = Lambda.mean()
    variances = Lambda @ R**2  # the diagonal of Z = R^T Λ R
    return np.abs(variances - a).max() / a


class IsotropicHashing(PrincipalHasher, LinearHasher):
    """Isotropic hashing (IsoHash): principal components rotated to equal variances.

    Principal components carry very different variances, so that later bits are worth
    little. Here they are rotated so that all bits carry the same variance; the codes
    are the signs.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535; at most the rank of the centred training rows.
    max_iter : int, default=1000
        Rotations tried at most, the random one that comes first included.
    tol : float, default=1e-7
        Stop once no bit's variance is off their mean by more than this share of it.
    random_state : int, RandomState instance or None, default=None
        Draws the first rotation; None draws a fresh seed from the operating system.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    components_ : ndarray of shape (n_bits, n_features)
        Directions of projection, rotation included.
    rotation_ : ndarray of shape (n_bits, n_bits)
        The rotation found.
    variance_gap_ : ndarray of shape (n_iter,)
        Largest difference between a bit's variance and their mean, as a share of the
        mean, for each rotation tried.
    n_iter_ : int
        Rotations tried.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    PCAHashing : The same without rotation, or with a random one.
    ITQ : A rotation learned for small quantization error; takes more bits than rank.

    Notes
    -----
    The rotation is found by the paper's first method, lift and projection; its second,
    a gradient flow, is not built. Many rotations make the variances equal; which one is
    found depends on the first.

    No first rotation that we followed stalled. Most get there in 15 to 200 iterations,
    or in up to 15 times `n_bits` where few variances are far larger than the rest.
    About one in a thousand takes more than 1000, and one in twenty where four variances
    have only two values; a ConvergenceWarning tells.

    After `partial_fit` the attributes are learned when they are next needed, and codes
    encoded before it do not compare with codes encoded after. So that `partial_fit`
    can go on from `fit`, a fitted hasher keeps the covariance matrix in memory;
    pickles and copies leave it out.

    With scikit-learn's ``array_api_dispatch``, arrays of other namespaces are summed
    and hashed where they lie; the rotation is found on the CPU. `set_callbacks` takes
    scikit-learn's callbacks, which see each rotation tried.

    References
    ----------
    W. Kong and W.-J. Li, "Isotropic hashing", NIPS 2012. `tol`, `max_iter` and the
    choice of the eigenvectors' signs are ours.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import IsotropicHashing
    >>> X, _ = load_digits(return_X_y=True)
    >>> isohash = IsotropicHashing(n_bits=16, random_state=0).fit(X)
    >>> variances = isohash.decision_function(X).var(axis=0)
    >>> float((variances.max() / variances.min()).round(6))
    1.0
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "max_iter": [Integer(1, None)],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }
    _learned = ("mean_", "components_", "rotation_", "variance_gap_", "n_iter_")

    def __init__(self, n_bits=32, *, max_iter=1000, tol=1e-7, random_state=None):
        self.n_bits = n_bits
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def _learn(self, seen, data=None):
        """Learn the projection, then the rotation, and fold both into one."""
        mean, W, Lambda = seen.principal_directions(self.n_bits)
        if len(W) < self.n_bits:
            raise ValueError(
                f"n_bits={self.n_bits} is more than the {len(W)} directions in which X "
                f"(n_features={self.n_features_in_}) varies: use n_bits<={len(W)}, or "
                "ITQ, which takes any number"
            )

        def fitted(R):
            names = "mean_", "components_", "rotation_"
            return dict(zip(names, like(seen.example, mean, R.T @ W, R), strict=True))

        R = random_rotation(len(W), len(W), np.random.RandomState(seen.seed))
        with self._iterations(data, self.max_iter, fitted) as reports:
            R, gaps = isotropic_rotation(Lambda, R, self.max_iter, self.tol, reports)
        (curve,) = like(seen.example, gaps)
        return fitted(R) | {"variance_gap_": curve, "n_iter_": len(gaps)}
