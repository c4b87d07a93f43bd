"""The modes network: frequencies straight from the structure, through virtual force constants.

Blocks on pairs (i, j, R) are predicted and Fourier-transformed to D(q); only its eigenvalues are ever compared with
data, so that the blocks need no labels, and are no force constants: eigenvectors of D(q) are not to be trusted. As D(q)
is Hermitian, obeys the sum rule and is a smooth function of q, frequencies are real, acoustic modes start from exactly
zero, and whole dispersions come out.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.structure_graph import StructureGraph
from mlrim.nn.dynamical import both_directions, dynamical_matrices, eigenvalues, one_direction
from mlrim.nn.element_embedding import Embedding
from mlrim.nn.message_passing import Channels
from mlrim.nn.pair_head import PairGeometry, PairHead
from mlrim.nn.structure_encoder import StructureEncoder

LOG_SCALE = (1.0, -4.0, 0.5, 0.0, 0.0)
"""ln of a block's typical magnitude (eV/Å²) as a polynomial in x − 1 with the reduced distance x; learned further."""


class ModesModel(nn.Module):
    """ω² at any wave vectors from virtual force constants.

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
        head_hidden: Annotated[int, AtLeast(1)] = 128,
        cutoff: Annotated[float, Above(1)] = 5.0,
        neighbours: float = 30.0,
        embedding: Embedding = "learned_and_properties",
        dropout: Annotated[float, AtLeast(0)] = 0.0,
    ) -> None:
        super().__init__()
        channels = Channels(scalars, vectors, matrices)
        self.cutoff = cutoff
        self.encoder = StructureEncoder(
            channels, layers, edge_features, radial, update_hidden, cutoff, neighbours, embedding, dropout
        )
        self.head = PairHead(channels, self.encoder.n_edge_features, head_hidden, dropout=dropout)
        self.log_scale = nn.Parameter(torch.tensor(LOG_SCALE))

    def forward(self, graph: StructureGraph) -> Float[Tensor, "edges 3 3"]:
        """Virtual force constants on the edges, eV/Å², symmetric and the same for both directions of a pair."""
        edges = self.encoder.geometry(graph)
        state = self.encoder(graph, edges)
        half = one_direction(graph)
        powers = torch.arange(len(self.log_scale), device=half.device)
        reduced, envelope = edges.reduced.index_select(0, half), edges.envelope.index_select(0, half)
        log_scale = ((reduced[:, None] - 1) ** powers) @ self.log_scale
        pairs = PairGeometry(
            graph.receiver.index_select(0, half),
            graph.sender.index_select(0, half),
            edges.direction.index_select(0, half),
            edges.features.index_select(0, half),
            envelope * torch.exp(log_scale),
            envelope,
        )
        return both_directions(self.head(state, pairs), graph, half)

    def squared_frequencies(
        self, graph: StructureGraph, qpoints: Float[Tensor, "graphs qpoints 3"] | None = None
    ) -> list[Float[Tensor, "_ _"]]:
        """ω² of every crystal (qpoints, modes), ascending, eV/Å²/amu; at Γ when no wave vectors are given."""
        groups = dynamical_matrices(self(graph), graph, qpoints)
        return eigenvalues(groups, graph.masses if qpoints is None else None)
