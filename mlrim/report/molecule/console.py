"""What predict.py shows of a molecule on the terminal."""

from typing import TYPE_CHECKING

from mlrim.report.molecule.prediction import MoleculePrediction
from mlrim.report.molecule.tables import molecule_mode_columns

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

INTENSITIES = {
    "ir_intensity_km_per_mol": ("IR", ".1f"),
    "raman_activity_a4_per_amu": ("Raman", ".3g"),
    "depolarization_ratio": ("depol.", ".2f"),
}


def show_molecule(prediction: MoleculePrediction, console: "Console") -> None:
    """The table of modes, the geometry, checks, notes and warnings."""
    if console.quiet:
        return
    console.print(mode_table(prediction))
    for line in fact_lines(prediction):
        console.print(line, highlight=False, markup=False)
    for name, reason in prediction.absent.items():
        console.print(f"no {name}: {reason}", highlight=False, markup=False)
    for note in prediction.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    for warning in prediction.warnings:
        console.print("[yellow]warning:[/yellow]", warning, highlight=False)


def mode_table(prediction: MoleculePrediction) -> "Table":
    """Every frequency with its irrep, activity and known intensities."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    columns = molecule_mode_columns(prediction)
    shown = {name: style for name, style in INTENSITIES.items() if name in columns}
    title = f"{prediction.formula} ({prediction.vibrations.group.symbol}), vibrations: {prediction.model}"
    caption = "IR: km/mol; Raman: activity 45a² + 7γ², Å⁴/amu; sums over degenerate modes" if shown else None
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), collapse_padding=True, caption=caption)
    for header in ("cm⁻¹", "deg.", "irrep", "activity", *(header for header, _ in shown.values())):
        table.add_column(header, justify="left" if header in ("irrep", "activity") else "right", no_wrap=True)
    for row, mode in enumerate(prediction.vibrations.modes):
        values = [(columns[name][row], style) for name, (_, style) in shown.items()]
        cells = ["" if value is None else f"{value:{style}}" for value, style in values]
        table.add_row(f"{mode.frequency_cm1:.1f}", str(mode.degeneracy), mode.irrep.symbol, mode.activity, *cells)
    return table


def fact_lines(prediction: MoleculePrediction) -> list[str]:
    """Geometry, zero-point energy and what translations and rotations got."""
    gas, external = prediction.gas, prediction.vibrations.external_cm1
    relaxation = prediction.relaxation
    geometry = "as given" if relaxation is None else f"relaxed, atoms moved by up to {relaxation.moved:.2g} Å"
    lines = [
        f"geometry: {geometry}; largest force {prediction.residual:.1e} eV/Å, energy {prediction.energy:.6f} eV",
        f"vibrations: {prediction.vibrations.representation}; zero-point energy {gas.zero_point_energy:.2f} kJ/mol",
        f"translations and rotations before they were projected out: up to {abs(external).max():.1f} cm⁻¹",
    ]
    return lines + ([f"derivatives: {prediction.derivatives.source}"] if prediction.derivatives.source else [])
