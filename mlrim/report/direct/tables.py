"""Tables of a direct prediction: columns whose headers name the unit, for CSV files, page and summary alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from mlrim.report.direct.prediction import DirectPrediction
from mlrim.report.tables import path_columns, thermal_columns, write_columns
from mlrim.units import THZ_TO_CM1, THZ_TO_MEV

Columns = dict[str, Sequence | ndarray]


def write_direct_tables(prediction: DirectPrediction, folder: Path) -> None:
    """Write every table as a file of its name, for example modes.csv."""
    for name, columns in direct_tables(prediction).items():
        write_columns(folder / f"{name}.csv", columns)


def direct_tables(prediction: DirectPrediction) -> dict[str, Mapping[str, Sequence | ndarray]]:
    """All tables by name; absent quantities have none."""
    found: dict[str, Columns | None] = {
        "modes": level_columns(prediction),
        "bands": band_columns(prediction),
        "velocities": velocity_columns(prediction),
        "dos": density_columns(prediction),
        "thermal": None if prediction.thermal is None else thermal_columns(prediction.thermal),
        "infrared": infrared_columns(prediction),
        "raman": raman_columns(prediction),
    }
    return {name: columns for name, columns in found.items() if columns is not None}


def level_columns(prediction: DirectPrediction) -> Columns | None:
    """One row for every frequency at Γ."""
    levels = prediction.levels
    if levels is None:
        return None
    columns: Columns = {
        "mode": list(range(1, len(levels) + 1)),
        "frequency_thz": [level.frequency_cm1 / THZ_TO_CM1 for level in levels],
        "frequency_cm1": [level.frequency_cm1 for level in levels],
        "frequency_mev": [level.frequency_cm1 / THZ_TO_CM1 * THZ_TO_MEV for level in levels],
        "degeneracy": [level.degeneracy for level in levels],
        "kind": ["acoustic" if level.acoustic else "optical" for level in levels],
    }
    if any(level.error_cm1 is not None for level in levels):
        columns["error_cm1"] = [level.error_cm1 for level in levels]
    return columns


def band_columns(prediction: DirectPrediction) -> Columns | None:
    """One row for every wave vector of the path: every band and, where known, its error (THz)."""
    if prediction.dispersion is None:
        return None
    frequencies, errors = prediction.dispersion.frequencies, prediction.dispersion_error
    columns = path_columns(prediction.dispersion.path)
    columns |= {f"band_{k + 1}_thz": frequencies[:, k] for k in range(frequencies.shape[1])}
    if errors is not None:
        columns |= {f"band_{k + 1}_error_thz": errors[:, k] for k in range(errors.shape[1])}
    return columns


def velocity_columns(prediction: DirectPrediction) -> Columns | None:
    """One row for every wave vector of the path: the group velocity of every band, km/s, its size."""
    if prediction.dispersion is None or prediction.velocities is None:
        return None
    speeds = np.linalg.norm(prediction.velocities, axis=-1)
    columns = path_columns(prediction.dispersion.path)
    return columns | {f"band_{k + 1}_km_per_s": speeds[:, k] for k in range(speeds.shape[1])}


def density_columns(prediction: DirectPrediction) -> Columns | None:
    """Total density of states and the share of every element, states per THz and primitive cell."""
    dos = prediction.density_of_states
    if dos is None:
        return None
    columns: Columns = {
        "frequency_thz": dos.frequencies,
        "frequency_cm1": dos.frequencies * THZ_TO_CM1,
        "total_per_thz": dos.total,
    }
    if prediction.density_error is not None:
        columns["total_error_per_thz"] = prediction.density_error
        columns["lower_per_thz"] = np.maximum(dos.total - prediction.density_error, 0.0)
        columns["upper_per_thz"] = dos.total + prediction.density_error
    return columns | {f"{element}_per_thz": values for element, values in dos.projected.items()}


def infrared_columns(prediction: DirectPrediction) -> Columns | None:
    """The infrared powder spectrum per mole of primitive cells."""
    infrared = prediction.infrared
    if infrared is None:
        return None
    return {"wavenumber_cm1": infrared.wavenumbers, "absorption_km_per_mol_cm1": infrared.values}


def raman_columns(prediction: DirectPrediction) -> Columns | None:
    """The Raman powder spectrum, relative."""
    raman = prediction.raman
    return None if raman is None else {"shift_cm1": raman.wavenumbers, "relative_intensity": raman.values}
