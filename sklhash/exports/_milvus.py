"""Codes as rows of Milvus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._ids import check_ids

#: Numbers of Milvus's types.
TYPE_INT64, TYPE_BINARY_VECTOR = 5, 100


def milvus_collection(n_bits: int) -> dict[str, Any]:
    """Give the fields and the index of a collection of codes.

    Milvus takes whole bytes. Bits beyond the code length are zero in all codes, so
    distances are the same.

    Parameters
    ----------
    n_bits : int

    Returns
    -------
    settings : dict
        ``'fields'`` : list of dict, what pymilvus's ``add_field`` takes;
        ``'index'`` : dict, what its ``add_index`` takes.
    """
    dim = 8 * -(-n_bits // 8)
    return {
        "fields": [
            {"field_name": "id", "datatype": TYPE_INT64, "is_primary": True},
            {"field_name": "code", "datatype": TYPE_BINARY_VECTOR, "dim": dim},
        ],
        "index": {
            "field_name": "code",
            "index_type": "BIN_FLAT",
            "metric_type": "HAMMING",
        },
    }


def milvus_rows(packed: NDArray[np.uint8], ids: Any) -> Iterator[dict[str, Any]]:
    """Give codes as rows, after ids have been checked.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, n_bytes), dtype uint8
    ids : array-like of shape (n_codes,), of int, or None

    Returns
    -------
    rows : iterator of dict
    """
    keys = check_ids(ids, len(packed))
    return (
        {"id": int(key), "code": row.tobytes()}
        for key, row in zip(keys, packed, strict=True)
    )
