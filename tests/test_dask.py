"""Rows and galleries on a cluster of Dask's: the codes, neighbours, scores of one."""

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from bad_input import Case
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklhash
from sklhash import (
    ITQ,
    HammingRetriever,
    PackedCodes,
    RandomHyperplaneHashing,
    SoftPairwiseHasher,
    SphericalHashing,
    remote_encoding,
)
from sklhash.encoding import encode_with
from sklhash.metrics import _sources, retrieval_scores
from sklhash.rows import BATCH_ROWS
from sklhash.shards import (
    _scores,
    _search,
    score_shards,
    search_shards,
    search_shards_within,
)
from sklhash.workers import count_workers

N = 3 * BATCH_ROWS + 77  # four batches
#: A busy machine starts processes slowly.
SECONDS = 120
HASHERS = [
    ITQ(12, random_state=0),
    RandomHyperplaneHashing(70, center=False, random_state=0),
    SphericalHashing(12, max_iter=5, random_state=0),
]
each_hasher = pytest.mark.parametrize("hasher", HASHERS, ids=lambda h: type(h).__name__)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few rows, few rounds
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Two workers of one thread each, on the loopback interface."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any port: others may test, too
            local_directory=tmp_path_factory.mktemp("dask"),
        ) as cluster,
        distributed.Client(cluster, timeout=SECONDS) as client,
    ):
        client.wait_for_workers(2, timeout=SECONDS)
        yield client


@pytest.fixture
def on_cluster(client):
    """Joblib's switch is set to the cluster."""
    with parallel_config("dask"):
        yield client


@pytest.fixture(scope="module")
def rows():
    """Rows of four batches, and classes."""
    rng = np.random.RandomState(0)
    y = rng.randint(4, size=N)
    return 2 * rng.randn(4, 24)[y] + rng.randn(N, 24) + 3, y


@pytest.fixture(scope="module")
def gallery():
    """Queries, a gallery with duplicates, and classes of both."""
    rng = np.random.RandomState(0)
    codes = PackedCodes.from_codes(rng.randn(2040, 20))
    codes = PackedCodes.concatenate([codes, codes[:500]])
    y = rng.randint(5, size=len(codes))
    return codes[:40], codes[40:], y[:40], y[40:]


def cut(items, *places):
    """Cut codes or labels into shards."""
    return [items[a:b] for a, b in pairwise([0, *places, len(items)])]


def fitted(hasher, X, y=None):
    return hasher.fit(X[:600], None if y is None else y[:600])


def assert_same_arrays(found, expected):
    for one, two in zip(found, expected, strict=True):
        assert one.dtype == two.dtype
        if one.dtype == object:
            assert_same_arrays(one, two)
        else:
            assert_array_equal(one, two)


# Rows that are sent to workers


@each_hasher
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_workers_encode(hasher, dtype, rows, on_cluster, monkeypatch, tmp_path):
    """The workers hash, not this process, and no bit is another."""
    X = rows[0].astype(dtype)
    expected = fitted(hasher, X).encode(X)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    out = np.full(expected.packed.shape, 255, np.uint8)
    monkeypatch.setattr(type(hasher), "_project", None)
    assert hasher.encode(X, out=out).packed is out
    assert PackedCodes(out, expected.n_bits) == expected == hasher.encode(mapped)


def test_workers_encode_sparse_rows(rows, on_cluster, monkeypatch):
    """Sparse rows are sent, too."""
    X = sp.csr_array(rows[0])
    hasher = fitted(RandomHyperplaneHashing(9, center=False, random_state=0), X)
    expected = hasher.encode(X)
    monkeypatch.setattr(RandomHyperplaneHashing, "_project", None)
    assert hasher.encode(X) == expected


def test_many_small_tasks(rows, on_cluster, monkeypatch):
    """Neither small tasks nor codes that come back one by one change a bit."""
    X = rows[0]
    with parallel_config("threading"):
        expected = fitted(ITQ(12, random_state=0), X).encode(X)
    monkeypatch.setattr(remote_encoding, "TASK_BYTES", 1)
    monkeypatch.setattr(remote_encoding, "CODES_BYTES", 1)
    assert fitted(ITQ(12, random_state=0), X).encode(X) == expected


def test_names_of_columns_stay_here(rows, on_cluster):
    """A frame's columns are compared once, and its parts warn of nothing."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows[0], columns=[f"x{i}" for i in range(24)])
    hasher = fitted(ITQ(12, random_state=0), frame)
    assert hasher.encode(frame) == hasher.encode(frame, n_jobs=1)
    assert hasattr(hasher, "feature_names_in_")
    with pytest.raises(ValueError, match="feature names should match"):
        hasher.encode(frame.rename(columns={"x0": "z"}))


def test_bad_rows_in_a_worker(rows, on_cluster):
    """What a worker finds wrong with the rows is said here."""
    X = rows[0].copy()
    X[-1, 3] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fitted(ITQ(12, random_state=0), X).encode(X)


def test_what_stays_here(rows, on_cluster, monkeypatch):
    """One batch, one job, threads or processes are sent nothing; others are."""
    hasher = fitted(ITQ(12, random_state=0), rows[0])
    expected = hasher.encode(rows[0])
    monkeypatch.setattr(remote_encoding, "call_in_workers", None)
    hasher.encode(rows[0][:BATCH_ROWS])
    assert hasher.encode(rows[0], n_jobs=1) == expected
    for backend in ("threading", "multiprocessing", "loky"):
        with parallel_config(backend, n_jobs=2):
            assert hasher.encode(rows[0]) == expected
    with pytest.raises(TypeError, match="not callable"):
        hasher.encode(rows[0])


def test_workers_are_counted_only_if_chosen():
    """Threads and processes of this machine, and joblib's default, count as one."""
    assert count_workers(None) == count_workers(2) == count_workers(-1) == 1
    for backend in ("threading", "sequential", "multiprocessing", "loky"):
        with parallel_config(backend, n_jobs=2):
            assert count_workers(None) == count_workers(2) == 1
    with parallel_config(prefer="processes", n_jobs=2):  # a hint is no choice
        assert count_workers(None) == 1


def encode_inside(hasher, X):
    """Count the workers that a task on the cluster sees, and hash there."""
    with parallel_config("dask"):
        return count_workers(None), hasher.encode(X)


def test_tasks_do_not_start_tasks(rows, client):
    """On a worker rows are hashed by the worker itself."""
    hasher = fitted(ITQ(12, random_state=0), rows[0])
    n_workers, codes = client.submit(encode_inside, hasher, rows[0]).result(SECONDS)
    assert n_workers == 1
    assert codes == hasher.encode(rows[0])


# Shards


@pytest.mark.parametrize("metric", ["hamming", "spherical"])
def test_three_shards_on_two_workers(metric, gallery, on_cluster, tmp_path):
    """Neighbours are bit for bit those of one machine."""
    queries, codes, _, _ = gallery
    shards = cut(codes, 17, 1500)
    shards[2].save(tmp_path / "2.npy")
    shards[2] = tmp_path / "2.npy"
    retriever = HammingRetriever(metric=metric).fit(codes)
    found = search_shards(queries, shards, 30, metric=metric)
    assert_same_arrays(found, retriever.kneighbors(queries, 30))
    found = search_shards_within(queries, shards, 5, metric=metric)
    assert_same_arrays(found, retriever.radius_neighbors(queries, 5))


def test_scores_of_shards_on_two_workers(gallery, on_cluster):
    """Scores are bit for bit those of one machine."""
    queries, codes, y_query, y = gallery
    found = score_shards(queries, cut(codes, 17, 1500), y_query, cut(y, 17, 1500))
    assert found == retrieval_scores(queries, codes, y_query, y)


@pytest.mark.parametrize("labels", ["classes", "strings", "dense", "sparse"])
@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic"])
@pytest.mark.parametrize("n_bits", [1, 31, 64])
def test_scores_of_shards(labels, ties, n_bits, rng, monkeypatch):
    """However the gallery is cut, and the queries, every score has the same bits."""
    queries, codes = (PackedCodes.from_codes(rng.randn(n, n_bits)) for n in (150, 333))
    y = rng.randint(4, size=483)
    if labels == "strings":
        y = np.array(list("abcd"))[y]
    elif labels != "classes":
        y = (rng.rand(483, 6) < 0.3).astype(int)
        y = sp.csr_array(y) if labels == "sparse" else y
    monkeypatch.setattr(_sources._batches, "__defaults__", (4000,))
    monkeypatch.setattr(_scores, "BLOCK_CELLS", 4000)
    for module in (_sources, _scores):
        monkeypatch.setattr(module, "SCORED_CELLS", 1500)
    options = {"ties": ties, "sample_weight": rng.rand(150)}
    places = 1, 1, 200
    parts = [y[150 + a : 150 + b] for a, b in pairwise([0, *places, 333])]
    for per_query in (False, True):
        options["per_query"] = per_query
        expected = retrieval_scores(queries, codes, y[:150], y[150:], **options)
        found = score_shards(queries, cut(codes, *places), y[:150], parts, **options)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_array_equal(found[name], value)


def test_counts_of_many_shards_stay_small(rng, monkeypatch):
    """More shards at a time mean fewer queries, and scores with the same bits."""
    queries, codes = (PackedCodes.from_codes(rng.randn(n, 16)) for n in (301, 80))
    y_query, y = rng.randint(3, size=301), rng.randint(3, size=80)
    for module in (_sources, _scores):
        monkeypatch.setattr(module, "SCORED_CELLS", 150)
    monkeypatch.setattr(_sources._batches, "__defaults__", (4000,))
    monkeypatch.setattr(_scores, "BLOCK_CELLS", 4000)
    sent, call = [], _scores.call_in_workers

    def record(task, arguments, n_jobs):
        sent.append(sum(len(given[0]) * 2 * 17 for given in arguments))
        return call(task, arguments, n_jobs)

    monkeypatch.setattr(_scores, "call_in_workers", record)
    places = range(2, 80, 2)
    found = score_shards(queries, cut(codes, *places), y_query, cut(y, *places))
    assert found == retrieval_scores(queries, codes, y_query, y)
    assert max(sent) <= 4000 * _scores.COUNTED_BLOCKS


def test_spherical_scores_of_shards(gallery):
    """Those of spherical distances are equal but for rounding."""
    queries, codes, y_query, y = gallery
    parts = cut(codes, 900), y_query, cut(y, 900)
    found = score_shards(queries, *parts, code_distance="spherical")
    expected = retrieval_scores(queries, codes, y_query, y, code_distance="spherical")
    assert found == pytest.approx(expected, rel=1e-12)


CODES = PackedCodes.from_codes(np.eye(4, 6))


def scores(queries=CODES, shards=(CODES, CODES), y_query=(0, 1, 0, 1), ys=None, **more):
    ys = [[0, 1, 1, 0]] * 2 if ys is None else ys
    return score_shards(queries, shards, y_query, ys, **more)


REFUSED = [
    Case("no_shards", lambda: scores(shards=[]), r"shards is empty"),
    Case("empty", lambda: scores(shards=[CODES[:0]] * 2, ys=[[], []]), r"hold 0 codes"),
    Case("bits", lambda: scores(queries=np.eye(4)), r"have 4 bits, but shard 0 has 6"),
    Case("y_query", lambda: scores(y_query=[0]), r"one row an item; got 4 and 1 rows"),
    Case("no_y", lambda: scores(y_query=None), r"y_query is missing"),
    Case("y_lists", lambda: scores(ys=[[0, 1, 1, 0]]), r"got those of 1, and 2 shards"),
    Case(
        "no_y_shards",
        lambda: score_shards(CODES, [CODES], [0, 1, 0, 1], None),
        r"y_shards must hold the labels of each shard; got those of 0, and 1 shards",
    ),
    Case("y_len", lambda: scores(ys=[[0, 1, 1, 0], [1]]), r"y_shards\[1\] must label"),
    Case("y_nan", lambda: scores(ys=[[0, 1, 1, np.nan]] * 2), r"y_shards\[0\] must ho"),
    Case(
        "y_type", lambda: scores(ys=[list("abcd")] * 2), r"labels must be of one type"
    ),
    Case("y_form", lambda: scores(ys=[np.eye(4)] * 2), r"must both be class vectors"),
    Case("ties", lambda: scores(ties="index"), r"'ties' parameter of score_shards"),
    Case(
        "distance", lambda: scores(code_distance="asymmetric"), r"'code_distance' par"
    ),
    Case("metric", lambda: scores(metrics="mean"), r"mean"),
    Case("weight", lambda: scores(sample_weight=[1]), r"sample_weight.shape == \(1,\)"),
    Case("irrelevant", lambda: scores(y_query=[7] * 4), r"none of the 4 queries"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_scores_refused(case):
    """Codes and labels that do not fit are refused before anything is counted."""
    case.check()


# Grid searches


def test_grid_search_on_the_cluster(on_cluster, digits):
    """Folds of a pipeline with a retriever are fitted and scored by the workers."""
    X, y = digits[0][:300], digits[1][:300]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ITQ(random_state=0), HammingRetriever()),
        {"itq__n_bits": [8, 16]},
        cv=2,
    )
    found = search.fit(X, y).cv_results_["mean_test_score"]
    with parallel_config("sequential"):
        expected = search.fit(X, y).cv_results_["mean_test_score"]
    assert_array_equal(found, expected)


def test_grid_search_of_networks_on_the_cluster(on_cluster, digits):
    """Deep hashers are trained on the workers."""
    X, y = digits[0][:200], digits[1][:200]
    hasher = SoftPairwiseHasher(8, hidden_units=(8,), max_epochs=1, random_state=0)
    grid = {"hasher__n_bits": [4, 8]}
    search = GridSearchCV(HammingRetriever(hasher), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.encode(X).n_bits in (4, 8)


# Arrays of Dask's


@pytest.fixture(scope="module")
def da():
    """The module of Dask's arrays."""
    return pytest.importorskip("dask.array")


CHUNKS = [
    (1000, 24),
    (BATCH_ROWS, 24),
    (BATCH_ROWS + 1, 7),
    (N, 24),
    ((100, N - 100), 24),
    ((0, 9000, 0, N - 9000), 24),
]


@each_hasher
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_of_dask_arrays(hasher, dtype, rows, da):
    """However an array is cut into blocks, its codes are those of the whole."""
    X = rows[0].astype(dtype)
    expected = fitted(hasher, X).encode(X)
    for chunks in CHUNKS:
        assert hasher.encode(da.from_array(X, chunks)) == expected


@pytest.mark.parametrize("dtype", [np.float16, np.int8, bool])
def test_types_of_dask_arrays(dtype, rows, da):
    """Blocks are converted as arrays are."""
    X = (rows[0] > 3) if dtype is bool else rows[0].astype(dtype)
    hasher = fitted(ITQ(12, random_state=0), X)
    assert hasher.encode(da.from_array(X, (5000, 24))) == hasher.encode(X)


def test_sparse_blocks(rows, da):
    """Blocks may be sparse."""
    X = sp.csr_array(rows[0])
    hasher = fitted(RandomHyperplaneHashing(9, center=False, random_state=0), X)
    blocks = da.from_array(rows[0], (5000, 24)).map_blocks(sp.csr_array)
    assert hasher.encode(blocks) == hasher.encode(X)


def test_images_in_blocks(da, rng):
    """Images are cut along the first axis only."""
    X = rng.rand(3000, 1, 8, 8).astype(np.float32)
    hasher = SoftPairwiseHasher(9, max_epochs=1, random_state=0)
    hasher.fit(X[:100], np.arange(100) % 3)
    assert hasher.encode(da.from_array(X, (700, 1, 8, 4))) == hasher.encode(X)


def test_dask_arrays_into_a_map(rows, da, tmp_path, monkeypatch):
    """Codes of blocks are put in place some after the others."""
    monkeypatch.setattr(remote_encoding, "CODES_BYTES", 1)
    X = rows[0]
    hasher = fitted(ITQ(12, random_state=0), X)
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.uint8, (N, 2))
    codes = hasher.encode(da.from_array(X, (5000, 24)), out=out)
    assert codes.packed is out
    assert codes == hasher.encode(X)


def make_rows(block_id=None):
    return np.random.RandomState(block_id[0]).randn(9000, 24)


def test_blocks_are_hashed_where_they_are(client, da, monkeypatch):
    """On a cluster neither rows nor projections come here."""
    X = da.map_blocks(make_rows, chunks=((9000,) * 3, (24,)), dtype=float)
    in_memory = X.compute()
    hasher = fitted(ITQ(12, random_state=0), in_memory)
    expected = hasher.encode(in_memory)
    monkeypatch.setattr(ITQ, "_project", None)
    assert hasher.encode(X) == expected


def test_retrievers_and_pipelines_take_dask_arrays(rows, da):
    """A retriever's gallery and a pipeline's codes are those of the array."""
    X = rows[0]
    blocks = da.from_array(X, (5000, 12))
    retriever = HammingRetriever(ITQ(12, random_state=0)).fit(X)
    expected = retriever.gallery_codes_
    assert retriever.encode(blocks) == expected
    assert retriever.fit(blocks).gallery_codes_ == expected
    pipeline = make_pipeline(StandardScaler(), ITQ(12, random_state=0)).fit(X)
    assert encode_with(pipeline, blocks) == encode_with(pipeline, X)


def bad_array(change):
    """Encode a Dask array that has been changed."""
    da = pytest.importorskip("dask.array")
    X = np.random.RandomState(0).randn(BATCH_ROWS + 100, 6)
    return ITQ(4, random_state=0).fit(X).encode(change(da.from_array(X, (3000, 6)), da))


BAD_ARRAYS = [
    Case(
        "unknown",
        lambda: bad_array(lambda X, da: X[X[:, 0] > 0]),
        r"unknown shape \(nan, 6\): call X.compute_chunk_sizes\(\) first",
    ),
    Case("narrow", lambda: bad_array(lambda X, da: X[:, :4]), r"has 4 features, but"),
    Case("vector", lambda: bad_array(lambda X, da: X[:, 0]), r"Expected 2D array"),
    Case("none", lambda: bad_array(lambda X, da: X[:0]), r"0 sample"),
    Case("complex", lambda: bad_array(lambda X, da: X * 1j), r"Complex data"),
    Case("words", lambda: bad_array(lambda X, da: X.astype("U4")), r"string to float"),
    Case(
        "nan",
        lambda: bad_array(lambda X, da: da.where(X > 3, np.nan, X)),
        r"Input X contains NaN",
    ),
]


@pytest.mark.parametrize("case", BAD_ARRAYS, ids=lambda case: case.id)
def test_dask_arrays_refused(case):
    """What is wrong with an array of blocks is said as of any array."""
    case.check()


def test_sizes_of_chunks_can_be_found(rows, da):
    """An array of unknown shape is hashed once its chunks have been counted."""
    hasher = fitted(ITQ(12, random_state=0), rows[0])
    X = da.from_array(rows[0], (5000, 24))
    some = X[X[:, 0] > 3].compute_chunk_sizes()
    assert hasher.encode(some) == hasher.encode(rows[0][rows[0][:, 0] > 3])


def test_dask_is_not_imported_unasked():
    """Neither importing nor encoding nor searching loads Dask."""
    script = (
        "import sys, numpy as np, sklhash;"
        "X = np.random.RandomState(0).randn(9000, 4);"
        "h = sklhash.ITQ(4).fit(X);"
        "codes = h.encode(X);"
        "sklhash.search_shards(codes[:1], [codes], 2);"
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    folder = Path(sklhash.__file__).parents[1]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=folder)


# Workers that are lost: last, as those in their place import everything anew


def wait_for(condition):
    """Give what a condition gives as soon as it is true."""
    end = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


def hold_up(folder):
    """Let the first task on this worker say that it runs, and wait for the killing."""
    open_shard = _search.open_shard

    def open_late(shard):
        (folder / str(os.getpid())).touch()
        end = time.monotonic() + 120
        while not (folder / "killed").exists() and time.monotonic() < end:
            time.sleep(0.02)
        return open_shard(shard)

    _search.open_shard = _scores.open_shard = open_late
    return os.getpid()


@pytest.mark.parametrize("what", ["search", "score"])
def test_lost_worker(what, gallery, on_cluster, tmp_path):
    """A worker killed amidst its shard loses nothing: another one does it again."""
    queries, codes, y_query, y = gallery
    queries = PackedCodes.from_codes(np.tile(queries.unpack(), (100, 1)))
    y_query = np.tile(y_query, 100)
    shards = cut(codes, 17, 1500)
    shards[2].save(tmp_path / "2.npy")
    shards[2] = tmp_path / "2.npy"
    on_cluster.wait_for_workers(2, timeout=SECONDS)
    pids = set(on_cluster.run(hold_up, tmp_path).values())
    assert len(pids) == 2
    killed = []

    def kill():
        running = wait_for(
            lambda: pids & {int(p.name) for p in tmp_path.glob("*[0-9]")}
        )
        killed.append(min(running))
        os.kill(killed[0], signal.SIGKILL)
        (tmp_path / "killed").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    if what == "search":
        found = search_shards(queries, shards, 9)
        assert_same_arrays(found, HammingRetriever().fit(codes).kneighbors(queries, 9))
    else:
        found = score_shards(queries, shards, y_query, cut(y, 17, 1500))
        assert found == retrieval_scores(queries, codes, y_query, y)
    killer.join(SECONDS)
    assert len(killed) == 1
    wait_for(lambda: len(set(on_cluster.run(os.getpid).values()) - set(killed)) == 2)
