"""Rows in tables: CSV, by pandas, and Parquet, by pyarrow; both in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import CommandError, did_you_mean, list_names, require
from ._labels import find_label_column
from ._rows import Batch, RowFile


class TableRows(RowFile):
    """Rows made of columns with names.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        All there are.
    features, labels : list of str
        Names or patterns with ``*``; empty for the default, labels ``["none"]`` for
        none.
    """

    #: What pandas must be told to read the file.
    read_options = ""
    #: Whether the features are one column of lists.
    embedding = False

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        features: list[str],
        labels: list[str],
    ) -> None:
        super().__init__(path)
        self.all_columns = list(columns)
        self.label_columns = self._choose_labels(columns, labels)
        others = [c for c in columns if c not in self.label_columns]
        if features:
            others = self._matching("--features", features, others)
        elif (guess := find_label_column(others)) is not None:
            # As a feature it would tell what is to be found out.
            self.notes.append(f"column {guess!r} is left out: it looks like labels")
            others.remove(guess)
        self.columns = self._features(others, chosen=bool(features))
        if not self.columns:
            raise CommandError(
                f"{path} has no column of numbers; there are {list_names(columns)}"
            )
        self.n_features = len(self.columns)
        self.features = list_names(self.columns, 4)
        self.labels = list_names(self.label_columns, 4) if self.label_columns else ""

    def _choose_labels(self, columns: Sequence[str], labels: list[str]) -> list[str]:
        if labels:
            none = labels == ["none"]
            return [] if none else self._matching("--labels", labels, columns)
        guess = find_label_column(columns)
        if guess not in (None, "y"):
            self.notes.append(f"column {guess!r} is taken as the labels")
        return [] if guess is None else [guess]

    def _features(self, columns: list[str], *, chosen: bool) -> list[str]:
        """Leave out what is no feature, unless it was asked for."""
        return columns

    def feature(self, column: int) -> str:
        """Name a feature."""
        return f"column {self.columns[column]!r}"

    def as_python(self) -> tuple[str, str]:
        """Write what loads the rows, and what loads the labels, in Python."""
        kind = "parquet" if self.path.suffix in (".parquet", ".pq") else "csv"
        file = f"pd.read_{kind}({str(self.path)!r}{self.read_options})"
        _, load_y = super().as_python()
        if len(self.label_columns) == 1:
            load_y = f"y = {file}[{self.label_columns[0]!r}]"
        if self.embedding:
            return f"X = np.stack({file}[{self.columns[0]!r}])", load_y
        first = self.all_columns.index(self.columns[0])
        chosen = f"[{self.columns!r}]"
        if self.columns == self.all_columns[first : first + len(self.columns)]:
            chosen = f".loc[:, {self.columns[0]!r}:{self.columns[-1]!r}]"
        return f"X = {file}{chosen}.to_numpy()", load_y

    def _matching(
        self, option: str, patterns: list[str], columns: Sequence[str]
    ) -> list[str]:
        chosen: list[str] = []
        for pattern in patterns:
            # A name may itself hold a bracket or a star.
            found = [c for c in columns if c == pattern or fnmatchcase(c, pattern)]
            if not found:
                raise CommandError(
                    f"{option} {pattern}: {did_you_mean(pattern, columns)}there is no "
                    f"such column in {self.path}, but {list_names(columns)}"
                )
            chosen += [c for c in found if c not in chosen]
        return chosen


class CsvRows(TableRows):
    """Rows of a CSV file, with or without a line of names."""

    n_rows = None

    def __init__(self, path: Path, features: list[str], labels: list[str]) -> None:
        self._pandas = require("pandas", "cli", "a .csv file")
        try:
            top = self._pandas.read_csv(path, header=None, nrows=1, dtype=str)
        except self._pandas.errors.EmptyDataError as error:
            raise CommandError(f"{path} is empty") from error
        names = top.iloc[0].tolist()
        self._header = None if _are_numbers(names) else 0
        head = self._pandas.read_csv(path, header=self._header, nrows=100)
        self._all = [str(column) for column in head.columns]
        super().__init__(path, self._all, features, labels)
        if self._header is None:
            numbers = f"map(str, range({len(self._all)}))"
            self.read_options = f", header=None, names=[*{numbers}]"
            self.notes.append("no names in the first line: columns are 0, 1, 2, ...")

    def _features(self, columns: list[str], *, chosen: bool) -> list[str]:
        # What pandas calls a column without a name, as its own row numbers are.
        index = [c for c in columns if c == "Unnamed: 0" and not chosen]
        if index:
            self.notes.append("the first column has no name: taken as row numbers")
        return [c for c in columns if c not in index]

    def batches(self) -> Iterator[Batch]:
        """Give all rows, first to last, some at a time."""
        used = [*self.columns, *self.label_columns]
        start = 0
        with self._pandas.read_csv(
            self.path,
            header=self._header,
            names=self._all,
            usecols=used,
            chunksize=self.batch_rows,
            low_memory=False,
        ) as chunks:
            for chunk in chunks:
                yield self._numbers(chunk, start), self._labels(chunk)
                start += len(chunk)

    def _numbers(self, chunk: Any, start: int) -> NDArray[Any]:
        for name, dtype in chunk[self.columns].dtypes.items():
            if dtype.kind not in "fiub":
                numbers = self._pandas.to_numeric(chunk[name], errors="coerce")
                bad = (numbers.isna() & chunk[name].notna()).to_numpy()
                raise CommandError(
                    f"{self.path}: column {name!r} holds no numbers "
                    f"({str(chunk[name].iloc[bad.argmax()])[:30]!r} in row "
                    f"{start + bad.argmax()}): choose columns by --features, or name "
                    "it by --labels"
                )
        values: NDArray[Any] = chunk[self.columns].to_numpy(np.float64)
        return values

    def _labels(self, chunk: Any) -> Any:
        if not self.label_columns:
            return None
        labels = chunk[self.label_columns].to_numpy()
        return labels[:, 0] if labels.shape[1] == 1 else labels


class ParquetRows(TableRows):
    """Rows of a Parquet file: a column a feature, or one column of lists."""

    def __init__(self, path: Path, features: list[str], labels: list[str]) -> None:
        self._arrow = require("pyarrow", "cli", "a .parquet file")
        parquet = require("pyarrow.parquet", "cli", "a .parquet file")
        self._file = parquet.ParquetFile(path)
        self._schema = self._file.schema_arrow
        self.n_rows = self._file.metadata.num_rows
        super().__init__(path, self._schema.names, features, labels)
        self.embedding = self._is_list(self.columns[0])
        if self.embedding:
            first = next(self._file.iter_batches(1, columns=self.columns), None)
            self.n_features = 0 if first is None else self._lists(first, 0).shape[1]
        if not self.n_features:
            raise CommandError(f"{path} holds no rows of numbers")

    def _features(self, columns: list[str], *, chosen: bool) -> list[str]:
        lists = [c for c in columns if self._is_list(c)]
        if len(lists) == 1 and (not chosen or len(columns) == 1):
            if len(columns) > 1:
                self.notes.append(f"column {lists[0]!r} is taken as the embedding")
            return lists
        for name in columns:
            if not self._is_number(self._schema.field(name).type):
                raise CommandError(
                    f"{self.path}: column {name!r} holds no numbers but "
                    f"{self._schema.field(name).type}: choose columns by --features "
                    "(numbers, or one column of lists), or name it by --labels"
                )
        if "__index_level_0__" in columns and not chosen:
            columns = [c for c in columns if c != "__index_level_0__"]
        return columns

    def feature(self, column: int) -> str:
        """Name a feature."""
        if self.embedding:
            return f"column {self.columns[0]!r}, place {column}"
        return super().feature(column)

    def batches(self) -> Iterator[Batch]:
        """Give all rows, first to last, some at a time."""
        used, start = [*self.columns, *self.label_columns], 0
        for batch in self._file.iter_batches(self.batch_rows, columns=used):
            if self.embedding:
                X = self._lists(batch, start)
            else:
                X = np.column_stack([_to_numpy(batch[name]) for name in self.columns])
            X = X.astype(np.float32) if X.dtype == np.float16 else X
            yield X, self._labels(batch)
            start += batch.num_rows

    def _lists(self, batch: Any, start: int) -> NDArray[Any]:
        """Make a matrix of lists, which must be of one length."""
        column = batch[self.columns[0]]
        lengths = self._arrow.compute.list_value_length(column).to_numpy(False)
        width = getattr(self, "n_features", 0) if start else lengths[0]
        wrong = lengths != width
        if wrong.any():
            row = int(wrong.argmax())
            raise CommandError(
                f"{self.path}: row {start + row} of column {self.columns[0]!r} holds "
                f"{lengths[row]} numbers, others {width}: all must be of one length"
            )
        return _to_numpy(column.flatten()).reshape(len(column), -1)

    def _labels(self, batch: Any) -> Any:
        if not self.label_columns:
            return None
        if len(self.label_columns) > 1:
            return np.column_stack([_to_numpy(batch[n]) for n in self.label_columns])
        labels = batch[self.label_columns[0]]
        if not self._is_list(self.label_columns[0]):
            return _to_numpy(labels)
        lists = np.empty(len(labels), dtype=object)
        lists[:] = labels.to_pylist()
        return lists

    def _is_list(self, name: str) -> bool:
        types, of = self._arrow.types, self._schema.field(name).type
        is_list = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        return any(check(of) for check in is_list)

    def _is_number(self, of: Any) -> bool:
        types = self._arrow.types
        checks = (types.is_integer, types.is_floating, types.is_boolean)
        return any(check(of) for check in checks)


def _to_numpy(column: Any) -> NDArray[Any]:
    numbers: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return numbers


def _are_numbers(cells: list[Any]) -> bool:
    """Tell a first line of data from one of names; 0, 1, 2, ... are names."""
    try:
        numbers = [float(cell) for cell in cells]
    except (TypeError, ValueError):
        return False
    return numbers != list(range(len(numbers))) and numbers == numbers
