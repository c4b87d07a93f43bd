"""Electrostatic potential at the sites of a periodic array of point charges, summed exactly (Ewald)."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import erfc

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.units import COULOMB_EV_ANGSTROM

DECAY = 6.2
"""Terms are summed until exp(−DECAY²) ≈ 2e-17 of the leading one."""


def site_potentials(crystal: Crystal, charges: Float[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    """Potential (V) at every ion due to all other ions, conducting boundary; ½ Σ q φ is the Coulomb energy (eV).

    The charges (e) must be neutral.
    """
    charges = np.asarray(charges, dtype=float)
    width = np.sqrt(np.pi) * (crystal.n_atoms / crystal.volume**2) ** (1 / 6)
    pairs = neighbour_pairs(crystal, DECAY / width)
    distance = np.linalg.norm(pair_vectors(crystal, pairs), axis=1)
    near = np.bincount(pairs.i, charges[pairs.j] * erfc(width * distance) / distance, minlength=crystal.n_atoms)
    own = -2 * width / np.sqrt(np.pi) * charges
    return COULOMB_EV_ANGSTROM * (near + own + _reciprocal_potentials(crystal, charges, width))


def _reciprocal_potentials(crystal: Crystal, charges: Float[ndarray, "atoms"], width: float) -> Float[ndarray, "atoms"]:
    radius = width * DECAY / np.pi
    limits = np.ceil(radius * np.linalg.norm(crystal.lattice, axis=1)).astype(int)
    axes = [np.arange(-limit, limit + 1) for limit in limits]
    integers = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = ((2 * np.pi * integers @ crystal.reciprocal) ** 2).sum(axis=1)
    keep = (squares > 0) & (squares < (2 * np.pi * radius) ** 2)
    integers, squares = integers[keep], squares[keep]
    phases = np.exp(2j * np.pi * integers @ crystal.fractional.T)
    kernel = 4 * np.pi / crystal.volume * np.exp(-squares / (4 * width**2)) / squares
    return np.real((kernel * (phases @ charges)) @ phases.conj())
