"""The plots of a report, as files and inside a page."""

from __future__ import annotations

import io
import re
from typing import Any, NamedTuple

from sklhash.codes import PackedCodes

from ._words import metric_in_words

#: Names are no formulas, text stays text, the same data gives the same file. `Any`, as
#: matplotlib lists all its keys as types.
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "sklhash",
}

#: All there may be.
FIGURES = ("scores", "precision_recall", "bits")


class BestCodes(NamedTuple):
    """Codes of the winner on one split.

    Parameters
    ----------
    name : str
    query, gallery : PackedCodes
    labels : tuple (y_query, y_gallery), or None
    """

    name: str
    query: PackedCodes
    gallery: PackedCodes
    labels: tuple[Any, Any] | None


class DrawnFigure(NamedTuple):
    """A plot.

    Parameters
    ----------
    name : str
        Of its file, without suffix.
    caption : str
    svg : str
        An element, to be put into a page.
    png : bytes
    """

    name: str
    caption: str
    svg: str
    png: bytes


def draw_figures(comparison: Any, best: BestCodes | None) -> list[DrawnFigure]:
    """Draw scores over bits, and what the winner's codes are like.

    Parameters
    ----------
    comparison : HasherComparison
    best : BestCodes or None

    Returns
    -------
    figures : list of DrawnFigure
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figures = [_code_length(comparison)]
        if best is not None:
            figures.append(_bit_statistics(best))
            if best.labels is not None:
                figures.insert(1, _precision_recall(best))
    return figures


def _code_length(comparison: Any) -> DrawnFigure:
    from sklhash.displays import CodeLengthDisplay

    metric = comparison.metrics[0]
    figure = _new_figure(6.4, 3.9)
    CodeLengthDisplay.from_comparison(comparison, metric, ax=figure.subplots())
    caption = f"{metric_in_words(metric)} by code length: mean and s.d. of the runs."
    return _drawn("scores", caption, figure)


def _precision_recall(best: BestCodes) -> DrawnFigure:
    from sklhash.displays import PrecisionRecallByRadiusDisplay

    assert best.labels is not None
    figure = _new_figure(5.8, 4)
    PrecisionRecallByRadiusDisplay.from_predictions(
        best.query, best.gallery, *best.labels, name=best.name, ax=figure.subplots()
    )
    caption = (
        f"{best.name}, first split: precision and recall of all rows within a radius, "
        "a point for each number of bits."
    )
    return _drawn("precision_recall", caption, figure)


def _bit_statistics(best: BestCodes) -> DrawnFigure:
    from sklhash.displays import BitStatisticsDisplay

    figure = _new_figure(5, 6.2)
    ax = figure.subplots()
    BitStatisticsDisplay.from_predictions(best.gallery, name=best.name, ax=ax)
    caption = (
        f"{best.name}, gallery of the first split. Good bits are set in about half of "
        "the rows and say different things."
    )
    return _drawn("bits", caption, figure)


def _new_figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _drawn(name: str, caption: str, figure: Any) -> DrawnFigure:
    png, svg = io.BytesIO(), io.StringIO()
    figure.savefig(png, format="png", dpi=150)
    # No date: the same comparison is to give the same page.
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    return DrawnFigure(name, caption, inline(svg.getvalue(), name), png.getvalue())


def inline(svg: str, name: str) -> str:
    """Make an element of a page out of an SVG file.

    Parameters
    ----------
    svg : str
    name : str
        Put before all identifiers, which must differ within a page.

    Returns
    -------
    element : str
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id=")', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    # The page sets the width; the height follows.
    return re.sub(r'<svg ([^>]*?)height="[^"]*" ', r"<svg \1", svg, count=1)
