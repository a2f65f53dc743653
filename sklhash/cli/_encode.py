"""``sklhash encode``: hash a file of rows to a file of codes."""

from __future__ import annotations

import time
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from sklhash.code_files import CodesWriter, written_whole
from sklhash.codes import PackedCodes
from sklhash.encoding import encode_with, last_step

from ._errors import CommandError
from ._files import open_rows
from ._hashers import build, check_labels_given, make_hasher, needs_labels
from ._models import SUFFIXES, check_can_save, load_model, save_model
from ._outputs import check_file, check_not_input
from ._progress import progress_bar
from ._rows import RowFile
from ._words import bytes_in_words, say


def run(arguments: Namespace) -> int:
    """Learn from a sample, or load a model, and write the codes of all rows.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    status : int
    """
    out, model_out = arguments.out, arguments.save_model
    _check_outputs(arguments)
    rows = open_rows(arguments.data, arguments.features, arguments.labels)
    for note in rows.notes:
        say(f"note: {note}")
    start = time.perf_counter()
    if arguments.model is not None:
        model = load_model(arguments.model)
        learned = f"codes of the model in {arguments.model}"
    else:
        model, n_train = _learn(rows, arguments)
        learned = f"learned from {n_train:,} rows in {_since(start)}"
    _check_features(model, rows)
    start = time.perf_counter()
    with ExitStack() as files:
        part = files.enter_context(written_whole(out))
        if model_out is not None:
            save_model(model, files.enter_context(written_whole(model_out)))
        n_rows, n_bits, row_bytes = write_codes(model, rows, part, arguments.jobs)
    _print_sizes(rows, n_rows, n_bits, row_bytes)
    print(f"{learned}, encoded in {_since(start)}")
    _say_where(arguments)
    return 0


def _print_sizes(rows: RowFile, n_rows: int, n_bits: int, row_bytes: int) -> None:
    print(f"{n_rows:,} rows of {rows.n_features} features: codes of {n_bits} bits")
    code_bytes = -(-n_bits // 8)
    ratio = f"{row_bytes / code_bytes:.3g} times less"
    print(
        f"{code_bytes} bytes a row instead of {row_bytes:,}: {ratio}; "
        f"{bytes_in_words(code_bytes * n_rows)} in all"
    )


def write_codes(
    model: Any, rows: RowFile, path: Path, n_jobs: int | None
) -> tuple[int, int, int]:
    """Hash rows batch by batch into a file.

    Parameters
    ----------
    model : estimator
    rows : RowFile
    path : Path
    n_jobs : int or None

    Returns
    -------
    n_rows, n_bits : int
    row_bytes : int
        Memory of a row of floats.
    """
    writer, row_bytes = None, 0
    with open(path, "wb") as file, progress_bar("encode") as progress:
        for X, _ in rows.batches():
            first = 0 if writer is None else writer.n_rows
            rows.check_finite(X, first)
            codes = encode_batch(model, X, n_jobs)
            if writer is None:
                writer, row_bytes = CodesWriter(file, codes.n_bits), X[0].nbytes
            writer.append(codes.packed)
            rows.release()
            progress(writer.n_rows, rows.n_rows)
        if writer is None:
            raise CommandError(f"{rows.path} holds no rows")
        writer.finish()
    return writer.n_rows, codes.n_bits, row_bytes


def encode_batch(model: Any, X: Any, n_jobs: int | None) -> PackedCodes:
    """Hash some rows.

    Parameters
    ----------
    model : estimator
    X : ndarray of shape (n_rows, n_features)
    n_jobs : int or None
        Threads, where the model is a hasher of ours or a pipeline that ends in one.

    Returns
    -------
    PackedCodes
    """
    if isinstance(model, Pipeline) and len(model.steps) > 1:
        return encode_batch(model[-1], model[:-1].transform(X), n_jobs)
    if n_jobs is not None and model is last_step(model) and hasattr(model, "n_bits"):
        codes: PackedCodes = model.encode(X, n_jobs=n_jobs)
        return codes
    return encode_with(model, X)


def _learn(rows: RowFile, arguments: Namespace) -> tuple[Any, int]:
    """Fit the hasher on rows drawn from the file."""
    spec = arguments.hasher
    if needs_labels(spec):
        check_labels_given([spec], rows.labels or None)
    rows.keep_labels = needs_labels(spec)
    params = {"n_bits": arguments.bits, "random_state": arguments.seed}
    hasher = build(spec, scale=arguments.scale, **params)
    say(f"learning from {arguments.train_rows:,} rows at most")
    X, y = rows.read(arguments.train_rows, arguments.seed)
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        rows.check_all_finite()  # names the row of the file, not of the sample
    return hasher.fit(X, y), len(X)


def _check_outputs(arguments: Namespace) -> None:
    """Refuse what would fail after hours."""
    out, model_out = arguments.out, arguments.save_model
    check_file(out, "--out", (".npy",))
    labels = [Path(name) for name in arguments.labels or []]
    check_not_input(out, "--out", arguments.data, *labels)
    if arguments.model is not None and model_out is not None:
        raise CommandError("--save-model: the model is in a file already (--model)")
    if arguments.model is None:
        make_hasher(arguments.hasher, n_bits=arguments.bits)
    if model_out is not None:
        check_file(model_out, "--save-model", SUFFIXES)
        check_not_input(model_out, "--save-model", arguments.data)
        check_can_save(model_out)


def _check_features(model: Any, rows: RowFile) -> None:
    expected = getattr(model, "n_features_in_", rows.n_features)
    if expected != rows.n_features:
        raise CommandError(
            f"{rows.path} has {rows.n_features} features, but the model expects "
            f"{expected}: choose them by --features, or another model"
        )


def _say_where(arguments: Namespace) -> None:
    model = arguments.model or arguments.save_model
    print(f"codes: {arguments.out}")
    if arguments.save_model is not None:
        print(f"model: {model}")
    if model is None:
        say(
            "note: without --save-model, new rows cannot be hashed to compare with "
            "these codes"
        )
    else:
        print(
            f"search: python -m sklhash search QUERIES --codes {arguments.out} --model "
            f"{model}"
        )


def _since(start: float) -> str:
    return f"{time.perf_counter() - start:.3g} s"
