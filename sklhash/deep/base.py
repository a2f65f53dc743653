"""What deep hashers share: a method names its loss and targets, this gives the rest."""

import copy
import functools
import inspect
import warnings
from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import validate_data
from skorch.callbacks import LRScheduler, ProgressBar
from skorch.helper import predefined_split

from sklhash._sklearn import Integer, Interval, StrOptions
from sklhash.base import BaseHasher
from sklhash.codes import MAX_BITS
from sklhash.rows import BATCH_ROWS

from .callbacks import LearningCurves, Reporter, StaircaseDecay, learning_curves
from .design import build_module, learn_statistics
from .device import resolve_device, seeded
from .examples import Examples, TrainingBatches, ValidationBatches
from .net import AttendedHashNet, HashNet
from .state import freeze, thaw

OPTIMIZERS = {
    "adam": functools.partial(torch.optim.Adam, fused=True),
    # As in GAH's code.
    "sgd": functools.partial(
        torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=5e-4
    ),
}

#: Training rows whose codes are looked at when training has ended. Of few rows it is
#: only told if all codes are equal: a share of them says little.
INSPECTED_ROWS, FEW_ROWS = 2000, 200

#: Values of an example that a pickled network of ours may be for.
MAX_VALUES = 2**27

#: Height and width that images must have for `ConvNet`, which halves them three times.
MIN_SIZE = 8


#: What the design of a network consists of; see `build_module`.
_DESIGN = {"shape", "module", "n_bits", "hidden_units", "mean", "scale"}

_MISFIT = "this hasher is damaged: its design does not fit its weights"


class DeepHasher(BaseHasher):
    """Base class of hashers that are networks.

    A subclass writes `_criterion`, which gives its loss, `_targets`, which gives what
    the loss compares the outputs with, and has all parameters named below.
    """

    #: Whether the default networks bring each column to unit variance, or all of them
    #: together, which keeps what the cosines of the rows see.
    _scale_columns = True

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "module": [callable, None],
        "hidden_units": ["array-like"],
        "attention_weight": [Interval(Real, 0, 1, closed="both")],
        "attention_units": [Integer(1, None)],
        "attention_lr": [Interval(Real, 0, None, closed="neither")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "backbone_lr_factor": [Interval(Real, 0, None, closed="left")],
        "lr_decay": [Interval(Real, 0, 1, closed="right")],
        "lr_decay_steps": [Integer(1, None)],
        "batch_size": [Integer(2, None)],
        "max_epochs": [Integer(0, None)],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "callbacks": [list, None],
        "device": [str],
        "compile": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": [Integer(0, None)],
    }

    @abstractmethod
    def _criterion(self):
        """Give the loss, a CodeLoss."""

    @abstractmethod
    def _targets(self, examples, y, *, resumed):
        """Give what the loss compares the outputs with.

        Parameters
        ----------
        examples : Examples
            Checked.
        y : object
            What the user passed.
        resumed : bool
            Whether the net has been trained before.

        Returns
        -------
        targets : {ndarray, CSR matrix} of shape (n_samples, ...) or None
            None if the examples are their own targets.
        rows : ndarray of shape (n_rows,) or None
            Rows to train on; None for all.
        """

    def _fit(self, X, y, *, resume, epochs, data=None):
        """Train a net, and take it over when it is done.

        Parameters
        ----------
        X, y : object
            What the user passed.
        resume : bool
            Go on from the net at hand, if there is one.
        epochs : int
        data : tuple (X, y) or None
            For scikit-learn's callbacks.
        """
        self._check_settings()
        before = getattr(self, "net_", None) if resume else None
        examples = self._examples(X, reset=before is None, min_samples=2)
        self._look_at(examples, resumed=before is not None)
        targets, rows = self._targets(examples, y, resumed=before is not None)
        examples = Examples(examples.X, targets, rows)
        net = self._train(examples, before, epochs, data)
        self._trained_with = self.get_params(deep=False)
        self.net_, self.n_iter_ = net, len(net.history)
        self.curves_ = learning_curves(net.history)
        self._warn_of_dead_bits(examples)
        return self

    def _look_at(self, examples, *, resumed):
        """Check all examples; settle the network's design, or hold to it."""
        chosen = {"n_bits": self.n_bits, "hidden_units": tuple(self.hidden_units)}
        if resumed:
            for name, value in chosen.items():
                if value != self._design[name]:
                    raise ValueError(
                        f"{name}={value!r}, but the network at hand was built with "
                        f"{self._design[name]!r}: set it back, or fit anew without "
                        "warm_start"
                    )
            for _ in examples.checked():  # refuses NaN
                pass
            return
        self._seed = int(self._check_random_state().randint(2**31 - 1))
        statistics = learn_statistics(examples, self._scale_columns)
        choices = {"shape": examples.shape, "module": self.module, **chosen}
        self._design = {**choices, **statistics}

    def _train(self, examples, before, epochs, data):
        """Run some epochs on a new net, or on a copy of the one before."""
        state = None if before is None else freeze(before)
        training, validation = self._split(examples)
        device = resolve_device(self.device)
        with (
            self._iterations(data, epochs, lambda net: {"net_": net}) as reports,
            seeded(self._seed, device),
        ):
            net = self._build_net(device, state, reports, validation)
            return net.set_params(max_epochs=epochs).partial_fit(training)

    def _check_settings(self):
        """Refuse settings that are wrong alone or together."""
        for width in self.hidden_units:
            if not isinstance(width, Integral) or width < 1:
                raise ValueError(
                    f"hidden_units must hold integers >= 1; got {self.hidden_units!r}"
                )
        schedulers = [cb for cb in self.callbacks or () if _is_scheduler(cb)]
        if schedulers and self.lr_decay != 1:
            raise ValueError(
                f"lr_decay={self.lr_decay} and the LRScheduler among the callbacks "
                "would both set the learning rate: set lr_decay=1"
            )
        optimizer = OPTIMIZERS.get(self.optimizer, self.optimizer)
        options = inspect.signature(getattr(optimizer, "func", optimizer)).parameters
        if self.attention_weight and "differentiable" not in options:
            raise ValueError(
                f"optimizer={self.optimizer!r} does not go with attention_weight > 0: "
                "its class must know `differentiable`, as torch.optim.Adam and SGD do"
            )
        if self.attention_weight and self.compile:
            raise ValueError(
                "compile=True does not go with attention_weight > 0, which "
                "differentiates twice: set one of them off"
            )
        resolve_device(self.device)

    def _examples(self, X, *, reset, min_samples=1):
        """Validate rows or images, without converting or copying them.

        Returns
        -------
        examples : Examples
            Of a large array, the numbers have not been looked at yet.
        """
        if isinstance(X, torch.Tensor) or _is_large(X):
            X = X.detach() if isinstance(X, torch.Tensor) else X
            validate_data(self, X, reset=reset, skip_check_array=True)
            _check_enough(X, min_samples)
        else:
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse="csr",
                dtype="numeric",
                allow_nd=True,
                ensure_min_samples=min_samples,
            )
        if X.ndim not in (2, 4):
            raise ValueError(
                "X must hold features, shape (n_samples, n_features), or images, shape "
                f"(n_samples, n_channels, height, width); got shape {tuple(X.shape)}"
            )
        own = self.module is None
        if reset and X.ndim == 4 and own and min(X.shape[2:]) < MIN_SIZE:
            raise ValueError(
                f"images must be {MIN_SIZE} x {MIN_SIZE} pixels at least, channels "
                f"first; got shape {tuple(X.shape)}. Channels that stand last come "
                "first by np.moveaxis(X, -1, 1); another network by module=."
            )
        examples = Examples(X)
        if not reset and examples.shape != self._design["shape"]:
            raise ValueError(
                f"X holds examples of shape {examples.shape}, but this "
                f"{type(self).__name__} was fitted on examples of shape "
                f"{self._design['shape']}"
            )
        return examples

    def _split(self, examples):
        """Set examples for validation apart."""
        if not self.validation_fraction:
            return examples, None
        rows = np.arange(len(examples))
        try:
            kept, held_out = train_test_split(
                rows, test_size=self.validation_fraction, random_state=self._seed
            )
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves no rows on one "
                f"side: {error}"
            ) from error
        return examples.subset(kept), examples.subset(np.sort(held_out))

    def _build_net(self, device, state=None, reports=(), validation=None):
        """Build an initialised skorch net, fresh or from a frozen state."""
        module = build_module(self._design)
        epoch = 0 if state is None else len(state["history"])
        options = {
            "seed": self._seed,
            "backbone_lr_factor": self.backbone_lr_factor,
            "single_precision": self._design["module"] is not None,
            "compile_module": self.compile,
            "optimizer": OPTIMIZERS.get(self.optimizer, self.optimizer),
            "lr": self.lr,
            "batch_size": self.batch_size,
            "iterator_train": functools.partial(
                TrainingBatches, seed=self._seed, epoch=epoch
            ),
            "iterator_valid": ValidationBatches,
            "train_split": validation and predefined_split(validation),
            "callbacks": self._net_callbacks(reports),
            "device": device,
            "verbose": int(self.verbose > 1),
        }
        if self.attention_weight:
            net = AttendedHashNet(
                module,
                self._criterion(),
                attention_weight=self.attention_weight,
                attention_units=self.attention_units,
                attention_lr=self.attention_lr,
                **options,
            )
        else:
            net = HashNet(module, self._criterion(), **options)
        net.initialize()
        if state is not None:
            thaw(state, net)
        return net

    def _net_callbacks(self, reports):
        callbacks = [
            LearningCurves(),
            StaircaseDecay(self.lr_decay, self.lr_decay_steps),
        ]
        if self.verbose:
            callbacks.append(ProgressBar())
        return [*callbacks, *copy.deepcopy(self.callbacks or []), Reporter(reports)]

    def _warn_of_dead_bits(self, examples):
        """Warn if codes of training rows hardly differ; refuse weights of NaN."""
        n = min(len(examples), INSPECTED_ROWS)
        rows = np.linspace(0, len(examples) - 1, n).astype(np.intp)
        batches = examples.subset(rows).batches()
        projections = np.concatenate([self._project(batch) for batch in batches])
        if not np.isfinite(projections).all():
            raise ValueError(f"training diverged, weights are NaN: lower lr={self.lr}")
        codes = projections > 0
        way_out = (
            "Lower lr, train for fewer or more epochs, or look at what makes pairs "
            "similar; curves_['bit_balance'] and curves_['distinct_codes'] tell when "
            "it happened."
        )
        if len(np.unique(codes, axis=0)) == 1:
            message = f"all of {n} training rows have the same code. {way_out}"
            warnings.warn(message, ConvergenceWarning, stacklevel=6)
            return
        n_dead = int(np.sum(np.abs(2 * codes.mean(axis=0) - 1) > 0.95))
        if n_dead and n >= FEW_ROWS:
            message = (
                f"{n_dead} of {codes.shape[1]} bits are the same for more than 97.5 % "
                f"of {n} training rows. {way_out}"
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=6)

    def _read(self, X, *, reset):
        """Validate examples and give them batch by batch."""
        return _Batches(self._examples(X, reset=reset))

    def _project(self, X):
        net = self.net_
        net.module_.eval()
        with torch.inference_mode():
            outputs = net.infer(X)
            if not torch.isfinite(outputs).all():
                outputs = torch.full_like(outputs, torch.nan)  # the caller tells
            return net.criterion_.relax(outputs).cpu().numpy()

    @property
    def _n_features_out(self):
        return self._design["n_bits"]

    def __getstate__(self):
        """Leave PyTorch out: weights become arrays, which any machine can open."""
        state = super().__getstate__().copy()
        net = state.pop("net_", None)
        if net is not None:
            state["_frozen"] = freeze(net)
        return state

    def __setstate__(self, state):
        """Build the net again, on this machine's device."""
        state = dict(state)
        frozen = state.pop("_frozen", None)
        super().__setstate__(state)
        if frozen is not None:
            if not _is_whole(vars(self), frozen, self._get_param_names()):
                raise ValueError(
                    f"this {type(self).__name__} is damaged: parts of it are missing, "
                    "or of other types"
                )
            _check_size(self._design, frozen, self._trained_with)
            try:
                device = resolve_device(self.device)
            except ValueError:  # trained on a device that this machine lacks
                device = "cpu"
            now = self.get_params(deep=False)
            self.__dict__.update(self._trained_with)  # they may have been set since
            with seeded(self._seed, device):
                self.net_ = self._build_net(device, frozen)
            self.__dict__.update(now)


class _Batches:
    """What `BaseHasher` hashes at a time: examples, checked batch by batch."""

    def __init__(self, examples):
        self.examples, self.X, self.shape = examples, examples.X, examples.X.shape

    def slices(self):
        """Where the batches lie, first to last."""
        return list(self.examples._slices(self.shape[0]))

    def read(self, rows):
        """Check one batch and give it, as a tensor."""
        ((_, batch),) = Examples(self.X[rows]).checked()
        return batch


def _is_whole(state, frozen, names):
    """Tell whether a network can be built from a state, before anything is called.

    A state may be from a file of a stranger, which `load_estimator` then looks through
    for what may be called; here are the numbers that it is called with.

    Parameters
    ----------
    state : dict
        The attributes.
    frozen : dict
        As given by `freeze`.
    names : list of str
        Of the parameters.

    Returns
    -------
    is_whole : bool
    """
    design, settings = state.get("_design"), state.get("_trained_with")
    kinds = (type(design), type(settings), type(frozen), type(state.get("_seed")))
    return (
        kinds == (dict, dict, dict, int)
        and design.keys() == _DESIGN
        and settings.keys() == set(names)
        and type(design["shape"]) is tuple
        and len(design["shape"]) in (1, 3)
        and type(design["hidden_units"]) is tuple
        and all(
            _is_count(n)
            for n in (design["n_bits"], *design["shape"], *design["hidden_units"])
        )
        and all(_is_array(design[name]) for name in ("mean", "scale"))
        and (design["module"] is None or callable(design["module"]))
        and type(frozen.get("module")) is dict
    )


def _is_array(value):
    return type(value) in (np.ndarray, np.memmap)  # joblib maps files


def _is_count(value):
    return isinstance(value, int | np.integer) and value >= 1


def _check_size(design, frozen, settings):
    """Refuse a design larger than the weights at hand; building it may take a while.

    Parameters
    ----------
    design : dict
        As in `build_module`. Other networks than ours are not looked at.
    frozen : dict
        As given by `freeze`.
    settings : dict
        The parameters trained with.
    """
    weights, module = frozen["module"], design["module"]
    units = settings["attention_units"] if settings["attention_weight"] else 0
    if units and not (
        _is_count(units) and units <= _n_values(frozen.get("attention", {}))
    ):
        raise ValueError(_MISFIT)
    ours = module is None or getattr(module, "__module__", "").startswith(__package__)
    if not ours or isinstance(module, torch.nn.Module):
        return
    asked = np.inf
    if len(design["hidden_units"]) <= len(weights):
        with torch.device("meta"):  # where weights have a shape only
            shape, n_bits = design["shape"], design["n_bits"]
            empty = module(shape[0], n_bits) if module else build_module(design)
        asked = sum(value.numel() for value in empty.state_dict().values())
    if asked > _n_values(weights) or np.prod(design["shape"], dtype=float) > MAX_VALUES:
        raise ValueError(_MISFIT)


def _n_values(arrays):
    """Count numbers; what is no array counts for nothing, and is not made one."""
    return sum(value.size for value in arrays.values() if _is_array(value))


def _is_scheduler(callback):
    callback = callback[1] if isinstance(callback, tuple) else callback
    kind = callback if isinstance(callback, type) else type(callback)
    return issubclass(kind, LRScheduler)


def _is_large(X):
    """Tell whether to check an array batch by batch."""
    return (
        isinstance(X, np.ndarray)
        and X.dtype.kind in "fiub"
        and X.ndim in (2, 4)
        and X.shape[0] > BATCH_ROWS
    )


def _check_enough(X, min_samples):
    if isinstance(X, torch.Tensor) and X.is_complex():
        raise ValueError(f"Complex data not supported; got a tensor of {X.dtype}")
    if X.ndim < 2 or 0 in X.shape[1:] or X.shape[0] < min_samples:
        raise ValueError(
            f"Found array of shape {tuple(X.shape)} while a minimum of {min_samples} "
            "sample(s) with at least 1 feature is required"
        )
