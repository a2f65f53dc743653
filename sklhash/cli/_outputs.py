"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sklhash.codes import PackedCodes, row_dtype

from ._errors import CommandError, did_you_mean


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write beside a file, and put it in place at the end.

    Parameters
    ----------
    path : Path

    Yields
    ------
    part : Path
        What to write. It is removed if the body raises, Ctrl-C included.
    """
    target = path.resolve()  # of a link, the file behind it
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        if target.exists():
            shutil.copymode(target, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


class CodesWriter:
    """Write packed codes batch by batch, as :meth:`PackedCodes.save` would at once.

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

    def __init__(self, file: Any, n_bits: int) -> None:
        self.n_rows = 0
        self._file = file
        self._row = row_dtype(n_bits)
        self._write_header()

    def append(self, codes: PackedCodes) -> None:
        """Write the next codes.

        Parameters
        ----------
        codes : PackedCodes
        """
        self._file.write(np.ascontiguousarray(codes.packed).data)
        self.n_rows += len(codes)

    def finish(self) -> None:
        """Say in the header how many codes there are."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self._row)
        header = {"descr": descr, "fortran_order": False, "shape": (self.n_rows,)}
        np.lib.format.write_array_header_1_0(self._file, header)


def check_file(path: Path, option: str, suffixes: tuple[str, ...]) -> None:
    """Refuse a file that could not be written, before any work is done.

    Parameters
    ----------
    path : Path
    option : str
        What it was given by.
    suffixes : tuple of str

    Raises
    ------
    CommandError
    """
    if path.suffix not in suffixes:
        raise CommandError(
            f"{option} {path}: {did_you_mean(path.suffix, suffixes)}the name must end "
            f"in {' or '.join(suffixes)}"
        )
    if path.is_dir():
        raise CommandError(f"{option} {path} is a folder: name a file in it")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise CommandError(f"{option} {path}: there is no folder {folder}: make it")
    if not os.access(folder, os.W_OK):
        raise CommandError(
            f"{option} {path}: cannot write to the folder {folder}: choose another"
        )


def check_not_input(path: Path, option: str, *inputs: Path | None) -> None:
    """Refuse to write over what is read.

    Parameters
    ----------
    path : Path
    option : str
    *inputs : Path or None

    Raises
    ------
    CommandError
    """
    for read in inputs:
        if read is not None and path.exists() and read.exists() and path.samefile(read):
            raise CommandError(f"{option} {path} is what is read: choose another name")


def make_folder(path: Path) -> Path:
    """Make a folder that can be written to.

    Parameters
    ----------
    path : Path

    Returns
    -------
    path : Path

    Raises
    ------
    CommandError
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise CommandError(
            f"--out {path} is no folder, and cannot become one: choose another name"
        ) from error
    except OSError as error:
        raise CommandError(f"--out {path}: {error.strerror}: choose another") from error
    if not os.access(path, os.W_OK):
        raise CommandError(f"--out {path}: the folder cannot be written to")
    return path
