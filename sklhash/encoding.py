"""The packed codes that any estimator makes of rows, and how they are filled in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from sklearn import config_context, get_config
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from threadpoolctl import ThreadpoolController

from .codes import PackedCodes


def encode_with(estimator: Any, X: Any) -> PackedCodes:
    """Hash rows with a fitted hasher, retriever, pipeline or plain transformer.

    Parameters
    ----------
    estimator : estimator
        Its `encode` is used where it has one. Of a plain transformer's output, which
        must be dense, the bits are the values ``> 0``. Frozen estimators and grid
        searches stand for what they hold.
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    PackedCodes
    """
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        return encode_with(estimator[-1], X)
    if estimator is None or isinstance(estimator, str):  # 'passthrough'
        return PackedCodes.from_codes(X)
    if callable(getattr(estimator, "encode", None)):  # not KBinsDiscretizer's parameter
        return estimator.encode(X)
    return PackedCodes.from_codes(estimator.transform(X))


def last_step(estimator: Any) -> Any:
    """Give what a pipeline, and any pipeline at its end, ends in.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator
    """
    estimator = unwrap(estimator)
    while isinstance(estimator, Pipeline):
        estimator = unwrap(estimator[-1])
    return estimator


def room_for_codes(
    out: Any, n_samples: int, n_bits: int, X: Any = None
) -> NDArray[np.uint8]:
    """Check an array that packed codes are to be written to, or make one.

    Parameters
    ----------
    out : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8, or None
    n_samples, n_bits : int
    X : array-like, default=None
        What is hashed; if it is an array, `out` must not share its memory.

    Returns
    -------
    out : ndarray of shape (n_samples, ceil(n_bits / 8)), dtype uint8

    Raises
    ------
    TypeError
        If `out` is no uint8 array.
    ValueError
        If its shape is another, or it must not be written to.
    """
    shape = (n_samples, -(-n_bits // 8))
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8:
        got = getattr(out, "dtype", type(out).__name__)
        raise TypeError(f"out must be a uint8 array or None; got {got}")
    if out.shape != shape:
        raise ValueError(
            f"out must have shape {shape}, for {n_samples} codes of {n_bits} bits; got "
            f"{out.shape}"
        )
    if not out.flags.writeable:
        raise ValueError(
            "out cannot be written to: map a file with mode='r+' or 'w+', not 'r'"
        )
    if isinstance(X, np.ndarray) and np.shares_memory(X, out):
        raise ValueError("out shares memory with X: give an array of its own")
    return out


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


def unwrap(estimator: Any) -> Any:
    """Take a fitted estimator out of what scikit-learn wraps around it.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator
        What a frozen estimator, or a fitted search, stands for.
    """
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator
