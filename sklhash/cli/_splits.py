"""The rows that are searched for, searched in and learned from."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import CommandError
from ._rows import draw_rows

#: Splits, or runs on the split of the file, if nobody says how many.
N_RUNS = 3


def make_splits(
    own: Any, kept: Any, X: Any, y: Any, arguments: Namespace
) -> tuple[list[Any], str]:
    """Take the split of the file, or draw some.

    Parameters
    ----------
    own : tuple of (train, gallery, query) or None
        Row numbers of the file.
    kept : ndarray of shape (n_samples,), or None
        The rows of the file that X holds.
    X, y : ndarray
    arguments : Namespace

    Returns
    -------
    splits : list of RetrievalSplit
    words : str
    """
    seed, sizes = arguments.seed, (arguments.queries, arguments.train)
    if own is not None and arguments.splits is None and arguments.protocol is None:
        n_runs = arguments.seeds or N_RUNS
        split = _own_split(own, kept, *sizes, seed)
        seeds = f"seed{_range(seed, n_runs)}"
        return [split] * n_runs, f"the file's own, {_times(n_runs, 'run')} with {seeds}"
    return _drawn_splits(X, y, arguments)


def _drawn_splits(X: Any, y: Any, arguments: Namespace) -> tuple[list[Any], str]:
    """Draw splits, each by a seed of its own."""
    seed, sizes = arguments.seed, (arguments.queries, arguments.train)
    if arguments.seeds is not None:
        raise CommandError(
            "--seeds repeats the split that a .npz file names by query_idx; here, say "
            "how many splits are drawn by --splits"
        )
    if arguments.protocol is not None and sizes != (None, None):
        raise CommandError(
            f"--protocol {arguments.protocol} says how many rows are taken: leave out "
            "--queries and --train"
        )
    n_runs = arguments.splits or N_RUNS
    try:
        splits = [_draw_split(X, y, arguments, seed + i) for i in range(n_runs)]
    except ValueError as error:
        text = str(error).replace("n_queries=", "--queries ")
        raise CommandError(text.replace("n_train=", "--train ")) from error
    drawn = "at random" if arguments.protocol is None else f"as {arguments.protocol}"
    times = _times(n_runs, "split")
    return splits, f"{times} {drawn}, with seed{_range(seed, n_runs)}"


def _draw_split(X: Any, y: Any, arguments: Namespace, seed: int) -> Any:
    from sklhash.model_selection import retrieval_split

    return retrieval_split(
        X,
        y,
        protocol=arguments.protocol,
        n_queries=arguments.queries,
        n_train=arguments.train,
        random_state=seed,
    )


def _own_split(
    own: Any, kept: Any, n_queries: int | None, n_train: int | None, seed: int
) -> Any:
    """Restrict the split of a file to the rows at hand, and to sizes asked for."""
    from sklhash.model_selection import RetrievalSplit

    train, gallery, query = (_places(rows, kept) for rows in own)
    if min(len(train), len(gallery), len(query)) < 2:
        raise CommandError(
            "the split of the file leaves no queries or no gallery among these rows: "
            "draw others by --splits, or raise --max-rows"
        )
    return RetrievalSplit(
        _draw(train, n_train, "--train", seed),
        gallery,
        _draw(query, n_queries, "--queries", seed),
    )


def _places(rows: NDArray[Any], kept: NDArray[Any]) -> NDArray[np.intp]:
    """Find rows of the file among those that were kept."""
    places = np.searchsorted(kept, rows)
    there = places < len(kept)
    there[there] = kept[places[there]] == rows[there]
    found: NDArray[np.intp] = places[there].astype(np.intp)
    return found


def _draw(
    rows: NDArray[np.intp], number: int | None, option: str, seed: int
) -> NDArray[np.intp]:
    if number is None or number == len(rows):
        return rows
    if number > len(rows):
        raise CommandError(
            f"{option} {number}: the split of the file has {len(rows):,}; ask for fewer"
        )
    return rows[draw_rows(len(rows), number, seed)]


def _range(first: int, number: int) -> str:
    return f" {first}" if number == 1 else f"s {first} to {first + number - 1}"


def _times(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number > 1)}"
