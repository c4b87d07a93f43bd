"""Figures at the end of a run: learning curves, and predictions against labels on the test split."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray
from pytorch_lightning import Callback, LightningModule, Trainer

PARITY = "parity"
"""A test step may return {"parity": {quantity: (labels, predictions)}}, flat tensors with units in the name."""


class LearningCurves(Callback):
    """Writes `folder`/learning_curves.svg: every metric of training and validation against the epoch."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "learning_curves.svg"
        self.curves: dict[str, list[list[float]]] = defaultdict(list)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember the metrics of the epoch that ends."""
        for name, value in trainer.callback_metrics.items():
            if not name.endswith("_step"):
                self.curves[name].append([float(trainer.current_epoch), float(value)])

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the figure on the first rank."""
        if trainer.is_global_zero and self.curves:
            save(learning_curves(self.curves), self.path)

    def state_dict(self) -> dict[str, Any]:
        """The curves so far, for a resumed run."""
        return {"curves": dict(self.curves)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the curves of an interrupted run."""
        self.curves = defaultdict(list, state_dict["curves"])


class ParityPlots(Callback):
    """Writes `folder`/parity.svg from what the test steps return under "parity"."""

    def __init__(self, folder: str | Path, max_points: int = 20000) -> None:
        self.path = Path(folder) / "parity.svg"
        self.max_points = max_points
        self.pairs: dict[str, list[ndarray]] = defaultdict(list)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the points of an earlier test."""
        self.pairs.clear()

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Collect labels and predictions."""
        if isinstance(outputs, dict):
            for quantity, pair in outputs.get(PARITY, {}).items():
                columns = [torch.as_tensor(column).detach().cpu().double().flatten() for column in pair]
                self.pairs[quantity].append(torch.stack(columns).numpy())

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the figure on the first rank, from the points of that rank."""
        if trainer.is_global_zero and self.pairs:
            points = {quantity: np.concatenate(parts, axis=1) for quantity, parts in self.pairs.items()}
            save(parity(points, self.max_points), self.path)


def learning_curves(curves: dict[str, list[list[float]]]) -> Figure:
    """One panel per metric (the part of its name after the stage), one line per stage."""
    panels: dict[str, dict[str, list[list[float]]]] = defaultdict(dict)
    for name, points in curves.items():
        stage, _, metric = name.rpartition("/")
        panels[metric][stage or "training"] = points
    figure, axes = panel_figure(len(panels))
    for axis, (metric, stages) in zip(axes, sorted(panels.items()), strict=True):
        for stage, points in sorted(stages.items()):
            epochs, values = np.asarray(points).T
            axis.plot(epochs, values, label=stage)
        axis.set(title=metric, xlabel="epoch")
        if all(value > 0 for points in stages.values() for _, value in points):
            axis.set_yscale("log")
        axis.legend(frameon=False)
    return figure


def parity(points: dict[str, Float[ndarray, "2 values"]], max_points: int) -> Figure:
    """One panel per quantity: prediction against label, with the diagonal and the mean absolute error."""
    figure, axes = panel_figure(len(points))
    for axis, (quantity, (labels, predictions)) in zip(axes, sorted(points.items()), strict=True):
        stride = max(1, -(-labels.size // max_points))
        axis.plot(labels[::stride], predictions[::stride], ".", markersize=2, alpha=0.4, rasterized=True)
        low, high = min(labels.min(), predictions.min()), max(labels.max(), predictions.max())
        axis.plot([low, high], [low, high], "k-", linewidth=0.8)
        error = np.abs(predictions - labels).mean()
        axis.set(title=f"{quantity}\nMAE {error:.3g} ({labels.size} values)", xlabel="label", ylabel="prediction")
    return figure


def panel_figure(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, at most three in a row."""
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def save(figure: Figure, path: Path) -> None:
    """Write a figure, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
