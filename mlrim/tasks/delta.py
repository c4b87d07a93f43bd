"""Training of the delta network on force constants."""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from torchmetrics import CatMetric, MeanMetric

from mlrim.configuration.types import Above
from mlrim.models.delta import DeltaModel, DeltaStatistics, fit_log_scale, reduced_pair_distance
from mlrim.tasks.fine_tuning import take_over
from mlrim.tasks.losses import block_loss, fold_blocks, mode_errors, mode_loss
from mlrim.tasks.metrics import component_error, optical_frequencies
from mlrim.tasks.schedule import WarmUpCosine, adamw, each_step

EV_TO_MEV = 1e3
STAGES = ("validation", "test")


class DeltaTask(LightningModule):
    """Learn ΔΦ = label − dipole interaction − baseline, folded onto the label's supercell.

    Loss = block_weight · (magnitude-weighted MAE of folded blocks, eV/Å²) / 0.1
         + mode_weight · Σ over Γ and one other wave vector of (frequency shift + mixing_weight · mixing) / 100 cm⁻¹.

    Args:
        model: the network.
        start: checkpoint or exported folder whose weights and statistics training starts from.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices only.
        schedule: "cosine": linear warm-up, then half a cosine to zero at the last step; "restarts": the ML-RIM
            paper's cosine annealing with warm restarts.
        warmup: share of all steps that warm up ("cosine").
        restart_epochs: epochs between restarts ("restarts").
        max_hours: "cosine" reaches zero after this time, if the steps have not ended before, and training stops; for
            machines of unknown speed.
        block_weight: of the folded blocks.
        mode_weight: of the modes.
        mixing_weight: of wrong mixing relative to wrong frequencies; 0.2–1.
        wave_weight: of the modes at the other wave vector relative to those at Γ.
        magnitude_power: blocks weigh by this power of their magnitude.
        softening: cm⁻¹, see `mode_loss`.
        saturation: cm⁻¹, see `mode_loss`.
    """

    def __init__(
        self,
        model: DeltaModel,
        start: str | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
        schedule: Literal["cosine", "restarts"] = "cosine",
        warmup: float = 0.03,
        restart_epochs: int = 50,
        max_hours: Annotated[float, Above(0)] | None = None,
        block_weight: float = 1.0,
        mode_weight: float = 1.0,
        mixing_weight: float = 0.3,
        wave_weight: float = 0.5,
        magnitude_power: float = 0.25,
        softening: float = 40.0,
        saturation: Annotated[float, Above(0)] = 300.0,
    ) -> None:
        super().__init__()
        self.model, self.start = model, start
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.schedule, self.warmup, self.restart_epochs = schedule, warmup, restart_epochs
        self.max_hours = max_hours
        self.block_weight, self.mode_weight, self.mixing_weight = block_weight, mode_weight, mixing_weight
        self.wave_weight, self.magnitude_power = wave_weight, magnitude_power
        self.softening, self.saturation = softening, saturation
        for stage in STAGES:
            self.add_module(f"{stage}_components", MeanMetric())
            self.add_module(f"{stage}_gamma", CatMetric())

    def setup(self, stage: str) -> None:
        """Before training, take over a given start, or the training set's statistics."""
        if stage == "fit" and self.start is not None:
            take_over(self.model, self.start)
        elif stage == "fit":
            datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
            self.model.set_statistics(delta_statistics(datamodule.training_samples()))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        graph, labels = batch
        blocks = self.model(graph)
        error = fold_blocks(blocks, graph, labels) - labels.target
        of_blocks = block_loss(error, labels.target, self.magnitude_power, floor=0.01)
        gamma = mode_loss(mode_errors(blocks, graph, labels.gamma), labels.gamma, self.softening, self.saturation)
        wave = mode_loss(mode_errors(blocks, graph, labels.wave), labels.wave, self.softening, self.saturation)
        shift = gamma.diagonal + self.wave_weight * wave.diagonal
        mixing = gamma.mixing + self.wave_weight * wave.mixing
        loss = self.block_weight * of_blocks / 0.1 + self.mode_weight * (shift + self.mixing_weight * mixing) / 100
        size = len(graph.n_atoms)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=size)
        self.log("train/gamma_shift", gamma.diagonal, on_step=False, on_epoch=True, batch_size=size)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the errors of one batch."""
        self._evaluate(batch, "validation")

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Collect the errors of one batch; returns labels and predictions for a parity plot."""
        return {"parity": self._evaluate(batch, "test")}

    def _evaluate(self, batch: Any, stage: str) -> dict[str, tuple[Tensor, Tensor]]:
        graph, labels = batch
        blocks = self.model(graph).detach()
        folded = fold_blocks(blocks, graph, labels)
        total, count = component_error(folded - labels.target, labels)
        getattr(self, f"{stage}_components").update(EV_TO_MEV * total / count, count)
        pairs = optical_frequencies(mode_errors(blocks, graph, labels.gamma), labels.gamma)
        for exact, predicted in pairs:
            if len(exact):
                getattr(self, f"{stage}_gamma").update((exact - predicted).abs().mean().reshape(1))
        exact, predicted = (torch.cat(column) for column in zip(*pairs, strict=True))
        return {
            "correction (eV/Å²)": (labels.target.flatten(), folded.flatten()),
            "optical frequency (cm⁻¹)": (exact, predicted),
        }

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation set."""
        self._log_figures("validation")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test set."""
        self._log_figures("test")

    def _log_figures(self, stage: str) -> None:
        components, gamma = getattr(self, f"{stage}_components"), getattr(self, f"{stage}_gamma")
        errors = torch.as_tensor(gamma.compute()).float().flatten()
        self.log(f"{stage}/mae", components.compute())
        if len(errors):
            self.log(f"{stage}/gamma_mae", errors.mean().to(self.device))
            self.log(f"{stage}/gamma_median", errors.median().to(self.device))
        components.reset()
        gamma.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with the chosen schedule."""
        optimizer = adamw(self.model, self.learning_rate, self.weight_decay)
        if self.schedule == "restarts":
            restarts = CosineAnnealingWarmRestarts(optimizer, self.restart_epochs)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": restarts, "interval": "epoch"}}
        steps = int(self.trainer.estimated_stepping_batches)
        self.factor = WarmUpCosine(self.warmup, steps, None if self.max_hours is None else 3600 * self.max_hours)
        return each_step(optimizer, self.factor)

    def on_train_epoch_end(self) -> None:
        """Stop when the time is up."""
        if self.schedule == "cosine" and self.trainer.strategy.reduce_boolean_decision(self.factor.ended, all=False):
            self.trainer.should_stop = True


def delta_statistics(samples: list[Any]) -> DeltaStatistics:
    """Mean and deviation of the descriptors, and magnitude of the target's blocks against distance."""
    soap = np.concatenate([sample.graph.soap.numpy() for sample in samples]).astype(float)
    ratios, magnitudes = [], []
    for sample in samples:
        graph, folded = sample.graph, sample.folded
        sharing = np.bincount(folded.edge_entry, minlength=len(folded.target))[folded.edge_entry]
        of_edge = np.sqrt((folded.target[folded.edge_entry] ** 2).mean((1, 2))) / sharing
        magnitude = np.zeros(len(graph.pair_i))
        magnitude[graph.edge_pair.numpy()] = of_edge
        magnitudes.append(magnitude)
        ratios.append(reduced_pair_distance(graph).numpy())
    return DeltaStatistics(
        soap_mean=soap.mean(0).tolist(),
        soap_deviation=np.maximum(soap.std(0), 1e-4).tolist(),
        log_scale=fit_log_scale(np.concatenate(ratios), np.concatenate(magnitudes)),
    )
