"""What deep hashers record while they learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash.encoding import last_step

from ._arguments import check_mapping
from ._axes import check_can_plot, several_axes, tidy, whole_ticks
from ._legends import add_legend
from ._limits import set_limits
from ._marks import mark, next_number
from ._names import name_of
from ._styles import LINE_STYLES, REFERENCE_STYLES, line_options

#: Losses, and what else is recorded that is no term of them.
LOSSES = {
    "train_loss": "training",
    "valid_loss": "validation",
    "loss_after": "after the update",
}
OTHERS = ("epoch", "dur", "bit_balance", "distinct_codes")


class TrainingCurvesDisplay:
    """Loss, bit balance and distinct codes of a deep hasher, epoch by epoch.

    The loss of the training rows, of rows set apart if there are any, and its terms.
    Bit balance is the mean over bits of twice the rarer value's share, 1 if all bits
    are set in half of the codes, 0 if all are dead. Few distinct codes, or bits out of
    balance, tell that codes collapse.

    Parameters
    ----------
    curves : dict of str to array-like of shape (n_epochs,)
        The `curves_` of a deep hasher. Without 'epoch', epochs count from 1.
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    lines_ : dict of str to Line2D
        The curves drawn, by their names in `curves`.
    ax_ : ndarray of shape (3,) of Axes
        Of the loss, the bit balance and the distinct codes.
    figure_ : Figure

    Examples
    --------
    >>> from sklhash.displays import TrainingCurvesDisplay
    >>> curves = {"train_loss": [0.9, 0.7], "bit_balance": [0.8, 0.9],
    ...           "distinct_codes": [100, 80]}
    >>> display = TrainingCurvesDisplay(curves).plot()
    >>> display.lines_["train_loss"].get_ydata()
    array([0.9, 0.7])
    """

    def __init__(self, curves: Mapping[str, Any], *, name: str | None = None) -> None:
        self.curves = curves
        self.name = name

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        terms: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> TrainingCurvesDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes or sequence of 3 Axes, default=None
            Three axes, or one whose place is divided; None for a new figure.
            ``ax=display.ax_`` adds the curves of another hasher, in a colour of its own
            and a line style for each of its losses.
        name : str, default=None
            Name in the legend; None for the display's own.
        terms : sequence of str, default=None
            Curves to draw beside the losses; () for none. None for all that are not
            known to be something else, but for a single one that is the whole loss.
        **kwargs : dict
            Of `Axes.plot`, for all lines.

        Returns
        -------
        self : TrainingCurvesDisplay

        Raises
        ------
        TypeError
            If `curves` is no dict, or `terms` no sequence of names.
        ValueError
            If there is no 'train_loss', a term is unknown or no loss, lengths differ,
            or one axes was divided before.

        Examples
        --------
        >>> from sklhash.displays import TrainingCurvesDisplay
        >>> curves = {"train_loss": [0.9, 0.7], "pairs": [0.6, 0.5],
        ...           "quantization": [0.3, 0.2], "bit_balance": [0.8, 0.9],
        ...           "distinct_codes": [100, 80]}
        >>> display = TrainingCurvesDisplay(curves).plot(terms=["pairs"], alpha=0.7)
        """
        curves = _check_curves(self.curves)
        drawn = self._losses(curves, terms)
        owner = "TrainingCurvesDisplay.plot"
        with several_axes(ax, 3, _lay_out, owner, (7.2, 4.6)) as self.ax_:
            self.figure_ = self.ax_[0].figure
            self.lines_: dict[str, Any] = {}
            name = name or self.name
            first = next_number(self.ax_[0])
            for i, key in enumerate(drawn):
                label = LOSSES.get(key, f"term: {key}")
                label = f"{name}, {label}" if name else label
                self._draw(0, key, curves, kwargs, label, _look(first, i))
            for i, key in enumerate(("bit_balance", "distinct_codes"), start=1):
                if key in curves:
                    self._draw(i, key, curves, kwargs, name, _look(first, 0))
            self._finish()
        return self

    def _losses(
        self, curves: dict[str, NDArray[Any]], terms: Sequence[str] | None
    ) -> list[str]:
        """List the curves to draw as losses."""
        losses = [key for key in LOSSES if key in curves]
        if terms is not None:
            _check_terms(terms, [key for key in curves if key not in OTHERS])
            return list(dict.fromkeys([*losses, *terms]))
        found = [
            key
            for key in curves
            if key not in (*LOSSES, *OTHERS) and not key.endswith("_pairs")
        ]
        if len(found) == 1 and np.allclose(curves[found[0]], curves["train_loss"]):
            return losses
        return losses + found

    def _draw(
        self,
        i: int,
        key: str,
        curves: dict[str, NDArray[Any]],
        kwargs: dict[str, Any],
        label: str | None,
        look: tuple[int, dict[str, Any]],
    ) -> None:
        number, style = look
        options = line_options(number, label, kwargs, **style)
        if len(curves[key]) > 12:
            options.setdefault("markevery", 0.12)
        (self.lines_[key],) = self.ax_[i].plot(curves["epoch"], curves[key], **options)
        mark(self.lines_[key], "curve", number)

    def _finish(self) -> None:
        loss, balance, distinct = self.ax_
        loss.set(title="Loss", xlabel="epoch", ylabel="loss")
        balance.set(title="Bit balance", ylabel="1 is even")
        set_limits(balance, "y", 0, 1.05)
        distinct.set(title="Distinct codes", xlabel="epoch")
        if distinct.get_yscale() == "linear":
            distinct.set_ylim(bottom=0)
        for ax in self.ax_:
            whole_ticks(ax.xaxis, most=6)
            tidy(ax)
        _add_legend_below(loss)

    @classmethod
    def from_estimator(
        cls, hasher: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> TrainingCurvesDisplay:
        """Draw what a fitted deep hasher recorded.

        Parameters
        ----------
        hasher : estimator
            A fitted deep hasher, or a retriever or pipeline with one at its end.
        name : str, default=None
            Name in the legend.
        ax : Axes or sequence of 3 Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : TrainingCurvesDisplay

        Raises
        ------
        TypeError
            If there is no `curves_`.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import SoftPairwiseHasher
        >>> from sklhash.displays import TrainingCurvesDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> hasher = SoftPairwiseHasher(n_bits=16, max_epochs=3, random_state=0)
        >>> display = TrainingCurvesDisplay.from_estimator(hasher.fit(X, y))
        """
        check_can_plot(f"{cls.__name__}.from_estimator", ax, n_axes=3)
        last = last_step(hasher)
        if hasattr(last, "hasher_"):  # a retriever
            last = last_step(last.hasher_)
        if not hasattr(last, "curves_"):
            raise TypeError(
                f"{name_of(hasher)} has no curves_: give a fitted deep hasher, such as "
                "SoftPairwiseHasher"
            )
        return cls(last.curves_, name=name).plot(ax, **kwargs)


def _add_legend_below(ax: Any) -> None:
    """Name the losses below the axes: their curves leave no corner free."""
    if ax.figure.get_layout_engine() is None:  # makes no room
        add_legend(ax)
        return
    below = (0.5, -0.15)
    add_legend(ax, ncols=2, loc="upper center", bbox_to_anchor=below, frameon=False)


def _look(first: int, i: int) -> tuple[int, dict[str, Any]]:
    """Give the i-th loss a colour if the hasher is the first, else a line style."""
    if first == 0:
        return i, {}
    styles = LINE_STYLES + REFERENCE_STYLES
    return first, {"linestyle": styles[i % len(styles)]}


def _check_terms(terms: Any, known: list[str]) -> None:
    """Refuse what is no list of losses."""
    if isinstance(terms, str):
        raise TypeError(f"terms must be a sequence of names, as [{terms!r}]; got str")
    unknown = [str(each) for each in terms if each not in known]
    if unknown:
        raise ValueError(
            f"terms must be among the curves of losses, {', '.join(known)}; got "
            f"{', '.join(unknown)}"
        )


def _check_curves(curves: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Take the curves as arrays of one length, with the numbers of the epochs."""
    check_mapping(curves, "curves", "{'train_loss': [0.9, 0.7]}")
    arrays = {key: np.asarray(curve) for key, curve in curves.items()}
    if "train_loss" not in arrays:
        raise ValueError(
            f"curves must have 'train_loss'; got {', '.join(arrays) or 'none'}. A "
            "hasher trained for no epoch has none"
        )
    shape = arrays["train_loss"].shape
    for key, curve in arrays.items():
        if curve.shape != shape or curve.ndim != 1:
            raise ValueError(
                "curves must be vectors of one length; 'train_loss' has shape "
                f"{shape}, {key!r} {curve.shape}"
            )
    return {"epoch": np.arange(1, len(arrays["train_loss"]) + 1), **arrays}


def _lay_out(figure: Any, place: Any) -> list[Any]:
    """Put the loss on the left, the codes' state on the right."""
    grid = place.subgridspec(2, 2, width_ratios=[1.6, 1])
    loss = figure.add_subplot(grid[:, 0])
    balance = figure.add_subplot(grid[0, 1], sharex=loss)
    balance.tick_params(labelbottom=False)
    return [loss, balance, figure.add_subplot(grid[1, 1], sharex=loss)]
