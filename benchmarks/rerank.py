r"""Recall and time of codes as an index: a shortlist of codes, ordered by raw rows.

    python benchmarks/rerank.py                       # generated rows, in seconds
    python benchmarks/rerank.py --euclidean sift.npz --cosine captions.npz \\
        --bits 64 128 256 --candidates 10 100 500 1000 --queries 1000 --seeds 3

Recall@10 is the share of the ten neighbours of exact search (scikit-learn's, in double
precision; ties at the tenth count as found) among the ten that `HammingRetriever` gives
with `rerank`. With 10 candidates the codes alone have chosen. Beside ITQ stand two ways
to quantise to signs that learn no more than a mean: the signs of the first n_bits
centred features, and of the projections on random hyperplanes. Mean and standard
deviation over seeds, which draw the queries and what a hasher draws. The ITQ of the
paper and centred signs give at most as many bits as there are features, and are left
out beyond.

A file holds either `base` and `query`, or `X`, `db_idx` and `query_idx`. For cosine
distances rows are scaled to length 1 before they are hashed. Times are processor time
on one thread, a query of a batch or queries one by one, taken alternately with exact
search in single precision by scikit-learn, and by a product and a partition in NumPy;
the ratio is scikit-learn's time divided by a row's. Without seeds only times are taken.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from sklhash import ITQ, HammingRetriever, RandomHyperplaneHashing

K = 10


class CentredSigns(TransformerMixin, BaseEstimator):
    """Signs of the first features, less their means."""

    def __init__(self, n_bits):
        self.n_bits = n_bits

    def fit(self, X, y=None):
        """Learn the means."""
        if self.n_bits > X.shape[1]:
            raise ValueError("more bits than features")
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        """Give projections: a retriever takes their signs."""
        return (X - self.mean_)[:, : self.n_bits]


HASHERS = {
    "ITQ": lambda n_bits, seed: ITQ(n_bits, random_state=seed),
    "centred signs": lambda n_bits, seed: CentredSigns(n_bits),
    "random hyperplanes": lambda n_bits, seed: RandomHyperplaneHashing(
        n_bits, random_state=seed
    ),
}


def parse_arguments():
    """Read the command line; other programs' arguments are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--euclidean", nargs="*", type=Path, default=[])
    parser.add_argument("--cosine", nargs="*", type=Path, default=[])
    parser.add_argument("--bits", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--candidates", nargs="+", type=int, default=[10, 100, 500])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_known_args()[0]


def load(path):
    """Read gallery and queries in single precision."""
    with np.load(path, allow_pickle=False) as data:
        if "base" in data:
            gallery, queries = data["base"], data["query"]
        else:
            X = data["X"]
            gallery, queries = X[data["db_idx"]], X[data["query_idx"]]
    return gallery.astype(np.float32), queries.astype(np.float32)


def generate(n_gallery=10_000, n_queries=200, n_features=64):
    """Draw rows around a few hundred centres, in directions of falling variance."""
    rng = np.random.RandomState(0)
    centres = rng.standard_normal((300, n_features)) * np.geomspace(3, 0.3, n_features)
    rows = centres[rng.randint(300, size=n_gallery + n_queries)]
    rows += rng.standard_normal(rows.shape) * np.geomspace(1, 0.1, n_features)
    rows = rows.astype(np.float32)
    return rows[n_queries:], rows[:n_queries]


def draw(queries, n_queries, seed):
    """Take some queries at random."""
    order = np.random.RandomState(seed).permutation(len(queries))
    return queries[order[:n_queries]]


def exact_neighbors(gallery, queries, metric, arguments):
    """Draw queries for each seed, and find how far their tenth neighbours are."""
    exact = NearestNeighbors(n_neighbors=K, metric=metric, algorithm="brute")
    exact.fit(gallery.astype(np.float64))
    drawn = []
    for seed in range(arguments.seeds):
        chosen = draw(queries, arguments.queries, seed)
        tenth = exact.kneighbors(chosen.astype(np.float64))[0][:, -1:]
        drawn.append((chosen, tenth * (1 + 1e-9) + 1e-12))
    return drawn


def recalls(gallery, drawn, metric, make_hasher, candidates):
    """Recall by seed, shortlist and number of candidates."""
    table = np.empty((len(drawn), 2, len(candidates)))
    for seed, (chosen, limit) in enumerate(drawn):
        retriever = HammingRetriever(make_hasher(seed), n_neighbors=K, rerank=metric)
        retriever.fit(gallery)
        for i, shortlist in enumerate(("hamming", "asymmetric")):
            for j, n_candidates in enumerate(candidates):
                retriever.set_params(metric=shortlist, n_candidates=n_candidates)
                found, _ = retriever.kneighbors(chosen)
                table[seed, i, j] = np.mean(found <= limit)
    return table


def print_recalls(gallery, queries, metric, arguments):
    """Print a table of all codes that can be had."""
    header = "".join(f"| {n} candidates " for n in arguments.candidates)
    print(f"\n| bits | codes | shortlist {header}|")
    print("|---" * (3 + len(arguments.candidates)) + "|")
    drawn = exact_neighbors(gallery, queries, metric, arguments)
    for n_bits in arguments.bits:
        for name, hasher in HASHERS.items():
            if n_bits > gallery.shape[1] and name != "random hyperplanes":
                continue
            make = partial(hasher, n_bits)
            table = recalls(gallery, drawn, metric, make, arguments.candidates)
            for i, shortlist in enumerate(("Hamming", "asymmetric")):
                means, spreads = table[:, i].mean(axis=0), table[:, i].std(axis=0)
                cells = " | ".join(
                    f"{m:.3f} ±{s:.3f}" for m, s in zip(means, spreads, strict=True)
                )
                print(f"| {n_bits} | {name} | {shortlist} | {cells} |", flush=True)


def product_search(gallery):
    """Search by a matrix product in single precision, and a partition."""
    squares = np.einsum("ij,ij->i", gallery, gallery)

    def search(queries):
        found = []
        for start in range(0, len(queries), 64):
            distances = squares - 2 * (queries[start : start + 64] @ gallery.T)
            nearest = np.argpartition(distances, K, axis=1)[:, :K]
            order = np.take_along_axis(distances, nearest, axis=1).argsort(axis=1)
            found.append(np.take_along_axis(nearest, order, axis=1))
        return np.vstack(found)

    return search


def seconds(search, queries, one_by_one):
    """Time a search, a query."""
    start = time.process_time()
    if one_by_one:
        for i in range(len(queries)):
            search(queries[i : i + 1])
    else:
        search(queries)
    return (time.process_time() - start) / len(queries)


def print_times(gallery, queries, metric, arguments):
    """Print the time of a query beside that of exact search."""
    n_bits = max(n for n in arguments.bits if n <= 64)
    retriever = HammingRetriever(ITQ(n_bits, random_state=0), n_neighbors=K)
    exact = NearestNeighbors(n_neighbors=K, metric=metric, algorithm="brute")
    exact.fit(gallery)
    sides = {"exact, scikit-learn": exact.kneighbors}
    sides["exact, NumPy"] = product_search(gallery)
    settings = [(m, c) for m in ("hamming", "asymmetric") for c in arguments.candidates]
    for shortlist, n_candidates in settings:
        own = HammingRetriever(
            **{
                **retriever.get_params(deep=False),
                "metric": shortlist,
                "rerank": metric,
                "n_candidates": n_candidates,
            }
        ).fit(gallery)
        sides[f"{n_bits} bits, {shortlist}, {n_candidates}"] = own.kneighbors
    print("\n| | batch, µs a query | ratio | one by one, µs a query | ratio |")
    print("|---|---|---|---|---|")
    chosen = draw(queries, arguments.queries, 0)
    few = chosen[: max(1, len(chosen) // 20)]
    times = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, search in sides.items():
            search(few)
            times[name].append([seconds(search, chosen, 0), seconds(search, few, 1)])
    for name, taken in times.items():
        batch, single = np.median(taken, axis=0)
        ratios = np.median(np.array(times["exact, scikit-learn"]) / taken, axis=0)
        print(
            f"| {name} | {batch * 1e6:.0f} | {ratios[0]:.1f} | {single * 1e6:.0f} | "
            f"{ratios[1]:.1f} |"
        )


def main():
    """Compare on each file, or on generated rows."""
    arguments = parse_arguments()
    data = [(p.stem, "euclidean", load(p)) for p in arguments.euclidean]
    data += [(p.stem, "cosine", map(normalize, load(p))) for p in arguments.cosine]
    data = data or [("generated rows", "euclidean", generate())]
    with threadpool_limits(1):
        for name, metric, (gallery, queries) in data:
            n_queries = min(arguments.queries, len(queries))
            print(
                f"\n## {name}: {metric}, {len(gallery):,} rows of {gallery.shape[1]} "
                f"features, {n_queries:,} queries, {arguments.seeds} seeds"
            )
            print_times(gallery, queries, metric, arguments)
            if arguments.seeds:
                print_recalls(gallery, queries, metric, arguments)


if __name__ == "__main__":
    main()
