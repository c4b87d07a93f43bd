"""The rigid-ion model: point charges plus short-range pair potentials, with an analytic Hessian.

E = ½ Σ q_i q_j e²/(4πε₀ r) + ½ Σ V_ij(r); the Coulomb part is an exact Ewald sum, the rest a vectorised pair sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.ewald import EnergyForcesStress, point_charge_energy_forces
from mlrim.lattice.force_constants import PairForceConstants, with_self_blocks
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.rim.charges import DEFAULT_SCALE, ionic_charges
from mlrim.rim.coulomb import near_reach, point_charge_tensors
from mlrim.rim.pair_potentials import PairInteraction
from mlrim.rim.supercell_pairs import pairs_to_images, summed_tensors, with_sum_rule, within
from mlrim.rim.transfer import (
    FORMAL_SOFTEST_RHO,
    SOFTEST_RHO,
    CovalentSprings,
    Springs,
    transferable_short_range,
)


@dataclass(frozen=True, eq=False)
class RigidIonModel:
    """Rigid ions in a crystal.

    Attributes:
        crystal: the cell at which everything is evaluated; it is never relaxed.
        charges: ionic charges, e, shape (atoms,).
        short_range: pair potentials between the atoms of this cell.
        springs: harmonic bonds at rest in this cell: they add to the force constants, not to forces or stress.
    """

    crystal: Crystal
    charges: Float[ndarray, "atoms"]
    short_range: PairInteraction
    springs: CovalentSprings | None = None

    def energy_forces_stress(self) -> EnergyForcesStress:
        """Energy (eV per cell), forces (eV/Å) and stress (1/V) ∂E/∂strain (eV/Å³)."""
        coulomb = point_charge_energy_forces(self.crystal, self.charges)
        pairs = pair_energy_forces_stress(self.crystal, self.short_range)
        return EnergyForcesStress(
            coulomb.energy + pairs.energy, coulomb.forces + pairs.forces, coulomb.stress + pairs.stress
        )

    def short_range_force_constants(self) -> PairForceConstants:
        """Force constants of pair potentials and springs, on-site blocks by the acoustic sum rule, eV/Å²."""
        return pair_force_constants(self.crystal, self.short_range, self.springs)

    def lattice_dynamics(
        self,
        born_charges: Float[ndarray, "atoms 3 3"] | None = None,
        dielectric: Float[ndarray, "3 3"] | None = None,
    ) -> LatticeDynamics:
        """The harmonic model; its long-range part comes from the ions' charges unless Z* and ε∞ are given."""
        if (born_charges is None) != (dielectric is None):
            raise ValueError("give both Born charges and the dielectric tensor, or neither")
        if born_charges is None or dielectric is None:
            born_charges = self.charges[:, None, None] * np.eye(3)
            dielectric = np.eye(3)
        dipole = DipoleInteraction(self.crystal, born_charges, dielectric)
        return LatticeDynamics(self.crystal, self.short_range_force_constants(), dipole)

    def supercell_force_constants(self, supercell: Supercell) -> Float[ndarray, "atoms images 3 3"]:
        """Total force constants in a supercell of the crystal, compact and in canonical order, eV/Å²."""
        pairs = pairs_to_images(supercell, max(self.short_range.cutoff, near_reach(supercell)))
        tensors = point_charge_tensors(supercell, self.charges, pairs)
        pairs = within(pairs, self.short_range.cutoff)
        stiffness = _pair_stiffness(self.short_range, self.springs, pairs.i, pairs.j, np.sqrt(pairs.squares))
        bend = (stiffness.longitudinal - stiffness.transverse) / pairs.squares
        tensors += summed_tensors(supercell, pairs, -stiffness.transverse, -bend)
        return with_sum_rule(supercell, tensors)


def rigid_ion_model(
    crystal: Crystal,
    charges: str | Path | Mapping[str, float] = "scaled",
    *,
    scale: float = DEFAULT_SCALE,
    born_charges: Float[ndarray, "atoms 3 3"] | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
) -> RigidIonModel:
    """The model of any compound with nothing to configure: oxidation-state charges and transferable short range.

    Args:
        charges, scale, born_charges, dielectric: as for `mlrim.rim.charges.ionic_charges`.

    Raises:
        UserError: unknown choice of charges, or charges that do not fit the crystal.
    """
    chosen = ionic_charges(crystal, charges, scale=scale, born_charges=born_charges, dielectric=dielectric)
    softest_rho = FORMAL_SOFTEST_RHO if charges == "formal" else SOFTEST_RHO
    short_range, springs = transferable_short_range(crystal, chosen.charges, softest_rho)
    return RigidIonModel(crystal, chosen.charges, short_range, springs)


def pair_energy_forces_stress(crystal: Crystal, interaction: PairInteraction) -> EnergyForcesStress:
    """Energy, forces and stress of pair potentials alone; units as for `RigidIonModel.energy_forces_stress`."""
    pairs = neighbour_pairs(crystal, interaction.cutoff)
    vectors = pair_vectors(crystal, pairs)
    distance = np.linalg.norm(vectors, axis=1)
    value, first, _ = interaction.derivatives(pairs.i, pairs.j, distance)
    pull = (first / distance)[:, None] * vectors
    forces = np.stack([np.bincount(pairs.i, pull[:, axis], minlength=crystal.n_atoms) for axis in range(3)], axis=1)
    return EnergyForcesStress(float(value.sum() / 2), forces, pull.T @ vectors / (2 * crystal.volume))


def pair_force_constants(
    crystal: Crystal, interaction: PairInteraction, springs: CovalentSprings | None = None
) -> PairForceConstants:
    """Force constants of pair potentials: Φ_ij = −V″ r̂r̂ᵀ − (V′/r)(1 − r̂r̂ᵀ), eV/Å²; on-site by the sum rule."""
    pairs = neighbour_pairs(crystal, interaction.cutoff)
    vectors = pair_vectors(crystal, pairs)
    distance = np.linalg.norm(vectors, axis=1)
    stiffness = _pair_stiffness(interaction, springs, pairs.i, pairs.j, distance)
    blocks = radial_blocks(vectors, -stiffness.longitudinal, -stiffness.transverse)
    return with_self_blocks(pairs, blocks, crystal.n_atoms)


def _pair_stiffness(
    interaction: PairInteraction,
    springs: CovalentSprings | None,
    i: Int[ndarray, "pairs"],
    j: Int[ndarray, "pairs"],
    distance: Float[ndarray, "pairs"],
) -> Springs:
    """V″ and V′/r of the potentials, and the springs' own stiffness, eV/Å²."""
    _, first, second = interaction.derivatives(i, j, distance)
    stiffness = Springs(second, first / distance)
    if springs is None:
        return stiffness
    bonds = springs.stiffness(i, j, distance)
    return Springs(stiffness.longitudinal + bonds.longitudinal, stiffness.transverse + bonds.transverse)


def radial_blocks(
    vectors: Float[ndarray, "pairs 3"],
    longitudinal: Float[ndarray, "pairs"],
    transverse: Float[ndarray, "pairs"],
) -> Float[ndarray, "pairs 3 3"]:
    """longitudinal · r̂r̂ᵀ + transverse · (1 − r̂r̂ᵀ) for every vector."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled = (longitudinal - transverse)[:, None] * unit
    return scaled[:, :, None] * unit[:, None, :] + transverse[:, None, None] * np.eye(3)
