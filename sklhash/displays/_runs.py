"""Scores of several runs, by code length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import check_mapping


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
    """Take lengths, the shortest first, and scores as arrays, a column a run."""
    lengths = _check_lengths(n_bits)
    check_mapping(scores, "scores", "{'ITQ': [0.5, 0.6]}")
    arrays = {name: np.asarray(runs, dtype=float) for name, runs in scores.items()}
    for name, runs in arrays.items():
        if runs.ndim not in (1, 2) or len(runs) != len(lengths) or not runs.size:
            raise ValueError(
                f"scores[{name!r}] must have a row for each of the {len(lengths)} code "
                f"lengths, and a column a run; got shape {runs.shape}"
            )
    order = np.argsort(lengths, kind="stable")
    return lengths[order], {
        name: runs.reshape(len(runs), -1)[order] for name, runs in arrays.items()
    }


def _check_lengths(n_bits: Any) -> NDArray[np.int64]:
    lengths = np.asarray(n_bits)
    numbers = lengths.ndim == 1 and lengths.size and lengths.dtype.kind in "iuf"
    if not numbers or not ((lengths >= 1) & (lengths % 1 == 0)).all():
        raise ValueError(
            f"n_bits must list code lengths, integers >= 1; got {n_bits!r}"
        )
    return lengths.astype(np.int64)


def check_references(references: Any, metric: Any) -> dict[str, NDArray[np.float64]]:
    """Take scores of references as vectors, and check the metric's name."""
    if not isinstance(metric, str):
        raise TypeError(f"metric must be a name, such as 'map'; got {metric!r}")
    if references is None:
        return {}
    check_mapping(references, "references", "{'cosine': [0.7]}")
    arrays = {name: np.ravel(np.asarray(r, float)) for name, r in references.items()}
    for name, runs in arrays.items():
        if not runs.size:
            raise ValueError(f"references[{name!r}] must have a score; got none")
    return arrays
