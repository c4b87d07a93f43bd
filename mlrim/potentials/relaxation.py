"""Relaxing crystals with a potential, their space group kept, and telling how far from the minimum they are.

Forces and stress are averaged over the space group at every step, so that neither rounding nor the network can break
it. The background of a potential (see `mlrim.rim.background`) is counted from the stationary structure itself: there
it exerts no forces, and the forces of the network alone decide where that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import all_changes
from jaxtyping import Float
from numpy import ndarray

from mlrim.derivatives.capabilities import Derivative, require
from mlrim.derivatives.engine import Energy
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import SpaceGroup, space_group, symmetrize_tensor
from mlrim.potentials.calculators import HarmonicBackground, PotentialCalculator
from mlrim.potentials.settings import RelaxationSettings
from mlrim.predictors import EnergyPredictor
from mlrim.structures import InputStructure
from mlrim.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

if TYPE_CHECKING:
    from ase import Atoms

NOTICED_FORCE = 0.05
"""Forces above this (eV/Å) at the geometry of a prediction are warned of."""
NOTICED_STRESS = 3.0
"""The same for stress, GPa."""
LONGEST_STEP = 0.1
"""Å; of an atom in one step."""


@dataclass(frozen=True)
class Relaxation:
    """A crystal after relaxation.

    Attributes:
        crystal: relaxed; atoms in the order and lattice in the orientation of the start.
        relaxed: what was allowed to change, positions or cell.
        steps: how many were made.
        largest_force: that remains, eV/Å.
        stress: that remains, eV/Å³; none for models without stress or with a background.
        energy_change: eV per cell; negative.
        converged: whether forces (and stress, where the cell is relaxed) are as small as was asked for.
        moved: longest way of an atom, Å.
        volume_change: relative.
        warnings: what went wrong.
    """

    crystal: Crystal
    relaxed: str
    steps: int
    largest_force: float
    stress: Float[ndarray, "3 3"] | None
    energy_change: float
    converged: bool
    moved: float
    volume_change: float
    warnings: list[str] = field(default_factory=list)

    @property
    def description(self) -> str:
        """What happened, in one line."""
        what = "positions and cell" if self.relaxed == "cell" else "positions"
        volume = f", volume {100 * self.volume_change:+.2f} %" if self.relaxed == "cell" else ""
        return (
            f"relaxed {what} with the potential in {self.steps} steps: atoms moved by up to {self.moved:.3f} Å"
            f"{volume}; {residual(self.largest_force, self.stress)}"
        )


def residual(largest_force: float, stress: Float[ndarray, "3 3"] | None) -> str:
    """Forces and stress in words."""
    text = f"largest force {largest_force:.1e} eV/Å"
    if stress is None:
        return text
    return f"{text}, stress up to {np.abs(stress).max() * EV_PER_CUBIC_ANGSTROM_TO_GPA:.2g} GPa"


def at_rest(structure: InputStructure, predictor: EnergyPredictor, settings: RelaxationSettings) -> InputStructure:
    """A structure relaxed as the settings say; or as it is, with a note on its forces."""
    if settings.relax in (None, "none"):
        force, stress = forces_at(predictor.energy, structure.crystal)
        return structure._replace(
            notes=[*structure.notes, f"the potential at this geometry: {residual(force, stress)}"],
            warnings=[*structure.warnings, *off_the_minimum(force, stress)],
        )
    relaxation = relax_crystal(predictor.energy, structure.crystal, settings)
    return structure._replace(
        crystal=relaxation.crystal,
        notes=[*structure.notes, relaxation.description],
        warnings=[*structure.warnings, *relaxation.warnings],
    )


def relax_crystal(
    energy: Energy,
    crystal: Crystal,
    settings: RelaxationSettings,
    group: SpaceGroup | None = None,
    background: HarmonicBackground | None = None,
) -> Relaxation:
    """Relax positions, or positions and cell (`settings.relax`), until no force is larger than `settings.fmax`.

    Args:
        group: symmetry that is kept; that of the crystal by default.
        background: is added; only the positions can be relaxed then.

    Raises:
        UserError: the model has no forces, or no stress where the cell is to be relaxed.
    """
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    cell = settings.relax == "cell"
    if cell:
        require(energy, Derivative.STRESS)
    atoms = crystal.to_ase()
    atoms.calc = SymmetricCalculator(energy, space_group(crystal) if group is None else group, background)
    start = atoms.get_potential_energy()
    target: Any = FrechetCellFilter(atoms) if cell else atoms
    with BFGS(target, logfile=None, maxstep=LONGEST_STEP) as optimizer:
        converged = bool(optimizer.run(fmax=settings.fmax, steps=settings.max_steps))
    found = Crystal(atoms.cell.array, atoms.positions, crystal.numbers, crystal.masses)
    forces, stress = rest_forces(atoms)
    warnings = []
    if not converged:
        warnings.append(
            f"the relaxation stopped after {settings.max_steps} steps with forces up to {np.abs(forces).max():.1e} "
            f"eV/Å (fmax={settings.fmax:g}); allow more with max_steps=…"
        )
    straight = crystal.positions @ np.linalg.inv(crystal.lattice) @ found.lattice
    return Relaxation(
        crystal=found,
        relaxed="cell" if cell else "positions",
        steps=optimizer.nsteps,
        largest_force=float(np.linalg.norm(forces, axis=1).max()),
        stress=stress,
        energy_change=atoms.get_potential_energy() - start,
        converged=converged,
        moved=float(np.linalg.norm(found.positions - straight, axis=1).max()),
        volume_change=found.volume / crystal.volume - 1,
        warnings=warnings,
    )


def forces_at(energy: Energy, crystal: Crystal) -> tuple[float, Float[ndarray, "3 3"] | None]:
    """The largest force (eV/Å) on an atom of a crystal, and the stress (eV/Å³) of models that have one."""
    atoms = crystal.to_ase()
    atoms.calc = PotentialCalculator(energy)
    forces, stress = rest_forces(atoms)
    return float(np.linalg.norm(forces, axis=1).max()), stress


def rest_forces(atoms: "Atoms") -> tuple[Float[ndarray, "atoms 3"], Float[ndarray, "3 3"] | None]:
    """Forces (eV/Å), and stress (eV/Å³) where the calculator has it."""
    forces = atoms.get_forces()
    return forces, atoms.get_stress(voigt=False) if "stress" in atoms.calc.results else None


def off_the_minimum(largest_force: float, stress: Float[ndarray, "3 3"] | None) -> list[str]:
    """A warning where force constants are those of a structure that is not at rest."""
    if largest_force > NOTICED_FORCE:
        return [
            f"the potential exerts forces up to {largest_force:.2g} eV/Å on the atoms of this structure; frequencies "
            "belong to a minimum of the energy: relax the structure first with relax=positions or relax=cell"
        ]
    pressure = 0.0 if stress is None else float(np.abs(stress).max()) * EV_PER_CUBIC_ANGSTROM_TO_GPA
    if pressure > NOTICED_STRESS:
        return [
            f"the potential has a stress of {pressure:.1f} GPa in this cell; relax=cell finds its own lattice constants"
        ]
    return []


class SymmetricCalculator(PotentialCalculator):
    """A potential whose forces and stress are averaged over a space group."""

    def __init__(self, energy: Energy, group: SpaceGroup, background: HarmonicBackground | None = None) -> None:
        super().__init__(energy, background)
        self.group = group

    def calculate(
        self,
        atoms: "Atoms | None" = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """As without symmetry, then the average."""
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros_like(self.results["forces"])
        for rotation, permutation in zip(self.group.cartesian, self.group.permutations, strict=True):
            forces[permutation] += self.results["forces"] @ rotation.T
        self.results["forces"] = forces / len(self.group.cartesian)
        if "stress" in self.results:
            voigt = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
            stress = symmetrize_tensor(self.results["stress"][voigt], self.group)
            self.results["stress"] = stress.reshape(-1)[[0, 4, 8, 5, 2, 1]]
