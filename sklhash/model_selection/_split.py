"""Rows to learn from, to search in and to search for: at random, or as papers do."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklhash.metrics.labels import check_labels

from ._per_class import draw_per_class, gallery_without
from ._protocols import find_protocol
from ._row_numbers import Rows, check_count, check_rows, count_rows, own_generator

#: Queries if nobody says how many: a fifth of the rows, but no more than so many.
MAX_QUERIES = 1000


class RetrievalSplit(NamedTuple):
    """Row numbers to learn from, to search in and to search for.

    No query is in the gallery or among the rows that are learned from.

    Parameters
    ----------
    train : ndarray of shape (n_train,), dtype intp
        Rows to learn from: the gallery, or part of it.
    gallery : ndarray of shape (n_gallery,), dtype intp
        Rows to search in, the papers' database.
    query : ndarray of shape (n_queries,), dtype intp
        Rows to search for.

    See Also
    --------
    retrieval_split : Draw one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklhash.model_selection import RetrievalSplit
    >>> split = RetrievalSplit(np.arange(50), np.arange(90), np.arange(90, 100))
    >>> [len(rows) for rows in split]
    [50, 90, 10]
    """

    train: Rows
    gallery: Rows
    query: Rows


def first_alike(splits: Sequence[RetrievalSplit]) -> list[int]:
    """Find, for each split, the first one of the same gallery and queries.

    Parameters
    ----------
    splits : sequence of RetrievalSplit

    Returns
    -------
    places : list of int
    """

    def same(i: int, j: int) -> bool:
        return all(
            np.array_equal(getattr(splits[i], part), getattr(splits[j], part))
            for part in ("query", "gallery")
        )

    return [next(j for j in range(i + 1) if same(i, j)) for i in range(len(splits))]


def retrieval_split(
    X: Any,
    y: Any = None,
    *,
    protocol: str | None = None,
    n_queries: int | float | None = None,
    n_train: int | None = None,
    per_class: bool = False,
    query_pool: Any = None,
    random_state: Any = None,
) -> RetrievalSplit:
    """Split rows into queries, a gallery, and rows of the gallery to learn from.

    All rows but the queries are the gallery.

    Parameters
    ----------
    X : array-like, sparse matrix, frame or PackedCodes of shape (n_samples, ...)
        Only the number of rows matters; none is read.
    y : array-like of shape (n_samples,), or {array-like, sparse matrix} of shape \
            (n_samples, n_labels), default=None
        Classes, or an indicator matrix. By classes the queries are stratified: drawn
        as by ``train_test_split(..., stratify=y)``, unless a class has a single row or
        there are fewer queries than classes.
    protocol : {'cifar10-1k', 'cifar10-10k', 'nus21'}, default=None
        A split of the literature, in place of `n_queries`, `n_train` and `per_class`:

        - ``'cifar10-1k'``: 100 queries and 500 rows to learn from of each of the ten
          classes: 1,000 / 5,000 / rest.
        - ``'cifar10-10k'``: 1,000 queries of each class, and 5,000 rows to learn from,
          drawn in the gallery whatever their class: 10,000 / 5,000 / 50,000. The papers
          take the standard test part as queries: say so by `query_pool`.
        - ``'nus21'``: 100 queries and 500 rows to learn from of each of the 21 labels:
          2,100 / 10,500 / rest.

    n_queries : int or float, default=None
        A number of rows, or a share of them between 0 and 1. None for a fifth, but
        1,000 at most. With `per_class` a number for each class or label.
    n_train : int, default=None
        Rows to learn from, drawn in the gallery whatever their class. None for the
        whole gallery. With `per_class` a number for each class or label.
    per_class : bool, default=False
        Take as many rows of each class. Of an indicator matrix, from the rarest label
        to the most frequent, rows that hold it and are not yet taken; how the authors
        of the papers treat rows with several labels is not known, so this rule is ours.
    query_pool : array-like of int of shape (n_pool,), default=None
        Rows that queries are drawn from, such as the standard test part. The rest of
        it goes to the gallery. None for all rows.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    split : RetrievalSplit
        Row numbers, in ascending order where they are drawn by class, by protocol or
        from a pool, else in that of ``train_test_split``.

    Raises
    ------
    ValueError
        If a number is out of range, a class or label has too few rows, with `per_class`
        none of a class are left to search in, `y` does not fit the protocol, or
        arguments exclude each other.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash.model_selection import retrieval_split
    >>> X, y = load_digits(return_X_y=True)
    >>> train, gallery, query = retrieval_split(
    ...     X, y, n_queries=10, n_train=50, per_class=True, random_state=0)
    >>> len(train), len(gallery), len(query)
    (500, 1697, 100)
    """
    n_samples = count_rows(X)
    labels = None if y is None else check_labels(y)
    if labels is not None and labels.shape[0] != n_samples:
        raise ValueError(
            f"y must have one row a row of X; got {labels.shape[0]} and {n_samples}"
        )
    if not isinstance(per_class, bool | np.bool_):
        raise TypeError(f"per_class must be True or False; got {per_class!r}")
    rng = own_generator(random_state)
    pool = _check_pool(query_pool, n_samples)
    if protocol is not None:
        if n_queries is not None or n_train is not None or per_class:
            raise ValueError(
                f"protocol={protocol!r} says how many rows are taken: leave out "
                "n_queries, n_train and per_class"
            )
        rules = find_protocol(protocol, labels)
        n_queries, n_train = rules.n_queries, rules.n_train
        per_class, train_per_class = True, rules.train_per_class
    else:
        train_per_class = per_class
    if per_class:
        query = draw_per_class(pool, labels, n_queries, "n_queries", rng)
        gallery = gallery_without(query, labels, int(n_queries or 0))
    else:
        number = _check_n_queries(n_queries, n_samples, len(pool))
        gallery, query = _draw_queries(
            n_samples, pool, labels, number, query_pool is None, rng
        )
    return RetrievalSplit(
        _draw_train(gallery, labels, n_train, train_per_class, rng), gallery, query
    )


def _check_pool(query_pool: Any, n_samples: int) -> Rows:
    if query_pool is None:
        return np.arange(n_samples)
    pool = check_rows(query_pool, "query_pool", n_samples)
    return np.sort(pool)


def _check_n_queries(n_queries: Any, n_samples: int, n_pool: int) -> int:
    """Give the number of queries; at least one row must be left for the gallery."""
    if n_queries is None:
        return min(-(-n_samples // 5), MAX_QUERIES, n_pool)
    number = n_queries
    if isinstance(number, Real) and not isinstance(number, Integral):
        share = float(number)
        if not 0 < share < 1:
            raise ValueError(
                "n_queries must be a number of rows, or a share of them between 0 and "
                f"1; got {n_queries}"
            )
        number = int(np.ceil(share * n_samples))
    number = check_count(number, "n_queries")
    if number > n_pool or number >= n_samples:
        raise ValueError(
            f"n_queries={n_queries} asks for {number} queries; there are {n_samples} "
            f"rows, of which {n_pool} may be queries and at least one must be left for "
            "the gallery"
        )
    return number


def _draw_queries(
    n_samples: int,
    pool: Rows,
    labels: Any,
    n_queries: int,
    everywhere: bool,
    rng: np.random.RandomState,
) -> tuple[Rows, Rows]:
    """Draw queries, and give the other rows and them."""
    from sklearn.model_selection import train_test_split  # loads sklearn.metrics

    if n_queries == len(pool):
        return np.setdiff1d(np.arange(n_samples), pool), pool
    classes = None
    if labels is not None and not issparse(labels):
        # Numbers in place of classes: scikit-learn does not know all of NumPy's types.
        _, classes, counts = np.unique(
            labels[pool], return_inverse=True, return_counts=True
        )
        if counts.min() < 2 or len(counts) > min(n_queries, len(pool) - n_queries):
            classes = None
    rest, query = train_test_split(
        pool, test_size=n_queries, stratify=classes, random_state=rng
    )
    if everywhere:
        return rest, query
    return np.setdiff1d(np.arange(n_samples), query), np.sort(query)


def _draw_train(
    gallery: Rows,
    labels: Any,
    n_train: int | None,
    per_class: bool,
    rng: np.random.RandomState,
) -> Rows:
    if n_train is None:
        return gallery
    if per_class:
        return draw_per_class(gallery, labels, n_train, "n_train", rng)
    number = check_count(n_train, "n_train")
    if number > len(gallery):
        raise ValueError(
            f"n_train={n_train} asks for more rows than the {len(gallery)} of the "
            "gallery: lower it, or leave it out to learn from all of them"
        )
    return np.sort(rng.choice(gallery, number, replace=False))
