"""Raw rows that are kept beside their codes, as they were given."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_array
from sklearn.utils.extmath import row_norms

from ._sklearn import move_to
from .rows import Batches, is_array_api, release, stack

#: The squares of a row add up to a number between these, or to 0 if all are.
SMALLEST, LARGEST = 1e-280, 1e300


class RawRows(NamedTuple):
    """Rows of several matrices as if they were one, none of which is copied.

    Parameters
    ----------
    parts : tuple of {ndarray, CSR matrix} of shape (n_samples, n_features)
        Memory maps stay on disk.
    """

    parts: tuple[Any, ...]

    @classmethod
    def from_input(cls, X: Any) -> RawRows:
        """Check rows, batch by batch, and keep them as they are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        RawRows

        Raises
        ------
        ValueError
            If the rows are no numeric, finite matrix, or so large or so small that
            their squares do not add up to a number of double precision.
        """
        if issparse(X):
            X = X.tocsr()
        elif is_array_api(X):
            X = move_to(X, xp=np, device="cpu")
        is_matrix = issparse(X) or (isinstance(X, np.ndarray) and X.ndim > 1)
        if not is_matrix or X.dtype == object:
            X = check_array(X, allow_nd=True, input_name="X")
        if X.ndim != 2:
            raise ValueError(
                f"rerank compares rows of a matrix, but X has shape {X.shape}: use "
                "rerank=None"
            )
        for batch in Batches(X):
            _check_squares(batch)
        return cls((X,))

    @property
    def n_samples(self) -> int:
        """Rows of all parts."""
        return sum(part.shape[0] for part in self.parts)

    @property
    def n_features(self) -> int:
        """Columns of each part."""
        return int(self.parts[0].shape[1])

    @property
    def is_sparse(self) -> bool:
        """Whether all parts are sparse."""
        return all(issparse(part) for part in self.parts)

    @property
    def pair_size(self) -> int:
        """Values that are read to compare two rows, about."""
        if not self.is_sparse:
            return self.n_features
        return 1 + 2 * sum(part.nnz for part in self.parts) // self.n_samples

    def check_features(self, other: RawRows) -> None:
        """Refuse rows that have more or fewer features."""
        if other.n_features != self.n_features:
            raise ValueError(
                f"X has {other.n_features} features, but the raw rows of the gallery "
                f"have {self.n_features}"
            )

    def append(self, other: RawRows) -> RawRows:
        """Give these rows, and others behind them.

        Parameters
        ----------
        other : RawRows

        Returns
        -------
        RawRows
        """
        self.check_features(other)
        return RawRows(self.parts + other.parts)

    def take(self, positions: NDArray[np.intp]) -> Any:
        """Copy rows in double precision.

        Parameters
        ----------
        positions : ndarray of shape (n_rows,), dtype intp

        Returns
        -------
        rows : {ndarray, CSR array} of shape (n_rows, n_features), dtype float64
            Sparse if all parts are.
        """
        if len(self.parts) == 1:
            return _in_double(self.parts[0][positions])
        ends = np.cumsum([part.shape[0] for part in self.parts])
        owner = np.searchsorted(ends, positions, side="right")
        order = np.argsort(owner, kind="stable")
        pieces = []
        for i in np.unique(owner):
            start = ends[i] - self.parts[i].shape[0]
            pieces.append(_in_double(self.parts[i][positions[owner == i] - start]))
        return stack(pieces)[np.argsort(order)]

    def release(self) -> None:
        """Let go of what was read of memory maps."""
        for part in self.parts:
            release(part)


def _in_double(rows: Any) -> Any:
    if not issparse(rows):
        return np.asarray(rows, dtype=np.float64)
    rows = csr_array(rows, dtype=np.float64)
    rows.sum_duplicates()  # and sort: sums then have one order
    return rows


def _check_squares(rows: Any) -> None:
    """Refuse rows whose distances, or lengths, double precision cannot hold."""
    if rows.dtype == np.float32:
        return
    with np.errstate(over="ignore", under="ignore"):
        sums = row_norms(rows, squared=True)
    if not (sums <= LARGEST).all():
        raise ValueError("X is so large that its squares overflow: scale it down")
    small = sums < SMALLEST
    if small.any() and abs(rows[small]).max() > 0:
        raise ValueError("X has rows so small that their squares vanish: scale it up")
