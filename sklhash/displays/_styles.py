"""Colours, markers and line styles that tell many curves apart."""

from __future__ import annotations

from typing import Any

#: Colours of Okabe and Ito, which the colour-blind can tell apart; without their
#: yellow, which is too pale for lines on white. The last stands for the text's colour.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE, VERMILION, GREEN = COLORS[:3]
#: Seven, nine and four: the curves repeat only after 252.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINE_STYLES = ("-", "--", "-.", ":")
#: Line styles of references: none that a curve among the first seven has.
REFERENCE_STYLES = ((0, (6, 3)), (0, (1.5, 2)), (0, (8, 3, 1.5, 3)), (0, (3, 1.5)))


def ink(strength: float) -> tuple[float, ...]:
    """Give the colour of texts, lighter on light styles and darker on dark ones.

    Parameters
    ----------
    strength : float
        From 0, which cannot be seen, to 1.

    Returns
    -------
    color : tuple of float
    """
    from matplotlib import rcParams
    from matplotlib.colors import to_rgba

    return to_rgba(rcParams["text.color"], strength)


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
        "color": COLORS[i % len(COLORS)] if (i + 1) % len(COLORS) else ink(1),
        "marker": MARKERS[i % len(MARKERS)],
        "linestyle": LINE_STYLES[i // len(COLORS) % len(LINE_STYLES)],
        "markersize": 5,
        "linewidth": 1.6,
        "zorder": 2.5,
    }


def line_options(
    i: int, name: str | None, given: dict[str, Any], **style: Any
) -> dict[str, Any]:
    """Give keywords of a line: the i-th style, but what the caller says has the word.

    Parameters
    ----------
    i : int
    name : str or None
        Name in the legend.
    given : dict
        The caller's; short names, such as ``c`` and ``ls``, are understood.
    **style
        What is different in the i-th style.

    Returns
    -------
    options : dict
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return {**curve_style(i), **style, "label": name, **normalize_kwargs(given, Line2D)}


def errorbar_options(i: int, name: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Give keywords of `Axes.errorbar`; a format string, too, has the word.

    Parameters
    ----------
    i : int
    name : str or None
        Name in the legend.
    given : dict
        The caller's.

    Returns
    -------
    options : dict
    """
    options = line_options(i, name, given)
    fmt = given.get("fmt") or ""
    told = {"marker", "linestyle"} if fmt else set()
    if fmt.lower() != "none" and set(fmt) & set("rgbcmykwC"):
        told.add("color")
    style = curve_style(i)
    return {
        key: value
        for key, value in options.items()
        if key not in told or value != style[key]
    }
