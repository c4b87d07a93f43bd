"""summary.json: the whole prediction, machine-readable, every quantity with its unit."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

import mlrim
from mlrim.report.formula import chemical_formula
from mlrim.report.mode_table import mode_columns
from mlrim.report.prediction import Prediction
from mlrim.report.spectra_summary import SPECTRA_UNITS, spectra_sections
from mlrim.uncertainty.training_domain import Domain
from mlrim.vibrations.gamma import DirectionalMode

SCHEMA_VERSION = 2

UNITS = {
    "lattice": "Å",
    "positions": "Å",
    "masses": "amu",
    "volume": "Å³",
    "born_charges": "e (first index: electric field, second: displacement)",
    "dielectric": "dimensionless",
    "frequency_thz": "THz (negative: imaginary)",
    "frequency_cm1": "cm⁻¹ (negative: imaginary)",
    "frequency_error_cm1": "cm⁻¹; standard error, covers 68 %",
    "residuals": "eV/Å²",
    "symmetry_residual": "eV/Å²/amu",
    "broadening_thz": "THz",
    "free_energy": "kJ per mole of primitive cells",
    "energy": "kJ per mole of primitive cells",
    "zero_point_energy": "kJ per mole of primitive cells",
    "entropy": "J/K per mole of primitive cells",
    "heat_capacity": "J/K per mole of primitive cells",
    "temperatures": "K",
    "directions": "Cartesian unit vectors; [100], [010], [001] are conventional axes",
    **SPECTRA_UNITS,
}


def write_summary(prediction: Prediction, path: Path) -> None:
    """Write the summary as JSON; numbers that are not finite become null."""
    text = json.dumps(_plain(summary(prediction)), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def summary(prediction: Prediction) -> dict[str, Any]:
    """The prediction as nested dictionaries."""
    return {
        "schema_version": SCHEMA_VERSION,
        "mlrim_version": mlrim.__version__,
        "name": prediction.name,
        "source": prediction.source,
        "model": prediction.model,
        "long_range": _long_range(prediction),
        "units": UNITS,
        "crystal": _crystal(prediction),
        "supercell_matrix": prediction.supercell.matrix,
        "residuals": prediction.residuals,
        "quality": _quality(prediction),
        "highest_frequency_cm1": prediction.highest_cm1,
        "gamma": _gamma(prediction),
        "mesh": _mesh(prediction),
        "thermal": _thermal(prediction),
        "uncertainty": uncertainty_section(prediction),
        **spectra_sections(prediction),
        "absent": prediction.absent,
        "notes": prediction.notes,
        "warnings": prediction.warnings,
    }


def _crystal(prediction: Prediction) -> dict[str, Any]:
    crystal, group = prediction.dynamics.crystal, prediction.space_group
    return {
        "formula": chemical_formula(crystal),
        "cell_formula": crystal.formula,
        "space_group": group.symbol,
        "space_group_number": group.number,
        "point_group": group.point_group,
        "crystal_system": group.crystal_system,
        "lattice": crystal.lattice,
        "positions": crystal.positions,
        "symbols": crystal.symbols,
        "masses": crystal.masses,
        "volume": crystal.volume,
    }


def _long_range(prediction: Prediction) -> dict[str, Any]:
    response = prediction.response
    found = {
        "source": prediction.long_range,
        "born_charges": response.born_charges,
        "dielectric": response.dielectric,
        "screened": response.screened,
    }
    return {key: value for key, value in found.items() if response.born_charges is not None or key == "source"}


def _quality(prediction: Prediction) -> dict[str, Any]:
    quality = prediction.quality
    return {
        "short_range_tail": quality.short_range_tail,
        "tail_distance": quality.tail_distance,
        "born_correction": quality.born_correction,
        "lst_deviation": quality.lst_deviation,
        "acoustic_residual_cm1": quality.acoustic_residual,
        "largest_force_constant": quality.largest_force_constant,
        "asymmetry": quality.asymmetry,
        "line": quality.line,
    }


def _gamma(prediction: Prediction) -> dict[str, Any]:
    gamma = prediction.gamma
    return {
        "optical_representation": gamma.optical_representation,
        "imaginary_optical_modes": gamma.n_imaginary,
        "symmetry_residual": gamma.symmetry_residual,
        "activity_counts": gamma.activity_counts,
        "modes": _modes(prediction),
        "directions": gamma.directions,
        "directional_modes": {
            label: [_directional(mode) for mode in modes] for label, modes in gamma.directional.items()
        },
    }


def _modes(prediction: Prediction) -> list[dict[str, Any]]:
    """The rows of modes.csv; what a mode does not have is left out."""
    columns = mode_columns(prediction)
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def _directional(mode: DirectionalMode) -> dict[str, Any]:
    return {
        "frequency_thz": mode.frequency_thz,
        "frequency_cm1": mode.frequency_cm1,
        "polarization": mode.polarization,
        "irrep": mode.symbol,
        "irrep_share": mode.share,
        "nearest_mode": mode.partner + 1,
    }


def _mesh(prediction: Prediction) -> dict[str, Any]:
    modes, dos = prediction.mesh, prediction.density_of_states
    return {
        "mesh": modes.mesh,
        "lowest_frequency_thz": modes.frequencies.min(),
        "highest_frequency_thz": modes.frequencies.max(),
        "mean_frequency_thz": modes.weights @ modes.frequencies.mean(axis=1),
        "broadening_thz": dos.broadening,
        "dos_integral": np.trapezoid(dos.total, dos.frequencies),
        "modes_per_cell": modes.frequencies.shape[1],
    }


def _thermal(prediction: Prediction) -> dict[str, Any]:
    thermal = prediction.thermal
    return {
        "zero_point_energy": thermal.zero_point_energy,
        "heat_capacity_limit": thermal.heat_capacity_limit,
        "imaginary_modes_left_out": thermal.imaginary_modes,
        "imaginary_share_left_out": thermal.imaginary_share,
        "temperatures": thermal.temperatures,
        "free_energy": thermal.free_energy,
        "energy": thermal.energy,
        "entropy": thermal.entropy,
        "heat_capacity": thermal.heat_capacity,
    }


def uncertainty_section(prediction: Prediction) -> dict[str, Any] | None:
    """Single numbers with their errors, and how far the crystal is from what was trained on."""
    errors = prediction.errors
    if errors is None:
        return None
    return {
        "source": errors.source,
        "scalars": {name: one._asdict() for name, one in errors.scalars.items()},
        "domain": domain_facts(errors.domain),
    }


def domain_facts(domain: Domain) -> dict[str, Any]:
    """How far a crystal is from what a model was trained on."""
    return {
        "distance": domain.distance,
        "limit": domain.limit,
        "unseen_elements": list(domain.unseen),
        "outside": domain.outside,
    }


def _plain(value: Any) -> Any:
    """Arrays and NumPy numbers as lists and Python numbers."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value
