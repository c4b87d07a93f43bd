"""What the networks share: from a crystal graph to learned states of its symmetry-inequivalent atoms.

Elements, SOAP, charge, coordination and response on atoms; radial basis, direction and rigid-ion blocks on edges;
continuous-filter layers. Directions and blocks are Cartesian tensors, so that everything is equivariant under rotations
and reflections.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.graph.crystal_graph import N_SITE_FEATURES, CrystalGraph
from mlrim.graph.descriptors import SOAP_SIZE
from mlrim.graph.elements import N_ELEMENTS, all_covalent_radii, element_properties
from mlrim.nn.message_passing import Channels, Environment, InteractionLayer, SiteState
from mlrim.nn.neighbour_sums import DirectionalSum
from mlrim.nn.pooling import sum_over_graphs
from mlrim.nn.radial import RadialBasis, smooth_switch
from mlrim.nn.tensors import traceless

N_BLOCK_INVARIANTS = 4
N_REDUCED = 12
"""Gaussians of the reduced distance."""


class SiteEncoder(nn.Module):
    """Base of the networks: learned scalars, vectors and matrices of every site.

    Args:
        channels: of an atom.
        layers: exchanges of messages.
        edge_features: size of the learned description of an edge.
        radial: number of radial functions.
        update_hidden: width of the update networks.
        cutoff: Å; must be that of the graphs.
        neighbours: typical number of neighbours within the cut-off.
        dropout: share of hidden units dropped while training.
    """

    def __init__(
        self,
        channels: Channels,
        layers: int,
        edge_features: int,
        radial: int,
        update_hidden: int,
        cutoff: float,
        neighbours: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.channels, self.cutoff = channels, cutoff
        self.radial = RadialBasis(radial, cutoff)
        self.site_embedding = SiteEmbedding(channels)
        self.edge_of_ends = nn.Linear(channels.scalars, 2 * edge_features, bias=False)
        self.n_pair_features = radial + N_REDUCED + 2 * N_BLOCK_INVARIANTS
        self.edge_of_distance = nn.Linear(self.n_pair_features, edge_features)
        self.edge_last = nn.Linear(edge_features, edge_features)
        self.layers = nn.ModuleList(
            InteractionLayer(channels, edge_features, update_hidden, index > 0, neighbours, dropout)
            for index in range(layers)
        )
        self.final_norm = nn.LayerNorm(channels.scalars)

    def encode(self, graph: CrystalGraph, context: Float[Tensor, "sites scalars"] | None = None) -> SiteState:
        """The states of a graph's sites.

        Args:
            context: what else is known of every site, added to its first scalars.
        """
        state = self.site_embedding(graph)
        if context is not None:
            state = state._replace(scalars=state.scalars + context)
        around = self._environment(graph, state)
        for layer in self.layers:
            state = layer(state, around)
        return state._replace(scalars=self.final_norm(state.scalars))

    def pooled(
        self, graph: CrystalGraph, context: Float[Tensor, "sites scalars"] | None = None
    ) -> Float[Tensor, "graphs scalars"]:
        """The average of the atoms' scalars of every crystal."""
        scalars = self.encode(graph, context).scalars.index_select(0, graph.atom_site)
        sums = sum_over_graphs(scalars, graph.atom_graph, len(graph.n_atoms))
        return sums / graph.n_atoms.to(sums.dtype)[:, None]

    def _environment(self, graph: CrystalGraph, state: SiteState) -> Environment:
        distance, direction = polar(graph.vector)
        sender_site = graph.atom_site[graph.sender]
        ends = self.edge_of_ends(state.scalars)
        first, second = ends.chunk(2, -1)
        reduced = reduced_distance(distance, graph.element[graph.receiver], graph.element[sender_site])
        features = self.pair_features(distance, reduced, direction, graph.baseline, graph.dipole)
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

    def pair_features(
        self,
        distance: Float[Tensor, "edges"],
        reduced: Float[Tensor, "edges"],
        direction: Float[Tensor, "edges 3"],
        *blocks: Float[Tensor, "edges 3 3"],
    ) -> Float[Tensor, "edges features"]:
        """Functions of the distances and invariants of the blocks of edges."""
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


def polar(vectors: Float[Tensor, "edges 3"]) -> tuple[Float[Tensor, "edges"], Float[Tensor, "edges 3"]]:
    """Lengths (Å) and directions."""
    distance = vectors.norm(dim=-1)
    return distance, vectors / distance[:, None]


def _norm(blocks: Float[Tensor, "edges 3 3"]) -> Float[Tensor, "edges"]:
    return (blocks * blocks).sum((1, 2)).sqrt()


def _compressed(matrices: Float[Tensor, "edges 3 3"]) -> Float[Tensor, "edges 3 3"]:
    """Matrices with their norm n replaced by asinh(10 n)/3."""
    norm = _norm(matrices).clamp(min=1e-9)
    return matrices * (torch.asinh(10 * norm) / (3 * norm))[:, None, None]
