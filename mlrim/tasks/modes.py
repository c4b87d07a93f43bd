"""Training of the modes network on frequencies alone."""

from typing import Annotated, Any, Literal

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import CatMetric

from mlrim.configuration.types import Above, AtLeast
from mlrim.models.modes import ModesModel
from mlrim.nn.dynamical import dynamical_matrices, eigenvalues
from mlrim.tasks.schedule import WarmUpCosine, adamw, each_step
from mlrim.tasks.spectrum_losses import level_spacing_loss, moment_loss, signed_root, sorted_loss

STAGES = ("validation", "test")


class ModesTask(LightningModule):
    """Learn virtual force constants from the eigenvalues of D(q) at Γ and at other commensurate wave vectors.

    Args:
        model: the network.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all steps that warm up; then half a cosine to zero at the last step.
        max_hours: the schedule reaches zero after this time, if the steps have not ended before, and training stops.
        loss: `sorted`: frequencies in order; `moments`: power means of the spectrum.
        wave_weight: of the other wave vectors relative to Γ.
        degeneracy_weight: of the splitting of modes that should be degenerate.
        softening: cm⁻¹, see `signed_root`.
        saturation: cm⁻¹, see `sorted_loss`.
        moments: number of power means.
    """

    def __init__(
        self,
        model: ModesModel,
        learning_rate: float = 1.5e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.03,
        max_hours: Annotated[float, Above(0)] | None = None,
        loss: Literal["sorted", "moments"] = "sorted",
        wave_weight: Annotated[float, AtLeast(0)] = 1.0,
        degeneracy_weight: Annotated[float, AtLeast(0)] = 0.0,
        softening: Annotated[float, Above(0)] = 40.0,
        saturation: Annotated[float, Above(0)] = 300.0,
        moments: Annotated[int, AtLeast(1)] = 8,
    ) -> None:
        super().__init__()
        self.model = model
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.warmup, self.max_hours = warmup, max_hours
        self.loss, self.wave_weight, self.degeneracy_weight = loss, wave_weight, degeneracy_weight
        self.softening, self.saturation, self.moments = softening, saturation, moments
        for stage in STAGES:
            self.add_module(f"{stage}_gamma", CatMetric())
            self.add_module(f"{stage}_wave", CatMetric())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        gamma, waves = self._squares(batch)
        of_gamma = self._loss([row[None] for row in batch.labels.gamma], gamma)
        of_waves = self._loss(batch.labels.waves, waves)
        loss = of_gamma + self.wave_weight * of_waves
        size = len(gamma)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=size)
        self.log("train/gamma", of_gamma, on_step=False, on_epoch=True, batch_size=size)
        return loss / 100

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the errors of one batch."""
        self._evaluate(batch, "validation")

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Collect the errors of one batch; returns labels and predictions for a parity plot."""
        return {"parity": self._evaluate(batch, "test")}

    def _squares(self, batch: Any) -> tuple[list[Tensor], list[Tensor]]:
        """ω² at Γ and at the other wave vectors."""
        blocks = self.model(batch.graph)
        gamma = eigenvalues(dynamical_matrices(blocks, batch.graph), batch.graph.masses)
        return gamma, eigenvalues(dynamical_matrices(blocks, batch.graph, batch.labels.qpoints))

    def _loss(self, exact: list[Tensor], predicted: list[Tensor]) -> Tensor:
        parts = []
        for label, found in zip(exact, predicted, strict=True):
            if self.loss == "sorted":
                part = sorted_loss(found, label, self.softening, self.saturation)
            else:
                part = moment_loss(found, label, self.softening, self.moments)
            if self.degeneracy_weight > 0:
                part = part + self.degeneracy_weight * level_spacing_loss(found, label, self.softening, 0.1)
            parts.append(part)
        return torch.stack(parts).mean()

    def _evaluate(self, batch: Any, stage: str) -> dict[str, tuple[Tensor, Tensor]]:
        gamma, waves = self._squares(batch)
        pairs = [(optical(exact), optical(found[0])) for exact, found in zip(batch.labels.gamma, gamma, strict=True)]
        self._collect(f"{stage}_gamma", pairs)
        self._collect(f"{stage}_wave", list(zip(batch.labels.waves, waves, strict=True)))
        exact, found = (frequencies(torch.cat(column)) for column in zip(*pairs, strict=True))
        return {"optical frequency (cm⁻¹)": (exact, found)}

    def _collect(self, name: str, pairs: list[tuple[Tensor, Tensor]]) -> None:
        for exact, found in pairs:
            if exact.numel():
                getattr(self, name).update((frequencies(exact) - frequencies(found)).abs().mean().reshape(1))

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation set."""
        self._log_figures("validation")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test set."""
        self._log_figures("test")

    def _log_figures(self, stage: str) -> None:
        for name in ("gamma", "wave"):
            metric = getattr(self, f"{stage}_{name}")
            errors = torch.as_tensor(metric.compute()).float().flatten()
            if len(errors):
                self.log(f"{stage}/{name}_mae", errors.mean().to(self.device))
                self.log(f"{stage}/{name}_median", errors.median().to(self.device))
            metric.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, warming up, then along half a cosine."""
        optimizer = adamw(self.model, self.learning_rate, self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        self.factor = WarmUpCosine(self.warmup, steps, None if self.max_hours is None else 3600 * self.max_hours)
        return each_step(optimizer, self.factor)

    def on_train_epoch_end(self) -> None:
        """Stop when the time is up."""
        if self.trainer.strategy.reduce_boolean_decision(self.factor.ended, all=False):
            self.trainer.should_stop = True


def optical(squares: Tensor) -> Tensor:
    """ω² at Γ without the three modes that are exactly zero."""
    return squares[torch.sort(squares.abs().argsort(stable=True)[3:]).values]


def frequencies(squares: Tensor) -> Tensor:
    """Signed frequencies, cm⁻¹."""
    return signed_root(squares.detach(), 1e-3)
