"""Where the images of a sheet stand, within one axes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Gap between the query and what it finds, between columns, and between rows, in
#: widths of an image.
QUERY_GAP, COLUMN_GAP, ROW_GAP, TEXT_GAP = 0.35, 0.14, 0.16, 0.38
#: Room above the first row, for the heads of columns, in the same unit.
HEAD = 0.42
#: Largest width of a figure, in inches; images get smaller beyond 26 columns.
MAX_WIDTH = 17.0


class Sheet(NamedTuple):
    """Rows of cells; an image is 1 wide, or smaller to keep its shape."""

    n_rows: int
    n_columns: int  # the query's included
    height: float  # of a cell
    row_step: float

    @classmethod
    def for_images(
        cls, images: list[NDArray[Any]], n_rows: int, has_text: bool
    ) -> Sheet:
        """Make cells as high as the images need, within reason.

        Parameters
        ----------
        images : list of ndarray
            Of all rows, row by row.
        n_rows : int
        has_text : bool
            Whether there is a line of text below each image.

        Returns
        -------
        sheet : Sheet
        """
        ratio = max(image.shape[0] / image.shape[1] for image in images)
        height = float(np.clip(ratio, 0.5, 1.5))
        gap = TEXT_GAP if has_text else ROW_GAP
        return cls(n_rows, len(images) // n_rows, height, height + gap)

    @property
    def width(self) -> float:
        """Width of all, in widths of an image."""
        return self.left(self.n_columns - 1) + 1

    @property
    def total_height(self) -> float:
        """Height of all, in the same unit."""
        return self.n_rows * self.row_step

    @property
    def cell(self) -> float:
        """Width of an image in a figure of its own, in inches."""
        width = min(max(6.4, 0.56 * self.width), MAX_WIDTH)
        return min(width / self.width, 0.95)

    def figure_size(self, *, has_legend: bool) -> tuple[float, float]:
        """Make images large enough to see, and for texts to fit, if there are few.

        Parameters
        ----------
        has_legend : bool

        Returns
        -------
        width, height : float
            In inches.
        """
        height = self.cell * (self.total_height + HEAD) + (0.8 if has_legend else 0.55)
        return max(3.6, self.cell * self.width), height

    def left(self, column: int) -> float:
        """Give the left edge of a column.

        Parameters
        ----------
        column : int

        Returns
        -------
        left : float
        """
        return column * (1 + COLUMN_GAP) + QUERY_GAP * (column > 0)

    def extent(self, row: int, column: int, image: NDArray[Any]) -> tuple[float, ...]:
        """Fit an image into its cell.

        Parameters
        ----------
        row, column : int
        image : ndarray

        Returns
        -------
        left, right, bottom, top : float
            y grows downwards.
        """
        ratio = image.shape[0] / image.shape[1]
        width = min(1.0, self.height / ratio)
        left = self.left(column) + (1 - width) / 2
        top = row * self.row_step + (self.height - width * ratio) / 2
        return left, left + width, top + width * ratio, top
