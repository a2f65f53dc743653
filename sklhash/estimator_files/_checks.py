"""Whether the parts of estimators from files fit together."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from sklhash.agh import AnchorGraphHashing
from sklhash.base import BaseHasher
from sklhash.codes import PackedCodes
from sklhash.density_sensitive import DensitySensitiveHashing
from sklhash.isohash import IsotropicHashing
from sklhash.itq import ITQ
from sklhash.ksh import KernelSupervisedHashing
from sklhash.lsh import RandomHyperplaneHashing
from sklhash.pca import PCAHashing
from sklhash.raw_rows import RawRows
from sklhash.retrieval import HammingRetriever
from sklhash.sdh import SupervisedDiscreteHashing
from sklhash.spectral import SpectralHashing
from sklhash.spherical import SphericalHashing

#: Shapes of what projects rows, for each class: d features, k bits, r directions, m
#: anchors, e eigenvectors, t thresholds.
_LINEAR = {"mean_": "d", "components_": "kd"}
_KERNEL = {"anchors_": "md", "gamma_": "", "mean_": "m", "components_": "km"}
SHAPES: dict[type, dict[str, str]] = {
    AnchorGraphHashing: {
        "anchors_": "md",
        "bandwidth_": "",
        "n_neighbors_": "",
        "eigenfunctions_": "me",
        "eigenvalues_": "e",
        "thresholds_": "2t",
    },
    DensitySensitiveHashing: {**_LINEAR, "thresholds_": "k"},
    ITQ: _LINEAR,
    IsotropicHashing: _LINEAR,
    KernelSupervisedHashing: _KERNEL,
    PCAHashing: _LINEAR,
    RandomHyperplaneHashing: _LINEAR,
    SpectralHashing: {
        "mean_": "d",
        "components_": "rd",
        "lower_bounds_": "r",
        "ranges_": "r",
        "directions_": "k",
        "modes_": "k",
    },
    SphericalHashing: {"mean_": "d", "pivots_": "kd", "radii_": "k"},
    SupervisedDiscreteHashing: {**_KERNEL, "intercept_": "k"},
}


def check_estimators(estimator: Any) -> None:
    """Check a loaded estimator and all hashers and retrievers in it.

    Compiled code searches galleries, and follows numbers of rows without looking. A
    hasher of arrays that do not go together might give codes all the same, or take the
    memory of their product.

    Parameters
    ----------
    estimator : estimator

    Raises
    ------
    ValueError
        If there is no estimator, or its parts do not fit together.
    """
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"it holds no estimator but {type(estimator).__name__}")
    for part in _reachable(estimator):
        if isinstance(part, HammingRetriever | BaseHasher):
            _check_names(part)
        if isinstance(part, HammingRetriever):
            _check_retriever(part)
        elif isinstance(part, BaseHasher):
            _check_hasher(part)


def check_can_be_loaded(estimator: BaseEstimator) -> None:
    """Refuse to save what no file could give back.

    Parameters
    ----------
    estimator : estimator

    Raises
    ------
    TypeError
        If it holds a class or function that cannot be found by its name.
    ValueError
        If it would read a cache of pickles.
    """
    for part in _reachable(estimator):
        if isinstance(part, type | FunctionType):
            module = sys.modules.get(part.__module__)
            if getattr(module, part.__name__, None) is not part:
                raise TypeError(
                    f"{part.__qualname__} of {part.__module__} cannot be found again "
                    "by its name: define it at the top of a module, or use joblib.dump"
                )
        elif (
            type(part).__module__.startswith("sklearn.")
            and isinstance(part, BaseEstimator)
            and getattr(part, "memory", None) is not None
        ):
            raise ValueError(
                f"this {type(part).__name__} caches pickles, which load_estimator does "
                "not allow: save it with memory=None"
            )


def _reachable(root: Any) -> Iterator[Any]:
    """Give all that can be reached by containers and attributes of estimators."""
    left, seen = [root], set()
    while left:
        item = left.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, type):
            continue
        if isinstance(item, BaseEstimator):
            left += vars(item).values()
        elif isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list | tuple | set):
            left += item
        elif isinstance(item, np.ndarray) and item.dtype == object:
            left += item.ravel().tolist()


def _check_names(part: BaseEstimator) -> None:
    """Attributes hide methods of the same name; properties and data are no methods."""
    for name in vars(part):
        own = inspect.getattr_static(type(part), name, None)
        if hasattr(own, "__get__") and not isinstance(own, property):
            raise ValueError(f"its {type(part).__name__} is damaged: {name} is no data")


def _check_retriever(retriever: HammingRetriever) -> None:
    state = vars(retriever)
    if "gallery_codes_" not in state:
        return
    codes: Any = state["gallery_codes_"]
    labels, rows = state.get("gallery_labels_"), state.get("gallery_rows_")
    hasher = state.get("hasher_")
    fits = (
        isinstance(codes, PackedCodes)
        and type(codes.packed) is np.ndarray
        and len(codes) > 0
        and state.get("n_samples_fit_") == len(codes)
        and (hasher is None or isinstance(hasher, BaseEstimator))
        and _is_table(labels, len(codes), (1, 2))
        and (rows is None or isinstance(rows, RawRows))
    )
    if fits and isinstance(rows, RawRows):
        fits = (
            isinstance(rows.parts, tuple)
            and all(
                _is_table(part, None, (2,)) and part.dtype.kind in "fiub"
                for part in rows.parts
            )
            and len({part.shape[1] for part in rows.parts}) == 1
            and rows.n_samples == len(codes)
        )
    if not fits:
        raise ValueError("its HammingRetriever is damaged: the gallery does not fit")


def _is_table(values: Any, n_rows: int | None, ndim: tuple[int, ...]) -> bool:
    """Tell whether this is an array of that many rows, if given; labels may be None."""
    if values is None:
        return n_rows is not None
    return (
        (type(values) is np.ndarray or issparse(values))
        and values.ndim in ndim
        and n_rows in (None, values.shape[0])
    )


def _check_hasher(hasher: BaseHasher) -> None:
    """Compare the shapes of what hashes rows: broadcast, any would give codes."""
    state = vars(hasher)
    shapes = next((SHAPES[k] for k in type(hasher).__mro__ if k in SHAPES), {})
    if not shapes.keys() & state.keys():  # unfitted, or a stream, or a network
        return
    sizes = {"d": state.get("n_features_in_"), "k": state.get("n_bits"), "2": 2}
    for name, letters in shapes.items():
        shape = _shape(state.get(name))
        if (
            shape is None
            or len(shape) != len(letters)
            or any(
                sizes.setdefault(letter, size) != size
                for letter, size in zip(letters, shape, strict=True)
            )
        ):
            raise ValueError(
                f"its {type(hasher).__name__} is damaged: {name} does not fit the rest"
            )


def _shape(value: Any) -> tuple[int, ...] | None:
    """Shape of an array of real numbers, or a number; nothing is converted."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ()
    if type(value) is np.ndarray or isinstance(value, np.generic) or issparse(value):
        return value.shape if value.dtype.kind in "fiu" else None
    return None
