"""The smallest cells in which wave vectors of a supercell are commensurate, and folding onto them.

A wave vector q = p/d with integers p without common divisor of d fits a cell of only d primitive cells, in general a
skewed one. Its translations are the integer R with p·R ≡ 0 modulo d; their Hermite normal form is a basis. Every
supercell in which q is commensurate is a multiple of that cell, so that force constants of the supercell fold onto it
exactly. Source: J. H. Lloyd-Williams and B. Monserrat, Phys. Rev. B 92, 184301 (2015).
"""

from fractions import Fraction
from itertools import product
from math import gcd, lcm
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import SYMPREC, point_group_rotations
from mlrim.lattice.supercell import Supercell

LARGEST_DENOMINATOR = 1000
"""Wave vectors with larger denominators are not rational numbers but noise."""


class CommensurateCell(NamedTuple):
    """A cell for some of the wave vectors of a supercell."""

    qpoint: Float[ndarray, "3"]
    """One of them, in primitive reciprocal vectors; the cell's others are its multiples."""
    matrix: Int[ndarray, "3 3"]
    """Of the cell as a `Supercell`."""
    n_cells: int
    """Primitive cells in it."""
    multiplicity: int
    """Wave vectors of the supercell whose smallest cell is this one or, by symmetry, like this one."""


def smallest_cell(crystal: Crystal, qpoint: Float[ndarray, "3"]) -> Supercell:
    """The smallest cell in which a rational wave vector is commensurate, as compact as can be.

    It has as many primitive cells as the least common multiple of the denominators says; Γ gives the primitive cell.

    Args:
        qpoint: in primitive reciprocal vectors (without 2π).

    Raises:
        ValueError: a coordinate is no fraction with a denominator of at most LARGEST_DENOMINATOR.

    >>> fcc = Crystal(np.ones((3, 3)) - np.eye(3), np.zeros((1, 3)), np.array([14]))
    >>> smallest_cell(fcc, np.array([0.5, 0.5, 0.0])).n_cells, smallest_cell(fcc, np.array([0.5, 0.25, 0.75])).n_cells
    (2, 4)
    """
    numerators, order = _as_fraction(qpoint)
    if order == 1:
        return Supercell(crystal, np.eye(3, dtype=np.int64))
    from ase.geometry import minkowski_reduce

    rows = _hermite_rows(numerators, order)
    operation = np.asarray(minkowski_reduce(rows @ crystal.lattice)[1], dtype=np.int64)
    rows = operation @ rows
    return Supercell(crystal, (rows if np.linalg.det(rows) > 0 else -rows).T)


def commensurate_cells(
    supercell: Supercell, max_cells: int | None = None, symprec: float = SYMPREC
) -> list[CommensurateCell]:
    """The smallest cells of all wave vectors of a supercell, one of those that the point group makes alike; Γ first.

    Args:
        max_cells: leave out cells of more primitive cells than these.
        symprec: tolerance of the symmetry search, Å.
    """
    rotations = point_group_rotations(supercell.crystal, symprec)
    first: dict[tuple[int, ...], int] = {}
    counts: list[int] = []
    chosen: list[Float[ndarray, "3"]] = []
    for qpoint in supercell.commensurate_qpoints:
        numerators, order = _as_fraction(qpoint)
        if max_cells is not None and order > max_cells:
            continue
        place = first.setdefault(_representative(numerators, order, rotations), len(chosen))
        if place == len(chosen):
            chosen.append(qpoint)
            counts.append(0)
        counts[place] += 1
    cells = [smallest_cell(supercell.crystal, qpoint) for qpoint in chosen]
    return [
        CommensurateCell(qpoint, cell.matrix, cell.n_cells, count)
        for qpoint, cell, count in zip(chosen, cells, counts, strict=True)
    ]


def fold_onto(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell, cell: Supercell
) -> Float[ndarray, "atoms cell_images 3 3"]:
    """Compact force constants of a supercell, summed over what coincides in a smaller cell of the same crystal.

    Raises:
        ValueError: the supercell is no multiple of the cell.
    """
    multiple = np.linalg.solve(cell.matrix.astype(float), supercell.matrix.astype(float))
    if not np.allclose(multiple, np.round(multiple), atol=1e-6):
        raise ValueError(f"the supercell {supercell.matrix.tolist()} is no multiple of {cell.matrix.tolist()}")
    atoms, cells = np.divmod(np.arange(supercell.n_atoms), supercell.n_cells)
    images = cell.image_index(atoms, supercell.shifts[cells])
    folded = np.zeros((cell.n_atoms, len(compact), 3, 3))
    np.add.at(folded, images, compact.swapaxes(0, 1))
    return np.ascontiguousarray(folded.swapaxes(0, 1))


def dense_hessian(compact: Float[ndarray, "atoms images 3 3"], cell: Supercell) -> Float[ndarray, "rows rows"]:
    """The full Hessian of a cell from its compact force constants; component 3·image + axis, eV/Å²."""
    images = relative_images(cell, np.arange(cell.n_cells))
    blocks = compact[:, images]  # atom, its cell, image, axes
    return blocks.transpose(0, 1, 3, 2, 4).reshape(3 * cell.n_atoms, 3 * cell.n_atoms)


def relative_images(supercell: Supercell, cells: Int[ndarray, "chosen"]) -> Int[ndarray, "chosen images"]:
    """For home cells other than the first: where in compact force constants the block with each image is."""
    atoms, others = np.divmod(np.arange(supercell.n_atoms), supercell.n_cells)
    shifts = supercell.shifts[others][None, :] - supercell.shifts[cells][:, None]
    return supercell.image_index(np.broadcast_to(atoms, shifts.shape[:2]), shifts)


def cell_hessian(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell, cell: Supercell
) -> Float[ndarray, "rows rows"]:
    """The full Hessian of a smaller cell from the compact force constants of a supercell, eV/Å²."""
    return dense_hessian(fold_onto(compact, supercell, cell), cell)


def _as_fraction(qpoint: Float[ndarray, "3"]) -> tuple[list[int], int]:
    """Numerators and the least common denominator."""
    fractions = [Fraction(float(value)).limit_denominator(LARGEST_DENOMINATOR) for value in qpoint]
    if any(abs(float(fraction) - value) > 1e-8 for fraction, value in zip(fractions, qpoint, strict=True)):
        raise ValueError(f"the wave vector {np.asarray(qpoint).tolist()} is not rational")
    order = lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * order) for fraction in fractions], order


def _hermite_rows(numerators: list[int], order: int) -> Int[ndarray, "3 3"]:
    """Lower triangular basis of the integer R with p·R ≡ 0 modulo d."""
    first, second, third = numerators
    divisor = gcd(first, order)
    both = gcd(divisor, second)
    diagonal = (order // divisor, divisor // both, both // gcd(both, third))
    below = next(x for x in range(diagonal[0]) if (first * x + second * diagonal[1]) % order == 0)
    x, y = next(
        (x, y)
        for x, y in product(range(diagonal[0]), range(diagonal[1]))
        if (first * x + second * y + third * diagonal[2]) % order == 0
    )
    return np.array([[diagonal[0], 0, 0], [below, diagonal[1], 0], [x, y, diagonal[2]]], dtype=np.int64)


def _representative(numerators: list[int], order: int, rotations: Int[ndarray, "operations 3 3"]) -> tuple[int, ...]:
    """What all wave vectors have in common whose cells the rotations carry into each other."""
    factors = [factor for factor in range(1, max(order, 2)) if gcd(factor, order) == 1]
    rotated = np.unique(np.array(numerators) @ rotations % order, axis=0)
    alike = (np.array(factors)[:, None, None] * rotated % order).reshape(-1, 3)
    return (order, *min(map(tuple, alike.tolist())))
