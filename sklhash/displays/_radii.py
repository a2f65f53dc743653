"""Radii written beside a curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._names import in_bits

#: Distance of marked radii from each other, as a share of the axes.
MARK_GAP = 0.09
#: Recall beyond which radii have no room.
LAST_MARK = 0.93


def mark_radii(line: Any, radius: NDArray[Any]) -> list[Any]:
    """Write radii on the right of the curve, below it where it rises.

    Parameters
    ----------
    line : Line2D
        Precision against recall.
    radius : ndarray of shape (n_distances,)
        Bits, if they are integers.

    Returns
    -------
    texts : list of Annotation
    """
    from matplotlib.patheffects import withStroke

    recall, precision = line.get_data()
    whole = np.issubdtype(radius.dtype, np.integer)
    rises = np.diff(precision, append=-np.inf) > 0
    halo = withStroke(linewidth=2.5, foreground=line.axes.get_facecolor())
    texts = []
    for i in spaced_points(recall, precision, MARK_GAP):
        if recall[i] > LAST_MARK:
            break
        text = line.axes.annotate(
            in_bits(radius[i]) if whole else f"{radius[i]:.3g}",
            (recall[i], precision[i]),
            xytext=(6, -3 if rises[i] else 3),
            textcoords="offset points",
            va="top" if rises[i] else "bottom",
            fontsize="small",
            color=line.get_color(),
            path_effects=[halo],
            zorder=3,
        )
        texts.append(text)
    return texts


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
