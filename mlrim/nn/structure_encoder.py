"""From a bare structure to learned scalars, vectors and matrices of all its atoms.

The layers are those of `mlrim.nn.message_passing` without anything of a classical model: every atom is a site of its
own, and only elements, distances and directions come in.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.graph.structure_graph import StructureGraph
from mlrim.nn.element_embedding import ElementEmbedding, Embedding
from mlrim.nn.message_passing import Channels, Environment, InteractionLayer, SiteState
from mlrim.nn.neighbour_sums import DirectionalSum
from mlrim.nn.radial import RadialBasis, smooth_switch
from mlrim.nn.tensors import traceless

N_REDUCED = 12
"""Gaussians of the reduced distance."""


class EdgeGeometry(NamedTuple):
    """What the edges of a graph look like."""

    direction: Float[Tensor, "edges 3"]
    reduced: Float[Tensor, "edges"]
    """Distance over the sum of covalent radii, at most 4; about 1 for a bond."""
    features: Float[Tensor, "edges features"]
    """Functions of the distance; the same for both directions."""
    envelope: Float[Tensor, "edges"]
    """One at short distance, and smoothly zero at the cut-off."""


class StructureEncoder(nn.Module):
    """Learned states of all atoms.

    Args:
        channels: of an atom.
        layers: exchanges of messages.
        edge_features: size of the learned description of an edge.
        radial: number of radial functions.
        update_hidden: width of the update networks.
        cutoff: Å; must be that of the graphs.
        neighbours: typical number of neighbours within the cut-off.
        embedding: what an element is, see `mlrim.nn.element_embedding`.
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
        embedding: Embedding,
        dropout: float,
    ) -> None:
        super().__init__()
        self.channels, self.cutoff = channels, cutoff
        self.radial = RadialBasis(radial, cutoff)
        self.elements = ElementEmbedding(embedding, channels.scalars)
        self.edge_of_ends = nn.Linear(channels.scalars, 2 * edge_features, bias=False)
        self.n_edge_features = radial + N_REDUCED
        self.edge_of_distance = nn.Linear(self.n_edge_features, edge_features)
        self.edge_last = nn.Linear(edge_features, edge_features)
        self.layers = nn.ModuleList(
            InteractionLayer(
                channels, edge_features, update_hidden, index > 0, neighbours, dropout=dropout, baseline=False
            )
            for index in range(layers)
        )
        self.final_norm = nn.LayerNorm(channels.scalars)

    def forward(self, graph: StructureGraph, edges: EdgeGeometry) -> SiteState:
        """The states of a graph's atoms."""
        n_atoms = len(graph.masses)
        scalars = self.elements(graph.element, graph.share, graph.constituent_atom, n_atoms)
        state = SiteState(
            scalars,
            scalars.new_zeros(n_atoms, 3, self.channels.vectors),
            scalars.new_zeros(n_atoms, 3, 3, self.channels.matrices),
        )
        around = self._environment(graph, edges, scalars)
        for layer in self.layers:
            state = layer(state, around)
        return state._replace(scalars=self.final_norm(state.scalars))

    def geometry(self, graph: StructureGraph) -> EdgeGeometry:
        """Functions of the edges' vectors."""
        distance = graph.vector.norm(dim=-1)
        bond = graph.radii.index_select(0, graph.receiver) + graph.radii.index_select(0, graph.sender)
        reduced = 4 * torch.tanh(distance / (4 * bond))
        centres = torch.linspace(0.6, 2.8, N_REDUCED, dtype=reduced.dtype, device=reduced.device)
        gaussians = torch.exp(-(((reduced[:, None] - centres) / 0.2) ** 2))
        return EdgeGeometry(
            graph.vector / distance[:, None],
            reduced,
            torch.cat([self.radial(distance), gaussians], -1),
            smooth_switch(distance, self.cutoff - 1, self.cutoff),
        )

    def _environment(self, graph: StructureGraph, edges: EdgeGeometry, scalars: Tensor) -> Environment:
        first, second = self.edge_of_ends(scalars).chunk(2, -1)
        hidden = first.index_select(0, graph.receiver) + second.index_select(0, graph.sender)
        hidden = hidden + self.edge_of_distance(edges.features)
        hidden = nn.functional.silu(self.edge_last(nn.functional.silu(hidden)))
        distance = graph.vector.norm(dim=-1)
        twice = traceless(edges.direction[:, :, None] * edges.direction[:, None, :])
        return Environment(
            embedding=hidden * smooth_switch(distance, 0.5 * self.cutoff, self.cutoff)[:, None],
            receiver=graph.receiver,
            sender=graph.sender,
            sender_site=graph.sender,
            atom_site=None,
            atom_rotation=None,
            along_bond=DirectionalSum(edges.direction, graph.receiver, len(scalars)),
            along_bond_twice=DirectionalSum(twice, graph.receiver, len(scalars)),
            along_baseline=None,
        )
