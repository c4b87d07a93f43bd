"""The tables of the page: columns for figures and downloads, and the rows of the Γ table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlrim.report.html.formats import frequency
from mlrim.report.html.sections import Column
from mlrim.report.prediction import Prediction
from mlrim.report.tables import band_columns, directional_columns, dos_columns, modes_columns, thermal_columns
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import GammaModes


@dataclass(frozen=True)
class GammaRow:
    """One line of the Γ table.

    Attributes:
        number: position in the table, from 1; also names the animation.
        frequency_cm1: signed, cm⁻¹.
        degeneracy: number of modes with this frequency.
        irrep: Mulliken symbol.
        kind: acoustic, TO, LO with its direction, or optical.
        activity: IR, Raman, both, or silent.
    """

    number: int
    frequency_cm1: float
    degeneracy: int
    irrep: str
    kind: str
    activity: str

    @property
    def frequency_thz(self) -> float:
        """Signed, THz."""
        return self.frequency_cm1 / THZ_TO_CM1

    @property
    def title(self) -> str:
        """The mode in words."""
        return f"{self.irrep} {self.kind}, {frequency(self.frequency_cm1)} cm⁻¹"


def gamma_rows(gamma: GammaModes) -> list[GammaRow]:
    """Modes without field, then the longitudinal ones of every direction, numbered through."""
    polar = bool(gamma.directional)
    rows = [
        (mode.frequency_cm1, mode.degeneracy, mode.irrep.symbol, _kind(mode.kind, mode.activity, polar), mode.activity)
        for mode in gamma.modes
    ]
    for label, modes in gamma.directional.items():
        rows += [
            (mode.frequency_cm1, 1, mode.symbol, f"LO {label}", gamma.modes[mode.partner].activity)
            for mode in modes
            if mode.polarization == "LO"
        ]
    return [GammaRow(number, *row) for number, row in enumerate(rows, start=1)]


def download_tables(prediction: Prediction) -> dict[str, dict[str, Any]]:
    """The columns of every CSV file of the output folder, by file name without suffix."""
    tables: dict[str, Mapping[str, Any]] = {
        "modes": modes_columns(prediction.gamma),
        "bands": band_columns(prediction),
        "dos": dos_columns(prediction),
        "thermal": thermal_columns(prediction),
    }
    if prediction.gamma.directional:
        tables["lo_to"] = directional_columns(prediction.gamma)
    return {name: dict(columns) for name, columns in tables.items()}


def gamma_extras(prediction: Prediction) -> list[Column]:
    """Columns of the Γ table with intensities, where there are any."""
    return []


def _kind(kind: str, activity: str, polar: bool) -> str:
    return "TO" if polar and kind == "optical" and "IR" in activity else kind
