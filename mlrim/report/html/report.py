"""report.html: everything about one prediction in one file that opens without a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

import mlrim
from mlrim.provenance import provenance
from mlrim.report.html.charts import Chart, charts
from mlrim.report.html.document import embedded_json, render
from mlrim.report.html.formats import html_label
from mlrim.report.html.scene import scene
from mlrim.report.html.sections import Section, origin, quality_line, sections
from mlrim.report.html.tables import download_tables, gamma_extras, gamma_rows
from mlrim.report.prediction import Prediction
from mlrim.report.summary import summary
from mlrim.units import THZ_TO_CM1

SCRIPTS = (
    "vendor/3Dmol-min.js",
    "vendor/plotly-basic.min.js",
    "static/start.js",
    "static/sorting.js",
    "static/downloads.js",
    "static/charts.js",
    "static/dispersion.js",
    "static/crystal.js",
    "static/animation.js",
    "static/report.js",
)


def write_report(prediction: Prediction, folder: Path) -> Path:
    """Write report.html into a folder; the path of the file."""
    path = folder / "report.html"
    path.write_text(report(prediction), encoding="utf-8")
    return path


def report(prediction: Prediction) -> str:
    """The page as text."""
    figures = charts(prediction)
    parts = sections(prediction, figures)
    data = page_data(prediction, figures)
    return render(
        "report.html",
        SCRIPTS,
        version=mlrim.__version__,
        prediction=prediction,
        crystal=prediction.dynamics.crystal,
        dipole=prediction.dynamics.dipole,
        born=born_rows(prediction),
        elements=data["scene"]["crystal"]["elements"],
        rows=gamma_rows(prediction.gamma),
        gamma_extras=gamma_extras(prediction),
        highest_cm1=float(prediction.mesh.frequencies.max()) * THZ_TO_CM1,
        imaginary=float(prediction.dispersion.frequencies.min()) * THZ_TO_CM1 < -1,
        quality=quality_line(prediction),
        sections=parts,
        contents=contents(parts),
        thermal_rows=thermal_rows(prediction),
        tables=list(data["tables"]),
        origin=origin(prediction, provenance()),
        data=embedded_json(data),
        summary=embedded_json(summary(prediction), digits=10),
    )


def contents(parts: Sequence[Section]) -> list[tuple[str, str]]:
    """Targets and labels of the navigation."""
    return [("modes", "Modes"), ("bands", "Dispersion"), *((part.name, part.title) for part in parts), ("data", "Data")]


def born_rows(prediction: Prediction) -> list[tuple[str, Float[ndarray, "3 3"]]]:
    """Symbol and Born charge of every atom."""
    dipole = prediction.dynamics.dipole
    if dipole is None:
        return []
    return list(zip(prediction.dynamics.crystal.symbols, dipole.born_charges, strict=True))


def page_data(prediction: Prediction, figures: Sequence[Chart]) -> dict[str, Any]:
    """What the scripts of the page read."""
    path = prediction.dispersion.path
    return {
        "name": prediction.name,
        "formula": prediction.dynamics.crystal.reduced_formula,
        "scene": scene(prediction),
        "segments": [[segment.start, segment.stop] for segment in path.segments],
        "labels": [[html_label(first), html_label(last)] for first, last in path.labels],
        "elements": list(prediction.density_of_states.projected),
        "charts": [chart.as_data() for chart in figures],
        "tables": download_tables(prediction),
    }


def thermal_rows(prediction: Prediction) -> list[tuple[float, ...]]:
    """T, F, E, S, C_v at a few temperatures."""
    thermal = prediction.thermal
    wanted = [
        np.flatnonzero(np.isclose(thermal.temperatures, value)) for value in (0, 100, 200, 298.15, 500, 750, 1000)
    ]
    columns = (thermal.temperatures, thermal.free_energy, thermal.energy, thermal.entropy, thermal.heat_capacity)
    return [tuple(float(column[found[0]]) for column in columns) for found in wanted if len(found)]
