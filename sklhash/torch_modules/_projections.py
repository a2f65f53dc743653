"""The hashers' formulas on tensors.

Each module holds what its hasher has learned in double precision, and computes in the
precision it holds: ``module.float()`` changes both.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor, nn

from sklhash._sklearn import move_to
from sklhash.deep.examples import as_input


class Formula(nn.Module):
    """A formula and its constants.

    Parameters
    ----------
    **constants : {array, sparse matrix}
        Kept as buffers; floats in double precision.
    """

    def __init__(self, **constants: Any) -> None:
        super().__init__()
        for name, constant in constants.items():
            self.register_buffer(name, _as_tensor(constant))


def _as_tensor(values: Any) -> Tensor:
    """Copy an array of any namespace and device, or a sparse matrix."""
    if issparse(values):
        values = values.toarray()
    if not isinstance(values, np.ndarray) and hasattr(values, "__dlpack__"):
        values = move_to(values, xp=np, device="cpu")
    tensor = torch.from_numpy(np.array(values, order="C"))
    return tensor.double() if tensor.is_floating_point() else tensor


class LinearProjection(Formula):
    """Give ``(x - mean) @ components.T + offset``."""

    mean: Tensor  # (n_features,)
    components: Tensor  # (n_bits, n_features)
    offset: Tensor  # () or (n_bits,)

    def __init__(self, mean: Any, components: Any, offset: Any = 0.0) -> None:
        super().__init__(mean=mean, components=components, offset=offset)

    def forward(self, x: Tensor) -> Tensor:
        """Project rows, shape (n_samples, n_features)."""
        centred = x.to(self.mean.dtype) - self.mean
        return centred @ self.components.T + self.offset


class Eigenfunctions(Formula):
    """Cosines along principal directions, as in spectral hashing."""

    lower: Tensor  # (n_bits,), along each bit's direction
    ranges: Tensor  # (n_bits,)
    directions: Tensor  # (n_bits,), int64
    frequencies: Tensor  # (n_bits,)

    def __init__(self, hasher: Any) -> None:
        super().__init__(
            lower=hasher.lower_bounds_[hasher.directions_],
            ranges=hasher.ranges_[hasher.directions_],
            directions=hasher.directions_,
            frequencies=hasher.modes_ * np.pi,
        )
        self.linear = LinearProjection(hasher.mean_, hasher.components_)
        self.clip = hasher.range == "quantile"

    def forward(self, x: Tensor) -> Tensor:
        """Project rows, shape (n_samples, n_features)."""
        V = self.linear(x)[:, self.directions]  # (n_samples, n_bits)
        position = (V - self.lower) / self.ranges
        if self.clip:
            position = position.clamp(0, 1)
        return torch.cos(self.frequencies * position)


class Balls(Formula):
    """Give ``radius^2 - ||x - pivot||^2``, as in spherical hashing."""

    mean: Tensor  # (n_features,)
    pivots: Tensor  # (n_bits, n_features), from the mean
    radii: Tensor  # (n_bits,)

    def __init__(self, hasher: Any) -> None:
        super().__init__(
            mean=hasher.mean_,
            pivots=hasher.pivots_ - hasher.mean_,
            radii=hasher.radii_,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Project rows, shape (n_samples, n_features)."""
        centred = x.to(self.mean.dtype) - self.mean
        return self.radii**2 - squared_distances(centred, self.pivots)


class RBF(Formula):
    """Linear in centred RBF features: kernel-based and discrete supervised hashing."""

    origin: Tensor  # (n_features,)
    anchors: Tensor  # (n_anchors, n_features), from the origin
    gamma: Tensor  # ()

    def __init__(self, hasher: Any, offset: Any = 0.0) -> None:
        anchors = _as_tensor(hasher.anchors_)
        origin = anchors.mean(dim=0)  # far from it, squares would lose digits
        super().__init__(origin=origin, anchors=anchors - origin, gamma=hasher.gamma_)
        self.linear = LinearProjection(hasher.mean_, hasher.components_, offset)

    def forward(self, x: Tensor) -> Tensor:
        """Project rows, shape (n_samples, n_features)."""
        centred = x.to(self.origin.dtype) - self.origin
        features = torch.exp(-self.gamma * squared_distances(centred, self.anchors))
        projections: Tensor = self.linear(features)
        return projections


class AnchorGraph(Formula):
    """Eigenvectors of an anchor graph, some of them split once more."""

    origin: Tensor  # (n_features,)
    anchors: Tensor  # (n_anchors, n_features), from the origin
    bandwidth: Tensor  # ()
    eigenfunctions: Tensor  # (n_anchors, n_eigenvectors)
    thresholds: Tensor  # (2, n_split)

    def __init__(self, hasher: Any) -> None:
        super().__init__(
            origin=hasher.anchors_[0],
            anchors=hasher.anchors_ - hasher.anchors_[0],
            bandwidth=hasher.bandwidth_,
            eigenfunctions=hasher.eigenfunctions_,
            thresholds=hasher.thresholds_,
        )
        self.s = hasher.n_neighbors_
        first = int(np.sum(hasher.eigenvalues_ == 1))
        self.split = slice(first, first + hasher.thresholds_.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Project rows, shape (n_samples, n_features)."""
        centred = x.to(self.origin.dtype) - self.origin
        squared = squared_distances(centred, self.anchors)
        squared, nearest = squared.topk(self.s, largest=False)  # (n_samples, s)
        nearer = squared - squared[:, :1]  # cancels; no underflow
        Z = torch.softmax(-nearer / self.bandwidth / self.bandwidth, dim=1)
        Y = (Z[:, None] @ self.eigenfunctions[nearest]).squeeze(1)
        b_plus, b_minus = self.thresholds
        y = Y[:, self.split]
        return torch.hstack([Y, torch.where(y > 0, y - b_plus, b_minus - y)])


class Network(nn.Module):
    """The trained network of a deep hasher, with its relaxation."""

    def __init__(self, hasher: Any) -> None:
        super().__init__()
        net = hasher.net_
        self.network = copy.deepcopy(net.module_).cpu()
        self.criterion = copy.deepcopy(net.criterion_).cpu()
        self.single_precision = net.single_precision

    def forward(self, x: Tensor) -> Tensor:
        """Give relaxed codes of examples, shape (n_samples, ...)."""
        x = as_input(x)
        relaxed: Tensor = self.criterion.relax(
            self.network(x.float() if self.single_precision else x)
        )
        return relaxed


def squared_distances(X: Tensor, Y: Tensor) -> Tensor:
    """Squared Euclidean distances between rows that lie around the origin.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
    Y : Tensor of shape (n_others, n_features)

    Returns
    -------
    distances : Tensor of shape (n_samples, n_others)
    """
    squares = X.square().sum(1)[:, None] + Y.square().sum(1)
    return (squares - 2 * X @ Y.T).clamp(min=0)
