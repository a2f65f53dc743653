"""What importing costs, which names there are, and how tests are written."""

import ast
import os
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sklhash
import sklhash.displays
import sklhash.metrics
import sklhash.model_selection

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "module",
    [
        "sklhash",
        "sklhash.cli",
        "sklhash.displays",
        "sklhash.metrics",
        "sklhash.model_selection",
        "sklhash.testing",
    ],
)
def test_import_loads_nothing_heavy(module):
    """Importing loads neither networks, compilers, plots nor more than scikit-learn."""
    heavy = {"torch", "skorch", "numba", "matplotlib", "polars"}
    heavy |= {"dask", "distributed", "faiss", "onnx", "onnxscript", "skops", "usearch"}
    heavy |= {f"sklearn.{name}" for name in ("cluster", "decomposition", "metrics")}
    program = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert "sklhash" in loaded
    assert not heavy & loaded


@pytest.mark.parametrize(
    "module",
    [sklhash, sklhash.displays, sklhash.metrics, sklhash.model_selection],
    ids=lambda module: module.__name__,
)
def test_public_names_exist_and_are_documented(module):
    """Every public name exists and has a docstring."""
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_only_one_module_imports_private_names():
    """scikit-learn's private names come in by one door."""
    offenders = set()
    for path in ROOT.glob("sklhash/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.level:
                continue
            parts = [
                *(node.module or "").split("."),
                *(name.name for name in node.names),
            ]
            if parts[0] == "sklearn" and any(part[0] == "_" for part in parts):
                offenders.add(path.name)
    assert offenders == {"_sklearn.py"}


@pytest.mark.parametrize(
    ("name", "which"),
    [("test_sklearn_contract.py", "array_api"), ("test_array_api.py", "")],
)
def test_array_api_mode(name, which):
    """Tests that need SciPy's array API hold where it is switched on."""
    pytest.importorskip("array_api_strict")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", f"tests/{name}", "-k", which],
        cwd=ROOT,
        env={**os.environ, "SCIPY_ARRAY_API": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    skipped = [line for line in run.stdout.splitlines() if "SKIPPED" in line]
    absent = ("cupy", "dpnp", "cuda", "CUDA", "XPU", "MPS")
    assert all(any(device in line for device in absent) for line in skipped)


def test_every_test_says_what_holds():
    """Each test, and each test file, has a docstring."""
    for path in (ROOT / "tests").glob("*.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_oldest_versions_are_the_bounds():
    """The tests of the oldest versions take the lower bounds that users are given."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tested = {"arrow", "cli", "dask", "faiss", "onnx", "plot", "skops", "usearch"}
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    pins = dict(line.partition("#")[0].split("==") for line in lines if "==" in line)
    pins = {name: version.strip() for name, version in pins.items()}
    assert pins.pop("torch") == "2.13.0"  # its bound is older: see the file
    for line in chain(project["dependencies"], *(extras[name] for name in tested)):
        bound = Requirement(line)
        if bound.name not in ("sklhash", "torch"):
            (oldest,) = (it.version for it in bound.specifier if it.operator == ">=")
            assert f"{pins[bound.name]}.".startswith(f"{oldest}."), line
