"""Soft pairwise similarity hashing: codes for items that share some of their labels."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length

from sklhash._sklearn import Interval, StrOptions, fit_context
from sklhash.metrics.labels import check_labels

from .base import DeepHasher
from .losses import SoftPairwiseLoss

#: Up to so many labels an indicator matrix is kept dense, in a byte each.
FEW_LABELS = 256


class SoftPairwiseHasher(DeepHasher):
    """Soft pairwise similarity hashing (IDHN), for items with several labels.

    Items that share some of their labels should have codes that agree in some of their
    bits. The similarity of two items is the cosine of their label vectors; pairs that
    share all or none of their labels pay a cross-entropy, the pairs between the squared
    difference of similarity and agreement.

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
    alpha : float, default=5.0
        Largest absolute value of the logits ``Omega = alpha <u_i, u_j> / n_bits`` in
        the cross-entropy.
    gamma : float, default=0.1
        Weight of the squared error of pairs that share some labels, in units of
        `n_bits`.
    quantization_weight : float, default=0.1
        Lambda, weight of the relaxed codes' distance from -1 and 1.
    hard_weight : float, default=1.0
        Weight of the cross-entropy.
    hard_loss : {'cross_entropy', 'mse'}, default='cross_entropy'
        What pairs pay that share all or none of their labels; 'mse' lets all pairs pay
        the squared error.
    soft_loss : {'mse', 'sigmoid_mse', 'cross_entropy'}, default='mse'
        What the pairs between pay. 'sigmoid_mse' is ``(s - sigmoid(Omega))^2`` with
        weight 1: with ``hard_weight=10`` that is the paper's first version, ISDH.
        'cross_entropy' lets all pairs pay the cross-entropy.
    similarity : {'cosine', 'hard'}, default='cosine'
        'hard' counts pairs with any shared label as alike, as methods for single
        labels do.
    relaxation : {'softsign', 'tanh'}, default='softsign'
        How outputs become relaxed codes between -1 and 1; softsign is the authors'.
    self_pairs : bool, default=True
        Whether an item and itself are a pair, as in the authors' code.
    pair_weight : {'balanced'} or None, default=None
        'balanced' gives pairs that share a label the same total weight as the others.
        Not in the paper.
    unlabeled : {'error', 'drop', 'dissimilar'}, default='error'
        What to do with rows without a label: refuse them, leave them out of training,
        or keep them away from all other rows.
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
    lr : float, default=3e-3
        Learning rate of the hash layer.
    backbone_lr_factor : float, default=1.0
        Factor of `lr` for all other layers: 0.01 is the authors' for a pretrained
        network, 0 keeps these layers as they are.
    lr_decay : float, default=0.5
        Factor of all learning rates every `lr_decay_steps` steps; 1 for none, as is
        needed with a scheduler among the callbacks.
    lr_decay_steps : int, default=500
        Steps are batches.
    batch_size : int, default=128
        Pairs are formed within a batch. Rows that do not fill the last batch of an
        epoch are left out of it, others each time.
    max_epochs : int, default=60
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
    net_ : skorch net
        The trained net: `net_.module_` is the network, `net_.history` all that was
        recorded.
    n_iter_ : int
        Epochs trained, those of earlier fits included if they count.
    curves_ : dict of str to ndarray of shape (n_iter,)
        By epoch: 'train_loss', its terms 'hard', 'soft', 'quantization',
        the shares 'hard_pairs' and 'similar_pairs' of all pairs,
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
    ITQ : With ``projection='cca'``, linear and much cheaper.
    SupervisedDiscreteHashing : For class labels, without a network.
    UHGAHasher : Needs no labels.

    Notes
    -----
    The losses and their constants are those of the authors' code; the paper itself was
    not at hand. So are the mean over all ordered pairs of a batch, its size, Adam, the
    halving of the learning rate, and that incomplete batches are left out. The authors
    train an AlexNet on images, with ``backbone_lr_factor=0.01``; the perceptron and
    everything about features is ours. That a pair is hard is decided on counts of
    labels, not on rounded cosines.

    With a class vector for y every pair is hard, and the method is pairwise
    cross-entropy. With many classes few pairs are alike: see `pair_weight`.

    Gradient attention comes from supervised hashing (GAH): ``attention_weight=1`` gives
    it to this loss. See :class:`UHGAHasher` for what is known of it.

    `decision_function` gives the relaxed codes, between -1 and 1. An interrupt from the
    keyboard ends training and keeps what has been learned, as in skorch.

    References
    ----------
    Z. Zhang, Q. Zou, Y. Lin, L. Chen and S. Wang, "Improved deep hashing with soft
    pairwise similarity for multi-label image retrieval", IEEE Transactions on
    Multimedia 22 (2), 2020. Authors' code: github.com/pectinid16/IDHN.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklhash import SoftPairwiseHasher
    >>> X, Y = make_multilabel_classification(
    ...     n_samples=500, allow_unlabeled=False, random_state=0
    ... )
    >>> hasher = SoftPairwiseHasher(n_bits=16, max_epochs=5, random_state=0)
    >>> hasher.fit(X, Y).encode(X)
    PackedCodes(n_samples=500, n_bits=16)
    >>> print(hasher.curves_["hard_pairs"][-1].round(1))
    0.4
    """

    _parameter_constraints: dict = {
        **DeepHasher._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "gamma": [Interval(Real, 0, None, closed="left")],
        "quantization_weight": [Interval(Real, 0, None, closed="left")],
        "hard_weight": [Interval(Real, 0, None, closed="left")],
        "hard_loss": [StrOptions({"cross_entropy", "mse"})],
        "soft_loss": [StrOptions({"mse", "sigmoid_mse", "cross_entropy"})],
        "similarity": [StrOptions({"cosine", "hard"})],
        "relaxation": [StrOptions({"softsign", "tanh"})],
        "self_pairs": ["boolean"],
        "pair_weight": [StrOptions({"balanced"}), None],
        "unlabeled": [StrOptions({"error", "drop", "dissimilar"})],
    }

    def __init__(
        self,
        n_bits=32,
        *,
        module=None,
        hidden_units=(512,),
        alpha=5.0,
        gamma=0.1,
        quantization_weight=0.1,
        hard_weight=1.0,
        hard_loss="cross_entropy",
        soft_loss="mse",
        similarity="cosine",
        relaxation="softsign",
        self_pairs=True,
        pair_weight=None,
        unlabeled="error",
        attention_weight=0.0,
        attention_units=16,
        attention_lr=0.01,
        optimizer="adam",
        lr=3e-3,
        backbone_lr_factor=1.0,
        lr_decay=0.5,
        lr_decay_steps=500,
        batch_size=128,
        max_epochs=60,
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
        self.alpha = alpha
        self.gamma = gamma
        self.quantization_weight = quantization_weight
        self.hard_weight = hard_weight
        self.hard_loss = hard_loss
        self.soft_loss = soft_loss
        self.similarity = similarity
        self.relaxation = relaxation
        self.self_pairs = self_pairs
        self.pair_weight = pair_weight
        self.unlabeled = unlabeled
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Learn codes from rows or images and their labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, Tensor} of shape (n_samples, n_features) or \
                {array-like, Tensor} of shape (n_samples, n_channels, height, width)
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels)
            Classes or an indicator matrix.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If y is missing, or rows have no label and `unlabeled` does not say what to
            do with them.
        """
        data = (X, y)
        return self._fit(
            X, y, resume=self.warm_start, epochs=self.max_epochs, data=data
        )

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y):
        """Train for one more epoch on some rows.

        Parameters
        ----------
        X, y : object
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, resume=True, epochs=1)

    def _criterion(self):
        return SoftPairwiseLoss(
            alpha=self.alpha,
            gamma=self.gamma,
            quantization_weight=self.quantization_weight,
            hard_weight=self.hard_weight,
            hard_loss=self.hard_loss,
            soft_loss=self.soft_loss,
            similarity=self.similarity,
            relaxation=self.relaxation,
            self_pairs=self.self_pairs,
            pair_weight=self.pair_weight,
        )

    def _targets(self, examples, y, *, resumed):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None"
            )
        labels = check_labels(y)
        check_consistent_length(examples.X, labels)
        form = labels.shape[1:]
        if resumed and form != self._label_form:
            raise ValueError(
                f"y has label columns {form}, but {self._label_form} in earlier calls: "
                "it must be a class vector in all calls, or an indicator matrix with "
                "the same columns"
            )
        self._label_form = form
        if not issparse(labels):
            _, codes = np.unique(labels, return_inverse=True)
            return codes.astype(np.int64), None
        rows = self._labelled_rows(labels)
        if labels.shape[1] <= FEW_LABELS:
            return labels.astype(np.uint8).toarray(), rows
        return labels, rows

    def _labelled_rows(self, labels):
        """Rows to train on, as `unlabeled` says; None for all."""
        labelled = np.diff(labels.indptr) > 0
        if labelled.all() or self.unlabeled == "dissimilar":
            return None
        if self.unlabeled == "error":
            raise ValueError(
                f"{np.sum(~labelled)} rows of y have no label, row "
                f"{np.argmin(labelled)} first: set unlabeled='drop' to leave them out, "
                "or unlabeled='dissimilar' to keep them away from all others"
            )
        if labelled.sum() < 2:
            raise ValueError(
                "unlabeled='drop' leaves fewer than 2 rows: y needs rows with labels"
            )
        return np.flatnonzero(labelled)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
