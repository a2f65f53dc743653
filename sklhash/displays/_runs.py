"""Scores of several runs, by code length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def summarize_runs(runs: NDArray[np.float64]) -> tuple[Any, Any, Any]:
    """Give mean and standard deviation of the runs that did not fail.

    Parameters
    ----------
    runs : ndarray of shape (n_lengths, n_runs)
        NaN where a run failed.

    Returns
    -------
    mean, spread : ndarray of shape (n_lengths,)
        NaN where all failed.
    n_runs : ndarray of shape (n_lengths,), dtype int
    """
    known = np.ma.masked_invalid(runs)
    mean, spread = known.mean(axis=1), known.std(axis=1)
    return mean.filled(np.nan), spread.filled(np.nan), known.count(axis=1)


def scores_of(comparison: Any, metric: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort a comparison's records by method, length and split; NaN where none is."""
    lengths = {n: row for row, n in enumerate(comparison.n_bits)}
    scores = {
        name: np.full((len(lengths), comparison.n_splits), np.nan)
        for name in comparison.hashers
    }
    references = {
        name: np.full(comparison.n_splits, np.nan) for name in comparison.references
    }
    for record in comparison.records:
        name, n_bits, split = (record[key] for key in ("hasher", "n_bits", "split"))
        value = record.get(metric, np.nan)
        if n_bits is None:
            references[name][split] = value
        else:
            scores[name][lengths[n_bits], split] = value
    return scores, {
        f"{name} (floats)": runs
        for name, runs in references.items()
        if not np.isnan(runs).all()
    }


def check_scores(n_bits: Any, scores: Any) -> tuple[Any, dict[str, Any]]:
    """Take lengths and scores as arrays, a column a run."""
    lengths = np.asarray(n_bits)
    if lengths.ndim != 1 or not lengths.size or not (lengths >= 1).all():
        raise ValueError(f"n_bits must list code lengths >= 1; got {n_bits!r}")
    if not isinstance(scores, Mapping):
        raise TypeError(
            "scores must be a dict of names to arrays, as {'ITQ': [0.5, 0.6]}; got "
            f"{type(scores).__name__}"
        )
    arrays = {name: np.asarray(runs, dtype=float) for name, runs in scores.items()}
    for name, runs in arrays.items():
        if runs.ndim not in (1, 2) or len(runs) != len(lengths) or not runs.size:
            raise ValueError(
                f"scores[{name!r}] must have a row for each of the {len(lengths)} code "
                f"lengths, and a column a run; got shape {runs.shape}"
            )
    return lengths, {name: runs.reshape(len(runs), -1) for name, runs in arrays.items()}
