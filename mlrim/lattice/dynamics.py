"""Lattice dynamics of a crystal: short-range force constants plus the dipole interaction, at any wave vector.

D(q) = Fourier[Φ_short-range](q) + D_dipole(q), in the atom-phase convention exp(iq·(r_j + R − r_i)).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray
from scipy.sparse import csr_array

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.force_constants import PairForceConstants, fold, unfold
from mlrim.lattice.neighbours import pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.units import SQRT_EIGENVALUE_TO_THZ

PHASES_AT_ONCE = 2_000_000
"""Bound on wave vectors × pairs handled at once, to keep memory small."""


class Modes(NamedTuple):
    """Phonons at some wave vectors."""

    frequencies: Float[ndarray, "qpoints modes"]
    """THz, ascending; imaginary frequencies are negative."""
    eigenvectors: Complex[ndarray, "qpoints components modes"]
    """Columns are modes; component 3·atom + axis; orthonormal."""


@dataclass(frozen=True, eq=False)
class LatticeDynamics:
    """Everything harmonic about one crystal: what every model, baseline and record turns into.

    Attributes:
        crystal: primitive cell.
        short_range: pair force constants without the dipole interaction.
        dipole: the dipole interaction that is added at every wave vector; none for non-polar descriptions.
    """

    crystal: Crystal
    short_range: PairForceConstants
    dipole: DipoleInteraction | None = None

    @classmethod
    def from_supercell(
        cls,
        compact: Float[ndarray, "atoms images 3 3"],
        supercell: Supercell,
        born_charges: Float[ndarray, "atoms 3 3"] | None = None,
        dielectric: Float[ndarray, "3 3"] | None = None,
    ) -> "LatticeDynamics":
        """From the total force constants of a supercell (eV/Å²) and, where known, Born charges (e) and ε∞."""
        if born_charges is None or dielectric is None:
            return cls(supercell.crystal, unfold(compact, supercell))
        dipole = DipoleInteraction(supercell.crystal, born_charges, dielectric)
        return cls(supercell.crystal, unfold(compact - dipole.folded(supercell), supercell), dipole)

    def folded(self, supercell: Supercell) -> Float[ndarray, "atoms images 3 3"]:
        """Total force constants in a supercell, eV/Å²."""
        compact = fold(self.short_range, supercell)
        return compact if self.dipole is None else compact + self.dipole.folded(supercell)

    def dynamical_matrices(
        self,
        qpoints: Float[ndarray, "qpoints 3"],
        direction: Float[ndarray, "3"] | Float[ndarray, "qpoints 3"] | None = None,
    ) -> Complex[ndarray, "qpoints components components"]:
        """Mass-weighted, Hermitian D(q), eV/Å²/amu.

        Args:
            qpoints: wave vectors in primitive reciprocal vectors (without 2π).
            direction: Cartesian direction (one, or one for each wave vector) along which Γ is approached; it adds
                the non-analytic term at wave vectors that are Γ, or Γ of another zone, and at no others. A zero
                direction adds nothing.
        """
        qpoints = np.atleast_2d(np.asarray(qpoints, dtype=float))
        blocks = self._short_range_matrices(qpoints)
        if self.dipole is not None:
            size = 3 * self.crystal.n_atoms
            dipole = self.dipole.force_constants(qpoints).transpose(0, 1, 3, 2, 4)
            blocks = blocks + dipole.reshape(len(qpoints), size, size)
            if direction is not None:
                blocks = blocks + self._non_analytic(self.dipole, qpoints, np.asarray(direction, dtype=float))
        root_mass = np.sqrt(np.repeat(self.crystal.masses, 3))
        matrices = blocks / (root_mass[:, None] * root_mass[None, :])
        return (matrices + matrices.conj().transpose(0, 2, 1)) / 2

    def modes(
        self,
        qpoints: Float[ndarray, "qpoints 3"],
        direction: Float[ndarray, "3"] | Float[ndarray, "qpoints 3"] | None = None,
    ) -> Modes:
        """Frequencies and eigenvectors at wave vectors; arguments as for `dynamical_matrices`."""
        eigenvalues, eigenvectors = np.linalg.eigh(self.dynamical_matrices(qpoints, direction))
        return Modes(frequencies_from_eigenvalues(eigenvalues), eigenvectors)

    def frequencies(
        self,
        qpoints: Float[ndarray, "qpoints 3"],
        direction: Float[ndarray, "3"] | Float[ndarray, "qpoints 3"] | None = None,
    ) -> Float[ndarray, "qpoints modes"]:
        """Frequencies alone, THz; arguments as for `dynamical_matrices`."""
        return frequencies_from_eigenvalues(np.linalg.eigvalsh(self.dynamical_matrices(qpoints, direction)))

    def _short_range_matrices(
        self, qpoints: Float[ndarray, "qpoints 3"]
    ) -> Complex[ndarray, "qpoints components components"]:
        n_atoms = self.crystal.n_atoms
        scatter, displacements = self._fourier
        parts = [
            (scatter @ np.exp(2j * np.pi * (displacements @ chunk.T))).T
            for chunk in _chunks(qpoints, max(1, PHASES_AT_ONCE // max(1, len(displacements))))
        ]
        blocks = np.concatenate(parts).reshape(-1, n_atoms, n_atoms, 3, 3)
        return blocks.transpose(0, 1, 3, 2, 4).reshape(len(qpoints), 3 * n_atoms, 3 * n_atoms)

    @cached_property
    def _fourier(self) -> tuple[csr_array, Float[ndarray, "pairs 3"]]:
        """The matrix that sums phased blocks into D(q), and the pairs' vectors in fractional coordinates."""
        pairs, blocks = self.short_range
        n_atoms, n_pairs = self.crystal.n_atoms, len(pairs.i)
        rows = ((pairs.i * n_atoms + pairs.j) * 9)[:, None] + np.arange(9)
        columns = np.broadcast_to(np.arange(n_pairs)[:, None], (n_pairs, 9))
        scatter = csr_array(
            (blocks.reshape(-1), (rows.reshape(-1), columns.reshape(-1))), shape=(9 * n_atoms**2, n_pairs)
        )
        return scatter, pair_vectors(self.crystal, pairs) @ self.crystal.reciprocal.T

    def _non_analytic(
        self, dipole: DipoleInteraction, qpoints: Float[ndarray, "qpoints 3"], direction: Float[ndarray, "*qpoints 3"]
    ) -> Complex[ndarray, "qpoints components components"]:
        size = 3 * self.crystal.n_atoms
        directions = np.broadcast_to(direction, (len(qpoints), 3))
        terms = np.zeros((len(qpoints), size, size), dtype=complex)
        for index in np.flatnonzero(_is_gamma(qpoints) & (np.linalg.norm(directions, axis=1) > 0)):
            block = dipole.non_analytic(directions[index]).transpose(0, 2, 1, 3).reshape(size, size)
            home = np.repeat(np.exp(2j * np.pi * (self.crystal.fractional @ qpoints[index])), 3)
            terms[index] = block * home.conj()[:, None] * home[None, :]
        return terms


def frequencies_from_eigenvalues(eigenvalues: Float[ndarray, "*modes"]) -> Float[ndarray, "*modes"]:
    """√λ in THz for eigenvalues of D in eV/Å²/amu; negative eigenvalues give negative (imaginary) frequencies.

    >>> frequencies_from_eigenvalues(np.array([-1.0, 4.0])).round(4).tolist()
    [-15.6333, 31.2666]
    """
    return np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues)) * SQRT_EIGENVALUE_TO_THZ


def _is_gamma(qpoints: Float[ndarray, "qpoints 3"]) -> ndarray:
    return np.all(np.abs(qpoints - np.round(qpoints)) < 1e-8, axis=-1)


def _chunks(qpoints: Float[ndarray, "qpoints 3"], size: int) -> Iterator[Float[ndarray, "chunk 3"]]:
    return (qpoints[start : start + size] for start in range(0, len(qpoints), size))
