"""Pairs of atoms within a cut-off in a periodic crystal, each with the lattice translation of its partner."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal


class Pairs(NamedTuple):
    """Directed pairs (i, j, R): atom i of the home cell and atom j of the cell at lattice translation R."""

    i: Int[ndarray, "pairs"]
    j: Int[ndarray, "pairs"]
    shifts: Int[ndarray, "pairs 3"]
    """R in units of the lattice vectors."""


def neighbour_pairs(crystal: Crystal, cutoff: float) -> Pairs:
    """All directed pairs closer than `cutoff` (Å), sorted by (i, j, R); the pair of an atom with itself is left out."""
    pairs = unsorted_pairs(crystal, cutoff)
    order = np.lexsort((pairs.shifts[:, 2], pairs.shifts[:, 1], pairs.shifts[:, 0], pairs.j, pairs.i))
    return Pairs(*(part[order] for part in pairs))


def unsorted_pairs(crystal: Crystal, cutoff: float) -> Pairs:
    """The same in no particular order."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    positions = np.ascontiguousarray(crystal.positions, dtype=float)
    lattice = np.ascontiguousarray(crystal.lattice, dtype=float)
    i, j, shifts, _ = find_points_in_spheres(positions, positions, float(cutoff), np.ones(3, np.int64), lattice)
    shifts = shifts.astype(np.int64)
    others = (i != j) | shifts.any(axis=1)
    return Pairs(i[others].astype(np.int64), j[others].astype(np.int64), shifts[others])


def pair_vectors(crystal: Crystal, pairs: Pairs) -> Float[ndarray, "pairs 3"]:
    """r_j + R − r_i for every pair, Å."""
    return crystal.positions[pairs.j] + pairs.shifts @ crystal.lattice - crystal.positions[pairs.i]


def reverse_index(pairs: Pairs) -> Int[ndarray, "pairs"]:
    """For every pair (i, j, R) the position of (j, i, −R) in the list.

    Raises:
        ValueError: some pair has no partner in the opposite direction.
    """
    forward = np.column_stack([pairs.i, pairs.j, pairs.shifts])
    backward = np.column_stack([pairs.j, pairs.i, -pairs.shifts])
    by_forward, by_backward = _row_order(forward), _row_order(backward)
    if not np.array_equal(forward[by_forward], backward[by_backward]):
        raise ValueError("the pair list is not closed under (i, j, R) -> (j, i, -R)")
    reverse = np.empty(len(forward), dtype=np.int64)
    reverse[by_backward] = by_forward
    return reverse


def concatenate_pairs(*lists: Pairs) -> Pairs:
    """The lists one after the other."""
    return Pairs(*(np.concatenate(parts) for parts in zip(*lists, strict=True)))


def on_site_pairs(n_atoms: int) -> Pairs:
    """The pair (i, i, 0) of every atom with itself."""
    atoms = np.arange(n_atoms)
    return Pairs(atoms, atoms.copy(), np.zeros((n_atoms, 3), dtype=np.int64))


def _row_order(rows: Int[ndarray, "rows columns"]) -> Int[ndarray, "rows"]:
    return np.lexsort(rows.T[::-1])
