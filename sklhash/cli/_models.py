"""Fitted models in files: skops, which is safe to read, or joblib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._errors import CommandError, list_names, require

SUFFIXES = (".skops", ".joblib")


def check_can_save(path: Path) -> None:
    """Look for what writes a model, before it takes hours to fit."""
    if path.suffix == ".skops":
        _skops()


def save_model(model: Any, path: Path) -> None:
    """Write a fitted model.

    Parameters
    ----------
    model : estimator
    path : Path
        Its suffix chooses the form.
    """
    if path.suffix == ".skops":
        _skops().dump(model, path)
    else:
        import joblib

        joblib.dump(model, path)


def load_model(path: Path) -> Any:
    """Read a fitted model.

    Parameters
    ----------
    path : Path
        A ``.skops`` file is refused if it holds more than numbers and classes of
        sklhash and scikit-learn; a ``.joblib`` file runs what code it holds.

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
    skops = _skops()
    try:
        unknown = skops.get_untrusted_types(file=path)
        ours = [name for name in unknown if name.startswith("sklhash.")]
        foreign = sorted(set(unknown) - set(ours))
        if not foreign:
            return skops.load(path, trusted=ours)
    except PermissionError:
        raise
    except Exception as error:  # a damaged archive shows itself in many ways
        raise CommandError(_unreadable(path)) from error
    raise CommandError(
        f"--model {path} holds types of neither sklhash nor scikit-learn, which may "
        f"run code: {list_names(foreign)}. If you trust it, load it by skops and save "
        "it as .joblib"
    )


def _load_joblib(path: Path) -> Any:
    import joblib

    try:
        return joblib.load(path)
    except PermissionError:
        raise
    except Exception as error:  # a pickle can raise anything
        raise CommandError(f"{_unreadable(path)} ({type(error).__name__})") from error


def _unreadable(path: Path) -> str:
    return (
        f"--model {path} cannot be read: make it again, by sklhash encode --save-model"
    )


def _skops() -> Any:
    return require("skops.io", "skops", "a .skops model")
