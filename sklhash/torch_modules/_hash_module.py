"""The module that a hasher becomes: projections, their signs, packed signs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

#: What a module gives for a batch of rows.
OUTPUTS = ("codes", "projections", "packed")


class HashModule(nn.Module):
    """A fitted hasher as a module; :func:`~sklhash.to_torch` makes it.

    Parameters
    ----------
    projector : Module
        Gives the projections of a batch, shape (n_samples, n_bits).
    shape : tuple of int
        Of one example.
    n_bits : int
        Code length.
    output : {'codes', 'projections', 'packed'}, default='codes'

    Attributes
    ----------
    n_bits : int
        Code length.
    output : str
        What `forward` gives.
    """

    def __init__(
        self,
        projector: nn.Module,
        shape: tuple[int, ...],
        n_bits: int,
        output: str = "codes",
    ) -> None:
        super().__init__()
        self.projector = projector
        self.shape = shape
        self.n_bits = n_bits
        self.output = output
        exponents = torch.arange(8, dtype=torch.int32, device="cpu")
        self.register_buffer("place", 2**exponents, persistent=False)  # lowest first

    def forward(self, x: Tensor) -> Tensor:
        """Hash a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, ...), any real dtype
            As in `fit`; not checked for NaN.

        Returns
        -------
        hashed : Tensor
            By `output`: codes of shape (n_samples, n_bits), dtype uint8, zeros and
            ones; projections of that shape, floats; or packed codes of shape
            (n_samples, ceil(n_bits / 8)), dtype uint8.

        Raises
        ------
        ValueError
            If the examples have another shape than in `fit`, or are complex.
        """
        if tuple(x.shape[1:]) != self.shape:
            expected = ", ".join(map(str, ("n_samples", *self.shape)))
            raise ValueError(f"x must have shape ({expected}); got {tuple(x.shape)}")
        if x.is_complex():
            raise ValueError(f"x must hold real numbers; got {x.dtype}: take x.real")
        projections: Tensor = self.projector(x)
        if self.output == "projections":
            return projections
        bits = projections > 0
        return self._pack(bits) if self.output == "packed" else bits.to(torch.uint8)

    def _pack(self, bits: Tensor) -> Tensor:
        # No shifts, and no products of whole matrices: CUDA has none of integers.
        padded = pad(bits.to(torch.int32), (0, -self.n_bits % 8))
        weighed = padded.unflatten(1, (-1, 8)) * self.place
        return weighed.sum(2, dtype=torch.int32).to(torch.uint8)
