"""Imaginary modes: finding the most unstable one, and following it down to the phase it leads to.

The atoms of the smallest cell in which the mode is commensurate are moved along it as far as the energy falls, then
relaxed without symmetry; what symmetry has come out is found and kept in a last relaxation. Of degenerate modes several
directions are tried and the one of lowest energy is taken. The background of a potential stays that of the structure
from which the displacements are counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.derivatives.engine import Energy
from mlrim.errors import UserError
from mlrim.lattice.commensurate_cells import smallest_cell
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetric_rows import DIRECTIONS
from mlrim.lattice.symmetry import space_group
from mlrim.potentials.calculators import HarmonicBackground, PotentialCalculator
from mlrim.potentials.relaxation import relax_crystal
from mlrim.potentials.settings import RelaxationSettings
from mlrim.predictors import Predictor, require_energy
from mlrim.rim.background import background_hessian, short_range_background
from mlrim.structures import InputStructure, primitive_crystal
from mlrim.units import THZ_TO_CM1

UNSTABLE = -0.1
"""THz; modes below this are imaginary."""
MULTIPLES = (1, 2, 3, 4)
"""Denominators of the wave vectors that are looked at."""
AMPLITUDES = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])
"""Largest displacement (Å) along a mode that is tried."""
FOUND_SYMMETRY = 0.01
"""Å; atoms of a relaxed structure this close to a symmetric position are moved onto it."""


@dataclass(frozen=True, eq=False)
class Instability:
    """An imaginary mode, or several of the same frequency.

    Attributes:
        qpoint: in primitive reciprocal vectors.
        frequency: THz, negative.
        cell: the smallest cell in which the mode is commensurate.
        patterns: independent displacements of that cell's atoms (images), Å.
    """

    qpoint: Float[ndarray, "3"]
    frequency: float
    cell: Supercell
    patterns: Float[ndarray, "patterns images 3"]

    @property
    def description(self) -> str:
        """Frequency and wave vector."""
        place = " ".join(f"{component:.3g}" for component in self.qpoint)
        return f"{abs(self.frequency) * THZ_TO_CM1:.1f}i cm⁻¹ at q = ({place})"


@dataclass(frozen=True, eq=False)
class Transition:
    """The phase that an imaginary mode leads to.

    Attributes:
        crystal: its primitive cell, relaxed.
        energy_change: eV for each primitive cell of the unstable structure.
        largest_force: that remains, eV/Å.
        notes: what happened.
        warnings: what went wrong.
    """

    crystal: Crystal
    energy_change: float
    largest_force: float
    notes: list[str]
    warnings: list[str]


def most_unstable(dynamics: LatticeDynamics) -> Instability | None:
    """The mode with the lowest λ among the wave vectors of 2×2×2, 3×3×3 and 4×4×4 supercells; none if all are stable.

    The smaller cell is preferred where two wave vectors are equally unstable.
    """
    qpoints = searched_qpoints()
    values, vectors = np.linalg.eigh(dynamics.dynamical_matrices(qpoints))
    lowest = frequencies_from_eigenvalues(values[:, 0])
    if lowest.min() > UNSTABLE:
        return None
    chosen = int(np.flatnonzero(lowest < lowest.min() + 1e-3)[0])
    alike = np.abs(frequencies_from_eigenvalues(values[chosen]) - lowest[chosen]) < 1e-3
    cell = smallest_cell(dynamics.crystal, qpoints[chosen])
    patterns = real_patterns(vectors[chosen][:, alike], qpoints[chosen], cell)
    return Instability(qpoints[chosen], float(lowest[chosen]), cell, patterns)


def refuse_imaginary(dynamics: LatticeDynamics) -> None:
    """Raise UserError if a structure has imaginary modes; see `most_unstable`."""
    instability = most_unstable(dynamics)
    if instability is not None:
        raise UserError(
            f"the structure is not stable in this model: {instability.description}, and imaginary=error refuses that. "
            "Relax it first (relax=positions or cell), let a potential find the stable phase (imaginary=follow), or "
            "accept the modes (imaginary=warn)"
        )


def follow_structure(
    structure: InputStructure,
    predictor: Predictor,
    dynamics: LatticeDynamics,
    instability: Instability,
    settings: RelaxationSettings,
) -> InputStructure:
    """The structure that an imaginary mode of a prediction leads to, with notes on the way.

    Raises:
        UserError: the model has no energy, or the energy does not fall along the mode.
    """
    energy = require_energy(predictor, "imaginary=follow")
    transition = follow(energy.energy, instability, background_in(dynamics, energy.metadata), settings)
    return structure._replace(
        crystal=transition.crystal,
        notes=[*structure.notes, *transition.notes],
        warnings=[*structure.warnings, *transition.warnings],
    )


def background_in(dynamics: LatticeDynamics, metadata: Mapping[str, Any]) -> LatticeDynamics | None:
    """The parts of a prediction that were not learned, by the metadata of its potential; none without any."""
    names = metadata.get("background") or []
    if not names:
        return None
    crystal, dipole = dynamics.crystal, dynamics.dipole if "dipole" in names else None
    return LatticeDynamics(crystal, short_range_background(names, crystal, dipole), dipole)


def searched_qpoints() -> Float[ndarray, "qpoints 3"]:
    """One of every ±q pair that fits a 2×2×2, 3×3×3 or 4×4×4 supercell, those of small cells first."""
    found: dict[tuple[float, ...], Float[ndarray, "3"]] = {}
    for multiple in MULTIPLES:
        for integers in product(range(multiple), repeat=3):
            qpoint, opposite = (_in_zone(sign * np.array(integers) / multiple) for sign in (1, -1))
            if tuple(opposite) not in found:
                found.setdefault(tuple(qpoint), qpoint)
    return np.array(list(found.values()))


def _in_zone(qpoint: Float[ndarray, "3"]) -> Float[ndarray, "3"]:
    """The same modulo reciprocal lattice vectors, coordinates in (−½, ½]."""
    return np.round(qpoint - np.round(qpoint - 1e-9), 12) + 0.0


def real_patterns(
    vectors: Complex[ndarray, "components modes"], qpoint: Float[ndarray, "3"], cell: Supercell
) -> Float[ndarray, "patterns images 3"]:
    """Independent real displacements of a cell's atoms along modes, each with a largest displacement of one."""
    masses = np.repeat(cell.crystal.masses, 3)
    amplitudes = (vectors / np.sqrt(masses)[:, None]).T.reshape(-1, cell.crystal.n_atoms, 3)
    atoms, cells = np.divmod(np.arange(cell.n_atoms), cell.n_cells)
    phases = np.exp(2j * np.pi * ((cell.crystal.fractional[atoms] + cell.shifts[cells]) @ qpoint))
    waves = amplitudes[:, atoms] * phases[:, None]
    both = np.concatenate([waves.real, waves.imag]).reshape(2 * len(waves), -1)
    _, sizes, basis = np.linalg.svd(both, full_matrices=False)
    patterns = basis[sizes > 1e-6 * sizes[0]].reshape(-1, cell.n_atoms, 3)
    return patterns / np.linalg.norm(patterns, axis=2).max(axis=1)[:, None, None]


def follow(
    energy: Energy, instability: Instability, background: LatticeDynamics | None, settings: RelaxationSettings
) -> Transition:
    """Move along an imaginary mode, relax, and find the symmetry of what comes out.

    Args:
        background: the parts of the energy that were not learned, of the unstable structure; the cell is then kept.
        settings: `relax: cell` relaxes the cell too.

    Raises:
        UserError: the energy does not fall along the mode, or falls without end.
    """
    cell = instability.cell
    supercell = cell.to_crystal()
    harmonic = None if background is None else _harmonic(background, cell)
    calculator = PotentialCalculator(energy, harmonic)
    start = _energy(calculator, supercell, supercell.positions)
    displacement = best_displacement(calculator, supercell, instability.patterns)
    moved = Crystal(supercell.lattice, supercell.positions + displacement, supercell.numbers, supercell.masses)
    relaxed = RelaxationSettings(
        "cell" if settings.relax == "cell" and harmonic is None else "positions", settings.fmax, settings.max_steps
    )
    rough = relax_crystal(energy, moved, relaxed, space_group(moved, 1e-6), harmonic)
    if not rough.converged:
        raise UserError(
            f"the imaginary mode of {instability.description} leads to no minimum of the potential within max_steps="
            f"{settings.max_steps} (force {rough.largest_force:.1e} eV/Å, atoms moved by up to {rough.moved:.1f} Å): "
            "it may not have been trained on such structures. Use imaginary=warn, or another potential"
        )
    symmetric, _ = primitive_crystal(rough.crystal, FOUND_SYMMETRY)
    whole = _in_cell_of(symmetric, rough.crystal)
    final = relax_crystal(energy, whole, relaxed, space_group(whole), harmonic)
    crystal, _ = primitive_crystal(final.crystal)
    change = (_energy(calculator, final.crystal, final.crystal.positions) - start) / cell.n_cells
    before, after = space_group(cell.crystal), space_group(crystal)
    note = (
        f"followed the imaginary mode of {instability.description} from {before.symbol} to {after.symbol} "
        f"({after.number}), {crystal.n_atoms} atoms in the primitive cell: {1000 * change:+.2f} meV for each cell of "
        f"{cell.crystal.n_atoms} atoms; {final.description}"
    )
    return Transition(crystal, change, final.largest_force, [note], final.warnings)


def best_displacement(
    calculator: PotentialCalculator, crystal: Crystal, patterns: Float[ndarray, "patterns images 3"]
) -> Float[ndarray, "images 3"]:
    """The displacement of lowest energy among several directions in the space of some patterns, Å.

    Raises:
        UserError: none lowers the energy.
    """
    start = _energy(calculator, crystal, crystal.positions)
    best, lowest = None, start
    for direction, sign in product(_directions(patterns), (1, -1)):
        before = start
        for amplitude in sign * AMPLITUDES:
            value = _energy(calculator, crystal, crystal.positions + amplitude * direction)
            if value < lowest - 1e-9:
                best, lowest = amplitude * direction, value
            if value > before:
                break
            before = value
    if best is None:
        raise UserError(
            "the energy does not fall along the imaginary mode, although its second derivative is negative; "
            "use imaginary=warn"
        )
    return best


def _directions(patterns: Float[ndarray, "patterns images 3"]) -> list[Float[ndarray, "images 3"]]:
    """One pattern itself; of several the projections of simple displacements of single atoms, without repetitions."""
    flat = patterns.reshape(len(patterns), -1)
    orthonormal = np.linalg.qr(flat.T)[0]
    if len(patterns) == 1:
        return list(patterns)
    simple = DIRECTIONS[:7] / np.linalg.norm(DIRECTIONS[:7], axis=1, keepdims=True)
    strongest = np.argsort(-np.square(orthonormal).sum(axis=1).reshape(-1, 3).sum(axis=1), kind="stable")[:2]
    found: list[Float[ndarray, "components"]] = []
    for atom, direction in product(strongest, simple):
        projected = orthonormal @ (orthonormal[3 * atom : 3 * atom + 3].T @ direction)
        size = np.linalg.norm(projected)
        if size > 1e-3 and all(abs(projected @ other) < 0.999 * size for other in found):
            found.append(projected / size)
    shaped = [vector.reshape(-1, 3) for vector in found]
    return [vector / np.linalg.norm(vector, axis=1).max() for vector in shaped]


def _harmonic(background: LatticeDynamics, cell: Supercell) -> HarmonicBackground:
    return HarmonicBackground(cell.to_crystal().to_ase(), background_hessian(background, cell))


def _energy(calculator: PotentialCalculator, crystal: Crystal, positions: Float[ndarray, "atoms 3"]) -> float:
    atoms = crystal.to_ase()
    atoms.positions = positions
    return calculator.energy_alone(atoms)


def _in_cell_of(symmetric: Crystal, whole: Crystal) -> Crystal:
    """A symmetrised primitive crystal repeated into the cell, order and place of the crystal that it was made of."""
    difference = whole.positions[:, None] - symmetric.positions[None]
    nearest = np.round(difference @ symmetric.reciprocal.T)
    distance = np.linalg.norm(difference - nearest @ symmetric.lattice, axis=-1)
    distance[whole.numbers[:, None] != symmetric.numbers[None]] = np.inf
    partner = distance.argmin(axis=1)
    shifts = nearest[np.arange(len(partner)), partner]
    lattice = np.round(whole.lattice @ np.linalg.inv(symmetric.lattice)) @ symmetric.lattice
    return Crystal(lattice, symmetric.positions[partner] + shifts @ symmetric.lattice, whole.numbers, whole.masses)
