"""From a record to what energies are trained on: small cells with their Hessians, and displaced supercells.

For Γ and some other wave vectors of a record's supercell there is a smallest cell in which they are commensurate; the
force constants folded onto it are its exact Hessian (`mlrim.lattice.commensurate_cells`). What is not learned is taken
out in the same cell. Graphs and modes are made when a sample is read: that costs less than reading them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from datamodules.records import Record
from mlrim.graph.energy_graph import EnergyGraph, periodic_graph
from mlrim.graph.energy_labels import LabelledGraph, unlabelled
from mlrim.lattice.commensurate_cells import CommensurateCell, commensurate_cells, dense_hessian, fold_onto
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import symmetrize_compact
from mlrim.lattice.supercell import Supercell
from mlrim.rim.background import background_of, harmonic_forces
from mlrim.vibrations.internal_modes import internal_modes, translations

ENERGY_SAMPLE_VERSION = 1
"""Raised whenever samples made before would differ."""


@dataclass(frozen=True)
class EnergySettings:
    """Everything that stored samples depend on besides the record; graphs are made later, for any cut-off.

    Attributes:
        background: parts that are not learned, see `mlrim.rim.background`.
        label: level of theory that is learned.
        wave_cells: cells of other wave vectors kept for each crystal besides the primitive cell.
        max_cells: primitive cells in the largest of them.
        max_cell_atoms: atoms in the largest of them.
        displaced: displaced supercells kept for each crystal.
    """

    background: tuple[str, ...] = ("dipole",)
    label: str = "dft"
    wave_cells: int = 4
    max_cells: int = 4
    max_cell_atoms: int = 40
    displaced: int = 0


class CellForceConstants(NamedTuple):
    """Force constants in one cell; compact, eV/Å²."""

    matrix: Int[ndarray, "3 3"]
    """Of the cell as a `Supercell`."""
    target: Float[ndarray, "atoms images 3 3"]
    """What the network must give."""
    rest: Float[ndarray, "atoms images 3 3"]
    """What is not learned."""


class DisplacedForces(NamedTuple):
    """Displaced supercells of the source; canonical order."""

    matrix: Int[ndarray, "3 3"]
    displacements: Float[ndarray, "displaced images 3"]
    """Å"""
    forces: Float[ndarray, "displaced images 3"]
    """What the network must give, eV/Å."""


class CrystalEnergies(NamedTuple):
    """What a record tells about an energy."""

    crystal: Crystal
    cells: tuple[CellForceConstants, ...]
    """The primitive cell first."""
    displaced: DisplacedForces | None


@dataclass(frozen=True)
class Reading:
    """How a stored sample becomes a graph with labels.

    Attributes:
        cutoff: Å.
        stationary: the forces of reference structures are zero.
        unstressed: the stress of reference structures is zero.
        source: number of the data set.
    """

    cutoff: float
    stationary: bool = True
    unstressed: bool = False
    source: int = 0


def make_energy_samples(record: Record, settings: EnergySettings, reading: Reading) -> list[LabelledGraph]:
    """All samples of a record: the primitive cell, cells of other wave vectors, displaced supercells; float32.

    Raises:
        UserError: the record lacks the label, or a background is not known.
    """
    energies = crystal_energies(record, settings)
    shown = 0 if energies.displaced is None else len(energies.displaced.forces)
    cells = [cell_sample(energies, index, reading) for index in range(len(energies.cells))]
    return cells + [displaced_sample(energies, index, reading) for index in range(shown)]


def crystal_energies(record: Record, settings: EnergySettings) -> CrystalEnergies:
    """The force constants and forces of a record without the parts that are not learned; errors as above."""
    supercell, total = record.supercell, record.compact(settings.label)
    background = background_of(
        settings.background, record.crystal, record.born_charges, record.dielectric, record.features.get("charge")
    )
    rest = background.folded(supercell)
    cells = []
    for chosen in chosen_cells(record, settings):
        cell = Supercell(record.crystal, chosen.matrix)
        parts = (fold_onto(part, supercell, cell) for part in (total - rest, rest))
        cells.append(CellForceConstants(chosen.matrix, *parts))
    return CrystalEnergies(record.crystal, tuple(cells), _displaced_forces(record, rest, settings.displaced))


def chosen_cells(record: Record, settings: EnergySettings) -> list[CommensurateCell]:
    """The primitive cell and, chosen by the record's id, some of the cells that other wave vectors fit."""
    gamma, *others = commensurate_cells(record.supercell, settings.max_cells)
    others = [cell for cell in others if cell.n_cells * record.crystal.n_atoms <= settings.max_cell_atoms]
    order = np.random.default_rng(list(record.id.encode())).permutation(len(others))[: settings.wave_cells]
    return [gamma, *(others[index] for index in order)]


def _displaced_forces(record: Record, rest: Float[ndarray, "atoms images 3 3"], count: int) -> DisplacedForces | None:
    if count == 0 or record.displacements is None or record.forces is None:
        return None
    generator = np.random.default_rng([1, *record.id.encode()])
    chosen = np.sort(generator.permutation(len(record.displacements))[:count])
    displacements = record.displacements[chosen].astype(float)
    known = np.stack([harmonic_forces(rest, record.supercell, moved) for moved in displacements])
    return DisplacedForces(np.asarray(record.supercell_matrix), displacements, record.forces[chosen] - known)


def cell_sample(energies: CrystalEnergies, index: int, reading: Reading) -> LabelledGraph:
    """The sample of one of the cells at its reference geometry, float32."""
    matrix, target, rest = energies.cells[index]
    cell = Supercell(energies.crystal, matrix)
    hessian, known = (dense_hessian(symmetrize_compact(part.astype(float), cell), cell) for part in (target, rest))
    masses = np.repeat(energies.crystal.masses, cell.n_cells)
    frequencies, eigenvectors = internal_modes(hessian + known, masses, translations(masses))
    sample = _sample(cell.to_crystal(), reading)
    return sample._replace(
        labels=sample.labels._replace(
            forces=torch.zeros_like(sample.labels.forces) if reading.stationary else sample.labels.forces,
            stress=torch.zeros_like(sample.labels.stress) if reading.unstressed else sample.labels.stress,
            hessian=[_float(hessian)],
            rest=[_float(known)],
            eigenvectors=[_float(eigenvectors)],
            frequencies=[_float(frequencies)],
        )
    )


def displaced_sample(energies: CrystalEnergies, index: int, reading: Reading) -> LabelledGraph:
    """The sample of one of the displaced supercells, float32."""
    if energies.displaced is None:
        raise IndexError(f"no displaced supercells were kept of {energies.crystal.reduced_formula}")
    matrix, displacements, forces = energies.displaced
    perfect = Supercell(energies.crystal, matrix).to_crystal()
    moved = Crystal(perfect.lattice, perfect.positions + displacements[index], perfect.numbers, perfect.masses)
    sample = _sample(moved, reading)
    return sample._replace(labels=sample.labels._replace(forces=_float(forces[index])))


def _sample(crystal: Crystal, reading: Reading) -> LabelledGraph:
    graph: EnergyGraph = periodic_graph(crystal, reading.cutoff, torch.float32)
    return unlabelled(graph, _float(crystal.masses), reading.source)


def _float(array: ndarray) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float32)


def arrays_of(energies: CrystalEnergies) -> dict[str, ndarray]:
    """Named arrays that hold everything."""
    crystal = energies.crystal
    arrays = {name: getattr(crystal, name) for name in ("lattice", "positions", "numbers", "masses")}
    for index, cell in enumerate(energies.cells):
        arrays |= {f"cell{index}.{name}": array for name, array in cell._asdict().items()}
    if energies.displaced is not None:
        arrays |= {f"displaced.{name}": array for name, array in energies.displaced._asdict().items()}
    return arrays


def energies_of(arrays: dict[str, ndarray]) -> CrystalEnergies:
    """The inverse of `arrays_of`."""
    crystal = Crystal(*(arrays[name] for name in ("lattice", "positions", "numbers", "masses")))
    n_cells = sum(name.endswith(".target") for name in arrays)
    cells = tuple(CellForceConstants(*_parts(arrays, f"cell{index}", CellForceConstants)) for index in range(n_cells))
    stored = "displaced.forces" in arrays
    return CrystalEnergies(
        crystal, cells, DisplacedForces(*_parts(arrays, "displaced", DisplacedForces)) if stored else None
    )


def _parts(arrays: dict[str, ndarray], prefix: str, kind: type) -> Sequence[ndarray]:
    return [arrays[f"{prefix}.{name}"] for name in kind._fields]  # type: ignore[attr-defined]
