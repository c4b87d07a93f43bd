"""What edges carry in the fast energy network: radial and angular functions without parameters, in blocks of edges."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.graph.energy_graph import EnergyGraph
from mlrim.nn.element_tables import N_NUMBERS, radii_by_number
from mlrim.nn.known_derivatives import apply_known, fade_derivatives, product_derivative

BLOCK = 8
"""Edges in a block: enough for fast products, few enough to leave little room unused."""
N_ANGULAR = 9
"""1, x, y, z, xy, yz, zx, x² − y², 2z² − x² − y² of a direction."""
OFF_DIAGONAL = ((0, 1), (1, 2), (2, 0))
CLOSEST, FARTHEST = 0.6, 2.8
"""Range of the Gaussians, in sums of two covalent radii."""
FADE_START = 0.4
"""Share of the cut-off where the envelope begins to fall."""


class Neighbourhoods(NamedTuple):
    """The edges of a graph, grouped by receiver and element of the sender, in blocks of one group each.

    Unused room in a block holds an edge to the first atom at the cut-off, where all radial functions vanish.
    """

    sender: Int[Tensor, "slots"]
    place: Int[Tensor, "edges"]
    """Slot of every edge."""
    block_group: Int[Tensor, "blocks"]
    group_receiver: Int[Tensor, "groups"]
    group_pair: Int[Tensor, "groups"]
    """Which of the pairs of elements."""
    elements: Int[Tensor, "2 pairs"]
    """Atomic numbers of receivers and senders of the pairs that occur."""


def neighbourhoods(graph: EnergyGraph) -> Neighbourhoods:
    """Sort the edges of a graph into groups and blocks."""
    kinds = graph.receiver * N_NUMBERS + graph.numbers.index_select(0, graph.sender)
    order = torch.argsort(kinds, stable=True)
    groups, counts = torch.unique_consecutive(kinds[order], return_counts=True)
    blocks = (counts + BLOCK - 1) // BLOCK
    first_slot = BLOCK * (torch.cumsum(blocks, 0) - blocks)
    first_edge = torch.cumsum(counts, 0) - counts
    places = torch.arange(len(order), device=order.device) + (first_slot - first_edge).repeat_interleave(counts)
    place = torch.empty_like(order).scatter_(0, order, places)
    block_group = torch.arange(len(groups), device=order.device).repeat_interleave(blocks)
    receiver = torch.div(groups, N_NUMBERS, rounding_mode="floor")
    codes = graph.numbers.index_select(0, receiver) * N_NUMBERS + groups % N_NUMBERS
    pairs, group_pair = torch.unique(codes, return_inverse=True)
    return Neighbourhoods(
        sender=place.new_zeros(len(block_group) * BLOCK).scatter_(0, place, graph.sender),
        place=place,
        block_group=block_group,
        group_receiver=receiver,
        group_pair=group_pair,
        elements=torch.stack([torch.div(pairs, N_NUMBERS, rounding_mode="floor"), pairs % N_NUMBERS]),
    )


class Surroundings(NamedTuple):
    """Functions of all edges, in blocks."""

    around: Neighbourhoods
    radial: Float[Tensor, "functions slots"]
    angular: Float[Tensor, "blocks 9 room"]


class EdgeFunctions(nn.Module):
    """Radial and angular functions of edges.

    Radial ones are Gaussians of the distance in units of the sum of two covalent radii, which see bonds of all
    elements alike, and Bessel functions of the distance; an envelope takes them to zero at the cut-off with three
    derivatives. Numbers of one edge are far apart in memory and those of neighbouring edges close, for speed.

    Args:
        gaussians: number of functions of the reduced distance.
        waves: number of functions of the distance.
        cutoff: Å.
    """

    radii: Tensor
    centres: Tensor
    wave_numbers: Tensor
    second_order: Tensor

    def __init__(self, gaussians: int, waves: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.inverse_width = 0.9 * (gaussians - 1) / (FARTHEST - CLOSEST)
        centres = torch.linspace(CLOSEST, FARTHEST, gaussians) * self.inverse_width
        wave_numbers = torch.arange(1, waves + 1) * (math.pi / cutoff)
        self.register_buffer("radii", torch.tensor(radii_by_number(), dtype=torch.float32), persistent=False)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("wave_numbers", wave_numbers, persistent=False)
        self.register_buffer("second_order", _second_order_coefficients(), persistent=False)

    def forward(self, graph: EnergyGraph, vectors: Float[Tensor, "edges 3"]) -> Surroundings:
        """The functions for the edges of a graph (Å)."""
        around = neighbourhoods(graph)
        unused = vectors.new_tensor([self.cutoff, 0, 0]).expand(len(around.sender), 3)
        slots = unused.index_copy(0, around.place, vectors).t().contiguous()
        distance = slots.square().sum(0).sqrt()
        radial = apply_known(
            radial_derivatives, distance, self._scale(around), self.centres, self.wave_numbers, self.cutoff
        )
        direction = slots / distance
        squares = self.second_order @ (direction[:, None] * direction).view(9, len(distance))
        angular = torch.cat([torch.ones_like(distance)[None], direction, squares])
        return Surroundings(around, radial, angular.view(N_ANGULAR, len(around.block_group), BLOCK).transpose(0, 1))

    def _scale(self, around: Neighbourhoods) -> Float[Tensor, "slots"]:
        touching = self.radii.index_select(0, around.elements.reshape(-1)).view(2, -1).sum(0)
        of_blocks = (self.inverse_width / touching)[around.group_pair[around.block_group]]
        return of_blocks.repeat_interleave(BLOCK)


def radial_derivatives(
    order: int,
    distance: Float[Tensor, "slots"],
    scale: Float[Tensor, "slots"],
    centres: Float[Tensor, "gaussians"],
    wave_numbers: Float[Tensor, "waves"],
    cutoff: float,
) -> Float[Tensor, "functions slots"]:
    """Derivatives of exp(−(scale·r − c)²) and sin(kr)·r_c/(πr), under the envelope, with respect to r (Å)."""
    gaussians, waves = _gaussians(order, distance, scale, centres), _waves(order, distance, wave_numbers, cutoff)
    fade = cutoff * (1 - FADE_START)
    envelope = fade_derivatives((distance - (cutoff - fade)) / fade, 1 / fade, order)
    return product_derivative([torch.cat(parts) for parts in zip(gaussians, waves, strict=True)], envelope)


def _gaussians(order: int, distance: Tensor, scale: Tensor, centres: Tensor) -> list[Tensor]:
    x = distance * scale - centres[:, None]
    found = [torch.exp(-x * x)]
    for n in range(1, order + 1):  # Hermite's recursion
        last = x * found[-1]
        found.append(-2 * scale * (last + (n - 1) * scale * found[-2] if n > 1 else last))
    return found


def _waves(order: int, distance: Tensor, wave_numbers: Tensor, cutoff: float) -> list[Tensor]:
    k = wave_numbers[:, None]
    sine, cosine = torch.sin(k * distance), torch.cos(k * distance)
    cycle = (sine, cosine, -sine, -cosine)
    inverse, height = 1 / distance, cutoff / math.pi
    found = [height * sine * inverse]
    for n in range(1, order + 1):  # from r f = height · sin(kr)
        found.append((height * k**n * cycle[n % 4] - n * found[-1]) * inverse)
    return found


def _second_order_coefficients() -> Float[Tensor, "5 9"]:
    """From products of two of x, y, z to the last five angular functions."""
    found = torch.zeros(5, 3, 3)
    for k, (a, b) in enumerate(OFF_DIAGONAL):
        found[k, a, b] = 1
    found[3] = torch.diag(torch.tensor([1.0, -1.0, 0.0]))
    found[4] = torch.diag(torch.tensor([-1.0, -1.0, 2.0]))
    return found.reshape(5, 9)
