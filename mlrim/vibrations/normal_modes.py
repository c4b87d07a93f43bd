"""Modes at q = 0 in the form that intensities are calculated from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import GammaModes, translation_overlaps


@dataclass(frozen=True, eq=False)
class NormalModes:
    """Optical modes of a primitive cell at q = 0, or the vibrations of a molecule.

    Attributes:
        frequencies: signed frequencies, negative for imaginary modes, cm⁻¹, ascending.
        eigenvectors: orthonormal mass-weighted eigenvectors as columns.
        masses: amu.
        volume: of the primitive cell, Å³; none for a molecule.
    """

    frequencies: Float[ndarray, "modes"]
    eigenvectors: Float[ndarray, "components modes"]
    masses: Float[ndarray, "atoms"]
    volume: float | None

    @property
    def displacements(self) -> Float[ndarray, "modes atoms 3"]:
        """Displacements e/√m per unit of every normal coordinate, 1/√amu."""
        weighted = self.eigenvectors.T.reshape(len(self.frequencies), len(self.masses), 3)
        return weighted / np.sqrt(self.masses)[None, :, None]


def transverse_modes(dynamics: LatticeDynamics, gamma: GammaModes) -> NormalModes:
    """The optical modes without the macroscopic field, one row for each of the degenerate ones."""
    optical = [mode for mode in gamma.modes if not mode.acoustic]
    crystal = dynamics.crystal
    return NormalModes(
        np.array([mode.frequency_cm1 for mode in optical for _ in range(mode.degeneracy)]),
        np.hstack([np.zeros((3 * crystal.n_atoms, 0)), *(mode.eigenvectors for mode in optical)]),
        crystal.masses,
        crystal.volume,
    )


def modes_along(dynamics: LatticeDynamics, direction: Float[ndarray, "3"]) -> NormalModes:
    """The optical modes in the limit q → 0 along a Cartesian direction, longitudinal ones with their field."""
    matrix = dynamics.dynamical_matrices(np.zeros((1, 3)), direction=direction)[0].real
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    crystal = dynamics.crystal
    acoustic = np.argsort(translation_overlaps(vectors, crystal.masses))[::-1][:3]
    optical = np.setdiff1d(np.arange(len(eigenvalues)), acoustic)
    frequencies = frequencies_from_eigenvalues(eigenvalues[optical]) * THZ_TO_CM1
    return NormalModes(frequencies, vectors[:, optical], crystal.masses, crystal.volume)
