"""The door to numba: when its kernels are used, and how they are compiled.

Modules that hold kernels import numba when they are imported, so they are imported
inside the functions that call them, and only where :func:`kernels_pay` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

#: Words compared from which loading the kernels pays: numpy takes about 50 ms then.
WORTHWHILE_WORDS = 2**24
#: Gallery words from which it pays for one query too: others are likely to follow.
LARGE_GALLERY_WORDS = 2**15

_loaded: set[Hashable] = set()


def kernels_pay(
    n_queries: int, n_gallery: int, n_words: int = 1, kind: Hashable = None
) -> bool:
    """Tell whether compiled kernels are to do a search; if not, numpy does.

    Both give the same answers.

    Parameters
    ----------
    n_queries, n_gallery : int
    n_words : int, default=1
        Words of 64 bits in a code.
    kind : hashable, default=None
        What the kernels are compiled for. Once they are loaded for a large search they
        serve small ones, too.

    Returns
    -------
    bool
    """
    words = n_gallery * n_words
    large = words >= LARGE_GALLERY_WORDS or words * n_queries >= WORTHWHILE_WORDS
    if (kind in _loaded or large) and kernels_work():
        _loaded.add(kind)
        return True
    return False


def kernels_work() -> bool:
    """Tell whether kernels can be compiled here.

    Returns
    -------
    bool
        False where numba cannot be imported, is told not to compile
        (``NUMBA_DISABLE_JIT=1``), or is not to be used (``SKLHASH_NO_NUMBA=1``).
    """
    if os.environ.get("SKLHASH_NO_NUMBA", "0") not in ("", "0"):
        return False
    return _numba_compiles()


@cache
def _numba_compiles() -> bool:
    try:
        import numba
    except (ImportError, OSError):
        # It lags behind new versions of Python and numpy; LLVM's library may not load.
        return False
    return not numba.config.DISABLE_JIT


def jit(function: Callable[..., Any]) -> Any:
    """Compile a kernel on its first call, and keep it on disk if that is possible.

    Parameters
    ----------
    function : callable
        It runs without the global interpreter lock.

    Returns
    -------
    kernel : numba dispatcher
    """
    import numba

    try:
        return numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # no folder can be written to
        return numba.njit(function, nogil=True)
