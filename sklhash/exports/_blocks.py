"""Codes are written a block at a time."""

from __future__ import annotations

from collections.abc import Iterator

#: Bytes of a block, but for rows that are longer: it stays in a core's cache.
BLOCK_BYTES = 1 << 19


def row_blocks(n_codes: int, row_bytes: int) -> Iterator[slice]:
    """Cut codes into blocks of one or more.

    Parameters
    ----------
    n_codes : int
    row_bytes : int
        What a code takes as it is written.

    Yields
    ------
    block : slice
    """
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, n_codes, step):
        yield slice(start, min(start + step, n_codes))
