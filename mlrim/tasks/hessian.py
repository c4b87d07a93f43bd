"""Training of energies on energies, forces, stresses and Hessians."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Generator, Tensor
from torchmetrics import CatMetric

from mlrim.configuration.types import Above, AtLeast
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_labels import LabelledGraph
from mlrim.nn.atomic_energies import AtomicEnergies, energy_statistics
from mlrim.tasks.energy_evaluation import evaluate, select_graphs
from mlrim.tasks.fine_tuning import body_factor, choose_trained, refit_references, take_over
from mlrim.tasks.hessian_losses import LossOptions, loss_terms, total_loss
from mlrim.tasks.hessian_metrics import FIGURES, GraphFigures, graph_figures
from mlrim.tasks.probes import ProbeMixture
from mlrim.tasks.schedule import WarmUpCosine, adamw, each_step

DEFAULT_NAMES = ("gamma",)


class HessianTask(LightningModule):
    """Learn an energy from its derivatives; labels that are not known leave no trace.

    The loss is the weighted sum of the terms of `mlrim.tasks.hessian_losses`; all derivatives of a graph come from one
    evaluation of its energy. Probes are drawn anew in every step.

    Args:
        model: the energy.
        probes: how many products with the Hessian a step makes, and of what kind.
        losses: weights and forms of the terms.
        start: checkpoint or exported folder whose weights training starts from.
        train: what is trained: all, or the heads only.
        freeze: names of parts of the model that stay as they are, with * for anything.
        body_factor: of the learning rate of everything but the heads.
        references: energies of the elements after a start: "keep" those of the start, or "new": fitted to the new data.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all steps that warm up; then half a cosine to zero at the last step.
        max_hours: the schedule reaches zero after this time, if the steps have not ended before, and training stops.
        seed: of the probes.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        probes: ProbeMixture | None = None,
        losses: LossOptions | None = None,
        start: str | None = None,
        train: Literal["all", "heads"] = "all",
        freeze: list[str] | None = None,
        body_factor: Annotated[float, AtLeast(0)] = 1.0,
        references: Literal["keep", "new"] = "keep",
        learning_rate: Annotated[float, AtLeast(0)] = 1e-3,
        weight_decay: Annotated[float, AtLeast(0)] = 1e-3,
        warmup: float = 0.03,
        max_hours: Annotated[float, Above(0)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.probes, self.losses = probes or ProbeMixture(), losses or LossOptions()
        self.start, self.train_parts, self.freeze_parts = start, train, list(freeze or ())
        self.body_factor, self.references = body_factor, references
        self.learning_rate, self.weight_decay, self.warmup = learning_rate, weight_decay, warmup
        self.max_hours, self.seed = max_hours, seed
        self.evaluation_names: tuple[str, ...] = ()

    def setup(self, stage: str) -> None:
        """Prepare the figures; before training, take over a given start, or the training set's statistics."""
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        self._prepare_figures(tuple(getattr(datamodule, "evaluation_names", DEFAULT_NAMES)))
        if stage == "fit":
            self._prepare_model(datamodule.training_samples())

    def _prepare_model(self, samples: list[LabelledGraph]) -> None:
        if self.start is not None:
            take_over(self.model, self.start)
            if self.references == "new" and isinstance(self.model, AtomicEnergies):
                refit_references(self.model, samples)
        elif isinstance(self.model, AtomicEnergies):
            self.model.set_statistics(energy_statistics(samples))
        choose_trained(self.model, self.train_parts, self.freeze_parts)

    def _prepare_figures(self, names: tuple[str, ...]) -> None:
        if self.evaluation_names == names:
            return
        self.evaluation_names = names
        for stage in ("validation", "test"):
            for name in names:
                for figure in FIGURES:
                    self.add_module(f"{stage}_{name}_{figure}", CatMetric())

    @property
    def precision(self) -> torch.dtype:
        """Of the network's parameters, and of all that it reads."""
        return next(self.model.parameters()).dtype

    def training_step(self, batch: LabelledGraph, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        generator = self.generator(batch_idx)
        evaluation = evaluate(self.model, batch.to(self.precision), self.probes, generator)
        terms = loss_terms(evaluation, self.losses)
        loss = total_loss(terms, self.losses) + self._zero()
        size = len(batch.graph.n_atoms)
        for name, value in {"loss": loss, **terms}.items():
            self.log(f"train/{name}", value.detach(), on_step=False, on_epoch=True, batch_size=size)
        return loss

    def backward(self, loss: Tensor, *_: Any, **options: Any) -> None:
        """Differentiate with respect to the parameters alone: positions are leaves of the graph of operations too."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        loss.backward(inputs=trained, **options)

    def generator(self, batch_idx: int) -> Generator:
        """Random numbers of one step, the same when a run is resumed, others in every process."""
        progress = (0, 0) if self._trainer is None else (self.trainer.current_epoch, self.trainer.global_rank)
        words = np.random.SeedSequence([self.seed, *progress, batch_idx]).generate_state(2)
        return Generator().manual_seed(int(words[0]) << 32 | int(words[1]))

    def _zero(self) -> Tensor:
        """Zero, with a gradient of zero for every parameter: constants have none in derivatives of the energy, and
        processes that share a batch must all have the same gradients to add."""
        return sum(
            (0.0 * parameter.sum() for parameter in self.parameters() if parameter.requires_grad), torch.zeros(())
        )

    def validation_step(self, batch: LabelledGraph, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collect the errors of one batch."""
        for _ in self._evaluate(batch, "validation", dataloader_idx):
            pass

    def test_step(self, batch: LabelledGraph, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Collect the errors of one batch; returns labels and predictions for a parity plot."""
        found: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for figures in self._evaluate(batch, "test", dataloader_idx):
            for quantity, pair in figures.parity.items():
                found.setdefault(quantity, []).append(pair)
        joined = {name: tuple(map(torch.cat, zip(*pairs, strict=True))) for name, pairs in found.items()}
        return {"parity": joined}

    def _evaluate(self, batch: LabelledGraph, stage: str, dataloader_idx: int) -> Iterator[GraphFigures]:
        name = self.evaluation_names[dataloader_idx]
        for part in equal_sizes(batch.to(self.precision)):
            for figures in graph_figures(differentiate(self.model, part.graph), part.labels):
                for figure, value in figures.values.items():
                    getattr(self, f"{stage}_{name}_{figure}").update(value.detach().reshape(1).float())
                yield figures

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation set."""
        self._log_figures("validation")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test set."""
        self._log_figures("test")

    def _log_figures(self, stage: str) -> None:
        for name in self.evaluation_names:
            for figure in FIGURES:
                metric = getattr(self, f"{stage}_{name}_{figure}")
                values = torch.as_tensor(metric.compute()).float().flatten() if metric.update_called else torch.zeros(0)
                metric.reset()
                if len(values):
                    self.log(f"{stage}/{name}_{figure}", values.mean().to(self.device))
                    median = f"{stage}/{name}_{figure}_median".replace("_mae_median", "_median")
                    self.log(median, values.median().to(self.device))
                    self.log(f"{stage}/{name}_{figure}_count", float(len(values)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with linear warm-up and half a cosine."""
        steps = int(self.trainer.estimated_stepping_batches)
        self.factor = WarmUpCosine(self.warmup, steps, None if self.max_hours is None else 3600 * self.max_hours)
        optimizer = adamw(self.model, self.learning_rate, self.weight_decay, body_factor(self.body_factor))
        return each_step(optimizer, self.factor)

    def on_train_epoch_end(self) -> None:
        """Stop when the time is up."""
        if self.trainer.strategy.reduce_boolean_decision(self.factor.ended, all=False):
            self.trainer.should_stop = True


def equal_sizes(batch: LabelledGraph) -> Iterator[LabelledGraph]:
    """The batch in parts of graphs with equally many atoms: all columns of their Hessians exist in all of them."""
    sizes = batch.graph.n_atoms
    for size in torch.unique(sizes):
        yield select_graphs(batch, sizes == size)
