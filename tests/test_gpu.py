"""Deep hashers on a GPU: trained there, opened here, with nobody's numbers touched."""

import pickle
import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sklhash import (
    ITQ,
    AnchorGraphHashing,
    HammingRetriever,
    PackedCodes,
    SoftPairwiseHasher,
    SpectralHashing,
    SphericalHashing,
    SupervisedDiscreteHashing,
    UHGAHasher,
    to_torch,
)
from sklhash.hamming import _torch, top_k, within_radius
from sklhash.hamming._torch import DeviceGallery, top_k_on_device

pytestmark = pytest.mark.gpu

SMALL = {
    "n_bits": 16,
    "hidden_units": (64,),
    "lr": 0.003,
    "max_epochs": 5,
    "random_state": 0,
}

each_method = pytest.mark.parametrize("kind", [SoftPairwiseHasher, UHGAHasher])
each_weight = pytest.mark.parametrize("attention_weight", [0, 0.5])


def device_of(hasher):
    (device,) = {p.device.type for p in hasher.net_.module_.parameters()}
    return device


def on_cpu(hasher):
    """A copy that runs on the CPU."""
    hasher.set_params(device="cpu")
    try:
        copy = pickle.loads(pickle.dumps(hasher))
    finally:
        hasher.set_params(device="auto")
    assert device_of(copy) == "cpu"
    return copy


@each_method
@each_weight
def test_codes_on_the_cpu_are_those_of_the_gpu(kind, attention_weight, digits):
    """A hasher fitted on a GPU gives nearly all of its bits on a CPU."""
    X, y = digits
    hasher = kind(**SMALL, attention_weight=attention_weight).fit(X, y)
    assert device_of(hasher) == "cuda"
    codes = hasher.transform(X)
    assert isinstance(codes, np.ndarray)
    assert np.mean(on_cpu(hasher).transform(X) == codes) >= 0.999
    again = pickle.loads(pickle.dumps(hasher))
    assert device_of(again) == "cuda"
    assert_array_equal(again.transform(X), codes)


@each_method
@each_weight
def test_the_gpu_learns_what_the_cpu_learns(kind, attention_weight, digits):
    """The curves of the first epochs are those of the CPU, up to rounding."""
    X, y = digits
    params = {**SMALL, "max_epochs": 2, "attention_weight": attention_weight}
    here = kind(**params, device="cpu").fit(X, y).curves_
    there = kind(**params).fit(X, y).curves_
    assert here.keys() == there.keys()
    for name in here.keys() - {"dur", "distinct_codes"}:
        assert_allclose(there[name], here[name], rtol=0.02, atol=1e-3, err_msg=name)


@each_method
@each_weight
def test_training_that_began_there_goes_on_here(kind, attention_weight, digits):
    """State of the optimisers comes along: the next epoch is the one it would be."""
    X, y = digits
    hasher = kind(**SMALL, attention_weight=attention_weight).fit(X, y)
    copy = on_cpu(hasher).partial_fit(X, y)
    hasher.partial_fit(X, y)
    assert copy.n_iter_ == hasher.n_iter_ == 6
    for name in ("train_loss", "bit_balance"):
        assert_allclose(copy.curves_[name], hasher.curves_[name], rtol=0.02)
    assert np.mean(copy.transform(X) == hasher.transform(X)) > 0.99


@each_method
@pytest.mark.parametrize("seed", [0, None])
def test_generators_are_untouched(kind, seed, digits):
    """Neither the CPU's nor the GPU's random numbers move."""
    X, y = digits
    before = torch.get_rng_state(), torch.cuda.get_rng_state()
    hasher = kind(**{**SMALL, "random_state": seed}, attention_weight=0.5)
    pickle.loads(pickle.dumps(hasher.fit(X, y))).partial_fit(X, y).encode(X)
    assert_array_equal(torch.get_rng_state(), before[0])
    assert_array_equal(torch.cuda.get_rng_state(), before[1])


class WithDropout(nn.Module):
    """A network whose training draws random numbers on the GPU."""

    def __init__(self, n_features, n_bits):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(n_features, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3)
        )
        self.hash_layer = nn.Linear(64, n_bits)

    def forward(self, x):
        return self.hash_layer(self.backbone(x.float()))


@each_method
@each_weight
def test_same_seed_nearly_same_codes(kind, attention_weight, digits):
    """Refits and warm starts agree but for the order of the GPU's sums."""
    X, y = digits
    params = {**SMALL, "module": WithDropout, "attention_weight": attention_weight}
    params |= {"max_epochs": 2, "warm_start": True}
    with torch.random.fork_rng():
        torch.cuda.manual_seed(99)
        twice = kind(**params).fit(X, y).fit(X, y)
    whole = kind(**{**params, "max_epochs": 4}).fit(X, y)
    assert_allclose(twice.curves_["train_loss"], whole.curves_["train_loss"], rtol=0.01)
    assert np.mean(twice.transform(X) == whole.transform(X)) > 0.98


def test_threads_share_the_gpu(digits):
    """Hashers fitted at once learn what they learn one after the other."""
    X, y = digits
    hashers = [
        kind(**{**SMALL, "random_state": seed}, module=WithDropout)
        for kind in (SoftPairwiseHasher, UHGAHasher)
        for seed in (0, 1)
    ]
    codes = [hasher.fit(X, y).transform(X) for hasher in hashers]
    threads = [threading.Thread(target=h.fit, args=(X, y)) for h in hashers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for hasher, expected in zip(hashers, codes, strict=True):
        assert np.mean(hasher.transform(X) == expected) > 0.98


@each_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_rows_on_the_gpu(kind, dtype, digits):
    """Tensors that lie on the GPU are learned from and hashed there."""
    X, y = torch.tensor(digits[0]).to(dtype), digits[1]
    hasher = kind(**SMALL).fit(X.cuda(), y)
    codes = hasher.transform(X.cuda())
    assert isinstance(codes, np.ndarray)
    assert_array_equal(hasher.transform(X), codes)
    assert np.mean(kind(**SMALL).fit(X, y).transform(X) == codes) > 0.98
    here = kind(**SMALL, device="cpu").fit(X.cuda(), y)
    assert device_of(here) == "cpu"


@each_method
def test_images_on_the_gpu(kind, rng):
    """The convolutional net trains on images of bytes, from either memory."""
    images = rng.randint(0, 256, (400, 3, 16, 16)).astype(np.uint8)
    y = np.arange(400) % 4
    images[np.arange(400), y % 3] //= 1 + 3 * (y[:, None, None] > 0)
    hasher = kind(**{**SMALL, "max_epochs": 2, "batch_size": 50})
    hasher.fit(images[:190], y[:190])
    codes = hasher.transform(images)
    assert np.mean(hasher.transform(torch.tensor(images).cuda()) == codes) > 0.999
    assert np.mean(on_cpu(hasher).transform(images) == codes) > 0.99


@each_weight
def test_feature_network_on_the_gpu(attention_weight, digits):
    """A feature network is run on the GPU, and is left where it was."""
    X, _ = digits
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(64, 32), nn.Tanh())
    params = {**SMALL, "feature_module": network, "attention_weight": attention_weight}
    hasher = UHGAHasher(**params).fit(X.astype(np.float32))
    assert {p.device.type for p in network.parameters()} == {"cpu"}
    here = UHGAHasher(**params, device="cpu").fit(X.astype(np.float32))
    assert_allclose(hasher.similar_from_, here.similar_from_, atol=1e-4)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@each_method
def test_compiled_networks(kind, digits):
    """A compiled network gives nearly the codes of a plain one."""
    X, y = digits
    codes = kind(**SMALL).fit(X, y).transform(X)
    compiled = kind(**SMALL, compile=True).fit(X, y)
    assert np.mean(compiled.transform(X) == codes) > 0.98
    assert np.mean(pickle.loads(pickle.dumps(compiled)).transform(X) == codes) > 0.98


@each_method
def test_retriever_on_the_gpu(kind, digits):
    """A retriever with a hasher on the GPU encodes in several threads."""
    X, y = digits
    retriever = HammingRetriever(kind(**SMALL), n_jobs=2).fit(X[300:], y[300:])
    assert retriever.score(X[:300], y[:300]) > 0.3
    codes = retriever.hasher_.encode(np.tile(X, (10, 1)), n_jobs=2)
    assert codes[: len(X)] == retriever.hasher_.encode(X)


def test_another_gpu_than_there_is():
    """A number of a GPU that is not there is refused."""
    device = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used here"):
        UHGAHasher(device=device).fit(np.eye(4))


@pytest.mark.parametrize("n_bytes", [1, 2, 6, 8, 9, 32, 256, 257, 1000, 8192])
@pytest.mark.parametrize("n_distinct", [None, 5])
def test_search_on_the_gpu(n_bytes, n_distinct, rng):
    """Distances, positions and their order are those of the search on the CPU."""
    n_samples = 20_000 if n_bytes < 100 else 2000
    gallery = rng.randint(256, size=(n_samples, n_bytes)).astype(np.uint8)
    gallery[:, -1] &= 127  # a padding bit: 65,535 bits are the most
    if n_distinct:
        gallery = gallery[rng.randint(n_distinct, size=n_samples)]
    queries = np.vstack([gallery[:300], 127 - gallery[:5] % 128])
    held = DeviceGallery(gallery[:500], "cuda")
    held.extend(gallery[500:])
    for k in (1, 10, 1000):
        expected = top_k(queries, gallery, k)
        for found in (held.top_k(queries, k), held.top_k(queries[:300], k)):
            for part, other in zip(found, expected, strict=True):
                assert part.dtype == other.dtype
                assert_array_equal(part, other[: len(part)])
    for part, other in zip(
        held.within_radius(queries, n_bytes),
        within_radius(queries, gallery, n_bytes),
        strict=True,
    ):
        assert part.dtype == other.dtype
        assert_array_equal(part, other)


def test_search_takes_bounded_memory_of_the_gpu(rng):
    """Besides the packed codes, less than 1 GB is taken, whatever is searched."""
    for n_bytes, n_gallery, n_queries, k in [
        (8, 3_000_000, 1, 10),
        (8, 1_000_000, 2000, 1000),
        (128, 300_000, 5000, 10),
        (8192, 3000, 3000, 3000),
    ]:
        gallery = rng.randint(256, size=(n_gallery, n_bytes), dtype=np.uint8)
        held = DeviceGallery(gallery, "cuda")
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        held.top_k(gallery[:n_queries], k)
        assert torch.cuda.max_memory_allocated() - before < 1e9
        del held


def test_chunks_of_the_gpu_are_invisible(rng, monkeypatch):
    """Small blocks give the answers of large ones."""
    gallery = rng.randint(256, size=(5000, 3)).astype(np.uint8)
    expected = top_k_on_device(gallery[:100], gallery, 50, device="cuda")
    monkeypatch.setattr(_torch, "BLOCK_PAIRS", 1000)
    monkeypatch.setattr(_torch, "BLOCK_QUERIES", 7)
    monkeypatch.setattr(_torch, "ANSWERS", 900)
    found = top_k_on_device(gallery[:100], gallery, 50, device="cuda")
    for part, other in zip(found, expected, strict=True):
        assert_array_equal(part, other)


def test_a_retriever_on_the_gpu(rng):
    """It finds what one on the CPU finds, keeps its gallery there, and moves back."""
    packed = rng.randint(256, size=(5000, 8)).astype(np.uint8)
    codes = PackedCodes(packed, 64)
    expected = HammingRetriever().fit(codes)
    retriever = HammingRetriever(device="cuda").fit(codes[:4000])
    retriever.kneighbors(codes[:1])
    retriever.partial_fit(codes[4000:])
    assert retriever.index_nbytes_ == codes.nbytes
    for queries in (codes[:50], None):
        found = retriever.kneighbors(queries)
        for part, other in zip(found, expected.kneighbors(queries), strict=True):
            assert part.dtype == other.dtype
            assert_array_equal(part, other)
    other = pickle.loads(pickle.dumps(retriever)).set_params(device="cpu")
    expected = expected.kneighbors(codes[:5])
    assert_array_equal(other.kneighbors(codes[:5])[1], expected[1])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    "hasher",
    [
        ITQ(13, random_state=0),
        SpectralHashing(13, range="quantile"),
        SphericalHashing(13, max_iter=300, random_state=0),
        SupervisedDiscreteHashing(13, n_anchors=100, random_state=0),
        AnchorGraphHashing(13, n_anchors=100, random_state=0),
        UHGAHasher(**SMALL),
    ],
    ids=lambda hasher: type(hasher).__name__,
)
def test_modules_on_the_gpu(hasher, digits, rng):
    """A module that has moved there gives the codes of the CPU, and so if compiled."""
    X, y = digits
    X = X + rng.standard_normal(X.shape)  # no row lies on a boundary
    packing = to_torch(hasher.fit(X, y), output="packed").cuda()
    module, rows = to_torch(hasher), torch.tensor(X)
    expected = hasher.transform(X)
    assert np.mean(module(rows).numpy() == expected) >= 0.999
    codes = module.cuda()(rows.cuda())
    assert codes.is_cuda
    assert np.mean(codes.cpu().numpy() == expected) >= 0.999
    packed = PackedCodes(packing(rows.cuda()).cpu().numpy(), packing.n_bits)
    assert packed == PackedCodes.from_codes(codes.cpu().numpy())
    compiled = torch.compile(module)(rows.cuda())
    assert np.mean(compiled.cpu().numpy() == expected) >= 0.999
