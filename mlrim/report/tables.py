"""Tables as comma-separated files whose headers name the unit."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from mlrim.lattice.qpath import QPath
from mlrim.report.mode_table import directional_columns, mode_columns, modes_columns
from mlrim.report.prediction import Prediction
from mlrim.report.spectra_tables import (
    displacement_columns,
    infrared_spectrum_columns,
    neutron_columns,
    raman_spectrum_columns,
)
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.thermal import ThermalProperties

__all__ = [
    "band_columns",
    "directional_columns",
    "dos_columns",
    "mode_columns",
    "modes_columns",
    "path_columns",
    "tables",
    "thermal_columns",
    "write_columns",
    "write_tables",
]


def write_columns(path: Path, columns: Mapping[str, Sequence | ndarray], digits: int = 8) -> None:
    """Write columns of equal length under their headers as comma-separated values."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([_cell(value, digits) for value in row])


def write_tables(prediction: Prediction, folder: Path) -> None:
    """Write every table as a file of its name, for example modes.csv."""
    for name, columns in tables(prediction).items():
        write_columns(folder / f"{name}.csv", columns)


def tables(prediction: Prediction) -> dict[str, Mapping[str, Sequence | ndarray]]:
    """All tables by name, each as columns under headers that name the unit; absent quantities have none."""
    found: dict[str, Mapping[str, Sequence | ndarray] | None] = {
        "modes": mode_columns(prediction),
        "lo_to": directional_columns(prediction.gamma) if prediction.gamma.directional else None,
        "bands": band_columns(prediction),
        "dos": dos_columns(prediction),
        "thermal": thermal_columns(prediction.thermal),
        "infrared": infrared_spectrum_columns(prediction.infrared) if prediction.infrared else None,
        "raman": raman_spectrum_columns(prediction.raman) if prediction.raman else None,
        "neutrons": neutron_columns(prediction.neutrons) if prediction.neutrons else None,
        "displacements": displacement_columns(prediction) if prediction.displacements else None,
    }
    return {name: columns for name, columns in found.items() if columns is not None}


def band_columns(prediction: Prediction) -> dict[str, Sequence | ndarray]:
    """One row for every wave vector of the path, one column for every band (THz)."""
    frequencies = prediction.dispersion.frequencies
    bands = {f"band_{k + 1}_thz": frequencies[:, k] for k in range(frequencies.shape[1])}
    return path_columns(prediction.dispersion.path) | bands


def path_columns(path: QPath) -> dict[str, Sequence | ndarray]:
    """Where every wave vector of a path is."""
    segment = np.concatenate([np.full(s.stop - s.start, k + 1) for k, s in enumerate(path.segments)])
    return {
        "segment": segment.tolist(),
        "distance_per_angstrom": path.distances,
        "q_a": path.qpoints[:, 0],
        "q_b": path.qpoints[:, 1],
        "q_c": path.qpoints[:, 2],
    }


def dos_columns(prediction: Prediction) -> dict[str, ndarray]:
    """Total density of states and the share of every element, states per THz and primitive cell."""
    dos = prediction.density_of_states
    columns = {
        "frequency_thz": dos.frequencies,
        "frequency_cm1": dos.frequencies * THZ_TO_CM1,
        "total_per_thz": dos.total,
    }
    if prediction.errors is not None and prediction.errors.density is not None:
        columns["total_error_per_thz"] = prediction.errors.density
    return columns | {f"{element}_per_thz": values for element, values in dos.projected.items()}


def thermal_columns(thermal: ThermalProperties) -> dict[str, Sequence | ndarray]:
    """Thermal properties per mole of primitive cells."""
    return {
        "temperature_k": thermal.temperatures,
        "free_energy_kj_per_mol": thermal.free_energy,
        "energy_kj_per_mol": thermal.energy,
        "entropy_j_per_k_mol": thermal.entropy,
        "heat_capacity_j_per_k_mol": thermal.heat_capacity,
    }


def _cell(value: object, digits: int) -> object:
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}g}" if np.isfinite(value) else ""
    return value
