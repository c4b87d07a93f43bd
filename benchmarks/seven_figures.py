"""Spectra of a benchmark crystal: predicted, from DFT, and where lines were measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlrim.report.drawing import ELEMENT_COLOURS, new_figure
from mlrim.report.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PREDICTED, REFERENCE, MEASURED = ELEMENT_COLOURS[1], "black", ELEMENT_COLOURS[0]


def write_figure(
    path: Path, prediction: Prediction, reference: Prediction | None, measured: Mapping[str, Sequence[float]]
) -> None:
    """Reflectivity for every axis of the crystal, and the Raman spectrum of a powder.

    Args:
        measured: measured frequencies (cm⁻¹): `TO` and `LO` with the axis that shows them (`TO iso`), and `Raman`.
    """
    axes_names = list(prediction.infrared.reflectivities) if prediction.infrared else []
    panels = len(axes_names) + (1 if prediction.raman else 0)
    figure, axes = new_figure(max(panels, 1), size=(4.0 * max(panels, 1), 2.9))
    panel = iter(np.atleast_1d(axes))
    for name in axes_names:
        _reflectivity(next(panel), name, prediction, reference, measured)
    if prediction.raman:
        _raman(next(panel), prediction, measured)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _reflectivity(
    axes: "Axes",
    name: str,
    prediction: Prediction,
    reference: Prediction | None,
    measured: Mapping[str, Sequence[float]],
) -> None:
    infrared = prediction.infrared
    assert infrared is not None
    axes.plot(infrared.wavenumbers, infrared.reflectivities[name], color=PREDICTED, lw=1.2, label="predicted")
    if reference is not None and reference.infrared is not None and name in reference.infrared.reflectivities:
        theirs = reference.infrared
        axes.plot(theirs.wavenumbers, theirs.reflectivities[name], color=REFERENCE, lw=0.9, ls="--", label="DFT")
    for kind, marker in (("TO", "v"), ("LO", "^")):
        places = measured.get(f"{kind} {name}", [])
        axes.plot(places, [0.97] * len(places), marker, color=MEASURED, ms=4, ls="", label=f"{kind}, measured")
    title = "reflectivity" + ("" if name == "iso" else f", E {'∥' if name == 'parallel' else '⊥'} c")
    axes.set(xlabel="wavenumber (cm⁻¹)", ylim=(0, 1), title=title)
    axes.set_xlim(0, infrared.wavenumbers[-1])
    axes.title.set_fontsize(9)
    axes.legend(frameon=False, fontsize=7, loc="center left" if name == "iso" else "best")


def _raman(axes: "Axes", prediction: Prediction, measured: Mapping[str, Sequence[float]]) -> None:
    raman = prediction.raman
    assert raman is not None
    axes.plot(raman.wavenumbers, raman.total / max(float(raman.total.max()), 1e-300), color=PREDICTED, lw=1.2)
    places = measured.get("Raman", [])
    axes.plot(places, [1.08] * len(places), "v", color=MEASURED, ms=4, ls="", label="measured")
    axes.set(xlabel="Raman shift (cm⁻¹)", ylim=(0, 1.15), title="Raman, powder, 532 nm, 300 K, predicted")
    axes.set_xlim(0, raman.wavenumbers[-1])
    axes.title.set_fontsize(9)
    if len(places):
        axes.legend(frameon=False, fontsize=7)
