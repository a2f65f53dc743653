"""Count the bits in which modules of PyTorch and ONNX files differ from their hashers.

    pip install -e ".[onnx]" onnxruntime  # for --onnx
    python benchmarks/torch_modules.py
    python benchmarks/torch_modules.py --rows 100000 --bits 64 256 --onnx

Rows lie around 64 directions, with noise; `--seed` draws others.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from sklhash import (
    ITQ,
    AnchorGraphHashing,
    SpectralHashing,
    SphericalHashing,
    UHGAHasher,
    to_onnx,
    to_torch,
)

N_FEATURES, N_DIRECTIONS, N_LEARNED, BATCH = 512, 64, 10_000, 8192


def hashers(n_bits):
    """One hasher of each kind of arithmetic."""
    yield ITQ(n_bits, random_state=0)
    yield SpectralHashing(n_bits)
    yield SphericalHashing(n_bits, max_iter=200, random_state=0)
    yield AnchorGraphHashing(n_bits, n_anchors=600, random_state=0)
    yield UHGAHasher(n_bits, max_epochs=2, random_state=0)


def differing(function, X, codes):
    """Number of bits in which codes differ, found batch by batch."""
    batches = gen_batches(len(X), BATCH)
    return sum(int(np.sum(function(X[rows]) != codes[rows])) for rows in batches)


def run_module(module):
    """Make a module a function of arrays."""
    return lambda X: module(torch.from_numpy(X)).numpy()


def run_onnx(hasher, folder):
    """Make a hasher's ONNX file a function of arrays."""
    import onnxruntime

    path = Path(folder) / "hasher.onnx"
    to_onnx(hasher, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda X: session.run(None, {"rows": X})[0]


def count(hasher, X, *, onnx):
    """Bits that differ, by what is compared."""
    singles = X.astype(np.float32)
    codes, of_singles = hasher.transform(X), hasher.transform(singles)
    counts = {
        "float64": differing(run_module(to_torch(hasher)), X, codes),
        "float32": differing(run_module(to_torch(hasher)), singles, of_singles),
        "float()": differing(run_module(to_torch(hasher).float()), singles, of_singles),
    }
    if onnx:
        with tempfile.TemporaryDirectory() as folder:
            counts["onnx"] = differing(run_onnx(hasher, folder), X, codes)
    return {**counts, "bits": codes.size}


def main():
    """Print the counts of each hasher, and of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--bits", type=int, nargs="+", default=[64])
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args, _ = parser.parse_known_args()
    rng = np.random.RandomState(args.seed)
    X = rng.standard_normal((args.rows, N_DIRECTIONS))
    X = X @ rng.standard_normal((N_DIRECTIONS, N_FEATURES))
    X += rng.standard_normal(X.shape)
    total = {}
    for n_bits in args.bits:
        for hasher in hashers(n_bits):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                hasher.fit(X[:N_LEARNED])
            counts = count(hasher, X, onnx=args.onnx)
            total = {name: total.get(name, 0) + counts[name] for name in counts}
            print(f"{type(hasher).__name__:20} {n_bits:4} bits", counts, flush=True)
    n_bits = total.pop("bits")
    ratios = {name: f"{count / n_bits:.1e}" for name, count in total.items()}
    print(f"all {n_bits} bits {total}, ratio to all {ratios}")


if __name__ == "__main__":
    main()
