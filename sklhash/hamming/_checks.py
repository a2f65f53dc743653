"""Arguments of the public functions, checked: kernels would read beyond bad ones."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sklhash.codes import MAX_BITS


def check_packed(codes: Any, name: str) -> None:
    """Refuse what holds no packed codes.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_bytes), dtype uint8
    name : str
        What to call `codes` in error messages.

    Raises
    ------
    TypeError
        If it is no array.
    ValueError
        If it is one of another form.
    """
    if not isinstance(codes, np.ndarray):
        raise TypeError(
            f"{name} must be an array of packed codes, such as PackedCodes.packed; got "
            f"{type(codes).__name__}"
        )
    if codes.dtype != np.uint8 or codes.ndim != 2:
        raise ValueError(
            f"{name} must be packed codes, of shape (n_samples, n_bytes) and dtype "
            f"uint8; got shape {codes.shape} and dtype {codes.dtype}"
        )


def check_codes(
    queries: Any, gallery: Any, names: tuple[str, str] = ("queries", "gallery")
) -> None:
    """Refuse what is no pair of packed codes of one length.

    Parameters
    ----------
    queries, gallery : ndarray of shape (n_samples, n_bytes), dtype uint8
    names : tuple of str
        What to call them in error messages.

    Raises
    ------
    TypeError
    ValueError
    """
    for name, codes in zip(names, (queries, gallery), strict=True):
        check_packed(codes, name)
    if queries.shape[1] != gallery.shape[1] or not gallery.shape[1]:
        raise ValueError(
            f"{names[0]} and {names[1]} must have equally many bytes a code, 1 or "
            f"more; got {queries.shape[1]} and {gallery.shape[1]}"
        )


def check_k(k: Any, n_gallery: int) -> None:
    """Refuse a number of neighbours that there is not.

    Parameters
    ----------
    k, n_gallery : int

    Raises
    ------
    TypeError
    ValueError
    """
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise TypeError(f"k must be an integer; got {k!r}")
    if not 1 <= int(k) <= n_gallery:
        raise ValueError(f"k must be in [1, {n_gallery}], the gallery; got {k}")


def check_radius(radius: Any) -> None:
    """Refuse what is no distance.

    Parameters
    ----------
    radius : int or float
        May be infinite.

    Raises
    ------
    TypeError
    ValueError
    """
    is_number = isinstance(radius, Real) and not isinstance(radius, bool)
    if not is_number:
        raise TypeError(f"radius must be a number; got {radius!r}")
    if not radius >= 0:
        raise ValueError(f"radius must be a number >= 0; got {radius}")


def check_n_bits(n_bits: Any, packed: NDArray[np.uint8] | None = None) -> None:
    """Refuse what is no code length, or not that of some codes.

    Parameters
    ----------
    n_bits : int
    packed : ndarray of shape (n_samples, n_bytes), dtype uint8, default=None

    Raises
    ------
    TypeError
    ValueError
    """
    if isinstance(n_bits, bool) or not isinstance(n_bits, Integral):
        raise TypeError(f"n_bits must be an integer; got {n_bits!r}")
    if not 0 <= int(n_bits) <= MAX_BITS:
        raise ValueError(f"n_bits must be in [0, {MAX_BITS}]; got {n_bits}")
    if packed is not None and -(-int(n_bits) // 8) != packed.shape[1]:
        raise ValueError(
            f"codes of n_bits={n_bits} take {-(-int(n_bits) // 8)} bytes each, but "
            f"{packed.shape[1]} are given"
        )


def check_padding(codes: NDArray[np.uint8], n_bits: int) -> None:
    """Refuse codes with more bits than they are said to have.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_bytes), dtype uint8
    n_bits : int

    Raises
    ------
    ValueError
    """
    if n_bits % 8 and len(codes) and codes[:, -1].max() >> n_bits % 8:
        raise ValueError(f"codes have bits after the first n_bits={n_bits}")


def check_label_pair(query_labels: Any, gallery_labels: Any) -> None:
    """Refuse labels that cannot be compared.

    Parameters
    ----------
    query_labels, gallery_labels : ndarray of integers, of shape (n_samples,), \
            or CSR array of shape (n_samples, n_labels)

    Raises
    ------
    TypeError
        If they are neither.
    ValueError
        If they have different forms or columns.
    """
    for labels in (query_labels, gallery_labels):
        check_labels(labels)
    if query_labels.shape[1:] != gallery_labels.shape[1:]:
        raise ValueError(
            "labels of queries and gallery must both be class numbers, or matrices "
            f"with the same columns; got shapes {query_labels.shape} and "
            f"{gallery_labels.shape}"
        )


def check_labels(labels: Any, n_samples: int | None = None) -> None:
    """Refuse what are no labels, or not those of some codes.

    Parameters
    ----------
    labels : ndarray of integers, of shape (n_samples,), \
            or CSR array of shape (n_samples, n_labels)
    n_samples : int, default=None

    Raises
    ------
    TypeError
    ValueError
    """
    is_matrix = issparse(labels) and labels.format == "csr"
    is_vector = isinstance(labels, np.ndarray) and labels.ndim == 1
    if not is_matrix and not (is_vector and labels.dtype.kind in "biu"):
        got = getattr(labels, "dtype", type(labels).__name__)
        raise TypeError(
            "labels must be an array of class numbers, integers, or a CSR indicator "
            f"matrix; got {got}"
        )
    if n_samples is not None and labels.shape[0] != n_samples:
        raise ValueError(
            f"labels must be as many as codes; got {labels.shape[0]} and {n_samples}"
        )
