"""Supercells: lattice points, images of atoms, commensurate wave vectors and shortest vectors.

Every array over the atoms of a supercell in this project is in one canonical order: image s = j·cells + k is atom j
of the primitive cell moved by the k-th lattice translation of the supercell.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import point_group_rotations
from mlrim.lattice.neighbours import Pairs


class ShortestImages(NamedTuple):
    """The shortest vectors from every primitive atom to every supercell atom, equidistant ones all listed."""

    pairs: Pairs
    image: Int[ndarray, "pairs"]
    """Supercell atom s that the pair's end is an image of."""
    weight: Float[ndarray, "pairs"]
    """One over the number of equidistant images."""


@dataclass(frozen=True, eq=False)
class Supercell:
    """A supercell of a primitive crystal.

    Attributes:
        crystal: the primitive cell.
        matrix: integer matrix in phonopy's convention: (a_s b_s c_s) = (a b c) · matrix with lattice vectors as
            columns, so that the supercell's lattice rows are matrixᵀ · lattice.
    """

    crystal: Crystal
    matrix: Int[ndarray, "3 3"]
    shifts: Int[ndarray, "cells 3"] = field(init=False)
    """Lattice translations inside the supercell, in units of the primitive lattice vectors; the first is zero."""

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.int64).reshape(3, 3)
        if round(np.linalg.det(matrix)) == 0:
            raise ValueError(f"the supercell matrix {matrix.tolist()} is singular")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "shifts", lattice_points(matrix.T))

    @property
    def n_cells(self) -> int:
        """Number of primitive cells."""
        return len(self.shifts)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the supercell."""
        return self.crystal.n_atoms * self.n_cells

    @cached_property
    def lattice(self) -> Float[ndarray, "3 3"]:
        """Lattice vectors of the supercell as rows, Å."""
        return self.matrix.T @ self.crystal.lattice

    @cached_property
    def positions(self) -> Float[ndarray, "images 3"]:
        """Cartesian positions of the images in canonical order, Å."""
        translations = self.shifts @ self.crystal.lattice
        return (self.crystal.positions[:, None, :] + translations[None, :, :]).reshape(-1, 3)

    def to_crystal(self) -> Crystal:
        """The supercell as a crystal, atoms in canonical order."""
        repeat = self.n_cells
        return Crystal(
            self.lattice,
            self.positions,
            np.repeat(self.crystal.numbers, repeat),
            np.repeat(self.crystal.masses, repeat),
        )

    def image_index(self, atoms: Int[ndarray, "*pairs"], shifts: Int[ndarray, "*pairs 3"]) -> Int[ndarray, "*pairs"]:
        """The supercell atom that atom j at lattice translation R coincides with, modulo the supercell."""
        keys, order = self._sorted_keys
        found = np.searchsorted(keys, _coset_keys(shifts, self.matrix.T))
        return np.asarray(atoms) * self.n_cells + order[found]

    @cached_property
    def _sorted_keys(self) -> tuple[Int[ndarray, "cells"], Int[ndarray, "cells"]]:
        keys = _coset_keys(self.shifts, self.matrix.T)
        order = np.argsort(keys)
        return keys[order], order

    @cached_property
    def commensurate_qpoints(self) -> Float[ndarray, "cells 3"]:
        """Wave vectors with the periodicity of the supercell, in primitive reciprocal vectors; the first is Γ."""
        integers = lattice_points(self.matrix)
        qpoints = integers @ np.linalg.inv(self.matrix)
        return np.round(qpoints - np.round(qpoints - 1e-9), 12) + 0.0

    def shortest_images(self, tolerance: float = 1e-5) -> ShortestImages:
        """The shortest vectors between primitive and supercell atoms, as phonopy defines their multiplicity.

        Args:
            tolerance: vectors whose lengths differ by less than this (Å) count as equally short.
        """
        reduced, operation = _minkowski_reduced(self.lattice)
        n_primitive = self.crystal.n_atoms
        vectors = self.positions[None, :, :] - self.crystal.positions[:, None, :]
        nearest = np.round(vectors @ np.linalg.inv(reduced)).astype(np.int64)
        offsets = np.array(list(product((-1, 0, 1), repeat=3)))
        wrapped = vectors - nearest @ reduced
        lengths = np.linalg.norm(wrapped[:, :, None, :] + (offsets @ reduced)[None, None], axis=-1)
        i, image, choice = np.nonzero(lengths < lengths.min(axis=-1, keepdims=True) + tolerance)
        multiplicity = np.bincount(i * self.n_atoms + image, minlength=n_primitive * self.n_atoms)
        translations = (offsets[choice] - nearest[i, image]) @ operation @ self.matrix.T
        atoms, cells = np.divmod(image, self.n_cells)
        pairs = Pairs(i, atoms, self.shifts[cells] + translations)
        return ShortestImages(pairs, image, 1.0 / multiplicity[i * self.n_atoms + image])


def lattice_points(rows: Int[ndarray, "3 3"]) -> Int[ndarray, "cells 3"]:
    """The integer points inside the parallelepiped of an integer matrix's rows, zero first: Z³ modulo the rows."""
    corners = np.array(list(product((0, 1), repeat=3))) @ rows
    axes = [np.arange(low, high + 1) for low, high in zip(corners.min(0), corners.max(0), strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = np.all(_scaled_coordinates(points, rows) // abs(round(np.linalg.det(rows))) == 0, axis=1)
    points = points[inside]
    return points[np.lexsort((*points.T[::-1], np.any(points != 0, axis=1)))]


def _scaled_coordinates(points: Int[ndarray, "*points 3"], rows: Int[ndarray, "3 3"]) -> Int[ndarray, "*points 3"]:
    """Coordinates of integer points along the rows, times |determinant|: exact integers."""
    determinant = abs(round(np.linalg.det(rows)))
    return np.asarray(points) @ np.round(np.linalg.inv(rows) * determinant).astype(np.int64)


def _coset_keys(points: Int[ndarray, "*points 3"], rows: Int[ndarray, "3 3"]) -> Int[ndarray, "*points"]:
    """One integer for every coset of Z³ modulo the rows."""
    determinant = abs(round(np.linalg.det(rows)))
    remainder = _scaled_coordinates(points, rows) % determinant
    return remainder @ np.array([determinant**2, determinant, 1])


def _minkowski_reduced(lattice: Float[ndarray, "3 3"]) -> tuple[Float[ndarray, "3 3"], Int[ndarray, "3 3"]]:
    """A Minkowski-reduced basis and the integer operation that makes it: reduced = operation @ lattice."""
    from ase.geometry import minkowski_reduce

    reduced, operation = minkowski_reduce(lattice)
    return np.asarray(reduced), np.asarray(operation, dtype=np.int64)


def suggest_supercell_matrix(crystal: Crystal, min_length: float = 10.0, max_atoms: int = 400) -> Int[ndarray, "3 3"]:
    """A supercell that is at least `min_length` (Å) thick in every direction and keeps the crystal's symmetry.

    The multiples along the primitive vectors follow the distances between lattice planes; where these multiples
    would break the point group, one multiple is used for all. The length is reduced until `max_atoms` suffice.
    """
    heights = 1 / np.linalg.norm(crystal.reciprocal, axis=1)
    rotations = point_group_rotations(crystal)
    for length in np.linspace(min_length, heights.min(), 40):
        multiples = np.maximum(1, np.ceil(length / heights - 1e-6)).astype(np.int64)
        matrix = np.diag(multiples)
        if not _keeps_symmetry(matrix, rotations):
            matrix = np.eye(3, dtype=np.int64) * multiples.max()
        if crystal.n_atoms * round(np.linalg.det(matrix)) <= max_atoms:
            return matrix
    return np.eye(3, dtype=np.int64)


def _keeps_symmetry(matrix: Int[ndarray, "3 3"], rotations: Int[ndarray, "operations 3 3"]) -> bool:
    transformed = np.linalg.inv(matrix) @ rotations @ matrix
    return bool(np.allclose(transformed, np.round(transformed), atol=1e-6))
