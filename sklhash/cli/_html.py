"""The page of a report: one file, no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ._figures import DrawnFigure
from ._words import bytes_in_words, metric_in_words, score_in_words, seconds_in_words

if TYPE_CHECKING:
    from ._report import Report

CSS = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1e21; --quiet: #5b6068;
  --line: #d9dce1; --shade: #f4f5f7; --accent: #0b5c9e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181c; --ink: #e6e7e9; --quiet: #a2a7af; --line: #363a41;
    --shade: #1f2228; --accent: #7db9ec; }
  figure svg { filter: invert(1) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.2rem 4rem; max-width: 58rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, sans-serif;
  overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
.answer { border-left: .3rem solid var(--accent); background: var(--shade);
  padding: .8rem 1.1rem; }
.answer p { margin: 0; font-size: 1.1rem; }
.answer ul { margin: .6rem 0 0; padding-left: 1.2rem; }
.warn { border-left-color: #c4730a; margin-bottom: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; position: sticky; left: 0;
  background: var(--paper); }
thead th { color: var(--quiet); font-weight: 600; }
tbody th { font-weight: 400; }
td.best { font-weight: 700; }
td[colspan] { text-align: left; }
tr.reference * { color: var(--quiet); }
.quiet { color: var(--quiet); font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.2rem;
  margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; min-width: 0; }
figure { margin: 1rem 0 1.6rem; }
figure svg { display: block; width: 100%; height: auto; max-width: 46rem; }
figure.tall svg { max-width: 32rem; }
figcaption { color: var(--quiet); font-size: .9rem; }
pre { background: var(--shade); padding: .8rem 1rem; overflow-x: auto;
  font-size: .88rem; line-height: 1.5; }
@media (max-width: 34rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; }
  body { padding: 1rem .9rem 3rem; }
  th, td { padding-right: .6rem; }
  table { font-size: .9rem; }
}
"""

#: Class of the rows that are no codes.
REF = "reference"

#: What readers of a figure must know to compare it with another one.
TIES = {
    "expected": "the mean over all orders of equally distant rows",
    "optimistic": "relevant rows first among equally distant ones",
    "pessimistic": "relevant rows last among equally distant ones",
    "index": "equally distant rows in the gallery's order",
}
NORMALIZE = {
    "min": "AP@k is divided by min(k, relevant rows)",
    "relevant": "AP@k is divided by all relevant rows",
    "retrieved": "AP@k is divided by the relevant rows among the first k",
}


def page(report: Report, figures: Sequence[DrawnFigure]) -> str:
    """Write the whole page.

    Parameters
    ----------
    report : Report
    figures : sequence of DrawnFigure

    Returns
    -------
    html : str
    """
    title = f"Hashers compared on {report.name}"
    sections = [
        _answer(report),
        _section("Scores", "".join(_score_tables(report.comparison))),
        *(_section("Plots", "".join(map(_figure, figures))) for _ in figures[:1]),
        _section("Time and memory", _cost_table(report.comparison)),
        _section("How to go on", "".join(map(_code, report.steps)))
        if report.steps
        else "",
        _section("What was compared", _facts(report)),
        _section("Notes", _list(report.notes)) if report.notes else "",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join(sections) + "\n</body></html>\n"
    )


def _answer(report: Report) -> str:
    first, *others = report.answer.sentences
    stopped = ""
    if not report.comparison.complete:
        stopped = (
            '<div class="answer warn"><p>Stopped before the end: what '
            f"follows is of the {len(report.comparison.records)} runs that were "
            "finished.</p></div>\n"
        )
    return (
        f'{stopped}<div class="answer"><p>{escape(first)}</p>'
        f"{_list(others) if others else ''}</div>"
    )


def _score_tables(comparison: Any) -> Iterable[str]:
    rows = {(row["hasher"], row["n_bits"]): row for row in comparison.summary()}
    head = ["", *(f"{n} bits" for n in comparison.n_bits)]
    width = len(comparison.n_bits)
    runs = f"Mean ± s.d. of {comparison.n_splits} runs"
    for metric in comparison.metrics:
        body = [
            _scores_of(comparison, rows, name, metric) for name in comparison.hashers
        ]
        body += [
            _row(
                f"floats, {name}", [(_score(rows[name, None], metric), "")], REF, width
            )
            for name in comparison.references
        ]
        yield f"<h3>{escape(metric_in_words(metric))}</h3>{_table(head, body)}"
    yield f'<p class="quiet">{runs if comparison.n_splits > 1 else "One run"}. '
    failed = [row for row in rows.values() if row["error"]]
    yield "Bold: the best of a column." + "".join(
        f"<br>– {escape(row['hasher'])}, {row['n_bits']} bits: {escape(row['error'])}"
        for row in failed
    )
    if any(0 < row["n_runs"] < comparison.n_splits for row in rows.values()):
        yield "<br>* fewer runs than of the others"
    yield "</p>"


def _scores_of(comparison: Any, rows: Any, name: str, metric: str) -> str:
    cells = []
    for n_bits in comparison.n_bits:
        row = rows[name, n_bits]
        best = max(_or_least(rows[h, n_bits][metric]) for h in comparison.hashers)
        few = 0 < row["n_runs"] < comparison.n_splits
        text = _score(row, metric) + "*" * few
        cells.append((text, "best" if row[metric] == best else ""))
    return _row(name, cells)


def _cost_table(comparison: Any) -> str:
    head = ["", "bytes a row", "a million rows", "fit", "encode a row"]
    body = []
    for row in comparison.summary():
        size, is_float = row["bytes_per_item"], row["n_bits"] is None
        if size != size:
            continue
        cells = [f"{size:,.0f}", bytes_in_words(size * 1e6)]
        if not is_float:
            a_row = row["encode_time"] / comparison.data["n_gallery"]
            cells += [seconds_in_words(row["fit_time"]), seconds_in_words(a_row)]
        name = "floats" if is_float else f"{row['hasher']}, {row['n_bits']} bits"
        line = _row(name, [(text, "") for text in cells], REF * is_float)
        if line not in body:  # the floats are as large for every distance
            body.append(line)
    return _table(head, body) + (
        '<p class="quiet">Times of one process on this machine, means of the runs.</p>'
    )


def _facts(report: Report) -> str:
    data = report.comparison.data
    ties, normalize = str(data["ties"]), str(data["normalize"])
    facts: dict[str, str] = {
        **{key: report.facts[key] for key in ("Data", "Labels") if key in report.facts},
        "Sizes": f"{data['n_queries']:,} queries, {data['n_gallery']:,} rows in the "
        f"gallery, {data['n_train']:,} rows to learn from",
        "Relevant": f"{data['relevance']}",
        "Ties": f"{ties}: {TIES.get(ties, ties)}",
        "Normalised": NORMALIZE.get(normalize, normalize),
    }
    if data.get("queries_without_relevant"):
        n = data["queries_without_relevant"]
        facts["Left out"] = f"{n:,} queries without a relevant row"
    facts |= {key: text for key, text in report.facts.items() if key not in facts}
    items = (
        f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in facts.items()
    )
    return f"<dl>{''.join(items)}</dl>"


def _figure(figure: DrawnFigure) -> str:
    tall = ' class="tall"' if figure.name == "bits" else ""
    caption = f"{escape(figure.caption)} (<code>{escape(figure.name)}.png</code>)"
    return f"<figure{tall}>{figure.svg}<figcaption>{caption}</figcaption></figure>"


def _table(head: Sequence[str], body: Iterable[str]) -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return (
        f'<div class="wide"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _row(
    name: str, cells: Iterable[tuple[str, str]], kind: str = "", width: int = 1
) -> str:
    span = f' colspan="{width}"' if width > 1 else ""
    data = "".join(f"<td{_class(of)}{span}>{escape(text)}</td>" for text, of in cells)
    return f'<tr{_class(kind)}><th scope="row">{escape(name)}</th>{data}</tr>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _score(row: dict[str, Any], metric: str) -> str:
    spread = row[f"{metric}_sd"] if row["n_runs"] > 1 else None
    return score_in_words(row[metric], spread)


def _or_least(value: float) -> float:
    return value if value == value else -1.0
