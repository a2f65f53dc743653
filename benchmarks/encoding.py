"""Time encoding against the bare matrix product that it cannot do without.

Rows of 512 numbers in single precision become codes of 64 bits. Beside `encode`, two
products are timed, alternately in one run: of the whole array, as one would write it,
and of blocks that stay in a core's cache, which is as fast as BLAS goes. `encode` also
checks the rows, centres them, and packs the signs. Run

    python benchmarks/encoding.py --rows 1000000

on an idle machine: BLAS's own threads wait for each other, and lose much more than
`encode` does where other work takes their cores. With one thread, time is that of the
processor.
"""

import argparse
import os
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from sklhash import ITQ

N_FEATURES, N_BITS, N_ROUNDS, BLOCK_ROWS = 512, 64, 5, 256


def main():
    """Time, and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    n_rows = parser.parse_known_args()[0].rows
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    hasher = ITQ(N_BITS, max_samples=10_000, random_state=0).fit(X[:10_000])
    print(f"{n_rows:,} x {N_FEATURES} float32 to {N_BITS} bits, median of {N_ROUNDS}")
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "X.npy", X)
        mapped = np.load(Path(folder) / "X.npy", mmap_mode="r")
        out = np.lib.format.open_memmap(
            Path(folder) / "codes.npy", "w+", np.uint8, (n_rows, N_BITS // 8)
        )
        for n_threads in (1, 2):
            if n_threads <= (os.cpu_count() or 1):
                compare(hasher, X, mapped, out, n_threads)
        del mapped, out  # Windows cannot delete a mapped file
    print_peak_memory(hasher, X)


def compare(hasher, X, mapped, out, n_threads):
    """Print the seconds of all tasks, and the ratios of `encode` to the products."""
    W = hasher.components_.T.astype(X.dtype)
    tasks = {
        "X @ W": lambda: X @ W,
        f"X @ W, {BLOCK_ROWS} rows at a time": lambda: multiply_blocks(X, W),
        "encode": lambda: hasher.encode(X, n_jobs=n_threads),
        "encode, map to map": lambda: hasher.encode(mapped, n_jobs=n_threads, out=out),
    }
    clock = time.thread_time if n_threads == 1 else time.perf_counter
    with threadpool_limits(n_threads):
        rounds = [
            [seconds(task, clock) for task in tasks.values()] for _ in range(N_ROUNDS)
        ]
    rounds = np.array(rounds)
    for name, times in zip(tasks, rounds.T, strict=True):
        whole, blocked = np.median(times[:, None] / rounds[:, :2], axis=0)
        print(
            f"{n_threads} thread(s), {name:30}: {np.median(times):.3f} s, ratio to the "
            f"whole product {whole:.2f}, to the blocked one {blocked:.2f}"
        )


def multiply_blocks(X, W):
    """Multiply, and forget the products."""
    for start in range(0, len(X), BLOCK_ROWS):
        X[start : start + BLOCK_ROWS] @ W


def seconds(task, clock):
    """Time one call."""
    start = clock()
    task()
    return clock() - start


def print_peak_memory(hasher, X):
    """Print what `encode` allocates at most, on one thread."""
    tracemalloc.start()
    hasher.encode(X, n_jobs=1)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(f"peak memory of encode: {peak:.1f} MB, codes included")


if __name__ == "__main__":
    main()
