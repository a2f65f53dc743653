"""Threads that run kernels: one pool a process, kept between calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from joblib.parallel import get_active_backend


def n_threads(n_jobs: int | None) -> int:
    """Give the number of threads that `n_jobs` stands for, as joblib reads it.

    Parameters
    ----------
    n_jobs : int or None

    Returns
    -------
    int
    """
    # `joblib.effective_n_jobs` asks the backend in force, and processes cannot help.
    backend, default = get_active_backend(require="sharedmem")
    return int(backend.effective_n_jobs(default if n_jobs is None else n_jobs))


def run(tasks: Sequence[Callable[[], Any]], n_jobs: int | None) -> list[Any]:
    """Call all tasks, in threads if there are several of both.

    Parameters
    ----------
    tasks : sequence of callable
        They must not call `run` themselves.
    n_jobs : int or None
        As in joblib.

    Returns
    -------
    results : list
        In the order of the tasks.
    """
    threads = min(n_threads(n_jobs), len(tasks)) if len(tasks) > 1 else 1
    if threads == 1:
        return [task() for task in tasks]
    # A forked child has no threads of its parent's pool, hence a pool a process.
    return list(_pool(os.getpid(), threads).map(lambda task: task(), tasks))


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="sklhash")
