"""The point group of a molecule: its operations, how they move the atoms, its Schoenflies symbol and its axes.

Every operation carries one pair of atoms onto another pair of the same kinds and distances, and such a pair leaves
one rotation and one rotoreflection to choose from: trying all pairs finds the whole group, whatever it is.
A linear molecule is treated in the subgroup of four-fold symmetry, which tells Σ and Π displacements apart.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import KDTree

from mlrim.errors import UserError
from mlrim.vibrations.irreps import Irrep, PointGroupAction, irreps_of
from mlrim.vibrations.molecular_irreps import RotationKinds, molecular_symbol

TOLERANCE = 0.01
"""Default distance (Å) within which an image must meet an atom."""


@dataclass(frozen=True, eq=False)
class MolecularPointGroup(PointGroupAction):
    """The point group of a molecule, acting on its atoms.

    Attributes:
        symbol: Schoenflies symbol, for example `C2v`, `Ih`, `D∞h`.
        rotations: Cartesian matrices (of a linear molecule: those of C4v or D4h), shape (operations, 3, 3).
        permutations: operation g takes atom j to atom permutations[g, j].
        axes: unit vectors x, y, z that the symbols of the irreps refer to, as rows.
        positions: symmetric positions relative to the centre of mass, Å.
        deviation: largest distance of an atom from its symmetric position, Å.
    """

    positions: Float[ndarray, "atoms 3"]
    deviation: float

    @cached_property
    def irreps(self) -> list[Irrep]:
        """All real irreducible representations that displacements or tensors can have, ordered by symbol."""
        kinds = RotationKinds(self.rotations, self.axes)
        named = irreps_of(self.rotations, lambda characters: molecular_symbol(characters, self.symbol, kinds))
        return [irrep for irrep in named if irrep.symbol]


def molecular_point_group(
    numbers: Int[ndarray, "atoms"],
    positions: Float[ndarray, "atoms 3"],
    masses: Float[ndarray, "atoms"],
    tolerance: float = TOLERANCE,
) -> MolecularPointGroup:
    """The point group of a molecule; isotopes are different atoms.

    Args:
        positions: Å, in any orientation.
        tolerance: distance (Å) within which the image of an atom must meet another.

    Raises:
        UserError: a single atom, atoms closer than the tolerance, or a tolerance so wide that the operations found
            do not form a group.
    """
    if len(numbers) < 2:
        raise UserError("a molecule needs at least two atoms")
    centred = positions - masses @ positions / masses.sum()
    same = (numbers[:, None] == numbers[None, :]) & (np.abs(masses[:, None] - masses[None, :]) < 1e-3)
    distances = np.linalg.norm(centred[:, None] - centred[None, :], axis=2) + 1e9 * np.eye(len(numbers))
    if distances.min() < 2 * tolerance:
        raise UserError(f"two atoms are {distances.min():.3g} Å apart: check the positions or lower the tolerance")
    if is_linear(centred, tolerance):
        return _linear_group(centred, same, tolerance)
    rotations, permutations = _operations(centred, same, tolerance)
    rotations, symmetric = _exact(rotations, permutations, centred)
    kinds = RotationKinds(rotations, np.eye(3))
    if not _closed(rotations):
        raise UserError(
            f"with a tolerance of {tolerance:g} Å the molecule has operations that do not form a group: "
            "lower the tolerance, or symmetrise the structure"
        )
    symbol = kinds.schoenflies()
    axes = _axes(symbol, kinds, symmetric, masses)
    deviation = float(np.linalg.norm(symmetric - centred, axis=1).max())
    return MolecularPointGroup(symbol, rotations, permutations, axes, symmetric, deviation)


def is_linear(centred: Float[ndarray, "atoms 3"], tolerance: float = TOLERANCE) -> bool:
    """All atoms lie on one line through the origin within the tolerance, Å."""
    axis = np.linalg.svd(centred)[2][0]
    return bool(np.linalg.norm(np.cross(centred, axis), axis=1).max() < tolerance)


def _operations(
    centred: Float[ndarray, "atoms 3"], same: Bool[ndarray, "atoms atoms"], tolerance: float
) -> tuple[Float[ndarray, "operations 3 3"], Int[ndarray, "operations atoms"]]:
    first, second = _reference_pair(centred, same, tolerance)
    lengths = np.linalg.norm(centred, axis=1)
    separation = np.linalg.norm(centred[first] - centred[second])
    source = _frame(centred[first], centred[second])
    found: list[tuple[ndarray, ndarray]] = []
    alike = [same[atom] & (np.abs(lengths - lengths[atom]) < 2 * tolerance) for atom in (first, second)]
    for image, other in product(np.flatnonzero(alike[0]), np.flatnonzero(alike[1])):
        if abs(np.linalg.norm(centred[image] - centred[other]) - separation) > 4 * tolerance:
            continue
        target = _frame(centred[image], centred[other])
        for handedness in (1.0, -1.0):
            rotation = target.T @ np.diag([1, 1, handedness]) @ source
            permutation = _permutation(centred @ rotation.T, centred, same, 2 * tolerance)
            if permutation is not None:
                rotation = _best_rotation(centred, centred[permutation], handedness)
                if np.linalg.norm(centred @ rotation.T - centred[permutation], axis=1).max() < tolerance:
                    found.append((rotation, permutation))
    return np.array([rotation for rotation, _ in found]), np.array([permutation for _, permutation in found])


def _reference_pair(
    centred: Float[ndarray, "atoms 3"], same: Bool[ndarray, "atoms atoms"], tolerance: float
) -> tuple[int, int]:
    """Two atoms not in line with the centre that have few images of their kind and distance."""
    lengths = np.linalg.norm(centred, axis=1)
    alike = np.sum(same & (np.abs(lengths[:, None] - lengths[None, :]) < 2 * tolerance), axis=1)
    outside = lengths > 0.2
    first = int(np.argmin(np.where(outside, alike, 10**9)))
    angle = np.linalg.norm(np.cross(centred, centred[first]), axis=1) / (lengths[first] * np.maximum(lengths, 1e-9))
    aside = outside & (angle > 0.2 if np.any(outside & (angle > 0.2)) else angle > 1e-3)
    return first, int(np.argmin(np.where(aside, alike, 10**9)))


def _frame(first: Float[ndarray, "3"], second: Float[ndarray, "3"]) -> Float[ndarray, "3 3"]:
    """Orthonormal rows: along the first vector, in the plane of both, normal to it."""
    along = first / np.linalg.norm(first)
    across = second - (second @ along) * along
    across = across / np.linalg.norm(across)
    return np.array([along, across, np.cross(along, across)])


def _permutation(
    moved: Float[ndarray, "atoms 3"],
    positions: Float[ndarray, "atoms 3"],
    same: Bool[ndarray, "atoms atoms"],
    tolerance: float,
) -> Int[ndarray, "atoms"] | None:
    """The atom that every moved atom meets; None unless all meet one of their kind."""
    distances, permutation = KDTree(positions).query(moved)
    atoms = np.arange(len(positions))
    if distances.max() > tolerance or not same[atoms, permutation].all() or len(np.unique(permutation)) < len(atoms):
        return None
    return permutation


def _best_rotation(
    start: Float[ndarray, "atoms 3"], end: Float[ndarray, "atoms 3"], handedness: float
) -> Float[ndarray, "3 3"]:
    """Orthogonal matrix of given determinant that carries one set of points nearest to another (Kabsch)."""
    left, _, right = np.linalg.svd(end.T @ start)
    return left @ np.diag([1, 1, handedness * np.linalg.det(left @ right)]) @ right


def _exact(
    rotations: Float[ndarray, "operations 3 3"],
    permutations: Int[ndarray, "operations atoms"],
    centred: Float[ndarray, "atoms 3"],
) -> tuple[Float[ndarray, "operations 3 3"], Float[ndarray, "atoms 3"]]:
    """Operations and positions made consistent with each other: positions are averaged, operations fitted, in turn."""
    signs = np.linalg.det(rotations)
    positions = centred
    for _ in range(20):
        positions = np.mean(
            [positions[order] @ rotation for rotation, order in zip(rotations, permutations, strict=True)], axis=0
        )
        rotations = np.array(
            [_best_rotation(positions, positions[order], sign) for order, sign in zip(permutations, signs, strict=True)]
        )
        moved = np.einsum("gab,nb->gna", rotations, positions)
        if np.abs(moved - positions[permutations]).max() < 1e-12:
            break
    return rotations, positions


def _closed(rotations: Float[ndarray, "operations 3 3"]) -> bool:
    """Every product of two operations is an operation."""
    order = len(rotations)
    products = np.einsum("gab,hbc->ghac", rotations, rotations).reshape(order * order, 9)
    return bool(np.all((products @ rotations.reshape(order, 9).T).max(axis=1) > 3 - 1e-6))


def _linear_group(
    centred: Float[ndarray, "atoms 3"], same: Bool[ndarray, "atoms atoms"], tolerance: float
) -> MolecularPointGroup:
    """C∞v or D∞h, with the matrices of C4v or D4h."""
    axis = np.linalg.svd(centred)[2][0]
    side = np.eye(3)[np.argmin(np.abs(axis))]
    frame = _frame(axis, side)[[1, 2, 0]]
    straight = np.outer(centred @ axis, axis)
    inverted = _permutation(-straight, straight, same, 2 * tolerance)
    quarter, mirror = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.diag([-1.0, 1, 1])
    local = [np.linalg.matrix_power(quarter, k) @ m for k in range(4) for m in (np.eye(3), mirror)]
    identity = np.arange(len(centred))
    rotations, permutations = [frame.T @ matrix @ frame for matrix in local], [identity] * len(local)
    if inverted is not None:
        straight = (straight - straight[inverted]) / 2
        rotations, permutations = rotations + [-r for r in rotations], permutations + [inverted] * len(local)
    symbol = "C∞v" if inverted is None else "D∞h"
    deviation = float(np.linalg.norm(straight - centred, axis=1).max())
    return MolecularPointGroup(symbol, np.array(rotations), np.array(permutations), frame, straight, deviation)


def _axes(
    symbol: str,
    kinds: RotationKinds,
    positions: Float[ndarray, "atoms 3"],
    masses: Float[ndarray, "atoms"],
) -> Float[ndarray, "3 3"]:
    """The axes of Mulliken's recommendations (J. Chem. Phys. 23, 1997 (1955)).

    z is the principal axis; in D2 and D2h that with most atoms on it, unless it is normal to a planar molecule,
    which is then x. x is the two-fold axis (or lies in the mirror plane) with most atoms; in C2v it is normal to
    the plane with most atoms.
    """
    principal = kinds.principal_axes(symbol)
    flat = [axis for axis in principal if np.abs(positions @ axis).max() < 1e-3]
    if symbol in ("D2", "D2h"):
        upright = [axis for axis in principal if not any(axis is normal for normal in flat)]
        z = max(upright, key=lambda axis: _mass_on(np.cross(positions, axis), masses))
        x = (
            flat[0]
            if flat
            else min(
                (axis for axis in principal if axis is not z),
                key=lambda axis: _mass_on(np.cross(positions, axis), masses),
            )
        )
        return np.array([x, np.cross(z, x), z])
    z = principal[0]
    sides = kinds.side_axes(z)
    if not sides:
        return _frame(z, np.eye(3)[np.argmin(np.abs(z))])[[1, 2, 0]]
    if symbol == "C2v":
        x = max(sides, key=lambda axis: _mass_on((positions @ axis)[:, None], masses))
    elif symbol.endswith("v"):
        normal = max(sides, key=lambda axis: _mass_on((positions @ axis)[:, None], masses))
        x = np.cross(normal, z)
    else:
        x = max(sides, key=lambda axis: _mass_on(np.cross(positions, axis), masses))
    return np.array([x, np.cross(z, x), z])


def _mass_on(offsets: Float[ndarray, "atoms _"], masses: Float[ndarray, "atoms"]) -> tuple[int, float]:
    """Number of atoms without an offset from an axis or plane, then their mass."""
    on = np.linalg.norm(offsets, axis=1) < 1e-3
    return int(on.sum()), round(float(masses[on].sum()), 3)
