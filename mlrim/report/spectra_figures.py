"""Figures of infrared and Raman spectra."""

from typing import TYPE_CHECKING

import numpy as np

from mlrim.report.drawing import ELEMENT_COLOURS, new_figure
from mlrim.report.mode_table import by_level, level_invariants
from mlrim.report.prediction import Prediction
from mlrim.spectra.infrared import InfraredSpectra
from mlrim.spectra.raman import RamanSpectra
from mlrim.units import OSCILLATOR_STRENGTH_TO_KM_PER_MOL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXIS_NAMES = {"iso": "", "perpendicular": "E ⊥ c", "parallel": "E ∥ c", "a": "E ∥ a", "b": "E ∥ b", "c": "E ∥ c"}
LABELLED = 0.04
"""Lines stronger than this share of the strongest one have their irrep written at them."""
MOST_LABELS = 20
DASHES = ("-", "--", ":", "-.")
"""Styles of lines when the colours are used up."""


def infrared_figure(prediction: Prediction) -> "Figure":
    """Reflectivity, permittivity, and transmission of a pellet with the lines that it is made of."""
    infrared = prediction.infrared
    assert infrared is not None
    figure, (reflection, permittivity, pellet) = new_figure(3, size=(11.0, 3.6))
    for colour, (axis, constants) in zip(ELEMENT_COLOURS, infrared.constants.items(), strict=False):
        name = AXIS_NAMES.get(axis, f"axis {axis}")
        reflection.plot(constants.grid, infrared.reflectivities[axis], color=colour, lw=1.1, label=name)
        permittivity.plot(constants.grid, constants.permittivity.real, color=colour, lw=1.1, label=f"ε₁ {name}")
        permittivity.plot(
            constants.grid, constants.permittivity.imag, color=colour, lw=0.9, ls="--", label=f"ε₂ {name}"
        )
    for label, style in (("face_1", "-"), ("face_2", "--")):
        if label in infrared.reflectivities:
            values = infrared.reflectivities[label]
            reflection.plot(
                infrared.wavenumbers, values, color="black", lw=0.9, ls=style, label=label.replace("_", " ")
            )
    reflection.set(ylabel="reflectivity", ylim=(0, 1), title="single crystal, normal incidence")
    permittivity.set(ylabel="permittivity", ylim=_permittivity_limits(infrared), title="ε(ω)")
    permittivity.axhline(0, color="grey", lw=0.5)
    _draw_pellet(pellet, prediction, infrared)
    for axes in (reflection, permittivity, pellet):
        axes.set(xlabel="wavenumber (cm⁻¹)", xlim=(infrared.wavenumbers[0], infrared.wavenumbers[-1]))
        axes.title.set_fontsize(9)
    if len(infrared.reflectivities) > 1:
        reflection.legend(frameon=False, fontsize=8)
    permittivity.legend(frameon=False, fontsize=8)
    return figure


def raman_figure(prediction: Prediction) -> "Figure":
    """Powder spectrum of both polarisations with the irreps of its lines; single crystals in a second panel."""
    raman = prediction.raman
    assert raman is not None
    panels = 2 if raman.geometries else 1
    figure, axes = new_figure(panels, size=(5.2 * panels + 1.2, 3.8))
    powder = np.atleast_1d(axes)[0]
    scale = max(float(raman.total.max()), 1e-300)
    powder.plot(raman.wavenumbers, raman.total / scale, color="black", lw=1.1, label="total")
    powder.plot(raman.wavenumbers, raman.parallel / scale, color=ELEMENT_COLOURS[1], lw=0.9, label="parallel (HH)")
    powder.plot(raman.wavenumbers, raman.crossed / scale, color=ELEMENT_COLOURS[0], lw=0.9, label="crossed (HV)")
    _label_raman_lines(powder, prediction, raman)
    powder.set(title=f"powder, {raman.label}")
    strongest = max((float(spectrum.max()) for spectrum in raman.geometries.values()), default=1.0) or 1.0
    for index, (label, spectrum) in enumerate(raman.geometries.items()):
        colour, style = (
            ELEMENT_COLOURS[index % len(ELEMENT_COLOURS)],
            DASHES[index // len(ELEMENT_COLOURS) % len(DASHES)],
        )
        axes[1].plot(raman.wavenumbers, spectrum / strongest, color=colour, ls=style, label=label)
        axes[1].set(title="single crystal")
    for one in np.atleast_1d(axes):
        one.set(xlabel="Raman shift (cm⁻¹)", ylabel="intensity (arbitrary units)", ylim=(0, 1.15))
        one.set_xlim(raman.wavenumbers[0], raman.wavenumbers[-1])
        one.legend(frameon=False, fontsize=8)
        one.title.set_fontsize(9)
    return figure


def _draw_pellet(axes: "Axes", prediction: Prediction, infrared: InfraredSpectra) -> None:
    axes.plot(infrared.wavenumbers, infrared.transmission, color="black", lw=1.1)
    axes.set(ylabel="transmission", ylim=(0, 1.05), title=infrared.pellet_label)
    strengths = by_level(prediction, np.sum(infrared.modes.charges**2, axis=1)) * OSCILLATOR_STRENGTH_TO_KM_PER_MOL
    sticks = axes.twinx()
    frequencies = np.array([mode.frequency_cm1 for mode in prediction.gamma.modes])
    seen = (strengths > 1e-3 * strengths.max()) & (frequencies > 0)
    sticks.vlines(frequencies[seen], 0, strengths[seen], color=ELEMENT_COLOURS[0], lw=1)
    sticks.set_ylim(0, 1.05 * max(float(strengths.max()), 1e-9))
    sticks.set_ylabel("km/mol", color=ELEMENT_COLOURS[0])


def _label_raman_lines(axes: "Axes", prediction: Prediction, raman: RamanSpectra) -> None:
    activities = level_invariants(prediction).activity
    heights = np.interp([mode.frequency_cm1 for mode in prediction.gamma.modes], raman.wavenumbers, raman.total)
    heights = heights / max(float(raman.total.max()), 1e-300)
    strongest = sorted(np.flatnonzero((activities > 0) & (heights > LABELLED)).tolist(), key=lambda row: -heights[row])
    for row in strongest[:MOST_LABELS]:
        mode = prediction.gamma.modes[row]
        if not mode.acoustic and mode.frequency_cm1 > 0:
            axes.annotate(
                mode.irrep.symbol,
                (mode.frequency_cm1, float(heights[row])),
                textcoords="offset points",
                xytext=(0, 3),
                ha="center",
                fontsize=7,
            )


def _permittivity_limits(infrared: InfraredSpectra) -> tuple[float, float]:
    """A range that shows the bands and not only the highest peak."""
    values = np.concatenate(
        [[c.permittivity.real, c.permittivity.imag] for c in infrared.constants.values()], axis=None
    )
    low, high = np.quantile(values, [0.02, 0.98])
    return float(1.3 * min(low, -1.0)), float(1.3 * max(high, 1.0))
