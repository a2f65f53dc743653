"""Axes to draw on, and how they look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._styles import CURVE_ZORDER

#: Legends of more entries stand beside the axes, where they cannot cover a curve.
MAX_INSIDE = 4


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
        Number of axes that a sequence must have; 1 allows no sequence.

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
    several = np.ravel(np.asarray(ax, dtype=object))
    wanted = "one Axes" if n_axes == 1 else f"one Axes, or {n_axes} of them"
    if not all(isinstance(each, Axes) for each in several):
        raise TypeError(f"ax must be {wanted}, or None; got {type(ax).__name__}")
    if n_axes == 1 or len(several) != n_axes:
        raise ValueError(
            f"ax must be {wanted}, or None for a new figure; got {len(several)} axes"
        )


def one_axes(ax: Any, user: str, figsize: tuple[float, float] = (6.4, 4.4)) -> Any:
    """Give the axes that were passed, or those of a new figure.

    Parameters
    ----------
    ax : Axes or None
    user : str
    figsize : tuple of float
        Width and height of a new figure, in inches.

    Returns
    -------
    ax : Axes
    """
    check_can_plot(user, ax)
    if ax is not None:
        return ax
    return (
        import_pyplot(user).figure(figsize=figsize, layout="constrained").add_subplot()
    )


def several_axes(
    ax: Any,
    n_axes: int,
    lay_out: Callable[[Any, Any], Sequence[Any]],
    user: str,
    figsize: tuple[float, float],
) -> Any:
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

    Returns
    -------
    axes : ndarray of shape (n_axes,) of Axes

    Raises
    ------
    ValueError
        If the one Axes is no subplot, so that its place cannot be divided.
    """
    check_can_plot(user, ax, n_axes)
    if ax is None:
        figure = import_pyplot(user).figure(figsize=figsize, layout="constrained")
        axes = lay_out(figure, figure.add_gridspec(1, 1)[0])
    elif np.ndim(ax):
        axes = np.ravel(np.asarray(ax, dtype=object)).tolist()
    else:
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"ax is no subplot, so {user} cannot divide it into {n_axes}: make it "
                f"with plt.subplots, or give {n_axes} axes"
            )
        ax.set_axis_off()
        axes = lay_out(ax.figure, place)
    result = np.empty(n_axes, dtype=object)
    result[:] = axes
    return result


def tidy(ax: Any, *, grid: str | None = "both") -> None:
    """Thin two spines, remove the others, and lay a light grid behind the data.

    Parameters
    ----------
    ax : Axes
    grid : {'both', 'x', 'y'} or None
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(linewidth=0.8, color="0.5")
    ax.tick_params(color="0.5", width=0.8)
    if grid is not None:
        ax.grid(axis=grid, color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)


def whole_ticks(axis: Any, most: int = 8, *, bits: bool = False) -> None:
    """Put ticks of an axis at whole numbers.

    Parameters
    ----------
    axis : Axis
    most : int
        Number of ticks, at most.
    bits : bool, default=False
        Prefer steps of 4 and 8.
    """
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(
        MaxNLocator(
            nbins=most, integer=True, steps=[1, 2, 4, 8, 10] if bits else [1, 2, 5, 10]
        )
    )


def count_curves(ax: Any) -> int:
    """Count the curves that an axes has already: the next one looks different.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    int
    """
    return sum(
        line.get_zorder() >= CURVE_ZORDER and line.get_marker() not in ("_", "|")
        for line in ax.lines  # those markers are caps of error bars
    )


def spaced_points(x: NDArray[Any], y: NDArray[Any], gap: float) -> list[int]:
    """Choose points that keep a distance from the one chosen before.

    Parameters
    ----------
    x, y : ndarray of shape (n_points,)
    gap : float

    Returns
    -------
    chosen : list of int
    """
    chosen: list[int] = []
    for i in range(len(x)):
        if not chosen or np.hypot(x[i] - x[chosen[-1]], y[i] - y[chosen[-1]]) >= gap:
            chosen.append(i)
    return chosen


def add_legend(
    ax: Any, *, max_inside: int = MAX_INSIDE, by_end: bool = False, **options: Any
) -> Any:
    """Name the curves: where there is room, or beside the axes if there are many.

    Parameters
    ----------
    ax : Axes
    max_inside : int
        Entries up to which it stands inside; always in a figure whose layout makes no
        room beside the axes.
    by_end : bool, default=False
        Name the curves in the order in which they end, the highest first.
    **options : dict
        Of `Axes.legend`.

    Returns
    -------
    legend : Legend or None
        None if nothing has a name.
    """
    handles, names = ax.get_legend_handles_labels()
    if not names:
        return None
    if by_end:
        order = np.argsort([-_height_at_end(each) for each in handles], kind="stable")
        handles, names = [handles[i] for i in order], [names[i] for i in order]
    makes_room = ax.figure.get_layout_engine() is not None
    place: dict[str, Any] = {"loc": "best", "framealpha": 0.85, "edgecolor": "none"}
    if makes_room and len(names) > max_inside:
        place = {
            "loc": "center left",
            "bbox_to_anchor": (1.01, 0.5),
            "frameon": False,
            "borderaxespad": 0.2,
        }
    options = {"handles": handles, "labels": names, "handlelength": 2.6, **options}
    return ax.legend(**{**place, **options})


def _height_at_end(handle: Any) -> float:
    """Give the last score of a curve, or the height of a reference."""
    line = handle[0] if hasattr(handle, "has_yerr") else handle
    heights = np.asarray(line.get_ydata(), dtype=float)
    known = heights[~np.isnan(heights)]
    return float(known[-1]) if len(known) else -np.inf
