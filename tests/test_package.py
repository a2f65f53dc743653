"""What importing costs, which names there are, and how tests are written."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["test_sklearn_contract.py", "test_array_api.py"])
def test_array_api_mode(name):
    """Tests that need SciPy's array API hold where it is switched on."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", f"tests/{name}"],
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
