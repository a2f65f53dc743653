"""Unsupervised hashing with gradient attention, and SSDH, whose parts it shares."""

import copy
import warnings
from abc import abstractmethod
from numbers import Real

import numpy as np
import torch
from torch import nn

from sklhash._sklearn import Integer, Interval, StrOptions, fit_context

from .base import DeepHasher
from .device import resolve_device, seeded
from .examples import Examples, as_input, gather
from .losses import FeatureSimilarityLoss
from .similarity import half_gaussian_bounds, similarity_threshold


class FeatureSimilarityHasher(DeepHasher):
    """Base class of hashers that learn from the cosines of features.

    A subclass writes `_bounds`.
    """

    _scale_columns = False

    _parameter_constraints: dict = {
        **DeepHasher._parameter_constraints,
        "feature_module": [callable, None],
        "center": ["boolean"],
        "loss": [StrOptions({"logistic", "squared"})],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "quantization_weight": [Interval(Real, 0, None, closed="left")],
        "continuation": [Interval(Real, 0, None, closed="left")],
        "max_samples": [Integer(2, None)],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn codes from rows or images.

        Parameters
        ----------
        X : {array-like, sparse matrix, Tensor} of shape (n_samples, n_features) or \
                {array-like, Tensor} of shape (n_samples, n_channels, height, width)
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If all rows are equal, parameters do not go together, or training diverges.
        """
        data = (X, y)
        return self._fit(
            X, y, resume=self.warm_start, epochs=self.max_epochs, data=data
        )

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train for one more epoch on some rows.

        What makes a pair similar was settled by the rows of the first call.

        Parameters
        ----------
        X, y : object
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, resume=True, epochs=1)

    @abstractmethod
    def _bounds(self, features):
        """Cosines from which on, and up to which, pairs are alike and different.

        Parameters
        ----------
        features : ndarray of shape (n_samples, n_features), dtype float64
            Centred, if they are to be.

        Returns
        -------
        similar, dissimilar : float
        """

    def _criterion(self):
        center = None if self.center_ is None else torch.from_numpy(self.center_)
        return FeatureSimilarityLoss(
            similar=self.similar_from_,
            dissimilar=self.dissimilar_to_,
            center=center,
            loss=self.loss,
            alpha=self.alpha,
            quantization_weight=self.quantization_weight,
            continuation=self.continuation,
        )

    def _targets(self, examples, y, *, resumed):
        features = None
        if self.feature_module is not None:
            device = resolve_device(self.device)
            with seeded(self._seed, device):
                features = extract_features(self.feature_module, examples, device)
        if not resumed:
            self._settle_similarity(
                examples if features is None else Examples(features)
            )
        return features, None

    def _settle_similarity(self, examples):
        """Find the centre of the features, and the bounds on their cosines."""
        rows, n = np.arange(len(examples)), self.max_samples
        if n < len(rows):
            rng = np.random.RandomState(self._seed)
            rows = np.sort(rng.choice(rows, n, replace=False))
        sample = as_input(gather(examples.X, rows)).flatten(1).double().cpu().numpy()
        self.center_ = sample.mean(axis=0) if self.center else None
        features = sample - self.center_ if self.center else sample
        self.similar_from_, self.dissimilar_to_ = self._bounds(features)


class UHGAHasher(FeatureSimilarityHasher):
    """Unsupervised hashing with gradient attention (UHGA).

    Rows whose features make a small angle are taken to be alike, all others not, and a
    network learns codes that tell the two apart. No labels are needed. Gradient
    attention, the paper's idea, is there and can be switched on.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535.
    module : Module, class, callable or None, default=None
        The network. None for a multilayer perceptron on features, and for
        :class:`~sklhash.deep.modules.ConvNet` on images; both standardise their inputs
        with means and deviations of the training rows. A class or function is called
        with the number of features, or channels, and `n_bits`; an instance is copied.
        It must give outputs of shape (n_samples, n_bits), before any tanh, and its
        last layer is its attribute `hash_layer`, or else its last Linear layer.
    hidden_units : sequence of int, default=(512,)
        Widths of the perceptron's hidden layers; () for linear hashing.
    feature_module : Module, class, callable or None, default=None
        A frozen network whose features tell which rows are alike, computed once for
        all rows; a class or function is called with the number of features, or
        channels. None takes the rows themselves; for images, better name one.
    similarity : {'threshold', 'half_gaussian'}, default='threshold'
        Pairs are alike where the cosine of their features reaches `threshold`; or where
        :class:`SSDHHasher` takes them to be.
    threshold : 'auto' or float in [-1, 1), default='auto'
        The cosine; 'auto' for the `quantile` of the pairs' cosines.
    quantile : float, default=0.9
        Share of the pairs that are not alike.
    center : bool, default=True
        Whether to subtract the mean from the features before cosines are taken.
    max_samples : int, default=2000
        Rows, drawn at random if there are more, whose pairs tell what is alike,
        and what the features' mean is.
    loss : {'logistic', 'squared'}, default='logistic'
        With M the inner products of relaxed codes and theta = alpha M / n_bits:
        ``log(1 + e^theta) - s theta`` with s = 1 for pairs that are alike and 0 for
        others, or ``(M / n_bits - s)^2`` with s = 1 and -1.
    alpha : float, default=1.5
        Largest absolute value of theta, for ``loss='logistic'``.
    quantization_weight : float, default=0.0
        Weight of the mean squared distance of relaxed codes from -1 and 1.
    continuation : float, default=0.0
        Relaxed codes are ``tanh(beta z)`` of the outputs z, where beta is
        ``sqrt(1 + continuation t)`` at step t, updated every 200 steps; 0.005 in GAH's
        code.
    attention_weight : float, default=0.0
        Omega of gradient attention, 0 to 1: each pair's gradient is shared out among
        its two codes by ``1/2 + omega (alpha - 1/2)``, where a small network that
        learns along gives alpha. 0 for plain gradients, at no cost. See Notes.
    attention_units : int, default=16
        Hidden units of that network.
    attention_lr : float, default=0.01
        Its learning rate (of Adam).
    optimizer : {'adam', 'sgd'} or callable, default='adam'
        'sgd' has Nesterov momentum 0.9 and weight decay 5e-4. A callable is a class
        of torch, or a :func:`functools.partial` of one.
    lr : float, default=1e-3
        Learning rate of the hash layer.
    backbone_lr_factor : float, default=1.0
        Factor of `lr` for all other layers: 0.01 is the authors' for a pretrained
        network, 0 keeps these layers as they are.
    lr_decay : float, default=1.0
        Factor of all learning rates every `lr_decay_steps` steps; 1 for none, as is
        needed with a scheduler among the callbacks.
    lr_decay_steps : int, default=500
        Steps are batches.
    batch_size : int, default=128
        Pairs are formed within a batch. Rows that do not fill the last batch of an
        epoch are left out of it, others each time.
    max_epochs : int, default=30
        Passes over the rows. 0 trains nothing: `module` keeps its weights.
    validation_fraction : float, default=0.0
        Share of the rows set apart, whose loss `curves_['valid_loss']` records.
    callbacks : list of skorch callbacks, default=None
        For example :class:`skorch.callbacks.EarlyStopping`; copied for each fit.
    device : str, default='auto'
        Where the network runs: 'auto' for the GPU if CUDA has one, else 'cpu', or a
        name that PyTorch knows.
    compile : bool, default=False
        Compile the network with PyTorch, for long trainings.
    warm_start : bool, default=False
        Let `fit` go on from the weights, the optimiser's state and the step of the
        last fit, for `max_epochs` more.
    random_state : int, RandomState instance or None, default=None
        Draws weights, batches and what dropout leaves out; None draws a fresh seed
        from the operating system. Generators of PyTorch and NumPy stay untouched.
    verbose : int, default=0
        1 shows a progress bar, 2 a line an epoch as well.

    Attributes
    ----------
    similar_from_, dissimilar_to_ : float
        Cosines from which on pairs are alike, and up to which they are not. Pairs
        between do not count.
    center_ : ndarray of shape (n_features,) or None
        Mean of the features, if it is subtracted.
    net_ : skorch net
        The trained net: `net_.module_` is the network, `net_.history` all that was
        recorded.
    n_iter_ : int
        Epochs trained, those of earlier fits included if they count.
    curves_ : dict of str to ndarray of shape (n_iter,)
        By epoch: 'train_loss', its terms 'pairs', 'quantization',
        the shares 'similar_pairs' and 'ignored_pairs' of all pairs,
        'bit_balance' (mean over bits of twice the rarer value's share: 1 is balanced, 0
        dead),
        'distinct_codes' (among at most 10,000 rows of the epoch), 'dur' in seconds, and
        'valid_loss' and 'loss_after' (after the update) where they exist.
    n_features_in_ : int
        Number of features, or of channels, seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    SSDHHasher : Takes pairs for alike or different by two half-Gaussians.
    ITQ : Linear, learns in a second.
    SoftPairwiseHasher : Learns from labels.

    Notes
    -----
    The formulas of the UHGA paper were not at hand, and no code of its authors was
    found. From the paper's algorithm: cosines of features, a similarity matrix,
    attention weights, derivatives changed by them, an update, the loss after it. From
    the code of GAH, which UHGA follows step by step: the logistic loss of pairs, the
    attention network and its five inputs, that it learns (by Adam) from the loss after
    the real update, and the continuation. What the paper's threshold is was inferred
    from its tables. Ours: the defaults, centred features, thresholds by quantile,
    `loss` and `alpha` in units of `n_bits`, pairs within one batch, any optimiser, and
    `attention_weight`, of which the paper's tables show 0 and 1.

    On deep features of CIFAR-10 gradient attention never ranked better than plain
    gradients at their best (``benchmarks/uhga.py``): with Adam the differences were
    within the noise, with SGD it was worse. It takes time and memory in proportion
    to ``batch_size ** 2 * n_bits``. Hence it is off by default.

    `decision_function` gives the relaxed codes, between -1 and 1. An interrupt from the
    keyboard ends training and keeps what has been learned, as in skorch.

    References
    ----------
    "Unsupervised Hashing with Gradient Attention", Symmetry 12 (7), 1193, 2020.

    L.-K. Huang, J. Chen and S. J. Pan, "Accelerate learning of deep hashing with
    gradient attention", ICCV 2019. Authors' code: github.com/Long-Kai/GradAttnHash.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import UHGAHasher
    >>> X, _ = load_digits(return_X_y=True)
    >>> hasher = UHGAHasher(n_bits=16, max_epochs=5, random_state=0).fit(X)
    >>> hasher.encode(X)
    PackedCodes(n_samples=1797, n_bits=16)
    >>> print(hasher.curves_["similar_pairs"][-1].round(1))
    0.1
    """

    _parameter_constraints: dict = {
        **FeatureSimilarityHasher._parameter_constraints,
        "similarity": [StrOptions({"threshold", "half_gaussian"})],
        "threshold": [StrOptions({"auto"}), Interval(Real, -1, 1, closed="left")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        n_bits=32,
        *,
        module=None,
        hidden_units=(512,),
        feature_module=None,
        similarity="threshold",
        threshold="auto",
        quantile=0.9,
        center=True,
        max_samples=2000,
        loss="logistic",
        alpha=1.5,
        quantization_weight=0.0,
        continuation=0.0,
        attention_weight=0.0,
        attention_units=16,
        attention_lr=0.01,
        optimizer="adam",
        lr=1e-3,
        backbone_lr_factor=1.0,
        lr_decay=1.0,
        lr_decay_steps=500,
        batch_size=128,
        max_epochs=30,
        validation_fraction=0.0,
        callbacks=None,
        device="auto",
        compile=False,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_bits = n_bits
        self.module = module
        self.hidden_units = hidden_units
        self.feature_module = feature_module
        self.similarity = similarity
        self.threshold = threshold
        self.quantile = quantile
        self.center = center
        self.max_samples = max_samples
        self.loss = loss
        self.alpha = alpha
        self.quantization_weight = quantization_weight
        self.continuation = continuation
        self.attention_weight = attention_weight
        self.attention_units = attention_units
        self.attention_lr = attention_lr
        self.optimizer = optimizer
        self.lr = lr
        self.backbone_lr_factor = backbone_lr_factor
        self.lr_decay = lr_decay
        self.lr_decay_steps = lr_decay_steps
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.device = device
        self.compile = compile
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _bounds(self, features):
        if self.similarity == "half_gaussian":
            return cosine_bounds(features)
        if self.threshold != "auto":
            return self.threshold, self.threshold
        threshold = similarity_threshold(features, self.quantile)
        return threshold, threshold


class SSDHHasher(FeatureSimilarityHasher):
    """Semantic structure-based unsupervised deep hashing (SSDH).

    Rows at a clearly small angle are taken to be alike, rows at a clearly large one to
    be different, and nothing is said of the pairs between. What is clear tell two
    half-Gaussians, fitted to the cosine distances of all pairs.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535.
    module : Module, class, callable or None, default=None
        The network. None for a multilayer perceptron on features, and for
        :class:`~sklhash.deep.modules.ConvNet` on images; both standardise their inputs
        with means and deviations of the training rows. A class or function is called
        with the number of features, or channels, and `n_bits`; an instance is copied.
        It must give outputs of shape (n_samples, n_bits), before any tanh, and its
        last layer is its attribute `hash_layer`, or else its last Linear layer.
    hidden_units : sequence of int, default=(512,)
        Widths of the perceptron's hidden layers; () for linear hashing.
    feature_module : Module, class, callable or None, default=None
        A frozen network whose features tell which rows are alike, computed once for
        all rows; a class or function is called with the number of features, or
        channels. None takes the rows themselves; for images, better name one.
    width : float, default=2.0
        Standard deviations from the top of the distances' histogram, to either side,
        at which the clear ones begin.
    center : bool, default=False
        Whether to subtract the mean from the features before cosines are taken.
    max_samples : int, default=5000
        Rows, drawn at random if there are more, whose pairs tell what is alike,
        and what the features' mean is.
    loss : {'logistic', 'squared'}, default='squared'
        With M the inner products of relaxed codes and theta = alpha M / n_bits:
        ``log(1 + e^theta) - s theta`` with s = 1 for pairs that are alike and 0 for
        others, or ``(M / n_bits - s)^2`` with s = 1 and -1.
    alpha : float, default=5.0
        Largest absolute value of theta, for ``loss='logistic'``.
    quantization_weight : float, default=0.0
        Weight of the mean squared distance of relaxed codes from -1 and 1.
    continuation : float, default=0.0
        Relaxed codes are ``tanh(beta z)`` of the outputs z, where beta is
        ``sqrt(1 + continuation t)`` at step t, updated every 200 steps; 0.005 in GAH's
        code.
    attention_weight : float, default=0.0
        Omega of gradient attention, 0 to 1: each pair's gradient is shared out among
        its two codes by ``1/2 + omega (alpha - 1/2)``, where a small network that
        learns along gives alpha. 0 for plain gradients, at no cost. See Notes.
    attention_units : int, default=16
        Hidden units of that network.
    attention_lr : float, default=0.01
        Its learning rate (of Adam).
    optimizer : {'adam', 'sgd'} or callable, default='adam'
        'sgd' has Nesterov momentum 0.9 and weight decay 5e-4. A callable is a class
        of torch, or a :func:`functools.partial` of one.
    lr : float, default=1e-3
        Learning rate of the hash layer.
    backbone_lr_factor : float, default=1.0
        Factor of `lr` for all other layers: 0.01 is the authors' for a pretrained
        network, 0 keeps these layers as they are.
    lr_decay : float, default=1.0
        Factor of all learning rates every `lr_decay_steps` steps; 1 for none, as is
        needed with a scheduler among the callbacks.
    lr_decay_steps : int, default=500
        Steps are batches.
    batch_size : int, default=128
        Pairs are formed within a batch. Rows that do not fill the last batch of an
        epoch are left out of it, others each time.
    max_epochs : int, default=30
        Passes over the rows. 0 trains nothing: `module` keeps its weights.
    validation_fraction : float, default=0.0
        Share of the rows set apart, whose loss `curves_['valid_loss']` records.
    callbacks : list of skorch callbacks, default=None
        For example :class:`skorch.callbacks.EarlyStopping`; copied for each fit.
    device : str, default='auto'
        Where the network runs: 'auto' for the GPU if CUDA has one, else 'cpu', or a
        name that PyTorch knows.
    compile : bool, default=False
        Compile the network with PyTorch, for long trainings.
    warm_start : bool, default=False
        Let `fit` go on from the weights, the optimiser's state and the step of the
        last fit, for `max_epochs` more.
    random_state : int, RandomState instance or None, default=None
        Draws weights, batches and what dropout leaves out; None draws a fresh seed
        from the operating system. Generators of PyTorch and NumPy stay untouched.
    verbose : int, default=0
        1 shows a progress bar, 2 a line an epoch as well.

    Attributes
    ----------
    similar_from_, dissimilar_to_ : float
        Cosines from which on pairs are alike, and up to which they are not. Pairs
        between do not count.
    center_ : ndarray of shape (n_features,) or None
        Mean of the features, if it is subtracted.
    net_ : skorch net
        The trained net: `net_.module_` is the network, `net_.history` all that was
        recorded.
    n_iter_ : int
        Epochs trained, those of earlier fits included if they count.
    curves_ : dict of str to ndarray of shape (n_iter,)
        By epoch: 'train_loss', its terms 'pairs', 'quantization',
        the shares 'similar_pairs' and 'ignored_pairs' of all pairs,
        'bit_balance' (mean over bits of twice the rarer value's share: 1 is balanced, 0
        dead),
        'distinct_codes' (among at most 10,000 rows of the epoch), 'dur' in seconds, and
        'valid_loss' and 'loss_after' (after the update) where they exist.
    n_features_in_ : int
        Number of features, or of channels, seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    UHGAHasher : Takes every pair for alike or not, by a threshold.

    Notes
    -----
    The paper was not at hand; from its authors' code and a survey: the histogram
    with bins of 0.01 and the left edge of its fullest bin, the half-Gaussians,
    `width`, the squared loss in which pairs between count as zeros in the mean. (The
    code first published with the paper had the right bound at one standard deviation on
    the left. Here it is where the paper's idea and the later code put it.) Ours: the
    perceptron, its training, the other `loss`, and that a row is always like itself,
    even where no two rows are near enough.

    ``attention_weight=1`` gives the row "SSDH+GA" of the UHGA paper.

    References
    ----------
    E. Yang, C. Deng, T. Liu, W. Liu and D. Tao, "Semantic structure-based unsupervised
    deep hashing", IJCAI 2018. Authors' code: github.com/yangerkun/IJCAI2018_SSDH.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import SSDHHasher
    >>> X, _ = load_digits(return_X_y=True)
    >>> hasher = SSDHHasher(n_bits=8, max_epochs=5, random_state=0).fit(X)
    >>> hasher.encode(X)
    PackedCodes(n_samples=1797, n_bits=8)
    >>> round(hasher.similar_from_, 2), round(hasher.dissimilar_to_, 2)
    (0.9, 0.49)
    """

    def __init__(
        self,
        n_bits=32,
        *,
        module=None,
        hidden_units=(512,),
        feature_module=None,
        width=2.0,
        center=False,
        max_samples=5000,
        loss="squared",
        alpha=5.0,
        quantization_weight=0.0,
        continuation=0.0,
        attention_weight=0.0,
        attention_units=16,
        attention_lr=0.01,
        optimizer="adam",
        lr=1e-3,
        backbone_lr_factor=1.0,
        lr_decay=1.0,
        lr_decay_steps=500,
        batch_size=128,
        max_epochs=30,
        validation_fraction=0.0,
        callbacks=None,
        device="auto",
        compile=False,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_bits = n_bits
        self.module = module
        self.hidden_units = hidden_units
        self.feature_module = feature_module
        self.width = width
        self.center = center
        self.max_samples = max_samples
        self.loss = loss
        self.alpha = alpha
        self.quantization_weight = quantization_weight
        self.continuation = continuation
        self.attention_weight = attention_weight
        self.attention_units = attention_units
        self.attention_lr = attention_lr
        self.optimizer = optimizer
        self.lr = lr
        self.backbone_lr_factor = backbone_lr_factor
        self.lr_decay = lr_decay
        self.lr_decay_steps = lr_decay_steps
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.device = device
        self.compile = compile
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    _parameter_constraints: dict = {
        **FeatureSimilarityHasher._parameter_constraints,
        "width": [Interval(Real, 0, None, closed="neither")],
    }

    def _bounds(self, features):
        return cosine_bounds(features, self.width)


def cosine_bounds(features, width=2.0):
    """SSDH's bounds, on cosines; warn if no pair of rows is alike.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
    width : float, default=2.0
        As in :func:`half_gaussian_bounds`.

    Returns
    -------
    similar, dissimilar : float
    """
    similar, dissimilar = half_gaussian_bounds(features, width)
    if similar <= 0:
        warnings.warn(
            "the half-Gaussians call no two rows alike: their cosine distance would "
            f"have to be below {similar:.3f}. Take other features, or a threshold.",
            UserWarning,
            stacklevel=9,
        )
    return 1 - similar, 1 - dissimilar


def extract_features(feature_module, examples, device):
    """Features of all examples from a frozen network, computed once.

    Parameters
    ----------
    feature_module : nn.Module or callable
        A network, or what gives one when it is called with the number of features or
        channels.
    examples : Examples
    device : str

    Returns
    -------
    features : ndarray of shape (n_samples, n_features), dtype float32

    Raises
    ------
    ValueError
        If a feature is not finite.
    """
    is_built = isinstance(feature_module, nn.Module)
    network = (
        copy.deepcopy(feature_module) if is_built else feature_module(examples.shape[0])
    )
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"feature_module must give a torch.nn.Module; got {type(network)}"
        )
    network.to(device).eval()
    with torch.no_grad():
        parts = [
            network(as_input(batch.to(device)).float()).flatten(1).cpu().numpy()
            for _, batch in examples.checked()
        ]
    features = np.concatenate(parts)
    if not np.isfinite(features).all():
        raise ValueError("feature_module gives features that are not finite")
    return features
