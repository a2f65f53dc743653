"""Schemas of skops, node by node, before skops follows them.

skops asks of each type in a file whether it is trusted. That leaves to the file what is
done with a trusted type, how often an array is read, and what refers to what. All three
are settled here; what comes out is a tree whose size is that of its text.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ._archive import Budget, check_json, check_npy, checked_npz
from ._nodes import Node, check_keys, check_node, name_of
from ._trusted import (
    CALLED_SLOTS,
    ESTIMATOR_SLOTS,
    FIELDS,
    LOADER_OF,
    NETWORK_SLOTS,
    PLAIN,
    REPEATED,
    SPLITS,
)

#: Name of the member that says how an estimator is built from the others.
SCHEMA = "schema.json"
#: Lists and objects in each other; see the test for how many there are.
MAX_DEPTH = 150

#: Memory that skops takes for a node, about, in bytes. It gives an object, a type and a
#: function a list of all names that it trusts; types and functions are shared here.
_COST = {"JsonNode": 128, "ObjectNode": 4096, "TypeNode": 4096, "FunctionNode": 4096}
_OTHER_COST = 1024

#: Attribute of a deep hasher in files: dicts of arrays under names that mean others.
_WEIGHTS = "_frozen"


def clean_members(
    members: Mapping[str, bytes], trusted: Collection[str], budget: Budget
) -> dict[str, bytes]:
    """Check a skops file, and keep what its schema uses.

    Parameters
    ----------
    members : mapping of str to bytes
        The unpacked archive.
    trusted : collection of str
        Names of types that the user trusts beyond ours.
    budget : Budget
        For archives in the archive, nodes, and arrays that are referred to again.

    Returns
    -------
    members : dict of str to bytes

    Raises
    ------
    ValueError
        If it is none, or one that skops does not write.
    """
    if SCHEMA not in members:
        raise ValueError("it is no file of skops")
    check_json(members[SCHEMA])
    schema = json.loads(members[SCHEMA])
    if not isinstance(schema, dict):
        raise ValueError("its schema is no object")
    protocol = schema.get("protocol")
    if protocol == 0:  # its nodes give their types in other places
        raise ValueError("it was saved by skops 0.7 or older: save it by a newer one")
    tree = _Tree(members, trusted, budget)
    clean = {**tree.clean(schema), "protocol": protocol}
    return {SCHEMA: json.dumps(clean).encode(), **tree.used}


class _Place(NamedTuple):
    """Where a node stands: in which object's state, and under which key of a dict."""

    owner: str = ""
    slot: str = ""

    def below(self, key: str) -> _Place:
        """Give the place of a dict's value; weights of networks have other names."""
        return self if self.slot == _WEIGHTS else _Place(self.owner, key)


_ROOT = _Place()


class _Tree:
    """The nodes of a schema.

    Parameters
    ----------
    members, trusted, budget
        As in :func:`clean_members`.

    Attributes
    ----------
    used : dict of str to bytes
        Members that the nodes read.
    """

    def __init__(
        self, members: Mapping[str, bytes], trusted: Collection[str], budget: Budget
    ) -> None:
        self.used: dict[str, bytes] = {}
        self._members, self._trusted, self._budget = members, trusted, budget
        self._readers: dict[str, list[str]] = {}
        self._numbers: dict[tuple[str, ...], int] = {}

    def clean(self, item: Any, place: _Place = _ROOT, depth: int = 0) -> Any:
        """Check a part of the schema and all below it; leave out what links nodes.

        Parameters
        ----------
        item : object
            Of JSON.
        place : _Place
        depth : int

        Returns
        -------
        item : object
        """
        if depth > MAX_DEPTH:
            raise ValueError("its schema is nested too deeply")
        if isinstance(item, list):
            return [self.clean(value, place, depth + 1) for value in item]
        if not isinstance(item, dict):
            return item
        if "__loader__" not in item:
            return {k: self.clean(v, place, depth + 1) for k, v in item.items()}
        return self._clean_node(item, place, depth)

    def _clean_node(self, item: Node, place: _Place, depth: int) -> Node:
        loader, name = item["__loader__"], name_of(item)
        if not isinstance(loader, str) or loader not in FIELDS:
            raise ValueError(f"it has a node of the unknown kind {str(loader)[:40]!r}")
        # Without ids nothing is built twice or from itself: nested references could
        # make a file of some lines take years to audit. Nor is anything kept that
        # skops does not read: what is checked is what is built.
        head = ("__class__", "__module__", "__loader__")
        node = {key: item[key] for key in (*head, *FIELDS[loader]) if key in item}
        self._check_use(loader, name, place)
        self._check_memory(node, place)
        check_node(node)
        if loader in ("TypeNode", "FunctionNode"):
            return self._shared(node)
        self._budget.spend(_COST.get(loader, _OTHER_COST))
        if loader in ("BytesNode", "SparseMatrixNode") or (
            loader == "NdArrayNode" and node.get("type") != "json"
        ):
            return self._clean_reader(node)
        return self._clean_fields(node, place, depth)

    def _clean_fields(self, node: Node, place: _Place, depth: int) -> Node:
        """Check what is below a node that reads no member."""
        loader, name, inner = node["__loader__"], name_of(node), place
        node.pop("file", None)
        if loader == "ObjectNode" or name in LOADER_OF:
            inner = _Place(name)
        if loader == "DictNode":
            types = check_keys(node, ours=inner.owner in LOADER_OF)
            node["key_types"] = {
                **node["key_types"],
                "content": [self._shared(_type_node(kind)) for kind in types],
            }
            node["content"] = {
                key: self.clean(value, inner.below(key), depth + 2)
                for key, value in node["content"].items()
            }
            return node
        if loader == "PartialNode":  # who calls it calls its function
            func = self.clean(node["content"].pop("func"), place, depth + 2)
            inner = _Place(name)
            node["content"] = self.clean(node["content"], inner, depth + 1)
            node["content"]["func"] = func
            return node
        parts = {
            key: self.clean(node[key], inner, depth + 1)
            for key in FIELDS[loader]
            if key in node
        }
        return {**node, **parts}

    def _check_use(self, loader: str, name: str, place: _Place) -> None:
        """Refuse uses of types that skops trusts, or is told to trust, by name."""
        if loader == "TypeNode" and place in REPEATED and name in SPLITS:
            return
        if LOADER_OF.get(name, loader) != loader:
            raise ValueError(f"it makes a {loader} of {name}")
        ours, is_trusted = place.owner in LOADER_OF, name in self._trusted
        if is_trusted or not (ours or place.owner in self._trusted):
            return
        if place.slot in CALLED_SLOTS:
            is_list = place.slot == "callbacks" and loader in ("ListNode", "TupleNode")
            is_network = place.slot in NETWORK_SLOTS and name in LOADER_OF
            fits = (
                loader == "JsonNode" or is_list or (is_network and loader == "TypeNode")
            )
        else:
            is_object = name in LOADER_OF and loader != "TypeNode"
            fits = (
                not ours
                or loader in PLAIN
                or is_object
                or (loader == "ObjectNode" and place in ESTIMATOR_SLOTS)
            )
        if not fits:
            calls = place.slot in CALLED_SLOTS or loader in ("TypeNode", "FunctionNode")
            raise ValueError(
                f"its {place.owner.rpartition('.')[2]} would "
                f"{'call' if calls else 'hold'} {name}; if you trust its author, pass "
                f"trusted=[{name!r}]"
            )

    def _check_memory(self, node: Node, place: _Place) -> None:
        """Caches of scikit-learn hold pickles, and lie where the file says."""
        is_cache = place.slot == "memory" and place.owner.startswith("sklearn.")
        is_none = node["__loader__"] == "JsonNode" and node["content"] == "null"
        if is_cache and not is_none and name_of(node) not in self._trusted:
            raise ValueError(
                f"its {place.owner.rpartition('.')[2]} would unpickle files of a cache "
                "when it is fitted: save it with memory=None"
            )

    def _shared(self, node: Node) -> Node:
        """Let skops build one node for all of a type or function."""
        key = node["__loader__"], name_of(node)
        if key not in self._numbers:
            self._budget.spend(_COST[key[0]])
        return {**node, "__id__": self._number(*key)}

    def _number(self, *key: str) -> int:
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _clean_reader(self, node: Node) -> Node:
        """Check a node that reads a member, and the member."""
        file, loader, name = node["file"], node["__loader__"], name_of(node)
        if file not in self._members or file == SCHEMA:
            raise ValueError(f"its member {str(file)[:40]!r} is missing")
        if file not in self._readers:
            self.used[file] = self._members[file]
            self._readers[file] = [loader, name]
            if loader == "SparseMatrixNode":
                self.used[file] = checked_npz(self._members[file], self._budget)
        else:  # what is made of the array may be made of it again
            self._budget.spend(len(self.used[file]))
        if self._readers[file] != [loader, name]:
            raise ValueError(f"its member {file[:40]!r} is used in two ways")
        if loader == "NdArrayNode":
            dtype, shape = check_npy(self._members[file])
            scalar = None if shape else f"numpy.{dtype.type.__name__}"
            if name == "numpy.memmap":  # skops would open what a map's text names
                node = {**node, "__class__": "ndarray"}
            elif name not in ("numpy.ndarray", scalar) and name not in self._trusted:
                raise ValueError(f"it makes {name[:80]} of an array of {dtype}")
            node = {k: v for k, v in node.items() if k not in ("content", "shape")}
        # One array for all who share it, as they did when it was saved.
        return {**node, "__id__": self._number("file", file)}


def _type_node(name: str) -> Node:
    module, _, kind = name.rpartition(".")
    return {"__class__": kind, "__module__": module, "__loader__": "TypeNode"}
