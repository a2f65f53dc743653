"""Encoding by blocks and threads, into arrays and files of the caller's."""

import threading
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.utils.validation import validate_data
from threadpoolctl import threadpool_info, threadpool_limits

from sklhash import (
    ITQ,
    KernelSupervisedHashing,
    PackedCodes,
    RandomHyperplaneHashing,
    SoftPairwiseHasher,
    SpectralHashing,
    SphericalHashing,
)
from sklhash.base import BaseHasher
from sklhash.encoding import room_for_codes
from sklhash.linear import BLOCK_BYTES, LinearHasher, project
from sklhash.rows import BATCH_ROWS
from sklhash.workers import call_in_threads

N = 2 * BATCH_ROWS + 77  # three batches
HASHERS = [
    ITQ(12, random_state=0),
    RandomHyperplaneHashing(70, center=False, random_state=0),
    SpectralHashing(12, range="quantile", random_state=0),
    SphericalHashing(12, max_iter=5, random_state=0),
    KernelSupervisedHashing(9, n_anchors=20, random_state=0),
    SoftPairwiseHasher(9, hidden_units=(8,), max_epochs=1, random_state=0),
]
each_hasher = pytest.mark.parametrize("hasher", HASHERS, ids=lambda h: type(h).__name__)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few rows, few rounds
)


@pytest.fixture(scope="module")
def rows():
    """Rows of three batches, and classes."""
    rng = np.random.RandomState(0)
    y = rng.randint(4, size=N)
    return 2 * rng.randn(4, 24)[y] + rng.randn(N, 24) + 3, y


def fitted(hasher, X, y):
    return hasher.fit(X[:600], y[:600])


@each_hasher
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_do_not_depend_on_the_way(hasher, dtype, rows, tmp_path):
    """Threads, given arrays and mapped files change no bit, nor does `transform`."""
    X, y = rows[0].astype(dtype), rows[1]
    fitted(hasher, X, y)
    expected = PackedCodes.from_codes(hasher.transform(X))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert expected == PackedCodes.from_codes(hasher.decision_function(X))
    for n_jobs in (None, 1, 2, 3):
        out = np.full(expected.packed.shape, 255, np.uint8)
        codes = hasher.encode(mapped, n_jobs=n_jobs, out=out)
        assert codes.packed is out
        assert codes == expected == hasher.encode(X, n_jobs=n_jobs)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_threads_of_blas_change_nothing(n_threads, rows):
    """Neither do the threads that BLAS is allowed, nor joblib's settings."""
    X, y = rows
    hasher = fitted(ITQ(40, random_state=0), X[:, :12].repeat(4, axis=1), y)
    X = X[:, :12].repeat(4, axis=1)
    expected = hasher.encode(X, n_jobs=1)
    with threadpool_limits(n_threads):
        assert hasher.encode(X) == expected
        with parallel_config("threading", n_jobs=2):
            assert hasher.encode(X) == expected


@pytest.mark.parametrize(
    "convert",
    [
        sp.csr_array,
        np.asfortranarray,
        lambda X: X[:, ::-1][:, ::-1],
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: X.tolist(),
    ],
    ids=["sparse", "fortran", "reversed", "strided", "list"],
)
def test_layout_of_the_rows(convert, rows):
    """Rows get their codes however they lie in memory."""
    X, y = rows
    hasher = fitted(ITQ(12, random_state=0), X, y)
    codes = hasher.encode(convert(X), n_jobs=2).unpack()
    assert np.mean(codes != hasher.encode(X).unpack()) < 1e-3


def test_integers_are_converted_batch_by_batch(rng):
    """Bytes get the codes of the same numbers in double precision."""
    X = rng.randint(256, size=(N, 8)).astype(np.uint8)
    hasher = ITQ(8, random_state=0).fit(X)
    assert hasher.encode(X, n_jobs=2) == hasher.encode(X.astype(np.float64))


def test_into_a_file_that_packed_codes_load(rows, tmp_path):
    """A file made by `create` is filled, and becomes, saved again, as any other."""
    X, y = rows
    hasher = fitted(ITQ(12, random_state=0), X, y)
    made = PackedCodes.create(tmp_path / "codes.npy", N, 12)
    codes = hasher.encode(X, n_jobs=2, out=made.packed)
    assert isinstance(codes.packed, np.memmap)
    assert PackedCodes.load(tmp_path / "codes.npy", mmap_mode="r") == codes
    hasher.encode(X).save(tmp_path / "expected.npy")
    codes.save(tmp_path / "codes.npy")
    written = (tmp_path / "codes.npy").read_bytes()
    assert written == (tmp_path / "expected.npy").read_bytes()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda X: [[0, 0]] * N, TypeError, "out must be a uint8 array.*got list"),
        (lambda X: np.zeros((N, 2), np.int8), TypeError, "got int8"),
        (lambda X: np.zeros((N, 1), np.uint8), ValueError, r"shape \(16461, 2\), for"),
        (lambda X: np.zeros((N - 1, 2), np.uint8), ValueError, "16461 codes of 12 bit"),
        (lambda X: np.zeros(N, np.uint8), ValueError, "out must have shape"),
        (
            lambda X: np.broadcast_to(np.uint8(0), (N, 2)),
            ValueError,
            r"out cannot be written to.*'r\+' or 'w\+'",
        ),
        (
            lambda X: X.view(np.uint8)[:, :2],
            ValueError,
            "out shares memory with X: give an array of its own",
        ),
    ],
)
def test_bad_out(make, error, message, rows, monkeypatch):
    """What cannot take the codes is refused before any row is projected."""
    X, y = rows[0].copy(), rows[1]
    hasher = fitted(ITQ(12, random_state=0), X, y)
    before = X.copy()
    monkeypatch.setattr(ITQ, "_project", None)
    with pytest.raises(error, match=message):
        hasher.encode(X, out=make(X))
    assert_array_equal(X, before)


def test_read_only_map_is_no_place_for_codes(rows, tmp_path):
    """A file that is mapped for reading is refused."""
    X, y = rows
    np.save(tmp_path / "codes.npy", np.zeros((N, 2), np.uint8))
    out = np.load(tmp_path / "codes.npy", mmap_mode="r")
    with pytest.raises(ValueError, match="out cannot be written to"):
        fitted(ITQ(12, random_state=0), X, y).encode(X, out=out)


@each_hasher
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_rows_at_the_end(hasher, n_jobs, value, dtype, rows):
    """NaN and infinity in the last row are found; its batch gets no codes."""
    X, y = rows[0].astype(dtype), rows[1]
    fitted(hasher, X, y)
    X[-1, 3] = value
    out = np.zeros((N, -(-hasher.n_bits // 8)), np.uint8)
    with pytest.raises(ValueError, match="Input X contains"):
        hasher.encode(X, n_jobs=n_jobs, out=out)
    assert_array_equal(out[2 * BATCH_ROWS :], 0)
    for method in (hasher.transform, hasher.decision_function):
        with pytest.raises(ValueError, match="Input X contains"):
            method(X)


class Sparing(LinearHasher):
    """A linear hasher that gives the last column no weight."""

    def fit(self, X, y=None):
        X = validate_data(self, X)
        self.mean_ = X.mean(axis=0)
        self.components_ = np.eye(4, X.shape[1])
        return self


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_values_without_weight_are_found(value, rows):
    """A value that no bit depends on must be a number, too."""
    X = rows[0].copy()
    hasher = Sparing().fit(X)
    X[-1, -1] = value
    with pytest.raises(ValueError, match="Input X contains"):
        hasher.encode(X)


@pytest.mark.parametrize("components", [np.ones((2, 24)), np.eye(2, 24)])
def test_large_numbers_are_numbers(components, rows):
    """Rows whose squares overflow are projected if their projections do not."""
    X, mean = rows[0].astype(np.float32) * 1e34, np.zeros(24)
    with np.errstate(over="ignore"):
        projections = project(X, mean, components)
    assert np.isfinite(projections).all()
    assert_allclose(projections, X.astype(np.float64) @ components.T, rtol=1e-4)


def test_overflow_is_told_from_bad_input(rows):
    """Finite rows with infinite projections are called too large."""
    X, y = rows
    hasher, X = fitted(ITQ(12, random_state=0), X, y), X.copy()
    X[-1] = 1.7e308 * np.sign(hasher.components_[0])
    with pytest.raises(ValueError, match="projections overflow: scale it down"):
        hasher.encode(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 700, BLOCK_BYTES // 400])
@pytest.mark.parametrize("n_rows", [0, 1, 600])
def test_projections_by_blocks(dtype, n_features, n_rows, rng):
    """Blocks of rows give the product of all rows, and nothing stays unset."""
    X = rng.standard_normal((n_rows, n_features)).astype(dtype)
    mean, components = rng.standard_normal((n_features,)), np.ones((5, n_features))
    projections = project(X, mean, components)
    assert projections.dtype == dtype
    rtol = 1e-4 if dtype == np.float32 else 1e-12
    expected = (X.astype(np.float64) - mean) @ components.T
    assert_allclose(projections, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_memory_is_bounded(n_jobs, rng):
    """Neither floats nor bytes of all rows and bits are ever in memory at once."""
    X = rng.standard_normal((20 * BATCH_ROWS, 16)).astype(np.float32)
    hasher = RandomHyperplaneHashing(64, random_state=0).fit(X[:1000])
    hasher.encode(X[:10])
    out = np.empty((len(X), 8), np.uint8)
    tracemalloc.start()
    hasher.encode(X, n_jobs=n_jobs, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    batch = BATCH_ROWS * 64 * 4  # its projections
    assert peak < n_jobs * (3 * batch + 2e6)  # 42 MB of all projections


def test_threads_share_the_limit_of_blas():
    """BLAS has one thread while any call runs, and what it had after the last one."""

    def n_threads():
        return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}

    before, inside, both = n_threads(), [], threading.Barrier(2, timeout=60)

    def task(item):
        both.wait()  # two calls of two threads each
        inside.append(n_threads())

    calls = [
        threading.Thread(target=call_in_threads, args=(task, range(4), 2))
        for _ in range(2)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert len(inside) == 8
    assert all(n <= {1} for n in inside)
    assert n_threads() == before


def test_threads_stop_at_an_error():
    """Tasks that have not begun are not called; those at work are waited for."""
    done, started = [], threading.Event()

    def task(item):
        if item == 0:
            started.wait(60)
            raise ValueError("the first one fails")
        started.set()
        done.append(item)

    with pytest.raises(ValueError, match="the first one fails"):
        call_in_threads(task, range(10_000), 2)
    count = len(done)
    assert count < 9_999
    assert len(done) == count


def test_room_is_made_where_none_is_given():
    """Without `out`, there is an array of the right shape."""
    room = room_for_codes(None, 5, 9)
    assert room.shape == (5, 2)
    assert room.dtype == np.uint8


class Widening(BaseHasher):
    """A third party's hasher that reads its parameter too late."""

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X, y=None):
        self.pca_ = PCA(self.n_bits).fit(validate_data(self, X))
        return self

    def _project(self, X):
        return self.pca_.transform(X)


def test_codes_of_another_width(rows):
    """Codes that do not fit the features out are not squeezed into them."""
    hasher = Widening(8).fit(rows[0]).set_params(n_bits=16)
    with pytest.raises(ValueError, match="projects to 8 bits, but has 16 features out"):
        hasher.encode(rows[0])


def test_networks_keep_their_width(rows):
    """Setting `n_bits` of a trained network does not change its codes."""
    X, y = rows
    hasher = fitted(HASHERS[-1], X, y)
    before = hasher.encode(X[:50])
    try:
        hasher.set_params(n_bits=17)
        assert hasher.encode(X[:50]) == before
        assert len(hasher.get_feature_names_out()) == 9
    finally:
        hasher.set_params(n_bits=9)
