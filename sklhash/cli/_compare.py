"""``sklhash compare``: fit hashers, score them, and tell which is best."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from sklhash.encoding import encode_with

from ._answer import Answer, find_answer
from ._errors import CommandError, require
from ._figures import BestCodes, draw_figures
from ._files import open_rows
from ._hashers import build, check_labels_given, lower_name, split_list
from ._outputs import make_folder
from ._progress import progress_bar
from ._report import Report, write_csv, write_report
from ._rows import RowFile, draw_rows
from ._splits import make_splits
from ._steps import describe_run, next_steps
from ._words import say

#: Fewer rows give no ranking worth a score.
MIN_ROWS = 20
#: Seconds that the winner may take to be fitted once more, for plots of its codes.
MAX_SECONDS = 20


def run(arguments: Namespace) -> int:
    """Compare, print the table and the answer, and write the report.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    status : int
        130 if Ctrl-C has stopped the comparison; what was finished is reported.
    """
    specs, bits = _methods(arguments)
    if arguments.out is not None:
        require("matplotlib", "plot", "a report with plots (--out)")
        make_folder(arguments.out)
    rows, X, y, splits, how_split = _read(arguments, specs)
    comparison, caught = _compare(specs, bits, X, y, splits, arguments)
    if not comparison.complete:
        say("stopping: writing what is finished")
    if arguments.out is not None:  # what took long is safe before anything else
        write_csv(arguments.out / "comparison.csv", comparison.records)
    for text in caught:
        say(f"warning: {text}")
    answer, path = find_answer(comparison, X[:1].nbytes), None
    if arguments.out is not None:
        facts = describe_run(arguments, rows, X, y, how_split)
        notes, steps = [*rows.notes, *caught], next_steps(rows, answer, arguments)
        name = arguments.data.name
        report = Report(comparison, answer, name, facts, notes, steps)
        best = _best_codes(answer, comparison, X, y, splits, arguments)
        path = write_report(report, draw_figures(comparison, best), arguments.out)
    _print_result(comparison, answer, path)
    return 0 if comparison.complete else 130


def _read(arguments: Namespace, specs: list[str]) -> tuple[RowFile, Any, Any, Any, str]:
    """Read the file, and split it."""
    rows = open_rows(arguments.data, arguments.features, arguments.labels)
    X, y, kept = read_all(rows, arguments.max_rows, arguments.seed)
    check_labels_given(specs, y)
    splits, how_split = make_splits(rows.split, kept, X, y, arguments)
    for note in rows.notes:
        say(f"note: {note}")
    return rows, X, y, splits, how_split


def read_all(rows: RowFile, max_rows: int | None, seed: int) -> tuple[Any, Any, Any]:
    """Read rows and labels, and refuse what cannot be compared.

    Parameters
    ----------
    rows : RowFile
    max_rows : int or None
    seed : int

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_labels), or None
    kept : ndarray of shape (n_samples,), or None
        Their numbers in the file, where that is known.
    """
    X, y = rows.read(max_rows, seed)
    if len(X) < MIN_ROWS:
        raise CommandError(
            f"{rows.path} holds {len(X)} row{'s' * (len(X) > 1)}: {MIN_ROWS} or more "
            "are needed to split them into queries and a gallery"
        )
    batches = gen_batches(len(X), rows.batch_rows)
    if X.dtype.kind == "f" and not all(np.isfinite(X[b]).all() for b in batches):
        if max_rows is None:
            rows.check_finite(X)
        rows.check_all_finite()
    kept = None
    if rows.n_rows is not None:
        drawn = len(X) < rows.n_rows
        kept = draw_rows(rows.n_rows, len(X), seed) if drawn else np.arange(len(X))
    return X, y, kept


def _print_result(comparison: Any, answer: Answer, path: Path | None) -> None:
    print(comparison)
    for metric in comparison.metrics[1:]:
        print(f"\n{metric}\n\n{comparison.table(metric)}")
    print("\n" + "\n".join(answer.sentences))
    if path is not None:
        print(f"\nreport: {path}")


def _methods(arguments: Namespace) -> tuple[list[str], list[int]]:
    """Check names and code lengths, before anything is read."""
    specs = list(dict.fromkeys(map(lower_name, split_list(arguments.hashers))))
    if not specs:
        raise CommandError("--hashers: name one or more, such as itq,sh")
    try:
        bits = sorted({int(text) for text in split_list(arguments.bits)})
    except ValueError as error:
        raise CommandError(
            f"--bits {' '.join(arguments.bits)}: give whole numbers, such as 16 32 64"
        ) from error
    if not bits or not 1 <= bits[0] <= bits[-1] <= 65_535:
        raise CommandError("--bits: code lengths are from 1 to 65535 bits")
    for spec in specs:
        build(spec)
    return specs, bits


def _compare(
    specs: list[str], bits: list[int], X: Any, y: Any, splits: Any, arguments: Namespace
) -> tuple[Any, list[str]]:
    """Compare under a progress bar, and keep warnings for later."""
    from sklhash.model_selection import compare_hashers

    hashers = {spec: build(spec, scale=arguments.scale) for spec in specs}
    metrics = split_list(arguments.metrics or []) or None
    with warnings.catch_warnings(record=True) as caught, progress_bar("compare") as bar:
        warnings.simplefilter("always")

        def show(n_done: int, n_runs: int, record: dict[str, Any]) -> None:
            n_bits = record["n_bits"]
            bar(
                n_done,
                n_runs,
                record["hasher"] + (f", {n_bits} bits" if n_bits else ""),
            )

        comparison = compare_hashers(
            hashers,
            X,
            y,
            n_bits=bits,
            splits=splits,
            metrics=metrics,
            random_state=arguments.seed,
            n_jobs=arguments.jobs,
            progress=show,
        )
    return comparison, summarize(str(warning.message) for warning in caught)


def summarize(messages: Iterable[str]) -> list[str]:
    """Give warnings that begin alike once, with their number.

    Parameters
    ----------
    messages : iterable of str

    Returns
    -------
    texts : list of str
    """
    texts = [" ".join(message.split()) for message in messages]
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(text[:40], text)
    counts = Counter(text[:40] for text in texts)
    return [
        text if counts[start] == 1 else f"{text} ({counts[start]} times or alike)"
        for start, text in first.items()
    ]


def _best_codes(
    answer: Answer, comparison: Any, X: Any, y: Any, splits: Any, arguments: Namespace
) -> BestCodes | None:
    """Fit the winner once more, on the first split, if that is quick."""
    if answer.hasher is None or not comparison.complete:
        return None
    method = answer.hasher, answer.n_bits
    row = next(r for r in comparison.summary() if (r["hasher"], r["n_bits"]) == method)
    if row["fit_time"] + row["encode_time"] > MAX_SECONDS:
        return None
    params = {"n_bits": answer.n_bits, "random_state": arguments.seed}
    hasher = build(answer.hasher, scale=arguments.scale, **params)
    train, gallery, query = splits[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told before
        hasher.fit(X[train], None if y is None else y[train])
    query_codes, gallery_codes = (encode_with(hasher, X[r]) for r in (query, gallery))
    labels = None if y is None else (y[query], y[gallery])
    name = f"{answer.hasher}, {answer.n_bits} bits"
    return BestCodes(name, query_codes, gallery_codes, labels)
