"""Arrays of other namespaces are learned from and hashed where they lie.

scikit-learn's dispatch works only if SCIPY_ARRAY_API was set when SciPy was imported:
``test_package.py`` runs this file in a process of its own.
"""

import os
import pickle

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.utils import get_tags

from sklhash import (
    ITQ,
    HammingRetriever,
    IsotropicHashing,
    PCAHashing,
    RandomHyperplaneHashing,
    SpectralHashing,
    SphericalHashing,
)

array_api_strict = pytest.importorskip("array_api_strict")
pytestmark = pytest.mark.skipif(
    os.environ.get("SCIPY_ARRAY_API") != "1", reason="SCIPY_ARRAY_API is not set"
)

HASHERS = [
    ITQ(16, random_state=0),
    ITQ(70, max_samples=500, random_state=0),
    ITQ(16, max_samples=500, subsample="all", random_state=0),
    ITQ(16, projection="cca", random_state=0),
    PCAHashing(16),
    PCAHashing(70, rotation="random", random_state=0),
    RandomHyperplaneHashing(16, random_state=0),
    RandomHyperplaneHashing(70, center=False, orthogonal=True, random_state=0),
    SphericalHashing(16, random_state=0),
    SphericalHashing(16, stop="cpp", max_samples=900, random_state=0),
    IsotropicHashing(16, random_state=0),
]
NAMESPACES = [
    pytest.param(lambda X: array_api_strict.asarray(X), id="strict"),
    pytest.param(torch.asarray, id="torch"),
    pytest.param(
        lambda X: torch.asarray(X, device="cuda"), id="cuda", marks=pytest.mark.gpu
    ),
]


@pytest.fixture(autouse=True)
def dispatch():
    """Switch scikit-learn's dispatch on."""
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.fixture(scope="module")
def mixture():
    """Rows of a Gaussian mixture, without the ties of discrete data, and classes."""
    rng = np.random.RandomState(0)
    y = rng.randint(5, size=1500)
    return 2 * rng.randn(5, 24)[y] + rng.randn(1500, 24) + 3, y


@pytest.mark.parametrize("to_namespace", NAMESPACES)
@pytest.mark.parametrize("hasher", HASHERS, ids=str)
def test_codes_are_numpys(hasher, to_namespace, mixture):
    """In double precision the codes are those of NumPy, and stay with the rows."""
    X, y = mixture
    expected = clone(hasher).fit(X, y)
    rows = to_namespace(X)
    fitted = clone(hasher).fit(rows, y)
    codes, projections = fitted.transform(rows), fitted.decision_function(rows)
    for array in (codes, projections, getattr(fitted, hasher._array_attribute)):
        assert type(array) is type(rows)
        assert array.device == rows.device
    assert fitted.encode(rows, n_jobs=2) == expected.encode(X)
    assert expected.encode(X)[:100] == fitted.encode(rows[:100, :])
    if not isinstance(rows, np.ndarray) and isinstance(rows, torch.Tensor):
        assert codes.dtype == torch.uint8


@pytest.mark.parametrize("to_namespace", NAMESPACES)
@pytest.mark.parametrize("hasher", HASHERS, ids=str)
def test_streams_and_pickles(hasher, to_namespace, mixture):
    """A stream of tensors, pickled half-way, ends in the codes of one fit."""
    X, y = mixture
    rows = to_namespace(X)
    stream = clone(hasher).partial_fit(rows[:600, :], y[:600])
    if "strict" not in type(rows).__module__:  # those cannot be pickled
        stream = pickle.loads(pickle.dumps(stream))
    stream.partial_fit(rows[600:, :], y[600:])
    expected = clone(hasher).fit(X, y).encode(X).unpack()
    assert np.mean(stream.encode(rows).unpack() != expected) < 1e-3


@pytest.mark.parametrize("to_namespace", NAMESPACES[1:])
def test_large_tensors_are_read_in_batches(to_namespace, mixture):
    """More rows than a batch holds, in single precision, stay where they are."""
    X, _ = mixture
    X = np.tile(X, (8, 1)).astype(np.float32)
    rows = to_namespace(X)
    hasher = ITQ(16, random_state=0).fit(rows)
    expected = ITQ(16, random_state=0).fit(X)
    assert hasher.decision_function(rows).dtype == torch.float32
    assert np.mean(hasher.encode(rows).unpack() != expected.encode(X).unpack()) < 1e-3


def test_labels_may_lie_elsewhere(mixture):
    """Rows are tensors, labels of any kind; a retriever takes both."""
    X, y = mixture
    expected = ITQ(16, projection="cca", random_state=0).fit(X, y).encode(X)
    for labels in (y, torch.asarray(y), array_api_strict.asarray(y), y.tolist()):
        itq = ITQ(16, projection="cca", random_state=0)
        assert itq.fit(torch.asarray(X), labels).encode(torch.asarray(X)) == expected
    retriever = HammingRetriever(ITQ(16, random_state=0))
    retriever.fit(torch.asarray(X), y)
    assert retriever.score(torch.asarray(X[:50]), y[:50]) > 0.5


def test_other_namespaces_than_in_fit_are_refused(mixture):
    """NumPy rows do not meet a hasher fitted on tensors, and the message helps."""
    X, _ = mixture
    hasher = PCAHashing(4).fit(torch.asarray(X))
    for method in ("decision_function", "transform", "encode"):
        with pytest.raises(ValueError, match=rf"PCAHashing\.{method}\(\) must use"):
            getattr(hasher, method)(X)


def test_tags_say_who_takes_arrays():
    """Only hashers that follow their arrays claim so."""
    assert all(get_tags(hasher).array_api_support for hasher in HASHERS)
    assert not get_tags(SpectralHashing()).array_api_support


def test_bad_tensors_are_refused(mixture):
    """NaN is found in tensors as in arrays."""
    X = torch.asarray(mixture[0].copy())
    hasher = ITQ(8, random_state=0).fit(X)
    X[-1, -1] = torch.nan
    for method in (hasher.fit, hasher.transform, hasher.encode, hasher.partial_fit):
        with pytest.raises(ValueError, match="contains NaN"):
            method(X)
