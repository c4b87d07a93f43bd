"""Silicon of Stillinger and Weber with all labels, for the tests of training on Hessians."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import EnergyGraph, molecular_graph, periodic_graph
from mlrim.graph.energy_labels import LabelledGraph, unlabelled
from mlrim.lattice.crystal import Crystal
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.tasks.probes import ProbeMixture
from mlrim.units import SQRT_EIGENVALUE_TO_CM1
from tests.lattice.crystals import zincblende

Energy = Callable[[EnergyGraph], Tensor]


def silicon(noise: float = 0.0, seed: int = 0, masses: tuple[float, float] = (28.0855, 12.0)) -> Crystal:
    """Two atoms of different masses, moved at random."""
    ideal = zincblende(5.431, (14, 14))
    moved = ideal.positions + noise * np.random.default_rng(seed).normal(size=(2, 3))
    return Crystal(ideal.lattice, moved, ideal.numbers, np.array(masses))


def doubled(crystal: Crystal) -> Crystal:
    """Two cells along the first lattice vector."""
    lattice = crystal.lattice * np.array([[2.0], [1], [1]])
    positions = np.concatenate([crystal.positions, crystal.positions + crystal.lattice[0]])
    return Crystal(lattice, positions, np.tile(crystal.numbers, 2), np.tile(crystal.masses, 2))


def labelled(crystal: Crystal, energy: Energy | None = None, cutoff: float = 3.8) -> LabelledGraph:
    """A crystal with the energy, forces, stress and Hessian of a teacher."""
    energy = energy or StillingerWeber()
    return with_labels(unlabelled(periodic_graph(crystal, cutoff), torch.tensor(crystal.masses)), energy)


def molecule(energy: Energy | None = None, cutoff: float = 3.8) -> LabelledGraph:
    """Three atoms in the vacuum."""
    positions = np.array([[0, 0, 0], [2.3, 0, 0.1], [0.2, 2.4, 0.1]])
    graph = molecular_graph(np.array([14, 14, 14]), positions, cutoff)
    return with_labels(unlabelled(graph, torch.tensor([28.0, 12.0, 28.0])), energy or StillingerWeber())


def with_labels(sample: LabelledGraph, energy: Energy) -> LabelledGraph:
    """One graph with all labels."""
    graph, labels = sample
    periodic = bool(graph.periodic.all())
    result = differentiate(energy, graph, stress=periodic)
    (hessian,) = result.hessian()
    frequencies, eigenvectors = vibrations(hessian, labels.masses)
    return sample._replace(
        labels=labels._replace(
            energy=result.energy,
            forces=result.forces,
            stress=result.stress if periodic else labels.stress,
            hessian=[hessian],
            rest=[torch.zeros_like(hessian)],
            eigenvectors=[eigenvectors],
            frequencies=[frequencies],
        )
    )


def vibrations(hessian: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies (cm⁻¹) and mass-weighted eigenvectors without translations."""
    roots = masses.sqrt().repeat_interleave(3)
    translations = torch.eye(3, dtype=roots.dtype).repeat(len(masses), 1) * roots[:, None] / masses.sum().sqrt()
    inner = torch.linalg.qr(translations, mode="complete").Q[:, 3:]
    eigenvalues, vectors = torch.linalg.eigh(inner.T @ (hessian / (roots[:, None] * roots)) @ inner)
    return eigenvalues.sign() * eigenvalues.abs().sqrt() * SQRT_EIGENVALUE_TO_CM1, inner @ vectors


def without_hessian(sample: LabelledGraph) -> LabelledGraph:
    """The same with energy, forces and stress alone."""
    nothing = sample.graph.positions.new_zeros(0, 0)
    labels = sample.labels._replace(
        hessian=[nothing], rest=[nothing], eigenvectors=[nothing], frequencies=[nothing.reshape(0)]
    )
    return sample._replace(labels=labels)


def weighted(matrix: Tensor, masses: Tensor) -> Tensor:
    """M^(−1/2) matrix M^(−1/2)."""
    roots = masses.sqrt().repeat_interleave(3)
    return matrix / (roots[:, None] * roots)


def only(kind: str, count: int = 1, **options: float) -> ProbeMixture:
    """Probes of one kind."""
    nothing = {"modes": 0.0, "columns": 0.0, "gaussian": 0.0, "rademacher": 0.0}
    return ProbeMixture(count, **(nothing | {kind: 1.0} | options))
