"""The shell model of Dick and Overhauser (Phys. Rev. 112, 90 (1958)): rigid cores bound to massless charged shells.

Shells follow the cores without delay. Eliminating them at every wave vector gives the effective force constants
Φ = Φ_cc − Φ_cs Φ_ss⁻¹ Φ_sc; their response without a macroscopic field gives ε∞ = 1 + (4π/V) Yᵀ Φ_ss⁻¹ Y and
Z* = X − Y Φ_ss⁻¹ Φ_sc, with X and Y the charges of cores and shells. Then the limit q → 0 of the eliminated model is
exactly that of Φ(q = 0) with the non-analytic term of Z* and ε∞ (Sherman–Morrison).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants, symmetrize_compact, unfold
from mlrim.lattice.supercell import Supercell, suggest_supercell_matrix
from mlrim.rim.pair_potentials import PairInteraction
from mlrim.rim.particles import Particles, energy_gradient, pair_hessian
from mlrim.rim.transfer import CovalentSprings
from mlrim.units import COULOMB_EV_ANGSTROM

DEFAULT_SUPERCELL_LENGTH, DEFAULT_SUPERCELL_ATOMS = 10.0, 250
"""Å and atoms: how far the remainder after the dipole interaction is followed by default."""


class Shell(NamedTuple):
    """The shell of a polarisable ion."""

    charge: float
    """Y, e"""
    spring: float
    """k, eV/Å²"""


@dataclass(frozen=True, eq=False)
class ShellModel:
    """Cores and shells in a crystal; build it with `relaxed`, which finds the shells' equilibrium.

    Attributes:
        particles: cores and shells with their charges; core plus shell is the ion's charge.
        springs: k of every shell, eV/Å².
        short_range: pair potentials between shells (between cores where an atom has none).
        bonds: springs between cores, at rest in the given structure.
    """

    particles: Particles
    springs: Float[ndarray, "shells"]
    short_range: PairInteraction
    bonds: CovalentSprings | None = None

    @classmethod
    def relaxed(
        cls,
        crystal: Crystal,
        charges: Float[ndarray, "atoms"],
        shells: Sequence[Shell | None],
        short_range: PairInteraction,
    ) -> "ShellModel":
        """The model with its shells in equilibrium at the given positions of the cores.

        Args:
            charges: total charge of every ion, e.
            shells: the shell of every atom, or none.

        Raises:
            UserError: the shells have no stable equilibrium (polarisation catastrophe).
        """
        return cls.centred(crystal, charges, shells, short_range)._with_shells_at_rest()

    @classmethod
    def centred(
        cls,
        crystal: Crystal,
        charges: Float[ndarray, "atoms"],
        shells: Sequence[Shell | None],
        short_range: PairInteraction,
        bonds: CovalentSprings | None = None,
    ) -> "ShellModel":
        """The model expanded about shells that sit on their cores: the force on them there is left out.

        This is to shells what using the Hessian alone is to atoms that are not at a model's minimum.
        """
        polarisable = [index for index, shell in enumerate(shells) if shell is not None]
        outer = np.array([shell.charge for shell in shells if shell is not None])
        cores = np.array(charges, dtype=float)
        cores[polarisable] -= outer
        atom = np.append(np.arange(crystal.n_atoms), np.array(polarisable, dtype=np.int64))
        particles = Particles(crystal, atom, np.zeros((len(atom), 3)), np.append(cores, outer))
        springs = np.array([shell.spring for shell in shells if shell is not None])
        return cls(particles, springs, short_range, bonds)

    @property
    def crystal(self) -> Crystal:
        """The atoms."""
        return self.particles.crystal

    def energy(self) -> float:
        """Energy of a cell, eV."""
        return self._energy_gradient()[0]

    def forces(self) -> Float[ndarray, "atoms 3"]:
        """Forces on the atoms, core and shell together, with relaxed shells, eV/Å."""
        gradient = self._energy_gradient()[1]
        total = np.zeros((self.crystal.n_atoms, 3))
        np.add.at(total, self.particles.atom, -gradient)
        return total

    def shell_stiffness(self) -> Float[ndarray, "shells 3 3"]:
        """All that holds each shell in place when nothing else moves, eV/Å²."""
        shell_shell, count = self._at_gamma[2], len(self.springs)
        own = self._own_coulomb()
        blocks = shell_shell.reshape(count, 3, count, 3)[np.arange(count), :, np.arange(count)]
        return blocks - own

    def is_stable(self) -> bool:
        """Whether the shells hold at every wave vector of the default supercell (no polarisation catastrophe)."""
        if not len(self.springs):
            return True
        shell_shell = self._partitioned(self._hessian(self.default_supercell().commensurate_qpoints))[2]
        return bool(np.linalg.eigvalsh(shell_shell).min() > 0)

    def _own_coulomb(self) -> Float[ndarray, "shells 3 3"]:
        """Interaction of every shell with its own periodic images in phase, which is not part of its stiffness."""
        coulomb = self.particles.coulomb_hessian(np.zeros((1, 3)))[0].real
        count, cores = len(self.particles.atom), self.particles.n_cores
        blocks = coulomb.reshape(count, 3, count, 3)[np.arange(count), :, np.arange(count)]
        return blocks[cores:]

    def shell_offsets(self) -> Float[ndarray, "shells 3"]:
        """Displacement of the shells from their cores in equilibrium, Å."""
        return self.particles.offsets[self.particles.n_cores :]

    def force_constants(self, qpoints: Float[ndarray, "qpoints 3"]) -> Complex[ndarray, "qpoints atoms atoms 3 3"]:
        """Total Φ(q) with the shells eliminated exactly, without macroscopic field at q = 0, eV/Å².

        The phase convention is that of `DipoleInteraction.force_constants`.
        """
        qpoints = np.atleast_2d(np.asarray(qpoints, dtype=float))
        core_core, core_shell, shell_shell = self._partitioned(self._hessian(qpoints))
        response = np.linalg.solve(shell_shell, core_shell.conj().transpose(0, 2, 1))
        effective = core_core - core_shell @ response
        n_atoms = self.crystal.n_atoms
        return effective.reshape(-1, n_atoms, 3, n_atoms, 3).transpose(0, 1, 3, 2, 4)

    def force_constants_along(
        self, qpoint: Float[ndarray, "3"], direction: Float[ndarray, "3"]
    ) -> Float[ndarray, "components components"]:
        """Φ in the limit q → 0 along a Cartesian direction, with field and shells treated together."""
        unit = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
        field = (self.particles.charges[:, None] * unit).reshape(-1)
        prefactor = 4 * np.pi * COULOMB_EV_ANGSTROM / self.crystal.volume
        hessian = self._hessian(np.asarray(qpoint, dtype=float)[None]) + prefactor * np.outer(field, field)
        core_core, core_shell, shell_shell = self._partitioned(hessian)
        return (core_core - core_shell @ np.linalg.solve(shell_shell, core_shell.conj().transpose(0, 2, 1)))[0].real

    @cached_property
    def born_charges(self) -> Float[ndarray, "atoms 3 3"]:
        """Z*, e; first index field, second displacement."""
        n_atoms = self.crystal.n_atoms
        rigid = self.particles.charges[:n_atoms, None, None] * np.eye(3)
        return rigid - (self._shell_charges.T @ self._response).reshape(3, n_atoms, 3).transpose(1, 0, 2)

    @cached_property
    def dielectric(self) -> Float[ndarray, "3 3"]:
        """ε∞ of the shells."""
        _, _, shell_shell = self._at_gamma
        charges = self._shell_charges
        polarisability = charges.T @ np.linalg.solve(shell_shell, charges)
        return np.eye(3) + 4 * np.pi * COULOMB_EV_ANGSTROM / self.crystal.volume * polarisability

    def folded(self, supercell: Supercell) -> Float[ndarray, "atoms images 3 3"]:
        """Total force constants in a supercell, eV/Å²: exact, being made at its commensurate wave vectors."""
        qpoints = supercell.commensurate_qpoints
        home = np.exp(2j * np.pi * (qpoints @ self.crystal.fractional.T))
        blocks = self.force_constants(qpoints)
        cell_phase = blocks * (home[:, :, None] * home.conj()[:, None, :])[..., None, None]
        inverse = np.exp(-2j * np.pi * qpoints @ supercell.shifts.T) / supercell.n_cells
        compact = np.einsum("qijab,qk->ijkab", cell_phase, inverse, optimize=True).real
        return symmetrize_compact(compact.reshape(self.crystal.n_atoms, supercell.n_atoms, 3, 3), supercell)

    def short_range_force_constants(self, supercell: Supercell | None = None) -> PairForceConstants:
        """What remains after the dipole interaction of Z* and ε∞, followed over a supercell, eV/Å²."""
        supercell = supercell or self.default_supercell()
        dipole = DipoleInteraction(self.crystal, self.born_charges, self.dielectric)
        return unfold(self.folded(supercell) - dipole.folded(supercell), supercell)

    def lattice_dynamics(self, supercell: Supercell | None = None) -> LatticeDynamics:
        """The harmonic model: exact at commensurate wave vectors and at Γ from any direction, smooth between."""
        dipole = DipoleInteraction(self.crystal, self.born_charges, self.dielectric)
        return LatticeDynamics(self.crystal, self.short_range_force_constants(supercell), dipole)

    def default_supercell(self) -> Supercell:
        """A supercell that holds the remainder."""
        matrix = suggest_supercell_matrix(
            self.crystal, min_length=DEFAULT_SUPERCELL_LENGTH, max_atoms=DEFAULT_SUPERCELL_ATOMS
        )
        return Supercell(self.crystal, matrix)

    # --- derivatives of the energy of cores and shells ----------------------------------------------------------

    def _energy_gradient(self) -> tuple[float, Float[ndarray, "particles 3"]]:
        count = len(self.particles.atom)
        parts = [
            self.particles.coulomb_energy_gradient(),
            energy_gradient(self.particles.short_range(self.short_range), count),
            energy_gradient(self.particles.springs(self.springs), count),
        ]
        return sum(energy for energy, _ in parts), np.sum([gradient for _, gradient in parts], axis=0)

    def _hessian(self, qpoints: Float[ndarray, "qpoints 3"]) -> Complex[ndarray, "qpoints components components"]:
        hessian = self._bare_hessian(qpoints)
        rows = self._row_sums
        for particle in range(len(self.particles.atom)):
            block = slice(3 * particle, 3 * particle + 3)
            hessian[:, block, block] -= rows[particle]
        return hessian

    def _bare_hessian(self, qpoints: Float[ndarray, "qpoints 3"]) -> Complex[ndarray, "qpoints components components"]:
        particles, count = self.particles, len(self.particles.atom)
        coulomb = particles.coulomb_hessian(qpoints)
        pairs = pair_hessian(particles.short_range(self.short_range), self.crystal, count, qpoints)
        hessian = coulomb + pairs + pair_hessian(particles.springs(self.springs), self.crystal, count, qpoints)
        if self.bonds is not None:
            hessian = hessian + pair_hessian(particles.bonds(self.bonds), self.crystal, count, qpoints)
        return hessian

    @cached_property
    def _row_sums(self) -> Float[ndarray, "particles 3 3"]:
        """What translation invariance takes off the on-site blocks."""
        count = len(self.particles.atom)
        bare = self._bare_hessian(np.zeros((1, 3)))[0].real
        return bare.reshape(count, 3, count, 3).sum(axis=2)

    def _partitioned(self, hessian: Complex[ndarray, "q p p"]) -> tuple[ndarray, ndarray, ndarray]:
        size = 3 * self.particles.n_cores
        return hessian[:, :size, :size], hessian[:, :size, size:], hessian[:, size:, size:]

    @cached_property
    def _at_gamma(self) -> tuple[ndarray, ndarray, ndarray]:
        parts = self._partitioned(self._hessian(np.zeros((1, 3))))
        core_core, core_shell, shell_shell = (part[0].real for part in parts)
        return core_core, core_shell, shell_shell

    @cached_property
    def _response(self) -> Float[ndarray, "shell_components core_components"]:
        _, core_shell, shell_shell = self._at_gamma
        return np.linalg.solve(shell_shell, core_shell.T)

    @cached_property
    def _shell_charges(self) -> Float[ndarray, "shell_components 3"]:
        """Y as a matrix that turns shell displacements into a dipole."""
        charges = self.particles.charges[self.particles.n_cores :]
        return (charges[:, None, None] * np.eye(3)).reshape(-1, 3)

    # --- equilibrium of the shells ------------------------------------------------------------------------------

    def _with_shells_at_rest(self, tolerance: float = 1e-11, longest_step: float = 0.1) -> "ShellModel":
        """Newton's method on the positions of the shells at fixed cores (steps in Å)."""
        model = self
        for _ in range(60):
            cores = model.particles.n_cores
            gradient = model._energy_gradient()[1][cores:]
            if np.abs(gradient).max(initial=0.0) < tolerance:
                break
            shell_shell = model._at_gamma[2]
            if np.linalg.eigvalsh(shell_shell).min() <= 0:
                break
            step = -np.linalg.solve(shell_shell, gradient.reshape(-1)).reshape(-1, 3)
            length = float(np.linalg.norm(step, axis=1).max())
            model = model._moved(step * min(1.0, longest_step / length) if length > 0 else step)
            if length < 1e-13:
                break
        model._require_stable_shells()
        return model

    def _moved(self, step: Float[ndarray, "shells 3"]) -> "ShellModel":
        offsets = self.particles.offsets.copy()
        offsets[self.particles.n_cores :] += step
        particles = Particles(self.crystal, self.particles.atom, offsets, self.particles.charges)
        return replace(self, particles=particles)

    def _require_stable_shells(self) -> None:
        gradient = self._energy_gradient()[1][self.particles.n_cores :]
        unstable = len(self.springs) and np.linalg.eigvalsh(self._at_gamma[2]).min() <= 0
        if unstable or np.abs(gradient).max(initial=0.0) > 1e-8:
            raise UserError(
                f"shell model of {self.crystal.reduced_formula}: the shells have no stable position at the given "
                "structure (polarisation catastrophe); use stiffer springs, or another parameter set"
            )
