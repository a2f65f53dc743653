"""Search in a gallery that is cut into shards, by several processes or machines."""

from ._merge import merge_neighbors
from ._scores import score_shards
from ._search import search_shards, search_shards_within

__all__ = ["merge_neighbors", "score_shards", "search_shards", "search_shards_within"]
