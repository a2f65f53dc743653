"""Who is called: threads of this process, and workers that the caller has chosen."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import Any

from joblib.parallel import LokyBackend, MultiprocessingBackend, get_active_backend
from sklearn import config_context, get_config
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController


def call_in_threads(
    task: Callable[[Any], Any],
    items: Sequence[Any],
    n_jobs: int | None,
    *,
    instead_of_blas: bool = False,
) -> list[Any]:
    """Call a task for each item; none is at work any more when this returns or raises.

    Parameters
    ----------
    task : callable
        It sees scikit-learn's configuration of the calling thread.
    items : sequence
    n_jobs : int or None
        Threads, as in joblib. With several, BLAS runs on one in each of them, as theirs
        would only be in each other's way.
    instead_of_blas : bool, default=False
        Keep BLAS to one thread in any case, unless there is but one item; if `n_jobs`
        is None, take as many threads as BLAS would.

    Returns
    -------
    results : list
        In the order of the items.
    """
    # Not `effective_n_jobs`: it warns where processes cannot start others.
    backend, default = get_active_backend(require="sharedmem")
    n_threads = backend.effective_n_jobs(default if n_jobs is None else n_jobs)
    if n_threads == 1 and n_jobs is None and instead_of_blas:
        n_threads = max((blas["num_threads"] for blas in _blas().info()), default=1)
    n_threads = min(n_threads, len(items))
    if n_threads <= 1:
        limited = instead_of_blas and len(items) > 1
        with _single_threaded_blas if limited else nullcontext():
            return [task(item) for item in items]
    config = get_config()

    def configured(item: Any) -> Any:
        with config_context(**config):
            return task(item)

    with _single_threaded_blas, ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(configured, items))


@cache
def _blas() -> Any:
    """Find BLAS among the libraries that are loaded, which takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")


class _SingleThreadedBlas:
    """Keeps BLAS to one thread while anyone asks for it.

    The limit holds for the whole process. Callers in several threads share it, or the
    last of them to leave would restore what another one had set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_users = 0
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._n_users == 0:
                self._limits = _blas().limit(limits=1)
            self._n_users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._n_users -= 1
            if self._n_users == 0:
                self._limits.restore_original_limits()


_single_threaded_blas = _SingleThreadedBlas()


def count_workers(n_jobs: int | None) -> int:
    """Count the workers that are to be sent tasks, because the caller has said so.

    Parameters
    ----------
    n_jobs : int or None
        As in joblib.

    Returns
    -------
    n_workers : int
        Of joblib's backend in force, if it was chosen and its workers are on other
        machines, or may be. Else 1: nobody was chosen, workers are threads or processes
        of this machine, or this is one of the workers.
    """
    if n_jobs == 1 or _is_dask_task():
        return 1
    backend, default = get_active_backend(prefer="threads")  # yields to a choice
    if getattr(backend, "supports_sharedmem", False):
        return 1
    # Processes of this machine can do no more than its threads, and the rows would have
    # to be copied. Forked ones may hang, besides: they inherit locks that other threads
    # hold, but not the threads.
    if isinstance(backend, LokyBackend | MultiprocessingBackend):
        return 1
    n_jobs = default if n_jobs is None else n_jobs
    return backend.effective_n_jobs(
        backend.default_n_jobs if n_jobs is None else n_jobs
    )


def _is_dask_task() -> bool:
    """Tell whether a worker of Dask runs this: there joblib goes on to choose Dask."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


def call_in_workers(
    task: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None
) -> list[Any]:
    """Call a task with each tuple of arguments, by joblib's backend in force.

    Arguments travel inside their tasks, so that a task whose worker was lost is done
    by another one. joblib would put large arrays among them on one of Dask's workers
    first; with that worker they are lost, and the call fails.

    Parameters
    ----------
    task : callable
        A function of a module, which workers can import.
    arguments : iterable of tuple
    n_jobs : int or None
        As in joblib.

    Returns
    -------
    results : list
        In the order of the arguments.
    """
    return Parallel(n_jobs)(delayed(_call)(task, given) for given in arguments)


def _call(task: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return task(*arguments)
