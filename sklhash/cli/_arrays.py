"""Rows in NumPy's files: ``.npy``, mapped, and ``.npz``, loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash.rows import release

from ._errors import DAMAGED, CommandError, did_you_mean, list_names
from ._labels import check_labels, holds_objects, load_npy
from ._rows import Batch, RowFile


class ArrayRows(RowFile):
    """Rows of an array, in memory or mapped.

    Parameters
    ----------
    path : Path
    X : ndarray of shape (n_samples, ...)
        Numbers; more than two dimensions are flattened, batch by batch.
    name : str
        What to call X in messages.
    """

    def __init__(self, path: Path, X: NDArray[Any], name: str) -> None:
        super().__init__(path)
        if X.ndim < 2 or X.dtype.kind not in "fiub" or 0 in X.shape:
            raise CommandError(
                f"{path}: {name} has shape {X.shape} and holds {X.dtype}; rows of "
                "numbers are needed, one row an item"
            )
        self.X, self.key = X, name
        self.y: NDArray[Any] | None = None
        self.n_rows, self.n_features = len(X), int(np.prod(X.shape[1:]))
        self.features = name
        if X.ndim > 2:
            self.notes.append(f"{name} of shape {X.shape} is taken as rows of numbers")

    def batches(self) -> Iterator[Batch]:
        """Give all rows, first to last, some at a time."""
        for start in range(0, len(self.X), self.batch_rows):
            rows = slice(start, start + self.batch_rows)
            yield self._rows(rows), None if self.y is None else self.y[rows]

    def read(self, max_rows: int | None = None, seed: int = 0) -> Batch:
        """Read rows and labels; an array of which all are wanted is not copied."""
        if max_rows is not None and max_rows < len(self.X):
            return super().read(max_rows, seed)
        return self._join([(self._rows(slice(None)), self.y)])

    def as_python(self) -> tuple[str, str]:
        """Write what loads the rows, and what loads the labels, in Python."""
        _, load_y = super().as_python()
        cast = f".reshape({self.n_rows}, -1)" if self.X.ndim > 2 else ""
        cast += '.astype("float32")' if self.X.dtype == np.float16 else ""
        file = f"np.load({str(self.path)!r})"
        if self.path.suffix.lower() == ".npy":
            return f"X = {file}{cast}", load_y
        if self.labels:
            load_y = f"y = {file}[{self.labels!r}]"
        if self.labels.endswith("_packed") and self.y is not None:
            count = self.y.shape[1]
            load_y = f"y = np.unpackbits({load_y[4:]}, axis=1, count={count})"
        return f"X = {file}[{self.key!r}]{cast}", load_y

    def release(self) -> None:
        """Let go of what was read of a mapped file."""
        release(self.X)

    def _rows(self, rows: slice) -> NDArray[Any]:
        X = self.X[rows]
        if X.ndim > 2:
            X = X.reshape(len(X), -1)
        return X.astype(np.float32) if X.dtype == np.float16 else X


def open_npy(path: Path, features: list[str], labels: list[str]) -> ArrayRows:
    """Map the rows of a ``.npy`` file.

    Parameters
    ----------
    path : Path
    features, labels : list of str
        Empty: the file holds nothing but rows.

    Returns
    -------
    rows : ArrayRows
    """
    for option, names in (("--features", features), ("--labels", labels)):
        if names:
            raise CommandError(
                f"{option} {' '.join(names)}: a .npy file has no columns with names; "
                "labels come from another one: --labels labels.npy"
            )
    objects = (
        "of numbers (objects are not read, as that could run code): save an array of "
        "floats by numpy.save"
    )
    X = load_npy(path, str(path), objects)
    if X.dtype.names:
        raise CommandError(
            f"{path} holds fields, not rows of numbers; if these are codes, "
            "sklhash search takes them"
        )
    return ArrayRows(path, X, "the array")


def open_npz(path: Path, features: list[str], labels: list[str]) -> ArrayRows:
    """Load rows, labels and, if it names one, the split of a ``.npz`` file.

    Parameters
    ----------
    path : Path
    features, labels : list of str
        One key each, or none for ``X``, and for ``y`` or ``labels_packed``.

    Returns
    -------
    rows : ArrayRows
    """
    try:
        file = np.load(path, allow_pickle=False)
    except (ValueError, *DAMAGED) as error:
        raise CommandError(
            f"{path} is no .npz file: write it by numpy.savez"
        ) from error
    if isinstance(file, np.ndarray):
        raise CommandError(f"{path} is a .npy file: rename it")
    with file:
        archive = _Archive(path, file)
        key = archive.key("--features", features) or archive.default_rows()
        rows = ArrayRows(path, archive[key], key)
        wanted = archive.key("--labels", labels)
        rows.labels = wanted or archive.default_labels()
        if rows.labels == "none":
            rows.labels = ""
        if rows.labels:
            rows.y = check_labels(archive.unpacked(rows.labels), path, rows.labels)
            if len(rows.y) != len(rows.X):
                raise CommandError(
                    f"{path}: {rows.labels} has {len(rows.y):,} labels, but {key} "
                    f"{len(rows.X):,} rows: they must be of the same rows"
                )
        rows.split = archive.split(len(rows.X))
    return rows


class _Archive:
    """Arrays by their keys, with messages that list the keys there are."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file

    def __getitem__(self, key: str) -> NDArray[Any]:
        try:
            array: NDArray[Any] = self._file[key]
        except (ValueError, *DAMAGED) as error:
            why = "is damaged or cut off: write the file again by numpy.savez"
            if holds_objects(error):
                why = (
                    "holds Python objects, which are not read, as that could run code:"
                    " save numbers, and text by .astype(str)"
                )
            raise CommandError(f"{self._path}: {key} {why}") from error
        if not isinstance(array, np.ndarray):
            raise CommandError(f"{self._path}: {key} is no array: use numpy.savez")
        return array

    def key(self, option: str, names: list[str]) -> str:
        """Check the one key that was asked for, if any."""
        if not names or names == ["none"]:
            return "".join(names)
        if len(names) > 1 or names[0] not in self._file:
            raise CommandError(
                f"{option} {' '.join(names)}: {did_you_mean(names[0], self._file)}one "
                f"of the keys of {self._path} is needed: {list_names(self._file)}"
            )
        return names[0]

    def default_rows(self) -> str:
        """Look for the rows where no key is given."""
        if "X" not in self._file:
            raise CommandError(
                f"{self._path} has no key X: name the rows by --features; the keys "
                f"are {list_names(self._file)}"
            )
        return "X"

    def default_labels(self) -> str:
        """Look for labels where no key is given."""
        known = ("y", "labels_packed")
        return next((key for key in known if key in self._file), "")

    def unpacked(self, key: str) -> NDArray[Any]:
        """Give labels; those packed eight to a byte are unpacked."""
        labels = self[key]
        if not key.endswith("_packed"):
            return labels
        if "n_labels" not in self._file:
            raise CommandError(f"{self._path}: {key} needs a key n_labels beside it")
        count = self["n_labels"]
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise CommandError(
                f"{self._path}: {key} of shape {labels.shape} and {labels.dtype} holds "
                "no packed labels: make them by numpy.packbits(Y, axis=1)"
            )
        if count.size != 1 or count.dtype.kind not in "iu":
            raise CommandError(f"{self._path}: n_labels must be one whole number")
        if not 1 <= count.item() <= 8 * labels.shape[1]:
            raise CommandError(
                f"{self._path}: n_labels is {count.item()}, but {key} has room for 1 "
                f"to {8 * labels.shape[1]}"
            )
        return np.unpackbits(labels, axis=1, count=count.item())

    def split(
        self, n_rows: int
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
        """Give the row numbers of training, gallery and queries."""
        if "query_idx" not in self._file:
            return None
        query = self._row_numbers("query_idx", n_rows)
        gallery = np.setdiff1d(np.arange(n_rows), query)
        if "db_idx" in self._file:
            gallery = self._row_numbers("db_idx", n_rows)
        train = gallery
        if "train_idx" in self._file:
            train = self._row_numbers("train_idx", n_rows)
        return train, gallery, query

    def _row_numbers(self, key: str, n_rows: int) -> NDArray[Any]:
        rows = self[key]
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise CommandError(
                f"{self._path}: {key} of shape {rows.shape} holds {rows.dtype}; it "
                "must hold row numbers (of a mask, numpy.flatnonzero gives them)"
            )
        if rows.size and not 0 <= rows.min() <= rows.max() < n_rows:
            raise CommandError(
                f"{self._path}: {key} holds {rows.min()} to {rows.max()}, but the rows "
                f"are 0 to {n_rows - 1}"
            )
        return rows
