"""Multi-index hashing against naive loops, and against scanning."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklhash import hamming
from sklhash.codes import pack
from sklhash.hamming import _answers, _index, _multi_index
from sklhash.hamming._answers import TopK, WithinRadius
from sklhash.hamming._index import GalleryIndex
from sklhash.hamming._multi_index import SHORT_BITS, as_words, build, substrings
from sklhash.hamming._numba import kernels_work
from sklhash.hamming._trials import N_TRIES

needs_kernels = pytest.mark.skipif(
    not kernels_work(), reason="without kernels all is scanned"
)

WIDTHS = st.integers(1, 200) | st.sampled_from([16, 20, 24, 64, 65, 128, 129, 192, 256])
SEEDS = st.integers(0, 2**31)


def clustered_codes(n_bits, seed, n_queries=6, n_gallery=60):
    """Queries and gallery, 0/1: few prototypes, some bits flipped, many duplicates."""
    rng = np.random.RandomState(seed)
    n_codes = n_queries + n_gallery
    prototypes = rng.randint(2, size=(4, n_bits))
    flips = rng.rand(n_codes, n_bits) < rng.choice([0, 0.03, 0.2], size=(n_codes, 1))
    rows = prototypes[rng.randint(4, size=n_codes)] ^ flips
    return rows[:n_queries], rows[n_queries:]


def naive(queries, gallery):
    """Distances and positions of the gallery for each query, in order."""
    distances = np.array([[np.sum(q != g) for g in gallery] for q in queries])
    positions = [
        sorted(range(len(row)), key=lambda j: (row[j], j)) for row in distances
    ]
    return np.take_along_axis(distances, np.array(positions), axis=1), positions


def check_top_k(answers, queries, gallery, k):
    """Compare with naive loops, types included."""
    distances, positions = naive(queries, gallery)
    assert [answer.dtype for answer in answers] == [np.int32, np.intp]
    assert_array_equal(answers[0], distances[:, :k])
    assert_array_equal(answers[1], np.array(positions)[:, :k])


def check_radius(answers, queries, gallery, radius):
    """Compare with naive loops, types included."""
    distances, positions = naive(queries, gallery)
    inside = distances <= radius
    assert [answer.dtype for answer in answers] == [np.intp, np.int32, np.intp]
    assert_array_equal(answers[0], np.r_[0, np.cumsum(inside.sum(axis=1))])
    assert_array_equal(answers[1], distances[inside])
    assert_array_equal(answers[2], np.array(positions)[inside])


def assert_same(answers, expected):
    """Two searches gave the same, types included."""
    for one, other in zip(answers, expected, strict=True):
        assert_array_equal(one, other)
        assert one.dtype == other.dtype


def search_all(index, queries, n_jobs=None):
    """Answers of some searches of one index."""
    n = len(index.packed)
    for k in (1, min(5, n), n):
        yield from index.top_k(queries, k, n_jobs=n_jobs)
    for radius in (0, 3, 10**6):
        yield from index.within_radius(queries, radius, n_jobs=n_jobs)


@pytest.fixture
def eager(monkeypatch):
    """An 'auto' that builds tables of any gallery at once, and tries them."""
    monkeypatch.setattr(_index, "MIN_WORDS", 1)
    monkeypatch.setattr(_index, "MIN_CODES_PER_NEIGHBOUR", 1)
    monkeypatch.setattr(_index, "BUILD_COST", 0.0)


@given(
    n_bits=WIDTHS,
    seed=SEEDS,
    k=st.integers(1, 60),
    budget=st.sampled_from([0.001, 0.6, 9]),
)
@settings(max_examples=60, deadline=None)
def test_neighbours_are_those_of_naive_loops(n_bits, seed, k, budget):
    """Tables give the nearest codes in order, for all widths and k, and any budget."""
    queries, gallery = clustered_codes(n_bits, seed)
    index = GalleryIndex(pack(gallery), n_bits=n_bits, algorithm="multi_index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_index, "BUDGET", budget)
        check_top_k(index.top_k(pack(queries), k), queries, gallery, k)


@given(
    n_bits=WIDTHS,
    seed=SEEDS,
    radius=st.integers(0, 300) | st.floats(0, 9),
    budget=st.sampled_from([0.001, 0.6, 9]),
)
@settings(max_examples=60, deadline=None)
def test_radius_is_that_of_naive_loops(n_bits, seed, radius, budget):
    """Tables give all codes within a radius in order, from 0 to beyond n_bits."""
    queries, gallery = clustered_codes(n_bits, seed)
    index = GalleryIndex(pack(gallery), n_bits=n_bits, algorithm="multi_index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_index, "BUDGET", budget)
        answers = index.within_radius(pack(queries), radius)
    check_radius(answers, queries, gallery, radius)


@needs_kernels
@given(n_bits=st.integers(1, 200), seed=SEEDS, k=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_tables_alone_find_everything(n_bits, seed, k):
    """Without a budget every query is answered by tables, however far its answers are.

    Only some bits differ: looking for far codes in long ones would take for ever.
    """
    queries, gallery = clustered_codes(n_bits, seed)
    same = np.random.RandomState(seed).permutation(n_bits)[16:]
    queries[:, same] = gallery[:, same] = 1
    tables, words = build(pack(gallery), n_bits), as_words(pack(queries))
    keys, answered = TopK(k).look_up(tables, words, np.inf, None)
    assert answered.all()
    answers = (
        (keys >> np.uint64(32)).astype(np.int32),
        keys.astype(np.uint32).astype(np.intp),
    )
    check_top_k(answers, queries, gallery, k)
    keys, answered = WithinRadius(k % 10).look_up(tables, words, np.inf, None)
    assert answered.all()
    assert [len(row) for row in keys] == list(
        (naive(queries, gallery)[0] <= k % 10).sum(1)
    )


@given(n_codes=st.integers(1, 2**33), n_bits=st.integers(1, 256))
@example(n_codes=2**24, n_bits=76)
def test_substrings_are_disjoint_and_cover_most_of_the_code(n_codes, n_bits):
    """No bit is in two, none is longer than 24, less than half of one is left out."""
    bits = []
    for word, shift, width in substrings(n_codes, n_bits):
        assert 1 <= width <= 24
        assert shift + width <= 64
        bits += range(64 * word + shift, 64 * word + shift + width)
    assert len(set(bits)) == len(bits)
    assert max(bits) < n_bits
    assert n_bits - len(bits) <= max(math.log2(n_codes), SHORT_BITS) / 2


@pytest.mark.parametrize("n_bits", [12, 24, 40, 64, 100, 150])
def test_threads_do_not_change_answers(n_bits):
    """Two threads give what one gives, bit for bit."""
    queries, gallery = map(pack, clustered_codes(n_bits, 0, 30, 300))
    index = GalleryIndex(gallery, n_bits=n_bits, algorithm="multi_index")
    assert_same(search_all(index, queries, 2), search_all(index, queries, 1))


@pytest.mark.parametrize("algorithm", ["multi_index", "auto"])
@pytest.mark.parametrize("n_bits", [7, 20, 64, 70, 128, 250, 256, 257, 1000])
def test_algorithms_agree(n_bits, algorithm, eager):
    """All algorithms give the same answers, in every call."""
    queries, gallery = map(pack, clustered_codes(n_bits, 1, 40, 200))
    expected = list(
        search_all(GalleryIndex(gallery, n_bits=n_bits, algorithm="brute"), queries)
    )
    assert_same(expected[:2], hamming.top_k(queries, gallery, 1))
    index = GalleryIndex(gallery, n_bits=n_bits, algorithm=algorithm)
    for _ in range(4):  # scans, tries, and what has been preferred
        assert_same(search_all(index, queries), expected)
    assert (index.nbytes > 0) == (kernels_work() and n_bits <= 256)


@pytest.mark.parametrize("algorithm", ["multi_index", "auto"])
@pytest.mark.parametrize("build_cost", [0.0, np.inf])
def test_extending_is_building_at_once(algorithm, build_cost, eager, monkeypatch):
    """A gallery that grew is searched like one given at once, rebuilt or not."""
    queries, gallery = map(pack, clustered_codes(40, 2, 8, 90))
    index = GalleryIndex(gallery[:3], n_bits=40, algorithm=algorithm)
    list(search_all(index, queries))
    monkeypatch.setattr(_index, "BUILD_COST", build_cost)
    for n_gallery in (4, 50, 90):
        index.extend(gallery[:n_gallery])
        whole = GalleryIndex(gallery[:n_gallery], n_bits=40, algorithm="brute")
        for _ in range(4):
            assert_same(search_all(index, queries), search_all(whole, queries))
    assert index.packed is not None
    if kernels_work() and build_cost == 0:
        assert index.nbytes == _multi_index.table_bytes(90, 40)


@pytest.mark.parametrize("n_bits", [20, 64, 90])
def test_masks_and_permutations_of_bits_change_nothing(n_bits):
    """Inverting some bits of all codes, or reordering bits, gives the same answers."""
    queries, gallery = clustered_codes(n_bits, 3, 10, 150)
    rng = np.random.RandomState(0)
    mask, order = rng.randint(2, size=n_bits), rng.permutation(n_bits)

    def answers(change):
        index = GalleryIndex(
            pack(change(gallery)), n_bits=n_bits, algorithm="multi_index"
        )
        return list(search_all(index, pack(change(queries))))

    expected = answers(lambda codes: codes)
    assert_same(answers(lambda codes: codes ^ mask), expected)
    assert_same(answers(lambda codes: codes[:, order]), expected)


@pytest.mark.parametrize("n_bits", [16, 64, 130])
def test_equal_codes_are_ordered_by_position(n_bits):
    """Of equal codes the first ones are the nearest."""
    gallery = np.full((3000, -(-n_bits // 8)), 1, np.uint8)
    index = GalleryIndex(gallery, n_bits=n_bits, algorithm="multi_index")
    distances, positions = index.top_k(gallery[:2], 7)
    assert_array_equal(distances, np.zeros((2, 7)))
    assert_array_equal(positions, [range(7)] * 2)
    assert_array_equal(index.within_radius(gallery[:1], 0)[2], range(3000))


def test_radius_with_more_answers_than_room(monkeypatch):
    """Room for answers grows as it is needed."""
    monkeypatch.setattr(_answers, "RADIUS_ROOM", 1)
    monkeypatch.setattr(_answers, "BATCH_ROOM", 4)
    monkeypatch.setattr(_index, "BUDGET", np.inf)
    queries, gallery = clustered_codes(24, 4, 8, 100)
    index = GalleryIndex(pack(gallery), n_bits=24, algorithm="multi_index")
    for radius in (0, 2, 8):
        answers = index.within_radius(pack(queries), radius)
        check_radius(answers, queries, gallery, radius)


@pytest.mark.parametrize("n_bits", [70, 136, 192])
def test_galleries_may_be_read_only_mapped_or_strided(n_bits, tmp_path):
    """However the bytes lie in memory, answers are the same, and bytes unchanged."""
    queries, gallery = map(pack, clustered_codes(n_bits, 5))
    expected = list(search_all(GalleryIndex(gallery, n_bits=n_bits), queries))
    np.save(tmp_path / "gallery.npy", gallery)
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    strided = np.repeat(gallery, 2, axis=0)[::2]
    for packed in (mapped, strided):
        index = GalleryIndex(packed, n_bits=n_bits, algorithm="multi_index")
        assert_same(search_all(index, queries), expected)
        assert index.packed is packed
    assert_array_equal(mapped, gallery)


def test_longest_codes():
    """Codes of 65,535 bits are compared one by one."""
    queries, gallery = clustered_codes(65_535, 6, 2, 5)
    index = GalleryIndex(pack(gallery), n_bits=65_535, algorithm="multi_index")
    check_top_k(index.top_k(pack(queries), 5), queries, gallery, 5)
    assert index.nbytes == 0


def test_equal_queries_get_equal_answers():
    """What a query finds does not depend on those searched with it."""
    gallery = np.arange(8, dtype=np.uint8)[:, None]
    index = GalleryIndex(gallery, n_bits=8, algorithm="multi_index")
    positions = index.top_k(np.repeat(gallery[:1], 3, axis=0), 2)[1]
    assert positions.tolist() == [[0, 1]] * 3


def test_small_galleries_are_not_put_into_tables():
    """'auto' compares with all codes of a small gallery, and 'brute' of any."""
    queries, gallery = map(pack, clustered_codes(64, 7, 200, 1000))
    for algorithm in ("auto", "brute"):
        index = GalleryIndex(gallery, n_bits=64, algorithm=algorithm)
        for _ in range(5):
            index.top_k(queries, 1)
        assert index.nbytes == 0


@needs_kernels
@pytest.mark.parametrize("n_bits", [16, 24, 64, 100, 136, 192])
def test_memory_is_what_the_formula_says(n_bits):
    """`nbytes` is 0 before tables are built, and what was estimated after."""
    queries, gallery = map(pack, clustered_codes(n_bits, 8))
    index = GalleryIndex(gallery, n_bits=n_bits, algorithm="multi_index")
    assert index.nbytes == 0
    index.top_k(queries, 1)
    assert index.nbytes == _multi_index.table_bytes(len(gallery), n_bits)


@pytest.mark.parametrize("algorithm", ["multi_index", "auto"])
def test_pickles_leave_tables_out(algorithm, eager):
    """A pickled index holds the gallery alone, and answers as before."""
    queries, gallery = map(pack, clustered_codes(64, 9))
    index = GalleryIndex(gallery, n_bits=64, algorithm=algorithm)
    expected = list(search_all(index, queries))
    state = pickle.dumps(index)
    assert len(state) < gallery.nbytes + 1000
    again = pickle.loads(state)
    assert again.nbytes == 0
    assert_same(search_all(again, queries), expected)


@pytest.mark.parametrize("algorithm", ["multi_index", "auto"])
def test_many_threads_may_search_one_index(algorithm, eager):
    """Threads that search, build and extend at the same time get right answers."""
    queries, gallery = map(pack, clustered_codes(48, 10, 20, 400))
    index = GalleryIndex(gallery[:300], n_bits=48, algorithm=algorithm)
    index.extend(gallery[:350])
    index.top_k(queries, 3)
    index.extend(gallery)
    expected = hamming.top_k(queries, gallery, 5)
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: index.top_k(queries, 5), range(40))
        for answer in answers:
            assert_same(answer, expected)


@pytest.mark.parametrize("algorithm", ["multi_index", "auto"])
def test_without_numba_all_is_scanned(algorithm, eager, monkeypatch):
    """Where kernels cannot be compiled, every algorithm compares with the gallery."""
    monkeypatch.setenv("SKLHASH_NO_NUMBA", "1")
    queries, gallery = clustered_codes(64, 11)
    index = GalleryIndex(pack(gallery), n_bits=64, algorithm=algorithm)
    check_top_k(index.top_k(pack(queries), 9), queries, gallery, 9)
    check_radius(index.within_radius(pack(queries), 4), queries, gallery, 4)
    assert index.nbytes == 0


class Clock:
    """A clock that only scans and look-ups move on, by set times a query."""

    def __init__(self, monkeypatch, scan, look_up):
        self.now, self.n_scanned, self.n_looked = 0.0, 0, 0
        real_scan, real_look_up = TopK.scan, TopK.look_up

        def scan_timed(search, queries, gallery, n_jobs):
            self.now += scan * len(queries)
            self.n_scanned += len(queries)
            return real_scan(search, queries, gallery, n_jobs)

        def look_up_timed(search, tables, queries, budget, n_jobs):
            self.now += look_up * len(queries)
            self.n_looked += len(queries)
            return real_look_up(search, tables, queries, np.inf, n_jobs)

        monkeypatch.setattr(TopK, "scan", scan_timed)
        monkeypatch.setattr(TopK, "look_up", look_up_timed)
        monkeypatch.setattr(_index, "perf_counter", lambda: self.now)


@needs_kernels
@pytest.mark.parametrize("batch", [1, 5, 500, 5000])
@pytest.mark.parametrize("cost", [0.5, 2.0])
def test_auto_prefers_what_is_cheaper(batch, cost, eager, monkeypatch):
    """Of 5,000 queries, nearly all are searched by what takes less time."""
    clock = Clock(monkeypatch, scan=1.0, look_up=cost)
    monkeypatch.setattr(_index, "BUILD_COST", 5.0 / 80)
    queries, gallery = map(pack, clustered_codes(16, 12, 5000, 80))
    index = GalleryIndex(gallery, n_bits=16)
    for start in range(0, 5000, batch):
        index.top_k(queries[start : start + batch], 1)
    assert clock.n_scanned + clock.n_looked == 5000
    if cost < 1:
        assert clock.n_scanned <= 2 * max(min(batch, _index.BLOCK_QUERIES), 6)
    else:
        assert clock.n_looked <= 2 * N_TRIES


@needs_kernels
def test_auto_builds_tables_once_scans_have_taken_as_long(eager, monkeypatch):
    """No tables are built before scanning has cost what building is to cost."""
    Clock(monkeypatch, scan=1.0, look_up=0.0)
    monkeypatch.setattr(_index, "BUILD_COST", 10.0 / 80)
    queries, gallery = map(pack, clustered_codes(16, 13, 1, 80))
    index, built = GalleryIndex(gallery, n_bits=16), []
    for _ in range(15):
        index.top_k(queries, 1)
        built.append(index.nbytes > 0)
    assert built == [False] * 11 + [True] * 4


def test_unknown_algorithm():
    """The message lists what there is."""
    with pytest.raises(ValueError, match=r"algorithm must be in .*'multi_index'.*'kd'"):
        GalleryIndex(np.zeros((1, 1), np.uint8), n_bits=8, algorithm="kd")


@pytest.mark.parametrize("shape", [(2, 4), (5, 3)])
def test_extending_needs_the_old_rows(shape):
    """A gallery that shrinks, or whose codes change length, is refused."""
    index = GalleryIndex(np.zeros((3, 4), np.uint8), n_bits=32)
    with pytest.raises(ValueError, match="does not extend the gallery"):
        index.extend(np.zeros(shape, np.uint8))
