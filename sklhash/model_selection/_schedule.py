"""All runs of a comparison: in what order, in parallel, and until Ctrl-C."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.utils.parallel import Parallel, delayed

from ._comparison import Run, RunScores
from ._progress import reporting
from ._runs import Task, prepare, run_hasher, run_reference
from ._split import first_alike
from ._summary import Record


class Plan(NamedTuple):
    """Every combination of a split with a hasher at a length, or with a reference.

    Parameters
    ----------
    tasks : list of Task
        One a split.
    random_state : int or None
        Seed of the first split; the others count on. None for the hashers' own.
    hashers : dict of str to estimator
    n_bits : list of int
    references : list of str
    error_score : 'raise' or NaN
    """

    tasks: list[Task]
    random_state: int | None
    hashers: dict[str, Any]
    n_bits: list[int]
    references: list[str]
    error_score: Any

    def runs(self) -> Iterator[Run]:
        """List the runs, split by split, so that one that is stopped has whole tables.

        Yields
        ------
        run : tuple (name, n_bits, split)
        """
        for i in range(len(self.tasks)):
            for name in self.hashers:
                for n_bits in self.n_bits:
                    yield name, n_bits, i
            for name in self.references:
                yield name, None, i

    def distinct_runs(self) -> list[Run]:
        """List the runs whose results cannot be taken from another one.

        References learn nothing: on equal splits they rank alike.

        Returns
        -------
        list of tuple (name, n_bits, split)
        """
        alike = first_alike([task.split for task in self.tasks])
        return [
            run for run in self.runs() if run[1] is not None or alike[run[2]] == run[2]
        ]

    def served_by(self, run: Run) -> list[Run]:
        """List the runs that have the results of a distinct one.

        Parameters
        ----------
        run : tuple (name, n_bits, split)

        Returns
        -------
        list of tuple (name, n_bits, split)
        """
        name, n_bits, first = run
        if n_bits is not None:
            return [run]
        alike = first_alike([task.split for task in self.tasks])
        return [(name, None, i) for i, j in enumerate(alike) if j == first]

    def arguments(self, run: Run) -> tuple[Any, ...]:
        """Give what `do_run` needs for one run, and no more: it goes to a process.

        Parameters
        ----------
        run : tuple (name, n_bits, split)

        Returns
        -------
        tuple
        """
        name, n_bits, i = run
        hasher = None
        if n_bits is not None:
            seed = None if self.random_state is None else self.random_state + i
            hasher = prepare(self.hashers[name], n_bits, seed)
        return run, self.tasks[i], hasher, self.error_score


def do_run(
    run: Run, task: Task, hasher: Any, error_score: Any
) -> tuple[Run, Record, RunScores | None]:
    """Do one run.

    Parameters
    ----------
    run : tuple (name, n_bits, split)
    task : Task
    hasher : estimator or None
        Unfitted; None for a reference.
    error_score : 'raise' or NaN

    Returns
    -------
    run : tuple
        As given.
    record : dict
        As in :class:`HasherComparison`.
    scores : dict of str to ndarray of shape (n_queries,), or None
        None if it failed.
    """
    name, n_bits, split = run
    scores: RunScores | None
    if n_bits is None:
        costs, scores = run_reference(task, name)
    else:
        try:
            costs, scores = run_hasher(task, hasher, n_bits, error_score)
        except ValueError as error:
            error.add_note(f"in the run of {name} with {n_bits} bits, split {split}")
            raise
    means = {
        metric: np.nan if scores is None else _mean(scores[metric])
        for metric in task.rules["metrics"]
    }
    record = {"hasher": name, "n_bits": n_bits, "split": split, **means, **costs}
    return run, record, scores


def _mean(scores: Any) -> float:
    """Mean over the queries that have a score, as `retrieval_scores` takes it."""
    counted = scores[~np.isnan(scores)]
    return float(counted.mean()) if len(counted) else np.nan


def do_all(
    plan: Plan, n_jobs: int | None, progress: Any
) -> tuple[list[Record], dict[Run, RunScores], bool]:
    """Do all runs, or those that are finished before Ctrl-C.

    Parameters
    ----------
    plan : Plan
    n_jobs : int or None
    progress : bool or callable

    Returns
    -------
    records : list of dict
        In the order of the plan, whatever the order they were finished in.
    scores : dict of run to scores
    complete : bool

    Raises
    ------
    KeyboardInterrupt
        If no run was finished.
    ValueError
        If all fits failed.
    """
    runs = plan.distinct_runs()
    jobs = (delayed(do_run)(*plan.arguments(run)) for run in runs)
    parallel = Parallel(n_jobs, return_as="generator_unordered")
    records: dict[Run, Record] = {}
    scores: dict[Run, RunScores] = {}
    n_done = 0
    try:
        with reporting(progress, len(runs)) as report, closing(parallel(jobs)) as done:
            for run, record, found in done:
                for served in plan.served_by(run):
                    records[served] = {**record, "split": served[2]}
                    if found is not None:
                        scores[served] = found
                n_done += 1
                report(n_done, len(runs), record)
    except KeyboardInterrupt:
        if not records:
            raise
    ordered = [records[run] for run in plan.runs() if run in records]
    _warn_of_gaps(ordered, len(list(plan.runs())))
    return ordered, scores, n_done == len(runs)


def _warn_of_gaps(records: list[Record], n_runs: int) -> None:
    """Say what failed and what was not reached."""
    fits = [record for record in records if record["n_bits"] is not None]
    failed = [record for record in fits if record["error"] is not None]
    if failed and len(failed) == len(fits) and len(records) == n_runs:
        raise ValueError(
            f"all {len(failed)} fits failed; the first one: {failed[0]['error']}"
        )
    if failed:
        first = failed[0]
        warnings.warn(
            f"{len(failed)} of {len(fits)} fits failed; their scores are NaN. The "
            f"first one, {first['hasher']} with {first['n_bits']} bits: "
            f"{first['error']}",
            FitFailedWarning,
            stacklevel=5,
        )
    if len(records) < n_runs:
        warnings.warn(
            f"stopped after {len(records)} of {n_runs} runs: the means are those of "
            "the runs that were finished",
            RuntimeWarning,
            stacklevel=5,
        )
