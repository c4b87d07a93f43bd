"""Raman tensors of modes, their rotational invariants, and non-resonant (Placzek) scattering by them.

A mode's Raman tensor is the derivative of the polarisability α = V χ of a primitive cell (χ = (ε − 1)/4π, Gaussian)
with respect to its normal coordinate, a_ij = Σ_nk (∂α_ij/∂u_nk) e_nk/√m_n, in Å²/√amu. What light sees of degenerate
modes is the sum of their intensities: squares are added, never amplitudes.

Averages over all orientations are those of Placzek, with a = tr a_ij / 3 and
γ² = ½[(a_xx − a_yy)² + (a_yy − a_zz)² + (a_zz − a_xx)²] + 3(a_xy² + a_yz² + a_zx²):
parallel polarisations (HH) a² + 4γ²/45, crossed ones (HV) γ²/15, their sum (45a² + 7γ²)/45 = activity/45.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.units import ATOMIC_MASS, KELVIN_PER_THZ, PLANCK, SPEED_OF_LIGHT, THZ_TO_CM1
from mlrim.vibrations.normal_modes import NormalModes

Side = Literal["stokes", "anti-stokes"]
DETECTORS = ("power", "photon")
"""What a detector measures: energy or counts."""

DEGENERACY_TOLERANCE = 0.01
"""cm⁻¹: modes closer than this are one line."""
SILENT = 1e-12
"""Lines of less than this share of the strongest one are silent: what they have is rounding."""
KELVIN_PER_CM1 = KELVIN_PER_THZ / THZ_TO_CM1
"""h c / k_B for 1 cm⁻¹, K."""


class RamanInvariants(NamedTuple):
    """What random orientations leave of Raman tensors; add the rows of degenerate modes.

    >>> sphere = raman_invariants(np.eye(3)[None])
    >>> float(sphere.activity[0]), float(sphere.depolarization_ratio[0])
    (45.0, 0.0)
    """

    isotropic: Float[ndarray, "lines"]
    """a², Å⁴/amu."""
    anisotropic: Float[ndarray, "lines"]
    """γ², Å⁴/amu."""

    @property
    def activity(self) -> Float[ndarray, "lines"]:
        """45 a² + 7 γ², Å⁴/amu."""
        return 45 * self.isotropic + 7 * self.anisotropic

    @property
    def parallel(self) -> Float[ndarray, "lines"]:
        """⟨|e·a·e|²⟩ = a² + 4γ²/45: analyser along the polarisation of the laser (HH), Å⁴/amu."""
        return self.isotropic + 4 * self.anisotropic / 45

    @property
    def crossed(self) -> Float[ndarray, "lines"]:
        """⟨|e′·a·e|²⟩ = γ²/15 for e′ ⊥ e: analyser across the polarisation of the laser (HV), Å⁴/amu."""
        return self.anisotropic / 15

    @property
    def depolarization_ratio(self) -> Float[ndarray, "lines"]:
        """Crossed over parallel for a linearly polarised laser, 3γ²/(45a² + 4γ²) ≤ 3/4; NaN for silent lines."""
        return _ratio(3 * self.anisotropic, 45 * self.isotropic + 4 * self.anisotropic)

    @property
    def natural_depolarization_ratio(self) -> Float[ndarray, "lines"]:
        """The same at 90° for unpolarised light, 6γ²/(45a² + 7γ²) ≤ 6/7; NaN for silent lines."""
        return _ratio(6 * self.anisotropic, self.activity)


class RamanLines(NamedTuple):
    """Modes of the same frequency taken together."""

    frequencies: Float[ndarray, "lines"]
    """cm⁻¹, negative for imaginary modes."""
    degeneracies: Int[ndarray, "lines"]
    invariants: RamanInvariants


def mode_raman_tensors(modes: NormalModes, raman_tensors: Float[ndarray, "atoms 3 3 3"]) -> Float[ndarray, "modes 3 3"]:
    """∂α_ij/∂Q of every mode, Å²/√amu, from ∂α_ij/∂u_k of every atom, Å², indices [atom, i, j, k]."""
    tensors = np.einsum("nijk,mnk->mij", raman_tensors, modes.displacements)
    return (tensors + tensors.swapaxes(1, 2)) / 2


def raman_invariants(tensors: Float[ndarray, "modes 3 3"]) -> RamanInvariants:
    """a² and γ² of symmetric Raman tensors (Å²/√amu).

    >>> shear = np.zeros((1, 3, 3)); shear[0, 0, 1] = shear[0, 1, 0] = 1.0
    >>> float(raman_invariants(shear).anisotropic[0]), float(raman_invariants(shear).depolarization_ratio[0])
    (3.0, 0.75)
    """
    mean = np.einsum("mii->m", tensors) / 3
    squares = np.einsum("mij,mij->m", tensors, tensors)
    return RamanInvariants(mean**2, np.maximum(1.5 * (squares - 3 * mean**2), 0.0))


def degenerate_levels(
    frequencies: Float[ndarray, "modes"], tolerance: float = DEGENERACY_TOLERANCE
) -> Int[ndarray, "modes"]:
    """Number of the line that every mode belongs to; `tolerance` (cm⁻¹) separates neighbours of ascending modes.

    >>> degenerate_levels(np.array([100.0, 100.001, 250.0])).tolist()
    [0, 0, 1]
    """
    gaps = np.diff(frequencies, prepend=frequencies[:1]) > tolerance
    return np.cumsum(gaps)


def raman_lines(
    modes: NormalModes, raman_tensors: Float[ndarray, "atoms 3 3 3"], tolerance: float = DEGENERACY_TOLERANCE
) -> RamanLines:
    """The lines of a crystal powder, a gas or a liquid: invariants summed over degenerate modes."""
    level = degenerate_levels(modes.frequencies, tolerance)
    counts = np.bincount(level)
    invariants = raman_invariants(mode_raman_tensors(modes, raman_tensors))
    summed = RamanInvariants(*(np.bincount(level, values).astype(float) for values in invariants))
    return RamanLines(np.bincount(level, modes.frequencies) / np.maximum(counts, 1), counts, summed)


def polarized_strengths(
    tensors: Float[ndarray, "modes 3 3"], incident: Float[ndarray, "3"], scattered: Float[ndarray, "3"]
) -> Float[ndarray, "modes"]:
    """|e_s · a · e_i|² for unit polarisations of the laser and of the scattered light, Å⁴/amu."""
    return np.einsum("i,mij,j->m", scattered, tensors, incident) ** 2


def differential_cross_sections(
    frequencies: Float[ndarray, "modes"],
    strengths: Float[ndarray, "modes"],
    laser_nm: float = 532.0,
    temperature: float = 300.0,
    detector: str = "power",
    side: Side = "stokes",
) -> Float[ndarray, "modes"]:
    """dσ/dΩ of one primitive cell (or molecule) for modes of given strength |e_s·a·e_i|² (Å⁴/amu), cm²/sr.

    dσ/dΩ = (2π)⁴ ν_s⁴ h/(8π² c ν) (n + 1) · strength with ν_s = ν_0 − ν for Stokes; ν_s = ν_0 + ν and n instead of
    n + 1 for anti-Stokes scattering; n is the Bose–Einstein occupation. A detector that counts photons measures
    ν_0 ν_s³ instead of ν_s⁴. The strength of a random orientation, all scattered light collected, is activity/45. Local
    fields, refractive indices and resonance are left out. Imaginary and zero modes scatter nothing.

    Args:
        frequencies: cm⁻¹.
        laser_nm: wavelength of the laser in vacuum, nm.
        temperature: K.

    Raises:
        UserError: wavelength, temperature or detector are not possible.

    >>> one = differential_cross_sections(np.array([500.0]), np.array([1 / 45]))
    >>> f"{one[0]:.4e}"
    '1.4396e-31'
    """
    _check(laser_nm, temperature, detector)
    real = frequencies > 0
    shift = np.where(real, frequencies, 1.0)
    laser = 1e7 / laser_nm
    scattered = np.maximum(laser - shift if side == "stokes" else laser + shift, 0.0)
    light = scattered**4 if detector == "power" else laser * scattered**3
    occupation = bose_einstein(shift, temperature) + (1.0 if side == "stokes" else 0.0)
    si = (2 * np.pi * 100) ** 4 * light * PLANCK / (8 * np.pi**2 * SPEED_OF_LIGHT * 100 * shift) * occupation
    return np.where(real, si * strengths * 1e-40 / ATOMIC_MASS * 1e4, 0.0)


def bose_einstein(frequencies: Float[ndarray, "modes"], temperature: float) -> Float[ndarray, "modes"]:
    """Occupation 1/(exp(hcν/kT) − 1) of positive frequencies (cm⁻¹); zero at 0 K.

    >>> bose_einstein(np.array([200.0]), 300.0).round(4).tolist()
    [0.6213]
    """
    if temperature == 0:
        return np.zeros_like(frequencies)
    return np.exp(-KELVIN_PER_CM1 * frequencies / temperature) / -np.expm1(-KELVIN_PER_CM1 * frequencies / temperature)


def _ratio(numerator: Float[ndarray, "lines"], denominator: Float[ndarray, "lines"]) -> Float[ndarray, "lines"]:
    seen = denominator > SILENT * denominator.max(initial=0.0)
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=seen)


def _check(laser_nm: float, temperature: float, detector: str) -> None:
    problems = []
    if not 100 <= laser_nm <= 3000:
        problems.append(f"the laser's wavelength is {laser_nm} nm; give one from 100 to 3000 nm, for example 532")
    if not 0 <= temperature < np.inf:
        problems.append(f"the temperature is {temperature} K; it must be zero or more")
    if detector not in DETECTORS:
        problems.append(f"unknown detector {detector!r}: choose power (energy) or photon (counts)")
    if problems:
        raise UserError("Raman: " + "; ".join(problems))
