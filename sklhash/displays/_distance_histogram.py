"""Distances of relevant and of irrelevant pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import refuse_keywords
from ._axes import check_can_plot, one_axes, tidy, whole_ticks
from ._legends import add_legend
from ._limits import limits_before, set_limits
from ._names import name_of
from ._pair_counts import count_pairs
from ._searched import search_pairs
from ._styles import BLUE, VERMILION

#: Room for the legend above the histograms, as a share of their height.
HEADROOM = 0.32


class DistanceHistogramDisplay:
    """How far relevant and irrelevant items are from the queries, in bits.

    Two histograms over the number of differing bits, each of shares that add up to 1,
    however many pairs there are of a kind. Dashed lines mark the means. The less the
    two overlap, the better a radius tells relevant items from others. Distances are
    Hamming distances, whatever a retriever's `metric`.

    Parameters
    ----------
    relevant : ndarray of shape (n_bits + 1,)
        Number of relevant pairs of query and item at each distance 0, 1, ..., n_bits.
    irrelevant : ndarray of shape (n_bits + 1,)
        Number of all other pairs.
    name : str, default=None
        Title of the legend.

    Attributes
    ----------
    relevant_, irrelevant_ : StepPatch
        The histograms.
    means_ : list of Line2D
        The means, of relevant and of irrelevant pairs, as far as there are any.
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    sklhash.metrics.relevance_histograms : The counts, query by query.

    Examples
    --------
    >>> from sklhash.displays import DistanceHistogramDisplay
    >>> display = DistanceHistogramDisplay(relevant=[3, 1, 0], irrelevant=[0, 1, 1])
    >>> display.plot().relevant_.get_data().values
    array([0.75, 0.25, 0. ])
    """

    def __init__(
        self, relevant: Any, irrelevant: Any, *, name: str | None = None
    ) -> None:
        self.relevant = relevant
        self.irrelevant = irrelevant
        self.name = name

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> DistanceHistogramDisplay:
        """Draw both histograms.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None for a new figure. One display an axes: a second would
            have the same colours.
        name : str, default=None
            Title of the legend; None for the display's own.
        **kwargs : dict
            Of `Axes.stairs`, for both.

        Returns
        -------
        self : DistanceHistogramDisplay

        Raises
        ------
        ValueError
            If the counts differ in length, are negative, or count no pair, or a label
            is given.

        Examples
        --------
        >>> from sklhash.displays import DistanceHistogramDisplay
        >>> display = DistanceHistogramDisplay([3, 1, 0], [0, 1, 1])
        >>> display = display.plot(name="toy codes", alpha=0.3)
        """
        relevant, irrelevant = _check_counts(self.relevant, self.irrelevant)
        refuse_keywords(kwargs, "label", use="name")
        with one_axes(ax, "DistanceHistogramDisplay.plot") as self.ax_:
            self.figure_ = self.ax_.figure
            before = [limits_before(self.ax_, axis) for axis in "xy"]
            self.means_: list[Any] = []
            others = self._draw(irrelevant, "irrelevant", VERMILION, "--", kwargs)
            self.irrelevant_ = others
            self.relevant_ = self._draw(relevant, "relevant", BLUE, "-", kwargs)
            self.means_.reverse()
            low, high = np.flatnonzero(relevant + irrelevant)[[0, -1]]
            set_limits(self.ax_, "x", low - 0.8, high + 0.8, before[0])
            top = max(each.get_data().values.max() for each in (others, self.relevant_))
            set_limits(self.ax_, "y", 0, (1 + HEADROOM) * top, before[1])
            self._finish(name or self.name)
        return self

    def _finish(self, name: str | None) -> None:
        """Label the axes, and the histograms above them."""
        self.ax_.set(
            xlabel="Hamming distance (bits)",
            ylabel="share of pairs",
            title="Distances of relevant and irrelevant pairs",
        )
        whole_ticks(self.ax_.xaxis)
        tidy(self.ax_)
        handles, labels = self.ax_.get_legend_handles_labels()
        add_legend(
            self.ax_,
            handles=handles[::-1],
            labels=labels[::-1],
            title=name,
            loc="upper right",
            alignment="left",
            handlelength=1.6,
        )

    def _draw(
        self,
        counts: NDArray[np.float64],
        kind: str,
        color: str,
        linestyle: str,
        kwargs: dict[str, Any],
    ) -> Any:
        """Draw one histogram: a pale area, its outline, and its mean."""
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.colors import to_rgba
        from matplotlib.patches import Patch

        given = normalize_kwargs(kwargs, Patch)
        color = given.pop("color", color)
        options = {"edgecolor": color, "linestyle": linestyle, "linewidth": 1.4}
        options |= {"fill": True, "facecolor": to_rgba(color, 0.35), **given}
        n_pairs = counts.sum()
        label = f"{kind}, none"
        if n_pairs:
            mean = counts @ np.arange(len(counts)) / n_pairs
            label = f"{kind}, mean {mean:.1f} bits"
            style = {"color": options["edgecolor"], "alpha": given.get("alpha")}
            line = self.ax_.axvline(mean, linestyle=(0, (4, 3)), zorder=1.9, **style)
            self.means_.append(line)
        edges = np.arange(len(counts) + 1) - 0.5
        return self.ax_.stairs(counts / max(n_pairs, 1), edges, label=label, **options)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        gallery: Any = "auto",
        exclude_self: str | bool = "auto",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> DistanceHistogramDisplay:
        """Hash with a fitted hasher or retriever, and draw.

        A retriever's `rerank` is not applied: distances are those of the codes.

        Parameters
        ----------
        estimator : estimator
            A fitted hasher, retriever, or pipeline ending in one.
        X : array-like of shape (n_queries, n_features)
            The queries.
        y : array-like of shape (n_queries,) or (n_queries, n_labels)
            Their labels.
        gallery : {'auto', 'fitted', 'self'} or tuple (X_gallery, y_gallery), \
                default='auto'
            What the queries search in, as in :class:`sklhash.metrics.RetrievalScorer`:
            what the retriever was fitted with; the queries themselves; these rows.
        exclude_self : {'auto'} or bool, default='auto'
            As in :class:`sklhash.metrics.RetrievalScorer`.
        name : str, default=None
            Title of the legend; None for the hasher's class and its number of bits.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : DistanceHistogramDisplay

        Raises
        ------
        ValueError
            If y is missing, or there is no gallery with labels.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ
        >>> from sklhash.displays import DistanceHistogramDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> hasher = ITQ(n_bits=32, random_state=0).fit(X)
        >>> display = DistanceHistogramDisplay.from_estimator(hasher, X, y)
        """
        check_can_plot(f"{cls.__name__}.from_estimator", ax)
        pairs = search_pairs(estimator, X, y, gallery, exclude_self, "hamming")
        del pairs["code_distance"]
        name = name or name_of(estimator, pairs["query_codes"].n_bits)
        return cls.from_predictions(**pairs, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        query_codes: Any,
        gallery_codes: Any,
        y_query: Any,
        y_gallery: Any,
        *,
        exclude_self: bool = False,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> DistanceHistogramDisplay:
        """Count the pairs at each distance, and draw.

        Parameters
        ----------
        query_codes, gallery_codes : PackedCodes or array-like of shape \
                (n_rows, n_bits)
        y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
                (n_rows, n_labels)
        exclude_self : bool, default=False
            All as in :func:`sklhash.metrics.relevance_histograms`.
        name : str, default=None
            Title of the legend.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : DistanceHistogramDisplay

        Examples
        --------
        >>> from sklhash.displays import DistanceHistogramDisplay
        >>> display = DistanceHistogramDisplay.from_predictions(
        ...     [[0, 1]], [[0, 1], [1, 1], [1, 1]], [7], [7, 7, 8])
        >>> display.relevant, display.irrelevant
        (array([1, 1, 0]), array([0, 1, 0]))
        """
        check_can_plot(f"{cls.__name__}.from_predictions", ax)
        relevant, irrelevant = count_pairs(
            query_codes, gallery_codes, y_query, y_gallery, exclude_self=exclude_self
        )
        return cls(relevant, irrelevant, name=name).plot(ax, **kwargs)


def _check_counts(relevant: Any, irrelevant: Any) -> tuple[Any, Any]:
    first, second = (np.asarray(each, float) for each in (relevant, irrelevant))
    if not first.shape == second.shape == (first.size,):
        raise ValueError(
            "relevant and irrelevant must be vectors of n_bits + 1 counts; got shapes "
            f"{first.shape} and {second.shape}"
        )
    if not (first >= 0).all() or not (second >= 0).all() or not (first + second).any():
        raise ValueError("relevant and irrelevant must hold counts >= 0, not all 0")
    return first, second
