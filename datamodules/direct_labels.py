"""What the direct networks learn of a record besides frequencies: density of states, thermal functions, spectra.

A label that a record does not hold is NaN, never zero. All labels are made from the record's force constants, Born
charges and ε∞ without any model: densities of states with the dipole interaction at every wave vector.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from datamodules.records import Record
from datamodules.response_samples import is_metallic
from mlrim.graph.crystal_scalars import SCALAR_TEMPERATURE, SCALARS
from mlrim.graph.frequency_bins import FrequencyBins, gaussian_shares, lorentzian_shares
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import unfold
from mlrim.lattice.qpath import mesh_shape
from mlrim.lattice.symmetry import space_group
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import translation_overlaps
from mlrim.vibrations.infrared import infrared_modes
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.thermal import thermal_properties

SIGMA = 6.0
"""Gaussian that every state of a density is spread over, cm⁻¹."""
MOST_IMAGINARY = 0.01
"""With a larger share of imaginary modes a crystal has no density of states to be learned."""
UNSTABLE_THZ = -0.05
"""A frequency below this at a wave vector of the supercell means an unstable crystal (docs/protocol.md)."""
SOFTEST = 20.0
"""cm⁻¹: softer modes are left out of spectra."""


class DensityLabels(NamedTuple):
    """What follows from the modes on a mesh; NaN where a record does not have them."""

    states: Float[ndarray, "atoms bins"]
    """Three states of every atom, distributed over the bins."""
    scalars: Float[ndarray, "scalars"]
    """See `SCALARS`."""


class SpectraLabels(NamedTuple):
    """Powder spectra in bins, as shares of one; NaN where they are not known."""

    infrared: Float[ndarray, "bins"]
    infrared_intensity: float
    """km per mole of atoms."""
    raman: Float[ndarray, "bins"]


def density_labels(record: Record, bins: FrequencyBins, spacing: float, level: str = "dft") -> DensityLabels:
    """The density of states of every atom on a mesh of wave vectors `spacing` apart (1/Å without 2π) that avoids Γ.

    Records of one cell know Γ alone, and unstable ones have no density: both get NaN.
    """
    if level not in record.force_constants or record.supercell.n_cells == 1:
        return no_density(record.crystal.n_atoms, bins)
    polar = record.born_charges is not None and record.dielectric is not None and not is_metallic(record)
    response = (record.born_charges, record.dielectric) if polar else (None, None)
    dynamics = LatticeDynamics.from_supercell(record.compact(level), record.supercell, *response)
    return density_of_dynamics(dynamics, bins, spacing)


def density_of_dynamics(dynamics: LatticeDynamics, bins: FrequencyBins, spacing: float) -> DensityLabels:
    """The same of any lattice dynamics."""
    crystal = dynamics.crystal
    qpoints = shifted_mesh(mesh_shape(crystal, spacing))
    parts = [dynamics.modes(qpoints[start : start + 64]) for start in range(0, len(qpoints), 64)]
    frequencies = THZ_TO_CM1 * np.concatenate([part.frequencies for part in parts])
    if (frequencies < 0).mean() > MOST_IMAGINARY:
        return no_density(crystal.n_atoms, bins)
    vectors = np.concatenate([part.eigenvectors for part in parts])
    weights = np.abs(vectors.reshape(len(qpoints), crystal.n_atoms, 3, -1)) ** 2
    shares = weights.sum(axis=2).transpose(1, 0, 2).reshape(crystal.n_atoms, -1) / len(qpoints)
    states = shares @ gaussian_shares(np.maximum(frequencies.ravel(), 0.0), SIGMA, bins.edges)
    return DensityLabels(average_over_orbits(states, crystal), scalar_labels(frequencies))


def no_density(n_atoms: int, bins: FrequencyBins) -> DensityLabels:
    """Nothing known."""
    return DensityLabels(np.full((n_atoms, bins.size), np.nan), np.full(len(SCALARS), np.nan))


def scalar_labels(frequencies: Float[ndarray, "qpoints modes"]) -> Float[ndarray, "scalars"]:
    """`SCALARS` from frequencies (cm⁻¹) on a mesh."""
    weights = np.full(len(frequencies), 1 / len(frequencies))
    thermal = thermal_properties(frequencies / THZ_TO_CM1, weights, np.array([SCALAR_TEMPERATURE]))
    per_atom = thermal.per(frequencies.shape[1] / 3)
    values = (per_atom.entropy, per_atom.free_energy, per_atom.heat_capacity)
    return np.array([frequencies.max(), *(float(value[0]) for value in values)])


def shifted_mesh(shape: tuple[int, int, int]) -> Float[ndarray, "qpoints 3"]:
    """A regular mesh with Γ in the middle between its points; one of every ±q pair.

    >>> shifted_mesh((1, 1, 2)).tolist()
    [[0.5, 0.5, 0.25]]
    """
    axes = [(np.arange(count) + 0.5) / count for count in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[: (len(points) + 1) // 2]


def average_over_orbits(values: Float[ndarray, "atoms bins"], crystal: Crystal) -> Float[ndarray, "atoms bins"]:
    """The same for all symmetry-equivalent atoms."""
    return values[space_group(crystal).permutations].mean(axis=0)


def spectra_labels(record: Record, bins: FrequencyBins, width: float, level: str = "dft") -> SpectraLabels:
    """Infrared and Raman powder spectra of Lorentzian lines of a width (FWHM, cm⁻¹), without the macroscopic field.

    Infrared intensities are those printed by the source, else those of force constants and Born charges; Raman
    intensities are those printed.
    """
    nothing = np.full(bins.size, np.nan)
    if level not in record.force_constants:
        return SpectraLabels(nothing, np.nan, nothing)
    modes, places = optical_modes(record, level)
    real = modes.frequencies > SOFTEST
    shares = lorentzian_shares(modes.frequencies[real], width, bins.edges)
    infrared = infrared_intensities(record, modes, places)[real]
    raman = printed_intensities(record, "raman_total", places)[real]
    total = float(infrared.sum())
    return SpectraLabels(_spectrum(infrared, shares), total / record.crystal.n_atoms, _spectrum(raman, shares))


def optical_modes(record: Record, level: str = "dft") -> tuple[NormalModes, Int[ndarray, "modes"]]:
    """The optical modes at Γ without the macroscopic field, and their places among all modes of the record."""
    crystal = record.crystal
    dynamics = LatticeDynamics(crystal, unfold(record.compact(level), record.supercell), None)
    modes = dynamics.modes(np.zeros((1, 3)))
    vectors = modes.eigenvectors[0].real
    acoustic = np.argsort(-translation_overlaps(vectors, crystal.masses))[:3]
    places = np.setdiff1d(np.arange(3 * crystal.n_atoms), acoustic)
    frequencies = THZ_TO_CM1 * modes.frequencies[0, places]
    return NormalModes(frequencies, vectors[:, places], crystal.masses, crystal.volume), places


def infrared_intensities(record: Record, modes: NormalModes, places: Int[ndarray, "modes"]) -> Float[ndarray, "modes"]:
    """Of every optical mode, km per mole of cells: printed ones, else those of the Born charges, else NaN."""
    if "infrared" in record.spectra:
        return printed_intensities(record, "infrared", places)
    if record.born_charges is None or is_metallic(record):
        return np.full(len(places), np.nan)
    return infrared_modes(modes, record.born_charges).intensities


def printed_intensities(record: Record, name: str, places: Int[ndarray, "modes"]) -> Float[ndarray, "modes"]:
    """Intensities that the source gives for the modes at some places; NaN where it gives none."""
    values = record.spectra.get(name)
    return np.full(len(places), np.nan) if values is None else np.asarray(values, dtype=float)[places]


def _spectrum(intensities: Float[ndarray, "modes"], shares: Float[ndarray, "modes bins"]) -> Float[ndarray, "bins"]:
    """The lines' spectrum as shares of one; NaN where an intensity is not known, or all are zero."""
    total = intensities.sum()
    return intensities @ shares / total if total > 0 else np.full(shares.shape[1], np.nan)
