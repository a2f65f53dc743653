"""Scores of the rankings of a gallery in shards: each counts, and counts add up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sklhash._sklearn import StrOptions, validate_params
from sklhash.codes import PackedCodes
from sklhash.hamming import possible_distances
from sklhash.metrics._closed_forms import RankSums
from sklhash.metrics._measures import Rules, parse_metrics
from sklhash.metrics._scores import (
    CODE_DISTANCE,
    DEFAULT_METRICS,
    RULES,
    check_weight,
    score_block,
    summarize,
)
from sklhash.metrics._sources import BLOCK_CELLS, SCORED_CELLS, CodePairs
from sklhash.metrics._tie_groups import TIES, groups_from_histograms
from sklhash.metrics.labels import check_grades, check_labels, encode_labels, n_grades
from sklhash.workers import call_in_workers

from ._shards import Shard, Sharded, open_shard

#: Blocks of counts, each of `BLOCK_CELLS`, that all shards together give at once.
COUNTED_BLOCKS = 16


@validate_params(
    {
        **RULES,
        **CODE_DISTANCE,
        "metrics": [str, "array-like"],
        "ties": [StrOptions(set(TIES) - {"index"})],
        "per_query": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def score_shards(
    queries: Any,
    shards: Iterable[Shard],
    y_query: Any,
    y_shards: Iterable[Any],
    *,
    code_distance: str = "hamming",
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    ties: str = "expected",
    normalize: str = "min",
    no_relevant: str = "omit",
    per_query: bool = False,
    sample_weight: Any = None,
    n_jobs: int | None = None,
) -> dict[str, Any]:
    """Score the rankings of a gallery that is cut into shards.

    Each shard counts its items by distance and shared labels, as one task of joblib's
    backend in force (see :func:`search_shards`); the counts are added up and scored
    here. Of many queries some are sent after the others, so that counts of all shards
    stay within about 256 MB, or what a few queries need.

    Parameters
    ----------
    queries : PackedCodes, or array-like of shape (n_queries, n_bits)
        A bit is set where the value is ``> 0``.
    shards : iterable of PackedCodes or path
        Paths of files that :meth:`PackedCodes.save` wrote.
    y_query : {array-like, sparse matrix} of shape (n_queries,) or \
            (n_queries, n_labels)
        As in :func:`~sklhash.metrics.retrieval_scores`.
    y_shards : iterable of {array-like, sparse matrix}
        Labels of each shard, in the form of `y_query`.
    code_distance : {'hamming', 'spherical'}, default='hamming'
    metrics, normalize, no_relevant, per_query, sample_weight
        As in :func:`~sklhash.metrics.retrieval_scores`.
    ties : {'expected', 'optimistic', 'pessimistic'}, default='expected'
        The same; ``'index'`` needs the ranking itself.
    n_jobs : int, default=None
        Tasks at a time, as in joblib.

    Returns
    -------
    scores : dict
        As :func:`~sklhash.metrics.retrieval_scores` gives for the shards'
        concatenation: of Hamming distances to the last bit; of spherical ones but for
        rounding, as it sums them in other groups.

    Raises
    ------
    ValueError
        If codes or labels do not fit each other, a file holds no codes, or no query has
        a relevant item.

    See Also
    --------
    sklhash.metrics.relevance_histograms : The counts of one gallery.

    Examples
    --------
    >>> from sklhash import PackedCodes, score_shards
    >>> shards = [
    ...     PackedCodes.from_codes([[0, 1]]),
    ...     PackedCodes.from_codes([[1, 1], [1, 1]]),
    ... ]
    >>> score_shards([[0, 1]], shards, [7], [[7], [7, 8]], metrics="map")
    {'map': 0.916..., 'queries_without_relevant': 0}
    """
    parsed = parse_metrics(metrics)
    checked = Sharded.from_input(queries, shards, code_distance)
    labels, y_shards = _check_labels(y_query, y_shards, checked)
    weight = check_weight(sample_weight, len(checked.queries))
    rules = Rules(ties, normalize, RankSums.up_to(sum(checked.sizes)))
    distance = possible_distances(checked.n_bits, metric=code_distance)[None]
    blocks = [
        score_block(groups_from_histograms(counts, distance, ties), parsed, rules)
        for counts in _counts(checked, labels, y_shards, code_distance, n_jobs)
    ]
    return summarize(blocks, parsed, no_relevant, per_query, weight)


def _counts(
    checked: Sharded,
    labels: Any,
    y_shards: Sequence[Any],
    code_distance: str,
    n_jobs: int | None,
) -> Iterator[NDArray[np.int64]]:
    """Count the items of all shards, some queries after the others.

    Queries are cut where `retrieval_scores` cuts them, so that sums are rounded alike.
    """
    grades = n_grades(labels)
    parts = [
        (shard, checked.n_bits, y_shard, grades, code_distance)
        for shard, y_shard in zip(checked.shards, y_shards, strict=True)
        if y_shard.shape[0]
    ]
    n_cells = possible_distances(checked.n_bits, metric=code_distance).size * grades
    block = max(1, BLOCK_CELLS // n_cells)
    scored = max(1, SCORED_CELLS // n_cells)
    for rows in _rounds(len(checked.queries), block, scored, len(parts)):
        asked = checked.queries[rows], labels[rows]
        tasks = [(*asked, *part) for part in parts]
        counts = sum(call_in_workers(_count_in_shard, tasks, n_jobs))
        for start in range(0, len(counts), block):
            counted = counts[start : start + block]
            for unit in gen_batches(len(counted), scored):
                yield counted[unit]


def _rounds(n_queries: int, block: int, scored: int, n_parts: int) -> Iterator[slice]:
    """Cut the queries into rounds whose counts, of all shards, fit into memory.

    The cuts are among those of blocks, and within a block of what is scored together.
    """
    if n_parts <= COUNTED_BLOCKS:
        yield from gen_batches(n_queries, block * (COUNTED_BLOCKS // n_parts))
        return
    each = scored * max(1, block * COUNTED_BLOCKS // (scored * n_parts))
    for start in range(0, n_queries, block):
        for rows in gen_batches(min(block, n_queries - start), each):
            yield slice(start + rows.start, start + rows.stop)


def _count_in_shard(
    queries: NDArray[np.uint8],
    labels: Any,
    shard: Shard,
    n_bits: int,
    y_shard: Any,
    grades: int,
    code_distance: str,
) -> NDArray[np.int64]:
    codes = PackedCodes(queries, n_bits)
    pairs = CodePairs.from_input(
        codes, open_shard(shard), labels, y_shard, False, code_distance
    )
    return pairs._replace(n_grades=grades).histograms()  # of all queries, not of these


def _check_labels(
    y_query: Any, y_shards: Iterable[Any] | None, checked: Sharded
) -> tuple[Any, list[Any]]:
    """Check labels against the codes, and those of the shards against the queries'."""
    labels, n_queries = check_labels(y_query, "y_query"), len(checked.queries)
    if labels.shape[0] != n_queries:
        raise ValueError(
            "queries and y_query must have one row an item; got "
            f"{n_queries} and {labels.shape[0]} rows"
        )
    check_grades(n_grades(labels) - 1)
    given = [] if y_shards is None else list(y_shards)
    if len(given) != len(checked.sizes):
        raise ValueError(
            "y_shards must hold the labels of each shard; got those of "
            f"{len(given)}, and {len(checked.sizes)} shards"
        )
    if not sum(checked.sizes):
        raise ValueError("shards hold 0 codes while a minimum of 1 is required")
    each = [check_labels(y, f"y_shards[{i}]") for i, y in enumerate(given)]
    for place, (y, size) in enumerate(zip(each, checked.sizes, strict=True)):
        _check_shard_labels(labels, y, size, place)
    return labels, each


def _check_shard_labels(labels: Any, y: Any, size: int, place: int) -> None:
    if y.shape[0] != size:
        raise ValueError(
            f"y_shards[{place}] must label the {size} codes of its shard; got "
            f"{y.shape[0]} rows"
        )
    if size:
        encode_labels(labels, y)  # refuses labels that cannot be compared
