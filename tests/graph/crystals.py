"""Crystals that the tests of graphs, networks and tasks share."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors


def rock_salt(length: float = 4.21) -> Crystal:
    lattice = length / 2 * (np.ones((3, 3)) - np.eye(3))
    return Crystal.from_fractional(lattice, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([12, 8]))


def rutile() -> Crystal:
    u = 0.305
    lattice = np.diag([4.59, 4.59, 2.96])
    fractional = [[0, 0, 0], [0.5, 0.5, 0.5], [u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    return Crystal.from_fractional(lattice, np.array(fractional), np.array([22, 22, 8, 8, 8, 8]))


def random_crystal(generator: np.random.Generator, n_atoms: int = 5) -> Crystal:
    """No symmetry, no two atoms closer than about 1.6 Å."""
    lattice = np.diag(generator.uniform(4.5, 6.0, 3)) + generator.uniform(-0.6, 0.6, (3, 3))
    grid = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [0.9, 0.9, 0.9], [0, 0, 1]]) / 2
    fractional = grid[:n_atoms] + generator.uniform(-0.04, 0.04, (n_atoms, 3))
    return Crystal.from_fractional(lattice, fractional, generator.choice([3, 8, 12, 17, 22, 38], n_atoms))


def some_baseline(crystal: Crystal, cutoff: float = 6.0) -> PairForceConstants:
    """Central and transverse springs between near atoms, and a permutation-symmetric antisymmetric part."""
    pairs = neighbour_pairs(crystal, cutoff)
    vectors = pair_vectors(crystal, pairs)
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / lengths[:, None]
    strength = 8 * np.exp(-2 * (lengths - 1.5))
    radial = unit[:, :, None] * unit[:, None, :]
    blocks = -strength[:, None, None] * (radial + 0.1 * np.eye(3))
    return PairForceConstants(pairs, blocks)


def rotated(crystal: Crystal, rotation: Float[ndarray, "3 3"]) -> Crystal:
    return Crystal(crystal.lattice @ rotation.T, crystal.positions @ rotation.T, crystal.numbers, crystal.masses)


def random_orthogonal(generator: np.random.Generator, determinant: int) -> Float[ndarray, "3 3"]:
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    return rotation * determinant * np.sign(np.linalg.det(rotation))
