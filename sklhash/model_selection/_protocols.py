"""The splits of the literature, by name."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse


class Protocol(NamedTuple):
    """What a paper's split takes of each class or label."""

    n_queries: int
    n_train: int
    n_labels: int
    train_per_class: bool
    labels_are: str


PROTOCOLS = {
    "cifar10-1k": Protocol(100, 500, 10, True, "classes"),
    "cifar10-10k": Protocol(1000, 5000, 10, False, "classes"),
    "nus21": Protocol(100, 500, 21, True, "labels"),
}


def find_protocol(protocol: str, labels: Any) -> Protocol:
    """Give a split of the literature, if it is one of such labels.

    Parameters
    ----------
    protocol : str
    labels : ndarray, csr_array or None
        As from :func:`sklhash.metrics.labels.check_labels`.

    Returns
    -------
    Protocol

    Raises
    ------
    ValueError
        If there is no such protocol, or it is of other labels.
    """
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        raise ValueError(
            f"protocol must be one of {', '.join(map(repr, PROTOCOLS))} or None; got "
            f"{protocol!r}"
        )
    rules = PROTOCOLS[protocol]
    if labels is None:
        raise ValueError(f"protocol={protocol!r} needs y, the {rules.labels_are}")
    is_matrix = issparse(labels)
    n_labels = labels.shape[1] if is_matrix else len(np.unique(labels))
    if is_matrix != (rules.labels_are == "labels") or n_labels != rules.n_labels:
        what = "an indicator matrix" if is_matrix else "a class vector"
        # Without per_class both numbers are those of all classes together.
        n_queries = rules.n_queries * (1 if rules.train_per_class else n_labels)
        raise ValueError(
            f"protocol={protocol!r} is of data with {rules.n_labels} "
            f"{rules.labels_are}; got {what} with {n_labels}. For other data give "
            f"n_queries={n_queries}, n_train={rules.n_train}"
            f"{', per_class=True' if rules.train_per_class else ''}."
        )
    return rules
