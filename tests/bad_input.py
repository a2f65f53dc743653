"""Small data, and calls that must be refused: what the tests of bad input share."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.base import clone

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
)

N, D = 30, 6
X = np.random.RandomState(0).standard_normal((N, D))
y = np.arange(N) % 3
Y = np.eye(3)[y]
NAMES = np.array(["a", "b", "c"])[y]
MIXED = np.array([0, "a"] * (N // 2), dtype=object)  # no order, hence no classes
DATES = y.astype("M8[D]")
CODES = (X > 0).astype(np.uint8)
PACKED = PackedCodes.from_codes(CODES)
PACKED_8 = PackedCodes.from_codes(np.ones((N, 8)))

#: Messages that several tables name.
CLASSES = r"must hold class labels; got NaN, inf or fractions"
NO_RELEVANT = r"none of the \d+ queries .*has a relevant item.*share labels\?"
ONE_TYPE = r"labels must be of one type to be compared; got "
ONLY = r"must hold only numbers or only strings; got int, str"
SAMPLES = r"inconsistent numbers of samples: \[30, 4\]"
TYPE_OR_VALUE = (TypeError, ValueError)

TINY_NET = {
    "hidden_units": (8,),
    "max_epochs": 2,
    "batch_size": 16,
    "random_state": 0,
}
HASHERS = {
    "itq": ITQ(4, random_state=0),
    "cca": ITQ(4, projection="cca", random_state=0),
    "lsh": RandomHyperplaneHashing(4, random_state=0),
    "pcah": PCAHashing(4),
    "sh": SpectralHashing(4, random_state=0),
    "sph": SphericalHashing(4, tol_mean=2, tol_std=2, random_state=0),
    "dsh": DensitySensitiveHashing(4, random_state=0),
    "isohash": IsotropicHashing(4, random_state=0),
    "agh": AnchorGraphHashing(4, n_anchors=10, random_state=0),
    "ksh": KernelSupervisedHashing(4, random_state=0),
    "sdh": SupervisedDiscreteHashing(4, random_state=0),
    "idhn": SoftPairwiseHasher(4, **TINY_NET),
    "uhga": UHGAHasher(4, attention_weight=0.5, **TINY_NET),
    "ssdh": SSDHHasher(4, width=1, **TINY_NET),
}
RETRIEVERS = {
    "bare": HammingRetriever(n_neighbors=3),
    "hashed": HammingRetriever(ITQ(4, random_state=0), n_neighbors=3),
}


class Case(NamedTuple):
    """A call that must raise `error` with a message that matches `message`."""

    id: str
    call: Callable[[], Any]
    message: str
    error: Any = ValueError

    def check(self):
        with pytest.raises(self.error, match=self.message):
            self.call()


def cases(prefix, call, table):
    """Make cases of rows (id, arguments of `call`, message, error=ValueError).

    The arguments are a tuple, or a dict of keywords.
    """

    def bind(arguments):
        if isinstance(arguments, dict):
            return partial(call, **arguments)
        return partial(call, *arguments)

    return [Case(f"{prefix}-{row[0]}", bind(row[1]), *row[2:]) for row in table]


def each(*table):
    """Run a test with each case."""
    params = [pytest.param(case, id=case.id) for case in table]
    return pytest.mark.parametrize("case", params)


def unfitted(name):
    """Give an estimator of the tables above."""
    return clone({**HASHERS, **RETRIEVERS}[name])


def fresh(name):
    """Give a fitted one."""
    return unfitted(name).fit(X, y)


@cache
def fitted(name):
    """Give a fitted one that is shared, hence not to be changed."""
    return fresh(name)


def cca(**params):
    return ITQ(4, projection="cca", random_state=0, **params)


def with_value(value, n_samples=N, row=2):
    """Rows of which one holds an odd value."""
    rows = np.ones((n_samples, D))
    rows[: min(N, n_samples)] = X[:n_samples]
    rows[row, 1] = value
    return rows


def constant(value, n_samples=N, n_features=D, dtype=np.float64):
    return np.full((n_samples, n_features), value, dtype)


def labels_with(value):
    return np.where(y == 0, value, y)
