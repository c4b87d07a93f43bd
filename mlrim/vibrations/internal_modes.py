"""Modes of a Hessian in the directions that a structure as a whole cannot move in."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import frequencies_from_eigenvalues
from mlrim.units import THZ_TO_CM1


def internal_modes(
    hessian: Float[ndarray, "components components"],
    masses: Float[ndarray, "atoms"],
    external: Float[ndarray, "components external"],
) -> tuple[Float[ndarray, "modes"], Float[ndarray, "components modes"]]:
    """Frequencies (cm⁻¹, ascending, imaginary ones negative) and mass-weighted eigenvectors as columns.

    Args:
        hessian: eV/Å².
        masses: amu.
        external: orthonormal mass-weighted directions as columns that are projected out.

    >>> from mlrim.vibrations.molecules import external_modes
    >>> line = np.array([[0.0, 0, 0], [0, 0, 1]])
    >>> spring = np.kron(np.array([[2.0, -2], [-2, 2]]), np.diag([0.0, 0, 1]))
    >>> masses = np.array([1.0, 4.0])
    >>> internal_modes(spring, masses, external_modes(line, masses))[0].round(3)
    array([824.518])
    """
    root = np.sqrt(np.repeat(masses, 3))
    weighted = hessian / (root[:, None] * root[None, :])
    basis = np.linalg.svd(external)[0][:, external.shape[1] :]
    values, vectors = np.linalg.eigh(basis.T @ ((weighted + weighted.T) / 2) @ basis)
    return frequencies_from_eigenvalues(values) * THZ_TO_CM1, basis @ vectors


def translations(masses: Float[ndarray, "atoms"]) -> Float[ndarray, "components 3"]:
    """Orthonormal mass-weighted translations as columns.

    >>> translations(np.array([1.0, 3.0]))[:, 0].round(3)
    array([0.5  , 0.   , 0.   , 0.866, 0.   , 0.   ])
    """
    return np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
