"""Errors that users are told in one line, and packages that may be missing."""

from __future__ import annotations

import difflib
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sklhash._extras import require as import_optional

#: What archives raise that are cut off or changed.
DAMAGED = (EOFError, zipfile.BadZipFile, zlib.error)


class CommandError(ValueError):
    """Something that the user can put right; the message says how."""


def in_one_line(error: BaseException) -> str:
    """Give an error's message without line breaks.

    Parameters
    ----------
    error : exception

    Returns
    -------
    message : str
    """
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, MemoryError):
        return (
            f"not enough memory ({' '.join(str(error).split()) or 'no details'}): take "
            "fewer rows by --max-rows or --train-rows"
        )
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in what its reader raises.

    Parameters
    ----------
    path : Path
    """
    try:
        yield
    except CommandError:
        raise
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is no UTF-8 text: save it as UTF-8") from error
    except DAMAGED as error:
        raise CommandError(
            f"{path} is damaged or cut off ({in_one_line(error)}): get it again"
        ) from error
    except (ValueError, OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        # How pandas and pyarrow call damaged files.
        raise CommandError(f"{path} cannot be read: {in_one_line(error)}") from error


def require(module: str, extra: str, why: str) -> Any:
    """Import a package that not everybody has.

    Parameters
    ----------
    module, extra : str
        What to import, and the extra of sklhash that brings it.
    why : str
        What it is wanted for.

    Returns
    -------
    module

    Raises
    ------
    CommandError
        If it is missing.
    """
    try:
        return import_optional(module, extra, why)
    except ImportError as error:
        raise CommandError(str(error)) from error


def list_names(names: Iterable[str], limit: int = 12) -> str:
    """Join names for a message, the first of them only if there are many.

    Parameters
    ----------
    names : iterable of str
    limit : int

    Returns
    -------
    text : str
    """
    names = list(names)
    if len(names) <= limit:
        return ", ".join(names) or "none"
    return f"{', '.join(names[:limit])}, ... ({len(names)} in all)"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is closest.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    text : str
        A question, or nothing.
    """
    close = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f"did you mean {close[0]}? " if close else ""
