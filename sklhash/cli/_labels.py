"""Labels as files have them, made into classes or an indicator matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import CommandError

#: Columns of a table that are taken for its labels, the first one that there is.
LABEL_NAMES = ("y", "label", "labels", "target", "class")


def find_label_column(columns: Sequence[str]) -> str | None:
    """Guess which column of a table holds the labels.

    Parameters
    ----------
    columns : sequence of str

    Returns
    -------
    column : str or None
    """
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in LABEL_NAMES if name in lower), None)


def load_label_file(path: Path) -> NDArray[Any]:
    """Read labels from a ``.npy`` file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    labels : ndarray of shape (n_samples,) or (n_samples, n_labels)

    Raises
    ------
    CommandError
    """
    if not path.is_file():
        raise CommandError(f"--labels {path}: there is no such file")
    objects = "of labels: save text as labels.astype(str), for objects are not read"
    return check_labels(load_npy(path, f"--labels {path}", objects), path)


def load_npy(path: Path, name: str, objects: str) -> NDArray[Any]:
    """Map a .npy file.

    Parameters
    ----------
    path : Path
    name : str
        What to call it in errors.
    objects : str
        What to do if it holds Python objects, which might run code.

    Returns
    -------
    ndarray

    Raises
    ------
    CommandError
        If it is damaged, holds objects, or is an archive.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        why = "is damaged or cut off: write it again by numpy.save"
        if holds_objects(error):
            why = f"is no plain .npy file {objects}"
        raise CommandError(f"{name} {why}") from error
    if not isinstance(array, np.ndarray):
        raise CommandError(f"{name} is a .npz file: rename it, or save one array")
    return array


def holds_objects(error: Exception) -> bool:
    """Tell whether NumPy has refused to read Python objects."""
    return "allow_pickle" in str(error) or "Python objects" in str(error)


def check_labels(labels: NDArray[Any], path: Path, name: str = "labels") -> Any:
    """Refuse what is neither classes nor an indicator matrix.

    Parameters
    ----------
    labels : ndarray
    path : Path
    name : str

    Returns
    -------
    labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or labels.dtype.names:
        raise CommandError(
            f"{path}: {name} have shape {labels.shape}; they must be one class a row, "
            "or a matrix with one column of zeros and ones a label"
        )
    return labels


def join_labels(parts: Sequence[Any], path: Path) -> NDArray[Any]:
    """Join the labels of batches, and give them a form that metrics take.

    Parameters
    ----------
    parts : sequence of ndarray
        One class a row, one list of labels a row, or zeros and ones.
    path : Path

    Returns
    -------
    labels : ndarray of shape (n_samples,) or (n_samples, n_labels)

    Raises
    ------
    CommandError
        If some are missing, or a matrix has other values.
    """
    labels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if labels.ndim == 2:
        if not np.isin(labels, (0, 1)).all():
            raise CommandError(
                f"{path}: several columns of labels must hold zeros and ones: name one "
                "column of classes by --labels, or make an indicator matrix"
            )
        return labels.astype(np.uint8)
    missing = np.array([_is_missing(label) for label in labels.tolist()])
    if missing.any():
        raise CommandError(
            f"{path}: {missing.sum()} rows have no label, the first of them row "
            f"{missing.argmax()} (counted from 0): leave them out, or use "
            "--labels none"
        )
    if labels.dtype == object:
        if isinstance(labels[0], list | tuple | np.ndarray):
            return _indicator(labels, path)
        labels = np.asarray(labels.tolist())
    return labels


def describe_labels(labels: Any) -> str:
    """Say what labels there are, in a few words.

    Parameters
    ----------
    labels : ndarray or None

    Returns
    -------
    text : str
    """
    if labels is None:
        return "none"
    if labels.ndim == 2:
        mean = labels.sum() / len(labels)
        return f"{labels.shape[1]} labels, {mean:.2f} a row"
    classes, counts = np.unique(labels, return_counts=True)
    names = ", ".join(str(name) for name in classes[:12])
    more = ", ..." if len(classes) > 12 else ""
    return (
        f"{len(classes)} classes ({names}{more}) of {counts.min():,} to "
        f"{counts.max():,} rows"
    )


def _indicator(labels: NDArray[Any], path: Path) -> NDArray[Any]:
    from sklearn.preprocessing import MultiLabelBinarizer

    matrix: NDArray[Any] = MultiLabelBinarizer().fit_transform(labels.tolist())
    if not matrix.shape[1]:
        raise CommandError(f"{path}: no row has a label: use --labels none")
    return matrix.astype(np.uint8)


def _is_missing(label: Any) -> bool:
    return label is None or (isinstance(label, float) and label != label)
