"""A comparison as text for terminals, and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ._comparison import HasherComparison

#: What stands where there is no score.
NONE = "–"

#: Which times the tables show.
TIMES = "times at the longest code"

#: Only lines and weights, in the colour of the text: for any background.
STYLE = """
.sklhash-comparison {border-collapse: collapse; margin: 0.5em 0; color: inherit}
.sklhash-comparison caption {text-align: left; padding-bottom: 0.5em; color: inherit}
.sklhash-comparison th, .sklhash-comparison td {
  padding: 0.25em 0.8em; text-align: right; background: none; color: inherit; border: 0}
.sklhash-comparison tbody th {
  text-align: left; font-weight: normal; white-space: nowrap}
.sklhash-comparison thead th:first-child {text-align: left}
.sklhash-comparison thead th {vertical-align: bottom}
.sklhash-comparison tbody td {white-space: nowrap}
.sklhash-comparison .metric th {
  font-weight: bold; border-top: 1px solid currentColor; padding-top: 0.6em}
.sklhash-comparison .floats {text-align: center}
.sklhash-comparison small {opacity: 0.7; font-weight: normal; font-size: 0.9em}
.sklhash-comparison tfoot td {
  text-align: left; opacity: 0.8; border-top: 1px solid currentColor}
"""

Rows = dict[tuple[str, int | None], dict[str, Any]]


def text_table(comparison: HasherComparison, metric: str) -> str:
    """Format one metric: a row a hasher, a column a code length.

    Parameters
    ----------
    comparison : HasherComparison
    metric : str

    Returns
    -------
    str
    """
    titles = ["hasher", *_lengths(comparison)]
    return "\n".join(_align([titles], _scores(comparison, metric)))


def text_report(comparison: HasherComparison) -> str:
    """Format the first metric, with the data, references, times and footnotes.

    Parameters
    ----------
    comparison : HasherComparison

    Returns
    -------
    str
    """
    metric = comparison.metrics[0]
    titles = [
        ["hasher", *_lengths(comparison), "fit", "encode"],
        ["", *_sizes(comparison)],
    ]
    hashers = map(list.__add__, _scores(comparison, metric), _times(comparison))
    lines = [
        header(comparison),
        f"{metric_title(comparison, metric)}; {TIMES}",
        "",
        *_align(titles, [*hashers, *_references(comparison, metric)]),
    ]
    notes = footnotes(comparison)
    return "\n".join([*lines, *([""] if notes else []), *notes])


def header(comparison: HasherComparison) -> str:
    """Say in one line what was compared on.

    Parameters
    ----------
    comparison : HasherComparison

    Returns
    -------
    str
    """
    data = comparison.data
    sizes = [f"{data['n_gallery']:,} gallery rows", f"{data['n_queries']:,} queries"]
    if data["n_train"] != data["n_gallery"]:
        sizes.insert(0, f"{data['n_train']:,} rows learned from")
    if data["n_features"]:
        sizes.append(f"{data['n_features']:,} features")
    return f"{', '.join(sizes)}; relevant: {data['relevance']}; ties: {data['ties']}"


def metric_title(comparison: HasherComparison, metric: str) -> str:
    """Name a metric and say what is averaged.

    Parameters
    ----------
    comparison : HasherComparison
    metric : str

    Returns
    -------
    str
    """
    if comparison.n_splits == 1:
        return f"{metric}, one split"
    return f"{metric}, mean ±s.d. over {comparison.n_splits} splits"


def footnotes(comparison: HasherComparison) -> list[str]:
    """Say what is missing, and why.

    Parameters
    ----------
    comparison : HasherComparison

    Returns
    -------
    list of str
    """
    notes, rows = [], comparison.summary()
    if not comparison.complete:
        n_runs = len(rows) * comparison.n_splits
        notes.append(f"Stopped after {len(comparison.records)} of {n_runs} runs.")
    if any(0 < row["n_runs"] < comparison.n_splits for row in rows):
        notes.append("* the mean of fewer splits")
    failed: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["error"] is not None:
            key = row["hasher"], " ".join(row["error"].split())
            failed.setdefault(key, []).append(str(row["n_bits"]))
    for (name, message), lengths in failed.items():
        notes.append(f"{NONE} {name}, {', '.join(lengths)} bits: {_shorten(message)}")
    without = comparison.data["queries_without_relevant"]
    if without:
        notes.append(f"{without:,} queries without a relevant row are left out.")
    return notes


def _shorten(text: str, width: int = 200) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _by_method(comparison: HasherComparison) -> Rows:
    return {(row["hasher"], row["n_bits"]): row for row in comparison.summary()}


def _lengths(comparison: HasherComparison) -> list[str]:
    return ["1 bit" if n == 1 else f"{n} bits" for n in comparison.n_bits]


def _sizes(comparison: HasherComparison) -> list[str]:
    sizes = (-(-n // 8) for n in comparison.n_bits)
    return ["1 byte" if n == 1 else f"{n} bytes" for n in sizes]


def _cell(row: dict[str, Any], metric: str, n_splits: int) -> str:
    if np.isnan(row[metric]):
        return NONE
    # One run has no spread, however many were planned.
    spread = f" ±{row[f'{metric}_sd']:.3f}" if row["n_runs"] > 1 else ""
    return f"{row[metric]:.3f}{spread}{'*' if row['n_runs'] < n_splits else ''}"


def _scores(comparison: HasherComparison, metric: str) -> list[list[str]]:
    """Give a hasher's name and its scores at all code lengths, for each hasher."""
    rows, n_splits = _by_method(comparison), comparison.n_splits
    return [
        [name, *(_cell(rows[name, n], metric, n_splits) for n in comparison.n_bits)]
        for name in comparison.hashers
    ]


def _times(comparison: HasherComparison) -> list[list[str]]:
    """Seconds to fit and to encode, at the longest code that there is."""
    rows, times = _by_method(comparison), []
    for name in comparison.hashers:
        there = [n for n in comparison.n_bits if rows[name, n]["n_runs"]]
        row = rows[name, max(there)] if there else None
        columns = ("fit_time", "encode_time")
        times.append([NONE if row is None else _seconds(row[c]) for c in columns])
    return times


def _seconds(value: float) -> str:
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 3}f} s"


def _references(comparison: HasherComparison, metric: str) -> Iterator[list[str]]:
    """Give rows for the distances of floats, under a title with their size."""
    rows = _by_method(comparison)
    for i, name in enumerate(comparison.references):
        row = rows[name, None]
        if i == 0:
            yield []
            yield ["floats", _float_size(row)]
        yield [name, _cell(row, metric, comparison.n_splits)]


def _float_size(row: dict[str, Any]) -> str:
    size = row["bytes_per_item"]
    return NONE if np.isnan(size) else f"{size:,.0f} bytes"


def _align(
    titles: Sequence[Sequence[str]], cells: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Align names left, titles in the middle, figures right."""
    n_columns = max(map(len, [*titles, *cells]))
    filled = [[*row, *[""] * (n_columns - len(row))] for row in [*titles, *cells]]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    for i, (name, *rest) in enumerate(filled):
        place = str.center if i < len(titles) else str.rjust
        texts = (place(*pair) for pair in zip(rest, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *texts]).rstrip()


def html_table(comparison: HasherComparison) -> str:
    """Render all metrics, for notebooks with light or dark backgrounds.

    Parameters
    ----------
    comparison : HasherComparison

    Returns
    -------
    str
    """
    titles = [
        f"{length}<br><small>{size}</small>"
        for length, size in zip(_lengths(comparison), _sizes(comparison), strict=True)
    ]
    columns = ["hasher", *titles, "fit", "encode"]
    head = "".join(f'<th scope="col">{title}</th>' for title in columns)
    bodies = "".join(
        _body(comparison, name, len(columns)) for name in comparison.metrics
    )
    notes = "<br>".join(map(escape, footnotes(comparison)))
    foot = f'<tfoot><tr><td colspan="{len(columns)}">{notes}</td></tr></tfoot>'
    return (
        f'<style>{STYLE}</style><div style="overflow-x: auto">'
        '<table class="sklhash-comparison">'
        f"<caption>{escape(header(comparison))}<br><small>{TIMES}</small></caption>"
        f"<thead><tr>{head}</tr></thead>{bodies}{foot if notes else ''}</table></div>"
    )


def _body(comparison: HasherComparison, metric: str, n_columns: int) -> str:
    """Rows of one metric, under its name; the best of each column bold."""
    rows = _by_method(comparison)
    title = escape(metric_title(comparison, metric))
    lines = [f'<tr class="metric"><th colspan="{n_columns}">{title}</th></tr>']
    scores, times = _scores(comparison, metric), _times(comparison)
    if metric != comparison.metrics[0]:  # once is enough
        times = [["", ""]] * len(scores)
    for (name, *cells), costs in zip(scores, times, strict=True):
        marked = [
            f"<b>{cell}</b>" if name in _best(comparison, rows, metric, n) else cell
            for cell, n in zip(cells, comparison.n_bits, strict=True)
        ]
        lines.append(_row(escape(name), [*marked, *costs]))
    for name in comparison.references:
        row = rows[name, None]
        title = f"{escape(name)} <small>(floats, {_float_size(row)})</small>"
        cell = _cell(row, metric, comparison.n_splits)
        lines.append(
            f'<tr><th scope="row">{title}</th><td class="floats" '
            f'colspan="{len(comparison.n_bits)}">{cell}</td><td></td><td></td></tr>'
        )
    return f"<tbody>{''.join(lines)}</tbody>"


def _best(
    comparison: HasherComparison, rows: Rows, metric: str, n_bits: int
) -> list[str]:
    """Hashers of the best mean, of those with the most runs: means alike in kind."""
    column = {name: rows[name, n_bits] for name in comparison.hashers}
    most = max(1, *(row["n_runs"] for row in column.values()))
    means = {k: row[metric] for k, row in column.items() if row["n_runs"] == most}
    return [name for name in means if means[name] == max(means.values())]


def _row(name: str, cells: Iterable[str]) -> str:
    data = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{name}</th>{data}</tr>'
