"""Potentials as ASE calculators: molecular dynamics, relaxation, and everything else that ASE can do with forces."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from jaxtyping import Float, Int
from numpy import ndarray
from torch import nn

from mlrim.derivatives.capabilities import Derivative, capabilities_of, require
from mlrim.derivatives.engine import Energy, EnergyDerivatives, differentiate
from mlrim.errors import UserError
from mlrim.graph.energy_graph import EnergyGraph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import unsorted_pairs
from mlrim.models.potential_predictor import cutoff_of, precision_of

if TYPE_CHECKING:
    from ase import Atoms

    from mlrim.checkpoint import LoadedModel

SKIN = 0.5
"""Å; pairs are looked for again when an atom has moved by half of it."""


class HarmonicBackground(NamedTuple):
    """½ u·Φ·u of the displacements u from a reference structure: what a potential was trained on top of."""

    reference: "Atoms"
    hessian: Float[ndarray, "components components"]
    """Φ of the reference as the periodic cell it is, component 3·atom + axis, eV/Å²."""


class PotentialCalculator(Calculator):
    """Energy, forces and stress of a potential.

    Any number of directions may be periodic; stress needs all three. Volumes and numbers of atoms may change between
    calls.

    Args:
        energy: declares its capabilities and its `cutoff`; its parameters decide on precision and device.
        background: is added; its cell cannot change.
        skin: pairs this much (Å) beyond the cut-off are remembered, so that they need not be looked for at every step.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012  (as ASE declares it)
    nolabel = True

    def __init__(self, energy: Energy, background: HarmonicBackground | None = None, skin: float = SKIN) -> None:
        super().__init__()
        require(energy, Derivative.FORCES)
        self.energy, self.background = energy, background
        self.neighbours = NeighbourList(cutoff_of(energy), skin)

    def calculate(
        self,
        atoms: "Atoms | None" = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Everything at once: forces and stress cost little more than the energy.

        Raises:
            PropertyNotImplementedError: stress of something that is not periodic in three directions, or with a
                background.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        structure = _given(self.atoms)
        has_stress = bool(structure.pbc.all()) and self.background is None
        if "stress" in properties and not has_stress:
            reason = "of a harmonic background" if self.background is not None else "needs three periodic directions"
            raise PropertyNotImplementedError(f"stress {reason}")
        has_stress = has_stress and Derivative.STRESS in capabilities_of(self.energy).derivatives
        found = self._derivatives(structure, stress=has_stress)
        energy, forces = float(found.energy), found.forces.double().cpu().numpy()
        if self.background is not None:
            more = -(self.background.hessian @ self._displacements(structure).reshape(-1)).reshape(-1, 3)
            energy, forces = energy - float((more * self._displacements(structure)).sum()) / 2, forces + more
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if has_stress:
            self.results["stress"] = found.stress[0].double().cpu().numpy().reshape(-1)[[0, 4, 8, 5, 2, 1]]

    def energy_alone(self, atoms: "Atoms") -> float:
        """Energy without anything else, eV; for scans."""
        dtype, device = precision_of(self.energy)
        with torch.no_grad():
            energy = float(self.energy(self.neighbours.graph(atoms, dtype).to(device)))
        if self.background is None:
            return energy
        flat = self._displacements(atoms).reshape(-1)
        return energy + float(flat @ self.background.hessian @ flat) / 2

    def get_hessian(self, atoms: "Atoms | None" = None) -> Float[ndarray, "components components"]:
        """∂²E/∂r∂r, component 3·atom + axis, eV/Å²; all images of an atom move together."""
        structure = _given(atoms or self.atoms)
        hessian = self._derivatives(structure, stress=False).hessian()[0].double().cpu().numpy()
        return hessian if self.background is None else hessian + self.background.hessian

    @property
    def hessian(self) -> Float[ndarray, "components components"]:
        """That of the atoms of the last calculation."""
        return self.get_hessian()

    def _derivatives(self, atoms: "Atoms", stress: bool) -> EnergyDerivatives:
        dtype, device = precision_of(self.energy)
        return differentiate(self.energy, self.neighbours.graph(atoms, dtype).to(device), stress=stress)

    def _displacements(self, atoms: "Atoms") -> Float[ndarray, "atoms 3"]:
        """From the reference, by the shortest way."""
        from ase.geometry import find_mic

        background = self.background
        assert background is not None
        reference = background.reference
        same = len(atoms) == len(reference) and np.array_equal(atoms.numbers, reference.numbers)
        if not same or np.abs(atoms.cell.array - reference.cell.array).max() > 1e-8:
            raise UserError(
                "the harmonic background belongs to the reference structure: the same atoms in the same order, in the "
                "same cell. Make another calculator for another structure."
            )
        return find_mic(atoms.positions - reference.positions, reference.cell, reference.pbc)[0]


class NeighbourList:
    """The pairs of a structure that moves, looked for again only when they may have changed.

    Args:
        cutoff: Å.
        skin: Å beyond it.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        self.cutoff, self.skin = cutoff, skin
        self._atoms: Atoms | None = None
        self._pairs: tuple[Int[ndarray, "pairs"], Int[ndarray, "pairs"], Int[ndarray, "pairs 3"]]
        self.searches = 0

    def graph(self, atoms: "Atoms", dtype: torch.dtype) -> EnergyGraph:
        """The graph of a structure with exactly the pairs within the cut-off."""
        cell = periodic_cell(atoms, self.cutoff + self.skin)
        if not self._still_good(atoms):
            pairs = unsorted_pairs(Crystal(cell, atoms.positions, atoms.numbers), self.cutoff + self.skin)
            order = np.argsort(pairs.i, kind="stable")
            self._pairs, self._atoms = (pairs.i[order], pairs.j[order], pairs.shifts[order]), atoms.copy()
            self.searches += 1
        receiver, sender, shift = self._pairs
        vectors = atoms.positions[sender] + shift @ cell - atoms.positions[receiver]
        near = np.einsum("ea,ea->e", vectors, vectors) < self.cutoff**2
        periodic = bool(np.any(atoms.pbc))
        return EnergyGraph(
            numbers=torch.tensor(atoms.numbers, dtype=torch.int64),
            positions=torch.tensor(atoms.positions, dtype=dtype),
            cell=torch.tensor(cell if periodic else np.zeros((3, 3)), dtype=dtype)[None],
            receiver=torch.tensor(receiver[near]),
            sender=torch.tensor(sender[near]),
            shift=torch.tensor(shift[near]),
            n_atoms=torch.tensor([len(atoms)]),
            periodic=torch.tensor([periodic]),
            counted=torch.ones(len(atoms), dtype=torch.bool),
        )

    def _still_good(self, atoms: "Atoms") -> bool:
        """Whether no pair can have come within the cut-off that is not in the list."""
        old = self._atoms
        if old is None or len(old) != len(atoms) or not np.array_equal(old.pbc, atoms.pbc):
            return False
        if not np.array_equal(old.cell.array, atoms.cell.array) or not np.array_equal(old.numbers, atoms.numbers):
            return False
        moved = np.linalg.norm(atoms.positions - old.positions, axis=1)
        return bool(moved.max(initial=0.0) <= self.skin / 2) and (self.skin > 0 or not moved.any())


def periodic_cell(atoms: "Atoms", reach: float) -> Float[ndarray, "3 3"]:
    """A cell with the periodic vectors of a structure; along the others images are out of reach (Å)."""
    if atoms.pbc.all():
        return atoms.cell.array
    cell = atoms.cell.copy()
    cell[~atoms.pbc] = 0.0
    cell = cell.complete().array
    for axis in np.flatnonzero(~atoms.pbc):
        normal = cell[axis] / np.linalg.norm(cell[axis])
        along = atoms.positions @ normal
        cell[axis] = normal * (float(np.ptp(along)) + reach + 1.0)
    return cell


def as_ase_calculator(
    model: "str | Path | LoadedModel | Energy",
    *,
    reference: "Atoms | None" = None,
    background: Literal["model", "none"] = "model",
    born_charges: Float[ndarray, "atoms 3 3"] | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
    precision: Literal["double", "single"] = "double",
    device: str = "cpu",
    skin: float = SKIN,
) -> PotentialCalculator:
    """A potential as an ASE calculator.

    Potentials that were trained on top of a background (see `mlrim.rim.background`) need the stationary structure that
    displacements are counted from.

    Args:
        model: a checkpoint, an exported folder, what `load_model` returned, or any energy with a `cutoff` (Å).
        reference: the stationary structure, in the cell and with the atoms of the calculation.
        background: "none" leaves it out, which is right for relaxations to such a stationary structure.
        born_charges: of the reference, e; with `dielectric` for the dipole interaction. Without them that of the rigid
            ions.
        dielectric: ε∞.

    Raises:
        UserError: the checkpoint holds no energy, or a background without reference.
    """
    energy, names = _energy_and_background(model)
    if isinstance(energy, nn.Module):
        energy = (energy.double() if precision == "double" else energy.float()).to(device)
    if background == "none" or not names:
        return PotentialCalculator(energy, skin=skin)
    if reference is None:
        raise UserError(
            f"this potential was trained on top of {' and '.join(names)}, whose energy is ½u·Φ·u of displacements u "
            "from a stationary structure: give it as reference=…, or background='none' for the learned part alone"
        )
    from mlrim.lattice.supercell import Supercell
    from mlrim.rim.background import background_hessian, background_of

    crystal = Crystal.from_ase(reference)
    dynamics = background_of(names, crystal, born_charges, dielectric)
    hessian = background_hessian(dynamics, Supercell(crystal, np.eye(3, dtype=np.int64)))
    return PotentialCalculator(energy, HarmonicBackground(reference.copy(), hessian), skin)


def _energy_and_background(model: "str | Path | LoadedModel | Energy") -> tuple[Energy, list[str]]:
    from mlrim.checkpoint import POTENTIALS, LoadedModel, load_model

    if isinstance(model, str | Path):
        model = load_model(model, kind=POTENTIALS)
    if not isinstance(model, LoadedModel):
        return model, []
    return model.model, [str(name) for name in model.metadata.get("background", [])]


def _given(atoms: "Atoms | None") -> "Atoms":
    if atoms is None:
        raise UserError("the calculator has no atoms yet: atoms.calc = calculator")
    return atoms
