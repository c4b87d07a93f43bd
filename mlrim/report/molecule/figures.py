"""Figures of a molecule: its modes by activity, its spectra, its thermochemistry."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlrim.report.drawing import ELEMENT_COLOURS, new_figure, save_figures
from mlrim.report.molecule.prediction import MoleculePrediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = ("IR", "Raman", "IR+Raman", "silent")
LABELLED = 0.03
"""Lines stronger than this share of the strongest one have their irrep written at them."""


def write_molecule_figures(
    prediction: MoleculePrediction, folder: Path, formats: Sequence[str] = ("svg", "png")
) -> list[Path]:
    """Draw modes and thermochemistry, and the spectra there are; the paths written."""
    figures = {"modes": modes_figure(prediction), "thermal": thermal_figure(prediction)}
    if prediction.infrared is not None:
        figures["infrared"] = infrared_figure(prediction)
    if prediction.raman is not None:
        figures["raman"] = raman_figure(prediction)
    return save_figures(figures, folder, formats)


def modes_figure(prediction: MoleculePrediction) -> "Figure":
    """Every frequency as a line in the row of its activity, with its irrep."""
    figure, axes = new_figure(1, size=(8.0, 2.8))
    for height, (activity, colour) in enumerate(zip(ROWS, ELEMENT_COLOURS, strict=False)):
        for mode in prediction.vibrations.modes:
            if mode.activity == activity:
                axes.plot([mode.frequency_cm1] * 2, [height + 0.1, height + 0.62], color=colour, lw=1.4)
                label = (mode.frequency_cm1, height + 0.66)
                axes.annotate(mode.irrep.symbol, label, ha="center", va="bottom", fontsize=7)
    axes.set_yticks(np.arange(len(ROWS)) + 0.35, ROWS)
    axes.set(xlabel="wavenumber (cm⁻¹)", ylim=(0, len(ROWS)))
    group = prediction.vibrations.group.symbol
    axes.set_title(f"{prediction.formula}, {group}: {prediction.model}", fontsize=9)
    return figure


def thermal_figure(prediction: MoleculePrediction) -> "Figure":
    """Enthalpy, Gibbs energy, entropy and heat capacity of the gas against temperature."""
    gas = prediction.gas
    figure, (energies, capacities) = new_figure(2, size=(8.0, 3.6))
    energies.plot(gas.temperatures, gas.enthalpy, label="H")
    energies.plot(gas.temperatures, gas.gibbs_energy, label="G")
    energies.set(xlabel="T (K)", ylabel="kJ/mol above the minimum of the potential")
    capacities.plot(gas.temperatures, gas.heat_capacity_at_constant_pressure, label="$C_p$")
    capacities.plot(gas.temperatures, gas.entropy, label="S")
    capacities.set(xlabel="T (K)", ylabel="J/K/mol")
    for axes in (energies, capacities):
        axes.legend(frameon=False)
    return figure


def infrared_figure(prediction: MoleculePrediction) -> "Figure":
    """Molar absorption of the gas with its lines."""
    infrared = prediction.infrared
    assert infrared is not None
    figure, axes = new_figure(1, size=(7.0, 3.6))
    axes.plot(infrared.wavenumbers, infrared.absorption, color="black", lw=1.1)
    axes.set(xlabel="wavenumber (cm⁻¹)", ylabel="L mol⁻¹ cm⁻¹ (napierian)", ylim=(0, None))
    sticks = axes.twinx()
    draw_sticks(sticks, prediction, infrared.intensities)
    sticks.set_ylabel("km/mol", color=ELEMENT_COLOURS[0])
    return figure


def raman_figure(prediction: MoleculePrediction) -> "Figure":
    """Raman spectrum of the gas in both polarisations."""
    raman = prediction.raman
    assert raman is not None
    figure, axes = new_figure(1, size=(7.0, 3.6))
    axes.plot(raman.wavenumbers, raman.total, color="black", lw=1.1, label="total")
    axes.plot(raman.wavenumbers, raman.parallel, color=ELEMENT_COLOURS[1], lw=0.9, label="parallel (HH)")
    axes.plot(raman.wavenumbers, raman.crossed, color=ELEMENT_COLOURS[0], lw=0.9, label="crossed (HV)")
    axes.set(xlabel="Raman shift (cm⁻¹)", ylabel="cm² sr⁻¹ per cm⁻¹ and molecule", ylim=(0, None))
    axes.set_title(raman.label, fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    return figure


def draw_sticks(axes: "Axes", prediction: MoleculePrediction, strengths: np.ndarray) -> None:
    """Lines of given strengths with the irreps of the strong ones."""
    strongest = max(float(strengths.max(initial=0.0)), 1e-300)
    for mode, strength in zip(prediction.vibrations.modes, strengths, strict=True):
        if strength > 1e-3 * strongest and mode.frequency_cm1 > 0:
            axes.vlines(mode.frequency_cm1, 0, strength, color=ELEMENT_COLOURS[0], lw=1)
            if strength > LABELLED * strongest:
                axes.annotate(mode.irrep.symbol, (mode.frequency_cm1, strength), ha="center", va="bottom", fontsize=7)
    axes.set_ylim(0, 1.1 * strongest)
