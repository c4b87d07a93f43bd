"""Figures: dispersion with density of states, thermal properties, spectra (matplotlib without a display)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrim.lattice.qpath import QPath
from mlrim.report.drawing import ELEMENT_COLOURS, new_figure, save_figures
from mlrim.report.formula import chemical_formula
from mlrim.report.prediction import Prediction
from mlrim.report.spectra_figures import infrared_figure, raman_figure
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.thermal import ThermalProperties

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND_COLOUR = "#1f4e79"


def write_figures(prediction: Prediction, folder: Path, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Draw dispersion, thermal properties and the spectra there are; the paths written."""
    figures = {"dispersion": dispersion_figure(prediction), "thermal": draw_thermal(prediction.thermal)}
    if prediction.infrared is not None:
        figures["infrared"] = infrared_figure(prediction)
    if prediction.raman is not None:
        figures["raman"] = raman_figure(prediction)
    return save_figures(figures, folder, formats)


def dispersion_figure(prediction: Prediction) -> "Figure":
    """Bands in cm⁻¹ along the standard path, beside the density of states of every element."""
    figure, (bands, dos) = new_figure(2, size=(8.5, 4.6), width_ratios=(3.2, 1))
    _draw_bands(bands, prediction)
    _draw_dos(dos, prediction)
    dos.sharey(bands)
    dos.tick_params(labelleft=False)
    crystal, group = prediction.dynamics.crystal, prediction.space_group
    bands.set_title(f"{chemical_formula(crystal)}, {group.symbol}: {prediction.model}", fontsize=9)
    return figure


def draw_thermal(thermal: ThermalProperties) -> "Figure":
    """Free energy, entropy and heat capacity against temperature."""
    figure, (energies, capacities) = new_figure(2, size=(8.0, 3.6))
    energies.plot(thermal.temperatures, thermal.free_energy, label="F")
    energies.plot(thermal.temperatures, thermal.energy, label="E")
    energies.set(xlabel="T (K)", ylabel="kJ per mole of cells")
    capacities.plot(thermal.temperatures, thermal.heat_capacity, label="$C_v$")
    capacities.plot(thermal.temperatures, thermal.entropy, label="S")
    capacities.axhline(thermal.heat_capacity_limit, color="grey", lw=0.8, ls="--", label="3Nk")
    capacities.set(xlabel="T (K)", ylabel="J/K per mole of cells")
    for axes in (energies, capacities):
        axes.legend(frameon=False)
    return figure


def _draw_bands(axes: "Axes", prediction: Prediction) -> None:
    path = prediction.dispersion.path
    frequencies = prediction.dispersion.frequencies * THZ_TO_CM1
    for segment in path.segments:
        axes.plot(path.distances[segment], frequencies[segment], color=BAND_COLOUR, lw=1)
    ticks, labels = path_ticks(prediction.dispersion.path)
    for tick in ticks:
        axes.axvline(tick, color="black", lw=0.5)
    axes.axhline(0, color="grey", lw=0.5)
    axes.set_xticks(ticks, labels)
    axes.set_xlim(path.distances[0], path.distances[-1])
    axes.set_ylim(min(0.0, 1.05 * frequencies.min()), 1.05 * frequencies.max())
    axes.set_ylabel("frequency (cm⁻¹)")


def _draw_dos(axes: "Axes", prediction: Prediction) -> None:
    dos = prediction.density_of_states
    wavenumbers = dos.frequencies * THZ_TO_CM1
    axes.plot(dos.total / THZ_TO_CM1, wavenumbers, color="black", lw=0.9, label="total")
    for index, (element, values) in enumerate(dos.projected.items()):
        colour = ELEMENT_COLOURS[index % len(ELEMENT_COLOURS)]
        axes.fill_betweenx(wavenumbers, 0, values / THZ_TO_CM1, color=colour, alpha=0.5, lw=0, label=element)
    axes.set_xlim(left=0)
    axes.set_xlabel("states per cm⁻¹")
    axes.legend(frameon=False, fontsize=8)


def path_ticks(path: QPath) -> tuple[list[float], list[str]]:
    """Positions and names of the ends of segments; both names where the path jumps."""
    ticks, labels = [float(path.distances[0])], [path.labels[0][0]]
    for index, segment in enumerate(path.segments):
        name = path.labels[index][1]
        following = path.labels[index + 1][0] if index + 1 < len(path.labels) else name
        ticks.append(float(path.distances[segment][-1]))
        labels.append(name if name == following else f"{name}|{following}")
    return ticks, [_math_label(label) for label in labels]


def _math_label(label: str) -> str:
    """`X_1` as typeset index."""
    parts = [f"$\\mathrm{{{part}}}$" if "_" in part else part for part in label.split("|")]
    return "|".join(parts)
