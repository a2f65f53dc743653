"""Damage files of estimators, and forge them, and see what `load_estimator` makes.

    python tests/fuzz_estimator_files.py --files 20000 --seed 0 [--no-torch]

Each file must raise ValueError, or give an estimator: of a damaged file one with the
codes of the one saved, of a forged one any. An estimator that was loaded is used; that
may raise, but not for memory. Loading may not start a process, open a connection or
unpickle. What else happens is printed, and the program exits with 1.
"""

import argparse
import copy
import io
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from sklhash import ITQ, HammingRetriever
from sklhash.estimator_files import load_estimator, save_estimator

RNG = np.random.RandomState(0)
X = RNG.standard_normal((60, 6))
Y = (RNG.random_sample((60, 3)) > 0.5).astype(int)
Y[:, 0] |= ~Y.any(axis=1)

#: What no file may cause, by the names of Python's audit events.
FORBIDDEN = {
    "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.remove",
    "pickle.find_class", "shutil.rmtree", "socket.bind", "socket.connect",
    "subprocess.Popen", "urllib.Request", "webbrowser.open",
}  # fmt: skip


#: Holds something while a file is loaded. Later, kernels of ours are read from a cache.
loading: list[Path] = []


def estimators(with_torch):
    """Give a hasher, retrievers, and a network."""
    sparse = csr_array(np.where(abs(X) > 0.5, X, 0))
    hasher = ITQ(n_bits=5, random_state=np.random.RandomState(0)).fit(X)
    retriever = HammingRetriever(ITQ(n_bits=5, random_state=0), rerank="cosine")
    found = [hasher, retriever.fit(sparse, csr_array(Y))]
    found.append(HammingRetriever().fit(hasher.encode(X), Y[:, 0]))
    if with_torch:
        # A file may ask for a compiler, which is ours but works for a minute.
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
        from sklhash import SoftPairwiseHasher

        warnings.simplefilter("ignore")  # one epoch teaches little
        net = {"hidden_units": (4,), "max_epochs": 1, "attention_weight": 0.5}
        deep = SoftPairwiseHasher(5, attention_units=3, random_state=0, **net)
        found.append(deep.fit(X, Y))
    return found


def answers(estimator):
    """Codes, or neighbours, of fixed rows."""
    if isinstance(estimator, HammingRetriever) and estimator.hasher_ is None:
        return [part.tolist() for part in estimator.kneighbors(X[:9, :5], 3)]
    if isinstance(estimator, HammingRetriever):
        return [part.tolist() for part in estimator.kneighbors(X[:9], 3)]
    return estimator.encode(X[:9]).packed.tolist()


# Damage: of the file's bytes.


def places(content, rng):
    return sorted(rng.randrange(len(content) + 1) for _ in range(2))


def flip(content, rng):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_directory(content, rng):
    """Flip bits where the archive tells of its members."""
    start = content.rindex(b"PK\x05\x06") if rng.random() < 0.3 else None
    start = content.index(b"PK\x01\x02") if start is None else start
    return content[:start] + flip(content[start:], rng)


def cut(content, rng):
    return content[: rng.randrange(len(content))]


def grow(content, rng):
    more = rng.randbytes(rng.choice([1, 30, 500]))
    more = bytes(10**6) if rng.random() < 0.1 else more
    return rng.choice([content + more, more + content, content + content])


def take_out(content, rng):
    start, stop = places(content, rng)
    return content[:start] + content[stop:]


def erase(content, rng):
    start, stop = places(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


DAMAGE = [flip, flip_directory, cut, grow, take_out, erase]


# Forgery: of members, in an archive that is sound.

NAMES = [
    ("os", "system"), ("builtins", "eval"), ("posix", "system"),
    ("sklhash.cli", "main"), ("sklhash.codes", "PackedCodes.load"),
    ("sklhash.codes.PackedCodes", "load"),
    ("sklhash", "ITQ"), ("sklhash.codes", "PackedCodes"), ("sklhash.itq", "ITQ"),
    ("sklhash.raw_rows", "RawRows"), ("sklhash.retrieval", "HammingRetriever"),
    ("sklhash.deep.alexnet", "AlexNet"), ("sklhash.deep.modules", "MLP"),
    ("numpy", "void"), ("numpy", "memmap"), ("numpy", "multiply"), ("numpy", "bytes_"),
    ("numpy", "float64"), ("numpy", "ndarray"), ("numpy.random.mtrand", "RandomState"),
    ("builtins", "map"), ("builtins", "dict"), ("builtins", "list"),
    ("builtins", "int"),
    ("builtins", "bytearray"), ("builtins", "tuple"), ("functools", "partial"),
    ("collections", "defaultdict"), ("scipy.sparse._csr", "csr_array"),
    ("sklearn.pipeline", "Pipeline"), ("sklearn.svm._classes", "SVC"),
    ("sklearn.frozen._frozen", "FrozenEstimator"), ("", ""), (None, 3),
    ("sklhash.itq", ""),
    ("sklearn.metrics._scorer", "_PassthroughScorer"),
    ("sklearn.feature_extraction.text", "CountVectorizer"),
    ("sklearn.cluster._kmeans", "KMeans"), ("sklearn.model_selection._split", "KFold"),
    ("builtins", "set"), ("numpy", "str_"), ("numpy.ma", "MaskedArray"),
]  # fmt: skip
LOADERS = [
    "CachedNode", "DictNode", "DefaultDictNode", "ListNode", "SetNode", "TupleNode",
    "BytesNode", "BytearrayNode", "SliceNode", "FunctionNode", "MethodNode",
    "PartialNode", "TypeNode", "ConstructorFromReduceNode", "ObjectNode", "JsonNode",
    "OperatorFuncNode", "NdArrayNode", "MaskedArrayNode", "DTypeNode",
    "SparseMatrixNode",
    "RandomStateNode", "RandomGeneratorNode", "LossNode", "TreeNode", "Node", None, 7,
]  # fmt: skip
VALUES = [
    "null", "-1", "0", "1", "2", "7", "624", "625", "-9", "1e999", "NaN", "1" * 19,
    "9" * 4999, "true", '"cuda"', '"cosine"', '"multi_index"', '"meta"', "[]", "{}", "",
    "[" * 90_000, "100000", "4000000000", '"\\ud800"',
]  # fmt: skip
SHAPES = [
    "", "0,", "5,", "5, 6", "6, 5", "30,", "9" * 18 + ",", "0, " + "9" * 18, "-1,",
    "65536, 65536, 65536, 65536", "1, 1, 1, 30", "9" * 30 + ",",
]  # fmt: skip
TYPES = ["<f8", "|O", "<U1000000000", "|V8", "<f4", "|u1", "<i8", "<c16", "<M8[ns]",
         "|S0", "<U0", "<f3", "|b1", "<f16"]  # fmt: skip


def nodes_of(item):
    """Give all nodes of a schema."""
    if isinstance(item, dict):
        if "__loader__" in item:
            yield item
        for value in list(item.values()):
            yield from nodes_of(value)
    elif isinstance(item, list):
        for value in item:
            yield from nodes_of(value)


def change_node(schema, rng):
    """Change one key of a node, or all of a node, in one of many ways."""
    nodes = list(nodes_of(schema))
    node, other = rng.choice(nodes), rng.choice(nodes)
    way = rng.randrange(12)
    if way == 0:
        node["__loader__"] = rng.choice(LOADERS)
    elif way == 1:
        node["__module__"], node["__class__"] = rng.choice(NAMES)
    elif way == 2:
        node["__module__"], node["__class__"] = rng.choice(NAMES)
        node["__loader__"] = rng.choice(LOADERS)
    elif way == 3:
        node["__id__"] = other.get("__id__")
    elif way == 4:
        content = copy.deepcopy(other)
        node.clear()
        node.update(content)
    elif way == 5:
        node.pop(rng.choice(list(node)))
    elif way == 6:
        leaves = [n for n in nodes if n.get("__loader__") == "JsonNode"]
        rng.choice(leaves)["content"] = rng.choice(VALUES)
    elif way == 7:
        readers = [n for n in nodes if "file" in n]
        if readers:
            rng.choice(readers)["file"] = rng.choice(readers)["file"]
    elif way == 8:
        dicts = [n for n in nodes if isinstance(n.get("content"), dict)]
        content = rng.choice(dicts)["content"]
        if content:
            content[rng.choice(list(content))] = copy.deepcopy(other)
    elif way == 9:
        dicts = [n for n in nodes if n.get("__loader__") == "DictNode"]
        content = rng.choice(dicts)["content"]
        if isinstance(content, dict) and content:
            content.pop(rng.choice(list(content)))
    elif way == 10:
        schema["protocol"] = rng.choice([0, 1, 2, 3, -1, True, None, "2", 10**30])
    else:
        key = rng.choice(list(node))
        node[key] = rng.choice([None, 7, -1, "x", [], {}, [node.get(key)], 1e300, True])


def forge_schema(members, rng):
    schema = json.loads(members["schema.json"])
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        with suppress(AttributeError, IndexError, KeyError, TypeError):
            change_node(schema, rng)  # there may be nothing left of that kind
    members["schema.json"] = json.dumps(schema).encode()


def laugh(members, rng):
    """Nest lists that each hold the one below twice: by reference, or as a tower."""
    node = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}
    tree = {**node, "content": [], "__id__": 1}
    for i in range(2, rng.choice([20, 40, 70, 200])):
        again = {**node, "content": [], "__id__": i - 1}
        tree = {**node, "content": [tree, again], "__id__": i}
    text = json.dumps(tree)
    if rng.random() < 0.3:
        text = "[" * 50_000 + "]" * 50_000
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["n_jobs"] = "HERE"
    members["schema.json"] = json.dumps(schema).replace('"HERE"', text).encode()


def forge_array(members, rng):
    """Tell of another array than there is, or put in another."""
    arrays = [name for name in members if name.endswith((".npy", ".npz"))]
    name = rng.choice(arrays)
    if name.endswith(".npz"):
        with zipfile.ZipFile(io.BytesIO(members[name])) as archive:
            inner = {key: archive.read(key) for key in archive.namelist()}
        rng.choice([forge_array, forge_indices])(inner, rng)
        members[name] = archived(inner, rng)
        return
    length = 10 + int.from_bytes(members[name][8:10], "little")
    header = (
        f"{{'descr': '{rng.choice(TYPES)}', 'fortran_order': "
        f"{rng.choice(['True', 'False'])}, 'shape': ({rng.choice(SHAPES)}), }}"
    )
    if rng.random() < 0.1:
        header = rng.choice(["(" * 9000, "-" * 9000 + "1", "{'descr': 'x'}", ""])
    text = header.encode() + b"\n"
    start = b"\x93NUMPY" + rng.choice([b"\1\0", b"\1\0", b"\2\0"])
    body = rng.choice([members[name][length:], bytes(8), bytes(240)])
    members[name] = start + len(text).to_bytes(2, "little") + text + body


def forge_indices(inner, rng):
    """Let a sparse matrix point out of itself."""
    name = rng.choice(["indices.npy", "indptr.npy", "shape.npy"])
    if name not in inner:
        return
    array = np.load(io.BytesIO(inner[name])).copy()
    array.flat[rng.randrange(array.size)] = rng.choice([-1, 10**6, 2**31 - 1, 3])
    file = io.BytesIO()
    np.save(file, array)
    inner[name] = file.getvalue()


def other_array(members, rng):
    """Put in an array of another shape, with a header that is right."""
    arrays = [name for name in members if name.endswith(".npy")]
    shape = rng.choice(
        [(), (0,), (1,), (5,), (6,), (5, 6), (3000, 1), (1, 3000), (60, 9)]
    )
    file = io.BytesIO()
    np.save(file, np.ones(shape, rng.choice(["f8", "u1", "i8", "U3", "c16"])))
    if arrays:
        members[rng.choice(arrays)] = file.getvalue()


def bomb(members, rng):
    """Pack much into little."""
    name = rng.choice(list(members))
    if name == "schema.json":
        filling = rng.choice([b" ", b"[", b"[],", b'{"a":0},'])
        members[name] = members[name][:-2] + b', "x": [' + filling * 5_000_000
    else:
        members[name] = members[name][:128] + bytes(rng.choice([10**6, 10**7, 10**8]))


def crowd(members, rng):
    """Add members that nothing reads."""
    for i in range(rng.choice([1, 500, 60_000])):
        members[f"{i}.bin"] = b""


def node(loader, name, **more):
    module, _, kind = name.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": kind, **more}


def number(value):
    return node("JsonNode", "builtins.str", content=json.dumps(value))


def dict_of(content, kind="str"):
    types = [node("TypeNode", f"builtins.{kind}")] * len(content)
    types = node("ListNode", "builtins.list", content=types)
    return node("DictNode", "builtins.dict", key_types=types, content=content)


def list_of(items, rng):
    """A list, or what else holds items."""
    loader, name = rng.choice(
        [("ListNode", "list"), ("TupleNode", "tuple"), ("SetNode", "set")]
    )
    if rng.random() < 0.3:
        shape = [number(1)] * rng.choice([1, 2])
        shape = node("TupleNode", "builtins.tuple", content=shape)
        whole = {"type": "json", "content": items, "shape": shape}
        return node("NdArrayNode", "numpy.ndarray", **whole)
    whole = node(loader, f"builtins.{name}", content=items)
    if rng.random() < 0.3:
        parts = {"data": whole, "mask": number(False)}
        return node("MaskedArrayNode", "numpy.ma.MaskedArray", content=parts)
    return whole


def put(members, item, rng):
    """Put a node in place of another, in an object of ours or of others."""
    schema = json.loads(members["schema.json"])
    dicts = [n["content"] for n in nodes_of(schema) if n["__loader__"] == "DictNode"]
    content = rng.choice([content for content in dicts if content])
    if rng.random() < 0.5:
        kind = "sklearn.decomposition._pca.PCA"
        item = node("ObjectNode", kind, content=dict_of({"a": item}))
        schema["content"]["content"]["hasher"] = item
    content[rng.choice(list(content))] = item
    members["schema.json"] = json.dumps(schema).encode()


def refer(members, rng):
    """Refer to one large array again and again."""
    file = io.BytesIO()
    np.save(file, np.zeros(rng.choice([10**5, 10**6]), rng.choice(["u1", "f8"])))
    members["many.npy"] = file.getvalue()
    item = node("NdArrayNode", "numpy.ndarray", type="numpy", file="many.npy")
    put(members, list_of([item] * rng.choice([2, 60, 2000]), rng), rng)


def crowd_of_nodes(members, rng):
    """Let there be very many nodes of a kind."""
    item = rng.choice(
        [
            node("ObjectNode", "sklearn.decomposition._pca.PCA"),
            node("FunctionNode", "numpy.add"),
            node("TypeNode", "builtins.str"),
            node("ListNode", "builtins.list", content=[]),
            number(7),
        ]
    )
    put(members, list_of([item] * rng.choice([1000, 20_000, 80_000]), rng), rng)


def collide(members, rng):
    """Choose integers that Python finds in one place."""
    values = [(2**61 - 1) * (i + 1) for i in range(rng.choice([3, 3000, 20_000]))]
    if rng.random() < 0.5:
        put(members, list_of([number(value) for value in values], rng), rng)
    else:
        item = dict_of({str(value): number(1) for value in values}, "int")
        put(members, item, rng)


def disguise(members, rng):
    """Put objects where something is called: a scorer as `module`, with pipelines."""
    schema = json.loads(members["schema.json"])
    content = schema["content"]["content"]
    scorer = node(
        "ObjectNode",
        "sklearn.metrics._scorer._PassthroughScorer",
        content=dict_of({"a": number(1)}),
    )
    pipeline = node("ObjectNode", "sklearn.pipeline.Pipeline", content=dict_of({}))
    calls = rng.choice(
        [scorer, pipeline, node("FunctionNode", "numpy.multiply"),
         node("TypeNode", "sklhash.deep.modules.MLP"), node("TypeNode", "builtins.int")]
    )  # fmt: skip
    name = rng.choice(["_design", "_trained_with", "_frozen", "hasher"])
    if name not in content or rng.random() < 0.3:
        content[name] = copy.deepcopy(rng.choice([pipeline, dict_of({})]))
    inner = content[name].get("content")
    if isinstance(inner, dict) and "content" in inner:
        inner = inner["content"]
    if isinstance(inner, dict):
        keys = ["module", "shape", "n_bits", "hidden_units", "optimizer", "callbacks"]
        for key in rng.sample(keys, rng.choice([1, 1, 2])):
            inner[key] = copy.deepcopy(rng.choice([calls, scorer, pipeline]))
    members["schema.json"] = json.dumps(schema).encode()


def decoy(members, rng):
    """Give nodes fields that they do not have, beside those that are read."""
    schema = json.loads(members["schema.json"])
    for item in rng.sample(list(nodes_of(schema)), 3):
        more = {"content": "5", "file": "x", "type": "json", "key_types": number(1)}
        item.update({key: more[key] for key in rng.sample(list(more), 2)})
        if rng.random() < 0.3:
            item["__loader__"] = rng.choice(LOADERS)
    members["schema.json"] = json.dumps(schema).encode()


FORGERY = (
    [forge_schema] * 12
    + [forge_array] * 4
    + [other_array] * 3
    + [laugh, forge_indices]
    + [refer, collide, disguise, disguise, decoy, decoy]
)
RARE = [bomb, crowd, crowd_of_nodes, crowd_of_nodes]  # they take long


def archived(members, rng):
    method = rng.choice([8, 12] if rng.random() < 0.02 else [0, 0, 8])
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            archive.writestr(name, content)
        if rng.random() < 0.01:
            archive.writestr(rng.choice(list(members)), b"again")
    return file.getvalue()


def forge(content, rng):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    way = rng.choice(RARE if rng.random() < 0.004 else FORGERY)
    way(members, rng)
    forged = archived(members, rng)
    if rng.random() < 0.02:  # what stands before an archive counts for nothing
        forged = bytes(10**6) + forged
    if way is bomb and rng.random() < 0.7:  # lie about the sizes
        sizes = [len(members[name]).to_bytes(4, "little") for name in members]
        for size in sizes:
            if int.from_bytes(size, "little") > 10**6:
                forged = forged.replace(size, (100).to_bytes(4, "little"))
    return forged, way.__name__


def try_file(path, expected):
    """Load a file and use what is in it; tell what became of it."""
    loading.append(path)
    try:
        estimator = load_estimator(path)
    except ValueError:
        return "refused"
    finally:
        loading.clear()
    if expected is not None:
        assert answers(estimator) == expected, "damage has changed the answers"
        return "unharmed"
    try:
        answers(estimator)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # a forged estimator may be of no use
        return "loaded, of no use"
    return "loaded"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--limit", type=int, default=None, help="MB of address space")
    arguments = parser.parse_args()
    rng, counts, failures = random.Random(arguments.seed), Counter(), []
    folder = tempfile.TemporaryDirectory()
    path, cases = Path(folder.name) / "file.skops", []
    for estimator in estimators(not arguments.no_torch):
        save_estimator(estimator, path)
        cases.append((path.read_bytes(), answers(load_estimator(path))))
    warnings.simplefilter("ignore")
    if arguments.limit:
        resource.setrlimit(resource.RLIMIT_AS, (arguments.limit * 2**20,) * 2)
    events, growth, largest = [], 0.0, 0.0
    sys.addaudithook(
        lambda event, _: (
            events.append(event) if event in FORBIDDEN and loading else None
        )
    )
    start = time.perf_counter()
    for i in range(arguments.files):
        content, expected = rng.choice(cases)
        if rng.random() < 0.3:
            way = rng.choice(DAMAGE)
            content, name = way(content, rng), way.__name__
        else:
            (content, name), expected = forge(content, rng), None
        path.write_bytes(content)
        before, begin = forget_peak(), time.perf_counter()
        try:
            outcome = try_file(path, expected)
            if events or time.perf_counter() - begin > 10:
                raise RuntimeError(f"{events} {time.perf_counter() - begin:.1f} s")
        except Exception as error:
            traceback.print_exc()
            print(f"file {i} ({name}): {type(error).__name__}", flush=True)
            failures.append(i)
            events.clear()
            outcome = "failed"
        counts[name, outcome] += 1
        largest = max(largest, peak())
        growth = max(growth, peak() - before)
    seconds = time.perf_counter() - start
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name:16s} {outcome:18s} {count:7d}")
    n_files = arguments.files
    print(f"{n_files} files, {n_files / seconds:.0f} a second; {len(failures)} failed")
    print(f"peak memory {largest:.0f} MB; {growth:.0f} MB more than before a file")
    folder.cleanup()
    return bool(failures)


def forget_peak():
    """Let the peak be what is held now, in MB: making a file may have taken more."""
    with suppress(OSError):  # where there is no Linux
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak():
    """Largest memory of this process, in MB, since it was forgotten or began."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
