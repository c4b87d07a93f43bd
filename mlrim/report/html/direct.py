"""report.html of a direct prediction: everything in one file that opens without a network; nothing moves in it."""

from pathlib import Path
from typing import Any

import mlrim
from mlrim.provenance import provenance
from mlrim.report.direct.prediction import DirectPrediction, last_visible
from mlrim.report.direct.summary import direct_summary
from mlrim.report.direct.tables import direct_tables
from mlrim.report.html.charts import Chart, Line, thermal_charts
from mlrim.report.html.document import embedded_json, render
from mlrim.report.html.formats import html_label, number
from mlrim.report.html.report import thermal_rows
from mlrim.report.html.sections import Check, Section, domain_checks, program
from mlrim.units import THZ_TO_CM1

SCRIPTS = (
    "vendor/plotly-basic.min.js",
    "static/start.js",
    "static/sorting.js",
    "static/downloads.js",
    "static/charts.js",
    "static/dispersion.js",
    "static/direct.js",
)


def write_direct_report(prediction: DirectPrediction, folder: Path) -> Path:
    """Write report.html into a folder; the path of the file."""
    path = folder / "report.html"
    path.write_text(direct_report(prediction), encoding="utf-8")
    return path


def direct_report(prediction: DirectPrediction) -> str:
    """The page as text."""
    tables = direct_tables(prediction)
    parts = direct_sections(prediction)
    path = None if prediction.dispersion is None else prediction.dispersion.path
    density = prediction.density_of_states
    data = {
        "name": prediction.name,
        "segments": [[segment.start, segment.stop] for segment in path.segments] if path else [],
        "labels": [[html_label(first), html_label(last)] for first, last in path.labels] if path else [],
        "elements": list(density.projected) if density else [],
        "charts": [chart.as_data() for part in parts for chart in part.charts],
        "tables": tables,
    }
    return render(
        "direct.html",
        SCRIPTS,
        version=mlrim.__version__,
        prediction=prediction,
        formula=prediction.formula,
        quality=direct_checks(prediction),
        sections=parts,
        thermal_rows=[] if prediction.thermal is None else thermal_rows(prediction.thermal),
        tables=list(tables),
        origin=direct_origin(prediction, provenance()),
        data=embedded_json(data),
        summary=embedded_json(direct_summary(prediction), digits=10),
    )


def direct_checks(prediction: DirectPrediction) -> list[Check]:
    """Checks that need no reference, doubtful ones marked."""
    checks = [] if prediction.domain is None else domain_checks(prediction.domain)
    if prediction.levels is not None:
        checks.append(Check("imaginary modes at Γ", str(prediction.n_imaginary), prediction.n_imaginary == 0))
    if prediction.stability is not None:
        value = number(prediction.stability, 2)
        checks.append(Check("probability that no mode is imaginary", value, prediction.stability > 0.5))
    return checks


def direct_sections(prediction: DirectPrediction) -> list[Section]:
    """Density of states, infrared, Raman, thermal properties, and what is not known."""
    return [
        density_section(prediction),
        spectrum_section(prediction, "infrared", "Infrared"),
        spectrum_section(prediction, "raman", "Raman"),
        thermal_section(prediction),
        Section("absent", "What a direct model does not give", "Not given", body="absent.html"),
    ]


def density_section(prediction: DirectPrediction) -> Section:
    """Density of states with its error."""
    names = ("density", "Density of states", "Density")
    if prediction.density_of_states is None:
        return Section(*names, absent=_reason(prediction, "density_of_states"))
    density = prediction.density_of_states
    lines = [Line(element, f"{element}_per_thz") for element in density.projected]
    lines.append(Line("total", "total_per_thz"))
    if prediction.density_error is not None:
        lines += [Line("lower", "lower_per_thz", dashed=True), Line("upper", "upper_per_thz", dashed=True)]
    stop = last_visible(THZ_TO_CM1 * density.frequencies, density.total)
    dashes = "" if prediction.density_error is None else " Dashed: standard error."
    chart = Chart(
        "density-of-states", "Density of states", "dos", "frequency_cm1", "frequency (cm⁻¹)", "states per THz and cell",
        tuple(lines), start=0.0, stop=stop, note=f"From: {prediction.density_source}.{dashes}",
    )  # fmt: skip
    return Section(*names, [chart])


def spectrum_section(prediction: DirectPrediction, name: str, title: str) -> Section:
    """A powder spectrum."""
    names = (name, title, title)
    spectrum = getattr(prediction, name)
    if spectrum is None:
        return Section(*names, absent=_reason(prediction, name))
    note = (
        f"Powder, lines {spectrum.width:g} cm⁻¹ wide (FWHM) without macroscopic field; there are no single modes in it."
    )
    if name == "infrared":
        axes = ("infrared", "wavenumber_cm1", "wavenumber (cm⁻¹)", "km/mol per cm⁻¹ and cell")
        line = Line("absorption", "absorption_km_per_mol_cm1")
    else:
        axes = ("raman", "shift_cm1", "Raman shift (cm⁻¹)", "relative intensity")
        line = Line("intensity", "relative_intensity")
    table, x, x_title, y_title = axes
    stop = last_visible(spectrum.wavenumbers, spectrum.values)
    chart = Chart(f"{name}-powder", "Powder", table, x, x_title, y_title, (line,), start=0.0, stop=stop, note=note)
    return Section(*names, [chart])


def thermal_section(prediction: DirectPrediction) -> Section:
    """Thermal properties, and the single numbers."""
    names = ("thermal", "Thermal properties", "Thermal")
    if prediction.thermal is None:
        return Section(*names, absent=_reason(prediction, "thermal"))
    charts = thermal_charts(prediction.thermal, {})
    return Section(*names, charts, body="thermal.html", notes=[f"From: {prediction.density_source}."])


def direct_origin(prediction: DirectPrediction, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers come from, as rows of a table."""
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("numpy", "scipy", "torch"))
    return [
        ("structure", prediction.source),
        ("model", prediction.model),
        *([("errors", prediction.error_source)] if prediction.error_source else []),
        ("mlrim", program(facts)),
        ("libraries", f"Python {facts['python']}, {versions}"),
        ("command", " ".join(facts["command"])),
        ("made", str(facts["time"])),
    ]


def _reason(prediction: DirectPrediction, name: str) -> str:
    return f"Not shown: {prediction.absent.get(name, 'not calculated').rstrip('.')}."
