"""Networks that end in a hash layer.

Each gives real values z of shape (n_samples, n_bits), before any relaxation: a bit is
set where z is ``> 0``. The last layer is `hash_layer`, so that a trainer can give it a
learning rate of its own.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn


def _statistics(name: str, values: ArrayLike, dtype: type = np.float32) -> NDArray[Any]:
    """Copy a scalar or vector to a vector of floats."""
    with np.errstate(over="ignore"):  # the check below tells
        vector: NDArray[Any] = np.atleast_1d(np.asarray(values)).astype(dtype)
    if vector.ndim != 1 or not np.isfinite(vector.astype(np.float32)).all():
        raise ValueError(
            f"{name} must be a number, or one a feature, finite in float32"
        )
    return vector


class Standardize(nn.Module):
    """Subtract a mean and divide by a scale, per feature or per channel.

    Both lie in the state dict, and follow the module to its device.

    Parameters
    ----------
    mean : float or array-like of shape (n_features,) or (n_channels,), default=None
        None counts as 0.
    scale : float or array-like of shape (n_features,) or (n_channels,), default=None
        Not negative. None counts as 1, and so does the 0 of a constant feature.
    persistent : bool, default=True
        Keep both in the state dict.

    Raises
    ------
    ValueError
        If values are not finite, a scale is negative, or the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.modules import Standardize
    >>> Standardize([1.0, 5.0], [2.0, 0.0])(torch.tensor([[3, 5], [1, 6]]))
    tensor([[1., 0.],
            [0., 1.]])
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        *,
        persistent: bool = True,
    ) -> None:
        super().__init__()
        means = _statistics("mean", 0.0 if mean is None else mean, np.float64)
        scales = _statistics("scale", 1.0 if scale is None else scale)
        if len(means) != len(scales) and 1 not in (len(means), len(scales)):
            raise ValueError(f"mean has {len(means)} values, but scale {len(scales)}")
        if (scales < 0).any():
            raise ValueError("scale must not be negative")
        scales[scales == 0] = 1
        # The mean in double precision: near values may lie far from 0.
        self.register_buffer("mean", torch.tensor(means), persistent)
        self.register_buffer("scale", torch.tensor(scales), persistent)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features) or (n_samples, n_channels, height, \
                width), any numeric dtype

        Returns
        -------
        standardized : Tensor of the same shape, dtype float32
        """
        shape = (-1, *[1] * (x.ndim - 2))  # (n_channels, 1, 1) for images
        mean, scale = self.mean.view(shape), self.scale.view(shape)
        if x.dtype != mean.dtype:
            x, mean = x.to(scale.dtype), mean.to(scale.dtype)
        return (x - mean).to(scale.dtype) / scale


class MLP(nn.Module):
    """Fully connected network with a hash layer.

    Parameters
    ----------
    n_features : int
    n_bits : int
        Code length.
    hidden_units : sequence of int, default=(512,)
        Width of each hidden layer; none gives linear hashing.
    dropout : float, default=0.0
        Share of hidden units dropped in training.
    mean, scale : float or array-like of shape (n_features,), default=None
        Statistics by which the rows are standardised first, as in `Standardize`.

    Attributes
    ----------
    standardize : Standardize
    backbone : Sequential
        Linear, ReLU and, if any, Dropout, for each hidden layer.
    hash_layer : Linear

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.modules import MLP
    >>> MLP(n_features=64, n_bits=16)(torch.zeros(5, 64)).shape
    torch.Size([5, 16])
    """

    def __init__(
        self,
        n_features: int,
        n_bits: int,
        hidden_units: Sequence[int] = (512,),
        dropout: float = 0.0,
        mean: ArrayLike | None = None,
        scale: ArrayLike | None = None,
    ) -> None:
        super().__init__()
        self.standardize = Standardize(mean, scale)
        layers: list[nn.Module] = []
        for n_units in hidden_units:
            layers += [nn.Linear(n_features, n_units), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            n_features = n_units
        self.backbone = nn.Sequential(*layers)
        self.hash_layer = nn.Linear(n_features, n_bits)

    def forward(self, x: Tensor) -> Tensor:
        """Give the real values of a batch of rows.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features), any numeric dtype

        Returns
        -------
        z : Tensor of shape (n_samples, n_bits), dtype float32
        """
        hidden = self.backbone(self.standardize(x))  # (n_samples, hidden_units[-1])
        z: Tensor = self.hash_layer(hidden)
        return z


class ConvNet(nn.Module):
    """Small convolutional network with a hash layer, for images of about 32 x 32.

    Blocks of a 3 x 3 convolution, batch normalisation and ReLU; wherever the width
    changes, the image is halved by 2 x 2 maxima. The mean over all positions ends them,
    so images of any size will do (8 x 8 at least). The architecture is ours, chosen to
    learn 8,000 images of CIFAR-10 within minutes on two CPU cores.

    Parameters
    ----------
    n_channels : int
        Channels of the images, 3 for colour.
    n_bits : int
        Code length.
    widths : sequence of int, default=(16, 32, 64, 64, 128, 128)
        Channels of each block, at least one.
    dropout : float, default=0.25
        Share of the inputs of the hash layer dropped in training.
    mean, scale : float or array-like of shape (n_channels,), default=None
        Statistics by which the images are standardised first, as in `Standardize`.

    Attributes
    ----------
    standardize : Standardize
    backbone : Sequential
    hash_layer : Linear

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.modules import ConvNet
    >>> images = torch.zeros(5, 3, 32, 32, dtype=torch.uint8)
    >>> ConvNet(n_channels=3, n_bits=16, mean=127.5, scale=64.0)(images).shape
    torch.Size([5, 16])
    """

    def __init__(
        self,
        n_channels: int,
        n_bits: int,
        widths: Sequence[int] = (16, 32, 64, 64, 128, 128),
        dropout: float = 0.25,
        mean: ArrayLike | None = None,
        scale: ArrayLike | None = None,
    ) -> None:
        super().__init__()
        self.standardize = Standardize(mean, scale)
        layers: list[nn.Module] = []
        for before, width in pairwise([n_channels, *widths]):
            if layers and width != before:
                layers.append(nn.MaxPool2d(2))
            # Without bias: batch normalisation would subtract it.
            layers.append(nn.Conv2d(before, width, 3, padding=1, bias=False))
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
        self.backbone = nn.Sequential(*layers)
        self.hash_layer = nn.Linear(widths[-1], n_bits)

    def forward(self, images: Tensor) -> Tensor:
        """Give the real values of a batch of images.

        Parameters
        ----------
        images : Tensor of shape (n_samples, n_channels, height, width), any numeric \
                dtype

        Returns
        -------
        z : Tensor of shape (n_samples, n_bits), dtype float32
        """
        images = self.standardize(images)
        # This memory order is the faster one on a CPU.
        images = images.contiguous(memory_format=torch.channels_last)
        z: Tensor = self.hash_layer(self.backbone(images))
        return z


def hash_layer_of(module: nn.Module) -> nn.Module:
    """Find the layer that gives the bits.

    Parameters
    ----------
    module : Module

    Returns
    -------
    layer : Module
        Its attribute `hash_layer`, or else the Linear layer that it registered last.

    Raises
    ------
    ValueError
        If there is neither.

    Examples
    --------
    >>> from sklhash.deep.modules import MLP, hash_layer_of
    >>> hash_layer_of(MLP(n_features=64, n_bits=16))
    Linear(in_features=512, out_features=16, bias=True)
    """
    layer = getattr(module, "hash_layer", None)
    if isinstance(layer, nn.Module):
        return layer
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise ValueError(
            f"{type(module).__name__} has neither an attribute `hash_layer` nor a "
            "Linear layer: name its last layer `hash_layer`"
        )
    return linear[-1]
