"""Infrared spectra of powders: small particles of any crystal, at random orientation, in a transparent matrix.

A particle much smaller than the wavelength sees the field inside it, which its shape sets through the depolarisation
tensor L (trace one). Particles with anisotropic ε are treated as such and averaged over all orientations. Maxwell-
Garnett: particles apart from each other in a matrix, up to about 20 % by volume. Bruggeman: particles and matrix
alike, in any proportion.

Sources: Sihvola, Electromagnetic Mixing Formulas and Applications (IEE, 1999), eq. 4.31 and 5.78 to 5.80; Kendrick
and Burnett, J. Comput. Chem. 37, 1491 (2016); Stroud, Phys. Rev. B 12, 3368 (1975), for anisotropic grains.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.units import AMU_PER_ANGSTROM3_TO_G_PER_CM3, AVOGADRO
from mlrim.vibrations.matrices import Matrix
from mlrim.vibrations.optical_constants import absorption_coefficient, reflectivity

SHAPES = ("sphere", "plate", "needle")
CONVERGED = 1e-10
"""The Bruggeman equation is solved to this relative accuracy."""
ROUNDING, TINY = 1e-12, 1e-300
MOST_STEPS = 300
STARTS = (1j, 0.1j, 10j, 1 + 1j, -1 + 1j)
"""Where the solution of the Bruggeman equation is looked for from, in units of the mean |ε|."""


@dataclass(frozen=True, eq=False)
class PowderSpectrum:
    """A powder in a matrix as one effective, isotropic medium.

    Attributes:
        grid: cm⁻¹.
        permittivity: effective ε(ω).
        fraction: volume fraction of the particles.
        cell_volume: of the primitive cell, Å³; molar quantities are per mole of primitive cells.
    """

    grid: Float[ndarray, "grid"]
    permittivity: Complex[ndarray, "grid"]
    fraction: float
    cell_volume: float

    @property
    def absorption_coefficient(self) -> Float[ndarray, "grid"]:
        """Napierian absorption coefficient of the mixture, cm⁻¹."""
        return absorption_coefficient(self.grid, self.permittivity)

    @property
    def concentration(self) -> float:
        """Moles of primitive cells per litre of mixture."""
        return self.fraction * 1e27 / (self.cell_volume * AVOGADRO)

    @property
    def molar_absorption(self) -> Float[ndarray, "grid"]:
        """Napierian molar absorption coefficient, L mol⁻¹ cm⁻¹."""
        return self.absorption_coefficient / self.concentration

    @property
    def decadic_molar_absorption(self) -> Float[ndarray, "grid"]:
        """Decadic molar absorption coefficient ε (as in Beer's law with log₁₀), L mol⁻¹ cm⁻¹."""
        return self.molar_absorption / np.log(10)

    def absorbance(self, thickness: float) -> Float[ndarray, "grid"]:
        """Decadic absorbance −log₁₀ T of a layer (thickness in mm) between equal media."""
        return self.absorption_coefficient * thickness / 10 / np.log(10)

    def internal_transmission(self, thickness: float) -> Float[ndarray, "grid"]:
        """Transmitted share without the losses at the surfaces: the ratio to a blank pellet; thickness in mm."""
        return np.exp(-self.absorption_coefficient * thickness / 10)

    def transmission(self, thickness: float) -> Float[ndarray, "grid"]:
        """Transmitted share of a pellet in air with all incoherent reflections at its faces; thickness in mm."""
        lost, passed = reflectivity(self.permittivity), self.internal_transmission(thickness)
        return (1 - lost) ** 2 * passed / (1 - lost**2 * passed**2)


def powder_spectrum(
    grid: Float[ndarray, "grid"],
    particle: Complex[ndarray, "grid 3 3"],
    cell_volume: float,
    matrix: Matrix,
    fraction: float,
    shape: str = "sphere",
    axis: Float[ndarray, "3"] | None = None,
    method: str = "maxwell-garnett",
) -> PowderSpectrum:
    """The spectrum of a powder of small particles at random orientation in a matrix.

    Args:
        grid: cm⁻¹, positive.
        particle: ε(ω) of the crystal on the grid.
        cell_volume: of the primitive cell, Å³.
        fraction: share of the particles in the volume; from a mass fraction with `volume_fraction`.
        shape: `sphere`, `plate` or `needle`.
        axis: normal of the plates or axis of the needles, Cartesian (`plane_normal`, `zone_axis`).
        method: `maxwell-garnett` or `bruggeman`.

    Raises:
        UserError: unknown shape or method, a shape without its axis, a fraction that is not between 0 and 1, or one
            that Maxwell-Garnett's formula does not hold for.
    """
    if method not in METHODS:
        raise UserError(f"effective-medium method '{method}' is unknown; choose one of {', '.join(METHODS)}")
    if not 0 < fraction < 1:
        raise UserError(f"the volume fraction of the particles must be between 0 and 1, got {fraction:g}")
    surrounding = matrix.permittivity(grid).astype(complex)
    effective = METHODS[method](particle, surrounding, fraction, depolarization(shape, axis))
    if (effective.imag < -CONVERGED * np.abs(effective)).any():
        raise UserError(
            f"{method} does not hold for {100 * fraction:g} % {shape}s; use bruggeman, or less of the powder"
        )
    return PowderSpectrum(grid, effective, fraction, cell_volume)


def depolarization(shape: str, axis: Float[ndarray, "3"] | None = None) -> Float[ndarray, "3 3"]:
    """Depolarisation tensor of a particle.

    >>> depolarization("needle", np.array([0.0, 0.0, 2.0])).diagonal().tolist()
    [0.5, 0.5, 0.0]

    Raises:
        UserError: the shape is unknown, or needs an axis.
    """
    if shape not in SHAPES:
        raise UserError(f"particle shape '{shape}' is unknown; choose one of {', '.join(SHAPES)}")
    if shape == "sphere":
        return np.eye(3) / 3
    if axis is None or not np.linalg.norm(axis) > 0:
        what = "the normal of the plates, such as [0, 0, 1]" if shape == "plate" else "the axis of the needles"
        raise UserError(f"particles of shape '{shape}' need a direction: give {what}")
    unit = axis / np.linalg.norm(axis)
    along_axis = np.outer(unit, unit)
    return along_axis if shape == "plate" else (np.eye(3) - along_axis) / 2


def plane_normal(lattice: Float[ndarray, "3 3"], indices: tuple[int, int, int]) -> Float[ndarray, "3"]:
    """Unit normal of the lattice planes (hkl); lattice vectors are rows."""
    normal = np.linalg.inv(lattice) @ np.array(indices, dtype=float)
    return normal / np.linalg.norm(normal)


def zone_axis(lattice: Float[ndarray, "3 3"], indices: tuple[int, int, int]) -> Float[ndarray, "3"]:
    """Unit vector of the lattice direction [uvw]; lattice vectors are rows."""
    vector = np.array(indices, dtype=float) @ lattice
    return vector / np.linalg.norm(vector)


def crystal_density(masses: Float[ndarray, "atoms"], volume: float) -> float:
    """Density (g/cm³) from the masses (amu) of the atoms of a cell and its volume (Å³).

    >>> round(crystal_density(np.array([24.305, 15.999]), 18.68), 3)
    3.583
    """
    return float(masses.sum() / volume * AMU_PER_ANGSTROM3_TO_G_PER_CM3)


def volume_fraction(mass_fraction: float, particle_density: float, matrix_density: float) -> float:
    """Volume fraction of particles with a given share of the mass; densities in the same unit.

    >>> round(volume_fraction(0.01, 3.583, 2.75), 5)
    0.00769
    """
    if not 0 < mass_fraction < 1:
        raise UserError(f"the mass fraction of the particles must be between 0 and 1, got {mass_fraction:g}")
    particles, matrix = mass_fraction / particle_density, (1 - mass_fraction) / matrix_density
    return particles / (particles + matrix)


def maxwell_garnett(
    particle: Complex[ndarray, "grid 3 3"],
    matrix: Complex[ndarray, "grid"],
    fraction: float,
    depolarizing: Float[ndarray, "3 3"],
) -> Complex[ndarray, "grid"]:
    """Effective ε of particles apart from each other, averaged over their orientations (Sihvola, eq. 5.78).

    Spheres of isotropic ε are the classical case, (ε−ε_m)/(ε+2ε_m) = f (ε_p−ε_m)/(ε_p+2ε_m):

    >>> unit, outside, third = np.eye(3)[None] + 0j, np.array([2.0 + 0j]), np.eye(3) / 3
    >>> value = maxwell_garnett(10 * unit, outside, 0.1, third)[0]
    >>> bool(abs((value - 2) / (value + 4) - 0.1 * 8 / 14) < 1e-12)
    True
    """
    contrast = particle - matrix[:, None, None] * np.eye(3)
    internal = np.linalg.inv(np.eye(3) + depolarizing @ contrast / matrix[:, None, None])
    polarizability = fraction * contrast @ internal
    average = np.trace(polarizability, axis1=1, axis2=2) / 3
    local_field = np.trace(polarizability @ depolarizing, axis1=1, axis2=2) / 3
    return matrix + average / (1 - local_field / matrix)


def bruggeman(
    particle: Complex[ndarray, "grid 3 3"],
    matrix: Complex[ndarray, "grid"],
    fraction: float,
    depolarizing: Float[ndarray, "3 3"],
) -> Complex[ndarray, "grid"]:
    """Effective ε in which grains of both materials, of the same shape, have no polarisability on the average.

    It is the end of the flow dε/dt = ε Σ f_i ⟨polarisability of grain i in ε⟩: grains of both kinds are added until
    nothing is left of the medium to begin with. The flow of passive materials never leaves the upper half plane, so
    that exactly one solution absorbs: whatever a root finder meets there is the physical one. Steps are implicit; they
    grow into Newton's where they succeed, and shrink to those of the flow where they would leave the half plane.

    Raises:
        UserError: no solution was found, as may happen for lines that are almost without width.
    """
    magnitude = np.sqrt(np.abs(matrix) * np.abs(np.trace(particle, axis1=1, axis2=2)) / 3)
    solution, open_points = np.zeros_like(matrix), np.arange(len(matrix))
    for start in STARTS:
        flow = _flow(particle[open_points], matrix[open_points], fraction, depolarizing)
        found, solved = _end_of_flow(flow, start * magnitude[open_points])
        solution[open_points], open_points = found, open_points[~solved]
        if not len(open_points):
            return solution.real + 1j * np.maximum(solution.imag, 0)
    raise UserError(
        f"Bruggeman's equation was not solved at {len(open_points)} wavenumbers; use wider lines, or maxwell-garnett"
    )


def _end_of_flow(
    flow: Callable[[Complex[ndarray, "points"]], Complex[ndarray, "points"]], start: Complex[ndarray, "points"]
) -> tuple[Complex[ndarray, "points"], Bool[ndarray, "points"]]:
    """Where a flow in the upper half plane comes to rest, and at which points it has been found."""
    current, step = start, np.ones(len(start))
    rate = flow(current)
    for _ in range(MOST_STEPS):
        small = 1e-6 * np.abs(current)
        slope = (flow(current + small) - rate) / small
        solved = np.abs(rate) <= CONVERGED * np.abs(slope * current)
        if solved.all():
            break
        trial = current + rate / (1 / step - slope)
        trial_rate = flow(trial)
        ratio = np.abs(trial_rate) / np.maximum(np.abs(rate), TINY)
        accepted = ~solved & (trial.imag > -ROUNDING * np.abs(trial)) & (ratio < 2)
        current, rate = np.where(accepted, trial, current), np.where(accepted, trial_rate, rate)
        step = np.where(accepted, step * 4 / np.maximum(ratio, 1e-3), step / 4)
    return current, solved


def _flow(
    particle: Complex[ndarray, "grid 3 3"],
    matrix: Complex[ndarray, "grid"],
    fraction: float,
    depolarizing: Float[ndarray, "3 3"],
) -> Callable[[Complex[ndarray, "grid"]], Complex[ndarray, "grid"]]:
    """The mean polarisability of both kinds of grains in a medium, averaged over orientations, times its ε."""
    factors = np.linalg.eigvalsh(depolarizing)
    outside = np.eye(3) - depolarizing
    inside = depolarizing @ particle

    def flow(effective: Complex[ndarray, "grid"]) -> Complex[ndarray, "grid"]:
        fields = np.linalg.inv(effective[:, None, None] * outside + inside)
        of_particles = np.einsum("gab,gba->g", particle, fields) - effective * np.trace(fields, axis1=1, axis2=2)
        contrast = (matrix - effective)[:, None]
        of_matrix = np.sum(contrast / (effective[:, None] + factors * contrast), axis=1)
        return effective * (fraction * of_particles + (1 - fraction) * of_matrix) / 3

    return flow


METHODS: dict[
    str,
    Callable[
        [Complex[ndarray, "grid 3 3"], Complex[ndarray, "grid"], float, Float[ndarray, "3 3"]],
        Complex[ndarray, "grid"],
    ],
] = {"maxwell-garnett": maxwell_garnett, "bruggeman": bruggeman}
