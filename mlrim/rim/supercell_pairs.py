"""Pairs from the atoms of a primitive cell to the images of a supercell, and sums of their tensors."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.neighbours import pair_vectors, unsorted_pairs
from mlrim.lattice.supercell import Supercell

COMPONENTS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""The six components of a symmetric tensor, in Voigt's order."""


class ImagePairs(NamedTuple):
    """Directed pairs with the supercell atom that their end coincides with."""

    i: Int[ndarray, "pairs"]
    j: Int[ndarray, "pairs"]
    image: Int[ndarray, "pairs"]
    vectors: Float[ndarray, "pairs 3"]
    """Å"""
    squares: Float[ndarray, "pairs"]
    """Å²"""


def pairs_to_images(supercell: Supercell, cutoff: float) -> ImagePairs:
    """All pairs of the infinite crystal closer than a cut-off (Å), in no particular order."""
    crystal = supercell.crystal
    pairs = unsorted_pairs(crystal, cutoff)
    i, j, shifts = pairs
    vectors = pair_vectors(crystal, pairs)
    image = j if supercell.n_cells == 1 else supercell.image_index(j, shifts)
    return ImagePairs(i, j, np.asarray(image), vectors, np.einsum("pa,pa->p", vectors, vectors))


def within(pairs: ImagePairs, cutoff: float) -> ImagePairs:
    """The pairs closer than a cut-off (Å)."""
    inside = np.flatnonzero(pairs.squares < cutoff**2)
    return pairs if len(inside) == len(pairs.squares) else ImagePairs(*(part[inside] for part in pairs))


def summed_tensors(
    supercell: Supercell, pairs: ImagePairs, isotropic: Float[ndarray, "pairs"], outer: Float[ndarray, "pairs"]
) -> Float[ndarray, "6 atoms images"]:
    """Σ isotropic · 1 + outer · r rᵀ over the pairs of every atom and image, six components each."""
    n_atoms, n_images = supercell.crystal.n_atoms, supercell.n_atoms
    flat = pairs.i * n_images + pairs.image
    x = np.ascontiguousarray(pairs.vectors.T)
    scaled = outer * x
    tensors = np.empty((6, n_atoms * n_images))
    for index, (row, column) in enumerate(COMPONENTS):
        values = scaled[row] * x[column]
        if row == column:
            values += isotropic
        tensors[index] = np.bincount(flat, values, minlength=n_atoms * n_images)
    return tensors.reshape(6, n_atoms, n_images)


def with_sum_rule(
    supercell: Supercell, tensors: Float[ndarray, "6 atoms images"]
) -> Float[ndarray, "atoms images 3 3"]:
    """Compact force constants from their six components, on-site blocks by the acoustic sum rule."""
    n_atoms = supercell.crystal.n_atoms
    compact = np.empty((n_atoms, supercell.n_atoms, 3, 3))
    for component, (row, column) in zip(tensors, COMPONENTS, strict=True):
        compact[..., row, column] = compact[..., column, row] = component
    atoms = np.arange(n_atoms)
    compact[atoms, atoms * supercell.n_cells] -= compact.sum(axis=1)
    return compact
