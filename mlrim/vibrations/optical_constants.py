"""Optical constants that follow from a permittivity: n and k, absorption, conductivity, reflectivity, energy loss.

Wavenumbers are in cm⁻¹. The time factor is exp(−iωt): absorption is a positive imaginary part.

Sources: Dressel and Grüner, Electrodynamics of Solids, chapters 2 and 3 and appendix; Yeh, Optical Waves in Layered
Media, chapter 9, for the reflection at an anisotropic crystal.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.units import CONDUCTIVITY_PER_CM1


@dataclass(frozen=True, eq=False)
class OpticalConstants:
    """A scalar permittivity and what follows from it: of a cubic crystal, or along a principal axis of another one.

    Attributes:
        grid: ascending wavenumbers, cm⁻¹.
        permittivity: ε(ω) = ε₁ + iε₂.
    """

    grid: Float[ndarray, "grid"]
    permittivity: Complex[ndarray, "grid"]

    @property
    def refractive_index(self) -> Complex[ndarray, "grid"]:
        """n + ik."""
        return refractive_index(self.permittivity)

    @property
    def absorption_coefficient(self) -> Float[ndarray, "grid"]:
        """Napierian absorption coefficient α = 4πνk, cm⁻¹: intensity falls as exp(−αd)."""
        return absorption_coefficient(self.grid, self.permittivity)

    @property
    def conductivity(self) -> Float[ndarray, "grid"]:
        """Real part of the optical conductivity, σ₁ = ε₀ω ε₂, S/cm."""
        return CONDUCTIVITY_PER_CM1 * self.grid * self.permittivity.imag

    @property
    def reflectivity(self) -> Float[ndarray, "grid"]:
        """Share of the intensity that a thick crystal reflects in air at normal incidence."""
        return reflectivity(self.permittivity)

    @property
    def energy_loss(self) -> Float[ndarray, "grid"]:
        """Energy-loss function −Im 1/ε; its peaks are the LO modes."""
        return energy_loss(self.permittivity)

    @property
    def reststrahlen_bands(self) -> list[tuple[float, float]]:
        """Intervals (cm⁻¹) in which ε₁ is negative: without damping from TO to LO, and nothing enters the crystal."""
        return negative_intervals(self.grid, self.permittivity.real)


def along(permittivity: Complex[ndarray, "grid 3 3"], direction: Float[ndarray, "3"]) -> Complex[ndarray, "grid"]:
    """e·ε·e for the unit vector e of a direction, for example of the electric field."""
    unit = direction / np.linalg.norm(direction)
    return np.einsum("gab,a,b->g", permittivity, unit, unit)


def refractive_index(permittivity: Complex[ndarray, "grid"]) -> Complex[ndarray, "grid"]:
    """n + ik = √ε, the root with n ≥ 0 and k ≥ 0; a negative ε₂ is rounding (nothing amplifies light) and made zero.

    >>> refractive_index(np.array([2.25 + 0j, -4.0 + 0j, 2.25 - 1e-16j])).tolist()
    [(1.5+0j), 2j, (1.5+0j)]
    """
    return np.sqrt(permittivity.real + 1j * (np.maximum(permittivity.imag, 0.0) + 0.0))


def absorption_coefficient(
    grid: Float[ndarray, "grid"], permittivity: Complex[ndarray, "grid"]
) -> Float[ndarray, "grid"]:
    """Napierian absorption coefficient 4πνk, cm⁻¹.

    >>> round(float(absorption_coefficient(np.array([1000.0]), np.array([(1.5 + 0.1j) ** 2]))[0]), 2)
    1256.64
    """
    return 4 * np.pi * grid * refractive_index(permittivity).imag


def reflectivity(permittivity: Complex[ndarray, "grid"]) -> Float[ndarray, "grid"]:
    """|(√ε − 1)/(√ε + 1)|².

    >>> reflectivity(np.array([9.0 + 0j, -4.0 + 0j])).round(12).tolist()
    [0.25, 1.0]
    """
    index = refractive_index(permittivity)
    return np.abs((index - 1) / (index + 1)) ** 2


def energy_loss(permittivity: Complex[ndarray, "grid"]) -> Float[ndarray, "grid"]:
    """−Im 1/ε.

    >>> energy_loss(np.array([2.0j])).tolist()
    [0.5]
    """
    return permittivity.imag / np.abs(permittivity) ** 2


def face_reflectivity(
    permittivity: Complex[ndarray, "grid 3 3"], normal: Float[ndarray, "3"], polarization: Float[ndarray, "3"]
) -> Float[ndarray, "grid"]:
    """Share of the intensity that any face of any crystal reflects at normal incidence, in air, both polarisations.

    Exact also where the field is not along a principal axis: inside the crystal D has no component along the normal,
    the field in the face sees ε_t − ε_tn ε_nt/ε_nn, and reflected light may be turned against the incident one.

    Args:
        normal: of the face, Cartesian, any length.
        polarization: electric field of the light; its component along the normal is ignored.

    Raises:
        ValueError: the polarisation is along the normal.
    """
    amplitude = _reflected_field(permittivity, normal, polarization)
    return np.sum(np.abs(amplitude) ** 2, axis=1)


def face_principal_axes(
    electronic: Float[ndarray, "3 3"], normal: Float[ndarray, "3"]
) -> tuple[Float[ndarray, "3"], Float[ndarray, "3"]]:
    """Two polarisations at right angles in a face: the axes of a real tensor as the face sees it."""
    axes = _face_axes(normal)
    _, vectors = np.linalg.eigh(_seen_by_face(electronic[None].astype(complex), normal)[0].real)
    first, second = (vectors.T @ axes).tolist()
    return np.array(first), np.array(second)


def negative_intervals(grid: Float[ndarray, "grid"], values: Float[ndarray, "grid"]) -> list[tuple[float, float]]:
    """Where a function on a grid is negative, its zeros interpolated linearly.

    >>> negative_intervals(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, -1.0, -1.0, 3.0]))
    [(0.5, 2.25)]
    """
    negative = values < 0
    changes = np.flatnonzero(negative[1:] != negative[:-1])
    zeros = grid[changes] - values[changes] * np.diff(grid)[changes] / np.diff(values)[changes]
    bounds = [float(zero) for zero in zeros]
    if negative[0]:
        bounds.insert(0, float(grid[0]))
    if negative[-1]:
        bounds.append(float(grid[-1]))
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def _face_axes(normal: Float[ndarray, "3"]) -> Float[ndarray, "2 3"]:
    """Two unit vectors that span a face."""
    unit = normal / np.linalg.norm(normal)
    first = np.eye(3)[np.argmin(np.abs(unit))]
    first = first - unit * (first @ unit)
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(unit, first)])


def _seen_by_face(
    permittivity: Complex[ndarray, "grid 3 3"], normal: Float[ndarray, "3"]
) -> Complex[ndarray, "grid 2 2"]:
    unit, axes = normal / np.linalg.norm(normal), _face_axes(normal)
    inside = axes @ permittivity @ axes.T
    mixed = permittivity @ unit @ axes.T
    return inside - mixed[:, :, None] * mixed[:, None, :] / along(permittivity, unit)[:, None, None]


def _reflected_field(
    permittivity: Complex[ndarray, "grid 3 3"], normal: Float[ndarray, "3"], polarization: Float[ndarray, "3"]
) -> Complex[ndarray, "grid 2"]:
    """(1 + N)⁻¹ (1 − N) e with the matrix N = √ε of the face, from the eigenvalues of a 2×2 matrix."""
    incident = _face_axes(normal) @ polarization
    length = np.linalg.norm(incident)
    if length < 1e-8 * np.linalg.norm(polarization):
        raise ValueError("the electric field of light lies in the face it falls on, not along its normal")
    index = _square_root(_seen_by_face(permittivity, normal))
    return np.linalg.solve(np.eye(2) + index, (np.eye(2) - index) @ (incident / length)[:, None])[:, :, 0]


def _square_root(matrix: Complex[ndarray, "grid 2 2"]) -> Complex[ndarray, "grid 2 2"]:
    """The root whose eigenvalues have no negative part, real or imaginary: (M + √det)/(μ₁ + μ₂)."""
    half_trace = np.trace(matrix, axis1=1, axis2=2) / 2
    spread = np.sqrt(half_trace**2 - np.linalg.det(matrix))
    first, second = refractive_index(half_trace + spread), refractive_index(half_trace - spread)
    product, total = (first * second)[:, None, None], (first + second)[:, None, None]
    return (matrix + product * np.eye(2)) / total
