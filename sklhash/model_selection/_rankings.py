"""Rankings by distances of floats, and neighbours by them, in blocks of queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_array, gen_batches
from sklearn.utils.extmath import row_norms

from sklhash._sklearn import safe_indexing
from sklhash.hamming import count_shared_labels
from sklhash.metrics import retrieval_scores
from sklhash.rows import BATCH_ROWS

from ._row_numbers import check_count, count_rows

#: Distances of floats that rows can be ranked by, dense or sparse ones, zeros or not.
FLOAT_DISTANCES = ("cityblock", "cosine", "euclidean", "l1", "l2", "manhattan")
#: Names of the same distance.
SAME_DISTANCE = {"l1": "cityblock", "manhattan": "cityblock", "l2": "euclidean"}

#: Distances computed at once: 8 MB, and about ten times that while they are scored.
BLOCK_CELLS = 2**20


class Neighbors(NamedTuple):
    """What is relevant without labels: so many nearest rows by a distance of floats."""

    number: int
    metric: str


def check_neighbors(number: Any, metric: Any, X: Any, y: Any) -> Neighbors | None:
    """Give what is relevant without labels, None with them.

    Parameters
    ----------
    number : int
    metric : str
    X, y : data of all rows

    Returns
    -------
    Neighbors or None

    Raises
    ------
    TypeError
        If the number is no integer.
    ValueError
        If it is below 1, the distance is unknown, or rows of X have none.
    """
    number = check_count(number, "n_neighbors")
    _check_distance(metric, "neighbors_metric")
    if y is not None:
        return None
    _check_floats(X, "give labels y, or the rows as numbers")
    return Neighbors(number, metric)


def check_references(
    references: Any, hashers: Iterable[str], X: Any, neighbors: Neighbors | None
) -> list[str]:
    """Give the distances of floats to rank by.

    Parameters
    ----------
    references : str or sequence of str
    hashers : iterable of str
        Names that are taken.
    X : {array-like, sparse matrix, frame} of shape (n_samples, ...)
    neighbors : Neighbors or None
        What is relevant; its own distance, which ranks perfectly, is left out.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If one is unknown, has the name of a hasher, or rows of X have no distances.
    """
    names = [references] if isinstance(references, str) else list(references or ())
    for name in names:
        _check_distance(name, "references")
        if name in hashers:
            raise ValueError(
                f"a hasher and a reference are both called {name!r}: rename the hasher"
            )
    if names and neighbors is None:
        _check_floats(X, "leave them out by references=()")
    own = None if neighbors is None else _plain(neighbors.metric)
    return [name for name in dict.fromkeys(names) if _plain(name) != own]


def _plain(metric: str) -> str:
    return SAME_DISTANCE.get(metric, metric)


def _check_distance(name: Any, argument: str) -> None:
    if name not in FLOAT_DISTANCES:
        raise ValueError(
            f"{argument} must name distances of floats, of "
            f"{', '.join(map(repr, FLOAT_DISTANCES))}; got {name!r}"
        )


def _check_floats(X: Any, way_out: str) -> None:
    """Refuse rows that are no finite numbers, before anything is fitted to them."""
    try:
        for rows in gen_batches(count_rows(X), BATCH_ROWS):
            as_float_rows(safe_indexing(X, rows))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"rows of X have no distances as floats: {way_out}. {error}"
        ) from error


def as_float_rows(X: Any) -> Any:
    """Give rows as floats, two-dimensional: images become long rows.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_samples, ...)

    Returns
    -------
    rows : {ndarray, CSR matrix} of shape (n_samples, n_features), dtype float32 or \
            float64

    Raises
    ------
    ValueError
        If they are no finite numbers, or their distances would be none.
    """
    if not issparse(X):
        X = np.asarray(X)
        X = X.reshape(len(X), -1) if X.ndim > 2 else X
    rows = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
    with np.errstate(over="ignore"):
        # A distance's square is no larger than four times that of the largest norm.
        largest = 4 * row_norms(rows, squared=True).max()
    if not np.isfinite(largest):
        raise ValueError(
            "X holds values so large that distances overflow: scale them down"
        )
    return rows


def distance_blocks(
    queries: Any, gallery: Any, metric: str
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Give distances of some queries after the others, in bounded memory.

    Parameters
    ----------
    queries, gallery : {ndarray, CSR matrix} of shape (n_rows, n_features)
        As from :func:`as_float_rows`.
    metric : str
        Of :func:`sklearn.metrics.pairwise_distances`.

    Yields
    ------
    rows : slice
        Places of the queries.
    distances : ndarray of shape (n_rows, n_gallery)
    """
    from sklearn.metrics import pairwise_distances  # heavy: loaded where it is called

    size = max(1, BLOCK_CELLS // gallery.shape[0])
    for rows in gen_batches(queries.shape[0], size):
        yield rows, pairwise_distances(queries[rows], gallery, metric=metric)


def float_neighbors(queries: Any, gallery: Any, neighbors: Neighbors) -> csr_array:
    """Find the nearest gallery rows; of equally distant ones the first.

    Parameters
    ----------
    queries, gallery : {ndarray, CSR matrix} of shape (n_rows, n_features)
    neighbors : Neighbors
        At most as many as there are gallery rows.

    Returns
    -------
    relevance : csr_array of shape (n_queries, n_gallery), dtype float32
        Ones at so many places of each row.
    """
    number, metric = neighbors
    positions = [
        np.nonzero(_nearest(distances, number))[1]
        for _, distances in distance_blocks(queries, gallery, metric)
    ]
    indices = np.concatenate(positions)
    indptr = np.arange(0, len(indices) + 1, number)
    shape = queries.shape[0], gallery.shape[0]
    return csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=shape)


def _nearest(distances: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Mark the k smallest of each row; of equal ones those that stand first."""
    last = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearer, tied = distances < last, distances == last
    missing = k - nearer.sum(axis=1, keepdims=True)
    return nearer | (tied & (np.cumsum(tied, axis=1) <= missing))


def float_scores(
    queries: Any,
    gallery: Any,
    query_labels: Any,
    gallery_labels: Any,
    metric: str,
    **rules: Any,
) -> dict[str, NDArray[np.float64]]:
    """Score the rankings of a gallery by distances of floats.

    Parameters
    ----------
    queries, gallery : {ndarray, CSR matrix} of shape (n_rows, n_features)
    query_labels, gallery_labels : ndarray or csr_array
        As from :func:`sklhash.metrics.labels.encode_labels`.
    metric : str
        Distance to rank by.
    **rules
        `metrics`, `ties` and `normalize` of :func:`sklhash.metrics.retrieval_scores`.

    Returns
    -------
    scores : dict of str to ndarray of shape (n_queries,)
        NaN for queries without a relevant row.
    """
    blocks = [
        retrieval_scores(
            relevance=count_shared_labels(query_labels[rows], gallery_labels),
            distances=distances,
            per_query=True,
            **rules,
        )
        for rows, distances in distance_blocks(queries, gallery, metric)
    ]
    return {
        name: np.concatenate([block[name] for block in blocks])
        for name in rules["metrics"]
    }
