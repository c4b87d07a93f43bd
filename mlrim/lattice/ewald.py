"""Energy, forces and stress of point charges in a periodic crystal, summed exactly (Ewald, conducting boundary).

Source: P. P. Ewald, Ann. Phys. 369, 253 (1921); stress as in D. M. Heyes, Phys. Rev. B 49, 755 (1994).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import erfc

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.units import COULOMB_EV_ANGSTROM

DECAY = 6.2
"""Terms are summed until exp(−DECAY²) ≈ 2e-17 of the leading one."""


class EnergyForcesStress(NamedTuple):
    """Energy of a cell and its first derivatives."""

    energy: float
    """eV per cell"""
    forces: Float[ndarray, "atoms 3"]
    """eV/Å"""
    stress: Float[ndarray, "3 3"]
    """(1/V) ∂E/∂strain, eV/Å³"""


def point_charge_energy_forces(
    crystal: Crystal, charges: Float[ndarray, "atoms"], ewald_parameter: float | None = None
) -> EnergyForcesStress:
    """Coulomb energy, forces and stress of point charges (e); a net charge is balanced by a uniform background.

    Args:
        ewald_parameter: splitting between real and reciprocal space, 1/Å; the result does not depend on it.
    """
    charges = np.asarray(charges, dtype=float)
    width = ewald_parameter or np.sqrt(np.pi) * (crystal.n_atoms / crystal.volume**2) ** (1 / 6)
    real = _real_space(crystal, charges, width)
    reciprocal = _reciprocal_space(crystal, charges, width)
    background = -np.pi * charges.sum() ** 2 / (2 * crystal.volume * width**2) * COULOMB_EV_ANGSTROM
    own = -width / np.sqrt(np.pi) * (charges**2).sum() * COULOMB_EV_ANGSTROM
    return EnergyForcesStress(
        real.energy + reciprocal.energy + own + background,
        real.forces + reciprocal.forces,
        real.stress + reciprocal.stress - np.eye(3) * background / crystal.volume,
    )


def _real_space(crystal: Crystal, charges: Float[ndarray, "atoms"], width: float) -> EnergyForcesStress:
    pairs = neighbour_pairs(crystal, DECAY / width)
    vectors = pair_vectors(crystal, pairs)
    distance = np.linalg.norm(vectors, axis=1)
    product = charges[pairs.i] * charges[pairs.j] * COULOMB_EV_ANGSTROM
    energy = product * erfc(width * distance) / distance
    slope = energy + product * 2 * width / np.sqrt(np.pi) * np.exp(-((width * distance) ** 2))
    pull = -(slope / distance**2)[:, None] * vectors
    forces = np.zeros((crystal.n_atoms, 3))
    np.add.at(forces, pairs.i, pull)
    stress = np.einsum("pa,pb->ab", pull, vectors) / (2 * crystal.volume)
    return EnergyForcesStress(float(energy.sum() / 2), forces, stress)


def _reciprocal_space(crystal: Crystal, charges: Float[ndarray, "atoms"], width: float) -> EnergyForcesStress:
    radius = 2 * width * DECAY / (2 * np.pi)
    limits = np.ceil(radius * np.linalg.norm(crystal.lattice, axis=1)).astype(int)
    axes = [np.arange(-limit, limit + 1) for limit in limits]
    integers = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = 2 * np.pi * integers @ crystal.reciprocal
    squares = np.einsum("ka,ka->k", vectors, vectors)
    keep = (squares > 0) & (squares < (2 * np.pi * radius) ** 2)
    integers, vectors, squares = integers[keep], vectors[keep], squares[keep]
    phase = np.exp(2j * np.pi * integers @ crystal.fractional.T)
    structure = phase @ charges
    kernel = 4 * np.pi / crystal.volume * COULOMB_EV_ANGSTROM * np.exp(-squares / (4 * width**2)) / squares
    energy = kernel * np.abs(structure) ** 2 / 2
    forces = np.einsum("k,kj,ka->ja", kernel, (phase * structure.conj()[:, None]).imag, vectors, optimize=True)
    anisotropy = 2 / squares + 1 / (2 * width**2)
    stress = np.einsum("k,ka,kb->ab", energy * anisotropy, vectors, vectors) - np.eye(3) * energy.sum()
    return EnergyForcesStress(float(energy.sum()), forces * charges[:, None], stress / crystal.volume)
