"""Normal modes of a molecule from its Hessian: zero modes projected out, point group, irreps and activities.

Translations and rotations about the centre of mass span the zero modes exactly, so they are projected out of the
Hessian rather than looked for among the lowest frequencies (W. H. Miller, N. C. Handy and J. E. Adams, J. Chem.
Phys. 72, 99 (1980)). A linear molecule has two rotations, any other three.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import standard_masses
from mlrim.lattice.dynamics import frequencies_from_eigenvalues
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.irreps import Irrep
from mlrim.vibrations.molecular_symmetry import TOLERANCE, MolecularPointGroup, molecular_point_group
from mlrim.vibrations.normal_modes import NormalModes


@dataclass(frozen=True, eq=False)
class MolecularMode:
    """One frequency of a molecule, with all modes that symmetry makes degenerate.

    Attributes:
        frequency_cm1: signed frequency, negative for imaginary, cm⁻¹.
        irrep: the irreducible representation the modes carry.
        eigenvectors: orthonormal mass-weighted eigenvectors as columns, shape (3 atoms, degeneracy).
    """

    frequency_cm1: float
    irrep: Irrep
    eigenvectors: Float[ndarray, "components degeneracy"]

    @property
    def degeneracy(self) -> int:
        """Number of modes with this frequency."""
        return self.eigenvectors.shape[1]

    @property
    def activity(self) -> str:
        """`IR`, `Raman`, `IR+Raman` or `silent` by characters."""
        return self.irrep.activity


@dataclass(frozen=True, eq=False)
class MolecularVibrations:
    """The vibrations of a molecule.

    Attributes:
        group: its point group.
        modes: 3n − 6 (linear: 3n − 5) vibrations by ascending frequency, degenerate ones together.
        masses: amu.
        external_cm1: signed frequencies that the Hessian gave to translations and rotations before they were
            projected out, cm⁻¹; large ones mean forces at this geometry, or numerical noise.
        symmetry_residual: largest element of the mass-weighted Hessian that breaks the point group, eV/Å²/amu.
    """

    group: MolecularPointGroup
    modes: list[MolecularMode]
    masses: Float[ndarray, "atoms"]
    external_cm1: Float[ndarray, "external"]
    symmetry_residual: float

    @property
    def representation(self) -> str:
        """The vibrations as a sum of irreps, for example `2A1 + B2`."""
        counts: dict[str, int] = {}
        for mode in self.modes:
            counts[mode.irrep.symbol] = counts.get(mode.irrep.symbol, 0) + 1
        return " + ".join(f"{count if count > 1 else ''}{symbol}" for symbol, count in sorted(counts.items()))

    @property
    def normal_modes(self) -> NormalModes:
        """The modes in the form that intensities are calculated from, one row for each of the degenerate ones."""
        return NormalModes(
            np.array([mode.frequency_cm1 for mode in self.modes for _ in range(mode.degeneracy)]),
            np.hstack([np.zeros((3 * len(self.masses), 0)), *(mode.eigenvectors for mode in self.modes)]),
            self.masses,
            None,
        )


def molecular_vibrations(
    numbers: Int[ndarray, "atoms"],
    positions: Float[ndarray, "atoms 3"],
    hessian: Float[ndarray, "components components"],
    masses: Float[ndarray, "atoms"] | None = None,
    tolerance: float = TOLERANCE,
) -> MolecularVibrations:
    """Vibrations of a molecule with their irreps and activities.

    Args:
        numbers: atomic numbers.
        positions: Å, in any orientation.
        hessian: Cartesian second derivatives of the energy, component 3·atom + axis, eV/Å².
        masses: amu; standard weights when not given. Isotopes lower the symmetry.
        tolerance: distance (Å) within which symmetric images must meet an atom.

    Raises:
        UserError: a Hessian of another size, or a structure without a point group (see `molecular_point_group`).
    """
    masses = standard_masses(numbers) if masses is None else np.asarray(masses, dtype=float)
    if hessian.shape != (3 * len(numbers), 3 * len(numbers)):
        raise UserError(
            f"the Hessian of {len(numbers)} atoms must be a {3 * len(numbers)} × {3 * len(numbers)} matrix "
            f"(eV/Å²), not {' × '.join(map(str, hessian.shape))}"
        )
    group = molecular_point_group(np.asarray(numbers), np.asarray(positions, dtype=float), masses, tolerance)
    root = np.sqrt(np.repeat(masses, 3))
    weighted = (hessian + hessian.T) / 2 / (root[:, None] * root[None, :])
    symmetric = group.symmetrize(weighted)
    external = external_modes(group.positions, masses)
    modes = [mode for irrep in group.irreps for mode in _modes_of(irrep, symmetric, external, group)]
    return MolecularVibrations(
        group,
        sorted(modes, key=lambda mode: mode.frequency_cm1),
        masses,
        frequencies_from_eigenvalues(np.linalg.eigvalsh(external.T @ weighted @ external)) * THZ_TO_CM1,
        float(np.abs(weighted - symmetric).max()),
    )


def external_modes(
    positions: Float[ndarray, "atoms 3"], masses: Float[ndarray, "atoms"]
) -> Float[ndarray, "components external"]:
    """Orthonormal mass-weighted translations and rotations as columns: six, of a linear molecule five.

    Rotations are about the centre of mass and the principal axes of inertia; that of a line about itself is none.
    """
    centred = positions - masses @ positions / masses.sum()
    root = np.sqrt(masses)[:, None, None]
    translations = root * np.broadcast_to(np.eye(3), (len(masses), 3, 3))
    inertia = np.einsum("n,nab->ab", masses, _inertia(centred))
    axes = np.linalg.eigh(inertia)[1]
    rotations = root * np.cross(axes.T[None], centred[:, None, :]).transpose(0, 2, 1)
    columns = np.concatenate([translations, rotations], axis=2).reshape(3 * len(masses), 6)
    norms = np.linalg.norm(columns, axis=0)
    kept = norms > 1e-4 * norms[3:].max()
    return columns[:, kept] / norms[kept]


def _inertia(centred: Float[ndarray, "atoms 3"]) -> Float[ndarray, "atoms 3 3"]:
    squares = np.sum(centred**2, axis=1)
    return squares[:, None, None] * np.eye(3) - centred[:, :, None] * centred[:, None, :]


def _modes_of(
    irrep: Irrep,
    weighted: Float[ndarray, "components components"],
    external: Float[ndarray, "components external"],
    group: MolecularPointGroup,
) -> list[MolecularMode]:
    """The vibrations of one irrep, from the block of the Hessian without translations and rotations."""
    basis = group.isotypic_basis(irrep)
    overlap = external.T @ basis
    inside, vectors = np.linalg.eigh(np.eye(basis.shape[1]) - overlap.T @ overlap)
    basis = basis @ vectors[:, inside > 0.5]
    values, vectors = np.linalg.eigh(basis.T @ weighted @ basis)
    modes = []
    for start in range(0, len(values), irrep.dimension):
        members = slice(start, start + irrep.dimension)
        frequency = frequencies_from_eigenvalues(values[members].mean(keepdims=True))[0] * THZ_TO_CM1
        modes.append(MolecularMode(float(frequency), irrep, basis @ vectors[:, members]))
    return modes
