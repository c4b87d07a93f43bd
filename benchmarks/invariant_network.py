"""A plain invariant network, for comparison: it reads distances alone and gives every atom three squared frequencies.

Nothing is built in: no dynamical matrix, no sum rule (three modes at Γ are not zero), no wave vectors. The architecture
is SchNet's (Schütt et al., J. Chem. Phys. 148, 241722, 2018).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.graph.structure_graph import StructureGraph
from mlrim.nn.element_embedding import ElementEmbedding
from mlrim.nn.neighbour_sums import sum_over_neighbours
from mlrim.nn.radial import RadialBasis, smooth_switch

SCALE = 0.3
"""Typical squared frequency, eV/Å²/amu."""


class InvariantNetwork(nn.Module):
    """Squared frequencies at Γ from distances.

    Args:
        width: channels of an atom.
        layers: exchanges of messages.
        radial: number of radial functions.
        cutoff: Å; must be that of the graphs.
        neighbours: typical number of neighbours within the cut-off.
    """

    def __init__(
        self, width: int = 160, layers: int = 4, radial: int = 24, cutoff: float = 5.0, neighbours: float = 30.0
    ) -> None:
        super().__init__()
        self.cutoff, self.scale = cutoff, neighbours**-0.5
        self.radial = RadialBasis(radial, cutoff)
        self.elements = ElementEmbedding("learned_and_properties", width)
        self.filters = nn.ModuleList(
            nn.Sequential(nn.Linear(radial, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(layers)
        )
        self.senders = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.updates = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(2 * width),
                nn.Linear(2 * width, width),
                nn.SiLU(),
                nn.Dropout(0.05),
                nn.Linear(width, width),
            )
            for _ in range(layers)
        )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 3))

    def forward(self, graph: StructureGraph) -> list[Float[Tensor, "_"]]:
        """ω² at Γ of every crystal, ascending, eV/Å²/amu."""
        n_atoms = len(graph.masses)
        state = self.elements(graph.element, graph.share, graph.constituent_atom, n_atoms)
        distance = graph.vector.norm(dim=-1)
        basis = self.radial(distance) * smooth_switch(distance, 0.5 * self.cutoff, self.cutoff)[:, None]
        for of_distance, of_sender, update in zip(self.filters, self.senders, self.updates, strict=True):
            messages = of_distance(basis) * of_sender(state).index_select(0, graph.sender)
            summed = self.scale * sum_over_neighbours(messages, graph.receiver, n_atoms)
            state = state + update(torch.cat([state, summed], -1))
        squares = SCALE * self.head(state)
        return [part.flatten().sort().values for part in squares.split(graph.n_atoms.tolist())]
