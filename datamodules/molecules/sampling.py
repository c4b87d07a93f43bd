"""Displaced geometries of a molecule: thermal displacements along its normal modes."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.units import BOLTZMANN, ELEMENTARY_CHARGE, SQRT_EIGENVALUE_TO_CM1
from mlrim.vibrations.internal_modes import internal_modes
from mlrim.vibrations.molecules import external_modes


def thermal_displacements(
    positions: Float[ndarray, "atoms 3"],
    hessian: Float[ndarray, "components components"],
    masses: Float[ndarray, "atoms"],
    temperature: float,
    generator: np.random.Generator,
) -> Float[ndarray, "atoms 3"]:
    """Displacements of the classical harmonic ensemble, Å: every mode has ½ k_B T of potential energy on average.

    Args:
        hessian: at a minimum of the energy, eV/Å².
        temperature: K.
    """
    frequencies, vectors = internal_modes(hessian, masses, external_modes(positions, masses))
    energy = BOLTZMANN / ELEMENTARY_CHARGE * temperature
    spread = np.sqrt(energy) / (frequencies / SQRT_EIGENVALUE_TO_CM1)
    coordinates = generator.normal(size=len(spread)) * spread
    return (vectors @ coordinates).reshape(-1, 3) / np.sqrt(masses)[:, None]
