"""Dispersions along X–Γ–L by three recipes beside those of DFT."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlrim.report.drawing import ELEMENT_COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    "subtracted": "dipoles subtracted, then added",
    "whole added": "dipoles added without subtraction",
    "reciprocal added": "reciprocal half added, Λ fitted",
}
LA, LO = 1, 3


def write_figure(path: Path, crystal: Mapping[str, Any]) -> None:
    """One panel for each recipe; all supercells over each other, the longitudinal branches in colour."""
    figure, axes = new_figure(len(PANELS), size=(3.4 * len(PANELS), 3.0))
    for panel, (recipe, title) in zip(axes, PANELS.items(), strict=True):
        _draw(panel, crystal, crystal["reference"], {"color": "black", "lw": 2.0, "alpha": 0.35})
        for row in crystal["rows"]:
            if row["recipe"] == recipe:
                _draw(panel, crystal, row["branches"], {"color": ELEMENT_COLOURS[6], "lw": 0.6}, coloured=True)
        panel.set_title(title, fontsize=9)
        panel.set_xticks([-1, 0, 0.87], ["X", "Γ", "L"])
        panel.set_xlim(-1, 0.87)
        panel.axvline(0, color="black", lw=0.5)
    axes[0].set_ylabel(f"{crystal['formula']}: frequency (cm⁻¹)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw(
    axes: "Axes",
    crystal: Mapping[str, Any],
    branches: Mapping[str, list[list[float]]],
    style: Mapping[str, Any],
    coloured: bool = False,
) -> None:
    fractions = np.array(crystal["fractions"])
    for name, scale in (("Γ–X", -1.0), ("Γ–L", 0.87)):  # the lengths of the two lines are as 1 to √3/2
        for index, values in enumerate(np.array(branches[name]).T):
            colour = {LO: {"color": ELEMENT_COLOURS[0]}, LA: {"color": ELEMENT_COLOURS[1]}}.get(index, {})
            axes.plot(scale * fractions, values, **{**style, **(colour if coloured else {})})
