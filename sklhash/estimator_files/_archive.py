"""Archives of strangers: what is in them, once it is known to fit into memory.

Nothing here trusts a number that a file gives of itself. Sizes are added up before
anything is unpacked, and the texts of headers are compared with what NumPy writes, not
evaluated.
"""

from __future__ import annotations

import io
import math
import re
import sys
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from scipy.sparse import load_npz

#: What may be unpacked from a file of n bytes: ``ROOM + RATIO * n`` bytes.
ROOM, RATIO = 2**23, 20
#: Members of an archive: an estimator has about one an array.
MAX_MEMBERS = 50_000
#: Memory that one bracket or comma of JSON may cost is more than it takes in the file.
#: Skops writes about one for 30 to 50 bytes.
BYTES_PER_MARK, FREE_MARKS = 20, 10_000
#: Sparse matrices whose indices can be checked without making something larger of them.
SPARSE_FORMATS = ("csr", "csc")

#: Bytes of an item of an empty array.
MAX_ITEM = 2**16

_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|][biufcUSmM]\d{1,9}(?:\[\d{0,9}[a-zA-Z]{1,2}\])?)', "
    rb"'fortran_order': (?:True|False), "
    rb"'shape': \((|(?:0|[1-9]\d{0,18}),|(?:0|[1-9]\d{0,18})(?:, (?:0|[1-9]\d{0,18}))+)"
    rb"\), \} *\n"
)


class Budget:
    """Bytes that may still be taken.

    Parameters
    ----------
    n_bytes : int
        What the file holds, packed.
    """

    def __init__(self, n_bytes: int) -> None:
        self.left = ROOM + RATIO * n_bytes

    @classmethod
    def for_file(cls, file: BinaryIO) -> Budget:
        """Give an archive what its members allow for.

        What a file holds beside its members counts for nothing, as holes on a disk do;
        nor do members that share their bytes count twice.

        Parameters
        ----------
        file : binary file
            A zip archive.

        Returns
        -------
        Budget

        Raises
        ------
        ValueError
            If something stands before the first member.
        """
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if entries and min(entry.header_offset for entry in entries) != 0:
                raise ValueError("something else stands before its first member")
            packed = sum(entry.compress_size for entry in entries)
        return cls(min(packed, file.seek(0, io.SEEK_END)))

    def spend(self, n_bytes: int) -> None:
        """Refuse what would take more than is left."""
        self.left -= n_bytes
        if self.left < 0:
            raise ValueError(
                f"it unpacks to more than {RATIO} times its size: save it without "
                "compression"
            )


def read_members(file: BinaryIO, budget: Budget) -> dict[str, bytes]:
    """Unpack an archive.

    Parameters
    ----------
    file : binary file
        A zip archive, its members stored or deflated.
    budget : Budget
        It is charged with their sizes, before any is unpacked.

    Returns
    -------
    members : dict of str to bytes

    Raises
    ------
    ValueError
        If there are too many, too large or equally named members, or one is not what
        the archive says of it. `zipfile` raises other errors, too.
    """
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_MEMBERS:
            raise ValueError(f"it has more than {MAX_MEMBERS} members")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("two of its members have the same name")
        budget.spend(sum(entry.file_size for entry in entries))
        return {entry.filename: _read(archive, entry) for entry in entries}


def write_members(members: Mapping[str, bytes]) -> io.BytesIO:
    """Write an archive of our own, without compression.

    Parameters
    ----------
    members : mapping of str to bytes

    Returns
    -------
    file : BytesIO
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    file.seek(0)
    return file


def check_json(text: bytes) -> None:
    """Refuse JSON that would take far more memory than its text.

    Parameters
    ----------
    text : bytes
    """
    n_marks = sum(text.count(mark) for mark in b"[{,")
    if n_marks > FREE_MARKS + len(text) // BYTES_PER_MARK:
        raise ValueError("its schema has more brackets and commas than skops writes")


def check_npy(content: bytes) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Check that a ``.npy`` file holds the array that its header tells of.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    dtype : dtype
        Of numbers, strings or dates.
    shape : tuple of int

    Raises
    ------
    ValueError
        If the header is not as NumPy writes it, or tells of another size.
    """
    start = len(_NPY_MAGIC) + 2
    length = int.from_bytes(content[start - 2 : start], "little")
    match = _NPY_HEADER.fullmatch(content, start, start + length)
    if not content.startswith(_NPY_MAGIC) or match is None:
        raise ValueError("one of its arrays is none of numbers or strings")
    dtype = np.dtype(match[1].decode())
    shape = tuple(int(n) for n in match[2].decode().split(",") if n.strip())
    size = math.prod(shape) * dtype.itemsize
    # NumPy may make room for one item where there is none.
    if start + length + size != len(content) or dtype.itemsize > MAX_ITEM + size:
        raise ValueError("one of its arrays has another size than its header says")
    if dtype.kind == "U" and size:
        letters = np.frombuffer(content, f"{dtype.byteorder}u4", offset=start + length)
        if letters.max() > sys.maxunicode:
            raise ValueError("one of its arrays holds letters that there are not")
    return dtype, shape


def checked_npz(content: bytes, budget: Budget) -> bytes:
    """Check that a ``.npz`` file holds a sparse matrix, and write it anew.

    Parameters
    ----------
    content : bytes
    budget : Budget
        It is charged with what is unpacked.

    Returns
    -------
    content : bytes
        The same matrix, without compression.

    Raises
    ------
    ValueError
        If it is no CSR or CSC matrix, or has indices that point out of it.
    """
    members = read_members(io.BytesIO(content), budget)
    for array in members.values():
        check_npy(array)
    clean = write_members(members)
    matrix = load_npz(clean)
    if matrix.format not in SPARSE_FORMATS:
        raise ValueError(
            f"one of its sparse matrices is {matrix.format.upper()}: use CSR or CSC"
        )
    matrix.check_format(full_check=True)  # compiled code follows indices unchecked
    return clean.getvalue()


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Unpack one member: as many bytes as it says, of the checksum it says."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            "it is compressed by another method than 'deflate': save it without "
            "compression"
        )
    with archive.open(entry) as member:
        # A size, because what is packed could give more than it says.
        content = member.read(entry.file_size)
    if len(content) != entry.file_size:
        raise ValueError("one of its members is shorter than it says")
    return content
