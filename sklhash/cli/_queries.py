"""Codes in files, and queries, which may be rows or codes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from sklhash.code_files import is_code_file
from sklhash.codes import PackedCodes

from ._encode import encode_batch
from ._errors import CommandError
from ._files import open_rows
from ._models import load_model
from ._rows import RowFile
from ._words import say


def load_codes(path: Path, name: str) -> PackedCodes:
    """Map a file of codes.

    Parameters
    ----------
    path : Path
    name : str
        What it was given by.

    Returns
    -------
    PackedCodes
    """
    if not path.is_file():
        raise CommandError(f"{name} {path}: there is no such file")
    try:
        codes = PackedCodes.load(path, mmap_mode="r")
    except ValueError as error:
        if is_code_file(path):  # damaged, or of a newer version
            raise CommandError(f"{name} {error}") from error
        raise CommandError(
            f"{name} {path} holds no codes: make them by sklhash encode"
        ) from error
    if not len(codes):
        raise CommandError(f"{name} {path} holds 0 codes")
    return codes


def read_queries(arguments: Namespace) -> PackedCodes:
    """Give the codes of the queries, which may be rows or codes already.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    PackedCodes
    """
    path = arguments.queries
    if path.suffix == ".npy" and is_code_file(path):
        if arguments.model is not None:
            if not arguments.model.is_file():
                raise CommandError(f"--model {arguments.model}: there is no such file")
            say(f"note: {path} holds codes: --model is not used")
        return load_codes(path, "QUERIES")
    rows = open_rows(path, arguments.features)
    if arguments.model is None:
        raise CommandError(
            f"{path} holds rows, not codes: give the --model that made the codes"
        )
    model = load_model(arguments.model)
    expected = getattr(model, "n_features_in_", rows.n_features)
    if expected != rows.n_features:
        raise CommandError(
            f"{path} has {rows.n_features} features, but the model expects {expected}:"
            " choose them by --features"
        )
    for note in rows.notes:
        say(f"note: {note}")
    return _hash(rows, model, arguments.jobs)


def _hash(rows: RowFile, model: Any, n_jobs: int | None) -> PackedCodes:
    parts, start = [], 0
    for X, _ in rows.batches():
        rows.check_finite(X, start)
        parts.append(encode_batch(model, X, n_jobs))
        start += len(X)
        rows.release()
    if not parts:
        raise CommandError(f"{rows.path} holds no rows")
    return PackedCodes.concatenate(parts)
