"""Coulomb force constants of point charges in a supercell, rows of the primitive cell only: the fast exact route.

The same numbers as `DipoleInteraction(crystal, q·1, 1).folded(supercell)`, by one Ewald sum at Γ of the supercell in
real arithmetic. The splitting balances the measured costs of the two sums.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import erfc

from mlrim.lattice.supercell import Supercell
from mlrim.rim.supercell_pairs import COMPONENTS, ImagePairs, pairs_to_images, summed_tensors, with_sum_rule, within
from mlrim.units import COULOMB_EV_ANGSTROM

DECAY = 5.3
"""Terms are summed until exp(−DECAY²) ≈ 1e-12 of the leading one."""

PAIR_COST, PHASE_COST, PRODUCT_COST = 1e-6, 3e-8, 1e-10
"""Seconds for a pair in real space, a phase, and a product of phases in reciprocal space (one core of 2024)."""


def point_charge_force_constants(
    supercell: Supercell, charges: Float[ndarray, "atoms"]
) -> Float[ndarray, "atoms images 3 3"]:
    """Force constants of charges (e) of the primitive cell, conducting boundary, acoustic sum rule, eV/Å²."""
    return with_sum_rule(supercell, point_charge_tensors(supercell, charges))


def point_charge_tensors(
    supercell: Supercell, charges: Float[ndarray, "atoms"], pairs: ImagePairs | None = None
) -> Float[ndarray, "6 atoms images"]:
    """The six components of these force constants before the sum rule, eV/Å².

    Args:
        pairs: all pairs within `near_reach` at least, where they are known already.
    """
    width = balanced_width(supercell)
    if pairs is None:
        pairs = pairs_to_images(supercell, DECAY / width)
    image_charges = np.repeat(charges, supercell.n_cells)
    scale = COULOMB_EV_ANGSTROM * charges[:, None] * image_charges
    return scale * (_near(supercell, within(pairs, DECAY / width), width) + _far(supercell, width))


def near_reach(supercell: Supercell) -> float:
    """Range of the real-space sum, Å."""
    return DECAY / balanced_width(supercell)


def balanced_width(supercell: Supercell) -> float:
    """The Ewald parameter (1/Å) at which both sums take about as long."""
    n_atoms, n_images = supercell.crystal.n_atoms, supercell.n_atoms
    volume = abs(float(np.linalg.det(supercell.lattice)))
    near = PAIR_COST * n_atoms * n_images / volume * 4 * np.pi / 3 * DECAY**3
    far = n_images * (PHASE_COST + 12 * PRODUCT_COST * n_atoms) * volume * (2 * DECAY) ** 3 / (12 * np.pi**2)
    return float((near / far) ** (1 / 6))


def _near(supercell: Supercell, pairs: ImagePairs, width: float) -> Float[ndarray, "6 atoms images"]:
    """Σ over the periodic images of −∇∇ erfc(Λr)/r, and the self term."""
    distance = np.sqrt(pairs.squares)
    gaussian = 2 * width / np.sqrt(np.pi) * np.exp(-(width**2) * pairs.squares)
    slope = (erfc(width * distance) / distance + gaussian) / pairs.squares
    bend = (3 * slope + 2 * width**2 * gaussian) / pairs.squares
    tensors = summed_tensors(supercell, pairs, slope, -bend)
    atoms = np.arange(supercell.crystal.n_atoms)
    tensors[:3, atoms, atoms * supercell.n_cells] -= 4 * width**3 / (3 * np.sqrt(np.pi))
    return tensors


def _far(supercell: Supercell, width: float) -> Float[ndarray, "6 atoms images"]:
    """4π/V Σ_G G G/G² exp(−G²/4Λ²) cos G·(r_j − r_i), over one of each ±G."""
    reciprocal = np.linalg.inv(supercell.lattice).T
    integers, vectors = _half_sphere(supercell.lattice, reciprocal, 2 * width * DECAY)
    squares = np.einsum("ga,ga->g", vectors, vectors)
    volume = abs(float(np.linalg.det(supercell.lattice)))
    weight = 8 * np.pi / volume * np.exp(-squares / (4 * width**2)) / squares
    angles = (2 * np.pi * (supercell.positions @ reciprocal.T)) @ integers.T.astype(float)
    cosine, sine = np.cos(angles), np.sin(angles)
    home = np.arange(supercell.crystal.n_atoms) * supercell.n_cells
    waves = np.concatenate([cosine, sine], axis=1)
    if supercell.n_cells == 1:
        factors = (np.tile(np.sqrt(weight), 2) * np.tile(vectors.T, 2))[:, None] * waves
        flat = factors.reshape(-1, waves.shape[1])
        product = (flat @ flat.T).reshape(3, len(home), 3, len(home))
        return np.stack([product[row, :, column] for row, column in COMPONENTS])
    scales = np.stack([np.tile(weight * vectors[:, row] * vectors[:, column], 2) for row, column in COMPONENTS])
    products = (scales[:, None] * waves[home]).reshape(-1, waves.shape[1]) @ waves.T
    return products.reshape(6, len(home), supercell.n_atoms)


def _half_sphere(
    lattice: Float[ndarray, "3 3"], reciprocal: Float[ndarray, "3 3"], radius: float
) -> tuple[Int[ndarray, "points 3"], Float[ndarray, "points 3"]]:
    """Reciprocal lattice vectors (integers, and 2π G in 1/Å) inside a sphere, one of each ±G, without zero."""
    limits = np.floor(radius * np.linalg.norm(lattice, axis=1) / (2 * np.pi)).astype(int)
    first = np.arange(limits[0] + 1)
    others = [np.arange(-limit, limit + 1) for limit in limits[1:]]
    points = np.stack(np.meshgrid(first, *others, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, z = points.T
    points = points[(x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))]
    vectors = 2 * np.pi * points @ reciprocal
    inside = np.einsum("ga,ga->g", vectors, vectors) < radius**2
    return points[inside], vectors[inside]
