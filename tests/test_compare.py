"""Comparisons of hashers: the figures of plain loops, and what is made of them."""

import dataclasses
import pickle
import signal
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklhash import (
    ITQ,
    HammingRetriever,
    PackedCodes,
    PCAHashing,
    RandomHyperplaneHashing,
    SphericalHashing,
)
from sklhash.metrics import mean_average_precision, retrieval_scores
from sklhash.model_selection import (
    HasherComparison,
    RetrievalSplit,
    compare_hashers,
    fewest_bits,
    paired_bootstrap,
    retrieval_split,
)
from sklhash.model_selection._sizes import bytes_of_a_row
from sklhash.model_selection._warm_up import WARM_UP_ROWS

TIMES = ("fit_time", "encode_time")


@pytest.fixture(scope="module")
def small(digits):
    """Four hundred digits."""
    X, y = digits
    return X[:400], y[:400]


@pytest.fixture(scope="module")
def comparison(small):
    """Three hashers, one of which has no 64 bits, and two references."""
    hashers = {
        "ITQ": ITQ(),
        "PCA": PCAHashing(),
        "<LSH & co>": RandomHyperplaneHashing(),
    }
    with pytest.warns(FitFailedWarning, match="2 of 12 fits failed.*PCA with 64 bits"):
        return compare_hashers(hashers, *small, n_bits=[16, 64], splits=2)


def without_times(comparison):
    """Give what must not depend on how the runs were done."""
    return [
        {key: str(value) for key, value in record.items() if key not in TIMES}
        for record in comparison.records
    ]


def test_equals_the_quickstart_on_digits(digits):
    """Means and spreads are those of the loop of the quickstart, to the last digit."""
    X, y = digits
    hashers = {"ITQ": ITQ(max_iter=20), "LSH": RandomHyperplaneHashing()}
    result = compare_hashers(hashers, X, y, n_bits=[16, 32], metrics="map")
    rows = {(row["hasher"], row["n_bits"]): row for row in result.summary()}
    splits = [
        train_test_split(
            np.arange(len(X)), test_size=0.2, stratify=y, random_state=seed
        )
        for seed in range(3)
    ]
    for name, hasher in hashers.items():
        for n_bits in (16, 32):
            scores = []
            for seed, (gallery, queries) in enumerate(splits):
                hasher.set_params(n_bits=n_bits, random_state=seed)
                retriever = HammingRetriever(hasher).fit(X[gallery], y[gallery])
                scores.append(retriever.score(X[queries], y[queries]))
            assert_allclose(rows[name, n_bits]["map"], np.mean(scores), rtol=1e-14)
            assert_allclose(rows[name, n_bits]["map_sd"], np.std(scores), rtol=1e-10)
    for name in ("cosine", "euclidean"):
        scores = [
            mean_average_precision(
                relevance=y[queries, None] == y[gallery],
                distances=pairwise_distances(X[queries], X[gallery], metric=name),
            )
            for gallery, queries in splits
        ]
        assert_allclose(rows[name, None]["map"], np.mean(scores), rtol=1e-14)
        assert_allclose(rows[name, None]["map_sd"], np.std(scores), rtol=1e-10)


@pytest.mark.parametrize("to_labels", [np.asarray, coo_array])
def test_equals_the_benchmark_on_multilabel_data(to_labels):
    """The figures are those of the loop of benchmarks/multilabel.py."""
    X, Y = make_multilabel_classification(
        1200, 30, n_classes=12, n_labels=3, allow_unlabeled=False, random_state=0
    )
    gallery, queries = (X[:1000], Y[:1000]), (X[1000:], Y[1000:])
    metrics = ("map", "ndcg@100", "acg@100", "wap@100")
    split = RetrievalSplit(np.arange(1000), np.arange(1000), np.arange(1000, 1200))
    result = compare_hashers(
        ITQ(projection="cca"),
        X,
        to_labels(Y),
        n_bits=[8, 12],
        splits=[split] * 3,
        metrics=metrics,
    )
    for n_bits in (8, 12):
        runs = []
        for seed in range(3):
            hasher = ITQ(projection="cca").set_params(n_bits=n_bits, random_state=seed)
            hasher.fit(*gallery)
            scores = retrieval_scores(
                hasher.encode(queries[0]),
                hasher.encode(gallery[0]),
                queries[1],
                gallery[1],
                metrics=metrics,
            )
            runs.append([scores[metric] for metric in metrics])
        (row,) = (row for row in result.summary() if row["n_bits"] == n_bits)
        actual = [[row[metric], row[f"{metric}_sd"]] for metric in metrics]
        expected = np.transpose([np.mean(runs, axis=0), np.std(runs, axis=0)])
        assert_allclose(actual, expected, rtol=1e-10)
    assert result.data["relevance"] == "a label in common"
    for name in ("cosine", "euclidean"):
        expected = retrieval_scores(
            relevance=Y[1000:] @ Y[:1000].T,
            distances=pairwise_distances(X[1000:], X[:1000], metric=name),
            metrics=metrics,
        )
        row = next(row for row in result.summary() if row["hasher"] == name)
        for metric in metrics:
            assert_allclose(row[metric], expected[metric], rtol=1e-12)


def neighbors_by_hand(X, queries, gallery, k):
    """Nearest gallery rows of each query, the first of equally distant ones."""
    found = []
    for query in queries:
        distances = [(np.sum((X[query] - X[row]) ** 2), i) for i, row in gallery]
        found.append({i for _, i in sorted(distances)[:k]})
    return found


@pytest.mark.parametrize("block_cells", [2**20, 700])
def test_recall_of_float_neighbors(block_cells, monkeypatch, small):
    """Without labels, recall@k is the share of the float neighbours that are found."""
    monkeypatch.setattr("sklhash.model_selection._rankings.BLOCK_CELLS", block_cells)
    X = np.round(small[0][:200] / 8)  # many ties
    split = retrieval_split(X, n_queries=20, random_state=0)
    result = compare_hashers(
        ITQ(),
        X,
        n_bits=16,
        splits=split,
        metrics=["recall@10", "precision@5"],
        n_neighbors=7,
        ties="index",
    )
    assert result.references == ("cosine",)
    assert result.data["relevance"] == "the 7 nearest rows by euclidean distance"
    train, gallery, query = split
    places = list(enumerate(gallery))
    neighbors = neighbors_by_hand(X, query, places, 7)
    hasher = ITQ(16, random_state=0).fit(X[train])
    found = HammingRetriever().fit(hasher.transform(X[gallery]))
    positions = found.kneighbors(hasher.transform(X[query]), 10)[1]
    hits = [
        [i in relevant for i in row]
        for row, relevant in zip(positions, neighbors, strict=True)
    ]
    recall = np.sum(hits, axis=1) / 7
    precision = np.sum(np.array(hits)[:, :5], axis=1) / 5
    assert_allclose(result.query_scores("ITQ", 16, "recall@10"), recall)
    assert_allclose(result.query_scores("ITQ", 16, "precision@5"), precision)

    cosine = pairwise_distances(X[query], X[gallery], metric="cosine")
    relevance = [[i in row for i in range(len(gallery))] for row in neighbors]
    scores = retrieval_scores(
        relevance=relevance,
        distances=cosine,
        metrics="recall@10",
        ties="index",
        per_query=True,
    )
    assert_allclose(
        result.query_scores("cosine", metric="recall@10"), scores["recall@10"]
    )


def test_neighbors_metric_and_reference(small):
    """The distance that says what is relevant is no reference, by whatever name."""
    X = small[0]
    for metric, names in [("cosine", ("euclidean",)), ("l2", ("cosine",))]:
        result = compare_hashers(ITQ(), X, n_bits=8, splits=1, neighbors_metric=metric)
        assert result.references == names
        assert result.metrics == ("recall@10", "recall@100", "map")
    row = result.summary()[-1]
    assert row["recall@100"] > 0.95


def test_kinds_of_rows(small, tmp_path):
    """Arrays, memory maps, sparse matrices and frames give the same figures."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")

    X, y = small
    np.save(tmp_path / "X.npy", X)
    names = [f"pixel{i}" for i in range(64)]
    kinds = {
        "array": (X, y),
        "map": (np.load(tmp_path / "X.npy", mmap_mode="r"), y.tolist()),
        "sparse": (coo_array(X), y),
        "pandas": (pd.DataFrame(X, columns=names), pd.Series(y)),
        "polars": (pl.DataFrame(X, schema=names), pl.Series(y)),
        "list": (X.tolist(), y.astype(str)),
    }
    results = {
        kind: compare_hashers(ITQ(), *data, n_bits=16, splits=1, references="cosine")
        for kind, data in kinds.items()
    }
    expected = results["array"].summary()
    for kind, result in results.items():
        for row, same in zip(result.summary(), expected, strict=True):
            assert row["map"] == pytest.approx(same["map"], abs=2e-3), kind
        assert result.data["n_features"] == 64
    sizes = {
        kind: result.summary()[-1]["bytes_per_item"] for kind, result in results.items()
    }
    assert sizes["array"] == sizes["map"] == 512
    assert sizes["sparse"] < 512
    assert expected[0]["bytes_per_item"] == 2


def test_images_are_long_rows(small):
    """Images are ranked as rows of pixels; hashers get them as they are."""
    X, y = small
    images = X.reshape(-1, 1, 8, 8).astype(np.float32)
    flat = make_pipeline(Flatten(), ITQ())
    result = compare_hashers({"flat": flat}, images, y, n_bits=8, splits=1)
    plain = compare_hashers(
        {"flat": ITQ()}, images.reshape(-1, 64), y, n_bits=8, splits=1
    )
    assert without_times(result) == without_times(plain)


class Flatten(BaseEstimator):
    """Makes rows of images."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.reshape(len(X), -1)


def test_any_rows_without_references(small):
    """Rows that are no numbers are compared by a pipeline that reads them."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = ["red apple", "green apple", "red pear", "blue sky", "grey sky", "sky"] * 5
    y = [0, 0, 0, 1, 1, 1] * 5
    pipeline = make_pipeline(TfidfVectorizer(), RandomHyperplaneHashing())
    result = compare_hashers(pipeline, texts, y, n_bits=16, references=())
    assert result.hashers == ("TfidfVectorizer + RandomHyperplaneHashing",)
    assert "features" not in str(result)
    assert result.summary()[0]["map"] > 0.8
    with pytest.raises(ValueError, match=r"references=\(\)"):
        compare_hashers(pipeline, texts, y)
    with pytest.raises(ValueError, match="give labels y"):
        compare_hashers(pipeline, texts, references=())


def test_seeds_of_a_pipeline(small):
    """Every step that draws random numbers gets the seed of the run."""
    from sklearn.decomposition import PCA

    X, y = small
    pipeline = make_pipeline(
        StandardScaler(), PCA(20, svd_solver="randomized", iterated_power=0), ITQ()
    )
    before = str(pipeline.get_params())
    result = compare_hashers(pipeline, X, y, n_bits=8, splits=2, random_state=5)
    for i in range(2):
        train, gallery, query = retrieval_split(X, y, random_state=5 + i)
        fitted = clone(pipeline).set_params(
            pca__random_state=5 + i, itq__random_state=5 + i, itq__n_bits=8
        )
        codes = [fitted.fit(X[train]).transform(X[rows]) for rows in (query, gallery)]
        expected = mean_average_precision(*codes, y[query], y[gallery])
        assert result.records[3 * i]["map"] == expected
    assert str(pipeline.get_params()) == before
    assert result.hashers == ("StandardScaler + PCA + ITQ",)


def test_random_state_none_leaves_seeds_alone(small):
    """Without a seed the hashers keep their own."""
    split = retrieval_split(small[0], n_queries=50, random_state=0)
    compare = partial(
        compare_hashers,
        X=small[0],
        y=small[1],
        n_bits=8,
        splits=split,
        random_state=None,
    )
    own = [compare(RandomHyperplaneHashing(random_state=seed)) for seed in (3, 3, 4)]
    first, second, other = (result.records[0]["map"] for result in own)
    assert first == second != other


def test_hasher_without_random_state(small):
    """A hasher that draws nothing has no seed to set."""
    Faulty.fits = 0
    result = compare_hashers(Faulty(), *small, n_bits=8, splits=1)
    assert result.records[0]["map"] > 0.2


def test_given_splits(small):
    """Splits of scikit-learn, pairs and triples are taken as they are."""
    X, y = small
    folds = list(KFold(3, shuffle=True, random_state=0).split(X, y))
    result = compare_hashers(ITQ(), X, y, n_bits=8, splits=folds)
    assert result.n_splits == 3
    for rows, (_, test) in zip(result.query_rows, folds, strict=True):
        assert_array_equal(rows, test)
    half = [(train[::2], train, test) for train, test in folds]
    partly = compare_hashers(ITQ(), X, y, n_bits=8, splits=iter(half))
    assert partly.data["n_train"] == 134
    assert partly.data["n_gallery"] == 267
    assert "134 rows learned from" in str(partly)
    assert partly.records[0]["map"] != result.records[0]["map"]


def test_processes_give_the_same(small):
    """Scores do not depend on the number of jobs; the order of records neither."""
    hashers = [ITQ(), RandomHyperplaneHashing()]
    one, two = (
        compare_hashers(hashers, *small, n_bits=[8, 16], splits=2, n_jobs=n_jobs)
        for n_jobs in (None, 2)
    )
    assert without_times(one) == without_times(two)
    for run, scores in one.run_scores.items():
        for metric in one.metrics:
            assert_array_equal(scores[metric], two.run_scores[run][metric])


def test_code_distance(small):
    """Codes are compared by another distance, or by projections, if asked for."""
    X, y = small
    train, gallery, query = split = retrieval_split(X, y, random_state=0)
    loose = {"tol_mean": 0.5, "tol_std": 0.5}
    hasher = SphericalHashing(16, random_state=0, **loose).fit(X[train])
    for code_distance in ("spherical", "asymmetric"):
        result = compare_hashers(
            SphericalHashing(**loose),
            X,
            y,
            n_bits=16,
            splits=split,
            metrics="map",
            code_distance=code_distance,
        )
        project = (
            hasher.decision_function if code_distance == "asymmetric" else hasher.encode
        )
        expected = mean_average_precision(
            project(X[query]),
            hasher.encode(X[gallery]),
            y[query],
            y[gallery],
            code_distance=code_distance,
        )
        assert result.records[0]["map"] == expected


def test_rules_are_handed_on(small):
    """Rules for ties and denominators hold for codes and for floats."""
    X, y = small
    train, gallery, query = split = retrieval_split(X, y, random_state=0)
    result = compare_hashers(
        ITQ(),
        X,
        y,
        n_bits=8,
        splits=split,
        metrics=["map@20", "precision@r1"],
        ties="pessimistic",
        normalize="retrieved",
    )
    hasher = ITQ(8, random_state=0).fit(X[train])
    expected = retrieval_scores(
        hasher.encode(X[query]),
        hasher.encode(X[gallery]),
        y[query],
        y[gallery],
        metrics=["map@20", "precision@r1"],
        ties="pessimistic",
        normalize="retrieved",
    )
    record, cosine = result.records[:2]
    assert record["map@20"] == expected["map@20"]
    assert record["precision@r1"] == expected["precision@r1"]
    assert np.isnan(cosine["precision@r1"])  # a radius in bits means nothing here
    assert cosine["map@20"] > 0.5
    assert "ties: pessimistic" in str(result)


def test_queries_without_relevant_rows(small):
    """They are left out of the means, and counted."""
    X, y = small
    y = y.copy()
    split = retrieval_split(X, y, n_queries=60, random_state=0)
    y[split.query[:3]] = 77
    result = compare_hashers(ITQ(), X, y, n_bits=8, splits=[split, split])
    assert result.data["queries_without_relevant"] == 6
    scores = result.query_scores("ITQ", 8, split=0)
    assert np.isnan(scores[:3]).all()
    assert result.records[0]["map"] == scores[3:].mean()
    assert "6 queries without a relevant row are left out." in str(result)


def test_failed_fits(comparison):
    """A fit that fails leaves a gap, a reason and the other figures."""
    rows = {(row["hasher"], row["n_bits"]): row for row in comparison.summary()}
    failed = rows["PCA", 64]
    assert np.isnan(failed["map"])
    assert failed["n_runs"] == 0
    assert "n_bits=64 is more than the" in failed["error"]
    assert rows["PCA", 16]["error"] is None
    assert comparison.complete
    assert np.isnan(comparison.query_scores("PCA", 64)).all()
    line = next(line for line in str(comparison).splitlines() if line[:3] == "PCA")
    assert line.split()[3] == "–"
    assert "– PCA, 64 bits: n_bits=64 is more" in str(comparison)


def test_failed_fits_can_raise(small):
    """With error_score='raise', or if all fits fail, the error is raised."""
    with pytest.raises(ValueError, match="n_bits=65"):
        compare_hashers(
            [PCAHashing(), ITQ()], *small, n_bits=[8, 65], error_score="raise"
        )
    with pytest.raises(ValueError, match="all 3 fits failed; the first one: n_bits=65"):
        compare_hashers(PCAHashing(), *small, n_bits=65)


class Faulty(BaseEstimator):
    """Hashes by sign; its `turn`-th fit of all raises an error."""

    fits = 0

    def __init__(self, error=None, turn=0, n_bits=8):
        self.error = error
        self.turn = turn
        self.n_bits = n_bits

    def fit(self, X, y=None):
        if len(X) > WARM_UP_ROWS:  # such a small fit is no run
            type(self).fits += 1
            if type(self).fits == self.turn:
                raise self.error("in a fit")
        self.fitted_ = True
        return self

    def transform(self, X):
        return X[:, 20 : 20 + self.n_bits] > 8


def test_other_errors_propagate(small):
    """An error that is no ValueError is one of the program, and is raised."""
    Faulty.fits = 0
    with pytest.raises(TypeError, match="in a fit"):
        compare_hashers(Faulty(TypeError, 3), *small, n_bits=8)


def test_some_splits_failed(small):
    """A mean over fewer splits is marked."""
    Faulty.fits = 0
    with pytest.warns(FitFailedWarning, match="1 of 6"):
        result = compare_hashers(Faulty(ValueError, 3), *small, n_bits=[8, 12])
    row = result.summary()[0]
    assert (row["n_runs"], row["error"]) == (2, "in a fit")
    assert f"{row['map']:.3f} ±{row['map_sd']:.3f}*" in str(result)
    assert "* the mean of fewer splits" in str(result)


def test_interrupt_keeps_what_is_finished(small):
    """Ctrl-C ends the comparison, and what was finished is returned."""
    Faulty.fits = 0
    with pytest.warns(RuntimeWarning, match="stopped after 3 of 12 runs"):
        result = compare_hashers(
            {"sign": Faulty(KeyboardInterrupt, 4)},
            *small,
            n_bits=[8, 9, 10, 11],
            references=(),
            n_jobs=None,
        )
    assert not result.complete
    assert len(result.records) == 3
    assert "Stopped after 3 of 12 runs." in str(result)
    assert [row["n_runs"] for row in result.summary()] == [1, 1, 1, 0]
    assert result.interval(("sign", 8), ("sign", 9)).n_queries == 80
    assert pickle.loads(pickle.dumps(result)).records == result.records


def test_interrupt_before_anything_is_finished(small):
    """If there is nothing to keep, Ctrl-C is Ctrl-C."""
    Faulty.fits = 0
    with pytest.raises(KeyboardInterrupt):
        compare_hashers(Faulty(KeyboardInterrupt, 1), *small, n_bits=8)


SLOW = """
import sys, time, warnings
from sklearn.datasets import load_digits
from sklhash import PCAHashing
from sklhash.model_selection import compare_hashers

class Slow(PCAHashing):
    def fit(self, X, y=None):
        time.sleep(0.01 if self.n_bits < 10 else 60)
        return super().fit(X, y)

def report(n_done, n_runs, record):
    print(n_done, record["n_bits"], flush=True)

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    warnings.simplefilter("ignore")
    result = compare_hashers(
        Slow(), X[:300], y[:300], n_bits=[8, 9, 10, 11], splits=1, references=(),
        n_jobs=int(sys.argv[1]), progress=report,
    )
    print("returned", result.complete, len(result.records), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGINT to send")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c(n_jobs, tmp_path):
    """A signal from the keyboard ends slow runs at once, in other processes, too."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, str(script), str(n_jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        lines = [process.stdout.readline().split() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=50)
    assert sorted(line[1] for line in lines) == ["8", "9"], err
    assert out.split() == ["returned", "False", "2"], err
    assert time.monotonic() - start < 50


def test_progress_function(small):
    """A function is told of each run: how many are done, of how many, the record."""
    calls = []
    result = compare_hashers(
        ITQ(), *small, n_bits=8, splits=2, progress=lambda *call: calls.append(call)
    )
    assert [call[0] for call in calls] == list(range(1, 7))
    assert {call[1] for call in calls} == {6}
    assert [call[2] for call in calls] == result.records


def test_progress_bar(small, capsys, monkeypatch):
    """True shows a bar; without rich it says what to install."""
    pytest.importorskip("rich")
    compare_hashers(ITQ(), *small, n_bits=8, splits=1, progress=True)
    assert "3/3" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r'pip install "sklhash\[progress\]"'):
        compare_hashers(ITQ(), *small, progress=True)


def test_names(small):
    """Hashers in a list are named by class, and by parameters if that is not enough."""
    X, y = small
    scaled = [make_pipeline(StandardScaler(with_mean=m), ITQ()) for m in (True, False)]
    result = compare_hashers(
        [PCAHashing(), ITQ(8), ITQ(projection="cca", random_state=3), *scaled],
        X,
        y,
        n_bits=4,
        splits=1,
    )
    assert result.hashers == (
        "PCAHashing",
        "ITQ()",
        "ITQ(projection='cca')",
        "StandardScaler + ITQ(), 1",
        "StandardScaler + ITQ(), 2",
    )


def test_summary_averages_records(comparison):
    """Each row of the summary is made of the records of its runs."""
    for row in comparison.summary():
        runs = [
            record
            for record in comparison.records
            if (record["hasher"], record["n_bits"]) == (row["hasher"], row["n_bits"])
        ]
        assert len(runs) == 2
        for metric in comparison.metrics:
            values = [run[metric] for run in runs]
            assert_array_equal(row[metric], np.mean(values))
            assert_array_equal(row[f"{metric}_sd"], np.std(values))
        for cost in (*TIMES, "bytes_per_item"):
            if row["n_runs"]:
                assert_array_equal(row[cost], np.mean([run[cost] for run in runs]))


def test_query_scores(comparison):
    """Scores a query are kept, in the order of the queries' row numbers."""
    for record in comparison.records:
        if record["error"] is None:
            scores = comparison.query_scores(
                record["hasher"], record["n_bits"], "map", record["split"]
            )
            assert scores.dtype == np.float64
            assert len(scores) == len(comparison.query_rows[record["split"]])
            assert scores.mean() == record["map"]
    assert len(comparison.query_scores("ITQ", 16)) == 160


def test_interval(comparison):
    """An interval compares two methods on the queries that both have scores of."""
    interval = comparison.interval("ITQ", "<LSH & co>", n_bits=16)
    rows = {(row["hasher"], row["n_bits"]): row["map"] for row in comparison.summary()}
    expected = rows["ITQ", 16] - rows["<LSH & co>", 16]
    assert interval.difference == pytest.approx(expected)
    assert 0 < interval.low < expected < interval.high
    assert interval.n_queries == len(np.unique(np.concatenate(comparison.query_rows)))
    same = comparison.interval(("ITQ", 16), ("<LSH & co>", 16), random_state=0)
    assert same == interval
    floats = comparison.interval(("ITQ", 64), "cosine", metric="ndcg@100")
    assert floats.low < floats.high
    with pytest.raises(ValueError, match="n_bits of 'ITQ' must be 16 or 64; got None"):
        comparison.interval("ITQ", "cosine")
    with pytest.raises(ValueError, match="no method is called 'SH': use one of 'ITQ'"):
        comparison.interval("SH", "cosine", n_bits=16)
    with pytest.raises(ValueError, match=r"metric must be one of .*got 'recall'"):
        comparison.interval("ITQ", "cosine", n_bits=16, metric="recall")
    with pytest.raises(ValueError, match="2 queries or more"):
        comparison.interval(("PCA", 64), "cosine")
    with pytest.raises(ValueError, match="split must be from 0 to 1; got 2"):
        comparison.query_scores("ITQ", 16, split=2)


def test_text(comparison):
    """Printed, a comparison is a table; it says on what, by what rules and how long."""
    lines = str(comparison).splitlines()
    assert lines[0] == (
        "320 gallery rows, 80 queries, 64 features; relevant: same class; "
        "ties: expected"
    )
    assert lines[1] == "map, mean ±s.d. over 2 splits; times at the longest code"
    row = comparison.summary()[0]
    assert f"{row['map']:.3f} ±{row['map_sd']:.3f}" in lines[5]
    assert lines[3].split() == ["hasher", "16", "bits", "64", "bits", "fit", "encode"]
    assert lines[4].split() == ["2", "bytes", "8", "bytes"]
    assert "512 bytes" in str(comparison)
    assert "ndcg@100" not in str(comparison)
    table = comparison.table("ndcg@100")
    assert f"{comparison.summary()[0]['ndcg@100']:.3f}" in table
    assert len(table.splitlines()) == 4
    one = compare_hashers({"ITQ": ITQ()}, *digits_rows(), n_bits=1, splits=1)
    assert "±" not in str(one)
    assert "1 bit" in str(one)


def digits_rows():
    """A few easy rows."""
    rng = np.random.RandomState(0)
    return rng.normal(size=(60, 3)), np.arange(60) % 3


class Reader(HTMLParser):
    """Collects tags, and texts in bold."""

    def __init__(self):
        super().__init__()
        self.open, self.bold, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
        if "b" in self.open:
            self.bold.append(data)


def test_html(comparison):
    """In a notebook it is one escaped table of all metrics, the best ones bold."""
    html = comparison._repr_html_()
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert html.count("<table") == 1
    assert "<LSH" not in html
    assert "<LSH & co>" in reader.text
    rows = comparison.summary()
    expected = []
    for metric in comparison.metrics:
        for n_bits in comparison.n_bits:
            best = max(
                (row for row in rows if row["n_bits"] == n_bits and row["n_runs"]),
                key=lambda row: row[metric],
            )
            expected.append(f"{best[metric]:.3f} ±{best[f'{metric}_sd']:.3f}")
    assert sorted(reader.bold) == sorted(expected)
    assert "background: none" in html
    assert "#" not in html.split("</style>")[0]  # no colour of its own


def test_frames(comparison, monkeypatch):
    """A comparison turns into a pandas or polars frame, of means or of runs."""
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    summary, runs = comparison.to_pandas(), comparison.to_pandas("runs")
    assert len(summary) == 8
    assert len(runs) == len(comparison.records) == 16
    assert summary["n_bits"].isna().sum() == 2
    assert_allclose(summary["map"], [row["map"] for row in comparison.summary()])
    other = comparison.to_polars()
    assert other.columns == list(summary.columns)
    assert other["n_bits"].null_count() == 2
    assert len(comparison.to_polars(level="runs")) == 16
    with pytest.raises(ValueError, match="'summary' or 'runs'; got 'run'"):
        comparison.to_pandas("run")
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"pip install {name}"):
            getattr(comparison, f"to_{name}")()


def test_it_can_be_kept(comparison):
    """A comparison survives pickling, and its repr is short."""
    copy = pickle.loads(pickle.dumps(comparison))
    assert isinstance(copy, HasherComparison)
    assert str(copy) == str(comparison)
    assert "run_scores" not in repr(comparison)


def test_fewest_bits_of_a_comparison(comparison):
    """The fewest bits within one standard error of the best mean, by hand."""
    for metric in comparison.metrics:
        rows = [row for row in comparison.summary() if row["hasher"] == "ITQ"]
        best = max(rows, key=lambda row: row[metric])
        least = best[metric] - best[f"{metric}_sd"] / np.sqrt(2)
        expected = min(row["n_bits"] for row in rows if row[metric] >= least)
        assert fewest_bits(comparison, "ITQ", metric=metric) == expected
    assert fewest_bits(comparison, "PCA") == 16
    with pytest.raises(ValueError, match="name one of the hashers 'ITQ', 'PCA'"):
        fewest_bits(comparison)
    with pytest.raises(ValueError, match=r"name one of the hashers .*got 'cosine'"):
        fewest_bits(comparison, "cosine")


def cv_results(n_bits, splits, name="score", **others):
    """What a grid search over code lengths would give."""
    splits = np.array(splits, float)  # a row a split
    columns = {f"split{i}_test_{name}": row for i, row in enumerate(splits)}
    return {
        "param_itq__n_bits": np.ma.array(n_bits, dtype=object),
        **others,
        **columns,
        f"mean_test_{name}": splits.mean(axis=0),
        f"std_test_{name}": splits.std(axis=0),
    }


@pytest.mark.parametrize(
    ("n_bits", "splits", "expected"),
    [
        ([16, 32, 64], [[0.5, 0.69, 0.7], [0.5, 0.71, 0.8]], 1),  # .70 >= .75 - .035..
        ([16, 32, 64], [[0.5, 0.69, 0.7], [0.5, 0.71, 0.7]], 1),
        ([16, 32, 64], [[0.5, 0.6, 0.7], [0.5, 0.6, 0.7]], 2),
        ([64, 16, 32], [[0.7, 0.6, 0.69], [0.8, 0.6, 0.74]], 2),
        ([16, 16, 32], [[0.6, 0.7, 0.7], [0.8, 0.72, 0.9]], 1),
        ([16, 32], [[np.nan, 0.4], [np.nan, 0.5]], 1),
    ],
)
def test_fewest_bits_of_a_search(n_bits, splits, expected):
    """The place of the candidate with the fewest bits, of equal ones the best."""
    splits = np.array(splits)
    means, errors = splits.mean(axis=0), splits.std(axis=0) / np.sqrt(2)
    best = np.nanargmax(means)
    good = [i for i in range(len(means)) if means[i] >= means[best] - errors[best]]
    by_hand = min(good, key=lambda i: (n_bits[i], -means[i]))
    assert fewest_bits(cv_results(n_bits, splits)) == by_hand


def test_fewest_bits_as_refit(small):
    """A grid search keeps to the rule, also among other parameters and metrics."""
    X, y = small
    pipeline = make_pipeline(ITQ(random_state=0), HammingRetriever())
    grid = {"itq__n_bits": [32, 4, 8, 16], "itq__max_iter": [1, 10]}
    search = GridSearchCV(pipeline, grid, refit=fewest_bits, cv=3).fit(X, y)
    assert search.best_index_ == fewest_bits(search.cv_results_)
    results = search.cv_results_
    n_bits = results["param_itq__n_bits"].astype(int)
    best = np.argmax(results["mean_test_score"])
    least = results["mean_test_score"][best] - (
        results["std_test_score"][best] / np.sqrt(3)
    )
    good = results["mean_test_score"] >= least
    assert search.best_params_["itq__n_bits"] == n_bits[good].min()
    from sklhash.metrics import RetrievalScorer

    choose = partial(fewest_bits, param="itq__n_bits", metric="ndcg@10")
    scorer = RetrievalScorer(["map", "ndcg@10"])
    search = GridSearchCV(pipeline, grid, scoring=scorer, refit=choose, cv=3).fit(X, y)
    assert search.best_index_ == choose(search.cv_results_)


def test_fewest_bits_errors():
    """What cannot be told apart is asked for by name."""
    two = cv_results([1, 2], [[1, 2]] * 2, param_sh__n_bits=np.ma.array([1, 2]))
    with pytest.raises(ValueError, match=r"over itq__n_bits, sh__n_bits.*param="):
        fewest_bits(two)
    with pytest.raises(ValueError, match="must be over 'n_bits', but is over itq"):
        fewest_bits(cv_results([1, 2], [[1, 2]] * 2), param="n_bits")
    both = cv_results([1, 2], [[1, 2]] * 2, mean_test_map=[1, 2])
    with pytest.raises(ValueError, match="metric must be one of 'map', 'score'"):
        fewest_bits(both)
    gaps = np.ma.array([1, 2], mask=[False, True])
    with pytest.raises(ValueError, match="some candidates have no itq__n_bits"):
        fewest_bits(cv_results(gaps, [[1, 2]] * 2))
    with pytest.raises(ValueError, match="every fit failed"):
        fewest_bits(cv_results([1, 2], [[np.nan, np.nan]] * 2))


class CodesOnly(Faulty):
    """Gives codes, but no projections."""

    def encode(self, X):
        return PackedCodes.from_codes(self.transform(X))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hashers": []}, "hashers is empty"),
        ({"hashers": StandardScaler()}, "no parameter 'n_bits'"),
        ({"hashers": HammingRetriever(ITQ())}, "not a retriever"),
        ({"hashers": {"cosine": ITQ()}}, "both called 'cosine': rename the hasher"),
        ({"n_bits": []}, "code lengths, each once"),
        ({"n_bits": [8, 8]}, "each once; got"),
        ({"n_bits": 0}, "n_bits must be 1 or more; got 0"),
        ({"n_bits": 2000, "code_distance": "spherical"}, "1,?024"),
        ({"code_distance": "l2"}, "code_distance"),
        ({"metrics": "maps"}, "unknown metric 'maps'"),
        ({"metrics": ()}, "metrics is empty"),
        ({"references": "dot"}, "references must name distances of floats.*'dot'"),
        ({"neighbors_metric": "dot"}, "neighbors_metric must name"),
        ({"y": None, "n_neighbors": 49}, "n_neighbors=49 is more than the 48 rows"),
        ({"n_neighbors": 0}, "n_neighbors must be 1 or more"),
        ({"ties": "best"}, "ties"),
        ({"normalize": "k"}, "normalize"),
        ({"error_score": 0}, "'raise' or NaN; got 0"),
        ({"splits": []}, "splits is empty"),
        ({"splits": 0}, "splits must be 1 or more"),
        ({"splits": [([0, 1],)]}, "split 0 must be row numbers.*got 1 parts"),
        (
            {"splits": [([0, 1], [1, 2])]},
            "row 1 is a query of split 0 and in its gallery",
        ),
        ({"splits": [([3], [0, 1], [3])]}, "in its train, too"),
        ({"splits": [([0, 1], [60])]}, "query of split 0 must .* got 60"),
        ({"splits": [([0, 3], [1])]}, "no query of split 0 has a relevant row"),
        ({"y": [0, 1]}, "y must have one row a row of X; got 2 and 60"),
        ({"y": np.linspace(0, 1, 60)}, "class labels"),
        ({"X": np.full((60, 3), np.nan)}, "no distances as floats.*NaN"),
        ({"X": np.full((60, 3), 1e200)}, "no distances.*overflow: scale them down"),
        ({"hashers": {"A\nB": ITQ()}}, r"must be one line; got 'A\\nB'"),
        ({"hashers": FrozenEstimator(ITQ())}, "'FrozenEstimator' is frozen"),
        (
            {"hashers": make_pipeline(ITQ(), "passthrough")},
            r"'ITQ \+ passthrough' has no parameter",
        ),
        ({"hashers": CodesOnly(), "code_distance": "asymmetric"}, "which 'CodesOnly'"),
        ({"metrics": ""}, "metrics is empty"),
        ({"splits": ([0, 1], [2])}, r"single split in a list: splits=\[\(gallery"),
        ({"splits": [0, 1, 2]}, "single split in a list"),
        ({"random_state": 2**32 - 1}, "random_state=4294967295 is too large"),
    ],
)
def test_errors(arguments, message):
    """Bad arguments are refused before any work, with the value and the way out."""
    X, y = digits_rows()
    given = {"hashers": Faulty(AssertionError, turn=1), "X": X, "y": y, **arguments}
    with pytest.raises(ValueError, match=message):
        compare_hashers(**given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hashers": ITQ}, r"not classes, such as ITQ\(\): give ITQ\(\)"),
        ({"hashers": ["ITQ"]}, "must be estimators"),
        ({"hashers": {1: ITQ()}}, "names of hashers must be strings; got 1"),
        ({"n_bits": 8.5}, "n_bits must be an integer; got 8.5"),
        ({"n_bits": "16"}, "n_bits must be an integer; got '16'"),
        ({"metrics": 5}, "metrics must be names of metrics, or None; got 5"),
        ({"X": None}, "X must have rows.*got None"),
        ({"splits": "3"}, "a number of splits, or row numbers.*got '3'"),
        ({"splits": None}, "a number of splits"),
        ({"splits": KFold(3)}, r"cv.split\(X, y\) gives them; got KFold"),
        ({"random_state": np.random.RandomState(0)}, "an integer >= 0"),
        ({"random_state": -1}, "an integer >= 0"),
        ({"progress": "bar"}, r"a function progress\(n_done, n_runs, record\)"),
    ],
)
def test_type_errors(arguments, message):
    """Arguments of the wrong kind are refused before any work."""
    X, y = digits_rows()
    with pytest.raises((TypeError, ValueError), match=message):
        compare_hashers(**{"hashers": ITQ(), "X": X, "y": y, **arguments})


def test_nothing_heavy_is_imported():
    """Importing the package loads neither torch, plots nor scikit-learn's metrics."""
    program = "import sys, sklhash.model_selection; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "numba", "matplotlib"}  # scikit-learn itself loads the others
    heavy |= {"sklearn.metrics", "sklearn.model_selection"}
    assert not heavy & set(run.stdout.split())


def test_references_are_ranked_once_on_equal_splits(digits):
    """Seeds on one split share the floats' ranking, and each has its record."""
    X, y = digits[0][:300], digits[1][:300]
    one, other = np.split(np.arange(300), [240]), np.split(np.arange(300), [200])
    calls = []
    comparison = compare_hashers(
        RandomHyperplaneHashing(),
        X,
        y,
        n_bits=8,
        splits=[one, other, one],
        progress=lambda n_done, n_runs, record: calls.append((n_done, n_runs, record)),
    )
    assert [call[:2] for call in calls] == [(i + 1, 7) for i in range(7)]
    cosine = [row for row in comparison.records if row["hasher"] == "cosine"]
    assert [row["split"] for row in cosine] == [0, 1, 2]
    assert cosine[0]["map"] == cosine[2]["map"] != cosine[1]["map"]
    assert comparison.complete
    assert len(comparison.records) == 9
    alone = compare_hashers(
        RandomHyperplaneHashing(), X, y, n_bits=8, splits=[other], references="cosine"
    )
    assert alone.records[1]["map"] == cosine[1]["map"]


def test_bytes_of_a_row():
    """Rows are as large as what holds them, whatever that is."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")

    X = np.arange(12.0).reshape(4, 3)
    columns = {
        "a": X[:, 0],
        "b": X[:, 1].astype(np.float32),
        "c": X[:, 2].astype(np.int8),
    }
    sizes = [
        (X, 24),
        (X.astype(np.float32), 12),
        (X.tolist(), 24),
        (pd.DataFrame(X.astype(np.float32)), 12),
        (pd.DataFrame(columns), 13),
        (pl.DataFrame(columns), 13),
        (PackedCodes.from_codes(X > 5), 1),
        (coo_array(np.eye(4, dtype=np.float32)), 8),  # a value and its place a row
    ]
    for rows, expected in sizes:
        assert bytes_of_a_row(rows) == expected


def test_sizes_of_long_frames(comparison):
    """A fraction of a byte survives, though it comes after hundreds of whole ones."""
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    record = comparison.records[0]
    sparse = {**record, "n_bits": None, "bytes_per_item": 12.5}
    long = dataclasses.replace(comparison, records=[record] * 150 + [sparse])
    assert type(record["bytes_per_item"]) is float
    for made in (long.to_polars("runs"), long.to_pandas("runs")):
        assert list(made["bytes_per_item"])[-2:] == [2.0, 12.5]


class Unable(Faulty):
    """Cannot give more bits than rows of 20 pixels have left: 44."""

    def transform(self, X):
        codes = super().transform(X)
        if codes.shape[1] < self.n_bits:
            raise ValueError("too few pixels")
        return codes


def test_failed_encoding(small):
    """A hasher that fits but cannot encode is a gap, or raises and is named."""
    compare = partial(compare_hashers, Unable(), *small, n_bits=[8, 45], splits=2)
    with pytest.warns(FitFailedWarning, match="2 of 4 .*Unable with 45 bits: too few"):
        result = compare()
    assert [row["n_runs"] for row in result.summary()][:2] == [2, 0]
    assert result.records[1]["error"] == "too few pixels"
    assert np.isnan(result.records[1]["fit_time"])
    with pytest.raises(ValueError, match="too few pixels") as caught:
        compare(error_score="raise")
    assert caught.value.__notes__ == ["in the run of Unable with 45 bits, split 0"]


def test_stopped_on_equal_splits(small):
    """The warning and the footnote count the same runs."""
    one, other = np.split(np.arange(400), [320]), np.split(np.arange(400), [300])
    Faulty.fits = 0
    with pytest.warns(RuntimeWarning, match="stopped after 5 of 9 runs"):
        result = compare_hashers(
            Faulty(KeyboardInterrupt, 2), *small, n_bits=8, splits=[one, other, one]
        )
    assert "Stopped after 5 of 9 runs." in str(result)


def test_single_runs(comparison):
    """After Ctrl-C a single run has no spread, and is not the best of whole columns."""
    records = [
        {**record, "map": 0.999} if record["hasher"] == "ITQ" else record
        for record in comparison.records
        if record["hasher"] != "ITQ" or record["split"] == 0
    ]
    stopped = dataclasses.replace(comparison, records=records, complete=False)
    assert stopped.table("map").splitlines()[1].split() == ["ITQ", "0.999*", "0.999*"]
    html = stopped._repr_html_()
    assert "0.999*" in html
    assert "<b>0.999" not in html
    assert html.count("<b>") == len(stopped.metrics) * 2
    assert fewest_bits(stopped, "ITQ") == 16  # no error, equal means


def test_fewest_bits_of_whole_columns(comparison):
    """A code length with fewer runs than the others is not chosen."""
    records = [
        {**record, "map": 0.999}
        for record in comparison.records
        if record["hasher"] == "ITQ" and (record["n_bits"], record["split"]) != (16, 1)
    ]
    stopped = dataclasses.replace(comparison, records=records, complete=False)
    assert fewest_bits(stopped, "ITQ") == 64


def test_fewest_bits_of_a_halving_search():
    """The last iteration, of the most rows, alone is chosen from."""
    splits = [[0.9, 0.9, 0.5, 0.6, 0.7]] * 2
    results = cv_results([8, 16, 8, 16, 32], splits, iter=[0, 0, 1, 1, 1])
    assert fewest_bits(results) == 4
    assert fewest_bits({**results, "iter": [0, 0, 0, 1, 1]}) == 4
    assert fewest_bits({**results, "iter": [1, 1, 0, 0, 0]}) == 0


def test_fewest_bits_of_what_has_no_error(comparison):
    """One split, or another metric's splits, give no standard error."""
    both = cv_results([8, 16], [[0.5, 0.6]], "map")
    others = cv_results([8, 16], [[0.5, 0.6]] * 3, "self_test_map")
    for results in (both, {**others, **both}):
        with pytest.raises(ValueError, match=r"2 splits or more; got 1.*cv=2"):
            fewest_bits(results, metric="map")
    without = {"param_n_bits": np.array([8, 16]), "mean_test_score": [0.5, 0.6]}
    with pytest.raises(ValueError, match="2 splits or more; got 0"):
        fewest_bits(without)
    with pytest.raises(ValueError, match="hold no mean_test_"):
        fewest_bits({"param_n_bits": np.array([8, 16])})
    with pytest.raises(TypeError, match=r"search.cv_results_.*got GridSearchCV"):
        fewest_bits(GridSearchCV(ITQ(), {}))
    with pytest.raises(ValueError, match="param is for the results of a search"):
        fewest_bits(comparison, "ITQ", param="n_bits")
    with pytest.raises(ValueError, match="hasher is for the results of a comparison"):
        fewest_bits(both, "ITQ")


def test_kinds_of_labels(small):
    """An index of a frame holds labels; a sparse column is an indicator matrix."""
    pd = pytest.importorskip("pandas")

    X, y = small
    compare = partial(compare_hashers, ITQ(), X, n_bits=8, splits=1, metrics="map")
    result = compare(pd.Index(y))
    assert without_times(result) == without_times(compare(y))
    column = compare(coo_array((y[:, None] < 5).astype(int)))
    assert column.data["relevance"] == "a label in common"


def test_intervals_of_many_queries(comparison, monkeypatch):
    """Beyond some number of queries intervals are by percentiles, which is quick."""
    monkeypatch.setattr("sklhash.model_selection._comparison.MAX_BCA", 20)
    interval = comparison.interval("ITQ", "<LSH & co>", n_bits=16)
    expected = paired_bootstrap(
        comparison.query_scores("ITQ", 16),
        comparison.query_scores("<LSH & co>", 16),
        groups=np.concatenate(comparison.query_rows),
        method="percentile",
        random_state=0,
    )
    assert interval == expected
    for method in (("ITQ", 8, 1), 5):
        with pytest.raises(TypeError, match=r"by its name, or as \(name, n_bits\)"):
            comparison.interval(method, "cosine")


class Lazy(Faulty):
    """Is slow the first time it is used; remembers what it was given."""

    seen = []

    def __init__(self, callbacks=None, random_state=None, max_epochs=9, n_bits=8):
        super().__init__(n_bits=n_bits)
        self.callbacks = callbacks
        self.random_state = random_state
        self.max_epochs = max_epochs

    def fit(self, X, y=None):
        time.sleep(0 if self.seen else 0.3)
        self.seen.append((len(X), self.max_epochs, self.callbacks, self.random_state))
        if len(X) <= WARM_UP_ROWS:
            np.random.uniform()
            raise RuntimeError("of no matter")
        return super().fit(X, y)


def test_warm_up(small):
    """What only a first fit takes is not in the times; no run notices."""
    Lazy.seen = []
    before = np.random.get_state()[1:3]
    result = compare_hashers(Lazy(["a"]), *small, n_bits=[8, 12], splits=2)
    for part, same in zip(np.random.get_state()[1:3], before, strict=True):
        assert_array_equal(part, same)
    (warm, *runs) = Lazy.seen
    assert warm == (80, 1, None, 0)
    assert runs == [(320, 9, ["a"], seed) for seed in (0, 0, 1, 1)]
    assert max(record["fit_time"] for record in result.records[:2]) < 0.2


def test_parameters_of_hashers_are_checked(digits):
    """A hasher with a parameter out of range fails, as it does by itself."""
    with pytest.raises(ValueError, match=r"'max_iter' parameter of ITQ must be"):
        compare_hashers(ITQ(max_iter=0), *digits, n_bits=8, error_score="raise")
