"""The hashers that are compared, and what they are called."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sklhash.encoding import last_step

from ._runs import n_bits_parameter


def check_hashers(hashers: Any, code_distance: str) -> dict[str, Any]:
    """Give hashers by name, made of their classes' names if they have none.

    Parameters
    ----------
    hashers : estimator, list of estimators, or dict of str to estimator
    code_distance : str
        By which their codes are compared; 'asymmetric' ones need projections.

    Returns
    -------
    dict of str to estimator

    Raises
    ------
    TypeError
        If one is no estimator, or a name no string.
    ValueError
        If there are none, a name is not one line, or one has no parameter `n_bits` or
        no projections that are needed.
    """
    if isinstance(hashers, Mapping):
        named = dict(hashers)
    else:
        # A pipeline is one hasher, although it is a sequence of steps.
        is_one = hasattr(hashers, "get_params") or isinstance(hashers, (str, type))
        several = isinstance(hashers, Iterable) and not is_one
        named = _name(list(hashers) if several else [hashers])
    if not named:
        raise ValueError("hashers is empty: give one estimator or more")
    for name, hasher in named.items():
        if not isinstance(name, str):
            raise TypeError(f"the names of hashers must be strings; got {name!r}")
        if len(name.splitlines()) != 1:
            raise ValueError(f"the name of a hasher must be one line; got {name!r}")
        _check_hasher(name, hasher)
        if code_distance == "asymmetric":
            _check_projections(name, hasher)
    return named


def _check_hasher(name: str, hasher: Any) -> None:
    if isinstance(hasher, type):
        raise TypeError(
            f"hashers must be estimators, not classes, such as ITQ(): give "
            f"{hasher.__name__}()"
        )
    if not hasattr(hasher, "get_params"):
        raise TypeError(
            f"hashers must be estimators, such as ITQ(), or pipelines; {name!r} is "
            f"{hasher!r}"
        )
    if isinstance(hasher, FrozenEstimator):
        raise ValueError(
            f"{name!r} is frozen, with codes of one length: give the hasher in it"
        )
    parameter = n_bits_parameter(hasher)
    if parameter not in hasher.get_params():
        raise ValueError(
            f"{name!r} has no parameter {parameter!r} to set the code length by: give "
            "a hasher, or a pipeline that ends in one; not a retriever or a fitted "
            "search"
        )


def _check_projections(name: str, hasher: Any) -> None:
    last = last_step(hasher)
    if hasattr(last, "encode") and not hasattr(last, "decision_function"):
        raise ValueError(
            f"code_distance='asymmetric' needs a decision_function, which {name!r} has "
            "not: leave it out, or use code_distance='hamming'"
        )


def _name(hashers: list[Any]) -> dict[str, Any]:
    """Name hashers by class; those of one class by their parameters, or by number."""
    names = [_class_name(hasher) for hasher in hashers]
    for describe in (_short_repr, None):
        repeated = {name for name in names if names.count(name) > 1}
        numbers = dict.fromkeys(repeated, 0)
        for i, (name, hasher) in enumerate(zip(names, hashers, strict=True)):
            if name not in repeated:
                continue
            numbers[name] += 1
            names[i] = describe(hasher) if describe else f"{name}, {numbers[name]}"
    return dict(zip(names, hashers, strict=True))


def _class_name(estimator: Any) -> str:
    if isinstance(estimator, Pipeline):
        return " + ".join(_class_name(step) for _, step in estimator.steps)
    if isinstance(estimator, str):  # 'passthrough'
        return estimator
    is_class = isinstance(estimator, type)
    return estimator.__name__ if is_class else type(estimator).__name__


def _short_repr(estimator: Any) -> str:
    """Show the last step's parameters, but for those that a comparison sets."""
    hasher = last_step(estimator)
    if not isinstance(hasher, BaseEstimator):
        return _class_name(estimator)
    defaults = inspect.signature(type(hasher)).parameters
    preset = {
        name: defaults[name].default
        for name in ("n_bits", "random_state")
        if name in defaults and defaults[name].default is not defaults[name].empty
    }
    own = " ".join(repr(clone(hasher).set_params(**preset)).split())
    return _class_name(estimator).removesuffix(type(hasher).__name__) + own
