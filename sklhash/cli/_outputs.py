"""Where results go: checks before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from ._errors import CommandError, did_you_mean


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
    folder = Path(os.path.realpath(path)).parent  # `resolve` fails at a link to itself
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
