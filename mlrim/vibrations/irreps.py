"""Irreducible representations of Γ modes: characters, Mulliken symbols, infrared and Raman activity.

The real irreducible characters of a point group are found from its own multiplication table (the regular
representation), so that no table has to be aligned with the setting of the crystal; the Mulliken symbol then
follows from the characters and the conventional axes of the space group. At Γ the phase factors of non-
symmorphic operations are one, so that the point group is enough for every space group.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import SYMPREC, point_group_rotations, symmetry_dataset
from mlrim.lattice.symmetry import space_group
from mlrim.vibrations.mulliken import PointGroupGeometry, mulliken_symbol


@dataclass(frozen=True, eq=False)
class Irrep:
    """A real irreducible representation: its symbol and what it says about a mode.

    Attributes:
        symbol: Mulliken symbol, for example `B1g`; a pair of complex conjugate representations is one `E`.
        dimension: number of modes that share the frequency.
        characters: character of every operation of the point group, shape (operations,).
        infrared: the mode can have a dipole moment.
        raman: the mode can change the (symmetric) polarisability.
    """

    symbol: str
    dimension: int
    characters: Float[ndarray, "operations"]
    infrared: bool
    raman: bool

    @property
    def activity(self) -> str:
        """`IR`, `Raman`, `IR+Raman` or `silent`."""
        active = [name for name, flag in (("IR", self.infrared), ("Raman", self.raman)) if flag]
        return "+".join(active) or "silent"


@dataclass(frozen=True, eq=False)
class PointGroupAction:
    """The point group of a crystal and how it moves the atoms of the primitive cell.

    Attributes:
        symbol: international symbol of the point group.
        rotations: Cartesian matrices, shape (operations, 3, 3).
        permutations: operation g takes atom j to atom permutations[g, j], shape (operations, atoms).
        axes: conventional lattice vectors as rows, Å, in the crystal's orientation: of the choices that symmetry leaves
            open, the one closest to the Cartesian axes.
    """

    symbol: str
    rotations: Float[ndarray, "operations 3 3"]
    permutations: Int[ndarray, "operations atoms"]
    axes: Float[ndarray, "3 3"]

    @cached_property
    def irreps(self) -> list[Irrep]:
        """All real irreducible representations, in the order of their symbols."""
        geometry = PointGroupGeometry(self.symbol, self.rotations, self.axes)
        return irreps_of(self.rotations, lambda characters: mulliken_symbol(characters, geometry))

    @cached_property
    def displacement_characters(self) -> Float[ndarray, "operations"]:
        """Characters of the representation carried by all displacements of the atoms."""
        fixed = np.sum(self.permutations == np.arange(self.permutations.shape[1]), axis=1)
        return fixed * np.trace(self.rotations, axis1=1, axis2=2)

    def decomposition(self, characters: Float[ndarray, "operations"]) -> dict[str, int]:
        """How often every irreducible representation is contained in a representation."""
        counts = {irrep.symbol: multiplicity(characters, irrep.characters) for irrep in self.irreps}
        return {symbol: count for symbol, count in counts.items() if count}

    def isotypic_basis(self, irrep: Irrep) -> Float[ndarray, "components dimension"]:
        """Orthonormal basis of all displacement patterns that transform as an irreducible representation."""
        n_atoms = self.permutations.shape[1]
        projector = np.zeros((n_atoms, 3, n_atoms, 3))
        columns = np.arange(n_atoms)
        for character, rotation, permutation in zip(irrep.characters, self.rotations, self.permutations, strict=True):
            projector[permutation, :, columns, :] += character * rotation
        norm = np.mean(irrep.characters**2)
        projector = projector.reshape(3 * n_atoms, 3 * n_atoms) * irrep.dimension / norm / len(self.rotations)
        values, vectors = np.linalg.eigh((projector + projector.T) / 2)
        return vectors[:, values > 0.5]

    def symmetrize(self, matrix: Float[ndarray, "components components"]) -> Float[ndarray, "components components"]:
        """The average of a Γ dynamical matrix over the point group."""
        n_atoms = self.permutations.shape[1]
        blocks = matrix.reshape(n_atoms, 3, n_atoms, 3)
        total = np.zeros_like(blocks)
        for rotation, permutation in zip(self.rotations, self.permutations, strict=True):
            moved = blocks[permutation][:, :, permutation]
            total += np.einsum("xa,ixjy,yb->iajb", rotation, moved, rotation, optimize=True)
        return total.reshape(matrix.shape) / len(self.rotations)


def point_group_action(crystal: Crystal, symprec: float = SYMPREC) -> PointGroupAction:
    """The point group of a crystal acting on its atoms.

    Args:
        symprec: distance (Å) within which atoms must coincide.
    """
    group = space_group(crystal, symprec)
    dataset = symmetry_dataset(crystal, symprec)
    _, first = np.unique(group.rotations.reshape(-1, 9), axis=0, return_index=True)
    first = np.sort(first)  # a cell that is not primitive lists every rotation several times
    axes = conventional_axes(crystal.lattice, dataset.transformation_matrix, group.rotations[first])
    return PointGroupAction(group.point_group, _orthogonal(group.cartesian[first]), group.permutations[first], axes)


def conventional_axes(
    lattice: Float[ndarray, "3 3"], transformation: Float[ndarray, "3 3"], rotations: Int[ndarray, "operations 3 3"]
) -> Float[ndarray, "3 3"]:
    """Conventional lattice vectors as rows, as close to the Cartesian axes as the choices left by symmetry allow.

    The setting is found from a primitive cell and may be turned against the axes of the file (by 90° in cubic
    crystals). Turns that map the lattice and the point group onto themselves lead to the same setting of the point
    group. Where no axis has more than two-fold symmetry only the senses of the axes are left to choose, also if
    lengths happen to be equal.

    Args:
        lattice: primitive lattice vectors as rows.
        transformation: spglib's transformation matrix, to the conventional cell.
        rotations: of the point group, in fractional coordinates.
    """
    rows = np.linalg.inv(transformation).T
    group = {rotation.tobytes() for rotation in rotations.astype(np.int64)}
    only_senses = all(np.array_equal(rotation @ rotation, np.eye(3)) for rotation in rotations)
    best, closest = rows @ lattice, -np.inf
    points = Crystal.from_fractional(lattice, np.zeros((1, 3)), np.array([1]), np.array([1.0]))
    for turn in point_group_rotations(points):
        turned = rows @ turn.T
        keeps_axes = np.allclose(np.abs(turned @ np.linalg.inv(rows)), np.eye(3))
        inverse = np.round(np.linalg.inv(turn)).astype(np.int64)
        keeps_group = all((turn @ rotation @ inverse).tobytes() in group for rotation in rotations.astype(np.int64))
        if np.linalg.det(turn) < 0 or not keeps_group or (only_senses and not keeps_axes):
            continue
        axes = turned @ lattice
        closeness = np.trace(axes / np.linalg.norm(axes, axis=1)[:, None])
        if closeness > closest + 1e-6:
            best, closest = axes, closeness
    return best


def irreducible_characters(rotations: Float[ndarray, "operations 3 3"]) -> list[Float[ndarray, "operations"]]:
    """The real irreducible characters of a group of matrices.

    A generic symmetric matrix that commutes with the (left) regular representation has one eigenspace for
    every real irreducible representation and every one of its copies; the traces over an eigenspace are its
    characters.
    """
    products = _multiplication_table(rotations)
    order = len(products)
    inverse = np.argmin(products != _identity_index(rotations), axis=1)
    coefficients = np.random.default_rng(0).normal(size=order)
    coefficients = coefficients + coefficients[inverse]
    commuting = coefficients[products[inverse]]
    values, vectors = np.linalg.eigh(commuting)
    characters: list[Float[ndarray, "operations"]] = []
    for space in np.split(vectors, np.flatnonzero(np.diff(values) > 1e-8) + 1, axis=1):
        character = np.einsum("hm,shm->s", space, space[products[inverse]])
        if not any(np.allclose(character, known, atol=1e-6) for known in characters):
            characters.append(character)
    return characters


def multiplicity(representation: Float[ndarray, "operations"], irrep: Float[ndarray, "operations"]) -> int:
    """How often an irreducible representation is contained in another representation."""
    return round(float(representation @ irrep / (irrep @ irrep)))


def irreps_of(
    rotations: Float[ndarray, "operations 3 3"], symbol: Callable[[Float[ndarray, "operations"]], str]
) -> list[Irrep]:
    """All real irreducible representations of a group of matrices, in the order of their symbols.

    Args:
        symbol: names a representation from its characters.
    """
    traces = np.trace(rotations, axis1=1, axis2=2)
    symmetric_square = (traces**2 + np.trace(rotations @ rotations, axis1=1, axis2=2)) / 2
    found = [
        Irrep(
            symbol=symbol(characters),
            dimension=round(float(characters.max())),
            characters=characters,
            infrared=multiplicity(traces, characters) > 0,
            raman=multiplicity(symmetric_square, characters) > 0,
        )
        for characters in irreducible_characters(rotations)
    ]
    return sorted(found, key=lambda irrep: irrep.symbol)


def _identity_index(rotations: Float[ndarray, "operations 3 3"]) -> int:
    return int(np.argmin(np.abs(rotations - np.eye(3)).sum(axis=(1, 2))))


def _multiplication_table(
    rotations: Float[ndarray, "operations 3 3"],
) -> Int[ndarray, "operations operations"]:
    """Index of the product g·h for all pairs."""
    order = len(rotations)
    products = np.einsum("gab,hbc->ghac", rotations, rotations).reshape(order * order, 9)
    return np.argmax(products @ rotations.reshape(order, 9).T, axis=1).reshape(order, order)


def _orthogonal(rotations: Float[ndarray, "operations 3 3"]) -> Float[ndarray, "operations 3 3"]:
    """The nearest orthogonal matrices: the lattice obeys its symmetry only within symprec."""
    left, _, right = np.linalg.svd(rotations)
    return left @ right
