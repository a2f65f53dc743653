"""Codes as indexes of USearch."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from sklhash._extras import require

from ._ids import check_ids

#: Arguments of `usearch.index.Index` that are the codes' own, or of another index.
NOT_OPTIONS = frozenset({"dtype", "metric", "ndim", "path", "view"})


def to_usearch(
    packed: NDArray[np.uint8], ids: Any, n_jobs: int | None, options: dict[str, Any]
) -> Any:
    """Make a graph of codes, with Hamming distances in bits.

    Parameters
    ----------
    packed : ndarray of shape (n_codes, n_bytes), dtype uint8
        Bits beyond the code length are zero in all codes, so they add nothing.
    ids : array-like of shape (n_codes,), of int >= 0, or None
    n_jobs : int or None
    options : dict
        More arguments of `usearch.index.Index`.

    Returns
    -------
    index : usearch.index.Index

    Raises
    ------
    TypeError
        If there is an option that would make it another index.
    """
    usearch = require("usearch.index", "usearch", "to_usearch")
    wrong = sorted(NOT_OPTIONS & options.keys())
    if wrong:
        raise TypeError(
            f"to_usearch makes a new index of bits: it takes no {wrong[0]!r}; what it "
            "returns has a method save"
        )
    keys = check_ids(ids, len(packed), lowest=0).astype(np.uint64)
    index = usearch.Index(
        ndim=8 * packed.shape[1],
        metric=usearch.MetricKind.Hamming,
        dtype=usearch.ScalarKind.B1,
        **options,
    )
    if len(keys):
        rows = np.ascontiguousarray(packed)
        index.add(keys, rows, threads=effective_n_jobs(n_jobs))
    return index
