"""Codes as binary indexes of FAISS."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._extras import require

from ._ids import check_ids

#: Numbers in the name of an index, and what each kind takes at least: FAISS looks at
#: none of them, and its graphs end the process where they are 0 or 1.
NUMBERS = re.compile(r"(IVF|HNSW|Hash)\s*([-+]?\d+)(?:x\s*([-+]?\d+))?")
LOWEST = {"IVF": 1, "HNSW": 2, "Hash": 1}
#: Bits of a hash table's key.
KEY_BITS = 64


def to_faiss(packed: NDArray[np.uint8], description: str, ids: Any) -> Any:
    """Make an index that holds codes.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, n_bytes), dtype uint8
        FAISS's bit order is ours. Its lengths are whole bytes: bits beyond the code
        length are zero in all codes, so distances are the same.
    description : str
        As `faiss.index_binary_factory` reads it.
    ids : array-like of shape (n_codes,), of int >= 0, or None

    Returns
    -------
    index : faiss.IndexBinary

    Raises
    ------
    TypeError
        If the description is no string.
    ValueError
        If FAISS makes no such index of these codes.
    """
    faiss = require("faiss", "faiss", "to_faiss")
    rows = np.ascontiguousarray(packed)
    n_bits = 8 * rows.shape[1]
    _check_description(description, n_bits)
    if ids is not None:
        ids = check_ids(ids, len(rows), lowest=0)  # FAISS's -1 is no id
    try:
        index = faiss.index_binary_factory(n_bits, description)
        if not index.is_trained:
            index.train(rows)
        if ids is None:
            index.add(rows)
            return index
        inner, index = index, faiss.IndexBinaryIDMap2(index)
        inner.this.disown()
        index.own_fields = True  # the map frees what it stands before
        index.add_with_ids(rows, ids)
        return index
    except RuntimeError as error:
        raise ValueError(
            f"FAISS makes no index {description!r} of {len(rows)} codes of {n_bits} "
            f"bits: {_words(error)}; {_way_out(error)}"
        ) from error


def _check_description(description: Any, n_bits: int) -> None:
    """Refuse what FAISS would take, and then fail at or end the process."""
    if not isinstance(description, str):
        raise TypeError(
            f"description must be a string such as 'BFlat'; got {description!r}"
        )
    for kind, *numbers in NUMBERS.findall(description):
        given = [int(number) for number in numbers if number]
        if not all(LOWEST[kind] <= number < 2**31 for number in given):
            raise ValueError(
                f"description {description!r}: the numbers of {kind} begin at "
                f"{LOWEST[kind]}"
            )
        if kind == "Hash" and given[-1] > min(n_bits, KEY_BITS):
            raise ValueError(
                f"description {description!r}: the keys of a hash table have at most "
                f"{min(n_bits, KEY_BITS)} of the codes' {n_bits} bits"
            )


def _words(error: RuntimeError) -> str:
    """Give FAISS's own words, without its file and line."""
    return re.sub(r"^Error in .* at \S+:\d+: (Error: )?", "", str(error))


def _way_out(error: RuntimeError) -> str:
    if "training points" in str(error):
        return "name fewer lists"
    return "names of binary indexes begin with B, such as 'BFlat', and ids go by ids="


def from_faiss(index: Any, n_bits: int) -> NDArray[np.uint8]:
    """Take the codes out of an index, in the order of their positions.

    Parameters
    ----------
    index : faiss.IndexBinary
    n_bits : int

    Returns
    -------
    packed : ndarray of shape (n_codes, ceil(n_bits / 8)), dtype uint8

    Raises
    ------
    TypeError
        If this is no binary index.
    ValueError
        If its codes have another length, or it cannot give them back.
    """
    faiss = require("faiss", "faiss", "from_faiss")
    if not isinstance(index, faiss.IndexBinary):
        raise TypeError(
            f"index must be a binary index of FAISS; got {type(index).__name__}"
        )
    if index.d != 8 * -(-n_bits // 8):
        raise ValueError(
            f"index holds codes of {index.d} bits, but n_bits={n_bits} takes "
            f"{8 * -(-n_bits // 8)}"
        )
    inner = faiss.downcast_IndexBinary(index)
    if isinstance(inner, faiss.IndexBinaryIDMap):
        inner = faiss.downcast_IndexBinary(inner.index)
    try:
        if isinstance(inner, faiss.IndexBinaryFlat | faiss.IndexBinaryHNSW):
            packed: NDArray[np.uint8] = inner.reconstruct_n(0, inner.ntotal)
            return packed
        # One by one: for inverted files reconstruct_n of FAISS 1.9 writes beyond the
        # array that it fills, and of any version leaves out what it does not find.
        packed = np.empty((inner.ntotal, inner.d // 8), np.uint8)
        for position, row in enumerate(packed):
            row[:] = inner.reconstruct(position)
        return packed
    except RuntimeError as error:
        raise ValueError(
            f"{type(inner).__name__} does not give its codes back: {_words(error)}"
        ) from error
