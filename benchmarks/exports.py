"""Export codes to FAISS, USearch, PostgreSQL and Parquet: seconds, bytes, recall.

    pip install -e ".[faiss,usearch,arrow]"
    python benchmarks/exports.py
    python benchmarks/exports.py --rows 1000000 --bits 64 --threads 2

Codes are ITQ's, of rows around 1,000 centres, or random with `--random`. Recall is the
share of the answers that are no further than the 10th of `HammingRetriever`, so that it
does not matter which of equally distant codes are given. The ratio is of the time to
`HammingRetriever`'s. Seconds are of one run each; searches follow one that is not
measured.
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
from sklearn.utils import gen_batches

from sklhash import ITQ, HammingRetriever, PackedCodes

K = 10


def parse_arguments():
    """Read the command line; other programs' arguments are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--random", action="store_true")
    return parser.parse_known_args()[0]


def make_codes(n_rows, n_bits, random, seed=0):
    """Codes of synthetic rows, or random ones; a block of rows at a time."""
    rng = np.random.RandomState(seed)
    if random:
        codes = rng.randint(2, size=(n_rows, n_bits), dtype=np.int8)
        return PackedCodes.from_codes(codes)
    n_features = max(128, n_bits)
    centres = rng.standard_normal((1000, n_features))
    hasher, parts = None, []
    for rows in gen_batches(n_rows, 20_000):
        X = centres[rng.randint(1000, size=rows.stop - rows.start)]
        X += rng.standard_normal(X.shape)
        hasher = hasher or ITQ(n_bits, random_state=0).fit(X)
        parts.append(hasher.encode(X))
    return PackedCodes.concatenate(parts)


def timed(call):
    """Seconds that a call takes, and what it gives."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def searches(queries, threads):
    """Kinds of index: how it is made of codes, and how it answers with distances."""
    rows = queries.packed

    def ask_faiss(index):
        return index.search(rows, K)[0]

    def ask_usearch(exact):
        return lambda index: (
            index.search(rows, K, exact=exact, threads=threads).distances
        )

    graph = {}  # made once, asked in two ways

    def make_graph(codes):
        if "index" not in graph:
            graph["index"] = codes.to_usearch(n_jobs=threads)
        return graph["index"]

    return {
        "HammingRetriever": (
            lambda codes: HammingRetriever(n_jobs=threads).fit(codes),
            lambda retriever: retriever.kneighbors(queries, K)[0],
        ),
        "FAISS BFlat": (lambda codes: codes.to_faiss(), ask_faiss),
        "FAISS BIVF256": (lambda codes: codes.to_faiss("BIVF256"), ask_faiss),
        "FAISS BHNSW32": (lambda codes: codes.to_faiss("BHNSW32"), ask_faiss),
        "USearch": (make_graph, ask_usearch(exact=False)),
        "USearch, exact": (make_graph, ask_usearch(exact=True)),
    }


def print_searches(gallery, queries, threads):
    """Print how long each index takes to make and to ask, and what it finds."""
    columns = f"{'made in s':>12}{'ms a query':>12}{'ratio':>9}{'recall':>9}"
    print(f"{'index':18}{columns}")
    limit = first = None
    for name, (make, ask) in searches(queries, threads).items():
        made, index = timed(lambda make=make: make(gallery))
        ask(index)
        asked, distances = timed(lambda ask=ask, index=index: ask(index))
        if limit is None:
            limit, first = distances[:, -1:], asked
        recall = (distances <= limit).mean()
        times = f"{made:12.2f}{1000 * asked / len(queries):12.3f}{asked / first:9.2f}"
        print(f"{name:18}{times}{recall:9.4f}")


def print_files(codes):
    """Print how long each file takes to write, and its length."""
    print(f"\n{'file':18}{'written in s':>14}{'MB':>9}")
    for format in ["binary", "text"]:
        file = io.BytesIO()
        seconds, _ = timed(lambda f=file, o=format: codes.to_pgvector(f, format=o))
        size = file.tell() / 1e6
        print(f"{'COPY, ' + format:18}{seconds:14.2f}{size:9.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in [("npy", codes.save), ("parquet", codes.to_parquet)]:
            path = Path(folder, name)
            seconds, _ = timed(lambda write=write, path=path: write(path))
            print(f"{name:18}{seconds:14.2f}{path.stat().st_size / 1e6:9.1f}")


def main():
    """Print both tables."""
    arguments = parse_arguments()
    faiss.omp_set_num_threads(arguments.threads)
    codes = make_codes(
        arguments.rows + arguments.queries, arguments.bits, arguments.random
    )
    gallery, queries = codes[: arguments.rows], codes[arguments.rows :]
    kind = "random" if arguments.random else "learned"
    print(f"{len(gallery)} {kind} codes of {codes.n_bits} bits, {len(queries)} queries")
    print_searches(gallery, queries, arguments.threads)
    print_files(gallery)


if __name__ == "__main__":
    main()
