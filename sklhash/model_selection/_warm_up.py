"""What is done before the clock starts, so that no run pays for what others use."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from sklhash._sklearn import safe_indexing
from sklhash.encoding import encode_with

from ._sizes import n_features

#: Rows, values and bits of a fit that is not timed: it is to take no time.
WARM_UP_ROWS = 100
WARM_UP_VALUES = 2**17
WARM_UP_BITS = 8

#: Parameters, by name, for such a fit: no generator of the user's is drawn from, no
#: network trained for long, nothing written or printed.
QUIET = {
    "random_state": 0,
    "max_epochs": 1,
    "callbacks": None,
    "verbose": 0,
    "n_anchors": 20,
    "n_bits": WARM_UP_BITS,
}

#: Hashers that this process has fitted before.
warm: set[str] = set()


def warm_up(hasher: Any, X: Any, y: Any, rows: Any) -> None:
    """Fit and encode a few rows, once a process and hasher, whatever comes of it.

    Libraries are imported and functions compiled by it; the times of the first run are
    then those of the others.

    Parameters
    ----------
    hasher : estimator
        Unfitted; a clone is fitted.
    X, y : data of all rows
    rows : ndarray of shape (n_rows,), dtype intp
        Those to learn from, some of which are taken.
    """
    quiet = _quiet(hasher)
    key = repr(quiet)
    if key in warm:
        return
    warm.add(key)
    number = min(WARM_UP_ROWS, max(2, WARM_UP_VALUES // max(1, n_features(X))))
    few = rows[:: -(-len(rows) // number)]
    state = np.random.get_state()  # of those who draw from it without a parameter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            some = safe_indexing(X, few)
            quiet.fit(some, None if y is None else safe_indexing(y, few))
            encode_with(quiet, some)
        except Exception:  # the run itself will say what is wrong
            return
        finally:
            np.random.set_state(state)


def _quiet(hasher: Any) -> Any:
    """Clone a hasher, to be fitted in no time and without a trace."""
    copy = clone(hasher)
    params = {
        name: QUIET[own]
        for name in copy.get_params()
        if (own := name.rpartition("__")[2]) in QUIET
    }
    return copy.set_params(**params)
