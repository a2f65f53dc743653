"""Shallow methods' retrieval figures at several code lengths, as a table.

    python benchmarks/cifar10.py --data cifar10_deep.npz --output docs/cifar10.md

The file holds features `X`, classes `y`, row numbers `query1000_idx` (the queries) and
`train5000_idx`. All other rows are the gallery. Methods that need no labels learn from
the whole gallery, the others from the 5,000 labelled rows. A gallery row is relevant to
a query of its class. Scores are tie-aware (the mean over all orders of equally distant
rows): mAP over the whole ranking, and mAP@5000 divided by the relevant rows found, as
most published code on hashing does. Times are of one process; they depend on the
machine.

Without a file the script does the same with scikit-learn's digits, in seconds.
"""

import argparse
import platform
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import pairwise_distances
from sklearn.model_selection import train_test_split

import sklhash
from sklhash.metrics import retrieval_scores

METRICS = ("map", "map@5000")

#: Name, unfitted hasher, whether it learns from labels, whether its distance is
#: spherical.
METHODS = {
    "LSH": sklhash.RandomHyperplaneHashing(),
    "LSH, orthogonal": sklhash.RandomHyperplaneHashing(orthogonal=True),
    "PCAH": sklhash.PCAHashing(),
    "PCA-RR": sklhash.PCAHashing(rotation="random"),
    "IsoHash": sklhash.IsotropicHashing(),
    "ITQ": sklhash.ITQ(),
    "SH": sklhash.SpectralHashing(),
    "SH, quantile range": sklhash.SpectralHashing(range="quantile"),
    "SpH": sklhash.SphericalHashing(),
    "SpH, spherical distance": sklhash.SphericalHashing(),
    "SpH, C++ rule": sklhash.SphericalHashing(stop="cpp", init_size=10, max_iter=50),
    "DSH": sklhash.DensitySensitiveHashing(),
    "AGH, one layer": sklhash.AnchorGraphHashing(n_layers=1),
    "AGH, two layers": sklhash.AnchorGraphHashing(n_layers=2),
    "CCA-ITQ *": sklhash.ITQ(projection="cca"),
    "KSH *": sklhash.KernelSupervisedHashing(),
    "SDH *": sklhash.SupervisedDiscreteHashing(),
    "IDHN *": sklhash.SoftPairwiseHasher(),
}


def parse_arguments():
    """Read the command line; other programs' arguments are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="cifar10_deep.npz")
    parser.add_argument("--bits", nargs="+", type=int)
    parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--output", type=Path, help="write the table there, too")
    return parser.parse_known_args()[0]


def read_cifar10(path):
    """Rows and classes of gallery, labelled rows and queries."""
    with np.load(path, allow_pickle=False) as file:
        X, y = file["X"].astype(np.float32), file["y"]
        queries, train = file["query1000_idx"], file["train5000_idx"]
    gallery = np.setdiff1d(np.arange(len(X)), queries)
    return [(X[rows], y[rows]) for rows in (gallery, train, queries)]


def read_digits():
    """Rows and classes of gallery, labelled rows and queries."""
    X, y = load_digits(return_X_y=True)
    gallery, queries, y_gallery, y_queries = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=0
    )
    return [
        (gallery, y_gallery),
        (gallery[:700], y_gallery[:700]),
        (queries, y_queries),
    ]


def measure(name, n_bits, seed, gallery, labelled, queries):
    """Scores and seconds of one method, or None if it has no such code length."""
    hasher = clone(METHODS[name]).set_params(n_bits=n_bits, random_state=seed)
    start = time.perf_counter()
    try:
        hasher.fit(*(labelled if name.endswith("*") else gallery))
    except ValueError as error:
        if "n_bits" not in str(error):
            raise
        return None
    fitted = time.perf_counter()
    codes = hasher.encode(gallery[0])
    encoded = time.perf_counter()
    scores = retrieval_scores(
        hasher.encode(queries[0]),
        codes,
        queries[1],
        gallery[1],
        metrics=METRICS,
        normalize="retrieved",
        code_distance="spherical" if "spherical" in name else "hamming",
    )
    return *(scores[metric] for metric in METRICS), fitted - start, encoded - fitted


def references(gallery, queries):
    """Scores of the float rankings."""
    relevance = queries[1][:, None] == gallery[1]
    for metric in ("cosine", "euclidean"):
        distances = pairwise_distances(queries[0], gallery[0], metric=metric)
        scores = retrieval_scores(
            relevance=relevance,
            distances=distances,
            metrics=METRICS,
            normalize="retrieved",
        )
        yield metric, *(scores[name] for name in METRICS)


def table(results, n_bits):
    """Lines of a Markdown table: a row a method, a pair of scores a length."""
    yield "| method | " + " | ".join(f"{n} bits" for n in n_bits) + " | fit | encode |"
    yield "|---|" + "---|" * (len(n_bits) + 2)
    for name in dict.fromkeys(name for name, _ in results):
        cells = [results.get((name, n)) for n in n_bits]
        times = [runs[:, 2:].mean(axis=0) for runs in cells if runs is not None]
        seconds = " | ".join(f"{value:.2f} s" for value in times[-1])
        yield f"| {name} | " + " | ".join(map(cell, cells)) + f" | {seconds} |"


def cell(runs):
    """MAP and mAP@5000 with their spread over the seeds."""
    if runs is None:
        return "–"
    pairs = zip(runs.mean(axis=0)[:2], runs.std(axis=0)[:2], strict=True)
    texts = (f"{mean:.4f} ±{spread:.4f}".replace("0.", ".") for mean, spread in pairs)
    return " / ".join(texts)


arguments = parse_arguments()
if arguments.data is None:
    gallery, labelled, queries = read_digits()
    n_bits, n_seeds = arguments.bits or [16, 32], arguments.seeds or 1
else:
    gallery, labelled, queries = read_cifar10(arguments.data)
    n_bits, n_seeds = arguments.bits or [16, 32, 64, 128], arguments.seeds or 3

warnings.simplefilter("ignore", ConvergenceWarning)  # of SpH, on 8 x 8 pixels
results = {}
for name in arguments.methods:
    for n in n_bits:
        runs = [
            measure(name, n, seed, gallery, labelled, queries)
            for seed in range(n_seeds)
        ]
        if None not in runs:
            results[name, n] = np.array(runs)
            print(f"{name:24} {n:4} bits  {cell(results[name, n])}", flush=True)

lines = [
    f"{'CIFAR-10' if arguments.data else 'Digits'}: {len(gallery[0])} gallery rows, "
    f"{len(queries[0])} queries, {gallery[0].shape[1]} features. mAP / mAP@5000 "
    f"(divided by the relevant rows found), mean ± s.d. over {n_seeds} seeds; * "
    f"learns from {len(labelled[0])} labelled rows, the others from the gallery. "
    f"Seconds to fit and to encode the gallery at {n_bits[-1]} bits, or the longest "
    "code there is.",
    "",
    *table(results, n_bits),
    "",
    *(
        f"Float ranking, {name}: mAP {full:.4f}, mAP@5000 {top:.4f}."
        for name, full, top in references(gallery, queries)
    ),
]
print(*lines, sep="\n")
if ("ITQ", n_bits[-1]) in results:
    seconds = {name: results[name, n][:, 2].mean() for name, n in results}
    ratios = (f"{name} {seconds[name] / seconds['ITQ']:.1f}" for name in seconds)
    print("ratio of the time to fit to ITQ's:", ", ".join(ratios))
if arguments.output:
    command = f"python benchmarks/cifar10.py --data {arguments.data.name} --output ..."
    header = [
        "# Shallow methods on CIFAR-10, deep features",
        "",
        f"Made by `{command}` with sklhash {sklhash.__version__}, NumPy "
        f"{np.__version__}, Python {platform.python_version()}.",
        "",
    ]
    arguments.output.write_text("\n".join([*header, *lines, ""]))
