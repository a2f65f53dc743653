"""Exact search and counting in Hamming space: packed arrays in, arrays out.

Codes come as the rows of uint8 arrays (:attr:`sklhash.PackedCodes.packed`). Distances
are numbers of differing bits, or spherical with ``metric="spherical"``: differing bits
divided by common ones plus 0.1. A ranking is ordered by (distance, position), exactly,
so it is the same whatever the block sizes and the number of jobs.
"""

from ._asymmetric import asymmetric_top_k, asymmetric_within_radius
from ._blocks import count_set_bits
from ._code_metrics import MAX_LISTED_BITS, METRICS, possible_distances
from ._distances import distances, paired_distances
from ._histograms import (
    HistogramCounter,
    count_shared_labels,
    histograms,
    occurring_histograms,
)
from ._index import ALGORITHMS, GalleryIndex
from ._lookup_tables import asymmetric_distances
from ._search import top_k, within_radius

__all__ = [
    "ALGORITHMS",
    "MAX_LISTED_BITS",
    "METRICS",
    "GalleryIndex",
    "HistogramCounter",
    "asymmetric_distances",
    "asymmetric_top_k",
    "asymmetric_within_radius",
    "count_set_bits",
    "count_shared_labels",
    "distances",
    "histograms",
    "occurring_histograms",
    "paired_distances",
    "possible_distances",
    "top_k",
    "within_radius",
]
