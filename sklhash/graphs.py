"""Graphs and votes of neighbours: what a retriever makes of what it finds."""

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import gen_batches

from .neighbors import check_has_gallery

#: Votes, queries times classes, that `predict` counts at once.
BLOCK_VOTES = 2**20


class NeighborGraphs(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods of a retriever that follow from its neighbours.

    The retriever has `_neighbors`, `_search_radius` and a fitted gallery.
    """

    def kneighbors_graph(self, X=None, n_neighbors=None, mode="connectivity"):
        """Give the nearest gallery rows of each query as a sparse matrix.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.
        n_neighbors : int, default=None
            None for the constructor's.
        mode : {'connectivity', 'distance'}, default='connectivity'
            Ones, or distances (a distance of 0 is an explicit zero).

        Returns
        -------
        graph : csr_matrix of shape (n_queries, n_gallery), dtype float64
        """
        _check_graph_mode(mode)
        return self._nearest_graph(X, n_neighbors, mode)

    def radius_neighbors_graph(
        self, X=None, radius=None, mode="connectivity", sort_results=True
    ):
        """Give all gallery rows within a distance as a sparse matrix.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.
        radius : int or float, default=None
            In bits, or a spherical distance; inclusive. None for the constructor's.
        mode : {'connectivity', 'distance'}, default='connectivity'
            Ones, or distances (a distance of 0 is an explicit zero).
        sort_results : bool, default=True
            For scikit-learn's signature: results are always sorted.

        Returns
        -------
        graph : csr_matrix of shape (n_queries, n_gallery), dtype float64
        """
        _check_graph_mode(mode)
        return self._graph(*self._search_radius(X, radius), mode)

    def transform(self, X):
        """Give the sparse graph of neighbours, as `KNeighborsTransformer` does.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or PackedCodes

        Returns
        -------
        graph : csr_matrix of shape (n_queries, n_gallery), dtype float64
            With ``mode='distance'`` of `n_neighbors` + 1 rows each, the query itself
            among them if it is in the gallery.
        """
        _check_graph_mode(self.mode)
        return self._nearest_graph(X, None, self.mode, int(self.mode == "distance"))

    def predict(self, X=None):
        """Let the neighbours vote on the labels.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or PackedCodes, default=None
            The queries; None for the gallery itself, each row leaving itself out.

        Returns
        -------
        y : ndarray of shape (n_queries,) or (n_queries, n_labels)
            The most frequent class, the smallest of several; or, for an indicator
            matrix, the labels that more than half of the neighbours have (int64).

        Raises
        ------
        ValueError
            If the gallery has no labels.
        """
        check_has_gallery(self)
        if self.gallery_labels_ is None:
            raise ValueError(
                "predict needs labels: this retriever was fitted without y"
            )
        graph = self.kneighbors_graph(X)
        if issparse(self.gallery_labels_):
            votes = (graph @ self.gallery_labels_).toarray()
            return (2 * votes > self.n_neighbors).astype(np.int64)
        return _majority(graph, self.gallery_labels_)

    def _nearest_graph(self, X, n_neighbors, mode, extra=0):
        distances, positions = self._neighbors(X, n_neighbors, extra)
        indptr = np.arange(len(positions) + 1) * positions.shape[1]
        return self._graph(indptr, distances.ravel(), positions.ravel(), mode)

    def _graph(self, indptr, distances, positions, mode):
        data = distances if mode == "distance" else np.ones(len(distances))
        shape = (len(indptr) - 1, self.n_samples_fit_)
        return csr_matrix((data.astype(np.float64), positions, indptr), shape)

    @property
    def _n_features_out(self):
        return self.n_samples_fit_


def _check_graph_mode(mode):
    if mode not in ("connectivity", "distance"):
        raise ValueError(f"mode must be 'connectivity' or 'distance'; got {mode!r}")


def _majority(graph, labels):
    """Give the class that most neighbours have, the smallest of several."""
    classes, index = np.unique(labels, return_inverse=True)
    one_hot = csr_matrix((np.ones(len(index)), (np.arange(len(index)), index)))
    winners = [
        (graph[rows] @ one_hot).toarray().argmax(axis=1)
        for rows in gen_batches(graph.shape[0], max(1, BLOCK_VOTES // len(classes)))
    ]
    return classes[np.concatenate(winners)]
