"""How large rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from sklhash._sklearn import safe_indexing
from sklhash.codes import PackedCodes


def bytes_of_a_row(X: Any) -> float:
    """Bytes that a row takes as it is stored.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame, PackedCodes} of shape (n_samples, ...)

    Returns
    -------
    float
        Of a sparse matrix the mean, values and column numbers; of a frame those of its
        columns' types; of lists those of the array that they make.
    """
    if issparse(X):
        rows = X.tocsr()
        return float((rows.data.nbytes + rows.indices.nbytes) / rows.shape[0])
    if isinstance(X, PackedCodes):
        return float(X.packed.shape[1])
    if hasattr(X, "iter_columns"):  # polars
        columns = X.head(2).iter_columns()
        return float(sum(column.to_numpy().dtype.itemsize for column in columns))
    if hasattr(X, "dtypes"):  # pandas
        return float(sum(getattr(dtype, "itemsize", 8) for dtype in X.dtypes))
    dtype = getattr(X, "dtype", None)
    if not isinstance(dtype, np.dtype):
        dtype = np.asarray(safe_indexing(X, [0, 1])).dtype
    return float(dtype.itemsize * n_features(X))


def n_features(X: Any) -> int:
    """Count the values of a row.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_samples, ...)

    Returns
    -------
    int
        0 of rows that are no rows of values, such as texts.
    """
    shape = X.shape if hasattr(X, "shape") else np.shape(X)
    return int(np.prod(shape[1:])) if len(shape) > 1 else 0
