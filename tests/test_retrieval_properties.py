"""What holds for every method of a retriever, whatever is given and happens."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_forms import CLASSES, CODES, INDICATORS, Drawn, Plain, assert_same
from numpy.testing import assert_array_equal
from sklearn.frozen import FrozenEstimator

from sklhash import HammingRetriever, PackedCodes, RandomHyperplaneHashing
from sklhash.hamming import _asymmetric, _search

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

N, D = 40, 6
rng = np.random.RandomState(0)
X = rng.randint(-32, 32, size=(N, D)) / 8
y = np.arange(N) % 3
HASHER = FrozenEstimator(RandomHyperplaneHashing(12, random_state=0).fit(X))

#: Every public method that takes rows, called with them and the rest of the data.
METHODS = {
    "encode": lambda r, d, f: r.encode(f.features(d.q)),
    "kneighbors": lambda r, d, f: r.kneighbors(f.features(d.q)),
    "kneighbors_graph": lambda r, d, f: r.kneighbors_graph(
        f.features(d.q), mode="distance"
    ),
    "partial_fit": lambda r, d, f: r.partial_fit(
        f.features(d.q), f.labels(d.yq)
    ).kneighbors(),
    "predict": lambda r, d, f: r.predict(f.features(d.q)).astype(str),
    "radius_neighbors": lambda r, d, f: r.radius_neighbors(f.features(d.q)),
    "radius_neighbors_graph": lambda r, d, f: r.radius_neighbors_graph(
        f.features(d.q), mode="distance"
    ),
    "score": lambda r, d, f: r.score(f.features(d.q), f.labels(d.yq), f.vector(d.w)),
    "transform": lambda r, d, f: r.transform(f.features(d.q)),
}
#: Held with the others, or elsewhere.
NO_ROWS = {
    "fit": "by every method",
    "fit_transform": "fit and transform",
    "project": "test_rows_in_any_form_are_searched",
    "get_feature_names_out": "test_index_columns_are_named",
    "set_output": "test_index_columns_are_named",
    "get_metadata_routing": "test_retrieval.py",
    "get_params": "test_sklearn_contract.py",
    "set_callbacks": "test_callbacks.py",
    "set_params": "test_parameters_set_later_are_checked",
    "set_score_request": "test_scorers.py",
}


def test_every_method_is_held():
    """Each public method of a retriever stands in one of the lists above."""
    names = {name for name in dir(HammingRetriever) if not name.startswith("_")}
    assert names - {"index_nbytes_"} == set(METHODS) | set(NO_ROWS)


def make_codes(seed, n_bits):
    rng = np.random.RandomState(seed)
    codes = rng.randint(2, size=(5, n_bits))[rng.randint(5, size=20)]
    codes = (codes ^ (rng.rand(*codes.shape) < 0.1)).astype(np.uint8)
    codes[0, 0] = 1 - codes[1, 0]
    labels = rng.randint(3, size=20)
    labels[6:8] = labels[0]
    return SimpleNamespace(
        q=codes[:6],
        g=codes[6:],
        yq=labels[:6],
        yg=labels[6:],
        w=np.arange(1, 7) / 8,
    )


def as_classes(forms):
    forms.labels = forms.classes
    return forms


@pytest.mark.parametrize("method", METHODS)
def test_forms_of_codes_do_not_matter(method, monkeypatch):
    """Codes and labels of any dtype, order, layout or frame give the same answers."""
    monkeypatch.setenv("SKLHASH_NO_NUMBA", "1")  # compiled anew for each length

    @settings(max_examples=25)
    @given(
        data=st.builds(make_codes, st.integers(0, 2**32 - 1), st.integers(1, 70)),
        metric=st.sampled_from(["hamming", "spherical"]),
        draw=st.data(),
    )
    def check(data, metric, draw):
        def answer(forms):
            retriever = HammingRetriever(n_neighbors=3, metric=metric)
            retriever.fit(forms.features(data.g), forms.labels(data.yg))
            return METHODS[method](retriever, data, forms)

        names = st.sampled_from
        forms = as_classes(Drawn(lambda choice: draw.draw(names(choice))))
        if method == "predict":  # the votes are the labels, as they were given
            forms.labels = np.array
        assert_same(answer(forms), answer(as_classes(Plain())))
        forms.check_unchanged()

    check()


@pytest.mark.parametrize("form", CODES)
def test_galleries_grow_in_any_form(form):
    """Rows that are added in another form than the first ones are found as well."""
    data = make_codes(seed=4, n_bits=20)
    plain = HammingRetriever(n_neighbors=5).fit(data.g).partial_fit(data.q)
    grown = HammingRetriever(n_neighbors=5).fit(data.g)
    rows = CODES[form](data.q)
    if form == "polars":  # which names its columns
        with pytest.warns(UserWarning, match="X has feature names"):
            grown.partial_fit(rows)
    else:
        grown.partial_fit(rows)
    assert_same(grown.kneighbors(), plain.kneighbors())


@pytest.mark.parametrize("form", CLASSES)
def test_votes_are_of_the_labels_type(form):
    """Predicted classes are those given, as NumPy has them."""
    data = make_codes(seed=3, n_bits=20)
    plain = HammingRetriever(n_neighbors=3).fit(data.g, data.yg).predict(data.q)
    names = HammingRetriever(n_neighbors=3).fit(data.g, CLASSES[form](data.yg))
    # floats, dates and strings of the digits 0 to 2, in the order of the digits
    classes = np.unique(names.gallery_labels_)
    assert_array_equal(np.searchsorted(classes, names.predict(data.q)), plain)


@pytest.mark.parametrize("form", INDICATORS)
def test_indicators_of_any_form(form):
    """Label matrices, sparse ones of any format too, give one vote and one score."""
    data = make_codes(seed=5, n_bits=20)
    Yg, Yq = np.eye(3)[data.yg], np.eye(3)[data.yq]
    plain = HammingRetriever(n_neighbors=3).fit(data.g, Yg)
    other = HammingRetriever(n_neighbors=3).fit(data.g, INDICATORS[form](Yg))
    assert_same(other.predict(data.q), plain.predict(data.q))
    given = INDICATORS[form](Yq)
    assert_same(other.score(data.q, given), plain.score(data.q, Yq))
    other.partial_fit(data.q, given)
    assert_same(other.predict(), plain.partial_fit(data.q, Yq).predict())


#: Other numbers than X, and float32, in which rows are projected.
OTHER_ROWS = {"bool", "int8", "uint64", "-1 and +1", "real", "packed", "float32"}
ROWS = {
    name: form
    for name, form in {**CODES, **INDICATORS}.items()
    if name not in OTHER_ROWS
}


@pytest.mark.parametrize("rerank", [None, "cosine", "euclidean"])
@pytest.mark.parametrize("form", ROWS)
def test_rows_in_any_form_are_searched(form, rerank):
    """Raw rows of any form are hashed, projected and compared as plain ones are."""
    give = ROWS[form]
    if form == "polars":  # named columns, as the hasher has none
        hasher = FrozenEstimator(
            RandomHyperplaneHashing(12, random_state=0).fit(give(X))
        )
    else:
        hasher = HASHER
    for metric in ("hamming", "asymmetric"):
        params = {"n_neighbors": 4, "metric": metric, "rerank": rerank}
        plain = HammingRetriever(HASHER, **params).fit(X[8:], y[8:])
        other = HammingRetriever(hasher, **params).fit(give(X[8:]), y[8:])
        assert_same(other.kneighbors(give(X[:8])), plain.kneighbors(X[:8]))
        assert_same(other.project(give(X[:8])), plain.project(X[:8]))
        other.partial_fit(give(X[:8]), y[:8])
        plain.partial_fit(X[:8], y[:8])
        assert_same(other.kneighbors(give(X)), plain.kneighbors(X))


def test_index_columns_are_named():
    """Columns are checked by name; graphs are sparse, which no frame can hold."""
    data = make_codes(seed=3, n_bits=20)
    frame = pd.DataFrame(data.g, columns=[f"bit{j}" for j in range(20)])
    retriever = HammingRetriever().fit(frame)
    assert_array_equal(retriever.feature_names_in_, frame.columns)
    assert len(retriever.get_feature_names_out()) == len(data.g)
    expected = HammingRetriever().fit(data.g).kneighbors(data.g)
    for rows in (frame, pl.DataFrame(data.g, schema=frame.columns.tolist())):
        turned = rows[frame.columns[::-1].tolist()]
        for call in (retriever.kneighbors, retriever.partial_fit, retriever.transform):
            with pytest.raises(ValueError, match="feature names should match"):
                call(turned)
        assert_same(retriever.kneighbors(rows), expected)
    for output in ("pandas", "polars"):
        retriever.set_output(transform=output)
        with pytest.raises(ValueError, match="outputs a scipy sparse matrix"):
            retriever.transform(frame)


SET_LATER = [
    ({"mode": "x"}, "transform", ValueError, "mode must be 'connectivity' or"),
    ({"rerank": "x"}, "kneighbors", ValueError, "rerank must be one of cosine"),
    ({"n_neighbors": True}, "kneighbors", TypeError, "n_neighbors does not take"),
    ({"n_neighbors": 2.0}, "predict", TypeError, "n_neighbors does not take"),
    ({"n_neighbors": 0}, "transform", ValueError, "Expected n_neighbors > 0"),
    ({"n_neighbors": 99}, "predict", ValueError, "Expected n_neighbors <="),
    ({"radius": -1}, "radius_neighbors", ValueError, "radius must be"),
    ({"radius": 0.5}, "radius_neighbors_graph", ValueError, "radius must be"),
    ({"metric": "x"}, "kneighbors", ValueError, "metric must be one of"),
    ({"metric": "x"}, "radius_neighbors", ValueError, "metric must be one of"),
    ({"algorithm": "x"}, "kneighbors", ValueError, "algorithm must be in"),
    ({"device": "x"}, "kneighbors", ValueError, "device='x' cannot be used here"),
    ({"n_candidates": 1}, "kneighbors", ValueError, "n_candidates must be"),
]


@pytest.mark.parametrize(("params", "method", "error", "message"), SET_LATER)
def test_parameters_set_later_are_checked(params, method, error, message):
    """A bad value is an error where it is used, also if `fit` has not seen it."""
    rerank = "n_candidates" in params or "rerank" in params
    retriever = HammingRetriever(
        HASHER, n_neighbors=3, rerank="cosine" if rerank else None
    ).fit(X, y)
    before = retriever.get_params(deep=False)
    retriever.set_params(**params)
    with pytest.raises(error, match=message):
        getattr(retriever, method)(X[:3])
    retriever.set_params(**{name: before[name] for name in params})
    retriever.kneighbors(X[:3])


def test_no_truth_value_is_a_number_of_neighbours():
    """`kneighbors(X, False)` is no search for 0 neighbours, nor True for one."""
    retriever = HammingRetriever().fit(make_codes(3, 20).g)
    for value in (True, False, np.True_):
        with pytest.raises(TypeError, match="n_neighbors does not take"):
            retriever.kneighbors(None, value)


def test_devices_without_numbers_are_refused():
    """PyTorch's 'meta' device keeps no codes, so it cannot search."""
    retriever = HammingRetriever(device="meta")
    with pytest.raises(ValueError, match="device='meta' cannot be used here"):
        retriever.fit(make_codes(3, 20).g)


def gallery(n_samples=20_000, n_bytes=8, seed=0):
    rng = np.random.RandomState(seed)
    return PackedCodes(
        rng.randint(256, size=(n_samples, n_bytes)).astype(np.uint8), 8 * n_bytes
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_jobs": 2},
        {"algorithm": "multi_index"},
        {"metric": "spherical"},
        {"metric": "asymmetric", "n_jobs": 2},
    ],
    ids=str,
)
def test_eight_threads_find_what_one_does(params):
    """One retriever answers several threads at once, each as if it were alone."""
    codes = gallery()
    retriever = HammingRetriever(n_neighbors=5, **params).fit(codes)
    queries = [codes[i : i + 20] for i in range(8)]
    if retriever.metric == "asymmetric":
        queries = [batch.unpack() - 0.5 for batch in queries]
    expected = [retriever.kneighbors(batch) for batch in queries]
    fresh = HammingRetriever(n_neighbors=5, **params).fit(codes)
    barrier = threading.Barrier(8)

    def search(batch):
        barrier.wait()
        return [fresh.kneighbors(batch) for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        for found, answer in zip(pool.map(search, queries), expected, strict=True):
            assert_same(found, [answer, answer])


def interrupt_after(function, calls):
    """Let a function be interrupted, as by Ctrl-C, in its so-manieth call."""
    counted = iter(range(calls))

    def interrupted(*args, **kwargs):
        if next(counted, None) is None:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return interrupted


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize(
    ("metric", "module", "name"),
    [
        ("hamming", _search, "_top_k_batch"),
        ("spherical", _search, "_top_k_batch"),
        ("asymmetric", _asymmetric, "_nearest"),
    ],
)
def test_an_interrupted_search_leaves_the_retriever(
    metric, module, name, n_jobs, monkeypatch
):
    """After Ctrl-C attributes and answers are as before, and no thread is at work."""
    monkeypatch.setenv("SKLHASH_NO_NUMBA", "1")
    codes = gallery(600)
    queries = codes[:300]
    if metric == "asymmetric":
        queries = queries.unpack() - 0.5
    retriever = HammingRetriever(n_neighbors=3, metric=metric, n_jobs=n_jobs).fit(codes)
    before, state = retriever.kneighbors(queries), dict(vars(retriever))
    with monkeypatch.context() as patch:
        calls, step = [], interrupt_after(getattr(module, name), 2)
        patch.setattr(module, name, lambda *args: calls.append(1) or step(*args))
        with pytest.raises(KeyboardInterrupt):
            retriever.kneighbors(queries)
        begun = len(calls)
        time.sleep(0.05)
        assert len(calls) == begun
    assert vars(retriever).keys() == state.keys()
    assert all(vars(retriever)[key] is state[key] for key in state)
    assert_same(retriever.kneighbors(queries), before)


def test_interrupted_growth_adds_nothing(monkeypatch):
    """Ctrl-C while rows are hashed or read leaves the gallery as it was."""
    retriever = HammingRetriever(HASHER, n_neighbors=3, rerank="cosine").fit(X, y)
    before = retriever.kneighbors(X)
    for name in ("_read_rows", "_set_gallery", "encode"):
        state = dict(vars(retriever))
        with monkeypatch.context() as patch:
            patch.setattr(HammingRetriever, name, interrupt_after(None, 0))
            with pytest.raises(KeyboardInterrupt):
                retriever.partial_fit(X, y)
        assert all(vars(retriever)[key] is state[key] for key in state)
        assert_same(retriever.kneighbors(X), before)


LITTLE_MEMORY = """
import resource, sys
import numpy as np
from sklhash import HammingRetriever, PackedCodes

codes = PackedCodes(
    np.random.RandomState(0).randint(256, size=(20_000, 8)).astype(np.uint8), 64
)
retriever = HammingRetriever(n_neighbors=3).fit(codes)
expected = retriever.kneighbors(codes[:5])
retriever.kneighbors(codes[:2000])  # loads kernels: LLVM gives up where memory is short
retriever.radius_neighbors(codes[:2000], 2)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))
for call in (
    lambda: retriever.kneighbors(codes, 2000),
    lambda: retriever.radius_neighbors(codes, 40),
    lambda: retriever.kneighbors_graph(codes, 2000),
    lambda: retriever.partial_fit(PackedCodes(np.zeros((2**24, 8), np.uint8), 64)),
):
    try:
        call()
    except MemoryError:
        print("MemoryError")
assert len(retriever.gallery_codes_) == 20_000
found = retriever.kneighbors(codes[:5])
assert all(np.array_equal(*pair) for pair in zip(found, expected))
print("still there")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_too_little_memory_is_a_memory_error():
    """Where answers do not fit, the process and the retriever survive the error."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", LITTLE_MEMORY],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    lines = result.stdout.split("\n")
    assert lines[:4] == ["MemoryError"] * 4
    assert lines[4] == "still there"
