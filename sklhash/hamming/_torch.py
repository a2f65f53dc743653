"""Exact search on a GPU: differing bits as products of matrices of -1 and +1.

With codes as rows of -1 and +1, ``bits = (n_bits - <query, gallery>) / 2``. Half
precision gives these products without rounding, as it holds all integers up to 2048;
of longer codes, parts are added as integers. Pairs are kept as one integer,

    key = bits * 2**shift + place in the chunk,

and later ``bits * n_gallery + position``. No two keys of a query are equal, so the k
smallest, sorted, are the answers ordered by (distance, position), in whatever order a
device finds them. PyTorch is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from ._blocks import Packed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Pairs of codes in one block: ten bytes each.
BLOCK_PAIRS = 2**24
#: Queries in one block, at most: with more, chunks of the gallery become short.
BLOCK_QUERIES = 256
#: Numbers -1 and +1 that codes are unpacked to at once: five bytes each.
SIGNS = 2**25
#: Neighbours kept at once, where one query has no more: 24 bytes each.
ANSWERS = 2**23
#: Bits in a part of a code: half precision counts no further.
PART_BITS = 2048
#: Bytes that are copied to the device at once.
UPLOAD_BYTES = 2**26


class DeviceGallery:
    """Packed codes that have been copied to a device, to be searched there.

    What a search takes on the device besides the packed codes is less than 1 GB,
    whatever the numbers of codes, bits and queries, with up to 8 million neighbours.

    Parameters
    ----------
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
        May be a memory map: it is copied piece by piece.
    device : str
        A device of PyTorch's, such as 'cuda', 'cuda:1' or 'cpu'.

    Raises
    ------
    ValueError
        If there is no such device.
    """

    def __init__(self, gallery: Packed, device: str) -> None:
        check_device(device)
        self.device = device
        self._codes = _upload(gallery, device)

    def __len__(self) -> int:
        return len(self._codes)

    def __reduce__(self) -> NoReturn:
        """Refuse: another process, or machine, may have no such device."""
        raise TypeError(
            "a DeviceGallery cannot be pickled: keep its codes, and copy them to the "
            "device anew"
        )

    def extend(self, codes: Packed) -> None:
        """Append codes.

        The gallery lies on the device twice for a moment.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_bytes), dtype uint8
        """
        import torch

        self._codes = torch.cat([self._codes, _upload(codes, self.device)])

    def top_k(
        self, queries: Packed, k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Find the k nearest gallery codes of every query.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_bytes), dtype uint8
        k : int
            1 to n_gallery.

        Returns
        -------
        distances : ndarray of shape (n_queries, k), dtype int32
            Ascending; in bits.
        positions : ndarray of shape (n_queries, k), dtype intp
            Equal distances are ordered by position.
        """
        n_bits, n_gallery = 8 * queries.shape[1], len(self)
        distances = np.empty((len(queries), k), np.int32)
        positions = np.empty((len(queries), k), np.intp)
        at_once = max(1, min(SIGNS // n_bits, ANSWERS // k))
        for rows in gen_batches(len(queries), at_once):
            batch = _signs(_upload(queries[rows], self.device))
            keys = self._nearest(batch, k).cpu().numpy()
            distances[rows], positions[rows] = np.divmod(keys, n_gallery)
        return distances, positions

    def within_radius(
        self, queries: Packed, radius: float
    ) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.intp]]:
        """Find all gallery codes at most `radius` away.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_bytes), dtype uint8
        radius : int or float
            Inclusive; in bits.

        Returns
        -------
        indptr : ndarray of shape (n_queries + 1,), dtype intp
            The answers of query i stand at ``indptr[i]:indptr[i + 1]``.
        distances : ndarray of shape (n_found,), dtype int32
            Ascending for each query; in bits.
        positions : ndarray of shape (n_found,), dtype intp
            Equal distances are ordered by position.
        """
        parts = [np.empty((3, 0), np.int64)]
        for rows in gen_batches(len(queries), max(1, SIGNS // (8 * queries.shape[1]))):
            batch = _signs(_upload(queries[rows], self.device))
            for found in self._near(batch, radius):
                found[0] += rows.start
                parts.append(found)
        query, bits, position = np.concatenate(parts, axis=1)
        order = np.lexsort((position, bits, query))
        counts = np.bincount(query, minlength=len(queries))
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
        return indptr, bits[order].astype(np.int32), position[order].astype(np.intp)

    def _nearest(self, queries: Tensor, k: int) -> Tensor:
        """Give the k smallest keys of each query, ascending."""
        import torch

        best: dict[int, Tensor] = {}
        for block in self._blocks(queries):
            chunk_keys = _smallest(block.keys, k)
            bits = (chunk_keys >> block.shift).to(torch.int64)
            place = chunk_keys & ((1 << block.shift) - 1)
            keys = bits * len(self) + (place + block.position)
            if block.query in best:
                keys = _smallest(torch.cat([best[block.query], keys], dim=1), k)
            best[block.query] = keys
        return torch.cat(list(best.values()))

    def _near(self, queries: Tensor, radius: float) -> Iterator[NDArray[np.int64]]:
        """Give query, differing bits and position of all pairs near enough."""
        import torch

        radius = min(np.floor(radius), queries.shape[1])
        if radius < 0:
            return
        for block in self._blocks(queries):
            largest = (int(radius) + 1 << block.shift) - 1
            query, column = torch.nonzero(block.keys <= largest, as_tuple=True)
            bits = block.keys[query, column] >> block.shift
            found = torch.stack([query + block.query, bits, column + block.position])
            yield found.cpu().numpy()

    def _blocks(self, queries: Tensor) -> Iterator[_Block]:
        """Compare queries with the gallery, block by block, first to last."""
        n_queries, n_bits = queries.shape
        size = min(n_queries, BLOCK_QUERIES)
        shift = 31 - n_bits.bit_length()  # keys are to fit 31 bits
        width = min(2**shift, max(1, SIGNS // n_bits), BLOCK_PAIRS // size)
        for columns in gen_batches(len(self), width):
            chunk = _signs(self._codes[columns])
            for rows in gen_batches(n_queries, size):
                keys = _keys(queries[rows], chunk, shift)
                yield _Block(rows.start, columns.start, shift, keys)


class _Block(NamedTuple):
    """Keys of some queries and a chunk of the gallery."""

    query: int  # the first one
    position: int  # of the first code
    shift: int
    keys: Tensor  # int32, (n_queries, width)


def top_k_on_device(
    queries: Packed, gallery: Packed, k: int, *, device: str
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Find the k nearest gallery codes of every query, on a device of PyTorch's.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_bytes), dtype uint8
    gallery : ndarray of shape (n_gallery, n_bytes), dtype uint8
    k : int
        1 to n_gallery.
    device : str
        Such as 'cuda' or 'cpu'.

    Returns
    -------
    distances : ndarray of shape (n_queries, k), dtype int32
        Ascending; in bits.
    positions : ndarray of shape (n_queries, k), dtype intp
        Equal distances are ordered by position.

    See Also
    --------
    DeviceGallery : Copies the gallery once for many searches.
    """
    return DeviceGallery(gallery, device).top_k(queries, k)


def check_device(device: str) -> None:
    """Refuse a device that PyTorch does not find here.

    Parameters
    ----------
    device : str

    Raises
    ------
    ValueError
    """
    import torch

    try:
        torch.empty(0, device=device).cpu()  # 'meta' has no numbers to give back
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"device={device!r} cannot be used here: {reason}. Use device='cpu'."
        ) from error


def _upload(packed: Packed, device: str) -> Tensor:
    """Copy packed codes to a device."""
    import torch

    codes = torch.empty(packed.shape, dtype=torch.uint8, device=device)
    for rows in gen_batches(len(packed), max(1, UPLOAD_BYTES // packed.shape[1])):
        codes[rows] = torch.tensor(np.ascontiguousarray(packed[rows]))
    return codes


def _signs(codes: Tensor) -> Tensor:
    """Unpack codes, padding included, to rows of -1 and +1."""
    import torch

    places = torch.arange(8, dtype=torch.uint8, device=codes.device)
    bits = (codes[:, :, None] >> places & 1).flatten(1)
    return bits.to(_dtype(codes.device)).mul_(2).sub_(1)


def _dtype(device: torch.device) -> torch.dtype:
    """Give the floats that a device multiplies fastest, without rounding."""
    import torch

    return torch.float16 if device.type == "cuda" else torch.float32


def _keys(queries: Tensor, chunk: Tensor, shift: int) -> Tensor:
    """Keys of all pairs of queries and codes of a chunk."""
    import torch

    width, n_bits = chunk.shape
    inner: Any = 0
    for part in gen_batches(n_bits, PART_BITS):
        inner += (queries[:, part] @ chunk[:, part].T).to(torch.int32)
    # (n_bits - inner) / 2 * 2**shift + place, without intermediate arrays
    places = torch.arange(width, dtype=torch.int32, device=chunk.device)
    keys: Tensor = inner.mul_(-(1 << shift - 1)).add_(places + (n_bits << shift - 1))
    return keys


def _smallest(keys: Tensor, k: int) -> Tensor:
    """Give the k smallest keys of each row, or all of them, ascending."""
    return keys.topk(min(k, keys.shape[1]), dim=1, largest=False).values
