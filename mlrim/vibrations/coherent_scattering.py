"""Coherent one-phonon scattering of neutrons: single wave vectors, and the powder average.

S(Q, E) = Σ_ν ħ²/(2 E_ν) |Σ_k b_k/√m_k exp(−W_k) Q·e_k(Q)|² [(n+1) δ(E − E_ν) + n δ(E + E_ν)],  W_k = Q·U_k·Q/2

(G. L. Squires, Introduction to the Theory of Thermal Neutron Scattering, ch. 3). With eigenvectors of D(q) in the
atom-phase convention taken at q = Q itself, the phase exp(iQ·r_k) of the usual formula is already in e_k.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.units import KELVIN_PER_THZ, RECOIL_MEV_ANGSTROM2, THZ_TO_MEV
from mlrim.vibrations.neutron import NeutronScattering, neutron_scattering
from mlrim.vibrations.thermal import SMALLEST_FREQUENCY

FM2_PER_BARN = 100.0
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True, eq=False)
class StructureFactors:
    """Coherent one-phonon strength of every mode at some wave vectors.

    Attributes:
        wave_vectors: Q, Cartesian, 1/Å.
        energies: ħω of the modes, meV; imaginary and zero modes are negative or zero and have no strength.
        strengths: ħ²/(2E) |F|² without the factor n + 1 or n, barn/sr per primitive cell.
    """

    wave_vectors: Float[ndarray, "points 3"]
    energies: Float[ndarray, "points modes"]
    strengths: Float[ndarray, "points modes"]


def structure_factors(
    dynamics: LatticeDynamics,
    wave_vectors: Float[ndarray, "points 3"],
    displacements: Float[ndarray, "atoms 3 3"],
    scattering: NeutronScattering | None = None,
    batch: int = 128,
) -> StructureFactors:
    """Coherent one-phonon structure factors at Cartesian wave vectors Q.

    Args:
        wave_vectors: Q = 2π times the reciprocal coordinates, 1/Å; not a reciprocal lattice vector, where the
            acoustic modes diverge into the Bragg peak.
        displacements: tensors U of the atoms for the Debye–Waller factors, Å²; zeros to leave them out.
        scattering: by default tabulated values.
        batch: wave vectors treated together; bounds the memory.
    """
    crystal = dynamics.crystal
    scattering = neutron_scattering(crystal) if scattering is None else scattering
    qpoints = wave_vectors @ crystal.lattice.T / (2 * np.pi)
    damping = np.exp(-np.einsum("pa,nab,pb->pn", wave_vectors, displacements, wave_vectors) / 2)
    weights = damping * (scattering.lengths / np.sqrt(crystal.masses))[None, :]
    energies, strengths = [], []
    for start in range(0, len(qpoints), batch):
        chunk = slice(start, start + batch)
        modes = dynamics.modes(qpoints[chunk])
        amplitude = _amplitudes(modes.eigenvectors, wave_vectors[chunk], weights[chunk])
        counted = modes.frequencies > SMALLEST_FREQUENCY
        quanta = np.where(counted, modes.frequencies, 1.0) * THZ_TO_MEV
        energies.append(modes.frequencies * THZ_TO_MEV)
        strengths.append(np.where(counted, RECOIL_MEV_ANGSTROM2 / quanta * np.abs(amplitude) ** 2 / FM2_PER_BARN, 0.0))
    return StructureFactors(wave_vectors, np.concatenate(energies), np.concatenate(strengths))


def coherent_powder_map(
    dynamics: LatticeDynamics,
    displacements: Float[ndarray, "atoms 3 3"],
    temperature: float,
    wave_vectors: Float[ndarray, "wave_vectors"],
    energies: Float[ndarray, "grid"],
    fwhm: float,
    directions: int = 300,
    scattering: NeutronScattering | None = None,
) -> Float[ndarray, "wave_vectors grid"]:
    """Powder average of the coherent one-phonon S(Q, E), barn/sr/meV per primitive cell.

    Args:
        displacements: tensors U at this temperature, Å².
        temperature: K.
        wave_vectors: |Q|, 1/Å.
        energies: energy transfer (loss positive), meV; both signs allowed.
        fwhm: full width at half maximum of the Gaussian resolution, meV.
        directions: of Q, evenly spread over half a sphere (time reversal gives the other half).
    """
    result = np.zeros((len(wave_vectors), len(energies)))
    for index, length in enumerate(wave_vectors):
        turned = _half_sphere(directions, float(index)) * length
        factors = structure_factors(dynamics, turned, displacements, scattering)
        quanta, strengths = factors.energies.ravel(), factors.strengths.ravel() / directions
        loss, gain = bose_factors(quanta, temperature)
        result[index] = _lines(quanta, strengths * loss, energies, fwhm)
        result[index] += _lines(-quanta, strengths * gain, energies, fwhm)
    return result


def bose_factors(
    quanta: Float[ndarray, "modes"], temperature: float
) -> tuple[Float[ndarray, "modes"], Float[ndarray, "modes"]]:
    """n + 1 for energy loss and n for energy gain of the neutron; 1 and 0 for modes that do not count.

    >>> loss, gain = bose_factors(np.array([25.85]), 300.0)
    >>> bool(abs(gain[0] / loss[0] - np.exp(-25.85 / 25.851999)) < 1e-6)
    True
    """
    positive = quanta > SMALLEST_FREQUENCY * THZ_TO_MEV
    exponent = np.where(positive, quanta, 1.0) / THZ_TO_MEV * KELVIN_PER_THZ / max(temperature, 1e-9)
    occupation = np.where(positive, 1 / np.expm1(np.minimum(exponent, 500)), 0.0)
    return occupation + 1, occupation


def _amplitudes(
    eigenvectors: Complex[ndarray, "points components modes"],
    wave_vectors: Float[ndarray, "points 3"],
    weights: Float[ndarray, "points atoms"],
) -> Complex[ndarray, "points modes"]:
    """Σ_k w_k Q·e_k, fm/(Å √amu)."""
    pattern = (weights[:, :, None] * wave_vectors[:, None, :]).reshape(len(wave_vectors), -1)
    return np.einsum("pc,pcm->pm", pattern, eigenvectors)


def _half_sphere(count: int, turn: float) -> Float[ndarray, "directions 3"]:
    """Even directions over half a sphere (a golden spiral), turned about its axis by `turn` golden angles."""
    height = (np.arange(count) + 0.5) / count
    angle = (np.arange(count) + turn / np.e) * GOLDEN_ANGLE
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


def _lines(
    positions: Float[ndarray, "lines"],
    areas: Float[ndarray, "lines"],
    energies: Float[ndarray, "grid"],
    fwhm: float,
) -> Float[ndarray, "grid"]:
    """Gaussians of given areas on a grid; lines are first collected in bins a tenth of the width wide."""
    step = fwhm / 10
    bins = np.round((positions - positions.min()) / step).astype(np.int64)
    heights = np.bincount(bins, areas)
    occupied = np.flatnonzero(heights)
    centres = positions.min() + occupied * step
    sigma = fwhm / np.sqrt(8 * np.log(2))
    kernel = np.exp(-(((energies[:, None] - centres[None, :]) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    return kernel @ heights[occupied]
