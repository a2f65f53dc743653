"""What a report says about the run, and how to go on from it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from argparse import Namespace
from typing import Any

import numpy as np

from ._answer import Answer
from ._hashers import as_python, needs_labels
from ._labels import describe_labels
from ._rows import RowFile


def describe_run(
    arguments: Namespace, rows: RowFile, X: Any, y: Any, how_split: str
) -> dict[str, str]:
    """Say what was compared on what, for whoever does it again.

    Parameters
    ----------
    arguments : Namespace
    rows : RowFile
    X, y : ndarray
    how_split : str

    Returns
    -------
    facts : dict of str to str
    """
    drawn = "" if rows.n_rows in (None, len(X)) else f", drawn from {rows.n_rows:,}"
    if arguments.max_rows is not None and rows.n_rows is None:
        drawn = ", drawn at random"
    labels = describe_labels(y)
    return {
        "Data": f"{arguments.data.name}: {len(X):,} rows{drawn} of {X.shape[1]:,} "
        f"features ({X.dtype}: {rows.features})",
        "Labels": f"{rows.labels}: {labels}" if rows.labels else "none",
        "Features": "standardised" if arguments.scale else "as they are",
        "Splits": how_split,
        "Command": f"python -m sklhash {shlex.join(arguments.argv)}",
        "Versions": _versions(),
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{arguments.jobs or 1} job(s) at a time",
    }


def _versions() -> str:
    import scipy
    import sklearn

    import sklhash

    versions = {
        "sklhash": sklhash.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
    }
    if "torch" in sys.modules:
        versions["PyTorch"] = sys.modules["torch"].__version__
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def next_steps(rows: RowFile, answer: Answer, arguments: Namespace) -> list[str]:
    """Write what uses the winner: some lines of Python, and two commands.

    Parameters
    ----------
    rows : RowFile
    answer : Answer
    arguments : Namespace

    Returns
    -------
    texts : list of str
        Empty if there is no winner.
    """
    if answer.hasher is None:
        return []
    class_name, hasher = as_python(answer.hasher, answer.n_bits, arguments.seed)
    load_X, load_y = rows.as_python()
    lines = [
        "import numpy as np",
        f"from sklhash import {class_name}, HammingRetriever",
    ]
    if "pd." in load_X:
        lines[0] = "import numpy as np, pandas as pd"
    if arguments.scale:
        hasher = f"make_pipeline(StandardScaler(), {hasher})"
        lines += [
            "from sklearn.pipeline import make_pipeline",
            "from sklearn.preprocessing import StandardScaler",
        ]
    labelled = needs_labels(answer.hasher)
    lines += [load_X, load_y] if labelled else [load_X]
    lines += [
        f"retriever = HammingRetriever({hasher}).fit(X{', y' * labelled})",
        "distances, positions = retriever.kneighbors(X[:5])  # distances in bits",
    ]
    commands = _commands(answer.hasher, answer.n_bits, arguments)
    return ["\n".join(lines), "\n".join(commands)]


def _commands(spec: str, n_bits: int, arguments: Namespace) -> list[str]:
    """Write what encodes the file, and searches the codes."""
    options = ["--hasher", spec, "--bits", str(n_bits)]
    for name in ("features", "labels"):
        given = getattr(arguments, name)
        options += [f"--{name}", *given] if given else []
    options += ["--scale"] * arguments.scale
    options += ["--seed", str(arguments.seed)] if arguments.seed else []
    encode = ["encode", str(arguments.data), *options, "--out", "codes.npy"]
    encode += ["--save-model", "model.skops"]
    search = "search QUERIES --codes codes.npy --model model.skops"
    return [f"python -m sklhash {text}" for text in (shlex.join(encode), search)]
