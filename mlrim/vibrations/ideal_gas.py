"""Thermochemistry of a molecule: ideal gas, rigid rotor, harmonic vibrations.

The electronic ground state is taken to be without degeneracy, and vibrations and rotations as independent; the rotor is
classical, which is wrong below a few kelvin (and for H2 below room temperature). Nuclear spins are left out, as in
chemical tables.

Source: D. A. McQuarrie, Statistical Mechanics (1976), chapters 5, 6 and 8.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.units import (
    ATOMIC_MASS,
    BOLTZMANN,
    BOLTZMANN_J_PER_K_MOL,
    KELVIN_PER_THZ,
    PLANCK,
    SPEED_OF_LIGHT,
    THZ_TO_CM1,
)
from mlrim.vibrations.molecules import MolecularVibrations
from mlrim.vibrations.thermal import ThermalProperties, thermal_properties

ATMOSPHERE = 101325.0
"""Pa"""
SMALLEST_MOMENT = 1e-3
"""Moments of inertia below this (amu Å²) are those of a line about itself."""


@dataclass(frozen=True, eq=False)
class IdealGas:
    """Thermodynamic functions of an ideal gas of molecules, per mole; energies are above the potential's minimum.

    Attributes:
        temperatures: K, ascending.
        pressure: Pa.
        vibrational: the part of the vibrations alone, zero-point energy included.
        symmetry_number: number of rotations that carry the molecule onto itself.
        rotational_constants: h/8π²cI of the principal axes, descending, cm⁻¹; of a linear molecule one.
        energy: internal energy U, kJ/mol.
        enthalpy: H = U + R T, kJ/mol.
        entropy: S, J/K/mol; not defined at 0 K, where it is NaN.
        heat_capacity: C_v, J/K/mol.
        gibbs_energy: G = H − T S, kJ/mol.
    """

    temperatures: Float[ndarray, "temperatures"]
    pressure: float
    vibrational: ThermalProperties
    symmetry_number: int
    rotational_constants: Float[ndarray, "axes"]
    energy: Float[ndarray, "temperatures"]
    enthalpy: Float[ndarray, "temperatures"]
    entropy: Float[ndarray, "temperatures"]
    heat_capacity: Float[ndarray, "temperatures"]
    gibbs_energy: Float[ndarray, "temperatures"]

    @property
    def zero_point_energy(self) -> float:
        """Σ hν/2 over the real modes, kJ/mol."""
        return self.vibrational.zero_point_energy

    @property
    def heat_capacity_at_constant_pressure(self) -> Float[ndarray, "temperatures"]:
        """C_p = C_v + R, J/K/mol."""
        return self.heat_capacity + BOLTZMANN_J_PER_K_MOL


def ideal_gas(
    vibrations: MolecularVibrations, temperatures: Float[ndarray, "temperatures"], pressure: float = ATMOSPHERE
) -> IdealGas:
    """Thermochemistry of a molecule with these vibrations; imaginary modes are left out (and counted).

    Args:
        temperatures: K, not negative.
        pressure: Pa.
    """
    vibrational = vibrational_properties(vibrations, temperatures)
    temperatures = vibrational.temperatures
    constants = rotational_constants(vibrations.group.positions, vibrations.masses)
    number = symmetry_number(vibrations)
    degrees = 3 + (2 if len(constants) == 1 else 3)
    warm = np.where(temperatures > 0, temperatures, np.nan)
    gas = BOLTZMANN_J_PER_K_MOL
    entropy = vibrational.entropy + translational_entropy(float(vibrations.masses.sum()), warm, pressure)
    entropy = entropy + rotational_entropy(constants, number, warm)
    energy = vibrational.energy + degrees / 2 * gas * temperatures * 1e-3
    enthalpy = energy + gas * temperatures * 1e-3
    return IdealGas(
        temperatures,
        pressure,
        vibrational,
        number,
        constants,
        energy,
        enthalpy,
        entropy,
        vibrational.heat_capacity + degrees / 2 * gas,
        np.where(temperatures > 0, enthalpy - temperatures * np.nan_to_num(entropy) * 1e-3, enthalpy),
    )


def vibrational_properties(
    vibrations: MolecularVibrations, temperatures: Float[ndarray, "temperatures"]
) -> ThermalProperties:
    """F, E, S and C_v of the harmonic vibrations alone, per mole of molecules."""
    frequencies = vibrations.normal_modes.frequencies[None, :] / THZ_TO_CM1
    return thermal_properties(frequencies, np.ones(1), temperatures)


def rotational_constants(
    positions: Float[ndarray, "atoms 3"], masses: Float[ndarray, "atoms"]
) -> Float[ndarray, "axes"]:
    """h/8π²cI of the principal axes, descending, cm⁻¹; one for a linear molecule.

    >>> rotational_constants(np.array([[0, 0, 0], [0, 0, 1.1283]]), np.array([12.0, 15.99491])).round(3).tolist()
    [1.931]
    """
    centred = positions - masses @ positions / masses.sum()
    squares = np.sum(centred**2, axis=1)
    inertia = np.einsum(
        "n,nab->ab", masses, squares[:, None, None] * np.eye(3) - centred[:, :, None] * centred[:, None]
    )
    moments = np.linalg.eigvalsh(inertia)
    turning = moments[moments > SMALLEST_MOMENT]
    factor = PLANCK / (8 * np.pi**2 * SPEED_OF_LIGHT * 100 * ATOMIC_MASS * 1e-20)
    return factor / turning if len(turning) == 3 else factor / turning.mean(keepdims=True)


def symmetry_number(vibrations: MolecularVibrations) -> int:
    """Number of proper rotations of the point group; 2 for D∞h, 1 for C∞v."""
    linear = {"C∞v": 1, "D∞h": 2}
    group = vibrations.group
    return linear.get(group.symbol, int(np.sum(np.linalg.det(group.rotations) > 0)))


def translational_entropy(
    mass: float, temperatures: Float[ndarray, "temperatures"], pressure: float
) -> Float[ndarray, "temperatures"]:
    """Sackur–Tetrode entropy of molecules of a mass (amu), J/K/mol.

    >>> translational_entropy(39.948, np.array([298.15]), 1e5).round(2).tolist()  # argon; tables: 154.85
    [154.85]
    """
    wavelength = PLANCK / np.sqrt(2 * np.pi * mass * ATOMIC_MASS * BOLTZMANN * temperatures)
    return BOLTZMANN_J_PER_K_MOL * (np.log(BOLTZMANN * temperatures / pressure / wavelength**3) + 2.5)


def rotational_entropy(
    constants: Float[ndarray, "axes"], number: int, temperatures: Float[ndarray, "temperatures"]
) -> Float[ndarray, "temperatures"]:
    """Of a classical rotor with these rotational constants (cm⁻¹; one for a linear one), J/K/mol."""
    characteristic = constants / THZ_TO_CM1 * KELVIN_PER_THZ
    if len(constants) == 1:
        return BOLTZMANN_J_PER_K_MOL * (np.log(temperatures / (number * characteristic[0])) + 1)
    states = np.sqrt(np.pi * temperatures**3 / characteristic.prod()) / number
    return BOLTZMANN_J_PER_K_MOL * (np.log(states) + 1.5)
