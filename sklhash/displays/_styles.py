"""Colours, markers and line styles that tell many curves apart."""

from __future__ import annotations

from typing import Any

#: Colours of Okabe and Ito, which the colour-blind can tell apart; without their
#: yellow, which is too pale for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE, VERMILION, GREEN = COLORS[:3]
#: Seven, nine and four: the curves repeat only after 252.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINE_STYLES = ("-", "--", "-.", ":")
#: Line styles of references: none that a curve among the first seven has.
REFERENCE_STYLES = ((0, (6, 3)), (0, (1.5, 2)), (0, (8, 3, 1.5, 3)), (0, (3, 1.5)))
#: What lies below this is no curve: references, marks, grid.
CURVE_ZORDER = 2.0


def curve_style(i: int) -> dict[str, Any]:
    """Give the i-th curve a colour, a marker and a line style.

    Parameters
    ----------
    i : int

    Returns
    -------
    style : dict
        Keywords of `Axes.plot`. Colours repeat after 7 curves, with another line style;
        markers after 9.
    """
    return {
        "color": COLORS[i % len(COLORS)],
        "marker": MARKERS[i % len(MARKERS)],
        "linestyle": LINE_STYLES[i // len(COLORS) % len(LINE_STYLES)],
        "markersize": 5,
        "linewidth": 1.6,
        "zorder": CURVE_ZORDER + 0.5,
    }


def line_options(i: int, name: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Give keywords of a line: the i-th style, but what the caller says has the word.

    Parameters
    ----------
    i : int
    name : str or None
        Name in the legend.
    given : dict
        The caller's; short names, such as ``c`` and ``ls``, are understood.

    Returns
    -------
    options : dict
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return {**curve_style(i), "label": name, **normalize_kwargs(given, Line2D)}
