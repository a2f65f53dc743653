"""Codes as PostgreSQL's type ``bit(n)``: what COPY reads, and strings of bits.

PostgreSQL counts bits from the left: bit j of a code is character j of the text, and
the most significant bit of a byte comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import row_blocks
from ._ids import check_ids

#: Head of COPY's binary format: signature, no flags, no extension.
HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
#: Its end: -1 where a row would tell its number of columns.
END = b"\xff\xff"
#: Each byte with its bits in the other order.
REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"),
    axis=1,
)[:, 0]


def write_copy(
    file: Any,
    packed: NDArray[np.uint8],
    n_bits: int,
    ids: Any,
    format: str,
) -> None:
    """Write rows of an id and a code as COPY reads them.

    Parameters
    ----------
    file : object with a method `write` that takes bytes
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8
    n_bits : int
    ids : array-like of shape (n_codes,), of int, or None
    format : {'binary', 'text'}

    Raises
    ------
    TypeError
        If `file` cannot be written to.
    ValueError
        If `format` is neither; nothing has been written then.
    """
    if not callable(getattr(file, "write", None)):
        raise TypeError(
            "file must have a method write that takes bytes, such as "
            f"open(path, 'wb'); got {type(file).__name__}"
        )
    if format not in ("binary", "text"):
        raise ValueError(f"format must be 'binary' or 'text'; got {format!r}")
    keys = check_ids(ids, len(packed))
    rows = binary_rows if format == "binary" else text_rows
    if format == "binary":
        file.write(HEAD)
    for block in row_blocks(len(packed), n_bits):
        file.write(rows(packed[block], n_bits, keys[block]))
    if format == "binary":
        file.write(END)


def binary_rows(
    packed: NDArray[np.uint8], n_bits: int, ids: NDArray[np.int64]
) -> bytes:
    """Give rows of COPY's binary format.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8
    n_bits : int
    ids : ndarray of shape (n_codes,), dtype int64

    Returns
    -------
    rows : bytes
        A row is the number of its columns, and for each its length in bytes and its
        value: the id; the number of bits, and these.
    """
    n_bytes = packed.shape[1]
    row = np.dtype(
        [
            ("n_columns", ">i2"),
            ("id_length", ">i4"),
            ("id", ">i8"),
            ("code_length", ">i4"),
            ("n_bits", ">i4"),
            ("code", np.uint8, (n_bytes,)),
        ]
    )
    rows = np.empty(len(packed), row)
    rows["n_columns"], rows["id_length"], rows["id"] = 2, 8, ids
    rows["code_length"], rows["n_bits"] = 4 + n_bytes, n_bits
    rows["code"] = REVERSED[packed]
    return rows.tobytes()


def text_rows(packed: NDArray[np.uint8], n_bits: int, ids: NDArray[np.int64]) -> bytes:
    """Give rows of COPY's text format: an id, a tab, a string of bits.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8
    n_bits : int
    ids : ndarray of shape (n_codes,), dtype int64

    Returns
    -------
    rows : bytes
    """
    pairs = zip(ids.tolist(), bit_strings(packed, n_bits), strict=True)
    return b"".join(b"%d\t%b\n" % pair for pair in pairs)


def bit_strings(packed: NDArray[np.uint8], n_bits: int) -> Iterator[bytes]:
    """Give each code as a string of its bits, bit 0 first.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8
    n_bits : int

    Yields
    ------
    string : bytes of length n_bits
        Characters ``0`` and ``1``.
    """
    for block in row_blocks(len(packed), n_bits):
        bits = np.unpackbits(packed[block], axis=1, count=n_bits, bitorder="little")
        yield from map(bytes, bits + np.uint8(ord("0")))
