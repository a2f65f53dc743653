"""Gradient attention: which code of a pair should move, learned while training.

Plain gradients push both codes of a pair at once; both may then cross zero, and their
distance stays what it was. Gradient attention (GAH, and UHGA after it) gives each side
of each pair, bit by bit, a weight alpha; the two weights add up to one. A small network
finds them, and it learns from the loss after the hashing network's update.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

#: Pairs times bits at once; more are done in chunks of bits.
CHUNK_SIZE = 2**22


def normalize_gradient(gradient: Tensor, p: float = 10.0) -> tuple[Tensor, Tensor]:
    """Two bounded channels for numbers of any magnitude, as in GAH's code.

    Parameters
    ----------
    gradient : Tensor of any shape
    p : float, default=10.0

    Returns
    -------
    magnitude, sign : Tensor of the same shape
        ``(log(|x| + 1e-6) / p, sgn x)`` where ``|x| > e^-p``, else ``(-1, e^p x)``.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.attention import normalize_gradient
    >>> magnitude, sign = normalize_gradient(torch.tensor([10.0, -1e-3, 1e-5]))
    >>> magnitude
    tensor([ 0.2303, -0.6907, -1.0000])
    >>> sign
    tensor([ 1.0000, -1.0000,  0.2203])
    """
    size = gradient.abs()
    large = size > math.exp(-p)
    magnitude = torch.where(large, (size + 1e-6).log() / p, -1)
    return magnitude, torch.where(large, gradient.sign(), math.exp(p) * gradient)


class GradientAttention(nn.Module):
    """The attention network, shared over pairs, bits and the two sides of a pair.

    For pair (i, j), bit k and side i it sees the relaxed code h_ik, the derivative of
    the pair's loss with respect to it, and that of the whole batch's loss, the last two
    in two channels each. Its scores u of the two sides go through a softmax.

    Parameters
    ----------
    n_units : int, default=100
        Width of the hidden layer; 100 in GAH's code.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.attention import GradientAttention
    >>> codes, g = torch.randn(6, 4).tanh(), torch.randn(6, 6)
    >>> alpha = GradientAttention(8)(codes, g + g.T)
    >>> alpha.shape
    torch.Size([6, 6, 4])
    >>> torch.allclose(alpha + alpha.transpose(0, 1), torch.ones(()))
    True
    """

    def __init__(self, n_units: int = 100):
        super().__init__()
        self.hidden = nn.Linear(5, n_units)
        self.score = nn.Linear(n_units, 1, bias=False)  # it would cancel

    def forward(self, codes: Tensor, pair_gradient: Tensor) -> Tensor:
        """Weights of the first side of each pair, bit by bit.

        Parameters
        ----------
        codes : Tensor of shape (batch, n_bits)
            Relaxed codes H, detached.
        pair_gradient : Tensor of shape (batch, batch)
            g, the loss's derivative with respect to ``H H^T``, detached; symmetric.

        Returns
        -------
        alpha : Tensor of shape (batch, batch, n_bits), in (0, 1)
            alpha_ijk is the weight of side i, alpha_jik = 1 - alpha_ijk that of side j.
        """
        of_pair = pair_gradient[:, :, None] * codes  # g_ij h_jk
        of_batch = pair_gradient @ codes  # (batch, n_bits), summed over j
        # What does not depend on j goes through the first layer once a code.
        own = torch.stack([codes, *normalize_gradient(of_batch)])
        weight, bias = self.hidden.weight, self.hidden.bias
        own = torch.einsum("uc,cik->uik", weight[:, [0, 3, 4]], own)
        own = own + bias[:, None, None]
        u = _PairScores.apply(
            own, *normalize_gradient(of_pair), weight[:, 1:3], self.score.weight[0]
        )
        return torch.sigmoid(u - u.transpose(0, 1))  # softmax over the two sides


class _PairScores(torch.autograd.Function):
    """Scores of a network with one hidden layer, one hidden unit after the other.

    The hidden layer would hold batch^2 n_bits n_units numbers. Here it is never there
    as a whole, in neither direction, which also makes it several times faster.
    """

    @staticmethod
    # torch gives ctx no type.
    def forward(ctx, own, first, second, weight, out):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(own, first, second, weight, out)
        u = torch.zeros_like(first)
        for unit in range(len(own)):
            u += _hidden_unit(own, first, second, weight, unit).relu_().mul_(out[unit])
        return u

    @staticmethod
    def backward(ctx, du):  # type: ignore[no-untyped-def]
        own, first, second, weight, out = ctx.saved_tensors
        d_own = torch.empty_like(own)
        d_weight, d_out = torch.empty_like(weight), torch.empty_like(out)
        for unit in range(len(own)):
            hidden = _hidden_unit(own, first, second, weight, unit).relu_()
            d_out[unit] = torch.dot(hidden.flatten(), du.flatten())
            d_hidden = hidden.sign_().mul_(du)
            d_own[unit] = d_hidden.sum(dim=1)
            for channel, values in enumerate((first, second)):
                product = torch.dot(d_hidden.flatten(), values.flatten())
                d_weight[unit, channel] = product
        d_own *= out[:, None, None]
        return d_own, None, None, d_weight * out[:, None], d_out


def _hidden_unit(
    own: Tensor, first: Tensor, second: Tensor, weight: Tensor, unit: int
) -> Tensor:
    hidden = torch.addcmul(own[unit][:, None], first, weight[unit, 0])
    return hidden.addcmul_(second, weight[unit, 1])


def attended_gradient(
    attention: GradientAttention, codes: Tensor, pair_gradient: Tensor, weight: float
) -> Tensor:
    """Derivative of the loss with respect to the codes, reweighted by attention.

    UHGA's (16) and (17) as we read them: each pair's share of the derivative is
    multiplied by ``2 alpha'``, where ``alpha' = 1/2 + weight (alpha - 1/2)``; with
    weight 0 it is the plain derivative.

    Parameters
    ----------
    attention : GradientAttention
    codes : Tensor of shape (batch, n_bits)
    pair_gradient : Tensor of shape (batch, batch)
        As in :meth:`GradientAttention.forward`.
    weight : float
        Omega, in [0, 1].

    Returns
    -------
    gradient : Tensor of shape (batch, n_bits)

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.attention import GradientAttention, attended_gradient
    >>> codes, g = torch.randn(6, 4).tanh(), torch.randn(6, 6)
    >>> g = g + g.T
    >>> plain = attended_gradient(GradientAttention(8), codes, g, weight=0.0)
    >>> torch.allclose(plain, 2 * g @ codes, atol=1e-5)
    True
    """

    def of_bits(codes: Tensor) -> Tensor:
        alpha = 0.5 + weight * (attention(codes, pair_gradient) - 0.5)
        # h_i enters M_ij and M_ji: twice the sum over one side.
        return 4 * (alpha * (pair_gradient[:, :, None] * codes)).sum(dim=1)

    bits_at_once = max(1, CHUNK_SIZE // pair_gradient.numel())
    chunks = codes.split(bits_at_once, dim=1)
    if len(chunks) == 1:
        return of_bits(codes)
    # What a chunk holds is computed again when it is needed, instead of kept.
    parts = [checkpoint(of_bits, chunk, use_reentrant=False) for chunk in chunks]
    return torch.cat(parts, dim=1)


def virtual_step(
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[Tensor],
    gradients: Iterable[Tensor | None],
) -> list[Tensor]:
    """Do an optimiser's next step on copies, so that it can be differentiated.

    Parameters
    ----------
    optimizer : Optimizer
        Of a class that knows ``differentiable=True``, as most of torch's do. It stays
        as it is.
    parameters : iterable of Tensor
        All parameters of the optimiser.
    gradients : iterable of Tensor or None
        Their gradients; None for a parameter that stays as it is.

    Returns
    -------
    updated : list of Tensor
        Values of the parameters after the step; functions of the gradients.

    Examples
    --------
    >>> import torch
    >>> from sklhash.deep.attention import virtual_step
    >>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    >>> optimizer = torch.optim.SGD([w], lr=0.5)
    >>> [updated] = virtual_step(optimizer, [w], [torch.tensor([1.0, 0.0])])
    >>> updated.detach(), w.detach()
    (tensor([0.5000, 2.0000]), tensor([1., 2.]))
    """
    copies = {id(p): p.detach().clone() for p in parameters}
    options = {"differentiable": True, "foreach": None, "fused": None}
    groups = [
        {**group, "params": [copies[id(p)] for p in group["params"]], **options}
        for group in optimizer.param_groups
    ]
    # The base class of optimisers does not know the option, its subclasses do.
    virtual = type(optimizer)(groups, differentiable=True)  # type: ignore[call-arg]
    for parameter, state in optimizer.state.items():
        virtual.state[copies[id(parameter)]] = copy.deepcopy(state)
    for parameter, gradient in zip(copies.values(), gradients, strict=True):
        if gradient is None:
            continue
        parameter.grad = gradient.clone()
        if gradient.requires_grad:  # Adam's root has no derivative where all was 0
            parameter.grad.register_hook(_finite)
    _have_momentum(virtual)
    virtual.step()
    return list(copies.values())


def _have_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Begin SGD's momentum at zero; torch's first step is cut off from the gradient."""
    for group in optimizer.param_groups:
        if isinstance(optimizer, torch.optim.SGD) and group["momentum"]:
            for parameter in group["params"]:
                if optimizer.state[parameter].get("momentum_buffer") is None:
                    zeros = torch.zeros_like(parameter)
                    optimizer.state[parameter]["momentum_buffer"] = zeros
                    group["dampening"] = 0  # which the first step leaves out


def _finite(gradient: Tensor) -> Tensor:
    return gradient.nan_to_num(nan=0, posinf=0, neginf=0)
