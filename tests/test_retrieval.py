"""HammingRetriever: neighbours, graphs, votes, galleries that grow."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from test_hamming import (
    naive_distances,
    naive_ranking,
    naive_spherical,
    random_codes,
    spherical_codes,
)

from sklhash import ITQ, HammingRetriever, PackedCodes
from sklhash.metrics import mean_average_precision


def without_self(ranking):
    """The ranking of each row with the row itself taken out."""
    return np.array([[j for j in row if j != i] for i, row in enumerate(ranking)])


@pytest.mark.parametrize("n_bits", range(1, 131))
def test_neighbors_equal_naive_search(n_bits):
    """Ids, order and distances are the naive ones, k up to the whole gallery."""
    queries, gallery = random_codes(n_bits, seed=n_bits)
    distances = naive_distances(queries, gallery)
    ranking = naive_ranking(distances)
    retriever = HammingRetriever().fit(gallery)
    for k in (1, 5, len(gallery)):
        found, positions = retriever.kneighbors(queries, k)
        assert_array_equal(positions, ranking[:, :k])
        assert_array_equal(found, np.take_along_axis(distances, ranking, 1)[:, :k])
    for radius in (0, 2, n_bits, n_bits + 1):
        found, positions = retriever.radius_neighbors(queries, radius)
        for i, row in enumerate(ranking):
            expected = [j for j in row if distances[i, j] <= radius]
            assert_array_equal(positions[i], expected)
            assert_array_equal(found[i], distances[i, expected])


@pytest.mark.parametrize("n_bits", [1, 3, 16])
def test_gallery_rows_leave_themselves_out(n_bits):
    """Without queries each row's neighbours are the others, duplicates included."""
    _, gallery = random_codes(n_bits, seed=5)
    distances = naive_distances(gallery, gallery)
    ranking = without_self(naive_ranking(distances))
    retriever = HammingRetriever(radius=1).fit(gallery)
    for k in (1, 5, len(gallery) - 1):
        found, positions = retriever.kneighbors(n_neighbors=k)
        assert_array_equal(positions, ranking[:, :k])
        assert_array_equal(found, np.take_along_axis(distances, ranking, 1)[:, :k])
    found, positions = retriever.radius_neighbors()
    for i, row in enumerate(ranking):
        expected = [j for j in row if distances[i, j] <= 1]
        assert_array_equal(positions[i], expected)
        assert_array_equal(found[i], distances[i, expected])


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("n_bits", [1, 7, 8, 31, 64, 65, 130, 300])
def test_spherical_neighbors_equal_naive_search(n_bits, n_jobs):
    """Ids, order and distances are those of exact fractions, codes of no bit too."""
    queries, gallery = spherical_codes(n_bits)
    exact = naive_spherical(queries, gallery)
    ranking, distances = naive_ranking(exact), np.array(exact, dtype=float)
    retriever = HammingRetriever(metric="spherical", n_jobs=n_jobs).fit(gallery)
    for k in (1, 5, len(gallery)):
        found, positions = retriever.kneighbors(queries, k)
        assert_array_equal(positions, ranking[:, :k])
        assert_array_equal(found, np.take_along_axis(distances, ranking, 1)[:, :k])
        assert found.dtype == np.float64
    for radius in (0, 2, 0.7, distances[1, 3], 10 * n_bits):
        found, positions = retriever.radius_neighbors(queries, radius)
        for i, row in enumerate(ranking):
            expected = [j for j in row if distances[i, j] <= radius]
            assert_array_equal(positions[i], expected)
            assert_array_equal(found[i], distances[i, expected])


@pytest.mark.parametrize("n_bits", [1, 3, 16, 130])
def test_spherical_rows_leave_themselves_out(n_bits):
    """A row is at distance 0 from itself and its duplicates, with no bit set too."""
    _, gallery = spherical_codes(n_bits)
    gallery[30:33] = 0
    exact = naive_spherical(gallery, gallery)
    ranking, distances = without_self(naive_ranking(exact)), np.array(exact, float)
    retriever = HammingRetriever(metric="spherical", radius=0.8).fit(gallery)
    for k in (1, 5, len(gallery) - 1):
        found, positions = retriever.kneighbors(n_neighbors=k)
        assert_array_equal(positions, ranking[:, :k])
        assert_array_equal(found, np.take_along_axis(distances, ranking, 1)[:, :k])
    for radius in (None, 0):
        found, positions = retriever.radius_neighbors(radius=radius)
        for i, row in enumerate(ranking):
            within = 0.8 if radius is None else radius
            expected = [j for j in row if distances[i, j] <= within]
            assert_array_equal(positions[i], expected)
            assert_array_equal(found[i], distances[i, expected])


def test_spherical_graphs_votes_and_score(digits):
    """Graphs, transform, votes and score are those of the spherical neighbours."""
    X, y = digits
    codes = ITQ(24, random_state=0).fit(X).encode(X[:400])
    queries, y_queries = codes[:100], y[:100]
    retriever = HammingRetriever(n_neighbors=5, radius=0.5, metric="spherical")
    retriever.fit(codes[100:], y[100:400])
    found, positions = retriever.kneighbors(queries)
    graph = retriever.kneighbors_graph(queries, mode="distance")
    assert_array_equal(graph.indices.reshape(100, 5), positions)
    assert_array_equal(graph.data.reshape(100, 5), found)
    within = retriever.radius_neighbors_graph(queries, mode="distance")
    found, positions = retriever.radius_neighbors(queries)
    assert_array_equal(within.indices, np.concatenate(positions))
    assert_array_equal(within.data, np.concatenate(found))
    assert within.nnz > 100
    six = retriever.kneighbors_graph(queries, 6, mode="distance")
    assert (retriever.transform(queries) != six).nnz == 0
    knn = KNeighborsClassifier(5, metric="precomputed")
    knn.fit(retriever.transform(codes[100:]), y[100:400])
    predicted = knn.predict(retriever.transform(queries))
    assert_array_equal(retriever.predict(queries), predicted)
    assert retriever.score(queries, y_queries) == mean_average_precision(
        queries, codes[100:], y_queries, y[100:400], code_distance="spherical"
    )


def test_inverted_bits_change_spherical_neighbors_only():
    """Bit 1 has a meaning for spherical distances, none for Hamming."""
    queries, gallery = random_codes(24, seed=0)
    for metric, same in (("hamming", True), ("spherical", False)):
        retriever = HammingRetriever(metric=metric)
        plain = retriever.fit(gallery).kneighbors(queries)
        inverted = retriever.fit(1 - gallery).kneighbors(1 - queries)
        assert np.array_equal(plain, inverted) == same


def test_memory_mapped_codes(tmp_path):
    """A gallery and queries that lie read-only on disk are searched as they are."""
    queries, gallery = random_codes(77, seed=1)
    expected = HammingRetriever().fit(gallery).kneighbors(queries)
    PackedCodes.from_codes(gallery).save(tmp_path / "gallery")
    np.save(tmp_path / "queries.npy", queries)
    mapped = PackedCodes.load(tmp_path / "gallery", mmap_mode="r")
    retriever = HammingRetriever().fit(mapped)
    found = retriever.kneighbors(np.load(tmp_path / "queries.npy", mmap_mode="r"))
    assert_array_equal(found, expected)
    assert isinstance(retriever.gallery_codes_.packed.base, np.memmap)


@pytest.mark.parametrize(
    "form",
    [
        lambda codes: codes,
        lambda codes: codes.astype(bool),
        lambda codes: 2.0 * codes - 1,
        lambda codes: codes * 0.3 - 0.1,
        lambda codes: codes.tolist(),
        PackedCodes.from_codes,
    ],
    ids=["0/1", "bool", "signs", "real", "lists", "packed"],
)
def test_any_form_of_codes(form):
    """The form of the codes does not matter."""
    queries, gallery = random_codes(20, seed=2)
    expected = HammingRetriever().fit(gallery).kneighbors(queries)
    assert_array_equal(
        HammingRetriever().fit(form(gallery)).kneighbors(form(queries)), expected
    )


@pytest.mark.parametrize("method", ["kneighbors_graph", "radius_neighbors_graph"])
@pytest.mark.parametrize("mode", ["connectivity", "distance"])
@pytest.mark.parametrize("itself", [False, True])
def test_graphs_are_those_of_nearest_neighbors(method, mode, itself):
    """Sparse graphs equal scikit-learn's, in bits (all distances differ)."""
    gallery = np.tril(np.ones((12, 12), int))[np.random.RandomState(0).permutation(12)]
    queries = None if itself else np.zeros((1, 12), int)
    ours = HammingRetriever(n_neighbors=1, radius=3).fit(gallery)
    theirs = NearestNeighbors(n_neighbors=1, radius=3, metric="manhattan").fit(gallery)
    if itself and method == "kneighbors_graph":  # two rows lie one bit away: no order
        ours.set_params(n_neighbors=11)
        theirs.set_params(n_neighbors=11)
    graph = getattr(ours, method)(queries, mode=mode)
    expected = getattr(theirs, method)(queries, mode=mode)
    assert graph.shape == expected.shape
    assert graph.dtype == expected.dtype
    assert_array_equal(graph.toarray(), expected.toarray())


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
def test_transform_feeds_precomputed_estimators(mode, digits):
    """The graph serves scikit-learn's estimators that take precomputed neighbours."""
    X, y = digits
    retriever = HammingRetriever(ITQ(32, random_state=0), n_neighbors=5, mode=mode)
    graph = retriever.fit(X[:300], y[:300]).transform(X[:300])
    assert graph.shape == (300, 300)
    assert np.all(np.diff(graph.indptr) == 5 + (mode == "distance"))
    if mode == "distance":
        knn = KNeighborsClassifier(5, metric="precomputed").fit(graph, y[:300])
        predicted = knn.predict(retriever.transform(X[300:]))
        assert_array_equal(predicted, retriever.predict(X[300:]))
        assert DBSCAN(eps=3, metric="precomputed").fit(graph).labels_.max() > 3


def test_explicit_zeros_stay_in_the_graph():
    """A duplicate at distance 0 is an entry of the graph."""
    graph = (
        HammingRetriever(n_neighbors=1)
        .fit([[1, 0], [1, 0], [0, 1]])
        .transform([[1, 0]])
    )
    assert graph.nnz == 2
    assert graph.indices.tolist() == [0, 1]


def test_pipeline_step(digits):
    """As last step of a pipeline it searches what the steps before it make."""
    X, y = digits
    pipeline = make_pipeline(
        StandardScaler(), ITQ(16, random_state=0), HammingRetriever()
    )
    pipeline.fit(X[300:], y[300:])
    hasher = make_pipeline(StandardScaler(), ITQ(16, random_state=0))
    retriever = HammingRetriever(hasher).fit(X[300:], y[300:])
    assert pipeline.score(X[:300], y[:300]) == retriever.score(X[:300], y[:300])
    assert_array_equal(pipeline.predict(X[:300]), retriever.predict(X[:300]))


def test_frozen_hasher_is_kept(digits):
    """A frozen hasher is not fitted again, nor cloned; a plain one is left alone."""
    X, _ = digits
    hasher = ITQ(16, random_state=0).fit(X)
    frozen = HammingRetriever(FrozenEstimator(hasher)).fit(X[:100])
    assert frozen.gallery_codes_ == hasher.encode(X[:100])
    plain = ITQ(16, random_state=0)
    retriever = HammingRetriever(plain).fit(X[:100])
    assert not hasattr(plain, "components_")
    assert retriever.gallery_codes_ != hasher.encode(X[:100])


def test_partial_fit_adds_rows_and_leaves_the_hasher(digits):
    """Added rows are hashed by the hasher of the first fit and found afterwards."""
    X, y = digits
    retriever = HammingRetriever(ITQ(16, random_state=0))
    retriever.partial_fit(X[:500], y[:500])
    hasher = retriever.hasher_
    components = hasher.components_.copy()
    retriever.partial_fit(X[500:900], y[500:900]).partial_fit(X[900:], y[900:])
    assert retriever.hasher_ is hasher
    assert_array_equal(hasher.components_, components)
    assert retriever.gallery_codes_ == hasher.encode(X)
    assert_array_equal(retriever.gallery_labels_, y)
    assert retriever.n_samples_fit_ == len(X)
    codes = hasher.encode(X)
    growing = HammingRetriever().partial_fit(codes[:5]).partial_fit(codes[5:])
    assert growing.gallery_codes_ == codes


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_predict_is_the_neighbours_vote(form):
    """Votes equal plain counting, for classes and for labels."""
    queries, gallery = random_codes(6, seed=4)
    rng = np.random.RandomState(0)
    classes = np.array(["a", "b", "c"])[rng.randint(3, size=len(gallery))]
    labels = (rng.rand(len(gallery), 4) < 0.5).astype(int)
    retriever = HammingRetriever(n_neighbors=4).fit(gallery, classes)
    votes = classes[retriever.kneighbors(queries, return_distance=False)]
    for row, actual in zip(votes, retriever.predict(queries), strict=True):
        assert actual == max("abc", key=lambda c: (list(row).count(c), -ord(c)))
    retriever.fit(gallery, form(labels))
    votes = labels[retriever.kneighbors(queries, return_distance=False)]
    assert_array_equal(retriever.predict(queries), votes.sum(axis=1) > 2)
    assert_array_equal(retriever.predict(), retriever.predict(None))


def test_score_is_the_mean_average_precision(digits):
    """`score` is the tie-aware mAP against the gallery, weighted if asked."""
    X, y = digits
    retriever = HammingRetriever(ITQ(8, random_state=0), n_neighbors=1)
    retriever.fit(X[300:], y[300:])
    arguments = retriever.encode(X[:300]), retriever.gallery_codes_, y[:300], y[300:]
    assert retriever.score(X[:300], y[:300]) == mean_average_precision(*arguments)
    weight = np.arange(300.0)
    assert_allclose(
        retriever.score(X[:300], y[:300], sample_weight=weight),
        np.average(mean_average_precision(*arguments, per_query=True), weights=weight),
    )


def test_packed_queries_for_a_retriever_with_hasher(digits):
    """Queries that are hashed already are taken as codes."""
    X, _ = digits
    retriever = HammingRetriever(ITQ(16, random_state=0)).fit(X)
    codes = retriever.hasher_.encode(X[:9])
    assert_array_equal(retriever.kneighbors(codes), retriever.kneighbors(X[:9]))


def test_pickle_and_clone(digits):
    """A fitted retriever can be pickled; a clone is unfitted."""
    X, y = digits
    retriever = HammingRetriever(ITQ(16, random_state=0)).fit(X, y)
    loaded = pickle.loads(pickle.dumps(retriever))
    assert_array_equal(loaded.kneighbors(X[:9]), retriever.kneighbors(X[:9]))
    assert not hasattr(clone(retriever), "gallery_codes_")


def test_refit_forgets_column_names(digits):
    """Names and number of columns are those of the last fit."""
    pd = pytest.importorskip("pandas")
    X, y = digits
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    for hasher in (None, ITQ(8, random_state=0)):
        retriever = HammingRetriever(hasher).fit(frame, y)
        assert retriever.feature_names_in_[3] == "pixel 3"
        retriever.fit(X, y)
        assert not hasattr(retriever, "feature_names_in_")
    retriever = HammingRetriever().fit(frame, y)
    retriever.fit(PackedCodes.from_codes(X[:, :9]), y)
    assert not hasattr(retriever, "feature_names_in_")
    assert retriever.n_features_in_ == 9


def test_tags_are_those_of_the_hasher():
    """What the hasher needs and takes, the retriever needs and takes."""
    for hasher in (ITQ(), ITQ(projection="cca"), StandardScaler(), None):
        tags = get_tags(HammingRetriever(hasher))
        expected = get_tags(hasher) if hasher else get_tags(StandardScaler())
        assert tags.target_tags.required == expected.target_tags.required
        assert tags.input_tags.sparse == (expected.input_tags.sparse and bool(hasher))


def test_votes_are_counted_in_batches(monkeypatch):
    """Many classes and queries do not change the vote."""
    queries, gallery = random_codes(6, seed=4)
    classes = np.random.RandomState(0).randint(30, size=len(gallery))
    retriever = HammingRetriever(n_neighbors=4).fit(gallery, classes)
    expected = retriever.predict(queries)
    monkeypatch.setattr("sklhash.graphs.BLOCK_VOTES", 40)
    assert_array_equal(retriever.predict(queries), expected)
