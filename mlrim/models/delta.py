"""The delta network: corrections to a classical model's force constants from the structure of a crystal.

The architecture of the ML-RIM paper (elements, SOAP, rigid-ion charge and coordination on atoms; radial basis,
direction and rigid-ion blocks on edges; four continuous-filter layers; three-layer heads) with directions and blocks
carried as Cartesian tensors, so that the network is equivariant under rotations and reflections.
"""

from typing import Annotated, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.crystal_graph import CUTOFF, N_SITE_FEATURES, CrystalGraph
from mlrim.graph.descriptors import SOAP_SIZE
from mlrim.graph.elements import N_ELEMENTS, all_covalent_radii, element_properties
from mlrim.nn.message_passing import Channels, Environment, InteractionLayer, SiteState, on_atoms
from mlrim.nn.neighbour_sums import DirectionalSum
from mlrim.nn.pair_head import PairGeometry, PairHead
from mlrim.nn.radial import RadialBasis, smooth_switch
from mlrim.nn.tensors import traceless

N_BLOCK_INVARIANTS = 4
N_REDUCED = 12
"""Gaussians of the reduced distance."""
DEFAULT_LOG_SCALE = (1.0, -4.0, 0.5, 0.0, 0.0)


class DeltaStatistics(NamedTuple):
    """Figures of a training set that put inputs and outputs on a common scale."""

    soap_mean: list[float]
    soap_deviation: list[float]
    log_scale: list[float]
    """ln of the mean block magnitude (eV/Å²) as a polynomial in x − 1, see `reduced_distance`."""


class DeltaModel(nn.Module):
    """3×3 corrections on all pairs (i, j, R) of a crystal within the cut-off.

    Args:
        scalars: scalar channels of an atom.
        vectors: vector channels of an atom.
        matrices: symmetric traceless matrix channels of an atom.
        layers: exchanges of messages.
        edge_features: size of the learned description of an edge.
        radial: number of radial functions.
        update_hidden: width of the update networks.
        head_hidden: width of the head.
        cutoff: Å; must be that of the graphs.
        neighbours: typical number of neighbours within the cut-off.
        dropout: share of hidden units dropped while training.
    """

    log_scale: Tensor

    def __init__(
        self,
        scalars: Annotated[int, AtLeast(1)] = 128,
        vectors: Annotated[int, AtLeast(1)] = 32,
        matrices: Annotated[int, AtLeast(1)] = 16,
        layers: Annotated[int, AtLeast(1)] = 4,
        edge_features: Annotated[int, AtLeast(1)] = 64,
        radial: Annotated[int, AtLeast(1)] = 16,
        update_hidden: Annotated[int, AtLeast(1)] = 288,
        head_hidden: Annotated[int, AtLeast(1)] = 256,
        cutoff: Annotated[float, Above(0)] = CUTOFF,
        neighbours: float = 60.0,
        dropout: Annotated[float, AtLeast(0)] = 0.0,
    ) -> None:
        super().__init__()
        channels = Channels(scalars, vectors, matrices)
        self.channels, self.cutoff = channels, cutoff
        self.radial = RadialBasis(radial, cutoff)
        self.site_embedding = SiteEmbedding(channels)
        self.edge_of_ends = nn.Linear(scalars, 2 * edge_features, bias=False)
        pair_features = radial + N_REDUCED + 2 * N_BLOCK_INVARIANTS
        self.edge_of_distance = nn.Linear(pair_features, edge_features)
        self.edge_last = nn.Linear(edge_features, edge_features)
        self.layers = nn.ModuleList(
            InteractionLayer(channels, edge_features, update_hidden, index > 0, neighbours, dropout)
            for index in range(layers)
        )
        self.final_norm = nn.LayerNorm(scalars)
        self.head = PairHead(channels, pair_features, head_hidden, dropout)
        self.register_buffer("log_scale", torch.tensor(DEFAULT_LOG_SCALE))

    def set_statistics(self, statistics: DeltaStatistics) -> None:
        """Take over the figures of a training set; they are stored with the weights."""
        self.site_embedding.soap_mean.copy_(torch.tensor(statistics.soap_mean))
        self.site_embedding.soap_deviation.copy_(torch.tensor(statistics.soap_deviation))
        self.log_scale.copy_(torch.tensor(statistics.log_scale))

    def forward(self, graph: CrystalGraph) -> Float[Tensor, "edges 3 3"]:
        """Corrections ΔΦ_ij(R) on the graph's edges, eV/Å²; the on-site blocks follow from the sum rule."""
        state = self.site_embedding(graph)
        around = self._environment(graph, state)
        for layer in self.layers:
            state = layer(state, around)
        state = state._replace(scalars=self.final_norm(state.scalars))
        atoms = on_atoms(state, graph.atom_site, graph.atom_rotation)
        return expand_to_edges(self.head(atoms, self._pairs(graph)), graph)

    def _environment(self, graph: CrystalGraph, state: SiteState) -> Environment:
        distance, direction = _polar(graph.vector)
        sender_site = graph.atom_site[graph.sender]
        ends = self.edge_of_ends(state.scalars)
        first, second = ends.chunk(2, -1)
        reduced = reduced_distance(distance, graph.element[graph.receiver], graph.element[sender_site])
        features = self._pair_features(distance, reduced, direction, graph.baseline, graph.dipole)
        hidden = first[graph.receiver] + second[sender_site] + self.edge_of_distance(features)
        hidden = nn.functional.silu(self.edge_last(nn.functional.silu(hidden)))
        n_sites = len(graph.element)
        return Environment(
            embedding=hidden * smooth_switch(distance, 0.5 * self.cutoff, self.cutoff)[:, None],
            receiver=graph.receiver,
            sender=graph.sender,
            sender_site=sender_site,
            atom_site=graph.atom_site,
            atom_rotation=graph.atom_rotation,
            along_bond=DirectionalSum(direction, graph.receiver, n_sites),
            along_bond_twice=DirectionalSum(
                traceless(direction[:, :, None] * direction[:, None, :]), graph.receiver, n_sites
            ),
            along_baseline=DirectionalSum(_compressed(traceless(graph.baseline)), graph.receiver, n_sites),
        )

    def _pairs(self, graph: CrystalGraph) -> PairGeometry:
        distance, direction = _polar(graph.pair_vector)
        envelope = smooth_switch(distance, self.cutoff - 1, self.cutoff)
        reduced = reduced_pair_distance(graph)
        powers = torch.arange(len(self.log_scale), device=reduced.device)
        log_scale = ((reduced[:, None] - 1) ** powers) @ self.log_scale
        return PairGeometry(
            i=graph.pair_i,
            j=graph.pair_j,
            direction=direction,
            features=self._pair_features(distance, reduced, direction, graph.pair_baseline, graph.pair_dipole),
            scale=envelope * torch.exp(log_scale),
            envelope=envelope,
            baseline=graph.pair_baseline,
            dipole=graph.pair_dipole,
        )

    def _pair_features(self, distance: Tensor, reduced: Tensor, direction: Tensor, *blocks: Tensor) -> Tensor:
        centres = torch.linspace(0.6, 2.8, N_REDUCED, dtype=reduced.dtype, device=reduced.device)
        gaussians = torch.exp(-(((reduced[:, None] - centres) / 0.2) ** 2))
        invariants = [block_invariants(block, direction) for block in blocks]
        return torch.cat([self.radial(distance), gaussians, *invariants], -1)


class SiteEmbedding(nn.Module):
    """First state of a site from its element, SOAP descriptor, charge, coordination and response."""

    properties: Tensor
    soap_mean: Tensor
    soap_deviation: Tensor

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        properties = torch.tensor(element_properties(), dtype=torch.float32)
        self.channels = channels
        self.element = nn.Embedding(N_ELEMENTS, channels.scalars)
        nn.init.normal_(self.element.weight, std=0.3)
        self.of_properties = nn.Linear(properties.shape[1] + N_SITE_FEATURES, channels.scalars)
        self.of_soap = nn.Linear(SOAP_SIZE, channels.scalars, bias=False)
        self.last = nn.Linear(channels.scalars, channels.scalars)
        self.of_born_charges = nn.Parameter(0.5 * torch.randn(channels.matrices))
        self.register_buffer("properties", properties, persistent=False)
        self.register_buffer("soap_mean", torch.zeros(SOAP_SIZE))
        self.register_buffer("soap_deviation", torch.ones(SOAP_SIZE))

    def forward(self, graph: CrystalGraph) -> SiteState:
        """The state before any message."""
        soap = ((graph.soap - self.soap_mean) / self.soap_deviation).clamp(-5, 5)
        hidden = self.element(graph.element) + self.of_soap(soap) * 0.3
        hidden = hidden + self.of_properties(torch.cat([self.properties[graph.element], graph.site_features], -1))
        n_sites = len(graph.element)
        matrices = graph.site_tensors[..., None] * self.of_born_charges
        return SiteState(
            hidden + self.last(nn.functional.silu(hidden)),
            hidden.new_zeros(n_sites, 3, self.channels.vectors),
            matrices,
        )


def expand_to_edges(blocks: Float[Tensor, "pairs 3 3"], graph: CrystalGraph) -> Float[Tensor, "edges 3 3"]:
    """Rotate the blocks of the representative pairs onto all edges."""
    chosen = blocks[graph.edge_pair]
    chosen = torch.where(graph.edge_reversed[:, None, None], chosen.transpose(1, 2), chosen)
    return torch.bmm(torch.bmm(graph.edge_rotation, chosen), graph.edge_rotation.transpose(1, 2))


def block_invariants(
    blocks: Float[Tensor, "edges 3 3"], direction: Float[Tensor, "edges 3"]
) -> Float[Tensor, "edges 4"]:
    """r̂ᵀBr̂, mean transverse part, norm and norm of the antisymmetric part of blocks, compressed."""
    along = torch.einsum("ea,eab,eb->e", direction, blocks, direction)
    across = (blocks.diagonal(dim1=1, dim2=2).sum(-1) - along) / 2
    antisymmetric = (blocks - blocks.transpose(1, 2)) / 2
    invariants = torch.stack([along, across, _norm(blocks), _norm(antisymmetric)], -1)
    return torch.asinh(10 * invariants) / 3


def reduced_distance(
    distance: Float[Tensor, "edges"], first: Int[Tensor, "edges"], second: Int[Tensor, "edges"]
) -> Float[Tensor, "edges"]:
    """x = 4 tanh(r / 4(R_i + R_j)) with the covalent radii R of two elements: about 1 for a bond, at most 4."""
    radii = torch.tensor(all_covalent_radii(), dtype=distance.dtype, device=distance.device)
    return 4 * torch.tanh(distance / (4 * (radii[first] + radii[second])))


def reduced_pair_distance(graph: CrystalGraph) -> Float[Tensor, "pairs"]:
    """The reduced distance of a graph's pairs."""
    element = graph.element[graph.atom_site]
    return reduced_distance(graph.pair_vector.norm(dim=-1), element[graph.pair_i], element[graph.pair_j])


def fit_log_scale(x: Float[np.ndarray, "pairs"], magnitude: Float[np.ndarray, "pairs"]) -> list[float]:
    """Polynomial ln|block|(x − 1) through the means of bins of the reduced distance x."""
    edges = np.linspace(0.6, 4.0, 35)
    place = np.digitize(x, edges)
    filled = [index for index in range(1, len(edges)) if (place == index).sum() >= 5]
    if not filled:
        return list(DEFAULT_LOG_SCALE)
    centres = [(edges[index - 1] + edges[index]) / 2 - 1 for index in filled]
    means = [np.log(max(magnitude[place == index].mean(), 1e-6)) for index in filled]
    degree = min(len(DEFAULT_LOG_SCALE) - 1, max(0, len(filled) // 3))
    fitted = np.polynomial.polynomial.polyfit(centres, means, degree)
    return np.pad(fitted, (0, len(DEFAULT_LOG_SCALE) - len(fitted))).tolist()


def _polar(vectors: Float[Tensor, "edges 3"]) -> tuple[Float[Tensor, "edges"], Float[Tensor, "edges 3"]]:
    distance = vectors.norm(dim=-1)
    return distance, vectors / distance[:, None]


def _norm(blocks: Float[Tensor, "edges 3 3"]) -> Float[Tensor, "edges"]:
    return (blocks * blocks).sum((1, 2)).sqrt()


def _compressed(matrices: Float[Tensor, "edges 3 3"]) -> Float[Tensor, "edges 3 3"]:
    """Matrices with their norm n replaced by asinh(10 n)/3."""
    norm = _norm(matrices).clamp(min=1e-9)
    return matrices * (torch.asinh(10 * norm) / (3 * norm))[:, None, None]
