"""Principal hyperplanes, plain or randomly rotated."""

import numpy as np

from ._sklearn import Integer, StrOptions
from .codes import MAX_BITS
from .linear import LinearHasher, like, random_rotation
from .principal import PrincipalHasher


class PCAHashing(PrincipalHasher, LinearHasher):
    """Hash by the signs of the principal components (PCAH, PCA-RR).

    Plain principal components carry very different variances, so later bits are
    worth little; one random rotation balances them and is a strong, cheap baseline.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535. Without `rotation` at most the rank of the centred
        training rows.
    rotation : {None, 'random'}, default=None
        Rotate the components by one random rotation (PCA-RR).
    random_state : int, RandomState instance or None, default=None
        Draws the rotation; None draws a fresh seed from the operating system.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    components_ : ndarray of shape (n_bits, n_features)
        Directions of projection.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    ITQ : Learns the rotation.

    Notes
    -----
    More bits than the rank, with `rotation`, are our extension: the rank's dimensions
    are spread over all bits, as in :class:`ITQ`.

    References
    ----------
    Y. Gong, S. Lazebnik, A. Gordo and F. Perronnin, "Iterative quantization", IEEE
    TPAMI 35(12), 2013, which compares both baselines.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import PCAHashing
    >>> X, _ = load_digits(return_X_y=True)
    >>> PCAHashing(n_bits=16, rotation="random", random_state=0).fit(X).encode(X)
    PackedCodes(n_samples=1797, n_bits=16)
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "rotation": [StrOptions({"random"}), None],
        "random_state": ["random_state"],
    }
    _learned = ("mean_", "components_")

    def __init__(self, n_bits=32, *, rotation=None, random_state=None):
        self.n_bits = n_bits
        self.rotation = rotation
        self.random_state = random_state

    def _learn(self, seen, data=None):
        """Find the principal directions, and rotate them."""
        mean, W, _ = seen.principal_directions(self.n_bits)
        if self.rotation == "random":
            rng = np.random.RandomState(seen.seed)
            W = random_rotation(len(W), self.n_bits, rng).T @ W
        elif len(W) < self.n_bits:
            raise ValueError(
                f"n_bits={self.n_bits} is more than the {len(W)} directions in which X "
                f"varies: use n_bits<={len(W)}, or rotation='random'"
            )
        return dict(zip(self._learned, like(seen.example, mean, W), strict=True))
