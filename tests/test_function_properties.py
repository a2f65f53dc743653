"""What holds for every public function of arrays, whatever form they are given in."""

import copy
import pickle
from importlib import import_module
from inspect import isclass, isroutine
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_forms import LAYOUTS, Drawn, Plain, assert_same, flatten
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklhash import (
    HammingRetriever,
    PackedCodes,
    hamming,
    merge_neighbors,
    metrics,
    search_shards,
    search_shards_within,
)
from sklhash.hamming import _numba

METRIC_NAMES = ["map", "map@3", "ndcg", "precision@r2", "recall@2", "acg@3", "wap"]

#: Public names that are held elsewhere, and the file of tests that does so.
HELD_ELSEWHERE = {
    "sklhash": {
        "HammingRetriever": "test_retrieval_properties.py",
        "ITQ": "test_hashers.py",
        "AnchorGraphHashing": "test_hashers.py",
        "DensitySensitiveHashing": "test_hashers.py",
        "IsotropicHashing": "test_hashers.py",
        "KernelSupervisedHashing": "test_hashers.py",
        "PCAHashing": "test_hashers.py",
        "RandomHyperplaneHashing": "test_hashers.py",
        "SSDHHasher": "test_hashers.py",
        "SoftPairwiseHasher": "test_hashers.py",
        "SpectralHashing": "test_hashers.py",
        "SphericalHashing": "test_hashers.py",
        "SupervisedDiscreteHashing": "test_hashers.py",
        "UHGAHasher": "test_hashers.py",
        "load_estimator": "test_estimator_files.py",
        "save_estimator": "test_estimator_files.py",
        "score_shards": "test_dask.py",
        "to_onnx": "test_torch_modules.py",
        "to_torch": "test_torch_modules.py",
    },
    "sklhash.hamming": {},
    "sklhash.metrics": {},
    "sklhash.model_selection": {
        "BootstrapInterval": "test_bootstrap.py",
        "HasherComparison": "test_compare.py",
        "RetrievalSplit": "test_retrieval_split.py",
        "compare_hashers": "test_model_selection_properties.py",
        "fewest_bits": "test_model_selection_properties.py",
        "paired_bootstrap": "test_model_selection_properties.py",
        "retrieval_split": "test_model_selection_properties.py",
    },
    "sklhash.displays": {
        "BitStatisticsDisplay": "test_model_selection_properties.py",
        "CodeLengthDisplay": "test_model_selection_properties.py",
        "DistanceHistogramDisplay": "test_model_selection_properties.py",
        "PrecisionAtKDisplay": "test_model_selection_properties.py",
        "PrecisionRecallByRadiusDisplay": "test_model_selection_properties.py",
        "RetrievedImagesDisplay": "test_displays.py",
        "TrainingCurvesDisplay": "test_displays.py",
    },
    "PackedCodes": {
        "create": "test_code_files.py",
        "load": "test_code_files.py",
        "save": "test_code_files.py",
        "from_arrow": "test_exports.py",
        "from_faiss": "test_exports.py",
        "from_parquet": "test_exports.py",
        "milvus_collection": "test_stores.py",
        "qdrant_collection": "test_stores.py",
        "to_arrow": "test_exports.py",
        "to_bit_strings": "test_exports.py",
        "to_faiss": "test_exports.py",
        "to_milvus": "test_stores.py",
        "to_parquet": "test_exports.py",
        "to_pgvector": "test_exports.py",
        "to_qdrant": "test_stores.py",
        "to_usearch": "test_exports.py",
    },
}


@pytest.fixture
def numpy_only(monkeypatch):
    """Search and count without kernels: they are compiled anew for many a length."""
    monkeypatch.setenv("SKLHASH_NO_NUMBA", "1")


def make_data(seed, n_queries, n_gallery, n_bits):
    """Codes of few prototypes, projections in eighths, and labels of any kind."""
    rng = np.random.RandomState(seed)
    prototypes = rng.randint(2, size=(4, n_bits))
    codes = prototypes[rng.randint(4, size=n_queries + n_gallery)]
    codes = (codes ^ (rng.rand(*codes.shape) < 0.1)).astype(np.uint8)
    y = rng.randint(3, size=len(codes))
    y[:n_queries] = y[n_queries]  # each query has a relevant item
    Y = (rng.rand(len(codes), 4) < 0.4).astype(np.int64)
    Y[: n_queries + 1, 0] = 1
    projections = rng.randint(-32, 32, size=(n_queries, n_bits)) / 8
    projections[0, 0] = 0.125  # not all are codes
    packed = np.packbits(codes, axis=1, bitorder="little")
    return SimpleNamespace(
        n_bits=n_bits,
        q=codes[:n_queries],
        g=codes[n_queries:],
        pq=packed[:n_queries],
        pg=packed[n_queries:],
        p=projections,
        yq=y[:n_queries],
        yg=y[n_queries:],
        Yq=Y[:n_queries],
        Yg=Y[n_queries:],
        relevance=Y[:n_queries] @ Y[n_queries:].T,
        distances=rng.randint(-9, 9, size=(n_queries, n_gallery)) / 8,
        w=rng.randint(1, 9, size=n_queries) / 8,
        k=int(rng.randint(1, n_gallery + 1)),
        radius=int(rng.randint(n_bits + 1)),
        metric=str(rng.choice(["hamming", "spherical"])),
        ties=str(rng.choice(["expected", "optimistic", "pessimistic"])),
        algorithm=str(rng.choice(hamming.ALGORITHMS)),
    )


def index_answers(d, f):
    index = hamming.GalleryIndex(
        f.packed(d.pg[:1]), n_bits=d.n_bits, algorithm=d.algorithm
    )
    index.extend(f.packed(d.pg))
    again = pickle.loads(pickle.dumps(index))
    return (
        index.top_k(f.packed(d.pq), d.k),
        again.top_k(f.packed(d.pq), d.k),
        index.within_radius(f.packed(d.pq), d.radius),
    )


def count(function):
    def call(d, f):
        size = {"n_bits": d.n_bits, "n_grades": 5}
        if function is hamming.histograms:
            size["metric"] = d.metric
        classes = f.numbers(d.yq), f.numbers(d.yg)
        labels = csr_array(d.Yq, dtype=np.float32), csr_array(d.Yg, dtype=np.float32)
        codes = f.packed(d.pq), f.packed(d.pg)
        return [function(*codes, *pair, **size) for pair in (classes, labels)]

    return call


def counter(d, f):
    counter = hamming.HistogramCounter(
        f.packed(d.pg),
        f.numbers(d.yg),
        n_queries=len(d.q),
        n_bits=d.n_bits,
        n_grades=2,
        metric="spherical",
    )
    queries, labels = f.packed(d.pq), f.numbers(d.yq)
    return counter.count(queries, labels), counter.count_occurring(queries, labels)


def both(first, second):
    return lambda d, f: (first(d, f), second(d, f))


def with_labels(function, distance=True, **options):
    """Call a function with codes and classes, and with codes and label matrices."""

    def call(d, f):
        if distance:
            options["code_distance"] = d.metric
        return [
            function(
                f.codes(d.q),
                f.codes(d.g),
                *labels,
                **options,
            )
            for labels in (
                (f.classes(d.yq), f.classes(d.yg)),
                (f.indicator(d.Yq), f.indicator(d.Yg)),
            )
        ]

    return call


def scored(function, **options):
    """Call it with codes and labels, and with matrices, by one rule for ties."""

    def call(d, f):
        matrices = function(
            relevance=f.matrix(d.relevance),
            distances=f.matrix(d.distances),
            ties=d.ties,
            **options,
        )
        weighted = function(
            f.codes(d.q),
            f.codes(d.g),
            f.classes(d.yq),
            f.classes(d.yg),
            sample_weight=f.vector(d.w),
            ties=d.ties,
            **options,
        )
        return matrices, weighted

    return both(with_labels(function, **options), call)


def scores_of_counts(d, f):
    counts = metrics.relevance_histograms(
        d.q, d.g, d.Yq, d.Yg, code_distance=d.metric, exclude_self=False
    )
    return [
        metrics.scores_from_histograms(
            form(counts), code_distance=d.metric, metrics=METRIC_NAMES, ties=d.ties
        )
        for form in (f.packed, np.ndarray.tolist)
    ]


def scorer(make):
    def call(d, f):
        retriever = HammingRetriever(metric=d.metric)
        retriever.fit(f.features(d.g), f.classes(d.yg))
        weight = f.vector(d.w)
        return make(retriever, f.features(d.q), f.classes(d.yq), sample_weight=weight)

    return call


def merged(d, f):
    cut = len(d.g) // 2
    parts = []
    for gallery in (d.pg[:cut], d.pg[cut:]):
        found = hamming.top_k(d.pq, gallery, min(d.k, len(gallery)))
        parts.append(tuple(map(f.packed, found)))
    return merge_neighbors(parts, [cut, len(d.g) - cut], n_neighbors=d.k)


def shards(function, argument):
    def call(d, f):
        cut = len(d.g) // 2
        parts = [
            PackedCodes(f.packed(x), d.n_bits) for x in (d.pg[:cut], d.pg[cut:], d.pg)
        ]
        value = getattr(d, argument)
        near = function(f.codes(d.q), parts, value, metric=d.metric, n_jobs=1)
        return near, function(f.matrix(d.p), parts, value, metric="asymmetric")

    return call


def row_selections(d, f):
    codes = PackedCodes(f.packed(d.pg), d.n_bits)
    rows = [0, slice(None, None, -1), [0, -1], np.arange(len(codes)) % 2 == 0, range(1)]
    return [codes[row].unpack() for row in rows]


#: How each public function is called with the data, in the forms that it takes.
CALLS = {
    "sklhash.PackedCodes": lambda d, f: PackedCodes(f.packed(d.pg), d.n_bits),
    "sklhash.merge_neighbors": merged,
    "sklhash.search_shards": shards(search_shards, "k"),
    "sklhash.search_shards_within": shards(search_shards_within, "radius"),
    "PackedCodes.concatenate": lambda d, f: PackedCodes.concatenate(
        PackedCodes(f.packed(part), d.n_bits) for part in (d.pq, d.pg)
    ),
    "PackedCodes.from_codes": lambda d, f: PackedCodes.from_codes(f.codes(d.g)),
    "PackedCodes.unpack": row_selections,
    "sklhash.hamming.GalleryIndex": index_answers,
    "sklhash.hamming.HistogramCounter": counter,
    "sklhash.hamming.asymmetric_distances": lambda d, f: hamming.asymmetric_distances(
        f.packed(d.p), f.packed(d.pg)
    ),
    "sklhash.hamming.asymmetric_top_k": lambda d, f: hamming.asymmetric_top_k(
        f.packed(d.p), f.packed(d.pg), d.k
    ),
    "sklhash.hamming.asymmetric_within_radius": (
        lambda d, f: hamming.asymmetric_within_radius(
            f.packed(d.p), f.packed(d.pg), d.radius
        )
    ),
    "sklhash.hamming.count_set_bits": lambda d, f: hamming.count_set_bits(
        f.packed(d.pg)
    ),
    "sklhash.hamming.count_shared_labels": lambda d, f: hamming.count_shared_labels(
        f.numbers(d.yq), f.numbers(d.yg)
    ),
    "sklhash.hamming.distances": lambda d, f: hamming.distances(
        f.packed(d.pq), f.packed(d.pg), metric=d.metric
    ),
    "sklhash.hamming.histograms": count(hamming.histograms),
    "sklhash.hamming.occurring_histograms": count(hamming.occurring_histograms),
    "sklhash.hamming.paired_distances": lambda d, f: hamming.paired_distances(
        f.packed(d.pg), f.packed(d.pg[::-1]), metric=d.metric
    ),
    "sklhash.hamming.possible_distances": lambda d, f: hamming.possible_distances(
        np.int16(d.n_bits), metric=d.metric
    ),
    "sklhash.hamming.top_k": lambda d, f: hamming.top_k(
        f.packed(d.pq), f.packed(d.pg), d.k, metric=d.metric
    ),
    "sklhash.hamming.within_radius": lambda d, f: hamming.within_radius(
        f.packed(d.pq), f.packed(d.pg), d.radius, metric=d.metric
    ),
    "sklhash.metrics.RetrievalScorer": scorer(metrics.RetrievalScorer(METRIC_NAMES)),
    "sklhash.metrics.average_cumulative_gain": scored(metrics.average_cumulative_gain),
    "sklhash.metrics.map_scorer": scorer(metrics.map_scorer),
    "sklhash.metrics.mean_average_precision": scored(
        metrics.mean_average_precision, k=3
    ),
    "sklhash.metrics.ndcg": scored(metrics.ndcg),
    "sklhash.metrics.ndcg_scorer": scorer(metrics.ndcg_scorer),
    "sklhash.metrics.precision": scored(metrics.precision, radius=2),
    "sklhash.metrics.precision_recall_curve": with_labels(
        metrics.precision_recall_curve
    ),
    "sklhash.metrics.recall": scored(metrics.recall, k=2),
    "sklhash.metrics.relevance_histograms": with_labels(metrics.relevance_histograms),
    "sklhash.metrics.retrieval_scores": scored(
        metrics.retrieval_scores, metrics=METRIC_NAMES
    ),
    "sklhash.metrics.scores_from_histograms": scores_of_counts,
    "sklhash.metrics.weighted_average_precision": scored(
        metrics.weighted_average_precision
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_forms_do_not_matter(name, numpy_only):
    """Any dtype, order, layout or frame gives the answers of plain arrays."""

    @settings(max_examples=15)
    @given(
        data=st.builds(
            make_data,
            seed=st.integers(0, 2**32 - 1),
            n_queries=st.integers(1, 6),
            n_gallery=st.integers(2, 12),
            n_bits=st.one_of(st.sampled_from([1, 8, 64]), st.integers(1, 70)),
        ),
        draw=st.data(),
    )
    def check(data, draw):
        forms = Drawn(lambda names: draw.draw(st.sampled_from(names)))
        assert_same(CALLS[name](data, forms), CALLS[name](data, Plain()))
        forms.check_unchanged()

    check()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_do_not_matter_to_kernels(layout, monkeypatch):
    """Compiled kernels read any layout, and answer as NumPy does."""
    monkeypatch.setattr(_numba, "LARGE_GALLERY_WORDS", 0)
    data = make_data(seed=5, n_queries=9, n_gallery=80, n_bits=64)
    data.algorithm = "multi_index"
    form = SimpleNamespace(packed=LAYOUTS[layout], numbers=np.array)
    for name, call in CALLS.items():
        if name.startswith("sklhash.hamming."):
            found = call(data, form)
            with mock.patch.dict("os.environ", SKLHASH_NO_NUMBA="1"):
                assert_same(found, call(data, Plain()))


def public_names(module):
    """List the public callables of a module, or methods of PackedCodes."""
    if module == "PackedCodes":
        names = [name for name in dir(PackedCodes) if not name.startswith("_")]
        return [name for name in names if isroutine(getattr(PackedCodes, name))]
    loaded = import_module(module)
    held = vars(loaded)  # without loading torch for the deep hashers
    return [name for name in loaded.__all__ if callable(held.get(name, callable))]


@pytest.mark.parametrize("module", HELD_ELSEWHERE)
def test_every_public_function_is_held(module):
    """Each public name stands in the list above, or in the tests that it names."""
    elsewhere = HELD_ELSEWHERE[module]
    for name in public_names(module):
        if f"{module}.{name}" in CALLS:
            continue
        assert name in elsewhere, f"no property of {module}.{name} is tested"
        file = Path(__file__).with_name(elsewhere[name])
        assert name in file.read_text(encoding="utf-8"), f"{file.name} lacks {name}"


def test_results_are_the_callers_own(numpy_only):
    """What a function gives can be written to, and changes no later answer."""
    data = make_data(seed=3, n_queries=4, n_gallery=9, n_bits=20)
    for name, call in CALLS.items():
        if name.startswith("sklhash.PackedCodes"):
            continue  # keeps its bytes
        expected, result = copy.deepcopy(call(data, Plain())), call(data, Plain())
        for array in flatten(result):
            if array.ndim:
                array[...] = 0
        assert_same(call(data, Plain()), expected)


@pytest.mark.parametrize("metric", ["hamming", "spherical"])
def test_no_queries_have_no_answers(metric, numpy_only):
    """Without queries answers are empty, of the usual types and shapes."""
    d = make_data(seed=1, n_queries=3, n_gallery=9, n_bits=20)
    none, gallery = d.pq[:0], d.pg
    some = hamming.top_k(d.pq, gallery, 2, metric=metric)
    for found, usual in zip(
        hamming.top_k(none, gallery, 2, metric=metric), some, strict=True
    ):
        assert found.shape == (0, 2)
        assert found.dtype == usual.dtype
    assert hamming.distances(none, gallery, metric=metric).shape == (0, 9)
    assert hamming.distances(d.pq, gallery[:0], metric=metric).shape == (3, 0)
    assert hamming.paired_distances(none, none, metric=metric).shape == (0,)
    assert hamming.count_set_bits(none).shape == (0,)
    for queries, codes in ((none, gallery), (d.pq, gallery[:0])):
        found = hamming.within_radius(queries, codes, 9, metric=metric)
        assert [len(x) for x in found] == [len(queries) + 1, 0, 0]
    size = {"n_bits": 20, "n_grades": 2}
    n_distances = len(hamming.possible_distances(20, metric=metric))
    found = hamming.histograms(none, gallery, d.yq[:0], d.yg, metric=metric, **size)
    assert found.shape == (0, n_distances, 2)
    found, _ = hamming.occurring_histograms(none, gallery, d.yq[:0], d.yg, **size)
    assert len(found) == 0


@pytest.mark.parametrize("compiled", [False, True])
def test_no_projections_have_no_answers(compiled, monkeypatch):
    """Without projections, or codes, asymmetric answers are empty."""
    monkeypatch.setattr(_numba, "LARGE_GALLERY_WORDS", 0 if compiled else 2**60)
    d = make_data(seed=1, n_queries=3, n_gallery=9, n_bits=20)
    assert hamming.asymmetric_distances(d.p[:0], d.pg).shape == (0, 9)
    assert hamming.asymmetric_distances(d.p, d.pg[:0]).shape == (3, 0)
    assert [x.shape for x in hamming.asymmetric_top_k(d.p[:0], d.pg, 2)] == [(0, 2)] * 2
    for projections, codes in ((d.p[:0], d.pg), (d.p, d.pg[:0])):
        found = hamming.asymmetric_within_radius(projections, codes, 9)
        assert [len(x) for x in found] == [len(projections) + 1, 0, 0]


D = make_data(seed=2, n_queries=7, n_gallery=50, n_bits=60)
SIZE = {"n_bits": 60, "n_grades": 2}
PACKED_FUNCTIONS = {
    "distances": lambda q, g: hamming.distances(q, g),
    "paired_distances": lambda q, g: hamming.paired_distances(q, g),
    "top_k": lambda q, g: hamming.top_k(q, g, 3),
    "within_radius": lambda q, g: hamming.within_radius(q, g, 3),
    "histograms": lambda q, g: hamming.histograms(q, g, D.yq, D.yg, **SIZE),
    "occurring": lambda q, g: hamming.occurring_histograms(q, g, D.yq, D.yg, **SIZE),
    "index": lambda q, g: hamming.GalleryIndex(g, n_bits=60).top_k(q, 3),
}
NOT_PACKED = {
    "list": (lambda x: x.tolist(), TypeError, "array of packed codes.*got list"),
    "codes": (lambda x: PackedCodes(x, 60), TypeError, "PackedCodes.packed; got Pack"),
    "none": (lambda _: None, TypeError, "array of packed codes.*got NoneType"),
    "int64": (lambda x: x.astype(np.int64), ValueError, "dtype uint8; got.*int64"),
    "large": (lambda x: x + np.int64(10**6), ValueError, "dtype uint8; got.*int64"),
    "bool": (lambda x: x > 0, ValueError, "dtype uint8; got.*bool"),
    "float": (lambda x: x / 2, ValueError, "dtype uint8; got.*float64"),
    "vector": (lambda x: x[0], ValueError, r"got shape \(8,\)"),
    "cube": (lambda x: x[None], ValueError, r"got shape \(1, \d+, 8\)"),
    "narrow": (lambda x: x[:, :2], ValueError, "bytes a code|take 8 bytes"),
    "empty": (lambda x: x[:, :0], ValueError, "bytes a code|take 8 bytes"),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("form", NOT_PACKED)
@pytest.mark.parametrize("function", PACKED_FUNCTIONS)
def test_what_is_not_packed_is_refused(function, form, compiled, monkeypatch):
    """Neither NumPy nor a kernel answers what holds no packed codes of one length."""
    monkeypatch.setattr(_numba, "LARGE_GALLERY_WORDS", 0 if compiled else 2**60)
    spoil, error, message = NOT_PACKED[form]
    call = PACKED_FUNCTIONS[function]
    with pytest.raises(error, match=message):
        call(D.pq, spoil(D.pg))
    with pytest.raises(error, match=message):
        call(spoil(D.pq), D.pg)


ASYMMETRIC = {
    "distances": hamming.asymmetric_distances,
    "top_k": lambda p, g: hamming.asymmetric_top_k(p, g, 3),
    "within_radius": lambda p, g: hamming.asymmetric_within_radius(p, g, 3),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("function", ASYMMETRIC)
def test_asymmetric_search_refuses_other_arrays(function, compiled, monkeypatch):
    """Kernels read no place beyond their tables, and no distance is NaN."""
    monkeypatch.setattr(_numba, "LARGE_GALLERY_WORDS", 0 if compiled else 2**60)
    call = ASYMMETRIC[function]
    for form in ("int64", "large", "bool", "float", "vector", "list", "codes", "none"):
        spoil, error, message = NOT_PACKED[form]
        with pytest.raises(error, match=message):
            call(D.p, spoil(D.pg))
    for value in (np.nan, np.inf, -np.inf, 1e308):
        projections = D.p.copy()
        projections[2] = value
        with pytest.raises(ValueError, match="NaN, infinity, or numbers so large"):
            call(projections, D.pg)
    for projections in (D.p.tolist(), D.p * 1j, D.p.astype(object), None):
        with pytest.raises(TypeError, match="array of real numbers; got"):
            call(projections, D.pg)
    with pytest.raises(ValueError, match="8 bytes a code"):
        call(D.p[:, :9], D.pg)


INDEX = hamming.GalleryIndex(D.pg, n_bits=60)
NEAREST = [
    lambda k: hamming.top_k(D.pq, D.pg, k),
    lambda k: hamming.asymmetric_top_k(D.p, D.pg, k),
    lambda k: INDEX.top_k(D.pq, k),
]
WITHIN = [
    lambda r: hamming.within_radius(D.pq, D.pg, r),
    lambda r: hamming.within_radius(D.pq, D.pg, r, metric="spherical"),
    lambda r: hamming.asymmetric_within_radius(D.p, D.pg, r),
    lambda r: INDEX.within_radius(D.pq, r),
]


@pytest.mark.parametrize("compiled", [False, True])
def test_numbers_of_neighbours_and_radii_are_checked(compiled, monkeypatch):
    """No fraction or truth value is taken for a number of neighbours or a radius."""
    monkeypatch.setattr(_numba, "LARGE_GALLERY_WORDS", 0 if compiled else 2**60)
    for call in NEAREST:
        for k in (1.5, True, "3", None):
            with pytest.raises(TypeError, match="k must be an integer; got"):
                call(k)
        for k in (0, -1, 51, 10**30):
            with pytest.raises(ValueError, match=r"k must be in \[1, 50\]"):
                call(k)
    for call in WITHIN:
        for radius in (True, "3", None, 1j):
            with pytest.raises(TypeError, match="radius must be a number; got"):
                call(radius)
        for radius in (-1, -0.5, np.nan, -np.inf):
            with pytest.raises(ValueError, match="radius must be a number >= 0; got"):
                call(radius)
        for radius in (np.inf, 10**30, np.float32(200)):
            assert len(call(radius)[1]) == D.pq.shape[0] * D.pg.shape[0]


HISTOGRAMS = [
    ("n_bits", 59, ValueError, "bits after the first n_bits=59"),
    ("n_bits", 30, ValueError, "n_bits=30 take 4 bytes each, but 8 are given"),
    ("n_bits", 70_000, ValueError, "n_bits must be in .0, 65535"),
    ("n_bits", 60.0, TypeError, "n_bits must be an integer; got 60.0"),
    ("n_bits", True, TypeError, "n_bits must be an integer; got True"),
    ("n_grades", 1, ValueError, "may share 1 labels; got n_grades=1"),
    ("n_grades", 2.0, TypeError, "n_grades must be an integer; got 2.0"),
    ("query_labels", D.yq[:-1], ValueError, "as many as codes; got 6 and 7"),
    ("gallery_labels", D.yg[:-1], ValueError, "as many as codes; got 49 and 50"),
    ("gallery_labels", D.yg / 2, TypeError, "class numbers, integers.*got float64"),
    ("gallery_labels", D.yg.tolist(), TypeError, "class numbers.*got list"),
    ("gallery_labels", csr_array(D.Yg), ValueError, "both be class numbers, or mat"),
    ("metric", "cosine", ValueError, "metric must be one of hamming, spherical"),
]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("name", "value", "error", "message"), HISTOGRAMS)
def test_histograms_refuse(name, value, error, message, compiled, monkeypatch):
    """Nothing is counted that codes, labels and lengths do not agree on."""
    monkeypatch.setattr(_numba, "LARGE_GALLERY_WORDS", 0 if compiled else 2**60)
    codes = D.pg.copy()
    codes[0, -1] |= 1 << 3  # the 60th bit
    arguments = {"query_labels": D.yq, "gallery_labels": D.yg, **SIZE, name: value}
    with pytest.raises(error, match=message):
        hamming.histograms(D.pq, codes, **arguments)


def test_counters_and_indexes_refuse():
    """What cannot be counted, listed or added is refused by name."""
    size = {"n_queries": 1, **SIZE}
    with pytest.raises(ValueError, match="gallery holds 0 codes"):
        hamming.HistogramCounter(D.pg[:0], D.yg[:0], **size)
    with pytest.raises(ValueError, match="metric must be one of"):
        hamming.HistogramCounter(D.pg, D.yg, metric="cosine", **size)
    counter = hamming.HistogramCounter(D.pg, D.yg, **size)
    with pytest.raises(ValueError, match="count_occurring needs metric='spherical'"):
        counter.count_occurring(D.pq, D.yq)
    with pytest.raises(ValueError, match="equally many rows, to be paired; got 7 and"):
        hamming.paired_distances(D.pq, D.pg)
    for n_bits, error in ((-1, ValueError), (2**20, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="n_bits must be"):
            hamming.possible_distances(n_bits)
    for n_bits in (1, 30, 0):
        with pytest.raises(ValueError, match="bytes each, but 8 are given"):
            hamming.GalleryIndex(D.pg, n_bits=n_bits)
    with pytest.raises(TypeError, match=r"array of packed codes.*got PackedCodes"):
        INDEX.extend(PackedCodes(D.pg, 60))
    with pytest.raises(TypeError, match=r"class numbers, integers.*got int64"):
        hamming.count_shared_labels(D.Yq, D.Yg)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    ties=st.sampled_from(["expected", "optimistic", "pessimistic"]),
    metric=st.sampled_from(["hamming", "spherical"]),
)
def test_scores_know_the_order_of_queries_only(seed, ties, metric):
    """Other names of classes, unused labels and the gallery's order change nothing."""
    d = make_data(seed, n_queries=4, n_gallery=12, n_bits=9)
    rng = np.random.RandomState(seed)
    rules = {
        "metrics": METRIC_NAMES,
        "ties": ties,
        "per_query": True,
        "code_distance": metric,
    }
    expected = metrics.retrieval_scores(d.q, d.g, d.Yq, d.Yg, **rules)
    order, queries = rng.permutation(12), rng.permutation(4)
    place = rng.randint(5)
    Yq, Yg = (np.insert(Y, place, 0, axis=1) for Y in (d.Yq, d.Yg))
    moved = metrics.retrieval_scores(
        d.q[queries], d.g[order], Yq[queries], Yg[order], **rules
    )
    for name in METRIC_NAMES:
        assert_allclose(moved[name], expected[name][queries], rtol=1e-12)
        # wap and acg count labels
        bound = 4 if name.startswith(("wap", "acg")) else 1
        assert (expected[name] >= 0).all()
        assert (expected[name] <= bound + 1e-12).all()
    names = np.array(["c", "a", "b"])
    by_number = metrics.retrieval_scores(d.q, d.g, d.yq, d.yg, **rules)
    by_name = metrics.retrieval_scores(d.q, d.g, names[d.yq], names[d.yg], **rules)
    assert_same(by_name, by_number)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), weight=st.floats(5e-324, 1.7e308))
def test_equal_weights_are_none(seed, weight):
    """Weights may be as large or as small as floats are: only their ratios count."""
    d = make_data(seed, n_queries=4, n_gallery=12, n_bits=9)
    codes = d.q, d.g, d.yq, d.yg
    weights = np.full(4, weight)
    assert_same(
        metrics.retrieval_scores(*codes, sample_weight=weights),
        metrics.retrieval_scores(*codes),
    )
    assert_same(
        metrics.precision_recall_curve(*codes, sample_weight=weights),
        metrics.precision_recall_curve(*codes),
    )


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 11))
def test_counts_of_shards_add_up(seed, cut):
    """Counts of two parts of a gallery are those of all, and score as all do."""
    d = make_data(seed, n_queries=4, n_gallery=12, n_bits=9)
    labels = d.Yg[:cut], d.Yg[cut:]
    counts = sum(
        metrics.relevance_histograms(d.q, codes, d.Yq, y, code_distance=d.metric)
        for codes, y in zip((d.g[:cut], d.g[cut:]), labels, strict=True)
    )
    rules = {"metrics": METRIC_NAMES, "ties": d.ties, "code_distance": d.metric}
    assert_same(
        metrics.scores_from_histograms(counts, **rules),
        metrics.retrieval_scores(d.q, d.g, d.Yq, d.Yg, **rules),
    )


def test_counts_beyond_any_gallery_are_refused():
    """Counts that overflow, or of which no table can be made, are errors at once."""
    for count in (2**33, 2**62, 1e300):
        with pytest.raises(ValueError, match="may count 4294967296 items"):
            metrics.scores_from_histograms([[[count, 1], [count, 1]]])


def test_names_of_metrics_are_plain_strings():
    """Names given as an array come back as strings, not as NumPy's own."""
    scores = metrics.retrieval_scores(
        D.q, D.g, D.yq, D.yg, metrics=np.array(["map", "ndcg@3"])
    )
    assert [type(name) for name in scores] == [str] * 3


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), n_bits=st.integers(1, 70))
def test_searches_agree_with_each_other(seed, n_bits):
    """Nearest codes, codes within a radius and distances tell the same story."""
    d = make_data(seed, n_queries=3, n_gallery=12, n_bits=n_bits)
    assert_array_equal(
        hamming.asymmetric_distances(d.q - 0.5, d.pg) * 2,
        hamming.distances(d.pq, d.pg),
    )
    for metric in ("hamming", "spherical"):
        matrix = hamming.distances(d.pq, d.pg, metric=metric)
        found, positions = hamming.top_k(d.pq, d.pg, 12, metric=metric)
        assert_array_equal(np.take_along_axis(matrix, positions, axis=1), found)
        assert_array_equal(np.sort(positions, axis=1), np.tile(np.arange(12), (3, 1)))
        radius = found[0, d.k - 1]
        indptr, near, rows = hamming.within_radius(d.pq, d.pg, radius, metric=metric)
        assert_array_equal(np.diff(indptr), (matrix <= radius).sum(axis=1))
        for i in range(3):
            mine = slice(indptr[i], indptr[i + 1])
            n_near = indptr[i + 1] - indptr[i]
            assert_array_equal(near[mine], found[i, :n_near])
            assert_array_equal(rows[mine], positions[i, :n_near])
        pairs = hamming.paired_distances(d.pg, d.pg[::-1].copy(), metric=metric)
        whole = hamming.distances(d.pg, d.pg, metric=metric)
        assert_array_equal(pairs, np.diagonal(whole[:, ::-1]))


def test_lists_of_names_are_callable():
    """The walk sees classes, functions and scorers, and nothing else."""
    assert isclass(hamming.GalleryIndex)
    assert "METRICS" not in public_names("sklhash.hamming")
    assert "map_scorer" in public_names("sklhash.metrics")
