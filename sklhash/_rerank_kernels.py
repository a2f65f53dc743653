"""Compiled distances of raw rows, with the order of sums that :mod:`.rerank` names.

Rows of a shortlist lie anywhere in memory, and waiting for them takes most of the time.
So a line of each is read ahead, for several pairs at a time, before any is compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .hamming._numba import jit

# Loop variables are unsigned: LLVM would handle signed ones as if they could wrap.
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
#: Bytes of a line of the cache, and of rows that are read ahead.
LINE, AHEAD = np.uint64(64), np.uint64(2**14)


@jit
def read_ahead(rows: Any, positions: Any, start: Any, stop: Any) -> Any:
    """Read every line of some rows; their sum, for the compiler to keep it."""
    n_features, step = np.uint64(rows.shape[1]), LINE // np.uint64(rows.itemsize)
    total = 0.0
    for pair in range(start, stop):
        row = np.uint64(positions[pair])
        for j in range(ZERO, n_features, step):
            total += rows[row, j]
    return total


@jit
def pairs_ahead(rows: Any) -> Any:
    """Give the number of pairs whose rows are read ahead."""
    return max(ONE, AHEAD // np.uint64(rows.shape[1] * rows.itemsize))


@jit
def add_up(terms: Any) -> Any:
    """Add the second half of the terms to the first, until one is left."""
    left = np.uint64(len(terms))
    while left > ONE:
        half = (left + ONE) // TWO
        for j in range(left - half):
            terms[j] += terms[j + half]
        left = half
    return terms[ZERO]


@jit
def fill_euclidean(
    queries: Any, rows: Any, owner: Any, positions: Any, terms: Any, out: Any
) -> Any:
    """Write the Euclidean distances of pairs of query and row.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features), dtype float64
    rows : read-only ndarray of shape (n_samples, n_features), dtype float32 or float64
    owner, positions : ndarray of shape (n_pairs,), dtype int64
        Query and row of each pair.
    terms : ndarray of shape (n_features,), dtype float64
        Workspace.
    out : ndarray of shape (n_pairs,), dtype float64

    Returns
    -------
    touched : float
        Of no meaning.
    """
    n_features, n_pairs = np.uint64(rows.shape[1]), np.uint64(len(out))
    touched, ahead = 0.0, pairs_ahead(rows)
    for start in range(ZERO, n_pairs, ahead):
        stop = min(n_pairs, start + ahead)
        touched += read_ahead(rows, positions, start, stop)
        for pair in range(start, stop):
            query, row = np.uint64(owner[pair]), np.uint64(positions[pair])
            for j in range(n_features):
                term = np.float64(rows[row, j]) - queries[query, j]
                terms[j] = term * term
            out[pair] = np.sqrt(add_up(terms))
    return touched


@jit
def fill_cosine(
    queries: Any,
    inverse: Any,
    rows: Any,
    owner: Any,
    positions: Any,
    terms: Any,
    out: Any,
) -> Any:
    """Write the cosine distances of pairs of query and row.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features), dtype float64
        Scaled to length 1.
    inverse : ndarray of shape (n_queries,), dtype float64
        What they were scaled by; 0 for zero rows.
    rows, owner, positions, terms, out
        As in :func:`fill_euclidean`.

    Returns
    -------
    touched : float
        Of no meaning.
    """
    n_features, n_pairs = np.uint64(rows.shape[1]), np.uint64(len(out))
    touched, ahead = 0.0, pairs_ahead(rows)
    for start in range(ZERO, n_pairs, ahead):
        stop = min(n_pairs, start + ahead)
        touched += read_ahead(rows, positions, start, stop)
        for pair in range(start, stop):
            query, row = np.uint64(owner[pair]), np.uint64(positions[pair])
            for j in range(n_features):
                value = np.float64(rows[row, j])
                terms[j] = value * value
            square = add_up(terms)
            if square == 0.0 or inverse[query] == 0.0:
                out[pair] = 1.0
                continue
            scale = 1.0 / np.sqrt(square)
            for j in range(n_features):
                term = np.float64(rows[row, j]) * scale - queries[query, j]
                terms[j] = term * term
            out[pair] = add_up(terms) / 2.0
    return touched
