"""Training of the response network on Born charges, ε∞ and Raman tensors."""

from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import CatMetric

from mlrim.configuration.types import Above, AtLeast
from mlrim.models.response import Response, ResponseModel, ResponseStatistics, dielectric_tensor
from mlrim.tasks.fine_tuning import take_over
from mlrim.tasks.raman_loss import raman_losses
from mlrim.tasks.schedule import WarmUpCosine, adamw, each_step

STAGES = ("validation", "test")
FIGURES = ("born", "dielectric", "spectrum")


class ResponseTask(LightningModule):
    """Learn Born charges, ε∞ and Raman tensors; labels that are not known leave no trace.

    Loss = born_weight · MAE(Z*) / e + dielectric_weight · MAE(ln(ε∞ − 1)) + metal_weight · cross-entropy
         + raman_weight · (relative error of the tensors + 1 − similarity of the powder spectra).

    Args:
        model: the network.
        start: checkpoint or exported folder whose weights training starts from.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all steps that warm up; then half a cosine to zero at the last step.
        max_hours: the schedule reaches zero after this time, if the steps have not ended before, and training stops.
        born_weight: of the Born charges.
        dielectric_weight: of ε∞.
        metal_weight: of telling metals.
        raman_weight: of Raman tensors and spectra; zero leaves them out.
    """

    def __init__(
        self,
        model: ResponseModel,
        start: str | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.03,
        max_hours: Annotated[float, Above(0)] | None = None,
        born_weight: Annotated[float, AtLeast(0)] = 5.0,
        dielectric_weight: Annotated[float, AtLeast(0)] = 5.0,
        metal_weight: Annotated[float, AtLeast(0)] = 0.1,
        raman_weight: Annotated[float, AtLeast(0)] = 0.0,
    ) -> None:
        super().__init__()
        self.model, self.start = model, start
        self.learning_rate, self.weight_decay, self.warmup, self.max_hours = (
            learning_rate, weight_decay, warmup, max_hours,
        )  # fmt: skip
        self.born_weight, self.dielectric_weight = born_weight, dielectric_weight
        self.metal_weight, self.raman_weight = metal_weight, raman_weight
        for stage in STAGES:
            for figure in FIGURES:
                self.add_module(f"{stage}_{figure}", CatMetric())

    def setup(self, stage: str) -> None:
        """Before training, take over a given start, or the training set's statistics."""
        if stage != "fit":
            return
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        statistics = response_statistics(datamodule.training_samples())
        if self.start is None:
            self.model.set_statistics(statistics)
            return
        take_over(self.model, self.start)
        if not self.model.knows_raman:
            self.model.raman_scale.fill_(statistics.raman)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        graph, labels = batch
        predicted = self.model(graph, raman=self.raman_weight > 0)
        born = _mean(born_errors(predicted, graph, labels))
        dielectric = _mean(log_dielectric_errors(predicted, labels))
        told = labels.metal.isfinite()
        metal = _mean(
            nn.functional.binary_cross_entropy_with_logits(
                predicted.metal_logit[told], labels.metal[told], reduction="none"
            )
        )
        loss = self.born_weight * born + self.dielectric_weight * dielectric + self.metal_weight * metal
        size = len(labels.metal)
        parts = {"loss": loss, "born": born, "dielectric": dielectric, "metal": metal}
        if self.raman_weight > 0:
            raman = raman_losses(predicted.raman_tensors, graph.crystal.n_atoms, labels)
            loss = parts["loss"] = loss + self.raman_weight * (_mean(raman.tensors) + _mean(raman.spectra))
            parts["raman"] = _mean(raman.tensors)
        for name, value in parts.items():
            self.log(f"train/{name}", value, on_step=False, on_epoch=True, batch_size=size)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the errors of one batch."""
        self._evaluate(batch, "validation")

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Collect the errors of one batch; returns labels and predictions for a parity plot."""
        return {"parity": self._evaluate(batch, "test")}

    def _evaluate(self, batch: Any, stage: str) -> dict[str, tuple[Tensor, Tensor]]:
        graph, labels = batch
        predicted = self.model(graph, raman=self.raman_weight > 0)
        exact, found = (_mean_dielectric(log) for log in (labels.log_susceptibility, predicted.log_susceptibility))
        known = labels.dielectric_known
        values = {
            "born": born_errors(predicted, graph, labels),
            "dielectric": (found / exact - 1).abs()[known],
            "spectrum": predicted.metal_logit.new_zeros(0),
        }
        if self.raman_weight > 0:
            values["spectrum"] = 1 - raman_losses(predicted.raman_tensors, graph.crystal.n_atoms, labels).spectra
        for name, errors in values.items():
            if len(errors):
                getattr(self, f"{stage}_{name}").update(errors.detach())
        atoms = labels.born_known[graph.crystal.atom_graph]
        return {
            "Born charge (e)": (labels.born_charges[atoms].flatten(), predicted.born_charges[atoms].flatten()),
            "ε∞": (exact[known], found[known]),
        }

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation set."""
        self._log_figures("validation")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test set."""
        self._log_figures("test")

    def _log_figures(self, stage: str) -> None:
        score = torch.zeros(())
        for name in FIGURES:
            metric = getattr(self, f"{stage}_{name}")
            if not metric.update_called:
                continue
            values = torch.as_tensor(metric.compute()).float().flatten()
            metric.reset()
            if len(values):
                self.log(f"{stage}/{name}_mean", values.mean().to(self.device))
                self.log(f"{stage}/{name}_median", values.median().to(self.device))
                score = score + (values.mean() if name != "spectrum" else 1 - values.median()).cpu()
        self.log(f"{stage}/score", score.to(self.device))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with linear warm-up and half a cosine."""
        steps = int(self.trainer.estimated_stepping_batches)
        self.factor = WarmUpCosine(self.warmup, steps, None if self.max_hours is None else 3600 * self.max_hours)
        return each_step(adamw(self.model, self.learning_rate, self.weight_decay), self.factor)

    def on_train_epoch_end(self) -> None:
        """Stop when the time is up."""
        if self.trainer.strategy.reduce_boolean_decision(self.factor.ended, all=False):
            self.trainer.should_stop = True


def born_errors(predicted: Response, graph: Any, labels: Any) -> Float[Tensor, "known"]:
    """Mean absolute error of the components of Z* of every crystal whose charges are known, e."""
    crystal = graph.crystal
    of_atoms = (predicted.born_charges - labels.born_charges).abs().mean((1, 2))
    total = of_atoms.new_zeros(len(crystal.n_atoms)).index_add_(0, crystal.atom_graph, of_atoms)
    return (total / crystal.n_atoms)[labels.born_known]


def log_dielectric_errors(predicted: Response, labels: Any) -> Float[Tensor, "known"]:
    """Absolute error of ln(ε∞ − 1): mean of the diagonal elements, plus that of the others."""
    error = (predicted.log_susceptibility - labels.log_susceptibility)[labels.dielectric_known].abs()
    diagonal = error.diagonal(dim1=1, dim2=2).sum(-1)
    return diagonal / 3 + (error.sum((1, 2)) - diagonal) / 6


def response_statistics(samples: list[Any]) -> ResponseStatistics:
    """Mean and deviation of the descriptors, mean of ln(ε∞ − 1), and whether there are Raman labels."""
    soap = np.concatenate([sample.graph.crystal.soap.numpy() for sample in samples]).astype(float)
    logs = [
        float(sample.labels.log_susceptibility.diagonal(dim1=1, dim2=2).mean())
        for sample in samples
        if bool(sample.labels.dielectric_known)
    ]
    return ResponseStatistics(
        soap_mean=soap.mean(0).tolist(),
        soap_deviation=np.maximum(soap.std(0), 1e-4).tolist(),
        log_susceptibility=float(np.mean(logs)) if logs else 1.0,
        raman=float(any(len(frequencies) for sample in samples for frequencies in sample.labels.frequencies)),
    )


def _mean_dielectric(log_susceptibility: Tensor) -> Tensor:
    return dielectric_tensor(log_susceptibility).diagonal(dim1=1, dim2=2).mean(-1)


def _mean(values: Tensor) -> Tensor:
    return values.mean() if len(values) else values.sum()
