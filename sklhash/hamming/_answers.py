"""The two searches, by number of neighbours and by radius, as an index sees them.

Both can scan a gallery and look queries up in tables of it. Here answers are *keys*,
``distance << 32 | position``, so that sorting puts them in order; of a query within a
radius there are any number.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _search
from ._blocks import Packed
from ._multi_index import FULL, MAX_TABLE_BITS, Tables, Words, look_up

Rows = NDArray[np.intp]

#: Places for the answers of a query within a radius at first, and how many times more
#: when they are full; and places for all queries that are looked up together.
RADIUS_ROOM, MORE_ROOM, BATCH_ROOM = 2**10, 16, 2**20
NONE = np.empty(0, np.uint64)


class TopK(NamedTuple):
    """The search of :func:`sklhash.hamming.top_k`."""

    k: int

    @property
    def n_wanted(self) -> int:
        """Answers a query, at least."""
        return self.k

    @property
    def kind(self) -> Hashable:
        """What searches of about equal cost have in common."""
        return "top_k", self.k.bit_length()

    def scan(self, queries: Packed, gallery: Packed, n_jobs: int | None) -> Any:
        """Compare with all codes; a gallery smaller than k is returned in full."""
        k = min(self.k, len(gallery))
        return _search.top_k(queries, gallery, k, n_jobs=n_jobs)

    def look_up(
        self, tables: Tables, queries: Words, budget: float, n_jobs: int | None
    ) -> tuple[Words, NDArray[np.bool_]]:
        """Give the keys, and which queries are answered."""
        k = min(self.k, int(tables.n_codes))
        keys, found = look_up(tables, queries, k, budget=budget, n_jobs=n_jobs)
        keys.sort(axis=1)
        return keys, found == k

    def select(self, keys: Words, rows: Rows) -> Words:
        """Give the keys of some queries."""
        return keys[rows]

    def merge(self, keys: Words, scanned: Any, first: int) -> Words:
        """Add what a scan of the codes from position `first` on has found."""
        keys = np.concatenate([keys, _to_keys(scanned[0], scanned[1] + first)], axis=1)
        keys.sort(axis=1)
        return keys[:, : self.k]

    def assemble(self, looked: Rows, keys: Words, left: Rows, scanned: Any) -> Any:
        """Put the answers of both kinds of queries in the queries' order."""
        if not len(left):
            return _from_keys(keys)
        shape = len(looked) + len(left), self.k
        distances, positions = np.empty(shape, np.int32), np.empty(shape, np.intp)
        distances[looked], positions[looked] = _from_keys(keys)
        distances[left], positions[left] = scanned
        return distances, positions

    def join(self, parts: list[Any]) -> Any:
        """Put the answers of batches one after the other."""
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


class WithinRadius(NamedTuple):
    """The search of :func:`sklhash.hamming.within_radius`."""

    radius: float

    @property
    def n_wanted(self) -> int:
        """Answers a query, at least."""
        return 0

    @property
    def kind(self) -> Hashable:
        """What searches of about equal cost have in common."""
        return "radius", math.floor(min(self.radius, MAX_TABLE_BITS))

    def scan(self, queries: Packed, gallery: Packed, n_jobs: int | None) -> Any:
        """Compare with all codes."""
        return _search.within_radius(queries, gallery, self.radius, n_jobs=n_jobs)

    def look_up(
        self, tables: Tables, queries: Words, budget: float, n_jobs: int | None
    ) -> tuple[list[Words], NDArray[np.bool_]]:
        """Give the keys, and which queries are answered."""
        bits = math.floor(min(self.radius, 64 * queries.shape[1]))
        answers, answered = [NONE] * len(queries), np.zeros(len(queries), bool)
        rows, room = np.arange(len(queries)), RADIUS_ROOM
        while len(rows):
            size = max(1, BATCH_ROOM // room)
            parts = [rows[i : i + size] for i in range(0, len(rows), size)]
            full = []
            for part in parts:
                keys, found = look_up(
                    tables,
                    queries[part],
                    room,
                    radius=bits,
                    budget=budget,
                    n_jobs=n_jobs,
                )
                for row, key, n_keys in zip(part, keys, found, strict=True):
                    answers[row] = np.sort(key[: max(n_keys, 0)])
                answered[part] = found >= 0
                full.append(part[found == FULL])
            rows, room = np.concatenate(full), MORE_ROOM * room
        return answers, answered

    def select(self, keys: list[Words], rows: Rows) -> list[Words]:
        """Give the keys of some queries."""
        return [keys[row] for row in rows]

    def merge(self, keys: list[Words], scanned: Any, first: int) -> list[Words]:
        """Add what a scan of the codes from position `first` on has found."""
        indptr, distances, positions = scanned
        return [
            np.sort(np.concatenate(pair))
            for pair in zip(
                keys, _split(indptr, distances, positions + first), strict=True
            )
        ]

    def assemble(
        self, looked: Rows, keys: list[Words], left: Rows, scanned: Any
    ) -> Any:
        """Put the answers of both kinds of queries in the queries' order."""
        if len(left):
            keys = keys + _split(*scanned)
            order = np.argsort(np.concatenate([looked, left]))
            keys = [keys[row] for row in order]
        indptr = np.cumsum([0, *map(len, keys)], dtype=np.intp)
        return indptr, *_from_keys(np.concatenate(keys))

    def join(self, parts: list[Any]) -> Any:
        """Put the answers of batches one after the other."""
        indptrs, distances, positions = zip(*parts, strict=True)
        counts = np.concatenate([np.diff(indptr) for indptr in indptrs])
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
        return indptr, np.concatenate(distances), np.concatenate(positions)


def _to_keys(distances: NDArray[Any], positions: NDArray[np.intp]) -> Words:
    keys = distances.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= positions.astype(np.uint64)
    return keys


def _from_keys(keys: Words) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    return (keys >> 32).astype(np.int32), (keys & (2**32 - 1)).astype(np.intp)


def _split(
    indptr: NDArray[np.intp], distances: NDArray[Any], positions: NDArray[np.intp]
) -> list[Words]:
    return np.split(_to_keys(distances, positions), indptr[1:-1])
