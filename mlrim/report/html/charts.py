"""The line charts of the page: which columns of which table they show."""

from dataclasses import asdict, dataclass
from typing import Any

from mlrim.report.prediction import Prediction


@dataclass(frozen=True)
class Line:
    """One curve: its name and its column."""

    label: str
    column: str


@dataclass(frozen=True)
class Chart:
    """Curves that share their axes.

    Attributes:
        name: identifier in the page.
        section: section of the page.
        title: heading.
        table: table that holds the columns.
        x: column of the abscissa.
        level: height of a dashed line, with its label.
        reverse: the abscissa runs from right to left, as in infrared spectra.
        note: text below.
    """

    name: str
    section: str
    title: str
    table: str
    x: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    level: tuple[float, str] | None = None
    reverse: bool = False
    note: str = ""

    def as_data(self) -> dict[str, Any]:
        """As plain data for the scripts of the page."""
        return asdict(self)


def charts(prediction: Prediction) -> list[Chart]:
    """Every chart for which the prediction has numbers."""
    return thermal_charts(prediction)


def thermal_charts(prediction: Prediction) -> list[Chart]:
    """Energies, and entropy with heat capacity, against temperature."""
    temperature = ("temperature_k", "temperature (K)")
    return [
        Chart(
            "thermal-energies",
            "thermal",
            "Free energy and internal energy",
            "thermal",
            *temperature,
            "kJ per mole of cells",
            (Line("F", "free_energy_kj_per_mol"), Line("E", "energy_kj_per_mol")),
        ),
        Chart(
            "thermal-capacities",
            "thermal",
            "Heat capacity and entropy",
            "thermal",
            *temperature,
            "J/K per mole of cells",
            (Line("C<sub>v</sub>", "heat_capacity_j_per_k_mol"), Line("S", "entropy_j_per_k_mol")),
            level=(prediction.thermal.heat_capacity_limit, "3Nk"),
        ),
    ]
