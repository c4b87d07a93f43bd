"""Ways to dispersions of a polar crystal from a potential's supercell, and the branches along Γ–X and Γ–L.

`subtracted` is what this project does. The others are those of M. Kwen et al. ("Machine Learning Prediction of Phonon
Dispersion"), for a potential that was trained on whole forces and Hessians: nothing added; the whole dipole interaction
added (their eqs. 4–9); its reciprocal half at some Ewald parameter Λ added (their eq. 13). All obey the sum rule
(their eq. 14).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.lattice.force_constants import unfold
from mlrim.lattice.supercell import Supercell
from mlrim.units import COULOMB_EV_ANGSTROM, THZ_TO_CM1

ENDS = {"Γ–X": (0.5, 0.5, 0.0), "Γ–L": (0.5, 0.5, 0.5)}
"""Ends of the lines, in the reciprocal vectors of the primitive face-centred cubic cell."""
BRANCHES = ("TA", "LA", "TO", "LO")


class Line(NamedTuple):
    """Wave vectors from Γ to a special point of a face-centred cubic crystal."""

    name: str
    fractions: Float[ndarray, "qpoints"]
    """Of the way; 0 is the limit of Γ along the line."""
    qpoints: Float[ndarray, "qpoints 3"]
    direction: Float[ndarray, "3"]
    """Cartesian, of length one."""


def line(crystal: Crystal, name: str, fractions: Float[ndarray, "qpoints"]) -> Line:
    """Some wave vectors of Γ–X or Γ–L."""
    end = np.array(ENDS[name])
    direction = end @ crystal.reciprocal
    return Line(name, fractions, fractions[:, None] * end, direction / np.linalg.norm(direction))


def commensurate_fractions(size: int) -> Float[ndarray, "qpoints"]:
    """Of both lines, without Γ: those that a supercell of size³ primitive cells holds.

    >>> commensurate_fractions(4), commensurate_fractions(3)
    (array([0.5, 1. ]), array([0.66666667]))
    """
    return 2 * np.arange(1, size // 2 + 1) / size


def branches(matrices: Complex[ndarray, "qpoints 6 6"], direction: Float[ndarray, "3"]) -> Float[ndarray, "qpoints 4"]:
    """Frequencies of BRANCHES, cm⁻¹, of a rock-salt crystal.

    On both lines symmetry makes modes exactly longitudinal or transverse, so that the branches are the eigenvalues of
    D(q) between displacements along the line and between displacements across it, and cannot be taken for each other.
    """
    across = np.linalg.svd(direction[None])[2][1]
    found = []
    for axis in (across, direction):
        displacements = np.kron(np.eye(2), axis[:, None])
        blocks = displacements.T @ matrices @ displacements
        found.append(frequencies_from_eigenvalues(np.linalg.eigvalsh(blocks)) * THZ_TO_CM1)
    (transverse, longitudinal) = found
    return np.stack([transverse[:, 0], longitudinal[:, 0], transverse[:, 1], longitudinal[:, 1]], axis=1)


def branches_of(dynamics: LatticeDynamics, along: Line) -> Float[ndarray, "qpoints 4"]:
    """Of a crystal with its dipole interaction; at Γ the limit along the line."""
    return branches(dynamics.dynamical_matrices(along.qpoints, along.direction), along.direction)


def subtracted(
    remainder: Float[ndarray, "2 images 3 3"], supercell: Supercell, dipole: DipoleInteraction, along: Line
) -> Float[ndarray, "qpoints 4"]:
    """The potential learned what is left without the dipole interaction, which is added at every wave vector."""
    return branches_of(LatticeDynamics(supercell.crystal, unfold(remainder, supercell), dipole), along)


def subtracted_afterwards(
    whole: Float[ndarray, "2 images 3 3"], supercell: Supercell, dipole: DipoleInteraction, along: Line
) -> Float[ndarray, "qpoints 4"]:
    """The potential learned everything; the dipole interaction is taken out in the supercell that it is used in."""
    return subtracted(whole - dipole.folded(supercell), supercell, dipole, along)


def nothing_added(
    whole: Float[ndarray, "2 images 3 3"], supercell: Supercell, along: Line
) -> Float[ndarray, "qpoints 4"]:
    """The potential learned everything and stands alone."""
    return branches_of(LatticeDynamics(supercell.crystal, unfold(whole, supercell)), along)


def whole_added(
    whole: Float[ndarray, "2 images 3 3"], supercell: Supercell, dipole: DipoleInteraction, along: Line
) -> Float[ndarray, "qpoints 4"]:
    """The potential learned everything; the dipole interaction comes in a second time."""
    return branches_of(LatticeDynamics(supercell.crystal, unfold(whole, supercell), dipole), along)


def reciprocal_added(
    whole: Float[ndarray, "2 images 3 3"],
    supercell: Supercell,
    dipole: DipoleInteraction,
    along: Line,
    width: float,
) -> Float[ndarray, "qpoints 4"]:
    """The potential learned everything; the reciprocal half of the dipole interaction comes in a second time.

    Args:
        width: Ewald parameter Λ, 1/Å, on which the answer depends.
    """
    crystal = supercell.crystal
    matrices = LatticeDynamics(crystal, unfold(whole, supercell)).dynamical_matrices(along.qpoints)
    added = np.stack([reciprocal_term(dipole, qpoint, along.direction, width) for qpoint in along.qpoints])
    at_gamma = reciprocal_term(dipole, np.zeros(3), None, width).reshape(2, 3, 2, 3).sum(axis=2)
    for atom in range(2):
        own = slice(3 * atom, 3 * atom + 3)
        added[:, own, own] -= at_gamma[atom]
    roots = np.sqrt(np.repeat(crystal.masses, 3))
    return branches(matrices + added / (roots[:, None] * roots), along.direction)


def reciprocal_term(
    dipole: DipoleInteraction, qpoint: Float[ndarray, "3"], direction: Float[ndarray, "3"] | None, width: float
) -> Complex[ndarray, "6 6"]:
    """The first sum of Gonze and Lee's eq. 71 (Phys. Rev. B 55, 10355), eV/Å².

    Args:
        direction: Cartesian, along which Γ is approached; without it Γ has no term of K = 0.
    """
    crystal, dielectric = dipole.crystal, dipole.dielectric
    reach = int(np.ceil(12 * width * np.linalg.norm(crystal.lattice, axis=1).max() / (2 * np.pi))) + 1
    axis = np.arange(-reach, reach + 1)
    integers = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = 2 * np.pi * (integers + qpoint) @ crystal.reciprocal
    zero = np.linalg.norm(vectors, axis=1) < 1e-9
    if direction is None:
        vectors, integers = vectors[~zero], integers[~zero]
    else:
        vectors[zero] = 1e-6 * direction
    screened = np.einsum("ka,ab,kb->k", vectors, dielectric, vectors)
    weights = 4 * np.pi * COULOMB_EV_ANGSTROM / crystal.volume * np.exp(-screened / (4 * width**2)) / screened
    phases = np.exp(-2j * np.pi * integers @ crystal.fractional.T)
    factors = np.einsum("ka,iab,ki->kib", vectors, dipole.born_charges, phases).reshape(len(vectors), -1)
    return (factors.conj() * weights[:, None]).T @ factors
