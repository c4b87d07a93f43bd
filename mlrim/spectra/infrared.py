"""Infrared spectra of a crystal: permittivity and optical constants along its principal axes, lines, and a pellet."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.directions import parse_directions
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.responses import Response
from mlrim.spectra.grid import coarseness, highest_mode, spectrum_grid
from mlrim.spectra.settings import InfraredSettings, SpectraSettings
from mlrim.vibrations.effective_medium import PowderSpectrum, powder_spectrum
from mlrim.vibrations.four_parameter import FourParameterForm, four_parameter_form
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.infrared import InfraredModes, infrared_modes, molar_absorption
from mlrim.vibrations.line_shapes import resolved
from mlrim.vibrations.line_widths import mode_widths
from mlrim.vibrations.matrices import Matrix, constant_matrix, matrix_named
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.optical_constants import OpticalConstants, along, face_principal_axes, face_reflectivity
from mlrim.vibrations.permittivity import Oscillators, oscillators

CUBIC, UNIAXIAL, ORTHOGONAL = ("cubic",), ("tetragonal", "trigonal", "hexagonal"), ("orthorhombic",)
DIPOLE_FREE = 1e-8
"""Modes whose effective charge is below this share of the largest have none by symmetry."""
SCREENED = (
    "the charges are those of rigid ions, Z*/√ε∞, and ε∞ is set to one: infrared intensities are too small by a factor "
    "of about ε∞, ε(ω) is ε(ω)/ε∞, and reflectivities are too small outside the bands; give born=… or response=…"
)


@dataclass(frozen=True, eq=False)
class InfraredSpectra:
    """What infrared light sees of a crystal.

    Attributes:
        modes: mode effective charges and intensities, one row for every optical mode without field.
        widths: their FWHM, cm⁻¹.
        oscillators: the damped oscillators of ε(ω).
        wavenumbers: grid of all spectra, cm⁻¹.
        permittivity: ε(ω), Cartesian.
        axes: directions of the electric field, Cartesian unit vectors: `iso` for a cubic crystal, `perpendicular` and
            `parallel` (to the axis) for an optically uniaxial one, `a`, `b`, `c`, or the principal axes 1, 2, 3 of ε0.
        constants: n, k, absorption and energy loss along them.
        reflectivities: share of the light that is reflected at normal incidence with the field along each of them, and
            for `face` along the principal axes of a chosen face; with the resolution of the instrument.
        factorised: TO and LO frequencies and widths along the axes (four-parameter form).
        molar_absorption: lines of oscillators in vacuum, L mol⁻¹ cm⁻¹ (napierian, per mole of primitive cells).
        pellet: powder in a matrix as an effective medium.
        transmission: of the pellet, without reflection losses, with the resolution of the instrument.
        pellet_label: what the pellet is made of.
        thickness: of the pellet, mm.
        warnings: what to know about them.
    """

    modes: InfraredModes
    widths: Float[ndarray, "modes"]
    oscillators: Oscillators
    wavenumbers: Float[ndarray, "grid"]
    permittivity: Complex[ndarray, "grid 3 3"]
    axes: dict[str, Float[ndarray, "3"]]
    constants: dict[str, OpticalConstants]
    reflectivities: dict[str, Float[ndarray, "grid"]]
    factorised: dict[str, FourParameterForm]
    molar_absorption: Float[ndarray, "grid"]
    pellet: PowderSpectrum
    transmission: Float[ndarray, "grid"]
    pellet_label: str
    thickness: float
    warnings: list[str] = field(default_factory=list)

    @property
    def static(self) -> Float[ndarray, "3 3"]:
        """ε0 without unstable modes."""
        return self.oscillators.static


def infrared_spectra(
    dynamics: LatticeDynamics,
    gamma: GammaModes,
    transverse: NormalModes,
    response: Response,
    crystal_system: str,
    settings: SpectraSettings,
) -> InfraredSpectra:
    """All infrared spectra of a crystal with Born charges.

    Raises:
        UserError: the widths or the pellet do not fit.
    """
    assert response.born_charges is not None
    assert response.dielectric is not None
    options = settings.infrared
    modes = infrared_modes(transverse, response.born_charges)
    widths = mode_widths(settings.widths_file or options.width, transverse.frequencies)
    model = polar_oscillators(modes, response.dielectric, widths)
    grid = spectrum_grid(highest_mode(dynamics, gamma, transverse), float(widths.min()), settings.wavenumbers)
    permittivity = model.permittivity(grid)
    axes = optical_axes(model.static, crystal_system, gamma.action.axes)
    constants = {label: OpticalConstants(grid, along(permittivity, axis)) for label, axis in axes.items()}
    pellet = pellet_spectrum(permittivity, grid, dynamics.crystal.volume, gamma.action.axes, options)
    shape = "damped_oscillator" if settings.lines == "oscillator" else settings.lines
    return InfraredSpectra(
        modes,
        widths,
        model,
        grid,
        permittivity,
        axes,
        constants,
        reflectivities(permittivity, grid, axes, response.dielectric, gamma.action.axes, settings),
        {label: four_parameter_form(model, axis) for label, axis in axes.items()},
        molar_absorption(modes, widths, grid, shape, settings.instrument),
        pellet,
        resolved(grid, pellet.internal_transmission(options.thickness), settings.instrument),
        pellet_label(options),
        options.thickness,
        [
            text
            for text in (SCREENED if response.screened else "", model.statement, coarseness(grid, float(widths.min())))
            if text
        ],
    )


def polar_oscillators(
    modes: InfraredModes, electronic: Float[ndarray, "3 3"], widths: Float[ndarray, "modes"]
) -> Oscillators:
    """The oscillators of the modes that carry a dipole."""
    sizes = np.linalg.norm(modes.charges, axis=1)
    polar = sizes > DIPOLE_FREE * sizes.max(initial=0.0)
    seen = InfraredModes(modes.frequencies[polar], modes.charges[polar], modes.normalized_charges[polar], modes.volume)
    return oscillators(seen, electronic, widths[polar])


def reflectivities(
    permittivity: Complex[ndarray, "grid 3 3"],
    grid: Float[ndarray, "grid"],
    axes: dict[str, Float[ndarray, "3"]],
    electronic: Float[ndarray, "3 3"],
    lattice: Float[ndarray, "3 3"],
    settings: SpectraSettings,
) -> dict[str, Float[ndarray, "grid"]]:
    """Reflectivity at normal incidence with the field along every axis, and along the axes of the chosen face.

    The light falls on a face that holds the axis; in crystals whose ε(ω) has no fixed axes this is exact all the same.
    """
    units = list(axes.values())
    faces = {label: (perpendicular(unit, units), unit) for label, unit in axes.items()}
    if settings.infrared.face is not None:
        normal = next(iter(parse_directions(settings.infrared.face, lattice).values()))
        for number, field_axis in enumerate(face_principal_axes(electronic, normal), start=1):
            faces[f"face_{number}"] = (normal, field_axis)
    found = {label: face_reflectivity(permittivity, *face) for label, face in faces.items()}
    return {label: resolved(grid, values, settings.instrument) for label, values in found.items()}


def perpendicular(unit: Float[ndarray, "3"], others: list[Float[ndarray, "3"]]) -> Float[ndarray, "3"]:
    """A direction at right angles to a unit vector: one of the others where there is one."""
    candidates = [*others, *np.eye(3)]
    rejected = [candidate - unit * (candidate @ unit) for candidate in candidates]
    return next(vector for vector in rejected if np.linalg.norm(vector) > 0.5)


def pellet_spectrum(
    permittivity: Complex[ndarray, "grid 3 3"],
    grid: Float[ndarray, "grid"],
    volume: float,
    axes: Float[ndarray, "3 3"],
    options: InfraredSettings,
) -> PowderSpectrum:
    """Powder of small particles in a matrix.

    Args:
        volume: of the primitive cell, Å³.
        axes: conventional lattice vectors as rows; plates and needles without a direction have that of the third.
    """
    axis = next(iter(parse_directions(options.normal or "c", axes).values()))
    return powder_spectrum(
        grid,
        permittivity,
        volume,
        matrix_of(options.matrix),
        options.volume_fraction,
        options.shape,
        axis,
        options.mixing,
    )


def matrix_of(matrix: str | float) -> Matrix:
    """A matrix by name, or one with a given dielectric constant.

    Raises:
        UserError: there is no such matrix.
    """
    try:
        permittivity = float(matrix)
    except ValueError:
        return matrix_named(str(matrix))
    return constant_matrix(permittivity, 1.0)


def pellet_label(options: InfraredSettings) -> str:
    """What the pellet is made of.

    >>> pellet_label(InfraredSettings())
    '0.1 % spheres in KBr, 0.1 mm'
    """
    place = "" if options.shape == "sphere" else f" along {options.normal or 'c'}"
    share = f"{100 * options.volume_fraction:g} % {options.shape}s{place}"
    return f"{share} in {matrix_of(options.matrix).name}, {options.thickness:g} mm"


def optical_axes(
    static: Float[ndarray, "3 3"], crystal_system: str, axes: Float[ndarray, "3 3"]
) -> dict[str, Float[ndarray, "3"]]:
    """Principal directions of the electric field, as far as symmetry makes them different.

    Args:
        static: ε0, whose axes are taken where symmetry fixes none or only one.
        axes: conventional lattice vectors as rows.
    """
    units = axes / np.linalg.norm(axes, axis=1)[:, None]
    if crystal_system in CUBIC:
        return {"iso": units[0]}
    if crystal_system in UNIAXIAL:
        return {"perpendicular": units[0], "parallel": units[2]}
    if crystal_system in ORTHOGONAL:
        return dict(zip("abc", units, strict=True))
    return dict(zip("123", np.linalg.eigh(static)[1].T, strict=True))
