"""The first search of a process works wherever it runs, and prints nothing.

Each test starts a process that searches in one way and prints nothing but a hash of the
answers, which must be that of the search by NumPy.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sklhash

PROGRAM = """
import hashlib
import multiprocessing
import sys

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from sklhash import PackedCodes
from sklhash.hamming import top_k, within_radius
from sklhash.metrics import retrieval_scores


def search(n_jobs=None):
    rng = np.random.RandomState(0)
    gallery = rng.randint(256, size=(200_000, 8)).astype(np.uint8)
    queries = gallery[:24] ^ rng.randint(2, size=(24, 8)).astype(np.uint8)
    scores = retrieval_scores(
        PackedCodes(queries, 64),
        PackedCodes(gallery, 64),
        np.arange(24) % 3,
        np.arange(200_000) % 3,
        metrics=("map", "ndcg@100"),
    )
    answers = hashlib.sha256()
    for array in (
        *top_k(queries, gallery, 20, n_jobs=n_jobs),
        *within_radius(queries, gallery, 12, n_jobs=n_jobs),
        np.round([scores["map"], scores["ndcg@100"]], 12),
    ):
        answers.update(np.ascontiguousarray(array).data)
    return answers.hexdigest()


def search_in_process(method):
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        return pool.map(search, [2])


def searches(way):
    if way == "alone":
        return [search()]
    if way == "fork":
        return [search(2), *search_in_process("fork"), search(2)]
    if way == "spawn":
        return [*search_in_process("spawn"), search(2)]
    if way == "loky":
        return [*Parallel(2)(delayed(search)(2) for _ in "12"), search()]
    threaded = Parallel(2, "threading")(delayed(search)(2) for _ in "123")
    with threadpool_limits(1):
        return [*threaded, search(2)]


if __name__ == "__main__":
    print(*set(searches(sys.argv[1])))
"""

SWITCHES = {"NUMBA_DISABLE_JIT", "NUMBA_CACHE_DIR", "SKLHASH_NO_NUMBA", "PYTHONPATH"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the program; nothing but its hashes may be printed."""
    script = tmp_path_factory.mktemp("program") / "program.py"
    script.write_text(PROGRAM)

    def run(way, **environment):
        inherited = {k: v for k, v in os.environ.items() if k not in SWITCHES}
        process = subprocess.run(
            [sys.executable, script, way],
            capture_output=True,
            text=True,
            env=inherited | environment,
        )
        assert process.stderr == ""
        assert process.returncode == 0
        return process.stdout.strip()

    return run


@pytest.fixture(scope="module")
def expected(run):
    """The answers of NumPy."""
    return run("alone", SKLHASH_NO_NUMBA="1")


@pytest.mark.parametrize("way", ["threads", "fork", "spawn", "loky"])
def test_ways_to_search(way, run, expected):
    """Threads, processes of every kind and limits on threads give the same answers."""
    if way == "fork" and way not in multiprocessing.get_all_start_methods():
        pytest.skip("processes cannot be forked here")
    assert run(way) == expected


def test_numba_switched_off(run, expected):
    """Without compilation NumPy searches."""
    assert run("threads", NUMBA_DISABLE_JIT="1") == expected


def test_no_folder_can_be_written_to(run, expected, tmp_path):
    """Where kernels cannot be kept on disk, they are compiled each time."""
    source = Path(sklhash.__file__).parent
    shutil.copytree(source, tmp_path / "sklhash", ignore=lambda *_: ["__pycache__"])
    for folder in [tmp_path / "sklhash", *(tmp_path / "sklhash").glob("*/")]:
        (folder / "__pycache__").write_text("not a folder, not even for root")
    nowhere = str(Path(os.devnull) / "home")
    environment = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "LOCALAPPDATA": nowhere}
    assert run("alone", PYTHONPATH=str(tmp_path), **environment) == expected
    assert {path.name for path in tmp_path.iterdir()} == {"sklhash"}
    assert not list(tmp_path.rglob("*.nbi"))
