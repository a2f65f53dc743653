"""What a comparison says, in plain words."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from ._words import metric_in_words, score_in_words

Row = dict[str, Any]
#: That of `HasherComparison.interval`.
LEVEL = "95\N{NO-BREAK SPACE}%"


class Answer(NamedTuple):
    """The method to take, and why.

    Parameters
    ----------
    hasher : str or None
        None if nothing has a score.
    n_bits : int
    sentences : list of str
        The first one is the answer, the others say how sure it is.
    """

    hasher: str | None
    n_bits: int
    sentences: list[str]


def find_answer(comparison: Any, row_bytes: int) -> Answer:
    """Say which method is best, and with how few bits.

    Parameters
    ----------
    comparison : HasherComparison
    row_bytes : int
        Memory of a row of floats.

    Returns
    -------
    answer : Answer
    """
    from sklhash.model_selection import fewest_bits

    metric = comparison.metrics[0]
    rows = [row for row in comparison.summary() if row[metric] == row[metric]]
    coded = [row for row in rows if row["n_bits"] is not None]
    if not coded:
        return Answer(None, 0, ["No hasher has a score yet."])
    best = max(coded, key=lambda row: row[metric])
    few = fewest_bits(comparison, best["hasher"])
    sentences = [_headline(best, metric, row_bytes) + _others(best, rows, metric)]
    if best["n_runs"] > 1 and len(comparison.n_bits) > 1:
        sentences.append(_fewest(best, few, coded, metric))
    # Intervals take seconds, which whoever has stopped the comparison will not wait.
    for n_bits in comparison.n_bits if comparison.complete else ():
        at_length = [row for row in coded if row["n_bits"] == n_bits]
        if len(at_length) > 1:
            sentences.append(_at_length(comparison, at_length, metric))
    return Answer(best["hasher"], few, sentences)


def ranked(rows: list[Row], metric: str) -> list[Row]:
    """Order rows by a score, the best first."""
    return sorted(rows, key=lambda row: -row[metric])


def _headline(best: Row, metric: str, row_bytes: int) -> str:
    size = int(best["bytes_per_item"])
    return (
        f"Best: {best['hasher']} with {best['n_bits']} bits, {metric_in_words(metric)} "
        f"{_score(best, metric)}, in {size} byte{'s' * (size > 1)} a row instead of "
        f"{row_bytes:,} ({row_bytes / size:.3g} times less)."
    )


def _others(best: Row, rows: list[Row], metric: str) -> str:
    """Compare with the floats, and with planes that learn nothing."""
    parts = [
        f"{row['hasher']} distance of the floats {score_in_words(row[metric])}"
        for row in rows
        if row["n_bits"] is None
    ]
    parts += [
        f"random hyperplanes {score_in_words(row[metric])}"
        for row in rows
        if row["hasher"] == "lsh" != best["hasher"] and row["n_bits"] == best["n_bits"]
    ]
    return f" For comparison: {', '.join(parts)}." if parts else ""


def _fewest(best: Row, few: int, coded: list[Row], metric: str) -> str:
    if few == best["n_bits"]:
        return (
            f"No shorter code of {best['hasher']} comes within one standard error of "
            "that."
        )
    row = next(r for r in coded if (r["hasher"], r["n_bits"]) == (best["hasher"], few))
    return (
        f"{few} bits of {best['hasher']} are the fewest within one standard error of "
        f"that: {_score(row, metric)}, in {int(row['bytes_per_item'])} bytes."
    )


def _at_length(comparison: Any, rows: list[Row], metric: str) -> str:
    """Name the best of one code length, and how far it is from the second."""
    first, second = ranked(rows, metric)[:2]
    text = (
        f"At {first['n_bits']} bits: {first['hasher']} {_score(first, metric)}, then "
        f"{second['hasher']} {_score(second, metric)}"
    )
    methods = [(row["hasher"], row["n_bits"]) for row in (first, second)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few queries: the interval says so
            interval = comparison.interval(*methods)
    except ValueError:  # fewer than two queries with scores of both
        return f"{text}."
    ends = f"{score_in_words(interval.low)} to {score_in_words(interval.high)}"
    if interval.low != interval.low:
        return f"{text}."
    if interval.low <= 0:
        return (
            f"{text}; the {interval.n_queries:,} queries cannot tell them apart "
            f"({LEVEL} interval of the difference {ends})."
        )
    return (
        f"{text}; over the choice of queries the difference is {ends} ({LEVEL} "
        f"interval, {interval.n_queries:,} queries)."
    )


def _score(row: Row, metric: str) -> str:
    sd = row[f"{metric}_sd"] if row["n_runs"] > 1 else None
    return score_in_words(row[metric], sd)
