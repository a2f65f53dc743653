"""Checks that every hasher must pass, for ours and for third parties'.

Each check takes an unfitted hasher with a fixed ``random_state`` (where it has one),
a float64 matrix X and labels y that it can be fitted on::

    @pytest.mark.parametrize("check", HASHER_CHECKS, ids=lambda check: check.__name__)
    def test_my_hasher(check):
        check(MyHasher(n_bits=12, random_state=0), X, y)
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from .codes import PackedCodes
from .rows import BATCH_ROWS

__all__ = ["HASHER_CHECKS"]

Rows = NDArray[np.float64]


def check_bits_are_signs(hasher: Any, X: Rows, y: Any) -> None:
    """A bit is set where the projection is positive."""
    hasher = clone(hasher).fit(X, y)
    codes = hasher.transform(X)
    assert codes.dtype == np.uint8
    assert codes.shape == (len(X), hasher.n_bits)
    assert_array_equal(codes, hasher.decision_function(X) > 0)


def check_encode_packs_transform(hasher: Any, X: Rows, y: Any) -> None:
    """Packed codes are the codes, whatever the number of jobs."""
    hasher = clone(hasher).fit(X, y)
    codes = PackedCodes.from_codes(hasher.transform(X))
    assert hasher.encode(X) == codes
    assert hasher.encode(X, n_jobs=2) == codes


def check_batches_are_invisible(hasher: Any, X: Rows, y: Any) -> None:
    """More rows than one batch holds get the codes that they get alone."""
    hasher = clone(hasher).fit(X, y)
    many = np.tile(X, (2 + BATCH_ROWS // len(X), 1))
    codes = np.tile(hasher.transform(X), (len(many) // len(X), 1))
    _assert_nearly_equal(hasher.transform(many), codes)
    assert hasher.encode(many, n_jobs=2) == PackedCodes.from_codes(
        hasher.transform(many)
    )


def check_same_seed_same_codes(hasher: Any, X: Rows, y: Any) -> None:
    """Refitting, cloning and pickling do not change the codes."""
    hasher = clone(hasher).fit(X, y)
    codes = hasher.transform(X)
    assert_array_equal(pickle.loads(pickle.dumps(hasher)).transform(X), codes)
    assert_array_equal(clone(hasher).fit(X, y).transform(X), codes)
    assert_array_equal(hasher.fit(X, y).transform(X), codes)


def check_global_random_state_untouched(hasher: Any, X: Rows, y: Any) -> None:
    """No method draws from NumPy's global generator, seeded or not."""
    before = np.random.get_state()
    for seed in (0, None):
        unseeded = clone(hasher)
        if "random_state" in unseeded.get_params():
            unseeded.set_params(random_state=seed)
        unseeded.fit(X, y).encode(X)
    after = np.random.get_state()
    for first, second in zip(before, after, strict=True):
        assert_array_equal(first, second)


def check_input_unchanged(hasher: Any, X: Rows, y: Any) -> None:
    """Neither fitting nor hashing writes into X or needs to."""
    frozen = X.copy()
    frozen.flags.writeable = False
    clone(hasher).fit(frozen, y).encode(frozen)
    assert_array_equal(frozen, X)


def check_rows_are_independent(hasher: Any, X: Rows, y: Any) -> None:
    """Permuted rows get permuted codes."""
    hasher = clone(hasher).fit(X, y)
    order = np.random.RandomState(0).permutation(len(X))
    _assert_nearly_equal(hasher.transform(X[order]), hasher.transform(X)[order])


def check_float32_agrees(hasher: Any, X: Rows, y: Any) -> None:
    """Rows in single precision get the same codes, up to bits on the boundary."""
    codes = clone(hasher).fit(X, y).transform(X)
    single = X.astype(np.float32)
    _assert_nearly_equal(clone(hasher).fit(single, y).transform(single), codes, 0.01)


def check_sparse_agrees(hasher: Any, X: Rows, y: Any) -> None:
    """Sparse rows get the codes of dense ones, if the hasher takes them."""
    if get_tags(hasher).input_tags.sparse:
        codes = clone(hasher).fit(X, y).transform(X)
        rows = csr_array(X)
        _assert_nearly_equal(clone(hasher).fit(rows, y).transform(rows), codes, 0.01)


def check_memory_map_agrees(hasher: Any, X: Rows, y: Any) -> None:
    """Rows that lie on disk get the same codes."""
    codes = clone(hasher).fit(X, y).encode(X)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        np.save(path, X)
        rows = np.load(path, mmap_mode="r")
        assert clone(hasher).fit(rows, y).encode(rows) == codes
        del rows  # Windows cannot delete a mapped file


def check_non_finite_rejected(hasher: Any, X: Rows, y: Any) -> None:
    """NaN and infinity are refused when fitting and when hashing."""
    fitted = clone(hasher).fit(X, y)
    for value in (np.nan, np.inf):
        bad = X.copy()
        bad[-1, -1] = value
        _assert_raises(ValueError, clone(hasher).fit, bad, y)
        _assert_raises(ValueError, fitted.transform, bad)
        _assert_raises(ValueError, fitted.encode, bad)


def check_unfitted_rejected(hasher: Any, X: Rows, y: Any) -> None:
    """An unfitted hasher says so."""
    for name in ("decision_function", "transform", "encode"):
        _assert_raises(NotFittedError, getattr(clone(hasher), name), X)


def _assert_raises(
    error: type[Exception], method: Callable[..., Any], *args: Any
) -> None:
    try:
        method(*args)
    except error:
        return
    raise AssertionError(f"{method} did not raise {error.__name__}")


def _assert_nearly_equal(actual: Any, expected: Any, share: float = 1e-3) -> None:
    """Matrix products round differently by shape: a bit on the boundary may flip."""
    assert actual.shape == expected.shape
    flipped = np.mean(actual != expected)
    assert flipped <= share, f"{flipped:.2%} of the bits differ"


HASHER_CHECKS = [
    check_bits_are_signs,
    check_encode_packs_transform,
    check_batches_are_invisible,
    check_same_seed_same_codes,
    check_global_random_state_untouched,
    check_input_unchanged,
    check_rows_are_independent,
    check_float32_agrees,
    check_sparse_agrees,
    check_memory_map_agrees,
    check_non_finite_rejected,
    check_unfitted_rejected,
]
