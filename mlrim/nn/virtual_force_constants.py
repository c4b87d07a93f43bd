"""Virtual force constants: blocks on pairs (i, j, R) of which only the eigenvalues of D(q) are compared with data.

As D(q) is Hermitian, obeys the sum rule and is a smooth function of q, frequencies are real or purely imaginary,
acoustic modes start from exactly zero, and whole dispersions come out. The blocks need no labels and are no force
constants: many sets of them have the same eigenvalues, and eigenvectors of D(q) are not to be trusted.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.graph.structure_graph import StructureGraph
from mlrim.nn.dynamical import both_directions, one_direction
from mlrim.nn.message_passing import Channels, SiteState
from mlrim.nn.pair_head import PairGeometry, PairHead
from mlrim.nn.structure_encoder import EdgeGeometry

LOG_SCALE = (1.0, -4.0, 0.5, 0.0, 0.0)
"""ln of a block's typical magnitude (eV/Å²) as a polynomial in x − 1 with the reduced distance x; learned further."""


class VirtualForceConstants(nn.Module):
    """Symmetric blocks on all edges, the same for both directions of a pair.

    Args:
        channels: of an atom.
        edge_features: size of an edge's features.
        hidden: width of the head.
        dropout: share of hidden units dropped while training.
    """

    def __init__(self, channels: Channels, edge_features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.head = PairHead(channels, edge_features, hidden, dropout=dropout)
        self.log_scale = nn.Parameter(torch.tensor(LOG_SCALE))

    def forward(self, state: SiteState, graph: StructureGraph, edges: EdgeGeometry) -> Float[Tensor, "edges 3 3"]:
        """Virtual force constants on the edges, eV/Å²."""
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
