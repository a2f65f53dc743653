"""How evenly single bits are used, and how much they repeat each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash.encoding import encode_with

from ._arguments import check_bits, refuse_keywords
from ._axes import check_can_plot, several_axes, tidy, whole_ticks
from ._bit_counts import bit_statistics
from ._marks import is_marked, mark, marked
from ._names import in_bits, name_of
from ._styles import BLUE, ink

#: Colour of what is not drawn: the diagonal, and bits without a correlation.
BLANK = "0.7"
#: How far from one half the bars' axis may go: as far as needed.
SPANS = (0.05, 0.1, 0.25, 0.5)


class BitStatisticsDisplay:
    """Share of ones of each bit, and correlations between bits.

    Bars begin at one half: a bit that is set in half of the codes tells most, a long
    bar is a bit that is nearly constant. In the heat map a deep colour is a pair of
    bits that say much the same, or the opposite. Colours span the largest correlation
    of two bits, and the bars' axis goes as far as the bars do, so look at the scales.
    The diagonal is left out, in grey, and so are rows and columns of constant bits,
    whose correlation is not defined.

    A figure of the display's own has a constrained layout, which fits itself;
    matplotlib refuses `tight_layout` where there is a colour bar.

    Parameters
    ----------
    balance : ndarray of shape (n_bits,)
        Share of the codes that have the bit set, 0 to 1.
    correlation : ndarray of shape (n_bits, n_bits)
        Pearson's correlations; NaN for bits that are constant.
    name : str, default=None
        Name in the title.

    Attributes
    ----------
    bars_ : BarContainer
        Bar j reaches from 0.5 to ``balance[j]``.
    image_ : AxesImage
        The heat map; its array is masked on the diagonal, and where it is NaN.
    colorbar_ : Colorbar
    ax_ : ndarray of shape (2,) of Axes
        Of the bars, and of the heat map.
    figure_ : Figure

    Examples
    --------
    >>> from sklhash.displays import BitStatisticsDisplay
    >>> display = BitStatisticsDisplay([0.5, 0.25], [[1, 0.6], [0.6, 1]]).plot()
    >>> [float(bar.get_height()) for bar in display.bars_]
    [0.0, -0.25]
    """

    def __init__(
        self, balance: Any, correlation: Any, *, name: str | None = None
    ) -> None:
        self.balance = balance
        self.correlation = correlation
        self.name = name

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> BitStatisticsDisplay:
        """Draw bars and heat map.

        Parameters
        ----------
        ax : Axes or sequence of 2 Axes, default=None
            Two axes, or one whose place is divided; None for a new figure. What a
            display drew on these two before is removed.
        name : str, default=None
            Name in the title; None for the display's own.
        **kwargs : dict
            Of `Axes.imshow`, for the heat map.

        Returns
        -------
        self : BitStatisticsDisplay

        Raises
        ------
        ValueError
            If the shapes do not fit together, values are no shares or no correlations,
            or one axes was divided before.

        Examples
        --------
        >>> from sklhash.displays import BitStatisticsDisplay
        >>> display = BitStatisticsDisplay([0.5, 0.25], [[1, 0.6], [0.6, 1]])
        >>> display = display.plot(name="toy codes", cmap="PuOr")
        """
        balance, correlation = check_bits(self.balance, self.correlation)
        refuse_keywords(kwargs, "X", "extent")
        owner = "BitStatisticsDisplay.plot"
        with several_axes(ax, 2, _lay_out, owner, (5.6, 6.9)) as self.ax_:
            self.figure_ = self.ax_[0].figure
            # Bit above bit, or side by side.
            self._laid_out = np.size(np.asarray(ax, dtype=object)) == 1
            _remove_drawn(self.ax_)
            self._draw_bars(balance, name or self.name)
            self._draw_heat_map(balance, correlation, kwargs)
            for each in self.ax_:
                each.set_xlim(-0.5, len(balance) - 0.5)
                whole_ticks(each.xaxis, bits=True)
        return self

    def _draw_bars(self, balance: NDArray[Any], name: str | None) -> None:
        ax, n_bits = self.ax_[0], len(balance)
        self.bars_ = ax.bar(
            np.arange(n_bits),
            balance - 0.5,
            bottom=0.5,
            width=0.8 if n_bits <= 64 else 1.0,
            color=BLUE,
            zorder=2,
        )
        mark(self.bars_.patches[0], "bits")
        mark(ax.axhline(0.5, color=ink(0.7), linewidth=0.9, zorder=2.1), "bits")
        furthest = np.abs(balance - 0.5).max()
        span = next(each for each in SPANS if each >= min(furthest, 0.5))
        ax.set(ylim=(0.5 - span, 0.5 + span), ylabel="share of ones")
        ax.set_yticks([0.5 - span, 0.5, 0.5 + span])
        ax.set_xlabel("" if self._laid_out else "bit")
        title = "Balance of bits"
        ax.set_title(f"{name}\n{title}" if name else title)
        tidy(ax, grid="y")

    def _draw_heat_map(
        self, balance: NDArray[Any], correlation: NDArray[Any], kwargs: dict[str, Any]
    ) -> None:
        from matplotlib import colormaps

        ax = self.ax_[1]
        hidden = np.isnan(correlation) | np.eye(len(balance), dtype=bool)
        values = np.ma.masked_array(correlation, hidden)
        largest = float(np.abs(values).max()) if not hidden.all() else 1.0
        limits = {"vmin": -(largest or 1.0), "vmax": largest or 1.0}
        options = {
            "cmap": colormaps["RdBu_r"].with_extremes(bad=BLANK),
            **({} if kwargs.get("norm") else limits),
            "interpolation": "nearest",
            "aspect": "auto" if self._laid_out else "equal",
            **kwargs,
        }
        self.image_ = ax.imshow(values, **options)
        mark(self.image_, "bits")
        self.colorbar_ = self.figure_.colorbar(
            self.image_, ax=ax, label="correlation", pad=0.02, fraction=0.06
        )
        self.colorbar_.outline.set_visible(False)
        ax.set(xlabel="bit", ylabel="bit", title=_describe(balance, values))
        ax.spines[:].set_visible(False)
        ax.tick_params(color=ink(0.5), width=0.8)
        whole_ticks(ax.yaxis, bits=True)

    @classmethod
    def from_estimator(
        cls,
        hasher: Any,
        X: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> BitStatisticsDisplay:
        """Hash rows with a fitted hasher, and draw.

        Parameters
        ----------
        hasher : estimator
            A fitted hasher, retriever, or pipeline ending in one.
        X : array-like of shape (n_samples, n_features)
        name : str, default=None
            Name in the title; None for the hasher's class and its number of bits.
        ax : Axes or sequence of 2 Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : BitStatisticsDisplay

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ
        >>> from sklhash.displays import BitStatisticsDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> hasher = ITQ(n_bits=32, random_state=0).fit(X)
        >>> display = BitStatisticsDisplay.from_estimator(hasher, X)
        """
        check_can_plot(f"{cls.__name__}.from_estimator", ax, n_axes=2)
        codes = encode_with(hasher, X)
        name = name or name_of(hasher, codes.n_bits)
        return cls.from_predictions(codes, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, codes: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> BitStatisticsDisplay:
        """Compute the figures from codes, and draw.

        Parameters
        ----------
        codes : PackedCodes or array-like of shape (n_samples, n_bits)
            A bit is set where the value is ``> 0``.
        name : str, default=None
            Name in the title.
        ax : Axes or sequence of 2 Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : BitStatisticsDisplay

        Examples
        --------
        >>> from sklhash.displays import BitStatisticsDisplay
        >>> display = BitStatisticsDisplay.from_predictions([[0, 0], [1, 1], [0, 1]])
        >>> display.correlation.round(2)
        array([[1. , 0.5],
               [0.5, 1. ]])
        """
        check_can_plot(f"{cls.__name__}.from_predictions", ax, n_axes=2)
        balance, correlation = bit_statistics(codes)
        return cls(balance, correlation, name=name).plot(ax, **kwargs)


def _lay_out(figure: Any, place: Any) -> list[Any]:
    """Put the bars above the heat map, bit above bit."""
    grid = place.subgridspec(2, 1, height_ratios=[1, 3.6])
    bars = figure.add_subplot(grid[0])
    return [bars, figure.add_subplot(grid[1])]


def _remove_drawn(axes: Any) -> None:
    """Remove what a display drew before, with its colour bar."""
    for ax in axes:
        for container in list(ax.containers):
            if any(is_marked(bar, "bits") for bar in getattr(container, "patches", ())):
                container.remove()
        for artist in marked(ax, "bits"):
            if getattr(artist, "colorbar", None):
                artist.colorbar.remove()
            artist.remove()


def _describe(balance: NDArray[Any], correlation: Any) -> str:
    """Sum up the heat map in its title."""
    n_constant = int(((balance == 0) | (balance == 1)).sum())
    title = "Correlation of bits"
    if correlation.count():
        title += f" (mean |r| {np.abs(correlation).mean():.2f})"
    if n_constant:
        title += f"\n{in_bits(n_constant)} constant, in grey"
    return title
