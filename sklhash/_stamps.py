"""Stamps in pickled states: the format, and the version of sklhash that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._version import __version__

__all__ = ["FORMAT", "stamp", "unstamp"]

#: The format of states that is written, and the highest that is read. It rises when
#: what estimators keep in their attributes changes so that older code would misread it.
FORMAT = 1

#: States from before there were stamps have none: format 0.
_KEY = "_sklhash_stamp"


def stamp(state: Mapping[str, Any]) -> dict[str, Any]:
    """Say in an estimator's state what wrote it.

    Parameters
    ----------
    state : mapping of str to object
        It is not changed.

    Returns
    -------
    stamped : dict
    """
    return {**state, _KEY: (FORMAT, __version__)}


def unstamp(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Check a stamp, and leave it out.

    Parameters
    ----------
    state : mapping of str to object
        It is not changed.
    name : str
        Class of the estimator, for messages.

    Returns
    -------
    state : dict

    Raises
    ------
    ValueError
        If the state has another form than any that this version writes or knows.
    """
    if not isinstance(state, Mapping):
        raise ValueError(
            f"this {name} is damaged: its state is {type(state).__name__}, not a dict; "
            "fit it again"
        )
    if _KEY not in state:
        return dict(state)
    written = state[_KEY]
    if not _is_stamp(written):
        raise ValueError(
            f"this {name} is damaged: its stamp is no format and version; fit it again"
        )
    number, version = written
    if number > FORMAT:
        raise ValueError(
            f"this {name} was saved in format {number} by sklhash {version[:40]}; this "
            f"one, version {__version__}, reads formats up to {FORMAT}: upgrade "
            "sklhash, or fit the estimator again"
        )
    return {key: value for key, value in state.items() if key != _KEY}


def _is_stamp(written: Any) -> bool:
    return (
        isinstance(written, tuple | list)
        and len(written) == 2
        and type(written[0]) is int
        and written[0] >= 0
        and isinstance(written[1], str)
    )
