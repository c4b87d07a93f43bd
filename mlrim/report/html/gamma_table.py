"""The rows of the Γ table of the page, and its columns of intensities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlrim.report.html.formats import frequency, number
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import GammaModes

INTENSITIES = {
    "frequency_error_cm1": ("±", "cm⁻¹"),
    "ir_intensity_km_per_mol": ("IR", "km/mol"),
    "raman_activity_a4_per_amu": ("Raman", "Å⁴/amu"),
    "depolarization_ratio": ("depol.", ""),
}
"""Headings and units of the columns of modes.csv that the page shows."""


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

    @property
    def imaginary(self) -> bool:
        """An unstable optical mode."""
        return self.frequency_cm1 < -0.05 and self.kind != "acoustic"


@dataclass(frozen=True)
class IntensityColumn:
    """A column of intensities.

    Attributes:
        values: by row number; rows without a number stay empty.
    """

    title: str
    unit: str
    values: dict[int, float] = field(default_factory=dict)

    def sort_value(self, row: int) -> str:
        """What the table is sorted by."""
        return repr(self.values[row]) if row in self.values else ""

    def text(self, row: int) -> str:
        """What the table shows."""
        if row not in self.values:
            return ""
        value = self.values[row]
        return "0" if abs(value) < 1e-6 else number(value, 3)


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


def intensity_columns(modes: Mapping[str, Any]) -> list[IntensityColumn]:
    """The intensities in the table of modes, for those that it has."""
    return [
        IntensityColumn(title, unit, {row: float(value) for row, value in enumerate(modes[name], 1) if _known(value)})
        for name, (title, unit) in INTENSITIES.items()
        if name in modes
    ]


def _known(value: float | None) -> bool:
    return value is not None and value == value


def _kind(kind: str, activity: str, polar: bool) -> str:
    return "TO" if polar and kind == "optical" and "IR" in activity else kind
