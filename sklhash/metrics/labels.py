"""Labels in any form, and the one form that counting works on."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse, vstack
from sklearn.utils import check_array, column_or_1d

#: With more shared labels the gain ``2**shared - 1`` leaves the range of floats.
MAX_LABELS = 1000


def check_labels(y: Any, name: str = "y") -> Any:
    """Validate labels: a class vector, or an indicator matrix of zeros and ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
            (n_samples, n_labels)
    name : str
        What to call `y` in error messages.

    Returns
    -------
    labels : ndarray of shape (n_samples,) or csr_array of shape (n_samples, n_labels)
        Class vectors keep their dtype; indicator matrices become float32.

    Raises
    ------
    ValueError
        If `y` is missing, has NaN, is continuous, mixes types, or is a matrix that
        holds anything but zeros and ones.
    """
    if y is None:
        raise ValueError(
            f"{name} is missing: relevance needs class labels or a label matrix"
        )
    if not issparse(y):
        y = _to_array(y, name)
    if issparse(y) or (y.ndim == 2 and y.shape[1] > 1):
        return _check_indicator(y, name)
    classes = column_or_1d(y, warn=True)
    if classes.dtype.kind == "O":
        classes = _of_one_type(classes, name)
    if classes.dtype.kind not in "biufUSTmM":
        raise ValueError(f"{name} must hold class labels; got dtype {classes.dtype}")
    if classes.dtype.kind in "mM" and np.isnat(classes).any():
        raise ValueError(f"{name} must hold class labels; got NaT")
    if classes.dtype.kind == "f" and not (
        np.isfinite(classes).all() and np.all(classes == np.floor(classes))
    ):
        raise ValueError(
            f"{name} must hold class labels; got NaN, inf or fractions. For a "
            "continuous target, give the relevance of each pair as a matrix instead."
        )
    return classes


def _to_array(y: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(y)
    except ValueError as error:  # rows of unequal length
        raise ValueError(_no_labels(name, "rows of unequal length")) from error


def _of_one_type(classes: NDArray[Any], name: str) -> NDArray[Any]:
    """Turn an object array of strings, or of numbers, into one of such a dtype."""
    values = classes.tolist()
    for kind in (str, Number):
        if all(isinstance(value, kind) for value in values):
            return np.array(values)
    if any(isinstance(value, set | frozenset | list | tuple) for value in values):
        raise ValueError(_no_labels(name, "several labels an item"))
    types = sorted({type(value).__name__ for value in values})
    raise ValueError(
        f"{name} must hold only numbers or only strings; got {', '.join(types)}"
    )


def _no_labels(name: str, got: str) -> str:
    return (
        f"{name} must be a class vector or an indicator matrix of zeros and ones; got "
        f"{got}. sklearn.preprocessing.MultiLabelBinarizer makes a matrix of lists."
    )


def _check_indicator(y: Any, name: str) -> csr_array:
    if getattr(y, "dtype", np.dtype(float)).kind in "OUST":
        raise ValueError(_no_labels(name, f"a matrix of {y.dtype}"))
    y = check_array(y, accept_sparse="csr", input_name=name, ensure_min_samples=0)
    labels = csr_array(y, dtype=np.float32, copy=True)
    labels.sum_duplicates()
    labels.eliminate_zeros()
    if np.any(labels.data != 1):
        raise ValueError(
            f"{name} must be a class vector or a matrix of zeros and ones; got a "
            f"matrix with the value {labels.data[labels.data != 1][0]:g}"
        )
    return labels


def join_classes(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Put two class vectors one after the other.

    Parameters
    ----------
    first, second : ndarray of shape (n_samples,)
        As from :func:`check_labels`.

    Returns
    -------
    classes : ndarray of shape (n_first + n_second,)

    Raises
    ------
    ValueError
        If they are not both numbers, strings, dates or time spans, or if integers
        would be rounded.
    """
    both = first, second
    same_type = any(
        all(classes.dtype.kind in kinds for classes in both)
        for kinds in ("biuf", "UST", "M", "m")
    )
    if not same_type or (
        np.result_type(*both).kind == "f"
        and any(np.any(np.abs(labels.astype(np.float64)) >= 2**53) for labels in both)
    ):
        raise ValueError(
            f"labels must be of one type to be compared; got {first.dtype} and "
            f"{second.dtype}"
        )
    return np.concatenate(both)


def join_labels(first: Any, second: Any) -> Any:
    """Append the labels of new rows to those of a gallery.

    Parameters
    ----------
    first, second : ndarray, csr_array or None
        As from :func:`check_labels`; None for no labels.

    Returns
    -------
    labels : ndarray, csr_array or None

    Raises
    ------
    ValueError
        If only one of them has labels, or their forms or types differ.
    """
    if first is None and second is None:
        return None
    if first is None or second is None:
        raise ValueError(
            "the gallery and the new rows must both have labels or both have none; got "
            f"y={'None' if second is None else 'labels'} for the new rows"
        )
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"y must have the form of the gallery's labels, shape {first.shape}; got "
            f"shape {second.shape}"
        )
    if issparse(first):
        return vstack([first, second], format="csr")
    return join_classes(first, second)


def encode_labels(y_query: Any, y_gallery: Any) -> tuple[Any, Any]:
    """Bring the labels of queries and gallery to a common form.

    Parameters
    ----------
    y_query, y_gallery : array-like or sparse matrix
        As in :func:`check_labels`.

    Returns
    -------
    query_labels, gallery_labels : ndarray of shape (n_samples,), dtype int64, or \
            csr_array of shape (n_samples, n_labels), dtype float32

    Raises
    ------
    ValueError
        If one is a vector and the other a matrix, or their columns or types differ.
    """
    query, gallery = (
        check_labels(y_query, "y_query"),
        check_labels(y_gallery, "y_gallery"),
    )
    if query.shape[1:] != gallery.shape[1:]:
        raise ValueError(
            "y_query and y_gallery must both be class vectors, or indicator matrices "
            f"with the same columns; got shapes {query.shape} and {gallery.shape}"
        )
    if query.ndim == 2:
        return query, gallery
    _, codes = np.unique(join_classes(query, gallery), return_inverse=True)
    codes = codes.astype(np.int64)
    return codes[: len(query)], codes[len(query) :]


def n_grades(query_labels: Any) -> int:
    """One more than the most labels that a query can share with an item.

    It depends on the queries alone, so histograms of several galleries add up.

    Parameters
    ----------
    query_labels : ndarray or csr_array
        As from :func:`encode_labels`.

    Returns
    -------
    int
    """
    if query_labels.ndim == 1:
        return 2
    return 1 + max(1, int(query_labels.sum(axis=1).max()))


def check_grades(largest: int) -> None:
    """Refuse grades whose gain ``2**grade - 1`` no float can hold.

    Parameters
    ----------
    largest : int

    Raises
    ------
    ValueError
        If `largest` is above 1,000.
    """
    if largest > MAX_LABELS:
        raise ValueError(
            f"relevance grades may go up to {MAX_LABELS}, for the gain 2**grade - 1 of "
            f"nDCG; got {largest}"
        )


def check_relevance(relevance: Any) -> NDArray[np.int64]:
    """Validate a relevance matrix: booleans, or whole non-negative grades.

    Parameters
    ----------
    relevance : array-like of shape (n_queries, n_gallery)

    Returns
    -------
    relevance : ndarray of shape (n_queries, n_gallery), dtype int64

    Raises
    ------
    ValueError
        If a grade is negative, fractional, not finite or above 1,000.
    """
    grades = check_array(relevance, input_name="relevance")
    if np.any(grades < 0) or np.any(grades != np.floor(grades)):
        raise ValueError(
            "relevance must be boolean or hold whole numbers of shared labels >= 0"
        )
    check_grades(int(grades.max()))
    return grades.astype(np.int64)
