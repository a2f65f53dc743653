"""Time exact search of binary codes against faiss, usearch and scikit-learn.

Ours is the public way, validation included: ``HammingRetriever.kneighbors``. All search
the same codes with equally many threads, in turns; a ratio is the median over the turns
of their time divided by ours, so above 1 we are faster. With one thread, processor time
is compared, which leaves out other programs' share of a busy machine. Where a turn
would take long it gets a part of the queries, ours 100 at least (marked by *): the cost
of a query does not depend on the others then. Neighbours are compared with those of
faiss.

    python benchmarks/search.py --n 1e5 1e6 1e7 --bits 16 32 48 64 128 256 1024

Uniform codes are random bits. Learned ones are ITQ's codes of rows drawn around the
rows of a data set (``--data FILE.npz`` with an array X), or around a thousand random
centres: a row, and Gaussian noise of a fifth of the data's mean standard deviation.
"""

import argparse
import functools
import itertools
import time

import numpy as np

from sklhash import ITQ, HammingRetriever, PackedCodes

try:
    import faiss
except ImportError:
    faiss = None
try:
    from usearch.index import MetricKind, search
except ImportError:
    search = None


def parse():
    """Read the command line; its defaults take seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", nargs="+", type=float, default=[1e5])
    parser.add_argument("--bits", nargs="+", type=int, default=[20, 64])
    parser.add_argument("--queries", nargs="+", type=int, default=[1, 100])
    parser.add_argument("--neighbors", nargs="+", type=int, default=[10])
    kinds = ["uniform", "learned"]
    parser.add_argument("--codes", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--algorithm", nargs="+", default=["brute", "auto"])
    parser.add_argument("--data", help="npz file with an array X")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slow", action="store_true", help="usearch and sklearn, too")
    parser.add_argument("--settle", type=float, default=0.1, help="seconds for 'auto'")
    parser.add_argument("--seconds", type=float, default=2, help="of a turn, about")
    return parser.parse_known_args()[0]


def codes_of(kind, n_bits, n, n_queries, data):
    """Draw queries and gallery."""
    rng = np.random.default_rng(0)
    if kind == "uniform":
        shape = n + n_queries, -(-n_bits // 8)
        packed = rng.integers(256, size=shape, dtype=np.uint8)
        packed[:, -1] &= 255 >> (-n_bits % 8)
        codes = PackedCodes(packed, n_bits)
    else:
        X, hasher = fitted(n_bits, data)
        noise = 0.2 * X.std(axis=0).mean()
        parts = []
        for start in range(0, n + n_queries, 100_000):
            rows = rng.integers(len(X), size=min(100_000, n + n_queries - start))
            drawn = rng.standard_normal((len(rows), X.shape[1]), dtype=np.float32)
            parts.append(hasher.encode(X[rows] + noise * drawn))
        codes = PackedCodes.concatenate(parts)
    return codes[n:], codes[:n]


@functools.cache
def fitted(n_bits, data):
    """Give rows and the ITQ fitted to them; PCA gives at most as many bits as columns.

    Longer codes rotate by chance.
    """
    if data:
        X = np.load(data, allow_pickle=False)["X"].astype(np.float32)
    else:
        rng = np.random.default_rng(1)
        X = rng.standard_normal((1000, max(64, n_bits)), dtype=np.float32)
        X = (X @ np.diag(1 / np.sqrt(1 + np.arange(X.shape[1])))).astype(np.float32)
    return X, ITQ(n_bits, random_state=0).fit(X)


def in_turn(queries, search):
    """Search for n queries at a call, each time for others while there are some.

    The same query again would find what it needs in the processor's cache.
    """
    place = 0

    def next_ones(n):
        nonlocal place
        start = place if place + n <= len(queries) else 0
        place = start + n
        return search(queries[start:place])

    return next_ones


def ours(queries, gallery, k, threads, algorithm):
    """Search by this library."""
    retriever = HammingRetriever(n_neighbors=k, n_jobs=threads, algorithm=algorithm)
    return in_turn(queries, retriever.fit(gallery).kneighbors)


def by_faiss(queries, gallery, k, threads):
    """Search by faiss's flat binary index."""
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexBinaryFlat(8 * gallery.packed.shape[1])
    index.add(np.ascontiguousarray(gallery.packed))
    packed = np.ascontiguousarray(queries.packed)
    return in_turn(packed, lambda part: index.search(part, k))


def by_usearch(queries, gallery, k, threads):
    """Search by usearch's exact search."""
    options = {"metric": MetricKind.Hamming, "exact": True, "threads": threads}
    packed = np.ascontiguousarray(queries.packed)
    return in_turn(packed, lambda part: search(gallery.packed, part, k, **options))


def by_sklearn(queries, gallery, k, threads):
    """Search by scikit-learn, by brute force over booleans."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(
        n_neighbors=k, metric="hamming", algorithm="brute", n_jobs=threads
    ).fit(gallery.unpack().astype(bool))
    return in_turn(queries.unpack().astype(bool), found.kneighbors)


def clock(threads):
    """Give the clock to measure by."""
    return time.process_time if threads == 1 else time.perf_counter


def timed(task, n_queries, now):
    """Time one call, a query."""
    start = now()
    task(n_queries)
    return (now() - start) / n_queries


def compare(mine, peer, n_queries, args):
    """Give our best time a query and the median of the ratios."""
    now = clock(args.threads)
    peer(1)  # load, fill caches
    stop = time.perf_counter() + args.settle
    while True:  # compile, and let 'auto' try what is faster
        mine(min(n_queries, 100))
        if time.perf_counter() > stop:
            break
    n_mine, n_peer = (
        int(np.clip(args.seconds / max(timed(task, n, now), 1e-7), n, n_queries))
        for task, n in ((mine, min(n_queries, 100)), (peer, 1))
    )
    turns = [
        (timed(mine, n_mine, now), timed(peer, n_peer, now)) for _ in range(args.rounds)
    ]
    ratio = np.median([theirs / own for own, theirs in turns])
    part = "*" * (n_peer < n_queries or n_mine < n_queries)
    return min(own for own, _ in turns), f"{ratio:.1f}{part}"


def instruction_set():
    """Name the vectors that both sides can use."""
    from llvmlite import binding

    names = ("sse4.2", "avx2", "avx512f", "avx512vpopcntdq", "neon")
    has = binding.get_host_cpu_features()
    parts = [
        f"{binding.get_host_cpu_name()} ({', '.join(x for x in names if has.get(x))})"
    ]
    if faiss:
        parts.append(
            f"faiss {faiss.__version__}: {faiss.get_compile_options().strip()}"
        )
    return "; ".join(parts)


def main():
    """Print a row for every size asked for."""
    args = parse()
    peers = {"faiss": by_faiss} if faiss else {}
    if args.slow or not faiss:
        peers |= {"usearch": by_usearch} if search else {}
        peers["sklearn"] = by_sklearn
    print(f"{instruction_set()}\n{args.threads} thread(s), median ratios\n")
    heads = [f"ratio to {peer}, {how}" for how in args.algorithm for peer in peers]
    heads = ["codes", "bits", "n", "queries", "k", "Gc/s", *heads]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    most = max(*args.queries, 200)
    for kind, n_bits, n in itertools.product(args.codes, args.bits, args.n):
        queries, gallery = codes_of(kind, n_bits, int(n), most, args.data)
        for n_queries, k in itertools.product(args.queries, args.neighbors):
            rivals = [
                peer(queries, gallery, k, args.threads) for peer in peers.values()
            ]
            if faiss:
                found = ours(queries, gallery, k, 1, "auto")(1)[0]
                np.testing.assert_array_equal(found, rivals[0](1)[0])
            cells, times = [], []
            for how in args.algorithm:
                mine = ours(queries, gallery, k, args.threads, how)
                for rival in rivals:
                    seconds, ratio = compare(mine, rival, n_queries, args)
                    cells.append(ratio)
                    times.append(seconds)
            rate = f"{n / min(times) / 1e9:.2f}"
            row = [kind, n_bits, f"{n:.0e}", n_queries, k, rate, *cells]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


main()
