"""Blank figures without a display, and the colours that all of them share."""

from collections.abc import Sequence
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
