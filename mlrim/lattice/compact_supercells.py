"""Supercells with few atoms whose images are far apart, and which have all the symmetry of the crystal."""

from itertools import product

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import symmetry_dataset
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import SpaceGroup


def compact_supercell(crystal: Crystal, group: SpaceGroup, distance: float, max_atoms: int) -> Supercell:
    """The supercell with the fewest atoms in which an atom is at least `distance` (Å) from its own images.

    Multiples of the primitive and of the conventional vectors are tried that the point group maps onto themselves. If
    `max_atoms` are not enough for the distance, it is the one with the largest distance.
    """
    matrices = _symmetric_multiples(crystal, group, distance, max_atoms)
    distances = np.array([image_distance(matrix.T @ crystal.lattice) for matrix in matrices])
    far = np.flatnonzero(distances > min(distance, distances.max()) - 1e-6)
    return Supercell(crystal, matrices[int(far[0])])


def image_distance(lattice: Float[ndarray, "3 3"]) -> float:
    """Length of the shortest lattice vector, Å."""
    from ase.geometry import minkowski_reduce

    return float(np.linalg.norm(minkowski_reduce(lattice)[0], axis=1).min())


def _symmetric_multiples(
    crystal: Crystal, group: SpaceGroup, distance: float, max_atoms: int
) -> list[Int[ndarray, "3 3"]]:
    """Matrices of supercells that keep the symmetry, in ascending order of size; the primitive cell among them."""
    shortest = image_distance(crystal.lattice)
    most = max(1, min(int(np.ceil(2 * distance / shortest)), max_atoms // crystal.n_atoms))
    found = {(1, 0): np.eye(3, dtype=np.int64)}
    multiples = np.array(list(product(range(1, most + 1), repeat=3)))
    for base in (np.eye(3, dtype=np.int64), _conventional(crystal)):
        sizes = multiples.prod(axis=1) * abs(round(np.linalg.det(base)))
        for index in np.flatnonzero(sizes * crystal.n_atoms <= max_atoms):
            matrix = base @ np.diag(multiples[index])
            if _keeps(matrix, group):
                found[(int(sizes[index]), len(found))] = matrix
    return [found[key] for key in sorted(found)]


def _conventional(crystal: Crystal) -> Int[ndarray, "3 3"]:
    """The conventional cell as a supercell of the crystal; of a crystal without symmetry the cell itself."""
    dataset = symmetry_dataset(crystal)
    if dataset is None:
        return np.eye(3, dtype=np.int64)
    matrix = np.linalg.inv(dataset.transformation_matrix)
    rounded = np.round(matrix).astype(np.int64)
    return rounded if np.allclose(matrix, rounded, atol=1e-6) else np.eye(3, dtype=np.int64)


def _keeps(matrix: Int[ndarray, "3 3"], group: SpaceGroup) -> bool:
    moved = np.linalg.inv(matrix) @ group.rotations @ matrix
    return bool(np.allclose(moved, np.round(moved), atol=1e-6))
