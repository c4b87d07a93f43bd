"""Figures of a direct prediction: bands with density of states, thermal properties, spectra."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlrim.report.direct.prediction import DirectPrediction, DirectSpectrum, last_visible
from mlrim.report.drawing import ELEMENT_COLOURS, new_figure, save_figures
from mlrim.report.figures import BAND_COLOUR, draw_thermal, path_ticks
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.dispersion import Dispersion

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_direct_figures(
    prediction: DirectPrediction, folder: Path, formats: Sequence[str] = ("svg", "png")
) -> list[Path]:
    """Draw what there is; the paths written."""
    figures: dict[str, Figure] = {}
    if prediction.dispersion is not None:
        figures["dispersion"] = dispersion_figure(prediction, prediction.dispersion)
    if prediction.density_of_states is not None:
        figures["dos"] = density_figure(prediction)
    if prediction.thermal is not None:
        figures["thermal"] = draw_thermal(prediction.thermal)
    if prediction.infrared is not None:
        figures["infrared"] = spectrum_figure(prediction.infrared, "km/mol per cm⁻¹", "wavenumber (cm⁻¹)")
    if prediction.raman is not None:
        figures["raman"] = spectrum_figure(prediction.raman, "relative intensity", "Raman shift (cm⁻¹)")
    return save_figures(figures, folder, formats)


def dispersion_figure(prediction: DirectPrediction, dispersion: Dispersion) -> "Figure":
    """Bands in cm⁻¹ along the standard path, with their errors as shades."""
    figure, axes = new_figure(1, size=(7.5, 4.6))
    frequencies, errors = dispersion.frequencies * THZ_TO_CM1, prediction.dispersion_error
    for segment in dispersion.path.segments:
        distances = dispersion.path.distances[segment]
        axes.plot(distances, frequencies[segment], color=BAND_COLOUR, lw=1)
        for band in range(frequencies.shape[1] if errors is not None else 0):
            centre, half = frequencies[segment, band], errors[segment, band] * THZ_TO_CM1  # type: ignore[index]
            axes.fill_between(distances, centre - half, centre + half, color=BAND_COLOUR, alpha=0.06, lw=0)
    ticks, labels = path_ticks(dispersion.path)
    for tick in ticks:
        axes.axvline(tick, color="black", lw=0.5)
    axes.axhline(0, color="grey", lw=0.5)
    axes.set_xticks(ticks, labels)
    axes.set_xlim(dispersion.path.distances[0], dispersion.path.distances[-1])
    axes.set_ylabel("frequency (cm⁻¹)")
    axes.set_title(f"{prediction.formula}, {prediction.space_group.symbol}: {prediction.model}", fontsize=9)
    return figure


def density_figure(prediction: DirectPrediction) -> "Figure":
    """Density of states, total with its error and by element."""
    figure, axes = new_figure(1, size=(7.0, 3.6))
    dos = prediction.density_of_states
    assert dos is not None
    wavenumbers, total = dos.frequencies * THZ_TO_CM1, dos.total / THZ_TO_CM1
    axes.plot(wavenumbers, total, color="black", lw=1.1, label="total")
    if prediction.density_error is not None:
        half = prediction.density_error / THZ_TO_CM1
        axes.fill_between(wavenumbers, np.maximum(total - half, 0), total + half, color="grey", alpha=0.3, lw=0)
    for index, (element, values) in enumerate(dos.projected.items()):
        colour = ELEMENT_COLOURS[index % len(ELEMENT_COLOURS)]
        axes.fill_between(wavenumbers, 0, values / THZ_TO_CM1, color=colour, alpha=0.5, lw=0, label=element)
    axes.set(
        xlabel="frequency (cm⁻¹)", ylabel="states per cm⁻¹", ylim=(0, None), xlim=(0, last_visible(wavenumbers, total))
    )
    axes.set_title(f"{prediction.formula}: {prediction.density_source}", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    return figure


def spectrum_figure(spectrum: DirectSpectrum, unit: str, abscissa: str) -> "Figure":
    """A powder spectrum."""
    figure, axes = new_figure(1, size=(7.0, 3.6))
    axes.plot(spectrum.wavenumbers, spectrum.values, color="black", lw=1.1)
    axes.set(
        xlabel=abscissa, ylabel=unit, ylim=(0, None), xlim=(0, last_visible(spectrum.wavenumbers, spectrum.values))
    )
    return figure
