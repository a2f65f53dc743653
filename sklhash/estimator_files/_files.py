"""Fitted estimators in files that run no code when they are loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, BinaryIO

from sklearn.base import BaseEstimator

from sklhash._extras import require
from sklhash.code_files import open_regular, written_whole

from ._archive import Budget, read_members, write_members
from ._checks import check_can_be_loaded, check_estimators
from ._schema import clean_members
from ._trusted import LOADER_OF

FilePath = str | os.PathLike[str]


def save_estimator(estimator: Any, path: FilePath) -> None:
    """Write an estimator to a file that can be loaded without running code from it.

    The file is one of skops, which the extra ``skops`` installs: a zip archive of JSON
    and NumPy arrays. A file of that name is replaced only once the new one is complete.

    Parameters
    ----------
    estimator : estimator
        A hasher, a :class:`~sklhash.HammingRetriever`, or a pipeline or search of
        scikit-learn with such; fitted or not. A hasher's own `module` must be None or a
        class or function that stands at the top of a module. A pipeline's `memory`
        must be None.
    path : str or path-like
        By custom it ends in ``.skops``.

    Raises
    ------
    ImportError
        If skops is not installed.
    TypeError
        If it is no estimator, or holds what skops does not store, such as a network
        that has been built, or a function that cannot be imported.
    ValueError
        If an estimator of scikit-learn has a `memory`.

    See Also
    --------
    load_estimator : Reads the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ, load_estimator, save_estimator
    >>> X, _ = load_digits(return_X_y=True)
    >>> itq = ITQ(n_bits=16, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "itq.skops"
    ...     save_estimator(itq, path)
    ...     load_estimator(path).encode(X) == itq.encode(X)
    True
    """
    skops = require("skops.io", "skops", "save_estimator")
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(f"estimator must be one of scikit-learn's; got {estimator!r}")
    check_can_be_loaded(estimator)
    with written_whole(path) as part:
        try:
            skops.dump(estimator, part)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # whatever an object raises that is looked into
            raise TypeError(
                f"skops cannot store this {type(estimator).__name__}: {error}. "
                "joblib.dump can, in a file that only who trusts you should load"
            ) from error


def load_estimator(path: FilePath, *, trusted: Iterable[str | type] = ()) -> Any:
    """Read an estimator that :func:`save_estimator` wrote; never runs code from it.

    What the file makes is of sklhash, or of the types of scikit-learn, NumPy and SciPy
    that skops trusts, or named in `trusted`. All is checked before it is built, so a
    file of a stranger may be opened; what its estimator answers is as good as what they
    put into it. The memory taken is a few times what the file unpacks to, which may be
    8 MiB and 20 times its size.

    Parameters
    ----------
    path : str or path-like
    trusted : iterable of str or type, default=()
        What else may be built or called, such as a network's class,
        ``"package.module.Name"``. Code of theirs then runs with what is in the file.

    Returns
    -------
    estimator : estimator

    Raises
    ------
    ImportError
        If skops is not installed.
    MemoryError
        If there is less memory than a few times 8 MiB and 20 times the file's size. No
        number that stands in a file makes it more.
    OSError
        If the file cannot be opened.
    TypeError
        If `trusted` is no list of names and types.
    ValueError
        If it is no such file, is damaged or forged, holds types that are not trusted,
        or is from a newer version of sklhash.

    See Also
    --------
    save_estimator : Writes the file.

    Notes
    -----
    Arrays are read into memory. For galleries on disk save the codes by
    :meth:`PackedCodes.save`, and fit a retriever on them, mapped.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import Normalizer
    >>> from sklhash import ITQ, load_estimator, save_estimator
    >>> X, _ = load_digits(return_X_y=True)
    >>> pipeline = make_pipeline(Normalizer(), ITQ(n_bits=16, random_state=0)).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_estimator(pipeline, f"{folder}/pipeline.skops")
    ...     loaded = load_estimator(f"{folder}/pipeline.skops")
    >>> (loaded.transform(X) == pipeline.transform(X)).all()
    np.True_
    """
    skops = require("skops.io", "skops", "load_estimator")
    names = _names(trusted)
    with open_regular(path) as file:
        try:
            content = _checked_archive(file, names)
            estimator = skops.load(content, trusted=[*LOADER_OF, *names])
            check_estimators(estimator)
        except MemoryError:
            raise
        except Exception as error:  # what is damaged shows itself in many ways
            raise ValueError(
                f"{os.fspath(path)!r} cannot be read as an estimator: {_reason(error)}"
            ) from error
    return estimator


def _names(trusted: Iterable[str | type]) -> list[str]:
    if isinstance(trusted, str | type) or not isinstance(trusted, Iterable):
        raise TypeError(f"trusted must be a list of names or types; got {trusted!r}")
    return [_name(item) for item in trusted]


def _name(item: Any) -> str:
    if isinstance(item, str):
        return item
    module = getattr(item, "__module__", None)
    name = getattr(item, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError(
            f"trusted must hold types, functions or names of such; got {item!r}"
        )
    return f"{module}.{name}"


def _checked_archive(file: BinaryIO, trusted: list[str]) -> BinaryIO:
    """Write what is sound in a file to an archive of our own, for skops to read."""
    budget = Budget.for_file(file)
    return write_members(clean_members(read_members(file, budget), trusted, budget))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:600] or type(error).__name__
    if type(error).__name__ == "UntrustedTypesFoundException":
        return (
            "it holds types that are not trusted, because they may run code or lead "
            f"compiled code astray. {text} If you trust its author, pass their names "
            "as trusted="
        )
    if isinstance(error, ValueError):
        return text
    return f"it is damaged or forged ({type(error).__name__}: {text[:200]})"
