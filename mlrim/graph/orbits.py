"""Atoms and pairs of a crystal that its symmetry makes equal: each orbit has one representative.

An equivariant network gives equal atoms equal features up to the rotation between them, and gives equal pairs equal
force constants up to that rotation and the transpose of a reversal. It is therefore evaluated on representatives
only; the rest is rotated from them. In a symmetric crystal this saves most of the work and makes the result exactly
symmetric.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import Pairs, reverse_index
from mlrim.lattice.symmetry import space_group


class Operations(NamedTuple):
    """Symmetry operations of a crystal, as far as moving atoms and pairs needs them; the first is the identity."""

    rotations: Int[ndarray, "operations 3 3"]
    """In fractional coordinates, x' = W x + w."""
    cartesian: Float[ndarray, "operations 3 3"]
    permutations: Int[ndarray, "operations atoms"]
    """Atom that each atom is carried to."""
    atom_shifts: Int[ndarray, "operations atoms 3"]
    """Lattice translation that it is carried to."""


class AtomOrbits(NamedTuple):
    """Equivalent atoms: `cartesian[operation]` carries an atom's surroundings onto its representative's."""

    representative: Int[ndarray, "atoms"]
    operation: Int[ndarray, "atoms"]


class PairOrbits(NamedTuple):
    """Equivalent pairs: the operation carries a pair onto its representative, or onto the reverse of that."""

    representative: Int[ndarray, "pairs"]
    operation: Int[ndarray, "pairs"]
    reversed: Bool[ndarray, "pairs"]


def identity_operation(n_atoms: int) -> Operations:
    """No symmetry at all."""
    one = np.eye(3)[None]
    return Operations(one.astype(np.int64), one, np.arange(n_atoms)[None], np.zeros((1, n_atoms, 3), dtype=np.int64))


def symmetry_operations(crystal: Crystal, symprec: float) -> Operations:
    """The crystal's space-group operations at a tolerance (Å); the identity alone where none are found."""
    try:
        group = space_group(crystal, symprec)
    except ValueError:
        return identity_operation(crystal.n_atoms)
    if any(len(np.unique(permutation)) != crystal.n_atoms for permutation in group.permutations):
        return identity_operation(crystal.n_atoms)
    return Operations(group.rotations, group.cartesian, group.permutations, group.atom_shifts)


def atom_orbits(operations: Operations) -> AtomOrbits:
    """Group the atoms; the lowest index of an orbit represents it."""
    chosen = operations.permutations.argmin(axis=0)
    return AtomOrbits(operations.permutations.min(axis=0), chosen)


def pair_orbits(pairs: Pairs, operations: Operations) -> PairOrbits:
    """Group directed pairs, a pair and its reverse together; the list must be closed under reversal."""
    if len(pairs.i) == 0:
        none = np.zeros(0, dtype=np.int64)
        return PairOrbits(none, none, none.astype(bool))
    images = _pair_images(pairs, operations)
    reverse = np.append(reverse_index(pairs), len(pairs.i))
    candidates = np.stack([images, reverse[images]])
    best = candidates.reshape(-1, candidates.shape[-1]).argmin(axis=0)
    flipped, operation = np.divmod(best, len(images))
    representative = candidates[flipped, operation, np.arange(len(pairs.i))]
    return PairOrbits(representative, operation, flipped.astype(bool))


def _pair_images(pairs: Pairs, operations: Operations) -> Int[ndarray, "operations pairs"]:
    """Where each operation carries each pair; the number of pairs stands for one that is not in the list."""
    span = 2 * int(np.abs(pairs.shifts).max()) + 1
    n_atoms = operations.permutations.shape[1]

    def keys(i: ndarray, j: ndarray, shifts: ndarray) -> ndarray:
        offset = np.where((np.abs(shifts) <= span // 2).all(axis=-1), 0, -(10**12))
        cell = ((shifts[..., 0] * span) + shifts[..., 1]) * span + shifts[..., 2] + span**3
        return (i * n_atoms + j) * 2 * span**3 + cell + offset

    known = keys(*pairs)
    order = np.argsort(known)
    moved = (
        np.einsum("oab,eb->oea", operations.rotations, pairs.shifts)
        + operations.atom_shifts[:, pairs.j]
        - operations.atom_shifts[:, pairs.i]
    )
    wanted = keys(operations.permutations[:, pairs.i], operations.permutations[:, pairs.j], moved)
    place = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
    found = order[place]
    return np.where(known[found] == wanted, found, len(known))
