"""The permittivity of a crystal in the infrared: a sum of damped oscillators on top of ε∞.

    ε(ω) = ε∞ + (e²/ε₀V) Σ_m S_m / (ω_m² − ω² − iγ_m ω)

ω_m are the frequencies without the macroscopic field (TO), V the volume of the primitive cell that the modes belong
to, γ_m full widths at half maximum. Optical constants of ε(ω) are in `optical_constants`.

Sources: Born and Huang, Dynamical Theory of Crystal Lattices, §7 to 10; Gonze and Lee, Phys. Rev. B 55, 10355 (1997),
eq. 53 to 64; Cochran and Cowley, J. Phys. Chem. Solids 23, 447 (1962), for the Lyddane–Sachs–Teller relation of
crystals with many modes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.units import PLASMA_FREQUENCY_SQUARED_CM2
from mlrim.vibrations.infrared import InfraredModes
from mlrim.vibrations.normal_modes import NormalModes

SOFTEST = 1.0
"""Modes below this frequency (cm⁻¹) are left out, as imaginary ones are: their static response is not finite."""


@dataclass(frozen=True, eq=False)
class Oscillators:
    """Damped oscillators that make up the infrared response of a crystal.

    Attributes:
        electronic: ε∞.
        frequencies: TO frequencies, all real, cm⁻¹.
        couplings: plasma-frequency vectors Z̃_m e/√(ε₀V) of the modes, cm⁻¹.
        widths: FWHM γ_m, cm⁻¹.
        left_out: signed frequencies of the imaginary and zero modes that are not part of the response, cm⁻¹.
    """

    electronic: Float[ndarray, "3 3"]
    frequencies: Float[ndarray, "modes"]
    couplings: Float[ndarray, "modes 3"]
    widths: Float[ndarray, "modes"]
    left_out: Float[ndarray, "unstable"]

    @property
    def statement(self) -> str:
        """What is missing from the response; empty when nothing is."""
        if not len(self.left_out):
            return ""
        listed = ", ".join(f"{abs(value):.0f}{'i' if value < 0 else ''}" for value in self.left_out)
        return (
            f"{len(self.left_out)} mode(s) with imaginary or vanishing frequency ({listed} cm⁻¹) are left out of ε(ω) "
            "and ε₀: the structure is not a minimum, and its static permittivity is not defined"
        )

    @property
    def contributions(self) -> Float[ndarray, "modes 3 3"]:
        """Share of every mode in the static permittivity; contributions of degenerate partners belong together."""
        scaled = self.couplings / self.frequencies[:, None]
        return scaled[:, :, None] * scaled[:, None, :]

    @property
    def static(self) -> Float[ndarray, "3 3"]:
        """ε₀, the permittivity far below all phonons."""
        return self.electronic + self.contributions.sum(axis=0)

    def permittivity(self, grid: Float[ndarray, "grid"]) -> Complex[ndarray, "grid 3 3"]:
        """ε(ω) on a grid of wavenumbers, cm⁻¹."""
        response = 1 / (self.frequencies**2 - grid[:, None] * (grid[:, None] + 1j * self.widths))
        products = self.couplings[:, :, None] * self.couplings[:, None, :]
        return self.electronic + (response @ products.reshape(len(products), 9)).reshape(-1, 3, 3)

    def longitudinal_frequencies(self, direction: Float[ndarray, "3"]) -> Float[ndarray, "modes"]:
        """Undamped frequencies in the limit q → 0 along a direction, ascending, cm⁻¹: LO modes and TO modes."""
        unit = direction / np.linalg.norm(direction)
        projected = self.couplings @ unit
        matrix = np.diag(self.frequencies**2) + np.outer(projected, projected) / (unit @ self.electronic @ unit)
        return np.sqrt(np.linalg.eigvalsh(matrix))


@dataclass(frozen=True)
class LyddaneSachsTeller:
    """ε₀ along a direction, found twice: from the oscillators, and from LO and TO frequencies.

    Attributes:
        from_modes: q̂·(ε∞ + Σ Δε_m)·q̂.
        from_frequencies: q̂·ε∞·q̂ Π (ω_LO/ω_TO)².
        stable: no mode is imaginary; otherwise both numbers agree but are not a permittivity.
    """

    from_modes: float
    from_frequencies: float
    stable: bool

    @property
    def deviation(self) -> float:
        """Relative difference of the two."""
        return abs(self.from_frequencies / self.from_modes - 1)


def oscillators(
    infrared: InfraredModes, electronic: Float[ndarray, "3 3"], widths: float | Float[ndarray, "modes"]
) -> Oscillators:
    """The oscillators of a crystal from its TO modes, ε∞ and line widths (FWHM, cm⁻¹).

    MgO with Z* = 1.960 e, ω_TO = 401 cm⁻¹, ε∞ = 2.956, V = 18.68 Å³ (S in e²/amu):

    >>> charge = 1.960 * np.sqrt(1 / 24.305 + 1 / 15.999)
    >>> magnesia = InfraredModes(np.full(3, 401.0), charge * np.eye(3), np.zeros((3, 3)), 18.68)
    >>> model = oscillators(magnesia, 2.956 * np.eye(3), 8.0)
    >>> [round(float(value), 2) for value in (charge**2, model.contributions[0, 0, 0], model.static[0, 0])]
    [0.4, 6.52, 9.48]
    >>> round(float(model.longitudinal_frequencies(np.array([0.0, 0.0, 1.0])).max()))
    718

    Raises:
        ValueError: the modes are those of a molecule, or a width is not positive.
    """
    if infrared.volume is None:
        raise ValueError("a molecule has no permittivity; use `molar_absorption`")
    widths = np.broadcast_to(np.asarray(widths, dtype=float), infrared.frequencies.shape)
    if not (widths > 0).all():
        raise ValueError("the widths of oscillators must be positive (FWHM, cm⁻¹)")
    kept = infrared.frequencies > SOFTEST
    return Oscillators(
        electronic,
        infrared.frequencies[kept],
        infrared.charges[kept] * np.sqrt(PLASMA_FREQUENCY_SQUARED_CM2 / infrared.volume),
        widths[kept],
        infrared.frequencies[~kept],
    )


def lyddane_sachs_teller(
    infrared: InfraredModes,
    electronic: Float[ndarray, "3 3"],
    longitudinal: NormalModes,
    direction: Float[ndarray, "3"],
) -> LyddaneSachsTeller:
    """Check oscillator strengths against the modes in the limit q → 0 along a direction (`modes_along`).

    All optical modes enter both products, so that none has to be assigned; the relation is exact along every
    direction. Imaginary modes enter with their negative squares.
    """
    if infrared.volume is None:
        raise ValueError("the Lyddane–Sachs–Teller relation needs a crystal")
    unit = direction / np.linalg.norm(direction)
    transverse = np.sign(infrared.frequencies) * infrared.frequencies**2
    raised = np.sign(longitudinal.frequencies) * longitudinal.frequencies**2
    electronic_along = float(unit @ electronic @ unit)
    strengths = (infrared.charges @ unit) ** 2 * PLASMA_FREQUENCY_SQUARED_CM2 / infrared.volume
    ratio = float(np.prod(np.sort(raised) / np.sort(transverse)))
    return LyddaneSachsTeller(
        electronic_along + float(np.sum(strengths / transverse)), electronic_along * ratio, bool((transverse > 0).all())
    )
