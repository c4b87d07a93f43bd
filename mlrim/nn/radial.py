"""Functions of the distance between two atoms."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


def smooth_switch(distance: Float[Tensor, "*batch"], start: float, stop: float) -> Float[Tensor, "*batch"]:
    """One below `start`, zero beyond `stop`, with continuous second derivative: 1 − 10x³ + 15x⁴ − 6x⁵ between."""
    x = ((distance - start) / (stop - start)).clamp(0, 1)
    return 1 - x**3 * (10 - 15 * x + 6 * x**2)


class RadialBasis(nn.Module):
    """Bessel functions sin(nπr/r_c)/r under a smooth envelope (Gasteiger et al., ICLR 2020, eq. 7).

    Args:
        size: number of functions.
        cutoff: Å.
    """

    wave_numbers: Tensor

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.register_buffer("wave_numbers", torch.arange(1, size + 1) * (math.pi / cutoff), persistent=False)

    def forward(self, distance: Float[Tensor, "edges"]) -> Float[Tensor, "edges size"]:
        """Values at distances in Å; zero, with two derivatives, at the cut-off."""
        envelope = smooth_switch(distance, 0.5 * self.cutoff, self.cutoff) * math.sqrt(2 / self.cutoff)
        return torch.sin(distance[:, None] * self.wave_numbers) * (envelope / distance)[:, None]
