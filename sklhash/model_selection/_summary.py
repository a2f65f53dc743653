"""Means and spreads of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Record = dict[str, Any]

#: What is averaged over runs besides the metrics.
COSTS = ("fit_time", "encode_time", "bytes_per_item")


def summarize(
    records: Iterable[Record],
    methods: Sequence[tuple[str, int | None]],
    metrics: Sequence[str],
) -> list[Record]:
    """Average the runs of each method.

    Parameters
    ----------
    records : iterable of dict
        One a run, as in :class:`HasherComparison`.
    methods : sequence of tuple (name, n_bits)
        A row is made of each, whether it has been run or not.
    metrics : sequence of str

    Returns
    -------
    rows : list of dict
        As from :meth:`HasherComparison.summary`.
    """
    runs: dict[tuple[str, int | None], list[Record]] = {key: [] for key in methods}
    for record in records:
        runs[record["hasher"], record["n_bits"]].append(record)
    return [
        {"hasher": name, "n_bits": n_bits, **_average(runs[name, n_bits], metrics)}
        for name, n_bits in methods
    ]


def _average(runs: list[Record], metrics: Sequence[str]) -> Record:
    good = [run for run in runs if run["error"] is None]
    errors = [run["error"] for run in runs if run["error"] is not None]
    row: Record = {}
    for metric in metrics:
        values = np.array([run[metric] for run in good])
        row[metric] = float(values.mean()) if good else np.nan
        row[f"{metric}_sd"] = float(values.std()) if good else np.nan
    for cost in COSTS:
        row[cost] = float(np.mean([run[cost] for run in good])) if good else np.nan
    return {**row, "n_runs": len(good), "error": errors[0] if errors else None}
