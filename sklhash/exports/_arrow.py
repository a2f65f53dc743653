"""Codes as columns of Arrow, and in Parquet files."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._extras import require
from sklhash.code_files import open_regular

from ._ids import check_ids

#: Key of the field's metadata under which the code length stands.
N_BITS = b"sklhash.n_bits"
#: Types of a column of codes: null, if it is empty; not text, though it would be cast.
BINARY = ("binary", "large_binary", "fixed_size_binary", "binary_view", "null")

Path = str | os.PathLike[str]


def to_arrow(packed: NDArray[np.uint8], n_bits: int, ids: Any) -> Any:
    """Make a table of codes.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8
    n_bits : int
    ids : array-like of shape (n_codes,), of int, or None

    Returns
    -------
    table : pyarrow.Table
        Its column shares the memory of `packed`, if that is contiguous.
    """
    pa = require("pyarrow", "arrow", "to_arrow")
    rows = np.ascontiguousarray(packed)
    kind = pa.binary(rows.shape[1])
    buffers = [None, pa.py_buffer(rows)]
    columns = [pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), buffers)]
    metadata = {N_BITS: str(n_bits).encode()}
    fields = [pa.field("code", kind, nullable=False, metadata=metadata)]
    if ids is not None:
        columns.insert(0, pa.array(check_ids(ids, len(rows))))
        fields.insert(0, pa.field("id", pa.int64(), nullable=False))
    return pa.table(columns, schema=pa.schema(fields))


def from_arrow(table: Any, n_bits: int | None) -> tuple[NDArray[np.uint8], int]:
    """Read the column ``code`` of a table.

    Parameters
    ----------
    table : pyarrow.Table, or what it can be made of
    n_bits : int or None
        None to read it from the field's metadata.

    Returns
    -------
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8
        Shares the table's memory, if the column is in one piece.
    n_bits : int

    Raises
    ------
    ValueError
        If there is no such column, or it holds anything but codes of this length.
    """
    pa = require("pyarrow", "arrow", "from_arrow")
    if not isinstance(table, pa.Table):
        table = pa.table(table)
    if len(table.schema.get_all_field_indices("code")) != 1:
        raise ValueError(
            "a table of codes has one column 'code'; got the columns "
            f"{table.column_names}"
        )
    n_bits = _code_length(table.schema.field("code"), n_bits)
    n_bytes = -(-n_bits // 8)
    column = _cast(pa, table["code"], n_bits, n_bytes)
    parts = [_rows(chunk, n_bytes) for chunk in column.chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0], n_bits
    return np.concatenate([np.empty((0, n_bytes), np.uint8), *parts]), n_bits


def _cast(pa: Any, column: Any, n_bits: int, n_bytes: int) -> Any:
    """Turn binary of any kind into binary of fixed size."""
    kind = column.type.value_type if _is_dictionary(pa, column) else column.type
    wanted = f"column 'code' must hold {n_bytes} bytes a row for n_bits={n_bits}"
    if not any(getattr(pa.types, f"is_{name}")(kind) for name in BINARY):
        raise ValueError(f"{wanted}, but is {column.type}")
    if pa.types.is_binary_view(kind):  # what pyarrow 17 does not cast
        column = pa.chunked_array([column.to_pylist()], pa.binary())
    try:
        column.validate(full=_is_dictionary(pa, column))  # or a key may have no value
        column = column.cast(pa.binary(n_bytes))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"{wanted}, but is {column.type}: {error}") from error
    if column.null_count:  # once cast: a dictionary may have nulls among its values
        raise ValueError(f"column 'code' has {column.null_count} rows that are null")
    return column


def _is_dictionary(pa: Any, column: Any) -> bool:
    return bool(pa.types.is_dictionary(column.type))


def write_parquet(path: Path, packed: NDArray[np.uint8], n_bits: int, ids: Any) -> None:
    """Write a table of codes to a Parquet file.

    Parameters
    ----------
    path : str or path-like
    packed, n_bits, ids
        As for :func:`to_arrow`.
    """
    parquet = require("pyarrow.parquet", "arrow", "to_parquet")
    table = to_arrow(packed, n_bits, ids)
    # Checksums: a changed page would else be read as other codes.
    parquet.write_table(table, os.fspath(path), write_page_checksum=True)


def read_parquet(path: Path, n_bits: int | None) -> tuple[NDArray[np.uint8], int]:
    """Read the codes of a Parquet file.

    Parameters
    ----------
    path : str or path-like
    n_bits : int or None

    Returns
    -------
    packed, n_bits
        As from :func:`from_arrow`.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is no regular file, holds no codes, or is damaged.
    """
    pa = require("pyarrow", "arrow", "from_parquet")
    parquet = require("pyarrow.parquet", "arrow", "from_parquet")
    with open_regular(path) as file:
        try:
            opened = parquet.ParquetFile(file, page_checksum_verification=True)
            return from_arrow(opened.read(columns=["code"]), n_bits)
        # Arrow calls a damaged file an OSError.
        except (ValueError, OSError, pa.ArrowException) as error:
            raise ValueError(
                f"{os.fspath(path)!r} holds no packed codes that can be read: {error}"
            ) from error


def _code_length(field: Any, n_bits: int | None) -> int:
    told = (field.metadata or {}).get(N_BITS)
    if told is None:
        if n_bits is None:
            raise ValueError(
                "column 'code' does not tell its n_bits, which other programs drop: "
                "give n_bits="
            )
        return n_bits
    if not re.fullmatch(rb"[1-9][0-9]{0,4}", told):
        raise ValueError(f"column 'code' tells n_bits={told!r}, which is no length")
    if n_bits is not None and n_bits != int(told):
        raise ValueError(f"column 'code' holds {int(told)} bits; got n_bits={n_bits}")
    return int(told)


def _rows(chunk: Any, n_bytes: int) -> NDArray[np.uint8]:
    """View an array of fixed-size binary, which may be a slice of a longer one."""
    values = np.frombuffer(chunk.buffers()[1], np.uint8)
    start, stop = chunk.offset, chunk.offset + len(chunk)
    return values[start * n_bytes : stop * n_bytes].reshape(len(chunk), n_bytes)
