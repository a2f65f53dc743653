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
    if not pixels.size:
        raise ValueError(f"{name} must not be empty; got shape {np.shape(image)}")
    if pixels.dtype.kind not in "biuf" or not np.isfinite(pixels).all():
        raise ValueError(f"{name} must hold finite real numbers; got {pixels.dtype}")
    return _check_colors(pixels, name) if pixels.ndim == 3 else pixels


def _check_colors(pixels: NDArray[Any], name: str) -> NDArray[Any]:
    """Refuse what matplotlib would clip, but for rounding errors."""
    is_float = pixels.dtype.kind == "f"
    largest, error = (1, 1e-5) if is_float else (255, 0)
    if pixels.min() < -error or pixels.max() > largest + error:
        raise ValueError(
            f"colours of {name} must be integers from 0 to 255 or floats from 0 to 1; "
            f"got {pixels.min():g} to {pixels.max():g}. Undo any standardisation"
        )
    return pixels.clip(0, 1) if is_float else pixels


def image_at(images: Any, i: int) -> Any:
    """Give the i-th image, also of a pandas Series, whatever its index.

    Parameters
    ----------
    images : sequence of images
    i : int

    Returns
    -------
    image : array-like
    """
    return images.iloc[i] if hasattr(images, "iloc") else images[i]


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

    Raises
    ------
    ValueError
        If some are floats from 0 to 1, and others integers beyond.
    """
    grey = [image for image in images if image.ndim == 2]
    if not grey:
        return {}
    floats = [image.max() for image in grey if image.dtype.kind == "f"]
    integers = [image.max() for image in grey if image.dtype.kind in "iu"]
    if floats and integers and max(floats) <= 1 < max(integers):
        raise ValueError(
            "query_images and gallery_images must have one scale: some grey images are "
            f"floats up to {max(floats):g}, others integers up to {max(integers)}"
        )
    return {
        "vmin": float(min(image.min() for image in grey)),
        "vmax": float(max(image.max() for image in grey)),
    }
