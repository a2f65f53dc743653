"""Anchor graph hashing: eigenvectors of a graph that joins rows through anchors."""

from numbers import Real

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array, issparse
from sklearn.utils import gen_batches
from sklearn.utils.extmath import safe_sparse_dot, svd_flip

from ._sklearn import Integer, Interval, fit_context
from .base import BaseHasher
from .codes import MAX_BITS
from .linear import EPS
from .rows import BATCH_ROWS, all_rows_equal, check_squares
from .streaming import Reservoir

#: Eigenvalues so near to 0 or 1 are taken for 0 or 1; rounding leaves less.
TOL = 1e-10


def kmeans_anchors(X, n_anchors, max_iter, rng):
    """Find anchors among the rows by a few steps of k-means.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features), dtype float64
    n_anchors : int
    max_iter : int
    rng : RandomState

    Returns
    -------
    anchors : ndarray of shape (n_distinct, n_features)
        Fewer than `n_anchors` if some are nearest to no row, as where rows repeat.
    """
    # A tenth of a second few users need
    from sklearn.cluster import kmeans_plusplus
    from sklearn.metrics import pairwise_distances_argmin

    # Not KMeans: it centres dense rows and not sparse ones. Where features are integers
    # that rounding decides which anchor a row is nearest to, and so all that follows.
    origin = np.zeros(X.shape[1]) if issparse(X) else X[0]
    X = X if issparse(X) else X - origin  # a common offset shall cost no precision
    anchors, _ = kmeans_plusplus(X, n_anchors, random_state=rng)
    anchors = anchors.toarray() if issparse(anchors) else anchors
    for _ in range(max_iter):
        nearest = pairwise_distances_argmin(X, anchors)
        _, group, sizes = np.unique(nearest, return_inverse=True, return_counts=True)
        entries = np.ones(len(group)), (group, np.arange(len(group)))
        anchors = safe_sparse_dot(csr_array(entries), X, dense_output=True)
        anchors /= sizes[:, None]
    return anchors + origin


def nearest_anchors(X, anchors, s):
    """Find the s nearest anchors of each row.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features), dtype float64
    anchors : ndarray of shape (n_anchors, n_features)
    s : int

    Returns
    -------
    nearest : ndarray of shape (n_samples, s), dtype intp
        In no particular order.
    squared : ndarray of shape (n_samples, s)
        Their squared distances.
    """
    from sklearn.metrics.pairwise import euclidean_distances  # loads all metrics

    if not issparse(X):  # a common offset shall cost no precision
        X, anchors = X - anchors[0], anchors - anchors[0]
    squared = euclidean_distances(X, anchors, squared=True)
    nearest = np.argpartition(squared, s - 1, axis=1)[:, :s].copy()  # frees the rest
    return nearest, np.take_along_axis(squared, nearest, axis=1)


def anchor_weights(nearest, squared, bandwidth, n_anchors):
    """Weigh the nearest anchors of each row by a Gaussian kernel.

    Parameters
    ----------
    nearest : ndarray of shape (n_samples, s), dtype intp
    squared : ndarray of shape (n_samples, s)
        From :func:`nearest_anchors`.
    bandwidth : float
        The kernel is ``exp(-d^2 / bandwidth^2)``.
    n_anchors : int

    Returns
    -------
    Z : CSR array of shape (n_samples, n_anchors)
        Rows sum to 1; s entries in each.
    """
    nearer = squared - squared.min(axis=1, keepdims=True)  # cancels; no underflow
    weights = np.exp(-nearer / bandwidth / bandwidth)
    weights /= weights.sum(axis=1, keepdims=True)
    n_samples, s = nearest.shape
    indptr = s * np.arange(n_samples + 1)
    return csr_array((weights.ravel(), nearest.ravel(), indptr), (n_samples, n_anchors))


def graph_eigenfunctions(Z, rng):
    """Eigenvectors of the anchor graph, as functions of a row's weights.

    The graph's adjacency matrix is ``A = Z Λ^-1 Z^T`` with ``Λ = diag(Z^T 1)``. Its
    eigenvectors are ``Y = Z W``, where ``W = sqrt(n) Λ^-1/2 V Σ^-1/2`` comes from the
    eigenvectors V and eigenvalues Σ of the small ``M = Λ^-1/2 Z^T Z Λ^-1/2``; they have
    ``Y^T Y = n I`` and sum to 0. The trivial one, constant over all rows, is left out.

    Parameters
    ----------
    Z : CSR array of shape (n_samples, n_anchors)
        Rows sum to 1.
    rng : RandomState
        Draws a basis of the eigenvectors of eigenvalue 1, if the graph falls into parts
        that no edge joins. They are constant on each part.

    Returns
    -------
    eigenvalues : ndarray of shape (n_eigenvectors,)
        Positive ones of A, largest first; exactly 1 as often as there are parts beyond
        the first.
    W : ndarray of shape (n_anchors, n_eigenvectors)
    """
    n_samples, n_anchors = Z.shape
    root = np.sqrt(Z.sum(axis=0))  # Λ^1/2
    inverse = np.divide(1, root, out=np.zeros(n_anchors), where=root > 0)
    M = inverse[:, None] * (Z.T @ Z).toarray() * inverse
    Sigma, V = eigh(M)
    whole, inner = Sigma > 1 - TOL, (Sigma > TOL) & (Sigma <= 1 - TOL)
    parts = _other_than(root / np.sqrt(n_samples), V[:, whole], rng)
    Sigma = np.append(np.ones(parts.shape[1]), Sigma[inner][::-1])
    V = np.hstack([parts, V[:, inner][:, ::-1]])
    V[np.abs(V) < np.sqrt(EPS)] = 0  # on parts where an eigenvector is 0 but for noise
    V, _ = svd_flip(V, None, u_based_decision=True)
    return Sigma, np.sqrt(n_samples) * inverse[:, None] * V / np.sqrt(Sigma)


def _other_than(trivial, basis, rng):
    """Draw an orthonormal basis of a space, without one direction in it.

    LAPACK's basis of the space hangs on rounding; a random one hangs on the seed.
    """
    n_rows, n_columns = basis.shape
    drawn = basis @ (basis.T @ rng.standard_normal((n_rows, n_columns - 1)))
    return np.linalg.qr(np.column_stack([trivial, drawn]))[0][:, 1:]


def layer_thresholds(Z, W):
    """Split the positive and the negative rows of each eigenvector once more.

    The second layer's bit is the sign of ``y - b_plus`` where ``y > 0`` and of
    ``b_minus - y`` elsewhere. The thresholds minimise the quadratic form of the graph's
    Laplacian ``I - A`` over these values, which sum to 0 over the rows.

    Parameters
    ----------
    Z : CSR array of shape (n_samples, n_anchors)
    W : ndarray of shape (n_anchors, n_eigenvectors)
        Of eigenvalues below 1.

    Returns
    -------
    b_plus, b_minus : ndarray of shape (n_eigenvectors,)
    """
    n_samples, shape = Z.shape[0], (Z.shape[1], W.shape[1])
    n_plus, total = np.zeros((2, W.shape[1]))
    Z_plus, Z_abs = np.zeros((2, *shape))  # Z^T 1_+, Z^T |y|
    for rows in gen_batches(n_samples, BATCH_ROWS):
        Y = Z[rows] @ W
        plus = (Y > 0).astype(float)
        n_plus += plus.sum(axis=0)
        total += np.abs(Y).sum(axis=0)
        Z_plus += Z[rows].T @ plus
        Z_abs += Z[rows].T @ np.abs(Y)
    # With L = I - A, t = b_plus + b_minus = (1_+^T L |y|) / (1_+^T L 1_+); and
    # n_plus b_plus - n_minus b_minus = sum |y|, half of which is over y > 0.
    size = Z.sum(axis=0)[:, None]
    scaled = np.divide(Z_plus, size, out=np.zeros(shape), where=size > 0)
    t = (total / 2 - np.sum(scaled * Z_abs, axis=0)) / (
        n_plus - np.sum(scaled * Z_plus, axis=0)
    )
    b_plus = (total + (n_samples - n_plus) * t) / n_samples
    return b_plus, t - b_plus


class AnchorGraphHashing(BaseHasher):
    """Anchor graph hashing (AGH).

    A few anchors stand for the rows: each row is described by its nearest anchors, and
    two rows are joined in a graph if they share any. The bits are the signs of the
    graph's smoothest eigenvectors, which follow the shape of the data where straight
    projections cannot; new rows get theirs through their own nearest anchors.

    Parameters
    ----------
    n_bits : int, default=32
        Code length, 1 to 65,535; at most the number of eigenvectors, which is below
        that of the anchors, or with two layers nearly twice as many.
    n_anchors : int, default=300
        Centres of groups of rows, the paper's m.
    n_neighbors : int, default=3
        Nearest anchors that describe a row, the paper's s, 2 or more. The authors
        advise to tune it, and use 2 in their example.
    n_layers : {1, 2}, default=2
        With two layers each eigenvector gives two bits, of which the second splits the
        positive and the negative rows once more, so that half as many eigenvectors are
        needed. It suits an odd `n_bits`, too: the last eigenvector gives one.
    bandwidth : float or None, default=None
        Width sigma of the kernel ``exp(-d^2 / sigma^2)``. None takes the mean distance
        of the rows to the last of their nearest anchors, as the authors' code does.
    max_iter : int, default=5
        Steps of k-means that find the anchors.
    max_samples : int or None, default=32768
        Find the anchors among that many rows, drawn at random; the graph is always that
        of all rows. None uses all. This is ours.
    random_state : int, RandomState instance or None, default=None
        Draws the first anchors and the sample; None draws a fresh seed from the
        operating system.

    Attributes
    ----------
    anchors_ : ndarray of shape (n_distinct, n_features)
        The anchors; fewer than `n_anchors` if some were nearest to no row, as where
        rows repeat.
    n_neighbors_ : int
        Nearest anchors that describe a row.
    bandwidth_ : float
        Width of the kernel.
    eigenvalues_ : ndarray of shape (n_eigenvectors,)
        Of the graph's normalised adjacency matrix, largest first, without that of the
        constant eigenvector.
    eigenfunctions_ : ndarray of shape (n_distinct, n_eigenvectors)
        The paper's W: an eigenvector's value for a row is the mean of these, weighted
        by the row's nearest anchors.
    thresholds_ : ndarray of shape (2, n_split)
        Where the second layer splits the positive and the negative values of the first
        `n_split` eigenvectors of eigenvalue below 1.
    n_iter_ : int
        Steps of k-means run.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if all were strings.

    See Also
    --------
    SpectralHashing : Eigenfunctions of a box instead of a graph of the rows.

    Notes
    -----
    The bits of the first layer come first. Late eigenvectors are worth less: with one
    layer the mAP on the digits falls as codes grow. Two layers are the better ones
    there at any length, which is why they are the default.

    Where the rows lie in groups so far apart that they share no anchor, the graph falls
    into parts, and the eigenvectors that tell them apart have eigenvalue 1, as the
    constant one has. The authors' code drops all eigenvalues above 0.999; we drop the
    constant eigenvector only, as otherwise no bit told such groups apart. Of the many
    bases of these eigenvectors a random one is taken; each gives one bit, as there is
    nothing to split. Where no other eigenvalue is above 0.999 both ways are the same.

    Sparse rows are not centred: where a feature is far from 0 in all of them, their
    distances lose precision.

    There is no `partial_fit`: the graph is that of all rows. Codes encoded before a
    refit do not compare with codes encoded after.

    The anchors' first positions, by k-means++, take most of the time of `fit`; the
    memory it takes beside the sample is a few times `n_neighbors` numbers a row.

    References
    ----------
    W. Liu, J. Wang, S. Kumar and S.-F. Chang, "Hashing with graphs", ICML 2011.
    Bandwidth, order of bits and closed form of the thresholds: the authors' MATLAB
    code, which leaves out the factor sqrt(n) with one layer. K-means++ is ours.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import AnchorGraphHashing
    >>> X, _ = load_digits(return_X_y=True)
    >>> agh = AnchorGraphHashing(n_bits=16, random_state=0).fit(X)
    >>> agh.eigenfunctions_.shape, agh.encode(X)
    ((300, 8), PackedCodes(n_samples=1797, n_bits=16))
    """

    _parameter_constraints: dict = {
        "n_bits": [Integer(1, MAX_BITS)],
        "n_anchors": [Integer(2, None)],
        "n_neighbors": [Integer(2, None)],
        "n_layers": [Integer(1, 2)],
        "bandwidth": [Interval(Real, 0, None, closed="neither"), None],
        "max_iter": [Integer(1, None)],
        "max_samples": [Integer(2, None), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_bits=32,
        *,
        n_anchors=300,
        n_neighbors=3,
        n_layers=2,
        bandwidth=None,
        max_iter=5,
        max_samples=32768,
        random_state=None,
    ):
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.n_neighbors = n_neighbors
        self.n_layers = n_layers
        self.bandwidth = bandwidth
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find anchors, and the eigenvectors of the graph over them; reads X twice.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least as many rows as anchors.
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are fewer rows than anchors, or fewer eigenvectors than the bits
            need, or if nearly all rows are equal.
        """
        rows, rng = self._read(X, reset=True, min_samples=2), self._check_random_state()
        anchors = self._find_anchors(rows, rng)
        nearest, squared = self._nearest(rows, anchors)
        bandwidth = self.bandwidth or np.sqrt(squared.max(axis=1)).mean()
        Z = anchor_weights(nearest, squared, bandwidth, len(anchors))
        Sigma, W = graph_eigenfunctions(Z, rng)
        n_eigenvectors, split = self._layers(Sigma)
        self.thresholds_ = np.array(layer_thresholds(Z, W[:, split]))
        self.eigenvalues_ = Sigma[:n_eigenvectors]
        self.eigenfunctions_ = W[:, :n_eigenvectors]
        self.anchors_, self.n_neighbors_ = anchors, self.n_neighbors
        self.bandwidth_, self.n_iter_ = bandwidth, self.max_iter
        return self

    def _find_anchors(self, rows, rng):
        """Find the anchors among a sample of the rows."""
        sample = Reservoir(self.max_samples, rng)
        sample.add(rows)
        X = sample.rows.astype(np.float64)
        if self.n_anchors > X.shape[0]:
            raise ValueError(
                f"n_anchors={self.n_anchors} is more than the {X.shape[0]} rows of X "
                "to find them among: lower n_anchors, or give more rows (and allow "
                f"them: max_samples={self.max_samples})"
            )
        check_squares(X)
        if all_rows_equal(X):
            raise ValueError(
                "all rows of X are equal: there is nothing to join in a graph"
            )
        anchors = kmeans_anchors(X, self.n_anchors, self.max_iter, rng)
        if self.n_neighbors > len(anchors):
            raise ValueError(
                f"n_neighbors={self.n_neighbors} is more than the {len(anchors)} "
                "different anchors found: lower n_neighbors, or raise "
                f"n_anchors={self.n_anchors} (if the rows of X repeat, or are tiny, "
                "there may be no more)"
            )
        return anchors

    def _nearest(self, rows, anchors):
        """Nearest anchors of all rows, and their squared distances."""
        found = []
        for X in rows:
            X = X.astype(np.float64)
            check_squares(X)
            found.append(nearest_anchors(X, anchors, self.n_neighbors))
        nearest, squared = zip(*found, strict=True)
        return np.concatenate(nearest), np.concatenate(squared)

    def _layers(self, Sigma):
        """Number of eigenvectors to take, and which of them to split."""
        n_parts = np.sum(Sigma == 1)  # constant on each part: there is nothing to split
        n_split = max(0, self.n_bits - n_parts) // 2 if self.n_layers == 2 else 0
        n_eigenvectors = self.n_bits - n_split
        if n_eigenvectors > len(Sigma):
            limit = len(Sigma) + (self.n_layers - 1) * (len(Sigma) - n_parts)
            raise ValueError(
                f"n_bits={self.n_bits} takes {n_eigenvectors} eigenvectors with "
                f"n_layers={self.n_layers}, but there are {len(Sigma)} with "
                f"n_anchors={self.n_anchors}: use n_bits<={limit}, or more anchors"
            )
        return n_eigenvectors, slice(n_parts, n_parts + n_split)

    def _project(self, X):
        X, anchors = X.astype(np.float64), self.anchors_
        nearest, squared = nearest_anchors(X, anchors, self.n_neighbors_)
        Z = anchor_weights(nearest, squared, self.bandwidth_, len(anchors))
        Y = Z @ self.eigenfunctions_  # (n_samples, n_eigenvectors)
        b_plus, b_minus = self.thresholds_
        first = np.sum(self.eigenvalues_ == 1)
        split = Y[:, first : first + len(b_plus)]
        return np.hstack([Y, np.where(split > 0, split - b_plus, b_minus - split)])

    @property
    def _n_features_out(self):
        return self.eigenfunctions_.shape[1] + self.thresholds_.shape[1]
