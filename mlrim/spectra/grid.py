"""The grid of wavenumbers that a spectrum is drawn on."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.normal_modes import NormalModes, modes_along

MARGIN = 1.15
"""A spectrum ends at least this far above the highest mode."""
POINTS_PER_WIDTH = 8
MOST_POINTS = 10_000
"""Most points of a grid that nobody asked for."""


def spectrum_grid(
    highest: float,
    width: float,
    wavenumbers: tuple[float, float, float] | None = None,
    negative: bool = False,
) -> Float[ndarray, "grid"]:
    """The grid of a spectrum, cm⁻¹.

    Args:
        highest: frequency of the highest mode.
        width: FWHM of a line; the step is an eighth of it, at most 1 cm⁻¹, and more for extremely narrow lines.
        wavenumbers: first, last, step; chosen by the other two when not given.
        negative: also as far on the other side of zero.

    >>> spectrum_grid(100.0, 8.0, (10.0, 11.0, 0.5)).tolist()
    [10.0, 10.5, 11.0]
    """
    if wavenumbers is not None:
        first, last, step = wavenumbers
        first = -last if negative else first
        return float(first) + step * np.arange(round((last - first) / step) + 1)
    step = min(1.0, width / POINTS_PER_WIDTH)
    last = 50 * np.ceil((MARGIN * highest + 8 * width) / 50)
    step = max(step, last / MOST_POINTS)
    half = step * np.arange(int(np.ceil(last / step)) + 1)
    return np.concatenate([-half[:0:-1], half]) if negative else half


def coarseness(grid: Float[ndarray, "grid"], width: float) -> str:
    """Says that lines of a width (FWHM, cm⁻¹) are narrower than the steps of a grid; nothing otherwise."""
    step = float(np.diff(grid).max(initial=0.0))
    if step <= width:
        return ""
    return (
        f"lines of {width:g} cm⁻¹ are narrower than the steps of the spectrum ({step:.2g} cm⁻¹): areas are right, "
        "shapes are not; choose a part of it with wavenumbers=…"
    )


def highest_mode(dynamics: LatticeDynamics, gamma: GammaModes, transverse: NormalModes) -> float:
    """The highest frequency at Γ along any direction that is known, cm⁻¹."""
    along_axes = [modes_along(dynamics, unit).frequencies for unit in gamma.directions.values()]
    return float(np.max(np.concatenate([transverse.frequencies, *along_axes]), initial=0.0))
