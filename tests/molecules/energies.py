"""An energy of molecules whose vibrations have closed formulas, and the molecules for it."""

import numpy as np
import torch
from ase import Atoms
from ase.io import write
from torch import Tensor, nn

from mlrim.derivatives.capabilities import ALL, Capabilities
from mlrim.graph.energy_graph import EnergyGraph, edge_vectors, sum_over_atoms

BOND = 1.09
CORNERS = np.array([(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)]) / np.sqrt(3)
STRETCH, TENSION = 30.0, 1.5
"""Force constants of C–H and H–H springs, eV/Å²."""


class CentralSprings(nn.Module):
    """Springs between all pairs of carbon with hydrogen and hydrogen with hydrogen, at rest in a tetrahedral CH4.

    λ(A1) = (k + 4k′)/m_H, λ(E) = k′/m_H (G. Herzberg, Infrared and Raman Spectra (1945), equation II,184).
    """

    capabilities = Capabilities("central_springs", ALL, hops=1)
    cutoff = 5.0

    def __init__(self, bond: float = BOND) -> None:
        super().__init__()
        self.bond = nn.Parameter(torch.tensor(bond, dtype=torch.float64))

    def forward(self, graph: EnergyGraph) -> Tensor:
        """Energy of each graph, eV."""
        distance = edge_vectors(graph).norm(dim=1)
        both = (graph.numbers[graph.receiver] == 1) & (graph.numbers[graph.sender] == 1)
        rest = torch.where(both, self.bond * np.sqrt(8 / 3), self.bond)
        energy = torch.where(both, TENSION, STRETCH) * (distance - rest) ** 2 / 4
        return sum_over_atoms(energy.new_zeros(len(graph.numbers)).index_add(0, graph.receiver, energy), graph)


def methane(bond: float = BOND) -> Atoms:
    """Tetrahedral CH4."""
    return Atoms("CH4", np.vstack([np.zeros(3), bond * CORNERS]))


class SpringPredictor:
    """The springs as a model with an energy."""

    description = "central springs"

    def __init__(self, **metadata) -> None:
        self.energy, self.metadata = CentralSprings(), metadata

    def __call__(self, crystal, known):
        raise AssertionError("a molecule is no crystal")


def xyz(path, atoms):
    """An extended XYZ file of atoms."""
    write(path, atoms, format="extxyz")
    return path
