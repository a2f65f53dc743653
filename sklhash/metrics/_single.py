"""One function a measure; each is one entry of ``retrieval_scores``."""

from __future__ import annotations

from numbers import Integral
from typing import Any, TypedDict, Unpack

from ._scores import retrieval_scores


class Options(TypedDict, total=False):
    """Keyword arguments that every measure hands on to ``retrieval_scores``."""

    relevance: Any
    distances: Any
    code_distance: str
    ties: str
    normalize: str
    no_relevant: str
    exclude_self: bool
    per_query: bool
    sample_weight: Any


def _score(name: str, codes_and_labels: tuple[Any, ...], options: Options) -> Any:
    return retrieval_scores(*codes_and_labels, metrics=name, **options)[name]


def _at(name: str, k: int | None, radius: int | None = None) -> str:
    """Spell a metric with its cut-off."""
    if k is not None and radius is not None:
        raise ValueError(f"give k or radius, but not both; got {k=} and {radius=}")
    if radius is not None:
        return f"{name}@r{_check_integer('radius', radius, least=0)}"
    return name if k is None else f"{name}@{_check_integer('k', k, least=1)}"


def _check_integer(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    if int(value) < least:
        raise ValueError(f"{name} must be {least} or more; got {value}")
    return int(value)


def mean_average_precision(
    query_codes: Any = None,
    gallery_codes: Any = None,
    y_query: Any = None,
    y_gallery: Any = None,
    *,
    k: int | None = None,
    **options: Unpack[Options],
) -> Any:
    """Mean over the queries of the average precision of their rankings.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    k : int, default=None
        Score the first k places; None for the whole gallery.
    **options
        `relevance` and `distances` in place of codes and labels; `code_distance`,
        `ties`, `normalize`, `no_relevant`, `exclude_self`, `per_query`,
        `sample_weight`: as in :func:`retrieval_scores`.

    Returns
    -------
    score : float, or ndarray of shape (n_queries,) with `per_query`
        In [0, 1].

    Examples
    --------
    Three items at equal distance, one of them relevant: the mean over their orders is
    (1 + 1/2 + 1/3) / 3.

    >>> from sklhash.metrics import mean_average_precision
    >>> mean_average_precision(relevance=[[1, 0, 0]], distances=[[.3, .3, .3]])
    0.611...
    """
    codes = (query_codes, gallery_codes, y_query, y_gallery)
    return _score(_at("map", k), codes, options)


def ndcg(
    query_codes: Any = None,
    gallery_codes: Any = None,
    y_query: Any = None,
    y_gallery: Any = None,
    *,
    k: int | None = None,
    **options: Unpack[Options],
) -> Any:
    """Mean normalized discounted cumulative gain.

    The gain is ``2**shared - 1``, the discount ``1 / log2(1 + rank)``, the ideal
    ranking that of the whole gallery.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    k : int, default=None
        Score the first k places; None for the whole gallery.
    **options
        As in :func:`mean_average_precision`.

    Returns
    -------
    score : float, or ndarray of shape (n_queries,) with `per_query`
        In [0, 1].

    Examples
    --------
    >>> from sklhash.metrics import ndcg
    >>> ndcg(relevance=[[2, 0, 1]], distances=[[5, 6, 7]])
    0.963...
    """
    codes = (query_codes, gallery_codes, y_query, y_gallery)
    return _score(_at("ndcg", k), codes, options)


def precision(
    query_codes: Any = None,
    gallery_codes: Any = None,
    y_query: Any = None,
    y_gallery: Any = None,
    *,
    k: int | None = None,
    radius: int | None = None,
    **options: Unpack[Options],
) -> Any:
    """Mean relevant share of the first k places, or of all items within a radius.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    k : int, default=None
        Number of places; None for the whole gallery. Always the denominator.
    radius : int, default=None
        In bits, or a spherical distance; inclusive. A query that finds nothing counts
        as 0. Excludes `k`.
    **options
        As in :func:`mean_average_precision`.

    Returns
    -------
    score : float, or ndarray of shape (n_queries,) with `per_query`
        In [0, 1].

    Examples
    --------
    >>> from sklhash.metrics import precision
    >>> precision([[0, 0]], [[0, 1], [1, 1], [0, 0]], [1], [1, 0, 0], radius=1)
    0.5
    """
    codes = (query_codes, gallery_codes, y_query, y_gallery)
    return _score(_at("precision", k, radius), codes, options)


def recall(
    query_codes: Any = None,
    gallery_codes: Any = None,
    y_query: Any = None,
    y_gallery: Any = None,
    *,
    k: int | None = None,
    radius: int | None = None,
    **options: Unpack[Options],
) -> Any:
    """Mean share of the relevant items among the first k, or within a radius.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    k : int, default=None
        Number of places; None for the whole gallery.
    radius : int, default=None
        In bits, or a spherical distance; inclusive. Excludes `k`.
    **options
        As in :func:`mean_average_precision`.

    Returns
    -------
    score : float, or ndarray of shape (n_queries,) with `per_query`
        In [0, 1].

    Examples
    --------
    >>> from sklhash.metrics import recall
    >>> recall([[0, 0]], [[0, 1], [1, 1], [0, 0]], [1], [1, 1, 0], k=2)
    0.5
    """
    codes = (query_codes, gallery_codes, y_query, y_gallery)
    return _score(_at("recall", k, radius), codes, options)


def average_cumulative_gain(
    query_codes: Any = None,
    gallery_codes: Any = None,
    y_query: Any = None,
    y_gallery: Any = None,
    *,
    k: int | None = None,
    **options: Unpack[Options],
) -> Any:
    """Mean number of labels shared with the items in the first k places (ACG).

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    k : int, default=None
        Number of places; None for the whole gallery. Always the denominator.
    **options
        As in :func:`mean_average_precision`.

    Returns
    -------
    score : float, or ndarray of shape (n_queries,) with `per_query`
        In shared labels an item.

    Examples
    --------
    >>> from sklhash.metrics import average_cumulative_gain
    >>> average_cumulative_gain(relevance=[[2, 0, 1]], distances=[[5, 6, 7]], k=2)
    1.0
    """
    codes = (query_codes, gallery_codes, y_query, y_gallery)
    return _score(_at("acg", k), codes, options)


def weighted_average_precision(
    query_codes: Any = None,
    gallery_codes: Any = None,
    y_query: Any = None,
    y_gallery: Any = None,
    *,
    k: int | None = None,
    **options: Unpack[Options],
) -> Any:
    """Mean weighted average precision (WAP): AP with ACG in place of precision.

    Parameters
    ----------
    query_codes, gallery_codes : PackedCodes or array-like of shape (n_rows, n_bits)
        As in :func:`retrieval_scores`.
    y_query, y_gallery : {array-like, sparse matrix} of shape (n_rows,) or \
            (n_rows, n_labels)
        As in :func:`retrieval_scores`.
    k : int, default=None
        Score the first k places; None for the whole gallery.
    **options
        As in :func:`mean_average_precision`.

    Returns
    -------
    score : float, or ndarray of shape (n_queries,) with `per_query`
        In shared labels an item.

    Examples
    --------
    >>> from sklhash.metrics import weighted_average_precision
    >>> weighted_average_precision(relevance=[[2, 0, 1]], distances=[[5, 6, 7]])
    1.5
    """
    codes = (query_codes, gallery_codes, y_query, y_gallery)
    return _score(_at("wap", k), codes, options)
