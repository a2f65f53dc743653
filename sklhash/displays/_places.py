"""Places of a ranking at which precision is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash._sklearn import Integer

#: Places that are scored, unless they are listed.
MAX_PLACES = 200


def check_places(k: Any) -> None:
    """Refuse what is no number of items."""
    whole = Integer(1, None)
    listed = np.ravel(np.asarray(k, dtype=object)).tolist()
    if k is not None and not (listed and all(map(whole.is_satisfied_by, listed))):
        raise ValueError(f"k must be an integer >= 1, or a sequence of them; got {k!r}")


def places_up_to(k: Any, n_ranks: int) -> NDArray[np.int64]:
    """List the places to score; if they are many, some, densest at the top."""
    if k is not None and np.ndim(k):
        return np.unique(np.asarray(k, dtype=np.int64))
    last = min(100, n_ranks) if k is None else int(k)
    if last <= MAX_PLACES:
        return np.arange(1, last + 1)
    return np.unique(np.geomspace(1, last, MAX_PLACES).round().astype(np.int64))
