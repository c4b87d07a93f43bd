"""What energies of networks have in common: a sum over atoms, their scale, the energies of free atoms, repulsion."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.derivatives.capabilities import Capabilities
from mlrim.graph.energy_graph import EnergyGraph, edge_vectors, sum_over_atoms
from mlrim.graph.energy_labels import LabelledGraph
from mlrim.nn.element_tables import N_NUMBERS
from mlrim.nn.repulsion import NuclearRepulsion


class EnergyStatistics(NamedTuple):
    """Figures of a training set that put the energies of a network on its scale."""

    reference_energies: list[float]
    """Of an atom of each element by atomic number, 119 of them, eV; zero where unknown."""
    scale: float
    """Energy that a displacement by 1 Å typically costs, eV."""
    neighbours: float
    """Mean number of neighbours within the cut-off."""


class AtomicEnergies(nn.Module):
    """Base of the networks: E = Σ_atoms (reference of the element + scale · learned energy) + repulsion of the nuclei.

    Subclasses give `atomic_energies` and a class attribute `capabilities`, of which each instance has its own with its
    hops; the module behind the last learned numbers is called `readout`.

    Args:
        cutoff: Å; must be that of the graphs.
        hops: how many pairs in a row lead to the farthest atom that an atom's energy depends on.
        repulsion: whether nuclei closer than the sum of their covalent radii repel each other by a known function.
    """

    capabilities: Capabilities
    reference_energies: Tensor
    scale: Tensor
    neighbours: Tensor

    def __init__(self, cutoff: float, hops: int, repulsion: bool) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.capabilities = replace(type(self).capabilities, hops=hops)
        self.repulsion = NuclearRepulsion() if repulsion else None
        self.register_buffer("reference_energies", torch.zeros(N_NUMBERS))
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("neighbours", torch.tensor(50.0))

    def set_statistics(self, statistics: EnergyStatistics) -> None:
        """Take over the figures of a training set; they are stored with the weights."""
        self.reference_energies.copy_(torch.tensor(statistics.reference_energies))
        self.scale.fill_(statistics.scale)
        self.neighbours.fill_(statistics.neighbours)

    def forward(self, graph: EnergyGraph) -> Float[Tensor, "graphs"]:
        """Energy of each graph, eV."""
        vectors = edge_vectors(graph)
        energies = self.scale * self.atomic_energies(graph, vectors)
        if self.repulsion is not None:
            energies = energies + self._repulsion(self.repulsion, graph, vectors)
        return sum_over_atoms(energies + self.reference_energies.index_select(0, graph.numbers), graph)

    def atomic_energies(self, graph: EnergyGraph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, "atoms"]:
        """Learned energy of each atom in units of `scale`; vectors lead from receivers to senders, Å."""
        raise NotImplementedError

    @staticmethod
    def _repulsion(repulsion: NuclearRepulsion, graph: EnergyGraph, vectors: Tensor) -> Tensor:
        """Half of its pairs' repulsion for each atom, eV; only pairs within reach are looked at."""
        first, second = (graph.numbers.index_select(0, atoms) for atoms in (graph.receiver, graph.sender))
        reach = repulsion.radii.index_select(0, first) + repulsion.radii.index_select(0, second)
        near = torch.nonzero(vectors.detach().square().sum(1) < reach**2)[:, 0]
        distance = vectors.index_select(0, near).square().sum(1).sqrt()
        pairs = repulsion(distance, first.index_select(0, near), second.index_select(0, near)) / 2
        return pairs.new_zeros(len(graph.numbers)).index_add_(0, graph.receiver.index_select(0, near), pairs)


def energy_statistics(samples: Iterable[LabelledGraph]) -> EnergyStatistics:
    """The figures of a training set.

    Energies of elements are the least-squares fit of the energies by the numbers of atoms. The scale is the typical
    curvature of the energy along the displacement of one atom (root mean square of the Hessians' diagonals) times
    1 Å², or without Hessians the root-mean-square force times 1 Å.
    """
    counts, energies, forces, curvatures = [], [], [np.zeros(0)], [np.zeros(0)]
    pairs = atoms = 0
    for graph, labels in samples:
        pairs, atoms = pairs + len(graph.receiver), atoms + len(graph.numbers)
        known = labels.energy.isfinite()
        counts.append(_element_counts(graph)[known].numpy())
        energies.append(labels.energy[known].double().numpy())
        forces.append(labels.forces[labels.forces.isfinite()].double().numpy())
        curvatures.extend(matrix.diagonal().double().numpy() for matrix in labels.hessian)
    return EnergyStatistics(
        reference_energies=_reference_energies(np.concatenate(counts), np.concatenate(energies)),
        scale=_root_mean_square(np.concatenate(curvatures)) or _root_mean_square(np.concatenate(forces)) or 1.0,
        neighbours=pairs / max(1, atoms),
    )


def _element_counts(graph: EnergyGraph) -> Int[Tensor, "graphs 119"]:
    cells = graph.atom_graph * N_NUMBERS + graph.numbers
    return torch.bincount(cells, minlength=len(graph.n_atoms) * N_NUMBERS).reshape(-1, N_NUMBERS)


def _reference_energies(counts: np.ndarray, energies: np.ndarray) -> list[float]:
    return (
        np.linalg.lstsq(counts.astype(np.float64), energies, rcond=None)[0].tolist()
        if len(energies)
        else [0.0] * N_NUMBERS
    )


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
