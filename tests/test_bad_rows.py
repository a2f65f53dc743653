"""Rows that no estimator may take, and rows that hold nothing to learn from."""

import numpy as np
import pytest
from bad_input import (
    CODES,
    HASHERS,
    RETRIEVERS,
    TYPE_OR_VALUE,
    D,
    N,
    X,
    cases,
    cca,
    constant,
    each,
    fitted,
    fresh,
    unfitted,
    with_value,
    y,
)
from scipy.sparse import coo_array, csr_array
from sklearn.base import clone

from sklhash import ITQ, HammingRetriever, PCAHashing

BIG = 20_000  # rows; more than one batch of projections

#: id, rows, message, error if it is no ValueError
BASIC = [
    ("nan", with_value(np.nan), r"Input X contains NaN"),
    ("zero_rows", X[:0], r"0 sample\(s\) \(shape=\(0, 6\)\)"),
    ("one_dim", X[0], r"Expected 2D array, got 1D array"),
]
MORE = [
    ("inf", with_value(-np.inf), r"Input X contains infinity"),
    ("strings", np.full((N, D), "a"), r"string"),
    ("complex", X * 1j, r"Complex data not supported"),
    ("objects", np.full((N, D), object()), r"must be .*number", TypeError),
    ("three_dim", X[None], r"Found array with dim 3"),
    ("scalar", 3.0, r"Expected (2D array|sequence)", TYPE_OR_VALUE),
]
#: Sparse, or beyond the first batch: only hashers take such rows at all.
DEEP = [
    ("sparse_nan", csr_array(with_value(np.nan)), r"Input X contains NaN"),
    ("deep_nan", with_value(np.nan, BIG, -9), r"Input X contains NaN"),
]
MORE_DEEP = [
    ("sparse_inf", coo_array(with_value(np.inf)), r"Input X contains infinity"),
    ("deep_sparse_nan", csr_array(with_value(np.nan, BIG, -9)), r"X contains NaN"),
    ("big_complex", np.full((BIG, D), 1j), r"Complex data not supported"),
]
#: Other columns than in fit.
NARROW = [("narrow", X[:, :4], r"X has 4 features, but \w+ is expecting 6")]
WIDTH = [
    *NARROW,
    ("wide", np.ones((3, 7)), r"X has 7 features, but \w+ is expecting 6"),
    ("big_narrow", np.ones((BIG, 4)), r"X has 4 features, but \w+ is expecting 6"),
]
NO_COLUMNS = [("zero_columns", X[:, :0], r"0 feature\(s\) \(shape=\(30, 0\)\)")]
SEARCHES = (
    "encode",
    "radius_neighbors",
    "kneighbors_graph",
    "radius_neighbors_graph",
    "transform",
    "predict",
)


def bad_rows(name, method, table):
    """Give a method of a fitted estimator each of the rows."""

    def call(rows):
        if "fit" in method:
            n_rows = (*np.shape(rows), 1)[0]
            getattr(fresh(name), method)(rows, np.arange(n_rows) % 3)
        else:
            getattr(fitted(name), method)(rows)

    table = [(kind, (rows,), *rest) for kind, rows, *rest in table]
    return cases(f"{name}-{method}", call, table)


HASHER_ROWS = [
    case
    for name in HASHERS
    for method in ("fit", "transform", "encode")
    for case in bad_rows(name, method, BASIC + DEEP)
    + bad_rows(name, method, NO_COLUMNS if method == "fit" else NARROW)
] + [
    case
    for method, table in {
        "fit": MORE + MORE_DEEP,
        "partial_fit": BASIC + NARROW,
        "decision_function": BASIC + DEEP + MORE + MORE_DEEP + WIDTH,
    }.items()
    for case in bad_rows("itq", method, table)
]
RETRIEVER_ROWS = [
    *[
        case
        for name in RETRIEVERS
        for case in bad_rows(name, "fit", BASIC + NO_COLUMNS)
    ],
    *bad_rows("bare", "fit", MORE),
    *[
        case
        for name in RETRIEVERS
        for method in ("partial_fit", "kneighbors")
        for case in bad_rows(name, method, BASIC + NARROW)
    ],
    *bad_rows("bare", "kneighbors", MORE),
    *[
        case
        for method in SEARCHES
        for case in bad_rows("hashed", method, BASIC[:1] + NARROW)
    ],
    *cases(
        "bare",
        HammingRetriever().fit,
        [("fit-sparse", (csr_array(X),), r"Sparse data was passed for X", TypeError)],
    ),
]
TOO_FEW = [
    *cases(
        "one_row",
        lambda name: unfitted(name).fit(X[:1], y[:1]),
        [
            (name, (name,), r"1 sample\(s\) .*minimum of 2 is required")
            for name in (
                *("itq", "cca", "pcah", "sh", "sph", "dsh", "isohash", "agh"),
                *("idhn", "uhga", "ssdh"),
            )
        ],
    ),
    *cases(
        "one_row_in_all",
        lambda: ITQ(4).partial_fit(X[:1]).transform(X),
        [("itq", (), r"2 rows or more are needed; so far there is 1")],
    ),
]


@each(*HASHER_ROWS, *RETRIEVER_ROWS, *TOO_FEW)
def test_bad_rows_are_refused(case):
    """Every method that takes rows says what is wrong with them."""
    case.check()


EQUAL_ROWS = r"all rows of X are equal"
UNCORRELATED = r"X and y are uncorrelated: all rows or all labels are equal"
CONSTANTS = {
    "zeros": constant(0.0),
    "tenth": constant(0.1),
    "offset": constant(1e6 + 0.1),
    "many_rows": constant(1e6 + 0.1, BIG + 1),
    "float32": constant(0.1, dtype=np.float32),
    "mixed_columns": np.tile([0.1, 1e6 + 0.1, 3, 1 / 3, 1e-9, 7.7], (N, 1)),
    "sparse_zeros": csr_array((N, D)),
    "sparse_offset": csr_array(constant(1e6 + 0.1)),
    "very_wide": constant(0.1, 12, 9000),
    "sparse_very_wide": csr_array(constant(0.1, 12, 9000)),
}


def constant_rows(name, kinds, message):
    def fit(rows):
        unfitted(name).fit(rows, np.arange(rows.shape[0]) % 3)

    return cases(name, fit, [(kind, (CONSTANTS[kind],), message) for kind in kinds])


@each(
    *constant_rows("itq", CONSTANTS, EQUAL_ROWS),
    *constant_rows("sh", CONSTANTS, EQUAL_ROWS),
    *constant_rows("isohash", CONSTANTS, EQUAL_ROWS),
    *constant_rows("agh", CONSTANTS, EQUAL_ROWS),
    *constant_rows("idhn", CONSTANTS, EQUAL_ROWS),
    *constant_rows("uhga", CONSTANTS, EQUAL_ROWS),
    *constant_rows("ssdh", CONSTANTS, EQUAL_ROWS),
    *constant_rows("sph", CONSTANTS, r"all \d+ rows of X are equal, or"),
    *constant_rows("dsh", CONSTANTS, r"make only 0 pairs of different centres"),
    *cases(
        "sph",
        lambda rows: unfitted("sph").fit(rows),
        [("tiny", (1e-170 * X,), r"or differ too little for floats")],
    ),
    *constant_rows("pcah", ("offset", "sparse_offset", "very_wide"), EQUAL_ROWS),
    *constant_rows("cca", ("zeros", "offset", "sparse_offset"), UNCORRELATED),
    *cases(
        "itq-partial_fit",
        lambda rows: ITQ(4).partial_fit(rows).partial_fit(rows).mean_,
        [("tenth", (constant(0.1),), EQUAL_ROWS)],
    ),
)
def test_constant_rows_are_refused(case):
    """Rounding is never taken for variance: equal rows have nothing to learn."""
    case.check()


@pytest.mark.parametrize(
    "name", ["itq", "cca", "pcah", "sh", "sph", "dsh", "idhn", "uhga", "ssdh"]
)
def test_squares_that_overflow_are_refused(name):
    """Rows whose squares are no floats are refused, without a warning."""
    with pytest.raises(ValueError, match="X is so large that its squares overflow"):
        unfitted(name).fit(X * 1e200, y)


def test_packed_codes_are_rows_of_bits():
    """A hasher takes packed codes as the 0/1 rows that they are."""
    packed = HammingRetriever().fit(CODES).gallery_codes_
    hashers = (ITQ(4, random_state=0).fit(rows) for rows in (packed, CODES))
    np.testing.assert_array_equal(*(hasher.components_ for hasher in hashers))


@pytest.mark.parametrize(
    "hasher",
    [PCAHashing(8), ITQ(8, random_state=0), cca()],
    ids=["pcah", "itq", "cca"],
)
def test_an_offset_costs_sparse_rows_no_bits(hasher):
    """A full sparse column far from zero is centred as well as a dense one."""
    rng = np.random.RandomState(1)
    rows = rng.standard_normal((500, 20)) * (rng.random_sample((500, 20)) < 0.4)
    rows[:, 3] += 1e8
    labels = np.arange(500) % 3
    dense = clone(hasher).fit(rows, labels).transform(rows)
    sparse = clone(hasher).fit(csr_array(rows), labels).transform(csr_array(rows))
    assert np.mean(dense != sparse) < 0.01
