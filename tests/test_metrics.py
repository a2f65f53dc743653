"""Ranking measures: equal to plain loops over every ranking the tie rule allows."""

import math
from fractions import Fraction

import numpy as np
import pytest
import ranking_oracle as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import average_precision_score, ndcg_score

from sklhash import PackedCodes
from sklhash.hamming import possible_distances
from sklhash.metrics import (
    _closed_forms,
    _sources,
    average_cumulative_gain,
    mean_average_precision,
    ndcg,
    precision,
    precision_recall_curve,
    recall,
    relevance_histograms,
    retrieval_scores,
    scores_from_histograms,
    weighted_average_precision,
)

NAMES = ["map", "ndcg", "precision", "recall", "acg", "wap"]
CUTS = ["", "@1", "@2", "@3", "@5", "@9", "@100"]
RADII = [f"{name}@r{r}" for name in ("precision", "recall") for r in (0, 1, 2, 10, 99)]
METRICS = [name + cut for name in NAMES for cut in CUTS] + RADII
TIES = ["expected", "optimistic", "pessimistic", "index"]
NORMALIZE = ["min", "relevant", "retrieved"]

close = pytest.approx


def exactly(expected):
    """Equal up to rounding of the last few bits."""
    return close(expected, rel=1e-12, abs=1e-12)


def score_matrix(grades, distances, metrics, **options):
    """Scores of one query."""
    return retrieval_scores(
        relevance=[grades], distances=[distances], metrics=metrics, **options
    )


@st.composite
def tied_galleries(draw, max_grade=3, max_items=7):
    """Grades and distances of a few items, one or more of them relevant."""
    item = st.tuples(st.integers(0, max_grade), st.sampled_from([0.0, 1.5, 2.0]))
    items = draw(
        st.lists(item, min_size=1, max_size=max_items).filter(
            lambda items: any(grade for grade, _ in items)
        )
    )
    grades, distances = zip(*items, strict=True)
    return list(grades), list(distances)


def random_codes_and_labels(n_queries, n_gallery, kind, exclude_self=False):
    """Short codes, full of ties; the last query has no relevant item but itself."""
    rng = np.random.RandomState(0)
    queries = rng.randint(2, size=(n_queries, 4))
    gallery = rng.randint(2, size=(n_gallery, 4))
    if kind == "classes":
        y_query = rng.randint(3, size=n_queries)
        y_gallery = rng.randint(3, size=n_gallery)
        y_query[-1] = 7
    else:
        y_query = (rng.uniform(size=(n_queries, 6)) < 0.5).astype(int)
        y_gallery = (rng.uniform(size=(n_gallery, 6)) < 0.3).astype(int)
        y_query[:, 5] = y_gallery[:, 5] = 0
        y_query[-1] = [0, 0, 0, 0, 0, 1]
    if exclude_self:
        return queries, queries, y_query, y_query
    return queries, gallery, y_query, y_gallery


def loop_scores(
    data,
    metrics,
    no_relevant,
    *,
    exclude_self=False,
    code_distance="hamming",
    **rules,
):
    """Scores of all queries by the oracle, and their values one by one."""
    queries, gallery, y_query, y_gallery = (np.asarray(x).tolist() for x in data)
    ranked = [
        oracle.pairs(
            code, gallery, y, y_gallery, i if exclude_self else None, code_distance
        )
        for i, (code, y) in enumerate(zip(queries, y_query, strict=True))
    ]
    found = [any(grades) for _, grades in ranked]
    values = {
        metric: [oracle.score(metric, *pair, **rules) for pair in ranked]
        for metric in metrics
    }
    means = {
        metric: oracle.mean_over_queries(value, found, no_relevant)
        for metric, value in values.items()
    }
    return means | {"queries_without_relevant": found.count(False)}, values


# Every order of the tied items


@pytest.mark.parametrize("max_grade", [1, 3])
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_expected_score_is_the_mean_over_every_order(max_grade, data):
    """The expected value is the mean over all permutations of equally distant items."""
    grades, distances = data.draw(tied_galleries(max_grade))
    for normalize in NORMALIZE:
        scores = score_matrix(grades, distances, METRICS, normalize=normalize)
        for metric in METRICS:
            expected = oracle.score(metric, distances, grades, normalize=normalize)
            assert scores[metric] == exactly(expected), (metric, normalize)


@pytest.mark.parametrize("ties", TIES)
@settings(deadline=None, max_examples=50)
@given(tied_galleries())
def test_each_tie_rule_is_the_order_that_it_names(ties, gallery):
    """Best first, worst first, gallery order or the mean: as a loop ranks them."""
    grades, distances = gallery
    metrics = ["map@3", "ndcg@3", "precision@3", "recall@3", "acg@3", "wap@3"]
    scores = score_matrix(grades, distances, metrics, ties=ties)
    for metric in metrics:
        assert scores[metric] == exactly(oracle.score(metric, distances, grades, ties))


@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("no_relevant", ["omit", "zero"])
@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_scores_of_codes_equal_plain_loops(
    kind, ties, normalize, no_relevant, exclude_self
):
    """Every metric, by every rule, in every form of codes and labels."""
    n_gallery = 7 if ties == "expected" else 40  # at most 7! orders to go through
    if exclude_self:
        n_gallery += 1
    n_queries = n_gallery if exclude_self else 6
    data = random_codes_and_labels(n_queries, n_gallery, kind, exclude_self)
    rules = {
        "ties": ties,
        "normalize": normalize,
        "no_relevant": no_relevant,
        "exclude_self": exclude_self,
    }
    expected, _ = loop_scores(data, METRICS, **rules)
    assert expected["queries_without_relevant"] >= 1

    queries, gallery, y_query, y_gallery = data
    code_forms = [
        (queries, gallery),
        (PackedCodes.from_codes(queries), PackedCodes.from_codes(gallery)),
    ]
    label_forms = [(y_query, y_gallery)]
    if kind == "labels":
        label_forms.append((csr_array(y_query), csr_array(y_gallery)))
    for codes in code_forms:
        for labels in label_forms:
            scores = retrieval_scores(*codes, *labels, metrics=METRICS, **rules)
            assert scores == exactly(expected)


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "sorted"])
@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_spherical_scores_equal_plain_loops(
    kind, ties, normalize, exclude_self, counted, monkeypatch
):
    """Every metric by every rule, with ties exactly where fractions are equal."""
    monkeypatch.setattr(_sources, "MAX_COUNTS_AN_ITEM", 1e9 if counted else 0)
    n_gallery = 7 if ties == "expected" else 40
    if exclude_self:
        n_gallery += 1
    n_queries = n_gallery if exclude_self else 6
    data = random_codes_and_labels(n_queries, n_gallery, kind, exclude_self)
    rules = {
        "ties": ties,
        "normalize": normalize,
        "no_relevant": "zero",
        "exclude_self": exclude_self,
        "code_distance": "spherical",
    }
    expected, values = loop_scores(data, METRICS, **rules)
    assert retrieval_scores(*data, metrics=METRICS, **rules) == exactly(expected)
    each = retrieval_scores(*data, metrics=METRICS, per_query=True, **rules)
    for metric in METRICS:
        assert each[metric] == exactly(np.array(values[metric]))


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "sorted"])
@pytest.mark.parametrize("n_bits", [1, 8, 64, 65, 130, 300, 1100])
def test_spherical_scores_at_any_length(n_bits, counted, monkeypatch):
    """They are those of a distance matrix, whether items are counted or sorted."""
    monkeypatch.setattr(_sources, "MAX_COUNTS_AN_ITEM", 1e9 if counted else 0)
    monkeypatch.setattr(_sources, "BLOCK_CELLS", 2**21 if counted else 1000)
    rng = np.random.RandomState(n_bits)
    codes = rng.randint(2, size=(60, n_bits)) * (rng.uniform(size=(60, 1)) < 0.9)
    codes[::7] = codes[3]
    y = rng.randint(2, size=(60, 3))
    bits, common = (codes[:, None] != codes).sum(axis=2), codes @ codes.T
    distances = 10 * bits / (10 * common + 1)
    for ties in TIES:
        rules = {"metrics": METRICS, "ties": ties, "exclude_self": True}
        of_codes = retrieval_scores(
            codes, codes, y, y, code_distance="spherical", **rules
        )
        of_matrices = retrieval_scores(relevance=y @ y.T, distances=distances, **rules)
        assert of_codes == exactly(of_matrices)


@pytest.mark.parametrize("ties", TIES)
def test_matrices_score_like_the_codes_that_they_come_from(ties):
    """Distances and shared labels as matrices give what codes and labels give."""
    queries, _, y, _ = random_codes_and_labels(9, 9, "labels")
    distances = (queries[:, None] != queries[None]).sum(axis=2)
    for exclude_self in (False, True):
        rules = {"metrics": METRICS, "ties": ties, "exclude_self": exclude_self}
        of_codes = retrieval_scores(queries, queries, y, y, **rules)
        of_matrices = retrieval_scores(relevance=y @ y.T, distances=distances, **rules)
        assert of_matrices == exactly(of_codes)


# Other people's numbers


def test_ndcg_equals_scikit_learn_with_ties_averaged():
    """The expected nDCG@k is scikit-learn's, whose gains are given in full."""
    rng = np.random.RandomState(0)
    grades, distances = rng.randint(4, size=(5, 60)), rng.randint(6, size=(5, 60))
    for k in (1, 7, 30, 60, 100):
        expected = ndcg_score(2**grades - 1, -distances, k=k)
        assert ndcg(relevance=grades, distances=distances, k=k) == exactly(expected)


def test_map_equals_scikit_learn_where_nothing_ties():
    """AP over the whole gallery is scikit-learn's average precision."""
    rng = np.random.RandomState(0)
    relevant, distances = rng.uniform(size=(5, 60)) < 0.2, rng.uniform(size=(5, 60))
    each = [
        average_precision_score(*pair)
        for pair in zip(relevant, -distances, strict=True)
    ]
    for ties in TIES:
        score = mean_average_precision(
            relevance=relevant, distances=distances, ties=ties, per_query=True
        )
        assert score == exactly(np.array(each))


@pytest.mark.parametrize(
    ("shared", "k", "expected"),
    [
        ([2, 0, 1, 3, 0, 1], 4, [0.8055555556, 1.5, 1.5, 0.6631810022]),
        ([2, 1, 0, 3, 0, 1], 4, [0.9166666667, 1.6666666667, 1.5, 0.6765092670]),
        (
            [2, 0, 1, 3, 0, 1],
            6,
            [0.7708333333, 1.4166666667, 1.1666666667, 0.6994418488],
        ),
    ],
)
def test_gallery_order_gives_published_numbers(shared, k, expected):
    """AP, WAP, ACG and nDCG by a published evaluation script's conventions.

    That script divides by the hits in the top k and ranks ties as they come; the
    numbers were computed with it once and copied here.
    """
    metrics = [f"{name}@{k}" for name in ("map", "wap", "acg", "ndcg")]
    scores = score_matrix(
        shared, [0, 1, 1, 2, 3, 3], metrics, ties="index", normalize="retrieved"
    )
    assert [scores[metric] for metric in metrics] == close(expected, abs=1e-10)


# Large galleries


def test_expected_map_of_sixty_items_equals_exact_counting():
    """With long ties cut anywhere, AP@k and WAP@k are right for every denominator."""
    rng = np.random.RandomState(0)
    grades = rng.randint(3, size=60) * (rng.uniform(size=60) < 0.4)
    distances = rng.randint(3, size=60)
    groups = count_groups(grades, distances)
    for normalize in NORMALIZE:
        for k in range(1, 64):
            scores = score_matrix(
                grades, distances, [f"map@{k}", f"wap@{k}"], normalize=normalize
            )
            for metric, graded in ((f"map@{k}", False), (f"wap@{k}", True)):
                expected = oracle.expected_average_precision(
                    groups, k, normalize, graded
                )
                assert scores[metric] == close(expected, rel=1e-10), (metric, normalize)


@pytest.fixture(scope="module")
def large_gallery():
    """200,000 items at 0 to 64 bits from one query, the nearer the more relevant."""
    rng = np.random.RandomState(0)
    distances = rng.binomial(64, 0.5, size=200_000)
    distances[:65] = np.arange(65)
    grades = rng.binomial(3, 0.4 * (1 - distances / 64))
    gallery = np.arange(64) < distances[:, None]
    shared_by_column = np.arange(3) < grades[:, None]
    codes_and_labels = (
        np.zeros((1, 64)),
        PackedCodes.from_codes(gallery),
        np.ones((1, 3), int),
        shared_by_column.astype(int),
    )
    return codes_and_labels, grades, distances


def count_groups(grades, distances):
    """(items, relevant ones, summed grades) of each distance, nearest first."""
    groups = [grades[distances == d].tolist() for d in np.unique(distances)]
    return [(len(g), sum(x > 0 for x in g), sum(g)) for g in groups]


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_expected_map_of_a_large_gallery_keeps_its_digits(large_gallery, normalize):
    """AP and WAP of 200,000 items agree with place-by-place sums to nine digits."""
    codes_and_labels, grades, distances = large_gallery
    groups = count_groups(grades, distances)
    cuts = [1, 100, 1000, 5000, 10_000, 199_990, 200_000]
    metrics = [f"{name}@{k}" for name in ("map", "wap") for k in cuts]
    scores = retrieval_scores(*codes_and_labels, metrics=metrics, normalize=normalize)
    for metric in metrics:
        name, k = metric.split("@")
        expected = oracle.expected_average_precision(
            groups, int(k), normalize, graded=name == "wap"
        )
        assert scores[metric] == close(expected, rel=1e-9), metric


def test_ndcg_and_hits_of_a_large_gallery_keep_their_digits(large_gallery):
    """nDCG, precision, recall and ACG of 200,000 items agree with plain sums."""
    codes_and_labels, grades, distances = large_gallery
    gains = 2.0**grades - 1
    gain, relevant, shared = (
        np.concatenate(
            [
                np.full((distances == d).sum(), values[distances == d].mean())
                for d in np.unique(distances)
            ]
        )
        for values in (gains, grades > 0, grades)
    )
    discount = 1 / np.log2(np.arange(len(grades)) + 2)
    ideal = np.sort(gains)[::-1]
    for k in (1, 1000, 5000, 100_000, 200_000):
        metrics = [f"{name}@{k}" for name in ("ndcg", "precision", "recall", "acg")]
        scores = retrieval_scores(*codes_and_labels, metrics=metrics)
        hits = math.fsum(relevant[:k])
        expected = [
            math.fsum(gain[:k] * discount[:k]) / math.fsum(ideal[:k] * discount[:k]),
            hits / k,
            hits / (grades > 0).sum(),
            math.fsum(shared[:k]) / k,
        ]
        assert [scores[metric] for metric in metrics] == close(expected, rel=1e-9)


@pytest.mark.parametrize("ties", TIES)
def test_many_queries_score_as_if_one_at_a_time(ties):
    """Queries are worked off in blocks; where a block ends makes no difference."""
    n, n_matrix = 2500, 500  # both take several blocks
    rng = np.random.RandomState(0)
    codes, y = rng.randint(2, size=(n, 64)), rng.randint(2, size=(n, 12))
    y[0] = 1
    rules = {"metrics": ["map@20", "ndcg"], "ties": ties, "per_query": True}
    scores = retrieval_scores(codes, codes, y, y, exclude_self=True, **rules)
    for i in [0, n - 1, *rng.randint(n, size=10)]:
        others = np.arange(n) != i
        alone = retrieval_scores(codes[[i]], codes[others], y[[i]], y[others], **rules)
        for metric in rules["metrics"]:
            assert scores[metric][i] == exactly(alone[metric][0])

    codes, y = codes[:n_matrix], y[:n_matrix]
    of_codes = retrieval_scores(codes, codes, y, y, exclude_self=True, **rules)
    of_matrices = retrieval_scores(
        relevance=y @ y.T,
        distances=(codes[:, None] != codes).sum(axis=2),
        exclude_self=True,
        **rules,
    )
    for metric in rules["metrics"]:
        assert of_matrices[metric] == exactly(of_codes[metric])


# Histograms and shards


@pytest.mark.parametrize("code_distance", ["hamming", "spherical"])
@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic"])
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_histograms_of_shards_add_up(kind, ties, code_distance):
    """Counts of two halves sum to the whole's, which score as the whole does."""
    queries, gallery, y_query, y_gallery = random_codes_and_labels(6, 40, kind)
    rules = {"code_distance": code_distance}
    whole = relevance_histograms(queries, gallery, y_query, y_gallery, **rules)
    halves = [
        relevance_histograms(queries, gallery[half], y_query, y_gallery[half], **rules)
        for half in (slice(0, 15), slice(15, 40))
    ]
    np.testing.assert_array_equal(sum(halves), whole)
    for normalize in NORMALIZE:
        rules |= {"metrics": METRICS, "ties": ties, "normalize": normalize}
        expected = retrieval_scores(queries, gallery, y_query, y_gallery, **rules)
        assert scores_from_histograms(sum(halves), **rules) == exactly(expected)


@pytest.mark.parametrize("code_distance", ["hamming", "spherical"])
@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_histograms_equal_plain_counting(kind, exclude_self, code_distance):
    """Each cell counts the items at one distance that share so many labels."""
    queries, _, y, _ = random_codes_and_labels(9, 9, kind)
    rules = {"exclude_self": exclude_self, "code_distance": code_distance}
    counts = relevance_histograms(queries, queries, y, y, **rules)
    possible = possible_distances(4, metric=code_distance).tolist()
    n_grades = 2 if kind == "classes" else 1 + y.sum(axis=1).max()
    expected = np.zeros((9, len(possible), n_grades))
    codes, labels = queries.tolist(), y.tolist()
    for i in range(9):
        left_out = i if exclude_self else None
        pair = oracle.pairs(codes[i], codes, labels[i], labels, left_out, code_distance)
        for distance, grade in zip(*pair, strict=True):
            expected[i, possible.index(float(distance)), grade] += 1
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("n_bits", [2, 5, 64, 1024])
def test_histograms_tell_the_length_of_their_codes(n_bits):
    """The spherical distances that an axis stands for follow from their number."""
    distances = possible_distances(n_bits, metric="spherical")
    counts = np.zeros((1, len(distances), 2), int)
    counts[0, np.searchsorted(distances, 10), 1] = 1  # one bit differs, none in common
    counts[0, -1, 0] = 1  # all bits differ
    farthest = f"precision@r{10 * n_bits}"
    metrics = ["recall@r9", "recall@r10", "precision@r10", farthest]
    scores = scores_from_histograms(counts, metrics=metrics, code_distance="spherical")
    assert [scores[metric] for metric in metrics] == [0, 1, 1, 0.5]


def test_gallery_order_is_not_to_be_had_from_histograms():
    """Counts have lost the ranking, so ties='index' is refused."""
    with pytest.raises(ValueError, match="ties"):
        scores_from_histograms([[[1, 2]]], ties="index")


@pytest.mark.parametrize(
    "counts",
    [[[[1, -1]]], [[[1, 0.5]]], [[[1, 2]], [[1, 1]]], [[[0, 0]]], [[1, 2]]],
    ids=["negative", "fraction", "unequal", "empty", "two-dimensional"],
)
def test_impossible_counts_are_refused(counts):
    """Histograms hold whole numbers, with the same total for every query."""
    with pytest.raises(ValueError, match="histograms"):
        scores_from_histograms(counts)


@pytest.mark.parametrize(
    "names",
    [
        [0, 1, 2, 7],
        np.array([-3, 0, 5, 100], dtype=np.int8),
        np.array([0, 1, 2, 7], dtype=np.uint64),
        [0.0, 1.0, 2.0, 7.0],
        ["cat", "dog", "a longer name", ""],
        np.array(["cat", "dog", "a longer name", ""], dtype=object),
        np.array(["2001-01-01", "2002-02-02", "1969-12-31", "2026-11-20"], "M8[D]"),
    ],
    ids=["list", "int8", "uint64", "float", "str", "object", "date"],
)
def test_dtype_of_classes_does_not_matter(names):
    """Classes may be numbers or names, of any type."""
    queries, gallery, y_query, y_gallery = random_codes_and_labels(6, 40, "classes")
    expected = retrieval_scores(queries, gallery, y_query, y_gallery, metrics=METRICS)
    names = np.asarray(names)
    index = np.array([0, 1, 2, -1, -1, -1, -1, 3])
    y = names[index[y_query]], names[index[y_gallery]]
    assert retrieval_scores(queries, gallery, *y, metrics=METRICS) == expected


def test_boolean_classes_and_indicators_are_read_as_numbers():
    """True and False are classes in a vector, set and not set in a matrix."""
    for kind in ("classes", "labels"):
        queries, gallery, *y = random_codes_and_labels(6, 40, kind)
        y_query, y_gallery = (labels > 0 for labels in y)
        as_numbers = (y_query.astype(int), y_gallery.astype(int))
        assert retrieval_scores(queries, gallery, y_query, y_gallery) == (
            retrieval_scores(queries, gallery, *as_numbers)
        )


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float32])
def test_many_shared_labels_do_not_overflow(dtype):
    """300 shared labels are 300, and 2**300 - 1 a gain, in the smallest dtype too."""
    y_gallery = np.zeros((3, 300), dtype)
    y_gallery[0, :7], y_gallery[1] = 1, 1
    y_query = np.ones((1, 300), dtype)
    for form in (np.asarray, csr_array):
        labels = form(y_query), form(y_gallery)
        scores = retrieval_scores(
            [[0, 0]], [[0, 0], [0, 1], [1, 1]], *labels, metrics=["acg", "ndcg", "wap"]
        )
        for metric in ("acg", "ndcg", "wap"):
            expected = oracle.score(metric, [0, 1, 2], [7, 300, 0])
            assert scores[metric] == exactly(expected)


def test_inputs_are_left_as_they_are():
    """Arrays that must not be written to are scored all the same."""
    data = random_codes_and_labels(9, 9, "labels", exclude_self=True)
    matrices = {"relevance": data[2] @ data[2].T, "distances": np.eye(9)}
    for array in (*data, *matrices.values()):
        array.setflags(write=False)
    for ties in TIES:
        retrieval_scores(*data, ties=ties, exclude_self=True)
        retrieval_scores(**matrices, ties=ties, exclude_self=True)


# Means over queries


@pytest.mark.parametrize("no_relevant", ["omit", "zero"])
def test_scores_are_means_of_the_values_a_query(no_relevant):
    """per_query gives what is averaged, with NaN for the queries left out."""
    data = random_codes_and_labels(6, 7, "labels")
    weights = [3, 0, 0.5, 1, 2, 4]
    rules = {"metrics": METRICS, "no_relevant": no_relevant}
    each = retrieval_scores(*data, **rules, per_query=True)
    plain = retrieval_scores(*data, **rules)
    weighted = retrieval_scores(*data, **rules, sample_weight=weights)
    _, values = loop_scores(data, METRICS, no_relevant)
    found = [True] * 5 + [False]
    for metric in METRICS:
        last = np.nan if no_relevant == "omit" else 0
        assert each[metric] == close(
            np.append(values[metric][:5], last), rel=1e-12, abs=1e-12, nan_ok=True
        )
        for result, weight in ((plain, None), (weighted, weights)):
            assert result[metric] == exactly(
                oracle.mean_over_queries(values[metric], found, no_relevant, weight)
            )
    for result in (each, plain, weighted):
        assert result["queries_without_relevant"] == 1


@pytest.mark.parametrize("weights", [[1, 1e-320], [1e300, 1e-300], [5e-324, 5e-324]])
def test_weights_of_queries_that_do_not_count(weights):
    """However heavy a query that is left out, the others keep their mean."""
    queries, gallery = [[0, 1], [1, 1]], [[0, 1], [1, 1], [1, 0], [0, 0]]
    data = queries, gallery, [9, 1], [0, 1, 1, 0]
    expected = retrieval_scores(*data, metrics="map")
    assert retrieval_scores(*data, metrics="map", sample_weight=weights) == expected


def test_no_query_with_a_relevant_item_is_an_error():
    """A mean over no query at all is refused, not returned as NaN."""
    codes, no_match = np.zeros((2, 3)), ([1, 2], [3, 4])
    with pytest.raises(ValueError, match="relevant item"):
        retrieval_scores(codes, codes, *no_match)
    with pytest.raises(ValueError, match="relevant item"):
        precision_recall_curve(codes, codes, *no_match)
    with pytest.raises(ValueError, match="relevant item"):
        retrieval_scores(codes, codes, [1, 2], [1, 3], sample_weight=[0, 1])
    each = retrieval_scores(codes, codes, *no_match, metrics="map", per_query=True)
    assert np.isnan(each["map"]).all()
    assert each["queries_without_relevant"] == 2


@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_spherical_precision_recall_curve_equals_plain_loops(kind, exclude_self):
    """Precision and recall within every spherical distance that codes can have."""
    data = random_codes_and_labels(30, 30, kind, exclude_self)
    rules = {"exclude_self": exclude_self, "code_distance": "spherical"}
    precisions, recalls, radius = precision_recall_curve(*data, **rules)
    possible = possible_distances(4, metric="spherical")
    np.testing.assert_array_equal(radius, possible)
    for r in (0, 10, 20, 30, 40):
        metrics = [f"precision@r{r}", f"recall@r{r}"]
        expected, _ = loop_scores(data, metrics, "omit", **rules)
        place = radius.tolist().index(r)
        actual = [precisions[place], recalls[place]]
        assert actual == exactly([expected[metric] for metric in metrics])
    assert (np.diff(recalls) >= 0).all()
    assert recalls[-1] == 1


@pytest.mark.parametrize("no_relevant", ["omit", "zero"])
@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_precision_recall_curve_equals_plain_loops(kind, exclude_self, no_relevant):
    """Precision and recall within every radius, until recall is 1."""
    data = random_codes_and_labels(30, 30, kind, exclude_self)
    curve = [f"{name}@r{r}" for name in ("precision", "recall") for r in range(5)]
    rules = {"no_relevant": no_relevant, "exclude_self": exclude_self}
    expected, _ = loop_scores(data, curve, **rules)
    precisions, recalls, radius = precision_recall_curve(*data, **rules)
    assert [*precisions, *recalls] == exactly([expected[metric] for metric in curve])
    assert radius.tolist() == [0, 1, 2, 3, 4]
    if no_relevant == "omit":
        assert recalls[-1] == 1


def test_precision_recall_curve_weights_the_queries():
    """A query of weight 2 counts like two of them; one of weight 0 not at all."""
    queries, gallery, y_query, y_gallery = random_codes_and_labels(6, 30, "labels")
    weighted = precision_recall_curve(
        queries, gallery, y_query, y_gallery, sample_weight=[2, 0, 1, 1, 1, 1]
    )
    rows = [0, 0, 2, 3, 4, 5]
    repeated = precision_recall_curve(queries[rows], gallery, y_query[rows], y_gallery)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


# One function a measure


@pytest.mark.parametrize("k", [None, 1, 5, 100])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (mean_average_precision, "map"),
        (ndcg, "ndcg"),
        (precision, "precision"),
        (recall, "recall"),
        (average_cumulative_gain, "acg"),
        (weighted_average_precision, "wap"),
    ],
)
def test_single_measures_equal_their_entry(function, name, k):
    """Each function gives one entry of retrieval_scores, by the same rules."""
    data = random_codes_and_labels(6, 40, "labels")
    metric = name if k is None else f"{name}@{k}"
    rules = {
        "ties": "optimistic",
        "normalize": "retrieved",
        "no_relevant": "zero",
        "sample_weight": [3, 0, 0.5, 1, 2, 4],
    }
    for options in ({}, rules, {"code_distance": "spherical"}):
        expected = retrieval_scores(*data, metrics=metric, **options)[metric]
        assert function(*data, k=k, **options) == expected


@pytest.mark.parametrize("function", [precision, recall])
def test_radius_is_inclusive_and_excludes_k(function):
    """Precision and recall take k or a radius in bits, not both."""
    data = random_codes_and_labels(6, 40, "labels")
    for radius in range(6):
        metric = f"{function.__name__}@r{radius}"
        expected = retrieval_scores(*data, metrics=metric)[metric]
        assert function(*data, radius=radius) == expected
    with pytest.raises(ValueError, match="radius"):
        function(*data, k=3, radius=2)


@pytest.mark.parametrize("metric", ["mAP", "map@0", "map@-1", "map@r2", "ndcg@1.5", ""])
def test_unknown_metrics_are_refused(metric):
    """A misspelt metric or a cut-off below 1 is an error that lists what there is."""
    with pytest.raises(ValueError, match="unknown metric"):
        score_matrix([1, 0], [0, 1], metric)


@pytest.mark.parametrize(
    "rule",
    [{"ties": "mean"}, {"normalize": "all"}, {"no_relevant": "skip"}],
    ids=["ties", "normalize", "no_relevant"],
)
def test_unknown_rules_are_refused(rule):
    """A rule that does not exist is an error that names the parameter."""
    with pytest.raises(ValueError, match=next(iter(rule))):
        score_matrix([1, 0], [0, 1], "map", **rule)


# What always holds


@settings(deadline=None, max_examples=100)
@given(tied_galleries(max_items=30), st.integers(1, 35))
def test_expected_map_lies_between_worst_and_best_order(gallery, k):
    """No order of ties beats the optimistic one or is beaten by the pessimistic one."""
    for normalize in ("min", "relevant"):
        worst, mean, best = (
            score_matrix(*gallery, f"map@{k}", ties=ties, normalize=normalize)[
                f"map@{k}"
            ]
            for ties in ("pessimistic", "expected", "optimistic")
        )
        assert worst - 1e-12 <= mean <= best + 1e-12


@settings(deadline=None, max_examples=50)
@given(tied_galleries(max_items=30), st.randoms(use_true_random=False))
def test_order_of_the_gallery_does_not_change_expected_scores(gallery, random):
    """Scores do not depend on where in the gallery an item stands."""
    items = list(zip(*gallery, strict=True))
    random.shuffle(items)
    shuffled = [list(column) for column in zip(*items, strict=True)]
    for ties in ("expected", "optimistic", "pessimistic"):
        expected = score_matrix(*gallery, METRICS, ties=ties)
        assert score_matrix(*shuffled, METRICS, ties=ties) == exactly(expected)


@pytest.mark.parametrize("ties", TIES)
@settings(deadline=None, max_examples=50)
@given(tied_galleries(max_items=30))
def test_denominators_agree_over_the_whole_gallery(ties, gallery):
    """Without a cut-off, or with k = all, the choice of denominator is none."""
    metrics = ["map", f"map@{len(gallery[0])}", "wap", f"wap@{len(gallery[0])}"]
    first, *others = (
        score_matrix(*gallery, metrics, ties=ties, normalize=normalize)
        for normalize in NORMALIZE
    )
    for other in others:
        assert other == exactly(first)
    assert first["map"] == first[metrics[1]]
    assert first["wap"] == first[metrics[3]]


@settings(deadline=None, max_examples=50)
@given(tied_galleries(max_items=30), st.integers(1, 35))
def test_a_perfect_ranking_scores_one(gallery, k):
    """With better items always nearer, map and ndcg are 1 at every cut-off."""
    grades = gallery[0]
    distances = [3 - grade for grade in grades]
    metrics = ["map", f"map@{k}", "ndcg", f"ndcg@{k}"]
    for ties in TIES:
        scores = score_matrix(grades, distances, metrics, ties=ties)
        assert [scores[metric] for metric in metrics] == exactly([1] * 4)


@settings(deadline=None, max_examples=50)
@given(tied_galleries(max_items=30), st.integers(1, 30))
def test_codes_that_tell_nothing_apart_score_as_chance_does(gallery, k):
    """All items tied: precision is the share of relevant ones, recall grows with k."""
    grades = gallery[0]
    n, r = len(grades), sum(grade > 0 for grade in grades)
    k = min(k, n)
    harmonic = sum(1 / rank for rank in range(1, n + 1))
    others = (r - 1) / (n - 1) if n > 1 else 0
    expected = {
        f"precision@{k}": r / n,
        f"recall@{k}": k / n,
        f"acg@{k}": sum(grades) / n,
        "map": (harmonic + others * (n - harmonic)) / n,
        "queries_without_relevant": 0,
    }
    metrics = [metric for metric in expected if metric != "queries_without_relevant"]
    assert score_matrix(grades, [2.5] * n, metrics) == exactly(expected)


def test_queries_without_any_label_are_counted():
    """Queries of no label have no relevant item: omitted, or scored as nothing."""
    codes, labels = [[0, 1], [1, 1]], np.array([[1, 0], [0, 1]])
    none = np.zeros((2, 2), int)
    histograms = relevance_histograms(codes, codes, none, labels)
    assert histograms.shape == (2, 3, 2)
    scores = scores_from_histograms(histograms, metrics="map", no_relevant="zero")
    assert scores == {"map": 0, "queries_without_relevant": 2}
    scores = retrieval_scores(codes, codes, none, labels, per_query=True)
    assert all(np.isnan(scores["ndcg@100"]))


@pytest.mark.parametrize("n_before", [10, 63, 64, 1000, 10**6])
@pytest.mark.parametrize(("n", "r"), [(1, 1), (2, 2), (4, 4), (5, 2)])
def test_precision_far_down_a_long_ranking(n_before, n, r):
    """A small group after many irrelevant items scores exactly, not by rounding."""
    histogram = np.zeros((1, 3, 2), int)
    histogram[0, 0, 0] = n_before
    histogram[0, 1] = n - r, r
    expected = Fraction(0)
    for i in range(1, n + 1):  # relevant share times expected relevant ones so far
        so_far = 1 + (i - 1) * Fraction(r - 1, max(n - 1, 1))
        expected += Fraction(r, n) * so_far / (n_before + i) / r
    score = scores_from_histograms(histogram, metrics="map")["map"]
    assert score == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("normalize", ["min", "relevant", "retrieved"])
@pytest.mark.parametrize("ties", ["expected", "optimistic", "index"])
def test_groups_that_add_nothing_may_be_dropped(ties, normalize, rng, monkeypatch):
    """Average precision needs only the groups that hold relevant items."""
    distances = rng.randint(40, size=(30, 300))
    distances[:20] = rng.permutation(6000).reshape(20, 300)  # no ties
    relevance = rng.randint(1, 4, size=(30, 300)) * (rng.rand(30, 300) < 0.1)
    relevance[3] = 0
    metrics = ("map", "map@1", "map@7", "map@250", "wap", "wap@50")
    settings = {"ties": ties, "normalize": normalize, "per_query": True}
    scores = []
    for many in (0, 10**6):
        monkeypatch.setattr(_closed_forms, "MANY_GROUPS", many)
        scores.append(
            retrieval_scores(
                relevance=relevance, distances=distances, metrics=metrics, **settings
            )
        )
    for name in metrics:
        np.testing.assert_allclose(scores[0][name], scores[1][name], rtol=1e-12)
