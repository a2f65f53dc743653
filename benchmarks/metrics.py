"""Time scoring of whole rankings against a sort per query, and against scikit-learn.

`retrieval_scores` gives mAP over the whole gallery and nDCG@100, validation included.
The loops are handed what they need, ready to use:

- "usual": distances by a product with codes of -1 and 1, and numpy's argsort, as most
  published code evaluates; both scores are read from the order;
- "sort": the same with distances by popcount, which is as fast as numpy can be;
- "sklearn": scikit-learn's `average_precision_score` for each query, which is AP alone.

They are timed on some queries and scaled to all. All run on one thread, alternately;
its CPU seconds are counted, and figures are medians over rounds. Run

    python benchmarks/metrics.py --full

for all code lengths and five rounds; without it, 64 bits are timed once.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from sklhash import PackedCodes
from sklhash.metrics import retrieval_scores

N_QUERIES, N_GALLERY, N_CLASSES, N_LABELS = 10_000, 50_000, 10, 21
FULL = "--full" in sys.argv
N_ROUNDS, LENGTHS = (5, (16, 32, 64, 128, 256)) if FULL else (1, (64,))
METRICS = "map", "ndcg@100"
#: Queries that each way is timed on.
N_TIMED = {"classes": N_QUERIES, "labels": N_QUERIES}
N_TIMED |= {"usual": 30, "sort": 50, "sklearn": 10}


def uniform_codes(classes, n_bits, rng):
    """Draw every bit by a fair coin."""
    packed = rng.randint(256, size=(len(classes), n_bits // 8), dtype=np.uint8)
    return PackedCodes(packed, n_bits)


def class_codes(classes, n_bits, rng):
    """Flip one of four bits of the code of a class, drawn by a fair coin."""
    centres = np.random.RandomState(0).randint(256, size=(N_CLASSES, n_bits // 8))
    first, second = (uniform_codes(classes, n_bits, rng).packed for _ in range(2))
    return PackedCodes(centres.astype(np.uint8)[classes] ^ (first & second), n_bits)


def inputs(make_codes, n_bits):
    """Make codes, classes, and label matrices of about two labels a row."""
    rng = np.random.RandomState(1)
    classes = [rng.randint(N_CLASSES, size=n) for n in (N_QUERIES, N_GALLERY)]
    codes = [make_codes(y, n_bits, rng) for y in classes]
    labels = [rng.randint(10, size=(len(y), N_LABELS)) == 0 for y in classes]
    return codes, classes, labels


def differing_bits(query, gallery):
    """Count them, given (n_words, n_gallery) words."""
    return np.bitwise_count(query[:, None] ^ gallery).sum(axis=0, dtype=np.float32)


def product(query, gallery):
    """Count differing bits by the product of signs."""
    return 0.5 * (len(query) - gallery @ query)


def sort_each_query(distances, queries, gallery, y_queries, y_gallery):
    """Score by one argsort a query."""
    discount = 1 / np.log2(np.arange(2, 102))
    scores = np.empty((len(queries), 2))
    for i, query in enumerate(queries):
        order = np.argsort(distances(query, gallery))
        relevant = y_gallery[order] == y_queries[i]
        ranks = np.flatnonzero(relevant) + 1
        precision = np.arange(1, len(ranks) + 1) / ranks
        ideal = discount[: len(ranks)].sum()
        scores[i] = precision.mean(), relevant[:100] @ discount / ideal
    return scores.mean(axis=0)


def average_precisions(queries, gallery, y_queries, y_gallery):
    """Call scikit-learn for one query after the other."""
    return np.mean(
        [
            average_precision_score(y_gallery == y, -differing_bits(query, gallery))
            for query, y in zip(queries, y_queries, strict=True)
        ]
    )


def ways(codes, classes, labels):
    """Give the ways to score, each a function of the number of queries."""
    queries, gallery = codes
    size = min(8, queries.packed.shape[1])
    words = [np.ascontiguousarray(x.packed.view(f"u{size}")) for x in codes]
    words = words[0], np.ascontiguousarray(words[1].T)
    most = max(N_TIMED["usual"], 10)
    signs = [2 * x.unpack().astype(np.float32) - 1 for x in (queries[:most], gallery)]
    y, y_gallery = classes
    return {
        "classes": lambda n: retrieval_scores(
            queries[:n], gallery, y[:n], y_gallery, metrics=METRICS
        ),
        "labels": lambda n: retrieval_scores(
            queries[:n], gallery, labels[0][:n], labels[1], metrics=METRICS
        ),
        "usual": lambda n: sort_each_query(
            product, signs[0][:n], signs[1], y, y_gallery
        ),
        "sort": lambda n: sort_each_query(
            differing_bits, words[0][:n], words[1], y, y_gallery
        ),
        "sklearn": lambda n: average_precisions(
            words[0][:n], words[1], y[:n], y_gallery
        ),
    }


def seconds(score, n):
    """CPU time of one call for n queries, scaled to all of them."""
    start = time.thread_time()
    score(n)
    return (time.thread_time() - start) * N_QUERIES / n


def compare(make_codes, n_bits):
    """Print seconds of all ways, and their ratios to classes."""
    scores = ways(*inputs(make_codes, n_bits))
    for name in ("classes", "labels"):
        scores[name](N_QUERIES)  # compiles, or loads what was compiled
    rounds = [
        {name: seconds(score, N_TIMED[name]) for name, score in scores.items()}
        for _ in range(N_ROUNDS)
    ]
    cells = [f"{make_codes.__name__:13} {n_bits:4}"]
    for name in scores:
        taken = np.median([times[name] for times in rounds])
        ratio = np.median([times[name] / times["classes"] for times in rounds])
        cells.append(
            f"{taken:8.3f}" if name == "classes" else f"{taken:7.2f} {ratio:6.1f}"
        )
    print(*cells)


def peak_memory():
    """Largest resident memory of this process so far, in MB (Linux alone tells it)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else ()
    return sum(int(line.split()[1]) / 1024 for line in lines if "VmHWM" in line)


def print_memory(labels_name):
    """Print what scoring adds to the memory of a process that holds the inputs."""
    codes, classes, labels = inputs(uniform_codes, 64)
    before = peak_memory()
    retrieval_scores(*codes, *{"classes": classes, "labels": labels}[labels_name])
    print(f"{labels_name}: {peak_memory() - before:.0f} MB above the inputs")


def print_times():
    """Print the table."""
    print(
        f"mAP@ALL and nDCG@100 of {N_QUERIES:,} queries, {N_GALLERY:,} codes; "
        f"{N_CLASSES} classes or {N_LABELS} labels.\n"
        "CPU seconds of one thread; ratios are to retrieval_scores with classes.\n"
        + ", ".join(f"{name} on {n:,} queries" for name, n in N_TIMED.items())
        + ", scaled to all.\ncodes         bits  classes  labels  ratio   usual  ratio"
        "    sort  ratio sklearn  ratio"
    )
    with threadpool_limits(1):
        for n_bits in LENGTHS:
            compare(uniform_codes, n_bits)
        if FULL:
            compare(class_codes, 64)


def measure_memory():
    """Print the memory that processes of their own take."""
    print("Peak memory, 64 bits, default metrics, kernels loaded, fresh processes:")
    for name in ("classes", "labels"):
        result = subprocess.run(
            [sys.executable, __file__, "--memory", name],
            check=True,
            capture_output=True,
            text=True,
        )
        print(result.stdout, end="")


if __name__ == "__main__" and sys.argv[1:2] == ["--memory"]:
    print_memory(sys.argv[2])
elif __name__ == "__main__":
    print_times()
    if FULL:
        measure_memory()
