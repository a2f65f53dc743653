"""Marks on what displays drew, so that a later call knows it from others' artists."""

from __future__ import annotations

from typing import Any

#: Attribute of an artist: its kind and number. (A `gid` would be an id in SVG files.)
MARK = "_sklhash_mark"


def mark(artist: Any, kind: str, number: int = 0) -> None:
    """Mark an artist.

    Parameters
    ----------
    artist : Artist
    kind : str
        Such as ``'curve'``.
    number : int
        Which look it has.
    """
    setattr(artist, MARK, (kind, number))


def is_marked(artist: Any, kind: str) -> bool:
    """Tell whether a display drew this.

    Parameters
    ----------
    artist : Artist
    kind : str

    Returns
    -------
    bool
    """
    return bool(getattr(artist, MARK, (None, 0))[0] == kind)


def marked(ax: Any, kind: str) -> list[Any]:
    """List what displays drew on these axes.

    Parameters
    ----------
    ax : Axes
    kind : str

    Returns
    -------
    artists : list of Artist
    """
    return [each for each in ax.get_children() if is_marked(each, kind)]


def next_number(ax: Any, kind: str = "curve") -> int:
    """Number the looks that an axes has already: the next one is different.

    Parameters
    ----------
    ax : Axes
    kind : str

    Returns
    -------
    int
    """
    return max((getattr(each, MARK)[1] for each in marked(ax, kind)), default=-1) + 1
