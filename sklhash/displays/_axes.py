"""Axes to draw on, and how they look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._styles import ink


def import_pyplot(user: str) -> Any:
    """Import pyplot when a plot is wanted, and say what to do if it is missing.

    Parameters
    ----------
    user : str
        Who needs it, for the message.

    Returns
    -------
    pyplot : module

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{user} needs matplotlib: pip install "sklhash[plot]"'
        ) from error
    return plt


def check_can_plot(user: str, ax: Any, n_axes: int = 1) -> None:
    """Refuse, before any work, to draw without matplotlib or on what is no axes.

    Parameters
    ----------
    user : str
        Who draws, for the message.
    ax : Axes, sequence of Axes, or None
    n_axes : int
        Number of axes that a sequence must have, if it is not one.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If these are no axes.
    ValueError
        If there are too few or too many.
    """
    import_pyplot(user)
    from matplotlib.axes import Axes

    if ax is None or isinstance(ax, Axes):
        return
    several = _as_vector(ax)
    wanted = "one Axes" if n_axes == 1 else f"one Axes, or {n_axes} of them"
    if not all(isinstance(each, Axes) for each in several):
        raise TypeError(f"ax must be {wanted}, or None; got {type(ax).__name__}")
    if len(several) not in (1, n_axes):
        raise ValueError(
            f"ax must be {wanted}, or None for a new figure; got {len(several)} axes"
        )


@contextmanager
def one_axes(
    ax: Any, user: str, figsize: tuple[float, float] = (6.4, 4.4)
) -> Iterator[Any]:
    """Give the axes that were passed, or those of a new figure.

    Parameters
    ----------
    ax : Axes or None
    user : str
    figsize : tuple of float
        Width and height of a new figure, in inches.

    Yields
    ------
    ax : Axes
    """
    check_can_plot(user, ax)
    if ax is None:
        with _new_figure(user, figsize) as figure:
            yield figure.add_subplot()
    else:
        yield _as_vector(ax)[0]


@contextmanager
def several_axes(
    ax: Any,
    n_axes: int,
    lay_out: Callable[[Any, Any], Sequence[Any]],
    user: str,
    figsize: tuple[float, float],
) -> Iterator[NDArray[Any]]:
    """Give the axes that were passed, or new ones in the place of one, or in a figure.

    Parameters
    ----------
    ax : Axes, sequence of Axes, or None
        One Axes is switched off, and its place divided.
    n_axes : int
    lay_out : callable
        ``lay_out(figure, place)`` adds `n_axes` axes to a figure, in a `SubplotSpec`.
    user : str
    figsize : tuple of float

    Yields
    ------
    axes : ndarray of shape (n_axes,) of Axes

    Raises
    ------
    ValueError
        If the one Axes is no subplot, so that its place cannot be divided, or was
        divided before.
    """
    check_can_plot(user, ax, n_axes)
    if ax is None:
        with _new_figure(user, figsize) as figure:
            yield _as_vector(lay_out(figure, figure.add_gridspec(1, 1)[0]))
    elif len(_as_vector(ax)) == n_axes:
        yield _as_vector(ax)
    else:
        (host,) = _as_vector(ax)
        place = _place_of(host, n_axes, user)
        host.set_axis_off()
        yield _as_vector(lay_out(host.figure, place))


def _place_of(host: Any, n_axes: int, user: str) -> Any:
    """Give the place of one axes, if it can be divided."""
    place = host.get_subplotspec()
    if place is None:
        raise ValueError(
            f"ax is no subplot, so {user} cannot divide it into {n_axes}: make it "
            f"with plt.subplots, or give {n_axes} axes"
        )
    if not host.axison:
        raise ValueError(
            "ax is switched off, as by a display drawn in its place before: draw on "
            "that display's axes with ax=display.ax_, or on other axes"
        )
    return place


def _as_vector(axes: Any) -> NDArray[Any]:
    return np.ravel(np.asarray(axes, dtype=object))


@contextmanager
def _new_figure(user: str, figsize: tuple[float, float]) -> Iterator[Any]:
    """Make a figure, and close it again if drawing fails."""
    plt = import_pyplot(user)
    figure = plt.figure(figsize=figsize, layout="constrained")
    try:
        yield figure
    except BaseException:
        plt.close(figure)
        raise


def tidy(ax: Any, *, grid: str | None = "both") -> None:
    """Thin two spines, remove the others, and lay a light grid behind the data.

    Parameters
    ----------
    ax : Axes
    grid : {'both', 'x', 'y'} or None
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(linewidth=0.8, color=ink(0.5))
    ax.tick_params(color=ink(0.5), width=0.8)
    if grid is not None:
        ax.grid(axis=grid, color=ink(0.1), linewidth=0.8)
        ax.set_axisbelow(True)


def whole_ticks(axis: Any, most: int = 8, *, bits: bool = False) -> None:
    """Put ticks of an axis at whole numbers, unless it is logarithmic.

    Parameters
    ----------
    axis : Axis
    most : int
        Number of ticks, at most.
    bits : bool, default=False
        Prefer steps of 4 and 8.
    """
    from matplotlib.ticker import MaxNLocator

    if axis.get_scale() != "linear":
        return
    steps = [1, 2, 4, 8, 10] if bits else [1, 2, 5, 10]
    axis.set_major_locator(
        MaxNLocator(nbins=most, integer=True, steps=steps, min_n_ticks=1)
    )
