"""Rows in tables: what CSV and Parquet files have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ._errors import CommandError, did_you_mean, list_names, naming
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

    def batches(self) -> Iterator[Batch]:
        """Give all rows, first to last, some at a time."""
        with naming(self.path):
            yield from self._read_batches()

    @abstractmethod
    def _read_batches(self) -> Iterator[Batch]:
        """Give all rows; what the reader raises of damaged files is put in words."""

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
