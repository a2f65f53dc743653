"""Random hyperplanes: locality-sensitive hashing for angles."""

import numpy as np
from sklearn.utils.validation import validate_data

from ._sklearn import Integer, fit_context
from .base import FLOATS
from .codes import MAX_BITS
from .linear import LinearHasher, random_rotation


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
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
        X = validate_data(self, X, accept_sparse="csr", dtype=FLOATS)
        rng, n_features = self._check_random_state(), X.shape[1]
        self.mean_ = np.zeros(n_features)
        if self.center:
            with np.errstate(over="ignore"):
                self.mean_ = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
            if not np.isfinite(self.mean_).all():
                raise ValueError("X is so large that its mean overflows: scale it down")
        if self.orthogonal:
            self.components_ = _orthogonal_blocks(self.n_bits, n_features, rng)
        else:
            self.components_ = rng.standard_normal((self.n_bits, n_features))
        return self


def _orthogonal_blocks(n_bits, n_features, rng):
    """Stack as many random rotations as it takes, the last one cut short."""
    sizes = [min(n_features, n_bits - start) for start in range(0, n_bits, n_features)]
    return np.concatenate([random_rotation(n, n_features, rng) for n in sizes])
