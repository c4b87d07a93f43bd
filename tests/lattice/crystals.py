"""Crystals that the tests share: random ones for properties, known ones for numbers."""

import numpy as np
from hypothesis import strategies as st
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal

FCC = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])


def rocksalt(a: float, numbers: tuple[int, int] = (12, 8)) -> Crystal:
    """Primitive rocksalt cell with conventional lattice constant `a`, Å."""
    return Crystal.from_fractional(a * FCC, np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.array(numbers))


def zincblende(a: float, numbers: tuple[int, int] = (30, 16)) -> Crystal:
    """Primitive zincblende cell."""
    return Crystal.from_fractional(a * FCC, np.array([[0.0, 0, 0], [0.25, 0.25, 0.25]]), np.array(numbers))


def fluorite(a: float, numbers: tuple[int, int] = (20, 9)) -> Crystal:
    """Primitive fluorite cell, cation first."""
    fractional = np.array([[0.0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]])
    return Crystal.from_fractional(a * FCC, fractional, np.array([numbers[0], numbers[1], numbers[1]]))


def caesium_chloride(a: float) -> Crystal:
    """Primitive CsCl cell."""
    return Crystal.from_fractional(a * np.eye(3), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.array([55, 17]))


def rutile(a: float = 4.593, c: float = 2.959, u: float = 0.3053) -> Crystal:
    """Rutile TiO2."""
    fractional = np.array(
        [[0, 0, 0], [0.5, 0.5, 0.5], [u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    )
    return Crystal.from_fractional(np.diag([a, a, c]), fractional, np.array([22, 22, 8, 8, 8, 8]))


def random_crystal(seed: int, n_atoms: int = 4) -> Crystal:
    """A triclinic crystal of a few atoms at random, not too close, places."""
    generator = np.random.default_rng(seed)
    lattice = 5.0 * np.eye(3) + 0.7 * generator.normal(size=(3, 3))
    grid = np.array([[x, y, z] for x in (0, 0.5) for y in (0, 0.5) for z in (0, 0.5)])[:n_atoms]
    fractional = grid + 0.06 * generator.normal(size=(n_atoms, 3))
    return Crystal.from_fractional(lattice, fractional, generator.choice([8, 9, 11, 12, 17, 22], n_atoms))


def random_born_charges(seed: int, n_atoms: int = 4) -> Float[ndarray, "atoms 3 3"]:
    """General, neutral Born charges."""
    born = np.random.default_rng(seed + 1).normal(size=(n_atoms, 3, 3))
    return born - born.mean(axis=0)


def random_dielectric(seed: int) -> Float[ndarray, "3 3"]:
    """A symmetric positive definite tensor."""
    mixing = np.random.default_rng(seed + 2).normal(size=(3, 3))
    return 2.0 * np.eye(3) + 0.3 * mixing @ mixing.T


def random_rotation(seed: int) -> Float[ndarray, "3 3"]:
    """An orthogonal matrix, proper or improper."""
    return np.linalg.qr(np.random.default_rng(seed + 3).normal(size=(3, 3)))[0]


seeds = st.integers(0, 10_000)
supercell_matrices = st.sampled_from(
    [
        np.diag([2, 2, 2]),
        np.diag([1, 2, 3]),
        np.array([[2, 1, 0], [0, 2, 0], [1, 0, 3]]),
        np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]),
        np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
    ]
)
