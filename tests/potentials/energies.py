"""Energies that the tests of predictions with potentials share: exact ones with known minima, small networks."""

import numpy as np
import torch
from torch import Tensor, nn

from mlrim.checkpoint import class_of
from mlrim.derivatives.capabilities import Capabilities, Derivative
from mlrim.graph.energy_graph import EnergyGraph, edge_vectors, sum_over_atoms
from mlrim.lattice.crystal import Crystal

SMALL = {
    "potential": {"channels": 4, "layers": 2, "cutoff": 4.0},
    "cartesian_potential": {
        "scalars": 8,
        "channels": 4,
        "messages": 4,
        "hidden": 8,
        "element_hidden": 8,
        "layers": 2,
        "cutoff": 4.0,
    },
}
"""Arguments of networks that are small enough for tests."""


def small_network(kind: str) -> nn.Module:
    """An untrained network, in double precision."""
    torch.manual_seed(0)
    return class_of(kind)(**SMALL[kind]).double().eval()


class CubicDoubleWell(nn.Module):
    """Anharmonic springs k|δ|²/2 + c Σδ⁴/4 between neighbours of a CsCl crystal; δ is their relative displacement.

    Relative to the ideal bond, so that minima are known in closed form. Springs between unlike and between equal
    atoms differ; the second are the same for both elements unless `second` is given for the element of `number`.

    Args:
        spacing: lattice constant, Å.
        unlike, alike, second: k and c (eV/Å², eV/Å⁴).
    """

    cutoff = 4.7

    def __init__(
        self,
        spacing: float = 4.0,
        unlike: tuple[float, float] = (-0.1, 1.0),
        alike: tuple[float, float] = (2.0, 0.0),
        second: tuple[float, float] | None = None,
        number: int = 17,
    ) -> None:
        super().__init__()
        without_stress = frozenset(Derivative) - {Derivative.STRESS}
        self.capabilities = Capabilities("double well", without_stress, hops=1)
        self.spacing, self.number = spacing, number
        springs = torch.tensor([unlike, alike, alike if second is None else second], dtype=torch.float64)
        self.springs = nn.Parameter(springs)

    def forward(self, graph: EnergyGraph) -> Tensor:
        vectors = edge_vectors(graph)
        ideal = torch.round(vectors.detach() / (self.spacing / 2)) * (self.spacing / 2)
        near = ideal.norm(dim=1) < 1.01 * self.spacing
        moved, receiver, sender = (vectors - ideal)[near], graph.receiver[near], graph.sender[near]
        same = (graph.numbers[receiver] == graph.numbers[sender]).long()
        kind = same * (1 + (graph.numbers[receiver] == self.number).long())
        stiffness, quartic = self.springs[kind].unbind(1)
        pairs = (stiffness * moved.square().sum(1) / 2 + quartic * moved.pow(4).sum(1) / 4) / 2
        return sum_over_atoms(pairs.new_zeros(len(graph.numbers)).index_add(0, receiver, pairs), graph)


def caesium_chloride_at(spacing: float = 4.0) -> Crystal:
    """The cubic crystal of these springs."""
    return Crystal.from_fractional(spacing * np.eye(3), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.array([55, 17]))
