"""Search and counting against naive loops over whole distance matrices."""

import tracemalloc
from fractions import Fraction

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
from sklhash.hamming._code_metrics import FLOAT32_BITS, SphericalMetric
from sklhash.metrics import retrieval_scores


def naive_distances(queries, gallery):
    """Differing bits of each pair of 0/1 rows."""
    return np.array([[np.sum(q != g) for g in gallery] for q in queries])


def naive_spherical(queries, gallery):
    """Differing bits over common ones plus 0.1, of each pair of 0/1 rows, exactly."""
    return [
        [
            Fraction(10 * int(np.sum(q != g)), 10 * int(np.sum(q & g)) + 1)
            for g in gallery
        ]
        for q in queries
    ]


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


def spherical_codes(n_bits):
    """Codes with duplicates, some of them without any bit set."""
    queries, gallery = random_codes(n_bits, seed=n_bits)
    queries[0] = gallery[[3, 20]] = 0
    return queries, gallery


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("n_bits", [1, 7, 8, 31, 64, 65, 130, 300, 1000])
def test_spherical_search_equals_naive_search(n_bits, n_jobs, block_size):
    """Spherical search ranks as exact fractions do, in float32 blocks and float64."""
    queries, gallery = spherical_codes(n_bits)
    exact = naive_spherical(queries, gallery)
    ranking = naive_ranking(exact)
    distances = np.array(exact, dtype=float)  # rounded correctly
    ranked = np.take_along_axis(distances, ranking, axis=1)
    q, g = pack(queries), pack(gallery)
    options = {"metric": "spherical", "n_jobs": n_jobs}

    assert_array_equal(hamming.distances(q, g, metric="spherical"), distances)
    for k in (1, 2, 3, 17, len(gallery)):
        found, positions = hamming.top_k(q, g, k, **options)
        assert_array_equal(positions, ranking[:, :k])
        assert_array_equal(found, ranked[:, :k])
        assert found.dtype == np.float64
    for radius in (0, 0.5, 2, *ranked[:, 5], np.nextafter(ranked[1, 9], 0), 1e300):
        indptr, found, positions = hamming.within_radius(q, g, radius, **options)
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


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("top_k", "hamming"),
        ("top_k", "spherical"),
        ("within_radius", "hamming"),
        ("within_radius", "spherical"),
        ("histograms", "hamming"),
        ("scores", "hamming"),
        ("scores", "spherical"),
    ],
)
def test_search_takes_little_memory(task, metric, rng):
    """No matrix of all queries and all gallery codes is ever made."""
    n_queries = 2500 if task == "scores" else 1000  # several blocks
    queries = rng.randint(256, size=(n_queries, 8)).astype(np.uint8)
    gallery = rng.randint(256, size=(50_000, 8)).astype(np.uint8)
    y_q, y_g = np.arange(n_queries) % 5, np.arange(50_000) % 5

    def search():
        if task == "top_k":
            hamming.top_k(queries, gallery, 10, metric=metric)
        elif task == "within_radius":
            radius = 15 if metric == "hamming" else 0.6
            hamming.within_radius(queries, gallery, radius, metric=metric)
        elif task == "histograms":
            hamming.histograms(queries, gallery, y_q, y_g, n_bits=64, n_grades=2)
        else:
            codes = PackedCodes(queries, 64), PackedCodes(gallery, 64)
            retrieval_scores(*codes, y_q, y_g, code_distance=metric)

    search()  # kernels are loaded once
    tracemalloc.start()
    search()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(queries) * len(gallery) / 2  # half a byte a pair


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


PAIRS = st.integers(1, 40).flatmap(
    lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=2)
)


@given(PAIRS)
def test_what_holds_for_spherical_distances(codes):
    """Symmetric, 0 for equal codes only, larger with more bits of the same total."""
    codes = np.array(codes, np.uint8)
    packed = pack(codes)
    distances = hamming.distances(packed, packed, metric="spherical")
    bits = naive_distances(codes, codes)
    assert_array_equal(distances, distances.T)
    assert_array_equal(distances == 0, bits == 0)
    paired = hamming.paired_distances(packed, packed[::-1], metric="spherical")
    assert_array_equal(paired, distances[:, ::-1].diagonal())
    set_bits = np.add.outer(codes.sum(axis=1), codes.sum(axis=1))
    for total in np.unique(set_bits):
        same = set_bits == total
        order = np.argsort(bits[same], kind="stable")
        assert (np.diff(bits[same][order]) > 0).tolist() == (
            np.diff(distances[same][order]) > 0
        ).tolist()


def test_inverting_all_bits_changes_spherical_distances_only():
    """Hamming distances do not know which of the two bits is called 1."""
    queries, gallery = random_codes(24, seed=0)
    for metric, same in (("hamming", True), ("spherical", False)):
        plain, inverted = (
            hamming.distances(pack(q), pack(g), metric=metric)
            for q, g in ((queries, gallery), (1 - queries, 1 - gallery))
        )
        assert np.array_equal(plain, inverted) == same


def all_pairs(n_bits):
    """Differing bits of all pairs of codes there can be, and a metric bound to them."""
    counts = np.arange(n_bits + 1)
    bits, common = np.nonzero(counts[:, None] + counts <= n_bits)
    metric = SphericalMetric(n_bits, bits + common, common)
    return bits, 10 * bits, 10 * common + 1, metric


@pytest.mark.parametrize("n_bits", [1, 8, 64, FLOAT32_BITS, FLOAT32_BITS + 1])
def test_keys_and_ranks_order_pairs_as_exact_fractions_do(n_bits):
    """Rounded keys are equal for equal fractions only: float32 suffices to 915 bits."""
    bits, numerator, denominator, metric = all_pairs(n_bits)
    shared = np.gcd(numerator, denominator)
    fractions = np.stack([numerator // shared, denominator // shared])
    _, fraction = np.unique(fractions, axis=1, return_inverse=True)
    each = slice(None)
    keys, ranks = metric.keys(bits, each, each), metric.ranks(bits, each, each)
    distances = metric.distances(bits, each, each)
    assert keys.dtype == (np.float32 if n_bits <= FLOAT32_BITS else np.float64)
    assert_array_equal(distances, numerator / denominator)
    order = np.argsort(distances, kind="stable")
    new = np.diff(fraction.ravel()[order]) != 0
    for values in (distances, keys, ranks):
        assert_array_equal(np.diff(values[order]) > 0, new)
        assert_array_equal(np.diff(values[order]) == 0, ~new)
    assert ranks.max() < metric.n_ranks
    assert_array_equal(metric.bits(ranks, each, each), bits)


def test_limits_of_floats():
    """What the comment on the limits of float32 and float64 says is so."""
    assert FLOAT32_BITS * (10 * FLOAT32_BITS + 1) < 2**23
    assert (FLOAT32_BITS + 1) * (10 * (FLOAT32_BITS + 1) + 1) > 2**23
    assert 65_536 * (10 * 65_536 + 1) < 2**52


def test_longest_codes_keep_their_distances(rng):
    """Ranks of codes of 65,535 bits neither overflow nor lose a bit."""
    first, second = (rng.randint(256, size=(50, 8192)).astype(np.uint8) for _ in "ab")
    first[:, -1] &= 127
    second[:, -1] &= 127
    second[:10] = 0
    exact = [
        Fraction(
            10 * int(np.bitwise_count(a ^ b).sum()),
            10 * int(np.bitwise_count(a & b).sum()) + 1,
        )
        for a, b in zip(first, second, strict=True)
    ]
    expected = np.array(exact, dtype=float)
    paired = hamming.paired_distances(first, second, metric="spherical")
    assert_array_equal(paired, expected)
    found, positions = hamming.top_k(first, second, 50, metric="spherical")
    itself = positions == np.arange(50)[:, None]
    assert_array_equal(found[itself], expected)


@pytest.mark.parametrize("n_bits", range(1, 20))
def test_possible_spherical_distances(n_bits):
    """They are the distinct fractions, rounded, in ascending order."""
    exact = {
        Fraction(10 * bits, 10 * common + 1)
        for bits in range(n_bits + 1)
        for common in range(n_bits - bits + 1)
    }
    actual = hamming.possible_distances(n_bits, metric="spherical")
    assert actual.tolist() == [float(distance) for distance in sorted(exact)]
    assert hamming.possible_distances(n_bits).tolist() == list(range(n_bits + 1))


def test_what_metrics_refuse():
    """Unknown metrics, and listing half a million distances, name the way out."""
    codes = np.zeros((2, 1), np.uint8)
    with pytest.raises(ValueError, match="one of hamming, spherical; got 'cosine'"):
        hamming.top_k(codes, codes, 1, metric="cosine")
    with pytest.raises(ValueError, match="up to 1024 bits; got n_bits=1025"):
        hamming.possible_distances(1025, metric="spherical")


@pytest.mark.parametrize("n_bits", [1, 7, 16, 33, 130])
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_spherical_histograms_equal_loops(n_bits, kind, block_size, rng):
    """Counts by spherical distance and shared labels equal plain loops."""
    queries, gallery = spherical_codes(n_bits)
    if kind == "classes":
        y_q, y_g = rng.randint(3, size=len(queries)), rng.randint(3, size=len(gallery))
        shared, n_grades = np.equal.outer(y_q, y_g), 2
    else:
        y_q = (rng.rand(len(queries), 4) < 0.4).astype(np.float32)
        y_g = (rng.rand(len(gallery), 4) < 0.4).astype(np.float32)
        shared, n_grades = y_q @ y_g.T, 5
        y_q, y_g = csr_array(y_q), csr_array(y_g)
    possible = hamming.possible_distances(n_bits, metric="spherical").tolist()
    expected = np.zeros((len(queries), len(possible), n_grades), int)
    for i, row in enumerate(naive_spherical(queries, gallery)):
        for j, distance in enumerate(row):
            expected[i, possible.index(float(distance)), int(shared[i, j])] += 1
    codes, sizes = (pack(queries), pack(gallery)), {"n_bits": n_bits}
    counts = hamming.histograms(
        *codes, y_q, y_g, **sizes, n_grades=n_grades, metric="spherical"
    )
    assert_array_equal(counts, expected)
    occurring, distances = hamming.occurring_histograms(
        *codes, y_q, y_g, **sizes, n_grades=n_grades
    )
    for row, all_counts, found in zip(occurring, expected, distances, strict=True):
        occurs = all_counts.any(axis=1)
        n = occurs.sum()
        assert found[:n].tolist() == np.array(possible)[occurs].tolist()
        assert_array_equal(row[:n], all_counts[occurs])
        assert np.isinf(found[n:]).all()
        assert not row[n:].any()


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
