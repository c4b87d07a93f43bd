"""How good a predicted response is: Born charges, ε∞ and LO–TO splittings of one compound, as pure functions.

LO–TO splittings have the reference's force constants, so that only the response is tested: at Γ the total force
constants of the reference make the matrix without field, and the predicted or the reference response adds the field of
a longitudinal mode to it.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import frequencies_from_eigenvalues
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import LONGITUDINAL_SHARE

SMALLEST_SPLITTING = 1.0
"""Longitudinal modes that the field of the reference raises by less than this (cm⁻¹) do not count."""

UNITS = {
    "born_mae": "e",
    "born_isotropic_mae": "e",
    "born_max": "e",
    "born_relative": "1",
    "dielectric_relative": "1",
    "dielectric_tensor_relative": "1",
    "susceptibility_relative": "1",
    "lo_to_mae": "cm⁻¹",
    "lo_to_highest": "cm⁻¹",
    "symmetry_residual": "1",
}
"""Unit of every metric."""


def compare_born(predicted: Float[ndarray, "atoms 3 3"], reference: Float[ndarray, "atoms 3 3"]) -> dict[str, float]:
    """Errors of Born charges (e): mean and largest over all components, mean of traces/3; ‖difference‖/‖reference‖."""
    error = np.abs(predicted - reference)
    norm = float(np.linalg.norm(reference))
    traces = np.abs(np.trace(predicted - reference, axis1=1, axis2=2)) / 3
    values = {
        "born_mae": float(error.mean()),
        "born_isotropic_mae": float(traces.mean()),
        "born_max": float(error.max()),
    }
    return values | ({"born_relative": float(np.linalg.norm(error)) / norm} if norm > 0 else {})


def compare_dielectric(predicted: Float[ndarray, "3 3"], reference: Float[ndarray, "3 3"]) -> dict[str, float]:
    """Relative errors of ε∞: of its mean, of the tensor, and of the mean susceptibility ε∞ − 1.

    >>> compare_dielectric(3.3 * np.eye(3), 3.0 * np.eye(3))["dielectric_relative"].__round__(6)
    0.1
    """
    means = float(np.trace(predicted) / 3), float(np.trace(reference) / 3)
    return {
        "dielectric_relative": abs(means[0] / means[1] - 1),
        "dielectric_tensor_relative": float(np.linalg.norm(predicted - reference) / np.linalg.norm(reference)),
        "susceptibility_relative": abs((means[0] - 1) / max(means[1] - 1, 1e-6) - 1),
    }


def gamma_matrix(compact: Float[ndarray, "atoms images 3 3"], crystal: Crystal) -> Float[ndarray, "size size"]:
    """D(Γ) without field from the total force constants of a supercell (canonical order), eV/Å²/amu."""
    n_atoms = crystal.n_atoms
    summed = compact.reshape(n_atoms, n_atoms, -1, 3, 3).sum(axis=2)
    matrix = summed.transpose(0, 2, 1, 3).reshape(3 * n_atoms, 3 * n_atoms)
    root = np.sqrt(np.repeat(crystal.masses, 3))
    return (matrix + matrix.T) / (2 * root[:, None] * root[None, :])


def compare_splittings(
    matrix: Float[ndarray, "size size"],
    crystal: Crystal,
    predicted: tuple[Float[ndarray, "atoms 3 3"], Float[ndarray, "3 3"]],
    reference: tuple[Float[ndarray, "atoms 3 3"], Float[ndarray, "3 3"]],
    directions: list[Float[ndarray, "3"]],
) -> dict[str, float]:
    """Error of LO–TO splittings (cm⁻¹) over the longitudinal modes of the reference; absent where there are none.

    The matrix without field is the same, so that the modes with the field correspond in their order, and the error of
    a splitting is that of the LO frequency.

    Args:
        matrix: D(Γ) without field.
        predicted, reference: Born charges (e) and ε∞.
        directions: Cartesian unit vectors along which Γ is approached.
    """
    without = _frequencies(matrix)[0]
    errors, highest = [], []
    for direction in directions:
        theirs, vectors = _frequencies(matrix + field_term(crystal, reference, direction))
        ours, _ = _frequencies(matrix + field_term(crystal, predicted, direction))
        longitudinal = is_longitudinal(crystal, reference[0], direction, vectors)
        longitudinal &= theirs - without > SMALLEST_SPLITTING
        errors += np.abs(ours - theirs)[longitudinal].tolist()
        highest += np.abs(ours - theirs)[longitudinal][-1:].tolist()
    if not errors:
        return {}
    return {"lo_to_mae": float(np.mean(errors)), "lo_to_highest": float(np.mean(highest))}


def field_term(
    crystal: Crystal,
    response: tuple[Float[ndarray, "atoms 3 3"], Float[ndarray, "3 3"]],
    direction: Float[ndarray, "3"],
) -> Float[ndarray, "size size"]:
    """What the limit q → 0 along a direction adds to D(Γ), eV/Å²/amu."""
    blocks = DipoleInteraction(crystal, *response).non_analytic(direction)
    size = 3 * crystal.n_atoms
    root = np.sqrt(np.repeat(crystal.masses, 3))
    return blocks.transpose(0, 2, 1, 3).reshape(size, size) / (root[:, None] * root[None, :])


def is_longitudinal(
    crystal: Crystal,
    born: Float[ndarray, "atoms 3 3"],
    direction: Float[ndarray, "3"],
    vectors: Float[ndarray, "size size"],
) -> Bool[ndarray, "size"]:
    """Which modes carry a share of the squared dipole along a direction."""
    charges = np.einsum("f,nfd->nd", direction, born) / np.sqrt(crystal.masses)[:, None]
    dipoles = charges.reshape(-1) @ vectors
    return dipoles**2 > LONGITUDINAL_SHARE * max(float(dipoles @ dipoles), 1e-30)


def _frequencies(matrix: Float[ndarray, "size size"]) -> tuple[Float[ndarray, "size"], Float[ndarray, "size size"]]:
    """Signed frequencies (cm⁻¹), ascending, and eigenvectors."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return frequencies_from_eigenvalues(eigenvalues) * THZ_TO_CM1, vectors
