"""Infrared strengths of modes: mode effective charges, oscillator strengths, integrated intensities.

For a crystal the modes are those without the macroscopic field (TO); intensities are per mole of primitive cells.
The same formulas hold for a molecule, with atomic polar tensors in the place of the Born charges.

Sources: Gonze and Lee, Phys. Rev. B 55, 10355 (1997), eq. 53 and 54; Porezag and Pederson, Phys. Rev. B 54, 7830
(1996), eq. 4 for the intensity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.units import KM_PER_MOL_TO_LITRE_PER_MOL_CM2, OSCILLATOR_STRENGTH_TO_KM_PER_MOL
from mlrim.vibrations.line_shapes import broaden
from mlrim.vibrations.normal_modes import NormalModes

DEGENERACY_TOLERANCE = 1e-3
"""Frequencies closer than this (cm⁻¹) count as one level where irreps are not known."""


@dataclass(frozen=True, eq=False)
class InfraredModes:
    """What infrared light sees of every mode.

    Attributes:
        frequencies: signed frequencies, negative for imaginary modes, cm⁻¹.
        charges: mode effective charges Z̃_m = Σ Z* e/√m: dipole per unit of the normal coordinate, e/√amu.
        normalized_charges: the same divided by the length of the displacements e/√m (Gonze and Lee), e.
        volume: of the primitive cell, Å³; none for a molecule.
    """

    frequencies: Float[ndarray, "modes"]
    charges: Float[ndarray, "modes 3"]
    normalized_charges: Float[ndarray, "modes 3"]
    volume: float | None

    @property
    def strengths(self) -> Float[ndarray, "modes 3 3"]:
        """Oscillator-strength tensors S_m = Z̃ Z̃ᵀ, e²/amu."""
        return self.charges[:, :, None] * self.charges[:, None, :]

    @property
    def intensities(self) -> Float[ndarray, "modes"]:
        """Integrated molar absorption (napierian, random orientation), km/mol per mole of cells or molecules."""
        return OSCILLATOR_STRENGTH_TO_KM_PER_MOL * np.sum(self.charges**2, axis=1)


@dataclass(frozen=True)
class InfraredLevel:
    """All modes of one degenerate level taken together: single partners depend on the choice of eigenvectors.

    Attributes:
        frequency: mean signed frequency, cm⁻¹.
        symbol: irrep, or an empty text where it is not known.
        degeneracy: number of modes.
        strength: trace of the summed oscillator-strength tensors, e²/amu.
        charge: root of the strength, e/√amu.
        intensity: summed intensity, km/mol.
    """

    frequency: float
    symbol: str
    degeneracy: int
    strength: float
    charge: float
    intensity: float


def infrared_modes(modes: NormalModes, born_charges: Float[ndarray, "atoms 3 3"]) -> InfraredModes:
    """Mode effective charges from eigenvectors and Born charges (first index field, second displacement; e).

    The closed form of a diatomic cubic crystal, Z̃² = Z*²/μ (MgO, Z* = 1.960 e, in e²/amu):

    >>> masses = np.array([24.305, 15.999])
    >>> share = np.sqrt(masses[::-1] / masses.sum())
    >>> eigenvectors = np.vstack([np.eye(3) * share[0], -np.eye(3) * share[1]])
    >>> modes = NormalModes(np.full(3, 401.0), eigenvectors, masses, 18.68)
    >>> magnesia = infrared_modes(modes, np.array([1.960 * np.eye(3), -1.960 * np.eye(3)]))
    >>> round(float(magnesia.strengths[0, 0, 0]), 3)
    0.398
    >>> round(float(magnesia.intensities.sum() / magnesia.strengths.trace(axis1=1, axis2=2).sum()), 3)
    974.88
    """
    displacements = modes.displacements
    charges = np.einsum("nfd,mnd->mf", born_charges, displacements)
    lengths = np.sqrt(np.sum(displacements**2, axis=(1, 2)))
    return InfraredModes(modes.frequencies, charges, charges / lengths[:, None], modes.volume)


def infrared_levels(
    infrared: InfraredModes, degeneracies: Sequence[int] | None = None, symbols: Sequence[str] = ()
) -> list[InfraredLevel]:
    """Strengths and intensities summed over degenerate partners.

    Args:
        degeneracies: number of modes of every level, in the order of the modes; by default modes whose frequencies
            agree are one level.
        symbols: irrep of every level.

    Raises:
        ValueError: the levels do not add up to the modes.
    """
    degeneracies = degenerate_levels(infrared.frequencies) if degeneracies is None else degeneracies
    if sum(degeneracies) != len(infrared.frequencies) or (symbols and len(symbols) != len(degeneracies)):
        raise ValueError(f"{len(degeneracies)} levels do not fit {len(infrared.frequencies)} modes")
    strengths = np.sum(infrared.charges**2, axis=1)
    levels, start = [], 0
    for index, degeneracy in enumerate(degeneracies):
        members = slice(start, start + degeneracy)
        strength, start = float(strengths[members].sum()), start + degeneracy
        levels.append(
            InfraredLevel(
                float(infrared.frequencies[members].mean()),
                symbols[index] if symbols else "",
                degeneracy,
                strength,
                float(np.sqrt(strength)),
                strength * OSCILLATOR_STRENGTH_TO_KM_PER_MOL,
            )
        )
    return levels


def degenerate_levels(frequencies: Float[ndarray, "modes"], tolerance: float = DEGENERACY_TOLERANCE) -> list[int]:
    """Number of modes of every level: neighbours in the list whose frequencies (cm⁻¹) agree.

    >>> degenerate_levels(np.array([100.0, 100.0, 250.0, 400.0, 400.0, 400.0]))
    [2, 1, 3]
    """
    if not len(frequencies):
        return []
    starts = np.flatnonzero(np.concatenate([[True], np.abs(np.diff(frequencies)) > tolerance]))
    return np.diff(np.append(starts, len(frequencies))).tolist()


def molar_absorption(
    infrared: InfraredModes,
    widths: float | Float[ndarray, "modes"],
    grid: Float[ndarray, "grid"],
    shape: str = "lorentzian",
    instrument: float = 0.0,
) -> Float[ndarray, "grid"]:
    """Molar absorption coefficient (napierian) of oscillators in vacuum at random orientation, L mol⁻¹ cm⁻¹.

    A stick spectrum with widths: right for molecules, and the usual way to compare calculations; what a powder of a
    polar crystal shows follows from its permittivity (`effective_medium`). Imaginary modes are left out.

    Args:
        widths: FWHM, cm⁻¹.
        grid: ascending, cm⁻¹.
        shape: as in `broaden`.
        instrument: FWHM of the resolution, cm⁻¹.
    """
    widths = np.broadcast_to(np.asarray(widths, dtype=float), infrared.frequencies.shape)
    real = infrared.frequencies > 0
    areas = infrared.intensities[real] * KM_PER_MOL_TO_LITRE_PER_MOL_CM2
    return broaden(infrared.frequencies[real], areas, widths[real], grid, shape, instrument)
