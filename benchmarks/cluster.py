"""Time encoding and sharded search on a cluster of this machine's, beside one process.

Dask's workers are processes of one thread each, on the loopback interface. Rows and
codes must be sent to them, so the ratios say what that costs, and what it gains where
there are more cores. Results are compared, bit for bit. Run

    python benchmarks/cluster.py --workers 2 --rows 100000
"""

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from threadpoolctl import threadpool_limits

from sklhash import ITQ, HammingRetriever, search_shards

N_FEATURES, N_BITS, N_QUERIES, N_ROUNDS = 128, 64, 200, 3


def main():
    """Time, and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_known_args()[0]
    cluster = LocalCluster(
        n_workers=given.workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    )
    with tempfile.TemporaryDirectory() as folder, cluster, Client(cluster) as client:
        client.wait_for_workers(given.workers)
        shape, rng = (given.rows, N_FEATURES), da.random.default_rng(0)
        rows = rng.standard_normal(shape, chunks=(8192, -1)).astype(np.float32)
        rows = rows.persist()
        X = rows.compute()
        hasher = ITQ(N_BITS, max_samples=10_000, random_state=0).fit(X[:10_000])
        codes = hasher.encode(X)
        print(f"{given.rows:,} x {N_FEATURES} float32 to {N_BITS} bits")
        compare_encoding(hasher, X, rows, codes)
        paths = write_shards(codes, Path(folder), 2 * given.workers)
        compare_search(codes, paths)


def write_shards(codes, folder, n_shards):
    """Write the codes to files, and give their paths."""
    paths = [folder / f"{i}.npy" for i in range(n_shards)]
    ends = np.linspace(0, len(codes), n_shards + 1).astype(int)
    for path, (start, end) in zip(paths, pairwise(ends), strict=True):
        codes[start:end].save(path)
    return paths


def compare_encoding(hasher, X, rows, codes):
    """Print how long the cluster encodes, beside one thread of this process."""
    one = seconds(lambda: hasher.encode(X, n_jobs=1))
    with parallel_config("dask"):
        assert hasher.encode(X) == codes
        report("encode, rows sent", seconds(lambda: hasher.encode(X)), one)
    assert hasher.encode(rows) == codes
    report("encode, rows there", seconds(lambda: hasher.encode(rows)), one)


def compare_search(codes, paths):
    """Print how long the cluster searches, beside one thread of this process."""
    queries = codes[:N_QUERIES]
    retriever = HammingRetriever(n_jobs=1).fit(codes)
    one = seconds(lambda: retriever.kneighbors(queries))
    with parallel_config("dask"):
        found = search_shards(queries, paths)
        report(
            f"{N_QUERIES} queries", seconds(lambda: search_shards(queries, paths)), one
        )
    for mine, whole in zip(found, retriever.kneighbors(queries), strict=True):
        assert np.array_equal(mine, whole)


def seconds(task):
    """Give the median time of some calls."""
    times = []
    with threadpool_limits(1):
        for _ in range(N_ROUNDS):
            start = time.perf_counter()
            task()
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def report(name, cluster, one):
    """Print a time and its ratio to that of one process."""
    print(
        f"{name:20} {cluster:.3f} s, one process {one:.3f} s, ratio {cluster / one:.2f}"
    )


if __name__ == "__main__":
    main()
