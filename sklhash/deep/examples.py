"""Rows or images of any kind, gathered a batch at a time for a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_array, gen_batches
from torch import Tensor
from torch.utils.data import Dataset

from sklhash.rows import release

#: Numbers that a batch may hold outside training.
BATCH_SIZE = 2**20


class Examples(Dataset[tuple[Tensor, Tensor | None]]):
    """Examples and their targets; nothing is copied before it is asked for.

    Parameters
    ----------
    X : {ndarray, CSR matrix, Tensor} of shape (n_samples, ...)
    targets : {ndarray, CSR matrix, Tensor} of shape (n_samples, ...), default=None
        None if the examples are their own targets.
    rows : ndarray of shape (n_examples,), default=None
        The rows of X that count; None for all.
    """

    def __init__(self, X: Any, targets: Any = None, rows: Any = None):
        self.X = X
        self.targets = targets
        self.rows = np.arange(X.shape[0]) if rows is None else rows
        self.shape = tuple(X.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor | None]:
        """Gather some examples and their targets.

        Parameters
        ----------
        index : ndarray of shape (n,) or slice

        Returns
        -------
        examples : Tensor of shape (n, ...)
        targets : Tensor of shape (n, ...) or None
        """
        rows = self.rows[index]
        targets = self.targets
        if issparse(targets):
            targets = as_tensor(_without_empty_columns(targets[rows]))
        elif targets is not None:
            targets = gather(targets, rows)
        return gather(self.X, rows), targets

    def subset(self, rows: NDArray[np.intp]) -> Examples:
        """Give some of the examples, as another view of the same data."""
        return Examples(self.X, self.targets, self.rows[rows])

    def batches(self) -> Iterator[Tensor]:
        """Give the examples in order, batch by batch.

        Yields
        ------
        batch : Tensor of shape (n_rows, ...)
        """
        for rows in self._slices(len(self)):
            yield gather(self.X, self.rows[rows])

    def _slices(self, n: int) -> Iterator[slice]:
        return gen_batches(n, max(1, BATCH_SIZE // max(1, int(np.prod(self.shape)))))

    def checked(self) -> Iterator[tuple[slice, Tensor]]:
        """Give all rows of X in order, in checked batches.

        Yields
        ------
        rows : slice
        batch : Tensor of shape (n_rows, ...)

        Raises
        ------
        ValueError
            If a number is not finite.
        """
        for rows in self._slices(self.X.shape[0]):
            batch = self.X[rows]
            if isinstance(batch, Tensor):
                if not torch.isfinite(batch).all():
                    raise ValueError("Input X contains NaN or infinity.")
            else:
                batch = check_array(
                    batch, accept_sparse="csr", allow_nd=True, input_name="X"
                )
            yield rows, as_tensor(batch)
            release(self.X)


def gather(values: Any, rows: NDArray[np.intp]) -> Tensor:
    """Copy rows of an array, a sparse matrix or a tensor into a tensor.

    Parameters
    ----------
    values : {ndarray, CSR matrix, Tensor} of shape (n_samples, ...)
    rows : ndarray of shape (n,)

    Returns
    -------
    gathered : Tensor of shape (n, ...)
    """
    if isinstance(values, Tensor):
        return values[torch.from_numpy(rows).to(values.device)]
    return as_tensor(values[rows])


def as_tensor(values: Any) -> Tensor:
    """Make a tensor of some rows; it may share their memory.

    Parameters
    ----------
    values : {ndarray, CSR matrix, Tensor} of shape (n, ...)

    Returns
    -------
    tensor : Tensor of shape (n, ...)
        uint8, int64 and floats of 4 or 8 bytes stay; other numbers of one or two bytes
        become float32, all others float64.
    """
    if isinstance(values, Tensor):
        return values
    dense = values.toarray() if issparse(values) else np.asarray(values)
    if dense.dtype not in (np.float32, np.uint8, np.int64):
        dense = dense.astype(np.float32 if dense.itemsize <= 2 else np.float64)
    return torch.from_numpy(np.require(dense, requirements=["C", "W"]))


def as_input(x: Tensor) -> Tensor:
    """Floats for a network: images in bytes become numbers from 0 to 1.

    Parameters
    ----------
    x : Tensor of shape (n, ...)

    Returns
    -------
    inputs : float Tensor of shape (n, ...)
        Double precision stays; the first layer may need it.
    """
    if x.dtype == torch.uint8 and x.ndim == 4:
        return x.float() / 255
    return x if x.is_floating_point() else x.double()


def _without_empty_columns(labels: Any) -> Any:
    """Drop labels that no row has: which rows share labels stays the same."""
    used, column = np.unique(labels.indices, return_inverse=True)
    shape = (labels.shape[0], len(used))
    return csr_array((labels.data, column, labels.indptr), shape)


def epoch_order(n_samples: int, seed: int, epoch: int) -> NDArray[np.intp]:
    """Give the order of the rows in one epoch.

    It depends on nothing else: training that stops and goes on sees the batches of
    training in one go.

    Parameters
    ----------
    n_samples : int
    seed : int
    epoch : int

    Returns
    -------
    order : ndarray of shape (n_samples,)
    """
    return np.random.RandomState([seed, epoch]).permutation(n_samples)


class TrainingBatches:
    """Shuffled batches, all of one size; each iteration is an epoch.

    The rows of an epoch that do not fill a batch are left out, as in the authors' code
    of both papers; an epoch of fewer rows than a batch is one batch.

    Parameters
    ----------
    examples : Examples
    batch_size : int
    seed : int
    epoch : int
        Number of the first epoch.
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int, epoch: int):
        self.examples = examples
        self.batch_size = min(batch_size, len(examples))
        self.seed = seed
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        order = epoch_order(len(self.examples), self.seed, self.epoch)
        self.epoch += 1
        n_batches = len(order) // self.batch_size
        for rows in order[: n_batches * self.batch_size].reshape(n_batches, -1):
            yield self.examples[rows]


class ValidationBatches:
    """Batches in order.

    Parameters
    ----------
    examples : Examples
    batch_size : int
    """

    def __init__(self, examples: Examples, batch_size: int):
        self.examples = examples
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        for rows in gen_batches(len(self.examples), self.batch_size):
            yield self.examples[rows]
