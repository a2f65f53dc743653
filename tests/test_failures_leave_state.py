"""What a failing call leaves behind, and what any call leaves of its arguments."""

import numpy as np
import pytest
from bad_input import (
    CODES,
    HASHERS,
    MIXED,
    NAMES,
    PACKED,
    RETRIEVERS,
    TYPE_OR_VALUE,
    N,
    X,
    Y,
    cca,
    fresh,
    labels_with,
    unfitted,
    with_value,
    y,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from sklhash import ITQ, HammingRetriever, RandomHyperplaneHashing
from sklhash.metrics import RetrievalScorer, map_scorer, mean_average_precision

NAN = with_value(np.nan), y
SHORT = -X, y[:4]
NAN_Y = -X, labels_with(np.nan)
NARROW = X[:, :4], y
EQUAL = np.zeros((N, 4)), y  # narrow, and nothing to learn
BAD_LABELS = {
    "no_y": (X, None),
    "matrix_y": (X, Y),
    "string_y": (X, NAMES),
}
#: Methods that fail, and what they are given: estimator, method, arguments by kind.
FAILURES = [
    *[
        (name, method, {"nan": NAN, "y_length": SHORT, "y_nan": NAN_Y, **more})
        for name in RETRIEVERS
        for method, more in {
            "fit": {"width_and_y_length": (X[:, :4], y[:4])},
            "partial_fit": {"width": NARROW, **BAD_LABELS},
        }.items()
    ],
    *[
        (name, "fit", {"nan": NAN, "sparse_nan": (csr_array(NAN[0]), y)})
        for name in HASHERS
    ],
    *[
        (name, "fit", {"equal_rows": EQUAL})
        for name in (
            "itq",
            "cca",
            "sh",
            "sph",
            "dsh",
            "isohash",
            "agh",
            "ksh",
            "sdh",
            "idhn",
            "uhga",
            "hashed",
        )
    ],
    *[
        (name, "partial_fit", {"nan": NAN, "width": NARROW})
        for name in (
            "itq",
            "lsh",
            "pcah",
            "sh",
            "sph",
            "dsh",
            "isohash",
            "idhn",
            "uhga",
        )
    ],
    (
        "cca",
        "partial_fit",
        {
            "nan": NAN,
            "width": NARROW,
            "no_y": (-X, None),
            "y_length": SHORT,
            "y_nan": NAN_Y,
            "y_unseen": (-X, y + 1),
            "y_columns": (-X, Y[:, :2]),
        },
    ),
]
#: Parameters that make `fit` fail.
BAD_PARAMETERS = [
    ("bare", {"metric": "cosine"}),
    ("hashed", {"radius": -1}),
    ("hashed", {"hasher__tol": -1}),
    ("itq", {"random_state": -1}),
    ("lsh", {"random_state": -1}),
    ("pcah", {"rotation": "haar"}),
]


def visible_state(estimator):
    """Everything a user could tell a change by."""
    names = (
        "n_features_in_",
        "components_",
        "mean_",
        "gallery_codes_",
        "gallery_labels_",
        "n_samples_fit_",
    )
    state = {n: getattr(estimator, n) for n in names if hasattr(estimator, n)}
    return {**state, "codes": estimator.encode(X)}


def assert_same_state(estimator, before):
    after = visible_state(estimator)
    assert after.keys() == before.keys()
    for key, value in before.items():
        assert_array_equal(np.asarray(after[key]), np.asarray(value), err_msg=key)


@pytest.mark.parametrize(
    ("name", "method", "args"),
    [
        pytest.param(name, method, args, id=f"{name}-{method}-{kind}")
        for name, method, kinds in FAILURES
        for kind, args in kinds.items()
    ],
)
def test_nothing_is_done_before_the_error(name, method, args):
    """A failing call leaves a fitted estimator answering as before."""
    estimator = fresh(name)
    before = visible_state(estimator)
    with pytest.raises(ValueError, match=r"."):
        getattr(estimator, method)(*args)
    assert_same_state(estimator, before)


@pytest.mark.parametrize(("name", "params"), BAD_PARAMETERS, ids=str)
def test_bad_parameters_are_found_before_anything_is_done(name, params):
    """A `fit` with a bad parameter leaves a fitted estimator as it was, too."""
    estimator = fresh(name)
    before = visible_state(estimator)
    with pytest.raises(ValueError, match=r"parameter of \w+ must be"):
        estimator.set_params(**params).fit(-X, y)
    assert_same_state(estimator, before)


@pytest.mark.parametrize(
    "args",
    [NAN, (X, y[:4]), (X, y + 1), (X, MIXED)],
    ids=["nan", "y_length", "y_unseen", "y_mixed"],
)
def test_a_failing_partial_fit_leaves_the_running_sums(args):
    """What CCA learns later does not depend on a call that failed."""
    hasher, untouched = (cca().partial_fit(X, y) for _ in range(2))
    with pytest.raises(ValueError, match=r"."):
        hasher.partial_fit(*args)
    for itq in (hasher, untouched):
        itq.partial_fit(-(X**3), y)
    assert_array_equal(hasher.components_, untouched.components_)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        *[pytest.param(name, NAN, id=f"{name}-nan") for name in HASHERS | RETRIEVERS],
        *[
            pytest.param(name, (X * 0, y), id=f"{name}-constant")
            for name in ("itq", "cca", "pcah", "hashed")
        ],
        *[
            pytest.param(name, (X, y[:4]), id=f"{name}-y_length")
            for name in ("cca", "bare", "hashed")
        ],
        pytest.param("cca", (X, None), id="cca-no_y"),
    ],
)
def test_a_failed_first_fit_leaves_the_estimator_unfitted(name, args):
    """After a first `fit` that failed, `transform` says that there was none."""
    estimator = unfitted(name)
    with pytest.raises(ValueError, match=r"."):
        estimator.fit(*args)
    with pytest.raises(NotFittedError):
        estimator.transform(X)


def test_one_row_is_too_few_for_attributes():
    """As long as there is nothing to learn from, there are no learned attributes."""
    assert not hasattr(ITQ().partial_fit(X[:1]), "components_")
    assert hasattr(ITQ().partial_fit(X[:1]).partial_fit(X[1:]), "components_")


def test_sparse_rows_after_dense_ones_are_taken_or_refused_whole():
    """Mixing dense and sparse rows in `partial_fit` works, or changes nothing."""
    hasher = ITQ(4, random_state=0).partial_fit(X)
    expected = ITQ(4, random_state=0).partial_fit(X)
    try:
        hasher.partial_fit(csr_array(-(X**3)))
    except TYPE_OR_VALUE:
        pass
    else:
        expected.partial_fit(-(X**3))
    assert_allclose(hasher.components_, expected.components_, atol=1e-9)


@pytest.mark.parametrize("name", HASHERS)
def test_parameters_set_after_fit_wait_for_the_next_fit(name):
    """A new `n_bits` changes no code, nor what codes say of their length."""
    hasher = fresh(name)
    before = hasher.encode(X)
    hasher.set_params(n_bits=2)
    assert hasher.encode(X) == before
    assert hasher.encode(X).n_bits == hasher.transform(X).shape[1] == 4
    assert hasher.fit(X, y).encode(X).n_bits == 2


def explicit_zeros():
    """Give the indicator matrix with every zero stored."""
    return csr_array((Y.ravel(), np.indices(Y.shape).reshape(2, -1)), shape=Y.shape)


@pytest.mark.parametrize(
    "use",
    [
        lambda labels: cca().fit(X, labels),
        lambda labels: cca().partial_fit(X, labels),
        lambda labels: HammingRetriever().fit(CODES, labels).predict(CODES),
        lambda labels: HammingRetriever().fit(CODES, Y).partial_fit(CODES, labels),
        lambda labels: HammingRetriever().fit(CODES, Y).score(CODES, labels),
        lambda labels: mean_average_precision(PACKED, PACKED, labels, labels),
    ],
    ids=["cca-fit", "cca-partial_fit", "fit", "partial_fit", "score", "map"],
)
def test_sparse_labels_are_left_as_they_are(use):
    """Labels that the caller gave keep their values, dtype and explicit zeros."""
    labels, before = explicit_zeros(), explicit_zeros()
    use(labels)
    assert labels.dtype == before.dtype
    for part in ("data", "indices", "indptr"):
        assert_array_equal(getattr(labels, part), getattr(before, part))


@pytest.mark.parametrize(
    "labels",
    [y, Y, csr_array(Y), csr_array(Y, dtype=np.float32)],
    ids=["vector", "matrix", "sparse", "sparse_float32"],
)
def test_a_gallery_keeps_labels_of_its_own(labels):
    """What the caller does to y after `fit` does not reach the retriever."""
    labels = labels.copy()
    retriever = HammingRetriever(n_neighbors=3).fit(CODES, labels)
    before = retriever.predict(CODES)
    labels *= 0
    assert_array_equal(retriever.predict(CODES), before)
    assert before.any()


class Untouchable(RandomHyperplaneHashing):
    """A hasher that must not be set to work."""

    def fit(self, X, y=None):
        """Fail: X and y should have been refused before."""
        raise AssertionError("the hasher was fitted")

    def encode(self, X, *, n_jobs=None):
        """Fail: the caller should have refused its arguments before."""
        raise AssertionError("the rows were hashed")


HASTY = {
    "fit-y_length": lambda hasher: HammingRetriever(hasher).fit(X, y[:4]),
    "fit-y_nan": lambda hasher: HammingRetriever(hasher).fit(*NAN_Y),
    "fit-parameter": lambda hasher: HammingRetriever(hasher, n_jobs="all").fit(X, y),
    "scorer-metric": lambda hasher: RetrievalScorer("mrr")(hasher, X, y),
    "scorer-k": lambda hasher: RetrievalScorer("map", k=0)(hasher, X, y),
    "scorer-gallery": lambda hasher: RetrievalScorer(gallery=(X,))(hasher, X, y),
    "scorer-no_y": lambda hasher: map_scorer(hasher, X, None),
}


@pytest.mark.parametrize("call", HASTY.values(), ids=HASTY)
def test_arguments_are_checked_before_the_work(call):
    """What can be refused at once is refused before a hasher is fitted or used."""
    with pytest.raises(ValueError, match=r"."):
        call(Untouchable(4))
