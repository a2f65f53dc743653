"""Time searching and scoring by spherical Hamming distances against Hamming ones.

Both compare the same codes, alternately, so that other load hits both: random ones, and
codes that Spherical Hashing learned from Gaussian rows of eight features, whose numbers
of set bits spread far more. Search by Hamming distances is compiled and search by
spherical ones is numpy's, which takes tens of times as long; scoring is compiled for
both, and takes longer for long learned codes, as they have thousands of distinct
distances. Run

    python benchmarks/spherical_search.py

with OMP_NUM_THREADS=1 for steadier figures.
"""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklhash import HammingRetriever, PackedCodes, SphericalHashing
from sklhash.metrics import retrieval_scores

N_ROUNDS, N_QUERIES, N_GALLERY, N_CLASSES = 3, 100, 200_000, 10
METRICS = "hamming", "spherical"


def random_codes(n_samples, n_bits, rng):
    """Draw every bit by a fair coin."""
    packed = rng.randint(256, size=(n_samples, n_bits // 8)).astype(np.uint8)
    return PackedCodes(packed, n_bits)


def learned_codes(n_samples, n_bits, rng):
    """Learn balls, and hash rows of the same distribution."""
    hasher = SphericalHashing(n_bits, max_iter=10, random_state=0)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        hasher.fit(np.random.RandomState(0).standard_normal((2000, 8)))
    return hasher.encode(rng.standard_normal((n_samples, 8)))


def tasks(metric, queries, gallery, y_queries, y_gallery):
    """Give what is timed, by name."""
    retriever = HammingRetriever(metric=metric).fit(gallery)
    radius = np.median(retriever.kneighbors(queries[:10], 100)[0][:, -1]).item()
    retriever.set_params(radius=int(radius) if metric == "hamming" else radius)
    return {
        "kneighbors": lambda: retriever.kneighbors(queries),
        "radius_neighbors": lambda: retriever.radius_neighbors(queries),
        "retrieval_scores": lambda: retrieval_scores(
            queries, gallery, y_queries, y_gallery, code_distance=metric
        ),
    }


def seconds(task):
    """Time one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


rng = np.random.RandomState(0)
print(f"{N_GALLERY:,} codes, {N_QUERIES} queries, median of {N_ROUNDS}")
settings = [(random_codes, n_bits) for n_bits in (32, 64, 128, 256)]
settings += [(learned_codes, n_bits) for n_bits in (32, 64, 128, 256)]
for make, n_bits in settings:
    codes = make(N_QUERIES, n_bits, rng), make(N_GALLERY, n_bits, rng)
    labels = rng.randint(N_CLASSES, size=N_QUERIES), np.arange(N_GALLERY) % N_CLASSES
    by_metric = [tasks(metric, *codes, *labels) for metric in METRICS]
    for name in by_metric[0]:
        rounds = [[seconds(task[name]) for task in by_metric] for _ in range(N_ROUNDS)]
        hamming, spherical = np.median(rounds, axis=0)
        print(
            f"{make.__name__:13} {n_bits:3} bits, {name:16}: hamming {hamming:.3f} s, "
            f"spherical {spherical:.3f} s, ratio {spherical / hamming:.2f}"
        )
