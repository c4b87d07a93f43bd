"""Densities of states from atoms: every atom distributes its three states over bins of frequency.

Densities are therefore positive, add up to three states per atom, and come with the part of every element; they rise
with ω² from zero, as acoustic modes make them do.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.nn.pooling import with_mean
from mlrim.nn.three_layers import three_layers

STATES_PER_ATOM = 3
RISE, DECAY = 100.0, 150.0
"""Before training densities rise with ω² up to the first and fall like exp(−ω/second) then, cm⁻¹."""


class DensityHead(nn.Module):
    """States of every atom in bins of frequency.

    Args:
        scalars: size of an atom's scalars.
        hidden: width of the network.
        dropout: share of hidden units dropped while training.
        grid: the bins.
    """

    def __init__(self, scalars: int, hidden: int, dropout: float, grid: FrequencyGrid) -> None:
        super().__init__()
        self.grid = grid
        self.network = three_layers(2 * scalars, hidden, len(grid) + 1, dropout)

    def forward(
        self, scalars: Float[Tensor, "atoms scalars"], atom_graph: Int[Tensor, "atoms"], n_atoms: Int[Tensor, "graphs"]
    ) -> Float[Tensor, "atoms bins"]:
        """States of every atom in every bin; three in all."""
        answer = self.network(with_mean(scalars, atom_graph, n_atoms))
        logits, onset = answer[:, :-1], answer[:, -1:]
        centres = self.grid.centres.to(scalars.dtype)
        squares = (centres / RISE).square()
        rise = torch.log(squares / (squares + torch.exp(onset)))  # ω²/(ω² + ω₀²)
        before = rise - centres / DECAY + torch.log(self.grid.widths.to(scalars.dtype))
        return STATES_PER_ATOM * torch.softmax(logits + before, -1)
