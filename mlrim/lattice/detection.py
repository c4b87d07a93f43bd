"""Symmetry detection by spglib, the one place that calls it on a crystal."""

from typing import Any

import numpy as np
import spglib
from jaxtyping import Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal

SYMPREC = 1e-4
"""Default tolerance of the symmetry search, Å."""


def symmetry_dataset(crystal: Crystal, symprec: float = SYMPREC) -> Any:
    """spglib's description of a crystal; atoms of one element with different masses are different.

    Returns:
        A `spglib.SpglibDataset`, or None where spglib finds no symmetry, as for overlapping atoms.
    """
    kinds = np.column_stack([crystal.numbers, np.round(crystal.masses * 1e4)])
    species = np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1).tolist()
    try:
        return spglib.get_symmetry_dataset(
            (crystal.lattice.tolist(), crystal.fractional.tolist(), species), symprec=symprec
        )
    except spglib.error.SpglibError:
        return None


def point_group_rotations(crystal: Crystal, symprec: float = SYMPREC) -> Int[ndarray, "operations 3 3"]:
    """Rotations of the space group in fractional coordinates; the identity alone where none is found."""
    dataset = symmetry_dataset(crystal, symprec)
    return np.eye(3, dtype=np.int64)[None] if dataset is None else dataset.rotations.astype(np.int64)
