"""Shortlists of codes, ordered exactly by raw rows."""

import pickle
import tracemalloc

import numpy as np
import pytest
from bad_input import CODES, PACKED, Case, D, X, with_value
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array, csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_hamming import naive_ranking

from sklhash import ITQ, HammingRetriever, RandomHyperplaneHashing, rerank
from sklhash.hamming._numba import kernels_work
from sklhash.raw_rows import RawRows

LSH = RandomHyperplaneHashing(16, center=False, random_state=0)
METRICS = ["cosine", "euclidean"]


def folded(terms):
    """Add the second half of the terms to the first, until one is left."""
    terms = list(terms)
    while len(terms) > 1:
        half = (len(terms) + 1) // 2
        first, second = terms[:half], terms[half:]
        terms = [
            a + (second[i] if i < len(second) else 0.0) for i, a in enumerate(first)
        ]
    return terms[0]


def naive_distance(q, x, metric):
    """The distance of two rows, in the order of sums that is documented."""
    q, x = [float(v) for v in q], [float(v) for v in x]
    if metric == "euclidean":
        return folded((b - a) ** 2 for a, b in zip(q, x, strict=True)) ** 0.5
    lengths = [folded(v * v for v in row) ** 0.5 for row in (q, x)]
    if 0 in lengths:
        return 1.0
    q, x = ([v * (1 / n) for v in row] for row, n in zip((q, x), lengths, strict=True))
    return folded((b - a) ** 2 for a, b in zip(q, x, strict=True)) / 2


def naive_distances(queries, rows, metric):
    """Distances of all pairs."""
    return np.array([[naive_distance(q, x, metric) for x in rows] for q in queries])


def naive_rerank(retriever, queries, rows, metric, n_candidates, k):
    """Neighbours by a shortlist of codes, and distances of its rows."""
    _, shortlists = (
        clone(retriever)
        .set_params(rerank=None)
        .fit(rows)
        .kneighbors(queries, n_candidates)
    )
    distances = naive_distances(queries, rows, metric)
    found, positions = [], []
    for shortlist, row in zip(shortlists, distances, strict=True):
        best = sorted(shortlist, key=lambda j, row=row: (row[j], j))[:k]
        positions.append(best)
        found.append(row[best])
    return np.array(found), np.array(positions)


def random_rows(n_features=9, n_rows=40, dtype=np.float64, seed=0):
    """Whole numbers in many duplicates, so that distances tie; some rows are zero."""
    rng = np.random.RandomState(seed)
    rows = rng.randint(-3, 4, size=(n_rows, n_features)) * (rng.rand(n_rows, 1) < 0.9)
    rows[n_rows // 2 :: 2] = rows[: len(rows[n_rows // 2 :: 2])]
    return rows.astype(dtype)


@pytest.fixture(params=["numba", "numpy"])
def backend(request, monkeypatch):
    """Compare rows by compiled kernels, and without."""
    if request.param == "numba" and not kernels_work():
        pytest.skip("numba does not compile here")
    compiled = request.param == "numba"
    monkeypatch.setattr(rerank, "kernels_pay", lambda *sizes: compiled)


def frozen(rows, hasher=LSH):
    """A hasher that is fitted already, so that all retrievers share its codes."""
    return FrozenEstimator(clone(hasher).fit(rows))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("n_features", [1, 2, 7, 16, 33])
def test_neighbors_equal_naive_search(n_features, dtype, metric, backend):
    """Distances are the naive ones to the bit, ordered by (distance, position)."""
    rows = random_rows(n_features, dtype=dtype)
    queries = random_rows(n_features, 6, dtype, seed=1)
    retriever = HammingRetriever(frozen(rows), rerank=metric, n_candidates=12)
    retriever.fit(rows)
    for k in (1, 5, 12):
        expected = naive_rerank(retriever, queries, rows, metric, 12, k)
        found, positions = retriever.kneighbors(queries, k)
        assert_array_equal(positions, expected[1])
        assert_array_equal(found, expected[0])
        assert found.dtype == np.float64
        assert positions.dtype == np.intp


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("form", [csr_array, csr_matrix, coo_array])
def test_sparse_rows(form, metric):
    """Sparse rows give the neighbours of dense ones, and equal rows distance 0."""
    rng = np.random.RandomState(0)
    rows = rng.standard_normal((50, 30)) * (rng.rand(50, 30) < 0.2)
    rows[25:30] = rows[:5]
    queries = np.vstack([rows[:7], np.zeros((1, 30))])
    hasher = frozen(rows)
    dense = HammingRetriever(hasher, rerank=metric).fit(rows)
    sparse = HammingRetriever(hasher, rerank=metric).fit(form(rows))
    expected = dense.kneighbors(queries)
    for retriever in (sparse, dense):
        found, positions = retriever.kneighbors(form(queries))
        assert_array_equal(positions[:-1, :2], expected[1][:-1, :2])
        assert_allclose(found, expected[0], rtol=1e-12, atol=1e-15)
    filled = (rows[:5] != 0).any(axis=1)
    assert_array_equal(found[:5, :2][filled], 0)
    assert_allclose(sparse.kneighbors(queries)[0], expected[0], atol=1e-15)


def test_unsorted_sparse_rows_do_not_depend_on_their_neighbors():
    """Rows whose indices are stored in any order have the distances of sorted ones."""
    rng = np.random.RandomState(0)
    rows = csr_array(rng.standard_normal((30, 8)) * (rng.rand(30, 8) < 0.5))
    mixed = rows.copy()
    for start, stop in zip(mixed.indptr[:-1], mixed.indptr[1:], strict=True):
        mixed.indices[start:stop] = mixed.indices[start:stop][::-1]
        mixed.data[start:stop] = mixed.data[start:stop][::-1]
    mixed.has_sorted_indices = False
    hasher = frozen(rows)
    answers = [
        HammingRetriever(hasher, rerank="cosine").fit(X).kneighbors(Q)
        for X, Q in ((rows, rows), (mixed, rows), (mixed, mixed))
    ]
    for answer in answers[1:]:
        assert_array_equal(answer[0], answers[0][0])
        assert_array_equal(answer[1], answers[0][1])


@pytest.mark.parametrize("metric", METRICS)
def test_a_shortlist_of_everything_is_exact_search(metric, digits):
    """With all rows as candidates, neighbours are those of scikit-learn."""
    X, _ = digits
    retriever = HammingRetriever(
        ITQ(8, random_state=0), rerank=metric, n_candidates=10**6
    ).fit(X[100:])
    found, positions = retriever.kneighbors(X[:100], 5)
    exact = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute")
    distances, _ = exact.fit(X[100:]).kneighbors(X[:100])
    assert_allclose(found, distances, rtol=1e-9, atol=1e-12)
    chosen = pairwise_distances(X[:100], X[100:], metric=metric)
    assert_allclose(np.take_along_axis(chosen, positions, axis=1), found, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shortlist", ["hamming", "spherical", "asymmetric"])
def test_any_metric_finds_the_shortlist(shortlist, metric, digits):
    """The shortlist is that of `metric`; a longer one finds nearer neighbours."""
    X, _ = digits
    retriever = HammingRetriever(
        ITQ(24, random_state=0), metric=shortlist, rerank=metric, n_candidates=20
    ).fit(X[50:500])
    found, positions = retriever.kneighbors(X[:50], 5)
    bare = clone(retriever).set_params(rerank=None).fit(X[50:500])
    _, candidates = bare.kneighbors(X[:50], 20)
    for row, mine in zip(positions, candidates, strict=True):
        assert set(row) <= set(mine)
    nearer, _ = retriever.set_params(n_candidates=200).kneighbors(X[:50], 5)
    assert (nearer <= found).all()
    assert nearer.sum() < found.sum()


@pytest.mark.parametrize("metric", METRICS)
def test_gallery_rows_leave_themselves_out(metric, monkeypatch):
    """Without queries each row's neighbours are the others, duplicates included."""
    monkeypatch.setattr(rerank, "BLOCK_CANDIDATES", 30)
    rows = random_rows()
    retriever = HammingRetriever(frozen(rows), rerank=metric, n_candidates=39)
    found, positions = retriever.fit(rows).kneighbors(n_neighbors=5)
    distances = naive_distances(rows, rows, metric)
    np.fill_diagonal(distances, np.inf)
    expected = naive_ranking(distances)[:, :5]
    assert_array_equal(positions, expected)
    assert_array_equal(found, np.take_along_axis(distances, expected, axis=1))


@settings(max_examples=25)
@given(st.data())
def test_distances_do_not_depend_on_batches_threads_or_kernels(data):
    """A query's answer is the same alone and among others, however it is computed."""
    n_features, metric = (
        data.draw(st.integers(1, 20)),
        data.draw(st.sampled_from(METRICS)),
    )
    rng = np.random.RandomState(data.draw(st.integers(0, 99)))
    rows, queries = (rng.standard_normal((n, n_features)) for n in (40, 5))
    params = {"rerank": metric, "n_candidates": data.draw(st.integers(5, 50))}
    hasher = frozen(rows)
    retriever = HammingRetriever(hasher, n_neighbors=5, **params).fit(rows)
    expected = retriever.kneighbors(queries)
    with pytest.MonkeyPatch.context() as patch:
        compiled = data.draw(st.booleans()) and kernels_work()
        patch.setattr(rerank, "kernels_pay", lambda *sizes: compiled)
        patch.setattr(rerank, "BLOCK_VALUES", data.draw(st.integers(1, 300)))
        patch.setattr(rerank, "BLOCK_CANDIDATES", data.draw(st.integers(1, 99)))
        retriever.set_params(n_jobs=data.draw(st.integers(1, 3)))
        answers = [retriever.kneighbors(queries), retriever.kneighbors(queries[2:3])]
    for one, two in zip(answers[0], expected, strict=True):
        assert_array_equal(one, two)
    for one, two in zip(answers[1], expected, strict=True):
        assert_array_equal(one[0], two[2])


def test_graphs_votes_and_what_stays_with_the_codes(digits):
    """Graphs, transform and votes use the exact order; radius and score the codes."""
    X, y = digits[0][:500], digits[1][:500]
    params = {"n_neighbors": 5, "radius": 3}
    hasher = FrozenEstimator(ITQ(16, random_state=0).fit(X))
    plain = HammingRetriever(hasher, **params).fit(X[60:], y[60:])
    exact = HammingRetriever(hasher, rerank="euclidean", **params).fit(X[60:], y[60:])
    queries = X[:60]
    found, positions = exact.kneighbors(queries)
    graph = exact.kneighbors_graph(queries, mode="distance")
    assert_array_equal(graph.data.reshape(60, 5), found)
    assert_array_equal(graph.indices.reshape(60, 5), positions)
    knn = KNeighborsClassifier(5, metric="precomputed")
    knn.fit(exact.transform(X[60:]), y[60:])
    assert_array_equal(exact.predict(queries), knn.predict(exact.transform(queries)))
    assert (exact.transform(X[60:]).diagonal() == 0).all()
    for one, two in zip(
        exact.radius_neighbors(queries), plain.radius_neighbors(queries), strict=True
    ):
        for first, second in zip(one, two, strict=True):
            assert_array_equal(first, second)
    assert exact.score(queries, y[:60]) == plain.score(queries, y[:60])


def test_the_transformed_row_takes_no_place_of_a_neighbor(digits):
    """`transform` looks for a candidate more, as a training row finds itself."""
    X, _ = digits
    retriever = HammingRetriever(
        ITQ(16, random_state=0), n_neighbors=4, rerank="cosine", n_candidates=4
    ).fit(X[:200])
    graph = retriever.transform(X[:200])
    assert_array_equal(np.diff(graph.indptr), 5)


def test_default_number_of_candidates(monkeypatch):
    """The shortlist has ten candidates a neighbour, and 100 at least."""
    rows = np.random.RandomState(0).standard_normal((500, 4))
    retriever = HammingRetriever(frozen(rows), rerank="cosine").fit(rows)
    lengths = []
    original = rerank.rerank
    monkeypatch.setattr(
        rerank, "rerank", lambda *a: lengths.append(a[3].shape[1]) or original(*a)
    )
    for k in (1, 10, 30, 60):
        retriever.kneighbors(rows[:3], k)
    retriever.kneighbors(n_neighbors=50)
    assert lengths == [100, 100, 300, 500, 499]


@pytest.mark.parametrize("form", ["array", "map", "sparse"])
def test_rows_are_kept_by_reference(form, tmp_path):
    """Neither fit nor partial_fit copies the rows, and a map stays on disk."""
    rows = random_rows(n_rows=60, dtype=np.float32)
    np.save(tmp_path / "rows.npy", rows)
    given = {
        "array": lambda: rows,
        "map": lambda: np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "sparse": lambda: csr_array(rows),
    }[form]()
    hasher, more = frozen(rows), random_rows(n_rows=20, seed=3, dtype=np.float32)
    retriever = HammingRetriever(hasher, rerank="euclidean").fit(given)
    assert retriever.gallery_rows_.parts == (given,)
    added = csr_array(more) if form == "sparse" else more
    retriever.partial_fit(added)
    first, second = retriever.gallery_rows_.parts
    assert first is given
    assert second is added
    whole = HammingRetriever(hasher, rerank="euclidean").fit(np.vstack([rows, more]))
    for n_neighbors in (1, 7, 80):
        expected = whole.kneighbors(rows[:9], n_neighbors)
        found = retriever.kneighbors(rows[:9], n_neighbors)
        assert_array_equal(found[1], expected[1])
        assert_allclose(found[0], expected[0], rtol=1e-15)
    copy = pickle.loads(pickle.dumps(retriever))
    assert_array_equal(copy.kneighbors(rows[:9])[0], retriever.kneighbors(rows[:9])[0])


def test_dense_rows_join_sparse_ones():
    """A gallery may have sparse and dense rows; it answers as if all were dense."""
    rows, more = random_rows(), random_rows(seed=1)
    hasher = frozen(rows)
    mixed = HammingRetriever(hasher, rerank="cosine").fit(csr_array(rows))
    mixed.partial_fit(more).partial_fit(csr_array(more))
    dense = HammingRetriever(hasher, rerank="cosine").fit(np.vstack([rows, more, more]))
    for queries in (rows[:9], csr_array(rows[:9]), None):
        found, expected = (
            mixed.kneighbors(queries),
            dense.kneighbors(
                queries.toarray() if isinstance(queries, csr_array) else queries
            ),
        )
        assert_array_equal(found[0], expected[0])
        assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("order", ["F", "strided", "reversed", "big-endian", "frame"])
def test_rows_in_any_layout(order, backend):
    """Columns first, views, other byte orders and frames give the same neighbours."""
    rows = random_rows(8)
    layouts = {
        "F": np.asfortranarray(rows),
        "strided": np.repeat(rows, 2, axis=1)[:, ::2],
        "reversed": rows[::-1].copy()[::-1],
        "big-endian": rows.astype(">f8"),
    }
    if order == "frame":
        layouts["frame"] = pytest.importorskip("pandas").DataFrame(rows)
    hasher = LSH if order == "frame" else frozen(rows)
    expected = HammingRetriever(hasher, rerank="cosine").fit(rows).kneighbors(rows[:5])
    given = layouts[order]
    retriever = HammingRetriever(hasher, rerank="cosine").fit(given)
    for found, wanted in zip(retriever.kneighbors(given[:5]), expected, strict=True):
        assert_array_equal(found, wanted)


def test_real_rows_without_a_hasher(digits):
    """Real rows are their own sign bits, and can be ordered exactly, too."""
    X = digits[0] - digits[0].mean(axis=0)
    retriever = HammingRetriever(rerank="euclidean", n_candidates=400).fit(X[100:])
    exact = NearestNeighbors(n_neighbors=10).fit(X[100:])
    _, positions = retriever.kneighbors(X[:100])
    _, expected = exact.kneighbors(X[:100])
    shared = [np.isin(a, b).mean() for a, b in zip(positions, expected, strict=True)]
    assert np.mean(shared) > 0.95


def test_memory_is_bounded():
    """Shortlists of the whole gallery are compared block by block."""
    rng = np.random.RandomState(0)
    rows = rng.standard_normal((4000, 64)).astype(np.float32)
    retriever = HammingRetriever(LSH, rerank="euclidean", n_candidates=4000).fit(rows)
    retriever.kneighbors(rows[:1], 1)
    tracemalloc.start()
    retriever.kneighbors(rows[:1000], 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1000 * 4000 * 2, "distances and positions of all pairs"


def test_grid_search_over_candidates(digits):
    """`n_candidates` and `rerank` can be searched for, by the accuracy of votes."""
    X, y = digits[0][:400], digits[1][:400]
    search = GridSearchCV(
        HammingRetriever(ITQ(8, random_state=0), n_neighbors=3),
        {"rerank": [None, "euclidean"], "n_candidates": [3, 100]},
        scoring=lambda retriever, X, y: np.mean(retriever.predict(X) == y),
        cv=2,
    ).fit(X, y)
    assert search.best_params_ == {"rerank": "euclidean", "n_candidates": 100}


def test_rows_of_extreme_size():
    """Squares need not be near 1: lengths from 1e-130 to 1e140 are compared."""
    rows = np.random.RandomState(0).standard_normal((30, 5))
    hasher = frozen(rows)
    expected = HammingRetriever(hasher, rerank="cosine").fit(rows).kneighbors(rows[:5])
    for scale in (2.0**-430, 2.0**460):
        scaled = HammingRetriever(hasher, rerank="cosine").fit(scale * rows)
        found = scaled.kneighbors(rows[:5])
        assert_array_equal(found[0], expected[0])
        assert_array_equal(found[1], expected[1])


class Identity(TransformerMixin, BaseEstimator):
    """A hasher that takes any rows at all."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.ones((len(X), 3)) if isinstance(X, list) else np.ones((X.shape[0], 3))


def fit(X=X, hasher=LSH, rerank="cosine", **params):
    """Fit a retriever that re-ranks."""
    return HammingRetriever(hasher, rerank=rerank, **params).fit(X)


def unfaithful(**params):
    """A fitted retriever whose parameters are changed afterwards."""
    return HammingRetriever(LSH).fit(X).set_params(rerank="cosine", **params)


FITTED = fit(n_candidates=12)
CODES_ONLY = r"rerank='cosine' compares raw rows, but X holds codes: give a hasher"
REFUSED = [
    Case("packed", lambda: fit(PACKED, None), CODES_ONLY),
    Case("integers", lambda: fit(CODES, None), CODES_ONLY),
    Case("bool", lambda: fit(CODES > 0, None), CODES_ONLY),
    Case("packed_query", lambda: FITTED.kneighbors(FITTED.encode(X)), CODES_ONLY),
    Case("packed_more", lambda: FITTED.partial_fit(FITTED.encode(X)), CODES_ONLY),
    Case("late", lambda: unfaithful().kneighbors(X), r"were not kept: call fit"),
    Case("late_none", lambda: unfaithful().kneighbors(), r"were not kept: call fit"),
    Case("late_more", lambda: unfaithful().partial_fit(X), r"were not kept: call fit"),
    Case(
        "candidates",
        lambda: fit(n_candidates=9),
        r"n_candidates must be n_neighbors or more; got 9 and n_neighbors = 10",
    ),
    Case("candidates_k", lambda: FITTED.kneighbors(X, 13), r"got 12 and n_neighbors ="),
    Case("zero", lambda: fit(n_candidates=0), r"'n_candidates' parameter"),
    Case("fraction", lambda: fit(n_candidates=20.0), r"'n_candidates' parameter"),
    Case("true", lambda: fit(n_candidates=True), r"'n_candidates' parameter"),
    Case("name", lambda: fit(rerank="manhattan"), r"'rerank' parameter .*'cosine'"),
    Case("nan", lambda: fit(with_value(np.nan)), r"Input X contains NaN"),
    Case("nan_query", lambda: FITTED.kneighbors(with_value(np.nan)), r"contains NaN"),
    Case("nan_foreign", lambda: fit(with_value(np.nan), Identity()), r"contains NaN"),
    Case("strings", lambda: fit(np.full((5, 2), "a"), Identity()), r"convert|numeric"),
    Case("complex", lambda: fit(X * 1j, Identity()), r"Complex data not supported"),
    Case(
        "images",
        lambda: fit(np.ones((20, 3, 4, 4)), Identity()),
        r"rerank compares rows of a matrix, but X has shape \(20, 3, 4, 4\)",
    ),
    Case(
        "width",
        lambda: fit(hasher=Identity()).kneighbors(X[:, :4]),
        r"X has 4 features, but the raw rows of the gallery have 6",
    ),
    Case(
        "width_more",
        lambda: fit(hasher=Identity()).partial_fit(X[:, :4]),
        r"X has 4 features, but the raw rows of the gallery have 6",
    ),
    Case("huge", lambda: fit(np.full((20, D), 1e160)), r"overflow: scale it down"),
    Case("small", lambda: fit(X * 1e-160), r"squares vanish: scale it up"),
    Case("small_sparse", lambda: fit(csr_array(X * 1e-160)), r"squares vanish"),
    Case(
        "k", lambda: fit().kneighbors(X, 31), r"Expected n_neighbors <= n_samples_fit"
    ),
    Case("k_none", lambda: fit().kneighbors(None, 30), r"Expected n_neighbors < n_sam"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused(case):
    """What cannot be re-ranked is refused, with the way out."""
    case.check()


def test_a_failing_partial_fit_leaves_the_gallery():
    """Rows that are refused are not half added."""
    retriever = fit()
    expected = retriever.kneighbors(X)
    for bad in (with_value(np.nan), X[:, :4], retriever.encode(X)):
        with pytest.raises(ValueError, match=r"."):
            retriever.partial_fit(bad)
    assert retriever.gallery_rows_.n_samples == len(retriever.gallery_codes_)
    for found, wanted in zip(retriever.kneighbors(X), expected, strict=True):
        assert_array_equal(found, wanted)


def test_rows_are_dropped_with_the_parameter():
    """A gallery that grew without `rerank` has no rows to re-rank by."""
    retriever = fit().set_params(rerank=None).partial_fit(X)
    assert retriever.gallery_rows_ is None
    with pytest.raises(ValueError, match="were not kept"):
        retriever.set_params(rerank="cosine").kneighbors(X)


def test_hashers_may_be_pipelines(digits):
    """Codes are of scaled rows, distances of raw ones."""
    X, _ = digits
    hasher = make_pipeline(StandardScaler(), ITQ(32, random_state=0))
    retriever = HammingRetriever(hasher, rerank="euclidean").fit(X[20:])
    found, positions = retriever.kneighbors(X[:20])
    differences = X[:20, None] - X[20:][positions]
    assert_allclose(found, np.linalg.norm(differences, axis=2))


@settings(max_examples=50)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.data())
def test_rows_of_several_parts_are_taken_in_any_order(sizes, data):
    """Parts act as one matrix."""
    whole = np.arange(2.0 * sum(sizes)).reshape(-1, 2)
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    rows = RawRows(tuple(parts))
    places = st.lists(st.integers(0, len(whole) - 1), max_size=20)
    positions = np.array(data.draw(places), dtype=np.intp)
    if positions.size:
        assert_array_equal(rows.take(positions), whole[positions])
    assert rows.n_samples == len(whole)
