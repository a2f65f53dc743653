"""Shards, and queries that fit them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from sklhash.codes import PackedCodes, as_packed
from sklhash.hamming import METRICS
from sklhash.projections import as_projections

#: A shard: codes, or the path of a file of codes.
Shard = PackedCodes | str | os.PathLike[str]


class Sharded(NamedTuple):
    """Queries and the shards of a gallery, checked against each other.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8, or, for asymmetric \
            distances, of shape (n_queries, n_bits), dtype float64
    n_bits : int
    shards : list of PackedCodes or path
    sizes : list of int
        Codes of each shard.
    """

    queries: NDArray[Any]
    n_bits: int
    shards: list[Shard]
    sizes: list[int]

    @classmethod
    def from_input(cls, queries: Any, shards: Iterable[Shard], metric: str) -> Sharded:
        """Check everything before anything is searched.

        Parameters
        ----------
        queries, shards, metric
            As in :func:`sklhash.search_shards`.

        Returns
        -------
        Sharded
        """
        if metric not in (*METRICS, "asymmetric"):
            raise ValueError(
                f"metric must be one of {', '.join(METRICS)}, asymmetric; got "
                f"{metric!r}"
            )
        checked = _check_shards(shards)
        values, n_bits = _check_queries(queries, metric)
        return cls(values, n_bits, checked, _sizes(checked, n_bits))

    def without_empty(self) -> Sharded:
        """Leave out the shards without codes, or all but the first if none has any."""
        kept = [i for i, size in enumerate(self.sizes) if size] or [0]
        return self._replace(
            shards=[self.shards[i] for i in kept], sizes=[self.sizes[i] for i in kept]
        )


def open_shard(shard: Shard) -> PackedCodes:
    """Map a file; codes in memory are what they are.

    Parameters
    ----------
    shard : PackedCodes or path

    Returns
    -------
    PackedCodes
    """
    if isinstance(shard, PackedCodes):
        return shard
    return PackedCodes.load(shard, mmap_mode="r")


def _check_shards(shards: Any) -> list[Shard]:
    if isinstance(shards, PackedCodes | str | os.PathLike):
        raise TypeError("shards must be a sequence of PackedCodes or paths; got one")
    shards = list(shards)
    if not shards:
        raise ValueError("shards is empty: give PackedCodes or paths of saved ones")
    for shard in shards:
        if not isinstance(shard, PackedCodes | str | os.PathLike):
            raise TypeError(
                "shards must be PackedCodes, or paths of files that PackedCodes.save "
                f"wrote; got {type(shard).__name__}"
            )
    return shards


def _check_queries(queries: Any, metric: str) -> tuple[NDArray[Any], int]:
    if metric == "asymmetric":
        projections = as_projections(queries, "queries")
        return projections, projections.shape[1]
    codes = as_packed(queries, "queries")
    return codes.packed, codes.n_bits


def _sizes(shards: list[Shard], n_bits: int) -> list[int]:
    sizes = []
    for place, shard in enumerate(shards):
        opened = open_shard(shard)
        if opened.n_bits != n_bits:
            raise ValueError(
                f"queries have {n_bits} bits, but shard {place} has {opened.n_bits}"
            )
        sizes.append(len(opened))
    return sizes
