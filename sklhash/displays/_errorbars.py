"""Means of several runs with their spread, and references, on one axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._marks import is_marked, mark, marked, next_number
from ._runs import summarize_runs
from ._styles import REFERENCE_STYLES, ink

#: Points, on paper, between the error bars of two methods, and between all of them.
SHIFT, MAX_SHIFT = 2.0, 14.0


def draw_runs(
    ax: Any,
    n_bits: NDArray[Any],
    runs: NDArray[np.float64],
    options: dict[str, Any],
    number: int,
) -> Any:
    """Draw means with their standard deviations, where there are several runs.

    Parameters
    ----------
    ax : Axes
    n_bits : ndarray of shape (n_lengths,)
    runs : ndarray of shape (n_lengths, n_runs)
    options : dict
        Of `Axes.errorbar`.
    number : int
        Which look these are.

    Returns
    -------
    errorbar : ErrorbarContainer
    """
    mean, spread, n_runs = summarize_runs(runs)
    spread = np.where(n_runs > 1, spread, np.nan)
    errorbar = ax.errorbar(
        n_bits,
        mean,
        yerr=spread if (n_runs > 1).any() else None,
        **{"capsize": 2.5, "elinewidth": 1.1, "capthick": 1.1, **options},
    )
    for part in _parts(errorbar)[:1]:
        mark(part, "curve", number)
    return errorbar


def own_errorbars(ax: Any) -> list[Any]:
    """List the methods that displays drew on these axes.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    errorbars : list of ErrorbarContainer
    """
    return [
        each
        for each in ax.containers
        if hasattr(each, "has_yerr")
        and any(is_marked(part, "curve") for part in _parts(each))
    ]


def _parts(errorbar: Any) -> list[Any]:
    """List line, caps and bars, as far as there are any."""
    line, caps, bars = errorbar
    return [part for part in (line, *caps, *bars) if part is not None]


def draw_reference(ax: Any, runs: Any, name: str) -> Any:
    """Draw a reference once: a line at the mean, a pale band for its spread.

    Parameters
    ----------
    ax : Axes
    runs : array-like of shape (n_runs,)
    name : str

    Returns
    -------
    line : Line2D
    """
    runs = np.asarray(runs, dtype=float).reshape(1, -1)
    (mean,), (spread,), _ = summarize_runs(runs)
    for line in marked(ax, "reference"):
        if line.get_label() == name and np.isclose(line.get_ydata()[0], mean):
            return line
    if spread > 0:
        band = {"color": "0.5", "alpha": 0.12, "linewidth": 0, "zorder": 1}
        ax.axhspan(mean - spread, mean + spread, **band)
    i = next_number(ax, "reference")
    line = ax.axhline(
        mean,
        color=ink(0.65),
        linestyle=REFERENCE_STYLES[i % len(REFERENCE_STYLES)],
        linewidth=1.3,
        label=name,
        zorder=1.5,
    )
    mark(line, "reference", i)
    return line


def shift_apart(ax: Any, errorbars: list[Any]) -> None:
    """Set methods side by side, on paper only: their data stay where they are.

    Parameters
    ----------
    ax : Axes
    errorbars : list of ErrorbarContainer
    """
    from matplotlib.transforms import ScaledTranslation

    width = min(SHIFT * (len(errorbars) - 1), MAX_SHIFT)
    shifts = np.linspace(-width / 2, width / 2, len(errorbars))
    for shift, errorbar in zip(shifts, errorbars, strict=True):
        offset = ScaledTranslation(shift / 72, 0, ax.figure.dpi_scale_trans)
        for artist in _parts(errorbar):
            artist.set_transform(ax.transData + offset)
