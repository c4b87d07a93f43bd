"""The factorised permittivity with four parameters per mode, in which LO modes have widths of their own.

    ε(ω) = ε∞ Π_j (Ω_LO² − ω² − iγ_LO ω) / (Ω_TO² − ω² − iγ_TO ω)

Source: Gervais and Piriou, J. Phys. C 7, 2374 (1974), eq. 2.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.vibrations.infrared import degenerate_levels
from mlrim.vibrations.permittivity import Oscillators

SILENT = 1e-10
"""Modes whose share of the squared coupling along the axis is smaller do not appear in the factorised form."""


@dataclass(frozen=True, eq=False)
class FourParameterForm:
    """Factorised permittivity along one axis.

    Attributes:
        electronic: ε∞ along the axis.
        transverse: TO frequencies, ascending, cm⁻¹.
        transverse_widths: their FWHM, cm⁻¹.
        longitudinal: LO frequencies, ascending, cm⁻¹.
        longitudinal_widths: their FWHM, cm⁻¹.

    Raises:
        UserError: the numbers of TO and LO modes differ, or a frequency or width is not positive.
    """

    electronic: float
    transverse: Float[ndarray, "modes"]
    transverse_widths: Float[ndarray, "modes"]
    longitudinal: Float[ndarray, "others"]
    longitudinal_widths: Float[ndarray, "others"]

    def __post_init__(self) -> None:
        """Refuse what is not a permittivity."""
        if len(self.transverse) != len(self.longitudinal):
            raise UserError(
                f"{len(self.transverse)} TO and {len(self.longitudinal)} LO modes; the factorised form needs pairs: "
                "give one LO frequency for every TO frequency of the axis"
            )
        parts = (self.transverse, self.longitudinal, self.transverse_widths, self.longitudinal_widths)
        if not all((part > 0).all() for part in parts):
            raise UserError("frequencies and widths of the factorised form must be positive (cm⁻¹)")

    @property
    def static(self) -> float:
        """ε₀ by the Lyddane–Sachs–Teller relation, ε∞ Π (Ω_LO/Ω_TO)².

        >>> pair = FourParameterForm(2.956, np.array([401.0]), np.ones(1), np.array([718.0]), np.ones(1))
        >>> round(pair.static, 2)
        9.48
        """
        return float(self.electronic * np.prod((self.longitudinal / self.transverse) ** 2))

    @property
    def contributions(self) -> Float[ndarray, "modes"]:
        """Share of every TO mode in ε₀, for small widths; the sum is ε₀ − ε∞."""
        squares, poles = self.longitudinal**2, self.transverse**2
        numerator = np.prod(squares[None, :] - poles[:, None], axis=1)
        gaps = poles[None, :] - poles[:, None]
        np.fill_diagonal(gaps, 1.0)
        return self.electronic * numerator / (poles * np.prod(gaps, axis=1))

    def permittivity(self, grid: Float[ndarray, "grid"]) -> Complex[ndarray, "grid"]:
        """ε(ω) along the axis on a grid of wavenumbers, cm⁻¹."""
        numerator = self.longitudinal**2 - grid[:, None] * (grid[:, None] + 1j * self.longitudinal_widths)
        denominator = self.transverse**2 - grid[:, None] * (grid[:, None] + 1j * self.transverse_widths)
        return self.electronic * np.prod(numerator / denominator, axis=1)


def four_parameter_form(model: Oscillators, axis: Float[ndarray, "3"]) -> FourParameterForm:
    """The factorised form of a sum of oscillators along a principal axis: exactly the same function.

    LO frequencies and widths are the zeros of ε(ω) in the complex plane: the free vibrations of the coupled, damped
    oscillators in their own field.
    """
    unit = axis / np.linalg.norm(axis)
    electronic = float(unit @ model.electronic @ unit)
    frequencies, widths, strengths = _levels(model, unit)
    couplings = np.sqrt(strengths)
    count = len(frequencies)
    stiffness = np.diag(frequencies**2) + np.outer(couplings, couplings) / electronic
    motion = np.block([[np.zeros((count, count)), np.eye(count)], [-stiffness, -np.diag(widths)]])
    longitudinal, longitudinal_widths = _pairs(np.linalg.eigvals(motion).astype(complex))
    return FourParameterForm(electronic, frequencies, widths, longitudinal, longitudinal_widths)


def _levels(
    model: Oscillators, unit: Float[ndarray, "3"]
) -> tuple[Float[ndarray, "levels"], Float[ndarray, "levels"], Float[ndarray, "levels"]]:
    """Frequencies, widths and squared couplings along an axis, one for every level that couples to it."""
    order = np.lexsort((model.widths, model.frequencies))
    frequencies, widths = model.frequencies[order], model.widths[order]
    strengths = (model.couplings[order] @ unit) ** 2
    starts = [0]
    for count in degenerate_levels(frequencies, 1e-6):
        changes = np.flatnonzero(np.diff(widths[starts[-1] : starts[-1] + count])) + 1
        end = starts[-1] + count
        starts += [starts[-1] + int(change) for change in changes] + [end]
    summed = np.add.reduceat(strengths, starts[:-1]) if len(strengths) else strengths
    kept = summed > SILENT * summed.sum()
    first = np.array(starts[:-1], dtype=int)[kept]
    return frequencies[first], widths[first], summed[kept]


def _pairs(rates: Complex[ndarray, "rates"]) -> tuple[Float[ndarray, "modes"], Float[ndarray, "modes"]]:
    """Frequencies and widths from the rates of free decay, which come in complex pairs or (overdamped) real ones."""
    oscillating = rates[rates.imag > 0]
    decaying = np.sort(rates[rates.imag == 0].real)
    slow, fast = decaying[len(decaying) // 2 :][::-1], decaying[: len(decaying) // 2]
    squares = np.concatenate([np.abs(oscillating) ** 2, slow * fast])
    widths = np.concatenate([-2 * oscillating.real, -(slow + fast)])
    order = np.argsort(squares)
    return np.sqrt(squares[order]), widths[order]
