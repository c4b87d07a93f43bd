"""Powder S(Q, E) of neutrons in the incoherent approximation, with overtones and combinations.

For Q along a direction, the scattering of an atom is a Poisson series in the number of phonons (A. Sjölander, Ark.
Fys. 14, 315 (1958)):

    S(Q, E) = Σ_k σ_k/4π exp(−Q²u_k) Σ_n (Q²u_k)^n/n! φ_k,n(E)

u_k is the mean-square displacement along Q, φ_k,1 the normalised one-phonon spectrum ħ/(2 m_k ω) |Q̂·e_k|² (n + 1) at
E = ħω and … n at E = −ħω, and φ_k,n its n-fold convolution with itself. Detailed balance and the f-sum rule
∫ E S dE = Σ σ_k/4π ħ²Q²/2m_k hold by construction. For a powder the series is averaged over directions of Q, or, as a
cheap and mostly good approximation, taken once for the average motion of every atom.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.integrate import lebedev_rule
from scipy.special import gammaln

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import SpaceGroup
from mlrim.units import HBAR_OVER_2_AMU, KELVIN_PER_THZ, THZ_TO_MEV
from mlrim.vibrations.density_of_states import TRUNCATION, MeshModes
from mlrim.vibrations.neutron import (
    CrossSection,
    IndirectGeometry,
    NeutronScattering,
    indirect_path,
    neutron_scattering,
)
from mlrim.vibrations.thermal import SMALLEST_FREQUENCY

POINTS_PER_WIDTH = 6
"""Steps of the internal energy grid within the narrowest full width at half maximum."""
MAX_POINTS = 2**20
"""Bound on the internal energy grid."""


@dataclass(frozen=True, eq=False)
class PhononExpansion:
    """Normalised n-phonon spectra of every set of equivalent atoms, and every direction of Q, at one temperature.

    Attributes:
        temperature: K.
        energies: energy transfer, positive where the neutron loses, meV.
        atoms: one atom of every set of equivalent ones, repeated for each direction.
        cross_sections: sum of the cross-sections of the set times the share of the direction, barn per primitive cell.
        displacements: mean-square displacement along the direction, Å².
        spectra: φ_n for n = 1, 2, …, broadened by the resolution, 1/meV.
    """

    temperature: float
    energies: Float[ndarray, "grid"]
    atoms: Int[ndarray, "kinds"]
    cross_sections: Float[ndarray, "kinds"]
    displacements: Float[ndarray, "kinds"]
    spectra: Float[ndarray, "kinds orders grid"]

    def along(self, wave_vectors: Float[ndarray, "grid"]) -> Float[ndarray, "orders grid"]:
        """Scattering by one phonon, two phonons … at a |Q| (1/Å) of each energy, barn/sr/meV per primitive cell."""
        return np.einsum("k,koq,koq->oq", self.cross_sections / (4 * np.pi), self._poisson(wave_vectors), self.spectra)

    def map(self, wave_vectors: Float[ndarray, "wave_vectors"]) -> Float[ndarray, "wave_vectors grid"]:
        """S(Q, E) for every |Q| (1/Å) and energy, barn/sr/meV per primitive cell, without the elastic line."""
        weights = self.cross_sections[:, None, None] / (4 * np.pi) * self._poisson(wave_vectors)
        return np.einsum("koq,koe->qe", weights, self.spectra, optimize=True)

    def elastic(self, wave_vectors: Float[ndarray, "wave_vectors"]) -> Float[ndarray, "wave_vectors"]:
        """Intensity of the elastic line, Σ σ/4π exp(−Q²u), barn/sr per primitive cell."""
        exponent = wave_vectors[None, :] ** 2 * self.displacements[:, None]
        return self.cross_sections / (4 * np.pi) @ np.exp(-exponent)

    def omitted(self, wave_vectors: Float[ndarray, "wave_vectors"]) -> Float[ndarray, "wave_vectors"]:
        """Share of the cross-section in more phonons than were followed."""
        exponent = wave_vectors[None, :] ** 2 * self.displacements[:, None]
        followed = np.exp(-exponent) + self._poisson(wave_vectors).sum(axis=1)
        return self.cross_sections @ (1 - followed) / self.cross_sections.sum()

    def _poisson(self, wave_vectors: Float[ndarray, "wave_vectors"]) -> Float[ndarray, "kinds orders wave_vectors"]:
        mean = np.maximum(wave_vectors[None, None, :] ** 2 * self.displacements[:, None, None], 1e-300)
        order = np.arange(1, self.spectra.shape[1] + 1)[None, :, None]
        return np.exp(order * np.log(mean) - mean - gammaln(order + 1))


@dataclass(frozen=True, eq=False)
class InelasticSpectrum:
    """What an indirect-geometry spectrometer such as TOSCA or VISION sees of a powder.

    Attributes:
        energies: energy transfer, meV.
        wave_vectors: |Q| at each of them, 1/Å.
        total: barn/sr/meV per primitive cell, without the factor k_f/k_i.
        one_phonon: the part of the fundamentals; the rest is overtones and combinations.
        omitted: largest share of the cross-section in more phonons than were followed.
    """

    energies: Float[ndarray, "grid"]
    wave_vectors: Float[ndarray, "grid"]
    total: Float[ndarray, "grid"]
    one_phonon: Float[ndarray, "grid"]
    omitted: float


def phonon_expansion(
    modes: MeshModes,
    crystal: Crystal,
    group: SpaceGroup,
    temperature: float,
    energies: Float[ndarray, "grid"],
    fwhm: float | Float[ndarray, "grid"],
    orders: int = 10,
    scattering: NeutronScattering | None = None,
    cross_section: CrossSection = "total",
    degree: int = 0,
) -> PhononExpansion:
    """The n-phonon spectra of a crystal; imaginary modes and the zero modes at Γ are left out.

    Args:
        group: its equivalent atoms share one spectrum (the mesh is reduced by it).
        energies: energy transfer (meV), both signs allowed.
        fwhm: full width at half maximum of the Gaussian resolution, meV; one, or one for each energy.
        orders: most phonons in one event.
        scattering: by default tabulated values.
        degree: of the Lebedev rule for the directions of Q: 3, 5, 7 (enough for most crystals) …; 0 takes the average
            motion of every atom instead.

    Raises:
        UserError: no real mode, no Lebedev rule of this degree, or a width that is not positive or too small to
            tabulate the spectrum.
    """
    scattering = neutron_scattering(crystal) if scattering is None else scattering
    widths = np.broadcast_to(np.asarray(fwhm, dtype=float), np.shape(energies))
    quanta = modes.frequencies * THZ_TO_MEV
    counted = modes.frequencies > SMALLEST_FREQUENCY
    if not counted.any():
        raise UserError("all modes are imaginary: this structure has no thermal motion and scatters no neutrons")
    step, half = _internal_grid(float(widths.min()), float(quanta.max()), orders)
    atoms, cross_sections = _equivalent_atoms(group, scattering.cross_section(cross_section))
    quadratic, shares = _directions(degree)
    tensors = _motion(modes, crystal, group, atoms, counted)
    amplitudes = np.einsum("kmab,dab->kdm", tensors, quadratic, optimize=True).reshape(-1, counted.sum())
    occupation = 1 / np.expm1(np.minimum(quanta[counted] / THZ_TO_MEV * KELVIN_PER_THZ / max(temperature, 1e-9), 500))
    window, kernel = _resolution(np.asarray(energies, dtype=float), widths, step, half)
    spectra = []
    for amplitude in amplitudes:
        first = _on_grid(quanta[counted], amplitude * (occupation + 1), step, half)
        first += _on_grid(-quanta[counted], amplitude * occupation, step, half)
        powers = _convolved_powers(first / max(first.sum(), 1e-300), orders)
        spectra.append([np.sum(power[window] * kernel, axis=1) for power in powers])
    return PhononExpansion(
        temperature,
        np.asarray(energies, dtype=float),
        np.repeat(atoms, len(shares)),
        np.outer(cross_sections, shares).ravel(),
        amplitudes @ (2 * occupation + 1),
        np.array(spectra),
    )


def inelastic_spectrum(
    modes: MeshModes,
    crystal: Crystal,
    group: SpaceGroup,
    instrument: IndirectGeometry,
    temperature: float = 10.0,
    energies: Float[ndarray, "grid"] | None = None,
    orders: int = 10,
    degree: int = 0,
) -> InelasticSpectrum:
    """The spectrum of a powder along Q(E) of an instrument, with its resolution.

    Args:
        temperature: K; such spectra are measured cold, to sharpen the lines.
        energies: energy transfer, meV; by default from 1 meV to a fifth above the highest mode.
        orders: most phonons in one event.
        degree: of the average over directions of Q; see `phonon_expansion`.
    """
    if energies is None:
        highest = 1.2 * max(float(modes.frequencies.max()), SMALLEST_FREQUENCY) * THZ_TO_MEV
        energies = np.linspace(min(1.0, highest / 10), highest, 1000)
    fwhm = instrument.fwhm(energies)
    expansion = phonon_expansion(modes, crystal, group, temperature, energies, fwhm, orders, degree=degree)
    wave_vectors = indirect_path(energies, instrument)
    by_order = expansion.along(wave_vectors)
    omitted = float(expansion.omitted(wave_vectors).max())
    return InelasticSpectrum(energies, wave_vectors, by_order.sum(axis=0), by_order[0], omitted)


def _internal_grid(width: float, highest: float, orders: int) -> tuple[float, int]:
    """Step (meV) and half the number of points of a grid that holds all orders on both sides."""
    if width <= 0:
        raise UserError(f"the energy resolution must be positive, not {width:g} meV")
    step = width / POINTS_PER_WIDTH
    half = int(np.ceil(orders * highest / step)) + orders
    if 2 * half > MAX_POINTS:
        raise UserError(
            f"{orders} phonons of up to {highest:.4g} meV with a resolution of {width:.3g} meV need {2 * half} points: "
            "use a larger width or fewer orders"
        )
    return step, half


def _equivalent_atoms(
    group: SpaceGroup, cross_sections: Float[ndarray, "atoms"]
) -> tuple[Int[ndarray, "kinds"], Float[ndarray, "kinds"]]:
    """One atom of every set of equivalent ones, and the cross-section of the set."""
    representatives = group.permutations.min(axis=0)
    atoms, members = np.unique(representatives, return_inverse=True)
    return atoms, np.bincount(members.ravel(), cross_sections)


def _directions(degree: int) -> tuple[Float[ndarray, "directions 3 3"], Float[ndarray, "directions"]]:
    """Q̂Q̂ᵀ for directions over half a sphere and their shares; of degree 0 its average 1/3 alone."""
    if degree == 0:
        return np.eye(3)[None] / 3, np.ones(1)
    try:
        vectors, weights = lebedev_rule(degree)
    except NotImplementedError as error:
        raise UserError(f"there is no Lebedev rule of degree {degree}: take 0, or 3, 5, 7, 9, 11 …") from error
    half = np.array([next(value for value in vector if abs(value) > 1e-9) > 0 for vector in vectors.T])
    kept = vectors.T[half]
    return kept[:, :, None] * kept[:, None, :], weights[half] / weights[half].sum()


def _motion(
    modes: MeshModes, crystal: Crystal, group: SpaceGroup, atoms: Int[ndarray, "kinds"], counted: ndarray
) -> Float[ndarray, "kinds modes 3 3"]:
    """ħ/(2 m ω) e eᵀ of every counted mode with its weight, averaged over the space group, Å²."""
    weights = (modes.weights / modes.weights.sum())[:, None] / np.where(counted, modes.frequencies, 1.0)
    vectors = modes.eigenvectors.reshape(len(modes.qpoints), crystal.n_atoms, 3, -1)
    tensors = np.zeros((len(atoms), int(counted.sum()), 3, 3))
    for kind, atom in enumerate(atoms):
        for image in np.unique(group.permutations[:, atom]):
            vector = vectors[:, image].transpose(0, 2, 1)[counted]
            product = (vector[:, :, None] * vector[:, None, :].conj()).real
            rotations = group.cartesian[group.permutations[:, atom] == image]
            tensors[kind] += np.einsum("gab,mac,gcd->mbd", rotations, product, rotations, optimize=True)
    scale = HBAR_OVER_2_AMU / (len(group.cartesian) * crystal.masses[atoms])
    return tensors * scale[:, None, None, None] * weights[counted][None, :, None, None]


def _on_grid(
    positions: Float[ndarray, "modes"], values: Float[ndarray, "modes"], step: float, half: int
) -> Float[ndarray, "points"]:
    """Lines shared between the two nearest points, so that area and centre of gravity stay exact."""
    place = positions / step + half
    lower = np.floor(place).astype(np.int64)
    fraction = place - lower
    size = 2 * half + 1
    return np.bincount(lower, values * (1 - fraction), size) + np.bincount(lower + 1, values * fraction, size)


def _convolved_powers(first: Float[ndarray, "points"], orders: int) -> Float[ndarray, "orders points"]:
    """The n-fold convolutions of a spectrum on a symmetric grid that is wide enough for all of them."""
    half = len(first) // 2
    size = next_fast_len(len(first) + 1, real=True)
    transformed = rfft(np.roll(np.pad(first, (0, size - len(first))), -half))
    powers = [irfft(transformed**order, size) for order in range(1, orders + 1)]
    return np.array([np.roll(power, half)[: len(first)] for power in powers])


def _resolution(
    energies: Float[ndarray, "grid"], widths: Float[ndarray, "grid"], step: float, half: int
) -> tuple[Int[ndarray, "grid window"], Float[ndarray, "grid window"]]:
    """The points of the internal grid around every energy, and the normalised Gaussian that weights them."""
    sigma = (widths / np.sqrt(8 * np.log(2)))[:, None]
    reach = int(np.ceil(TRUNCATION * sigma.max() / step))
    points = np.round(energies / step).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    kernel = np.exp(-(((energies[:, None] - points * step) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    inside = np.abs(points) <= half
    return np.where(inside, points + half, 0), np.where(inside, kernel, 0.0)
