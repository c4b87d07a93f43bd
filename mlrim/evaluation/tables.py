"""The tables of an evaluation: per compound, overall, by crystal system and anion, and the benchmark crystals."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlrim.evaluation.compare import Failure
from mlrim.evaluation.metrics import FLAGS, UNITS
from mlrim.evaluation.statistics import Row, StabilityScores, grouped, stability_scores, statistics
from mlrim.output_folder import writing_to

if TYPE_CHECKING:
    from rich.table import Table

DESCRIPTION = ("model", "id", "formula", "space_group", "crystal_system", "anion", "n_atoms")
BENCHMARK_IDS = ("mp-1265", "mp-22862", "mp-2741", "mp-2133", "mp-2657", "mp-1143", "mp-5020", "mp-5986")
"""MgO, NaCl, CaF2, ZnO wurtzite, TiO2 rutile, Al2O3, BaTiO3 R3m and P4mm in the phonon database."""


def write_evaluation(
    rows: Sequence[Row], failures: Sequence[Failure], folder: Path, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Write compounds.csv, failures.csv, metrics.csv, benchmarks.csv and metrics.json, all or none.

    Returns the content of metrics.json.
    """
    with writing_to(folder, "free some space or choose another out=…"):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=folder) as temporary:
            content = _write_tables(rows, failures, Path(temporary), settings)
            for path in Path(temporary).iterdir():
                path.replace(folder / path.name)
    return content


def _write_tables(
    rows: Sequence[Row], failures: Sequence[Failure], folder: Path, settings: Mapping[str, Any]
) -> dict[str, Any]:
    write_rows(folder / "compounds.csv", rows, [*DESCRIPTION, *UNITS, *FLAGS])
    write_rows(folder / "failures.csv", [failure._asdict() for failure in failures], Failure._fields)
    summary = summarise(rows)
    write_rows(folder / "metrics.csv", summary, list(summary[0]) if summary else [])
    benchmarks = benchmark_rows(rows)
    write_rows(folder / "benchmarks.csv", benchmarks, [*DESCRIPTION, *UNITS, *FLAGS])
    content = {
        "settings": dict(settings),
        "units": UNITS,
        "overall": overall(rows),
        "stability": {model: scores_of(part)._asdict() for model, part in grouped(rows, "model").items()},
        "failures": len(failures),
    }
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    return content


def summarise(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One row per model, group (all, crystal system, anion) and metric."""
    summary = []
    for model, part in sorted(grouped(rows, "model").items()):
        groups = {"all": part}
        groups |= {f"crystal_system={name}": members for name, members in grouped(part, "crystal_system").items()}
        groups |= {f"anion={name}": members for name, members in grouped(part, "anion").items()}
        for group, members in groups.items():
            for metric, unit in UNITS.items():
                values = [row[metric] for row in members if metric in row]
                if values:
                    summary.append(
                        {"model": model, "group": group, "metric": metric, "unit": unit, **statistics(values)._asdict()}
                    )
            scores = scores_of(members)
            summary.append(
                {"model": model, "group": group, "metric": "imaginary_f1", "unit": "1", "compounds": scores.compounds}
                | {"mean": scores.f1}
            )
    return summary


def overall(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """Model → metric → statistics over all compounds."""
    return {
        model: {metric: statistics([row[metric] for row in part if metric in row])._asdict() for metric in UNITS}
        for model, part in grouped(rows, "model").items()
    }


def scores_of(rows: Sequence[Row]) -> StabilityScores:
    """How well a model tells unstable compounds from stable ones."""
    return stability_scores(*([row[flag] for row in rows] for flag in FLAGS))


def benchmark_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows of the benchmark crystals, in the order of `BENCHMARK_IDS`."""
    order = {name: position for position, name in enumerate(BENCHMARK_IDS)}
    return sorted((row for row in rows if row["id"] in order), key=lambda row: (order[row["id"]], row["model"]))


def overview_table(content: Mapping[str, Any]) -> "Table":
    """Mean, median and trimmed mean of every metric for every model, for the terminal."""
    from rich.table import Table

    models = list(content["overall"])
    table = Table(title="mean [95 % interval] / median / trimmed mean over compounds")
    table.add_column("metric")
    for model in models:
        table.add_column(_short(model), justify="right")
    for metric, unit in UNITS.items():
        cells = [_cell(content["overall"][model][metric]) for model in models]
        table.add_row(f"{metric} ({unit})", *cells)
    scores = [content["stability"][model] for model in models]
    table.add_row(
        "imaginary_f1", *[f"{one['f1']:.2f} ({one['unstable']} of {one['compounds']} unstable)" for one in scores]
    )
    return table


def benchmark_table(rows: Sequence[Row]) -> "Table | None":
    """Γ optical MAE of the benchmark crystals for every model; none when none of them was evaluated."""
    from rich.table import Table

    chosen = benchmark_rows(rows)
    if not chosen:
        return None
    models = sorted({str(row["model"]) for row in chosen})
    table = Table(title="benchmark crystals: Γ optical MAE (cm⁻¹)")
    for header in ("crystal", "id", *map(_short, models)):
        table.add_column(header)
    for name, members in grouped(chosen, "id").items():
        values = {row["model"]: row.get("gamma_optical_mae", math.nan) for row in members}
        first = members[0]
        label = f"{first['formula']} ({first['space_group']})"
        table.add_row(label, name, *[f"{values.get(model, math.nan):.1f}" for model in models])
    return table


def write_rows(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Rows as comma-separated values; a metric that does not apply is an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(columns), extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{v:.8g}" if isinstance(v, float) else v for key, v in row.items()})


def _short(model: str) -> str:
    """The last part of a path."""
    return model.rsplit("/", maxsplit=1)[-1]


def _cell(values: Mapping[str, float]) -> str:
    if not values["compounds"]:
        return "–"
    return (
        f"{values['mean']:.3g} [{values['mean_low']:.3g}, {values['mean_high']:.3g}] / "
        f"{values['median']:.3g} / {values['trimmed_mean']:.3g}"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
