"""All force constants of a crystal from as few rows as its symmetry allows.

A row is dᵀ Φ_ij(R) for one atom i, one direction d and all (j, R): one product of the Hessian with a displacement, or
one difference of forces. Rotating a row about the atom's site gives rows of other directions, and rotating the three
independent rows of one atom those of all its equivalents. A general direction at a cubic site is enough.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import Pairs
from mlrim.lattice.symmetry import SpaceGroup

DIRECTIONS = np.array(
    [[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [1, 2, 4], [4, -1, 2], [2, 4, -1]]
)
"""Cartesian directions to choose from; simple ones first, general ones last."""
WELL_CONDITIONED = 0.2
"""Least ratio of the smallest to the largest singular value of the directions that rotations make."""


class Probe(NamedTuple):
    """An atom that stands for all equivalent ones, and the directions in which it has to be moved."""

    atom: int
    directions: Float[ndarray, "directions 3"]
    """Cartesian unit vectors."""


class Row(NamedTuple):
    """What moving one atom does to all others."""

    probe: Probe
    partner: Int[ndarray, "pairs"]
    shifts: Int[ndarray, "pairs 3"]
    """Lattice translation of the partner."""
    values: Float[ndarray, "directions pairs 3"]
    """dᵀ Φ_ij(R), eV/Å²; pairs may be repeated, and then add up."""


def inequivalent_probes(group: SpaceGroup, operations: Sequence[int] | None = None) -> list[Probe]:
    """The fewest displacements from which all force constants follow.

    Args:
        operations: numbers of the operations of the group that may be used (themselves a group); all by default.
    """
    used = _numbers(group, operations)
    first = np.unique(group.permutations[used].min(axis=0))
    return [Probe(int(atom), _directions(group.cartesian[_site(group, used, int(atom))])) for atom in first]


def complete_force_constants(
    rows: Sequence[Row], group: SpaceGroup, operations: Sequence[int] | None = None
) -> PairForceConstants:
    """The force constants of all pairs, eV/Å², from the rows of `inequivalent_probes` with the same operations."""
    used = _numbers(group, operations)
    parts = [part for row in rows for part in _orbit(_all_rows(row, group, used), row.probe.atom, group, used)]
    pairs = Pairs(*(np.concatenate(columns) for columns in zip(*(part.pairs for part in parts), strict=True)))
    return PairForceConstants(pairs, np.concatenate([part.blocks for part in parts]))


def without_zeros(force_constants: PairForceConstants, threshold: float = 0.0) -> PairForceConstants:
    """The pairs whose largest element (eV/Å²) is above a threshold."""
    pairs, blocks = force_constants
    kept = np.abs(blocks).max(axis=(1, 2)) > threshold
    return PairForceConstants(Pairs(*(part[kept] for part in pairs)), blocks[kept])


def _numbers(group: SpaceGroup, operations: Sequence[int] | None) -> Int[ndarray, "used"]:
    return np.arange(len(group.rotations)) if operations is None else np.asarray(operations, dtype=np.int64)


def _site(group: SpaceGroup, used: Int[ndarray, "used"], atom: int) -> Int[ndarray, "site"]:
    """The operations that leave an atom where it is."""
    return used[group.permutations[used, atom] == atom]


def _directions(rotations: Float[ndarray, "site 3 3"]) -> Float[ndarray, "directions 3"]:
    """The fewest directions that rotations carry into three independent ones, the best conditioned of those."""
    units = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    moments = np.einsum("gab,nb,gcd,nd->nac", rotations, units, rotations, units, optimize=True)
    for number in (1, 2):
        choices = list(combinations(range(len(units)), number))
        spectra = np.linalg.eigvalsh(np.array([moments[list(choice)].sum(axis=0) for choice in choices]))
        conditions = np.sqrt(np.maximum(spectra[:, 0], 0) / spectra[:, -1])
        if conditions.max() > WELL_CONDITIONED:
            return units[list(choices[int(np.argmax(np.round(conditions, 6)))])]
    return np.eye(3)


def _all_rows(row: Row, group: SpaceGroup, used: Int[ndarray, "used"]) -> PairForceConstants:
    """Whole blocks of one atom: least squares over the row and all that its site symmetry makes of it."""
    atom, directions = row.probe
    site = _site(group, used, atom)
    rotated = directions @ group.cartesian[site].transpose(0, 2, 1)
    solution = rotated @ np.linalg.inv(np.einsum("gka,gkb->ab", rotated, rotated))
    places, blocks = [], []
    for operation, weights in zip(site, solution, strict=True):
        places.append(_moved(row.partner, row.shifts, atom, group, int(operation)))
        blocks.append(np.einsum("ka,kmb->mab", weights, row.values @ group.cartesian[operation].T))
    place, inverse = _unique_rows(np.concatenate(places))
    total = np.zeros((len(place), 3, 3))
    np.add.at(total, inverse, np.concatenate(blocks))
    return PairForceConstants(Pairs(np.full(len(place), atom), place[:, 0], place[:, 1:]), total)


def _orbit(
    force_constants: PairForceConstants, atom: int, group: SpaceGroup, used: Int[ndarray, "used"]
) -> list[PairForceConstants]:
    """The blocks of one atom and of all its equivalents."""
    (_, partner, shifts), blocks = force_constants
    images, first = np.unique(group.permutations[used, atom], return_index=True)
    parts = []
    for image, operation in zip(images, used[first], strict=True):
        place = _moved(partner, shifts, atom, group, int(operation))
        rotation = group.cartesian[operation]
        pairs = Pairs(np.full(len(place), image), place[:, 0], place[:, 1:])
        parts.append(PairForceConstants(pairs, rotation @ blocks @ rotation.T))
    return parts


def _moved(
    partner: Int[ndarray, "pairs"], shifts: Int[ndarray, "pairs 3"], atom: int, group: SpaceGroup, operation: int
) -> Int[ndarray, "pairs 4"]:
    """Where an operation carries the partners of an atom, seen from where it carries the atom."""
    translations = group.atom_shifts[operation]
    moved = shifts @ group.rotations[operation].T + translations[partner] - translations[atom]
    return np.column_stack([group.permutations[operation, partner], moved])


def _unique_rows(rows: Int[ndarray, "rows 4"]) -> tuple[Int[ndarray, "distinct 4"], Int[ndarray, "rows"]]:
    """`numpy.unique` of rows of small integers, by one integer for each."""
    low = rows.min(axis=0)
    keys = np.ravel_multi_index(tuple((rows - low).T), tuple(rows.max(axis=0) - low + 1))
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], inverse.reshape(-1)
