"""Compare ITQ with FAISS's: quantization error, mAP, time and memory.

    pip install -e ".[faiss]"
    python benchmarks/itq_faiss.py                    # digits, and few random rows
    python benchmarks/itq_faiss.py --rows 1000000     # 512 features, mapped from disk

Both learn from the same rows with the same number of threads, alternately in one
process; medians, each time after an unmeasured run of the same side, so that the file
is in memory for both. FAISS scales centred rows to unit length and learns principal
directions and rotation from a sample of max(10 d, 32768) rows; so does
`ITQ(subsample="all")` here, without the scaling.
`ITQ()` takes the covariance of all rows, and the sample for the rotation only. Memory
is the peak resident memory of a process of its own above that of the interpreter with
sklhash loaded. Without FAISS the script times ITQ's two settings against each other.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from sklhash import ITQ
from sklhash.itq import learn_rotation
from sklhash.linear import random_rotation
from sklhash.metrics import mean_average_precision

HAS_FAISS = find_spec("faiss") is not None
PROC = Path("/proc/self/status")
SETTINGS = {"sample": {"subsample": "all"}, "all rows": {}}


def parse_arguments():
    """Read the command line; other programs' arguments are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure-memory", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_known_args()[0]


def faiss_rotation(V, R):
    """Learn a rotation by FAISS, from the same rows and the same start."""
    import faiss

    itq = faiss.ITQMatrix(V.shape[1])
    itq.max_iter = 50
    # FAISS keeps matrices transposed.
    faiss.copy_array_to_vector(R.T.astype(np.float64).ravel(), itq.init_rotation)
    itq.train(V.astype(np.float32))
    return faiss.vector_to_array(itq.A).reshape(R.shape).T


def quantization_error(V, R):
    """Mean squared difference between an entry and its sign."""
    Z = V @ R
    return np.mean((np.where(Z > 0, 1, -1) - Z) ** 2)


def compare_errors(n_bits, n_splits=5):
    """Print the error and the mAP of both on the digits."""
    X, y = load_digits(return_X_y=True)
    rows = []
    for seed in range(n_splits):
        X_gallery, X_query, y_gallery, y_query = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=seed
        )
        unit = normalize(X_gallery - X_gallery.mean(axis=0))
        V = unit @ np.linalg.svd(unit, full_matrices=False)[2][:n_bits].T
        start = random_rotation(n_bits, n_bits, np.random.RandomState(seed))
        ours, _ = learn_rotation(V, start, 50)
        theirs = faiss_rotation(V, start)
        errors = [quantization_error(V, R) for R in (start, theirs, ours)]
        itq = ITQ(n_bits, random_state=seed).fit(X_gallery)
        codes = [faiss_codes(X_gallery, X_query, n_bits)]
        codes.append((itq.transform(X_query), itq.transform(X_gallery)))
        scores = [mean_average_precision(*pair, y_query, y_gallery) for pair in codes]
        rows.append(errors + scores)
    mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
    cells = [f"{m:.4f} ±{s:.4f}" for m, s in zip(mean, spread, strict=True)]
    print(
        f"{n_bits} bits: error of a random rotation {cells[0]}, FAISS {cells[1]}, ours "
        f"{cells[2]}; gain ratio {(mean[0] - mean[2]) / (mean[0] - mean[1]):.1f}; "
        f"mAP FAISS {cells[3]}, ours {cells[4]}"
    )


def faiss_index(X, n_bits):
    """Train FAISS's ITQ index."""
    import faiss

    index = faiss.index_factory(X.shape[1], f"ITQ{n_bits},LSH")
    index.train(X)
    return index


def faiss_codes(X_gallery, X_query, n_bits):
    """Codes of both sets, a byte a bit."""
    index = faiss_index(X_gallery.astype(np.float32), n_bits)
    packed = (index.sa_encode(X.astype(np.float32)) for X in (X_query, X_gallery))
    return [np.unpackbits(p, axis=1, bitorder="little")[:, :n_bits] for p in packed]


def write_rows(path, n_rows, n_features):
    """Write correlated random rows to a file, block by block."""
    rng = np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, n_features))
    mixing = rng.standard_normal((64, n_features), dtype=np.float32)
    for start in range(0, n_rows, 20_000):
        n = min(20_000, n_rows - start)
        signal = rng.standard_normal((n, 64), dtype=np.float32) @ mixing
        noise = rng.standard_normal((n, n_features), dtype=np.float32)
        out[start : start + n] = signal + noise
    out.flush()


def our_itq(name, n_features, n_bits):
    """Our ITQ with FAISS's sample size."""
    max_samples = max(10 * n_features, 32768)
    return ITQ(n_bits, max_samples=max_samples, random_state=0, **SETTINGS[name])


def run_ours(name, X, n_bits):
    """Fit and encode."""
    return our_itq(name, X.shape[1], n_bits).fit(X).encode(X)


def run_faiss(X, n_bits):
    """Train and encode."""
    return faiss_index(X, n_bits).sa_encode(X)


def compare_times(path, n_bits, n_rounds):
    """Print seconds of each side and the ratios, taken alternately."""
    X = np.load(path, mmap_mode="r")
    sides = {f"ITQ, {name}": partial(run_ours, name, X, n_bits) for name in SETTINGS}
    if HAS_FAISS:  # a map of its own, as we let go of the pages of ours
        sides["FAISS"] = partial(run_faiss, np.load(path, mmap_mode="r"), n_bits)
    times = {name: [] for name in sides}
    for _ in range(n_rounds):
        for name, run in sides.items():
            run()
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    seconds = {name: np.median(taken) for name, taken in times.items()}
    reference = list(sides)[-1]
    for name, taken in seconds.items():
        print(
            f"{name:14} learns from and encodes {len(X)} x {X.shape[1]} rows in "
            f"{taken:7.2f} s; ratio to {reference}: {taken / seconds[reference]:.2f}"
        )


def peak_memory():
    """Peak resident memory of this process in bytes, mapped files included."""
    for line in PROC.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return None


def measure_memory(path, name, n_bits):
    """Print what fitting and encoding adds to the memory of this process."""
    before = peak_memory()
    run_ours(name, np.load(path, mmap_mode="r"), n_bits)
    print(f"ITQ, {name}: {(peak_memory() - before) / 1e9:.2f} GB above the interpreter")


def main():
    """Compare what can be compared here."""
    arguments = parse_arguments()
    if arguments.measure_memory:
        path, name = arguments.measure_memory
        measure_memory(path, name, arguments.bits)
        return
    with threadpool_limits(arguments.threads):
        if HAS_FAISS:
            for n_bits in (16, 32, 61):
                compare_errors(n_bits)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "X.npy"
            write_rows(path, arguments.rows, arguments.features)
            compare_times(path, arguments.bits, arguments.rounds)
            for name in SETTINGS if PROC.exists() else ():
                command = [sys.executable, __file__, "--measure-memory", path, name]
                subprocess.run([*command, f"--bits={arguments.bits}"], check=True)


if __name__ == "__main__":
    main()
