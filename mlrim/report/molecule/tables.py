"""Tables of a molecule: columns whose headers name the unit, for CSV files, page and summary alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from mlrim.report.molecule.prediction import MoleculePrediction
from mlrim.report.tables import write_columns
from mlrim.units import BOLTZMANN_J_PER_K_MOL, THZ_TO_CM1, THZ_TO_MEV

Columns = dict[str, Sequence | ndarray]


def write_molecule_tables(prediction: MoleculePrediction, folder: Path) -> None:
    """Write every table as a file of its name, for example modes.csv."""
    for name, columns in molecule_tables(prediction).items():
        write_columns(folder / f"{name}.csv", columns)


def molecule_tables(prediction: MoleculePrediction) -> dict[str, Mapping[str, Sequence | ndarray]]:
    """All tables by name; absent quantities have none."""
    found: dict[str, Columns | None] = {
        "modes": molecule_mode_columns(prediction),
        "thermal": gas_columns(prediction),
        "infrared": infrared_gas_columns(prediction),
        "raman": raman_gas_columns(prediction),
    }
    return {name: columns for name, columns in found.items() if columns is not None}


def molecule_mode_columns(prediction: MoleculePrediction) -> Columns:
    """One row for every frequency; intensities of a degenerate one are sums over its modes.

    Cells of quantities that a mode does not have by symmetry are none.
    """
    modes = prediction.vibrations.modes
    columns: Columns = {
        "mode": list(range(1, len(modes) + 1)),
        "frequency_thz": [mode.frequency_cm1 / THZ_TO_CM1 for mode in modes],
        "frequency_cm1": [mode.frequency_cm1 for mode in modes],
        "frequency_mev": [mode.frequency_cm1 / THZ_TO_CM1 * THZ_TO_MEV for mode in modes],
        "degeneracy": [mode.degeneracy for mode in modes],
        "irrep": [mode.irrep.symbol for mode in modes],
        "activity": [mode.activity for mode in modes],
    }
    if prediction.infrared is not None:
        active = [mode.irrep.infrared for mode in modes]
        columns["ir_intensity_km_per_mol"] = _where(active, prediction.infrared.intensities)
    if prediction.raman is not None:
        active = [mode.irrep.raman for mode in modes]
        invariants = prediction.raman.invariants
        columns["raman_activity_a4_per_amu"] = _where(active, invariants.activity)
        columns["raman_parallel_a4_per_amu"] = _where(active, invariants.parallel)
        columns["raman_crossed_a4_per_amu"] = _where(active, invariants.crossed)
        columns["depolarization_ratio"] = _where(active, invariants.depolarization_ratio)
    return columns | participation(prediction)


def participation(prediction: MoleculePrediction) -> Columns:
    """Share of every element in every row; the shares of a row add up to one."""
    symbols = np.array(prediction.symbols)
    return {
        f"participation_{element}": [
            float(np.sum(mode.eigenvectors[np.repeat(symbols == element, 3)] ** 2) / mode.degeneracy)
            for mode in prediction.vibrations.modes
        ]
        for element in dict.fromkeys(symbols.tolist())
    }


def gas_columns(prediction: MoleculePrediction) -> Columns:
    """Thermochemistry per mole; energies are above the minimum of the potential."""
    gas = prediction.gas
    return {
        "temperature_k": gas.temperatures,
        "vibrational_free_energy_kj_per_mol": gas.vibrational.free_energy,
        "vibrational_energy_kj_per_mol": gas.vibrational.energy,
        "vibrational_entropy_j_per_k_mol": gas.vibrational.entropy,
        "vibrational_heat_capacity_j_per_k_mol": gas.vibrational.heat_capacity,
        "energy_kj_per_mol": gas.energy,
        "enthalpy_kj_per_mol": gas.enthalpy,
        "gibbs_energy_kj_per_mol": gas.gibbs_energy,
        "entropy_j_per_k_mol": gas.entropy,
        "heat_capacity_cv_j_per_k_mol": gas.heat_capacity,
        "heat_capacity_cp_j_per_k_mol": gas.heat_capacity + BOLTZMANN_J_PER_K_MOL,
    }


def infrared_gas_columns(prediction: MoleculePrediction) -> Columns | None:
    """The absorption of the gas; none where it is not known."""
    infrared = prediction.infrared
    if infrared is None:
        return None
    return {"wavenumber_cm1": infrared.wavenumbers, "molar_absorption_l_per_mol_cm": infrared.absorption}


def raman_gas_columns(prediction: MoleculePrediction) -> Columns | None:
    """The Raman spectrum of the gas; none where it is not known."""
    raman = prediction.raman
    if raman is None:
        return None
    return {
        "shift_cm1": raman.wavenumbers,
        "total_cm2_per_sr_cm1": raman.total,
        "parallel_cm2_per_sr_cm1": raman.parallel,
        "crossed_cm2_per_sr_cm1": raman.crossed,
    }


def _where(active: Sequence[bool], values: ndarray) -> list[float | None]:
    return [float(value) if flag and np.isfinite(value) else None for flag, value in zip(active, values, strict=True)]
