"""Parameters, labels and arguments of searches; and estimators that are not fitted."""

import pickle
from functools import partial

import numpy as np
import pytest
from bad_input import (
    CLASSES,
    CODES,
    DATES,
    HASHERS,
    MIXED,
    NAMES,
    NO_RELEVANT,
    ONE_TYPE,
    ONLY,
    PACKED,
    PACKED_8,
    RETRIEVERS,
    SAMPLES,
    TYPE_OR_VALUE,
    Case,
    X,
    Y,
    cases,
    cca,
    constant,
    each,
    fitted,
    fresh,
    labels_with,
    unfitted,
    y,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from sklhash import (
    ITQ,
    AnchorGraphHashing,
    DensitySensitiveHashing,
    HammingRetriever,
    IsotropicHashing,
    KernelSupervisedHashing,
    PackedCodes,
    PCAHashing,
    RandomHyperplaneHashing,
    SoftPairwiseHasher,
    SpectralHashing,
    SphericalHashing,
    SSDHHasher,
    SupervisedDiscreteHashing,
    UHGAHasher,
)
from sklhash.metrics import map_scorer, ndcg_scorer


def bad_values(estimator, **values):
    """Give `fit` each bad value of each parameter."""
    owner = type(estimator).__name__

    def fit(**params):
        clone(estimator).set_params(**params).fit(X, y)

    return [
        Case(
            f"{owner}-{name}={str(value)[:12]}",
            partial(fit, **{name: value}),
            rf"The '{name}' parameter of {owner} must be .* Got ",
        )
        for name, bad in values.items()
        for value in bad
    ]


WHOLE_RADIUS = r"radius must be an int in the range .* metric='hamming'; got "
REAL_RADIUS = r"radius must be a float in the range .* metric='spherical'; got "
ABOVE_RANK = r"n_bits=7 is more than the 6 directions.*n_bits<=6, or rotation='random'"
TOO_WIDE = r"X (has|and the labels .*have) 900[03] columns.*8192 at most.*TruncatedSVD"
NO_DATE = np.where(y == 0, np.datetime64("NaT"), DATES)
WIDE = constant(0.1, 3, 9000)
DOUBLED = np.hstack([X, X]) * 1e6  # reg vanishes beside their squares


@each(
    *bad_values(
        ITQ(4),
        n_bits=[0, -1, 2.0, 10**9, 65_536, "8", None, True],
        projection=["lda", None],
        max_iter=[0, 1.5],
        tol=[-1, np.nan, "small"],
        reg=[0, -1, np.nan, np.inf],
        max_samples=[1, 0.5],
        random_state=[-1, "seed", 1.5],
    ),
    *bad_values(
        RandomHyperplaneHashing(4),
        n_bits=[0],
        center=["yes"],
        orthogonal=[1.0],
    ),
    *bad_values(PCAHashing(4), n_bits=[0], rotation=["haar"]),
    *bad_values(
        SpectralHashing(4),
        n_bits=[0, 65_536],
        range=["std", None],
        max_samples=[1],
        random_state=[-1],
    ),
    *bad_values(
        SphericalHashing(4),
        n_bits=[0, True],
        stop=["c++", None],
        tol_mean=[-0.1, np.nan],
        tol_std=[-0.1, "small"],
        max_iter=[0],
        init_size=[0, 1.5],
        max_samples=[1],
    ),
    *bad_values(
        DensitySensitiveHashing(4),
        n_bits=[0, 2.0],
        alpha=[0, -1, np.inf],
        max_iter=[0],
        n_adjacent=[0],
        max_samples=[1],
    ),
    *bad_values(
        IsotropicHashing(4), n_bits=[0], max_iter=[0], tol=[-1], random_state=["seed"]
    ),
    *bad_values(
        AnchorGraphHashing(4),
        n_bits=[0],
        n_anchors=[1],
        n_neighbors=[1, 2.5],
        n_layers=[0, 3],
        bandwidth=[0, -1, np.nan],
        max_iter=[0],
        max_samples=[1],
    ),
    *bad_values(
        KernelSupervisedHashing(4),
        n_bits=[0],
        n_anchors=[0],
        max_samples=[1],
        gamma=[0, -1, "auto"],
        reg=[-1],
        max_iter=[0],
        tol=[-1],
    ),
    *bad_values(
        SupervisedDiscreteHashing(4),
        n_bits=[0],
        n_anchors=[0],
        gamma=[0, np.inf],
        max_iter=[0],
        reg=[-1],
        penalty=[-1],
        ridge=[-1],
    ),
    *bad_values(
        SoftPairwiseHasher(4),
        n_bits=[0, True],
        module=["mlp", 3],
        hidden_units=[8, None],
        alpha=[0, -1, np.inf],
        gamma=[-0.1, np.nan],
        quantization_weight=[-1],
        hard_weight=[-1],
        hard_loss=["sigmoid_mse"],
        soft_loss=["bce"],
        similarity=["jaccard"],
        relaxation=["sign"],
        self_pairs=["no"],
        pair_weight=["class"],
        unlabeled=["ignore"],
        attention_weight=[-0.1, 1.1, np.nan],
        attention_units=[0],
        attention_lr=[0],
        optimizer=["rmsprop", 3],
        lr=[0, -1, np.inf, "auto"],
        backbone_lr_factor=[-1],
        lr_decay=[0, 1.5],
        lr_decay_steps=[0],
        batch_size=[1, 64.0],
        max_epochs=[-1],
        validation_fraction=[-0.1, 1],
        callbacks=["early_stopping"],
        device=[0],
        compile=["yes"],
        warm_start=["yes"],
        random_state=[-1],
        verbose=[-1],
    ),
    *bad_values(
        UHGAHasher(4),
        feature_module=["alexnet"],
        similarity=["cosine"],
        threshold=["mean", 1, -1.1],
        quantile=[0, 1],
        center=["yes"],
        max_samples=[1],
        loss=["hinge"],
        alpha=[0],
        quantization_weight=[-1],
        continuation=[-1],
    ),
    *bad_values(SSDHHasher(4), width=[0, -2], max_samples=[1]),
    *bad_values(ITQ(4), subsample=["none", None]),
    *cases(
        "cca",
        lambda: cca(subsample="all").fit(X, y),
        [("subsample", (), r"subsample='all' goes with projection='pca' only")],
    ),
    *bad_values(
        HammingRetriever(),
        hasher=[object(), "itq"],
        n_neighbors=[0, 2.5],
        radius=[-1, "2", np.nan, np.inf],
        mode=["x"],
        metric=["cosine", None],
        algorithm=["ball_tree"],
        n_jobs=["all", 1.5],
    ),
    *cases(
        "retriever",
        lambda hasher=None, **params: HammingRetriever(hasher).fit(X, y, **params),
        [
            ("hasher=class", (ITQ,), r"instance", TYPE_OR_VALUE),
            ("fit_params", {"sample_weight": y}, r"enable_metadata_routing=True"),
        ],
    ),
    *cases(
        "retriever",
        lambda radius, metric: HammingRetriever(radius=radius, metric=metric).fit(X),
        [
            ("radius=1.5", (1.5, "hamming"), WHOLE_RADIUS + "1.5"),
            ("radius=2.0", (2.0, "hamming"), WHOLE_RADIUS + "2.0"),
            ("radius=True", (True, "hamming"), WHOLE_RADIUS + "True"),
            ("spherical-radius=True", (True, "spherical"), REAL_RADIUS + "True"),
        ],
    ),
    *cases(
        "pcah",
        lambda n_bits, rows: PCAHashing(n_bits).fit(rows),
        [
            ("above_rank", (7, X), ABOVE_RANK),
            ("above_rows", (4, X[:3]), r"n_bits=4 is more than the 2 directions"),
        ],
    ),
    *cases(
        "cca",
        lambda rows, **params: cca(**params).fit(rows, y[: len(rows)]),
        [
            ("tiny_reg", {"rows": X, "reg": 1e-300}, r"reg=1e-300 is too small"),
            ("large_scale", (DOUBLED,), r"reg=0.0001 is too small for the scale of X"),
            ("too_wide", (WIDE,), TOO_WIDE),
        ],
    ),
    *cases("partial_fit", ITQ(4).partial_fit, [("too_wide", (WIDE,), TOO_WIDE)]),
)
def test_bad_parameters_are_refused(case):
    """Parameters are refused by name and value, in `fit`."""
    case.check()


NO_Y = r"projection='cca' requires y"
INDICATOR = r"y must be a class vector or a matrix of zeros and ones; got .*value "
UNCORRELATED = r"X and y are uncorrelated"
CLASSES_FIRST = r"not among the classes.*pass all classes in the first call"
ONE_FORM = r"y must be a class vector in all calls or an indicator matrix in all"
CHANGED = r"projection='pca' was 'cca' when the first rows came"
PICKLED = r"copied or pickled.*call partial_fit on a clone"
RAGGED = [[0], [0, 1]] * 15
CCA = [
    *cases("cca-partial_fit", cca().partial_fit, [("none", (X,), NO_Y)]),
    *cases(
        "cca",
        lambda y=None: cca().fit(X, y),
        [
            ("none", (), NO_Y),
            ("length", (y[:4],), SAMPLES),
            ("one_class", (y * 0,), UNCORRELATED),
            ("no_label", (Y * 0,), UNCORRELATED),
            ("nan", (labels_with(np.nan),), r"y " + CLASSES),
            ("inf", (labels_with(np.inf),), r"y " + CLASSES),
            ("continuous", (X[:, 0],), r"y " + CLASSES),
            ("multioutput", (np.c_[y, y],), INDICATOR + "2"),
            ("signs", (2 * Y - 1,), INDICATOR + "-1"),
            ("nan_matrix", (Y * np.nan,), r"Input y contains NaN"),
            ("mixed", (MIXED,), r"y " + ONLY),
            ("no_date", (NO_DATE,), r"y must hold class labels; got NaT"),
            ("scalar", (3,), r"y should be a 1d array"),
            ("ragged", (RAGGED,), r"y must be a class vector or an indicator matrix"),
        ],
    ),
    *cases(
        "cca-then",
        lambda first, then: cca().partial_fit(X, first).partial_fit(X, then),
        [
            ("unseen_class", (y, y + 1), r"y holds .*3.*" + CLASSES_FIRST),
            ("strings", (y, NAMES), CLASSES_FIRST),
            ("ints_after_objects", (NAMES.astype(object), y), CLASSES_FIRST),
            ("columns", (Y, Y[:, :2]), r"y has 2 label columns, but 3 in earlier"),
            ("vector_after_matrix", (Y, y + 5), ONE_FORM),
            ("matrix_after_vector", (y, Y), ONE_FORM),
        ],
    ),
    *cases(
        "partial_fit",
        lambda itq, *args: itq.partial_fit(X, *args),
        [
            ("class_not_in_classes", (cca(), y, [0, 1]), CLASSES_FIRST),
            (
                "projection_changed",
                (fresh("cca").set_params(projection="pca"),),
                CHANGED,
            ),
            ("pickled", (pickle.loads(pickle.dumps(fitted("itq"))),), PICKLED),
        ],
    ),
]
FORM_OF_GALLERY = r"y must have the form of the gallery's labels"
BOTH = r"must both have labels or both have none; got y="
WITHOUT_Y = r"fitted without y"
GALLERY = [
    *cases(
        "retriever",
        lambda y: HammingRetriever().fit(CODES, y),
        [
            ("length", (y[:4],), SAMPLES),
            ("nan", (labels_with(np.nan),), r"y " + CLASSES),
            ("inf", (labels_with(np.inf),), r"y " + CLASSES),
            ("mixed", (MIXED,), r"y " + ONLY),
        ],
    ),
    *cases(
        "retriever-then",
        lambda a, b: HammingRetriever().fit(CODES, a).partial_fit(CODES, b),
        [
            ("missing", (y, None), BOTH + "None"),
            ("extra", (None, y), BOTH + "labels"),
            ("matrix", (y, Y), FORM_OF_GALLERY),
            ("vector", (Y, y), FORM_OF_GALLERY),
            ("columns", (Y, Y[:, :2]), FORM_OF_GALLERY),
            ("strings", (y, NAMES), ONE_TYPE + "int64 and <U1"),
            ("ints", (NAMES, y), ONE_TYPE + "<U1 and int64"),
            ("int_objects", (NAMES, y.astype(object)), ONE_TYPE + "<U1 and int64"),
            ("dates", (y, DATES), ONE_TYPE + r"int64 and datetime64"),
            ("length", (y, y[:4]), SAMPLES),
            ("nan", (y, labels_with(np.nan)), r"y " + CLASSES),
        ],
    ),
    *cases(
        "without_y",
        lambda method, *args: getattr(HammingRetriever().fit(CODES), method)(*args),
        [
            ("predict", ("predict", CODES), r"predict needs labels.* " + WITHOUT_Y),
            ("score", ("score", CODES, y), WITHOUT_Y),
        ],
    ),
    *cases(
        "score",
        lambda *args: fitted("bare").score(*args),
        [
            ("no_y", (CODES,), r"y is missing: relevance needs"),
            ("length", (CODES, y[:4]), r"query_codes and y_query .* 30 and 4 rows"),
            ("matrix", (CODES, Y), r"both be class vectors"),
            ("strings", (CODES, NAMES), ONE_TYPE + "<U1 and int64"),
            ("no_match", (CODES, y + 5), NO_RELEVANT),
            ("nan", (CODES, labels_with(np.nan)), r"y " + CLASSES),
            ("weight", (CODES, y, [1, 2]), r"sample_weight.shape == \(2,"),
        ],
    ),
]


@each(*CCA, *GALLERY)
def test_bad_labels_are_refused(case):
    """Labels are refused that are no classes, or not those of the rows before."""
    case.check()


def spherical():
    return HammingRetriever(metric="spherical").fit(CODES)


def call(name, method, *args):
    getattr(unfitted(name), method)(*args)


HASHER_METHODS = {"transform": (X,), "encode": (X,), "get_feature_names_out": ()}
QUERIES = ("kneighbors", "radius_neighbors", "kneighbors_graph", "predict")
UNFITTED = [
    *[
        (f"{name}-{method}", partial(call, name, method, *args))
        for name in HASHERS | RETRIEVERS
        for method, args in HASHER_METHODS.items()
    ],
    *[(f"bare-{method}", partial(call, "bare", method, X)) for method in QUERIES],
    ("bare-itself", partial(call, "bare", "kneighbors")),
    ("bare-score", partial(call, "bare", "score", X, y)),
    ("frozen", lambda: HammingRetriever(FrozenEstimator(ITQ(4))).fit(X, y)),
    ("map_scorer", lambda: map_scorer(ITQ(4), X, y)),
    ("ndcg_scorer", lambda: ndcg_scorer(HammingRetriever(), CODES, y)),
]


@each(*[Case(*row, r"is not fitted yet", NotFittedError) for row in UNFITTED])
def test_unfitted_estimators_say_so(case):
    """Everything that needs a fitted estimator raises NotFittedError."""
    case.check()


NO_COUNT = r"n_neighbors does not take <class '{}'> value"
UNKNOWN_METRIC = r"metric must be one of hamming, spherical; got 'x'"
GRAPH_MODE = r"mode must be 'connectivity' or 'distance'; got 'x'"
LENGTHS = r"X has codes of 8 bits, but those of the gallery have "


@each(
    *cases(
        "kneighbors",
        lambda *args: fitted("bare").kneighbors(*args),
        [
            ("31", (X, 31), r"Expected n_neighbors <= n_samples_fit, but n_nei.* = 31"),
            ("30-none", (None, 30), r"Expected n_neighbors < n_samples_fit, but n_nei"),
            ("0", (X, 0), r"Expected n_neighbors > 0. Got 0"),
            ("-1", (X, -1), r"Expected n_neighbors > 0. Got -1"),
            ("2.5", (X, 2.5), NO_COUNT.format("float"), TypeError),
            ("'3'", (X, "3"), NO_COUNT.format("str"), TypeError),
            ("no_codes", (PACKED[:0],), r"X holds 0 codes"),
        ],
    ),
    *cases(
        "radius",
        lambda radius: fitted("bare").radius_neighbors(X, radius),
        [
            ("-1", (-1,), WHOLE_RADIUS + "-1"),
            ("1.5", (1.5,), WHOLE_RADIUS + "1.5"),
            ("'2'", ("2",), WHOLE_RADIUS + "'2'"),
            ("nan", (np.nan,), WHOLE_RADIUS + "nan"),
            ("True", (True,), WHOLE_RADIUS + "True"),
        ],
    ),
    *cases(
        "spherical-radius",
        lambda radius: spherical().radius_neighbors(X, radius),
        [
            ("-0.5", (-0.5,), REAL_RADIUS + "-0.5"),
            ("'2'", ("2",), REAL_RADIUS + "'2'"),
            ("nan", (np.nan,), REAL_RADIUS + "nan"),
            ("inf", (np.inf,), REAL_RADIUS + "inf"),
            ("True", (True,), REAL_RADIUS + "True"),
        ],
    ),
    *cases(
        "metric-set-later",
        lambda method: getattr(fresh("bare").set_params(metric="x"), method)(X),
        [
            ("kneighbors", ("kneighbors",), UNKNOWN_METRIC),
            ("radius", ("radius_neighbors",), UNKNOWN_METRIC),
        ],
    ),
    *cases(
        "graph-mode",
        lambda method: getattr(fitted("bare"), method)(X, mode="x"),
        [
            (method, (method,), GRAPH_MODE)
            for method in ("kneighbors_graph", "radius_neighbors_graph")
        ],
    ),
    *cases(
        "fit",
        HammingRetriever(ITQ(4)).fit,
        [("codes_and_hasher", (PACKED, y), r"X holds codes .* but hasher is set")],
    ),
    *cases(
        "other_length",
        lambda name, method, *args: getattr(fresh(name), method)(PACKED_8, *args),
        [
            *[(method, ("bare", method), LENGTHS + "6") for method in QUERIES],
            ("partial_fit", ("bare", "partial_fit", y), LENGTHS + "6"),
            ("hashed-partial_fit", ("hashed", "partial_fit", y), LENGTHS + "4"),
            ("hashed-encode", ("hashed", "encode"), LENGTHS + "4"),
        ],
    ),
)
def test_bad_searches_are_refused(case):
    """Arguments of searches are refused as scikit-learn's neighbours do."""
    case.check()


@pytest.mark.parametrize("k", [np.int8(3), np.uint8(20), np.int64(29)], ids=repr)
def test_small_integers_do_not_overflow(k):
    """Any integer type counts neighbours, also where its sums would wrap around."""
    gallery = PackedCodes.concatenate([PACKED] * 10)
    retriever = HammingRetriever().fit(gallery)
    for queries in (None, gallery):
        expected = retriever.kneighbors(queries, int(k))
        np.testing.assert_array_equal(retriever.kneighbors(queries, k), expected)
        assert retriever.kneighbors_graph(queries, k).nnz == len(gallery) * int(k)
