"""Precision and recall, radius by radius."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklhash.metrics import precision_recall_curve

from ._axes import check_can_plot, one_axes, tidy
from ._legends import add_legend
from ._limits import set_limits
from ._marks import mark, next_number
from ._names import name_of
from ._radii import mark_radii as write_radii
from ._searched import search_pairs
from ._styles import line_options

#: Points up to which each has a marker.
MAX_MARKERS = 257


class PrecisionRecallByRadiusDisplay:
    """Precision against recall, a point for each radius of the search.

    At radius r a query finds all items within r bits. Points go from radius 0, on the
    left, to the whole gallery, on the right, where precision is the share of relevant
    items. A query that finds nothing has precision 0, as in the hashing literature, so
    curves of long codes begin low.

    Parameters
    ----------
    precision : ndarray of shape (n_distances,)
        Relevant share of what lies within the radius, mean over the queries.
    recall : ndarray of shape (n_distances,)
        Share of the relevant items within the radius, mean over the queries.
    radius : ndarray of shape (n_distances,)
        In bits (integers), or another distance.
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    line_ : Line2D
    radii_ : list of Annotation
        The radii written beside the curve.
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    PrecisionAtKDisplay : Precision of the first k items.
    sklhash.metrics.precision_recall_curve : The figures.

    Examples
    --------
    >>> from sklhash.displays import PrecisionRecallByRadiusDisplay
    >>> display = PrecisionRecallByRadiusDisplay(
    ...     precision=[1, 0.7, 0.6], recall=[0.5, 1, 1], radius=[0, 1, 2])
    >>> display.plot().line_.get_ydata()
    array([1. , 0.7, 0.6])
    """

    def __init__(
        self, precision: Any, recall: Any, radius: Any, *, name: str | None = None
    ) -> None:
        self.precision = precision
        self.recall = recall
        self.radius = radius
        self.name = name

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        mark_radii: bool | str = "auto",
        **kwargs: Any,
    ) -> PrecisionRecallByRadiusDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None for a new figure. ``ax=display.ax_`` adds a curve.
        name : str, default=None
            Name in the legend; None for the display's own.
        mark_radii : bool or 'auto', default='auto'
            Write radii beside the curve; 'auto' does so for the first on these axes.
        **kwargs : dict
            Of `Axes.plot`.

        Returns
        -------
        self : PrecisionRecallByRadiusDisplay

        Raises
        ------
        ValueError
            If the three arrays differ in length.

        Examples
        --------
        >>> from sklhash.displays import PrecisionRecallByRadiusDisplay
        >>> display = PrecisionRecallByRadiusDisplay([1, 0.7], [0.5, 1], [0, 1])
        >>> display = display.plot(name="toy codes", color="black")
        """
        precision, recall, radius = map(
            np.asarray, (self.precision, self.recall, self.radius)
        )
        if not precision.shape == recall.shape == radius.shape == (precision.size,):
            raise ValueError(
                "precision, recall and radius must be vectors of one length; got "
                f"shapes {precision.shape}, {recall.shape} and {radius.shape}"
            )
        if mark_radii not in (True, False, "auto"):
            raise ValueError(
                f"mark_radii must be True, False or 'auto'; got {mark_radii!r}"
            )
        with one_axes(ax, "PrecisionRecallByRadiusDisplay.plot") as self.ax_:
            self.figure_ = self.ax_.figure
            number = next_number(self.ax_)
            options = line_options(number, name or self.name, kwargs)
            if len(radius) > MAX_MARKERS:
                options.setdefault("markevery", 0.1)
            (self.line_,) = self.ax_.plot(recall, precision, **options)
            mark(self.line_, "curve", number)
            wanted = mark_radii is True or (mark_radii == "auto" and number == 0)
            self.radii_ = write_radii(self.line_, radius) if wanted else []
            self._finish()
        return self

    def _finish(self) -> None:
        self.ax_.set(
            xlabel="recall",
            ylabel="precision",
            title="Precision and recall within each radius",
        )
        set_limits(self.ax_, "x", -0.02, 1.02)
        set_limits(self.ax_, "y", 0, 1.02)
        tidy(self.ax_)
        add_legend(self.ax_)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        gallery: Any = "auto",
        exclude_self: str | bool = "auto",
        code_distance: str = "auto",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> PrecisionRecallByRadiusDisplay:
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
        exclude_self : {'auto'} or bool, default='auto'
            As in :class:`sklhash.metrics.RetrievalScorer`.
        code_distance : {'auto', 'hamming', 'spherical'}, default='auto'
            As there; 'auto' is the retriever's own.
        name : str, default=None
            Name in the legend; None for the hasher's class and its number of bits.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : PrecisionRecallByRadiusDisplay

        Raises
        ------
        ValueError
            If y is missing, there is no gallery with labels, or distances are
            asymmetric, which have no common radii.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ
        >>> from sklhash.displays import PrecisionRecallByRadiusDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> hasher = ITQ(n_bits=32, random_state=0).fit(X[300:])
        >>> display = PrecisionRecallByRadiusDisplay.from_estimator(
        ...     hasher, X[:300], y[:300], gallery=(X[300:], y[300:]))
        """
        check_can_plot(f"{cls.__name__}.from_estimator", ax)
        pairs = search_pairs(estimator, X, y, gallery, exclude_self, code_distance)
        if pairs["code_distance"] == "asymmetric":
            raise ValueError(
                "asymmetric distances have no common radii: use "
                "code_distance='hamming', or PrecisionAtKDisplay"
            )
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
        code_distance: str = "hamming",
        exclude_self: bool = False,
        no_relevant: str = "omit",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> PrecisionRecallByRadiusDisplay:
        """Compute the curve from codes and labels, and draw.

        Parameters
        ----------
        query_codes, gallery_codes : PackedCodes or array-like of shape \
                (n_rows, n_bits)
        y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
                (n_rows, n_labels)
        code_distance : {'hamming', 'spherical'}, default='hamming'
        exclude_self : bool, default=False
        no_relevant : {'omit', 'zero'}, default='omit'
            All as in :func:`sklhash.metrics.precision_recall_curve`.
        name : str, default=None
            Name in the legend.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : PrecisionRecallByRadiusDisplay

        Examples
        --------
        >>> from sklhash.displays import PrecisionRecallByRadiusDisplay
        >>> display = PrecisionRecallByRadiusDisplay.from_predictions(
        ...     [[0, 1]], [[0, 1], [1, 1], [1, 1]], [7], [7, 7, 8])
        >>> display.precision
        array([1. , 0.66..., 0.66...])
        """
        check_can_plot(f"{cls.__name__}.from_predictions", ax)
        precision, recall, radius = precision_recall_curve(
            query_codes,
            gallery_codes,
            y_query,
            y_gallery,
            code_distance=code_distance,
            exclude_self=exclude_self,
            no_relevant=no_relevant,
        )
        return cls(precision, recall, radius, name=name).plot(ax, **kwargs)
