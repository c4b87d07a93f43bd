"""Training of the direct network: frequencies from eigenvalues alone, densities of states, spectra, single numbers."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.models.direct import DirectModel
from mlrim.nn.dynamical import dynamical_matrices, eigenvalues
from mlrim.nn.spectrum_head import Spectrum
from mlrim.tasks.direct_metrics import DirectMetrics
from mlrim.tasks.distribution_losses import DensityLoss, density_loss, spectrum_loss
from mlrim.tasks.fine_tuning import choose_trained, take_over
from mlrim.tasks.schedule import WarmUpCosine, adamw, each_step
from mlrim.tasks.spectrum_losses import level_spacing_loss, moment_loss, sorted_loss

STAGES = ("validation", "test")


class DirectTask(LightningModule):
    """Learn vibrations of bare structures; labels that are not known leave no trace, and heads that are not there
    have no loss.

    Args:
        model: the network.
        start: checkpoint or exported folder whose weights training starts from.
        freeze: parts of the network that stay as they are: "encoder", "modes", … with * for anything.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all steps that warm up; then half a cosine to zero at the last step.
        max_hours: the schedule reaches zero after this time, if the steps have not ended before, and training stops.
        modes_weight: of the frequencies at Γ and at other wave vectors, per 100 cm⁻¹.
        density_weight: of the densities of states of crystals and of their atoms, per 100 cm⁻¹.
        spectra_weight: of the infrared and Raman spectra.
        scalars_weight: of the single numbers, in standard deviations.
        stability_weight: of the cross-entropy of stability.
        loss: of frequencies. `sorted`: in order; `moments`: power means of the spectrum.
        wave_weight: of the other wave vectors relative to Γ.
        degeneracy_weight: of the splitting of modes that should be degenerate.
        softening: cm⁻¹, see `signed_root`.
        saturation: cm⁻¹, see `sorted_loss`.
        moments: number of power means.
        density_loss: see `mlrim.tasks.distribution_losses`.
    """

    def __init__(
        self,
        model: DirectModel,
        start: str | None = None,
        freeze: Sequence[str] = (),
        learning_rate: float = 1.5e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.03,
        max_hours: Annotated[float, Above(0)] | None = None,
        modes_weight: Annotated[float, AtLeast(0)] = 1.0,
        density_weight: Annotated[float, AtLeast(0)] = 1.0,
        spectra_weight: Annotated[float, AtLeast(0)] = 0.1,
        scalars_weight: Annotated[float, AtLeast(0)] = 0.2,
        stability_weight: Annotated[float, AtLeast(0)] = 0.05,
        loss: Literal["sorted", "moments"] = "sorted",
        wave_weight: Annotated[float, AtLeast(0)] = 1.0,
        degeneracy_weight: Annotated[float, AtLeast(0)] = 0.0,
        softening: Annotated[float, Above(0)] = 40.0,
        saturation: Annotated[float, Above(0)] = 300.0,
        moments: Annotated[int, AtLeast(1)] = 8,
        density_loss: DensityLoss = "wasserstein",
    ) -> None:
        super().__init__()
        self.model, self.start, self.frozen = model, start, tuple(freeze)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.warmup, self.max_hours = warmup, max_hours
        self.weights = {
            "modes": modes_weight,
            "density": density_weight,
            "spectra": spectra_weight,
            "scalars": scalars_weight,
            "stability": stability_weight,
        }
        self.loss, self.wave_weight, self.degeneracy_weight = loss, wave_weight, degeneracy_weight
        self.softening, self.saturation, self.moments = softening, saturation, moments
        self.density_loss = density_loss
        for stage in STAGES:
            self.add_module(f"{stage}_metrics", DirectMetrics())

    def setup(self, stage: str) -> None:
        """Before training, take over a given start, or the training set's statistics; freeze what shall stay."""
        if stage != "fit":
            return
        choose_trained(self.model, "all", self.frozen)
        if self.start is not None:
            take_over(self.model, self.start)
        elif "scalars" in self.model.heads:
            self.model.set_scalar_statistics(*scalar_statistics(self.trainer.datamodule.dataset("train")))  # type: ignore[attr-defined]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        parts = self.loss_parts(batch)
        loss = torch.stack([self.weights[name] * part for name, part in parts.items()]).sum()
        size = len(batch.graph.n_atoms)
        for name, part in {"loss": loss, **parts}.items():
            self.log(f"train/{name}", part, on_step=False, on_epoch=True, batch_size=size)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the errors of one batch."""
        self._evaluate(batch, "validation")

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Collect the errors of one batch; returns labels and predictions for a parity plot."""
        return {"parity": self._evaluate(batch, "test")}

    def loss_parts(self, batch: Any) -> dict[str, Tensor]:
        """The losses of all heads."""
        graph, labels = batch
        found = self.model(graph)
        parts = {}
        if found.blocks is not None:
            parts["modes"] = self._modes_loss(batch, found.blocks)
        if found.states is not None:
            parts["density"] = self._states_loss(batch, found.states)
        if found.infrared is not None and found.raman is not None:
            parts["spectra"] = self._spectra_loss(labels, found.infrared, found.raman)
        if found.scalars is not None:
            parts["scalars"] = self._scalars_loss(labels, found.scalars.values)
            told = labels.stable.isfinite()
            logits = found.scalars.stability_logit[told]
            parts["stability"] = mean(
                nn.functional.binary_cross_entropy_with_logits(logits, labels.stable[told], reduction="none")
            )
        return parts

    def _modes_loss(self, batch: Any, blocks: Tensor) -> Tensor:
        labels = batch.labels
        gamma, waves = squares_of(blocks, batch)
        of_gamma = [self._of_modes(exact[None], part) for exact, part in zip(labels.gamma, gamma, strict=True)]
        of_waves = [self._of_modes(exact, part) for exact, part in zip(labels.waves, waves, strict=True)]
        both = [one + self.wave_weight * other for one, other in zip(of_gamma, of_waves, strict=True)]
        kept = [part for part, used in zip(both, labels.regular.tolist(), strict=True) if used]
        return torch.stack(kept).mean() / 100 if kept else blocks.sum() * 0

    def _of_modes(self, exact: Tensor, predicted: Tensor) -> Tensor:
        if self.loss == "sorted":
            part = sorted_loss(predicted, exact, self.softening, self.saturation)
        else:
            part = moment_loss(predicted, exact, self.softening, self.moments)
        if self.degeneracy_weight > 0:
            part = part + self.degeneracy_weight * level_spacing_loss(predicted, exact, self.softening, 0.1)
        return part

    def _states_loss(self, batch: Any, states: Tensor) -> Tensor:
        graph, labels = batch
        grid, kind, atom_graph = self.model.density.grid, self.density_loss, graph.atom_graph
        known = labels.states[:, 0].isfinite() & labels.regular[atom_graph]
        graphs, place = torch.unique(atom_graph[known], return_inverse=True)
        found, exact = states[known], labels.states[known]
        totals = [part.new_zeros(len(graphs), len(grid)).index_add(0, place, part) for part in (found, exact)]
        of_atoms = density_loss(found, exact, grid, kind)
        return (mean(density_loss(totals[0], totals[1], grid, kind)) + mean(of_atoms)) / 100

    def _spectra_loss(self, labels: Any, infrared: Spectrum, raman: Spectrum) -> Tensor:
        grid = self.model.infrared.grid
        known = labels.infrared[:, 0].isfinite() & labels.regular
        of_infrared = spectrum_loss(infrared.shares[known], labels.infrared[known], grid)
        intensity = (infrared.intensity[known] / labels.infrared_intensity[known]).log().abs()
        known = labels.raman[:, 0].isfinite()
        of_raman = spectrum_loss(raman.shares[known], labels.raman[known], grid)
        return mean(of_infrared) + mean(of_raman) + 0.5 * mean(intensity)

    def _scalars_loss(self, labels: Any, values: Tensor) -> Tensor:
        known = labels.scalars.isfinite().all(-1) & labels.regular
        error = (values - labels.scalars)[known] / self.model.scalars.deviation
        return mean(nn.functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=0.1))

    def _evaluate(self, batch: Any, stage: str) -> dict[str, tuple[Tensor, Tensor]]:
        found = self.model(batch.graph)
        squares = None if found.blocks is None else squares_of(found.blocks, batch)
        grids = {name: getattr(self.model, name).grid for name in ("density", "infrared") if hasattr(self.model, name)}
        return getattr(self, f"{stage}_metrics").collect(batch, found, squares, grids)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation set."""
        self._log_figures("validation")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test set."""
        self._log_figures("test")

    def _log_figures(self, stage: str) -> None:
        for name, value in getattr(self, f"{stage}_metrics").figures().items():
            self.log(f"{stage}/{name}", torch.tensor(value, device=self.device))

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


def squares_of(blocks: Tensor, batch: Any) -> tuple[list[Tensor], list[Tensor]]:
    """ω² at Γ and at the other wave vectors of a batch."""
    graph, labels = batch
    gamma = eigenvalues(dynamical_matrices(blocks, graph), graph.masses)
    return gamma, eigenvalues(dynamical_matrices(blocks, graph, labels.qpoints))


def scalar_statistics(dataset: Any) -> tuple[list[float], list[float]]:
    """Mean and deviation of the known single numbers of a data set."""
    rows = torch.cat([dataset[index].labels.scalars for index in range(len(dataset))])
    known = rows[rows.isfinite().all(-1)].double()
    if len(known) < 2:
        return [0.0] * rows.shape[1], [1.0] * rows.shape[1]
    return known.mean(0).tolist(), known.std(0).clamp(min=1e-6).tolist()


def mean(values: Tensor) -> Tensor:
    """The mean; zero, with gradients, of nothing."""
    return values.mean() if values.numel() else values.sum()
