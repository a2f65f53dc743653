"""Limits of axes that leave in view what was there before."""

from __future__ import annotations

from typing import Any

import numpy as np


def limits_before(ax: Any, axis: str) -> tuple[float, float] | None:
    """Give the limits of axes that hold data, or share limits with some that do.

    Parameters
    ----------
    ax : Axes
    axis : {'x', 'y'}

    Returns
    -------
    limits : tuple of float, or None
        None if there are no data: any limits will do.
    """
    together = getattr(ax, f"get_shared_{axis}_axes")().get_siblings(ax)
    ranges = [getattr(each.dataLim, f"interval{axis}") for each in together]
    if not any(np.isfinite(each).all() for each in ranges):
        return None
    low, high = getattr(ax, f"get_{axis}lim")()
    return low, high


def set_limits(
    ax: Any,
    axis: str,
    low: float,
    high: float,
    before: tuple[float, float] | None = None,
) -> None:
    """Set limits, no narrower than those before.

    Parameters
    ----------
    ax : Axes
    axis : {'x', 'y'}
    low, high : float
        On a logarithmic axis a lower limit that is not positive stays as it is.
    before : tuple of float, or None
        From `limits_before`.
    """
    logarithmic = getattr(ax, f"get_{axis}scale")() == "log"
    kept = [each for each in before or () if each > 0 or not logarithmic]
    low, high = min(low, *kept, high), max(low, *kept, high)
    set_limit = getattr(ax, f"set_{axis}lim")
    if logarithmic and low <= 0:
        set_limit(None, high, auto=None)
    else:
        set_limit(low, high)
