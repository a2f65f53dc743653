"""Asymmetric distances: projections of queries against bits of a gallery."""

import numpy as np
import pytest
from bad_input import CODES, PACKED, Case, X, y
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from test_hamming import naive_ranking

from sklhash import ITQ, HammingRetriever, PackedCodes, SpectralHashing
from sklhash.codes import pack
from sklhash.hamming import _asymmetric, _lookup_tables
from sklhash.hamming._asymmetric import asymmetric_top_k, asymmetric_within_radius
from sklhash.hamming._lookup_tables import asymmetric_distances
from sklhash.hamming._numba import kernels_work
from sklhash.metrics import (
    RetrievalScorer,
    mean_average_precision,
    precision_recall_curve,
    relevance_histograms,
    retrieval_scores,
)


def naive_asymmetric(projections, codes):
    """Sums of magnitudes where signs and bits differ, byte by byte, as documented."""
    distances = np.zeros((len(projections), len(codes)))
    for i, p in enumerate(projections):
        for j, code in enumerate(codes):
            for byte in range(0, len(p), 8):
                total = 0.0
                for bit in range(byte, min(byte + 8, len(p))):
                    if (p[bit] > 0) != code[bit]:
                        total += abs(float(p[bit]))
                distances[i, j] += total
    return distances


def random_pairs(n_bits, seed=0, n_queries=5, n_gallery=40):
    """Projections, some of them zero or equal, and codes with duplicates."""
    rng = np.random.RandomState(seed)
    projections = rng.standard_normal((n_queries, n_bits))
    projections[-1] = np.round(projections[-1])
    codes = rng.randint(2, size=(n_gallery, n_bits))
    codes[n_gallery // 2 :: 2] = codes[: len(codes[n_gallery // 2 :: 2])]
    return projections, codes


@pytest.fixture(params=["numba", "numpy"])
def backend(request, monkeypatch):
    """Search by compiled kernels, and without."""
    if request.param == "numba" and not kernels_work():
        pytest.skip("numba does not compile here")
    compiled = request.param == "numba"
    for module in (_asymmetric, _lookup_tables):
        monkeypatch.setattr(module, "kernels_pay", lambda *sizes: compiled)


@pytest.fixture(params=[False, True], ids=["one block", "many blocks"])
def block_size(request, monkeypatch):
    """The usual blocks, and ones so small that every search crosses several."""
    if request.param:
        monkeypatch.setattr(_lookup_tables, "BLOCK_PAIRS", 15)
        monkeypatch.setattr(_lookup_tables, "BLOCK_QUERIES", 3)
        monkeypatch.setattr(_asymmetric, "SHARD_SIZE", 20)


@pytest.mark.parametrize("n_jobs", [None, 3])
@pytest.mark.parametrize("n_bits", [1, 2, 7, 8, 9, 31, 64, 65, 130])
def test_search_equals_naive_search(n_bits, n_jobs, backend, block_size):
    """Distances are the naive ones to the bit, and so are order and radius."""
    projections, codes = random_pairs(n_bits)
    gallery, expected = pack(codes), naive_asymmetric(projections, codes)
    ranking = naive_ranking(expected)
    ranked = np.take_along_axis(expected, ranking, axis=1)
    assert_array_equal(asymmetric_distances(projections, gallery), expected)
    for n_queries in (len(projections), 1):
        for k in (1, 3, len(codes)):
            found, positions = asymmetric_top_k(
                projections[:n_queries], gallery, k, n_jobs=n_jobs
            )
            assert_array_equal(positions, ranking[:n_queries, :k])
            assert_array_equal(found, ranked[:n_queries, :k])
            assert positions.dtype == np.intp
    for radius in (0, expected[0, 3], 1e9):
        indptr, found, positions = asymmetric_within_radius(
            projections, gallery, radius, n_jobs=n_jobs
        )
        for i, row in enumerate(ranked):
            answers = slice(indptr[i], indptr[i + 1])
            assert_array_equal(positions[answers], ranking[i][row <= radius])
            assert_array_equal(found[answers], row[row <= radius])


@pytest.mark.parametrize("seed", range(3))
def test_items_that_come_ever_nearer(seed, backend):
    """A gallery that is sorted either way gives the same neighbours."""
    projections, codes = random_pairs(40, seed, n_queries=1, n_gallery=500)
    order = np.argsort(asymmetric_distances(projections, pack(codes))[0])
    for sorted_codes in (codes[order], codes[order[::-1]]):
        expected = naive_asymmetric(projections, sorted_codes)
        found, positions = asymmetric_top_k(projections, pack(sorted_codes), 9)
        assert_array_equal(positions, naive_ranking(expected)[:, :9])
        assert_array_equal(found, np.sort(expected)[:, :9])


@pytest.mark.skipif(not kernels_work(), reason="numba does not compile here")
@pytest.mark.parametrize("gallery", ["mixed", "equal", "sorted"])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_limits_guessed_from_a_sample(k, gallery, monkeypatch):
    """Many neighbours are found below a guessed limit, also where the guess is bad."""
    monkeypatch.setattr(_asymmetric, "kernels_pay", lambda *sizes: True)
    monkeypatch.setattr(_asymmetric, "MANY_NEIGHBORS", 1)
    monkeypatch.setattr(_asymmetric, "SAMPLING", 4)
    redone = []
    by_heap = _asymmetric._nearest_by_heap

    def count(tables, *args):
        redone.append(len(tables))
        return by_heap(tables, *args)

    monkeypatch.setattr(_asymmetric, "_nearest_by_heap", count)
    projections, codes = random_pairs(20, n_gallery=600)
    if gallery == "equal":
        codes[:] = codes[0]
    elif gallery == "sorted":  # so that the sample holds only the nearest
        order = asymmetric_distances(projections[:1], pack(codes))[0].argsort()
        codes[::4], codes[np.arange(600) % 4 > 0] = (
            codes[order[:150]],
            codes[order[150:]],
        )
    expected = naive_asymmetric(projections, codes)
    found, positions = asymmetric_top_k(projections, pack(codes), k)
    assert_array_equal(positions, naive_ranking(expected)[:, :k])
    assert_array_equal(found, np.sort(expected)[:, :k])
    if gallery != "mixed":
        assert sum(redone) > 0


@st.composite
def pairs(draw):
    """Projections and codes of hypothesis."""
    n_bits = draw(st.integers(1, 40))
    sizes = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
    projections = draw(hnp.arrays(np.float64, (sizes[0], n_bits), elements=numbers))
    codes = draw(hnp.arrays(np.uint8, (sizes[1], n_bits), elements=st.integers(0, 1)))
    return projections, codes


@settings(max_examples=40)
@given(pairs(), st.data())
def test_invariances(drawn, data):
    """Distances know what flips, scales, cuts and complements do to them."""
    projections, codes = drawn
    gallery, n_bits = pack(codes), codes.shape[1]
    expected = naive_asymmetric(projections, codes)
    found = asymmetric_distances(projections, gallery)
    assert_array_equal(found, expected)
    flips = data.draw(hnp.arrays(bool, n_bits))
    turned = np.where(flips, -projections, projections)
    assert_array_equal(asymmetric_distances(turned, pack(codes ^ flips)), expected)
    assert_array_equal(asymmetric_distances(4 * projections, gallery), 4 * expected)
    total = np.abs(projections).sum(axis=1, keepdims=True)
    complement = asymmetric_distances(projections, pack(1 - codes))
    assert_allclose(expected + complement, np.broadcast_to(total, expected.shape))
    inner = projections @ (2.0 * codes - 1).T
    assert_allclose(total - 2 * expected, inner, atol=1e-9 * total.max())
    order = data.draw(st.permutations(range(n_bits)))
    moved = asymmetric_distances(projections[:, order], pack(codes[:, order]))
    assert_allclose(moved, expected, atol=1e-12 * total.max())


@settings(max_examples=30)
@given(pairs(), st.data())
def test_neighbors_do_not_depend_on_threads_or_kernels(drawn, data):
    """Any number of threads gives the ranking by (distance, position)."""
    projections, codes = drawn
    k, n_jobs = data.draw(st.integers(1, len(codes))), data.draw(st.integers(1, 3))
    expected = naive_ranking(naive_asymmetric(projections, codes))[:, :k]
    for compiled in {False, kernels_work()}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_asymmetric, "kernels_pay", lambda *_, c=compiled: c)
            patch.setattr(_asymmetric, "SHARD_SIZE", 3)
            found = asymmetric_top_k(projections, pack(codes), k, n_jobs=n_jobs)
        assert_array_equal(found[1], expected)


def test_memory_of_long_codes_is_bounded(monkeypatch):
    """Tables are made for few queries at a time."""
    sizes = []
    tables = _asymmetric.lookup_tables
    monkeypatch.setattr(
        _asymmetric,
        "lookup_tables",
        lambda p: sizes.append(tables(p).size) or tables(p),
    )
    projections, codes = random_pairs(30_000, n_queries=6, n_gallery=3)
    asymmetric_top_k(projections, pack(codes), 1)
    assert len(sizes) > 1
    assert max(sizes) <= _lookup_tables.BLOCK_ENTRIES


def hashers():
    """Hashers in all the forms that a retriever takes."""
    itq = ITQ(12, random_state=0)
    grid = GridSearchCV(
        ITQ(12, random_state=0), {"tol": [1e-2]}, scoring=RetrievalScorer(), cv=2
    )
    return {
        "itq": itq,
        "spectral": SpectralHashing(12, random_state=0),
        "pipeline": make_pipeline(StandardScaler(), itq),
        "nested": make_pipeline(StandardScaler(), make_pipeline(PCA(20), itq)),
        "grid": grid,
        "frozen": "frozen",
        "pca": PCA(12, random_state=0),
        "pca_pipeline": make_pipeline(StandardScaler(), PCA(12, random_state=0)),
        "passthrough": make_pipeline(PCA(12, random_state=0), "passthrough"),
    }


@pytest.mark.parametrize("name", hashers())
def test_any_hasher_projects_the_queries(name, digits):
    """Projections of queries have the signs of their codes, whatever the hasher."""
    X, y = digits[0][:400], digits[1][:400]
    hasher = hashers()[name]
    if name == "frozen":
        hasher = FrozenEstimator(ITQ(12, random_state=0).fit(X))
    retriever = HammingRetriever(hasher, metric="asymmetric").fit(X[100:], y[100:])
    projections = retriever.project(X[:20])
    assert projections.dtype == np.float64
    assert_array_equal(projections > 0, retriever.encode(X[:20]).unpack())
    expected = naive_asymmetric(projections, retriever.gallery_codes_.unpack())
    found, positions = retriever.kneighbors(X[:20])
    assert_array_equal(positions, naive_ranking(expected)[:, :10])
    assert_array_equal(found, np.sort(expected)[:, :10])


@pytest.mark.parametrize("gallery", ["codes", "packed", "projections"])
def test_projections_without_a_hasher(gallery, digits):
    """Without a hasher the gallery is codes in any form, queries are projections."""
    X, _ = digits
    itq = ITQ(16, random_state=0).fit(X)
    forms = {
        "codes": itq.transform,
        "packed": itq.encode,
        "projections": itq.decision_function,
    }
    bare = HammingRetriever(metric="asymmetric").fit(forms[gallery](X[50:]))
    own = HammingRetriever(FrozenEstimator(itq), metric="asymmetric").fit(X[50:])
    queries = itq.decision_function(X[:50])
    for found, expected in zip(
        bare.kneighbors(queries), own.kneighbors(X[:50]), strict=True
    ):
        assert_array_equal(found, expected)
    single = np.float32(queries)
    assert_array_equal(
        bare.kneighbors(single)[0], bare.kneighbors(single.astype(float))[0]
    )


def test_graphs_votes_and_radius(digits):
    """All methods answer with the asymmetric neighbours."""
    X, y = digits
    retriever = HammingRetriever(
        ITQ(16, random_state=0), metric="asymmetric", n_neighbors=5, radius=10.5
    ).fit(X[100:500], y[100:500])
    queries = X[:60]
    found, positions = retriever.kneighbors(queries)
    graph = retriever.kneighbors_graph(queries, mode="distance")
    assert_array_equal(graph.indices.reshape(60, 5), positions)
    assert_array_equal(graph.data.reshape(60, 5), found)
    expected = naive_asymmetric(
        retriever.project(queries), retriever.gallery_codes_.unpack()
    )
    within, places = retriever.radius_neighbors(queries)
    for i, row in enumerate(expected):
        ranking = naive_ranking(row[None])[0]
        assert_array_equal(places[i], ranking[row[ranking] <= 10.5])
        assert_array_equal(within[i], row[places[i]])
    assert sum(map(len, places)) > 100
    radius_graph = retriever.radius_neighbors_graph(queries, mode="distance")
    assert_array_equal(radius_graph.data, np.concatenate(within))
    knn = KNeighborsClassifier(5, metric="precomputed")
    knn.fit(retriever.transform(X[100:500]), y[100:500])
    assert_array_equal(
        retriever.predict(queries), knn.predict(retriever.transform(queries))
    )


def test_gallery_grows(digits):
    """`partial_fit` adds to what an asymmetric search finds."""
    X, _ = digits
    hasher = FrozenEstimator(ITQ(16, random_state=0).fit(X))
    whole = HammingRetriever(hasher, metric="asymmetric").fit(X[20:300])
    grown = HammingRetriever(hasher, metric="asymmetric")
    grown.partial_fit(X[20:90]).partial_fit(X[90:300])
    for first, second in zip(
        whole.kneighbors(X[:20]), grown.kneighbors(X[:20]), strict=True
    ):
        assert_array_equal(first, second)


@pytest.mark.parametrize("ties", ["expected", "index", "optimistic"])
def test_score_is_that_of_the_asymmetric_ranking(ties, digits):
    """Scores equal those of the naive distance matrix, ties by the same rule."""
    X, y = digits[0][:500], digits[1][:500]
    retriever = HammingRetriever(ITQ(6, random_state=0), metric="asymmetric")
    retriever.fit(X[100:], y[100:])
    projections = retriever.project(X[:100])
    distances = naive_asymmetric(projections, retriever.gallery_codes_.unpack())
    relevance = y[:100, None] == y[100:]
    names = ["map", "ndcg@20", "precision@r3"]
    expected = retrieval_scores(
        relevance=relevance, distances=distances, metrics=names, ties=ties
    )
    scorer = RetrievalScorer(names, ties=ties)
    scores = scorer(retriever, X[:100], y[:100])
    assert scores == {name: expected[name] for name in names}
    codes = projections, retriever.gallery_codes_, y[:100], y[100:]
    options = {"code_distance": "asymmetric", "ties": ties}
    assert mean_average_precision(*codes, **options) == expected["map"]
    if ties == "expected":
        assert retriever.score(X[:100], y[:100]) == expected["map"]


def test_scores_are_computed_in_blocks(digits, monkeypatch):
    """No distance matrix of all queries is made, and blocks change nothing."""
    X, y = digits
    retriever = HammingRetriever(ITQ(8, random_state=0), metric="asymmetric")
    retriever.fit(X[200:], y[200:])
    expected = retriever.score(X[:200], y[:200])
    heights = []
    whole = asymmetric_distances

    def block(projections, gallery):
        heights.append(len(projections))
        return whole(projections, gallery)

    monkeypatch.setattr("sklhash.metrics._sources.asymmetric_distances", block)
    monkeypatch.setattr(
        "sklhash.metrics._sources._batches",
        lambda n_queries, cells, *_: gen_batches(n_queries, max(1, 40_000 // cells)),
    )
    assert retriever.score(X[:200], y[:200]) == expected
    assert max(heights) < 20


def test_training_rows_leave_themselves_out(digits):
    """A training score does not count that each row finds itself."""
    X, y = digits[0][:300], digits[1][:300]
    retriever = HammingRetriever(ITQ(8, random_state=0), metric="asymmetric")
    retriever.fit(X, y)
    distances = naive_asymmetric(
        retriever.project(X), retriever.gallery_codes_.unpack()
    )
    expected = mean_average_precision(
        relevance=y[:, None] == y, distances=distances, exclude_self=True
    )
    assert retriever.score(X, y) == expected
    bare = ITQ(8, random_state=0).fit(X)
    scorer = RetrievalScorer(code_distance="asymmetric")
    assert scorer(bare, X, y) == expected


def test_cross_validation_compares_metrics(digits):
    """`metric` can be searched for, and training scores come along."""
    X, y = digits[0][:600], digits[1][:600]
    search = GridSearchCV(
        HammingRetriever(ITQ(8, random_state=0)),
        {"metric": ["hamming", "asymmetric"]},
        cv=2,
    ).fit(X, y)
    hamming, asymmetric = search.cv_results_["mean_test_score"]
    assert search.best_params_ == {"metric": "asymmetric"}
    assert asymmetric > hamming
    scores = cross_validate(
        HammingRetriever(ITQ(8, random_state=0), metric="asymmetric"),
        X,
        y,
        cv=2,
        return_train_score=True,
    )
    assert scores["test_score"].mean() == asymmetric
    assert abs(scores["train_score"].mean() - asymmetric) < 0.1


class NoProjections(TransformerMixin, BaseEstimator):
    """A hasher of another library, with codes only."""

    def __init__(self, encoded=True):
        self.encoded = encoded

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return (np.asarray(X) > 0).astype(np.uint8)

    def __getattr__(self, name):
        if name == "encode" and self.__dict__.get("encoded"):
            return lambda X: PackedCodes.from_codes(self.transform(X))
        raise AttributeError(name)


BARE = HammingRetriever(metric="asymmetric", n_neighbors=3).fit(CODES, y)
HASHED = HammingRetriever(ITQ(4, random_state=0), metric="asymmetric").fit(X, y)
WAY_OUT = r"holds codes, but asymmetric .*decision_function.*HammingRetriever the hash"
REFUSED = [
    Case("packed", lambda: BARE.kneighbors(PACKED), WAY_OUT),
    Case("bool", lambda: BARE.kneighbors(CODES > 0), WAY_OUT),
    Case("integers", lambda: BARE.radius_neighbors(CODES), WAY_OUT),
    Case("hashed_packed", lambda: HASHED.kneighbors(HASHED.encode(X)), WAY_OUT),
    Case("score", lambda: BARE.score(PACKED, y), WAY_OUT),
    Case("transform", lambda: BARE.transform(CODES.astype(int)), WAY_OUT),
    Case("none", lambda: BARE.kneighbors(), r"X is missing: metric='asymmetric'"),
    Case("none_radius", lambda: HASHED.radius_neighbors(), r"X is missing: metric"),
    Case("none_predict", lambda: HASHED.predict(), r"X is missing: metric"),
    Case("none_graph", lambda: BARE.kneighbors_graph(), r"X is missing: metric"),
    Case("nan", lambda: BARE.kneighbors(X * np.nan), r"Input X contains NaN"),
    Case("infinite", lambda: BARE.kneighbors(np.full_like(X, np.inf)), r"infinity"),
    Case("huge", lambda: BARE.kneighbors(np.full_like(X, 1e308)), r"overflow: scale"),
    Case("sparse", lambda: BARE.kneighbors(csr_array(X)), r"Sparse data", TypeError),
    Case("width", lambda: BARE.kneighbors(X[:, :4]), r"X has 4 features, but .* 6"),
    Case(
        "pipeline",
        lambda: (
            make_pipeline(ITQ(4), HammingRetriever(metric="asymmetric"))
            .fit(X, y)
            .score(X, y)
        ),
        WAY_OUT,
    ),
    Case(
        "codes_only",
        lambda: (
            HammingRetriever(NoProjections(False), metric="asymmetric")
            .fit(X)
            .kneighbors(X)
        ),
        r"the hasher's output holds codes",
    ),
    Case(
        "encode_only",
        lambda: (
            HammingRetriever(NoProjections(), metric="asymmetric").fit(X).kneighbors(X)
        ),
        r"NoProjections has no decision_function.*metric='hamming'",
    ),
    Case(
        "radius",
        lambda: BARE.radius_neighbors(X, -1),
        r"radius must be .*metric='asymmetric'",
    ),
    Case("k", lambda: BARE.kneighbors(X, 31), r"Expected n_neighbors <= n_samples_fit"),
    Case(
        "scores",
        lambda: retrieval_scores(PACKED, PACKED, y, y, code_distance="asymmetric"),
        r"query_codes holds codes",
    ),
    Case(
        "scores_width",
        lambda: retrieval_scores(X[:, :4], PACKED, y, y, code_distance="asymmetric"),
        r"equally many bits; got 4 and 6",
    ),
    Case(
        "histograms",
        lambda: relevance_histograms(X, PACKED, y, y, code_distance="asymmetric"),
        r"'code_distance' parameter .*'hamming'",
    ),
    Case(
        "curve",
        lambda: precision_recall_curve(X, PACKED, y, y, code_distance="asymmetric"),
        r"'code_distance' parameter .*'hamming'",
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused(case):
    """What cannot be compared asymmetrically is refused, with the way out."""
    case.check()


def test_real_queries_that_look_like_codes_are_taken(digits):
    """-1/+1 codes as queries give Hamming distances."""
    codes = ITQ(16, random_state=0).fit_transform(digits[0])
    queries = 2 * codes[:9].astype(int) - 1
    asymmetric = HammingRetriever(metric="asymmetric").fit(codes)
    hamming = HammingRetriever().fit(codes)
    for found, expected in zip(
        asymmetric.kneighbors(queries), hamming.kneighbors(queries), strict=True
    ):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("n_gallery", [10, 40_000])
def test_projections_that_do_not_fit_are_refused(n_gallery):
    """Kernels never read beyond tables or gallery."""
    gallery = np.zeros((n_gallery, 2), np.uint8)
    for n_bits in (8, 17, 30):
        projections = np.ones((3, n_bits))
        with pytest.raises(ValueError, match=f"2 bytes a code; got .3, {n_bits}"):
            asymmetric_top_k(projections, gallery, 1)
        with pytest.raises(ValueError, match="2 bytes a code"):
            asymmetric_within_radius(projections, gallery, 1)
        with pytest.raises(ValueError, match="2 bytes a code"):
            asymmetric_distances(projections, gallery)
    with pytest.raises(ValueError, match="the gallery; got 40001"):
        asymmetric_top_k(np.ones((3, 16)), gallery, 40_001)
