"""Harmonic thermal properties per primitive cell: free energy, energy, entropy, heat capacity.

Sources: Born and Huang, Dynamical Theory of Crystal Lattices; phonopy's formulation. The low-temperature limit of
the energy is the zero-point energy, the high-temperature limit of the heat capacity 3 N k.
"""

from dataclasses import dataclass, replace

import numpy as np
from ase.formula import Formula
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.units import BOLTZMANN_J_PER_K_MOL, EV_TO_KJ_PER_MOL, KELVIN_PER_THZ, THZ_TO_MEV

SMALLEST_FREQUENCY = 1e-3
"""Modes below this frequency (THz) are left out: the acoustic modes at Γ, and imaginary modes."""


@dataclass(frozen=True, eq=False)
class ThermalProperties:
    """Thermal properties of one mole of primitive cells (or of what `per` divides them into) by temperature.

    Attributes:
        temperatures: K.
        free_energy: Helmholtz energy F, kJ/mol.
        energy: internal energy E = F + T S, kJ/mol.
        entropy: S, J/K/mol.
        heat_capacity: C_v, J/K/mol.
        zero_point_energy: E at 0 K, kJ/mol.
        heat_capacity_limit: 3 N k, the heat capacity at high temperature when every mode counts, J/K/mol.
        imaginary_modes: number of imaginary modes on the mesh, which are left out.
        imaginary_share: their share of all modes, weighted by the wave vectors' weights.
    """

    temperatures: Float[ndarray, "temperatures"]
    free_energy: Float[ndarray, "temperatures"]
    energy: Float[ndarray, "temperatures"]
    entropy: Float[ndarray, "temperatures"]
    heat_capacity: Float[ndarray, "temperatures"]
    zero_point_energy: float
    heat_capacity_limit: float
    imaginary_modes: int
    imaginary_share: float

    def per(self, count: float) -> "ThermalProperties":
        """The same for one of `count` equal parts of the cell: its formula units, or its atoms."""
        return replace(
            self,
            free_energy=self.free_energy / count,
            energy=self.energy / count,
            entropy=self.entropy / count,
            heat_capacity=self.heat_capacity / count,
            zero_point_energy=self.zero_point_energy / count,
            heat_capacity_limit=self.heat_capacity_limit / count,
        )


def formula_units(crystal: Crystal) -> int:
    """Number of formula units in the cell, for `ThermalProperties.per`.

    >>> formula_units(Crystal(np.eye(3) * 5, np.arange(18.0).reshape(6, 3), np.array([22, 22, 8, 8, 8, 8])))
    2
    """
    return Formula.from_dict(crystal.composition).reduce()[1]


def thermal_properties(
    frequencies: Float[ndarray, "qpoints modes"],
    weights: Float[ndarray, "qpoints"],
    temperatures: Float[ndarray, "temperatures"],
) -> ThermalProperties:
    """Thermal properties from frequencies on a mesh.

    Args:
        frequencies: signed frequencies, THz; imaginary ones and the zero modes at Γ are left out.
        weights: share of the zone of every wave vector.
        temperatures: K, not negative.

    >>> one = thermal_properties(np.array([[10.0]]), np.ones(1), np.array([0.0, 1e5]))  # ħω/2 = 20.678 meV; C_v → k
    >>> round(one.zero_point_energy, 4), round(float(one.heat_capacity[1]), 4)
    (1.9952, 8.3144)
    """
    temperatures = np.asarray(temperatures, dtype=float)
    weights = weights / weights.sum()
    counted = frequencies > SMALLEST_FREQUENCY
    imaginary = frequencies < -SMALLEST_FREQUENCY
    share = np.broadcast_to(weights[:, None], frequencies.shape)
    columns = np.array([_one_temperature(frequencies[counted], share[counted], value) for value in temperatures])
    free_energy, energy, entropy, heat_capacity = columns.reshape(-1, 4).T
    return ThermalProperties(
        temperatures,
        free_energy,
        energy,
        entropy,
        heat_capacity,
        zero_point_energy=_one_temperature(frequencies[counted], share[counted], 0.0)[0],
        heat_capacity_limit=frequencies.shape[1] * BOLTZMANN_J_PER_K_MOL,
        imaginary_modes=int(imaginary.sum()),
        imaginary_share=float(share[imaginary].sum() / frequencies.shape[1]),
    )


def _one_temperature(
    frequencies: Float[ndarray, "modes"], weights: Float[ndarray, "modes"], temperature: float
) -> tuple[float, float, float, float]:
    """F, E (kJ/mol), S, C_v (J/K/mol) at one temperature."""
    quantum = frequencies * THZ_TO_MEV * 1e-3 * EV_TO_KJ_PER_MOL
    zero_point = float(weights @ quantum) / 2
    if temperature <= 0:
        return zero_point, zero_point, 0.0, 0.0
    x = frequencies * KELVIN_PER_THZ / temperature
    occupation = 1 / np.expm1(np.minimum(x, 500))
    energy = zero_point + float(weights @ (quantum * occupation))
    logarithm = np.log(-np.expm1(-x))
    entropy = BOLTZMANN_J_PER_K_MOL * float(weights @ (x * occupation - logarithm))
    heat_capacity = BOLTZMANN_J_PER_K_MOL * float(weights @ (x**2 * occupation * (occupation + 1)))
    return energy - temperature * entropy * 1e-3, energy, entropy, heat_capacity
