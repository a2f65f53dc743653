"""What holds for all deep hashers: input, seeds, resuming, curves, searches."""

import pickle
import pickletools
import subprocess
import sys
import threading
import tracemalloc
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.utils import noop
from torch import nn

from sklhash import HammingRetriever, SoftPairwiseHasher, SSDHHasher, UHGAHasher
from sklhash.metrics import RetrievalScorer, map_scorer
from sklhash.rows import BATCH_ROWS

#: Tiny nets that learn in a moment.
TINY = {
    "n_bits": 8,
    "hidden_units": (16,),
    "lr": 0.01,
    "batch_size": 32,
    "max_epochs": 2,
    "device": "cpu",
    "random_state": 0,
}
soft = partial(SoftPairwiseHasher, **TINY)
uhga = partial(UHGAHasher, **TINY)
ssdh = partial(SSDHHasher, **{**TINY, "center": True})

each_hasher = pytest.mark.parametrize(
    "make", [soft, uhga, ssdh], ids=["soft_pairwise", "uhga", "ssdh"]
)
each_method = pytest.mark.parametrize(
    "make", [soft, uhga], ids=["soft_pairwise", "uhga"]
)


#: Enough steps for the running means of batch normalisation to settle.
IMAGE_STEPS = {"max_epochs": 5, "batch_size": 16, "lr": 1e-3}


class WithDropout(nn.Module):
    """A network whose training draws random numbers and has running means."""

    def __init__(self, n_features, n_bits):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(n_features, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3)
        )
        self.hash_layer = nn.Linear(16, n_bits)

    def forward(self, x):
        return self.hash_layer(self.backbone(x.float()))


def as_frame(X):
    """Rows with named columns."""
    names = [f"x{i}" for i in range(X.shape[1])]
    return pytest.importorskip("pandas").DataFrame(X, columns=names)


class WithSpare(nn.Module):
    """A network with a layer that the outputs do not depend on."""

    def __init__(self, n_features, n_bits):
        super().__init__()
        self.spare = nn.Linear(n_features, n_bits)
        self.hash_layer = nn.Linear(n_features, n_bits)

    def forward(self, x):
        return self.hash_layer(x.float() / 16)


class WithDeadBit(WithSpare):
    """A network whose first bit is always set."""

    def forward(self, x):
        z = super().forward(x)
        return torch.cat([torch.ones_like(z[:, :1]), z[:, 1:]], dim=1)


class ForImages(nn.Module):
    """A network of one convolution."""

    def __init__(self, n_channels, n_bits):
        super().__init__()
        self.convolution = nn.Conv2d(n_channels, 8, 3)
        self.hash_layer = nn.Linear(8 * 6 * 6, n_bits)

    def forward(self, x):
        return self.hash_layer(self.convolution(x.float()).relu().flatten(1))


class LearningRates(Callback):
    """Notes the learning rates of each step."""

    def initialize(self):
        self.seen = []
        return self

    def on_batch_end(self, net, *, training, **kwargs):
        if training:
            self.seen.append([g["lr"] for g in net.optimizer_.param_groups])


class Failing(Callback):
    """Fails at the end of the second epoch of a fit."""

    def on_train_begin(self, net, **kwargs):
        self.epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs += 1
        if self.epochs == 2:
            raise RuntimeError("no more")


class Recorder:
    """A callback of scikit-learn that notes what it is told."""

    def __init__(self, stop_at=None):
        self.events = []
        self.stop_at = stop_at

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.events.append((context.task_name, context.task_id))
        if fitted_estimator is not None:
            self.codes = fitted_estimator.encode(X)
        return context.task_id == self.stop_at and context.task_name == "iteration"


@pytest.fixture(scope="module")
def data(digits):
    """Digits enough to learn from, too few to call a bit of a short training dead."""
    return digits[0][:198], digits[1][:198]


@pytest.fixture(scope="module")
def images(data):
    """The digits as images of bytes."""
    return (15 * data[0][:150]).astype(np.uint8).reshape(-1, 1, 8, 8), data[1][:150]


@pytest.fixture(params=[soft, uhga], ids=["soft_pairwise", "uhga"])
def fitted(request, data):
    """A fitted hasher, to be left as it is or pickled."""
    return request.param().fit(*data)


def weights(hasher):
    return {k: v.clone() for k, v in hasher.net_.module_.state_dict().items()}


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert_array_equal(value.numpy(), second[name].numpy(), err_msg=name)


def assert_same_fit(first, second):
    """Two hashers agree on everything but the time that training took."""
    assert_same_weights(weights(first), weights(second))
    assert first.n_iter_ == second.n_iter_
    assert first.curves_.keys() == second.curves_.keys()
    for name in first.curves_.keys() - {"dur"}:
        assert_array_equal(first.curves_[name], second.curves_[name], err_msg=name)


def flipped(first, second):
    return np.mean(first != second)


class TestInput:
    """Rows and images, of any kind."""

    @each_method
    @pytest.mark.parametrize(
        "form",
        [
            lambda X: X.astype(np.int64),
            lambda X: X.astype(np.uint8),
            lambda X: X.tolist(),
            np.asfortranarray,
            as_frame,
            sp.csr_array,
            sp.coo_matrix,
            torch.tensor,
            lambda X: torch.tensor(X, requires_grad=True),
            lambda X: torch.tensor(X).to(torch.uint8),
            lambda X: torch.tensor(X.T).T,
        ],
        ids=[
            *("int64", "uint8", "list", "fortran", "frame", "csr", "coo"),
            *("tensor", "requires_grad", "tensor_uint8", "strided"),
        ],
    )
    def test_any_form_of_rows(self, make, form, data):
        """Equal numbers give equal codes, whatever they come in."""
        X, y = data
        hasher = make(max_epochs=1)
        rows = form(X)
        codes = hasher.fit(X, y).transform(X)
        assert_array_equal(clone(hasher).fit(rows, y).transform(rows), codes)
        if isinstance(rows, torch.Tensor):
            assert rows.grad is None

    @each_method
    @pytest.mark.parametrize("form", [np.asarray, torch.tensor])
    def test_single_precision(self, make, form, data):
        """Rows in single precision get nearly the codes of double precision."""
        X, y = data
        single = form(X.astype(np.float32))
        codes = make().fit(X, y).transform(X)
        assert flipped(make().fit(single, y).transform(single), codes) < 0.02

    @each_method
    @pytest.mark.parametrize("module", [None, ForImages])
    @pytest.mark.parametrize("form", [np.asarray, torch.tensor])
    def test_bytes_of_images_are_numbers_from_0_to_1(self, make, module, form, images):
        """Images of bytes get the codes of images of floats, bytes / 255."""
        X, y = images
        floats = X.astype(np.float32) / 255
        hasher = make(module=module, **IMAGE_STEPS)
        codes = hasher.fit(X, y).transform(X)
        assert len(np.unique(codes, axis=0)) > 1
        rows, whole = form(floats), form(X)
        assert_array_equal(clone(hasher).fit(rows, y).transform(rows), codes)
        assert_array_equal(clone(hasher).fit(whole, y).transform(whole), codes)
        if module is not None:  # batch normalisation makes much of rounding
            double = floats.astype(np.float64)
            assert flipped(clone(hasher).fit(double, y).transform(double), codes) < 0.05

    def test_images_of_other_sizes_are_refused(self, images):
        """What was fitted on images takes images of that size only."""
        X, y = images
        hasher = soft(**IMAGE_STEPS).fit(X, y)
        for other in (X[:, :, :7], X[:, :, :, :7], X.reshape(-1, 64)):
            with pytest.raises(ValueError, match=r"shape|features"):
                hasher.transform(other)
        with pytest.raises(ValueError, match="fitted on examples of shape"):
            uhga().fit(np.ones((9, 3)) * np.arange(9)[:, None]).transform(
                np.ones((2, 3, 4, 4))
            )

    @pytest.mark.parametrize("form", [np.asarray, torch.tensor])
    @pytest.mark.parametrize("shape", [(20,), (20, 4, 4), (20, 1, 4, 4, 4), (20, 0)])
    def test_neither_rows_nor_images(self, form, shape):
        """Arrays of other shapes are refused."""
        with pytest.raises(ValueError, match=r"shape|Expected 2D"):
            uhga().fit(form(np.ones(shape)))

    @each_method
    @pytest.mark.parametrize("form", [np.asarray, torch.tensor, sp.csr_array])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_non_finite_numbers(self, make, form, value, data):
        """NaN and infinity are refused when fitting and when hashing."""
        X, y = data
        bad = X.copy()
        bad[-1, 3] = value
        hasher = make(max_epochs=0).fit(X, y)
        for method in (hasher.fit, hasher.partial_fit):
            with pytest.raises(ValueError, match="Input X contains"):
                method(form(bad), y)
        with pytest.raises(ValueError, match="Input X contains"):
            hasher.encode(form(bad))

    @each_method
    @pytest.mark.parametrize("shape", [(20, 8, 8, 1), (20, 1, 7, 9)])
    def test_images_with_channels_last_or_too_small(self, make, shape):
        """Images that the network cannot halve three times are refused."""
        with pytest.raises(ValueError, match=r"8 x 8 .* got shape .*moveaxis"):
            make().fit(np.ones(shape), np.arange(20) % 2)

    def test_complex_tensors_are_refused(self, data):
        """The imaginary part is not dropped silently."""
        with pytest.raises((TypeError, ValueError), match=r"[Cc]omplex"):
            uhga().fit(torch.tensor(data[0] * 1j))

    @each_method
    @pytest.mark.parametrize("scale", [1, 1e-3])
    def test_small_signals_far_from_zero(self, make, scale, digits):
        """Rows far from the origin are learned as well as centred ones."""
        X, y = digits[0][:600] / 16, digits[1][:600]
        hasher = make(max_epochs=6)
        score = RetrievalScorer("map")
        near = score(hasher.fit(X, y), X, y)
        far = 1e6 + scale * X
        assert score(hasher.fit(far, y), far, y) > near - 0.05

    @pytest.mark.parametrize("attention_weight", [0, 0.5])
    def test_two_rows_are_enough(self, attention_weight):
        """The smallest data set works; one row does not."""
        X = np.array([[0.0, 1.0, 2.0], [3.0, -1.0, 0.0]])
        hasher = uhga(attention_weight=attention_weight, max_epochs=0)
        assert hasher.fit(X).transform(X).shape == (2, 8)
        for rows in (X[:1], torch.tensor(X[:1])):
            with pytest.raises(ValueError, match="minimum of 2"):
                hasher.fit(rows)

    @pytest.mark.filterwarnings("ignore:. of 8 bits")  # there is little to learn
    @each_method
    def test_mapped_files_are_never_copied(self, make, tmp_path, rng):
        """Rows on disk are read batch by batch, conversions included."""
        X = (rng.standard_normal((40_000, 64)) * 20 + 99).astype(np.uint8)
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        hasher = make(batch_size=1000, max_epochs=1)
        if make is uhga:
            hasher.set_params(max_samples=500)
        y = X[:, 0] > 99
        hasher.fit(X[:198], y[:198])  # imports cost memory, too
        tracemalloc.start()
        hasher.fit(mapped, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16e6  # 20 MB of the rows in double precision
        assert hasher.encode(mapped[:900]) == hasher.encode(X[:900])

    @pytest.mark.filterwarnings("ignore:. of 8 bits")  # rows come many times
    @each_method
    def test_mapped_images_agree(self, make, tmp_path, images):
        """More images on disk than a batch holds get the codes of images in memory."""
        X, y = (np.tile(a, (1 + BATCH_ROWS // 150, 1, 1, 1)[: a.ndim]) for a in images)
        assert len(X) > BATCH_ROWS
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        hasher = make(module=ForImages, batch_size=512, max_epochs=1)
        codes = hasher.fit(X, y).encode(X)
        assert hasher.fit(mapped, y).encode(mapped) == codes
        bad = X.astype(np.float32)
        bad[-1] = np.nan
        with pytest.raises(ValueError, match="contains NaN"):
            hasher.transform(bad)


class TestSeeds:
    """Same random state, same codes; nobody else's random numbers."""

    @each_hasher
    @pytest.mark.parametrize("params", [{"module": WithDropout}, {"compile": False}])
    def test_same_seed_same_codes(self, make, params, data):
        """Refitting, cloning and pickling do not change a weight."""
        X, y = data
        first = make(**params).fit(X, y)
        assert_same_fit(clone(first).fit(X, y), first)
        assert_same_fit(pickle.loads(pickle.dumps(first)), first)
        copy = pickle.loads(pickle.dumps(first))
        assert_array_equal(copy.decision_function(X), first.decision_function(X))
        before = weights(first)
        assert_same_weights(weights(first.fit(X, y)), before)
        other = make(**params, random_state=1) if params else None
        assert flipped(other.fit(X, y).transform(X), first.transform(X)) > 0.1

    def test_other_processes_agree(self, data, tmp_path):
        """A hasher fitted here works there, and one fitted there is the same."""
        X, y = data
        hashers = [soft(attention_weight=0.5), uhga(attention_weight=0.5)]
        codes = [clone(h).fit(X, y).transform(X) for h in hashers]
        fitted = [clone(h).fit(X, y) for h in hashers]
        (tmp_path / "all.pkl").write_bytes(pickle.dumps((X, y, hashers, fitted, codes)))
        program = (
            "import pickle, sys\n"
            "X, y, hashers, fitted, codes = pickle.load(open(sys.argv[1], 'rb'))\n"
            "for hasher, there, expected in zip(hashers, fitted, codes):\n"
            "    assert (there.transform(X) == expected).all()\n"
            "    assert (hasher.fit(X, y).transform(X) == expected).all()\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", program, tmp_path / "all.pkl"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr

    @each_method
    @pytest.mark.parametrize("seed", [0, None])
    def test_global_generators_are_untouched(self, make, seed, data):
        """No method draws from torch's or NumPy's generators."""
        X, y = data
        hasher = make(
            module=WithDropout,
            attention_weight=0.5,
            validation_fraction=0.2,
            random_state=seed,
        )
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
        hasher.fit(X, y).partial_fit(X, y).encode(X)
        pickle.loads(pickle.dumps(hasher)).transform(X)
        assert_array_equal(torch.get_rng_state(), torch_state)
        assert_array_equal(np.random.get_state()[1], numpy_state)

    @each_method
    def test_global_seeds_do_not_matter(self, make, data):
        """What torch and NumPy were seeded with changes nothing."""
        X, y = data
        codes = make(module=WithDropout).fit(X, y).transform(X)
        with torch.random.fork_rng():
            torch.manual_seed(99)
            again = make(module=WithDropout).fit(X, y)
        assert_array_equal(again.transform(X), codes)

    @each_method
    def test_no_seed(self, make, data):
        """Without a random state fits differ; a generator is drawn from."""
        X, y = data
        first, second = (make(random_state=None).fit(X, y) for _ in range(2))
        assert flipped(first.transform(X), second.transform(X)) > 0.1
        rng = np.random.RandomState(3)
        first, second = (make(random_state=rng).fit(X, y) for _ in range(2))
        assert flipped(first.transform(X), second.transform(X)) > 0.1

    def test_threads_do_not_disturb_each_other(self, data):
        """Hashers fitted at once get the codes of one after the other."""
        X, y = data
        hashers = [
            make(module=WithDropout, random_state=seed, max_epochs=4)
            for make in (soft, uhga)
            for seed in (0, 1)
        ]
        expected = [clone(h).fit(X, y).transform(X) for h in hashers]
        before = torch.get_rng_state()
        start = threading.Barrier(len(hashers))

        def fit(hasher):
            start.wait()
            hasher.fit(X, y)

        threads = [threading.Thread(target=fit, args=(h,)) for h in hashers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for hasher, codes in zip(hashers, expected, strict=True):
            assert_array_equal(hasher.transform(X), codes)
        assert_array_equal(torch.get_rng_state(), before)


RESUMABLE = {
    "adam": {},
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "class": {"optimizer": torch.optim.AdamW},
    "dropout": {"module": WithDropout},
    "spare_layer": {"module": WithSpare},
    "attention": {"attention_weight": 0.7, "attention_units": 4},
    "attention_sgd": {
        "attention_weight": 0.7,
        "attention_units": 4,
        "optimizer": "sgd",
        "module": WithDropout,
    },
    "validation": {"validation_fraction": 0.2},
}


class TestResuming:
    """`warm_start`, `partial_fit`, and fits that fail."""

    @each_method
    @pytest.mark.parametrize("params", RESUMABLE.values(), ids=RESUMABLE)
    def test_two_fits_are_one(self, make, params, data):
        """2 + 2 epochs are 4 epochs, with another learning rate on the way."""
        X, y = data
        params = {"warm_start": True, "lr_decay_steps": 5, **params}
        whole = make(**params, max_epochs=4).fit(X, y)
        twice = make(**params).fit(X, y).fit(X, y)
        assert_same_fit(twice, whole)
        resumed = pickle.loads(pickle.dumps(make(**params).fit(X, y))).fit(X, y)
        assert_same_fit(resumed, whole)
        assert flipped(make(**params).fit(X, y).transform(X), whole.transform(X)) > 0

    @each_method
    @pytest.mark.parametrize("attention_weight", [0, 0.5])
    def test_partial_fit_is_one_epoch(self, make, attention_weight, data):
        """Calls of `partial_fit` on all rows are epochs of `fit`."""
        X, y = data
        params = {"attention_weight": attention_weight, "lr_decay_steps": 5}
        whole = make(**params, max_epochs=3).fit(X, y)
        stream = make(**params, max_epochs=99)
        for n_calls in range(1, 4):
            assert stream.partial_fit(X, y).n_iter_ == n_calls
        assert_same_fit(stream, whole)
        more = make(**params, warm_start=True).fit(X, y).partial_fit(X, y)
        assert_same_fit(more, whole)
        assert more.fit(X, y).n_iter_ == 5

    @each_method
    @pytest.mark.parametrize("params", [{"n_bits": 3}, {"hidden_units": (5,)}], ids=str)
    def test_another_network_cannot_go_on(self, make, params, data):
        """Training does not go on with a network of another shape, nor keeps quiet."""
        X, y = data
        hasher = make(warm_start=True).fit(X, y)
        codes = hasher.transform(X)
        with pytest.raises(ValueError, match="but the network at hand was built with"):
            hasher.set_params(**params).fit(X, y)
        assert_array_equal(hasher.transform(X), codes)

    @each_method
    def test_fit_starts_anew(self, make, data):
        """Without `warm_start` a fit forgets the one before."""
        X, y = data
        hasher = make().partial_fit(X[:90], y[:90]).fit(X, y)
        assert_same_fit(hasher, make().fit(X, y))

    @each_method
    def test_streams_of_rows(self, make, data):
        """`partial_fit` takes other rows each time, of the same width."""
        X, y = data
        hasher = make()
        for rows in (slice(0, 100), slice(100, 150), slice(150, 152)):
            hasher.partial_fit(X[rows], y[rows])
        assert hasher.n_iter_ == len(hasher.curves_["train_loss"]) == 3
        with pytest.raises(ValueError, match="X has 9 features"):
            hasher.partial_fit(X[:, :9], y)

    @each_method
    def test_settings_may_change_between_epochs(self, make, data):
        """Warm starts follow new settings of training; attention may come late."""
        X, y = data
        hasher = make(warm_start=True).fit(X, y)
        hasher.set_params(attention_weight=0.5, lr=0.001, optimizer="sgd")
        assert hasher.fit(X, y).n_iter_ == 4
        assert np.isnan(hasher.curves_["loss_after"]).tolist() == [1, 1, 0, 0]
        assert hasher.set_params(attention_weight=0).fit(X, y).n_iter_ == 6

    @each_method
    @pytest.mark.parametrize("warm_start", [False, True])
    @pytest.mark.parametrize(
        "failure",
        [
            {"callbacks": [Failing()]},
            {"lr": 1e30},
            {"device": "no such device"},
            {"hidden_units": (0,)},
            {"validation_fraction": 0.9999},
            {"optimizer": torch.zeros},
            "nan",
        ],
        ids=["callback", "lr", "device", "units", "validation", "optimizer", "nan"],
    )
    def test_a_failing_fit_changes_nothing(self, make, warm_start, failure, data):
        """After an error a fitted hasher is what it was, and can go on."""
        X, y = data
        hasher = make(warm_start=warm_start, lr_decay_steps=5).fit(X, y)
        before, state = pickle.loads(pickle.dumps(hasher)), weights(hasher)
        params = hasher.get_params()
        rows = X
        if failure == "nan":
            rows = np.where(X[-1, 20] == X, np.nan, X)
        else:
            hasher.set_params(**failure)
        with pytest.raises((ValueError, TypeError, RuntimeError)):
            hasher.fit(rows, y)
        assert_same_weights(weights(hasher), state)
        hasher.set_params(**params)
        assert_same_fit(hasher, before)
        assert_same_fit(hasher.partial_fit(X, y), before.partial_fit(X, y))

    @each_method
    def test_a_failing_first_fit_leaves_an_unfitted_hasher(self, make, data):
        """What failed at once is not fitted."""
        hasher = make(callbacks=[Failing()])
        with pytest.raises(RuntimeError, match="no more"):
            hasher.fit(*data)
        with pytest.raises(NotFittedError):
            hasher.transform(data[0])
        assert not [name for name in vars(hasher) if name.endswith("_")]

    def test_parameters_set_after_fit_wait_for_the_next_fit(self, fitted, data):
        """New parameters change no projection, not even in a copy."""
        X, _ = data
        before = fitted.decision_function(X)
        fitted.set_params(n_bits=2, hidden_units=(3,), lr=1.0, attention_weight=1.0)
        if isinstance(fitted, SoftPairwiseHasher):
            fitted.set_params(relaxation="tanh")
        else:
            fitted.set_params(continuation=1.0)
        assert_array_equal(fitted.decision_function(X), before)
        copy = pickle.loads(pickle.dumps(fitted))
        assert_array_equal(copy.decision_function(X), before)


class TestCurves:
    """What training leaves behind."""

    @each_hasher
    @pytest.mark.parametrize("attention_weight", [0, 0.5])
    def test_names_and_lengths(self, make, attention_weight, data):
        """There is a number an epoch for each term, share and state of the codes."""
        hasher = make(
            attention_weight=attention_weight, validation_fraction=0.3, max_epochs=3
        ).fit(*data)
        names = {"train_loss", "valid_loss", "bit_balance", "distinct_codes"}
        names |= {"loss_after"} if attention_weight else set()
        names |= {"similar_pairs"}
        names |= (
            {"hard", "soft", "quantization", "hard_pairs"}
            if make is soft
            else {*("pairs", "ignored_pairs")}
        )
        assert names <= hasher.curves_.keys()
        assert {curve.shape for curve in hasher.curves_.values()} == {(3,)}
        assert hasher.n_iter_ == len(hasher.net_.history) == 3
        assert all(np.isfinite(curve).all() for curve in hasher.curves_.values())
        assert np.all(hasher.curves_["bit_balance"] <= 1)
        assert np.all(np.diff(hasher.curves_["train_loss"]) < 0)

    @each_method
    def test_loss_is_the_sum_of_its_terms(self, make, data):
        """The loss of an epoch is the mean of all its batches, term by term."""
        curves = make(quantization_weight=0.2).fit(*data).curves_
        terms = ["hard", "soft"] if make is soft else ["pairs"]
        total = sum(curves[name] for name in [*terms, "quantization"])
        assert_allclose(curves["train_loss"], total, rtol=1e-5)

    @each_method
    def test_state_of_the_codes(self, make, data):
        """Balance and distinct codes are those of the batch before its update."""
        X, y = data
        start = make(max_epochs=0).fit(X, y)
        curves = make(max_epochs=1, batch_size=198).fit(X, y).curves_
        codes = start.transform(X)
        share = codes.mean(axis=0)
        balance = np.mean([2 * min(p, 1 - p) for p in share])
        assert_allclose(curves["bit_balance"], balance, atol=1e-2)
        n_distinct = len({tuple(code) for code in codes})
        assert abs(curves["distinct_codes"][0] - n_distinct) <= 2

    def test_rows_that_fill_no_batch_are_left_out(self, data):
        """An epoch has whole batches only, unless there is not even one."""
        X, _y = data
        for n, batch_size, n_steps in [(198, 32, 6), (64, 32, 2), (30, 32, 1)]:
            hasher = uhga(
                batch_size=batch_size, callbacks=[("rates", LearningRates())]
            ).fit(X[:n])
            assert len(dict(hasher.net_.callbacks_)["rates"].seen) == 2 * n_steps

    def test_staircase_of_learning_rates(self, data):
        """Rates are multiplied by `lr_decay` every `lr_decay_steps` steps, by group."""
        X, y = data
        hasher = soft(
            max_epochs=3,
            lr=0.04,
            lr_decay=0.5,
            lr_decay_steps=5,
            backbone_lr_factor=0.1,
            callbacks=[("rates", LearningRates())],
        ).fit(X, y)
        seen = np.array(dict(hasher.net_.callbacks_)["rates"].seen)
        expected = 0.04 * 0.5 ** (np.arange(18) // 5)
        assert_allclose(seen.max(axis=1), expected)  # the hash layer
        assert_allclose(seen.min(axis=1), 0.1 * expected)

    @each_method
    @pytest.mark.parametrize("optimizer", ["adam", "sgd"])
    def test_frozen_backbone(self, make, optimizer, data):
        """With ``backbone_lr_factor=0`` only the hash layer learns."""
        X, y = data
        params = {"backbone_lr_factor": 0, "optimizer": optimizer, "lr": 0.05}
        start = weights(make(**params, max_epochs=0).fit(X, y))
        for attention_weight in (0, 0.5):
            end = weights(make(**params, attention_weight=attention_weight).fit(X, y))
            for name, value in end.items():
                changed = not torch.equal(value, start[name])
                assert changed == name.startswith("hash_layer"), name


class TestCallbacks:
    """skorch's callbacks, and scikit-learn's."""

    @each_method
    def test_early_stopping(self, make, data):
        """Training stops when the loss of the rows set apart stops falling."""
        stopping = EarlyStopping(
            monitor="valid_loss", patience=2, threshold=0.99, sink=noop
        )
        hasher = make(callbacks=[stopping], validation_fraction=0.2, max_epochs=30).fit(
            *data
        )
        assert hasher.n_iter_ == len(hasher.curves_["valid_loss"]) == 3
        assert stopping.misses_ == 0  # the caller's is left alone

    def test_validation_rows_are_not_trained_on(self, data):
        """A step of training sees the rows that are left, and no others."""
        X, _y = data

        class Seen(Callback):
            rows = {True: set(), False: set()}

            def on_batch_begin(self, net, *, batch, training, **kwargs):
                self.rows[training] |= {x.tobytes() for x in batch[0].numpy()}

        X = np.unique(X, axis=0)
        uhga(callbacks=[Seen()], validation_fraction=0.2, batch_size=10).fit(X)
        assert len(Seen.rows[False]) == np.ceil(0.2 * len(X))
        assert not Seen.rows[True] & Seen.rows[False]

    def test_schedulers(self, data):
        """A scheduler of skorch sets the learning rate, if nothing else does."""
        scheduler = LRScheduler("StepLR", step_size=1, gamma=0.1)
        hasher = soft(lr_decay=1, max_epochs=3, callbacks=[scheduler]).fit(*data)
        assert_allclose(hasher.curves_["event_lr"], [1e-2, 1e-3, 1e-4])
        for callbacks in ([scheduler], [("lr", scheduler)], [LRScheduler]):
            with pytest.raises(ValueError, match="set lr_decay=1"):
                soft(lr_decay=0.5, callbacks=callbacks).fit(*data)

    @each_method
    def test_each_epoch_is_an_iteration(self, make, data):
        """scikit-learn's callbacks see each epoch, change nothing, and can stop."""
        X, y = data
        recorder = Recorder()
        hasher = make(max_epochs=3).set_callbacks(recorder).fit(X, y)
        epochs = [("iteration", i) for i in range(3)]
        assert recorder.events == [*epochs, ("fit", 0), "teardown"]
        assert (
            recorder.codes == hasher.encode(X) == make(max_epochs=3).fit(X, y).encode(X)
        )
        stopped = make(max_epochs=9).set_callbacks(Recorder(stop_at=1)).fit(X, y)
        assert stopped.n_iter_ == 2
        assert_same_fit(stopped, make(max_epochs=2).fit(X, y))

    @each_method
    def test_scoring_monitor_logs_map(self, make, data):
        """The mAP of each epoch is logged, and ends at that of the fitted hasher."""
        X, y = data
        monitor = ScoringMonitor(scoring={"map": map_scorer})
        hasher = make(max_epochs=3).set_callbacks(monitor).fit(X, y)
        scores = [row["map"] for row in monitor.get_logs().data if "map" in row]
        assert len(scores) == 3
        assert_allclose(scores[-1], RetrievalScorer("map")(hasher, X, y))
        assert scores[-1] > scores[0]

    @each_method
    def test_verbosity(self, make, data, capsys):
        """Silence is the default; then come a bar, and a table besides."""
        make().fit(*data).transform(data[0])
        assert capsys.readouterr() == ("", "")
        make(verbose=1).fit(*data)
        assert "%|" in capsys.readouterr().err
        make(verbose=2).fit(*data)
        assert "train_loss" in capsys.readouterr().out


class TestModules:
    """Networks of one's own."""

    @each_method
    def test_classes_functions_and_networks(self, make, data):
        """A class, or a function of (n_features, n_bits), builds the network."""
        X, y = data
        sizes = []

        def build(n_features, n_bits):
            sizes.append((n_features, n_bits))
            return WithDropout(n_features, n_bits)

        expected = make(module=WithDropout).fit(X, y)
        assert_same_fit(make(module=build).fit(X, y), expected)
        assert set(sizes) == {(64, 8)}

    @each_method
    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int64])
    def test_plain_layers_take_rows_of_any_type(self, make, dtype, data):
        """A network in single precision need not convert its input."""
        X, y = data[0].astype(dtype), data[1]
        hasher = make(module=nn.Linear, lr=0.001).fit(X, y)
        assert hasher.decision_function(X).dtype == np.float32

    @each_method
    @pytest.mark.parametrize("training", [True, False])
    def test_a_network_is_copied(self, make, training, data):
        """A network given as such is where training starts, and stays as it is."""
        X, y = data
        with torch.random.fork_rng():
            network = WithDropout(64, 8).train(training)
        before = {k: v.clone() for k, v in network.state_dict().items()}
        hasher = make(module=network).fit(X, y)
        assert_same_weights(network.state_dict(), before)
        assert network.training == training
        assert all(p.grad is None for p in network.parameters())
        assert (
            flipped(
                hasher.transform(X),
                make(module=network, max_epochs=0).fit(X, y).transform(X),
            )
            > 0
        )
        assert_same_fit(clone(hasher).fit(X, y), hasher)

    @each_method
    def test_networks_trained_elsewhere(self, make, data):
        """Without epochs the weights are taken as they are."""
        X, y = data
        with torch.random.fork_rng():
            network = WithDropout(64, 8)
        hasher = make(module=network, max_epochs=0).fit(X, y)
        assert hasher.n_iter_ == 0
        assert hasher.curves_ == {}
        assert_same_weights(weights(hasher), network.state_dict())
        with torch.no_grad():
            z = network.eval()(torch.tensor(X)).numpy()
        expected = z / (1 + np.abs(z)) if make is soft else np.tanh(z)
        assert_allclose(hasher.decision_function(X), expected, atol=1e-6)
        copy = pickle.loads(pickle.dumps(hasher))
        assert copy.encode(X) == hasher.encode(X)
        assert copy.partial_fit(X, y).n_iter_ == 1

    @each_method
    def test_outputs_must_be_bits(self, make, data):
        """A network of another width, or none at all, is refused."""
        X, y = data
        for module in (WithDropout(64, 9), lambda n, q: WithDropout(n, q + 1)):
            with pytest.raises(ValueError, match=r"n_bits=8.*\(2, 9\)"):
                make(module=module).fit(X, y)
        for module in (lambda n, q: None, lambda n, q: np.zeros((n, q))):
            with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
                make(module=module).fit(X, y)
        with pytest.raises(ValueError, match="hash_layer"):
            make(module=lambda n, q: nn.Identity()).fit(X[:, :8], y)

    @pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
    @each_method
    def test_compiled_networks(self, make, data, monkeypatch):
        """A compiled network gives the codes of a plain one, in copies, too.

        Without the code generator, which takes a minute.
        """
        X, y = data
        compile_, calls = nn.Module.compile, []

        def compile_quickly(module):
            calls.append(module)
            compile_(module, backend="eager")

        codes = make().fit(X, y).transform(X)
        monkeypatch.setattr(nn.Module, "compile", compile_quickly)
        hasher = make(compile=True).fit(X, y)
        assert calls == [hasher.net_.module_]
        assert_array_equal(hasher.transform(X), codes)
        copy = pickle.loads(pickle.dumps(hasher))
        assert_array_equal(copy.transform(X), codes)
        with pytest.raises(ValueError, match="compile=True does not go with"):
            make(compile=True, attention_weight=0.5).fit(X, y)

    @pytest.mark.parametrize("device", ["no such device", "cuda:99"])
    def test_devices_that_are_not_there(self, device, data):
        """An unknown device is named, with a way out."""
        with pytest.raises(ValueError, match=f"device='{device}'.*device='cpu'"):
            uhga(device=device).fit(data[0])


class TestAttention:
    """Gradient attention in any deep hasher."""

    @each_hasher
    def test_without_weight_there_is_none(self, make, data):
        """With ``attention_weight=0`` no attention network exists, nor matters."""
        X, y = data
        plain = make().fit(X, y)
        other = make(attention_weight=0, attention_units=3, attention_lr=9.0)
        assert_same_fit(other.fit(X, y), plain)
        assert not hasattr(other.net_, "attention_")
        assert "loss_after" not in other.curves_

    @each_method
    @pytest.mark.parametrize(
        "params",
        [{}, {"optimizer": "sgd", "lr": 0.1}, {"optimizer": torch.optim.AdamW}],
        ids=["adam", "sgd", "class"],
    )
    def test_small_weights_are_nearly_none(self, make, params, data):
        """As the weight goes to 0, training becomes that of plain gradients."""
        X, y = data
        plain = make(**params).fit(X, y)
        nearly = make(**params, attention_weight=1e-9).fit(X, y)
        gap = nearly.decision_function(X) - plain.decision_function(X)
        assert np.abs(gap).max() < 1e-2
        for name in ("train_loss", "bit_balance", "similar_pairs"):
            assert_allclose(nearly.curves_[name], plain.curves_[name], rtol=1e-3)

    @each_hasher
    def test_attention_learns(self, make, data):
        """The attention network is trained, and the loss falls through the update."""
        X, y = data
        hasher = make(attention_weight=1.0, max_epochs=4).fit(X, y)
        start = make(attention_weight=1.0, max_epochs=0).fit(X, y)
        before, after = (
            torch.cat([p.detach().ravel() for p in h.net_.attention_.parameters()])
            for h in (start, hasher)
        )
        assert not torch.equal(before, after)
        assert np.all(hasher.curves_["loss_after"] < hasher.curves_["train_loss"])
        assert flipped(hasher.transform(X), make(max_epochs=4).fit(X, y).transform(X))

    @each_method
    def test_attention_on_images(self, make, images):
        """Attention goes through convolutions and batch normalisation."""
        X, y = images
        hasher = make(attention_weight=0.5).fit(X, y)
        assert_array_equal(hasher.transform(X[:9]), hasher.transform(X)[:9])


class TestWarnings:
    """Training that went wrong says so."""

    def test_collapse(self, data):
        """Rows that all get one code are warned of, where `fit` was called."""
        with pytest.warns(
            ConvergenceWarning, match="all of 198 .* same code"
        ) as record:
            uhga(threshold=-1.0, max_epochs=6).fit(data[0])
        assert record[0].filename == __file__

    @each_method
    def test_dead_bits(self, make, digits):
        """Bits that hardly differ are counted, if there are rows enough to tell."""
        X, y = digits
        with pytest.warns(ConvergenceWarning, match=r"1 of 8 bits .* 1797") as record:
            make(module=WithDeadBit).fit(X, y)
        assert record[0].filename == __file__
        make(module=WithDeadBit).fit(X[:100], y[:100])

    @each_method
    @pytest.mark.parametrize("attention_weight", [0, 0.5])
    def test_divergence(self, make, attention_weight, data):
        """A loss that is no number any more is an error that names `lr`."""
        hasher = make(lr=1e30, attention_weight=attention_weight, max_epochs=4)
        with pytest.raises(ValueError, match=r"lower lr=1e\+30"):
            hasher.fit(*data)

    @each_method
    def test_divergence_in_the_last_step(self, make, data):
        """It is not X that is blamed if the last step of all went too far."""
        hasher = make(lr=1e30, batch_size=198, max_epochs=1)
        with pytest.raises(ValueError, match="lower lr"):
            hasher.fit(*data)


class TestPickles:
    """Fitted hashers as files."""

    def test_weights_of_another_network_are_refused(self, data):
        """A network whose class has changed since does not open with random weights."""
        state = soft().fit(*data).__getstate__()
        state["_frozen"]["module"]["hash_layer.bias"] = np.zeros(99)
        with pytest.raises(RuntimeError, match=r"size mismatch for hash_layer\.bias"):
            soft().__setstate__(state)

    @each_method
    def test_nothing_of_torch_inside(self, make, data):
        """Weights are arrays: the file names neither torch nor skorch."""
        X, y = data
        hasher = make(attention_weight=0.5, validation_fraction=0.2).fit(X, y)
        for protocol in (2, pickle.HIGHEST_PROTOCOL):
            content = pickle.dumps(hasher, protocol)
            names = [
                name
                for _, arg, _ in pickletools.genops(content)
                if isinstance(arg, str)
                for name in arg.split()
            ]
            assert "sklhash.deep" in " ".join(names)
            packages = {name.split(".")[0] for name in names}
            assert not packages & {"torch", "skorch", "tqdm"}
        assert len(content) < 50_000 < X.nbytes

    def test_a_gpu_is_not_needed_to_open(self, fitted, data):
        """A hasher from a device that is not here works on the CPU."""
        codes = fitted.encode(data[0])
        fitted.device = "cuda:99"
        copy = pickle.loads(pickle.dumps(fitted))
        assert copy.encode(data[0]) == codes
        assert next(copy.net_.module_.parameters()).device.type == "cpu"
        copy.set_params(device="cpu").partial_fit(*data)

    def test_skops_round_trip(self, fitted, data):
        """Skops stores a fitted hasher; only its class must be trusted."""
        sio = pytest.importorskip("skops.io")
        content = sio.dumps(fitted)
        kind = type(fitted)
        name = f"{kind.__module__}.{kind.__name__}"
        assert sio.get_untrusted_types(data=content) == [name]
        copy = sio.loads(content, trusted=[name])
        assert_array_equal(
            copy.decision_function(data[0]), fitted.decision_function(data[0])
        )
        assert_same_fit(copy.partial_fit(*data), fitted.partial_fit(*data))


class TestSearch:
    """Deep hashers in retrievers and grid searches."""

    @each_hasher
    def test_retriever(self, make, data):
        """A retriever fits a deep hasher and searches its codes."""
        X, y = data
        retriever = HammingRetriever(make(), n_neighbors=4).fit(X[100:], y[100:])
        distances, positions = retriever.kneighbors(X[:100])
        assert distances.shape == positions.shape == (100, 4)
        assert retriever.gallery_codes_ == make().fit(X[100:], y[100:]).encode(X[100:])
        assert retriever.score(X[:100], y[:100]) > 0.2
        names = retriever.hasher_.get_feature_names_out()
        assert names[0] == f"{type(retriever.hasher_).__name__.lower()}0"

    @pytest.mark.parametrize(
        ("make", "grid"),
        [
            (uhga, {"hasher__attention_weight": [0, 0.5, 1]}),
            (soft, {"hasher__gamma": [0, 0.1, 10]}),
        ],
        ids=["attention_weight", "gamma"],
    )
    def test_grid_search_in_processes(self, make, grid, data):
        """Grids over parameters of the method run in parallel, as in one process."""
        X, y = data[0][:120], data[1][:120]
        if make is soft:  # gamma weighs pairs that share some of their labels
            y = np.hstack([np.eye(5)[y % 5], np.eye(2)[y // 5]])
        grid = {"hasher__n_bits": [8, 16], **grid}
        retriever = HammingRetriever(make(attention_units=4))
        search = GridSearchCV(retriever, grid, cv=2, n_jobs=2).fit(X, y)
        scores = search.cv_results_["mean_test_score"]
        assert np.isfinite(scores).all()
        assert len(set(scores)) > 2
        best = clone(retriever).set_params(**search.best_params_)
        expected = np.mean(cross_val_score(best, X, y, cv=2))
        assert_allclose(search.best_score_, expected, atol=1e-6)
