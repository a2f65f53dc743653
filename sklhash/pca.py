"""Principal hyperplanes, plain or randomly rotated."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._sklearn import Integer, StrOptions, fit_context
from .codes import MAX_BITS
from .linear import (
    MAX_COVARIANCE_FEATURES,
    LinearHasher,
    check_covariance_width,
    check_rank,
    like,
    principal_directions,
    random_rotation,
    wide_principal_directions,
)
from .rows import stack
from .streaming import Moments, StreamingHasher


class PCAHashing(StreamingHasher, LinearHasher):
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the principal directions.

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
            If all rows are equal, or, without `rotation`, if the rows vary in fewer
            than `n_bits` directions.
        """
        rows, seen = self._read(X, reset=True, min_samples=2), self._nothing_seen()
        seen.example = rows.example
        if rows.shape[1] > MAX_COVARIANCE_FEATURES:
            rng, whole = np.random.RandomState(seen.seed), stack(list(rows))
            seen.directions = wide_principal_directions(whole, self.n_bits, rng)
        else:
            seen.moments.add(rows)
        return self._learn_now(seen)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Add rows to those learned from.

        However the rows are split, the result is that of one `fit` on all of them, up
        to rounding. Codes encoded before do not compare with codes encoded after.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At most 8,192 features.
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
        seen = seen or self._nothing_seen()
        check_covariance_width(rows.shape[1])
        seen.example = rows.example
        seen.moments.add(rows)
        return self._learn_later(seen)

    def _nothing_seen(self):
        return _Seen(Moments(), self._check_random_state().randint(2**31 - 1))

    def _learn(self, seen, data=None):
        """Find the principal directions, and rotate them."""
        mean, W = seen.directions or (
            seen.moments.mean,
            principal_directions(seen.moments, self.n_bits),
        )
        check_rank(W)
        if self.rotation == "random":
            rng = np.random.RandomState(seen.seed)
            W = random_rotation(len(W), self.n_bits, rng).T @ W
        elif len(W) < self.n_bits:
            raise ValueError(
                f"n_bits={self.n_bits} is more than the {len(W)} directions in which X "
                f"varies: use n_bits<={len(W)}, or rotation='random'"
            )
        return dict(zip(self._learned, like(seen.example, mean, W), strict=True))


@dataclass
class _Seen:
    """What PCAHashing keeps of the rows seen so far."""

    moments: Moments
    seed: int
    example: Any = None
    directions: tuple | None = None  # of rows too wide for moments
