"""Steps of scikit-learn's that may stand before a hasher, as modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._projections import Formula, LinearProjection

#: Names of the steps, for error messages.
STEPS = "StandardScaler, PCA, TruncatedSVD, Normalizer"


class Scaling(Formula):
    """Give ``(x - mean) / scale``."""

    mean: Tensor  # (n_features,)
    scale: Tensor  # (n_features,)

    def forward(self, x: Tensor) -> Tensor:
        """Scale rows, shape (n_samples, n_features)."""
        return (x.to(self.mean.dtype) - self.mean) / self.scale


class UnitRows(nn.Module):
    """Divide rows by their norm, in their own precision; rows near zero stay."""

    ORDERS = {"l1": 1.0, "l2": 2.0, "max": float("inf")}
    one: Tensor  # (), of the dtype that whole numbers become

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.order = self.ORDERS[norm]
        one = torch.ones((), dtype=torch.float64, device="cpu")
        self.register_buffer("one", one, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale rows, shape (n_samples, n_features)."""
        x = x if x.is_floating_point() else x.to(self.one.dtype)
        norms = torch.linalg.vector_norm(x, self.order, dim=1, keepdim=True)
        near_zero = norms < 10 * torch.finfo(x.dtype).eps  # as scikit-learn has it
        return x / torch.where(near_zero, 1.0, norms)


def step_module(step: Any) -> nn.Module | None:
    """Give a fitted transformer's formula as a module.

    Parameters
    ----------
    step : transformer

    Returns
    -------
    module : Module or None
        None for other transformers than those of :data:`STEPS`.
    """
    # A quarter second that few users need
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.preprocessing import Normalizer, StandardScaler

    builders = {
        StandardScaler: _scaling,
        PCA: _rotation,
        TruncatedSVD: lambda svd: LinearProjection(
            np.zeros(svd.n_features_in_), svd.components_
        ),
        Normalizer: lambda normalizer: UnitRows(normalizer.norm),
    }
    build = builders.get(type(step))  # not of subclasses: theirs may differ
    return None if build is None else build(step)


def _scaling(scaler: Any) -> Scaling:
    return Scaling(
        mean=scaler.mean_ if scaler.with_mean else np.zeros(scaler.n_features_in_),
        scale=scaler.scale_ if scaler.with_std else np.ones(scaler.n_features_in_),
    )


def _rotation(pca: Any) -> LinearProjection:
    components = pca.components_
    if pca.whiten:
        deviations = np.sqrt(pca.explained_variance_)
        eps = np.finfo(deviations.dtype).eps
        components = components / np.maximum(deviations, eps)[:, None]
    return LinearProjection(pca.mean_, components)
