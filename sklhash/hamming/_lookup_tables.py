"""Asymmetric distances of projections to codes, by tables.

The distance of a projection p to a code b is the sum of ``|p_j|`` over the bits j where
``p_j > 0`` and ``b_j`` differ. What a byte of the gallery adds is read from a table of
the query. The order of all sums is fixed, first bits inside a byte's table, then bytes,
both ascending, so distances depend neither on blocks nor on jobs, nor on whether numba
is there. No term is negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import BLOCK_PAIRS, BLOCK_QUERIES, Packed
from ._checks import check_packed
from ._cuts import cut
from ._numba import kernels_pay

Projections = NDArray[np.float64]
Tables = NDArray[np.float64]

#: Table entries that are made at once: 32 MB of them.
BLOCK_ENTRIES = 2**22
#: Neighbours that are kept at once, for all queries of a batch.
BLOCK_NEIGHBORS = 2**20


def lookup_tables(projections: Projections) -> Tables:
    """List what each byte of a code adds to the distance, for all its values.

    Parameters
    ----------
    projections : ndarray of shape (n_queries, n_bits), dtype float64

    Returns
    -------
    tables : ndarray of shape (n_queries, n_bytes, 256), dtype float64
        ``tables[i, t, v]`` is the sum over the bits j of byte t, ascending, in which
        v differs from the signs of query i. Padding bits add nothing.
    """
    n_queries, n_bits = projections.shape
    n_bytes = -(-n_bits // 8)
    padded = np.zeros((n_queries, n_bytes * 8))
    padded[:, :n_bits] = projections
    bits = padded.reshape(n_queries, n_bytes, 8)
    if_zero, if_one = np.maximum(bits, 0), np.maximum(-bits, 0)
    tables = np.zeros((n_queries, n_bytes, 256))
    for j in range(8):  # values below 2**j know the bits before j
        known, new = tables[:, :, : 1 << j], tables[:, :, 1 << j : 2 << j]
        np.add(known, if_one[:, :, j, None], out=new)
        known += if_zero[:, :, j, None]
    return tables


def check_projections(projections: Projections, gallery: Packed) -> None:
    """Refuse projections and codes that do not fit together.

    Parameters
    ----------
    projections : ndarray of shape (n_queries, n_bits), dtype float64
    gallery : ndarray of shape (n_gallery, ceil(n_bits / 8)), dtype uint8

    Raises
    ------
    TypeError
        If one is no array of such numbers.
    ValueError
        If their shapes do not fit, or distances would not be finite.
    """
    check_packed(gallery, "gallery")
    if not isinstance(projections, np.ndarray) or projections.dtype.kind not in "biuf":
        got = getattr(projections, "dtype", type(projections).__name__)
        raise TypeError(f"projections must be an array of real numbers; got {got}")
    n_bytes = gallery.shape[1]
    if projections.ndim != 2 or not n_bytes or -(-projections.shape[1] // 8) != n_bytes:
        raise ValueError(
            "projections must have shape (n_queries, n_bits), with n_bits of the "
            f"gallery's {n_bytes} bytes a code; got {projections.shape}"
        )
    with np.errstate(over="ignore"):
        largest = 2 * np.abs(projections, dtype=np.float64).sum(axis=1)  # 2: rounding
    if not np.isfinite(largest).all():
        raise ValueError(
            "projections hold NaN, infinity, or numbers so large that distances "
            "overflow: scale them down"
        )


def asymmetric_distances(projections: Projections, gallery: Packed) -> Projections:
    """Distance of every query to every gallery code.

    Parameters
    ----------
    projections : ndarray of shape (n_queries, n_bits), dtype float64
    gallery : ndarray of shape (n_gallery, ceil(n_bits / 8)), dtype uint8

    Returns
    -------
    distances : ndarray of shape (n_queries, n_gallery), dtype float64
        In the unit of the projections. This is the whole matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import asymmetric_distances
    >>> gallery = PackedCodes.from_codes([[0, 1], [1, 0]])
    >>> asymmetric_distances(np.array([[0.9, 0.2]]), gallery.packed)
    array([[0.9, 0.2]])
    """
    check_projections(projections, gallery)
    result = np.empty((len(projections), len(gallery)))
    compiled = kernels_pay(len(projections), len(gallery), gallery.shape[1])
    for rows in query_batches(len(projections), gallery.shape[1]):
        tables = lookup_tables(projections[rows])
        for columns, block in distance_blocks(tables, gallery, compiled):
            result[rows, columns] = block
    return result


def query_batches(
    n_queries: int, n_bytes: int, threads: int = 1, k: int = 1
) -> list[slice]:
    """Cut queries into batches: few tables and answers at once, work for all threads.

    Parameters
    ----------
    n_queries, n_bytes : int
    threads : int, default=1
    k : int, default=1
        Answers of each query.

    Returns
    -------
    batches : list of slice
        One without queries if there are none, so that answers have their types.
    """
    size = min(BLOCK_QUERIES, BLOCK_ENTRIES // (256 * n_bytes), BLOCK_NEIGHBORS // k)
    return cut(n_queries, max(1, min(size, -(-n_queries // threads)))) or [slice(0, 0)]


def distance_blocks(
    tables: Tables, gallery: Packed, compiled: bool, min_width: int = 1
) -> Iterator[tuple[slice, Projections]]:
    """Walk through the gallery and give its distances to a batch of queries.

    Parameters
    ----------
    tables : ndarray of shape (batch, n_bytes, 256), dtype float64
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    compiled : bool
        Whether to use kernels.
    min_width : int, default=1
        Gallery codes in a block, at least.

    Yields
    ------
    columns : slice
        The block's place in the gallery, first to last.
    distances : ndarray of shape (batch, width), dtype float64
    """
    width = max(min_width, BLOCK_PAIRS // max(1, len(tables)))
    for columns in cut(len(gallery), width) or [slice(0, 0)]:
        codes = gallery[columns]
        if compiled:
            yield columns, block_by_kernel(tables, codes)
            continue
        block = tables[:, 0, codes[:, 0]]
        for byte in range(1, tables.shape[1]):
            block += tables[:, byte, codes[:, byte]]
        yield columns, block


def block_by_kernel(tables: Tables, codes: Packed) -> Projections:
    """Distances of all pairs, by a kernel.

    Parameters
    ----------
    tables : ndarray of shape (n_queries, n_bytes, 256), or with its last axes in one
    codes : ndarray of shape (n_codes, n_bytes), dtype uint8

    Returns
    -------
    distances : ndarray of shape (n_queries, n_codes), dtype float64
    """
    from ._asymmetric_kernels import fill_distances

    block = np.empty((len(tables), len(codes)))
    flat = tables.reshape(len(tables), 256 * codes.shape[1])
    fill_distances(for_kernel(flat), for_kernel(codes), block)
    return block


def for_kernel(values: NDArray[Any]) -> NDArray[Any]:
    """Give one type of array to compile for, whether values can be written or not.

    Parameters
    ----------
    values : ndarray

    Returns
    -------
    values : read-only, contiguous ndarray
    """
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    return values
