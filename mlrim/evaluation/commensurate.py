"""The modes of a crystal at the wave vectors where its reference force constants are exact: no interpolation at all."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.commensurate import CommensurateMatrices, commensurate_matrices
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import frequencies_from_eigenvalues
from mlrim.lattice.supercell import Supercell
from mlrim.vibrations.gamma import translation_overlaps


@dataclass(frozen=True, eq=False)
class CommensurateFrequencies:
    """Frequencies alone at commensurate wave vectors: what a model without force constants predicts.

    Attributes:
        weights: share of the zone of every wave vector; Γ is the first.
        frequencies: signed frequencies, THz, ascending, without the non-analytic term.
        optical_frequencies: of these the ones at Γ without the three that are exactly zero.
    """

    weights: Float[ndarray, "qpoints"]
    frequencies: Float[ndarray, "qpoints modes"]
    optical_frequencies: Float[ndarray, "modes"]


@dataclass(frozen=True, eq=False)
class CommensurateDynamics:
    """Total force constants of a supercell, seen at its commensurate wave vectors.

    Attributes:
        compact: total force constants in the canonical order of the supercell, eV/Å².
        supercell: the supercell.
        dipole: Born charges and ε∞ for the limits at Γ along a direction.
    """

    compact: Float[ndarray, "atoms images 3 3"]
    supercell: Supercell
    dipole: DipoleInteraction | None = None

    @cached_property
    def _commensurate(self) -> CommensurateMatrices:
        return commensurate_matrices(self.compact, self.supercell)

    @property
    def qpoints(self) -> Float[ndarray, "qpoints 3"]:
        """The wave vectors, in primitive reciprocal vectors."""
        return self._commensurate.qpoints

    @property
    def weights(self) -> Float[ndarray, "qpoints"]:
        """Share of the zone of every wave vector of `matrices`; Γ is the first."""
        return self._commensurate.weights

    @property
    def matrices(self) -> Complex[ndarray, "qpoints components components"]:
        """Dynamical matrices (eV/Å²/amu) at one of every ±q pair, in the cell-phase convention."""
        return self._commensurate.matrices

    @cached_property
    def folded_dipole(self) -> Float[ndarray, "atoms images 3 3"]:
        """The dipole interaction in the supercell (a part of `compact`), eV/Å²; zero without Born charges."""
        return np.zeros_like(self.compact) if self.dipole is None else self.dipole.folded(self.supercell)

    @cached_property
    def frequencies(self) -> Float[ndarray, "qpoints modes"]:
        """Signed frequencies, THz, ascending, without the non-analytic term."""
        return frequencies_from_eigenvalues(np.linalg.eigvalsh(self.matrices))

    @cached_property
    def optical_frequencies(self) -> Float[ndarray, "modes"]:
        """Signed Γ frequencies (THz, ascending) of all modes but the three that are most like a translation."""
        eigenvalues, vectors = np.linalg.eigh(self.matrices[0].real)
        overlaps = translation_overlaps(vectors, self.supercell.crystal.masses)
        return frequencies_from_eigenvalues(np.delete(eigenvalues, np.argsort(overlaps)[-3:]))

    @cached_property
    def directional_frequencies(self) -> Float[ndarray, "directions modes"] | None:
        """Γ frequencies (THz) in the limits along the Cartesian x, y and z axes; none without Born charges."""
        if self.dipole is None:
            return None
        crystal = self.supercell.crystal
        size = 3 * crystal.n_atoms
        root_mass = np.sqrt(np.repeat(crystal.masses, 3))
        terms = [
            self.dipole.non_analytic(axis).transpose(0, 2, 1, 3).reshape(size, size) / (root_mass[:, None] * root_mass)
            for axis in np.eye(3)
        ]
        return frequencies_from_eigenvalues(np.linalg.eigvalsh(self.matrices[0].real + np.array(terms)))
