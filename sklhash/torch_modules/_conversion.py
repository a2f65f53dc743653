"""Which hasher becomes which module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklhash.agh import AnchorGraphHashing
from sklhash.deep.base import DeepHasher
from sklhash.density_sensitive import DensitySensitiveHashing
from sklhash.encoding import unwrap
from sklhash.linear import LinearHasher
from sklhash.neighbors import check_has_gallery
from sklhash.rbf import RBFHasher
from sklhash.retrieval import HammingRetriever
from sklhash.sdh import SupervisedDiscreteHashing
from sklhash.spectral import SpectralHashing
from sklhash.spherical import SphericalHashing

from ._hash_module import OUTPUTS, HashModule
from ._projections import (
    RBF,
    AnchorGraph,
    Balls,
    Eigenfunctions,
    LinearProjection,
    Network,
)
from ._steps import STEPS, step_module

#: What of a class tells how it hashes.
METHODS = (
    "_project",
    "_projections",
    "_hash",
    "decision_function",
    "transform",
    "encode",
)
#: For the class that writes these, what computes the same.
PROJECTORS: dict[Any, Callable[[Any], nn.Module]] = {
    LinearHasher: lambda hasher: LinearProjection(hasher.mean_, hasher.components_),
    DensitySensitiveHashing: lambda hasher: LinearProjection(
        hasher.mean_, hasher.components_, -hasher.thresholds_
    ),
    SpectralHashing: Eigenfunctions,
    SphericalHashing: Balls,
    RBFHasher: RBF,
    SupervisedDiscreteHashing: lambda hasher: RBF(hasher, hasher.intercept_),
    AnchorGraphHashing: AnchorGraph,
    DeepHasher: Network,
}


def to_torch(hasher: Any, *, output: str = "codes") -> HashModule:
    """Make a PyTorch module of a fitted hasher, which gives the same codes.

    The module is a copy on the CPU, in evaluation mode, whose weights ask for no
    gradients. It can be moved, compiled and exported as any other.
    :func:`torch.export.export` makes a program of it, and :func:`~sklhash.to_onnx` a
    file, that runs without sklhash.

    Parameters
    ----------
    hasher : estimator
        A fitted hasher of sklhash's; a fitted :class:`~sklhash.HammingRetriever` stands
        for the hasher it holds, and a frozen estimator or a grid search for what they
        hold. In a pipeline, before the hasher, there may be
        :class:`~sklearn.preprocessing.StandardScaler`,
        :class:`~sklearn.preprocessing.Normalizer`,
        :class:`~sklearn.decomposition.PCA` and
        :class:`~sklearn.decomposition.TruncatedSVD`.
    output : {'codes', 'projections', 'packed'}, default='codes'
        What the module gives: codes of shape (n_samples, n_bits), dtype uint8, as
        `transform` does; the floats of `decision_function`; or the bytes of
        :class:`~sklhash.PackedCodes`, shape (n_samples, ceil(n_bits / 8)), dtype uint8.

    Returns
    -------
    module : torch.nn.Module
        Takes dense rows, or images, of any real dtype. Its attributes `n_bits` and
        `output` say what comes out.

    Raises
    ------
    TypeError
        If the formula of the estimator, or of a step before it, is not known here.
    ValueError
        If `output` is none of these.
    sklearn.exceptions.NotFittedError

    Notes
    -----
    Modules of other than deep hashers compute in double precision, whatever the rows
    are, but for a `Normalizer` that comes first: it keeps to the precision of the rows,
    as scikit-learn's does. Rows of float64 get the codes of the hasher, unless a
    projection lies within rounding of 0, about 1e-15 of its terms. That is rare but for
    rows that lie on a boundary, as rows of few distinct numbers may. Rows of float32
    are projected in float32 by most hashers and in float64 by the module: a few bits in
    many millions may differ. ``module.float()`` lets the module compute in float32,
    too, which is faster on most GPUs and needed on devices without float64.

    Where a `Normalizer` leaves rows as they are, because their norm is below ten times
    the machine epsilon, so does the module. Behind another step it takes the epsilon of
    the precision in which the module computes, and scikit-learn's that of the rows.

    Modules of deep hashers run the network in the precision of `fit`. Other devices and
    runtimes add up in another order, which can change bits whose projections lie
    within rounding of 0.

    The module takes a batch as a whole: give it batches that fit into memory. It
    checks the shape of its rows and nothing else; a row that holds NaN gets some code
    instead of an error.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklhash import ITQ
    >>> from sklhash import to_torch
    >>> X, _ = load_digits(return_X_y=True)
    >>> itq = ITQ(n_bits=16, random_state=0).fit(X)
    >>> module = to_torch(itq)
    >>> codes = module(torch.tensor(X))
    >>> codes.shape, (codes.numpy() == itq.transform(X)).all()
    (torch.Size([1797, 16]), np.True_)
    """
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {OUTPUTS}; got {output!r}")
    steps = _steps(hasher)
    if not steps:
        raise TypeError(f"{type(hasher).__name__} holds no hasher: give one {_KNOWN}")
    for step in steps:
        if isinstance(step, BaseEstimator):
            check_is_fitted(step)
    last = steps[-1]
    projector = nn.Sequential(*map(_before, steps[:-1]), _projector(last))
    # A Normalizer need not be fitted, and keeps the number of features.
    shape = next((s.n_features_in_,) for s in steps if hasattr(s, "n_features_in_"))
    if isinstance(last, DeepHasher) and len(steps) == 1:
        shape = last._design["shape"]
    module = HashModule(projector, shape, last._n_features_out, output)
    return module.eval().requires_grad_(False)


_KNOWN = (
    "of sklhash's, or a HammingRetriever or Pipeline that ends in one, where steps "
    f"before it may be {STEPS}"
)


def _steps(estimator: Any) -> list[Any]:
    """List what an estimator does to rows, one step after the other."""
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        return [step for _, part in estimator.steps for step in _steps(part)]
    if isinstance(estimator, HammingRetriever):
        check_has_gallery(estimator)
        return _steps(estimator.hasher_)
    if estimator is None or estimator == "passthrough":
        return []
    return [estimator]


def _projector(hasher: Any) -> nn.Module:
    for kind, build in PROJECTORS.items():
        # A subclass may have some of its own.
        if all(getattr(type(hasher), m, None) is getattr(kind, m) for m in METHODS):
            return build(hasher)
    raise TypeError(
        f"to_torch does not know {type(hasher).__name__}: give one {_KNOWN}"
    )


def _before(step: Any) -> nn.Module:
    module = step_module(step)
    if module is None:
        raise TypeError(
            f"to_torch does not know the step {type(step).__name__}: before a hasher "
            f"there may be {STEPS}; do the others' work before the module"
        )
    return module
