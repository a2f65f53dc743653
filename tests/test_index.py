"""What a retriever builds to search with: tables, or codes on a device."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from sklhash import ITQ, HammingRetriever, PackedCodes
from sklhash.hamming import _numba
from sklhash.neighbors import DeviceIndex

needs_kernels = pytest.mark.skipif(
    not _numba.kernels_work(), reason="numba is absent or switched off"
)


@pytest.fixture
def codes(rng):
    """Codes of 40 bits, of which many stand in the gallery twice."""
    packed = rng.randint(256, size=(3000, 5)).astype(np.uint8)
    packed[2000:] = packed[rng.permutation(2000)[:1000]]
    return PackedCodes(packed, 40)


def assert_same(actual, expected):
    """Neighbours and their types are the same."""
    for one, other in zip(actual, expected, strict=True):
        assert_array_equal(one, other)
        assert one.dtype == other.dtype


def flat(found):
    """Join what a radius search gives for each query."""
    return [np.concatenate(parts) for parts in found]


@pytest.mark.parametrize("algorithm", ["auto", "brute", "multi_index"])
def test_algorithms_agree(algorithm, codes):
    """Every algorithm finds the same neighbours, before and after rows are added."""
    expected = HammingRetriever(algorithm="brute").fit(codes)
    retriever = HammingRetriever(algorithm=algorithm).fit(codes[:1000])
    retriever.kneighbors(codes[:3])
    retriever.partial_fit(codes[1000:])
    for queries in (codes[:3], codes[50:90], None):
        assert_same(retriever.kneighbors(queries), expected.kneighbors(queries))
        found = retriever.radius_neighbors(queries, 9)
        assert_same(flat(found), flat(expected.radius_neighbors(queries, 9)))


@needs_kernels
def test_tables_are_counted_and_not_pickled(codes):
    """`index_nbytes_` tells the memory of tables; a pickle builds them again."""
    retriever = HammingRetriever(algorithm="multi_index").fit(codes)
    assert retriever.index_nbytes_ == 0
    expected = retriever.kneighbors(codes[:5])
    assert retriever.index_nbytes_ > codes.nbytes
    other = pickle.loads(pickle.dumps(retriever))
    assert other.index_nbytes_ == 0
    assert_same(other.kneighbors(codes[:5]), expected)
    assert other.index_nbytes_ == retriever.index_nbytes_


@needs_kernels
def test_the_algorithm_may_change_after_fit(codes):
    """A search follows what the parameters are by then."""
    retriever = HammingRetriever(algorithm="brute").fit(codes)
    expected = retriever.kneighbors(codes[:5])
    retriever.set_params(algorithm="multi_index")
    assert_same(retriever.kneighbors(codes[:5]), expected)
    assert retriever.index_nbytes_
    assert clone(retriever).algorithm == "multi_index"


def test_pickles_of_hashers_and_galleries_search_alike(digits):
    """With a hasher, too, what is left out of a pickle is built again."""
    X, _ = digits
    retriever = HammingRetriever(ITQ(16, random_state=0)).fit(X)
    other = pickle.loads(pickle.dumps(retriever))
    assert_same(other.kneighbors(X[:5]), retriever.kneighbors(X[:5]))


def test_a_device_searches_as_the_processor_does(codes):
    """PyTorch finds the same neighbours, and takes rows that are added."""
    index = DeviceIndex(codes.packed[:1000], "cpu")
    assert index.nbytes == 0
    index.top_k(codes.packed[:1], 1)
    index.extend(codes.packed)
    assert index.nbytes == codes.nbytes
    expected = HammingRetriever(algorithm="brute").fit(codes)
    found = index.top_k(codes.packed[:20], 10)
    assert_same(found, expected.kneighbors(codes[:20]))
    indptr, *found = index.within_radius(codes.packed[:20], 9)
    assert indptr[-1] == len(found[0])
    assert_same(found, flat(expected.radius_neighbors(codes[:20], 9)))


def test_a_retriever_searches_on_its_device(codes, monkeypatch):
    """`device` chooses the index, whatever the algorithm."""
    monkeypatch.setattr("sklhash.neighbors.check_device", lambda *_: None)
    monkeypatch.setattr("sklhash.retrieval.check_device", lambda *_: None)
    expected = HammingRetriever().fit(codes).kneighbors(codes[:5])
    retriever = HammingRetriever(device="meta").fit(codes)
    assert isinstance(retriever._current_index(), DeviceIndex)
    retriever.set_params(device="cpu")
    assert_same(retriever.kneighbors(codes[:5]), expected)


def test_a_pickle_opens_where_its_device_is_missing(codes):
    """A gallery of a machine with a GPU can be searched on another processor."""
    retriever = HammingRetriever().fit(codes)
    expected = retriever.kneighbors(codes[:5])
    retriever.device = "cuda:99"
    other = pickle.loads(pickle.dumps(retriever))
    with pytest.raises(ValueError, match="device='cuda:99' cannot be used here"):
        other.kneighbors(codes[:5])
    other.set_params(device="cpu")
    assert_same(other.kneighbors(codes[:5]), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"device": "cuda:99"}, r"device='cuda:99' cannot be used here: .*\. Use dev"),
        ({"device": "gpu"}, "device='gpu' cannot be used here"),
        (
            {"device": "cuda", "metric": "spherical"},
            "searches by metric='hamming' only",
        ),
        ({"algorithm": "flat"}, "'algorithm' parameter of HammingRetriever must be"),
    ],
)
def test_bad_devices_and_algorithms(params, message, codes):
    """What cannot search is refused before any work."""
    retriever = HammingRetriever(**params)
    with pytest.raises(ValueError, match=message):
        retriever.fit(codes)
    assert not hasattr(retriever, "gallery_codes_")


def test_unfitted_retrievers_cost_no_search(codes):
    """Asking for the memory of nothing is an error that says what to do."""
    with pytest.raises(ValueError, match="not fitted yet"):
        HammingRetriever().index_nbytes_  # noqa: B018 - a property
