"""summary.json of a direct prediction: everything, machine-readable, every quantity with its unit."""

import json
from pathlib import Path
from typing import Any

import mlrim
from mlrim.graph.crystal_scalars import SCALAR_TEMPERATURE
from mlrim.report.direct.prediction import DirectPrediction, DirectSpectrum
from mlrim.report.direct.tables import level_columns
from mlrim.report.html.document import plain
from mlrim.report.summary import domain_facts

SCHEMA_VERSION = 1
DIGITS = 10

DIRECT_UNITS = {
    "lattice": "Å",
    "positions": "Å",
    "masses": "amu",
    "volume": "Å³",
    "frequency_thz": "THz (negative: imaginary)",
    "frequency_cm1": "cm⁻¹ (negative: imaginary)",
    "error_cm1": "cm⁻¹; standard error, covers 68 %",
    "free_energy": "kJ per mole of primitive cells",
    "energy": "kJ per mole of primitive cells",
    "zero_point_energy": "kJ per mole of primitive cells",
    "entropy": "J/K per mole of primitive cells",
    "heat_capacity": "J/K per mole of primitive cells",
    "temperatures": "K",
    "scalars": f"their own units; thermal functions at {SCALAR_TEMPERATURE:g} K, per mole of atoms",
    "infrared.intensity": "km per mole of primitive cells",
    "line_width": "cm⁻¹ (FWHM)",
    "stability_probability": "1; that no mode is imaginary",
    "domain.distance": "1; typical crystals not trained on have one",
}


def write_direct_summary(prediction: DirectPrediction, path: Path) -> None:
    """Write the summary as JSON; numbers that are not finite become null."""
    text = json.dumps(plain(direct_summary(prediction), DIGITS), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def direct_summary(prediction: DirectPrediction) -> dict[str, Any]:
    """The prediction as nested dictionaries; what is absent has no entry but a reason."""
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "mlrim_version": mlrim.__version__,
        "mode": "direct",
        "name": prediction.name,
        "source": prediction.source,
        "model": prediction.model,
        "units": DIRECT_UNITS,
        "crystal": _crystal(prediction),
        "highest_frequency_cm1": prediction.highest_cm1,
        "gamma": _gamma(prediction),
        "density_of_states": _density(prediction),
        "thermal": _thermal(prediction),
        "scalars": {name: one._asdict() for name, one in prediction.scalars.items()} or None,
        "stability_probability": prediction.stability,
        "infrared": _spectrum(prediction.infrared, "infrared.csv"),
        "raman": _spectrum(prediction.raman, "raman.csv"),
        "uncertainty": _uncertainty(prediction),
        "absent": prediction.absent,
        "notes": prediction.notes,
        "warnings": prediction.warnings,
    }
    return {name: value for name, value in found.items() if value is not None}


def _crystal(prediction: DirectPrediction) -> dict[str, Any]:
    crystal, group = prediction.crystal, prediction.space_group
    return {
        "formula": prediction.formula,
        "disordered": prediction.occupancy is not None,
        "space_group": group.symbol,
        "space_group_number": group.number,
        "point_group": group.point_group,
        "crystal_system": group.crystal_system,
        "lattice": crystal.lattice,
        "positions": crystal.positions,
        "symbols": prediction.sites,
        "masses": crystal.masses,
        "volume": crystal.volume,
    }


def _gamma(prediction: DirectPrediction) -> dict[str, Any] | None:
    columns = level_columns(prediction)
    if columns is None:
        return None
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return {
        "imaginary_optical_modes": prediction.n_imaginary,
        "modes": [{key: value for key, value in row.items() if value is not None} for row in rows],
    }


def _density(prediction: DirectPrediction) -> dict[str, Any] | None:
    if prediction.density_of_states is None:
        return None
    return {"source": prediction.density_source, "table": "dos.csv", "modes_per_cell": 3 * prediction.crystal.n_atoms}


def _thermal(prediction: DirectPrediction) -> dict[str, Any] | None:
    thermal = prediction.thermal
    if thermal is None:
        return None
    return {
        "source": prediction.density_source,
        "zero_point_energy": thermal.zero_point_energy,
        "heat_capacity_limit": thermal.heat_capacity_limit,
        "temperatures": thermal.temperatures,
        "free_energy": thermal.free_energy,
        "energy": thermal.energy,
        "entropy": thermal.entropy,
        "heat_capacity": thermal.heat_capacity,
    }


def _spectrum(spectrum: DirectSpectrum | None, table: str) -> dict[str, Any] | None:
    if spectrum is None:
        return None
    intensity = {} if spectrum.total is None else {"intensity": spectrum.total}
    return {"line_width": spectrum.width, **intensity, "table": table}


def _uncertainty(prediction: DirectPrediction) -> dict[str, Any] | None:
    if prediction.domain is None:
        return None
    return {"source": prediction.error_source, "domain": domain_facts(prediction.domain)}
