"""Time ITQ's rotation step by ``numpy.linalg.svd`` and by ``scipy.linalg.polar``.

Both give the same rotation. The wheels of NumPy and SciPy each bring a thread pool, and
ITQ's loop multiplies with NumPy: alternating between the pools makes both wait. Run

    python benchmarks/rotation_step.py

and again with OPENBLAS_NUM_THREADS=1, where the two should take about the same time.
"""

import time

import numpy as np
from scipy.linalg import polar
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklhash.linear import random_rotation

N_ROUNDS, N_ITER, RANK, N_BITS = 5, 50, 61, 64


def by_svd(M):
    """Give the unitary polar factor by NumPy."""
    U, _, Qt = np.linalg.svd(M, full_matrices=False)
    return U @ Qt


def by_polar(M):
    """Give the unitary polar factor by SciPy."""
    return polar(M)[0]


def seconds(step, V):
    """Time one whole alternation of codes and rotation."""
    R = random_rotation(RANK, N_BITS, np.random.RandomState(0))
    start = time.perf_counter()
    for _ in range(N_ITER):
        R = step(V.T @ np.where(V @ R > 0, 1.0, -1.0))
    return time.perf_counter() - start


V = PCA(RANK).fit_transform(load_digits().data)
times = {step: [] for step in (by_svd, by_polar)}
for _ in range(N_ROUNDS):  # alternately, so that other load hits both
    for step, taken in times.items():
        taken.append(seconds(step, V))
svd, polar_ = (np.median(taken) for taken in times.values())
print(f"digits, {N_BITS} bits, {N_ITER} iterations, median of {N_ROUNDS}")
print(f"numpy svd {svd:.3f} s, scipy polar {polar_:.3f} s: ratio {polar_ / svd:.1f}")
