"""The tables of the UHGA paper, on CIFAR-10 deep features: ablation and thresholds.

    python benchmarks/uhga.py --data cifar10_deep.npz --output docs/uhga.md

The file holds features `X`, classes `y`, row numbers `query1000_idx` (the queries) and
`train5000_idx` (the rows that the networks learn from, without their classes). All
rows but the queries are the gallery, and ITQ learns from all of it. A gallery row is
relevant to a query of its class. The score is the mAP of the whole ranking, averaged
over all orders of equally distant rows; mean and s.d. over the seeds.

The paper's figures are not comparable: its features (FC-7 of an AlexNet), its split
and its cut-off of the ranking are others or unknown. They stand there for the pattern.

Without a file the script does the same with scikit-learn's digits, in seconds.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklhash import ITQ, SSDHHasher, UHGAHasher
from sklhash.metrics import mean_average_precision

DEFAULTS = {"ITQ": ITQ(), "SSDH": SSDHHasher(), "UHGA": UHGAHasher()}
#: Attention costs the square of the batch: about as many steps as by default, on
#: batches of a quarter of the rows.
STEPS = {"batch_size": 32, "max_epochs": 8}
ABLATION = {
    "SSDH": SSDHHasher(**STEPS),
    "SSDH+GA": SSDHHasher(attention_weight=1.0, **STEPS),
    "UHGA without GA": UHGAHasher(**STEPS),
    "UHGA with GA": UHGAHasher(attention_weight=1.0, **STEPS),
}
#: CIFAR-10 at 16, 32, 64 and 128 bits, as printed; ITQ's is another ITQ's.
PAPER = {
    "ITQ": (0.1999, 0.2098, 0.2229, 0.2312),
    "SSDH": (0.2172, 0.2313, 0.2405, 0.2351),
    "SSDH+GA": (0.2827, 0.3018, 0.3219, 0.3462),
    "UHGA": (0.2704, 0.3133, 0.3240, 0.3452),
    "UHGA without GA": (0.2704, 0.3133, 0.3240, 0.3452),
    "UHGA with GA": (0.2936, 0.3233, 0.3499, 0.3661),
}
PAPER_THRESHOLDS = {
    0.0: (0.1015, 0.3091, 0.3744, 0.3739),
    0.1: (0.1015, 0.3080, 0.3413, 0.3668),
    0.2: (0.2940, 0.3204, 0.3464, 0.3704),
    0.3: (0.2841, 0.3283, 0.3508, 0.3688),
    0.4: (0.2854, 0.3309, 0.3470, 0.3653),
    0.5: (0.2837, 0.3195, 0.3404, 0.3629),
    0.6: (0.2822, 0.3096, 0.3276, 0.3347),
    0.7: (0.2199, 0.2428, 0.2650, 0.2993),
    0.8: (0.1677, 0.2008, 0.2380, 0.2900),
    0.9: (0.1576, 0.1932, 0.2334, 0.2888),
}
TABLES = {
    "defaults": (DEFAULTS, PAPER, "with their defaults"),
    "ablation": (
        ABLATION,
        PAPER,
        "batch_size=32, max_epochs=8; GA is attention_weight=1",
    ),
    "thresholds": (
        {v: UHGAHasher(threshold=v, max_epochs=10) for v in PAPER_THRESHOLDS},
        PAPER_THRESHOLDS,
        "UHGAHasher(threshold=..., max_epochs=10)",
    ),
}
PAPER_BITS = [16, 32, 64, 128]


def parse_arguments():
    """Read the command line; other programs' arguments are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="cifar10_deep.npz")
    parser.add_argument("--bits", nargs="+", type=int)
    parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument(
        "--tables", nargs="+", choices=TABLES, default=list(TABLES), help="default: all"
    )
    parser.add_argument("--n-jobs", type=int, default=1, help="processes")
    parser.add_argument("--output", type=Path, help="write the tables there, too")
    return parser.parse_known_args()[0]


def read_data(path):
    """Rows of gallery and training, and queries; classes of gallery and queries."""
    if path is None:
        X, y = load_digits(return_X_y=True)
        gallery, queries, y_gallery, y_queries = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=0
        )
        return gallery, gallery[:500], queries, y_gallery, y_queries
    with np.load(path, allow_pickle=False) as file:
        X, y = file["X"].astype(np.float32), file["y"]
        queries, train = file["query1000_idx"], file["train5000_idx"]
    gallery = np.setdiff1d(np.arange(len(X)), queries)
    return X[gallery], X[train], X[queries], y[gallery], y[queries]


def score(hasher, data):
    """Mean average precision of one fit."""
    gallery, train, queries, y_gallery, y_queries = data

    with warnings.catch_warnings():  # low thresholds are expected to collapse
        warnings.simplefilter("ignore", ConvergenceWarning)
        hasher.fit(gallery if isinstance(hasher, ITQ) else train)
    codes = hasher.encode(queries), hasher.encode(gallery)
    return mean_average_precision(*codes, y_queries, y_gallery)


def measure(hashers, data, n_bits, n_seeds, n_jobs):
    """Scores of hashers by name and code length, an array over the seeds."""
    keys = [(name, n) for name in hashers for n in n_bits]
    runs = []
    for seed in range(n_seeds):
        jobs = (
            delayed(score)(
                clone(hashers[name]).set_params(n_bits=n, random_state=seed), data
            )
            for name, n in keys
        )
        runs.append(list(Parallel(n_jobs)(jobs)))
        cells = zip(keys, runs[-1], strict=True)
        print(
            f"seed {seed}:", *(f"{k[0]} {k[1]} {v:.4f}" for k, v in cells), flush=True
        )
    return dict(zip(keys, np.transpose(runs), strict=True))


def table(title, results, n_bits, paper):
    """Lines of a Markdown table: a row a hasher, the paper's figures on the right."""
    known = [n for n in n_bits if n in PAPER_BITS]
    yield (
        "| "
        + " | ".join(
            [title, *(f"{n} bits" for n in n_bits), *(f"paper, {n}" for n in known)]
        )
        + " |"
    )
    yield "|---|" + "---|" * (len(n_bits) + len(known))
    for name in dict.fromkeys(name for name, _ in results):
        ours = (cell(results[name, n]) for n in n_bits)
        theirs = (f"{paper[name][PAPER_BITS.index(n)]:.4f}" for n in known)
        yield "| " + " | ".join([str(name), *ours, *theirs]).replace(" 0.", " .") + " |"


def cell(runs):
    """Mean and spread over the seeds."""
    return f"{runs.mean():.4f} ±{runs.std():.4f}".replace("±0.", "±.")


def ratios(results, n_bits):
    """Lines that hold each network against ITQ."""
    for name in dict.fromkeys(name for name, _ in results):
        if name != "ITQ" and ("ITQ", n_bits[0]) in results:
            values = (
                results[name, n].mean() / results["ITQ", n].mean() for n in n_bits
            )
            yield f"{name}: ratio to ITQ " + " / ".join(f"{v:.3f}" for v in values)


arguments = parse_arguments()
data = read_data(arguments.data)
on_digits = arguments.data is None
n_bits = arguments.bits or ([8, 16] if on_digits else PAPER_BITS)
n_seeds = arguments.seeds or (1 if on_digits else 5)
lines = [
    f"{'Digits' if on_digits else 'CIFAR-10'}: {len(data[0])} gallery rows, "
    f"{len(data[1])} training rows, {len(data[2])} queries, {data[0].shape[1]} "
    f"features; mAP of the whole ranking, ties averaged, {n_seeds} seeds.",
]
for name in arguments.tables:
    hashers, paper, title = TABLES[name]
    if on_digits:
        hashers = {key: hashers[key] for key in list(hashers)[:4]}
        for hasher in hashers.values():
            if not isinstance(hasher, ITQ):
                hasher.set_params(max_epochs=4, attention_units=4)
    results = measure(hashers, data, n_bits, n_seeds, arguments.n_jobs)
    lines += ["", f"{name.capitalize()}: {title}.", ""]
    lines += [*table(name, results, n_bits, paper), "", *ratios(results, n_bits)]
print("\n".join(lines))
if arguments.output:
    arguments.output.write_text("\n".join(lines) + "\n")
