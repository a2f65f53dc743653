"""Which rows count as alike, decided on the cosines of their features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches

#: Bins of SSDH's histogram: width 0.01, from -1e-8 on.
BIN_WIDTH, FIRST_EDGE = 0.01, -1e-8

Rows = NDArray[np.floating]


def cosine_distances_of_pairs(features: Rows) -> Iterator[NDArray[np.float64]]:
    """Cosine distances of all pairs of different rows, block by block.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)

    Yields
    ------
    distances : ndarray of shape (n_pairs_in_block,), dtype float64, in [0, 2]
        Each unordered pair comes once.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash.deep.similarity import cosine_distances_of_pairs
    >>> features = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    >>> np.concatenate(list(cosine_distances_of_pairs(features)))
    array([1., 2., 1.])
    """
    unit = normalize(np.asarray(features, dtype=np.float64))
    for rows in gen_batches(len(unit), max(1, 2**21 // len(unit))):
        cosines = unit[rows] @ unit[rows.start :].T
        n, m = cosines.shape
        first, second = np.triu_indices(n, k=1, m=m)
        yield np.clip(1 - cosines[first, second], 0, 2)


def similarity_threshold(features: Rows, quantile: float = 0.9) -> float:
    """Cosine that a share of the pairs of different rows do not reach.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
        At least two rows.
    quantile : float, default=0.9
        This share.

    Returns
    -------
    threshold : float, in [-1, 1]

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash.deep.similarity import similarity_threshold
    >>> X, _ = load_digits(return_X_y=True)
    >>> round(similarity_threshold(X - X.mean(axis=0), quantile=0.9), 3)
    0.357
    """
    distances = np.concatenate(list(cosine_distances_of_pairs(features)))
    return float(1 - np.quantile(distances, 1 - quantile))


def half_gaussian_bounds(features: Rows, width: float = 2.0) -> tuple[float, float]:
    """Cosine distances below and above which SSDH calls a pair alike or different.

    The fullest bin of the histogram of all distances is taken for its top m. Each half
    of the histogram is fitted by a Gaussian with mean m; with both halves mirrored at
    m, its variance is the mean of ``(d - m)^2`` over that half.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
        At least two rows.
    width : float, default=2.0
        Standard deviations from m to each bound; alpha and beta in the paper.

    Returns
    -------
    similar, dissimilar : float
        ``m - width sigma_left`` and ``m + width sigma_right``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash.deep.similarity import half_gaussian_bounds
    >>> X, _ = load_digits(return_X_y=True)
    >>> similar, dissimilar = half_gaussian_bounds(X - X.mean(axis=0))
    >>> round(similar, 3), round(dissimilar, 3)
    (0.422, 1.492)
    """
    n_bins = round(2 / BIN_WIDTH) + 1
    edges = FIRST_EDGE + BIN_WIDTH * np.arange(n_bins + 1)
    counts = np.zeros(n_bins)
    for d in cosine_distances_of_pairs(features):
        counts += np.histogram(d, edges)[0]
    m = edges[np.argmax(counts)]  # its left edge, as in the authors' code

    n, squares = np.zeros(2), np.zeros(2)
    for d in cosine_distances_of_pairs(features):
        side = (d > m).astype(np.intp)
        n += np.bincount(side, minlength=2)
        squares += np.bincount(side, (d - m) ** 2, minlength=2)
    left, right = np.sqrt(squares / np.maximum(n, 1))
    return float(m - width * left), float(m + width * right)
