"""Exact search and counting in Hamming space: packed arrays in, arrays out.

Codes come as the rows of uint8 arrays (:attr:`sklhash.PackedCodes.packed`); distances
are numbers of differing bits. A ranking is ordered by (distance, position), so it is
the same whatever the block sizes and the number of jobs.
"""

from ._blocks import distances, paired_distances
from ._histograms import count_shared_labels, histograms
from ._search import top_k, within_radius

__all__ = [
    "count_shared_labels",
    "distances",
    "histograms",
    "paired_distances",
    "top_k",
    "within_radius",
]
