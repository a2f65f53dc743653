"""scikit-learn's callbacks see the iterations of the hashers that iterate."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklhash import (
    ITQ,
    HammingRetriever,
    IsotropicHashing,
    SphericalHashing,
    SupervisedDiscreteHashing,
)
from sklhash.metrics import RetrievalScorer, map_scorer

ITERATIVE = [
    ITQ(8, max_iter=6, random_state=0),
    SphericalHashing(8, tol_mean=2, tol_std=2, random_state=0),
    IsotropicHashing(8, random_state=0),
    SupervisedDiscreteHashing(8, n_anchors=100, random_state=0),
]


class Recorder:
    """A callback that notes what it is told, and stops where it is asked to."""

    def __init__(self, stop_at=None):
        self.events = []
        self.stop_at = stop_at

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.events.append(("begin", context.task_name, context.task_id))
        self.max_subtasks = (context.parent or context).max_subtasks

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.events.append(("end", context.task_name, context.task_id))
        if fitted_estimator is not None:
            self.codes = fitted_estimator.encode(X)
        return context.task_id == self.stop_at and context.task_name == "iteration"


@pytest.mark.parametrize("hasher", ITERATIVE, ids=str)
def test_each_iteration_begins_and_ends(hasher, digits):
    """Hooks come in pairs, one an iteration, inside those of `fit`."""
    recorder = Recorder()
    hasher = clone(hasher).set_callbacks(recorder).fit(*digits)
    inside = [
        (when, "iteration", i)
        for i in range(hasher.n_iter_)
        for when in ("begin", "end")
    ]
    outside = [("begin", "fit", 0), *inside, ("end", "fit", 0)]
    assert recorder.events == ["setup", *outside, "teardown"]
    assert recorder.max_subtasks == hasher.max_iter


@pytest.mark.parametrize("hasher", ITERATIVE, ids=str)
def test_callbacks_change_nothing(hasher, digits):
    """Codes are the same; the last iteration's hasher is the fitted one."""
    X, y = digits
    recorder = Recorder()
    watched = clone(hasher).set_callbacks(recorder).fit(X, y)
    assert watched.encode(X) == clone(hasher).fit(X, y).encode(X) == recorder.codes


@pytest.mark.parametrize("hasher", ITERATIVE, ids=str)
def test_a_callback_can_stop_the_loop(hasher, digits):
    """After a hook that returns True no iteration follows, and nothing warns."""
    X, y = digits
    params = {"max_iter": 9}
    if isinstance(hasher, SphericalHashing):
        params |= {"tol_mean": 0, "tol_std": 0}
    stopped = clone(hasher).set_params(**params).set_callbacks(Recorder(stop_at=1))
    assert stopped.fit(X, y).n_iter_ == 2
    assert stopped.transform(X).shape == (len(X), 8)


def test_scoring_monitor_logs_map(digits):
    """The mAP of each iteration is logged, and ends at that of the fitted hasher."""
    X, y = digits[0][:400], digits[1][:400]
    monitor = ScoringMonitor(scoring={"map": map_scorer})
    itq = ITQ(12, max_iter=8, random_state=0).set_callbacks(monitor).fit(X, y)
    scores = [row["map"] for row in monitor.get_logs().data if "map" in row]
    assert len(scores) == 8
    assert_allclose(scores[-1], RetrievalScorer("map")(itq, X, y))
    assert scores[-1] > scores[0]


def test_progress_bars_show_iterations(digits, capsys):
    """A bar names the hasher and ends full, alone and inside a grid search."""
    pytest.importorskip("rich")
    X, y = digits
    ITQ(8, random_state=0).set_callbacks(ProgressBar()).fit(X)
    shown = capsys.readouterr().out
    assert "ITQ" in shown
    assert "100%" in shown
    pipeline = make_pipeline(StandardScaler(), ITQ(random_state=0), HammingRetriever())
    search = GridSearchCV(pipeline, {"itq__n_bits": [4, 8]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "ITQ" in capsys.readouterr().out


def test_retriever_hands_callbacks_to_its_hasher(digits, capsys):
    """A bar on a retriever shows the iterations of its hasher."""
    pytest.importorskip("rich")
    retriever = HammingRetriever(ITQ(8, random_state=0)).set_callbacks(ProgressBar())
    codes = retriever.fit(*digits).gallery_codes_
    shown = capsys.readouterr().out
    assert "HammingRetriever" in shown
    assert "ITQ" in shown
    plain = HammingRetriever(ITQ(8, random_state=0)).fit(*digits)
    assert codes == plain.gallery_codes_


def test_failing_callbacks_leave_no_trace(digits):
    """If a hook raises, the callbacks are torn down and the hasher is unchanged."""

    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("no more")

    failing = Failing()
    hasher = ITQ(8, random_state=0).set_callbacks(failing)
    before = set(vars(hasher))
    with pytest.raises(RuntimeError, match="no more"):
        hasher.fit(digits[0])
    assert failing.events[-1] == "teardown"
    assert set(vars(hasher)) == before


def test_streams_and_pickles_keep_callbacks_out(digits):
    """`partial_fit` shows nothing, and a pickled hasher still works."""
    X, _ = digits
    recorder = Recorder()
    itq = ITQ(8, random_state=0).set_callbacks(recorder).partial_fit(X)
    itq.encode(X)
    assert recorder.events == []
    again = pickle.loads(pickle.dumps(ITQ(8, random_state=0).fit(X)))
    assert np.array_equal(again.transform(X), itq.transform(X))
