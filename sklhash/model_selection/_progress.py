"""How a comparison tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Report = Callable[[int, int, dict[str, Any]], Any]


def check_progress(progress: Any) -> None:
    """Refuse what is neither a switch nor a function, or a bar that cannot be shown.

    Parameters
    ----------
    progress : bool or callable

    Raises
    ------
    TypeError
        If it is something else.
    ImportError
        If a bar is wanted and rich is not installed.
    """
    if progress is True:
        try:
            import rich.progress  # noqa: F401 - to know that it is there
        except ImportError as error:
            raise ImportError(
                'progress=True needs rich: pip install "sklhash[progress]"; or give a '
                "function progress(n_done, n_runs, record)"
            ) from error
    elif progress is not False and not callable(progress):
        raise TypeError(
            "progress must be True, False or a function progress(n_done, n_runs, "
            f"record); got {progress!r}"
        )


@contextmanager
def reporting(progress: Any, n_runs: int) -> Iterator[Report]:
    """Give the function to call after each run.

    Parameters
    ----------
    progress : bool or callable
    n_runs : int

    Yields
    ------
    report : callable
    """
    if progress is False:
        yield lambda n_done, n_runs, record: None
    elif progress is True:
        with _bar(n_runs) as report:
            yield report
    else:
        yield progress


@contextmanager
def _bar(n_runs: int) -> Iterator[Report]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=n_runs)

        def report(n_done: int, n_runs: int, record: dict[str, Any]) -> None:
            bits = "" if record["n_bits"] is None else f", {record['n_bits']} bits"
            done = f"{record['hasher']}{bits}, split {record['split'] + 1}"
            progress.update(bar, completed=n_done, description=done)

        yield report
