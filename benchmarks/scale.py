"""Memory and time for a million codes, measured, and for a billion, computed from it.

    python benchmarks/scale.py --millions 4 --bits 32 64 128 256 --output docs/scale.md

Times are those of one thread (``--threads``); what scans the gallery grows in
proportion to it, and so does memory, so the figures for a billion codes are a thousand
times those for a million. Sharded over S machines each has an S-th part. The ratio is
that of searching single queries and batches.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from sklhash import ITQ, HammingRetriever, PackedCodes

QUERIES = 1000


def parse():
    """Read the command line; its defaults take seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=float, default=0.2)
    parser.add_argument("--bits", nargs="+", type=int, default=[64])
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_known_args()[0]


def best(task, rounds=3):
    """Give the least seconds of several calls."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(n_bits, n, args):
    """Give seconds and bytes by what they are for, for n codes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50_000, args.features), dtype=np.float32)
    hasher = ITQ(n_bits, random_state=0, max_iter=5).fit(X)
    packed = rng.integers(256, size=(n, n_bits // 8), dtype=np.uint8)
    codes = PackedCodes(packed, n_bits)
    queries = PackedCodes(packed[:QUERIES] ^ packed[-QUERIES:], n_bits)
    retriever = HammingRetriever(n_jobs=args.threads, algorithm="brute").fit(codes)
    retriever.kneighbors(queries)  # load the kernels
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "codes.npy"
        codes.save(path)
        mapped = HammingRetriever(n_jobs=args.threads, algorithm="brute")
        mapped.fit(PackedCodes.load(path, mmap_mode="r"))
        mapped.kneighbors(queries[:1])
        from_map = best(lambda: mapped.kneighbors(queries[:1]))
    encode = best(lambda: hasher.encode(X, n_jobs=args.threads))
    return {
        "codes, bytes": codes.nbytes,
        f"float32 rows of {args.features}, bytes": 4 * args.features * n,
        f"encode {args.features} features": encode * n / len(X),
        "one query": best(lambda: retriever.kneighbors(queries[:1])),
        "one query, codes mapped from a file": from_map,
        f"each of {QUERIES} queries": best(lambda: retriever.kneighbors(queries))
        / QUERIES,
    }


def shown(name, value):
    """Write bytes or seconds in the unit that fits."""
    if name.endswith("bytes"):
        units, step = ("B", "kB", "MB", "GB", "TB"), 1000
    else:
        value, units, step = value * 1e6, ("us", "ms", "s", "ks"), 1000
    for unit in units:
        if value < step or unit == units[-1]:
            return f"{value:.3g} {unit}"
        value /= step
    return None


def table(results, codes, millions):
    """Give the rows of one table, for so many codes."""
    names = list(next(iter(results.values())))
    lines = [
        f"| {codes} codes | " + " | ".join(f"{b} bits" for b in results) + " |",
        "|---" * (len(results) + 1) + "|",
    ]
    for name in names:
        cells = [shown(name, values[name] * millions) for values in results.values()]
        lines.append(f"| {name.removesuffix(', bytes')} | " + " | ".join(cells) + " |")
    return lines


def main():
    """Measure, compute, and print two tables."""
    args = parse()
    n = int(args.millions * 1e6)
    per_million = {
        n_bits: {
            name: value / args.millions
            for name, value in measure(n_bits, n, args).items()
        }
        for n_bits in args.bits
    }
    lines = [
        "# Memory and time at scale",
        "",
        f"Measured by `benchmarks/scale.py` on {args.millions:g} million random codes "
        f"with {args.threads} thread(s), ten neighbours, exact search by comparing "
        "with every code; a billion codes are computed from that.",
        "",
        *table(per_million, "1,000,000", 1),
        "",
        *table(per_million, "1,000,000,000", 1000),
        "",
    ]
    for n_bits, values in per_million.items():
        ratio = values["one query"] / values[f"each of {QUERIES} queries"]
        lines.append(
            f"{n_bits} bits: a single query takes {ratio:.0f} times as long as one of "
            "a batch (ratio).\n"
        )
    lines.append(
        "Memory for a search beside the codes: about 16 kB for each of up to 1,024 "
        "queries that visit the gallery together. Tables of multi-index hashing take "
        "several times the memory of the codes (see exact_search.md) and a small part "
        "of the time, where neighbours are near. A gallery that is cut into files of "
        "`PackedCodes.save` is searched by `search_shards`, through joblib's backend: "
        "each worker maps its file, and of S machines each takes an S-th part of the "
        "time. `merge_neighbors` merges what was found elsewhere. The answers are bit "
        "for bit those of one search.\n"
    )
    print("\n".join(lines))
    if args.output:
        args.output.write_text("\n".join(lines))


main()
