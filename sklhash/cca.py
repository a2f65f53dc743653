"""Directions of the rows that correlate with their labels."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular, svd
from scipy.sparse import csr_array, issparse
from sklearn.utils.extmath import svd_flip

from .metrics.labels import check_labels


def canonical_directions(moments, n_features, n_components, reg):
    """Directions of X most correlated with Y, scaled by their correlations.

    Solves ``C_xy (C_yy + reg I)^-1 C_yx w = lambda^2 (C_xx + reg I) w`` through the
    singular values of the whitened ``C_xy``, as in Gong's ``cca.m``.

    Parameters
    ----------
    moments : Moments
        Of the columns of X and Y, side by side.
    n_features : int
        Columns of X.
    n_components : int
        Directions wanted, at most.
    reg : float
        Added to both diagonals.

    Returns
    -------
    components : ndarray of shape (rank, n_features)
        ``lambda_k w_k``, largest correlation first; none with correlation 0.
    correlations : ndarray of shape (rank,)
        The canonical correlations ``lambda_k``.
    """
    C = moments.covariance() + reg * np.eye(len(moments.mean))
    x, y = slice(n_features), slice(n_features, None)
    try:
        L_x, L_y = cholesky(C[x, x], lower=True), cholesky(C[y, y], lower=True)
    except LinAlgError as error:
        raise ValueError(
            f"reg={reg} is too small for the scale of X, whose columns are linearly "
            "dependent: raise reg, or standardize X"
        ) from error
    A = solve_triangular(L_x, C[x, y], lower=True)
    A = solve_triangular(L_y, A.T, lower=True).T  # L_x^-1 C_xy L_y^-T
    U, correlations, _ = svd(A, full_matrices=False)
    U, _ = svd_flip(U, None, u_based_decision=True)

    rank = np.sum(correlations[:n_components] > np.sqrt(np.finfo(np.float64).eps))
    W = solve_triangular(L_x, U[:, :rank], lower=True, trans="T")
    return (W * correlations[:rank]).T, correlations[:rank]


@dataclass
class LabelColumns:
    """Indicator columns of labels that come in batches, all of one form."""

    classes: np.ndarray | None = None  # of a class vector; None for indicator matrices
    n_columns: int | None = None

    def indicator(self, y, classes=None):
        """Give the labels of some rows as an indicator matrix.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels)
        classes : array-like of shape (n_classes,), default=None
            All classes there will be, for the first batch of a class vector.

        Returns
        -------
        indicator : csr_array of shape (n_samples, n_columns), dtype float32

        Raises
        ------
        ValueError
            If y is missing or of another form than before, or holds a new class.
        """
        if y is None:
            raise ValueError(
                "projection='cca' requires y to be passed, but the target y is None"
            )
        y, seen = check_labels(y), self.n_columns is not None
        if y.ndim == 1 and not seen:
            classes = y if classes is None else check_labels(classes, "classes")
            self.classes = np.unique(classes)
        if (y.ndim == 1) != (self.classes is not None):
            raise ValueError(
                "y must be a class vector in all calls or an indicator matrix in all"
            )
        Y = y if issparse(y) else one_hot(y, self.classes)
        if seen and Y.shape[1] != self.n_columns:
            raise ValueError(
                f"y has {Y.shape[1]} label columns, but {self.n_columns} in earlier "
                "calls"
            )
        self.n_columns = Y.shape[1]
        return Y


def one_hot(y, classes):
    """Indicator matrix of a class vector.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    classes : ndarray of shape (n_classes,)
        Sorted.

    Returns
    -------
    indicator : csr_array of shape (n_samples, n_classes), dtype float32

    Raises
    ------
    ValueError
        If y holds a class that `classes` lacks.
    """
    column = np.searchsorted(classes, y)
    column[column == len(classes)] = 0
    unknown = classes[column] != y
    if unknown.any():
        raise ValueError(
            f"y holds {y[unknown][0]!r}, which is not among the classes "
            f"{classes.tolist()}: pass all classes in the first call of partial_fit"
        )
    ones = np.ones(len(y), np.float32)
    return csr_array((ones, column, np.arange(len(y) + 1)), (len(y), len(classes)))
