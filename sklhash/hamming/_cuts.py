"""Cuts of many rows into blocks."""

from __future__ import annotations


def cut(n_rows: int, size: int) -> list[slice]:
    """Cut rows into blocks of a size, the last of which may be smaller.

    :func:`sklearn.utils.gen_batches` would do, but takes longer to validate its
    arguments than a search for one query may take.

    Parameters
    ----------
    n_rows : int
    size : int
        1 or more.

    Returns
    -------
    blocks : list of slice
    """
    return [slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size)]
