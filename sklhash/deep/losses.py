"""Losses of a batch of codes: functions of their inner products, and of each code.

Every loss is a sum of terms of pairs, which depend on ``codes @ codes.T`` alone, and of
terms of single codes. Gradient attention needs the two apart; see `attention`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus, softsign


def label_similarity(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine similarity of label vectors, and where it is exactly 0 or 1.

    Parameters
    ----------
    labels : Tensor of shape (batch, n_labels) or (batch,)
        Zeros and ones, or classes as integers.

    Returns
    -------
    similarity : float Tensor of shape (batch, batch), in [0, 1]
        The cosine; an item without labels is like itself and unlike all others.
    exact : bool Tensor of shape (batch, batch)
        True where two items share all their labels, or none.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.losses import label_similarity
    >>> labels = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    >>> similarity, exact = label_similarity(labels)
    >>> similarity[0]
    tensor([1.0000, 0.7071, 0.0000])
    >>> exact[0]
    tensor([ True, False,  True])
    """
    if labels.ndim == 1:
        same = labels[:, None] == labels
        return same.to(torch.get_default_dtype()), torch.ones_like(same)
    if not labels.is_floating_point():
        labels = labels.to(torch.get_default_dtype())
    shared = labels @ labels.T  # counts, exact in floats
    n_labels = labels.sum(dim=1)
    similarity = shared / (n_labels[:, None] * n_labels).sqrt().clamp_min(1)
    # Decide on counts: the cosine of two equal rows need not be exactly 1.
    same = (shared == n_labels) & (shared == n_labels[:, None])
    similarity = torch.where(same & (shared > 0), 1, similarity)
    similarity.fill_diagonal_(1)  # unlabelled rows
    return similarity, same | (shared == 0)


def pair_cross_entropy(scaled: Tensor, similarity: Tensor) -> Tensor:
    """Cross-entropy of similarities and the sigmoid of scaled inner products.

    Parameters
    ----------
    scaled : Tensor of shape (batch, batch)
        The logits, Omega or theta in the papers.
    similarity : Tensor of shape (batch, batch), in [0, 1]

    Returns
    -------
    loss : Tensor of shape (batch, batch)
        ``log(1 + exp(scaled)) - similarity * scaled``.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.losses import pair_cross_entropy
    >>> scaled, similarity = torch.tensor([5.0, 5.0]), torch.tensor([1.0, 0.0])
    >>> pair_cross_entropy(scaled, similarity)
    tensor([0.0067, 5.0067])
    """
    return softplus(scaled) - similarity * scaled


def squared_similarity_error(inner: Tensor, similarity: Tensor, n_bits: int) -> Tensor:
    """Squared error of the similarity that codes have, ``(inner + n_bits) / 2 n_bits``.

    Parameters
    ----------
    inner : Tensor of shape (batch, batch), in [-n_bits, n_bits]
        Inner products of the codes.
    similarity : Tensor of shape (batch, batch), in [0, 1]
    n_bits : int

    Returns
    -------
    loss : Tensor of shape (batch, batch)

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.losses import squared_similarity_error
    >>> inner, similarity = torch.tensor([16.0, 0.0]), torch.tensor([1.0, 1.0])
    >>> squared_similarity_error(inner, similarity, n_bits=16)
    tensor([0.0000, 0.2500])
    """
    return ((inner + n_bits) / (2 * n_bits) - similarity) ** 2


def quantization_error(codes: Tensor) -> Tensor:
    """Mean distance of relaxed codes from -1 or 1, whichever is nearer.

    Parameters
    ----------
    codes : Tensor of shape (batch, n_bits)

    Returns
    -------
    loss : Tensor of shape ()

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.losses import quantization_error
    >>> quantization_error(torch.tensor([[1.0, -0.5], [0.0, -1.0]]))
    tensor(0.3750)
    """
    return (codes.abs() - 1).abs().mean()


def balanced_weights(similarity: Tensor, counted: Tensor) -> Tensor:
    """Weights that give similar and dissimilar pairs of a batch equal sums.

    Parameters
    ----------
    similarity : Tensor of shape (batch, batch)
        A pair is similar if it is above 0.
    counted : bool Tensor of shape (batch, batch)
        Which pairs count at all.

    Returns
    -------
    weights : Tensor of shape (batch, batch)
        0 for pairs that do not count; the mean over the others is 1. All ones where
        there are pairs of one kind only.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.losses import balanced_weights
    >>> similarity = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    >>> balanced_weights(similarity, torch.ones(2, 2, dtype=torch.bool))
    tensor([[2.0000, 0.6667],
            [0.6667, 0.6667]])
    """
    counts = counted.to(similarity.dtype)
    similar = similarity > 0
    share = (similar * counts).sum() / counts.sum().clamp_min(1)
    weights = torch.where(similar, 0.5 / share, 0.5 / (1 - share))
    return torch.where((share > 0) & (share < 1), weights, 1) * counts


class CodeLoss(nn.Module, ABC):
    """Base class: a loss of the outputs of a network and their targets.

    A subclass writes `relax`, `pairs`, `of_pairs` and, if single codes count, too,
    `of_codes`. All terms are added up.

    Examples
    --------
    A loss that wants inner products of 1 for items of one class, and of 0 for others:

    >>> import torch
    >>> from sklhash.deep.losses import CodeLoss
    >>> class Agreement(CodeLoss):
    ...     def relax(self, outputs):
    ...         return outputs.tanh()
    ...     def pairs(self, targets):
    ...         same = targets[:, None] == targets
    ...         return same.float(), same
    ...     def of_pairs(self, inner, pairs, n_bits):
    ...         return {"pairs": ((inner / n_bits - pairs[0]) ** 2).mean()}
    >>> outputs = torch.tensor([[9.0, 9.0], [9.0, 9.0], [9.0, -9.0]])
    >>> loss = Agreement()
    >>> round(loss(outputs, torch.tensor([0, 0, 1])).item(), 3)
    0.0
    >>> round(loss(outputs, torch.tensor([0, 1, 0])).item(), 3)
    0.444
    """

    #: Training steps so far, for losses that change on the way.
    step: int = 0

    @abstractmethod
    def relax(self, outputs: Tensor) -> Tensor:
        """Turn outputs into relaxed codes between -1 and 1 of the same signs."""

    @abstractmethod
    def pairs(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Give what pairs of items should be, and which pairs are of which kind.

        Parameters
        ----------
        targets : Tensor of shape (batch, ...)

        Returns
        -------
        similarity : Tensor of shape (batch, batch)
        kind : bool Tensor of shape (batch, batch)
        """

    @abstractmethod
    def of_pairs(
        self, inner: Tensor, pairs: tuple[Tensor, Tensor], n_bits: int
    ) -> dict[str, Tensor]:
        """Terms that depend on the codes' inner products.

        Parameters
        ----------
        inner : Tensor of shape (batch, batch), in [-n_bits, n_bits]
        pairs : tuple of Tensor
            As from `pairs`.
        n_bits : int

        Returns
        -------
        terms : dict of str to Tensor of shape ()
        """

    def of_codes(self, codes: Tensor) -> dict[str, Tensor]:
        """Terms that depend on each code alone.

        Parameters
        ----------
        codes : Tensor of shape (batch, n_bits), in [-1, 1]

        Returns
        -------
        terms : dict of str to Tensor of shape ()
        """
        return {}

    def shares(self, pairs: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Shares of all pairs that are worth watching.

        Parameters
        ----------
        pairs : tuple of Tensor
            As from `pairs`.

        Returns
        -------
        shares : dict of str to Tensor of shape ()
        """
        return {}

    def terms(self, outputs: Tensor, pairs: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """All terms of the loss.

        Parameters
        ----------
        outputs : Tensor of shape (batch, n_bits)
        pairs : tuple of Tensor
            As from `pairs`.

        Returns
        -------
        terms : dict of str to Tensor of shape ()
        """
        codes = self.relax(outputs)
        of_pairs = self.of_pairs(codes @ codes.T, pairs, codes.shape[1])
        return {**of_pairs, **self.of_codes(codes)}

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Sum of all terms.

        Parameters
        ----------
        outputs : Tensor of shape (batch, n_bits)
        targets : Tensor of shape (batch, ...)

        Returns
        -------
        loss : Tensor of shape ()
        """
        terms = self.terms(outputs, self.pairs(targets))
        return torch.stack(list(terms.values())).sum()


class SoftPairwiseLoss(CodeLoss):
    """Loss of soft pairwise similarity hashing (IDHN).

    Pairs that share all or none of their labels are *hard* and pay a cross-entropy; the
    pairs between pay a squared error. Both are means over all ordered pairs of the
    batch, and are scaled so that they do not depend on the number of bits q::

        hard : hard_weight (log(1 + e^Omega) - s Omega),  Omega = alpha <u_i, u_j> / q
        soft : gamma q ((<u_i, u_j> + q) / 2q - s)^2
        quantization : quantization_weight mean ||u| - 1|

    Parameters
    ----------
    alpha : float, default=5.0
        Largest absolute value of Omega.
    gamma : float, default=0.1
        Weight of the squared error, times q; see `soft_loss`.
    quantization_weight : float, default=0.1
        Lambda.
    hard_weight : float, default=1.0
    hard_loss : {'cross_entropy', 'mse'}, default='cross_entropy'
        What hard pairs pay: the cross-entropy, or the squared error as soft ones.
    soft_loss : {'mse', 'sigmoid_mse', 'cross_entropy'}, default='mse'
        What soft pairs pay: the squared error; ``(s - sigmoid(Omega))^2`` with weight 1
        (the first version of the paper, ISDH); or the cross-entropy with `hard_weight`.
    similarity : {'cosine', 'hard'}, default='cosine'
        Cosine of the label vectors, or 1 for any shared label and 0 for none.
    relaxation : {'softsign', 'tanh'}, default='softsign'
    self_pairs : bool, default=True
        Whether an item and itself count as a pair, as in the authors' code.
    pair_weight : {'balanced'} or None, default=None
        Let similar pairs (s > 0) and dissimilar ones weigh the same in each batch. Not
        in the paper.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.losses import SoftPairwiseLoss
    >>> labels = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    >>> outputs = torch.tensor([[9.0, 9], [9, -1], [-9, -9]])
    >>> round(SoftPairwiseLoss()(outputs, labels).item(), 3)
    0.108
    """

    def __init__(
        self,
        alpha: float = 5.0,
        gamma: float = 0.1,
        quantization_weight: float = 0.1,
        hard_weight: float = 1.0,
        hard_loss: str = "cross_entropy",
        soft_loss: str = "mse",
        similarity: str = "cosine",
        relaxation: str = "softsign",
        self_pairs: bool = True,
        pair_weight: str | None = None,
    ):
        super().__init__()
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

    def relax(self, outputs: Tensor) -> Tensor:
        """Apply softsign, as the authors do, or tanh."""
        return softsign(outputs) if self.relaxation == "softsign" else outputs.tanh()

    def pairs(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity of the labels, and which pairs are hard."""
        similarity, exact = label_similarity(labels)
        if self.similarity == "hard":
            return (similarity > 0).to(similarity.dtype), torch.ones_like(exact)
        return similarity, exact

    def of_pairs(
        self, inner: Tensor, pairs: tuple[Tensor, Tensor], n_bits: int
    ) -> dict[str, Tensor]:
        """Give the terms of hard and of soft pairs."""
        similarity, hard = pairs
        similarity = similarity.to(inner.dtype)
        weights = self._weights(similarity)
        of_hard = self._penalty(self.hard_loss, inner, similarity, n_bits)
        of_soft = of_hard
        if self.soft_loss != self.hard_loss:
            of_soft = self._penalty(self.soft_loss, inner, similarity, n_bits)
        of_hard, of_soft = torch.where(hard, of_hard, 0), torch.where(hard, 0, of_soft)
        n_pairs = len(inner) * (len(inner) - (not self.self_pairs)) or 1
        return {
            "hard": (weights * of_hard).sum() / n_pairs,
            "soft": (weights * of_soft).sum() / n_pairs,
        }

    def _penalty(
        self, name: str, inner: Tensor, similarity: Tensor, n_bits: int
    ) -> Tensor:
        if name == "mse":
            error = squared_similarity_error(inner, similarity, n_bits)
            return self.gamma * n_bits * error
        omega = self.alpha * inner / n_bits
        if name == "sigmoid_mse":
            return (similarity - omega.sigmoid()) ** 2
        return self.hard_weight * pair_cross_entropy(omega, similarity)

    def _weights(self, similarity: Tensor) -> Tensor:
        counted = torch.ones_like(similarity, dtype=torch.bool)
        if not self.self_pairs:
            counted.fill_diagonal_(False)
        if self.pair_weight == "balanced":
            return balanced_weights(similarity, counted)
        return counted.to(similarity.dtype)

    def of_codes(self, codes: Tensor) -> dict[str, Tensor]:
        """Give the quantisation error."""
        return {"quantization": self.quantization_weight * quantization_error(codes)}

    def shares(self, pairs: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Shares of hard and of similar pairs."""
        similarity, hard = pairs
        return {
            "hard_pairs": hard.to(similarity.dtype).mean(),
            "similar_pairs": (similarity > 0).to(similarity.dtype).mean(),
        }


class FeatureSimilarityLoss(CodeLoss):
    """Loss of codes whose pairs should agree where the items' features are alike.

    A pair is similar if the cosine of its features is at least `similar`, dissimilar if
    it is at most `dissimilar`, and does not count in between. With M the inner products
    of the relaxed codes tanh(beta z), q bits, s = 1 or 0 (logistic) or 1 or -1
    (squared), the loss is the mean over all ordered pairs of the batch of::

        logistic : log(1 + e^theta) - s theta,  theta = alpha M / q
        squared : (M / q - s)^2

    where pairs that do not count are zeros in the mean, as in SSDH.

    Parameters
    ----------
    similar, dissimilar : float
        Bounds on the cosine, ``dissimilar <= similar``. A pair with a cosine equal to
        both is similar.
    center : Tensor of shape (n_features,) or None, default=None
        Subtracted from the features before cosines are taken.
    loss : {'logistic', 'squared'}, default='logistic'
    alpha : float, default=5.0
        Largest absolute value of theta.
    quantization_weight : float, default=0.0
        Weight of the mean squared distance of relaxed codes from their signs.
    continuation : float, default=0.0
        beta is ``sqrt(1 + continuation t)``, where t is the number of training steps,
        rounded down to a multiple of 200.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.losses import FeatureSimilarityLoss
    >>> features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    >>> outputs = torch.tensor([[9.0, 9.0], [9.0, 9.0], [-9.0, -9.0]])
    >>> loss = FeatureSimilarityLoss(similar=0.9, dissimilar=0.2)
    >>> round(loss(outputs, features).item(), 3)  # codes agree where features do
    0.007
    >>> round(loss(outputs.flip(0), features).item(), 3)
    2.229
    """

    center: Tensor | None

    def __init__(
        self,
        similar: float,
        dissimilar: float,
        center: Tensor | None = None,
        loss: str = "logistic",
        alpha: float = 5.0,
        quantization_weight: float = 0.0,
        continuation: float = 0.0,
    ):
        super().__init__()
        self.similar = similar
        self.dissimilar = dissimilar
        self.register_buffer("center", center)
        self.loss = loss
        self.alpha = alpha
        self.quantization_weight = quantization_weight
        self.continuation = continuation

    def relax(self, outputs: Tensor) -> Tensor:
        """Apply ``tanh(beta z)``; the slope beta grows with the steps."""
        steps = 200 * (self.step // 200)
        return torch.tanh((1 + self.continuation * steps) ** 0.5 * outputs)

    def pairs(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity of the features, 1 or 0, and which pairs count."""
        features = features.flatten(1)
        if self.center is not None:
            features = features - self.center
        unit = normalize(features, dim=1)
        cosine = unit @ unit.T
        # A row is like itself, even a row of zeros, and even if no others are alike.
        similar = (cosine >= self.similar).fill_diagonal_(True)
        return similar.to(cosine.dtype), similar | (cosine <= self.dissimilar)

    def of_pairs(
        self, inner: Tensor, pairs: tuple[Tensor, Tensor], n_bits: int
    ) -> dict[str, Tensor]:
        """Give the term of pairs."""
        similarity, counts = pairs
        similarity = similarity.to(inner.dtype)
        if self.loss == "logistic":
            losses = pair_cross_entropy(self.alpha * inner / n_bits, similarity)
        else:
            losses = (inner / n_bits - (2 * similarity - 1)) ** 2
        return {"pairs": torch.where(counts, losses, 0).mean()}

    def of_codes(self, codes: Tensor) -> dict[str, Tensor]:
        """Give the quantisation error, if it has a weight."""
        if not self.quantization_weight:
            return {}
        error = ((codes.abs() - 1) ** 2).mean()
        return {"quantization": self.quantization_weight * error}

    def shares(self, pairs: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Shares of similar pairs, and of pairs that do not count."""
        similarity, counts = pairs
        return {
            "similar_pairs": similarity.mean(),
            "ignored_pairs": 1 - counts.to(similarity.dtype).mean(),
        }
