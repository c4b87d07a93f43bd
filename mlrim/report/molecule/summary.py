"""summary.json of a molecule: the whole prediction, machine-readable, every quantity with its unit."""

import json
from pathlib import Path
from typing import Any

import mlrim
from mlrim.report.html.document import plain
from mlrim.report.molecule.prediction import MoleculePrediction
from mlrim.report.molecule.tables import molecule_mode_columns

SCHEMA_VERSION = 1
DIGITS = 10

MOLECULE_UNITS = {
    "positions": "Å",
    "masses": "amu",
    "potential_energy": "eV (of the model)",
    "largest_force": "eV/Å",
    "frequency_thz": "THz (negative: imaginary)",
    "frequency_cm1": "cm⁻¹ (negative: imaginary)",
    "external_cm1": "cm⁻¹ (negative: imaginary)",
    "symmetry_residual": "eV/Å²/amu",
    "ir_intensity_km_per_mol": "km/mol (napierian, summed over degenerate modes)",
    "raman_activity_a4_per_amu": "Å⁴/amu (45a² + 7γ², summed over degenerate modes)",
    "dipole_derivatives": "e (first index: dipole, second: displacement)",
    "polarizability_derivatives": "Å² (two indices of the polarisability, third: displacement)",
    "rotational_constants": "cm⁻¹",
    "pressure": "Pa",
    "temperatures": "K",
    "energies": "kJ/mol above the minimum of the potential",
    "entropy": "J/K/mol",
    "heat_capacity": "J/K/mol",
}


def write_molecule_summary(prediction: MoleculePrediction, path: Path) -> None:
    """Write the summary as JSON; numbers that are not finite become null."""
    text = json.dumps(plain(molecule_summary(prediction), DIGITS), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def molecule_summary(prediction: MoleculePrediction) -> dict[str, Any]:
    """The prediction as nested dictionaries."""
    return {
        "schema_version": SCHEMA_VERSION,
        "mlrim_version": mlrim.__version__,
        "name": prediction.name,
        "source": prediction.source,
        "model": prediction.model,
        "units": MOLECULE_UNITS,
        "molecule": _molecule(prediction),
        "relaxation": _relaxation(prediction),
        "highest_frequency_cm1": prediction.highest_cm1,
        "vibrations": _vibrations(prediction),
        "response": _response(prediction),
        "thermochemistry": _thermochemistry(prediction),
        **_spectra(prediction),
        "checks": prediction.checks,
        "absent": prediction.absent,
        "notes": prediction.notes,
        "warnings": prediction.warnings,
    }


def _molecule(prediction: MoleculePrediction) -> dict[str, Any]:
    return {
        "formula": prediction.formula,
        "point_group": prediction.vibrations.group.symbol,
        "symbols": prediction.symbols,
        "positions": prediction.positions,
        "masses": prediction.vibrations.masses,
        "potential_energy": prediction.energy,
        "largest_force": prediction.residual,
    }


def _relaxation(prediction: MoleculePrediction) -> dict[str, Any] | None:
    relaxation = prediction.relaxation
    if relaxation is None:
        return None
    return {"converged": relaxation.converged, "evaluations": relaxation.steps, "moved_angstrom": relaxation.moved}


def _vibrations(prediction: MoleculePrediction) -> dict[str, Any]:
    found, columns = prediction.vibrations, molecule_mode_columns(prediction)
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return {
        "representation": found.representation,
        "imaginary_modes": prediction.n_imaginary,
        "external_cm1": found.external_cm1,
        "symmetry_residual": found.symmetry_residual,
        "axes": found.group.axes,
        "modes": [{key: value for key, value in row.items() if value is not None} for row in rows],
        "eigenvectors": [mode.eigenvectors.T.reshape(mode.degeneracy, -1, 3) for mode in found.modes],
    }


def _response(prediction: MoleculePrediction) -> dict[str, Any] | None:
    derivatives = prediction.derivatives
    known = {
        "dipole_derivatives": derivatives.dipole,
        "polarizability_derivatives": derivatives.polarizability,
    }
    found = {name: values for name, values in known.items() if values is not None}
    return {"source": derivatives.source, **found} if found else None


def _thermochemistry(prediction: MoleculePrediction) -> dict[str, Any]:
    gas = prediction.gas
    return {
        "pressure": gas.pressure,
        "zero_point_energy": gas.zero_point_energy,
        "symmetry_number": gas.symmetry_number,
        "rotational_constants": gas.rotational_constants,
        "imaginary_modes_left_out": gas.vibrational.imaginary_modes,
        "temperatures": gas.temperatures,
        "vibrational": {
            "free_energy": gas.vibrational.free_energy,
            "energy": gas.vibrational.energy,
            "entropy": gas.vibrational.entropy,
            "heat_capacity": gas.vibrational.heat_capacity,
        },
        "energy": gas.energy,
        "enthalpy": gas.enthalpy,
        "gibbs_energy": gas.gibbs_energy,
        "entropy": gas.entropy,
        "heat_capacity": gas.heat_capacity,
    }


def _spectra(prediction: MoleculePrediction) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if prediction.infrared is not None:
        found["infrared"] = {"widths": prediction.infrared.widths, "table": "infrared.csv"}
    if prediction.raman is not None:
        settings = prediction.raman.settings
        conditions = {"laser": settings.laser, "temperature": settings.temperature, "detector": settings.detector}
        found["raman"] = {"widths": prediction.raman.widths, **conditions, "table": "raman.csv"}
    return found
