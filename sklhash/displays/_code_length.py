"""Scores against the length of the codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._arguments import refuse_keywords
from ._axes import check_can_plot, one_axes, tidy
from ._errorbars import draw_reference, draw_runs, own_errorbars, shift_apart
from ._legends import add_legend
from ._length_axis import number_lengths
from ._limits import limits_before
from ._marks import next_number
from ._names import metric_label
from ._runs import check_references, check_scores, scores_of
from ._styles import errorbar_options


class CodeLengthDisplay:
    """How a score grows with the number of bits, for one method or many.

    Points are means over the runs, bars their standard deviations (of the population,
    as `numpy.std` has it), set side by side so that none hides another. Rankings by
    floats are horizontal lines, for reference.

    Parameters
    ----------
    n_bits : sequence of int
        Code lengths.
    scores : dict of str to array-like of shape (n_lengths,) or (n_lengths, n_runs)
        For each method its scores, a row for each length. NaN is a run that failed, and
        does not count.
    references : dict of str to array-like of shape (n_runs,), default=None
        Scores of rankings that do not depend on `n_bits`.
    metric : str, default='map'
        What the scores are, for the label: as in
        :func:`sklhash.metrics.retrieval_scores`.

    Attributes
    ----------
    errorbars_ : dict of str to ErrorbarContainer
        By method; the first of its parts is the line of the means.
    reference_lines_ : dict of str to Line2D
        By reference.
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    sklhash.model_selection.compare_hashers : Scores many methods at many lengths.

    Examples
    --------
    >>> from sklhash.displays import CodeLengthDisplay
    >>> scores = {"ITQ": [[0.50, 0.52], [0.60, 0.62]]}
    >>> display = CodeLengthDisplay([16, 32], scores, references={"cosine": [0.7]})
    >>> display.plot().errorbars_["ITQ"][0].get_ydata()
    array([0.51, 0.61])
    """

    def __init__(
        self,
        n_bits: Any,
        scores: Mapping[str, Any],
        *,
        references: Mapping[str, Any] | None = None,
        metric: str = "map",
    ) -> None:
        self.n_bits = n_bits
        self.scores = scores
        self.references = references
        self.metric = metric

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> CodeLengthDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None for a new figure. ``ax=display.ax_`` adds curves.
        name : str, default=None
            Name in the legend, if there is one method only; None for that in `scores`.
        **kwargs : dict
            Of `Axes.errorbar`, for all methods.

        Returns
        -------
        self : CodeLengthDisplay

        Raises
        ------
        TypeError
            If `scores` or `references` is no dict.
        ValueError
            If shapes do not fit together, or one name is given to several methods.

        Examples
        --------
        >>> from sklhash.displays import CodeLengthDisplay
        >>> display = CodeLengthDisplay([16, 32], {"ITQ": [0.51, 0.61]})
        >>> display = display.plot(name="iterative quantization", capsize=4)
        """
        n_bits, scores = check_scores(self.n_bits, self.scores)
        references = check_references(self.references, self.metric)
        refuse_keywords(kwargs, "x", "y", "yerr")
        if name is not None and len(scores) != 1:
            raise ValueError(
                f"name={name!r} names one method, but there are {len(scores)}: rename "
                "them in scores"
            )
        with one_axes(ax, "CodeLengthDisplay.plot", (7.0, 4.4)) as self.ax_:
            self.figure_ = self.ax_.figure
            before = limits_before(self.ax_, "x")
            self.errorbars_: dict[str, Any] = {}
            for i, (key, runs) in enumerate(scores.items(), next_number(self.ax_)):
                options = errorbar_options(i, name or key, kwargs)
                self.errorbars_[key] = draw_runs(self.ax_, n_bits, runs, options, i)
            self.reference_lines_ = {
                key: draw_reference(self.ax_, runs, key)
                for key, runs in references.items()
            }
            shift_apart(self.ax_, own_errorbars(self.ax_))
            number_lengths(self.ax_, n_bits, before)
            self._finish()
        return self

    def _finish(self) -> None:
        label = metric_label(self.metric)
        self.ax_.set(
            xlabel="bits per code", ylabel=label, title=f"{label} by code length"
        )
        tidy(self.ax_)
        add_legend(self.ax_, max_inside=1, by_end=True)

    @classmethod
    def from_comparison(
        cls,
        comparison: Any,
        metric: str | None = None,
        *,
        ax: Any = None,
        **kwargs: Any,
    ) -> CodeLengthDisplay:
        """Draw what :func:`sklhash.model_selection.compare_hashers` found.

        Parameters
        ----------
        comparison : HasherComparison
            Runs that failed, or that it had no time for, do not count.
        metric : str, default=None
            One of its metrics; None for the first.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : CodeLengthDisplay

        Raises
        ------
        ValueError
            If the comparison has no such metric.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ
        >>> from sklhash.displays import CodeLengthDisplay
        >>> from sklhash.model_selection import compare_hashers
        >>> X, y = load_digits(return_X_y=True)
        >>> comparison = compare_hashers(ITQ(), X, y, n_bits=(8, 16), splits=2)
        >>> display = CodeLengthDisplay.from_comparison(comparison, "ndcg@100")
        """
        check_can_plot(f"{cls.__name__}.from_comparison", ax)
        if metric is None:
            metric = comparison.metrics[0]
        if metric not in comparison.metrics:
            raise ValueError(
                f"metric must be one of {', '.join(comparison.metrics)}, which were "
                f"compared; got {metric!r}"
            )
        scores, references = scores_of(comparison, metric)
        display = cls(comparison.n_bits, scores, references=references, metric=metric)
        return display.plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        hasher: Any,
        X: Any,
        y: Any = None,
        *,
        n_bits: Any = (16, 32, 64),
        splits: Any = 3,
        metric: str = "map",
        references: Any = ("cosine", "euclidean"),
        random_state: int | None = 0,
        n_jobs: int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> CodeLengthDisplay:
        """Fit one hasher or several at each length, and draw.

        Parameters
        ----------
        hasher : estimator, list of estimators, or dict of str to estimator
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
        n_bits : sequence of int, default=(16, 32, 64)
        splits : int or iterable, default=3
        metric : str, default='map'
        references : sequence of str, default=('cosine', 'euclidean')
        random_state : int or None, default=0
        n_jobs : int or None, default=None
            All as in :func:`sklhash.model_selection.compare_hashers`.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : CodeLengthDisplay

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ
        >>> from sklhash.displays import CodeLengthDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> display = CodeLengthDisplay.from_estimator(
        ...     ITQ(), X, y, n_bits=(8, 16), splits=2)
        """
        from sklhash.model_selection import compare_hashers

        check_can_plot(f"{cls.__name__}.from_estimator", ax)
        comparison = compare_hashers(
            hasher,
            X,
            y,
            n_bits=n_bits,
            splits=splits,
            metrics=[metric],
            references=references,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        return cls.from_comparison(comparison, metric, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        n_bits: Any,
        scores: Mapping[str, Any],
        *,
        references: Mapping[str, Any] | None = None,
        metric: str = "map",
        ax: Any = None,
        **kwargs: Any,
    ) -> CodeLengthDisplay:
        """Draw scores that are there already.

        Parameters
        ----------
        n_bits : sequence of int
        scores : dict of str to array-like of shape (n_lengths,) or (n_lengths, n_runs)
        references : dict of str to array-like of shape (n_runs,), default=None
        metric : str, default='map'
            All as in the constructor.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : CodeLengthDisplay

        Examples
        --------
        >>> from sklhash.displays import CodeLengthDisplay
        >>> display = CodeLengthDisplay.from_predictions(
        ...     [16, 32], {"ITQ": [0.51, 0.61], "PCA": [0.48, 0.45]})
        """
        check_can_plot(f"{cls.__name__}.from_predictions", ax)
        display = cls(n_bits, scores, references=references, metric=metric)
        return display.plot(ax, **kwargs)
