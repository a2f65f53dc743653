"""An axis of code lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errorbars import own_errorbars
from ._limits import set_limits


def number_lengths(
    ax: Any, n_bits: NDArray[Any], before: tuple[float, float] | None
) -> None:
    """Give each length a tick with its number, on an axis of doublings.

    Parameters
    ----------
    ax : Axes
    n_bits : ndarray of shape (n_lengths,), dtype int
        Others that were drawn on these axes, or on some that share them, count too.
    before : tuple of float, or None
        Limits that stay in view.
    """
    together = ax.get_shared_x_axes().get_siblings(ax)
    lines = [each[0] for other in together for each in own_errorbars(other)]
    drawn = [line.get_xdata() for line in lines if line is not None]
    lengths = np.unique(np.concatenate([n_bits, *drawn])).astype(int)
    ax.set_xscale("log", base=2)
    margin = 2 ** (0.07 * max(1.0, np.log2(lengths[-1] / lengths[0])))
    set_limits(ax, "x", lengths[0] / margin, lengths[-1] * margin, before)
    ticks = with_room(lengths.tolist(), _room(ax, len(str(lengths[-1]))))
    limits = ax.get_xlim()
    ax.set_xticks(ticks, [str(each) for each in ticks])
    ax.minorticks_off()
    ax.set_xlim(limits)


def with_room(lengths: list[int], gap: float) -> list[int]:
    """Leave out lengths too near to others, powers of 2 last.

    Parameters
    ----------
    lengths : list of int
    gap : float
        Of their logarithms to base 2.

    Returns
    -------
    chosen : list of int
    """
    chosen: list[int] = []
    for n in sorted(lengths, key=lambda n: (n & (n - 1) != 0, -n)):
        if all(abs(np.log2(n / each)) >= gap for each in chosen):
            chosen.append(n)
    return sorted(chosen)


def _room(ax: Any, n_digits: int) -> float:
    """Give the width of a number, in doublings."""
    label = (0.64 * n_digits + 0.6) * ax.xaxis.label.get_fontsize() / 72  # inches
    width = ax.get_window_extent().width / ax.figure.dpi
    low, high = ax.get_xlim()
    return float(np.log2(high / low) * label / max(width, label))
