"""Tables: the Γ table on the terminal, and comma-separated files whose headers name the unit."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from mlrim.report.prediction import Prediction
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import GammaModes

if TYPE_CHECKING:
    from rich.table import Table


def write_columns(path: Path, columns: Mapping[str, Sequence | ndarray], digits: int = 8) -> None:
    """Write columns of equal length under their headers as comma-separated values."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([_cell(value, digits) for value in row])


def write_tables(prediction: Prediction, folder: Path) -> None:
    """Write modes.csv, lo_to.csv, bands.csv, dos.csv and thermal.csv."""
    write_columns(folder / "modes.csv", modes_columns(prediction.gamma))
    if prediction.gamma.directional:
        write_columns(folder / "lo_to.csv", directional_columns(prediction.gamma))
    write_columns(folder / "bands.csv", band_columns(prediction))
    write_columns(folder / "dos.csv", dos_columns(prediction))
    write_columns(folder / "thermal.csv", thermal_columns(prediction))


def modes_columns(gamma: GammaModes) -> dict[str, Sequence]:
    """One row for every frequency at Γ without macroscopic field."""
    modes = gamma.modes
    return {
        "mode": list(range(1, len(modes) + 1)),
        "frequency_thz": [mode.frequency_thz for mode in modes],
        "frequency_cm1": [mode.frequency_cm1 for mode in modes],
        "degeneracy": [mode.degeneracy for mode in modes],
        "irrep": [mode.irrep.symbol for mode in modes],
        "kind": [mode.kind for mode in modes],
        "polarization": _polarizations(gamma),
        "activity": [mode.activity for mode in modes],
    }


def directional_columns(gamma: GammaModes) -> dict[str, Sequence]:
    """One row for every polar optical mode along every direction of approach to Γ."""
    rows = [(label, mode) for label, modes in gamma.directional.items() for mode in modes]
    return {
        "direction": [label for label, _ in rows],
        "frequency_thz": [mode.frequency_thz for _, mode in rows],
        "frequency_cm1": [mode.frequency_cm1 for _, mode in rows],
        "polarization": [mode.polarization for _, mode in rows],
        "irrep": [mode.symbol for _, mode in rows],
        "irrep_share": [mode.share for _, mode in rows],
        "nearest_mode": [mode.partner + 1 for _, mode in rows],
        "nearest_mode_cm1": [gamma.modes[mode.partner].frequency_cm1 for _, mode in rows],
    }


def band_columns(prediction: Prediction) -> dict[str, Sequence | ndarray]:
    """One row for every wave vector of the path, one column for every band (THz)."""
    path, frequencies = prediction.dispersion.path, prediction.dispersion.frequencies
    segment = np.concatenate([np.full(s.stop - s.start, k + 1) for k, s in enumerate(path.segments)])
    columns: dict[str, Sequence | ndarray] = {
        "segment": segment.tolist(),
        "distance_per_angstrom": path.distances,
        "q_a": path.qpoints[:, 0],
        "q_b": path.qpoints[:, 1],
        "q_c": path.qpoints[:, 2],
    }
    return columns | {f"band_{k + 1}_thz": frequencies[:, k] for k in range(frequencies.shape[1])}


def dos_columns(prediction: Prediction) -> dict[str, ndarray]:
    """Total density of states and the share of every element, states per THz and primitive cell."""
    dos = prediction.density_of_states
    columns = {
        "frequency_thz": dos.frequencies,
        "frequency_cm1": dos.frequencies * THZ_TO_CM1,
        "total_per_thz": dos.total,
    }
    return columns | {f"{element}_per_thz": values for element, values in dos.projected.items()}


def thermal_columns(prediction: Prediction) -> dict[str, ndarray]:
    """Thermal properties per mole of primitive cells."""
    thermal = prediction.thermal
    return {
        "temperature_k": thermal.temperatures,
        "free_energy_kj_per_mol": thermal.free_energy,
        "energy_kj_per_mol": thermal.energy,
        "entropy_j_per_k_mol": thermal.entropy,
        "heat_capacity_j_per_k_mol": thermal.heat_capacity,
    }


def gamma_table(prediction: Prediction) -> "Table":
    """The Γ table for the terminal, LO modes below the others."""
    from rich.table import Table

    crystal, group = prediction.dynamics.crystal, prediction.space_group
    table = Table(title=f"{crystal.reduced_formula} ({group.symbol}), Γ modes: {prediction.model}")
    for header in ("THz", "cm⁻¹", "deg."):
        table.add_column(header, justify="right")
    for header in ("irrep", "kind", "activity"):
        table.add_column(header)
    kinds = _polarizations(prediction.gamma)
    for mode, kind in zip(prediction.gamma.modes, kinds, strict=True):
        label = f"{mode.kind} {kind}".strip()
        row = (f"{mode.frequency_thz:.3f}", f"{mode.frequency_cm1:.1f}", str(mode.degeneracy))
        table.add_row(*row, mode.irrep.symbol, label, mode.activity)
    for label, modes in prediction.gamma.directional.items():
        table.add_section()
        for polar in modes:
            if polar.polarization == "LO":
                row = (f"{polar.frequency_thz:.3f}", f"{polar.frequency_cm1:.1f}", "1")
                table.add_row(*row, polar.symbol, "optical LO", f"q → 0 along {label}")
    return table


def _polarizations(gamma: GammaModes) -> list[str]:
    """`TO` for polar optical modes (they have no macroscopic field here), nothing for others."""
    polar = [mode.irrep.infrared and not mode.acoustic for mode in gamma.modes]
    return ["TO" if flag and gamma.directional else "" for flag in polar]


def _cell(value: object, digits: int) -> object:
    return f"{value:.{digits}g}" if isinstance(value, float | np.floating) else value
