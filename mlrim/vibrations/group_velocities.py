"""Group velocities ∂ω/∂k of phonons, also of degenerate ones.

∂f/∂q = C² ⟨e|∂D/∂q|e⟩ / 2f with f = C √λ (Hellmann–Feynman). Within a degenerate level the eigenvectors are those that
diagonalise the change of D along a direction of no symmetry, as bands split there. ∂D/∂q is a central difference.
"""

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.units import SQRT_EIGENVALUE_TO_THZ

STEP = 1e-5
"""Half of the difference between wave vectors, 1/Å without 2π."""
DEGENERATE = 1e-4
"""Frequencies closer than this (THz) are one level."""
SLOWEST = 1e-3
"""Modes below this frequency (THz) have no velocity: it is not a function of q at Γ."""
GENERIC = np.array([0.2867, 0.5123, 0.8095])
"""Direction without symmetry along which degenerate modes are told apart."""
THZ_ANGSTROM_TO_KM_PER_S = 0.1


def group_velocities(
    dynamics: LatticeDynamics, qpoints: Float[ndarray, "qpoints 3"]
) -> Float[ndarray, "qpoints modes 3"]:
    """Group velocities in km/s, Cartesian, of the modes in ascending order of their frequencies.

    Args:
        qpoints: wave vectors in primitive reciprocal vectors (without 2π).

    Velocities of acoustic modes at Γ, which are limits along a direction, are zero; imaginary modes have that of |f|.
    """
    qpoints = np.atleast_2d(np.asarray(qpoints, dtype=float))
    values, vectors = np.linalg.eigh(dynamics.dynamical_matrices(qpoints))
    frequencies = np.sign(values) * np.sqrt(np.abs(values)) * SQRT_EIGENVALUE_TO_THZ
    slopes = np.stack([_slope(dynamics, qpoints, axis) for axis in np.eye(3)], axis=1)
    along = np.einsum("d,qdab->qab", GENERIC / np.linalg.norm(GENERIC), slopes)
    return np.array([_velocities(*parts) for parts in zip(frequencies, vectors, slopes, along, strict=True)])


def _slope(
    dynamics: LatticeDynamics, qpoints: Float[ndarray, "qpoints 3"], axis: Float[ndarray, "3"]
) -> Complex[ndarray, "qpoints components components"]:
    step = STEP * (dynamics.crystal.lattice @ axis)  # Cartesian to reciprocal vectors
    upper, lower = (dynamics.dynamical_matrices(qpoints + sign * step) for sign in (1, -1))
    return (upper - lower) / (2 * STEP)


def _velocities(
    frequencies: Float[ndarray, "modes"],
    vectors: Complex[ndarray, "components modes"],
    slopes: Complex[ndarray, "3 components components"],
    along: Complex[ndarray, "components components"],
) -> Float[ndarray, "modes 3"]:
    starts = np.flatnonzero(np.diff(frequencies, prepend=-np.inf) > DEGENERATE)
    chosen = vectors.copy()
    for first, last in zip(starts, np.append(starts[1:], len(frequencies)), strict=True):
        level = vectors[:, first:last]
        chosen[:, first:last] = level @ np.linalg.eigh(level.conj().T @ along @ level)[1]
    expected = np.einsum("am,dab,bm->md", chosen.conj(), slopes, chosen).real
    moving = np.abs(frequencies) > SLOWEST
    factor = np.zeros(len(frequencies))
    factor[moving] = SQRT_EIGENVALUE_TO_THZ**2 / (2 * np.abs(frequencies[moving]))
    return THZ_ANGSTROM_TO_KM_PER_S * factor[:, None] * expected
