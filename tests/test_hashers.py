"""What holds for every hasher."""

import inspect
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

import sklhash
from sklhash import (
    ITQ,
    AnchorGraphHashing,
    DensitySensitiveHashing,
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
from sklhash.base import BaseHasher
from sklhash.testing import HASHER_CHECKS

NET = {"hidden_units": (64,), "max_epochs": 3, "random_state": 0}
HASHERS = [
    ITQ(n_bits=12, random_state=0),
    ITQ(n_bits=70, max_samples=500, random_state=1),
    ITQ(n_bits=12, projection="cca", random_state=0),
    RandomHyperplaneHashing(n_bits=12, random_state=0),
    RandomHyperplaneHashing(n_bits=70, center=False, orthogonal=True, random_state=0),
    PCAHashing(n_bits=12),
    PCAHashing(n_bits=70, rotation="random", random_state=0),
    SpectralHashing(n_bits=12, random_state=0),
    SpectralHashing(n_bits=70, range="quantile", max_samples=500, random_state=0),
    SphericalHashing(n_bits=12, random_state=0),
    SphericalHashing(n_bits=70, stop="cpp", max_samples=900, random_state=0),
    DensitySensitiveHashing(n_bits=12, random_state=0),
    DensitySensitiveHashing(n_bits=70, alpha=1, max_samples=900, random_state=0),
    IsotropicHashing(n_bits=12, random_state=0),
    AnchorGraphHashing(n_bits=12, n_anchors=60, random_state=0),
    AnchorGraphHashing(n_bits=41, n_anchors=60, n_layers=1, random_state=0),
    KernelSupervisedHashing(n_bits=12, n_anchors=100, max_samples=500, random_state=0),
    KernelSupervisedHashing(n_bits=33, n_anchors=50, max_samples=300, random_state=0),
    SupervisedDiscreteHashing(n_bits=12, n_anchors=200, random_state=0),
    SupervisedDiscreteHashing(n_bits=33, n_anchors=100, max_iter=2, random_state=0),
    SoftPairwiseHasher(n_bits=12, **NET),
    UHGAHasher(n_bits=33, validation_fraction=0.1, **NET),
    UHGAHasher(n_bits=9, attention_weight=1, attention_units=4, batch_size=64, **NET),
    SSDHHasher(n_bits=12, width=1, **NET),
]


@pytest.mark.parametrize("check", HASHER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("hasher", HASHERS, ids=str)
def test_contract(hasher, check, digits):
    """Every hasher keeps the library's promises."""
    check(clone(hasher), *digits)


def test_every_public_hasher_is_checked():
    """The list above names each public hasher."""
    public = {
        value
        for value in (getattr(sklhash, name) for name in sklhash.__all__)
        if inspect.isclass(value) and issubclass(value, BaseHasher)
    }
    assert {type(hasher) for hasher in HASHERS} == public
    assert len(HASHER_CHECKS) >= 12


def test_codes_are_the_same_in_another_process(digits):
    """Same random state, same codes, also in a process of their own."""
    X, y = digits
    here = [joblib.hash(clone(hasher).fit(X, y).encode(X).packed) for hasher in HASHERS]
    program = (
        "import sys, pickle, joblib; X, y, hashers = pickle.load(sys.stdin.buffer);"
        "print(*(joblib.hash(h.fit(X, y).encode(X).packed) for h in hashers))"
    )
    there = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps((X, y, HASHERS)),
        capture_output=True,
        check=True,
    )
    assert there.stdout.decode().split() == here


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_encoding_a_mapped_file_takes_little_memory(dtype, tmp_path, rng):
    """Codes of rows on disk are made batch by batch, conversions included."""
    X = rng.randint(256, size=(60_000, 64)).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    hasher = ITQ(16, random_state=0).fit(X[:1000])
    tracemalloc.start()
    codes = hasher.encode(mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes == hasher.encode(X)
    assert peak < 15e6  # 31 MB of the rows in double precision


class MedianHashing(BaseHasher):
    """A third party's hasher: `fit`, `_project`, and nothing else."""

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X, y=None):
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64)
        self.median_ = np.median(X.toarray() if sp.issparse(X) else X, axis=0)
        return self

    def _project(self, X):
        rows = X.toarray() if sp.issparse(X) else X
        return (rows - self.median_)[:, np.arange(self.n_bits) % rows.shape[1]]


@pytest.mark.parametrize("check", HASHER_CHECKS, ids=lambda check: check.__name__)
def test_base_gives_third_parties_the_contract(check, digits):
    """A hasher of two methods keeps all promises."""
    check(MedianHashing(n_bits=20), *digits)
    names = MedianHashing(n_bits=2).fit(*digits).get_feature_names_out()
    assert names.tolist() == ["medianhashing0", "medianhashing1"]


@parametrize_with_checks([MedianHashing()])
def test_base_gives_third_parties_scikit_learns_checks(estimator, check):
    """A hasher of two methods passes scikit-learn's checks."""
    check(estimator)


class Flawed(RandomHyperplaneHashing):
    """A hasher that breaks one promise."""

    def __init__(self, flaw="", n_bits=8, random_state=0):
        super().__init__(n_bits, random_state=random_state)
        self.flaw = flaw

    def fit(self, X, y=None):
        if self.flaw == "on disk":
            self.shift_ = float(isinstance(X, np.memmap))
        if self.flaw == "writes":
            X[0] = 0
        if self.flaw == "non-finite":
            X = np.nan_to_num(X, posinf=0)
        if self.flaw == "global":
            np.random.random_sample()
        return super().fit(X, y)

    def _project(self, X):
        projections = super()._project(X)
        if self.flaw == "batch":
            return projections - projections[-1]
        if self.flaw == "noise":
            return np.random.RandomState().standard_normal(projections.shape)
        if self.flaw == "single" and X.dtype == np.float32:
            return -projections
        if self.flaw == "sparse" and sp.issparse(X):
            return -projections
        if self.flaw == "on disk" and self.shift_:
            return -projections
        return projections

    def transform(self, X):
        if self.flaw == "unfitted" and not hasattr(self, "mean_"):
            return X > 0
        codes = super().transform(X)
        return 1 - codes if self.flaw == "sign" else codes

    def encode(self, X, *, n_jobs=None):
        codes = super().encode(X, n_jobs=n_jobs)
        return codes[::-1] if self.flaw == "order" else codes


FLAWS = {
    "check_bits_are_signs": "sign",
    "check_encode_packs_transform": "order",
    "check_batches_are_invisible": "batch",
    "check_same_seed_same_codes": "noise",
    "check_global_random_state_untouched": "global",
    "check_input_unchanged": "writes",
    "check_rows_are_independent": "batch",
    "check_float32_agrees": "single",
    "check_sparse_agrees": "sparse",
    "check_memory_map_agrees": "on disk",
    "check_non_finite_rejected": "non-finite",
    "check_unfitted_rejected": "unfitted",
}


@pytest.mark.parametrize("check", HASHER_CHECKS, ids=lambda check: check.__name__)
def test_check_catches_its_flaw(check, digits):
    """Each check passes a sound hasher and fails one with the flaw it looks for."""
    check(Flawed(), *digits)
    with pytest.raises((AssertionError, ValueError)):
        check(Flawed(FLAWS[check.__name__]), *digits)


STREAMS = [
    ITQ(16, max_samples=1000, random_state=0),
    ITQ(16, max_samples=1000, subsample="all", random_state=0),
    PCAHashing(16),
    IsotropicHashing(16, random_state=0),
    AnchorGraphHashing(16, n_anchors=50, max_samples=1000, random_state=0),
    RandomHyperplaneHashing(16, random_state=0),
    SpectralHashing(16, max_samples=1000, random_state=0),
    SphericalHashing(16, max_samples=1000, random_state=0),
    DensitySensitiveHashing(16, max_samples=1000, random_state=0),
    UHGAHasher(16, hidden_units=(16,), max_epochs=1, max_samples=500, random_state=0),
]


@pytest.mark.parametrize("hasher", STREAMS, ids=str)
def test_fitting_a_mapped_file_takes_little_memory(hasher, tmp_path, rng):
    """Rows on disk are learned from batch by batch, conversions included."""
    X = (rng.standard_normal((60_000, 64)) * 20 + 99).astype(np.uint8)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    tracemalloc.start()
    hasher = clone(hasher).fit(mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.1 < hasher.encode(mapped).unpack().mean() < 0.9
    assert peak < 20e6  # 31 MB of the rows in double precision


def memory_mapped():
    """Bytes of files that this process holds in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssFile:"):
            return 1024 * int(line.split()[1])
    return 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells")
def test_pages_of_a_mapped_file_are_let_go(tmp_path, rng):
    """A file mapped for reading does not pile up in the process's memory."""
    np.save(tmp_path / "X.npy", rng.standard_normal((200_000, 64)).astype(np.float32))
    before = memory_mapped()
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    hasher = ITQ(16, max_samples=1000, random_state=0).fit(mapped)
    codes = hasher.encode(mapped, n_jobs=2)
    assert memory_mapped() - before < 30e6  # of 51 MB
    mapped.max()
    assert memory_mapped() - before > 45e6  # what reading it otherwise does
    assert hasher.encode(mapped[:5]) == codes[:5]


def test_pages_changed_in_memory_are_kept(tmp_path, rng):
    """A copy-on-write map keeps the changes made to it."""
    np.save(tmp_path / "X.npy", rng.standard_normal((20_000, 8)))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="c")
    mapped[:] = 0
    mapped[::2] = 1
    RandomHyperplaneHashing(4, random_state=0).fit(mapped).encode(mapped)
    assert mapped.sum() == mapped.size / 2
