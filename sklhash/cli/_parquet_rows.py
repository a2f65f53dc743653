"""Rows of Parquet files, read by pyarrow in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import CommandError, list_names, require
from ._rows import Batch
from ._tables import TableRows


class ParquetRows(TableRows):
    """Rows of a Parquet file: a column a feature, or one column of lists."""

    def __init__(self, path: Path, features: list[str], labels: list[str]) -> None:
        self._arrow = require("pyarrow", "cli", "a .parquet file")
        parquet = require("pyarrow.parquet", "cli", "a .parquet file")
        self._file = parquet.ParquetFile(path)
        self._schema = self._file.schema_arrow
        self.n_rows = self._file.metadata.num_rows
        self._check_names(path)
        super().__init__(path, self._schema.names, features, labels)
        if len(self.label_columns) > 1 and any(map(self._is_list, self.label_columns)):
            raise CommandError(
                f"--labels {' '.join(self.label_columns)}: name one column of lists, "
                "or several of zeros and ones"
            )
        self.embedding = self._is_list(self.columns[0])
        if self.embedding:
            first = next(self._file.iter_batches(1, columns=self.columns), None)
            self.n_features = 0 if first is None else self._lists(first, 0).shape[1]
        if not self.n_features:
            raise CommandError(f"{path} holds no rows of numbers")

    def _check_names(self, path: Path) -> None:
        names = self._schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise CommandError(
                f"{path} has several columns of one name: {list_names(twice)}; rename "
                "them"
            )

    def _index(self) -> list[str]:
        """Name the columns that pandas has made of row names."""
        told = (self._schema.pandas_metadata or {}).get("index_columns", [])
        return [name for name in told if isinstance(name, str)]

    def _features(self, columns: list[str], *, chosen: bool) -> list[str]:
        index = [] if chosen else [c for c in columns if c in self._index()]
        if index:
            self.notes.append(f"{list_names(index)}: row names, taken for no feature")
        columns = [c for c in columns if c not in index]
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
        return columns

    def feature(self, column: int) -> str:
        """Name a feature."""
        if self.embedding:
            return f"column {self.columns[0]!r}, place {column}"
        return super().feature(column)

    def _read_batches(self) -> Iterator[Batch]:
        used, start = [*self.columns, *self.label_columns], 0
        for batch in self._file.iter_batches(self.batch_rows, columns=used):
            if self.embedding:
                X = self._lists(batch, start)
            else:
                names = self.columns
                X = np.column_stack([self._numbers(batch[n], n, start) for n in names])
            X = X.astype(np.float32) if X.dtype == np.float16 else X
            yield X, self._labels(batch)
            start += batch.num_rows

    def _lists(self, batch: Any, start: int) -> NDArray[Any]:
        """Make a matrix of lists, which must be of one length."""
        column = batch[self.columns[0]]
        name = self.columns[0]
        if not self._is_number(column.type.value_type):
            raise CommandError(
                f"{self.path}: column {name!r} holds lists of "
                f"{column.type.value_type}, not of numbers"
            )
        self._check_no_null(column, name, start)
        lengths = self._arrow.compute.list_value_length(column).to_numpy(False)
        width = getattr(self, "n_features", 0) if start else lengths[0]
        wrong = lengths != width
        if wrong.any():
            row = int(wrong.argmax())
            raise CommandError(
                f"{self.path}: row {start + row} of column {name!r} holds "
                f"{lengths[row]} numbers, others {width}: all must be of one length"
            )
        values = self._numbers(column.flatten(), name, start)
        return values.reshape(len(column), -1)

    def _numbers(self, column: Any, name: str, start: int) -> NDArray[Any]:
        if self._arrow.types.is_boolean(column.type):  # of which none is NaN
            self._check_no_null(column, name, start)
        return _to_numpy(column)

    def _check_no_null(self, column: Any, name: str, start: int) -> None:
        if column.null_count:
            row = start + int(column.is_null().to_numpy(False).argmax())
            raise CommandError(
                f"{self.path}: column {name!r} holds nothing in {column.null_count} "
                f"rows or places, the first of them {row} (counted from 0): leave such "
                "rows out, or fill them in"
            )

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
        if any(None in own for own in lists if own is not None):
            raise CommandError(
                f"{self.path}: column {self.label_columns[0]!r} has lists that hold "
                "nothing (null) beside labels: leave it out"
            )
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
