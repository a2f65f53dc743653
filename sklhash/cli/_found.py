"""Neighbours as files, and as a table to look at."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

#: Queries and neighbours that are printed.
SHOWN_QUERIES, SHOWN_NEIGHBORS = 10, 8


def write_neighbors(path: Path, distances: Any, positions: Any) -> None:
    """Write neighbours to a ``.npz`` or ``.csv`` file.

    Parameters
    ----------
    path : Path
    distances, positions : ndarray of shape (n_queries, k), or list of ndarray
        Of lists, one array a query, ``.npz`` holds all in a row, with `indptr`: those
        of query i are ``indptr[i]`` to ``indptr[i + 1]``.
    """
    if path.suffix == ".npz":
        if isinstance(distances, list):
            indptr = np.cumsum([0, *map(len, distances)])
            distances, positions = np.concatenate(distances), np.concatenate(positions)
            np.savez(path, distances=distances, positions=positions, indptr=indptr)
        else:
            np.savez(path, distances=distances, positions=positions)
        return
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "rank", "position", "distance"])
        for query, (own, places) in enumerate(zip(distances, positions, strict=True)):
            pairs = zip(places.tolist(), own.tolist(), strict=True)
            writer.writerows(
                [query, rank, p, d] for rank, (p, d) in enumerate(pairs, 1)
            )


def print_table(distances: Any, positions: Any, *, all_of_them: bool) -> None:
    """Print the first queries' neighbours.

    Parameters
    ----------
    distances, positions : as above
    all_of_them : bool
        Print all neighbours of these queries, because they are not written.
    """
    n_neighbors = None if all_of_them else SHOWN_NEIGHBORS
    print("query  position (bits), nearest first")
    pairs = zip(distances, positions, strict=True)
    for query, (own, places) in zip(range(SHOWN_QUERIES), pairs, strict=False):
        shown = [
            f"{p} ({d})"
            for p, d in zip(places[:n_neighbors], own[:n_neighbors], strict=True)
        ]
        if n_neighbors is not None and len(own) > n_neighbors:
            shown.append("...")
        print(f"{query:5}  {'  '.join(shown) or 'nothing within the radius'}")
    if (more := len(distances) - SHOWN_QUERIES) > 0:
        hint = "; --out keeps all" if all_of_them else ""
        print(f"  ...  and {more:,} queries more{hint}")
