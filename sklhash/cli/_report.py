"""A comparison in a folder: a page, tables and plots."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from sklhash.code_files import written_whole

from ._answer import Answer
from ._figures import FIGURES, DrawnFigure
from ._html import page


@dataclass(frozen=True)
class Report:
    """What a report tells.

    Parameters
    ----------
    comparison : HasherComparison
    answer : Answer
    name : str
        Of the data.
    facts : dict of str to str
        What was compared on what.
    notes : list of str
    steps : list of str
        How to go on: Python, and commands.
    """

    comparison: Any
    answer: Answer
    name: str
    facts: dict[str, str]
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)


def write_report(report: Report, figures: list[DrawnFigure], folder: Path) -> Path:
    """Write the page, the runs as CSV, all of it as JSON, and the plots.

    Parameters
    ----------
    report : Report
    figures : list of DrawnFigure
    folder : Path
        Files of a former report are replaced.

    Returns
    -------
    path : Path
        Of the page.
    """
    write_csv(folder / "comparison.csv", report.comparison.records)
    text = json.dumps(as_json(report), indent=1, allow_nan=False, ensure_ascii=False)
    _write(folder / "comparison.json", text)
    for name in {*FIGURES} - {figure.name for figure in figures}:
        (folder / f"{name}.png").unlink(missing_ok=True)  # of a former report
    for figure in figures:
        with written_whole(folder / f"{figure.name}.png") as part:
            part.write_bytes(figure.png)
    path = folder / "report.html"
    _write(path, page(report, figures))
    return path


def write_csv(path: Path, records: list[dict[str, Any]]) -> None:
    """Write one line a run; what is missing is empty.

    Parameters
    ----------
    path : Path
    records : list of dict
    """
    with written_whole(path) as part, _text(part) as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(
            {key: "" if _is_missing(value) else value for key, value in record.items()}
            for record in records
        )


def as_json(report: Report) -> dict[str, Any]:
    """Give everything that a program may want to know.

    Parameters
    ----------
    report : Report

    Returns
    -------
    content : dict
        Of plain Python values; NaN is None.
    """
    comparison, answer = report.comparison, report.answer
    content = {
        "name": report.name,
        "facts": report.facts,
        "notes": report.notes,
        "answer": {
            "hasher": answer.hasher,
            "n_bits": answer.n_bits or None,
            "sentences": answer.sentences,
        },
        "complete": comparison.complete,
        "metrics": comparison.metrics,
        "n_bits": comparison.n_bits,
        "hashers": comparison.hashers,
        "references": comparison.references,
        "n_splits": comparison.n_splits,
        "data": comparison.data,
        "summary": comparison.summary(),
        "runs": comparison.records,
    }
    return {key: _plain(value) for key, value in content.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if _is_missing(value) else value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _write(path: Path, text: str) -> None:
    with written_whole(path) as part, _text(part) as file:
        file.write(text)


def _text(path: Path) -> TextIO:
    # Names of files may hold bytes that are no text.
    return open(path, "w", newline="", encoding="utf-8", errors="replace")
