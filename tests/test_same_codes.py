"""Same seed, same codes: in threads and processes, copied, in any layout."""

import multiprocessing
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from test_hashers import HASHERS

from sklhash import ITQ, DensitySensitiveHashing, PCAHashing, SphericalHashing
from sklhash.itq import learn_rotation
from sklhash.linear import random_rotation
from sklhash.rows import BATCH_ROWS

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few rows, few rounds
)
each_hasher = pytest.mark.parametrize("hasher", HASHERS, ids=str)

N_THREADS = 8
#: Networks learn in single precision, in which more threads may round otherwise.
SHALLOW = [hasher for hasher in HASHERS if not hasattr(hasher, "max_epochs")]


def single_digits():
    """Some digits in single precision; pixels that never vary are among them."""
    X, y = load_digits(return_X_y=True)
    return X[:400].astype(np.float32), y[:400]


def fresh(hasher):
    """A clone that learns from few rows and for a short time."""
    hasher = clone(hasher)
    return hasher.set_params(max_epochs=2) if "max_epochs" in vars(hasher) else hasher


def learned(hasher):
    """The same hasher, fitted; shared by the tests, hence not to be changed."""
    return learned_at(HASHERS.index(hasher))


@cache
def learned_at(i):
    return fresh(HASHERS[i]).fit(*single_digits())


def packed_codes(hashers):
    """Codes of the digits; run in other processes, too."""
    X, y = single_digits()
    return [fresh(hasher).fit(X, y).encode(X).packed for hasher in hashers]


def in_new_process(function, hashers, n_threads=1):
    """Call a function in a Python that starts anew, with threads for BLAS."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(dict.fromkeys(variables, str(n_threads)))
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(function, (hashers,))
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@each_hasher
def test_layouts_copies_and_jobs(hasher):
    """Order in memory, clones, pickles and jobs change no bit, learning or hashing."""
    X, y = single_digits()
    expected = learned(hasher)
    codes, projections = expected.encode(X), expected.decision_function(X)
    fortran, apart = np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]
    for rows in (fortran, apart):
        assert not rows.flags.c_contiguous
        assert_array_equal(expected.decision_function(rows), projections)
    copies = [
        fresh(hasher).fit(fortran, y),
        fresh(clone(expected)).fit(X, y),
        fresh(pickle.loads(pickle.dumps(hasher))).fit(X, y),
        pickle.loads(pickle.dumps(expected)),
    ]
    for same in copies:
        assert_array_equal(same.decision_function(X), projections)
    for n_jobs in (1, 2):
        for same in (expected, copies[-1]):
            assert same.encode(X, n_jobs=n_jobs) == codes
        with parallel_config("threading", n_jobs=n_jobs):
            assert expected.encode(fortran) == codes


@each_hasher
def test_jobs_over_several_batches(hasher):
    """One job or two, whole or Fortran order: more rows than a batch holds agree."""
    X, fitted = single_digits()[0], learned(hasher)
    many = np.tile(X, (2 + BATCH_ROWS // len(X), 1))
    codes = fitted.encode(many, n_jobs=1)
    assert fitted.encode(np.asfortranarray(many), n_jobs=2) == codes


def test_processes_of_joblib():
    """Workers of joblib learn the codes that this process does."""
    parts = HASHERS[::2], HASHERS[1::2]
    there = Parallel(n_jobs=2, backend="loky")(map(delayed(packed_codes), parts))
    for part, codes in zip(parts, there, strict=True):
        for hasher, found in zip(part, codes, strict=True):
            expected = learned(hasher).encode(single_digits()[0]).packed
            assert_array_equal(found, expected, err_msg=str(hasher))


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core")
def test_threads_of_blas_while_learning():
    """With one thread for BLAS or two, shallow hashers learn the same codes."""
    there = in_new_process(packed_codes, SHALLOW, n_threads=2)
    for hasher, codes in zip(SHALLOW, there, strict=True):
        assert_array_equal(codes, learned(hasher).encode(single_digits()[0]).packed)


@each_hasher
def test_one_hasher_in_many_threads(hasher):
    """Threads that share a fitted hasher get the codes of one."""
    X, fitted = single_digits()[0], learned(hasher)
    methods = [fitted.transform, fitted.encode, fitted.decision_function] * N_THREADS
    alone = [fitted.transform(X), fitted.encode(X), fitted.decision_function(X)]
    with ThreadPoolExecutor(N_THREADS) as pool:
        found = list(pool.map(lambda method: method(X), methods))
    for i, result in enumerate(found):
        expected = alone[i % 3]
        same = result == expected if i % 3 == 1 else np.array_equal(result, expected)
        assert same, methods[i]


def test_learning_in_many_threads():
    """Hashers that learn at the same time, networks too, do not disturb each other."""
    X, y = single_digits()
    hashers = [fresh(hasher) for hasher in HASHERS[:: len(HASHERS) // 8]]
    hashers += [fresh(hasher) for hasher in HASHERS[-2:]]
    before = np.random.get_state()[1].copy()
    with ThreadPoolExecutor(N_THREADS) as pool:
        codes = list(pool.map(lambda h: clone(h).fit(X, y).encode(X), hashers))
    for hasher, found in zip(hashers, codes, strict=True):
        assert found == clone(hasher).fit(X, y).encode(X), hasher
    assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "hasher",
    [
        ITQ(8, max_samples=100, random_state=0),
        PCAHashing(8),
        SphericalHashing(8, max_samples=100, random_state=0),
        DensitySensitiveHashing(8, random_state=0),
    ],
    ids=str,
)
def test_a_stream_is_learned_once_for_many_threads(hasher):
    """Threads that are first to ask for what a stream has to teach agree."""
    X, y = single_digits()
    stream, alone = (
        clone(hasher).partial_fit(X[:300], y[:300]).partial_fit(X[300:], y[300:])
        for _ in range(2)
    )
    with ThreadPoolExecutor(N_THREADS) as pool:
        codes = list(pool.map(lambda _: stream.encode(X), range(2 * N_THREADS)))
    expected = alone.encode(X)
    assert all(found == expected for found in codes)


@pytest.mark.skipif(sys.byteorder != "little", reason="orders are named from here")
@each_hasher
def test_other_byte_order(hasher):
    """Numbers from a machine of the other byte order are the same numbers."""
    X, fitted = single_digits()[0].astype(np.float64), learned(hasher)
    other = X.astype(">f8")
    assert_array_equal(fitted.decision_function(other), fitted.decision_function(X))


def test_directions_that_the_sample_lacks():
    """Where the sample says nothing of a direction, ITQ's rotation is still settled.

    Rounding then fills the rotation up, so that codes differed by the number of BLAS's
    threads. Noise of its size must not be amplified.
    """
    rng = np.random.RandomState(0)
    V = rng.standard_normal((200, 6))
    V[:, 4:] = 0.3, -0.2  # constant: the signs' sums over the rows are proportional
    start = random_rotation(6, 9, rng)
    R, errors = learn_rotation(V, start, max_iter=10)
    noisy = V * (1 + 1e-15 * rng.standard_normal(V.shape))
    noisy[:, 4:] = V[:, 4:]
    other, _ = learn_rotation(noisy, start, max_iter=10)
    np.testing.assert_allclose(other, R, atol=1e-9)
    np.testing.assert_allclose(R @ R.T, np.eye(6), atol=1e-12)
    assert np.all(np.diff(errors) <= 1e-12)


def test_numbers_stored_twice_count_once():
    """Sparse rows that store a number in two parts get the codes of their sums."""
    X, y = (part[:250] for part in single_digits())
    once = csr_array(X)
    halves = np.repeat(once.data / 2, 2), np.repeat(once.indices, 2), 2 * once.indptr
    twice = csr_array(halves, shape=X.shape)
    for hasher in SHALLOW[::2]:
        fitted = fresh(hasher).fit(once, y)
        again = fresh(hasher).fit(twice, y)
        assert again.encode(twice) == fitted.encode(once), hasher
        assert twice.nnz == 2 * once.nnz  # left as they were
