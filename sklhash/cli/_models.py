"""Fitted models in files: skops, which is safe to read, or joblib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sklhash.estimator_files import load_estimator, save_estimator

from ._errors import CommandError, require

SUFFIXES = (".skops", ".joblib")


def check_can_save(path: Path) -> None:
    """Look for what writes a model, before it takes hours to fit."""
    if path.suffix == ".skops":
        _require_skops()


def save_model(model: Any, path: Path) -> None:
    """Write a fitted model.

    Parameters
    ----------
    model : estimator
    path : Path
        Its suffix chooses the form.
    """
    if path.suffix == ".skops":
        save_estimator(model, path)
    else:
        import joblib

        joblib.dump(model, path)


def load_model(path: Path) -> Any:
    """Read a fitted model.

    Parameters
    ----------
    path : Path
        A ``.skops`` file is refused if it holds more than `load_estimator` trusts; a
        ``.joblib`` file runs what code it holds.

    Returns
    -------
    model : estimator

    Raises
    ------
    CommandError
        If there is no such file, or no model in it.
    """
    if path.suffix not in SUFFIXES:
        raise CommandError(f"--model {path}: the name must end in .skops or .joblib")
    if not path.is_file():
        raise CommandError(f"--model {path}: there is no such file")
    model = _load_skops(path) if path.suffix == ".skops" else _load_joblib(path)
    if not hasattr(model, "transform") and not hasattr(model, "encode"):
        raise CommandError(
            f"--model {path} holds no hasher but {type(model).__name__}: give what "
            "sklhash encode --save-model wrote"
        )
    return model


def _load_skops(path: Path) -> Any:
    _require_skops()
    try:
        return load_estimator(path)
    except ValueError as error:
        raise CommandError(
            f"--model {error}. Make it again, by sklhash encode --save-model; one of "
            "other types, if you trust it, load in Python and save as .joblib"
        ) from error


def _load_joblib(path: Path) -> Any:
    import joblib

    try:
        return joblib.load(path)
    except PermissionError:
        raise
    except Exception as error:  # a pickle can raise anything
        raise CommandError(
            f"--model {path} cannot be read ({type(error).__name__}): make it again, "
            "by sklhash encode --save-model"
        ) from error


def _require_skops() -> None:
    require("skops.io", "skops", "a .skops model")
