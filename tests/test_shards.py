"""Galleries in parts: merged neighbours, and search by joblib's workers."""

import numpy as np
import pytest
from bad_input import PACKED, PACKED_8, Case, X
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from joblib import parallel_config
from numpy.testing import assert_array_equal
from test_asymmetric import random_pairs

from sklhash import HammingRetriever, PackedCodes
from sklhash.shards import merge_neighbors, search_shards, search_shards_within

METRICS = ["hamming", "spherical", "asymmetric"]


def queries_of(metric, n_bits=20):
    """Queries in the form that a metric takes, and a gallery with duplicates."""
    projections, codes = random_pairs(n_bits)
    gallery = PackedCodes.from_codes(codes)
    if metric == "asymmetric":
        return projections, gallery
    return PackedCodes.from_codes(projections), gallery


def cut(gallery, *places):
    """Cut a gallery at some places."""
    ends = [*places, len(gallery)]
    return [gallery[a:b] for a, b in zip([0, *places], ends, strict=True)]


@settings(max_examples=60)
@given(
    hnp.arrays(np.float64, (3, 12), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])),
    st.lists(st.integers(0, 12), max_size=4),
    st.integers(1, 12),
)
def test_merged_neighbors_equal_one_ranking(distances, places, k):
    """However a gallery is cut, empty parts included, the merge is its ranking."""
    places = sorted(places)
    parts, sizes = [], []
    for columns in np.split(np.arange(12), places):
        own = distances[:, columns]
        order = np.argsort(own, axis=1, kind="stable")[:, :k]
        parts.append((np.take_along_axis(own, order, axis=1), order))
        sizes.append(len(columns))
    expected = np.argsort(distances, axis=1, kind="stable")[:, :k]
    found, positions = merge_neighbors(parts, sizes, n_neighbors=k)
    assert_array_equal(positions, expected)
    assert_array_equal(found, np.take_along_axis(distances, expected, axis=1))
    assert positions.dtype == np.intp


def test_default_number_of_merged_neighbors():
    """As many as the longest part has are kept, of whatever the parts found."""
    near, far = ([[1, 2]], [[0, 4]]), ([[0]], [[0]])
    found, positions = merge_neighbors([near, far], sizes=[5, 1])
    assert_array_equal(found, [[0, 1]])
    assert_array_equal(positions, [[5, 0]])
    found, positions = merge_neighbors([near], sizes=[2 + 3], n_neighbors=1)
    assert_array_equal(positions, [[0]])


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_empty_parts_change_nothing(dtype, place):
    """A gallery without rows adds neither neighbours nor the dtype of its part."""
    parts = [(np.array([[1, 2]], dtype), [[0, 1]]), (np.array([[1]], dtype), [[0]])]
    sizes = [2, 1]
    parts.insert(place, ([[]], [[]]))
    sizes.insert(place, 0)
    distances, positions = merge_neighbors(parts, sizes, n_neighbors=3)
    assert_array_equal(distances, [[1, 1, 2]])
    assert_array_equal(positions, [[0, 2, 1]])
    assert distances.dtype == dtype
    assert positions.dtype == np.intp


def test_only_empty_parts():
    """Of galleries without rows there is an empty answer, of the first one's dtype."""
    first, second = np.empty((2, 0), np.int32), np.empty((2, 0))
    distances, positions = merge_neighbors([(first, first), (second, second)], [0, 0])
    assert distances.shape == positions.shape == (2, 0)
    assert distances.dtype == np.int32
    assert positions.dtype == np.intp


@pytest.mark.parametrize("dtype", [*"bBhHiIlLqQ", object])
def test_sizes_of_any_integer_type(dtype):
    """Sizes of narrow types do not overflow where they are added up."""
    parts = [([[distance]], [[99]]) for distance in (3, 2, 1)]
    for sizes in (np.full(3, 100, dtype), list(np.full(3, 100, dtype))):
        _, positions = merge_neighbors(parts, sizes)
        assert_array_equal(positions, [[299]])


@pytest.mark.parametrize("rerank", [None, "euclidean"])
@pytest.mark.parametrize("metric", METRICS)
def test_retrievers_of_shards_merge_to_one(metric, rerank, digits):
    """Merged answers of several retrievers have the bits of one retriever's."""
    X = digits[0][:300] - digits[0].mean(axis=0)
    params = {"metric": metric, "rerank": rerank, "n_candidates": 300}
    retriever = HammingRetriever(n_neighbors=7, **params)
    expected = retriever.fit(X[20:]).kneighbors(X[:20])
    shards = X[20:25], X[25:200], X[200:]
    parts = [
        retriever.fit(shard).kneighbors(X[:20], min(7, len(shard))) for shard in shards
    ]
    merged = merge_neighbors(parts, [len(shard) for shard in shards])
    for found, wanted in zip(merged, expected, strict=True):
        assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype


@pytest.mark.parametrize("in_files", [False, True], ids=["memory", "files"])
@pytest.mark.parametrize("metric", METRICS)
def test_sharded_search_equals_one_search(metric, in_files, tmp_path):
    """Shards in memory and in files give the bits of one search."""
    queries, gallery = queries_of(metric)
    retriever = HammingRetriever(metric=metric).fit(gallery)
    shards = cut(gallery, 1, 3, 3, 17)
    if in_files:
        for i, shard in enumerate(shards):
            shard.save(tmp_path / f"{i}.npy")
        shards = [tmp_path / f"{i}.npy" for i in range(len(shards))]
        shards[0] = str(shards[0])
    for k in (1, 5, len(gallery)):
        expected = retriever.kneighbors(queries, k)
        found = search_shards(queries, iter(shards), k, metric=metric)
        for one, two in zip(found, expected, strict=True):
            assert_array_equal(one, two)
            assert one.dtype == two.dtype
    for radius in (0, 3):
        expected = retriever.radius_neighbors(queries, radius)
        found = search_shards_within(queries, shards, radius, metric=metric)
        for one, two in zip(found, expected, strict=True):
            for mine, wanted in zip(one, two, strict=True):
                assert_array_equal(mine, wanted)
                assert mine.dtype == wanted.dtype


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_within_empty_shards(metric):
    """A radius search of shards without codes finds nothing for each query."""
    queries, gallery = queries_of(metric)
    some = search_shards_within(queries, [gallery], 1, metric=metric)
    found = search_shards_within(queries, [gallery[:0]] * 2, 1, metric=metric)
    for one, two in zip(found, some, strict=True):
        assert len(one) == len(two)
        for mine, wanted in zip(one, two, strict=True):
            assert mine.shape == (0,)
            assert mine.dtype == wanted.dtype


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_any_backend_gives_the_same(backend, tmp_path):
    """Two threads and two processes answer alike; processes map the files."""
    queries, gallery = queries_of("hamming", n_bits=70)
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for shard, path in zip(cut(gallery, 22), paths, strict=True):
        shard.save(path)
    expected = HammingRetriever().fit(gallery).kneighbors(queries, 9)
    with parallel_config(backend=backend):
        for shards in (paths, [gallery[:22], paths[1]]):
            found = search_shards(queries, shards, 9, n_jobs=2)
            for one, two in zip(found, expected, strict=True):
                assert_array_equal(one, two)


def search(queries=PACKED, shards=(PACKED,), n_neighbors=3, **options):
    return search_shards(queries, shards, n_neighbors, **options)


def within(radius):
    return search_shards_within(PACKED, [PACKED], radius)


PART = np.array([[1, 2]]), np.array([[0, 1]])


def merge(distances):
    return merge_neighbors([(distances, [[0, 1]])], [2])


def sized(size):
    return merge_neighbors([PART, PART], [2, size])


REFUSED = [
    Case("no_shards", lambda: search(shards=[]), r"shards is empty"),
    Case("one_shard", lambda: search(shards=PACKED), r"sequence of", TypeError),
    Case("one_path", lambda: search(shards="a.npy"), r"sequence of", TypeError),
    Case("array", lambda: search(shards=[X]), r"shards must be Packed.*nd", TypeError),
    Case("lengths", lambda: search(shards=[PACKED, PACKED_8]), r"6 bits, .* 1 has 8"),
    Case("missing", lambda: search(shards=["no.npy"]), r"no\.npy", FileNotFoundError),
    Case("file", lambda: search(shards=[__file__]), r"holds no packed codes"),
    Case("k", lambda: search(n_neighbors=31), r"at most the 30 rows .* got 31"),
    Case("k_zero", lambda: search(n_neighbors=0), r"must be 1 or more"),
    Case("k_float", lambda: search(n_neighbors=2.0), r"be an integer", TypeError),
    Case("metric", lambda: search(metric="cosine"), r"metric must be one of hamming"),
    Case("no_queries", lambda: search(queries=None), r"queries is missing"),
    Case("codes", lambda: search(metric="asymmetric"), r"queries holds codes"),
    Case("radius", lambda: within(-1), r"radius must be a finite number >= 0"),
    Case("radius_nan", lambda: within(np.nan), r"radius must be a finite number"),
    Case("radius_str", lambda: within("2"), r"radius must be a number", TypeError),
    Case("empty", lambda: search(shards=[PACKED[:0]] * 2), r"galleries hold 0 rows"),
    Case("no_parts", lambda: merge_neighbors([], []), r"needs one or more parts"),
    Case("nan", lambda: merge([[1.0, np.nan]]), r"hold NaN, .* replace it, by inf"),
    Case("words", lambda: merge([["1", "2"]]), r"as a search gives.*<U1", TypeError),
    Case("complex", lambda: merge([[1, 2j]]), r"or floats, .* complex128", TypeError),
    Case("bool", lambda: merge([[False, True]]), r"integers or.* bool", TypeError),
    Case("object", lambda: merge([[1, None]]), r"integers or.* object", TypeError),
    Case("size_float", lambda: sized(2.0), r"sizes\[1\] must be an int", TypeError),
    Case("size_none", lambda: sized(None), r"such as len\(codes\); got No", TypeError),
    Case("size_str", lambda: sized("2"), r"rows of a gallery, .* got '2'", TypeError),
    Case("size_bool", lambda: sized(True), r"an integer, .* got True", TypeError),
    Case("size_numpy_bool", lambda: sized(np.True_), r"got .*True", TypeError),
    Case("size_negative", lambda: sized(-1), r"sizes\[1\] must be 0 or more; got -1"),
    Case("size_huge", lambda: sized(2**63), r"more than positions can count"),
    Case(
        "no_sizes", lambda: merge_neighbors([PART], None), r"sequence.*None", TypeError
    ),
    Case(
        "only_empty",
        lambda: merge_neighbors([([[]], [[]])], [0], n_neighbors=1),
        r"n_neighbors=1 needs neighbours, but the galleries hold 0 rows",
    ),
    Case("sizes", lambda: merge_neighbors([PART], [2, 3]), r"got 1 parts and 2 sizes"),
    Case("three", lambda: merge_neighbors([(*PART, 1)], [2]), r"got 3 values"),
    Case("shape", lambda: merge_neighbors([(PART[0], [[1]])], [2]), r"have one shape"),
    Case("flat", lambda: merge_neighbors([([1], [0])], [2]), r"shape \(n_queries, k\)"),
    Case(
        "queries",
        lambda: merge_neighbors([PART, ([[1], [2]], [[0], [0]])], [2, 1]),
        r"must answer the same queries; got 1 and 2",
    ),
    Case("outside", lambda: merge_neighbors([PART], [1]), r"in \[0, 1\); got 0 to 1"),
    Case("negative", lambda: merge_neighbors([([[1]], [[-1]])], [1]), r"got -1 to -1"),
    Case(
        "float_positions",
        lambda: merge_neighbors([([[1]], [[0.0]])], [1]),
        r"positions must be integers",
        TypeError,
    ),
    Case(
        "short",
        lambda: merge_neighbors([PART, ([[1]], [[0]])], [2, 9]),
        r"a part has 1 neighbours, but 2 of all need 2 of its gallery of 9 rows",
    ),
    Case(
        "more",
        lambda: merge_neighbors([PART], [9], n_neighbors=3),
        r"2 neighbours, but",
    ),
    Case("many", lambda: merge_neighbors([PART], [2], n_neighbors=3), r"the 2 rows"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused(case):
    """Parts, shards and numbers that do not fit are refused before the work."""
    case.check()
