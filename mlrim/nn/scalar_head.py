"""Single numbers of a crystal, and whether it is stable, from the average over its atoms."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.pooling import softmax_over_graphs, sum_over_graphs
from mlrim.nn.three_layers import three_layers


class Scalars(NamedTuple):
    """What the head says of every crystal of a batch."""

    values: Float[Tensor, "graphs values"]
    """In their own units."""
    stability_logit: Float[Tensor, "graphs"]
    """Logarithm of the odds that no mode is imaginary."""


class ScalarHead(nn.Module):
    """Numbers that are means over atoms, whatever the choice of cell.

    Atoms are averaged twice, evenly and with learned weights, so that a single atom can decide.

    Args:
        scalars: size of an atom's scalars.
        hidden: width of the network.
        values: number of values.
        dropout: share of hidden units dropped while training.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, scalars: int, hidden: int, values: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.Linear(scalars, 1)
        self.network = three_layers(2 * scalars, hidden, values + 1, dropout)
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("deviation", torch.ones(values))

    def forward(
        self, scalars: Float[Tensor, "atoms scalars"], atom_graph: Int[Tensor, "atoms"], n_atoms: Int[Tensor, "graphs"]
    ) -> Scalars:
        """The numbers of all crystals."""
        count = len(n_atoms)
        even = sum_over_graphs(scalars, atom_graph, count) / n_atoms.to(scalars.dtype)[:, None]
        weights = softmax_over_graphs(self.attention(scalars)[:, 0], atom_graph, count)
        chosen = sum_over_graphs(scalars * weights[:, None], atom_graph, count)
        answer = self.network(torch.cat([even, chosen], -1))
        return Scalars(self.mean + self.deviation * answer[:, :-1], answer[:, -1])
