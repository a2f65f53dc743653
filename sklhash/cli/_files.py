"""Open whatever file rows are in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ._arrays import open_npy, open_npz
from ._errors import CommandError, naming
from ._hashers import split_list
from ._labels import load_label_file
from ._rows import Batch, RowFile

SUFFIXES = (".npz", ".npy", ".csv", ".csv.gz", ".parquet")


def open_rows(
    path: Path, features: list[str] | None = None, labels: list[str] | None = None
) -> RowFile:
    """Open a file of rows.

    Parameters
    ----------
    path : Path
    features : list of str, default=None
        Key or columns; None for the file's default.
    labels : list of str, default=None
        Key, columns, a ``.npy`` file, or ``none``; None for the file's default.

    Returns
    -------
    rows : RowFile

    Raises
    ------
    CommandError
        If there is no such file, or no rows of numbers in it.
    """
    features, labels = split_list(features or []), split_list(labels or [])
    if not path.is_file():
        raise CommandError(f"{path}: there is no such file")
    beside = len(labels) == 1 and labels[0].endswith(".npy")
    rows = _open(path, features, ["none"] if beside else labels)
    return _LabelsBeside(rows, Path(labels[0])) if beside else rows


def _open(path: Path, features: list[str], labels: list[str]) -> RowFile:
    name = path.name.lower()
    if name.endswith(".npz"):
        return open_npz(path, features, labels)
    if name.endswith(".npy"):
        return open_npy(path, features, [] if labels == ["none"] else labels)
    with naming(path):
        if name.endswith((".csv", ".csv.gz")):
            from ._csv_rows import CsvRows

            return CsvRows(path, features, labels)
        if name.endswith((".parquet", ".pq")):
            from ._parquet_rows import ParquetRows

            return ParquetRows(path, features, labels)
    raise CommandError(f"{path}: its name must end in {', '.join(SUFFIXES)}")


class _LabelsBeside(RowFile):
    """Rows of one file with the labels of another."""

    def __init__(self, rows: RowFile, path: Path) -> None:
        super().__init__(rows.path)
        self.rows, self.y = rows, load_label_file(path)
        self.n_rows, self.n_features = rows.n_rows, rows.n_features
        self.features, self.labels = rows.features, str(path)
        self.notes, self.split = rows.notes, rows.split
        if self.n_rows is not None:
            self._check_length(self.n_rows)

    def batches(self) -> Iterator[Batch]:
        """Give all rows, first to last, some at a time."""
        start = 0
        for X, _ in self.rows.batches():
            yield X, self.y[start : start + len(X)]
            start += len(X)
        self._check_length(start)

    def feature(self, column: int) -> str:
        """Name a feature."""
        return self.rows.feature(column)

    def as_python(self) -> tuple[str, str]:
        """Write what loads the rows, and what loads the labels, in Python."""
        return self.rows.as_python()[0], f"y = np.load({self.labels!r})"

    def release(self) -> None:
        """Let go of what was read of a mapped file."""
        self.rows.release()

    def _check_length(self, n_rows: int) -> None:
        if len(self.y) != n_rows:
            raise CommandError(
                f"{self.labels} has {len(self.y):,} labels, but {self.path} "
                f"{n_rows:,} rows: they must be of the same rows"
            )
