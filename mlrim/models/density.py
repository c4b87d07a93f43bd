"""The density network: phonon densities of states straight from the structure.

Every atom distributes its three states over bins of frequency, so that densities are positive, add up to three states
per atom, and come with the part of every element; they rise with ω² from zero, as acoustic modes make them do.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.structure_graph import StructureGraph
from mlrim.nn.element_embedding import Embedding
from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.nn.message_passing import Channels
from mlrim.nn.pooling import sum_over_graphs
from mlrim.nn.structure_encoder import StructureEncoder

STATES_PER_ATOM = 3


class DensityModel(nn.Module):
    """States of every atom in bins of frequency.

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
        embedding: what an element is to the network.
        dropout: share of hidden units dropped while training.
        bins: number of bins.
        highest: upper edge of the last bin, cm⁻¹.
        bend: frequency above which bins widen, cm⁻¹.
    """

    def __init__(
        self,
        scalars: Annotated[int, AtLeast(1)] = 96,
        vectors: Annotated[int, AtLeast(1)] = 32,
        matrices: Annotated[int, AtLeast(1)] = 16,
        layers: Annotated[int, AtLeast(1)] = 3,
        edge_features: Annotated[int, AtLeast(1)] = 48,
        radial: Annotated[int, AtLeast(1)] = 12,
        update_hidden: Annotated[int, AtLeast(1)] = 192,
        head_hidden: Annotated[int, AtLeast(1)] = 192,
        cutoff: Annotated[float, Above(1)] = 5.0,
        neighbours: float = 30.0,
        embedding: Embedding = "learned_and_properties",
        dropout: Annotated[float, AtLeast(0)] = 0.0,
        bins: Annotated[int, AtLeast(8)] = 128,
        highest: Annotated[float, Above(0)] = 4000.0,
        bend: Annotated[float, Above(0)] = 500.0,
    ) -> None:
        super().__init__()
        channels = Channels(scalars, vectors, matrices)
        self.cutoff = cutoff
        self.encoder = StructureEncoder(
            channels, layers, edge_features, radial, update_hidden, cutoff, neighbours, embedding, dropout
        )
        self.grid = FrequencyGrid(bins, highest, bend)
        self.head = nn.Sequential(
            nn.Linear(2 * scalars, head_hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(head_hidden, head_hidden),
            nn.SiLU(),
            nn.Linear(head_hidden, bins + 1),
        )

    def forward(self, graph: StructureGraph) -> Float[Tensor, "atoms bins"]:
        """States of every atom in every bin; three in all."""
        state = self.encoder(graph, self.encoder.geometry(graph)).scalars
        atom_graph, n_graphs = graph.atom_graph, len(graph.n_atoms)
        sizes = graph.n_atoms.to(state.dtype)[:, None]
        mean = sum_over_graphs(state, atom_graph, n_graphs) / sizes
        answer = self.head(torch.cat([state, mean.index_select(0, atom_graph)], -1))
        logits, onset = answer[:, :-1], answer[:, -1:]
        centres = self.grid.centres.to(state.dtype)
        # ω²/(ω² + ω₀²) times the width of the bin, ω₀ about 100 cm⁻¹ at the start
        squares = (centres / 100).square()
        rise = torch.log(squares / (squares + torch.exp(onset))) + torch.log(self.grid.widths.to(state.dtype))
        return STATES_PER_ATOM * torch.softmax(logits + rise, -1)

    def total(self, graph: StructureGraph) -> Float[Tensor, "graphs bins"]:
        """States of every cell in every bin; three for each atom."""
        return sum_over_graphs(self(graph), graph.atom_graph, len(graph.n_atoms))
