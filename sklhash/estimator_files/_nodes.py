"""Single nodes of a schema: what each may hold, whatever its place is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Node = dict[str, Any]

#: Largest position in the state of NumPy's RandomState, which does not check it.
_LAST_POSITION = 624
#: Python finds integers in sets and dicts by their remainder for 2**61 - 1: files could
#: choose many that are equal in that, and each would be compared with all others.
_INTEGERS = range(-(2**63), 2**63)
#: Types of a dict's keys: they are called with the text of each.
_KEY_TYPES = {"builtins.bool", "builtins.float", "builtins.int", "builtins.str"}
_NUMPY_KEY_TYPES = {
    *(f"numpy.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(f"numpy.{name}" for name in ("bool", "bool_", "float32", "float64", "str_")),
}


def name_of(node: Mapping[str, Any]) -> str:
    """Give the full name of a node's type."""
    module, kind = node["__module__"], node["__class__"]
    if not isinstance(module, str) or not isinstance(kind, str) or "." in kind:
        raise ValueError("it has a node without a type")
    return f"{module}.{kind}"


def check_node(node: Node) -> None:
    """Refuse contents that skops does not write for a node of its kind.

    Parameters
    ----------
    node : dict

    Raises
    ------
    ValueError
        Or KeyError, TypeError, if it lacks something.
    """
    loader = node["__loader__"]
    if loader == "JsonNode":
        _check_scalar(node)
    elif loader == "RandomStateNode":
        _check_random_state(node)
    elif loader == "SetNode":
        _check_set(node)
    elif loader == "MaskedArrayNode":
        for part in ("data", "mask"):
            if not _is(node["content"][part], "NdArrayNode"):
                raise ValueError(f"it has a masked array whose {part} is no array")
    elif loader == "NdArrayNode" and node.get("type") == "json":
        if name_of(node) != "numpy.ndarray":
            raise ValueError(f"it makes {name_of(node)} of a list")
        _check_object_array(node)


def check_keys(node: Node, *, ours: bool) -> list[str]:
    """Check the types of a dict's keys.

    Parameters
    ----------
    node : dict
        A DictNode.
    ours : bool
        Whether it belongs to an object of sklhash: types that change what they are
        given could hide which attribute a key is.

    Returns
    -------
    names : list of str
        A type for each key.
    """
    content, types = node["content"], node["key_types"]
    if not isinstance(content, dict) or not _is(types, "ListNode"):
        raise ValueError("it has a dict that is none")
    if not all(_is(kind, "TypeNode") for kind in types["content"]):
        raise ValueError("it has a dict whose keys are of no type")
    names = [name_of(kind) for kind in types["content"]]
    if len(names) != len(content):
        raise ValueError("it has a dict with more or fewer types than keys")
    wrong = set(names) - (_KEY_TYPES if ours else _KEY_TYPES | _NUMPY_KEY_TYPES)
    if wrong:
        raise ValueError(f"it has a dict whose keys are of type {min(wrong)[:80]}")
    for key, name in zip(content, names, strict=True):
        if name == "builtins.int" and int(key) not in _INTEGERS:
            raise ValueError("it has a dict whose keys are integers beyond 64 bits")
    return names


def _is(node: Any, loader: str) -> bool:
    return isinstance(node, dict) and node.get("__loader__") == loader


def _check_scalar(node: Node) -> None:
    """JSON in JSON: skops writes strings, numbers, booleans and null so."""
    content = node["content"]
    if not isinstance(content, str) or content.lstrip()[:1] in ("[", "{"):
        raise ValueError("it has a number or string that is none")


def _check_set(node: Node) -> None:
    """Strings are scattered by a secret, and floats hardly ever meet."""
    for item in node["content"]:
        if not _is(item, "JsonNode"):
            raise ValueError("it has a set of other than numbers and strings")
        _check_scalar(item)
        value = json.loads(item["content"])
        if isinstance(value, int) and value not in _INTEGERS:
            raise ValueError("it has a set of integers beyond 64 bits")


def _check_object_array(node: Node) -> None:
    """NumPy takes arrays apart that stand in an array of several dimensions."""
    if not _is(node["shape"], "TupleNode"):
        raise ValueError("it has an array without a shape")
    if len(node["shape"]["content"]) != 1:
        left = list(node["content"])
        while left:
            item = left.pop()
            if _is(item, "ListNode"):
                left += item["content"]
            elif name_of(item) == "numpy.ndarray" or item["__loader__"] not in (
                "JsonNode",
                "NdArrayNode",
            ):
                raise ValueError("it has an array of other than numbers and strings")


def _check_random_state(node: Node) -> None:
    """A position out of the state would be read from memory that is not its own."""
    try:
        outer = _plain_dict(node["content"])
        inner = _plain_dict(outer["state"])
        position = _number(inner["pos"])
        sound = (
            outer.keys() == {"bit_generator", "state", "has_gauss", "gauss"}
            and inner.keys() == {"key", "pos"}
            and _is(inner["key"], "NdArrayNode")
            and inner["key"]["type"] == "numpy"
            and type(position) is int
            and 0 <= position <= _LAST_POSITION
            and _number(outer["bit_generator"]) == "MT19937"
            and type(_number(outer["has_gauss"])) is int
            and type(_number(outer["gauss"])) is float
        )
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise ValueError("it has a RandomState of no valid position")


def _plain_dict(node: Node) -> dict[str, Any]:
    """Give the content of a dict whose keys are what they say."""
    if not _is(node, "DictNode") or name_of(node) != "builtins.dict":
        raise ValueError
    if set(check_keys(node, ours=True)) - {"builtins.str"}:
        raise ValueError
    content: dict[str, Any] = node["content"]
    return content


def _number(node: Node) -> Any:
    if not _is(node, "JsonNode"):
        raise ValueError
    return json.loads(node["content"])
