"""Raman spectra of a crystal: its lines, a powder, and single crystals in chosen geometries."""

import re
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.responses import Response
from mlrim.spectra.grid import coarseness, highest_mode, spectrum_grid
from mlrim.spectra.settings import RamanSettings, SpectraSettings
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.line_widths import mode_widths
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.raman import mode_raman_tensors
from mlrim.vibrations.raman_spectra import (
    RamanConditions,
    RamanCrystal,
    RamanSticks,
    powder_sticks,
    raman_spectrum,
    single_crystal_sticks,
)
from mlrim.vibrations.scattering_geometry import ScatteringGeometry, parse_porto

NEGLIGIBLE = 1e-7
"""Lines weaker than this share of the strongest one are not drawn."""
LINES_AT_ONCE = 2000
"""Bound on lines broadened together, to keep memory small."""
UNIT = "cm²/sr per cm⁻¹ and primitive cell"


@dataclass(frozen=True, eq=False)
class RamanSpectra:
    """What a Raman spectrometer sees of a crystal.

    Attributes:
        tensors: ∂α_ij/∂Q of every optical mode without field, Å²/√amu.
        widths: their FWHM, cm⁻¹.
        wavenumbers: Raman shifts, Stokes positive, cm⁻¹.
        parallel, crossed: differential cross-sections of a powder for parallel (HH) and crossed (HV) polarisations,
            cm²/sr per cm⁻¹ and primitive cell.
        geometries: the same of a single crystal, by the geometry in Porto notation.
        settings: laser, temperature, detector and geometry of the powder.
        warnings: what to know about them.
    """

    tensors: Float[ndarray, "modes 3 3"]
    widths: Float[ndarray, "modes"]
    wavenumbers: Float[ndarray, "grid"]
    parallel: Float[ndarray, "grid"]
    crossed: Float[ndarray, "grid"]
    geometries: dict[str, Float[ndarray, "grid"]]
    settings: RamanSettings
    warnings: list[str] = field(default_factory=list)

    @property
    def total(self) -> Float[ndarray, "grid"]:
        """Both polarisations of the scattered light."""
        return self.parallel + self.crossed

    @property
    def label(self) -> str:
        """Laser, temperature and detector in words."""
        settings = self.settings
        return f"{settings.laser:g} nm, {settings.temperature:g} K, {settings.detector} detector"


def raman_spectra(
    dynamics: LatticeDynamics,
    gamma: GammaModes,
    transverse: NormalModes,
    response: Response,
    settings: SpectraSettings,
) -> RamanSpectra:
    """All Raman spectra of a crystal with Raman tensors.

    Raises:
        UserError: the widths or a geometry do not fit.
    """
    assert response.raman_tensors is not None
    options = settings.raman
    widths = mode_widths(settings.widths_file or options.width, transverse.frequencies)
    crystal = RamanCrystal(dynamics, gamma, response.raman_tensors, widths=widths)
    grid = spectrum_grid(
        highest_mode(dynamics, gamma, transverse), float(widths.min()), settings.wavenumbers, options.anti_stokes
    )
    powder = drawn(powder_sticks(crystal, options.powder), grid, settings)
    geometries = {
        geometry.label: drawn(single_crystal_sticks(crystal, geometry), grid, settings)[0]
        for geometry in chosen_geometries(options.geometry, gamma.action.axes)
    }
    return RamanSpectra(
        mode_raman_tensors(transverse, response.raman_tensors),
        widths,
        grid,
        powder[0],
        powder[1],
        geometries,
        options,
        [text for text in (crystal.note, coarseness(grid, float(widths.min()))) if text],
    )


def chosen_geometries(text: str | None, axes: Float[ndarray, "3 3"] | None = None) -> list[ScatteringGeometry]:
    """The geometries in a text, separated by semicolons or by blanks outside of brackets.

    >>> [geometry.label for geometry in chosen_geometries("z(xx)-z [110]([1-10] c)[-1-10]; x (yz) y")]
    ['z(xx)-z', '[110]([1-10] c)[-1-10]', 'x (yz) y']

    Raises:
        UserError: one of them is no geometry.
    """
    parts = [part for part in (text or "").split(";") if part.strip()]
    words = [word for part in parts for word in _words(part)]
    return [parse_porto(word, axes) for word in words]


def check_geometries(text: str | None) -> None:
    """Read geometries before the crystal is known.

    Whether light is transverse along lattice vectors is only known with the lattice.

    Raises:
        UserError: one of them is no geometry of any crystal.
    """
    try:
        chosen_geometries(text)
    except UserError as error:
        if "transverse" not in str(error) or not re.search(r"[\[abc]", text or ""):
            raise


def _words(text: str) -> list[str]:
    """A text split at blanks outside of brackets, or whole where that leaves parts that cannot be geometries."""
    words, depth = [""], 0
    for letter in text.strip():
        depth += (letter in "([") - (letter in ")]")
        if letter.isspace() and depth == 0:
            words.append("")
        else:
            words[-1] += letter
    words = [word for word in words if word]
    return words if all("(" in word for word in words) else [text.strip()]


def drawn(
    sticks: RamanSticks, grid: Float[ndarray, "grid"], settings: SpectraSettings
) -> Float[ndarray, "polarizations grid"]:
    """The spectrum of sticks; many are treated in parts."""
    options = settings.raman
    shape = "damped_oscillator" if settings.lines == "oscillator" else settings.lines
    conditions = RamanConditions(options.laser, options.temperature, options.detector)
    highest = sticks.strengths.max(axis=0, initial=0.0)
    seen = np.flatnonzero(highest > NEGLIGIBLE * highest.max(initial=0.0))
    spectrum = np.zeros((len(sticks.strengths), len(grid)))
    for start in range(0, len(seen), LINES_AT_ONCE):
        part = seen[start : start + LINES_AT_ONCE]
        chosen = RamanSticks(sticks.frequencies[part], sticks.strengths[:, part], sticks.widths[part])
        spectrum += raman_spectrum(chosen, grid, conditions, shape, settings.instrument)
    return spectrum
