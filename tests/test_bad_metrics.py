"""Metrics and scorers: what they refuse, and what they look through."""

from contextlib import suppress

import numpy as np
import pytest
from bad_input import (
    CLASSES,
    DATES,
    MIXED,
    NAMES,
    NO_RELEVANT,
    ONE_TYPE,
    ONLY,
    PACKED,
    PACKED_8,
    Case,
    N,
    X,
    Y,
    cases,
    each,
    fitted,
    labels_with,
    unfitted,
    with_value,
    y,
)
from scipy.sparse import csr_array
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklhash import HammingRetriever, PackedCodes
from sklhash.metrics import (
    RetrievalScorer,
    map_scorer,
    mean_average_precision,
    ndcg,
    precision,
    precision_recall_curve,
    recall,
    relevance_histograms,
    retrieval_scores,
    scores_from_histograms,
)

COUNTS = relevance_histograms(PACKED, PACKED, y, y)
ROWS = r"{0}_codes and y_{0} must have one row an item; got 30 and 4 rows"
SELF = r"exclude_self=True takes the queries to be the gallery"
UNKNOWN = r"unknown metric .*: use one of map, ndcg"


def scores(*args, metrics="map", **options):
    return retrieval_scores(*args, metrics=metrics, **options)


def matrices(relevance=((1, 0),), distances=((1, 2),), **options):
    return scores(relevance=relevance, distances=distances, **options)


def codes_scores(y_query=y, y_gallery=y, **options):
    return scores(PACKED, PACKED, y_query, y_gallery, **options)


BITS = r"query_codes and gallery_codes must have equally many bits; got 6 and 8"
NEITHER = r"codes and labels, or relevance and distances, but not both"
SOURCES = [
    *cases(
        "codes",
        scores,
        [
            ("bits", (PACKED, PACKED_8, y, y), BITS),
            ("nan", (with_value(np.nan), PACKED, y, y), r"query_codes contains NaN"),
            ("nan2", (PACKED, with_value(np.nan), y, y), r"gallery_codes contains NaN"),
            ("empty", (PACKED[:0], PACKED, y[:0], y), r"query_codes holds 0 codes"),
            ("none", (), r"query_codes is missing: give an array"),
            ("no_gallery", (PACKED, None, y, y), r"gallery_codes is missing"),
        ],
    ),
    *cases(
        "labels",
        codes_scores,
        [
            ("query_length", (y[:4],), ROWS.format("query")),
            ("gallery_length", (y, y[:4]), ROWS.format("gallery")),
            ("vector_matrix", (y, Y), r"y_query and y_gallery must both be"),
            ("columns", (Y, Y[:, :2]), r"the same columns; got shapes \(30"),
            ("strings_ints", (NAMES, y), ONE_TYPE + "<U1 and int64"),
            ("object_ints", (NAMES.astype(object), y), ONE_TYPE + "<U1 and int64"),
            ("mixed", (MIXED, MIXED), r"y_query " + ONLY),
            ("dates", (DATES, y), ONE_TYPE + r"datetime64\[D\] and int64"),
            ("missing", (None,), r"y_query is missing"),
            ("missing_gallery", (y, None), r"y_gallery is missing"),
            ("nan", (labels_with(np.nan),), r"y_query " + CLASSES),
            ("inf", (labels_with(np.inf),), r"y_query " + CLASSES),
            ("continuous", (y, X[:, 0]), r"y_gallery " + CLASSES),
            ("counts", (Y, 2 * Y), r"y_gallery must be a class vector or"),
            ("too_many", (np.ones((N, 1001)),) * 2, r"up to 1000.*got 1001"),
            ("ragged", ([[0], [0, 1]] * 15,), r"y_query must be a class vector or an"),
            ("pairs", ([["a", "b"], ["b", "c"]] * 15,), r"<U1. .*MultiLabelBinarizer"),
            ("sets", ([{"a"}, {"b", "c"}] * 15,), r"several .*MultiLabelBinarizer"),
            ("no_match", (y, y + 5), NO_RELEVANT),
        ],
    ),
    *cases(
        "matrix",
        matrices,
        [
            ("and_codes", {"query_codes": PACKED}, NEITHER),
            ("no_distances", ([[1]], None), r"go together: give both"),
            ("no_relevance", (None, [[1]]), r"go together: give both"),
            ("shapes", ([[1]],), r"must have one shape; got \(1, 1\) and"),
            ("negative", ([[-1, 1]],), r"relevance must be .* >= 0"),
            ("fraction", ([[0.5, 1]],), r"relevance must be .* >= 0"),
            ("too_large", ([[5000, 1]],), r"relevance grades .* got 5000"),
            ("nan", ([[np.nan, 1]],), r"Input relevance contains NaN"),
            ("nan2", ([[1, 0]], [[np.nan, 1]]), r"Input distances contains NaN"),
            ("inf2", ([[1, 0]], [[np.inf, 1]]), r"Input distances contains infinity"),
            ("one_dim", ([1, 0], [1, 2]), r"Expected 2D array, got 1D"),
            ("strings", ([["a", "b"]],), r"bytes/strings"),
            ("sparse", (csr_array([[1, 0]]),), r"passed for relevance", TypeError),
            ("nothing_relevant", ([[0, 0]],), NO_RELEVANT),
            ("exclude_self", {"exclude_self": True}, SELF),
            (
                "spherical",
                {"code_distance": "spherical"},
                r"code_distance='spherical' compares codes, but distances are given",
            ),
        ],
    ),
]
BAD_METRICS = ["mrr", "MAP", "", "map@0", "map@2.5", "ndcg@r2", ["map", 5]]
RULES = [
    ("metrics", b"map"),
    ("metrics", 5),
    ("metrics", None),
    ("ties", "random"),
    ("normalize", "max"),
    ("no_relevant", "nan"),
    ("code_distance", "cosine"),
    ("code_distance", None),
    ("exclude_self", "yes"),
    ("per_query", 1.0),
]
OPTIONS = [
    *cases(
        "metrics",
        codes_scores,
        [(str(name), {"metrics": name}, UNKNOWN) for name in BAD_METRICS]
        + [("[]", {"metrics": []}, r"metrics is empty")],
    ),
    *cases(
        "option",
        codes_scores,
        [
            (
                f"{name}={value}",
                {name: value},
                rf"The '{name}' parameter of retrieval_scores must be .* Got ",
            )
            for name, value in RULES
        ],
    ),
    *cases(
        "exclude_self",
        lambda n, m: scores(PACKED[:n], PACKED[:m], y[:n], y[:m], exclude_self=True),
        [
            ("other_gallery", (5, 30), SELF + r".*got 5 queries and 30 gallery items"),
            ("one_item", (1, 1), SELF),
        ],
    ),
    *cases(
        "sample_weight",
        lambda weight: codes_scores(sample_weight=weight),
        [
            ("length", ([1, 2],), r"sample_weight.shape == \(2,\), expected \(30,\)"),
            ("negative", (-np.ones(N),), r"Negative values .*sample_weight"),
            ("nan", (np.full(N, np.nan),), r"sample_weight contains NaN"),
            ("zero", (np.zeros(N),), r"(?i)sample.weight"),
            ("two_dim", (np.ones((N, 1)),), r"(?i)sample.weights must be 1D"),
        ],
    ),
]


@each(*SOURCES, *OPTIONS)
def test_retrieval_scores_refuses(case):
    """Codes, labels, matrices and options are refused by name."""
    case.check()


def single(function, **options):
    return function(PACKED, PACKED, y, y, **options)


LONG = PackedCodes.from_codes(np.ones((N, 1025)))
TOO_LONG = r"listed and counted for codes of up to 1024 bits; got n_bits=1025"
K = r"k must be 1 or more; got "
INTEGER = r"must be an integer; got "
HISTOGRAMS = [
    ("two_dim", COUNTS[0], r"must have shape \(n_queries, n_distances.*\(7, 2\)"),
    ("one_grade", COUNTS[:, :, :1], r"2 or more grades; got \(30, 7, 1\)"),
    ("negative", -COUNTS, r"histograms must hold whole numbers >= 0"),
    ("fraction", COUNTS + 0.5, r"histograms must hold whole numbers >= 0"),
    ("nan", COUNTS * np.nan, r"Input histograms contains NaN"),
    ("unequal", COUNTS * np.arange(1, N + 1)[:, None, None], r"got 30 to 900"),
    ("zeros", COUNTS * 0, r"equally many items, 1 or more, .*got 0 to 0"),
    ("nothing_relevant", COUNTS.sum(2, keepdims=True) * [1, 0], NO_RELEVANT),
    ("grades", np.ones((1, 9, 1100)), r"relevance grades .* got 1099"),
]


@each(
    *[
        case
        for function in (mean_average_precision, ndcg, precision, recall)
        for case in cases(
            function.__name__,
            single,
            [
                ("k=0", {"function": function, "k": 0}, K + "0"),
                ("k=2.5", {"function": function, "k": 2.5}, INTEGER + "2.5", TypeError),
            ],
        )
    ],
    *cases(
        "precision",
        lambda **options: single(precision, **options),
        [
            ("k_and_radius", {"k": 3, "radius": 2}, r"k or radius, .*not both"),
            ("radius=-1", {"radius": -1}, r"radius must be 0 or more; got -1"),
            ("radius=1.5", {"radius": 1.5}, INTEGER + "1.5", TypeError),
        ],
    ),
    *cases(
        "precision_recall_curve",
        precision_recall_curve,
        [
            ("bits", (PACKED, PACKED_8, y, y), BITS),
            ("nothing_relevant", (PACKED, PACKED, y, y + 5), NO_RELEVANT),
        ],
    ),
    *cases(
        "long_codes",
        lambda function: function(LONG, LONG, y, y, code_distance="spherical"),
        [
            ("curve", (precision_recall_curve,), TOO_LONG),
            ("histograms", (relevance_histograms,), TOO_LONG),
        ],
    ),
    *cases(
        "histograms",
        lambda counts=COUNTS, **options: scores_from_histograms(counts, **options),
        [
            *[(kind, (counts,), message) for kind, counts, message in HISTOGRAMS],
            ("ties", {"ties": "index"}, r"The 'ties' parameter .* Got 'index'"),
            (
                "spherical",
                {
                    "counts": np.pad(COUNTS, ((0, 0), (0, 1), (0, 0))),
                    "code_distance": "spherical",
                },
                r"have 8 distances, but codes of no length have so many spherical ones",
            ),
            ("weight", {"sample_weight": [1]}, r"sample_weight.shape == \(1,\)"),
            ("metric", {"metrics": "mrr"}, UNKNOWN),
        ],
    ),
)
def test_other_functions_refuse(case):
    """Single metrics, curves and histograms name what is wrong."""
    case.check()


def score(scorer=map_scorer, name="itq", X=X, y=y):
    return scorer(fitted(name), X, y)


TWICE = r"twice: metric='map@10' and k=5"
KEEPS_NONE = r"ITQ keeps no gallery: score a HammingRetriever, or use gallery="


@each(
    *cases(
        "scorer",
        lambda **params: score(RetrievalScorer(**params)),
        [
            ("gallery=x", {"gallery": "x"}, r"The 'gallery' parameter .* Got 'x'"),
            ("list", {"gallery": [X, y]}, r"(?s)The 'gallery' parameter .*tuple"),
            ("1-tuple", {"gallery": (X,)}, r"gallery must be .*tuple of 1"),
            ("3-tuple", {"gallery": (X, y, y)}, r"gallery must .*tuple of 3"),
            ("no_labels", {"gallery": (X, None)}, r"y_gallery is missing"),
            ("length", {"gallery": (X, y[:4])}, ROWS.format("gallery")),
            ("nan", {"gallery": (with_value(np.nan), y)}, r"contains NaN"),
            ("fitted", {"gallery": "fitted"}, KEEPS_NONE),
            ("k=0", {"k": 0}, r"The 'k' parameter .* Got 0"),
            ("k=2.5", {"k": 2.5}, r"The 'k' parameter .* Got 2.5"),
            ("k-twice", {"metric": "map@10", "k": 5}, TWICE),
            ("mrr", {"metric": "mrr"}, UNKNOWN),
            ("metric=5", {"metric": 5}, r"The 'metric' parameter .* Got 5"),
            ("metric=[]", {"metric": []}, r"metrics is empty"),
            ("metric=[5]-k", {"metric": [5], "k": 3}, r"unknown metric 5"),
            ("ties=x", {"ties": "x"}, r"The 'ties' parameter .* Got 'x'"),
            (
                "code_distance=x",
                {"code_distance": "x"},
                r"The 'code_distance' parameter .* Got 'x'",
            ),
        ],
    ),
    *cases(
        "queries",
        score,
        [
            ("no_y", {"y": None}, r"y is missing"),
            ("length", {"y": y[:4]}, ROWS.format("query")),
            ("nan", {"X": with_value(np.nan)}, r"X contains NaN"),
            ("nan_y", {"y": labels_with(np.nan)}, CLASSES),
            ("no_match", {"y": np.arange(N) + 9}, NO_RELEVANT),
            ("one_row", {"X": X[:1], "y": y[:1]}, SELF),
        ],
    ),
    Case(
        "no_labels",
        lambda: map_scorer(HammingRetriever().fit(PACKED), PACKED, y),
        r"HammingRetriever was fitted without y",
    ),
)
def test_scorers_refuse(case):
    """A scorer refuses its parameters, its gallery and its queries by name."""
    case.check()


WRAPPERS = {
    "passthrough_first": lambda plain: make_pipeline("passthrough", plain),
    "passthrough_last": lambda plain: make_pipeline(plain, "passthrough"),
    "nested_pipeline": lambda plain: make_pipeline(make_pipeline(plain)),
    "frozen": lambda plain: FrozenEstimator(plain.fit(X, y)),
    "frozen_pipeline": lambda plain: FrozenEstimator(make_pipeline(plain).fit(X, y)),
    "grid_search": lambda plain: GridSearchCV(plain, {}, scoring=map_scorer, cv=2),
}


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        pytest.param(wrap, name, id=f"{kind}-{name}")
        for kind, wrap in WRAPPERS.items()
        for name in ("itq", "hashed")
        if (kind, name) != ("passthrough_last", "hashed")  # no step after a retriever
    ],
)
def test_scorers_look_through_wrappers(wrap, name):
    """What wraps an estimator without changing it does not change its score."""
    wrapped = wrap(unfitted(name)).fit(X, y)
    assert map_scorer(wrapped, X[::2], y[::2]) == score(name=name, X=X[::2], y=y[::2])


@pytest.mark.parametrize("dtype", [np.uint64, np.float64])
def test_large_labels_of_two_types_are_not_confused(dtype):
    """Where int64 and another type only meet in floats, 2**62 is not 2**62 + 1."""
    large = 2**62 + y.astype(np.int64)
    expected = mean_average_precision(PACKED, PACKED, y, y)
    assert mean_average_precision(PACKED, PACKED, large, large) == expected
    with suppress(ValueError):  # to refuse is right, too
        mixed = mean_average_precision(PACKED, PACKED, large.astype(dtype), large)
        assert mixed == expected
