"""Hashers as PyTorch modules and ONNX files: the same codes, wherever they run."""

import copy
import logging
import pickle
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from torch import nn

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
    to_onnx,
    to_torch,
)
from sklhash.encoding import encode_with
from sklhash.linear import LinearHasher

SEED = {"random_state": 0}
SMALL = {"hidden_units": (32,), "max_epochs": 3, "random_state": 0, "device": "cpu"}

HASHERS = {
    "itq": ITQ(13, **SEED),
    "itq_cca": ITQ(13, projection="cca", **SEED),
    "pca": PCAHashing(13),
    "lsh": RandomHyperplaneHashing(13, **SEED),
    "isohash": IsotropicHashing(13, **SEED),
    "dsh": DensitySensitiveHashing(13, **SEED),
    "spectral": SpectralHashing(13),
    "spectral_quantile": SpectralHashing(70, range="quantile"),
    "spherical": SphericalHashing(13, max_iter=300, **SEED),
    "ksh": KernelSupervisedHashing(13, n_anchors=100, **SEED),
    "sdh": SupervisedDiscreteHashing(13, n_anchors=100, **SEED),
    "agh": AnchorGraphHashing(13, n_anchors=100, **SEED),
    "agh_one_layer": AnchorGraphHashing(13, n_anchors=100, n_layers=1, **SEED),
    "soft_pairwise": SoftPairwiseHasher(13, **SMALL),
    "uhga": UHGAHasher(13, continuation=0.005, **SMALL),
    "ssdh": SSDHHasher(13, center=True, **SMALL),
}
PIPELINES = {
    "every_step": make_pipeline(
        Normalizer("l1"),
        StandardScaler(),
        PCA(22, whiten=True),
        Normalizer(),
        TruncatedSVD(20, **SEED),
        Normalizer("max"),
        PCAHashing(13),
    ),
    "unscaled": make_pipeline(StandardScaler(with_std=False), None, PCAHashing(13)),
    "uncentred": make_pipeline(StandardScaler(with_mean=False), PCAHashing(13)),
    "deep": make_pipeline(StandardScaler(), "passthrough", UHGAHasher(13, **SMALL)),
    "nested": make_pipeline(
        StandardScaler(),
        make_pipeline(PCA(20), SphericalHashing(13, tol_std=9, **SEED)),
    ),
    "of_codes": make_pipeline(ITQ(13, **SEED), HammingRetriever()),
    "retriever": make_pipeline(StandardScaler(), HammingRetriever(ITQ(13, **SEED))),
    "retriever_of_a_pipeline": HammingRetriever(
        make_pipeline(StandardScaler(), ITQ(13, **SEED))
    ),
    "search": GridSearchCV(HammingRetriever(ITQ(13, **SEED)), {"hasher__n_bits": [9]}),
}
EVERYTHING = HASHERS | PIPELINES

#: One of each formula. Linear ones and networks have ONNX tests of their own.
FORMULAS = ("spectral_quantile", "spherical", "sdh", "agh", "every_step")

each_hasher = pytest.mark.parametrize("name", HASHERS)


@pytest.fixture(scope="module")
def data():
    """Rows in groups, not around 0, to learn from; others to hash; classes."""
    rng = np.random.RandomState(0)
    y = np.arange(1200) % 6
    X = 2 * rng.standard_normal((6, 24))[y] + rng.standard_normal((1200, 24)) + 9
    return X[:600], y[:600], X[600:]


@pytest.fixture(scope="module")
def fitted(data):
    """Fits each estimator once."""
    X, y, _ = data
    cache = {}

    def fit(name):
        if name not in cache:
            cache[name] = copy.deepcopy(EVERYTHING[name]).fit(X, y)
        return cache[name]

    return fit


@pytest.fixture(scope="module")
def images():
    """Images of bytes, of four kinds."""
    rng = np.random.RandomState(0)
    kinds = rng.randint(0, 256, (4, 3, 8, 8))
    noise = rng.randint(-60, 60, (300, 3, 8, 8))
    return np.clip(kinds[np.arange(300) % 4] + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def convnet(images):
    """A hasher of images."""
    return UHGAHasher(13, **SMALL, batch_size=50).fit(images)


def unpacked(packed, n_bits):
    return np.unpackbits(packed, axis=1, count=n_bits, bitorder="little")


def run_onnx(path, rows):
    """What ONNX Runtime makes of rows."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"rows": rows})[0]


@pytest.fixture(scope="module")
def operators():
    """What PyTorch reads in each export, half of its time; here it is read once."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        read = cache(ONNXRegistry.from_torchlib)
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(read))
        yield read


@pytest.fixture
def onnx(tmp_path, operators):
    """Export to ONNX and run; skipped where the extra is missing."""

    def export_and_run(hasher, rows, name="hasher.onnx", **options):
        path = tmp_path / name
        to_onnx(hasher, path, **options)
        return run_onnx(path, rows)

    return export_and_run


# PyTorch


@pytest.mark.parametrize("name", EVERYTHING)
def test_codes_are_the_hashers(name, fitted, data):
    """Codes of rows not learned from are those of the hasher, in all forms."""
    hasher, (_, _, X) = fitted(name), data
    expected = encode_with(hasher, X)
    codes = to_torch(hasher)(torch.tensor(X))
    packed = to_torch(hasher, output="packed")(torch.tensor(X))
    assert codes.dtype == packed.dtype == torch.uint8
    assert_array_equal(codes, unpacked(expected.packed, expected.n_bits))
    assert PackedCodes(packed.numpy(), expected.n_bits) == expected


@each_hasher
def test_projections_are_the_hashers(name, fitted, data):
    """Projections are those of `decision_function`, up to rounding."""
    hasher, (_, _, X) = fitted(name), data
    projections = to_torch(hasher, output="projections")(torch.tensor(X))
    expected = hasher.decision_function(X)
    assert str(projections.dtype) == f"torch.{expected.dtype}"
    assert_allclose(projections, expected, rtol=1e-9, atol=1e-9)


@each_hasher
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8], ids=str)
def test_any_dtype(name, dtype, fitted, data):
    """Rows of other dtypes get the codes of the same numbers, but for rounding."""
    hasher, rows = fitted(name), torch.tensor(data[2]).to(dtype)
    expected = hasher.transform(rows.numpy().astype(np.float64))
    codes = to_torch(hasher)(rows)
    assert np.mean(codes.numpy() == expected) > 0.9999
    assert np.mean(hasher.transform(rows.numpy()) == codes.numpy()) > 0.999


@each_hasher
def test_single_precision(name, fitted, data):
    """A module told to compute in float32 does, and gives nearly all bits."""
    hasher, (_, _, X) = fitted(name), data
    module = to_torch(hasher, output="projections").float()
    projections = module(torch.tensor(X))
    assert projections.dtype == torch.float32
    assert np.mean((projections > 0).numpy() == hasher.transform(X)) > 0.995


@pytest.mark.parametrize("n_bits", [1, 7, 8, 9, 64, 65])
def test_packed_bytes(n_bits, data):
    """Bit j is bit j % 8 of byte j // 8; what is left over is zero."""
    X, _, _ = data
    hasher = RandomHyperplaneHashing(n_bits, **SEED).fit(X)
    packed = to_torch(hasher, output="packed")(torch.tensor(X)).tolist()
    for row, code in zip(packed[:20], hasher.transform(X[:20]), strict=True):
        number = sum(byte << (8 * i) for i, byte in enumerate(row))
        assert len(row) == -(-n_bits // 8)
        assert number == sum(int(bit) << j for j, bit in enumerate(code))


def test_batches(fitted, data):
    """A row's code does not hang on its batch; there may be no row at all."""
    rows = torch.tensor(data[2])
    for name in HASHERS:
        module = to_torch(fitted(name), output="packed")
        codes = module(rows)
        assert torch.equal(module(rows[7:8]), codes[7:8])
        assert module(rows[:0]).shape == (0, 2 if name != "spectral_quantile" else 9)


def test_images(convnet, images):
    """A network for images gives its codes; bytes are read as bytes."""
    module = to_torch(convnet)
    assert_array_equal(module(torch.tensor(images)), convnet.transform(images))
    halves = images.astype(np.float32) / 255
    assert_array_equal(module(torch.tensor(halves)), convnet.transform(halves))


class Own(nn.Module):
    """A network that takes single precision only, with dropout."""

    def __init__(self, n_features, n_bits):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(n_features, 16), nn.Dropout(0.5))
        self.hash_layer = nn.Linear(16, n_bits)

    def forward(self, x):
        assert x.dtype == torch.float32
        return self.hash_layer(self.backbone(x - 9))


@pytest.mark.parametrize("compiled", [False, True])
def test_own_network(compiled, data, monkeypatch):
    """A network of the user's gets single precision, and leaves nothing out."""
    compile_ = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda m: compile_(m, backend="eager"))
    X, y, _ = data
    hasher = SoftPairwiseHasher(13, module=Own, compile=compiled, **SMALL).fit(X, y)
    module = to_torch(hasher)
    assert_array_equal(module(torch.tensor(X)), hasher.transform(X))
    assert not module.training


def test_hasher_stays_as_it_is(fitted, data):
    """Module and hasher share nothing: neither sees what happens to the other."""
    X, _, rows = data
    for name in ("itq", "spherical", "agh", "uhga"):
        hasher = copy.deepcopy(fitted(name))
        codes = hasher.transform(rows)
        module = to_torch(hasher)
        with torch.no_grad():
            for tensor in [*module.parameters(), *module.buffers()]:
                tensor.zero_()
        assert_array_equal(hasher.transform(rows), codes)
        module = to_torch(hasher)
        hasher.set_params(random_state=1).fit(X[::2] + 1)
        assert_array_equal(module(torch.tensor(rows)), codes)


def test_weights_ask_for_no_gradients(fitted, data):
    """Weights are fixed; rows may have gradients, as projections depend on them."""
    for name in ("itq", "uhga"):
        module = to_torch(fitted(name), output="projections")
        assert not any(p.requires_grad for p in module.parameters())
        rows = torch.tensor(data[2][:5], requires_grad=True)
        module(rows).sum().backward()
        assert (rows.grad != 0).any()


def test_state_dict_and_pickles(fitted, data):
    """Constants lie in the state dict; pickles and copies give the same codes."""
    rows = torch.tensor(data[2])
    for name in HASHERS:
        module = to_torch(fitted(name))
        other = to_torch(fitted(name))
        for tensor in other.state_dict().values():
            tensor.zero_()
        other.load_state_dict(module.state_dict())
        for again in (other, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert torch.equal(again(rows), module(rows))
            assert (again.n_bits, again.output) == (module.n_bits, "codes")


def test_streams_learn_first(data):
    """A hasher that has seen rows by `partial_fit` learns before it is copied."""
    X, _, rows = data
    for kind in (ITQ, SpectralHashing, SphericalHashing, DensitySensitiveHashing):
        hasher = kind(13, **SEED)
        if kind is SphericalHashing:
            hasher.set_params(tol_std=9, tol_mean=9)
        hasher.partial_fit(X[:300]).partial_fit(X[300:])
        module = to_torch(hasher)
        assert_array_equal(module(torch.tensor(rows)), hasher.transform(rows))


def test_fitted_on_sparse_rows(data):
    """Sparse anchors are made dense; read-only constants will do."""
    X, y, _ = data
    X = np.where(X > 9, X - 9, 0)
    for name in ("ksh", "agh", "spherical", "dsh"):
        hasher = copy.deepcopy(HASHERS[name])
        if name == "spherical":
            hasher.set_params(tol_std=9, tol_mean=9)
        hasher.fit(csr_array(X), y)
        assert_array_equal(to_torch(hasher)(torch.tensor(X)), hasher.transform(X))
    hasher = ITQ(13, **SEED).fit(X)
    hasher.components_.flags.writeable = hasher.mean_.flags.writeable = False
    assert_array_equal(to_torch(hasher)(torch.tensor(X)), hasher.transform(X))


def test_far_rows_and_narrow_kernels(data):
    """Weights of anchors neither underflow nor become NaN."""
    X, _, rows = data
    hasher = AnchorGraphHashing(5, n_anchors=50, bandwidth=1e-3, **SEED).fit(X)
    rows = np.vstack([rows, 1e6 * rows])
    module = to_torch(hasher, output="projections")
    assert_allclose(module(torch.tensor(rows)), hasher.decision_function(rows))


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64"])
def test_rows_near_zero(norm, dtype, data):
    """A Normalizer leaves the rows alone that scikit-learn's does, in any dtype."""
    X = data[2] - 9
    normalizer, identity = Normalizer(norm), RandomHyperplaneHashing(24, **SEED).fit(X)
    identity.mean_, identity.components_ = np.zeros(24), np.eye(24)
    module = to_torch(make_pipeline(normalizer.fit(X), identity), output="projections")
    for scale in (1, 1e-4, 1e-7, 1e-16, 1e-40, 0):
        rows = (scale * X).astype(dtype)
        rtol = 1e-2 if dtype == "float16" else 1e-6
        scaled = normalizer.transform(rows)
        assert_allclose(module(torch.tensor(rows)), scaled, rtol=rtol, atol=0)


def test_normalizers_need_not_be_fitted(fitted, data):
    """A Normalizer that never saw rows keeps the number of features."""
    pipeline = make_pipeline(Normalizer(), fitted("itq"))
    X = torch.tensor(data[2])
    assert_array_equal(to_torch(pipeline)(X), pipeline.transform(data[2]))
    integers, module = (100 * X).long(), to_torch(pipeline, output="projections")
    assert module(integers).dtype == torch.float64
    assert module.float()(integers).dtype == torch.float32
    with pytest.raises(ValueError, match=r"\(n_samples, 24\)"):
        module(X[:, :23])


def test_other_default_devices(fitted, data):
    """Modules lie on the CPU, wherever new tensors would."""
    X = torch.tensor(data[2])
    expected = {name: to_torch(fitted(name))(X) for name in (*HASHERS, "every_step")}
    with torch.device("meta"):
        for name, codes in expected.items():
            module = to_torch(fitted(name), output="packed")
            tensors = [*module.parameters(), *module.buffers()]
            assert {tensor.device.type for tensor in tensors} == {"cpu"}
            assert_array_equal(unpacked(module(X), codes.shape[1]), codes)


def test_frozen_hashers(fitted, data):
    """A frozen hasher stands for itself."""
    X = data[2]
    module = to_torch(FrozenEstimator(fitted("itq")))
    assert_array_equal(module(torch.tensor(X)), fitted("itq").transform(X))


# Compiled and exported


@pytest.mark.parametrize("name", ["spherical", "agh", "uhga", "every_step"])
def test_compiled_and_exported_whole(name, fitted, data):
    """The graph is captured without a break, for batches of any size."""
    torch.compiler.reset()  # only so many modules of one class may be compiled
    module, rows = to_torch(fitted(name), output="packed"), torch.tensor(data[2])
    expected = module(rows)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(rows), expected)
    program = torch.export.export(
        module, (rows[:2],), dynamic_shapes=({0: torch.export.Dim("n_samples")},)
    )
    exported = program.module()
    assert torch.equal(exported(rows), expected)
    assert torch.equal(exported(rows[:1]), expected[:1])
    with pytest.raises(AssertionError, match="Guard failed"):
        exported(rows[:, :1])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # that shapes are fixed
def test_traced(fitted, data):
    """`torch.jit.trace` gives the same codes, for as long as there is one."""
    rows = torch.tensor(data[2])
    for name in ("itq", "sdh", "uhga"):
        module = to_torch(fitted(name), output="packed")
        assert torch.equal(torch.jit.trace(module, (rows[:2],))(rows), module(rows))


@pytest.mark.usefixtures("operators")
def test_programs_run_without_sklhash(fitted, data, tmp_path):
    """A saved program gives the codes in a process that never imports sklhash."""
    pytest.importorskip("onnxruntime")
    hasher, rows = fitted("uhga"), torch.tensor(data[2])
    program = torch.export.export(to_torch(hasher), (rows,))
    torch.export.save(program, tmp_path / "hasher.pt2")
    to_onnx(hasher, tmp_path / "hasher.onnx")
    np.save(tmp_path / "rows.npy", rows.numpy())
    np.save(tmp_path / "codes.npy", hasher.transform(rows.numpy()))
    script = """
import sys
sys.modules["sklhash"] = None  # importing it would fail
import numpy as np, onnxruntime, torch
torch.set_num_threads(1)
rows, codes = np.load("rows.npy"), np.load("codes.npy")
session = onnxruntime.InferenceSession("hasher.onnx")
assert (session.run(None, {"rows": rows})[0] == codes).all()
module = torch.export.load("hasher.pt2").module()
assert (module(torch.tensor(rows)).numpy() == codes).all()
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


# ONNX


@pytest.mark.parametrize("n_bits", [31, 64, 100, 256])
@pytest.mark.parametrize("kind", ["random", "learned"])
def test_codes_and_neighbors_of_ten_thousand_rows(kind, n_bits, onnx):
    """Module and ONNX Runtime give the codes, and the neighbours, of the hasher."""
    rng = np.random.RandomState(n_bits)
    X = rng.standard_normal((10_000, 300)) + 10
    hasher = RandomHyperplaneHashing(n_bits, **SEED)
    if kind == "learned":
        X[:, :40] *= 4  # so that there is something to learn
        hasher = ITQ(n_bits, max_samples=2000, max_iter=10, **SEED)
    retriever = HammingRetriever(hasher).fit(X)
    found = onnx(retriever, X, output="packed")
    assert_array_equal(found, retriever.gallery_codes_.packed)
    module = to_torch(retriever, output="packed")
    assert_array_equal(module(torch.tensor(X)), found)
    ours = HammingRetriever().fit(PackedCodes(found, n_bits))
    for part, expected in zip(
        ours.kneighbors(PackedCodes(found, n_bits)[:500]),
        retriever.kneighbors(X[:500]),
        strict=True,
    ):
        assert_array_equal(part, expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_onnx_gives_the_codes(name, fitted, data, onnx):
    """Every formula runs in ONNX Runtime, with batches of other sizes than traced."""
    hasher, (_, _, X) = fitted(name), data
    X = np.vstack([X, 1e-17 * X])  # a Normalizer leaves the latter alone
    found = onnx(hasher, X, output="packed")
    assert_array_equal(found, encode_with(hasher, X).packed)


def test_onnx_of_images(convnet, images, onnx, tmp_path):
    """Images of bytes go in; outputs and metadata say what they are."""
    found = onnx(convnet, images, output="projections", dtype="uint8")
    assert_allclose(found, convnet.decision_function(images), atol=1e-5)
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(tmp_path / "hasher.onnx")
    assert session.get_modelmeta().custom_metadata_map == {"n_bits": "13"}
    assert [output.name for output in session.get_outputs()] == ["projections"]
    assert session.get_inputs()[0].shape == ["n_samples", 3, 8, 8]
    contents = (tmp_path / "hasher.onnx").read_bytes()
    assert b".py" not in contents  # names of files on this machine
    assert str(Path.cwd()).encode() not in contents


def test_onnx_in_single_precision(fitted, data, onnx, tmp_path):
    """Rows of float32 go in, and are projected in float64.

    Neither another suffix nor another default device changes that.
    """
    hasher, rows = fitted("itq"), data[2].astype(np.float32)
    with torch.device("meta"):
        found = onnx(hasher, rows, name="hasher.json", dtype="float32")
    assert found.dtype == np.uint8
    assert_array_equal(found, hasher.transform(rows.astype(np.float64)))
    with pytest.raises(Exception, match="Unexpected input data type"):
        run_onnx(tmp_path / "hasher.json", data[2])


def test_onnx_is_quiet(fitted, onnx, operators, tmp_path, capfd, caplog, monkeypatch):
    """Nothing is printed, nor logged, about packages that are not needed."""
    operators.cache_clear()
    monkeypatch.setattr(logging.getLogger("torch"), "propagate", True)
    to_onnx(fitted("itq"), tmp_path / "hasher.onnx")
    assert capfd.readouterr() == ("", "")
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warned == []


# What is refused


class OwnFormula(LinearHasher):
    """A linear hasher whose projections are others."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        self.mean_, self.components_ = np.zeros(X.shape[1]), np.eye(X.shape[1])
        return self

    def _project(self, X):
        return np.sin(X)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (OwnFormula(), "to_torch does not know OwnFormula: give one of sklhash's"),
        (PCA(5), "to_torch does not know PCA: give one of sklhash's"),
        (type("Shifted", (ITQ,), {"transform": ITQ.encode})(5), "not know Shifted"),
        (type("Odd", (ITQ,), {"decision_function": abs})(5), "not know Odd"),
        (type("Even", (UHGAHasher,), {"encode": abs})(5, **SMALL), "not know Even"),
        (make_pipeline(MinMaxScaler(), ITQ(5)), "step MinMaxScaler: before a hasher"),
        (make_pipeline(ITQ(5), ITQ(3)), "does not know the step ITQ"),
        (HammingRetriever(), "HammingRetriever holds no hasher"),
        (HammingRetriever(PCA(5)), "to_torch does not know PCA"),
    ],
)
def test_unknown_formulas(estimator, message, data):
    """What is not known is refused by name, with what is."""
    with pytest.raises(TypeError, match=message):
        to_torch(estimator.fit(data[0]))


@pytest.mark.parametrize("wrong", [object(), None, "itq", BaseEstimator])
def test_no_estimator(wrong):
    """What is no estimator at all is refused."""
    with pytest.raises(TypeError, match="give one of sklhash's"):
        to_torch(wrong)


@pytest.mark.parametrize(
    "estimator",
    [
        ITQ(),
        UHGAHasher(),
        HammingRetriever(ITQ()),
        make_pipeline(StandardScaler(), ITQ()),
        GridSearchCV(HammingRetriever(ITQ()), {"hasher__n_bits": [8]}),
    ],
    ids=["hasher", "deep", "retriever", "pipeline", "search"],
)
def test_not_fitted(estimator):
    """What has not been fitted has no codes."""
    with pytest.raises(NotFittedError):
        to_torch(estimator)


def test_other_outputs(fitted, tmp_path):
    """Outputs and dtypes that there are not are refused before work."""
    with pytest.raises(ValueError, match=r"output must be one of .*; got 'bits'"):
        to_torch(fitted("itq"), output="bits")
    pytest.importorskip("onnxscript")
    for dtype in ("float16", ["float32"], np.float32, None):
        message = rf"dtype must be one of .*; got {re.escape(repr(dtype))}"
        with pytest.raises(ValueError, match=message):
            to_onnx(fitted("itq"), tmp_path / "hasher.onnx", dtype=dtype)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(24,), (5, 1), (5, 23), (5, 24, 1), (24, 5)])
def test_other_shapes(shape, fitted, convnet):
    """Rows of another width are refused, not broadcast."""
    message = r"x must have shape \(n_samples, 24\); got \("
    with pytest.raises(ValueError, match=message):
        to_torch(fitted("itq"))(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"\(n_samples, 3, 8, 8\); got"):
        to_torch(convnet)(torch.zeros(2, 3, 8, 9))


def test_complex_rows(fitted, data):
    """Complex rows are refused, as scikit-learn does; none loses a part silently."""
    rows = torch.tensor(data[2], dtype=torch.complex64)
    for name in ("itq", "every_step", "uhga"):
        with pytest.raises(ValueError, match=r"real numbers; got torch\.complex64"):
            to_torch(fitted(name))(rows)


def test_missing_extra(fitted, monkeypatch):
    """Without the package, the error names what installs it."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r'pip install "sklhash\[onnx\]"'):
        to_onnx(fitted("itq"), "hasher.onnx")
