"""Layers of energies of NequIP's type: radial networks on edges, and gated convolutions on atoms."""

import math
from typing import NamedTuple

import torch
from e3nn.o3 import Irreps
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.element_tables import N_NUMBERS, properties_by_number, radii_by_number
from mlrim.nn.tensor_product import Convolution, NeighbourTable

FIRST_GAUSSIAN, LAST_GAUSSIAN = 0.6, 2.6
"""Of the distance in units of the sum of two covalent radii."""


class ElementFeatures(nn.Module):
    """Scalars of an element: a learned vector of its own, and a linear map of its properties.

    Args:
        size: number of scalars.
    """

    properties: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        properties = torch.tensor(properties_by_number(), dtype=torch.float32)
        self.register_buffer("properties", properties, persistent=False)
        self.own = nn.Embedding(N_NUMBERS, size)
        nn.init.normal_(self.own.weight, std=0.5)
        self.of_properties = nn.Linear(properties.shape[1], size)

    def forward(self, numbers: Int[Tensor, "atoms"]) -> Float[Tensor, "atoms size"]:
        """Of atoms with these atomic numbers."""
        return self.own(numbers) + self.of_properties(self.properties.index_select(0, numbers))


class RadialNetwork(nn.Module):
    """Learned functions of the distance and the elements of two atoms, for each order of spherical harmonics.

    A network with one hidden layer reads Bessel functions of the distance, Gaussians of the distance in units of the
    sum of the covalent radii, and the elements. The envelope (1 − (r/r_c)⁴)⁴ takes its results to zero at the cut-off
    with three derivatives.

    Args:
        waves: number of Bessel functions.
        gaussians: number of Gaussians.
        elements: number of scalars of an element.
        hidden: width of the hidden layer.
        outputs: number of functions of each order, for each layer.
        degree: highest order.
        cutoff: Å
    """

    radii: Tensor
    centres: Tensor
    wave_numbers: Tensor

    def __init__(
        self, waves: int, gaussians: int, elements: int, hidden: int, outputs: list[int], degree: int, cutoff: float
    ) -> None:
        super().__init__()
        self.cutoff, self.degree = cutoff, degree
        self.inverse_width = (gaussians - 1) / (LAST_GAUSSIAN - FIRST_GAUSSIAN)
        self.register_buffer("radii", torch.tensor(radii_by_number(), dtype=torch.float32), persistent=False)
        centres = torch.linspace(FIRST_GAUSSIAN, LAST_GAUSSIAN, gaussians) * self.inverse_width
        self.register_buffer("centres", centres[:, None], persistent=False)
        numbers = torch.arange(1, waves + 1, dtype=torch.float32)
        self.register_buffer("wave_numbers", math.pi * numbers[:, None], persistent=False)
        self.of_distance = nn.Parameter(torch.randn(hidden, waves + gaussians) / math.sqrt(waves + gaussians))
        self.of_elements = nn.Linear(elements, 2 * hidden)
        self.activation = nn.SiLU()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(degree + 1, size, hidden) * math.sqrt(2 / hidden)) for size in outputs
        )

    def forward(
        self,
        distance: Float[Tensor, "1 edges"],
        harmonics: Float[Tensor, "harmonics edges"],
        elements: Float[Tensor, "atoms features"],
        numbers: Int[Tensor, "atoms"],
        ends: tuple[Int[Tensor, "edges"], Int[Tensor, "edges"]],
    ) -> list[Float[Tensor, "harmonics radial edges"]]:
        """Products of the functions with the spherical harmonics of their order, for each layer."""
        radii = self.radii.index_select(0, numbers)
        scale = self.inverse_width / (radii.index_select(0, ends[0]) + radii.index_select(0, ends[1]))
        reduced = distance * (1 / self.cutoff)
        waves = torch.sin(self.wave_numbers * reduced) / reduced
        gaussians = torch.exp(-(distance * scale - self.centres).square())
        first, second = self.of_elements(elements).T.chunk(2)
        pairs = first.index_select(1, ends[0]) + second.index_select(1, ends[1])
        hidden = self.activation(pairs + self.of_distance @ torch.cat([waves, gaussians]))
        fading = (1 - reduced.clamp(max=1).square().square()).square().square() * harmonics
        orders = [order for order in range(self.degree + 1) for _ in range(2 * order + 1)]
        order = torch.tensor(orders, device=distance.device)
        return [
            (weight.index_select(0, order).flatten(0, 1) @ hidden).unflatten(0, (len(orders), -1)) * fading[:, None]
            for weight in self.weights
        ]


class Surroundings(NamedTuple):
    """What a layer knows of the atoms and their edges."""

    elements: Float[Tensor, "atoms features"]
    table: NeighbourTable


class GatedLayer(nn.Module):
    """A convolution, what an atom had before, and a gate: scalars decide how much of everything else passes.

    Args:
        before: irreps of the features.
        after: irreps of the new ones, 0e first.
        degree: of the spherical harmonics.
        channels: of both.
        radial: number of radial functions of each order.
        elements: number of scalars of an element.
    """

    def __init__(self, before: Irreps, after: Irreps, degree: int, channels: int, radial: int, elements: int) -> None:
        super().__init__()
        n_gated = len(after) - 1
        widths = [channels * (1 + n_gated), *[channels] * n_gated]
        self.sizes = [irrep.dim for _, irrep in before]
        self.convolution = Convolution(before, after, degree, channels, radial, widths)
        kept = [[irrep for _, irrep in before].index(irrep) if irrep in before else None for _, irrep in after]
        self.kept = kept
        self.of_self = nn.ParameterList(
            nn.Parameter(torch.randn(channels, width) / math.sqrt(channels))
            for index, width in zip(kept, widths, strict=True)
            if index is not None
        )
        self.of_elements = nn.Linear(elements, widths[0])
        self.of_squares = nn.Linear(n_gated * channels, widths[0], bias=False) if n_gated else None
        self.activation, self.gate = nn.SiLU(), nn.SiLU()
        self.channels = channels

    def forward(
        self,
        features: Float[Tensor, "atoms components channels"],
        edges: Float[Tensor, "harmonics radial places"],
        around: Surroundings,
    ) -> Float[Tensor, "atoms new channels"]:
        """New features.

        Args:
            edges: products of radial functions and spherical harmonics.
        """
        sums = self.convolution(features, edges, around.table)
        own, weights = features.split(self.sizes, dim=1), iter(self.of_self)
        scalars, *others = (
            part if index is None else part + own[index] @ next(weights)
            for part, index in zip(sums, self.kept, strict=True)
        )
        scalars = scalars[:, 0] + self.of_elements(around.elements)
        if self.of_squares is None:
            return self.activation(scalars)[:, None]
        squares = torch.cat([other.square().mean(1) for other in others], 1)
        scalars, *gates = (scalars + self.of_squares(squares)).split(self.channels, dim=1)
        passed = [other * self.gate(gate)[:, None] for other, gate in zip(others, gates, strict=True)]
        return torch.cat([self.activation(scalars)[:, None], *passed], 1)
