"""The line charts of the page: which columns of which table they show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlrim.report.prediction import Prediction
from mlrim.vibrations.thermal import ThermalProperties

Tables = Mapping[str, Mapping[str, Any]]
AXES = {
    "iso": "any direction",
    "perpendicular": "E ⊥ axis",
    "parallel": "E ∥ axis",
    **{name: f"E ∥ {name}" for name in "abc"},
    **{name: f"principal axis {name}" for name in "123"},
    **{f"face_{number}": f"chosen face, its axis {number}" for number in (1, 2)},
}


@dataclass(frozen=True)
class Line:
    """One curve: its name, its column, and whether it is dashed."""

    label: str
    column: str
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves that share their axes.

    Attributes:
        name: identifier in the page.
        title: heading.
        table: table that holds the columns.
        x: column of the abscissa.
        lines: the curves.
        level: height of a dashed line, with its label.
        start, stop: first and last abscissa shown.
        note: text below.
    """

    name: str
    title: str
    table: str
    x: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    level: tuple[float, str] | None = None
    start: float | None = None
    stop: float | None = None
    note: str = ""

    def as_data(self) -> dict[str, Any]:
        """As plain data for the scripts of the page."""
        return asdict(self)


def infrared_charts(prediction: Prediction) -> list[Chart]:
    """Absorption of a pellet, permittivity and reflectivity along every axis, lines of the oscillators."""
    infrared = prediction.infrared
    if infrared is None:
        return []
    abscissa = ("infrared", "wavenumber_cm1", "wavenumber (cm⁻¹)")
    axes = {axis: AXES.get(axis, axis) for axis in infrared.constants}
    pellet = (Line("transmission", "pellet_transmission"),)
    reflected = tuple(Line(AXES.get(axis, axis), f"reflectivity_{axis}") for axis in infrared.reflectivities)
    real = [Line(_named("ε₁", label, axes), f"epsilon1_{axis}") for axis, label in axes.items()]
    imaginary = [Line(_named("ε₂", label, axes), f"epsilon2_{axis}", dashed=True) for axis, label in axes.items()]
    losses = tuple(Line(label, f"energy_loss_{axis}") for axis, label in axes.items())
    return [
        Chart(
            "infrared-pellet", "Transmission of a pellet", *abscissa, "transmission", pellet,
            note=f"{infrared.pellet_label}.",
        ),
        Chart("infrared-reflectivity", "Reflectivity, normal incidence", *abscissa, "R", reflected),
        Chart("infrared-permittivity", "Permittivity ε(ω)", *abscissa, "ε", (*real, *imaginary), level=(0.0, "")),
        Chart("infrared-loss", "Energy loss −Im 1/ε", *abscissa, "−Im 1/ε", losses, note="Peaks at LO frequencies."),
        Chart(
            "infrared-absorption", "Absorption of the oscillators", *abscissa, "L mol⁻¹ cm⁻¹ (napierian)",
            (Line("absorption", "molar_absorption_l_per_mol_cm"),),
            note="Every TO mode with its strength and width, per mole of primitive cells, without surface effects.",
        ),
    ]  # fmt: skip


def raman_charts(prediction: Prediction) -> list[Chart]:
    """The powder in both polarisations, and single crystals in their geometries."""
    raman = prediction.raman
    if raman is None:
        return []
    abscissa = ("raman", "shift_cm1", "Raman shift (cm⁻¹)")
    unit, suffix = "cm² sr⁻¹ per cm⁻¹ and cell", "_cm2_per_sr_cm1"
    powder = (
        Line("total", f"powder_total{suffix}"),
        Line("parallel (HH)", f"powder_parallel{suffix}"),
        Line("crossed (HV)", f"powder_crossed{suffix}"),
    )
    crystal = tuple(Line(label, f"{label}{suffix}") for label in raman.geometries)
    charts = [Chart("raman-powder", "Powder", *abscissa, unit, powder, start=0.0, note=raman.label)]
    if crystal:
        charts.append(Chart("raman-crystal", "Single crystal, Porto notation", *abscissa, unit, crystal, start=0.0))
    return charts


def neutron_charts(prediction: Prediction) -> list[Chart]:
    """A spectrometer's spectrum and the neutron-weighted density of states."""
    neutrons = prediction.neutrons
    if neutrons is None:
        return []
    abscissa = ("neutrons", "energy_cm1", "energy transfer (cm⁻¹)")
    spectrum = (
        Line("all orders", "s_total_barn_per_sr_mev"),
        Line("one phonon", "s_one_phonon_barn_per_sr_mev", dashed=True),
    )
    elements = neutrons.density.projected
    parts = [Line(element, f"weighted_dos_{element}_barn_per_amu_thz") for element in elements]
    total = Line("total", "weighted_dos_barn_per_amu_thz")
    label = f"{neutrons.instrument}, {neutrons.temperature:g} K, with Debye–Waller factor and overtones."
    return [
        Chart(
            "neutrons-spectrum", "Inelastic scattering S(Q, ω)", *abscissa, "barn sr⁻¹ meV⁻¹ per cell", spectrum,
            note=label,
        ),
        Chart(
            "neutrons-density", "Neutron-weighted density of states", *abscissa, "barn amu⁻¹ THz⁻¹ per cell",
            (total, *parts),
        ),
    ]  # fmt: skip


def thermal_charts(thermal: ThermalProperties, tables: Tables) -> list[Chart]:
    """Energies, entropy with heat capacity, and thermal motion against temperature."""
    abscissa = ("thermal", "temperature_k", "temperature (K)")
    energies = (Line("F", "free_energy_kj_per_mol"), Line("E", "energy_kj_per_mol"))
    capacities = (Line("C<sub>v</sub>", "heat_capacity_j_per_k_mol"), Line("S", "entropy_j_per_k_mol"))
    limit = (thermal.heat_capacity_limit, "3Nk")
    charts = [
        Chart("thermal-energies", "Free energy and internal energy", *abscissa, "kJ per mole of cells", energies),
        Chart(
            "thermal-capacities", "Heat capacity and entropy", *abscissa, "J/K per mole of cells", capacities,
            level=limit,
        ),
    ]  # fmt: skip
    if "displacements" in tables:
        columns = [name for name in tables["displacements"] if name.startswith("u_iso_")]
        lines = tuple(Line(name.removeprefix("u_iso_").removesuffix("_a2"), name) for name in columns)
        motion = ("displacements", "temperature_k", "temperature (K)")
        charts.append(Chart("thermal-motion", "Mean-square displacement U<sub>iso</sub>", *motion, "Å²", lines))
    return charts


def _named(quantity: str, axis: str, axes: Mapping[str, str]) -> str:
    return quantity if len(axes) == 1 else f"{quantity}, {axis}"
