"""Rows in files: what all kinds of files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement

from sklhash.streaming import Reservoir

from ._errors import CommandError
from ._labels import join_labels

#: Rows, and their labels as the file has them, or None.
Batch = tuple[NDArray[Any], Any]

#: Numbers in a batch: 32 MB in double precision.
BATCH_VALUES = 2**22


class RowFile(ABC):
    """Rows of numbers in a file, read batch by batch or at once.

    Attributes
    ----------
    path : Path
    n_rows : int or None
        None where only reading the whole file would tell.
    n_features : int
    features, labels : str
        What was taken for them, in words; labels are ``""`` where there are none.
    notes : list of str
        What was decided without being asked for.
    split : tuple of (train, gallery, query) or None
        Row numbers, if the file names any.
    keep_labels : bool
        Whether `read` gives them, if there are any.
    """

    path: Path
    n_rows: int | None
    n_features: int
    features: str
    labels: str = ""
    split: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None = None
    keep_labels: bool = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Give all rows, first to last, some at a time."""

    @property
    def batch_rows(self) -> int:
        """Rows of a batch."""
        return max(1, min(BATCH_VALUES // self.n_features, 50_000))

    def feature(self, column: int) -> str:
        """Name a feature."""
        return f"column {column}"

    def as_python(self) -> tuple[str, str]:
        """Write what loads the rows, and what loads the labels, in Python."""
        return "X = ...  # the rows", "y = ...  # their labels"

    def release(self) -> None:  # noqa: B027 - few files are mapped
        """Let go of what was read of a mapped file."""

    def read(self, max_rows: int | None = None, seed: int = 0) -> Batch:
        """Read rows and labels into memory.

        Parameters
        ----------
        max_rows : int, default=None
            Draw so many, in the file's order; None for all.
        seed : int

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,) or (n_samples, n_labels), or None
        """
        if max_rows is None or (self.n_rows is not None and max_rows >= self.n_rows):
            return self._join(list(self.batches()))
        if self.n_rows is None:
            return self._join([self._reservoir(max_rows, seed)])
        return self._join(list(self._pick(draw_rows(self.n_rows, max_rows, seed))))

    def _pick(self, rows: NDArray[np.intp]) -> Iterator[Batch]:
        """Give the rows of sorted numbers, and leave the others out."""
        start = 0
        for X, y in self.batches():
            first, last = np.searchsorted(rows, [start, start + len(X)])
            chosen = rows[first:last] - start
            yield X[chosen], None if y is None else y[chosen]
            start += len(X)
            self.release()

    def _reservoir(self, n_rows: int, seed: int) -> Batch:
        """Draw rows from a stream, all equally likely (algorithm R of Vitter)."""
        # They draw a number a row, so equal seeds take the same rows and labels.
        X_kept, y_kept = (Reservoir(n_rows, check_random_state(seed)) for _ in range(2))
        labelled = False
        for X, y in self.batches():
            X_kept.update(X)
            if labelled := y is not None:
                y_kept.update(y)
        if not X_kept.n_seen:
            raise CommandError(f"{self.path} holds no rows")
        return X_kept.rows, y_kept.rows if labelled else None

    def _join(self, parts: Sequence[Batch]) -> Batch:
        parts = [part for part in parts if len(part[0])]
        if not parts:
            raise CommandError(f"{self.path} holds no rows")
        X = parts[0][0] if len(parts) == 1 else np.concatenate([X for X, _ in parts])
        if parts[0][1] is None or not self.keep_labels:
            return X, None
        return X, join_labels([y for _, y in parts], self.path)

    def check_all_finite(self) -> None:
        """Refuse NaN and infinity in any row, reading them batch by batch."""
        start = 0
        for X, _ in self.batches():
            self.check_finite(X, start)
            start += len(X)
            self.release()

    def check_finite(self, X: NDArray[Any], first_row: int = 0) -> None:
        """Refuse rows with NaN or infinity.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
        first_row : int
            Where in the file they begin.

        Raises
        ------
        CommandError
            Naming how many, and where the first one is.
        """
        if X.dtype.kind != "f" or np.isfinite(X).all():
            return
        bad = ~np.isfinite(X)
        row, column = (int(i) for i in np.argwhere(bad)[0])
        count = int(np.count_nonzero(bad))
        rows = int(np.count_nonzero(bad.any(axis=1)))
        raise CommandError(
            f"{self.path}: {count} NaN or infinite value{'s' * (count > 1)} in {rows} "
            f"row{'s' * (rows > 1)}, the first in row {first_row + row} (counted from "
            f"0), {self.feature(column)}: leave such rows out, or fill them in"
        )


def draw_rows(n_rows: int, n_drawn: int, seed: int) -> NDArray[np.intp]:
    """Draw row numbers without replacement, in order.

    Parameters
    ----------
    n_rows, n_drawn : int
    seed : int

    Returns
    -------
    rows : ndarray of shape (n_drawn,), dtype intp
    """
    drawn = sample_without_replacement(n_rows, n_drawn, random_state=seed)
    return np.sort(drawn).astype(np.intp)
