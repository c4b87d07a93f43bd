"""Spectra from atoms: every atom contributes a positive amount of intensity, distributed over bins of frequency.

Intensities are therefore positive and add up like atoms do: a supercell has the spectrum of its primitive cell.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.nn.pooling import sum_over_graphs, with_mean
from mlrim.nn.three_layers import three_layers

LARGEST_LOG = 20.0
"""Bound on the logarithm of an atom's intensity."""
DECAY = 300.0
"""Before training spectra fall like exp(−ω/DECAY), cm⁻¹."""


class Spectrum(NamedTuple):
    """A spectrum of every crystal of a batch."""

    shares: Float[Tensor, "graphs bins"]
    """Part of the intensity in each bin; they sum to one."""
    intensity: Float[Tensor, "graphs"]
    """Of all bins, per atom."""


class SpectrumHead(nn.Module):
    """A powder spectrum in bins of frequency.

    Args:
        scalars: size of an atom's scalars.
        hidden: width of the network.
        dropout: share of hidden units dropped while training.
        grid: the bins.
        scale: typical intensity of an atom.
    """

    def __init__(self, scalars: int, hidden: int, dropout: float, grid: FrequencyGrid, scale: float) -> None:
        super().__init__()
        self.grid, self.scale = grid, scale
        self.network = three_layers(2 * scalars, hidden, len(grid) + 1, dropout)

    def forward(
        self, scalars: Float[Tensor, "atoms scalars"], atom_graph: Int[Tensor, "atoms"], n_atoms: Int[Tensor, "graphs"]
    ) -> Spectrum:
        """The spectra of all crystals."""
        answer = self.network(with_mean(scalars, atom_graph, n_atoms))
        amount = self.scale * torch.exp(answer[:, -1].clamp(-LARGEST_LOG, LARGEST_LOG))
        before = torch.log(self.grid.widths) - self.grid.centres / DECAY
        logits = answer[:, :-1] + before.to(scalars.dtype)
        summed = sum_over_graphs(amount[:, None] * torch.softmax(logits, -1), atom_graph, len(n_atoms))
        total = summed.sum(-1)
        return Spectrum(summed / total[:, None], total / n_atoms.to(total.dtype))
