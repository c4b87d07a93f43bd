"""The vibrations at Γ: frequencies, degeneracies, irreps, TO and LO modes, infrared and Raman activity.

Irreps are those of the dynamical matrix without the non-analytic term, block by block of its symmetry-adapted
basis, so that accidental degeneracies are told apart. Longitudinal modes come from the limit q → 0 along a
direction: they are the modes with a dipole along it, and are mapped to the transverse ones by overlap.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.lattice.symmetry import SYMPREC
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.irreps import Irrep, PointGroupAction, point_group_action

LONGITUDINAL_SHARE = 1e-9
"""A mode is longitudinal when it carries more than this share of the squared dipole along the direction.

Weak modes of corundum or barium titanate have shares of 1e-6 and more, modes that symmetry keeps transverse 1e-13 and
less.
"""


@dataclass(frozen=True, eq=False)
class GammaMode:
    """One frequency at Γ without the macroscopic field, with all modes that symmetry makes degenerate.

    Attributes:
        frequency_thz: signed frequency, negative for imaginary, THz.
        irrep: the irreducible representation the modes carry.
        acoustic: the modes are the uniform translations.
        eigenvectors: orthonormal mass-weighted eigenvectors as columns, shape (3 atoms, degeneracy).
    """

    frequency_thz: float
    irrep: Irrep
    acoustic: bool
    eigenvectors: Float[ndarray, "components degeneracy"]

    @property
    def frequency_cm1(self) -> float:
        """Signed frequency, cm⁻¹."""
        return self.frequency_thz * THZ_TO_CM1

    @property
    def degeneracy(self) -> int:
        """Number of modes with this frequency."""
        return self.eigenvectors.shape[1]

    @property
    def kind(self) -> str:
        """`acoustic` or `optical`."""
        return "acoustic" if self.acoustic else "optical"

    @property
    def activity(self) -> str:
        """`acoustic`, or `IR`, `Raman`, `IR+Raman`, `silent` by characters."""
        return "acoustic" if self.acoustic else self.irrep.activity


@dataclass(frozen=True, eq=False)
class DirectionalMode:
    """An optical polar mode in the limit q → 0 along a direction.

    Attributes:
        frequency_thz: signed frequency, THz.
        polarization: `LO` when the mode has a dipole along the direction, else `TO`.
        symbol: symbol of the irrep with the largest share of the mode.
        share: that share, from 0 to 1.
        partner: index of the Γ mode (without field) with the largest overlap.
    """

    frequency_thz: float
    polarization: str
    symbol: str
    share: float
    partner: int

    @property
    def frequency_cm1(self) -> float:
        """Signed frequency, cm⁻¹."""
        return self.frequency_thz * THZ_TO_CM1


@dataclass(frozen=True, eq=False)
class GammaModes:
    """Everything known about the modes at Γ.

    Attributes:
        action: the point group and its irreps.
        modes: modes without the macroscopic field, by ascending frequency.
        directions: label of every direction, for example `[001]`, and its unit vector (Cartesian).
        directional: for every direction the polar optical modes in the limit q → 0 along it.
        symmetry_residual: largest element of the Γ dynamical matrix that breaks the point group, eV/Å²/amu.
    """

    action: PointGroupAction
    modes: list[GammaMode]
    directions: dict[str, Float[ndarray, "3"]]
    directional: dict[str, list[DirectionalMode]]
    symmetry_residual: float

    @property
    def optical_representation(self) -> str:
        """The optical modes as a sum of irreps, for example `A1g + Eg + 2 T1u`."""
        counts: dict[str, int] = {}
        for mode in self.modes:
            if not mode.acoustic:
                counts[mode.irrep.symbol] = counts.get(mode.irrep.symbol, 0) + 1
        terms = [f"{count if count > 1 else ''}{symbol}" for symbol, count in sorted(counts.items())]
        return " + ".join(terms)

    @property
    def activity_counts(self) -> dict[str, int]:
        """Number of optical frequencies (degenerate modes count once) by activity: IR, Raman, IR+Raman, silent."""
        counts = dict.fromkeys(("IR", "Raman", "IR+Raman", "silent"), 0)
        for mode in self.modes:
            if not mode.acoustic:
                counts[mode.activity] += 1
        return counts

    @property
    def silent(self) -> list[GammaMode]:
        """The optical modes that neither infrared absorption nor Raman scattering shows."""
        return [mode for mode in self.modes if mode.activity == "silent"]

    @property
    def n_imaginary(self) -> int:
        """Number of optical modes with an imaginary frequency."""
        return sum(mode.degeneracy for mode in self.modes if not mode.acoustic and mode.frequency_thz < 0)


def gamma_modes(dynamics: LatticeDynamics, symprec: float = SYMPREC) -> GammaModes:
    """The Γ modes of a crystal with their symmetry, and LO and TO modes along its main axes.

    Args:
        symprec: distance (Å) within which atoms must coincide for an operation to count.
    """
    action = point_group_action(dynamics.crystal, symprec)
    matrix = dynamics.dynamical_matrices(np.zeros((1, 3)))[0].real
    symmetric = action.symmetrize((matrix + matrix.T) / 2)
    modes = _mark_acoustic(_modes_by_irrep(symmetric, action), dynamics.crystal)
    directions = main_directions(action) if dynamics.dipole is not None else {}
    directional = {label: directional_modes(dynamics, direction, modes) for label, direction in directions.items()}
    return GammaModes(action, modes, directions, directional, float(np.abs(matrix - symmetric).max()))


def main_directions(action: PointGroupAction) -> dict[str, Float[ndarray, "3"]]:
    """The directions along which LO modes are asked for: one of every set of equivalent conventional axes."""
    directions: dict[str, Float[ndarray, "3"]] = {}
    for label, axis in zip(("[100]", "[010]", "[001]"), action.axes, strict=True):
        unit = axis / np.linalg.norm(axis)
        images = action.rotations @ unit
        if not any(np.abs(images @ known).max() > 1 - 1e-6 for known in directions.values()):
            directions[label] = unit
    return directions


def directional_modes(
    dynamics: LatticeDynamics, direction: Float[ndarray, "3"], modes: list[GammaMode]
) -> list[DirectionalMode]:
    """The polar optical modes in the limit q → 0 along a Cartesian direction, by ascending frequency."""
    matrix = dynamics.dynamical_matrices(np.zeros((1, 3)), direction=direction)[0].real
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    dipoles = _longitudinal_charges(dynamics, direction) @ vectors
    share = dipoles**2 / max(float(dipoles @ dipoles), 1e-30)
    overlaps = np.array([np.sum((mode.eigenvectors.T @ vectors) ** 2, axis=0) for mode in modes])
    acoustic = np.array([mode.acoustic for mode in modes])
    polar = np.array([mode.irrep.infrared for mode in modes]) & ~acoustic
    frequencies = frequencies_from_eigenvalues(eigenvalues)
    result = []
    for index in np.flatnonzero(overlaps[polar].sum(axis=0) > 0.5):
        shares = _share_by_symbol(overlaps[:, index], modes)
        symbol = max(shares, key=lambda name: shares[name])
        partner = int(np.argmax(np.where(acoustic, -1.0, overlaps[:, index])))
        kind = "LO" if share[index] > LONGITUDINAL_SHARE else "TO"
        result.append(DirectionalMode(float(frequencies[index]), kind, symbol, shares[symbol], partner))
    return result


def translation_overlaps(
    eigenvectors: Float[ndarray, "components modes"], masses: Float[ndarray, "atoms"]
) -> Float[ndarray, "modes"]:
    """Share of uniform translation in every mode at Γ: one for acoustic, zero for optical modes."""
    translations = np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
    return np.sum(np.abs(translations.T @ eigenvectors) ** 2, axis=0)


def _longitudinal_charges(dynamics: LatticeDynamics, direction: Float[ndarray, "3"]) -> Float[ndarray, "components"]:
    """Dipole along a direction per unit of every mass-weighted displacement, e/√amu."""
    if dynamics.dipole is None:
        return np.zeros(3 * dynamics.crystal.n_atoms)
    charges = np.einsum("f,nfd->nd", direction, dynamics.dipole.born_charges)
    return (charges / np.sqrt(dynamics.crystal.masses)[:, None]).reshape(-1)


def _modes_by_irrep(matrix: Float[ndarray, "components components"], action: PointGroupAction) -> list[GammaMode]:
    modes = []
    for irrep in action.irreps:
        basis = action.isotypic_basis(irrep)
        values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
        for start in range(0, len(values), irrep.dimension):
            members = slice(start, start + irrep.dimension)
            frequency = frequencies_from_eigenvalues(values[members].mean(keepdims=True))[0]
            modes.append(GammaMode(float(frequency), irrep, False, basis @ vectors[:, members]))
    return sorted(modes, key=lambda mode: mode.frequency_thz)


def _mark_acoustic(modes: list[GammaMode], crystal: Crystal) -> list[GammaMode]:
    """Mark the modes with the largest overlap with uniform translations until three are found."""
    overlaps = [translation_overlaps(mode.eigenvectors, crystal.masses).mean() for mode in modes]
    acoustic: set[int] = set()
    for index in np.argsort(overlaps)[::-1]:
        if sum(modes[k].degeneracy for k in acoustic) < 3:
            acoustic.add(int(index))
    return [
        GammaMode(mode.frequency_thz, mode.irrep, index in acoustic, mode.eigenvectors)
        for index, mode in enumerate(modes)
    ]


def _share_by_symbol(overlaps: Float[ndarray, "modes"], modes: list[GammaMode]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for mode, overlap in zip(modes, overlaps, strict=True):
        if not mode.acoustic:
            shares[mode.irrep.symbol] = shares.get(mode.irrep.symbol, 0.0) + float(overlap)
    return shares
