"""The training sets of the experiment on silicon, from the labels of LAMMPS, and the error of D(q) over the zone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex
from numpy import ndarray

from benchmarks.silicon_labels import EXACT_SUPERCELL, LABEL_SUPERCELL, SiliconLabels, repeated
from datamodules.energy_samples import CellForceConstants, CrystalEnergies, Reading, cell_sample
from mlrim.derivatives.bloch import supercell_force_constants
from mlrim.graph.energy_graph import periodic_graph
from mlrim.graph.energy_labels import LabelledGraph, unlabelled
from mlrim.lattice.commensurate_cells import commensurate_cells, fold_onto
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.lattice.supercell import Supercell
from mlrim.nn.atomic_energies import AtomicEnergies
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.internal_modes import internal_modes, translations

ZONE_MESH = 5
"""The error is a mean over the wave vectors of as many cells along each axis."""


class TrainingSet(NamedTuple):
    """What one network is trained on; every batch is drawn from both parts."""

    displaced: list[LabelledGraph]
    """Displaced cells with energies and forces."""
    cells: list[LabelledGraph]
    """Perfect cells with their Hessians."""


class ZoneError(NamedTuple):
    """How wrong a dynamical matrix is, on average over the zone."""

    frequency: float
    """Mean |Δω| of all modes, cm⁻¹."""
    norm: float
    """Mean of ‖ΔD‖/‖D‖ (Fang et al., arXiv:2403.11347)."""
    worst: float
    """Largest |Δω|, cm⁻¹."""


ARMS = {
    "1×1×1": "energies and forces of displaced cells of 2 atoms",
    "2×2×2": "of displaced cells of 16 atoms",
    "3×3×3": "of displaced cells of 54 atoms",
    "1×1×1 + own Hessians": "cells of 2 atoms, each with its own 6 × 6 Hessian",
    "1×1×1 + Hessian": "cells of 2 atoms, and the Hessian of the perfect crystal at the wave vectors of 3×3×3",
}


def training_set(labels: SiliconLabels, arm: str, configurations: int, first: int, cutoff: float) -> TrainingSet:
    """Some configurations of one arm of the experiment, counted from `first`."""
    size = int(arm[0])
    chosen = range(first, first + configurations)
    displaced = [_displaced_sample(labels, size, index, cutoff, arm.endswith("own Hessians")) for index in chosen]
    return TrainingSet(displaced, perfect_cells(labels, cutoff) if arm.endswith("+ Hessian") else [])


def _displaced_sample(labels: SiliconLabels, size: int, index: int, cutoff: float, with_hessian: bool) -> LabelledGraph:
    """One configuration; its energy counts from that of the perfect crystal."""
    perfect, known = repeated(size).to_crystal(), labels.displaced[size]
    crystal = Crystal(perfect.lattice, known.positions[index], perfect.numbers, perfect.masses)
    graph = periodic_graph(crystal, cutoff, torch.float32)
    sample = unlabelled(graph, _float(crystal.masses))
    energy = known.energies[index] - size**3 * labels.energy
    found = sample.labels._replace(energy=_float([energy]), forces=_float(known.forces[index]))
    if with_hessian:
        hessian = labels.hessians[index]
        masses = crystal.masses
        frequencies, eigenvectors = internal_modes(hessian, masses, translations(masses))
        found = found._replace(
            hessian=[_float(hessian)],
            rest=[torch.zeros(hessian.shape)],
            eigenvectors=[_float(eigenvectors)],
            frequencies=[_float(frequencies)],
        )
    return sample._replace(labels=found)


def perfect_cells(labels: SiliconLabels, cutoff: float) -> list[LabelledGraph]:
    """The smallest cells of the wave vectors of 3×3×3, of 2 or 6 atoms, with exact Hessians."""
    supercell = repeated(LABEL_SUPERCELL)
    cells = []
    for chosen in commensurate_cells(supercell):
        cell = Supercell(supercell.crystal, chosen.matrix)
        target = fold_onto(labels.label_force_constants, supercell, cell)
        cells.append(CellForceConstants(chosen.matrix, target, np.zeros_like(target)))
    energies = CrystalEnergies(supercell.crystal, tuple(cells), None)
    return [cell_sample(energies, index, Reading(cutoff)) for index in range(len(cells))]


def zone() -> Supercell:
    """The supercell whose wave vectors the error is a mean over; of those that are trained on it holds Γ alone."""
    return repeated(ZONE_MESH)


def truth(labels: SiliconLabels) -> LatticeDynamics:
    """LAMMPS at any wave vector."""
    return LatticeDynamics.from_supercell(labels.exact_force_constants, repeated(EXACT_SUPERCELL))


def predicted(model: AtomicEnergies) -> LatticeDynamics:
    """The network in double precision; exact at the wave vectors of `zone`."""
    energy = model.double().eval()
    return LatticeDynamics.from_supercell(supercell_force_constants(energy, zone(), model.cutoff), zone())


def zone_error(found: Complex[ndarray, "qpoints rows rows"], exact: Complex[ndarray, "qpoints rows rows"]) -> ZoneError:
    """Compare dynamical matrices (eV/Å²/amu)."""
    frequencies, expected = (
        frequencies_from_eigenvalues(np.linalg.eigvalsh(matrices)) * THZ_TO_CM1 for matrices in (found, exact)
    )
    shifts = np.abs(frequencies - expected)
    norms = np.linalg.norm(found - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))
    return ZoneError(float(shifts.mean()), float(norms.mean()), float(shifts.max()))


def _float(values: ndarray | Sequence[float]) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
