"""Training of small potentials on samples in memory, for experiments that compare training sets.

Everything but the samples is that of a training run (`mlrim.tasks.hessian`, batches of `datamodules`): an experiment
gives parts of a training set, of each of which every batch holds as many samples.
"""

import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader, Dataset

from datamodules.energy_dataset import drawn_evenly
from datamodules.mixed_batches import MixedBatches
from mlrim.callbacks.epoch_seeds import EpochSeeds
from mlrim.graph.energy_labels import LabelledGraph, join_labelled
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.tasks.hessian import HessianTask
from mlrim.tasks.hessian_losses import LossOptions
from mlrim.tasks.probes import ProbeMixture

CLIP = 10.0
"""Largest norm of a gradient."""


@dataclass(frozen=True)
class Training:
    """A network and how long and how fast it is trained; the same for everything that is compared.

    Attributes:
        channels: tensors of an atom, and channels of messages; an atom has twice as many scalar features.
        layers: exchanges between neighbours.
        cutoff: Å.
        steps: of the optimiser.
        learning_rate: its peak.
        probes: products with each Hessian in a step.
        knee: errors smaller than this, in the units of the losses, count by their square; what networks of one
            substance reach is less than what networks of many do.
    """

    channels: int = 8
    layers: int = 2
    cutoff: float = 5.0
    steps: int = 300
    learning_rate: float = 3e-3
    probes: int = 1
    knee: float = 0.05

    def network(self, seed: int) -> CartesianPotentialModel:
        """With random weights."""
        torch.manual_seed(seed)
        width = self.channels
        return CartesianPotentialModel(
            scalars=2 * width,
            channels=width,
            messages=width,
            layers=self.layers,
            hidden=4 * width,
            element_hidden=4 * width,
            cutoff=self.cutoff,
        )


class Part(list[LabelledGraph]):
    """Some samples, and how many of them a batch holds."""

    def __init__(self, samples: Sequence[LabelledGraph], per_batch: int) -> None:
        super().__init__(samples)
        self.per_batch = per_batch if samples else 0


@dataclass(frozen=True, eq=False)
class Samples(Dataset[LabelledGraph]):
    """Parts of a training set, of which one epoch is the whole run."""

    parts: Sequence[Part]
    steps: int

    @cached_property
    def everything(self) -> list[LabelledGraph]:
        """All samples, part by part."""
        return [sample for part in self.parts for sample in part]

    def __len__(self) -> int:
        return len(self.everything)

    def __getitem__(self, index: int) -> LabelledGraph:
        return self.everything[index]

    @property
    def costs(self) -> list[int]:
        """All alike within a part, so that every batch holds as many of each."""
        return [1] * len(self)

    def draw(self, generator: np.random.Generator) -> list[list[int]]:
        """What the run shows, part by part."""
        starts = np.cumsum([0, *map(len, self.parts)])
        return [
            [int(start) + index for index in drawn_evenly(generator, len(part), part.per_batch * self.steps)]
            for start, part in zip(starts, self.parts)
            if part.per_batch
        ]


class SampleDataModule(LightningDataModule):
    """The samples as Lightning wants them."""

    evaluation_names = ("none",)

    def __init__(self, samples: Samples, seed: int) -> None:
        super().__init__()
        self.samples, self.seed = samples, seed

    def training_samples(self) -> list[LabelledGraph]:
        """What statistics are taken from."""
        return self.samples.everything

    def train_dataloader(self) -> DataLoader:
        """The batches of the run."""
        size = sum(part.per_batch for part in self.samples.parts)
        batches = MixedBatches(self.samples, size, self.seed)
        return DataLoader(self.samples, batch_sampler=batches, collate_fn=join_labelled)


def train(training: Training, parts: Sequence[Part], seed: int) -> tuple[CartesianPotentialModel, float]:
    """A potential trained on samples in memory, and the seconds of processor time it took."""
    model = training.network(seed)
    return model, fit(model, SampleDataModule(Samples(parts, training.steps), seed), training, seed)


def fit(model: CartesianPotentialModel, datamodule: LightningDataModule, training: Training, seed: int) -> float:
    """Train a potential on a data module; returns the seconds of processor time it took."""
    probes, losses = ProbeMixture(count=training.probes), LossOptions(knee=training.knee)
    task = HessianTask(model, probes, losses, learning_rate=training.learning_rate, seed=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer = Trainer(
            max_steps=training.steps,
            max_epochs=-1,
            accelerator="cpu",
            callbacks=[EpochSeeds(seed)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=CLIP,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )
        start = time.process_time()
        trainer.fit(task, datamodule=datamodule)
    model.eval()
    return time.process_time() - start


def quiet() -> None:
    """No advice of Lightning's in the log of an experiment."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_utilities"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(1)
