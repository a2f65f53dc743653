"""Splits into queries, gallery and rows to learn from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import make_multilabel_classification
from sklearn.model_selection import train_test_split

from sklhash import PackedCodes
from sklhash.model_selection import RetrievalSplit, retrieval_split


def rows(n):
    """Rows that nobody reads."""
    return np.broadcast_to(np.zeros(3), (n, 3))


def assert_sound(split, n_samples):
    """No row is there twice, none is lost, and queries are nowhere else."""
    train, gallery, query = split
    assert all(part.dtype == np.intp for part in split)
    assert_array_equal(np.sort(np.r_[gallery, query]), np.arange(n_samples))
    assert len(np.unique(train)) == len(train)
    assert np.isin(train, gallery).all()


@given(
    n_samples=st.integers(2, 80),
    n_classes=st.integers(1, 6),
    share=st.floats(0.01, 0.99),
    train=st.floats(0.01, 1) | st.none(),
    seed=st.integers(0, 2**32 - 1),
)
def test_queries_are_disjoint(n_samples, n_classes, share, train, seed):
    """Whatever the numbers, queries are neither in the gallery nor learned from."""
    y = np.random.RandomState(seed).randint(n_classes, size=n_samples)
    n_queries = min(max(1, int(share * n_samples)), n_samples - 1)
    n_gallery = n_samples - n_queries
    n_train = None if train is None else max(1, int(train * n_gallery))
    for labels in (None, y, np.eye(6)[y]):
        split = retrieval_split(
            rows(n_samples),
            labels,
            n_queries=n_queries,
            n_train=n_train,
            random_state=seed,
        )
        assert_sound(split, n_samples)
        assert len(split.query) == n_queries
        assert len(split.train) == (n_gallery if n_train is None else n_train)


@given(
    counts=st.lists(st.integers(4, 12), min_size=2, max_size=6),
    n_queries=st.integers(1, 2),
    n_train=st.integers(1, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_per_class_counts(counts, n_queries, n_train, seed):
    """With per_class every class gives as many queries and rows to learn from."""
    y = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    split = retrieval_split(
        rows(len(y)),
        y,
        n_queries=n_queries,
        n_train=n_train,
        per_class=True,
        random_state=seed,
    )
    assert_sound(split, len(y))
    for part, number in ((split.query, n_queries), (split.train, n_train)):
        assert_array_equal(np.unique(y[part], return_counts=True)[1], number)
        assert_array_equal(part, np.sort(part))


@pytest.mark.parametrize("to_labels", [np.asarray, csr_array])
def test_per_label(to_labels):
    """With labels, so many rows a label are taken, the rarest label first."""
    X, Y = make_multilabel_classification(
        600, n_classes=6, n_labels=2, allow_unlabeled=False, random_state=0
    )
    split = retrieval_split(
        X, to_labels(Y), n_queries=5, n_train=12, per_class=True, random_state=0
    )
    assert_sound(split, 600)
    assert len(split.query) == 30
    assert len(split.train) == 72
    assert (Y[split.query].sum(axis=0) >= 5).all()

    taken = np.zeros(600, bool)  # the rule, written again
    rng = np.random.RandomState(0)
    for label in np.argsort(Y.sum(axis=0), kind="stable"):
        free = [i for i in range(600) if Y[i, label] and not taken[i]]
        taken[rng.choice(free, 5, replace=False)] = True
    assert_array_equal(split.query, np.flatnonzero(taken))


def test_default_is_a_stratified_train_test_split(digits):
    """By default queries are a fifth, as scikit-learn's stratified split draws them."""
    X, y = digits
    for seed in range(3):
        split = retrieval_split(X, y, random_state=seed)
        gallery, query = train_test_split(
            np.arange(len(X)), test_size=0.2, stratify=y, random_state=seed
        )
        assert_array_equal(split.query, query)
        assert_array_equal(split.gallery, gallery)
        assert split.train is split.gallery


def test_default_number_of_queries_is_bounded():
    """More than 1,000 queries are drawn only if asked for; a share is of all rows."""
    assert len(retrieval_split(rows(20000), random_state=0).query) == 1000
    assert len(retrieval_split(rows(20000), n_queries=0.2).query) == 4000
    assert len(retrieval_split(rows(2)).query) == 1


@pytest.mark.parametrize("y", [[0, 1, 2, 3, 4, 4, 4, 4, 4, 4], np.arange(10)])
def test_rare_classes_switch_off_stratification(y):
    """Classes of one row cannot be stratified by; queries are then drawn anywhere."""
    split = retrieval_split(rows(10), y, random_state=0)
    assert_array_equal(split.query, retrieval_split(rows(10), random_state=0).query)


@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [("cifar10-1k", (5000, 59000, 1000)), ("cifar10-10k", (5000, 50000, 10000))],
)
def test_cifar10_protocols(protocol, sizes):
    """The papers' splits of CIFAR-10 have the papers' sizes."""
    y = np.repeat(np.arange(10), 6000)
    split = retrieval_split(rows(60000), y, protocol=protocol, random_state=0)
    assert tuple(map(len, split)) == sizes
    assert_sound(split, 60000)
    assert_array_equal(np.bincount(y[split.query]), sizes[2] // 10)
    per_class = np.bincount(y[split.train])
    if protocol == "cifar10-1k":
        assert_array_equal(per_class, 500)
    else:  # drawn whatever the class, as in the authors' lists
        assert len(set(per_class)) > 1


def test_cifar10_with_the_standard_test_part():
    """A pool of 10,000 test images is taken whole, and 50,000 are the gallery."""
    y = np.tile(np.arange(10), 6000)
    pool = np.arange(50000, 60000)
    split = retrieval_split(
        rows(60000), y, protocol="cifar10-10k", query_pool=pool, random_state=0
    )
    assert_array_equal(split.query, pool)
    assert_array_equal(split.gallery, np.arange(50000))


def test_nus21():
    """Of 21 labels, 2,100 queries and 10,500 rows to learn from are taken."""
    rng = np.random.RandomState(0)
    Y = rng.uniform(size=(30000, 21)) < np.linspace(0.04, 0.3, 21)
    split = retrieval_split(rows(30000), Y, protocol="nus21", random_state=0)
    assert tuple(map(len, split)) == (10500, 27900, 2100)
    assert_sound(split, 30000)
    assert (Y[split.query].sum(axis=0) >= 100).all()
    assert (Y[split.train].sum(axis=0) >= 500).all()


def test_pool():
    """Queries come from the pool alone; the rest of it is searched in."""
    pool = np.arange(30, 50)
    split = retrieval_split(rows(100), n_queries=5, query_pool=pool, random_state=0)
    assert_sound(split, 100)
    assert np.isin(split.query, pool).all()
    assert len(np.intersect1d(split.gallery, pool)) == 15


def test_seeds():
    """The same seed draws the same rows, another one others."""
    draw = [
        retrieval_split(rows(200), n_train=20, random_state=seed).train
        for seed in (0, 0, 1)
    ]
    assert_array_equal(draw[0], draw[1])
    assert not np.array_equal(draw[0], draw[2])
    before = np.random.get_state()[1]
    retrieval_split(rows(200))
    assert_array_equal(np.random.get_state()[1], before)


def test_anything_with_rows_can_be_split():
    """Lists, sparse matrices, frames and packed codes are only counted."""
    pd = pytest.importorskip("pandas")

    expected = retrieval_split(rows(10), random_state=0)
    assert isinstance(expected, RetrievalSplit)
    codes = PackedCodes.from_codes(np.eye(10))
    for X in (list("abcdefghij"), csr_array(np.eye(10)), pd.DataFrame(rows(10)), codes):
        for part, same in zip(
            retrieval_split(X, random_state=0), expected, strict=True
        ):
            assert_array_equal(part, same)


CLASSES = [0] * 6 + [1] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"protocol": "cifar"}, "protocol must be one of 'cifar10-1k'"),
        ({"protocol": "nus21"}, "needs y, the labels"),
        ({"protocol": "cifar10-1k", "y": CLASSES}, "10 classes; got a class vector"),
        ({"protocol": "nus21", "y": np.eye(10)}, "21 labels; got an indicator matrix"),
        ({"protocol": "nus21", "n_train": 3}, "leave out n_queries, n_train"),
        ({"y": [0, 1]}, "y must have one row a row of X; got 2 and 10"),
        ({"y": np.linspace(0, 1, 10)}, "fractions"),
        ({"n_queries": 10}, "asks for 10 queries; there are 10 rows"),
        ({"n_queries": 0.99}, "asks for 10 queries"),
        ({"n_queries": 0}, "n_queries must be 1 or more; got 0"),
        ({"n_queries": 1.5}, "a share of them between 0 and 1; got 1.5"),
        ({"n_queries": 3, "query_pool": [1, 2]}, "of which 2 may be queries"),
        ({"n_train": 9}, "n_train=9 asks for more rows than the 8"),
        ({"n_train": 0}, "n_train must be 1 or more"),
        ({"per_class": True, "n_queries": 1}, "per_class=True needs y"),
        ({"per_class": True, "y": CLASSES}, "per_class=True needs n_queries"),
        (
            {"per_class": True, "y": CLASSES, "n_queries": 5},
            "n_queries=5 for each class or label asks for more rows than class 1 has "
            "left, 4",
        ),
        (
            {"per_class": True, "y": CLASSES, "n_queries": 4},
            "n_queries=4 for each class or label takes every row of class 1: lower",
        ),
        (
            {
                "per_class": True,
                "y": np.eye(2)[CLASSES],
                "X": rows(10),
                "n_queries": 4,
                "query_pool": np.arange(10)[::-1],
                "n_train": 3,
            },
            "n_train=3 .* than label 1 has left, 0",
        ),
        (
            {
                "per_class": True,
                "y": np.eye(2)[[0, 0, 1, 1]],
                "X": rows(4),
                "n_queries": 2,
            },
            "n_queries=2 .* takes every row of the data",
        ),
        (
            {"protocol": "cifar10-10k", "y": CLASSES},
            "give n_queries=2000, n_train=5000\\.",
        ),
        ({"protocol": ["nus21"]}, "protocol must be one of"),
        (
            {"per_class": True, "y": CLASSES, "n_queries": 2, "n_train": 3},
            "n_train=3 .* than class 1 has left, 2",
        ),
        ({"query_pool": [1, 1]}, "query_pool holds row 1 more than once"),
        ({"query_pool": [1, 10]}, "from 0 to 9, the last row of X; got 10"),
        ({"query_pool": [-1]}, "got -1"),
        ({"query_pool": []}, "must hold row numbers"),
        ({"query_pool": np.ones(10, bool)}, "flatnonzero"),
        ({"X": rows(1)}, "2 rows or more to be split; got 1"),
    ],
)
def test_errors(arguments, message):
    """Bad arguments are named, with their value and the way out."""
    with pytest.raises(ValueError, match=message):
        retrieval_split(**{"X": rows(10), **arguments})


@pytest.mark.parametrize("arguments", [{"n_queries": "3"}, {"n_train": 2.5}])
def test_type_errors(arguments):
    """Numbers of rows are integers."""
    with pytest.raises(TypeError, match="must be an integer"):
        retrieval_split(rows(10), **arguments)
