"""Codes as points of Qdrant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import row_blocks
from ._ids import check_ids


def qdrant_collection(n_bits: int) -> dict[str, Any]:
    """Give the settings of a collection of codes.

    Qdrant has no Hamming distance. Between vectors of zeros and ones the Manhattan
    distance is the number of differing bits.

    Parameters
    ----------
    n_bits : int

    Returns
    -------
    settings : dict
    """
    vectors = {"size": n_bits, "distance": "Manhattan", "datatype": "uint8"}
    return {"vectors": vectors}


def qdrant_points(
    packed: NDArray[np.uint8],
    n_bits: int,
    ids: Any,
    payloads: Iterable[Mapping[str, Any]] | None,
) -> Iterator[dict[str, Any]]:
    """Give codes as points, after all arguments have been checked.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8
    n_bits : int
    ids : array-like of shape (n_codes,), of int >= 0, or None
    payloads : iterable of n_codes dicts, or None

    Returns
    -------
    points : iterator of dict

    Raises
    ------
    TypeError
        If a payload is no dict.
    ValueError
        If there is not one for each code.
    """
    keys = check_ids(ids, len(packed), lowest=0)
    if payloads is None:
        return _points(packed, n_bits, keys)
    payloads = list(payloads)
    for payload in payloads:
        if not isinstance(payload, Mapping):
            raise TypeError(f"payloads must be dicts; got {type(payload).__name__}")
    if len(payloads) != len(packed):
        raise ValueError(
            f"payloads must be one dict for each of {len(packed)} codes; got "
            f"{len(payloads)}"
        )
    pairs = zip(_points(packed, n_bits, keys), payloads, strict=True)
    return ({**point, "payload": dict(payload)} for point, payload in pairs)


def _points(
    packed: NDArray[np.uint8], n_bits: int, ids: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    for block in row_blocks(len(packed), 8 * n_bits):  # a pointer for each bit
        bits = np.unpackbits(packed[block], axis=1, count=n_bits, bitorder="little")
        for key, vector in zip(ids[block].tolist(), bits.tolist(), strict=True):
            yield {"id": key, "vector": vector}
