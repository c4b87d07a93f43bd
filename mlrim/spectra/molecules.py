"""Infrared and Raman spectra of a gas of molecules; what cannot be calculated is left out with a reason."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.spectra.grid import coarseness, spectrum_grid
from mlrim.spectra.settings import RamanSettings, SpectraSettings
from mlrim.vibrations.line_widths import mode_widths
from mlrim.vibrations.molecular_spectra import (
    DipoleDerivatives,
    absorption_spectrum,
    infrared_intensities,
    raman_activities,
    scattering_spectrum,
)
from mlrim.vibrations.molecules import MolecularVibrations
from mlrim.vibrations.raman import RamanInvariants
from mlrim.vibrations.raman_spectra import RamanConditions

UNKNOWN = (
    "the derivatives of the {quantity} are not known: a model of energies has none; give an extended XYZ file with the "
    "column {column}, or a record that holds them (data=…)"
)


@dataclass(frozen=True, eq=False)
class GasInfrared:
    """Absorption of a gas: one line for every frequency.

    Attributes:
        intensities: km/mol, summed over degenerate modes.
        widths: FWHM, cm⁻¹.
        wavenumbers: cm⁻¹.
        absorption: molar absorption coefficient (napierian), L mol⁻¹ cm⁻¹.
    """

    intensities: Float[ndarray, "lines"]
    widths: Float[ndarray, "lines"]
    wavenumbers: Float[ndarray, "grid"]
    absorption: Float[ndarray, "grid"]


@dataclass(frozen=True, eq=False)
class GasRaman:
    """Raman scattering of a gas: one line for every frequency.

    Attributes:
        invariants: a² and γ² summed over degenerate modes, Å⁴/amu; activities and depolarisation ratios.
        widths: FWHM, cm⁻¹.
        wavenumbers: Raman shifts, Stokes positive, cm⁻¹.
        parallel, crossed: differential cross-sections, cm²/sr per cm⁻¹ and molecule.
        settings: laser, temperature and detector.
    """

    invariants: RamanInvariants
    widths: Float[ndarray, "lines"]
    wavenumbers: Float[ndarray, "grid"]
    parallel: Float[ndarray, "grid"]
    crossed: Float[ndarray, "grid"]
    settings: RamanSettings

    @property
    def total(self) -> Float[ndarray, "grid"]:
        """Both polarisations of the scattered light."""
        return self.parallel + self.crossed

    @property
    def label(self) -> str:
        """Laser, temperature and detector in words."""
        settings = self.settings
        return f"{settings.laser:g} nm, {settings.temperature:g} K, {settings.detector} detector"


@dataclass(frozen=True, eq=False)
class GasSpectra:
    """The spectra of a molecule; `absent` says why one is missing, by name."""

    infrared: GasInfrared | None
    raman: GasRaman | None
    absent: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def gas_spectra(
    vibrations: MolecularVibrations, derivatives: DipoleDerivatives, settings: SpectraSettings
) -> GasSpectra:
    """All spectra that the derivatives and the modes allow.

    Raises:
        UserError: the widths do not fit the modes.
    """
    absent = {
        "infrared": missing_infrared(vibrations, derivatives),
        "raman": missing_raman(vibrations, derivatives),
    }
    absent = {name: reason for name, reason in absent.items() if reason}
    infrared = None if "infrared" in absent else gas_infrared(vibrations, derivatives, settings)
    raman = None if "raman" in absent else gas_raman(vibrations, derivatives, settings)
    found = [coarseness(part.wavenumbers, float(part.widths.min())) for part in (infrared, raman) if part is not None]
    return GasSpectra(infrared, raman, absent, [text for text in dict.fromkeys(found) if text])


def missing_infrared(vibrations: MolecularVibrations, derivatives: DipoleDerivatives) -> str:
    """Why there is no infrared spectrum; nothing when there is one."""
    if not any(mode.irrep.infrared for mode in vibrations.modes):
        return "no vibration is infrared-active by symmetry"
    if derivatives.dipole is None:
        return UNKNOWN.format(quantity="dipole moment", column="dipole_derivatives")
    return missing_lines(vibrations)


def missing_raman(vibrations: MolecularVibrations, derivatives: DipoleDerivatives) -> str:
    """Why there is no Raman spectrum; nothing when there is one."""
    if derivatives.polarizability is None:
        return UNKNOWN.format(quantity="polarisability", column="polarizability_derivatives")
    return missing_lines(vibrations)


def missing_lines(vibrations: MolecularVibrations) -> str:
    """Says that no mode is real, where none is."""
    if any(mode.frequency_cm1 > 0 for mode in vibrations.modes):
        return ""
    return "all modes are imaginary: the geometry is no minimum of this model"


def line_frequencies(vibrations: MolecularVibrations) -> Float[ndarray, "lines"]:
    """The frequencies, degenerate modes once, cm⁻¹."""
    return np.array([mode.frequency_cm1 for mode in vibrations.modes])


def gas_infrared(
    vibrations: MolecularVibrations, derivatives: DipoleDerivatives, settings: SpectraSettings
) -> GasInfrared:
    """The infrared spectrum; the dipole derivatives must be known."""
    assert derivatives.dipole is not None
    frequencies = line_frequencies(vibrations)
    intensities = infrared_intensities(vibrations, derivatives.dipole)
    widths = mode_widths(settings.widths_file or settings.infrared.width, frequencies)
    grid = spectrum_grid(float(frequencies.max()), float(widths.min()), settings.wavenumbers)
    shape = "damped_oscillator" if settings.lines == "oscillator" else settings.lines
    absorption = absorption_spectrum(frequencies, intensities, widths, grid, shape, settings.instrument)
    return GasInfrared(intensities, widths, grid, absorption)


def gas_raman(vibrations: MolecularVibrations, derivatives: DipoleDerivatives, settings: SpectraSettings) -> GasRaman:
    """The Raman spectrum; the derivatives of the polarisability must be known."""
    assert derivatives.polarizability is not None
    options, frequencies = settings.raman, line_frequencies(vibrations)
    invariants = raman_activities(vibrations, derivatives.polarizability)
    widths = mode_widths(settings.widths_file or options.width, frequencies)
    grid = spectrum_grid(
        float(frequencies.max()), float(widths.min()), settings.wavenumbers, negative=options.anti_stokes
    )
    shape = "damped_oscillator" if settings.lines == "oscillator" else settings.lines
    conditions = RamanConditions(options.laser, options.temperature, options.detector)
    parallel, crossed = scattering_spectrum(
        frequencies, invariants, widths, grid, conditions, shape, settings.instrument
    )
    return GasRaman(invariants, widths, grid, parallel, crossed, options)
