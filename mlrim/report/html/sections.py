"""The sections of the page below the modes and bands: what each shows, or why it is not there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlrim.report.html.charts import Chart
from mlrim.report.html.formats import number
from mlrim.report.prediction import Prediction


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: identifier in the page.
        title: heading.
        charts: its line charts.
        body: template that follows the charts.
        notes: paragraphs before them.
        absent: one line that says why there is nothing to show.
    """

    name: str
    title: str
    charts: Sequence[Chart] = ()
    body: str | None = None
    notes: Sequence[str] = ()
    absent: str | None = None


@dataclass(frozen=True)
class Check:
    """An item of the quality line."""

    label: str
    value: str
    good: bool


@dataclass(frozen=True)
class Column:
    """A column of the Γ table beyond those that every crystal has.

    Attributes:
        values: number of every row, by row number; rows without a number stay empty.
    """

    title: str
    unit: str
    values: dict[int, float] = field(default_factory=dict)
    digits: int = 4

    def sort_value(self, row: int) -> str:
        """What the table is sorted by."""
        return repr(float(self.values[row])) if row in self.values else ""

    def text(self, row: int) -> str:
        """What the table shows."""
        return number(self.values[row], self.digits) if row in self.values else ""


def sections(prediction: Prediction, figures: Sequence[Chart]) -> list[Section]:
    """The sections in their order."""
    return [response_section(prediction), thermal_section(figures)]


def response_section(prediction: Prediction) -> Section:
    """Born charges and ε∞."""
    title = "Born charges and dielectric constant"
    if prediction.dynamics.dipole is None:
        return Section("response", title, absent=f"No long-range part ({prediction.long_range}): no LO–TO splitting.")
    return Section("response", title, body="response.html")


def thermal_section(figures: Sequence[Chart]) -> Section:
    """Energies, entropy and heat capacity."""
    charts = [chart for chart in figures if chart.section == "thermal"]
    return Section("thermal", "Thermal properties", charts, body="thermal.html")


def quality_line(prediction: Prediction) -> list[Check]:
    """How far the raw numbers were from what symmetry and stability ask for."""
    gamma, thermal = prediction.gamma, prediction.thermal
    checks = [
        Check(f"{name.replace('_', ' ')} residual", f"{number(value, 2)} eV/Å²", True)
        for name, value in prediction.residuals.items()
    ]
    checks.append(Check("symmetry residual at Γ", f"{number(gamma.symmetry_residual, 2)} eV/Å²/amu", True))
    checks.append(Check("imaginary optical modes at Γ", str(gamma.n_imaginary), gamma.n_imaginary == 0))
    share = f"{100 * thermal.imaginary_share:.2g} %"
    checks.append(Check("imaginary modes on the mesh", share, thermal.imaginary_modes == 0))
    return checks


def origin(prediction: Prediction, facts: dict) -> list[tuple[str, str]]:
    """Where the numbers come from, as rows of a table."""
    mesh = " × ".join(str(count) for count in prediction.mesh.mesh)
    rows = [
        ("structure", prediction.source),
        ("force constants", prediction.model),
        ("Born charges, ε∞", prediction.long_range),
        ("mesh of wave vectors", mesh),
        ("mlrim", _program(facts)),
        ("made", str(facts["time"])),
        ("command", " ".join(facts["command"])),
    ]
    shown = ("numpy", "scipy", "torch", "phonopy", "spglib", "seekpath")
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if name in shown)
    return [*rows, ("libraries", f"Python {facts['python']}, {versions}")]


def _program(facts: dict) -> str:
    git = facts["git"]
    if git is None:
        return str(facts["mlrim"])
    return f"{facts['mlrim']}, commit {git['commit'][:10]}{' with changes' if git['modified'] else ''}"
