"""Compiled search: what is not told apart from plain numpy, at any width and size."""

import os
import platform
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklhash import hamming
from sklhash.hamming import _numba, _scan

pytestmark = pytest.mark.skipif(
    not _numba.kernels_work(), reason="numba is absent or switched off"
)
WIDTHS = [1, 3, 8, 9, 24, 130]  # a kernel each: compiling them takes seconds


def bits_between(queries, gallery):
    """Count differing bits, one pair of bytes after the other."""
    return np.bitwise_count(queries[:, None] ^ gallery).sum(axis=2, dtype=np.int32)


def naive_top_k(queries, gallery, k):
    """Sort the whole gallery for every query."""
    distances = bits_between(queries, gallery)
    positions = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, positions, axis=1), positions


def naive_within(queries, gallery, radius):
    """Filter the sorted gallery of every query."""
    distances, positions = naive_top_k(queries, gallery, len(gallery))
    inside = distances <= radius
    indptr = np.append(0, np.cumsum(inside.sum(axis=1)))
    return indptr, distances[inside], positions[inside]


def assert_same(actual, expected):
    """Same values and same types."""
    for one, other in zip(actual, expected, strict=True):
        assert_array_equal(one, other)
    assert [x.dtype for x in actual[-2:]] == [np.int32, np.intp]


def draw(rng, n_queries, n_gallery, n_bytes):
    """Codes of which half stand in the gallery twice, and one query in it."""
    gallery = rng.randint(256, size=(n_gallery, n_bytes)).astype(np.uint8)
    half = n_gallery // 2
    gallery[n_gallery - half :] = gallery[rng.permutation(half)]
    queries = rng.randint(256, size=(n_queries, n_bytes)).astype(np.uint8)
    queries[:1] = gallery[:1]
    return queries, gallery


@pytest.fixture
def many_threads(monkeypatch):
    """Cut even the smallest search into threads."""
    monkeypatch.setattr(_scan, "THREADED_WORDS", 1)


@pytest.mark.parametrize("n_queries", [1, 3, 20])
@pytest.mark.parametrize("n_bytes", WIDTHS)
def test_kernels_equal_naive_search(n_bytes, n_queries, many_threads, rng):
    """Both ways to scan find what sorting finds, in one thread and two."""
    queries, gallery = draw(rng, n_queries, 1500, n_bytes)
    for n_jobs in (1, 2):
        for k in (1, 10, 700, 1500):
            found = _scan.top_k(queries, gallery, k, n_jobs)
            assert_same(found, naive_top_k(queries, gallery, k))
        for radius in (-1, 0, 1, 3.5, 3 * n_bytes, 4 * n_bytes, 8 * n_bytes, np.inf):
            found = _scan.within_radius(queries, gallery, radius, n_jobs)
            assert_same(found, naive_within(queries, gallery, radius))


@given(st.data())
def test_kernels_equal_naive_search_on_drawn_codes(data):
    """Few distinct codes, any number of them, any k and radius."""
    width = data.draw(st.sampled_from([1, 3, 8, 9]))
    code = st.binary(min_size=width, max_size=width)
    pool = data.draw(st.lists(code, min_size=1, max_size=4))
    picks = st.lists(st.sampled_from(pool), min_size=1, max_size=200)
    queries, gallery = (
        np.frombuffer(b"".join(data.draw(picks)), np.uint8).reshape(-1, width)
        for _ in range(2)
    )
    k = data.draw(st.integers(1, len(gallery)))
    radius = data.draw(st.integers(0, 8 * width + 2))
    assert_same(_scan.top_k(queries, gallery, k, 1), naive_top_k(queries, gallery, k))
    found = _scan.within_radius(queries, gallery, radius, 1)
    assert_same(found, naive_within(queries, gallery, radius))


@pytest.mark.parametrize("n_queries", [2, 30])
@pytest.mark.parametrize("order", ["ever nearer", "all equal", "ever farther"])
def test_galleries_in_the_worst_order(n_queries, order):
    """Every code a hit, or all of them ties: the ranking is still exact."""
    distances = np.repeat(np.arange(64, -1, -1), 200)
    if order != "ever nearer":
        distances = distances[::-1] if order == "ever farther" else 0 * distances + 7
    gallery = np.packbits(np.arange(64) < distances[:, None], axis=1)
    queries = np.zeros((n_queries, 8), np.uint8)
    ranking = np.argsort(distances, kind="stable")
    for k in (1, 100, 5000):
        found, positions = _scan.top_k(queries, gallery, k, 1)
        assert_array_equal(positions, np.tile(ranking[:k], (n_queries, 1)))
        assert_array_equal(found[-1], distances[ranking[:k]])


@pytest.mark.parametrize("kind", ["random", "near sample", "far sample"])
@pytest.mark.parametrize("n_queries", [2, 20])
def test_a_bound_from_a_sample_misleads_nobody(kind, n_queries, rng):
    """Where a sample of the gallery bounds too tightly, a query starts anew."""
    k, n = 50, 2 * _scan.SAMPLE * 50
    gallery = rng.randint(256, size=(n, 8)).astype(np.uint8)
    if kind != "random":
        sampled = np.arange(n) % _scan.SAMPLE == 0
        gallery[sampled == (kind == "near sample")] = 0
    queries = np.zeros((n_queries, 8), np.uint8)
    queries[0] = 255
    found = _scan.top_k(queries, gallery, k, 1)
    assert_same(found, naive_top_k(queries, gallery, k))


@pytest.mark.parametrize("n_queries", [3, 30])
def test_a_search_goes_on_where_its_room_ended(n_queries, monkeypatch, rng):
    """More hits than there is room for are all found."""
    monkeypatch.setattr(_scan, "ROOM", 8 * 512)
    queries, gallery = draw(rng, n_queries, 10_000, 2)
    found = _scan.within_radius(queries, gallery, 9, 1)
    assert_same(found, naive_within(queries, gallery, 9))


def test_an_empty_gallery_has_nothing_within_a_radius():
    """There is nothing to find, and that is no error."""
    queries, gallery = np.zeros((2, 8), np.uint8), np.zeros((0, 8), np.uint8)
    indptr, distances, positions = _scan.within_radius(queries, gallery, 64, 1)
    assert indptr.tolist() == [0, 0, 0]
    assert not len(distances)
    assert not len(positions)


@pytest.mark.parametrize("n_queries", [3, 30])
@pytest.mark.parametrize("n_bytes", [3, 8, 9])
def test_what_changes_no_distance_changes_no_answer(n_bytes, n_queries, rng):
    """Flipping bits of all codes, or moving them, leaves all answers as they are."""
    queries, gallery = draw(rng, n_queries, 3000, n_bytes)
    expected = _scan.top_k(queries, gallery, 20, 1)
    mask = rng.randint(256, size=n_bytes).astype(np.uint8)
    order = rng.permutation(8 * n_bytes)

    def moved(codes):
        return np.packbits(np.unpackbits(codes, axis=1)[:, order], axis=1)

    for change in (lambda codes: codes ^ mask, lambda codes: ~codes, moved):
        assert_same(_scan.top_k(change(queries), change(gallery), 20, 1), expected)


@pytest.mark.parametrize("layout", ["mapped", "read-only", "strided", "unaligned"])
def test_galleries_in_any_memory(layout, tmp_path, rng):
    """Mapped, read-only and oddly placed codes are searched as they are."""
    queries, gallery = draw(rng, 20, 2000, 8)
    expected = naive_top_k(queries, gallery, 5)
    if layout == "mapped":
        np.save(tmp_path / "codes.npy", gallery)
        gallery = np.load(tmp_path / "codes.npy", mmap_mode="r")
    elif layout == "read-only":
        gallery.flags.writeable = False
    elif layout == "strided":
        gallery = np.repeat(gallery, 2, axis=1)[:, ::2]
    else:
        memory = np.empty(gallery.nbytes + 1, np.uint8)[1:]
        memory[:] = gallery.ravel()
        gallery = memory.reshape(gallery.shape)
    assert_same(_scan.top_k(queries, gallery, 5, 1), expected)


@pytest.mark.parametrize("kind", [hamming.top_k, hamming.GalleryIndex])
@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (np.zeros((2, 7), np.uint8), 1, "equally many bytes a code.*7 and 8"),
        (np.zeros((2, 8), np.int64), 1, "queries must be packed codes.*int64"),
        (np.zeros(8, np.uint8), 1, r"queries must be packed codes.*\(8,\)"),
        (np.zeros((2, 8), np.uint8), 200_001, r"k must be in \[1, 200000\].*200001"),
        (np.zeros((2, 8), np.uint8), 0, "k must be in .*got 0"),
    ],
)
def test_kernels_never_read_beyond_the_codes(kind, queries, k, message):
    """What does not fit together is refused before an address is taken."""
    gallery = np.zeros((200_000, 8), np.uint8)
    search = hamming.GalleryIndex(gallery, n_bits=64).top_k
    if kind is hamming.top_k:
        search = partial(hamming.top_k, gallery=gallery)
    with pytest.raises(ValueError, match=message):
        search(queries, k=k)


@pytest.mark.parametrize("n_gallery", [10, 200_000])
def test_kernels_serve_the_public_functions(n_gallery, monkeypatch, rng):
    """Large searches are compiled ones; without numba the answers are the same."""
    queries, gallery = draw(rng, 3, n_gallery, 4)
    expected = (
        hamming.top_k(queries, gallery, 5),
        hamming.within_radius(queries, gallery, 5),
    )
    monkeypatch.setenv("SKLHASH_NO_NUMBA", "1")
    monkeypatch.setattr(_scan, "top_k", None)
    assert_same(hamming.top_k(queries, gallery, 5), expected[0])
    assert_same(hamming.within_radius(queries, gallery, 5), expected[1])


def test_small_searches_do_not_load_numba(monkeypatch):
    """Where numpy is done before numba is loaded, numpy is what searches."""
    monkeypatch.setattr(_numba, "_loaded", set())
    assert not _numba.kernels_pay(1000, 1000)
    assert _numba.kernels_pay(1, 1_000_000)
    assert _numba.kernels_pay(1000, 1000)  # now that they are loaded
    assert not _numba.kernels_pay(1000, 1000, kind="another")
    assert _numba.kernels_pay(10_000, 10_000, kind="another")


@pytest.mark.parametrize("unit", range(1, 9))
def test_flipped_planes_add_up_to_distances(unit, rng):
    """The planes that a query asks for hold the bits in which it differs."""
    n_triples, n_single = divmod(8 * unit, 3)
    codes = rng.randint(2, size=(50, 8 * unit))
    query = rng.randint(2, size=8 * unit)
    packed = np.packbits(query[None], axis=1, bitorder="little")
    word = np.zeros((1, 8), np.uint8)
    word[:, :unit] = packed
    places = _scan._places(word.view(np.uint64), unit)[0, 0]
    total = np.zeros(50, int)
    for t in range(n_triples):
        a, b, c = codes[:, 3 * t : 3 * t + 3].T
        planes = [a ^ b ^ c, 1 - (a ^ b ^ c)]
        for flips in range(8):
            bits = [x ^ (flips >> i & 1) for i, x in enumerate((a, b, c))]
            planes.append((sum(bits) >= 2).astype(int))
        total += planes[places[2 * t] - 10 * t]
        total += 2 * planes[places[2 * t + 1] - 10 * t]
    for s in range(n_single):
        bit = codes[:, 3 * n_triples + s]
        flipped = places[2 * n_triples + s] - 10 * n_triples - 2 * s
        total += bit ^ flipped
    assert_array_equal(total, (codes != query).sum(axis=1))


PROCESSOR = """
import sys
import numpy as np
from sklhash.hamming import _scan, _scan_kernels, _search
rng = np.random.RandomState(0)
for n_bytes in (8, 16):
    codes = rng.randint(256, size=(3000, n_bytes)).astype(np.uint8)
    for n_queries in (2, 30):
        search = codes[:n_queries], codes, 10
        found = _scan.top_k(*search, 1)
        for one, other in zip(found, _search.top_k(*search)):
            assert (one == other).all()
assembly = "".join(_scan_kernels.nearest.inspect_asm().values())
print("vpternlog" in assembly, "vpopcntq" in assembly)
"""


def has(*features):
    """Tell whether this processor has the features."""
    from llvmlite.binding import get_host_cpu_features

    return all(get_host_cpu_features().get(feature) for feature in features)


@pytest.mark.skipif("x86" not in platform.machine(), reason="names x86 processors")
@pytest.mark.parametrize("processor", ["this one", "haswell"])
def test_processors(processor, tmp_path):
    """Answers are the same with vectors of 512 bits and with AVX2 only.

    Where there are vectors of 512 bits, an adder is two instructions, and a popcount
    one where the processor has it.
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    expected = has("avx512f"), has("avx512f", "avx512vpopcntdq")
    if processor != "this one":
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
        expected = False, False
    script = [sys.executable, "-W", "error", "-c", PROCESSOR]
    done = subprocess.run(
        script, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(bool(x)) for x in expected]
