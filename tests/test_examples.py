"""The gallery's scripts are tests."""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

EXAMPLES = sorted(Path(__file__).parents[1].glob("examples/**/plot_*.py"))


def test_there_are_examples():
    """The gallery is found."""
    assert EXAMPLES


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(script, monkeypatch, tmp_path):
    """Every gallery script runs to the end, where it asserts its claims."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    plt.close("all")
