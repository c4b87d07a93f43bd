"""The Stillinger–Weber potential: a classical energy with pairs and angles, as an example of what energies look like.

Source: F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985); energy and length unit for silicon in eV and Å
as in LAMMPS' Si.sw. All its derivatives are continuous, at the cut-off too.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.derivatives.capabilities import ALL, Capabilities, declare
from mlrim.graph.energy_graph import EnergyGraph, edge_vectors, sum_over_atoms


class StillingerWeber(nn.Module):
    """E = Σ_pairs φ₂(r) + Σ_triples φ₃(r, r′, θ) of one element; silicon unless said otherwise.

    Args:
        epsilon: energy unit, eV.
        sigma: length unit, Å.
        strength: λ of the three-body term.
    """

    capabilities = declare(Capabilities("stillinger_weber", ALL, hops=1))

    pair_scale, pair_core, range, decay = 7.049556277, 0.6022245584, 1.80, 1.20
    """A, B, a and γ of the paper."""

    def __init__(self, epsilon: float = 2.1683, sigma: float = 2.0951, strength: float = 21.0) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.tensor(epsilon, dtype=torch.float64))
        self.sigma = nn.Parameter(torch.tensor(sigma, dtype=torch.float64))
        self.strength = nn.Parameter(torch.tensor(strength, dtype=torch.float64))

    @property
    def cutoff(self) -> float:
        """Å"""
        return self.range * float(self.sigma.detach())

    def forward(self, graph: EnergyGraph) -> Float[Tensor, "graphs"]:
        """Energy of each graph, eV; pairs of the graph beyond the cut-off do not matter."""
        vectors = edge_vectors(graph) / self.sigma
        near = vectors.detach().norm(dim=1) < self.range - 1e-3  # beyond, exp(1/(r − a)) is zero to every digit
        vectors, receiver = vectors[near], graph.receiver[near]
        distance = vectors.norm(dim=1)
        fade = 1 / (distance - self.range)
        pairs = self.pair_scale * (self.pair_core * distance**-4 - 1) * torch.exp(fade) / 2
        first, second = edges_at_one_atom(receiver)
        cosine = (vectors[first] * vectors[second]).sum(1) / (distance[first] * distance[second])
        triples = self.strength * torch.exp(self.decay * (fade[first] + fade[second])) * (cosine + 1 / 3) ** 2
        atoms = pairs.new_zeros(len(graph.numbers)).index_add_(0, receiver, pairs)
        atoms = atoms.index_add(0, receiver[first], triples)
        return self.epsilon * sum_over_atoms(atoms, graph)


def edges_at_one_atom(receiver: Int[Tensor, "edges"]) -> tuple[Int[Tensor, "triples"], Int[Tensor, "triples"]]:
    """All pairs of different edges with the same receiver, each once; receivers must ascend.

    >>> edges_at_one_atom(torch.tensor([0, 0, 0, 2]))
    (tensor([0, 0, 1]), tensor([1, 2, 2]))
    """
    edges = torch.arange(len(receiver), device=receiver.device)
    later = torch.searchsorted(receiver, receiver, right=True) - edges - 1
    first = edges.repeat_interleave(later)
    starts = torch.cumsum(later, 0) - later
    within = torch.arange(len(first), device=receiver.device) - starts.repeat_interleave(later)
    return first, first + 1 + within
