"""Scorers inside scikit-learn's model selection."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

from sklhash import ITQ, HammingRetriever
from sklhash.metrics import (
    RetrievalScorer,
    map_scorer,
    mean_average_precision,
    ndcg_scorer,
    retrieval_scores,
)


@pytest.fixture
def small(digits):
    """Five hundred digits."""
    X, y = digits
    return X[:500], y[:500]


def by_hand(estimator, X, y, cv, metrics="map"):
    """Score each fold with nothing but transform and retrieval_scores."""
    scores = []
    for train, test in cv.split(X, y):
        fitted = clone(estimator).fit(X[train], y[train])
        codes = fitted.transform(X[train]), fitted.transform(X[test])
        result = retrieval_scores(
            codes[1], codes[0], y[test], y[train], metrics=metrics
        )
        scores.append(result)
    return scores


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_over_a_pipeline(n_jobs, small):
    """The contract's first line: training fold as gallery, held-out fold as queries."""
    X, y = small
    pipeline = make_pipeline(StandardScaler(), ITQ(random_state=0), HammingRetriever())
    grid = {"itq__n_bits": [16, 32, 64]}
    search = GridSearchCV(pipeline, grid, cv=KFold(3), n_jobs=n_jobs).fit(X, y)
    for i, n_bits in enumerate(grid["itq__n_bits"]):
        hasher = make_pipeline(StandardScaler(), ITQ(n_bits, random_state=0))
        expected = [fold["map"] for fold in by_hand(hasher, X, y, KFold(3))]
        actual = [search.cv_results_[f"split{k}_test_score"][i] for k in range(3)]
        assert_allclose(actual, expected, rtol=1e-12)
    assert search.best_params_ == {"itq__n_bits": 64}
    assert search.score(X, y) > 0.5


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_over_a_retriever(n_jobs, small):
    """The contract's second line, and its default scoring is the mAP."""
    X, y = small
    retriever = HammingRetriever(ITQ(random_state=0))
    grid = {"hasher__n_bits": [16, 32], "hasher__projection": ["pca", "cca"]}
    searches = [
        GridSearchCV(retriever, grid, cv=3, n_jobs=n_jobs, scoring=scoring).fit(X, y)
        for scoring in (None, map_scorer)
    ]
    results = [search.cv_results_["mean_test_score"] for search in searches]
    assert_array_equal(*results)
    assert searches[0].best_params_["hasher__projection"] == "cca"
    assert searches[0].predict(X[:5]).shape == (5,)


@pytest.mark.parametrize(
    "scoring",
    [
        {"map": map_scorer, "ndcg": RetrievalScorer("ndcg", k=10)},
        RetrievalScorer(["map", "ndcg@10"]),
    ],
    ids=["dict of scorers", "scorer of several"],
)
def test_multimetric(scoring, small):
    """Several metrics come from a dict of scorers, or from one scorer in one pass."""
    X, y = small
    retriever = HammingRetriever(ITQ(16, random_state=0))
    search = GridSearchCV(
        retriever, {"n_neighbors": [1]}, scoring=scoring, refit="map", cv=KFold(3)
    ).fit(X, y)
    folds = by_hand(ITQ(16, random_state=0), X, y, KFold(3), ["map", "ndcg@10"])
    names = ["map", "ndcg"] if isinstance(scoring, dict) else ["map", "ndcg@10"]
    for name, key in zip(names, ["map", "ndcg@10"], strict=True):
        actual = [search.cv_results_[f"split{k}_test_{name}"][0] for k in range(3)]
        assert_allclose(actual, [fold[key] for fold in folds], rtol=1e-12)


def test_external_gallery(digits):
    """A fixed database is hashed by each candidate and searched by the fold's rows."""
    X, y = digits
    scorer = RetrievalScorer("map@50", gallery=(X[600:], y[600:]))
    for estimator in (
        ITQ(random_state=0),
        make_pipeline(StandardScaler(), ITQ(random_state=0)),
        HammingRetriever(ITQ(random_state=0)),
        make_pipeline(StandardScaler(), ITQ(random_state=0), HammingRetriever()),
    ):
        scores = cross_val_score(estimator, X[:600], y[:600], scoring=scorer, cv=3)
        assert scores.min() > 0.5
        estimator.fit(X[:300], y[:300])
    hasher = ITQ(random_state=0).fit(X[:300])
    expected = retrieval_scores(
        hasher.encode(X[300:600]),
        hasher.encode(X[600:]),
        y[300:600],
        y[600:],
        metrics="map@50",
    )
    assert scorer(hasher, X[300:600], y[300:600]) == expected["map@50"]


@pytest.mark.parametrize("as_pipeline", [False, True])
def test_bare_hasher_is_scored_inside_the_fold(as_pipeline, small):
    """Without a gallery the scored rows search each other, each leaving itself out."""
    X, y = small
    hasher = ITQ(16, random_state=0)
    if as_pipeline:
        hasher = make_pipeline(StandardScaler(), hasher)
    scores = cross_val_score(hasher, X, y, scoring=ndcg_scorer, cv=KFold(3))
    for (train, test), score in zip(KFold(3).split(X), scores, strict=True):
        codes = clone(hasher).fit(X[train]).transform(X[test])
        expected = retrieval_scores(
            codes, codes, y[test], y[test], metrics="ndcg", exclude_self=True
        )
        assert_allclose(score, expected["ndcg"], rtol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        HammingRetriever(ITQ(16, random_state=0)),
        make_pipeline(StandardScaler(), ITQ(16, random_state=0), HammingRetriever()),
        # PCA rounds differently in fit_transform and transform
        make_pipeline(
            PCA(30, svd_solver="full"), ITQ(64, random_state=0), HammingRetriever()
        ),
    ],
    ids=["retriever", "pipeline", "pipeline that rounds"],
)
@pytest.mark.parametrize("scoring", [None, map_scorer])
def test_training_score_leaves_each_row_out(estimator, scoring, small):
    """Training scores do not count that a row finds itself."""
    X, y = small
    result = cross_validate(
        estimator, X, y, scoring=scoring, cv=KFold(3), return_train_score=True
    )
    train, _ = next(KFold(3).split(X))
    fitted = clone(estimator).fit(X[train], y[train])
    retriever = fitted[-1] if hasattr(fitted, "steps") else fitted
    codes, labels = retriever.gallery_codes_, retriever.gallery_labels_
    expected = retrieval_scores(
        codes, codes, labels, labels, metrics="map", exclude_self=True
    )
    assert_allclose(result["train_score"][0], expected["map"], rtol=1e-3)
    # With itself each row would have a perfect first place.
    naive = retrieval_scores(codes, codes, labels, labels, metrics="map")
    assert naive["map"] > expected["map"] + 3e-3


def test_learning_curve(small):
    """Learning curves work, with leave-one-out training scores."""
    X, y = small
    retriever = HammingRetriever(ITQ(16, random_state=0))
    _, train, test = learning_curve(
        retriever,
        X,
        y,
        train_sizes=[100, 300],
        cv=KFold(3),
        shuffle=True,
        random_state=0,
    )
    assert np.abs(train.mean() - test.mean()) < 0.15


def test_sorted_labels_name_the_way_out(small):
    """Folds without a common class are refused with advice, not scored."""
    X, y = small
    order = np.argsort(y, kind="stable")
    retriever = HammingRetriever(ITQ(8, random_state=0))
    with pytest.raises(ValueError, match="StratifiedKFold"):
        retriever.fit(X[order][:200], y[order][:200]).score(
            X[order][300:], y[order][300:]
        )
    scores = cross_val_score(retriever, X[order], y[order], cv=StratifiedKFold(3))
    assert np.all(scores > 0.4)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("gallery", ["auto", "fitted", "self", "pair"])
@pytest.mark.parametrize("metric", ["hamming", "spherical"])
def test_code_distance_is_the_metric_of_the_retriever(metric, gallery, wrapped, small):
    """Codes are compared as the retriever compares them, whatever the gallery."""
    X, y = small
    estimator = HammingRetriever(ITQ(16, random_state=0), metric=metric)
    if wrapped:
        steps = StandardScaler(), ITQ(16, random_state=0)
        estimator = make_pipeline(*steps, HammingRetriever(metric=metric))
    estimator.fit(X[:300], y[:300])
    retriever = estimator[-1] if wrapped else estimator
    codes = retriever.encode(estimator[:-1].transform(X) if wrapped else X)
    searched = slice(300, None) if gallery == "self" else slice(300)
    expected = {
        distance: mean_average_precision(
            codes[300:],
            codes[searched],
            y[300:],
            y[searched],
            code_distance=distance,
            exclude_self=gallery == "self",
        )
        for distance in ("hamming", "spherical")
    }
    assert expected["hamming"] != expected["spherical"]
    if gallery == "pair":
        gallery = (X[:300], y[:300])
    scorer = RetrievalScorer("map", gallery=gallery)
    assert scorer(estimator, X[300:], y[300:]) == expected[metric]
    for distance, score in expected.items():
        scorer.set_params(code_distance=distance)
        assert scorer(estimator, X[300:], y[300:]) == score
    if gallery == "auto":
        assert estimator.score(X[300:], y[300:]) == expected[metric]


def test_bare_hashers_are_scored_by_hamming_unless_told_otherwise(small):
    """A hasher has no metric of its own."""
    X, y = small
    hasher = ITQ(16, random_state=0).fit(X)
    codes = hasher.encode(X)
    for distance, compared in (("auto", "hamming"), ("spherical", "spherical")):
        score = RetrievalScorer("ndcg", code_distance=distance)(hasher, X, y)
        expected = retrieval_scores(
            codes,
            codes,
            y,
            y,
            metrics="ndcg",
            exclude_self=True,
            code_distance=compared,
        )
        assert score == expected["ndcg"]


def test_grid_search_over_the_metric(small):
    """The two metrics can be compared as any other parameter."""
    X, y = small
    retriever = HammingRetriever(ITQ(16, random_state=0))
    grid = {"metric": ["hamming", "spherical"]}
    search = GridSearchCV(retriever, grid, cv=3).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1]
    assert search.best_params_["metric"] == grid["metric"][scores.argmax()]


def test_scorers_can_be_pickled_cloned_and_shown():
    """Scorers are plain objects."""
    scorer = RetrievalScorer("map", k=100, ties="index")
    assert repr(scorer) == "RetrievalScorer(k=100, ties='index')"
    assert pickle.loads(pickle.dumps(scorer)).get_params() == scorer.get_params()
    assert clone(scorer).k == 100
    assert repr(ndcg_scorer) == "RetrievalScorer(metric='ndcg')"


def test_scorer_options_reach_the_metric(small):
    """Ties, denominators and queries without relevant items are counted as asked."""
    X, y = small
    y = np.where(y == 9, np.arange(len(y)) + 100, y)  # classes of one row
    options = {"ties": "pessimistic", "normalize": "retrieved", "no_relevant": "zero"}
    retriever = HammingRetriever(ITQ(4, random_state=0)).fit(X[:400], y[:400])
    score = RetrievalScorer("map", k=5, **options)(retriever, X[400:], y[400:])
    expected = retrieval_scores(
        retriever.encode(X[400:]),
        retriever.gallery_codes_,
        y[400:],
        y[:400],
        metrics="map@5",
        **options,
    )
    assert score == expected["map@5"]
    assert expected["queries_without_relevant"] > 0


class TestSelfExclusion:
    """Queries that are the gallery itself."""

    @pytest.fixture
    def fitted(self, small):
        """A retriever of codes, and the codes and labels it holds."""
        X, y = small
        codes = ITQ(32, random_state=0).fit(X).transform(X)
        return HammingRetriever().fit(codes, y), codes, y

    @pytest.mark.parametrize(
        ("changed", "n_rows", "itself"),
        [
            ("codes", 0, True),
            ("codes", 5, True),
            ("codes", 6, False),
            ("labels", 1, False),
            ("order", 500, False),
            ("length", 1, False),
        ],
    )
    def test_auto_rule(self, changed, n_rows, itself, fitted):
        """Rows are taken for the gallery if all labels and 99 % of codes agree."""
        retriever, codes, y = fitted
        codes, y = codes.copy(), y.copy()
        if changed == "codes":
            codes[:n_rows, 0] ^= 1
        elif changed == "labels":
            y[:n_rows] = (y[:n_rows] + 1) % 10
        elif changed == "order":
            codes, y = codes[::-1], y[::-1]
        else:
            codes, y = codes[n_rows:], y[n_rows:]
        score = map_scorer(retriever, codes, y)
        gallery = retriever.gallery_codes_, y, retriever.gallery_labels_
        expected = mean_average_precision(codes, *gallery, exclude_self=itself)
        assert score == expected

    def test_explicit_rule(self, fitted):
        """True and False override the rule."""
        retriever, codes, y = fitted
        scores = {
            rule: RetrievalScorer("map", exclude_self=rule)(retriever, codes, y)
            for rule in ("auto", True, False)
        }
        assert scores["auto"] == scores[True] < scores[False]
        moved = codes ^ (np.arange(32) == 0)
        score = RetrievalScorer("map", exclude_self=True)(retriever, moved, y)
        assert score < map_scorer(retriever, moved, y)
        with pytest.raises(ValueError, match="row by row"):
            RetrievalScorer("map", exclude_self=True)(retriever, codes[1:], y[1:])

    def test_multi_label(self, fitted):
        """The rule reads indicator matrices, too."""
        retriever, codes, y = fitted
        indicator = np.eye(10)[y]
        scores = map_scorer(HammingRetriever().fit(codes, indicator), codes, indicator)
        assert scores == map_scorer(retriever, codes, y)


def test_score_does_not_hang_on_the_ready_made_scorer(small):
    """Changing `map_scorer` in place leaves the retriever's own score alone."""
    X, y = small
    retriever = HammingRetriever(ITQ(8, random_state=0)).fit(X[:400], y[:400])
    before = retriever.score(X[400:], y[400:])
    map_scorer.set_params(metric="ndcg")
    try:
        assert retriever.score(X[400:], y[400:]) == before
    finally:
        map_scorer.set_params(metric="map")


def test_any_transformer_can_be_the_hasher(small):
    """Also one with a parameter of the name of a hasher's method."""
    X, y = small
    hasher = KBinsDiscretizer(2, encode="ordinal", strategy="uniform")
    retriever = HammingRetriever(hasher).fit(X[:400, 20:24], y[:400])
    assert retriever.gallery_codes_.n_bits == 4
    assert retriever.score(X[400:, 20:24], y[400:]) > 0.1


class TestMetadataRouting:
    """With scikit-learn's metadata routing enabled."""

    def test_sample_weight_reaches_scorer_and_score(self, small):
        """Requested weights of the queries are used by scorer and default score."""
        X, y = small
        weight = np.random.RandomState(0).rand(len(X))
        retriever = HammingRetriever(ITQ(16, random_state=0))
        with config_context(enable_metadata_routing=True):
            scorer = RetrievalScorer("map").set_score_request(sample_weight=True)
            weighted = cross_val_score(
                retriever,
                X,
                y,
                scoring=scorer,
                cv=KFold(3),
                params={"sample_weight": weight},
            )
            by_default = cross_val_score(
                clone(retriever).set_score_request(sample_weight=True),
                X,
                y,
                cv=KFold(3),
                params={"sample_weight": weight},
            )
        assert_array_equal(weighted, by_default)
        train, test = next(KFold(3).split(X))
        fitted = clone(retriever).fit(X[train], y[train])
        expected = fitted.score(X[test], y[test], sample_weight=weight[test])
        assert weighted[0] == expected != fitted.score(X[test], y[test])

    def test_weights_that_nobody_asked_for_are_refused(self, small):
        """Passing weights without a request names what to call."""
        X, y = small
        retriever = HammingRetriever(ITQ(16, random_state=0))
        with (
            config_context(enable_metadata_routing=True),
            pytest.raises(UnsetMetadataPassedError, match="set_score_request"),
        ):
            cross_val_score(
                retriever, X, y, scoring=map_scorer, params={"sample_weight": y}
            )

    def test_fit_parameters_reach_the_hasher(self, small):
        """What the hasher's fit asks for is routed through the retriever."""

        class Weighted(ITQ):
            def fit(self, X, y=None, sample_weight=None):
                self.weight_ = sample_weight
                return super().fit(X, y)

        X, y = small
        weight = np.arange(len(X))
        with config_context(enable_metadata_routing=True):
            hasher = Weighted(8).set_fit_request(sample_weight=True)
            retriever = HammingRetriever(hasher).fit(X, y, sample_weight=weight)
        assert_array_equal(retriever.hasher_.weight_, weight)
        with pytest.raises(ValueError, match="sample_weight"):
            HammingRetriever(Weighted(8)).fit(X, y, sample_weight=weight)
