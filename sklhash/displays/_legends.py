"""Legends, where they leave the curves room."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Legends of more entries stand beside the axes, where they cannot cover a curve.
MAX_INSIDE = 4
#: Largest share of a subplot's place that a legend takes beside the axes, or below.
MAX_WIDTH, MAX_HEIGHT = 0.36, 0.5
INSIDE: dict[str, Any] = {"loc": "best", "framealpha": 0.85, "edgecolor": "none"}
OUTSIDE: dict[str, Any] = {"frameon": False, "borderaxespad": 0.2}


def add_legend(
    ax: Any, *, max_inside: int = MAX_INSIDE, by_end: bool = False, **options: Any
) -> Any:
    """Name the curves: where there is room, or outside the axes if there are many.

    Parameters
    ----------
    ax : Axes
    max_inside : int
        Entries up to which it stands inside; always in a figure whose layout makes no
        room outside the axes.
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
    options = {"handles": handles, "labels": names, "handlelength": 2.6, **options}
    makes_room = ax.figure.get_layout_engine() is not None
    if makes_room and len(names) > max_inside:
        return _add_outside(ax, options)
    return ax.legend(**{**INSIDE, **options})


def _add_outside(ax: Any, options: dict[str, Any]) -> Any:
    """Put a legend beside the axes; below if it is wide; inside if it is huge."""
    from matplotlib.transforms import ScaledTranslation

    beside = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
    legend = ax.legend(**{**OUTSIDE, **beside, **options})
    width, _ = _shares_of_place(ax, legend)
    if width <= MAX_WIDTH:
        return legend
    room = ax.xaxis.label.get_fontsize() * 3.8 / 72  # for ticks and label
    below = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0),
        "bbox_transform": ax.transAxes
        + ScaledTranslation(0, -room, ax.figure.dpi_scale_trans),
        "ncols": max(1, int(0.9 / width)),
    }
    legend = ax.legend(**{**OUTSIDE, **below, **options})
    if _shares_of_place(ax, legend)[1] <= MAX_HEIGHT:
        return legend
    return ax.legend(**{**INSIDE, **options})


def _shares_of_place(ax: Any, legend: Any) -> tuple[float, float]:
    """Compare width and height of a legend with the part of the figure for the axes."""
    box, whole = legend.get_window_extent(), ax.figure.bbox
    width, height = box.width / whole.width, box.height / whole.height
    spec = ax.get_subplotspec()
    if spec is None:
        return width, height
    place, grid = spec.get_position(ax.figure), ax.figure.subplotpars
    return (
        width * (grid.right - grid.left) / place.width,
        height * (grid.top - grid.bottom) / place.height,
    )


def _height_at_end(handle: Any) -> float:
    """Give the last score of a curve, or the height of a reference."""
    line = handle[0] if hasattr(handle, "has_yerr") else handle
    if not hasattr(line, "get_ydata"):  # bars, areas, points, of somebody else
        return -np.inf
    heights = np.asarray(line.get_ydata(orig=False), dtype=float)
    known = heights[~np.isnan(heights)]
    return float(known[-1]) if len(known) else -np.inf
