"""Where memory runs out: an error that Python can catch, and a hasher as it was."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="Linux tells and limits memory"
)

#: Limits the address space to some MB more than are taken, and calls the methods.
PROGRAM = """
import json, re, resource, sys, warnings
from pathlib import Path
import numpy as np
import sklearn.cluster, sklearn.metrics.pairwise
from bad_input import HASHERS, unfitted

warnings.simplefilter("ignore")
rng = np.random.RandomState(0)
N = 9000  # more than one batch
y = np.arange(N) % 3
X = (3 * rng.standard_normal((3, 64))[y] + rng.standard_normal((N, 64)))
X = X.astype(np.float32)

def limited(call, megabytes):
    taken = re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())
    limit = 1024 * int(taken.group(1)) + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, -1))
    try:
        call()
        return "done"
    except MemoryError:
        return "MemoryError"
    except RuntimeError as error:  # PyTorch's; and threads that cannot start
        return "MemoryError" if "can't" in str(error) else repr(error)
    except BaseException as error:
        return repr(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))

found = {}
for name in sys.argv[1:]:
    hasher = unfitted(name).set_params(n_bits=64)
    if "max_samples" in vars(hasher):
        hasher.set_params(max_samples=N)
    if "max_epochs" in vars(hasher):
        hasher.set_params(max_epochs=1, batch_size=1024, max_samples=500) \\
            if "max_samples" in vars(hasher) else hasher.set_params(max_epochs=1)
    if name == "agh":
        hasher.set_params(n_anchors=80)
    hasher.fit(X[:300], y[:300])
    before, codes = set(vars(hasher)), hasher.encode(X[:300])
    calls = {
        "fit": lambda: hasher.fit(X, y),
        "encode": lambda: hasher.encode(X),
        "threads": lambda: hasher.encode(X, n_jobs=2),
        "decision_function": lambda: hasher.decision_function(X),
    }
    if hasattr(hasher, "partial_fit") and "max_epochs" not in vars(hasher):
        calls["partial_fit"] = lambda: hasher.partial_fit(X, y)
    for method, call in calls.items():
        for megabytes in (0, 4):
            result = limited(call, megabytes)
            whole = set(vars(hasher)) == before and hasher.encode(X[:300]) == codes
            if result == "done" and "fit" in method:
                hasher, whole = hasher.__class__(**hasher.get_params(False)), True
                hasher.fit(X[:300], y[:300])
            found[f"{name} {method} {megabytes}"] = [result, whole]
print(json.dumps(found))
"""

GROUPS = [
    ("itq", "cca", "lsh", "pcah", "sh", "sph", "dsh", "isohash", "agh"),
    ("ksh", "sdh", "idhn", "uhga", "ssdh"),
]


@pytest.mark.parametrize("names", GROUPS, ids=["linear_and_graphs", "others"])
def test_memory_runs_out(names):
    """No crash, no half-learned hasher: MemoryError, and the codes of before."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        timeout=250,
        check=False,
    )
    if done.returncode in (-signal.SIGSEGV, -signal.SIGABRT):
        pytest.skip("BLAS ended the process: it does not look whether it got memory")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    results = {result for result, _ in found.values()}
    assert results <= {"done", "MemoryError"}, found
    assert "MemoryError" in results, found
    assert all(whole for _, whole in found.values()), found
