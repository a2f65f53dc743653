"""An interrupt, wherever it comes, leaves a hasher as it was, or whole."""

import pickle
import random
import sys

import numpy as np
import pytest
from bad_input import HASHERS, unfitted
from numpy.testing import assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback

import sklhash.rows

pytestmark = [
    pytest.mark.filterwarnings(  # few rows, few rounds
        "ignore::sklearn.exceptions.ConvergenceWarning"
    ),
    pytest.mark.filterwarnings("ignore:the half-Gaussians call no two rows alike"),
]
SHALLOW = [name for name in HASHERS if name not in ("idhn", "uhga", "ssdh")]
STREAMS = [name for name in SHALLOW if hasattr(HASHERS[name], "partial_fit")]

N, D = 60, 6
y = np.arange(N) % 3
#: Functions that keep rows: an interrupt within them must not leave some of the rows.
KEEPING = {"add", "update", "_merge", "_replace", "read", "moved_by", "rows", "take"}


def rows(seed):
    rng = np.random.RandomState(seed)
    return 3 * np.eye(3, D)[y] + 2 * rng.standard_normal((N, D)) + seed


FIRST, SECOND, THIRD = (rows(seed) for seed in range(3))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Read few rows at a time, so that an interrupt comes between two batches."""
    monkeypatch.setattr(sklhash.rows, "BATCH_ROWS", 25)


def interrupt(call, at, functions=None):
    """Call a function and raise KeyboardInterrupt at a line of the library.

    Gives the lines run, and whether the interrupt came and was let through.
    """
    n_lines = 0

    def at_line(frame, event, arg):
        nonlocal n_lines
        if event == "line":
            n_lines += 1
            if n_lines == at:
                raise KeyboardInterrupt
        return at_line

    def at_call(frame, event, arg):
        code = frame.f_code
        ours = "sklhash" in code.co_filename and "tests" not in code.co_filename
        ours = ours and not code.co_filename.endswith("_sklearn.py")  # what restores
        return (
            at_line
            if ours and (code.co_name in (functions or [code.co_name]))
            else None
        )

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        call()
    except KeyboardInterrupt:
        return n_lines, True
    finally:
        sys.settrace(before)
    return n_lines, False


def moments(n_lines, n):
    """The first and last lines of a call, and some between."""
    inner = random.Random(0).sample(range(2, n_lines), min(n, n_lines - 2))
    return [1, *sorted(inner), n_lines]


def assert_same_state(hasher, before, projections):
    assert vars(hasher).keys() == before
    assert_array_equal(hasher.decision_function(FIRST), projections)


@pytest.mark.parametrize("name", SHALLOW)
def test_interrupted_fit(name):
    """An interrupted `fit` leaves a fitted hasher as it was, and a new one unfitted."""
    hasher, fresh = unfitted(name).fit(FIRST, y), unfitted(name)
    before, projections = set(vars(hasher)), hasher.decision_function(FIRST)
    nothing, other = set(vars(fresh)), unfitted(name)
    expected = unfitted(name).fit(SECOND, y).decision_function(FIRST)
    n_lines, _ = interrupt(lambda: other.fit(SECOND, y), at=0)
    for at in moments(n_lines, 6):
        assert interrupt(lambda: hasher.fit(SECOND, y), at)[1]
        assert_same_state(hasher, before, projections)
        assert interrupt(lambda: fresh.fit(SECOND, y), at)[1]
        assert set(vars(fresh)) == nothing
    assert_array_equal(hasher.fit(SECOND, y).decision_function(FIRST), expected)
    assert_array_equal(fresh.fit(SECOND, y).decision_function(FIRST), expected)


@pytest.mark.parametrize("learned", [False, True], ids=["waiting", "learned"])
@pytest.mark.parametrize("name", STREAMS)
def test_interrupted_partial_fit(name, learned):
    """Of an interrupted batch no row counts: it can be given once more."""

    def stream():
        hasher = unfitted(name)
        if hasattr(hasher, "max_samples") and name != "dsh":
            hasher.set_params(max_samples=30)  # later rows take earlier ones' places
        hasher.partial_fit(FIRST, y)
        if learned:
            hasher.decision_function(FIRST)
        return hasher

    one = stream().decision_function(FIRST)
    three = stream().partial_fit(SECOND, y).partial_fit(THIRD, y)
    three = three.decision_function(FIRST)
    other = stream()
    n_lines, _ = interrupt(lambda: other.partial_fit(SECOND, y), 0, KEEPING)
    for at in moments(n_lines, 6):
        hasher = stream()
        assert interrupt(lambda: hasher.partial_fit(SECOND, y), at, KEEPING)[1]  # noqa: B023
        assert_array_equal(hasher.decision_function(FIRST), one)
        hasher.partial_fit(SECOND, y).partial_fit(THIRD, y)
        assert_array_equal(hasher.decision_function(FIRST), three)


@pytest.mark.parametrize("name", STREAMS)
def test_interrupted_learning_from_a_stream(name):
    """If learning is interrupted, the next call learns the same."""
    expected = unfitted(name).partial_fit(FIRST, y).decision_function(FIRST)
    hasher = unfitted(name).partial_fit(FIRST, y)
    other = pickle_of(hasher)
    n_lines, _ = interrupt(lambda: other.decision_function(FIRST), 0)
    for at in moments(n_lines, 5):
        other = pickle_of(hasher)
        assert interrupt(lambda: other.decision_function(FIRST), at)[1]  # noqa: B023
        assert_array_equal(other.decision_function(FIRST), expected)


def pickle_of(hasher):
    return pickle.loads(pickle.dumps(hasher))


@pytest.mark.parametrize("name", ["itq", "ksh", "agh"])
def test_interrupted_encoding(name):
    """An interrupt while rows are hashed changes nothing."""
    hasher = unfitted(name).fit(FIRST, y)
    codes, before = hasher.encode(FIRST), set(vars(hasher))
    n_lines, _ = interrupt(lambda: hasher.encode(FIRST), 0)
    for at in moments(n_lines, 6):
        interrupt(lambda: hasher.encode(FIRST), at)
        assert set(vars(hasher)) == before
        assert hasher.encode(FIRST) == codes


class InterruptAt(Callback):
    """Interrupts training in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, *, training, **kwargs):
        """Raise once an epoch has seen two batches."""
        in_epoch = training and len(net.history) == self.epoch
        if in_epoch and len(net.history[-1]["batches"]) == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["idhn", "uhga", "ssdh"])
def test_interrupted_network(name):
    """A network whose training is interrupted keeps what it learned, and is whole."""
    hasher = unfitted(name).set_params(max_epochs=5, batch_size=8)
    hasher.set_params(callbacks=[InterruptAt(3)]).fit(FIRST, y)
    assert hasher.n_iter_ == 3
    whole = clone(hasher).set_params(callbacks=None, max_epochs=2).fit(FIRST, y)
    for curve in whole.curves_.keys() - {"dur"}:
        assert_array_equal(hasher.curves_[curve][:2], whole.curves_[curve])
        assert hasher.curves_[curve].shape == (3,)
    assert np.isnan(hasher.curves_["train_loss"][2])  # not a whole epoch
    projections = hasher.decision_function(FIRST)
    assert np.isfinite(projections).all()
    assert_array_equal(pickle_of(hasher).decision_function(FIRST), projections)
    hasher.set_params(callbacks=None)
    expected = clone(hasher).fit(FIRST, y).decision_function(FIRST)
    assert_array_equal(hasher.fit(FIRST, y).decision_function(FIRST), expected)
