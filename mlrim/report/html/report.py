"""report.html: everything about one prediction in one file that opens without a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mlrim
from mlrim.provenance import provenance
from mlrim.report.formula import chemical_formula
from mlrim.report.html.charts import AXES, Tables
from mlrim.report.html.document import embedded_json, render
from mlrim.report.html.formats import html_label
from mlrim.report.html.gamma_table import gamma_rows, intensity_columns
from mlrim.report.html.scene import scene
from mlrim.report.html.sections import Section, origin, quality_line, sections
from mlrim.report.prediction import Prediction
from mlrim.report.summary import summary
from mlrim.report.tables import tables
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.thermal import ThermalProperties

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
    columns = tables(prediction)
    parts = sections(prediction, columns)
    data = page_data(prediction, columns, parts)
    return render(
        "report.html",
        SCRIPTS,
        version=mlrim.__version__,
        prediction=prediction,
        crystal=prediction.dynamics.crystal,
        formula=chemical_formula(prediction.dynamics.crystal),
        axis_names=AXES,
        elements=data["scene"]["crystal"]["elements"],
        rows=gamma_rows(prediction.gamma),
        intensities=intensity_columns(columns["modes"]),
        imaginary=float(prediction.dispersion.frequencies.min()) * THZ_TO_CM1 < -1,
        quality=quality_line(prediction),
        sections=parts,
        thermal_rows=thermal_rows(prediction.thermal),
        tables=list(columns),
        origin=origin(prediction, provenance()),
        data=embedded_json(data),
        summary=embedded_json(summary(prediction), digits=10),
    )


def page_data(prediction: Prediction, columns: Tables, parts: Sequence[Section]) -> dict[str, Any]:
    """What the scripts of the page read."""
    path = prediction.dispersion.path
    return {
        "name": prediction.name,
        "scene": scene(prediction),
        "segments": [[segment.start, segment.stop] for segment in path.segments],
        "labels": [[html_label(first), html_label(last)] for first, last in path.labels],
        "elements": list(prediction.density_of_states.projected),
        "charts": [chart.as_data() for part in parts for chart in part.charts],
        "tables": columns,
    }


def thermal_rows(thermal: ThermalProperties) -> list[tuple[float, ...]]:
    """T, F, E, S, C_v at a few temperatures."""
    wanted = [
        np.flatnonzero(np.isclose(thermal.temperatures, value)) for value in (0, 100, 200, 298.15, 500, 750, 1000)
    ]
    columns = (thermal.temperatures, thermal.free_energy, thermal.energy, thermal.entropy, thermal.heat_capacity)
    return [tuple(float(column[found[0]]) for column in columns) for found in wanted if len(found)]
