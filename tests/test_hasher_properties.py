"""Rows of every form, shape and scale give the codes of the same plain rows."""

from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from bad_input import HASHERS, unfitted
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

pytestmark = [
    pytest.mark.filterwarnings(  # few rows, few rounds
        "ignore::sklearn.exceptions.ConvergenceWarning"
    ),
    pytest.mark.filterwarnings("ignore:the half-Gaussians call no two rows alike"),
]
each_hasher = pytest.mark.parametrize("name", HASHERS)

N, D = 36, 6
y = np.arange(N) % 3
COLUMNS = [f"column {j}" for j in range(D)]
DEEP = ("idhn", "uhga", "ssdh")
TYPES = ("f4", "f8", "i2", "i8", "f4", "f8")


def whole_numbers(seed=0, n_features=D):
    """Rows that every type of 16 bits or more holds exactly, zeros among them."""
    rng = np.random.RandomState(seed)
    centres = 40 * rng.standard_normal((3, n_features))
    rows = np.rint(centres[y] + 30 * rng.standard_normal((N, n_features)))
    return np.where(rng.random_sample(rows.shape) < 0.3, 0, rows)


def reversed_in_memory(X):
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def spread_out(X):
    """Rows and columns that lie apart from each other."""
    room = np.full((2 * len(X), 3 * X.shape[1]), np.nan)[::2, 1::3]
    room[:] = X
    return room


def unaligned(X):
    room = np.empty(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    room[:] = X
    return room


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def mixed(X):
    """Columns of several types, by name."""
    return {c: X[:, j].astype(TYPES[j]) for j, c in enumerate(COLUMNS[: X.shape[1]])}


def pandas_frame(X):
    return pd.DataFrame(X, columns=COLUMNS[: X.shape[1]])


#: Forms whose numbers are those of the plain rows, to the bit.
DENSE = {
    "float16": lambda X: X.astype("f2"),
    "long_double": lambda X: X.astype("g"),
    "other_byte_order": lambda X: X.astype(">f8"),
    "int16": lambda X: X.astype("i2"),
    "int32": lambda X: X.astype("i4"),
    "int64": lambda X: X.astype("i8"),
    "object": lambda X: X.astype(object),
    "list": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "fortran": np.asfortranarray,
    "reversed": reversed_in_memory,
    "spread_out": spread_out,
    "unaligned": unaligned,
    "read_only": read_only,
    "masked": np.ma.masked_array,
    "pandas": pandas_frame,
    "pandas_mixed": lambda X: pd.DataFrame(mixed(X)),
    "pandas_nullable": lambda X: pandas_frame(X).convert_dtypes(),
    "pandas_arrow": lambda X: pandas_frame(X).convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda X: pl.DataFrame(X, schema=COLUMNS[: X.shape[1]]),
    "polars_mixed": lambda X: pl.DataFrame(mixed(X)),
}
#: The same for single precision.
SINGLE = {
    name: DENSE[name] for name in ("fortran", "reversed", "unaligned", "read_only")
} | {
    "spread_out": lambda X: spread_out(X).astype("f4"),
    "pandas": pandas_frame,
    "polars": DENSE["polars"],
}


def reversed_indices(X):
    """A CSR array whose indices are not sorted."""
    rows = sp.csr_array(X[:, ::-1])
    rows.indices = (X.shape[1] - 1 - rows.indices).astype(rows.indices.dtype)
    rows.has_sorted_indices = False
    return rows


def stored_twice(X):
    """A CSR array that stores each number as two halves."""
    rows = sp.csr_array(X)
    halves = np.repeat(rows.data / 2, 2), np.repeat(rows.indices, 2), 2 * rows.indptr
    return sp.csr_array(halves, shape=X.shape)


def explicit_zeros(X):
    rows, columns = np.indices(X.shape).reshape(2, -1)
    return sp.csr_array((X.ravel(), (rows, columns)), shape=X.shape)


def long_indices(X):
    rows = sp.csr_array(X)
    rows.indices, rows.indptr = rows.indices.astype("i8"), rows.indptr.astype("i8")
    return rows


def read_only_parts(X):
    rows = sp.csr_array(X)
    for part in (rows.data, rows.indices, rows.indptr):
        part.flags.writeable = False
    return rows


FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
SPARSE = {
    f"{name}_{kind}": getattr(sp, f"{name}_{kind}")
    for name in FORMATS
    for kind in ("array", "matrix")
} | {
    "reversed_indices": reversed_indices,
    "stored_twice": stored_twice,
    "csc_stored_twice": lambda X: stored_twice(X).tocsc(),
    "explicit_zeros": explicit_zeros,
    "long_indices": long_indices,
    "read_only_parts": read_only_parts,
    "integers": lambda X: sp.csr_array(X.astype("i4")),
    "single": lambda X: sp.csr_array(X.astype("f4")),
    "pandas_sparse": lambda X: pd.DataFrame.sparse.from_spmatrix(
        sp.csr_matrix(X), columns=COLUMNS[: X.shape[1]]
    ),
}


@cache
def fitted(name, dtype="f8"):
    return unfitted(name).fit(whole_numbers().astype(dtype), y)


def assert_same_hasher(name, form, rows, dtype="f8"):
    """Both learning from a form and hashing it give exactly the plain codes."""
    plain, expected = whole_numbers().astype(dtype), fitted(name, dtype)
    for hasher in (unfitted(name).fit(rows, y), expected):
        for X in (plain, rows):
            with config_context(assume_finite=False):
                X = names_of(hasher, X)
            assert hasher.encode(X) == expected.encode(plain), (form, type(X))


def names_of(hasher, X):
    """Take the names off a frame, or put those on that the hasher knows."""
    known = getattr(hasher, "feature_names_in_", None)
    if known is not None and not hasattr(X, "columns"):
        return pd.DataFrame(X, columns=known)
    return np.asarray(X) if known is None and hasattr(X, "columns") else X


def assert_nearly_same(hasher, rows, plain):
    """The codes of two forms agree, up to bits on the boundary."""
    projections, expected = hasher.decision_function(rows), None
    expected = hasher.decision_function(plain)
    sure = np.abs(expected) > 1e-4 * np.abs(expected).max(axis=0)
    assert_array_equal((projections > 0)[sure], (expected > 0)[sure])
    assert sure.mean() > 0.8
    assert_array_equal(hasher.transform(rows), projections > 0)


@each_hasher
def test_dense_forms(name):
    """Types, layouts and frames of the same numbers give exactly the same codes."""
    X = whole_numbers()
    for form, make in DENSE.items():
        if name in DEEP and form in ("float16", "int16", "pandas_mixed"):
            continue  # networks take numbers of two bytes in single precision
        assert_same_hasher(name, form, make(X))


@each_hasher
def test_single_precision(name):
    """Layouts of the same numbers in single precision give exactly the same codes."""
    X = whole_numbers().astype("f4")
    for form, make in SINGLE.items():
        assert_same_hasher(name, form, make(X), "f4")


@each_hasher
def test_sparse_forms(name):
    """Every sparse format gives the codes of dense rows, whatever it stores."""
    X, plain = whole_numbers(), fitted(name)
    expected = plain.decision_function(X)
    few = ("csc_matrix", "dia_array", "stored_twice", "read_only_parts", "single")
    for form, make in SPARSE.items():
        if name in DEEP and form not in few:
            continue  # slow to train, and given dense batches
        rows = make(X)
        for hasher in (plain, unfitted(name).fit(rows, y)):
            if form != "pandas_sparse" or hasher is not plain:
                assert_nearly_same(hasher, rows, names_of(hasher, X))
            found = hasher.decision_function(names_of(hasher, X))
            np.testing.assert_allclose(
                found, expected, atol=1e-4 * np.abs(expected).max(), err_msg=form
            )


STREAMED = (
    *("fortran", "int64", "spread_out", "read_only", "list"),
    *("csc_array", "stored_twice", "long_indices", "read_only_parts"),
)


@each_hasher
def test_streams_of_every_form(name):
    """`partial_fit` takes the same forms as `fit`."""
    if not hasattr(HASHERS[name], "partial_fit"):
        pytest.skip("learns from all rows at once")
    X, more = whole_numbers(), whole_numbers(seed=1)
    forms = {"plain": np.asarray} | {form: (DENSE | SPARSE)[form] for form in STREAMED}
    streams = {
        form: unfitted(name).partial_fit(make(X), y).partial_fit(make(more), y)
        for form, make in forms.items()
    }
    expected = streams["plain"].decision_function(X)
    for form, hasher in streams.items():
        np.testing.assert_allclose(
            hasher.decision_function(X),
            expected,
            atol=1e-4 * np.abs(expected).max(),
            err_msg=form,
        )


@pytest.mark.parametrize("dtype", ["u1", "u2", "u8", "i1", "bool"])
@each_hasher
def test_small_numbers(name, dtype):
    """Bytes, counts and truth values are numbers; a bool is 0 or 1."""
    X = np.abs(whole_numbers()) % 100
    X = (X > 20).astype(float) if dtype == "bool" else X
    plain, narrow = (unfitted(name).fit(rows, y) for rows in (X, X.astype(dtype)))
    expected = plain.decision_function(X)
    sure = np.abs(expected) > 1e-3 * np.abs(expected).max()
    found = narrow.transform(X.astype(dtype))
    assert_array_equal(found[sure], (expected > 0)[sure])


def odd_shape(name, n_bits, n_features):
    """A hasher that can learn so many bits from so few features."""
    hasher = unfitted(name)
    if name in ("pcah", "isohash"):  # at most the rank
        n_bits = min(n_bits, n_features)
    if name == "agh":
        hasher.set_params(n_anchors=18)
    if name == "dsh":
        hasher.set_params(n_adjacent=1)
    return hasher.set_params(n_bits=n_bits)


@each_hasher
@given(
    n_bits=st.integers(1, 17),
    n_features=st.integers(1, 9),
    n_queries=st.integers(1, 5),
    exponent=st.integers(-4, 4),
    offset=st.sampled_from([0.0, 1.0, 100.0]),
    dtype=st.sampled_from(["f4", "f8"]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=6)
def test_shapes_and_scales(
    name, n_bits, n_features, n_queries, exponent, offset, dtype, seed
):
    """Whatever the shape and scale, codes are bits, and a row's are its own."""
    rng = np.random.RandomState(seed)
    X = 3 * rng.standard_normal((3, n_features))[y]
    X = (X + rng.standard_normal(X.shape) + offset).astype(dtype)
    X *= np.array(10.0, dtype) ** exponent
    hasher = odd_shape(name, n_bits, n_features)
    if name == "cca":
        hasher.set_params(reg=1e-4 * 100.0**exponent)  # absolute, as documented
    hasher.set_params(random_state=seed % 1000)
    hasher.fit(X, y)
    projections, n_bits = hasher.decision_function(X[:n_queries]), hasher.n_bits
    assert projections.shape == (n_queries, n_bits)
    assert projections.dtype in (np.float32, np.float64)
    assert np.isfinite(projections).all()
    codes = hasher.transform(X[:n_queries])
    assert codes.dtype == np.uint8
    assert_array_equal(codes, projections > 0)
    packed = hasher.encode(X[:n_queries])
    assert (len(packed), packed.n_bits) == (n_queries, n_bits)
    assert_array_equal(packed.unpack(), codes)
    assert len(hasher.get_feature_names_out()) == n_bits
    together = hasher.decision_function(X)
    rounding = 1e-3 if projections.dtype == np.float32 or dtype == "f4" else 1e-8
    for i in range(n_queries):
        np.testing.assert_allclose(
            hasher.decision_function(X[[i]])[0],
            together[i],
            atol=rounding * np.abs(together).max(),
        )


@pytest.mark.parametrize("library", ["pandas", "polars"])
@each_hasher
def test_frames_in_and_out(name, library):
    """Columns are known by name; codes come back as a frame, if one is asked for."""
    X, make = whole_numbers(), {"pandas": pandas_frame, "polars": DENSE["polars"]}
    frame = make[library](X)
    hasher = unfitted(name).fit(frame, y)
    assert_array_equal(hasher.feature_names_in_, COLUMNS)
    codes, names = hasher.transform(frame), hasher.get_feature_names_out()
    assert isinstance(codes, np.ndarray)
    prefix = type(hasher).__name__.lower()
    assert_array_equal(names, [f"{prefix}{j}" for j in range(codes.shape[1])])
    with config_context(transform_output=library):
        by_config = hasher.transform(frame)
    out = hasher.set_output(transform=library).transform(frame)
    for found in (out, by_config):
        assert type(found).__module__.startswith(library)
        assert_array_equal(found.columns, names)
        assert_array_equal(found.to_numpy(), codes)
        assert found.to_numpy().dtype == np.uint8
    assert_array_equal(hasher.encode(frame).unpack(), codes)
    swapped = frame[COLUMNS[1::-1] + COLUMNS[2:]]
    for method in (hasher.transform, hasher.encode, hasher.decision_function):
        with pytest.raises(ValueError, match="must be in the same order"):
            method(swapped)
        with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
            method(frame[COLUMNS[:-1]])


@each_hasher
def test_an_index_is_kept(name):
    """A pandas frame of codes has the index of the rows."""
    frame = pandas_frame(whole_numbers()).set_index(1000 - np.arange(N))
    hasher = unfitted(name).set_output(transform="pandas").fit(frame, y)
    assert_array_equal(hasher.transform(frame).index, frame.index)


@each_hasher
def test_rows_on_disk(name, tmp_path):
    """Mapped files, in both orders, are learned from and hashed as rows in memory."""
    X, expected = whole_numbers(), fitted(name)
    for form in (np.ascontiguousarray, np.asfortranarray):
        np.save(tmp_path / "X.npy", form(X))
        rows = np.load(tmp_path / "X.npy", mmap_mode="r")
        assert unfitted(name).fit(rows, y).encode(rows) == expected.encode(X)
        del rows  # Windows cannot write to a mapped file


@each_hasher
def test_missing_values_of_frames_are_refused(name):
    """A null in a frame is a missing number, and no row has codes without it."""
    frame = pandas_frame(whole_numbers()).convert_dtypes()
    frame.iloc[2, 1] = pd.NA
    holes = pl.DataFrame(whole_numbers(), schema=COLUMNS).with_columns(
        pl.lit(None).cast(pl.Float64).alias(COLUMNS[0])
    )
    hasher = unfitted(name).fit(pandas_frame(whole_numbers()), y)
    for rows in (frame, holes):
        for method in (unfitted(name).fit, hasher.transform):
            with pytest.raises(ValueError, match="NaN"):
                method(rows, y) if method.__name__ == "fit" else method(rows)
