"""A sheet of images on one axes: images, frames, and what stands below them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._names import in_bits
from ._sheet import HEAD, Sheet
from ._styles import GREEN, VERMILION, ink

#: Frames of hits, of misses, and of images of which nothing is known; thinner ones
#: around small images.
HIT: dict[str, Any] = {"edgecolor": GREEN, "linestyle": "-", "linewidth": 2.4}
MISS: dict[str, Any] = {**HIT, "edgecolor": VERMILION, "linestyle": (0, (2.2, 1.4))}
PLAIN: dict[str, Any] = {"edgecolor": "0.6", "linestyle": "-", "linewidth": 0.8}
#: Width of an image, in points, from which on frames and texts have their full size.
FULL_SIZE = 38

Rows = list[list[NDArray[Any]]]


class SheetDrawing:
    """Draws the parts of a sheet.

    Parameters
    ----------
    ax : Axes
    sheet : Sheet
    scale : float
        Factor of the sizes of frames and texts.
    """

    def __init__(self, ax: Any, sheet: Sheet, scale: float) -> None:
        self.ax = ax
        self.sheet = sheet
        self.scale = scale

    def images(self, rows: Rows, options: dict[str, Any]) -> NDArray[Any]:
        """Draw all images.

        Parameters
        ----------
        rows : list of list of ndarray
            The query's first.
        options : dict
            Of `Axes.imshow`.

        Returns
        -------
        images : ndarray of shape (n_rows, n_columns) of AxesImage
        """
        options = {"cmap": "gray", "interpolation": "nearest", **options}
        drawn = np.empty((self.sheet.n_rows, self.sheet.n_columns), dtype=object)
        for (row, column), image in _cells(rows):
            extent = self.sheet.extent(row, column, image)
            drawn[row, column] = self.ax.imshow(image, extent=extent, **options)
        return drawn

    def frames(self, rows: Rows, relevant: Any) -> NDArray[Any]:
        """Frame hits and misses, each in its way.

        Parameters
        ----------
        rows : list of list of ndarray
        relevant : ndarray of shape (n_rows, n_columns - 1), dtype bool, or None

        Returns
        -------
        frames : ndarray of shape (n_rows, n_columns - 1) of Rectangle
        """
        from matplotlib.patches import Rectangle

        drawn = np.empty((self.sheet.n_rows, self.sheet.n_columns), dtype=object)
        for (row, column), image in _cells(rows):
            left, right, bottom, top = self.sheet.extent(row, column, image)
            style = PLAIN
            if column and relevant is not None:
                style = HIT if relevant[row, column - 1] else MISS
            style = {**style, "linewidth": style["linewidth"] * self.scale}
            frame = Rectangle(
                (left, top), right - left, bottom - top, fill=False, zorder=3, **style
            )
            drawn[row, column] = self.ax.add_patch(frame)
        if relevant is not None:
            self._explain_frames()
        return drawn[:, 1:]

    def _explain_frames(self) -> None:
        from matplotlib.patches import Patch

        handles = [
            Patch(fill=False, label="relevant", **HIT),
            Patch(fill=False, label="not relevant", **MISS),
        ]
        self.ax.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=2,
            frameon=False,
            borderaxespad=0.2,
        )

    def distances(self, distances: NDArray[Any]) -> NDArray[Any]:
        """Write a distance below each image.

        Parameters
        ----------
        distances : ndarray of shape (n_rows, n_columns - 1)
            Bits, if they are integers.

        Returns
        -------
        texts : ndarray of shape (n_rows, n_columns - 1) of Text
        """
        whole = distances.dtype.kind in "iu"
        texts = np.empty(distances.shape, dtype=object)
        for (row, column), distance in np.ndenumerate(distances):
            texts[row, column] = self.ax.text(
                self.sheet.left(column + 1) + 0.5,
                row * self.sheet.row_step + self.sheet.height + 0.06,
                in_bits(distance) if whole else f"{distance:.3g}",
                ha="center",
                va="top",
                fontsize=8 * self.scale,
                color=ink(0.75),
            )
        return texts

    def finish(self) -> None:
        """Head the columns; hide everything that makes axes of a sheet."""
        style: dict[str, Any] = {"va": "bottom", "color": ink(0.75)}
        style["fontsize"] = 10 * self.scale
        self.ax.text(0.5, -0.1, "query", ha="center", **style)
        self.ax.text(self.sheet.left(1), -0.1, "nearest first", ha="left", **style)
        self.ax.set(
            xlim=(-0.06, self.sheet.width + 0.06),
            ylim=(self.sheet.total_height, -HEAD),
            aspect="equal",
            xticks=[],
            yticks=[],
        )
        self.ax.spines[:].set_visible(False)


def scale_of(ax: Any, sheet: Sheet) -> float:
    """Give a factor for frames and texts to fit small images.

    Parameters
    ----------
    ax : Axes, sequence of one, or None
        None for a figure of the sheet's own.
    sheet : Sheet

    Returns
    -------
    scale : float
        1 at most.
    """
    inches = sheet.cell
    if ax is not None:
        (ax,) = np.ravel(np.asarray(ax, dtype=object))
        box = ax.get_window_extent()
        height = sheet.total_height + HEAD
        inches = min(box.width / sheet.width, box.height / height) / ax.figure.dpi
    return float(np.clip(72 * inches / FULL_SIZE, 0.3, 1))


def _cells(rows: Rows) -> Iterator[tuple[tuple[int, int], NDArray[Any]]]:
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            yield (row, column), image
