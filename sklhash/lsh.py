"""Random hyperplanes: locality-sensitive hashing for angles."""

import numpy as np
from scipy.sparse import issparse

from ._sklearn import Integer, fit_context, get_namespace_and_device, move_to
from .codes import MAX_BITS
from .linear import LinearHasher, like, random_rotation
from .rows import astype, float_dtypes


class RandomHyperplaneHashing(LinearHasher):
    """Hash by the sides of random hyperplanes (LSH, SimHash).

    Nothing is learned but the mean. Two rows differ in a bit with probability
    angle / pi, the angle seen from the mean (or from the origin), so their distance in
    bits estimates the angle.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535; may exceed the number of features.
    center : bool, default=True
        Lay the hyperplanes through the mean of the training rows instead of the
        origin.
    orthogonal : bool, default=False
        Make the hyperplanes' normals orthogonal, in blocks of `n_features`, which
        lowers the variance of the distance (super-bit LSH).
    random_state : int, RandomState instance or None, default=None
        Draws the hyperplanes; None draws a fresh seed from the operating system.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows; zeros without `center`.
    components_ : ndarray of shape (n_bits, n_features)
        Normals of the hyperplanes.
    n_samples_seen_ : int
        Rows that the mean is taken over.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    PCAHashing : The sides of the principal hyperplanes.
    ITQ : Rotated principal hyperplanes.

    References
    ----------
    M. S. Charikar, "Similarity estimation techniques from rounding algorithms", STOC
    2002. Orthogonal blocks: J. Ji, J. Li, S. Yan, B. Zhang and Q. Tian, "Super-bit
    locality-sensitive hashing", NIPS 2012. Centring is the hashing literature's habit.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import RandomHyperplaneHashing
    >>> X, _ = load_digits(return_X_y=True)
    >>> hasher = RandomHyperplaneHashing(n_bits=16, random_state=0).fit(X)
    >>> hasher.encode(X)
    PackedCodes(n_samples=1797, n_bits=16)
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "center": ["boolean"],
        "orthogonal": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(self, n_bits=32, *, center=True, orthogonal=False, random_state=None):
        self.n_bits = n_bits
        self.center = center
        self.orthogonal = orthogonal
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Draw the hyperplanes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : object
        """
        rows = self._read(X, reset=True)
        mean = _mean(rows) if self.center else np.zeros(rows.shape[1])
        normals = self._draw_normals(rows.shape[1])
        self.mean_, self.components_ = like(rows.X, mean, normals)
        self.n_samples_seen_ = rows.shape[0]
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Add rows to the mean; the first rows draw the hyperplanes.

        Codes encoded before do not compare with codes encoded after, as the mean
        moves.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : object
        """
        if not hasattr(self, "components_"):
            return self.fit(X)
        rows = self._read(X, reset=False)
        if self.center:
            total = self.n_samples_seen_ + rows.shape[0]
            delta = like(rows.X, _mean(rows))[0] - self.mean_
            self.mean_ = self.mean_ + delta * (rows.shape[0] / total)
        self.n_samples_seen_ += rows.shape[0]
        return self

    def _draw_normals(self, n_features):
        rng = self._check_random_state()
        if self.orthogonal:
            return _orthogonal_blocks(self.n_bits, n_features, rng)
        return rng.standard_normal((self.n_bits, n_features))


def _mean(rows):
    """Mean of all rows, each batch in double precision.

    Parameters
    ----------
    rows : Batches

    Returns
    -------
    mean : ndarray of shape (n_features,)
    """
    total = np.zeros(rows.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for X in rows:
            total += _sum(X) / rows.shape[0]
    if not np.isfinite(total).all():
        raise ValueError("X is so large that its mean overflows: scale it down")
    return total


def _sum(X):
    if issparse(X):
        return np.asarray(X.sum(axis=0, dtype=np.float64)).ravel()
    xp, _, _ = get_namespace_and_device(X)
    total = xp.sum(astype(X, float_dtypes(X)[0]), axis=0)
    return move_to(total, xp=np, device="cpu")


def _orthogonal_blocks(n_bits, n_features, rng):
    """Stack as many random rotations as it takes, the last one cut short."""
    sizes = [min(n_features, n_bits - start) for start in range(0, n_bits, n_features)]
    return np.concatenate([random_rotation(n, n_features, rng) for n in sizes])
