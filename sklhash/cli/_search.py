"""``sklhash search``: look queries up in a file of codes."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sklhash.code_files import written_whole
from sklhash.codes import PackedCodes
from sklhash.retrieval import HammingRetriever
from sklhash.rows import release
from sklhash.shards import merge_neighbors

from ._errors import CommandError
from ._found import print_table, write_neighbors
from ._outputs import check_file, check_not_input
from ._progress import progress_bar
from ._queries import load_codes, read_queries

#: Codes searched at once.
SHARD_BYTES = 2**26
#: Queries that are searched for at once, in one reading of the codes.
BLOCK_QUERIES = 4096

#: Neighbours that a search by radius may find: with what sorting them takes, 7 GB.
MAX_FOUND = 2**27
#: Queries and codes from which their number is estimated.
TRIED_QUERIES, TRIED_CODES = 32, 100_000

Neighbors = tuple[NDArray[Any], NDArray[Any]]


def run(arguments: Namespace) -> int:
    """Search, print what the first queries find, and write all of it.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    status : int
    """
    queries, codes = _read(arguments)
    if arguments.radius is not None:
        check_radius(queries, codes, arguments.radius)
    start = time.perf_counter()
    found = search(
        queries, codes, arguments.neighbors, arguments.radius, arguments.jobs
    )
    seconds = time.perf_counter() - start
    if arguments.out is not None:
        with written_whole(arguments.out) as part:
            write_neighbors(part, *found)
    print_table(*found, all_of_them=arguments.out is None)
    print(
        f"{len(queries):,} queries in {len(codes):,} codes of {codes.n_bits} bits: "
        f"{seconds:.3g} s"
    )
    if arguments.out is not None:
        print(f"neighbours: {arguments.out} (positions from 0, distances in bits)")
    return 0


def _read(arguments: Namespace) -> tuple[PackedCodes, PackedCodes]:
    """Read queries and codes, and refuse what could not be searched or written."""
    codes, k = load_codes(arguments.codes, "--codes"), arguments.neighbors
    if arguments.out is not None:
        check_file(arguments.out, "--out", (".npz", ".csv"))
        inputs = arguments.queries, arguments.codes, arguments.model
        check_not_input(arguments.out, "--out", *inputs)
    if arguments.radius is None and k > len(codes):
        raise CommandError(
            f"--neighbors {k}: there are {len(codes):,} codes in {arguments.codes}; "
            "ask for fewer"
        )
    queries = read_queries(arguments)
    if queries.n_bits != codes.n_bits:
        raise CommandError(
            f"the queries have {queries.n_bits} bits, but the codes in "
            f"{arguments.codes} {codes.n_bits}: both must come from one model"
        )
    return queries, codes


def check_radius(queries: PackedCodes, codes: PackedCodes, radius: int) -> None:
    """Refuse a radius within which there is more than memory may hold.

    Parameters
    ----------
    queries, codes : PackedCodes
    radius : int

    Raises
    ------
    CommandError
        By an estimate from some queries and codes, evenly spaced.
    """
    n_pairs = len(queries) * len(codes)
    if n_pairs <= MAX_FOUND:
        return
    tried = queries[:: -(-len(queries) // TRIED_QUERIES)]
    among = codes[:: -(-len(codes) // TRIED_CODES)]
    found, _ = _retriever(among, None).radius_neighbors(tried, radius)
    share = sum(map(len, found)) / (len(tried) * len(among))
    if share * n_pairs > MAX_FOUND:
        raise CommandError(
            f"--radius {radius}: about {share * n_pairs:.2g} codes lie that near to "
            f"the {len(queries):,} queries, more than memory is to hold: take a smaller"
            " radius, fewer queries at a time, or --neighbors"
        )


def search(
    queries: PackedCodes,
    codes: PackedCodes,
    n_neighbors: int,
    radius: int | None = None,
    n_jobs: int | None = None,
) -> tuple[Any, Any]:
    """Search mapped codes, of which only a part is in memory at a time.

    Parameters
    ----------
    queries, codes : PackedCodes
    n_neighbors : int
    radius : int, default=None
        In bits, inclusive; if given, `n_neighbors` does not count.
    n_jobs : int, default=None
        Threads.

    Returns
    -------
    distances : ndarray of shape (n_queries, n_neighbors), dtype int32, or, with a \
            radius, list of n_queries ndarrays
        In bits, ascending.
    positions : the same of dtype intp
        Places among the codes; equal distances are ordered by place.
    """
    find = _nearest if radius is None else _within
    limit = n_neighbors if radius is None else radius
    parts: list[Neighbors] = []
    blocks = list(gen_batches(len(queries), BLOCK_QUERIES))
    n_shards = len(list(_shards(codes)))
    with progress_bar("search") as progress:
        for block in blocks:
            shards = _counted(_shards(codes), progress, len(parts), n_shards, blocks)
            parts.append(find(queries[block], codes, shards, limit, n_jobs))
    distances, positions = zip(*parts, strict=True)
    if radius is None:
        return np.concatenate(distances), np.concatenate(positions)
    return list(chain.from_iterable(distances)), list(chain.from_iterable(positions))


def _nearest(
    queries: PackedCodes,
    codes: PackedCodes,
    shards: Iterator[slice],
    k: int,
    n_jobs: int | None,
) -> Neighbors:
    best: Neighbors | None = None
    for shard in shards:
        size = shard.stop - shard.start
        retriever = _retriever(codes[shard], n_jobs)
        found = retriever.kneighbors(queries, min(k, size))
        if best is None:
            best = found
        else:
            sizes = [shard.start, size]
            best = merge_neighbors([best, found], sizes, n_neighbors=min(k, shard.stop))
        release(codes.packed)
    assert best is not None  # there are codes
    return best


def _within(
    queries: PackedCodes,
    codes: PackedCodes,
    shards: Iterator[slice],
    radius: int,
    n_jobs: int | None,
) -> Any:
    found: list[list[Neighbors]] = [[] for _ in range(len(queries))]
    for shard in shards:
        retriever = _retriever(codes[shard], n_jobs)
        distances, positions = retriever.radius_neighbors(queries, radius)
        for own, d, p in zip(found, distances, positions, strict=True):
            own.append((d, p + shard.start))
        release(codes.packed)
    joined = [
        tuple(np.concatenate(part) for part in zip(*own, strict=True)) for own in found
    ]
    # Stable, so that equal distances stay ordered by place.
    orders = [np.argsort(distances, kind="stable") for distances, _ in joined]
    both = list(zip(joined, orders, strict=True))
    return [d[order] for (d, _), order in both], [p[order] for (_, p), order in both]


def _retriever(codes: PackedCodes, n_jobs: int | None) -> Any:
    return HammingRetriever(algorithm="brute", n_jobs=n_jobs).fit(codes)


def _shards(codes: PackedCodes) -> Iterator[slice]:
    n_rows = max(1, SHARD_BYTES // codes.packed.shape[1])
    for start in range(0, len(codes), n_rows):
        yield slice(start, min(start + n_rows, len(codes)))


def _counted(
    shards: Iterator[slice], progress: Any, n_blocks: int, n_shards: int, blocks: Any
) -> Iterator[slice]:
    """Give shards, and show each that has been searched."""
    for i, shard in enumerate(shards, 1):
        yield shard
        progress(n_blocks * n_shards + i, len(blocks) * n_shards)
