"""Queries, and the images that they find."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklhash.encoding import last_step

from ._arguments import refuse_keywords
from ._axes import check_can_plot, one_axes
from ._found import (
    check_found,
    check_images,
    check_retriever,
    kneighbors_of,
    relevance_of,
)
from ._images import as_image, grey_limits, image_at
from ._names import name_of
from ._sheet import Sheet
from ._sheet_drawing import SheetDrawing, scale_of


class RetrievedImagesDisplay:
    """A sheet of images: each row a query, and what it finds, the nearest first.

    Relevant images have a solid green frame, others a dashed one in vermilion. Below
    each image stands its distance.

    Parameters
    ----------
    query_images : sequence of n_queries images
        Grey (height, width), or with 1, 3 or 4 channels that are last or first. RGB is
        from 0 to 255 in integers, or 0 to 1 in floats. Sizes may differ. What can be
        either, as (1, 8, 4), has its channels last.
    gallery_images : sequence of n_gallery images
        Only those shown are read, so a memory map stays on disk.
    positions : array-like of shape (n_queries, n_neighbors), dtype int
        Places in the gallery of what each query finds.
    distances : array-like of shape (n_queries, n_neighbors), default=None
        Integers are numbers of bits; floats another distance. None shows none.
    relevant : array-like of shape (n_queries, n_neighbors), dtype bool, default=None
        Whether what was found is relevant. None frames nothing.
    name : str, default=None
        Name in the title.

    Attributes
    ----------
    images_ : ndarray of shape (n_queries, 1 + n_neighbors) of AxesImage
        The query's first.
    frames_ : ndarray of shape (n_queries, n_neighbors) of Rectangle
    texts_ : ndarray of shape (n_queries, n_neighbors) of Text, or None
        The distances.
    ax_ : Axes
        One, that holds all images.
    figure_ : Figure

    See Also
    --------
    sklhash.HammingRetriever.kneighbors : Gives distances and positions.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash.displays import RetrievedImagesDisplay
    >>> images = load_digits().images
    >>> display = RetrievedImagesDisplay(
    ...     images[:1], images[1:], positions=[[9, 0]], distances=[[1, 7]])
    >>> [text.get_text() for text in display.plot().texts_.flat]
    ['1 bit', '7 bits']
    """

    def __init__(
        self,
        query_images: Any,
        gallery_images: Any,
        positions: Any,
        *,
        distances: Any = None,
        relevant: Any = None,
        name: str | None = None,
    ) -> None:
        self.query_images = query_images
        self.gallery_images = gallery_images
        self.positions = positions
        self.distances = distances
        self.relevant = relevant
        self.name = name

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> RetrievedImagesDisplay:
        """Draw the sheet.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None for a new figure, as large as the sheet needs.
        name : str, default=None
            Name in the title; None for the display's own.
        **kwargs : dict
            Of `Axes.imshow`, for each image: ``cmap="gray_r"`` shows large values
            dark. Grey images share one scale.

        Returns
        -------
        self : RetrievedImagesDisplay

        Raises
        ------
        ValueError
            If shapes do not fit together, a position is not in the gallery, or what is
            shown are no images, or grey ones of different scales.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash.displays import RetrievedImagesDisplay
        >>> images = load_digits().images
        >>> display = RetrievedImagesDisplay(
        ...     images[:1], images[1:], [[9, 0]], relevant=[[True, False]])
        >>> display = display.plot(cmap="gray_r")
        """
        refuse_keywords(kwargs, "X", "extent")
        positions, distances, relevant = check_found(
            self.query_images,
            self.gallery_images,
            self.positions,
            distances=self.distances,
            relevant=self.relevant,
        )
        rows = self._read_images(positions)
        images = [image for row in rows for image in row]
        sheet = Sheet.for_images(images, len(rows), has_text=distances is not None)
        size = sheet.figure_size(has_legend=relevant is not None)
        limits = {} if kwargs.get("norm") else grey_limits(images)
        with one_axes(ax, "RetrievedImagesDisplay.plot", size) as self.ax_:
            self.figure_ = self.ax_.figure
            drawing = SheetDrawing(self.ax_, sheet, scale_of(ax, sheet))
            self.images_ = drawing.images(rows, {**limits, **kwargs})
            self.frames_ = drawing.frames(rows, relevant)
            self.texts_ = None if distances is None else drawing.distances(distances)
            drawing.finish()
            self._write_title(relevant, name or self.name)
        return self

    def _read_images(self, positions: NDArray[np.intp]) -> list[list[NDArray[Any]]]:
        gallery = self.gallery_images
        return [
            [
                as_image(query, "query_images"),
                *(as_image(image_at(gallery, i), "gallery_images") for i in found),
            ]
            for query, found in zip(self.query_images, positions.tolist(), strict=True)
        ]

    def _write_title(self, relevant: Any, name: str | None) -> None:
        title = "Images found"
        if relevant is not None:
            title += f": {np.count_nonzero(relevant)} of {relevant.size} relevant"
        self.ax_.set_title(f"{name}\n{title}" if name else title)

    @classmethod
    def from_estimator(
        cls,
        retriever: Any,
        X: Any,
        y: Any = None,
        *,
        images: Any = None,
        gallery_images: Any,
        n_neighbors: int | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> RetrievedImagesDisplay:
        """Search with a fitted retriever, and draw.

        Parameters
        ----------
        retriever : estimator
            A fitted :class:`~sklhash.HammingRetriever`, or a pipeline ending in one.
        X : array-like of shape (n_queries, n_features)
            A few queries, 100 at most. They should not be rows of the gallery, or each
            finds itself.
        y : array-like of shape (n_queries,) or (n_queries, n_labels), default=None
            Their labels, to frame what shares one; the retriever needs the gallery's.
        images : sequence of n_queries images, default=None
            The queries as images; None if X holds images already.
        gallery_images : sequence of n_gallery images
            Row by row what the retriever was fitted with.
        n_neighbors : int, default=None
            None for the retriever's own.
        name : str, default=None
            Name in the title; None for the hasher's class and its number of bits.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : RetrievedImagesDisplay

        Raises
        ------
        TypeError
            If the estimator is no retriever.
        ValueError
            If images are missing or not as many as rows, or labels are missing.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash import ITQ, HammingRetriever
        >>> from sklhash.displays import RetrievedImagesDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> images = X.reshape(-1, 8, 8)
        >>> retriever = HammingRetriever(ITQ(n_bits=32, random_state=0), n_neighbors=8)
        >>> display = RetrievedImagesDisplay.from_estimator(
        ...     retriever.fit(X[5:], y[5:]), X[:5], y[:5], images=images[:5],
        ...     gallery_images=images[5:], cmap="gray_r")
        """
        check_can_plot(f"{cls.__name__}.from_estimator", ax)
        last = last_step(retriever)
        check_retriever(last, y)
        images = check_images(X, images, gallery_images, last)
        distances, positions = kneighbors_of(retriever, X, n_neighbors)
        relevant = (
            None if y is None else relevance_of(y, last.gallery_labels_, positions)
        )
        display = cls(
            images,
            gallery_images,
            positions,
            distances=distances,
            relevant=relevant,
            name=name or name_of(retriever, last.gallery_codes_.n_bits),
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        query_images: Any,
        gallery_images: Any,
        positions: Any,
        *,
        distances: Any = None,
        relevant: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> RetrievedImagesDisplay:
        """Draw what was found.

        Parameters
        ----------
        query_images : sequence of n_queries images
        gallery_images : sequence of n_gallery images
        positions : array-like of shape (n_queries, n_neighbors), dtype int
        distances : array-like of shape (n_queries, n_neighbors), default=None
        relevant : array-like of shape (n_queries, n_neighbors), default=None
            All as in the constructor.
        name : str, default=None
            Name in the title.
        ax : Axes, default=None
        **kwargs : dict
            Of `plot`.

        Returns
        -------
        display : RetrievedImagesDisplay

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklhash.displays import RetrievedImagesDisplay
        >>> images = load_digits().images
        >>> display = RetrievedImagesDisplay.from_predictions(
        ...     images[:1], images[1:], [[9, 0]], distances=[[1, 7]])
        """
        check_can_plot(f"{cls.__name__}.from_predictions", ax)
        display = cls(
            query_images,
            gallery_images,
            positions,
            distances=distances,
            relevant=relevant,
            name=name,
        )
        return display.plot(ax, **kwargs)
