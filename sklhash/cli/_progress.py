"""Progress on the standard error stream, if somebody sits there."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol

#: Seconds between plain lines.
PAUSE = 5.0


class Progress(Protocol):
    """Takes note of how far things are."""

    def __call__(self, done: int, total: int | None, text: str = "") -> None:
        """Show that `done` of `total` are done, and the last one's name."""


@contextmanager
def progress_bar(task: str) -> Iterator[Progress]:
    """Show progress: by rich if it is there, by plain lines if not.

    Nothing is shown where the standard error stream is no terminal.

    Parameters
    ----------
    task : str
        What is being done.

    Yields
    ------
    progress : callable
    """
    if not sys.stderr.isatty():
        yield lambda done, total, text="": None
    elif find_spec("rich") is None:
        yield plain_lines(task)
    else:
        with _rich_bar(task) as progress:
            yield progress


def plain_lines(task: str, pause: float = PAUSE) -> Progress:
    """Give a progress that prints a line every few seconds.

    Parameters
    ----------
    task : str
    pause : float
        Seconds.

    Returns
    -------
    progress : callable
    """
    last = time.monotonic()

    def show(done: int, total: int | None, text: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= pause or done == total:
            last = time.monotonic()
            of = "" if total is None else f" of {total:,}"
            print(f"{task}: {done:,}{of} {text}".rstrip(), file=sys.stderr)

    return show


@contextmanager
def _rich_bar(task: str) -> Iterator[Progress]:
    from rich import progress as rich
    from rich.console import Console
    from rich.markup import escape

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[text]}"),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(escape(task), total=None, text="")

        def show(done: int, total: int | None, text: str = "") -> None:
            bar.update(row, completed=done, total=total, text=escape(text))

        yield show
