"""How similar two Raman spectra of one compound are when only the Raman tensors differ: pure functions.

Both spectra have the same modes (in the tests of Raman models those of DFT), so that errors of frequencies do not
enter. The powder spectrum is that of a 532 nm laser at 300 K with all scattered light collected, of Lorentzian lines
10 cm⁻¹ wide (FWHM); acoustic, imaginary and very soft modes are left out.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mlrim.vibrations.line_shapes import broaden
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.raman import differential_cross_sections, raman_lines

FWHM = 10.0
"""cm⁻¹"""
SPACING, MARGIN = 1.0, 100.0
"""Grid of the spectra: step, and how far it goes beyond the highest mode, cm⁻¹."""
SOFTEST = 5.0
"""cm⁻¹: modes below are left out, as the laser line would hide them."""
VISIBLE = 0.01
"""Lines of less than this share of the strongest one do not count in the error of depolarisation ratios."""

UNITS = {
    "spectrum_cosine": "1",
    "strongest_line": "1",
    "strongest_maximum": "1",
    "depolarization_mae": "1",
    "tensor_error": "1",
    "activity_log_error": "1",
}
"""Unit of every metric."""


def compare_raman(
    predicted: Float[ndarray, "atoms 3 3 3"], reference: Float[ndarray, "atoms 3 3 3"], modes: NormalModes
) -> dict[str, float]:
    """Every metric of predicted Raman tensors (∂α/∂u, Å²); those that do not apply are absent.

    * `spectrum_cosine`: cosine of the angle between the two powder spectra; 1 for the same shape at any scale.
    * `strongest_line`: 1 when the strongest line is the same one, else 0.
    * `strongest_maximum`: 1 when the highest maxima of the two spectra lie within half a line width, else 0.
    * `depolarization_mae`: mean error of the depolarisation ratio over lines that can be seen in the reference.
    * `tensor_error`: ‖difference‖ / ‖reference‖ of all tensor elements.
    * `activity_log_error`: |log10| of predicted over reference sum of the activities.
    """
    grid = powder_grid(modes)
    spectra = [powder_spectrum(modes, tensors, grid) for tensors in (predicted, reference)]
    if not spectra[1].any():
        return {}
    values = {
        "spectrum_cosine": cosine(*spectra),
        "strongest_maximum": float(abs(grid[spectra[0].argmax()] - grid[spectra[1].argmax()]) <= FWHM / 2),
        "tensor_error": float(np.linalg.norm(predicted - reference) / np.linalg.norm(reference)),
    }
    return values | _compare_lines(predicted, reference, modes)


def cosine(first: Float[ndarray, "grid"], second: Float[ndarray, "grid"]) -> float:
    """Cosine similarity of two spectra on the same grid; zero when one of them vanishes.

    >>> cosine(np.array([1.0, 0.0]), np.array([2.0, 2.0])).__round__(6)
    0.707107
    """
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norm if norm > 0 else 0.0


def powder_grid(modes: NormalModes) -> Float[ndarray, "grid"]:
    """Raman shifts from zero to beyond the highest mode, cm⁻¹."""
    return np.arange(0.0, max(float(modes.frequencies.max(initial=0.0)), 0.0) + MARGIN, SPACING)


def powder_spectrum(
    modes: NormalModes, raman_tensors: Float[ndarray, "atoms 3 3 3"], grid: Float[ndarray, "grid"]
) -> Float[ndarray, "grid"]:
    """The powder spectrum that is compared, in cm²/sr per cell and cm⁻¹."""
    lines = raman_lines(modes, raman_tensors)
    return lines_spectrum(lines.frequencies, lines.invariants.activity, grid)


def lines_spectrum(
    frequencies: Float[ndarray, "lines"], activities: Float[ndarray, "lines"], grid: Float[ndarray, "grid"]
) -> Float[ndarray, "grid"]:
    """The powder spectrum of lines with given activities (Å⁴/amu)."""
    real = _scattering(frequencies)
    sections = differential_cross_sections(frequencies, activities / 45)
    return broaden(frequencies[real], sections[real], FWHM, grid)


def spectral_displacements(modes: NormalModes) -> Float[ndarray, "modes atoms 3"]:
    """Displacements of modes weighted with the root of their cross-section, the largest weight being one, 1/√amu.

    A least-squares fit of Raman tensors contracted with them is a fit to a spectrum (532 nm, 300 K).
    """
    frequencies = np.where(_scattering(modes.frequencies), modes.frequencies, 0.0)
    sections = differential_cross_sections(frequencies, np.ones_like(frequencies))
    weights = np.sqrt(sections / max(float(sections.max(initial=0.0)), 1e-300))
    return modes.displacements * weights[:, None, None]


def _compare_lines(
    predicted: Float[ndarray, "atoms 3 3 3"], reference: Float[ndarray, "atoms 3 3 3"], modes: NormalModes
) -> dict[str, float]:
    lines = [raman_lines(modes, tensors) for tensors in (predicted, reference)]
    real = _scattering(lines[1].frequencies)
    strengths = [
        np.where(real, differential_cross_sections(part.frequencies, part.invariants.activity), 0.0) for part in lines
    ]
    visible = strengths[1] > VISIBLE * strengths[1].max()
    ratios = [np.nan_to_num(part.invariants.depolarization_ratio[visible], nan=0.0) for part in lines]
    activity = [float(part.invariants.activity[real].sum()) for part in lines]
    values = {
        "strongest_line": float(strengths[0].argmax() == strengths[1].argmax()),
        "depolarization_mae": float(np.abs(ratios[0] - ratios[1]).mean()),
    }
    if activity[0] > 0:
        values["activity_log_error"] = float(abs(np.log10(activity[0] / activity[1])))
    return values


def _scattering(frequencies: Float[ndarray, "modes"]) -> Bool[ndarray, "modes"]:
    return frequencies > SOFTEST
