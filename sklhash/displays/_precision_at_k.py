"""Precision of the first k items, place by place."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklhash.metrics import retrieval_scores

from ._axes import check_can_plot, one_axes, tidy, whole_ticks
from ._legends import add_legend
from ._limits import set_limits
from ._marks import mark, marked, next_number
from ._names import name_of
from ._places import check_places, places_up_to
from ._searched import search_pairs
from ._styles import REFERENCE_STYLES, ink, line_options

CHANCE = "random order"


class PrecisionAtKDisplay:
    """Share of relevant items among the first k, for every k.

    Parameters
    ----------
    k : ndarray of shape (n_places,), dtype int
        Numbers of items looked at.
    precision : ndarray of shape (n_places,)
        Relevant share of the first k items, mean over the queries.
    chance_level : float, default=None
        Precision of a random order: the share of relevant items in the gallery, mean
        over the queries.
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    line_ : Line2D
    chance_level_ : Line2D or None
        None if it is not drawn, or was on these axes before.
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    PrecisionRecallByRadiusDisplay : Precision within each radius.
    sklhash.metrics.retrieval_scores : The figures, ``'precision@k'``.

    Examples
    --------
    >>> from sklhash.displays import PrecisionAtKDisplay
    >>> display = PrecisionAtKDisplay(k=[1, 2, 3], precision=[1, 1, 0.7]).plot()
    >>> display.line_.get_xdata()
    array([1, 2, 3])
    """

    def __init__(
        self,
        k: Any,
        precision: Any,
        *,
        chance_level: float | None = None,
        name: str | None = None,
    ) -> None:
        self.k = k
        self.precision = precision
        self.chance_level = chance_level
        self.name = name

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        plot_chance_level: bool = True,
        **kwargs: Any,
    ) -> PrecisionAtKDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None for a new figure. ``ax=display.ax_`` adds a curve.
        name : str, default=None
            Name in the legend; None for the display's own.
        plot_chance_level : bool, default=True
            Draw the precision of a random order, once for each level on these axes.
        **kwargs : dict
            Of `Axes.plot`.

        Returns
        -------
        self : PrecisionAtKDisplay

        Raises
        ------
        ValueError
            If `k` and `precision` differ in length.

        Examples
        --------
        >>> from sklhash.displays import PrecisionAtKDisplay
        >>> display = PrecisionAtKDisplay([1, 2], [1, 0.5], chance_level=0.1)
        >>> display = display.plot(name="toy codes", color="black")
        """
        k, precision = np.asarray(self.k), np.asarray(self.precision)
        if not k.shape == precision.shape == (k.size,):
            raise ValueError(
                "k and precision must be vectors of one length; got shapes "
                f"{k.shape} and {precision.shape}"
            )
        with one_axes(ax, "PrecisionAtKDisplay.plot") as self.ax_:
            self.figure_ = self.ax_.figure
            number = next_number(self.ax_)
            options = line_options(number, name or self.name, kwargs)
            if len(k) > 12:
                options.setdefault("markevery", 0.1)
            (self.line_,) = self.ax_.plot(k, precision, **options)
            mark(self.line_, "curve", number)
            self.chance_level_ = None
            if plot_chance_level and self.chance_level is not None:
                self.chance_level_ = self._draw_chance_level(float(self.chance_level))
            self._finish()
        return self

    def _draw_chance_level(self, level: float) -> Any:
        drawn = marked(self.ax_, "chance")
        if any(np.isclose(line.get_ydata()[0], level, atol=1e-3) for line in drawn):
            return None
        style = {"color": ink(0.55), "linestyle": REFERENCE_STYLES[1], "zorder": 1.5}
        line = self.ax_.axhline(level, label=CHANCE, **style)
        mark(line, "chance")
        return line

    def _finish(self) -> None:
        self.ax_.set(
            xlabel="k, number of nearest items",
            ylabel="precision@k",
            title="Precision among the k nearest items",
        )
        set_limits(self.ax_, "y", 0, 1.02)
        whole_ticks(self.ax_.xaxis)
        tidy(self.ax_)
        add_legend(self.ax_, by_end=True)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        gallery: Any = "auto",
        k: Any = None,
        exclude_self: str | bool = "auto",
        code_distance: str = "auto",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> PrecisionAtKDisplay:
        """Search with a fitted hasher or retriever, and draw.

        A retriever's `rerank` is not applied: items are ordered by their codes.

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
        k : int or sequence of int, default=None
            As in `from_predictions`.
        exclude_self : {'auto'} or bool, default='auto'
            As in :class:`sklhash.metrics.RetrievalScorer`.
        code_distance : {'auto', 'hamming', 'spherical', 'asymmetric'}, default='auto'
            As there; 'auto' is the retriever's own.
        name : str, default=None
            Name in the legend; None for the hasher's class and its number of bits.
        ax : Axes, default=None
        **kwargs : dict
            Of `from_predictions`.

        Returns
        -------
        display : PrecisionAtKDisplay

        Raises
        ------
        ValueError
            If y is missing, or there is no gallery with labels.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ, HammingRetriever
        >>> from sklhash.displays import PrecisionAtKDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> retriever = HammingRetriever(ITQ(n_bits=32, random_state=0))
        >>> display = PrecisionAtKDisplay.from_estimator(
        ...     retriever.fit(X[300:], y[300:]), X[:300], y[:300])
        """
        check_can_plot(f"{cls.__name__}.from_estimator", ax)
        check_places(k)
        pairs = search_pairs(estimator, X, y, gallery, exclude_self, code_distance)
        name = name or name_of(estimator, pairs["gallery_codes"].n_bits)
        return cls.from_predictions(**pairs, k=k, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        query_codes: Any,
        gallery_codes: Any,
        y_query: Any,
        y_gallery: Any,
        *,
        k: Any = None,
        code_distance: str = "hamming",
        exclude_self: bool = False,
        ties: str = "expected",
        no_relevant: str = "omit",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> PrecisionAtKDisplay:
        """Compute the curve from codes and labels, and draw.

        Parameters
        ----------
        query_codes, gallery_codes : PackedCodes or array-like of shape \
                (n_rows, n_bits)
        y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
                (n_rows, n_labels)
        k : int or sequence of int, default=None
            The last of the places 1, 2, ..., of which 200 are scored if there are more;
            or all places to score. None for 100, or the whole gallery if it is smaller.
            Beyond the gallery's end nothing is found, so the curve falls as 1 / k.
        code_distance : {'hamming', 'spherical', 'asymmetric'}, default='hamming'
        exclude_self : bool, default=False
        ties : {'expected', 'optimistic', 'pessimistic', 'index'}, default='expected'
        no_relevant : {'omit', 'zero'}, default='omit'
            All as in :func:`sklhash.metrics.retrieval_scores`.
        name : str, default=None
            Name in the legend.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : PrecisionAtKDisplay

        Raises
        ------
        ValueError
            If `k` has a number that is no integer >= 1, or inputs do not fit together.

        Examples
        --------
        >>> from sklhash.displays import PrecisionAtKDisplay
        >>> display = PrecisionAtKDisplay.from_predictions(
        ...     [[0, 1]], [[0, 1], [1, 1], [1, 1]], [7], [7, 7, 8])
        >>> display.precision
        array([1. , 0.75 , 0.66...])
        """
        check_can_plot(f"{cls.__name__}.from_predictions", ax)
        check_places(k)
        n_ranks = max(1, len(gallery_codes) - bool(exclude_self))
        places = places_up_to(k, n_ranks)
        names = [f"precision@{place}" for place in places]
        scores = retrieval_scores(
            query_codes,
            gallery_codes,
            y_query,
            y_gallery,
            metrics=[*names, f"precision@{n_ranks}"],
            code_distance=code_distance,
            exclude_self=exclude_self,
            ties=ties,
            no_relevant=no_relevant,
        )
        precision = np.array([scores[each] for each in names])
        chance_level = scores[f"precision@{n_ranks}"]
        display = cls(places, precision, chance_level=chance_level, name=name)
        return display.plot(ax, **kwargs)
