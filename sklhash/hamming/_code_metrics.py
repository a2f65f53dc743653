"""Code metrics: how the differing bits of two codes become their distance.

Search and counting walk through blocks of differing bits and leave the rest to a
metric that is bound to the codes. Its methods take bits, or what became of them, and
the pairs that they belong to: `query` and `position` index queries and gallery and
broadcast, so :data:`EVERY_QUERY` and a slice of the gallery stand for a whole block.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._blocks import Packed, count_set_bits
from ._checks import check_n_bits

#: Index of all queries, as a column.
EVERY_QUERY = np.s_[:, None]

#: Longest codes whose spherical distances are listed: there are half a million of them.
MAX_LISTED_BITS = 1024

#: Longest codes whose spherical keys float32 tells apart; float64 does at any length.
# For two different keys x = h / (5 s + 1) > y = h' / (5 s' + 1), see `SphericalMetric`,
# x - y >= x / (h (5 s' + 1)) >= x / (n (10 n + 1)) with codes of n bits. Where this is
# above the spacing of floats at x, at most 2**-23 x, rounding cannot make them equal:
# n (10 n + 1) < 2**23. For float64, n (10 n + 1) < 2**52 holds up to 65,535 bits.
FLOAT32_BITS = 915


class CodeMetric(Protocol):
    """What search and counting ask of a metric.

    Keys and ranks order pairs as their distances do, and are equal where those are.
    Keys are what whole blocks are compared by; ranks are whole numbers.
    """

    @property
    def dtype(self) -> DTypeLike:
        """Type that distances are returned in."""

    @property
    def n_ranks(self) -> int:
        """One more than the largest rank there can be."""

    def of_queries(self, rows: slice) -> CodeMetric:
        """Bind the metric to a batch of its queries."""

    def keys(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        """Give the keys of pairs that differ in so many bits."""

    def largest_key(self, radius: Any) -> Any:
        """Give the key of the largest distance that does not exceed the radius."""

    def ranks(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        """Give the ranks of pairs that differ in so many bits."""

    def bits(self, ranks: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        """Give the differing bits of pairs of these ranks."""

    def distances(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        """Give the distances of pairs that differ in so many bits."""


class HammingMetric(NamedTuple):
    """The number of differing bits: distance, key and rank in one."""

    n_bits: int

    @classmethod
    def bind(cls, queries: Packed, gallery: Packed) -> HammingMetric:
        return cls(8 * queries.shape[1])

    @property
    def dtype(self) -> DTypeLike:
        return np.int32

    @property
    def n_ranks(self) -> int:
        return self.n_bits + 1

    def of_queries(self, rows: slice) -> HammingMetric:
        return self

    def keys(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        return bits

    def largest_key(self, radius: Any) -> Any:
        return radius

    def ranks(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        return bits

    def bits(self, ranks: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        return ranks

    def distances(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        return bits


class SphericalMetric(NamedTuple):
    """Differing bits divided by common ones plus 0.1, exact until one last division.

    Of two codes with s set bits together, h of which differ, (s - h) / 2 are common, so
    the distance is 10 h / (5 (s - h) + 1). It grows with the key h / (5 s + 1). Floats
    are divided with correct rounding: equal fractions give equal floats.
    """

    n_bits: int
    query_bits: NDArray[np.int64]
    gallery_bits: NDArray[np.int64]

    @classmethod
    def bind(cls, queries: Packed, gallery: Packed) -> SphericalMetric:
        n_bits = 8 * queries.shape[1]
        return cls(n_bits, count_set_bits(queries), count_set_bits(gallery))

    @property
    def dtype(self) -> DTypeLike:
        return np.float64

    @property
    def n_ranks(self) -> int:
        return self._scale // 5 + 1  # h <= s, so keys are below 1/5

    def of_queries(self, rows: slice) -> SphericalMetric:
        return self._replace(query_bits=self.query_bits[rows])

    def keys(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        # Whole numbers in floats; converted before the sum makes a block of them.
        first = (5 * self.query_bits[query] + 1).astype(self._float)
        second = (5 * self.gallery_bits[position]).astype(self._float)
        return self._divide(bits, first + second)

    def largest_key(self, radius: Any) -> Any:
        common = np.arange(self.n_bits + 1)
        radius = min(radius, 10 * self.n_bits)  # no distance is larger
        about = np.floor(radius * (common + 0.1))
        around = about + np.array([[-1], [0], [1]])  # the product was rounded
        bits = np.clip(around, 0, self.n_bits - common).astype(np.int64)
        keys = self._divide(bits, 5 * (bits + 2 * common) + 1)
        return keys[spherical_distances(bits, common) <= radius].max(initial=-1)

    def ranks(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        return bits * np.int64(self._scale) // self._denominators(query, position)

    def bits(self, ranks: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        # `ranks` rounded down, by less than what one bit makes.
        return -(-ranks * self._denominators(query, position) // self._scale)

    def distances(self, bits: NDArray[Any], query: Any, position: Any) -> NDArray[Any]:
        set_bits = self.query_bits[query] + self.gallery_bits[position]
        return spherical_distances(bits, (set_bits - bits) // 2)

    @property
    def _float(self) -> Any:
        return np.float32 if self.n_bits <= FLOAT32_BITS else np.float64

    @property
    def _scale(self) -> int:
        """Ranks in a key of 1: two different keys are at least a rank apart."""
        return (10 * self.n_bits + 1) ** 2

    def _divide(self, bits: NDArray[Any], denominators: NDArray[Any]) -> NDArray[Any]:
        return np.divide(bits, denominators, dtype=self._float)

    def _denominators(self, query: Any, position: Any) -> NDArray[np.int64]:
        return 5 * (self.query_bits[query] + self.gallery_bits[position]) + 1


METRICS: dict[str, Any] = {"hamming": HammingMetric, "spherical": SphericalMetric}


def bind_metric(metric: str, queries: Packed, gallery: Packed) -> CodeMetric:
    """Bind a metric to the codes that it will compare.

    Parameters
    ----------
    metric : {'hamming', 'spherical'}
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8

    Returns
    -------
    CodeMetric

    Raises
    ------
    ValueError
        If there is no such metric.
    """
    return _find(metric).bind(queries, gallery)


def possible_distances(n_bits: int, *, metric: str = "hamming") -> NDArray[Any]:
    """List the distances that codes of so many bits can have.

    Parameters
    ----------
    n_bits : int
    metric : {'hamming', 'spherical'}, default='hamming'

    Returns
    -------
    distances : ndarray of shape (n_distances,), dtype intp or float64
        Ascending. Hamming: 0 to `n_bits`. Spherical: about half the square of `n_bits`
        of them.

    Raises
    ------
    ValueError
        If there is no such metric, or spherical distances are asked for of codes of
        more than 1,024 bits.

    Examples
    --------
    >>> from sklhash.hamming import possible_distances
    >>> possible_distances(3)
    array([0, 1, 2, 3])
    >>> possible_distances(3, metric="spherical").round(2)
    array([ 0.  ,  0.48,  0.91,  1.82, 10.  , 20.  , 30.  ])
    """
    check_n_bits(n_bits)
    if _find(metric) is HammingMetric:
        return np.arange(n_bits + 1)
    if n_bits > MAX_LISTED_BITS:
        raise ValueError(
            "spherical distances can be listed and counted for codes of up to "
            f"{MAX_LISTED_BITS} bits; got n_bits={n_bits}"
        )
    return _possible_spherical(n_bits).copy()


def spherical_distances(
    bits: NDArray[Any], common: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Spherical Hamming distances, rounded correctly.

    Parameters
    ----------
    bits : ndarray of integers
        Differing bits.
    common : ndarray of dtype int64
        Bits that both codes set; broadcasts with `bits`.

    Returns
    -------
    distances : ndarray, dtype float64
        ``bits / (common + 0.1)``.
    """
    return np.multiply(bits, 10, dtype=np.int64) / (10 * common + 1)


def _find(metric: str) -> Any:
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}")
    return METRICS[metric]


@lru_cache(maxsize=4)
def _possible_spherical(n_bits: int) -> NDArray[np.float64]:
    counts = np.arange(n_bits + 1)
    bits, common = np.nonzero(counts[:, None] + counts <= n_bits)
    return np.unique(spherical_distances(bits, common))
