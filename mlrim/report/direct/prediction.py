"""Everything a direct model says of one crystal, as one immutable value that tables, figures and pages read."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.disorder import in_words
from mlrim.graph.structure_graph import SiteOccupancy
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import SpaceGroup
from mlrim.report.formula import chemical_formula
from mlrim.uncertainty.estimate import Estimate
from mlrim.uncertainty.training_domain import Domain
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.density_of_states import DensityOfStates
from mlrim.vibrations.dispersion import Dispersion
from mlrim.vibrations.thermal import ThermalProperties

IMAGINARY = -1.0
"""Modes below this (cm⁻¹) are imaginary; between it and zero lies rounding."""


@dataclass(frozen=True)
class DirectLevel:
    """One frequency at Γ.

    Attributes:
        frequency_cm1: signed, cm⁻¹.
        degeneracy: number of modes with this frequency.
        acoustic: the three translations.
        error_cm1: standard error, cm⁻¹; none where it is not known.
    """

    frequency_cm1: float
    degeneracy: int
    acoustic: bool
    error_cm1: float | None


@dataclass(frozen=True, eq=False)
class DirectSpectrum:
    """A powder spectrum.

    Attributes:
        wavenumbers: centres of the bins, cm⁻¹.
        values: infrared km/mol per cm⁻¹ and mole of primitive cells; Raman relative to the maximum.
        total: integrated infrared intensity, km per mole of primitive cells; none of Raman spectra.
        width: FWHM of the lines that were trained on, cm⁻¹.
    """

    wavenumbers: Float[ndarray, "grid"]
    values: Float[ndarray, "grid"]
    total: float | None
    width: float


@dataclass(frozen=True, eq=False)
class DirectPrediction:
    """Vibrations straight from the structure.

    Attributes:
        name: name of the structure and of its folder.
        source: where the structure came from.
        model: what predicted it, in words.
        crystal: primitive cell; on shared sites the main element with averaged masses.
        occupancy: what is on shared sites; none of an ordered crystal.
        space_group: symmetry.
        levels: frequencies at Γ.
        dispersion: bands along the standard path.
        dispersion_error: standard error of every band, THz.
        velocities: group velocities along the path, km/s, Cartesian.
        density_of_states: total and of every element.
        density_error: standard error of the total, states per THz.
        density_source: what the density was made of, in words.
        thermal: thermal properties that follow from it.
        scalars: single numbers by name.
        stability: probability that no mode is imaginary.
        infrared, raman: powder spectra.
        domain: how far the crystal is from what was trained on; none for a bare checkpoint.
        error_source: what the errors are, in words; none without any.
        absent: why a quantity is missing, by name.
        notes: what was done to the structure.
        warnings: what a reader has to know before using the numbers.
    """

    name: str
    source: str
    model: str
    crystal: Crystal
    occupancy: SiteOccupancy | None
    space_group: SpaceGroup
    levels: list[DirectLevel] | None = None
    dispersion: Dispersion | None = None
    dispersion_error: Float[ndarray, "qpoints modes"] | None = None
    velocities: Float[ndarray, "qpoints modes 3"] | None = None
    density_of_states: DensityOfStates | None = None
    density_error: Float[ndarray, "grid"] | None = None
    density_source: str = ""
    thermal: ThermalProperties | None = None
    scalars: dict[str, Estimate] = field(default_factory=dict)
    stability: float | None = None
    infrared: DirectSpectrum | None = None
    raman: DirectSpectrum | None = None
    domain: Domain | None = None
    error_source: str | None = None
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def formula(self) -> str:
        """Composition of a formula unit; of a mixed crystal that of the primitive cell with fractions."""
        if self.occupancy is None:
            return chemical_formula(self.crystal)
        from ase.data import chemical_symbols

        totals: dict[str, float] = {}
        for number, share in zip(self.occupancy.numbers, self.occupancy.shares, strict=True):
            symbol = chemical_symbols[number]
            totals[symbol] = totals.get(symbol, 0.0) + float(share)
        return "".join(f"{symbol}{'' if abs(n - 1) < 1e-6 else f'{n:.4g}'}" for symbol, n in totals.items())

    @property
    def sites(self) -> list[str]:
        """What is on every site."""
        from ase.data import chemical_symbols

        if self.occupancy is None:
            return self.crystal.symbols
        found: list[dict[str, float]] = [{} for _ in range(self.crystal.n_atoms)]
        for number, share, site in zip(*self.occupancy.parts, strict=True):
            found[site][chemical_symbols[number]] = float(share)
        return [next(iter(site)) if len(site) == 1 else in_words(site) for site in found]

    @property
    def highest_cm1(self) -> float | None:
        """The highest frequency of what was predicted, cm⁻¹."""
        if self.dispersion is not None:
            return float(self.dispersion.frequencies.max()) * THZ_TO_CM1
        return self.scalars["highest_frequency"].value if "highest_frequency" in self.scalars else None

    @property
    def n_imaginary(self) -> int:
        """Imaginary modes at Γ."""
        return sum(level.degeneracy for level in self.levels or [] if level.frequency_cm1 < IMAGINARY)


def last_visible(wavenumbers: Float[ndarray, "grid"], values: Float[ndarray, "grid"]) -> float:
    """Where a curve has nothing more to show, a little beyond the last value above half a per cent of its maximum.

    >>> last_visible(np.array([100.0, 200.0, 300.0]), np.array([1.0, 0.5, 1e-4]))
    230.0
    """
    return round(1.15 * float(wavenumbers[values > 0.005 * values.max()].max()), 6)


def levels_of(
    frequencies: Float[ndarray, "modes"], errors: Float[ndarray, "modes"] | None, tolerance: float = 0.05
) -> list[DirectLevel]:
    """Frequencies at Γ (cm⁻¹, ascending, three of them exactly zero), degenerate ones together.

    >>> [(level.frequency_cm1, level.degeneracy) for level in levels_of(np.array([0, 0, 0, 99.0, 99.0, 300.0]), None)]
    [(0.0, 3), (99.0, 2), (300.0, 1)]
    """
    acoustic = np.sort(np.argsort(np.abs(frequencies), kind="stable")[:3])
    rest = np.setdiff1d(np.arange(len(frequencies)), acoustic)
    starts = np.flatnonzero(np.diff(frequencies[rest], prepend=-np.inf) > tolerance)
    groups = [acoustic, *np.split(rest, starts[1:])] if len(rest) else [acoustic]
    levels = [
        DirectLevel(
            float(frequencies[group].mean()),
            len(group),
            group is acoustic,
            None if errors is None or group is acoustic else float(errors[group].mean()),
        )
        for group in groups
    ]
    return sorted(levels, key=lambda level: level.frequency_cm1)
