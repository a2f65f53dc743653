"""Spectral hashing: thresholded eigenfunctions along the principal directions."""

import numpy as np

from ._sklearn import Integer, StrOptions
from .codes import MAX_BITS
from .linear import project, project_in_float64
from .principal import PrincipalHasher

#: Share of the rows that ``range='quantile'`` leaves out at each end.
TAIL = 0.005


def smallest_modes(ranges, n_bits):
    """Choose the eigenfunctions of smallest eigenvalue, one direction each.

    Mode m of a direction of range R has the eigenvalue
    ``1 - exp(-eps^2 / 2 |m pi / R|^2)``, which rises with m / R whatever eps is.

    Parameters
    ----------
    ranges : ndarray of shape (n_directions,)
        Extents of the data along each direction; not all 0.
    n_bits : int

    Returns
    -------
    directions : ndarray of shape (n_bits,), dtype intp
    modes : ndarray of shape (n_bits,), dtype intp
        From 1; the constant mode 0 is left out.
    """
    n_modes = np.ceil((n_bits + 1) * ranges / ranges.max()).astype(int) - 1
    n_modes = np.maximum(n_modes, 0)  # directions in which nothing varies have none
    directions = np.repeat(np.arange(len(ranges)), n_modes)
    modes = np.concatenate([np.arange(1, count + 1) for count in n_modes])
    frequencies = modes * np.pi / ranges[directions]
    order = np.argsort(frequencies**2, kind="stable")[:n_bits]
    return directions[order], modes[order]


def eigenfunctions(V, lower, ranges, directions, modes, clip=False):
    """Evaluate ``sin(pi/2 + m pi / R (v - a)) = cos(m pi / R (v - a))``.

    Parameters
    ----------
    V : ndarray of shape (n_samples, n_directions)
        Projected rows.
    lower, ranges : ndarray of shape (n_directions,)
        Where the data begin along each direction, and how far they reach.
    directions, modes : ndarray of shape (n_bits,)
    clip : bool, default=False
        Move rows outside the range to its ends. Without it the functions repeat.

    Returns
    -------
    values : ndarray of shape (n_samples, n_bits), dtype float64
    """
    position = (V[:, directions] - lower[directions]) / ranges[directions]
    if clip:
        position = np.clip(position, 0, 1)
    return np.cos(modes * np.pi * position)


class SpectralHashing(PrincipalHasher):
    """Spectral hashing (SH).

    If the data filled a box along their principal directions, the best balanced and
    uncorrelated codes would be the signs of its Laplacian's eigenfunctions: cosines
    along one direction each, of low frequency first. Long directions get several bits.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535; may exceed the number of features.
    range : {'minmax', 'quantile'}, default='minmax'
        How far the data reach along a direction. ``'minmax'``: from the least to the
        greatest training row, as in the authors' code; rows beyond wrap around.
        ``'quantile'``: between the 0.5 % and 99.5 % quantiles, and rows beyond are
        moved to the ends, which is ours; it helps where outliers stretch the range.
    max_samples : int or None, default=32768
        Rows kept, drawn at random, to find quantiles and, after `partial_fit`, any
        range; None keeps all. `fit` takes least and greatest over all rows.
    random_state : int, RandomState instance or None, default=None
        Draws that sample, and nothing else; None draws a fresh seed from the operating
        system.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    components_ : ndarray of shape (n_directions, n_features)
        Principal directions, at most `n_bits`.
    lower_bounds_ : ndarray of shape (n_directions,)
        Where the data begin along each direction, from the mean.
    ranges_ : ndarray of shape (n_directions,)
        How far they reach.
    directions_ : ndarray of shape (n_bits,), dtype intp
        Direction of each bit.
    modes_ : ndarray of shape (n_bits,), dtype intp
        Half periods of each bit's cosine over the range; from 1.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    ITQ : Usually ranks better; its directions are rotated instead.

    Notes
    -----
    Quality often falls as codes grow: late bits are fast cosines of few directions.

    After `partial_fit` the attributes are learned when they are next needed, and codes
    encoded before it do not compare with codes encoded after.

    References
    ----------
    Y. Weiss, A. Torralba and R. Fergus, "Spectral hashing", NIPS 2008. The choice of
    single-direction modes and of the range: the authors' ``trainSH.m``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import SpectralHashing
    >>> X, _ = load_digits(return_X_y=True)
    >>> hasher = SpectralHashing(n_bits=8).fit(X)
    >>> hasher.directions_
    array([3, 0, 2, 1, 4, 6, 7, 5])
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "range": [StrOptions({"minmax", "quantile"})],
        "max_samples": [Integer(2, None), None],
        "random_state": ["random_state"],
    }
    _learned = (
        "mean_",
        "components_",
        "lower_bounds_",
        "ranges_",
        "directions_",
        "modes_",
    )

    def __init__(
        self, n_bits=32, *, range="minmax", max_samples=32768, random_state=None
    ):
        self.n_bits = n_bits
        self.range = range
        self.max_samples = max_samples
        self.random_state = random_state

    def _learn(self, seen, data=None):
        """Find the box around the projected rows, and its slowest eigenfunctions."""
        mean, W, _ = seen.principal_directions(self.n_bits)
        if self.range == "quantile":
            V = project_in_float64(seen.sample.rows, mean, W)
            a, b = np.quantile(V, (TAIL, 1 - TAIL), axis=0)
        elif data is None:  # a stream: the rows have gone
            a, b = _extent([seen.sample.rows], mean, W)
        else:
            a, b = _extent(self._read(data[0], reset=False), mean, W)
        if not np.any(b > a):
            raise ValueError("99 % of the rows of X are equal: use range='minmax'")
        learned = mean, W, a, b - a, *smallest_modes(b - a, self.n_bits)
        return dict(zip(self._learned, learned, strict=True))

    def _project(self, X):
        V = project(X, self.mean_, self.components_)
        return eigenfunctions(
            V.astype(np.float64, copy=False),
            self.lower_bounds_,
            self.ranges_,
            self.directions_,
            self.modes_,
            clip=self.range == "quantile",
        )

    @property
    def _n_features_out(self):
        return len(self.modes_)


def _extent(batches, mean, W):
    """Least and greatest projections of all rows."""
    extents = []
    for X in batches:
        V = project_in_float64(X, mean, W)
        extents.append((V.min(axis=0), V.max(axis=0)))
    lowest, highest = zip(*extents, strict=True)
    return np.min(lowest, axis=0), np.max(highest, axis=0)
