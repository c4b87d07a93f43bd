"""Space-group symmetry: detection, and projection of tensors and force constants onto it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import SYMPREC, symmetry_dataset
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import Pairs
from mlrim.lattice.supercell import Supercell


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """Space group of a crystal and how its operations move the atoms.

    Attributes:
        number: international number, 1–230.
        symbol: Hermann–Mauguin symbol.
        point_group: international symbol of the point group, for example `m-3m`.
        crystal_system: triclinic, monoclinic, orthorhombic, tetragonal, trigonal, hexagonal or cubic.
        rotations: rotations W in fractional coordinates, x' = W x + w, shape (operations, 3, 3).
        translations: w, shape (operations, 3).
        cartesian: the same rotations in Cartesian coordinates.
        permutations: atom that atom i is carried to, shape (operations, atoms).
        atom_shifts: lattice translation that it is carried to, shape (operations, atoms, 3).
    """

    number: int
    symbol: str
    point_group: str
    crystal_system: str
    rotations: Int[ndarray, "operations 3 3"]
    translations: Float[ndarray, "operations 3"]
    cartesian: Float[ndarray, "operations 3 3"]
    permutations: Int[ndarray, "operations atoms"]
    atom_shifts: Int[ndarray, "operations atoms 3"]


def space_group(crystal: Crystal, symprec: float = SYMPREC) -> SpaceGroup:
    """Space group of a primitive crystal (spglib).

    Args:
        symprec: tolerance in Å.

    Raises:
        ValueError: spglib finds no symmetry, as for overlapping atoms.
    """
    dataset = symmetry_dataset(crystal, symprec)
    if dataset is None:
        raise ValueError("no space group found: are atoms overlapping?")
    permutations, shifts = _atom_images(crystal, dataset.rotations, dataset.translations)
    return SpaceGroup(
        number=int(dataset.number),
        symbol=str(dataset.international),
        point_group=str(dataset.pointgroup).strip(),
        crystal_system=crystal_system(int(dataset.number)),
        rotations=dataset.rotations.astype(np.int64),
        translations=dataset.translations,
        cartesian=_cartesian(crystal, dataset.rotations),
        permutations=permutations,
        atom_shifts=shifts,
    )


def crystal_system(number: int) -> str:
    """Crystal system of a space-group number.

    >>> crystal_system(167), crystal_system(186), crystal_system(225)
    ('trigonal', 'hexagonal', 'cubic')
    """
    limits = {
        2: "triclinic",
        15: "monoclinic",
        74: "orthorhombic",
        142: "tetragonal",
        167: "trigonal",
        194: "hexagonal",
        230: "cubic",
    }
    return next(name for limit, name in limits.items() if number <= limit)


def symmetrize_site_tensors(tensors: Float[ndarray, "atoms 3 3"], group: SpaceGroup) -> Float[ndarray, "atoms 3 3"]:
    """Average a Cartesian tensor of every atom, such as its Born charge, over the space group."""
    total = np.zeros_like(tensors)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
        total[permutation] += rotation @ tensors @ rotation.T
    return total / len(group.cartesian)


def symmetrize_tensor(tensor: Float[ndarray, "3 3"], group: SpaceGroup) -> Float[ndarray, "3 3"]:
    """Average a Cartesian tensor of the crystal, such as ε∞, over the point group, and make it symmetric."""
    average = np.mean(group.cartesian @ tensor @ group.cartesian.swapaxes(1, 2), axis=0)
    return (average + average.T) / 2


def symmetrize_raman_tensors(
    tensors: Float[ndarray, "atoms 3 3 3"], group: SpaceGroup
) -> Float[ndarray, "atoms 3 3 3"]:
    """Average ∂α_ij/∂u_k of every atom over the space group, symmetric in the field indices i and j.

    A uniform translation leaves the polarisability as it is, so that the tensors of all atoms add up to zero.

    Args:
        tensors: indices atom, i, j (field), k (displacement).
    """
    total = np.zeros_like(tensors)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
        rotated = np.einsum("ai,bj,ck,nijk->nabc", rotation, rotation, rotation, tensors, optimize=True)
        total[permutation] += rotated
    average = (total + total.swapaxes(1, 2)) / (2 * len(group.cartesian))
    return average - average.mean(axis=0)


def project_space_group(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell, group: SpaceGroup
) -> Float[ndarray, "atoms images 3 3"]:
    """Average compact force constants over the operations that map the supercell onto itself."""
    n_atoms, n_images = compact.shape[:2]
    atoms, cells = np.divmod(np.arange(n_images), supercell.n_cells)
    total = np.zeros_like(compact)
    kept = operations_of(supercell, group)
    for index in kept:
        permutation, shifts = group.permutations[index], group.atom_shifts[index]
        moved = supercell.shifts[cells] @ group.rotations[index].T + shifts[atoms]
        relative = moved[None, :, :] - shifts[:, None, :]
        images = supercell.image_index(np.broadcast_to(permutation[atoms], (n_atoms, n_images)), relative)
        rotation = group.cartesian[index]
        total[permutation[:, None], images] += rotation @ compact @ rotation.T
    return total / len(kept)


def project_pairs(force_constants: PairForceConstants, crystal: Crystal, group: SpaceGroup) -> PairForceConstants:
    """Average pair force constants over the space group; pairs that symmetry adds to the list are added."""
    pairs, blocks = force_constants
    rows, rotated = [], []
    for rotation, cartesian, permutation, shifts in zip(
        group.rotations, group.cartesian, group.permutations, group.atom_shifts, strict=True
    ):
        moved = pairs.shifts @ rotation.T + shifts[pairs.j] - shifts[pairs.i]
        rows.append(np.column_stack([permutation[pairs.i], permutation[pairs.j], moved]))
        rotated.append(cartesian @ blocks @ cartesian.T)
    distinct, inverse = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    total = np.zeros((len(distinct), 3, 3))
    np.add.at(total, inverse.reshape(-1), np.concatenate(rotated))
    return PairForceConstants(Pairs(distinct[:, 0], distinct[:, 1], distinct[:, 2:]), total / len(group.rotations))


def operations_of(supercell: Supercell, group: SpaceGroup) -> list[int]:
    """Numbers of the operations that map the lattice of a supercell onto itself."""
    inverse = np.linalg.inv(supercell.matrix)
    moved = inverse @ group.rotations @ supercell.matrix
    return [index for index, matrix in enumerate(moved) if np.allclose(matrix, np.round(matrix), atol=1e-6)]


def _cartesian(crystal: Crystal, rotations: Int[ndarray, "operations 3 3"]) -> Float[ndarray, "operations 3 3"]:
    """Rotations in Cartesian coordinates, made exactly orthogonal."""
    cartesian = crystal.lattice.T @ rotations @ np.linalg.inv(crystal.lattice.T)
    left, _, right = np.linalg.svd(cartesian)
    return left @ right


def _atom_images(
    crystal: Crystal, rotations: Int[ndarray, "operations 3 3"], translations: Float[ndarray, "operations 3"]
) -> tuple[Int[ndarray, "operations atoms"], Int[ndarray, "operations atoms 3"]]:
    fractional = crystal.fractional
    moved = np.einsum("oab,nb->ona", rotations, fractional) + translations[:, None, :]
    difference = moved[:, :, None, :] - fractional[None, None, :, :]
    residue = (difference - np.round(difference)) @ crystal.lattice
    distance = np.linalg.norm(residue, axis=-1)
    distance[:, crystal.numbers[:, None] != crystal.numbers[None, :]] = np.inf
    permutations = distance.argmin(axis=-1)
    chosen = np.take_along_axis(difference, permutations[:, :, None, None], axis=2)[:, :, 0]
    return permutations, np.round(chosen).astype(np.int64)
