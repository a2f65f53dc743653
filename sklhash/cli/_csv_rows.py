"""Rows of CSV files, read by pandas in batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import CommandError, require
from ._rows import Batch
from ._tables import TableRows

#: Without the first, pandas takes the first column of lines that end in a comma for
#: row names.
OPTIONS: dict[str, Any] = {"index_col": False, "skipinitialspace": True}
#: What separates columns elsewhere.
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


class CsvRows(TableRows):
    """Rows of a CSV file, with or without a line of names."""

    n_rows = None

    def __init__(self, path: Path, features: list[str], labels: list[str]) -> None:
        self._pandas = require("pandas", "cli", "a .csv file")
        names = self._first_line(path)
        self._header = None if _are_numbers(names) else 0
        options = {"header": self._header, "nrows": 100, **OPTIONS}
        head = self._strictly(path, lambda: self._pandas.read_csv(path, **options))
        if head.empty:
            raise CommandError(f"{path} holds no rows")
        self._all = [str(column) for column in head.columns]
        super().__init__(path, self._all, features, labels)
        self.read_options = "".join(f", {k}={v}" for k, v in OPTIONS.items())
        if self._header is None:
            numbers = f"map(str, range({len(self._all)}))"
            self.read_options += f", header=None, names=[*{numbers}]"
            self.notes.append("no names in the first line: columns are 0, 1, 2, ...")

    def _first_line(self, path: Path) -> list[Any]:
        options = {"header": None, "nrows": 1, "dtype": str, **OPTIONS}
        try:
            top = self._pandas.read_csv(path, **options)
        except self._pandas.errors.EmptyDataError as error:
            raise CommandError(f"{path} is empty") from error
        names: list[Any] = top.iloc[0].tolist()
        for separator, words in OTHER_SEPARATORS.items():
            if len(names) == 1 and separator in str(names[0]):
                raise CommandError(
                    f"{path} has its columns separated by {words}: convert them to "
                    "commas"
                )
        return names

    def _features(self, columns: list[str], *, chosen: bool) -> list[str]:
        # What pandas calls a column without a name, as its own row numbers are.
        index = [c for c in columns if c == "Unnamed: 0" and not chosen]
        if index:
            self.notes.append("the first column has no name: taken as row numbers")
        return [c for c in columns if c not in index]

    def _read_batches(self) -> Iterator[Batch]:
        start = 0
        with self._pandas.read_csv(
            self.path,
            header=self._header,
            names=self._all,
            # Not usecols, by which pandas lets pass lines with too many fields.
            chunksize=self.batch_rows,
            low_memory=False,
            **OPTIONS,
        ) as chunks:
            read = partial(self._strictly, self.path, lambda: next(chunks, None))
            while (chunk := read()) is not None:
                yield self._numbers(chunk, start), self._labels(chunk)
                start += len(chunk)

    def _strictly(self, path: Path, read: Callable[[], Any]) -> Any:
        """Read, but do not leave out fields for which the first line has no name."""
        longer = self._pandas.errors.ParserWarning
        with warnings.catch_warnings():
            warnings.simplefilter("error", longer)
            try:
                return read()
            except longer as error:
                raise CommandError(
                    f"{path}: there are lines with more fields than the first line: "
                    "name all columns in it, or remove what is too much"
                ) from error

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


def _are_numbers(cells: list[Any]) -> bool:
    """Tell a first line of data from one of names; 0, 1, 2, ... are names."""
    try:
        # Cells without text tell nothing: a line may begin or end with a comma.
        numbers = [float(cell) for cell in cells if cell == cell]
    except (TypeError, ValueError):
        return False
    return numbers != list(range(len(numbers)))
