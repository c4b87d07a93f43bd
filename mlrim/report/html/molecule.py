"""report.html of a molecule: everything about one prediction in one file that opens without a network."""

from pathlib import Path
from typing import Any

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

import mlrim
from mlrim.provenance import provenance
from mlrim.report.html.charts import Chart, Line
from mlrim.report.html.document import embedded_json, render
from mlrim.report.html.formats import number
from mlrim.report.html.gamma_table import GammaRow, intensity_columns
from mlrim.report.html.report import SCRIPTS
from mlrim.report.html.scene import aligned, hex_colour, moving_mode
from mlrim.report.html.sections import Check, Section, program
from mlrim.report.molecule.prediction import MoleculePrediction
from mlrim.report.molecule.summary import molecule_summary
from mlrim.report.molecule.tables import molecule_tables

SHOWN_TEMPERATURES = (0, 100, 200, 298.15, 500, 750, 1000)


def write_molecule_report(prediction: MoleculePrediction, folder: Path) -> Path:
    """Write report.html into a folder; the path of the file."""
    path = folder / "report.html"
    path.write_text(molecule_report(prediction), encoding="utf-8")
    return path


def molecule_report(prediction: MoleculePrediction) -> str:
    """The page as text."""
    tables = molecule_tables(prediction)
    parts = molecule_sections(prediction)
    scene = molecule_scene(prediction)
    data = {
        "name": prediction.name,
        "scene": scene,
        "charts": [chart.as_data() for part in parts for chart in part.charts],
        "tables": tables,
    }
    return render(
        "molecule.html",
        SCRIPTS,
        version=mlrim.__version__,
        prediction=prediction,
        group=prediction.vibrations.group.symbol,
        elements=scene["crystal"]["elements"],
        rows=molecule_rows(prediction),
        intensities=intensity_columns(tables["modes"]),
        quality=molecule_checks(prediction),
        sections=parts,
        gas_rows=gas_rows(prediction),
        tables=list(tables),
        origin=molecule_origin(prediction, provenance()),
        data=embedded_json(data),
        summary=embedded_json(molecule_summary(prediction), digits=10),
    )


def molecule_scene(prediction: MoleculePrediction) -> dict[str, Any]:
    """The molecule and its modes for the viewer; no lattice, no wave vectors."""
    vibrations, symbols = prediction.vibrations, prediction.symbols
    elements = {
        symbol: {"colour": hex_colour(jmol_colors[n]), "radius": float(covalent_radii[n])}
        for symbol, n in zip(symbols, prediction.numbers, strict=True)
    }
    axes = vibrations.group.axes
    centred = prediction.positions - prediction.positions.mean(axis=0)
    return {
        "crystal": {
            "symbols": symbols,
            "masses": vibrations.masses,
            "elements": elements,
            "lattice": np.eye(3),
            "fractional": centred,
            "axes": None,
        },
        "gamma": [
            moving_mode(
                mode.frequency_cm1,
                mode.irrep.symbol,
                aligned(mode.eigenvectors, axes, symbols),
                vibrations.masses,
            )
            for mode in vibrations.modes
        ],
    }


def molecule_rows(prediction: MoleculePrediction) -> list[GammaRow]:
    """One row for every frequency."""
    return [
        GammaRow(number, mode.frequency_cm1, mode.degeneracy, mode.irrep.symbol, "vibration", mode.activity)
        for number, mode in enumerate(prediction.vibrations.modes, start=1)
    ]


def molecule_checks(prediction: MoleculePrediction) -> list[Check]:
    """Checks that need no reference, doubtful ones marked."""
    external = float(np.abs(prediction.vibrations.external_cm1).max())
    residual = prediction.residual
    return [
        Check("largest force", f"{number(residual, 2)} eV/Å", residual < 1e-3),
        Check("translations and rotations before projection", f"{number(external, 2)} cm⁻¹", external < 50),
        Check("imaginary modes", str(prediction.n_imaginary), prediction.n_imaginary == 0),
    ]


def molecule_sections(prediction: MoleculePrediction) -> list[Section]:
    """Infrared, Raman and thermochemistry."""
    return [
        _infrared_section(prediction),
        _raman_section(prediction),
        Section(
            "thermal", "Thermochemistry of the gas", "Thermochemistry", _gas_charts(), body="gas.html",
            notes=["Ideal gas, rigid rotor, harmonic vibrations; energies above the minimum of the potential."],
        ),
    ]  # fmt: skip


def gas_rows(prediction: MoleculePrediction) -> list[tuple[float, ...]]:
    """T, H, G, S, C_p, and the vibrations' part of S and C_v, at a few temperatures."""
    gas = prediction.gas
    columns = (
        gas.temperatures,
        gas.enthalpy,
        gas.gibbs_energy,
        gas.entropy,
        gas.heat_capacity_at_constant_pressure,
        gas.vibrational.entropy,
        gas.vibrational.heat_capacity,
    )
    wanted = [np.flatnonzero(np.isclose(gas.temperatures, value)) for value in SHOWN_TEMPERATURES]
    return [tuple(float(column[found[0]]) for column in columns) for found in wanted if len(found)]


def molecule_origin(prediction: MoleculePrediction, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers come from, as rows of a table."""
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("numpy", "scipy", "torch"))
    derivatives = prediction.derivatives.source
    return [
        ("geometry", prediction.source),
        ("energy", prediction.model),
        *([("derivatives of dipole and polarisability", derivatives)] if derivatives else []),
        ("mlrim", program(facts)),
        ("libraries", f"Python {facts['python']}, {versions}"),
        ("command", " ".join(facts["command"])),
        ("made", str(facts["time"])),
    ]


def _infrared_section(prediction: MoleculePrediction) -> Section:
    names = ("infrared", "Infrared", "Infrared")
    if prediction.infrared is None:
        return Section(*names, absent=_reason(prediction, "infrared"))
    chart = Chart(
        "infrared-absorption", "Molar absorption of the gas", "infrared", "wavenumber_cm1", "wavenumber (cm⁻¹)",
        "L mol⁻¹ cm⁻¹ (napierian)", (Line("absorption", "molar_absorption_l_per_mol_cm"),),
        note="Without rotational structure.",
    )  # fmt: skip
    return Section(*names, [chart])


def _raman_section(prediction: MoleculePrediction) -> Section:
    names = ("raman", "Raman", "Raman")
    if prediction.raman is None:
        return Section(*names, absent=_reason(prediction, "raman"))
    suffix = "_cm2_per_sr_cm1"
    lines = (
        Line("total", f"total{suffix}"),
        Line("parallel (HH)", f"parallel{suffix}"),
        Line("crossed (HV)", f"crossed{suffix}"),
    )
    chart = Chart(
        "raman-gas", "Raman scattering of the gas", "raman", "shift_cm1", "Raman shift (cm⁻¹)",
        "cm² sr⁻¹ per cm⁻¹ and molecule", lines, note=prediction.raman.label,
    )  # fmt: skip
    return Section(*names, [chart])


def _gas_charts() -> list[Chart]:
    abscissa = ("thermal", "temperature_k", "temperature (K)")
    energies = (Line("H", "enthalpy_kj_per_mol"), Line("G", "gibbs_energy_kj_per_mol"))
    capacities = (Line("C<sub>p</sub>", "heat_capacity_cp_j_per_k_mol"), Line("S", "entropy_j_per_k_mol"))
    vibrations = (
        Line("C<sub>v</sub>", "vibrational_heat_capacity_j_per_k_mol"),
        Line("S", "vibrational_entropy_j_per_k_mol"),
    )
    return [
        Chart("thermal-energies", "Enthalpy and Gibbs energy", *abscissa, "kJ/mol", energies),
        Chart("thermal-capacities", "Heat capacity and entropy", *abscissa, "J/K/mol", capacities),
        Chart("thermal-vibrations", "The vibrations' part", *abscissa, "J/K/mol", vibrations),
    ]


def _reason(prediction: MoleculePrediction, name: str) -> str:
    return f"Not shown: {prediction.absent.get(name, 'not calculated').rstrip('.')}."
