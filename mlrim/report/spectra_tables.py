"""Tables of the spectra: one row for every point of the grid, one column for every quantity."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from mlrim.report.prediction import Prediction
from mlrim.spectra.infrared import InfraredSpectra
from mlrim.spectra.neutrons import NeutronSpectra
from mlrim.spectra.raman import RamanSpectra
from mlrim.units import THZ_TO_CM1, THZ_TO_MEV

Columns = dict[str, Sequence | ndarray]

VOIGT = {"11": (0, 0), "22": (1, 1), "33": (2, 2), "23": (1, 2), "13": (0, 2), "12": (0, 1)}
"""Components of a symmetric tensor in the order of crystallographers."""


def infrared_spectrum_columns(infrared: InfraredSpectra) -> Columns:
    """Optical constants along every axis, the lines in vacuum and the pellet."""
    columns: Columns = {"wavenumber_cm1": infrared.wavenumbers}
    for axis, constants in infrared.constants.items():
        index = constants.refractive_index
        columns |= {
            f"epsilon1_{axis}": constants.permittivity.real,
            f"epsilon2_{axis}": constants.permittivity.imag,
            f"n_{axis}": index.real,
            f"k_{axis}": index.imag,
            f"absorption_per_cm_{axis}": constants.absorption_coefficient,
            f"reflectivity_{axis}": infrared.reflectivities[axis],
            f"energy_loss_{axis}": constants.energy_loss,
        }
    for label, values in infrared.reflectivities.items():
        columns[f"reflectivity_{label}"] = values
    columns["molar_absorption_l_per_mol_cm"] = infrared.molar_absorption
    columns["pellet_absorption_per_cm"] = infrared.pellet.absorption_coefficient
    columns["pellet_transmission"] = infrared.transmission
    return columns


def raman_spectrum_columns(raman: RamanSpectra) -> Columns:
    """Powder for parallel, crossed and both polarisations, and every single-crystal geometry (cm²/sr per cm⁻¹)."""
    return {
        "shift_cm1": raman.wavenumbers,
        "powder_total_cm2_per_sr_cm1": raman.total,
        "powder_parallel_cm2_per_sr_cm1": raman.parallel,
        "powder_crossed_cm2_per_sr_cm1": raman.crossed,
        **{f"{label}_cm2_per_sr_cm1": spectrum for label, spectrum in raman.geometries.items()},
    }


def neutron_columns(neutrons: NeutronSpectra) -> Columns:
    """The spectrum of the spectrometer, and on the same energies the neutron-weighted density of states."""
    energies, density = neutrons.inelastic.energies, neutrons.density
    grid = density.frequencies * THZ_TO_MEV
    columns: Columns = {
        "energy_mev": energies,
        "energy_cm1": energies / THZ_TO_MEV * THZ_TO_CM1,
        "q_per_angstrom": neutrons.inelastic.wave_vectors,
        "s_total_barn_per_sr_mev": neutrons.inelastic.total,
        "s_one_phonon_barn_per_sr_mev": neutrons.inelastic.one_phonon,
        "weighted_dos_barn_per_amu_thz": np.interp(energies, grid, density.total, left=0.0, right=0.0),
    }
    parts = {
        f"weighted_dos_{element}_barn_per_amu_thz": np.interp(energies, grid, values, left=0.0, right=0.0)
        for element, values in density.projected.items()
    }
    return columns | parts


def displacement_columns(prediction: Prediction) -> Columns:
    """Thermal displacements: one row for every temperature, U_iso of every set of equivalent atoms."""
    assert prediction.displacements is not None
    displacements, symbols = prediction.displacements, prediction.dynamics.crystal.symbols
    kinds = np.unique(prediction.space_group.permutations.min(axis=0)).tolist()
    columns: Columns = {"temperature_k": displacements.temperatures}
    for atom in kinds:
        columns[f"u_iso_{symbols[atom]}{atom + 1}_a2"] = displacements.isotropic[:, atom]
    for atom in kinds:
        for name, (row, column) in VOIGT.items():
            columns[f"u{name}_{symbols[atom]}{atom + 1}_a2"] = displacements.tensors[:, atom, row, column]
    return columns
