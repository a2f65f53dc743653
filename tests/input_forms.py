"""Forms that the same numbers, codes or labels may be given in."""

import tempfile

import numpy as np
import pytest
import scipy.sparse as sp

from sklhash import PackedCodes

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

SPARSE_FORMATS = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]


def mapped(values):
    """Write an array to a file and map it, for reading only."""
    values = np.ascontiguousarray(values)
    with tempfile.TemporaryFile() as file:
        file.write(values.tobytes())
        file.flush()
        return np.memmap(file, values.dtype, "r", shape=values.shape)


def read_only(values):
    values = np.array(values)
    values.flags.writeable = False
    return values


def reversed_view(values):
    return np.ascontiguousarray(values[::-1])[::-1]


def every_other(values):
    return np.repeat(values, 2, axis=0)[::2]


def every_other_column(values):
    return np.repeat(values, 2, axis=1)[:, ::2]


def unaligned(values):
    """Lay an array out from an odd address on."""
    values = np.ascontiguousarray(values)
    room = np.empty(values.nbytes + 1, np.uint8)[1:]
    room[:] = np.frombuffer(values.tobytes(), np.uint8)
    return room.view(values.dtype).reshape(values.shape)


def to(dtype):
    return lambda values: np.asarray(values).astype(dtype)


def sparse(name):
    return lambda values: getattr(sp, name)(np.asarray(values))


#: Memory layouts that any function has to read.
VECTOR_LAYOUTS = {
    "as it is": lambda values: values,
    "mapped": mapped,
    "read-only": read_only,
    "reversed": reversed_view,
    "unaligned": unaligned,
    "every other": every_other,
}
LAYOUTS = {
    **VECTOR_LAYOUTS,
    "Fortran order": np.asfortranarray,
    "every other column": every_other_column,
}
#: Where an array-like is documented.
_ARRAY_LIKE = {
    "list": lambda values: np.asarray(values).tolist(),
    "object": to(object),
    "longdouble": to(np.longdouble),
    "big endian": to(">f8"),
    "float16": to(np.float16),
    "float32": to(np.float32),
    "float64": to(np.float64),
}
#: Of vectors of small multiples of 1/8, which float16 holds exactly.
VECTORS = {
    **VECTOR_LAYOUTS,
    **_ARRAY_LIKE,
    "pandas": lambda values: pd.Series(values, index=np.arange(len(values))[::-1]),
    "polars": lambda values: pl.Series(np.asarray(values, np.float64)),
}
#: Of matrices of such numbers.
MATRICES = {
    **LAYOUTS,
    **_ARRAY_LIKE,
    "tuples": lambda values: tuple(map(tuple, np.asarray(values).tolist())),
    "pandas": pd.DataFrame,
    "polars": lambda values: pl.DataFrame(np.asarray(values, np.float64)),
}
#: Of codes, given as zeros and ones.
CODES = {
    **MATRICES,
    "bool": to(bool),
    "int8": to(np.int8),
    "uint64": to(np.uint64),
    "-1 and +1": lambda codes: 2 * np.asarray(codes, np.int64) - 1,
    "real": lambda codes: np.asarray(codes) - 0.5,
    "packed": PackedCodes.from_codes,
}
#: Of indicator matrices. An object is no number.
INDICATORS = {
    **{name: form for name, form in MATRICES.items() if name != "object"},
    "bool": to(bool),
    "int8": to(np.int8),
    "uint64": to(np.uint64),
    **{
        f"{name}_{kind}": sparse(f"{name}_{kind}")
        for name in SPARSE_FORMATS
        for kind in ("array", "matrix")
    },
}
#: Of class vectors, given as small integers.
CLASSES = {
    **VECTOR_LAYOUTS,
    **_ARRAY_LIKE,
    "int8": to(np.int8),
    "uint64": to(np.uint64),
    "strings": to(str),
    "bytes": to("S"),
    "StringDType": lambda y: np.asarray(y).astype(str).astype(np.dtypes.StringDType()),
    "dates": to("M8[D]"),
    "time spans": to("m8[s]"),
    "Series": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "Index": pd.Index,
    "categories": lambda y: pd.Series(y).astype("category"),
    "Int64": lambda y: pd.Series(y).astype("Int64"),
    "pandas strings": lambda y: pd.Series(np.asarray(y).astype(str)),
    "polars": lambda y: pl.Series(np.asarray(y)),
    "polars strings": lambda y: pl.Series([str(label) for label in y]),
}


class Plain:
    """Gives everything as the plain array that it is."""

    def _give(self, values):
        return values

    packed = numbers = codes = features = matrix = vector = _give
    indicator = classes = _give


class Drawn:
    """Gives everything in some form, and remembers how it was.

    Parameters
    ----------
    choose : callable
        Takes names of forms and gives one of them.
    """

    def __init__(self, choose):
        self.choose = choose
        self.given = []
        self.forms = {}

    def _give(self, forms, values):
        return self._remember(forms[self.choose(sorted(forms))](values))

    def packed(self, values):
        return self._give(LAYOUTS, values)

    def numbers(self, values):
        """Vectors that are to be arrays."""
        return self._give(VECTOR_LAYOUTS, values)

    def codes(self, values):
        return self._give(CODES, values)

    def matrix(self, values):
        return self._give(MATRICES, values)

    def vector(self, values):
        return self._give(VECTORS, values)

    def indicator(self, values):
        return self._give(INDICATORS, values)

    def features(self, values):
        """Codes that an estimator is given, which are to have one form."""
        return self._give_alike(CODES, values)

    def classes(self, values):
        """Labels, which are to be of one type."""
        return self._give_alike(CLASSES, values)

    def _give_alike(self, forms, values):
        name = self.forms.setdefault(id(forms), self.choose(sorted(forms)))
        return self._remember(forms[name](values))

    def _remember(self, given):
        if isinstance(given, np.ndarray):
            self.given.append((given, given.copy(), given.flags.writeable))
        return given

    def check_unchanged(self):
        """No array that was given has other values now, or another flag."""
        for given, before, writeable in self.given:
            assert given.flags.writeable == writeable
            np.testing.assert_array_equal(given, before)


def flatten(result):
    """List the arrays that a result consists of."""
    if isinstance(result, dict):
        return [array for key in result for array in flatten(result[key])]
    if isinstance(result, tuple | list):
        return [array for part in result for array in flatten(part)]
    if isinstance(result, np.ndarray) and result.dtype == object:
        return [array for part in result for array in flatten(part)]
    if isinstance(result, PackedCodes):
        return [result.packed]
    if sp.issparse(result):
        return [result.toarray()]
    return [np.asarray(result)]


def assert_same(found, expected):
    """Results are of the same types and values, floats up to the order of a sum."""
    found, expected = flatten(found), flatten(expected)
    assert [x.dtype for x in found] == [x.dtype for x in expected]
    for one, other in zip(found, expected, strict=True):
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
        else:
            np.testing.assert_array_equal(one, other)
