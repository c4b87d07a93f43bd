"""Sticks to spectra: Lorentzian, Gaussian and Voigt lines, damped oscillators, and the spectrometer's resolution.

Every width is a full width at half maximum (FWHM, cm⁻¹). Every line keeps its area on every grid: the value at a
grid point is the mean of the line over the point's cell (between the midpoints to its neighbours), found from
the line's integral, so that the trapezoidal sum over the grid is the exact area of what lies inside it, no matter
how coarse the grid is. On a grid without negative points, what a line would have below zero is reflected at zero.

Unit of a spectrum: unit of the areas per cm⁻¹ (km/mol gives km/mol per cm⁻¹).

Source: Weideman, SIAM J. Numer. Anal. 31, 1497 (1994), for the Faddeeva function as a series, here integrated
term by term.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray
from scipy.special import ndtr

from mlrim.errors import UserError

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
"""FWHM of a Gaussian over its standard deviation.

>>> round(float(FWHM_PER_SIGMA), 6)
2.35482
"""

VOIGT_PART = 0.61065146
"""FWHM of the Lorentzian and of the Gaussian part of the `voigt` shape, over its own FWHM (the two are equal).

>>> from scipy.special import wofz
>>> top, half = wofz(np.array([0.5j, 0.5 / VOIGT_PART + 0.5j]) * FWHM_PER_SIGMA / np.sqrt(2)).real
>>> round(float(half / top), 7)
0.5
"""

FADDEEVA_TERMS = 32
"""Terms of the rational series of the Faddeeva function; 32 give twelve digits."""

CRITICAL_DAMPING = 1e-8
"""Oscillators closer than this (relative) to critical damping are moved away from it: their poles must differ."""


class Lines(NamedTuple):
    """Lines of area one: positions, FWHM and standard deviation of the instrument, cm⁻¹."""

    positions: Float[ndarray, "lines"]
    widths: Float[ndarray, "lines"]
    sigma: float


Integral = Callable[[Lines, Float[ndarray, "edges"]], Float[ndarray, "lines edges"]]
"""A line shape: the integrals of lines of area one up to the edges of the cells."""


def lorentzian(offset: Float[ndarray, "points"], width: float) -> Float[ndarray, "points"]:
    """Lorentzian of area one at a distance from its centre, per cm⁻¹.

    >>> top, half = lorentzian(np.array([0.0, 5.0]), 10.0)
    >>> round(float(top / half), 12)
    2.0
    """
    return width / 2 / np.pi / (offset**2 + width**2 / 4)


def gaussian(offset: Float[ndarray, "points"], width: float) -> Float[ndarray, "points"]:
    """Gaussian of area one at a distance from its centre, per cm⁻¹.

    >>> top, half = gaussian(np.array([0.0, 5.0]), 10.0)
    >>> round(float(top / half), 12)
    2.0
    """
    sigma = width / FWHM_PER_SIGMA
    return np.exp(-(offset**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))


def damped_oscillator(grid: Float[ndarray, "points"], position: float, width: float) -> Float[ndarray, "points"]:
    """Absorption of a damped oscillator, (2/π) ω²Γ / ((ω₀²−ω²)² + ω²Γ²), per cm⁻¹; area one over ω > 0.

    It is ω times the imaginary part of the response, as infrared absorption is, and holds for any damping.
    """
    return 2 / np.pi * grid**2 * width / ((position**2 - grid**2) ** 2 + grid**2 * width**2)


def damped_oscillator_scattering(
    grid: Float[ndarray, "points"], position: float, width: float
) -> Float[ndarray, "points"]:
    """Classical fluctuations of a damped oscillator, (2/π) ω₀²Γ / ((ω₀²−ω²)² + ω²Γ²), per cm⁻¹; area one over ω > 0.

    It is the imaginary part of the response over ω. Times ω (n(ω)+1) / (ω₀ (n(ω₀)+1)) it is the Stokes spectrum
    of a mode whose intensity in the limit of small damping is one (n: Bose occupation).
    """
    return 2 / np.pi * position**2 * width / ((position**2 - grid**2) ** 2 + grid**2 * width**2)


def broaden(
    positions: Float[ndarray, "lines"],
    areas: Float[ndarray, "*spectra lines"],
    widths: float | Float[ndarray, "lines"],
    grid: Float[ndarray, "grid"],
    shape: str = "lorentzian",
    instrument: float = 0.0,
) -> Float[ndarray, "*spectra grid"]:
    """Spectrum of lines with given areas on a grid; several spectra of the same lines at once.

    Args:
        positions: cm⁻¹; negative ones (anti-Stokes) need a grid that has negative points.
        areas: area of every line; any unit.
        widths: FWHM of all lines or of each, cm⁻¹.
        grid: ascending, cm⁻¹; the spacing may vary.
        shape: `lorentzian`, `gaussian`, `voigt` (equal parts of both), `damped_oscillator` (infrared absorption)
            or `damped_oscillator_scattering`.
        instrument: FWHM of the Gaussian resolution that all lines are convolved with, cm⁻¹; 0 for none.

    Returns:
        The spectra in the unit of the areas per cm⁻¹: means over the cells of the grid.

    Raises:
        UserError: unknown shape, or a width that is not positive.
        ValueError: a grid that does not ascend, or negative positions on a grid that begins at zero.
    """
    widths = np.broadcast_to(np.asarray(widths, dtype=float), positions.shape)
    _check(positions, widths, grid, shape, instrument)
    present = np.flatnonzero(np.abs(areas).reshape(-1, len(positions)).any(axis=0))
    lines = Lines(positions[present], widths[present], instrument / FWHM_PER_SIGMA)
    edges = _edges(grid)
    return areas[..., present] @ (np.diff(SHAPES[shape](lines, edges), axis=1) / np.diff(edges))


def resolved(
    grid: Float[ndarray, "grid"], values: Float[ndarray, "*spectra grid"], instrument: float
) -> Float[ndarray, "*spectra grid"]:
    """A spectrum that is not a sum of lines (reflectivity, transmission) as seen with finite resolution.

    Weighted means over a Gaussian of the instrument's FWHM (cm⁻¹); where it leaves the grid, over what is inside.

    >>> resolved(np.array([0.0, 1.0, 5.0, 6.0]), np.full(4, 0.7), 2.0).round(12).tolist()
    [0.7, 0.7, 0.7, 0.7]
    """
    if instrument == 0:
        return values
    cells = np.diff(_edges(grid))
    weights = broaden(grid, np.diag(cells), instrument, grid, "gaussian")
    return (values @ weights) / weights.sum(axis=0)


def _edges(grid: Float[ndarray, "grid"]) -> Float[ndarray, "edges"]:
    """Bounds of the cells of a grid: midpoints, and its ends."""
    return np.concatenate([grid[:1], (grid[1:] + grid[:-1]) / 2, grid[-1:]])


def _check(
    positions: Float[ndarray, "lines"],
    widths: Float[ndarray, "lines"],
    grid: Float[ndarray, "grid"],
    shape: str,
    instrument: float,
) -> None:
    if shape not in SHAPES:
        raise UserError(f"line shape '{shape}' is unknown; choose one of {', '.join(SHAPES)}")
    if not (np.isfinite(widths).all() and (widths > 0).all()):
        raise UserError(f"line widths are FWHM in cm⁻¹ and must be positive numbers, got {widths[~(widths > 0)][:3]}")
    if not (np.isfinite(instrument) and instrument >= 0):
        raise UserError(f"the instrument's width is a FWHM in cm⁻¹, zero or positive, got {instrument}")
    if len(grid) < 2 or not (np.diff(grid) > 0).all():
        raise ValueError("a spectrum needs a grid of at least two ascending points")
    if grid[0] >= 0 and (positions < 0).any():
        raise ValueError("negative positions on a grid without negative points: leave out imaginary modes")


def _reflected(integral: Integral) -> Integral:
    """The integral of lines together with their mirror images at zero, where the grid ends there."""

    def with_images(lines: Lines, edges: Float[ndarray, "edges"]) -> Float[ndarray, "lines edges"]:
        if edges[0] < 0:
            return integral(lines, edges)
        doubled = integral(lines, np.concatenate([-edges[::-1], edges]))
        return doubled[:, len(edges) :] - doubled[:, len(edges) - 1 :: -1]

    return with_images


def _lorentzian_integral(lines: Lines, edges: Float[ndarray, "edges"]) -> Float[ndarray, "lines edges"]:
    offset = edges - lines.positions[:, None]
    half = lines.widths[:, None] / 2
    return np.arctan(offset / half) / np.pi if lines.sigma == 0 else _voigt_integral(offset + 1j * half, lines.sigma)


def _gaussian_integral(lines: Lines, edges: Float[ndarray, "edges"]) -> Float[ndarray, "lines edges"]:
    sigma = np.hypot(lines.widths / FWHM_PER_SIGMA, lines.sigma)[:, None]
    return ndtr((edges - lines.positions[:, None]) / sigma)


def _equal_parts_integral(lines: Lines, edges: Float[ndarray, "edges"]) -> Float[ndarray, "lines edges"]:
    """Lorentzian and Gaussian of equal FWHM; the instrument widens the Gaussian."""
    parts = lines.widths[:, None] * VOIGT_PART
    offset = edges - lines.positions[:, None]
    return _voigt_integral(offset + 0.5j * parts, np.hypot(parts / FWHM_PER_SIGMA, lines.sigma))


def _voigt_integral(
    offset: Complex[ndarray, "lines edges"], sigma: float | Float[ndarray, "lines 1"]
) -> Float[ndarray, "lines edges"]:
    """Integral of a Lorentzian convolved with a Gaussian; the offset's imaginary part is half the former's FWHM."""
    return _faddeeva_integral(offset / (np.sqrt(2) * sigma)).real / np.sqrt(np.pi)


def _absorption_integral(lines: Lines, edges: Float[ndarray, "edges"]) -> Float[ndarray, "lines edges"]:
    first, second = _poles(lines)
    residue = 2 / (first - second)
    return _oscillator_integral(lines, edges, ((first, residue * first), (second, -residue * second)))


def _scattering_integral(lines: Lines, edges: Float[ndarray, "edges"]) -> Float[ndarray, "lines edges"]:
    first, second = _poles(lines)
    residue = -2 / (first - second)
    return _oscillator_integral(lines, edges, ((first, residue * second), (second, -residue * first)))


def _poles(lines: Lines) -> tuple[Complex[ndarray, "lines"], Complex[ndarray, "lines"]]:
    """Zeros of ω₀² − ω² − iΓω: where the response of the oscillators is infinite."""
    frequencies = np.maximum(np.abs(lines.positions), CRITICAL_DAMPING * lines.widths)
    critical = np.abs(lines.widths - 2 * frequencies) < CRITICAL_DAMPING * lines.widths
    widths = np.where(critical, lines.widths * (1 + 2 * CRITICAL_DAMPING), lines.widths)
    second = -0.5j * widths - np.sqrt(frequencies**2 - widths**2 / 4 + 0j)
    return -(frequencies**2) / second, second


def _oscillator_integral(
    lines: Lines,
    edges: Float[ndarray, "edges"],
    terms: tuple[tuple[Complex[ndarray, "lines"], Complex[ndarray, "lines"]], ...],
) -> Float[ndarray, "lines edges"]:
    """Integral of −Im Σ residue / (ω − pole) / π over ω > 0, for negative positions over ω < 0."""
    sign = np.where(lines.positions < 0, -1.0, 1.0)[:, None]
    outward = np.maximum(sign * edges, 0.0)
    total = np.zeros_like(outward)
    for pole, residue in terms:
        offset = outward - pole[:, None]
        if lines.sigma > 0:
            smooth = _faddeeva_integral(offset / (np.sqrt(2) * lines.sigma))
            total += (residue[:, None] * smooth).real / np.sqrt(np.pi)
        else:
            total -= (residue[:, None] * np.log(offset)).imag / np.pi
    return sign * total


def _faddeeva_integral(z: Complex[ndarray, "*shape"]) -> Complex[ndarray, "*shape"]:
    """Antiderivative of the Faddeeva function w(z) in the upper half plane.

    >>> from scipy.special import wofz
    >>> z, step = np.array([0.3 + 0.2j, 4.0 + 0.01j, 20 + 3j]), 1e-4
    >>> slope = (_faddeeva_integral(z + step) - _faddeeva_integral(z - step)) / (2 * step)
    >>> bool(np.abs(slope - wofz(z)).max() < 1e-8)
    True
    """
    scale, series = _faddeeva_series()
    denominator = scale - 1j * z
    ratio = (scale + 1j * z) / denominator
    total = np.full_like(ratio, series[-1])
    for coefficient in series[-2::-1]:
        total *= ratio
        total += coefficient
    return total * ratio + 1j / np.sqrt(np.pi) * np.log(denominator)


@cache
def _faddeeva_series() -> tuple[float, Complex[ndarray, "terms"]]:
    """Scale L and coefficients of the powers 1, 2, … of (L + iz)/(L − iz) in the antiderivative of w(z)."""
    points = 2 * FADDEEVA_TERMS
    scale = float(np.sqrt(FADDEEVA_TERMS / np.sqrt(2)))
    t = scale * np.tan(np.arange(1 - points, points) * np.pi / (2 * points))
    samples = np.concatenate([[0.0], np.exp(-(t**2)) * (scale**2 + t**2)])
    coefficients = np.fft.fft(np.fft.fftshift(samples)).real[1 : FADDEEVA_TERMS + 1] / (2 * points)
    return scale, coefficients / (1j * scale * np.arange(1, FADDEEVA_TERMS + 1))


SHAPES: dict[str, Integral] = {
    "lorentzian": _reflected(_lorentzian_integral),
    "gaussian": _reflected(_gaussian_integral),
    "voigt": _reflected(_equal_parts_integral),
    "damped_oscillator": _absorption_integral,
    "damped_oscillator_scattering": _scattering_integral,
}
