"""Settings of the spectra; the options of predict.py of the same names say what each of them means."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from mlrim.configuration import Above, AtLeast, Between

Positive = Annotated[float, Above(0)]
NotNegative = Annotated[float, AtLeast(0)]


@dataclass(frozen=True)
class InfraredSettings:
    """Line width, and the pellet that powder is pressed into.

    Attributes:
        width: FWHM of modes, cm⁻¹.
        face: normal of a crystal face that light is reflected from.
        matrix: name of the medium around the particles, or its dielectric constant.
        shape: of the particles.
        normal: direction of the short axis of plates or the long axis of needles.
        volume_fraction: of the particles in the pellet.
        thickness: of the pellet, mm.
        mixing: rule of the effective medium.
    """

    width: Positive = 8.0
    face: str | None = None
    matrix: str | Annotated[float, AtLeast(1)] = "KBr"
    shape: Literal["sphere", "plate", "needle"] = "sphere"
    normal: str | None = None
    volume_fraction: Annotated[float, Between(1e-6, 0.999)] = 0.001
    thickness: Positive = 0.1
    mixing: Literal["maxwell-garnett", "bruggeman"] = "maxwell-garnett"


@dataclass(frozen=True)
class RamanSettings:
    """Line width, laser and detector.

    Attributes:
        width: FWHM of modes, cm⁻¹.
        laser: wavelength, nm.
        temperature: K.
        detector: measures power, or counts photons.
        geometry: scattering geometries of single crystals in Porto notation, separated by blanks.
        anti_stokes: the spectrum begins at negative shifts.
        powder: how light leaves a powder.
    """

    width: Positive = 8.0
    laser: Annotated[float, Between(100, 3000)] = 532.0
    temperature: NotNegative = 300.0
    detector: Literal["power", "photon"] = "power"
    geometry: str | None = None
    anti_stokes: bool = False
    powder: Literal["backscattering", "right-angle", "forward"] = "backscattering"


@dataclass(frozen=True)
class NeutronSettings:
    """Temperature (K) of the sample."""

    temperature: NotNegative = 10.0


@dataclass(frozen=True)
class SpectraSettings:
    """What all spectra share, and the settings of each.

    Attributes:
        lines: shape of the lines.
        widths_file: file with the FWHM of single modes.
        instrument: FWHM of the spectrometer, cm⁻¹.
        wavenumbers: first and last point and step of the grid, cm⁻¹; chosen by the modes when not given.
        directions: further directions for LO modes.
    """

    lines: Literal["lorentzian", "gaussian", "voigt", "oscillator"] = "lorentzian"
    widths_file: str | None = None
    instrument: NotNegative = 0.0
    wavenumbers: tuple[NotNegative, Positive, Positive] | None = None
    directions: str | None = None
    infrared: InfraredSettings = field(default_factory=InfraredSettings)
    raman: RamanSettings = field(default_factory=RamanSettings)
    neutrons: NeutronSettings = field(default_factory=NeutronSettings)
