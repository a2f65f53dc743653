"""Files of packed codes: NumPy's own, with a field whose name says what is in them.

A file of format 1 is a ``.npy`` file of version 1.0 with one dimension and one field
``sklhash1_bits{n_bits}_crc{checksum}`` of ``ceil(n_bits / 8)`` bytes. The checksum is
eight hexadecimal digits: the CRC-32 of the text ``bits{n_bits}`` and all rows' bytes
behind it; ``--------`` in files that are still written to. The field of files from
before the format had a number is ``bits{n_bits}``; they have no checksum.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom, BufferedReader, FileIO
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._version import __version__

__all__ = [
    "MAX_BITS",
    "CodesWriter",
    "check_n_bits",
    "create_codes",
    "is_code_file",
    "open_regular",
    "read_codes",
    "written_whole",
]

#: Longest code: distances, in bits, then fit 16 unsigned bits.
MAX_BITS = 65_535
#: The format that is written, and the highest that is read.
FORMAT = 1
#: Codes that are read or written at a time.
BLOCK_BYTES = 1 << 20

FilePath = str | os.PathLike[str]
OpenFile = BufferedReader | BufferedRandom
MmapMode = Literal["r", "r+", "c"]

_MAGIC = b"\x93NUMPY\x01\x00"
_NO_CHECKSUM = b"-" * 8
# What numpy writes, to the letter: nothing of a header is ever evaluated.
_HEADER = re.compile(
    rb"\{'descr': \[\('(sklhash1_)?bits([1-9]\d{0,4})(?(1)_crc([0-9a-f]{8}|-{8}))', "
    rb"'\|u1', \(([1-9]\d{0,3}),\)\)\], 'fortran_order': False, "
    rb"'shape': \((0|[1-9]\d{0,18}),\), \} *\n"
)
_BEGINNING = re.compile(rb"\{'descr': \[\('(?:bits\d|sklhash([1-9]\d{0,8})_)")


class _Header(NamedTuple):
    n_bits: int
    n_rows: int
    checksum: int | None
    checksum_at: int
    size: int  # where the codes begin

    @property
    def row_bytes(self) -> int:
        return -(-self.n_bits // 8)


def check_n_bits(n_bits: Any) -> int:
    """Check a code length.

    Parameters
    ----------
    n_bits : object

    Returns
    -------
    n_bits : int

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is not in [1, 65535].
    """
    if isinstance(n_bits, bool) or not isinstance(n_bits, Integral):
        raise TypeError(f"n_bits must be an integer; got {n_bits!r}")
    if not 1 <= int(n_bits) <= MAX_BITS:
        raise ValueError(f"n_bits must be in [1, {MAX_BITS}]; got {n_bits}")
    return int(n_bits)


def open_regular(path: FilePath, *, writable: bool = False) -> OpenFile:
    """Open a regular file, in binary mode: a pipe would be waited for.

    Parameters
    ----------
    path : str or path-like
    writable : bool, default=False
        Whether it is to be written to as well. It has to be there already.

    Returns
    -------
    file : binary file

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is a folder, a pipe or a device.
    """
    name = os.fspath(Path(path))  # no number of an open file
    if os.path.isdir(name):  # which cannot be opened to write, or on Windows at all
        raise _irregular(name)
    raw = FileIO(name, "r+" if writable else "r", opener=_open_at_once)
    # What was opened is looked at: what has the name may be something else by now.
    if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        raw.close()
        raise _irregular(name)
    return BufferedRandom(raw) if writable else BufferedReader(raw)


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # not on Windows


def _irregular(name: str) -> ValueError:
    return ValueError(f"{name!r} is no regular file: name one, or copy it to one")


def read_codes(
    path: FilePath, mmap_mode: MmapMode | None = None, verify: bool | None = None
) -> tuple[NDArray[np.uint8], int]:
    """Read or map a file of codes.

    Nothing is allocated before the header is known to fit the file's length.

    Parameters
    ----------
    path : str or path-like
    mmap_mode : {'r', 'r+', 'c'}, default=None
    verify : bool, default=None
        Compare with the checksum; None where codes are read that have one.

    Returns
    -------
    packed : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8
        Padding bits are zero.
    n_bits : int

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is no file of codes, is damaged, or was written by a newer version.
    """
    with open_regular(path, writable=mmap_mode == "r+") as file:
        header = _read_header(file, path)
        if verify is None:
            verify = mmap_mode is None and header.checksum is not None
        elif verify and header.checksum is None:
            raise ValueError(
                f"{os.fspath(path)!r} has no checksum to verify: load it without "
                "verify=True and save it again"
            )
        if mmap_mode is None:
            packed = np.empty((header.n_rows, header.row_bytes), np.uint8)
            _check_codes(file, path, header, packed, verify)
            return packed, header.n_bits
        if verify or header.n_bits % 8:  # otherwise any byte is a valid code
            _check_codes(file, path, header, None, verify)
        if isinstance(file, BufferedRandom) and header.checksum is not None:
            file.seek(header.checksum_at)
            file.write(_NO_CHECKSUM)  # none of what will be written
            file.flush()
        return _map(file, header, mmap_mode), header.n_bits


def create_codes(path: FilePath, n_rows: int, n_bits: int) -> NDArray[np.uint8]:
    """Make a file of codes that are all zero, and map it to be written to.

    Parameters
    ----------
    path : str or path-like
        A file of that name is replaced.
    n_rows, n_bits : int

    Returns
    -------
    packed : memmap of shape (n_rows, ceil(n_bits / 8)), dtype uint8
    """
    with written_whole(path) as part, open(part, "wb") as file:
        _write_header(file, n_bits, n_rows, None)
        length = file.tell() + n_rows * -(-n_bits // 8)
        file.truncate(length)
        if hasattr(os, "posix_fallocate"):
            # Or a full disk would kill the process that writes to the map.
            os.posix_fallocate(file.fileno(), 0, length)
    with open_regular(path, writable=True) as file:
        return _map(file, _read_header(file, path), "r+")


def is_code_file(path: FilePath) -> bool:
    """Tell whether a file begins as files of codes do, whole or not, of any format.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    is_code_file : bool
    """
    if not Path(path).is_file():
        return False
    with open_regular(path) as file:
        start = file.read(64)
    begins = _BEGINNING.match(start[len(_MAGIC) + 2 :])
    return start.startswith(_MAGIC) and begins is not None


class CodesWriter:
    """Write packed codes block by block.

    The header comes last, because a stream does not tell how long it is; its length
    does not depend on the number of rows.

    Parameters
    ----------
    file : binary file, open for writing
    n_bits : int

    Attributes
    ----------
    n_rows : int
        Codes written so far.
    """

    def __init__(self, file: BinaryIO, n_bits: int) -> None:
        self.n_rows = 0
        self._file = file
        self._n_bits = n_bits
        self._checksum = _first_checksum(n_bits)
        _write_header(file, n_bits, 0, None)

    def append(self, packed: NDArray[np.uint8]) -> None:
        """Write the next codes.

        Parameters
        ----------
        packed : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8
        """
        for batch in _batches(*packed.shape):
            block = np.ascontiguousarray(packed[batch])
            self._checksum = zlib.crc32(block.data, self._checksum)
            self._file.write(block.data)
        self.n_rows += len(packed)

    def finish(self) -> None:
        """Say in the header how many codes there are, and their checksum."""
        self._file.seek(0)
        _write_header(self._file, self._n_bits, self.n_rows, self._checksum)


@contextmanager
def written_whole(path: FilePath) -> Iterator[Path]:
    """Write beside a file, and put it in place at the end.

    What is in place is on the disk: a computer that stops at any moment leaves the
    former file or the new one, whole.

    Parameters
    ----------
    path : str or path-like

    Yields
    ------
    part : Path
        What to write. It is removed if the body raises, Ctrl-C included.

    Raises
    ------
    OSError
        If there is no folder for it, or it is a link to itself.
    ValueError
        If there is something of that name that is no file.
    """
    target = _target(path)
    # A name that no other thread, process or machine takes, and shorter than any limit.
    part = target.with_name(f".{secrets.token_hex(4)}.part{target.suffix[:32]}")
    try:
        yield part
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)  # last: it may forbid to write
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _target(path: FilePath) -> Path:
    """Find the file to replace: of a link, the one behind it."""
    target = Path(os.path.realpath(Path(path)))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    if not target.parent.is_dir():
        missing = errno.ENOTDIR if target.parent.exists() else errno.ENOENT
        raise OSError(missing, os.strerror(missing), os.fspath(path))
    if target.exists() and not target.is_file():
        raise ValueError(f"{os.fspath(path)!r} is a folder or a device: name a file")
    return target


def _read_header(file: OpenFile, path: FilePath) -> _Header:
    """Read the header, and see that it fits the length of the file."""
    start = file.read(len(_MAGIC) + 2)
    length = int.from_bytes(start[len(_MAGIC) :], "little")
    text = file.read(length)
    match = _HEADER.fullmatch(text)
    if not start.startswith(_MAGIC) or len(text) != length or match is None:
        raise ValueError(_no_code_file(path, start, text))
    known = match[3] not in (None, _NO_CHECKSUM)
    header = _Header(
        n_bits=int(match[2]),
        n_rows=int(match[5]),
        checksum=int(match[3], 16) if known else None,
        checksum_at=len(start) + match.start(3),
        size=len(start) + length,
    )
    if header.n_bits > MAX_BITS or int(match[4]) != header.row_bytes:
        raise _damaged(path, f"no {header.n_bits} bits are in {int(match[4])} bytes")
    expected = header.size + header.n_rows * header.row_bytes
    found = os.fstat(file.fileno()).st_size
    if found != expected:
        raise _damaged(path, f"it should have {expected} bytes, but has {found}")
    return header


def _check_codes(
    file: OpenFile,
    path: FilePath,
    header: _Header,
    packed: NDArray[np.uint8] | None,
    verify: bool,
) -> None:
    """Read all codes, into an array or only past them, and check each block."""
    used, checksum = header.n_bits % 8, _first_checksum(header.n_bits)
    for batch in _batches(header.n_rows, header.row_bytes):
        if packed is None:
            block = np.empty((batch.stop - batch.start, header.row_bytes), np.uint8)
        else:
            block = packed[batch]
        if file.readinto(block.data) != block.nbytes:
            raise _damaged(path, "it became shorter while it was read")
        if used and (block[:, -1] >> used).any():
            raise _damaged(path, f"it has bits set beyond n_bits={header.n_bits}")
        if verify:
            checksum = zlib.crc32(block.data, checksum)
    if verify and checksum != header.checksum:
        raise _damaged(path, "its codes are not those that the checksum is of")


def _damaged(path: FilePath, what: str) -> ValueError:
    return ValueError(
        f"{os.fspath(path)!r} is damaged: {what}; get it again or make it again"
    )


def _no_code_file(path: FilePath, start: bytes, text: bytes) -> str:
    newer = _BEGINNING.match(text)
    if start.startswith(_MAGIC) and newer and newer[1] and int(newer[1]) > FORMAT:
        return (
            f"{os.fspath(path)!r} was written in format {int(newer[1])} by a newer "
            f"sklhash; this one (version {__version__}) reads formats up to {FORMAT}: "
            "upgrade it"
        )
    return (
        f"{os.fspath(path)!r} holds no packed codes; expected a file written by "
        "PackedCodes.save"
    )


def _map(file: OpenFile, header: _Header, mode: MmapMode) -> NDArray[np.uint8]:
    shape = (header.n_rows, header.row_bytes)
    rows = np.memmap(file, np.uint8, mode, header.size, shape=(shape[0] * shape[1],))
    return rows.reshape(shape)


def _write_header(
    file: BinaryIO, n_bits: int, n_rows: int, checksum: int | None
) -> None:
    digits = _NO_CHECKSUM.decode() if checksum is None else f"{checksum:08x}"
    field = f"sklhash{FORMAT}_bits{n_bits}_crc{digits}"
    row = np.dtype([(field, np.uint8, (-(-n_bits // 8),))])
    descr = np.lib.format.dtype_to_descr(row)
    header = {"descr": descr, "fortran_order": False, "shape": (n_rows,)}
    np.lib.format.write_array_header_1_0(file, header)


def _first_checksum(n_bits: int) -> int:
    # Of the length, too: one changed digit may leave as many bytes to a code.
    return zlib.crc32(f"bits{n_bits}".encode())


def _batches(n_rows: int, row_bytes: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
