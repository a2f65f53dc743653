"""Estimators in files: what comes back, and what strangers may put into one."""

import copy
import importlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array, dia_array
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklhash
from sklhash import (
    ITQ,
    AnchorGraphHashing,
    DensitySensitiveHashing,
    HammingRetriever,
    IsotropicHashing,
    KernelSupervisedHashing,
    PCAHashing,
    RandomHyperplaneHashing,
    SoftPairwiseHasher,
    SpectralHashing,
    SphericalHashing,
    SSDHHasher,
    SupervisedDiscreteHashing,
    UHGAHasher,
)
from sklhash._version import __version__
from sklhash.base import BaseHasher
from sklhash.estimator_files import load_estimator, save_estimator
from sklhash.estimator_files._trusted import LOADER_OF
from sklhash.metrics import RetrievalScorer, map_scorer

pytest.importorskip("skops.io")

HERE = Path(__file__).parent
NET = {"hidden_units": (4,), "max_epochs": 1, "random_state": 0}
HASHERS = [
    ITQ(5, random_state=0),
    ITQ(5, projection="cca", random_state=np.random.RandomState(0)),
    RandomHyperplaneHashing(5, random_state=0),
    PCAHashing(5),
    IsotropicHashing(5, random_state=0),
    SpectralHashing(9, random_state=0),
    SphericalHashing(5, random_state=0),
    DensitySensitiveHashing(5, random_state=0),
    AnchorGraphHashing(5, n_anchors=9, random_state=0),
    AnchorGraphHashing(5, n_anchors=9, n_layers=1, random_state=0),
    KernelSupervisedHashing(5, n_anchors=9, max_samples=60, random_state=0),
    SupervisedDiscreteHashing(5, n_anchors=9, random_state=0),
    SoftPairwiseHasher(5, **NET),
    UHGAHasher(5, attention_weight=0.5, attention_units=3, **NET),
    SSDHHasher(5, validation_fraction=0.2, **NET),
]
DEEP = (SoftPairwiseHasher, UHGAHasher, SSDHHasher)

pytestmark = pytest.mark.filterwarnings(
    # One epoch, or a few rows, teach little.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture(scope="module")
def data():
    """Rows of three groups, and classes."""
    rng = np.random.RandomState(0)
    y = np.arange(90) % 3
    return rng.standard_normal((90, 6)) + 2 * np.eye(6)[y], y


@pytest.fixture
def there_and_back(tmp_path):
    """Save and load."""

    def save_and_load(estimator, **options):
        save_estimator(estimator, tmp_path / "e.skops")
        return load_estimator(tmp_path / "e.skops", **options)

    return save_and_load


def named(value):
    """Name a case alike in all processes of the tests: without places in memory."""
    return re.sub(r" at 0x[0-9A-F]+", "", str(value))


class TestRoundTrips:
    """What is saved comes back."""

    @pytest.mark.parametrize("hasher", HASHERS, ids=named)
    def test_every_hasher(self, hasher, data, there_and_back):
        """Projections are the same, and so are the names of the attributes."""
        hasher = clone(hasher).fit(*data)
        loaded = there_and_back(hasher)
        assert type(loaded) is type(hasher)
        assert vars(loaded).keys() == vars(hasher).keys() - {"_seen"}
        assert_array_equal(
            loaded.decision_function(data[0]), hasher.decision_function(data[0])
        )
        assert loaded.encode(data[0]) == hasher.encode(data[0])

    def test_every_public_hasher_is_there(self):
        """The list above names each."""
        public = {getattr(sklhash, name) for name in sklhash.__all__}
        hashers = {
            k for k in public if isinstance(k, type) and issubclass(k, BaseHasher)
        }
        assert {type(hasher) for hasher in HASHERS} == hashers

    @pytest.mark.parametrize(
        "hasher", [h for h in HASHERS if not isinstance(h, DEEP)], ids=named
    )
    def test_learned_from_sparse_rows(self, hasher, data, there_and_back):
        """Hashers that learned from sparse rows come back, too."""
        X = csr_array(np.where(data[0] > 0, data[0], 0))
        hasher = clone(hasher).fit(X, data[1])
        assert there_and_back(hasher).encode(X) == hasher.encode(X)

    @pytest.mark.parametrize(
        "hasher",
        [h for h in HASHERS if hasattr(h, "partial_fit")],
        ids=named,
    )
    def test_streams_go_on(self, hasher, data, there_and_back):
        """What `partial_fit` has seen is saved: both go on alike."""
        X, y = data
        hasher = clone(hasher).partial_fit(X[:60], y[:60])
        loaded = there_and_back(hasher)
        assert loaded.partial_fit(X[60:], y[60:]).encode(X) == hasher.partial_fit(
            X[60:], y[60:]
        ).encode(X)

    @pytest.mark.parametrize(
        "estimator",
        [
            HammingRetriever(ITQ(5, random_state=0), n_neighbors=3),
            HammingRetriever(ITQ(5, random_state=0), n_neighbors=3, rerank="cosine"),
            HammingRetriever(UHGAHasher(5, **NET), n_neighbors=3, metric="asymmetric"),
            make_pipeline(StandardScaler(), ITQ(5, random_state=0), HammingRetriever()),
            make_pipeline(FunctionTransformer(np.abs), ITQ(5, random_state=0)),
            GridSearchCV(
                ITQ(random_state=0), {"n_bits": [3, 4]}, scoring=map_scorer, cv=2
            ),
            GridSearchCV(
                HammingRetriever(ITQ(random_state=0), n_neighbors=3),
                {"hasher__n_bits": [3, 4]},
                cv=2,
            ),
            GridSearchCV(
                HammingRetriever(ITQ(random_state=0)),
                {"hasher__n_bits": [3, 4]},
                scoring={"a": map_scorer, "b": RetrievalScorer("ndcg")},
                refit="b",
                cv=2,
            ),
        ],
        ids=lambda estimator: re.sub(r"\s+", "", str(estimator))[:60],
    )
    def test_retrievers_pipelines_and_searches(self, estimator, data, there_and_back):
        """They come back, need no type to be trusted, and give the same answers."""
        X, y = data
        estimator = clone(estimator).fit(X, y)
        loaded = there_and_back(estimator)
        for method in ("predict", "transform"):
            if hasattr(estimator, method):
                before, after = (getattr(e, method)(X) for e in (estimator, loaded))
                if method == "transform" and hasattr(before, "toarray"):
                    before, after = before.toarray(), after.toarray()
                assert_array_equal(after, before)

    def test_gallery_of_codes(self, data, there_and_back):
        """A retriever of codes is searched as before, also if they were mapped."""
        codes = ITQ(5, random_state=0).fit(data[0]).encode(data[0])
        retriever = HammingRetriever(n_neighbors=3).fit(codes, csr_array(np.eye(90)))
        loaded = there_and_back(retriever)
        assert loaded.gallery_codes_ == codes
        assert_array_equal(loaded.kneighbors()[1], retriever.kneighbors()[1])

    def test_mapped_rows_are_read(self, data, tmp_path, there_and_back):
        """Rows on disk are in the file, as an array; nothing is mapped by loading."""
        np.save(tmp_path / "X.npy", data[0])
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
        retriever = HammingRetriever(ITQ(5, random_state=0), rerank="cosine").fit(X)
        rows = there_and_back(retriever).gallery_rows_.parts[0]
        assert type(rows) is np.ndarray
        assert_array_equal(rows, X)

    def test_shared_arrays_stay_shared(self, data, there_and_back):
        """A frozen hasher's arrays are not doubled."""
        hasher = FrozenEstimator(ITQ(5, random_state=0).fit(data[0]))
        loaded = there_and_back(HammingRetriever(hasher).fit(data[0]))
        first, second = loaded.hasher.estimator, loaded.hasher_.estimator
        assert first.components_ is second.components_

    def test_unfitted(self, there_and_back):
        """Parameters alone can be saved."""
        assert str(there_and_back(ITQ(7, tol=0.5))) == str(ITQ(7, tol=0.5))

    def test_joblib_maps_arrays(self, data, tmp_path):
        """Large arrays of a joblib file can stay on disk."""
        hasher = ITQ(5, random_state=0).fit(data[0])
        joblib.dump(hasher, tmp_path / "h.joblib")
        loaded = joblib.load(tmp_path / "h.joblib", mmap_mode="r")
        assert isinstance(loaded.components_, np.memmap)
        assert loaded.encode(data[0]) == hasher.encode(data[0])

    def test_a_file_is_replaced_only_by_a_whole_one(self, data, tmp_path):
        """A network that has been built cannot be saved, and leaves the old file."""
        import torch

        path = tmp_path / "e.skops"
        path.write_bytes(b"before")
        hasher = SoftPairwiseHasher(5, module=torch.nn.Linear(6, 5), max_epochs=1)
        with pytest.raises(TypeError, match=r"skops cannot store this SoftP.*joblib"):
            save_estimator(hasher.fit(*data), path)
        assert path.read_bytes() == b"before"
        assert os.listdir(tmp_path) == ["e.skops"]

    @pytest.mark.parametrize("estimator", ["abc", ITQ, None, [ITQ()]], ids=str)
    def test_no_estimators(self, estimator, tmp_path):
        """Only estimators are saved."""
        with pytest.raises(TypeError, match="must be one of scikit-learn's; got"):
            save_estimator(estimator, tmp_path / "e.skops")
        assert not os.listdir(tmp_path)

    @pytest.mark.parametrize("make", ["lambda", "local", "nested"])
    def test_classes_that_no_file_can_name(self, make, tmp_path):
        """It is said before anything is written."""

        def local(n_features, n_bits):
            raise AssertionError

        made = {"local": local, "nested": Subclass.Inner, "lambda": lambda a, b: None}
        hasher = SoftPairwiseHasher(module=made[make])
        with pytest.raises(
            TypeError, match=r"define it at the top of a module, or use"
        ):
            save_estimator(make_pipeline(hasher), tmp_path / "e.skops")
        assert not os.listdir(tmp_path)

    def test_caches_of_pickles(self, tmp_path):
        """Fitting such a pipeline again would open what lies in its folder."""
        pipeline = make_pipeline(ITQ(), memory=str(tmp_path))
        with pytest.raises(ValueError, match=r"Pipeline caches pickles.*memory=None"):
            save_estimator(pipeline, tmp_path / "e.skops")

    @pytest.mark.parametrize(
        "cv",
        [
            KFold(2),
            GroupKFold(2),
            PredefinedSplit([0, 1] * 45),
            RepeatedKFold(n_splits=2, n_repeats=1),
            RepeatedStratifiedKFold(n_splits=2, n_repeats=1),
            ShuffleSplit(2, random_state=np.random.RandomState(0)),
            StratifiedShuffleSplit(2),
            TimeSeriesSplit(2),
        ],
        ids=lambda cv: type(cv).__name__,
    )
    def test_splits(self, cv, data, there_and_back):
        """Searches over any of these come back without trust, and can be fitted."""
        search = GridSearchCV(HammingRetriever(ITQ()), {"hasher__n_bits": [3]}, cv=cv)
        loaded = there_and_back(search)
        assert type(loaded.cv) is type(cv)
        loaded.fit(
            *data, **({"groups": np.arange(90) // 3} if type(cv) is GroupKFold else {})
        )

    def test_without_skops(self, monkeypatch, tmp_path):
        """Both functions say how to get it."""
        monkeypatch.setitem(sys.modules, "skops.io", None)
        monkeypatch.setitem(sys.modules, "skops", None)
        for call in (load_estimator, lambda path: save_estimator(ITQ(), path)):
            with pytest.raises(ImportError, match=r'pip install "sklhash\[skops\]"'):
                call(tmp_path / "e.skops")
        assert not os.listdir(tmp_path)


def restamp(estimator, stamp):
    """Give an estimator's state another stamp, or none."""
    state = estimator.__getstate__()
    state.pop("_sklhash_stamp")
    return state if stamp is None else {**state, "_sklhash_stamp": stamp}


class TestStamps:
    """States say what wrote them."""

    MAKERS = (
        lambda X: ITQ(5, random_state=0).fit(X),
        lambda X: HammingRetriever(ITQ(5, random_state=0)).fit(X),
        lambda X: UHGAHasher(5, **NET).fit(X),
    )

    @pytest.mark.parametrize("make", MAKERS)
    def test_newer_formats_are_refused(self, make, data):
        """The message names both versions, and the way out."""
        estimator = make(data[0])
        state = restamp(estimator, (2, "9.1"))
        with pytest.raises(
            ValueError,
            match=rf"format 2 by sklhash 9\.1; this one, version {__version__}, reads "
            r"formats up to 1: upgrade sklhash, or fit",
        ):
            type(estimator).__new__(type(estimator)).__setstate__(state)
        assert state["_sklhash_stamp"] == (2, "9.1")  # the state is not changed

    @pytest.mark.parametrize("stamp", [None, (0, ""), (1, "9.9"), [1, "0.1"]])
    @pytest.mark.parametrize("make", MAKERS)
    def test_known_formats_are_taken(self, make, stamp, data):
        """Whatever version wrote them, and before there were stamps."""
        estimator = make(data[0])
        loaded = type(estimator).__new__(type(estimator))
        loaded.__setstate__(restamp(estimator, stamp))
        assert loaded.encode(data[0]) == estimator.encode(data[0])

    @pytest.mark.parametrize(
        "stamp",
        [1, "1", (), (1,), (-1, ""), (True, ""), ("1", ""), (1, 2), {}, (1.0, "")],
    )
    def test_damaged_stamps_are_refused(self, stamp, data):
        """No guess is made at what else the state may be."""
        with pytest.raises(ValueError, match="ITQ is damaged: its stamp"):
            ITQ().__setstate__(restamp(ITQ(), stamp))

    def test_states_that_are_none(self):
        """A state is a dict."""
        with pytest.raises(ValueError, match="state is list, not a dict"):
            ITQ().__setstate__([1])

    @pytest.mark.parametrize("make", MAKERS)
    def test_no_trace_on_the_estimator(self, make, data):
        """Attributes, parameters and copies are what they were."""
        estimator = make(data[0])
        for same in (
            copy.copy(estimator),
            copy.deepcopy(estimator),
            pickle.loads(pickle.dumps(estimator)),
        ):
            assert not [name for name in vars(same) if "stamp" in name]
            assert vars(same).keys() == vars(estimator).keys() - {"_seen"}
            assert str(same) == str(estimator)
        assert clone(estimator).get_params().keys() == estimator.get_params().keys()

    def test_newer_skops_files(self, data, tmp_path):
        """A file of a newer version is refused in the same words."""
        hasher = ITQ(5, random_state=0).fit(data[0])
        with rewritten(hasher, tmp_path) as schema:
            stamp = schema["content"]["content"]["_sklhash_stamp"]["content"]
            stamp[0]["content"] = "7"
        with pytest.raises(ValueError, match=r"in format 7 by sklhash 0.*: upgrade"):
            load_estimator(tmp_path / "e.skops")


class rewritten:  # noqa: N801 - a context manager, as contextlib names its own
    """Save an estimator, and let the body change the schema, or the members."""

    def __init__(self, estimator, folder):
        self.path = folder / "e.skops"
        save_estimator(estimator, self.path)
        with zipfile.ZipFile(self.path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}

    def __enter__(self):
        self.schema = json.loads(self.members["schema.json"])
        return self.schema

    def __exit__(self, *error):
        self.members["schema.json"] = json.dumps(self.schema).encode()
        self.write()

    def write(self, method=zipfile.ZIP_STORED):
        with zipfile.ZipFile(self.path, "w", method) as archive:
            for name, content in self.members.items():
                archive.writestr(name, content)


def node(loader, name, **more):
    module, _, kind = name.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": kind, **more}


def in_list(*nodes):
    return node("ListNode", "builtins.list", content=list(nodes))


def number(value):
    return node("JsonNode", "builtins.str", content=json.dumps(value))


def in_tuple(*nodes):
    return node("TupleNode", "builtins.tuple", content=list(nodes))


def array(file="big.npy"):
    return node("NdArrayNode", "numpy.ndarray", type="numpy", file=file)


def in_dict(**content):
    types = in_list(*[node("TypeNode", "builtins.str")] * len(content))
    return node("DictNode", "builtins.dict", key_types=types, content=content)


def pickled(*, call):
    """Give the pickle of a call."""

    class Call:
        def __reduce__(self):
            return call

    return pickle.dumps(Call())


def fitted_network(data, made=[]):  # noqa: B006 - it is fitted once
    """Give a small network."""
    if not made:
        made.append(SoftPairwiseHasher(5, **NET).fit(*data))
    return made[0]


PIPELINE = node("ObjectNode", "sklearn.pipeline.Pipeline", content=in_dict(
    memory=number(None)))  # fmt: skip
SCORER = node("ObjectNode", "sklearn.metrics._scorer._PassthroughScorer",
              content=in_dict(a=number(1)))  # fmt: skip
COLLIDING = [(2**61 - 1) * i for i in range(1, 3000)]

FORGERIES = {
    "object of others": (PIPELINE, r"ITQ would hold sklearn\.pipeline\.Pipeline"),
    "set": (node("SetNode", "builtins.set", content=[]), r"would hold builtins\.set"),
    "masked array": (
        node("MaskedArrayNode", "numpy.ma.MaskedArray", content={
            "data": array(), "mask": array()}), "would hold numpy.ma.MaskedArray"),
    "types of keys that are none": (
        {**in_dict(a=number(1)), "key_types": number(1)}, "has a dict that is none"),
    "functions as types of keys": (
        {**in_dict(a=number(1)), "key_types": in_list(
            node("FunctionNode", "numpy.multiply"))}, "keys are of no type"),
    "types called with keys": (
        {**in_dict(a=number(1)), "key_types": in_list(
            node("TypeNode", "builtins.list"))}, r"keys are of type builtins\.list"),
    "keys that hide": (
        {**in_dict(a=number(1)), "key_types": in_list(
            node("TypeNode", "numpy.str_"))}, r"keys are of type numpy\.str_"),
    "more types than keys": (
        {**in_dict(), "key_types": in_list(node("TypeNode", "builtins.str"))},
        "more or fewer types than keys"),
    "a type under the name of types of keys": (
        in_dict(key_types=node("FunctionNode", "numpy.multiply")), "would call numpy"),
    "arrays in an array": (
        node("NdArrayNode", "numpy.ndarray", type="json", content=[array()],
             shape=in_tuple(number(1), number(1))), "array of other than numbers"),
    "os.system": (
        node("FunctionNode", "os.system"), "os.system"),
    "main": (
        node("FunctionNode", "sklhash.cli.main"), "sklhash.cli.main"),
    "load": (
        node("TypeNode", "sklhash.codes.PackedCodes"), "makes a TypeNode of sklhash"),
    "method": (
        node("MethodNode", "sklhash.itq.ITQ", content={
            "obj": node("ObjectNode", "sklhash.itq.ITQ"), "func": "fit"}),
        "makes a MethodNode of sklhash.itq.ITQ"),
    "list of a hasher": (
        node("ListNode", "sklhash.itq.ITQ", content=[]), "makes a ListNode of sklhash"),
    "dict of a hasher": (
        {**in_dict(), "__module__": "sklhash.itq", "__class__": "ITQ"},
        "makes a DictNode of sklhash.itq.ITQ"),
    "codes without checks": (
        node("ObjectNode", "sklhash.codes.PackedCodes", content=in_dict()),
        "makes a ObjectNode of sklhash.codes.PackedCodes"),
    "partial": (
        node("PartialNode", "functools.partial", content=dict.fromkeys(
            ("func", "args", "kwds", "namespace"), number(None))), "functools.partial"),
    "partial under our name": (
        node("PartialNode", "sklhash.itq.ITQ"), "makes a PartialNode of sklhash"),
    "ufunc as a parameter": (
        node("FunctionNode", "numpy.multiply"), r"would call numpy\.multiply; if you"),
    "type as a parameter": (
        node("TypeNode", "builtins.list"), r"ITQ would call builtins\.list"),
    "network as another parameter": (
        node("TypeNode", "sklhash.deep.alexnet.AlexNet"), "ITQ would call sklhash"),
    "cached node": (
        node("CachedNode", "builtins.list"), "unknown kind 'CachedNode'"),
    "bytearray": (
        node("BytearrayNode", "builtins.bytearray"), "unknown kind 'Bytearray"),
    "no loader": (node(None, "builtins.list"), "unknown kind 'None'"),
    "unhashable loader": (node([], "builtins.list"), "unknown kind"),
    "dotted class": (
        node("TypeNode", "x.y") | {"__class__": "y.z"}, "without a type"),
    "no class": (node("TypeNode", "x.y") | {"__class__": None}, "without a type"),
    "json in json": (
        node("JsonNode", "builtins.str", content="[" * 99), "number or string"),
    "no json": (node("JsonNode", "builtins.str", content=7), "number or string"),
    "list as void": (
        node("NdArrayNode", "numpy.void", type="json", content=[], shape=number(0)),
        "makes numpy.void of a list"),
    "missing member": (
        node("NdArrayNode", "numpy.ndarray", type="numpy", file="no"), "is missing"),
    "schema as a member": (
        node("BytesNode", "builtins.bytes", file="schema.json"), "is missing"),
    "generator": (
        node("RandomGeneratorNode", "numpy.random.Generator"), "unknown kind 'RandomG"),
    "state without a position": (
        node("RandomStateNode", "numpy.random.mtrand.RandomState", content=in_dict()),
        "RandomState of no valid position"),
    "codes of another length": (
        node("ConstructorFromReduceNode", "sklhash.codes.PackedCodes",
             content=node("TupleNode", "builtins.tuple", content=[number(1)] * 2)),
        "damaged or forged .TypeError: packed must be"),
}  # fmt: skip


#: Below an estimator of others, where skops alone asks which types are trusted.
BELOW_OTHERS = {
    "colliding set": (
        node("SetNode", "builtins.set", content=[number(i) for i in COLLIDING]),
        "set of integers beyond 64 bits"),
    "set of tuples": (
        node("SetNode", "builtins.set", content=[in_tuple(number(1))]), "has a set of"),
    "colliding keys": (
        node("DictNode", "builtins.dict", key_types=in_list(
            *[node("TypeNode", "builtins.int")] * len(COLLIDING)),
            content={str(i): number(1) for i in COLLIDING}), "integers beyond 64 bits"),
    "list as masked array": (
        node("MaskedArrayNode", "numpy.ma.MaskedArray", content={
            "data": in_list(array(), array()), "mask": number(False)}),
        "masked array whose data is no array"),
    "cache of pickles": (
        node("ObjectNode", "sklearn.pipeline.Pipeline", content=in_dict(
            memory=number("/tmp"))), "Pipeline would unpickle files of a cache"),
    "crowd of objects": (
        in_list(*[node("ObjectNode", "sklearn.decomposition._pca.PCA")] * 9000),
        "more than 20 times its size"),
    "crowd of lists": (
        in_list(*[in_list()] * 30_000), "more than 20 times|more brackets"),
    "an array many times": (in_list(*[array()] * 500), "more than 20 times its size"),
}  # fmt: skip


class TestForgedSchemas:
    """What a schema may ask for."""

    @pytest.mark.parametrize(
        ("forged", "message"), BELOW_OTHERS.values(), ids=BELOW_OTHERS
    )
    def test_refused_below_others(self, forged, message, tmp_path):
        """Small files do not take long, or much memory, in estimators of others."""
        archive = rewritten(StandardScaler(), tmp_path)
        archive.members["big.npy"] = npy(np.zeros(10**6, np.uint8))
        with archive as schema:
            schema["content"]["content"]["copy"] = forged
        archive.write(zipfile.ZIP_DEFLATED)
        start = time.perf_counter()
        with pytest.raises(ValueError, match=message):
            load_estimator(archive.path)
        assert time.perf_counter() - start < 2

    def test_many_names_of_columns(self, tmp_path):
        """What is no forgery may have many nodes."""
        scaler = StandardScaler()
        scaler.feature_names_in_ = np.array([f"f{i}" for i in range(30_000)], object)
        archive = rewritten(scaler, tmp_path)
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            archive.write(method)
            loaded = load_estimator(archive.path)
            assert_array_equal(loaded.feature_names_in_, scaler.feature_names_in_)

    @pytest.mark.parametrize("slot", ["module", "optimizer", "callbacks"])
    @pytest.mark.parametrize("place", [(), ("_trained_with",)])
    def test_objects_that_would_be_called(self, slot, place, data, tmp_path):
        """An object may be a function in disguise."""
        with rewritten(fitted_network(data), tmp_path) as schema:
            content = schema["content"]["content"]
            for name in place:
                content = content[name]["content"]
            content[slot] = SCORER if slot != "callbacks" else in_list(SCORER)
        with pytest.raises(
            ValueError, match=r"would call sklearn\..*PassthroughScorer"
        ):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize("forged", [PIPELINE, in_list(), in_dict(module=SCORER)])
    def test_designs_that_are_none(self, forged, data, tmp_path):
        """A design is a dict of numbers, and nothing is called before that is known."""
        with rewritten(fitted_network(data), tmp_path) as schema:
            schema["content"]["content"]["_design"] = forged
        with pytest.raises(ValueError, match=r"would (call|hold)|parts of it are mis"):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize("name", ["shape", "n_bits", "hidden_units", "mean"])
    @pytest.mark.parametrize("value", [(5.5,), 7.5, "a", ("a",), (-1,), None])
    def test_states_of_networks(self, name, value, data):
        """States that are pickled meet the same checks."""
        hasher = fitted_network(data)
        state = {**hasher.__getstate__()}
        state["_design"] = {**state["_design"], name: value}
        with pytest.raises(ValueError, match=r"damaged: parts of it are missing"):
            SoftPairwiseHasher.__new__(SoftPairwiseHasher).__setstate__(state)

    @pytest.mark.parametrize("name", ["_design", "_trained_with", "_seed"])
    def test_states_without_a_part(self, name, data):
        """Nor may anything be missing."""
        state = {**fitted_network(data).__getstate__()}
        whole = state.pop(name)
        for value in (None, [1], {**whole, "a": 1} if name != "_seed" else "a"):
            with pytest.raises(ValueError, match=r"damaged: parts of it are missing"):
                SoftPairwiseHasher.__new__(SoftPairwiseHasher).__setstate__(
                    {**state, name: value}
                )

    def test_decoys(self, tmp_path):
        """What skops does not read is not looked at, either."""
        random = ITQ(random_state=np.random.RandomState(0))
        archive = rewritten(random, tmp_path)
        archive.members["p.npy"] = npy(np.array(10**8))
        with archive as schema:
            state = schema["content"]["content"]["random_state"]["content"]["content"]
            state["state"]["content"]["pos"] = {
                **array("p.npy"), "__class__": "int64", "content": "5"
            }  # fmt: skip
        with pytest.raises(ValueError, match="RandomState of no valid position"):
            load_estimator(archive.path)

    def test_lists_of_an_array(self, data, tmp_path):
        """No list is made an array to look at its shape."""
        archive = rewritten(ITQ(5, random_state=0).fit(data[0]), tmp_path)
        archive.members["big.npy"] = npy(np.zeros(10**6, np.uint8))
        with archive as schema:
            many = in_list(*[array()] * 5)
            schema["content"]["content"]["components_"] = many
        with pytest.raises(ValueError, match="components_ does not fit the rest"):
            load_estimator(archive.path)

    @pytest.mark.parametrize("name", ["encode", "_project", "__class__"])
    def test_attributes_that_hide_methods(self, name, tmp_path):
        """A file has no say in what a class can do."""
        with rewritten(ITQ(), tmp_path) as schema:
            state = schema["content"]
            state["content"][name] = number("x")
            state["key_types"]["content"].append(node("TypeNode", "builtins.str"))
        with pytest.raises(ValueError, match="cannot be read"):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize(("forged", "message"), FORGERIES.values(), ids=FORGERIES)
    def test_refused(self, forged, message, tmp_path):
        """Only what sklhash writes is built, in the way that it is meant to be."""
        with rewritten(ITQ(), tmp_path) as schema:
            schema["content"]["content"]["tol"] = forged
        with pytest.raises(ValueError, match=message) as error:
            load_estimator(tmp_path / "e.skops")
        assert str(tmp_path / "e.skops") in str(error.value)

    def test_what_is_trusted_exists(self):
        """Each name of the list is a class of that module: none can be a function."""
        for name in LOADER_OF:
            module, _, kind = name.rpartition(".")
            assert isinstance(getattr(importlib.import_module(module), kind), type)
        assert not any(name.startswith(("sklhash.cli", "os")) for name in LOADER_OF)

    def test_no_name_leads_to_another(self):
        """A method's name is that of its class and its own: none may be in the list."""
        for name in LOADER_OF:
            assert not any(other.startswith(name + ".") for other in LOADER_OF)

    def test_references_do_not_multiply(self, tmp_path):
        """Lists that each refer to the one before twice are no work."""
        tree = {**in_list(), "__id__": 1}
        for i in range(2, 60):
            again = {**in_list(), "__id__": i - 1}
            tree = {**in_list(tree, again), "__id__": i}
        with rewritten(ITQ(), tmp_path) as schema:
            schema["content"]["content"]["tol"] = tree
        start = time.perf_counter()
        assert isinstance(load_estimator(tmp_path / "e.skops").tol, list)
        assert time.perf_counter() - start < 5

    @pytest.mark.parametrize("depth", [80, 20_000])
    def test_deep_schemas_are_refused(self, depth, tmp_path):
        """Nesting ends before Python's stack does."""
        schema = rewritten(ITQ(), tmp_path)
        opening = json.dumps(in_list()).encode()[:-2]
        deep = opening * depth + b"]}" * depth
        text = json.loads(schema.members["schema.json"])
        text["content"]["content"]["tol"] = "HERE"
        text = json.dumps(text).encode().replace(b'"HERE"', deep)
        schema.members["schema.json"] = text
        schema.write()
        with pytest.raises(ValueError, match="cannot be read as an estimator"):
            load_estimator(schema.path)

    @pytest.mark.parametrize("text", [b"", b"[]", b"7", b"{", b"\xff", b'{"a": NaN}'])
    def test_no_schema(self, text, tmp_path):
        """JSON that is none, or another."""
        schema = rewritten(ITQ(), tmp_path)
        schema.members["schema.json"] = text
        schema.write()
        with pytest.raises(ValueError, match="cannot be read as an estimator"):
            load_estimator(schema.path)

    @pytest.mark.parametrize("protocol", [0, 99, -1, None, "2"])
    def test_other_protocols(self, protocol, tmp_path):
        """Formats of skops that are too old, too new or none."""
        with rewritten(ITQ(), tmp_path) as schema:
            schema["protocol"] = protocol
        with pytest.raises(ValueError, match="skops"):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize("position", [-1, 625, 10**9])
    def test_random_states_without_a_position(self, position, tmp_path):
        """NumPy would read memory that is not the state's."""
        with rewritten(ITQ(random_state=np.random.RandomState(0)), tmp_path) as schema:
            state = schema["content"]["content"]["random_state"]["content"]["content"]
            state["state"]["content"]["pos"]["content"] = str(position)
        with pytest.raises(ValueError, match="RandomState of no valid position"):
            load_estimator(tmp_path / "e.skops")

    def test_no_estimator(self, tmp_path):
        """A file of skops with something else in it."""
        import skops.io

        skops.io.dump([1, 2], tmp_path / "e.skops")
        with pytest.raises(ValueError, match="holds no estimator but list"):
            load_estimator(tmp_path / "e.skops")


def network(n_features, n_bits):
    """Build a network; tests trust this function."""
    import torch

    return torch.nn.Linear(n_features, n_bits)


class Subclass(ITQ):
    """Of the user."""

    class Inner:
        """Not at the top of a module."""


class TestTrusted:
    """What users trust beyond the list."""

    def test_network_of_the_user(self, data, tmp_path):
        """A network's function is called only if it is named."""
        hasher = SoftPairwiseHasher(5, module=network, max_epochs=1, random_state=0)
        save_estimator(hasher.fit(*data), tmp_path / "e.skops")
        name = f"{__name__}.network"
        with pytest.raises(ValueError, match=rf"would call {name}; if you trust"):
            load_estimator(tmp_path / "e.skops")
        for trusted in ([name], (network,)):
            loaded = load_estimator(tmp_path / "e.skops", trusted=trusted)
            assert loaded.encode(data[0]) == hasher.encode(data[0])

    def test_our_own_networks(self, data, there_and_back):
        """They need not be named."""
        from sklhash.deep.modules import MLP

        hasher = UHGAHasher(5, module=MLP, max_epochs=1, random_state=0).fit(*data)
        assert there_and_back(hasher).encode(data[0]) == hasher.encode(data[0])

    def test_unknown_types_are_named(self, tmp_path):
        """The message tells what would have to be trusted."""
        pipeline = make_pipeline(FunctionTransformer(network), ITQ())
        save_estimator(pipeline, tmp_path / "e.skops")
        with pytest.raises(
            ValueError, match=r"\.network'.*pass their names as trusted="
        ):
            load_estimator(tmp_path / "e.skops")
        loaded = load_estimator(tmp_path / "e.skops", trusted=[network])
        assert loaded[0].func is network

    def test_trust_does_not_widen_ours(self, tmp_path):
        """Types of ours, named or not, are built in one way only."""
        with rewritten(ITQ(), tmp_path) as schema:
            schema["content"]["content"]["tol"] = FORGERIES["codes without checks"][0]
        with pytest.raises(ValueError, match="makes a ObjectNode"):
            load_estimator(tmp_path / "e.skops", trusted=list(LOADER_OF))

    @pytest.mark.parametrize("item", [5, None, ITQ()], ids=str)
    def test_names_are_wanted(self, item, tmp_path):
        """What is none is named."""
        with pytest.raises(TypeError, match=rf"got {re.escape(repr(item))}"):
            load_estimator(tmp_path / "e.skops", trusted=[item])

    def test_subclasses(self, data, tmp_path):
        """Those that are trusted are held to the shapes of ours."""
        hasher = Subclass(5, random_state=0).fit(data[0])
        save_estimator(hasher, tmp_path / "e.skops")
        loaded = load_estimator(tmp_path / "e.skops", trusted=[Subclass])
        assert loaded.encode(data[0]) == hasher.encode(data[0])
        hasher.components_ = np.zeros((5, 5))
        save_estimator(hasher, tmp_path / "e.skops")
        with pytest.raises(ValueError, match="Subclass is damaged: components_"):
            load_estimator(tmp_path / "e.skops", trusted=[Subclass])

    @pytest.mark.parametrize("trusted", [True, None, 5, "sklhash.itq.ITQ", ITQ])
    def test_a_list_is_wanted(self, trusted, tmp_path):
        """One name is no list of them."""
        with pytest.raises(TypeError, match="trusted must be a list"):
            load_estimator(tmp_path / "e.skops", trusted=trusted)


class TestForgedArchives:
    """What an archive may be."""

    def test_no_file(self, tmp_path):
        """Missing files are an OSError, as elsewhere."""
        with pytest.raises(FileNotFoundError):
            load_estimator(tmp_path / "e.skops")

    def test_no_regular_file(self, tmp_path):
        """Pipes, folders and devices are not waited for."""
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
            with pytest.raises(ValueError, match="is no regular file"):
                load_estimator(path)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"noise",
            pickled(call=(os.getenv, ("HOME",))),
            b"\x93NUMPY\x01\x00",
            b"PK\x05\x06" + bytes(18),
        ],
        ids=["empty", "noise", "pickle", "npy", "empty zip"],
    )
    def test_no_archive(self, content, tmp_path):
        """The message names the file."""
        (tmp_path / "e.skops").write_bytes(content)
        with pytest.raises(
            ValueError, match=r"e\.skops' cannot be read as an estimator"
        ):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize("member", ["schema.json", "more.bin"])
    @pytest.mark.parametrize("lie", [False, True])
    def test_bombs(self, member, lie, tmp_path):
        """Megabytes of nothing are not unpacked, whatever is said of them."""
        archive, size = rewritten(ITQ(), tmp_path), 6 * 10**7
        archive.members[member] = archive.members.get(member, b"") + b" " * size
        archive.write(zipfile.ZIP_DEFLATED)
        content = archive.path.read_bytes()
        if lie:
            said = len(archive.members[member]).to_bytes(4, "little")
            content = content.replace(said, (5000).to_bytes(4, "little"))
        archive.path.write_bytes(content)
        message = "CRC" if lie else "more than 20 times its size: save it without"
        archive.members.clear()
        tracemalloc.start()
        with pytest.raises(ValueError, match=message):
            load_estimator(archive.path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20e6

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_compression(self, method, tmp_path):
        """These unpack in pieces of no bounded size."""
        archive = rewritten(ITQ(), tmp_path)
        archive.write(method)
        with pytest.raises(ValueError, match="another method than 'deflate'"):
            load_estimator(archive.path)

    def test_deflated_files_are_read(self, data, tmp_path):
        """So skops compresses, if it is told to."""
        hasher = ITQ(5, random_state=0).fit(data[0])
        archive = rewritten(hasher, tmp_path)
        archive.write(zipfile.ZIP_DEFLATED)
        assert load_estimator(archive.path).encode(data[0]) == hasher.encode(data[0])

    @pytest.mark.parametrize("hole", [b"#!/bin/sh\n", bytes(10**6)])
    def test_something_before_the_archive(self, hole, tmp_path):
        """It would be another file to others, or count as its size."""
        archive = rewritten(ITQ(), tmp_path)
        archive.path.write_bytes(hole + archive.path.read_bytes())
        with pytest.raises(ValueError, match="stands before its first member"):
            load_estimator(archive.path)

    def test_something_between_members(self, tmp_path):
        """What is not packed does not allow for more to be unpacked."""
        archive = rewritten(ITQ(), tmp_path)
        with zipfile.ZipFile(archive.path, "a") as file:
            file.fp.seek(0, io.SEEK_END)
            file.start_dir += 10**7
            file.fp.seek(file.start_dir)
            file.writestr("zeros", bytes(6 * 10**7), zipfile.ZIP_DEFLATED)
        with pytest.raises(ValueError, match="more than 20 times its size"):
            load_estimator(archive.path)

    def test_crowds(self, tmp_path):
        """Members are counted."""
        archive = rewritten(ITQ(), tmp_path)
        archive.members |= {f"{i}": b"" for i in range(50_001)}
        archive.write()
        with pytest.raises(ValueError, match="more than 50000 members"):
            load_estimator(archive.path)

    def test_two_of_a_name(self, tmp_path):
        """It would be unclear which of them counts."""
        archive = rewritten(ITQ(), tmp_path)
        with zipfile.ZipFile(archive.path, "a") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file.writestr("schema.json", b"{}")
        with pytest.raises(ValueError, match="same name"):
            load_estimator(archive.path)

    def test_brackets(self, tmp_path):
        """JSON of brackets alone would take 20 times its size, and more."""
        archive = rewritten(ITQ(), tmp_path)
        text = archive.members["schema.json"]
        archive.members["schema.json"] = (
            text[:-2] + b', "x": [' + b"[]," * 10**6 + b"0]}"
        )
        archive.write()
        with pytest.raises(ValueError, match="more brackets and commas than skops"):
            load_estimator(archive.path)


def npy(array, header=None):
    """Write an array, with a header of another."""
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    if header is None:
        return content
    length = 10 + int.from_bytes(content[8:10], "little")
    text = header.encode() + b"\n"
    return content[:8] + len(text).to_bytes(2, "little") + text + content[length:]


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}"
HEADERS = {
    "huge": HEADER.format("<f8", "999999999999999999,"),
    "product": HEADER.format("<f8", "65536, 65536, 65536, 65536"),
    "longer": HEADER.format("<f8", "7,"),
    "shorter": HEADER.format("<f8", "5,"),
    "objects": HEADER.format("|O", "6,"),
    "void": HEADER.format("|V48", "1,"),
    "none of a large item": HEADER.format("<U100000000", "0,"),
    "no type": HEADER.format("<f3", "6,"),
    "fields": "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (6,), }",
    "code": "{'descr': print(), 'fortran_order': False, 'shape': (6,), }",
    "no letters": HEADER.format("<U2", "6,"),
    "nesting": "(" * 9000,
    "minus": "-" * 9000 + "1",
}


class TestForgedArrays:
    """What an array may say of itself."""

    @pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
    def test_headers(self, header, data, tmp_path):
        """They are compared with the bytes, and not evaluated."""
        archive = rewritten(ITQ(5, random_state=0).fit(data[0]), tmp_path)
        name = next(
            n for n, c in archive.members.items() if b"'shape': (6,)" in c[:128]
        )
        archive.members[name] = npy(np.full(6, -1.0), header)
        archive.write()
        with pytest.raises(ValueError, match=r"one of its arrays|\(TypeError"):
            load_estimator(archive.path)

    def test_scalars_are_what_they_say(self, data, tmp_path):
        """An array is not handed to any type that takes one."""
        hasher = KernelSupervisedHashing(3, n_anchors=5, random_state=0).fit(*data)
        with rewritten(hasher, tmp_path) as schema:
            schema["content"]["content"]["gamma_"]["__class__"] = "void"
        with pytest.raises(
            ValueError, match=r"makes numpy\.void of an array of float64"
        ):
            load_estimator(tmp_path / "e.skops")

    def test_a_member_has_one_use(self, data, tmp_path):
        """Or it would be read again and again."""
        with rewritten(ITQ(5, random_state=0).fit(data[0]), tmp_path) as schema:
            file = schema["content"]["content"]["mean_"]["file"]
            used = node("BytesNode", "builtins.bytes", file=file)
            schema["content"]["content"]["tol"] = used
        with pytest.raises(ValueError, match="used in two ways"):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize(
        ("part", "value"), [("indices", 99), ("indices", -1), ("indptr", 10**6)]
    )
    def test_indices_out_of_a_sparse_matrix(self, part, value, data, tmp_path):
        """SciPy's compiled code would follow them."""
        labels = csr_array(np.eye(3)[data[1]])
        retriever = HammingRetriever(ITQ(5, random_state=0)).fit(data[0], labels)
        archive = rewritten(retriever, tmp_path)
        name = next(name for name in archive.members if name.endswith(".npz"))
        with np.load(io.BytesIO(archive.members[name])) as arrays:
            arrays = dict(arrays)
        arrays[part][3] = value
        file = io.BytesIO()
        np.savez(file, **arrays)
        archive.members[name] = file.getvalue()
        archive.write()
        with pytest.raises(ValueError, match="cannot be read as an estimator"):
            load_estimator(archive.path)

    def test_bombs_in_archives_in_archives(self, data, tmp_path):
        """What is packed twice is counted as what it is."""
        rows = csr_array(np.ones((90, 6)))
        retriever = HammingRetriever(ITQ(5), rerank="cosine")
        retriever.hasher = RandomHyperplaneHashing(5, random_state=0)
        archive = rewritten(retriever.fit(rows), tmp_path)
        name = next(name for name in archive.members if name.endswith(".npz"))
        file = io.BytesIO()
        np.savez_compressed(file, data=np.zeros(10**7), format=b"csr")
        archive.members[name] = file.getvalue()
        archive.write(zipfile.ZIP_DEFLATED)
        with pytest.raises(ValueError, match="unpacks to more than 20 times"):
            load_estimator(archive.path)

    def test_other_sparse_formats(self, tmp_path):
        """Only those whose indices are checked."""
        import skops.io

        steps = FunctionTransformer(kw_args={"a": dia_array(np.eye(9))})
        skops.io.dump(steps, tmp_path / "e.skops")
        with pytest.raises(ValueError, match="is DIA: use CSR or CSC"):
            load_estimator(
                tmp_path / "e.skops", trusted=["scipy.sparse._dia.dia_array"]
            )


class TestParts:
    """Estimators whose parts do not fit together."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("mean_", np.zeros(1)),
            ("mean_", np.zeros((6, 1))),
            ("components_", np.zeros((5, 5))),
            ("components_", np.zeros((5, 6), complex)),
            ("components_", None),
            ("n_bits", 7),
            ("n_features_in_", 5),
        ],
    )
    def test_hashers(self, name, value, data, tmp_path):
        """Arrays that would be broadcast are refused."""
        hasher = ITQ(5, random_state=0).fit(data[0])
        setattr(hasher, name, value)
        save_estimator(hasher, tmp_path / "e.skops")
        with pytest.raises(
            ValueError, match=r"ITQ is damaged: .* does not fit the rest"
        ):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("gallery_codes_", np.zeros((90, 1), np.uint8)),
            ("n_samples_fit_", 89),
            ("gallery_labels_", np.zeros(89)),
            ("gallery_labels_", "abc"),
            ("gallery_rows_", (np.zeros((90, 6)),)),
            ("gallery_rows_", sklhash.raw_rows.RawRows((np.zeros((89, 6)),))),
            ("gallery_rows_", sklhash.raw_rows.RawRows((np.zeros(90),))),
            ("gallery_rows_", sklhash.raw_rows.RawRows([np.zeros((90, 6))])),
            ("gallery_rows_", sklhash.raw_rows.RawRows((np.zeros((90, 6), "c8"),))),
            ("gallery_rows_", sklhash.raw_rows.RawRows((np.full((90, 6), "a"),))),
            ("hasher_", "itq"),
        ],
    )
    def test_retrievers(self, name, value, data, tmp_path):
        """Compiled searches rely on galleries of the length they are said to have."""
        retriever = HammingRetriever(ITQ(5, random_state=0)).fit(*data)
        setattr(retriever, name, value)
        save_estimator(retriever, tmp_path / "e.skops")
        with pytest.raises(ValueError, match=r"HammingRetriever is damaged|forged"):
            load_estimator(tmp_path / "e.skops")

    @pytest.mark.parametrize(
        "design",
        [
            {"n_bits": 10**9},
            {"shape": (10**9,)},
            {"hidden_units": (10**6, 10**6)},
            {"hidden_units": (1,) * 10**5},
        ],
        ids=str,
    )
    def test_networks(self, design, data, tmp_path):
        """A network that its weights would not fill is not built."""
        hasher = SoftPairwiseHasher(5, **NET).fit(*data)
        hasher._design = {**hasher._design, **design}
        save_estimator(hasher, tmp_path / "e.skops")
        with pytest.raises(ValueError, match="its design does not fit its weights"):
            load_estimator(tmp_path / "e.skops")

    def test_attention(self, data, tmp_path):
        """Nor is an attention network."""
        net = {"attention_weight": 0.5, "attention_units": 3, **NET}
        hasher = SoftPairwiseHasher(5, **net).fit(*data)
        hasher._trained_with = {**hasher._trained_with, "attention_units": 10**9}
        save_estimator(hasher, tmp_path / "e.skops")
        with pytest.raises(ValueError, match="its design does not fit its weights"):
            load_estimator(tmp_path / "e.skops")


def test_fuzzing():
    """Damaged and forged files are refused, or give an estimator, in bounded memory."""
    program = [sys.executable, HERE / "fuzz_estimator_files.py", "--files", "150"]
    limits = ["--no-torch", "--limit", "6000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run(
        [*program, *limits], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "150 files" in run.stdout


#: What `tests/frozen/make.py` printed when it wrote the files of format 1.
FROZEN = {
    "ITQ": "1a0a0a0e0e0c0c0c0c0e",
    "AnchorGraphHashing": "00000303030303030303",
    "DensitySensitiveHashing": "191b1313130307070f0d",
    "IsotropicHashing": "0303050c0c0c1e1e1e1e",
    "KernelSupervisedHashing": "161404040d0d0d0d0d0d",
    "PCAHashing": "0102020a1a1a1a1a1a1a",
    "RandomHyperplaneHashing": "00000000000001090909",
    "SSDHHasher": "09090b0a0a0a0a0a0a0a",
    "SoftPairwiseHasher": "09090b0a0a0a0a0a0a0a",
    "SpectralHashing": "1e1f1717070303030303",
    "SphericalHashing": "1d1f1f1f1e1e1a0b0b0b",
    "SupervisedDiscreteHashing": "0e0e0e0e0e0c0c0c0c0c",
    "UHGAHasher": "09090b0a0a0a0a0a0a0a",
    "HammingRetriever": "[[5, 34, 10], [5, 7, 8], [5, 7, 8], [8, 29, 38]] bccccccccc",
    "reranking": "[[34, 9, 21], [34, 9, 21], [34, 40, 29], [40, 29, 53]] aabccccccc",
}


@pytest.mark.parametrize("suffix", ["skops", "joblib"])
@pytest.mark.parametrize("name", FROZEN)
def test_frozen_files(name, suffix):
    """Files of former versions open, and give the answers that they gave."""
    path = HERE / "frozen" / f"{name}_1.{suffix}"
    load = load_estimator if suffix == "skops" else joblib.load
    make = importlib.util.spec_from_file_location("make", HERE / "frozen" / "make.py")
    module = importlib.util.module_from_spec(make)
    make.loader.exec_module(module)
    assert module.answer(load(path)) == FROZEN[name]


def test_every_hasher_is_frozen():
    """There is a file of each public hasher."""
    public = {n for n in sklhash.__all__ if hasattr(getattr(sklhash, n), "encode")}
    assert public <= FROZEN.keys()
