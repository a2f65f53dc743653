"""AlexNet, the network of the papers, as a hash net or a feature extractor."""

from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from .modules import Standardize

#: Channel means and standard deviations of ImageNet's training images in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class AlexNet(nn.Module):
    """AlexNet with a hash layer after FC-7, or FC-7 itself.

    Parameters
    ----------
    n_channels : int, default=3
        Of the images; the network knows colours only.
    n_bits : int or None, default=None
        Code length. None has no hash layer and gives the 4,096 values of FC-7 after
        ReLU, as a frozen feature extractor does.
    weights : {None, 'imagenet'} or path, default=None
        Random weights; those that torchvision learned on ImageNet, downloaded on first
        use; or the state dict in a file. The layer ``classifier.6``, the 1,000 classes
        of ImageNet, is left out. The hash layer is drawn at random if the file has
        none.
    dropout : float, default=0.5
        Share of the inputs of FC-6 and FC-7 dropped in training.

    Attributes
    ----------
    features : Sequential
        The five convolutions.
    classifier : Sequential
        FC-6 and FC-7.
    hash_layer : Linear or None

    Raises
    ------
    ImportError
        If ``weights='imagenet'`` and torchvision is not installed.
    ValueError
        If `n_channels` is not 3, or the file does not hold the state dict of such a
        network.

    Notes
    -----
    Layers, their names and the normalisation of the images are torchvision's, so its
    state dicts load. That is the network of Krizhevsky's second paper, with one column
    and without response normalisation; the authors of the soft pairwise similarity
    used the first one, on images of 227 x 227 pixels of which they subtracted the mean,
    and dropped outputs of FC-6 and FC-7.

    References
    ----------
    A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep
    convolutional neural networks", NIPS 2012.

    A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
    arXiv:1404.5997, 2014.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.alexnet import AlexNet
    >>> AlexNet().eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 4096])
    """

    def __init__(
        self,
        n_channels: int = 3,
        n_bits: int | None = None,
        weights: str | PathLike[str] | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if n_channels != 3:
            raise ValueError(f"n_channels must be 3, colours; got {n_channels}")
        self.standardize = Standardize(IMAGENET_MEAN, IMAGENET_STD, persistent=False)
        self.features = nn.Sequential(
            *_convolution(3, 64, kernel_size=11, stride=4, padding=2),
            nn.MaxPool2d(3, stride=2),
            *_convolution(64, 192, kernel_size=5, padding=2),
            nn.MaxPool2d(3, stride=2),
            *_convolution(192, 384, kernel_size=3, padding=1),
            *_convolution(384, 256, kernel_size=3, padding=1),
            *_convolution(256, 256, kernel_size=3, padding=1),
            nn.MaxPool2d(3, stride=2),
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten())
        self.classifier = nn.Sequential(
            *(nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()),  # FC-6
            *(nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU()),  # FC-7
        )
        self.hash_layer = None if n_bits is None else nn.Linear(4096, n_bits)
        if weights is not None:
            self._load(weights)

    def _load(self, weights: str | PathLike[str]) -> None:
        """Take over all layers up to FC-7, and the hash layer if there is one."""
        state = {
            name: values
            for name, values in _state_dict(weights).items()
            if not name.startswith("classifier.6.")
        }
        if self.hash_layer is not None and "hash_layer.weight" not in state:
            state |= self.hash_layer.state_dict(prefix="hash_layer.")
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(
                f"weights={weights!r} is no state dict of this AlexNet: {error}"
            ) from error

    def forward(self, images: Tensor) -> Tensor:
        """Give the real values, or FC-7, of a batch of images.

        Parameters
        ----------
        images : Tensor of shape (n_samples, 3, height, width)
            RGB, of dtype uint8, or floats in [0, 1]; 63 x 63 at least, 224 x 224 as
            the network was trained.

        Returns
        -------
        z : Tensor of shape (n_samples, n_bits or 4096), dtype float32

        Raises
        ------
        ValueError
            If values lie far outside, as bytes given as floats do, or images that are
            normalised already.
        """
        images = self.standardize(_to_unit_range(images))
        z: Tensor = self.classifier(self.pool(self.features(images)))  # FC-7
        return z if self.hash_layer is None else self.hash_layer(z)


def _convolution(n_in: int, n_out: int, **options: Any) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(n_in, n_out, **options), nn.ReLU()


def _to_unit_range(images: Tensor) -> Tensor:
    """Bring bytes to [0, 1]; refuse what cannot be meant."""
    if images.dtype == torch.uint8:
        return images.float() / 255
    low, high = images.aminmax()
    # Interpolation may overshoot a little; bytes and normalised images are far off.
    if not (images.is_floating_point() and low >= -0.5 and high <= 1.5):
        raise ValueError(
            f"images of {images.dtype} from {low:g} to {high:g}: AlexNet takes uint8, "
            "or floats in [0, 1]"
        )
    return images


def _state_dict(weights: str | PathLike[str]) -> Mapping[str, Tensor]:
    if weights == "imagenet":
        return _imagenet_weights()
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, UnpicklingError) as error:
        raise ValueError(
            f"weights={weights!r} is no file of tensors alone: save "
            "`module.state_dict()` by `torch.save`"
        ) from error
    if not isinstance(state, Mapping):
        raise ValueError(
            f"weights={weights!r} holds a {type(state).__name__}, no state dict"
        )
    return state


def _imagenet_weights() -> Mapping[str, Tensor]:
    try:
        models = import_module("torchvision.models")
    except ImportError as error:
        raise ImportError(
            "weights='imagenet' needs torchvision: pip install sklhash[vision]"
        ) from error
    weights: Mapping[str, Tensor] = models.AlexNet_Weights.IMAGENET1K_V1.get_state_dict(
        progress=False, check_hash=True, weights_only=True
    )
    return weights
