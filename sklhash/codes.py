"""Binary codes, packed eight bits to a byte."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from .code_files import (
    MAX_BITS,
    CodesWriter,
    check_n_bits,
    create_codes,
    read_codes,
    written_whole,
)
from .exports import Exports

__all__ = ["MAX_BITS", "PackedCodes", "as_packed", "pack", "unpack"]


def pack(codes: NDArray[Any]) -> NDArray[np.uint8]:
    """Pack 0/1 codes: bit j goes to byte ``j // 8``, position ``j % 8``.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_bits)
        Booleans or 0/1 integers.

    Returns
    -------
    packed : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8
        Padding bits are zero.
    """
    return np.packbits(codes, axis=1, bitorder="little")


def unpack(packed: NDArray[np.uint8], n_bits: int) -> NDArray[np.uint8]:
    """Undo :func:`pack`.

    Parameters
    ----------
    packed : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8
    n_bits : int

    Returns
    -------
    codes : ndarray of shape (n_samples, n_bits), dtype uint8
        Zeros and ones.
    """
    return np.unpackbits(packed, axis=1, count=n_bits, bitorder="little")


class PackedCodes(Exports):
    """Binary codes of equal length, eight bits to a byte.

    Bit j of a code is byte ``j // 8``, position ``j % 8`` (little bit order, as in
    faiss); the padding bits of the last byte are zero.

    Parameters
    ----------
    packed : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8
        The bytes; kept as they are, so a memory map stays on disk.
    n_bits : int
        Code length, 1 to 65,535.

    Attributes
    ----------
    packed : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8
    n_bits : int
    shape : tuple of int
        ``(n_samples, n_bits)``.
    nbytes : int
        Memory of the packed bytes.

    Raises
    ------
    TypeError
        If `packed` is no uint8 array or `n_bits` no integer.
    ValueError
        If the shapes disagree or a padding bit is set.

    See Also
    --------
    PackedCodes.from_codes : Pack an array of zeros and ones.

    Examples
    --------
    >>> from sklhash import PackedCodes
    >>> codes = PackedCodes.from_codes([[1, 0, 1], [0, 1, 1]])
    >>> codes
    PackedCodes(n_samples=2, n_bits=3)
    >>> codes.packed.tolist()
    [[5], [6]]
    >>> codes[1].unpack()
    array([[0, 1, 1]], dtype=uint8)
    """

    __slots__ = ("n_bits", "packed")

    def __init__(self, packed: NDArray[np.uint8], n_bits: int) -> None:
        self.n_bits = check_n_bits(n_bits)
        self.packed = _check_packed(packed, self.n_bits)

    @classmethod
    def from_codes(cls, codes: ArrayLike) -> PackedCodes:
        """Pack codes given one number a bit.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_bits)
            0/1, bool, -1/+1 or real values; a bit is set where the value is ``> 0``.

        Returns
        -------
        PackedCodes

        Raises
        ------
        ValueError
            If `codes` is not a finite numeric matrix of 1 to 65,535 columns.
        """
        if isinstance(codes, cls):
            return codes
        if isinstance(codes, list | tuple):
            codes = np.asarray(codes)
        values = check_array(codes, ensure_min_samples=0, input_name="codes")
        if values.shape[1] > MAX_BITS:
            raise ValueError(
                f"codes have {values.shape[1]} columns, but {MAX_BITS} bits at most"
            )
        return cls(pack(values > 0), values.shape[1])

    @classmethod
    def concatenate(cls, parts: Iterable[PackedCodes]) -> PackedCodes:
        """Join codes of equal length, in the order given.

        Parameters
        ----------
        parts : iterable of PackedCodes

        Returns
        -------
        PackedCodes

        Raises
        ------
        TypeError
            If a part is no PackedCodes.
        ValueError
            If there are no parts or their `n_bits` differ.
        """
        parts = list(parts)
        for part in parts:
            if not isinstance(part, PackedCodes):
                raise TypeError(
                    f"concatenate takes PackedCodes; got {type(part).__name__}"
                )
        lengths = {part.n_bits for part in parts}
        if len(lengths) != 1:
            raise ValueError(
                "concatenate needs one or more PackedCodes of equal n_bits; got n_bits "
                f"{sorted(lengths)}"
            )
        return cls(np.concatenate([part.packed for part in parts]), lengths.pop())

    def unpack(self) -> NDArray[np.uint8]:
        """Give the codes one byte a bit.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_bits), dtype uint8
            Zeros and ones.
        """
        return unpack(self.packed, self.n_bits)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the codes to a ``.npy`` file that holds no pickle.

        The file is an ordinary NumPy file, which ``np.load`` opens without sklhash as
        well. The name of its one field tells the format, the code length and a
        checksum, as in ``sklhash1_bits64_crc0a1b2c3d``. A file of that name is
        replaced only once the new one is complete and on the disk.

        Parameters
        ----------
        path : str or path-like
            File to write; used as it is, no suffix is added.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If `path` is a folder or a device.

        See Also
        --------
        PackedCodes.create : Make a file to encode into.
        """
        with written_whole(path) as part, open(part, "wb") as file:
            writer = CodesWriter(file, self.n_bits)
            writer.append(self.packed)
            writer.finish()

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], n_samples: int, n_bits: int
    ) -> PackedCodes:
        """Make a file of codes that are all zero, mapped to be filled in.

        The file is as :meth:`save` writes it, but for the checksum, which it lacks:
        it would not be that of the codes written later. Saving the codes to the same
        path adds it.

        Parameters
        ----------
        path : str or path-like
            File to make; a file of that name is replaced.
        n_samples : int
        n_bits : int
            Code length, 1 to 65,535.

        Returns
        -------
        PackedCodes
            `packed` is a memory map that can be written to. Padding bits must stay
            zero.

        Raises
        ------
        TypeError
            If a number is no integer.
        ValueError
            If a number is out of range, or `path` is a folder or a device.
        OSError
            If the file cannot be made, or there is no room for it.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import PackedCodes, RandomHyperplaneHashing
        >>> X, _ = load_digits(return_X_y=True)
        >>> hasher = RandomHyperplaneHashing(20, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     codes = PackedCodes.create(f"{folder}/codes.npy", len(X), n_bits=20)
        ...     _ = hasher.encode(X, out=codes.packed)
        ...     loaded = PackedCodes.load(f"{folder}/codes.npy")
        ...     del codes  # and with it the map
        >>> loaded == hasher.encode(X)
        True
        """
        n_samples, n_bits = _check_n_samples(n_samples), check_n_bits(n_bits)
        return cls._from_checked(create_codes(path, n_samples, n_bits), n_bits)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        mmap_mode: Literal["r", "r+", "c"] | None = None,
        *,
        verify: bool | None = None,
    ) -> PackedCodes:
        """Read codes that :meth:`save` wrote; never runs code from the file.

        The length of the file is compared with its header before memory is taken, so
        no file takes more memory than it is long. Files of former versions are read;
        they have no checksum.

        Parameters
        ----------
        path : str or path-like
        mmap_mode : {'r', 'r+', 'c'}, default=None
            Leave the bytes on disk and map them, as in :func:`numpy.load`. If the
            code length is no multiple of 8, the file is read once, to see that padding
            bits are zero. 'r+' removes the checksum from the file, as the codes may
            change: :meth:`save` them to have one again. Whoever makes a mapped file
            shorter ends the processes that read it.
        verify : bool, default=None
            Compare the codes with their checksum, for which all of them are read, a
            megabyte at a time. None verifies codes that are read into memory if they
            have a checksum, and no mapped ones.

        Returns
        -------
        PackedCodes

        Raises
        ------
        OSError
            If the file cannot be opened.
        TypeError
            If `verify` is none of the above.
        ValueError
            If the file is not one that :meth:`save` wrote, was changed since, or was
            written in a format of a newer version, `mmap_mode` is not one of the
            above, or there is no checksum to verify.
        """
        if verify is not None and not isinstance(verify, bool | np.bool_):
            raise TypeError(f"verify must be True, False or None; got {verify!r}")
        if mmap_mode not in (None, "r", "r+", "c"):
            raise ValueError(
                f"mmap_mode must be None, 'r', 'r+' or 'c'; got {mmap_mode!r}"
            )
        return cls._from_checked(*read_codes(path, mmap_mode, verify))

    @classmethod
    def _from_checked(cls, packed: NDArray[np.uint8], n_bits: int) -> PackedCodes:
        """Take bytes whose padding is known to be zero: a map is not read for it."""
        codes = cls.__new__(cls)
        codes.packed, codes.n_bits = packed, n_bits
        return codes

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_samples, n_bits)``."""
        return len(self.packed), self.n_bits

    @property
    def nbytes(self) -> int:
        """Memory of the packed bytes."""
        return self.packed.nbytes

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, rows: Any) -> PackedCodes:
        if isinstance(rows, tuple) and rows[1:] == (Ellipsis,):
            rows = rows[0]  # scikit-learn indexes rows as [rows, ...]
        if rows is None or isinstance(rows, tuple):
            raise IndexError(f"PackedCodes can be indexed by rows only; got {rows!r}")
        if isinstance(rows, Integral) or (
            isinstance(rows, np.ndarray) and not rows.ndim
        ):
            rows = [rows]
        return PackedCodes(self.packed[rows], self.n_bits)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("unpacking PackedCodes to an array always copies")
        return self.unpack() if dtype is None else self.unpack().astype(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedCodes, (self.packed, self.n_bits)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackedCodes):
            return NotImplemented
        return self.n_bits == other.n_bits and np.array_equal(self.packed, other.packed)

    __hash__ = None  # type: ignore[assignment]  # the bytes may change, as in ndarray

    def __repr__(self) -> str:
        return f"PackedCodes(n_samples={len(self)}, n_bits={self.n_bits})"


def as_packed(codes: Any, name: str = "codes") -> PackedCodes:
    """Take codes in any form: packed ones as they are, arrays by their sign.

    Parameters
    ----------
    codes : PackedCodes or array-like of shape (n_samples, n_bits)
    name : str
        What to call `codes` in error messages.

    Returns
    -------
    PackedCodes
    """
    if isinstance(codes, PackedCodes):
        if not len(codes):
            raise ValueError(f"{name} holds 0 codes while a minimum of 1 is required")
        return codes
    if codes is None:
        raise ValueError(f"{name} is missing: give an array of codes or a PackedCodes")
    return PackedCodes.from_codes(check_array(codes, input_name=name))


def _check_n_samples(n_samples: Any) -> int:
    if isinstance(n_samples, bool) or not isinstance(n_samples, Integral):
        raise TypeError(f"n_samples must be an integer; got {n_samples!r}")
    if not 0 <= int(n_samples) < 2**48:  # any file is shorter than 2**63 bytes
        raise ValueError(f"n_samples must be in [0, 2**48); got {n_samples}")
    return int(n_samples)


def _check_packed(packed: Any, n_bits: int) -> NDArray[np.uint8]:
    if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8:
        raise TypeError(
            "packed must be a uint8 array; got "
            f"{getattr(packed, 'dtype', type(packed).__name__)}. "
            "PackedCodes.from_codes packs an array of zeros and ones."
        )
    n_bytes = -(-n_bits // 8)
    if packed.ndim != 2 or packed.shape[1] != n_bytes:
        raise ValueError(
            f"packed must have shape (n_samples, {n_bytes}) for n_bits={n_bits}; got "
            f"{packed.shape}"
        )
    used = n_bits % 8
    if used and (packed[:, -1] >> used).any():
        raise ValueError(f"packed has bits set beyond n_bits={n_bits}")
    return packed
