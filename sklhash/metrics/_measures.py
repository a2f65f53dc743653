"""The ranking measures by name, each a function of tie groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ._closed_forms import (
    RankSums,
    expected_average_precision,
    expected_dcg,
    expected_sum,
    ideal_dcg,
)
from ._tie_groups import TieGroups


class Metric(NamedTuple):
    """A metric's name, taken apart: ``"precision@r2"`` has radius 2 and no k."""

    name: str
    k: int | None
    radius: int | None

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Read ``name``, ``name@k`` or ``name@rRADIUS``.

        Parameters
        ----------
        text : str

        Returns
        -------
        Metric

        Raises
        ------
        ValueError
            If there is no such metric or its cut-off is not a positive integer.
        """
        pattern = "([a-z]+)(?:@(r?)(0|[1-9][0-9]*))?"
        match = re.fullmatch(pattern, text if isinstance(text, str) else "")
        name, in_radius, number = match.groups() if match else ("", None, None)
        known = name in MEASURES and (not in_radius or name in ("precision", "recall"))
        if not known or (number == "0" and not in_radius):
            raise ValueError(
                f"unknown metric {text!r}: use one of {', '.join(MEASURES)}, alone or "
                "with '@k' for the first k >= 1 places ('map@1000'); precision and "
                "recall also with '@rR' for all items within R bits ('precision@r2')"
            )
        value = None if number is None else int(number)
        return cls(name, None if in_radius else value, value if in_radius else None)


class Rules(NamedTuple):
    """How ranks are counted: see :func:`retrieval_scores`."""

    ties: str
    normalize: str
    sums: RankSums

    def n_places(self, metric: Metric) -> int:
        """Count the places that a metric looks at: k, or as many as there are."""
        n_ranks = len(self.sums.harmonic) - 1
        return n_ranks if metric.k is None else min(metric.k, n_ranks)


def _average_precision(groups: TieGroups, metric: Metric, rules: Rules) -> Any:
    values = groups.relevant if metric.name == "map" else groups.shared
    k = rules.n_places(metric)
    return expected_average_precision(groups, values, k, rules.normalize, rules.sums)


def _ndcg(groups: TieGroups, metric: Metric, rules: Rules) -> Any:
    k = rules.n_places(metric)
    ideal = ideal_dcg(groups, k, rules.sums)
    return expected_dcg(groups, k, rules.sums) / np.where(ideal > 0, ideal, 1)


def _precision(groups: TieGroups, metric: Metric, rules: Rules) -> Any:
    if metric.radius is not None:
        inside = groups.distance <= metric.radius
        retrieved = (groups.items * inside).sum(axis=1)
        return (groups.relevant * inside).sum(axis=1) / np.maximum(retrieved, 1)
    k = rules.n_places(metric)
    return expected_sum(groups, groups.relevant, k) / float(metric.k or k)


def _recall(groups: TieGroups, metric: Metric, rules: Rules) -> Any:
    if metric.radius is not None:
        hits = (groups.relevant * (groups.distance <= metric.radius)).sum(axis=1)
    else:
        hits = expected_sum(groups, groups.relevant, rules.n_places(metric))
    return hits / np.maximum(groups.n_relevant, 1)


def _cumulative_gain(groups: TieGroups, metric: Metric, rules: Rules) -> Any:
    k = rules.n_places(metric)
    return expected_sum(groups, groups.shared, k) / float(metric.k or k)


MEASURES: dict[str, Callable[[TieGroups, Metric, Rules], Any]] = {
    "map": _average_precision,
    "ndcg": _ndcg,
    "precision": _precision,
    "recall": _recall,
    "acg": _cumulative_gain,
    "wap": _average_precision,
}


def parse_metrics(metrics: str | Iterable[str]) -> dict[str, Metric]:
    """Parse one metric name or several.

    Parameters
    ----------
    metrics : str or iterable of str

    Returns
    -------
    dict of str to Metric

    Raises
    ------
    ValueError
        If there are none or one is unknown.
    """
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not names:
        raise ValueError("metrics is empty: name at least one, such as 'map'")
    parsed = [(name, Metric.parse(name)) for name in names]
    return {str(name): metric for name, metric in parsed}  # not NumPy's own strings
