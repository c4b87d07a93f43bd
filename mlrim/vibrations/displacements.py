"""Thermal motion: mean-square displacements of the atoms, anisotropic displacement tensors and B factors.

U_k = ħ/(2 m_k) Σ_q w_q Σ_ν (2 n_qν + 1)/ω_qν e_k e_k†  (Maradudin et al., Theory of Lattice Dynamics in the
Harmonic Approximation, 1971; phonopy's formulation), averaged over the space group.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import SpaceGroup
from mlrim.units import HBAR_OVER_2_AMU, KELVIN_PER_THZ
from mlrim.vibrations.density_of_states import MeshModes
from mlrim.vibrations.thermal import SMALLEST_FREQUENCY


@dataclass(frozen=True, eq=False)
class Displacements:
    """Mean-square displacements of every atom at a list of temperatures.

    Attributes:
        temperatures: K.
        tensors: U_ab = ⟨u_a u_b⟩ in Cartesian axes, Å², shape (temperatures, atoms, 3, 3).
        omitted_share: share of all modes that were left out because they are imaginary or zero, as the three
            acoustic modes at Γ are.
        imaginary_share: the part of it that is imaginary.
    """

    temperatures: Float[ndarray, "temperatures"]
    tensors: Float[ndarray, "temperatures atoms 3 3"]
    omitted_share: float
    imaginary_share: float

    @property
    def isotropic(self) -> Float[ndarray, "temperatures atoms"]:
        """U_iso = tr U / 3, the mean-square displacement along one direction, Å²."""
        return np.trace(self.tensors, axis1=2, axis2=3) / 3

    @property
    def b_factors(self) -> Float[ndarray, "temperatures atoms"]:
        """B = 8π² U_iso, Å²."""
        return 8 * np.pi**2 * self.isotropic


def mean_square_displacements(
    modes: MeshModes, crystal: Crystal, group: SpaceGroup, temperatures: Float[ndarray, "temperatures"]
) -> Displacements:
    """Displacement tensors of all atoms; use a mesh from `refined_at_gamma` to count the modes around Γ.

    Args:
        group: space group, over which the tensors are averaged (the mesh is reduced by it).
        temperatures: K, not negative.

    Returns:
        Tensors without imaginary modes and without the zero modes at Γ; their share is stated.
    """
    temperatures = np.asarray(temperatures, dtype=float)
    weights = modes.weights / modes.weights.sum()
    tensors = np.zeros((len(temperatures), 9 * crystal.n_atoms))
    for weight, frequencies, vectors in zip(weights, modes.frequencies, modes.eigenvectors, strict=True):
        atoms = vectors.reshape(crystal.n_atoms, 3, -1)
        products = np.einsum("nav,nbv->vnab", atoms, atoms.conj()).real.reshape(len(frequencies), -1)
        tensors += weight * oscillator_displacement(frequencies, temperatures) @ products
    tensors = tensors.reshape(len(temperatures), crystal.n_atoms, 3, 3) / crystal.masses[None, :, None, None]
    n_modes = modes.frequencies.shape[1]
    omitted = weights @ np.sum(modes.frequencies < SMALLEST_FREQUENCY, axis=1) / n_modes
    imaginary = weights @ np.sum(modes.frequencies < -SMALLEST_FREQUENCY, axis=1) / n_modes
    return Displacements(temperatures, _symmetric(tensors, group), float(omitted), float(imaginary))


def oscillator_displacement(
    frequencies: Float[ndarray, "modes"], temperatures: Float[ndarray, "temperatures"]
) -> Float[ndarray, "temperatures modes"]:
    """ħ (2n + 1)/(2 ω) of oscillators of 1 amu, Å²; zero for imaginary and zero frequencies (THz).

    >>> oscillator_displacement(np.array([1.0, 10.0, 0.0]), np.zeros(1)).round(6).tolist()
    [[0.505379, 0.050538, 0.0]]
    """
    counted = frequencies > SMALLEST_FREQUENCY
    positive = np.where(counted, frequencies, 1.0)
    with np.errstate(divide="ignore"):
        half = positive[None, :] * KELVIN_PER_THZ / (2 * temperatures[:, None])
    return np.where(counted, HBAR_OVER_2_AMU / positive / np.tanh(half), 0.0)


def cif_tensors(tensors: Float[ndarray, "*sets atoms 3 3"], crystal: Crystal) -> Float[ndarray, "*sets atoms 3 3"]:
    """U_ij as CIF files define them (components along a_i a*_i), Å²; the same as Cartesian ones in a cubic cell.

    Source: R. W. Grosse-Kunstleve and P. D. Adams, J. Appl. Cryst. 35, 477 (2002).
    """
    lengths = np.linalg.norm(crystal.reciprocal, axis=1)
    transform = crystal.reciprocal / lengths[:, None]
    return transform @ tensors @ transform.T


def _symmetric(
    tensors: Float[ndarray, "temperatures atoms 3 3"], group: SpaceGroup
) -> Float[ndarray, "temperatures atoms 3 3"]:
    total = np.zeros_like(tensors)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
        total[:, permutation] += rotation @ tensors @ rotation.T
    return total / len(group.cartesian)
