"""Differing bits of blocks of codes: the kernel that all else in this package calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._checks import check_packed
from ._cuts import cut

Packed = NDArray[np.uint8]

#: Pairs of codes in one block: its temporaries stay in a core's cache.
BLOCK_PAIRS = 2**18
#: Queries in one block, at most: they share each visit to the gallery.
BLOCK_QUERIES = 64


def query_batches(n_queries: int, largest: int = BLOCK_QUERIES) -> list[slice]:
    """Cut the queries into the batches that are searched together.

    Of no queries there is a batch without any, so that answers have their types.
    """
    return cut(n_queries, min(largest, BLOCK_QUERIES)) or [slice(0, 0)]


def gallery_blocks(
    queries: Packed, gallery: Packed, min_width: int = 1
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Walk through the gallery and count where it differs from a batch of queries.

    Parameters
    ----------
    queries : ndarray of shape (batch, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    min_width : int
        Gallery codes in a block, at least.

    Yields
    ------
    columns : slice
        The block's place in the gallery, first to last.
    bits : ndarray of shape (batch, width), dtype uint8 or uint16
        Differing bits of all pairs.
    """
    query_words = to_words(queries)
    width = max(min_width, BLOCK_PAIRS // max(1, len(queries)))
    for columns in cut(len(gallery), width) or [slice(0, 0)]:
        yield columns, differing_bits(query_words, to_words(gallery[columns]))


def to_words(packed: Packed) -> NDArray[Any]:
    """Lay codes out word by word, in the widest words that fit them.

    Parameters
    ----------
    packed : ndarray of shape (n_samples, n_bytes), dtype uint8

    Returns
    -------
    words : ndarray of shape (n_words, n_samples), dtype uint8 to uint64
        Zero padded; word w of all codes is contiguous.
    """
    n_samples, n_bytes = packed.shape
    word = next((size for size in (1, 2, 4) if n_bytes <= size), 8)
    if n_bytes % word:
        short, packed = (
            packed,
            np.zeros((n_samples, -(-n_bytes // word) * word), np.uint8),
        )
        packed[:, :n_bytes] = short
    return np.ascontiguousarray(np.ascontiguousarray(packed).view(f"u{word}").T)


def padded_words(packed: Packed) -> NDArray[np.uint64]:
    """Copy codes into words of 64 bits, code by code.

    Parameters
    ----------
    packed : ndarray of shape (n_samples, n_bytes), dtype uint8

    Returns
    -------
    words : ndarray of shape (n_samples, ceil(n_bytes / 8)), dtype uint64
        Zero padded.
    """
    n_samples, n_bytes = packed.shape
    words = np.zeros((n_samples, -(-n_bytes // 8)), np.uint64)
    words.view(np.uint8)[:, :n_bytes] = packed
    return words


def count_set_bits(packed: Packed) -> NDArray[np.int64]:
    """Count the bits that each code sets.

    Parameters
    ----------
    packed : ndarray of shape (n_samples, n_bytes), dtype uint8

    Returns
    -------
    counts : ndarray of shape (n_samples,), dtype int64

    Examples
    --------
    >>> from sklhash import PackedCodes
    >>> from sklhash.hamming import count_set_bits
    >>> codes = PackedCodes.from_codes([[0, 0, 1], [0, 1, 1]])
    >>> count_set_bits(codes.packed)
    array([1, 2])
    """
    check_packed(packed, "packed")
    counts = np.empty(len(packed), np.int64)
    for rows in cut(len(packed), BLOCK_PAIRS // BLOCK_QUERIES):
        words = to_words(packed[rows])
        counts[rows] = np.bitwise_count(words).sum(axis=0, dtype=np.int64)
    return counts


def differing_bits(
    query_words: NDArray[Any], gallery_words: NDArray[Any]
) -> NDArray[Any]:
    """Count the differing bits of all pairs, one word after the other.

    Parameters
    ----------
    query_words : ndarray of shape (n_words, batch)
    gallery_words : ndarray of shape (n_words, width)

    Returns
    -------
    bits : ndarray of shape (batch, width), dtype uint8 or uint16
    """
    words = zip(query_words, gallery_words, strict=True)
    query, gallery = next(words)
    total = np.bitwise_count(query[:, None] ^ gallery)
    if len(query_words) > 3:  # 4 words of 64 bits can differ in 256 places
        total = total.astype(np.uint16)
    for query, gallery in words:
        total += np.bitwise_count(query[:, None] ^ gallery)
    return total
