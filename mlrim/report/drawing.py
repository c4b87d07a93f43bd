"""Blank figures without a display, and the colours that all of them share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ELEMENT_COLOURS = ("#c0504d", "#4f81bd", "#9bbb59", "#8064a2", "#f79646", "#4bacc6", "#7f7f7f")


def new_figure(
    panels: int, size: tuple[float, float], width_ratios: Sequence[float] | None = None
) -> tuple["Figure", Any]:
    """A figure of `size` inches, and its axes side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, panels, width_ratios=width_ratios)


def save_figures(figures: Mapping[str, "Figure"], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Save every figure in every format under its name; the paths written."""
    paths = []
    for name, figure in figures.items():
        for suffix in formats:
            paths.append(folder / f"{name}.{suffix}")
            figure.savefig(paths[-1], dpi=150)
            figure.set_layout_engine("none")  # found in the first drawing, kept for the others
    return paths
