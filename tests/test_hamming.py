"""Search and counting against naive loops over whole distance matrices."""

import tracemalloc

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from sklhash import PackedCodes, hamming
from sklhash.codes import pack
from sklhash.hamming import _blocks
from sklhash.metrics import retrieval_scores


def naive_distances(queries, gallery):
    """Differing bits of each pair of 0/1 rows."""
    return np.array([[np.sum(q != g) for g in gallery] for q in queries])


def naive_ranking(distances):
    """Gallery positions of each query by (distance, position)."""
    return np.array(
        [sorted(range(len(row)), key=lambda j: (row[j], j)) for row in distances]
    )


def random_codes(n_bits, seed, n_queries=7, n_gallery=40):
    """Codes with many duplicates: a few prototypes and a few flipped bits."""
    rng = np.random.RandomState(seed)
    prototypes = rng.randint(2, size=(5, n_bits))
    queries = prototypes[rng.randint(5, size=n_queries)]
    gallery = prototypes[rng.randint(5, size=n_gallery)]
    flips = rng.rand(n_gallery, n_bits) < 1.5 / n_bits
    return queries, np.where(rng.rand(n_gallery, 1) < 0.5, gallery, gallery ^ flips)


@pytest.fixture(params=[False, True], ids=["one block", "many blocks"])
def block_size(request, monkeypatch):
    """The usual blocks, and ones so small that every search crosses several."""
    if request.param:
        monkeypatch.setattr(_blocks, "BLOCK_PAIRS", 15)
        monkeypatch.setattr(_blocks, "BLOCK_QUERIES", 3)
    return request.param


@pytest.mark.parametrize("n_bits", range(1, 131))
def test_search_equals_naive_search(n_bits, block_size):
    """Top-k and radius search give the naive ids in the naive order, at any length."""
    queries, gallery = random_codes(n_bits, seed=n_bits)
    distances = naive_distances(queries, gallery)
    ranking = naive_ranking(distances)
    ranked = np.take_along_axis(distances, ranking, axis=1)
    q, g = pack(queries), pack(gallery)

    assert_array_equal(hamming.distances(q, g), distances)
    for k in (1, 2, 3, 17, len(gallery)):
        found, positions = hamming.top_k(q, g, k)
        assert_array_equal(positions, ranking[:, :k])
        assert_array_equal(found, ranked[:, :k])
        assert found.dtype == np.int32
        assert positions.dtype == np.intp
    for radius in (0, 1, n_bits // 2, n_bits, n_bits + 5):
        indptr, found, positions = hamming.within_radius(q, g, radius)
        for i in range(len(queries)):
            inside = ranked[i] <= radius
            answers = slice(indptr[i], indptr[i + 1])
            assert_array_equal(positions[answers], ranking[i][inside])
            assert_array_equal(found[answers], ranked[i][inside])


@pytest.mark.parametrize("n_bits", [255, 256, 257, 1000, 4096])
def test_long_codes_do_not_overflow(n_bits):
    """Distances beyond 255 bits are counted right."""
    q = pack(np.zeros((2, n_bits), np.uint8))
    g = pack(np.vstack([np.ones(n_bits, np.uint8), np.zeros(n_bits, np.uint8)]))
    found, positions = hamming.top_k(q, g, 2)
    assert found.tolist() == [[0, n_bits]] * 2
    assert positions.tolist() == [[1, 0]] * 2
    assert hamming.paired_distances(q, g).tolist() == [n_bits, 0]


def test_large_gallery_in_any_order(rng):
    """Far, near and mixed code blocks in any order give the same neighbours."""
    distances = np.repeat(np.arange(64, 0, -1), 700)  # ever nearer: the worst order
    gallery = (np.arange(64) < distances[:, None]).astype(np.uint8)
    q = pack(np.zeros((3, 64), np.uint8))
    for order in (np.arange(len(gallery)), rng.permutation(len(gallery))):
        ranking = np.argsort(distances[order], kind="stable")
        for k in (1, 100, 5000):
            found, positions = hamming.top_k(q, pack(gallery[order]), k)
            assert_array_equal(positions, np.tile(ranking[:k], (3, 1)))
            assert_array_equal(found[0], distances[order][ranking[:k]])


@pytest.mark.parametrize("task", ["top_k", "within_radius", "histograms", "scores"])
def test_search_takes_little_memory(task, rng):
    """No matrix of all queries and all gallery codes is ever made."""
    queries = rng.randint(256, size=(1000, 8)).astype(np.uint8)
    gallery = rng.randint(256, size=(50_000, 8)).astype(np.uint8)
    y_q, y_g = np.arange(1000) % 5, np.arange(50_000) % 5
    tracemalloc.start()
    if task == "top_k":
        hamming.top_k(queries, gallery, 10)
    elif task == "within_radius":
        hamming.within_radius(queries, gallery, 15)
    elif task == "histograms":
        hamming.histograms(queries, gallery, y_q, y_g, n_bits=64, n_grades=2)
    else:
        retrieval_scores(PackedCodes(queries, 64), PackedCodes(gallery, 64), y_q, y_g)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25e6  # 50 MB of one byte a pair


def test_many_neighbours_take_little_memory(rng):
    """Memory grows with the answers asked for, not with a multiple of them."""
    gallery = rng.randint(256, size=(100_000, 8)).astype(np.uint8)
    tracemalloc.start()
    found, positions = hamming.top_k(gallery[:64], gallery, 20_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * (found.nbytes + positions.nbytes)
    assert_array_equal(positions[:, 0], np.arange(64))


def test_jobs_are_threads_in_any_context(rng):
    """A surrounding process backend does not make searches ship the gallery."""
    gallery = rng.randint(256, size=(1000, 8)).astype(np.uint8)
    expected = hamming.top_k(gallery[:200], gallery, 5)
    with joblib.parallel_config(backend="loky"):
        actual = hamming.top_k(gallery[:200], gallery, 5, n_jobs=2)
    for one, other in zip(actual, expected, strict=True):
        assert_array_equal(one, other)


def test_jobs_do_not_change_answers(block_size):
    """Threads give the answers of one thread."""
    queries, gallery = map(pack, random_codes(24, seed=0, n_queries=200))
    for one, many in zip(
        hamming.top_k(queries, gallery, 5),
        hamming.top_k(queries, gallery, 5, n_jobs=3),
        strict=True,
    ):
        assert_array_equal(one, many)
    for one, many in zip(
        hamming.within_radius(queries, gallery, 3),
        hamming.within_radius(queries, gallery, 3, n_jobs=3),
        strict=True,
    ):
        assert_array_equal(one, many)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 30), st.randoms())
def test_distances_are_a_metric(n_bits, n_first, n_second, random):
    """Distances are symmetric, zero for equal codes, and obey the triangle rule."""
    rng = np.random.RandomState(random.randrange(2**31))
    first = pack(rng.randint(2, size=(n_first, n_bits)))
    second = pack(rng.randint(2, size=(n_second, n_bits)))
    there, back = hamming.distances(first, second), hamming.distances(second, first)
    assert_array_equal(there, back.T)
    among = hamming.distances(first, first)
    assert not among.diagonal().any()
    assert (among[:, :, None] <= there[:, None] + there[None]).all()


@pytest.mark.parametrize("n_bits", [1, 7, 16, 33])
def test_class_histograms_equal_loops(n_bits, block_size, rng):
    """Counts by distance and class equality equal plain loops."""
    queries, gallery = random_codes(n_bits, seed=3)
    y_q, y_g = rng.randint(3, size=len(queries)), rng.randint(3, size=len(gallery))
    expected = np.zeros((len(queries), n_bits + 1, 2), int)
    for i, row in enumerate(naive_distances(queries, gallery)):
        for j, distance in enumerate(row):
            expected[i, distance, int(y_q[i] == y_g[j])] += 1
    actual = hamming.histograms(
        pack(queries), pack(gallery), y_q, y_g, n_bits=n_bits, n_grades=2
    )
    assert_array_equal(actual, expected)


def test_label_histograms_equal_loops(block_size, rng):
    """Counts by distance and number of shared labels equal plain loops."""
    queries, gallery = random_codes(9, seed=3)
    y_q = (rng.rand(len(queries), 6) < 0.4).astype(np.float32)
    y_g = (rng.rand(len(gallery), 6) < 0.4).astype(np.float32)
    expected = np.zeros((len(queries), 10, 7), int)
    for i, row in enumerate(naive_distances(queries, gallery)):
        for j, distance in enumerate(row):
            shared = sum(bool(a and b) for a, b in zip(y_q[i], y_g[j], strict=True))
            expected[i, distance, shared] += 1
    actual = hamming.histograms(
        pack(queries),
        pack(gallery),
        csr_array(y_q),
        csr_array(y_g),
        n_bits=9,
        n_grades=7,
    )
    assert_array_equal(actual, expected)
