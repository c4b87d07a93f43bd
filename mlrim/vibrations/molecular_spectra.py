"""Infrared and Raman spectra of a molecule from its vibrations and the derivatives of its dipole and polarisability.

One line for every frequency: what degenerate modes have is summed, because single partners depend on the choice of
eigenvectors. Derivatives are averaged over the point group first, so that what symmetry forbids is zero to the last
digit, and not only small. A gas of freely turning molecules is meant everywhere.

Sources: E. B. Wilson, J. C. Decius and P. C. Cross, Molecular Vibrations (1955), chapter 3; D. Porezag and M. R.
Pederson, Phys. Rev. B 54, 7830 (1996), eq. 4 and 6.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.units import KM_PER_MOL_TO_LITRE_PER_MOL_CM2
from mlrim.vibrations.infrared import infrared_modes
from mlrim.vibrations.line_shapes import broaden
from mlrim.vibrations.molecular_symmetry import MolecularPointGroup
from mlrim.vibrations.molecules import MolecularVibrations
from mlrim.vibrations.raman import RamanInvariants, mode_raman_tensors, raman_invariants
from mlrim.vibrations.raman_spectra import RamanConditions, RamanSticks, raman_spectrum


class DipoleDerivatives(NamedTuple):
    """How the dipole moment and the polarisability of a molecule answer to displacements of its atoms.

    What is not known is none, never zero.
    """

    dipole: Float[ndarray, "atoms 3 3"] | None = None
    """∂μ_i/∂u_k of every atom [atom, i, k], e: atomic polar tensors, the Born charges of a molecule."""
    polarizability: Float[ndarray, "atoms 3 3 3"] | None = None
    """∂α_ij/∂u_k of every atom [atom, i, j, k], Å² (α as a volume, Å³)."""
    source: str = ""
    """Where they are from, in words."""


def symmetric_derivatives(
    derivatives: DipoleDerivatives, group: MolecularPointGroup
) -> tuple[DipoleDerivatives, dict[str, float]]:
    """The derivatives averaged over the point group, and the largest change of each (e, Å²).

    Raises:
        UserError: they belong to another number of atoms.
    """
    changes: dict[str, float] = {}
    averaged: list[ndarray | None] = []
    for name, tensors in (("dipole", derivatives.dipole), ("polarizability", derivatives.polarizability)):
        if tensors is None:
            averaged.append(None)
            continue
        if len(tensors) != group.permutations.shape[1]:
            raise UserError(
                f"the {name} derivatives ({derivatives.source or 'given'}) are of {len(tensors)} atoms, but the "
                f"molecule has {group.permutations.shape[1]}; give those of this molecule, its atoms in the same order"
            )
        averaged.append(average_tensors(tensors, group))
        changes[name] = float(np.abs(averaged[-1] - tensors).max())
    dipole, polarizability = averaged
    return DipoleDerivatives(dipole, polarizability, derivatives.source), changes


def average_tensors(
    tensors: Float[ndarray, "atoms *axes"], group: MolecularPointGroup
) -> Float[ndarray, "atoms *axes"]:
    """Cartesian tensors of the atoms averaged over the point group."""
    letters = "abcd"[: tensors.ndim - 1]
    factors = ",".join(f"{letter.upper()}{letter}" for letter in letters)
    path = f"{factors},n{letters}->n{letters.upper()}"
    total = np.zeros_like(tensors)
    for rotation, permutation in zip(group.rotations, group.permutations, strict=True):
        total[permutation] += np.einsum(path, *[rotation] * len(letters), tensors, optimize=True)
    return total / len(group.rotations)


def infrared_intensities(
    vibrations: MolecularVibrations, dipole_derivatives: Float[ndarray, "atoms 3 3"]
) -> Float[ndarray, "lines"]:
    """Integrated molar absorption (napierian) of every frequency, summed over degenerate modes, km/mol.

    Args:
        dipole_derivatives: ∂μ_i/∂u_k [atom, i, k], e.
    """
    single = infrared_modes(vibrations.normal_modes, dipole_derivatives).intensities
    return summed_over_partners(vibrations, single)


def raman_activities(
    vibrations: MolecularVibrations, polarizability_derivatives: Float[ndarray, "atoms 3 3 3"]
) -> RamanInvariants:
    """a² and γ² of every frequency, summed over degenerate modes, Å⁴/amu; with activity and depolarisation ratio.

    Args:
        polarizability_derivatives: ∂α_ij/∂u_k [atom, i, j, k], Å².
    """
    single = raman_invariants(mode_raman_tensors(vibrations.normal_modes, polarizability_derivatives))
    return RamanInvariants(*(summed_over_partners(vibrations, values) for values in single))


def summed_over_partners(vibrations: MolecularVibrations, values: Float[ndarray, "modes"]) -> Float[ndarray, "lines"]:
    """Values of single modes summed over the modes of every frequency."""
    sizes = [mode.degeneracy for mode in vibrations.modes]
    lines = np.repeat(np.arange(len(sizes)), sizes)
    return np.bincount(lines, values, minlength=len(sizes)).astype(float)


def absorption_spectrum(
    frequencies: Float[ndarray, "lines"],
    intensities: Float[ndarray, "lines"],
    widths: float | Float[ndarray, "lines"],
    grid: Float[ndarray, "grid"],
    shape: str = "lorentzian",
    instrument: float = 0.0,
) -> Float[ndarray, "grid"]:
    """Molar absorption coefficient (napierian) of a gas, L mol⁻¹ cm⁻¹; imaginary modes are left out.

    Args:
        frequencies: cm⁻¹.
        intensities: km/mol.
        widths: FWHM, cm⁻¹.
        grid: ascending, cm⁻¹.
        shape, instrument: as for `broaden`.

    >>> line = absorption_spectrum(np.array([1000.0]), np.array([50.0]), 10.0, np.arange(2001.0))
    >>> round(float(np.trapezoid(line, np.arange(2001.0))) / 5000, 2)  # the area is the intensity, ×100
    1.0
    """
    real = frequencies > 0
    widths = np.broadcast_to(np.asarray(widths, dtype=float), frequencies.shape)
    areas = intensities[real] * KM_PER_MOL_TO_LITRE_PER_MOL_CM2
    return broaden(frequencies[real], areas, widths[real], grid, shape, instrument)


def scattering_spectrum(
    frequencies: Float[ndarray, "lines"],
    invariants: RamanInvariants,
    widths: float | Float[ndarray, "lines"],
    grid: Float[ndarray, "grid"],
    conditions: RamanConditions | None = None,
    shape: str = "lorentzian",
    instrument: float = 0.0,
) -> Float[ndarray, "2 grid"]:
    """Differential cross-section of a molecule for parallel (HH) and crossed (HV) polarisations, cm²/sr per cm⁻¹.

    Args:
        frequencies: cm⁻¹; imaginary modes are left out.
        widths: FWHM, cm⁻¹.
        grid: Raman shifts, ascending, cm⁻¹; anti-Stokes lines need negative ones.
        shape, instrument: as for `broaden`.
    """
    strengths = np.stack([invariants.parallel, invariants.crossed])
    widths = np.broadcast_to(np.asarray(widths, dtype=float), frequencies.shape)
    return raman_spectrum(RamanSticks(frequencies, strengths, widths), grid, conditions, shape, instrument)
