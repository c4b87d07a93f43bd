"""Blocks of the fast energy network: densities of neighbours, messages, and products of Cartesian tensors on atoms.

Second derivatives of an energy, and losses of them, go through every operation on edges many times. So edges carry few
numbers here: radial functions R_k(r) without parameters and nine angular functions Y of the direction (1, r̂ and r̂r̂
without its trace). Sums over neighbours are products of small matrices, Yᵀ R, over blocks of edges; whatever is learned
acts on elements and atoms. These are the densities of atomic cluster expansions (R. Drautz, Phys. Rev. B 99, 014104
(2019)), followed by messages as in PaiNN (Schütt et al., ICML 2021) and TensorNet (Simeon and de Fabritiis, NeurIPS
2023).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.graph.energy_graph import EnergyGraph
from mlrim.nn.element_tables import N_NUMBERS, properties_by_number, radii_by_number
from mlrim.nn.repulsion import smooth_fade
from mlrim.nn.tensors import bounded, matrix_product, matrix_times_vector, vector_product

BLOCK = 8
"""Edges in a block: enough for fast products, few enough to leave little room unused."""
COMPONENTS = [1, 3, 5]
"""Angular functions of scalars, vectors and matrices."""
N_ANGULAR = sum(COMPONENTS)
OFF_DIAGONAL = ((0, 1), (1, 2), (2, 0))


class TensorChannels(NamedTuple):
    """Number of scalar, vector and matrix channels."""

    scalars: int
    vectors: int
    matrices: int


class AtomTensors(NamedTuple):
    """Features of atoms."""

    scalars: Float[Tensor, "atoms scalars"]
    vectors: Float[Tensor, "atoms 3 vectors"]
    matrices: Float[Tensor, "atoms 3 3 matrices"]


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
    radial: Float[Tensor, "slots functions"]
    angular: Float[Tensor, "blocks 9 room"]


class EdgeFunctions(nn.Module):
    """Radial and angular functions of edges, without parameters.

    Radial ones are Gaussians of the distance in units of the sum of two covalent radii, which see bonds of all
    elements alike, and Bessel functions of the distance; an envelope takes them to zero at the cut-off with three
    derivatives.

    Args:
        gaussians: number of functions of the reduced distance.
        waves: number of functions of the distance.
        cutoff: Å.
    """

    radii: Tensor
    centres: Tensor
    wave_numbers: Tensor
    to_angular: Tensor

    def __init__(self, gaussians: int, waves: int, cutoff: float) -> None:
        super().__init__()
        self.size, self.cutoff = gaussians + waves, cutoff
        self.register_buffer("radii", torch.tensor(radii_by_number(), dtype=torch.float32), persistent=False)
        centres = torch.linspace(0.6, 2.8, gaussians)
        self.inverse_width = 0.9 * (gaussians - 1) / 2.2
        self.register_buffer("centres", centres * self.inverse_width, persistent=False)
        self.register_buffer("wave_numbers", torch.arange(1, waves + 1) * (math.pi / cutoff), persistent=False)
        self.register_buffer("to_angular", _angular_coefficients(), persistent=False)

    def forward(self, graph: EnergyGraph, vectors: Float[Tensor, "edges 3"]) -> Surroundings:
        """The functions for the edges of a graph (Å)."""
        around = neighbourhoods(graph)
        unused = vectors.new_tensor([self.cutoff, 0, 0]).expand(len(around.sender), 3)
        slots = unused.index_copy(0, around.place, vectors)
        distance = slots.square().sum(1, keepdim=True).sqrt()
        touching = self.radii.index_select(0, around.elements.reshape(-1)).view(2, -1).sum(0)
        scale = (self.inverse_width / touching)[around.group_pair[around.block_group]].repeat_interleave(BLOCK)[:, None]
        gaussians = torch.exp(-(distance * scale - self.centres).square())
        waves = torch.sin(distance * self.wave_numbers) * (self.cutoff / (math.pi * distance))
        envelope = smooth_fade((distance - 0.4 * self.cutoff) / (0.6 * self.cutoff))
        radial = torch.cat([gaussians, waves], 1) * envelope
        direction = torch.cat([torch.ones_like(distance), slots / distance], 1)
        products = (direction[:, :, None] * direction[:, None, :]).flatten(1)
        angular = products @ self.to_angular
        return Surroundings(around, radial, angular.view(-1, BLOCK, N_ANGULAR).transpose(1, 2))


def _angular_coefficients() -> Float[Tensor, "16 9"]:
    """From products of (1, x, y, z) with itself to 1, x, y, z, xy, yz, zx, x² − y² and 2z² − x² − y²."""
    found = torch.zeros(4, 4, N_ANGULAR)
    found[0, 0, 0] = 1
    for axis in range(3):
        found[0, axis + 1, axis + 1] = 1
    for k, (a, b) in enumerate(OFF_DIAGONAL):
        found[a + 1, b + 1, 4 + k] = 1
    found[1:, 1:, 7] = torch.diag(torch.tensor([1.0, -1.0, 0.0]))
    found[1:, 1:, 8] = torch.diag(torch.tensor([-1.0, -1.0, 2.0]))
    return found.reshape(16, N_ANGULAR)


def _matrix_coefficients() -> Float[Tensor, "9 5"]:
    """From the last five angular functions to the matrix 3/2 r̂r̂ − 1/2; all numbers are exact in every precision."""
    found = torch.zeros(3, 3, 5)
    for k, (a, b) in enumerate(OFF_DIAGONAL):
        found[a, b, k] = found[b, a, k] = 1.5
    found[:, :, 3] = torch.diag(torch.tensor([0.75, -0.75, 0.0]))
    found[:, :, 4] = torch.diag(torch.tensor([-0.25, -0.25, 0.5]))
    return found.reshape(9, 5)


class ElementPairs(nn.Module):
    """Learned numbers of ordered pairs of elements, from properties and an embedding of each.

    They do not depend on positions, so that this network costs next to nothing however large it is.
    """

    properties: Tensor

    def __init__(self, features: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        properties = torch.tensor(properties_by_number(), dtype=torch.float32)
        self.register_buffer("properties", properties, persistent=False)
        self.embedding = nn.Embedding(N_NUMBERS, features)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.of_properties = nn.Linear(properties.shape[1], features)
        self.network = nn.Sequential(
            nn.Linear(2 * features, hidden), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(hidden, outputs),
        )  # fmt: skip

    def of_elements(self, numbers: Int[Tensor, "*n"]) -> Float[Tensor, "*n features"]:
        """Features of single elements."""
        return self.embedding(numbers) + self.of_properties(self.properties[numbers])

    def forward(self, elements: Int[Tensor, "2 pairs"]) -> Float[Tensor, "pairs outputs"]:
        """The numbers of each pair."""
        first, second = self.of_elements(elements)
        return self.network(torch.cat([first, second], -1))


class Densities(nn.Module):
    """Sums over neighbours of radial times angular functions, with weights that pairs of elements set.

    Args:
        channels: of the sums.
        functions: number of radial functions.
    """

    def __init__(self, channels: TensorChannels, functions: int) -> None:
        super().__init__()
        self.radial = nn.ParameterList(
            nn.Parameter(torch.randn(functions, channel) / functions**0.5) for channel in channels
        )

    def forward(
        self, edges: Surroundings, weights: Float[Tensor, "pairs channels"], n_atoms: int
    ) -> list[Float[Tensor, "atoms _ _"]]:
        """The sums for scalars (1 component), vectors (3) and matrices (5)."""
        around = edges.around
        blocks = torch.bmm(edges.angular, edges.radial.view(len(around.block_group), BLOCK, -1))
        sums = blocks.new_zeros(len(around.group_receiver), *blocks.shape[1:]).index_add(0, around.block_group, blocks)
        of_groups = weights.index_select(0, around.group_pair)[:, None]
        parts = zip(
            sums.split(COMPONENTS, 1), self.radial, of_groups.split([len(r.T) for r in self.radial], 2), strict=True
        )
        return [
            _sum_to(torch.matmul(part, radial) * weight, around.group_receiver, n_atoms)
            for part, radial, weight in parts
        ]


class Messages(nn.Module):
    """Sums over neighbours of their scalars times filters of the distance and angular functions."""

    def __init__(self, scalars: int, channels: TensorChannels, functions: int) -> None:
        super().__init__()
        self.channels = channels
        self.send = nn.Linear(scalars, sum(channels))
        self.filters = nn.Linear(functions, sum(channels), bias=False)

    def forward(self, edges: Surroundings, scalars: Float[Tensor, "atoms scalars"]) -> list[Float[Tensor, "atoms _ _"]]:
        """The sums for scalars (1 component), vectors (3) and matrices (5)."""
        around = edges.around
        sent = self.send(scalars).index_select(0, around.sender) * self.filters(edges.radial)
        parts = sent.view(len(around.block_group), BLOCK, -1).split(self.channels, 2)
        receiver = around.group_receiver[around.block_group]
        angular = edges.angular.split(COMPONENTS, 1)
        return [_sum_to(torch.bmm(*part), receiver, len(scalars)) for part in zip(angular, parts, strict=True)]


def _sum_to(values: Tensor, target: Tensor, size: int) -> Tensor:
    return values.new_zeros(size, *values.shape[1:]).index_add(0, target, values)


class Update(nn.Module):
    """Scalars, vectors and matrices of atoms from sums over their neighbours and what they were.

    Args:
        scalars: number of scalars that atoms have.
        sums: channels of the sums.
        tensors: vectors and matrices of the atoms before.
        channels: of the atoms afterwards.
        hidden: width of the network.
        dropout: share of hidden units dropped while training.
    """

    matrices_of: Tensor

    def __init__(
        self, sums: TensorChannels, before: TensorChannels, channels: TensorChannels, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        _, n, m = self.channels = channels
        self.register_buffer("matrices_of", _matrix_coefficients(), persistent=False)
        self.mix_vectors = nn.Linear(sums.vectors + before.vectors, 2 * n + m, bias=False)
        self.mix_matrices = nn.Linear(sums.matrices + before.matrices, 2 * m, bias=False)
        invariants = 2 * n + 4 * m
        self.network = nn.Sequential(
            nn.Linear(before.scalars + sums.scalars + invariants, hidden), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(hidden, channels.scalars + 2 * n + 3 * m),
        )  # fmt: skip
        self.vector_product = nn.Linear(m, n, bias=False)

    def forward(self, state: AtomTensors, sums: list[Tensor]) -> AtomTensors:
        """The state after the sums are taken in."""
        _, n, m = self.channels
        size = len(state.scalars)
        vectors = bounded(torch.cat([state.vectors, sums[1]], 2))
        of_matrices = torch.matmul(self.matrices_of, sums[2]).view(size, 3, 3, -1)
        matrices = bounded(torch.cat([state.matrices, of_matrices], 3))
        v, w, u = self.mix_vectors(vectors).split([n, n, m], -1)
        t, s = self.mix_matrices(matrices).split([m, m], -1)
        tu, ts = matrix_times_vector(t, u), matrix_product(t, s)
        invariants = [
            (v * v).sum(1), (v * w).sum(1), (t * t).sum((1, 2)), (t * s).sum((1, 2)), (tu * u).sum(1),
            (ts * t).sum((1, 2)),
        ]  # fmt: skip
        change, *gates = self.network(torch.cat([state.scalars, sums[0][:, 0], *invariants], -1)).split(
            [self.channels.scalars, n, n, m, m, m], -1
        )
        keep_v, turn_v, keep_t, square_u, square_t = (gate[:, None] for gate in gates)
        return AtomTensors(
            state.scalars + change,
            keep_v * v + turn_v * self.vector_product(tu),
            keep_t[:, None] * t + square_u[:, None] * vector_product(u, u) + square_t[:, None] * ts,
        )
