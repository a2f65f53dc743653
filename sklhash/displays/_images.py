"""Images as arrays that matplotlib can show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_image(image: Any, name: str) -> NDArray[Any]:
    """Bring an image to the form (height, width) or (height, width, 3 or 4).

    Parameters
    ----------
    image : array-like of shape (height, width), (height, width, n_channels) or \
            (n_channels, height, width)
        Grey with no or one channel, RGB with 3, RGBA with 4 (these last only). Channels
        are first if the last dimension is no number of channels.
    name : str
        What to call the image in error messages.

    Returns
    -------
    image : ndarray of shape (height, width) or (height, width, 3 or 4)

    Raises
    ------
    ValueError
        If the shape is another, or values are not finite or no colours.
    """
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[-1] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (
        pixels.ndim == 3 and pixels.shape[-1] not in (3, 4)
    ):
        raise ValueError(
            f"{name} must be images of shape (height, width), (height, width, "
            "channels) or (channels, height, width), with 1, 3 or 4 channels; got "
            f"shape {np.shape(image)} for one. Reshape rows, as by X.reshape(-1, 8, 8)"
        )
    if pixels.dtype.kind not in "biuf" or not np.isfinite(pixels).all():
        raise ValueError(f"{name} must hold finite real numbers; got {pixels.dtype}")
    if pixels.ndim == 3:
        _check_colors(pixels, name)
    return pixels


def _check_colors(pixels: NDArray[Any], name: str) -> None:
    """Refuse what matplotlib would clip."""
    largest = 1 if pixels.dtype.kind == "f" else 255
    if pixels.min() < 0 or pixels.max() > largest:
        raise ValueError(
            f"colours of {name} must be integers from 0 to 255 or floats from 0 to 1; "
            f"got {pixels.min():g} to {pixels.max():g}. Undo any standardisation"
        )


def grey_limits(images: list[NDArray[Any]]) -> dict[str, float]:
    """Give black and white a value common to all grey images.

    Parameters
    ----------
    images : list of ndarray
        As from `as_image`.

    Returns
    -------
    limits : dict
        ``vmin`` and ``vmax``; empty if no image is grey.
    """
    grey = [image for image in images if image.ndim == 2]
    if not grey:
        return {}
    return {
        "vmin": float(min(image.min() for image in grey)),
        "vmax": float(max(image.max() for image in grey)),
    }
