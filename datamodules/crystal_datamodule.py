"""The Lightning data module: records of a data set, split, filtered, turned into samples and batched."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Annotated, NamedTuple

import torch
from torch.utils.data import Dataset

from datamodules.batching import LabelledGraph, join
from datamodules.filters import RecordFilter
from datamodules.perturbation import ResponseErrors
from datamodules.sample_cache import SampleCache, ensure_samples
from datamodules.samples import Sample, SampleSettings, labels_of, with_perturbed_response, with_rigid_response
from datamodules.split_datamodule import Loading, SplitDataModule
from datamodules.store import RecordStore
from mlrim.configuration.types import AtLeast, Between
from mlrim.errors import UserError

STATISTICS_SAMPLES = 400
"""Samples that statistics of a training set are taken from."""


class ResponseShares(NamedTuple):
    """Probabilities of a long-range part other than that from first principles."""

    rigid: float = 0.0
    perturbed: float = 0.0

    def apply(self, sample: Sample) -> Sample:
        """The sample with a long-range part drawn at random; no random number is used where there is no choice."""
        if self == (0, 0):
            return sample
        number = float(torch.rand(()))
        if number < self.rigid:
            return with_rigid_response(sample)
        if number < self.rigid + self.perturbed and sample.perturbed:
            return with_perturbed_response(sample, int(torch.randint(len(sample.perturbed), ())))
        return sample

    def sure(self) -> "ResponseShares":
        """What holds for all samples: for validation and test."""
        return type(self)(float(self.rigid == 1), float(self.perturbed == 1))


class CrystalDataset(Dataset[LabelledGraph]):
    """Samples of one part of a split.

    Args:
        cache: where the samples are.
        rows: their positions in the cache.
        random_wave: pick a wave vector at random every time; else always the first.
        shares: how often a sample comes with another long-range part.
        in_memory: keep what was read, for a process that reads it again every epoch.
    """

    def __init__(
        self, cache: SampleCache, rows: Sequence[int], random_wave: bool, shares: ResponseShares, in_memory: bool
    ) -> None:
        self.cache, self.rows = cache, list(rows)
        self.random_wave, self.shares = random_wave, shares
        self.read = lru_cache(maxsize=None)(cache.__getitem__) if in_memory else cache.__getitem__

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> LabelledGraph:
        sample = self.shares.apply(self.read(self.rows[index]))
        n_waves = len(sample.waves.qpoints)
        wave = int(torch.randint(n_waves, ())) if self.random_wave else 0
        return LabelledGraph(sample.graph, labels_of(sample, wave))

    @property
    def costs(self) -> list[int]:
        """Work of every sample."""
        return [self.cache.costs[row] for row in self.rows]

    @property
    def ids(self) -> list[str]:
        """Ids of the records."""
        return [self.cache.index["ids"][row] for row in self.rows]


class CrystalDataModule(SplitDataModule):
    """Batches of crystals with their force-constant labels.

    Args:
        path: folder of the data set (`python -m datamodules.build` makes it).
        baseline: what is subtracted from the label: rim, shell, fitted, none, or a stored level of theory.
        label: level of theory to learn.
        cutoff: Å.
        selection: which records are used; those of good quality when not given.
        train_selection: which records are trained on, where not those of `selection`: force constants of compounds
            with imaginary modes can be learned although their frequencies are no test.
        split: split file; when not given the split is made from `split_seed`.
        split_seed: seed of the split.
        rigid_response: share of the training crystals that get the rigid ions' long-range part in place of Born
            charges and ε∞, which teaches predictions without these; 1 for validation and test as well.
        perturbed_response: share of the training crystals whose Born charges and ε∞ get random errors, which teaches
            predictions with those of a model; 1 for validation and test as well.
        response_errors: how large these errors are.
        perturbations: draws of errors kept for each crystal; one of them enters each training step.
        batch_size: crystals per batch, on average.
        workers: processes that read batches; 0 keeps all samples in this process's memory.
        sample_workers: processes that make samples when the data set is used for the first time.
        wave_vectors: wave vectors kept for each crystal besides Γ.
        max_train: use at most so many training records (for quick experiments).
        seed: of the order of the batches.
        quiet: no progress bar.
    """

    def __init__(
        self,
        path: str,
        baseline: str = "rim",
        label: str = "dft",
        cutoff: Annotated[float, AtLeast(0.1)] = 6.0,
        selection: RecordFilter | None = None,
        train_selection: RecordFilter | None = None,
        split: str | None = None,
        split_seed: Annotated[int, AtLeast(0)] = 0,
        rigid_response: Annotated[float, Between(0, 1)] = 0.15,
        perturbed_response: Annotated[float, Between(0, 1)] = 0.0,
        response_errors: ResponseErrors | None = None,
        perturbations: Annotated[int, AtLeast(1)] = 3,
        batch_size: Annotated[int, AtLeast(1)] = 16,
        workers: Annotated[int, AtLeast(0)] = 0,
        sample_workers: Annotated[int, AtLeast(0)] = 2,
        wave_vectors: Annotated[int, AtLeast(1)] = 4,
        max_train: Annotated[int, AtLeast(1)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
        quiet: bool = False,
    ) -> None:
        selection = selection or RecordFilter(level=label)
        loading = Loading(batch_size, workers, sample_workers, max_train, seed, quiet)
        super().__init__(RecordStore(path), selection, train_selection, split, split_seed, loading)
        self.shares = ResponseShares(rigid_response, perturbed_response)
        if sum(self.shares) > 1 + 1e-9:
            raise UserError(
                f"data.rigid_response={rigid_response} and data.perturbed_response={perturbed_response} are shares of "
                "the same crystals; their sum must not be above 1"
            )
        self.settings = SampleSettings(
            baseline,
            label,
            float(cutoff),
            wave_vectors=wave_vectors,
            perturbations=perturbations if perturbed_response > 0 else 0,
            errors=response_errors or ResponseErrors(),
        )

    @cached_property
    def cache(self) -> SampleCache:
        """The samples of all selected records."""
        names = sorted(name for part in self.ids.values() for name in part)
        return ensure_samples(self.store, names, self.settings, self.loading.sample_workers, self.loading.quiet)

    collate = staticmethod(join)

    def prepare_data(self) -> None:
        """Make the samples, once for all processes."""
        len(self.cache)

    def dataset(self, part: str) -> CrystalDataset:
        """The samples of `train`, `validation` or `test`."""
        rows = [self.cache.row_of[name] for name in self.names(part)]
        training = part == "train"
        shares = self.shares if training else self.shares.sure()
        return CrystalDataset(self.cache, rows, training, shares, in_memory=self.loading.in_memory)

    def training_samples(self) -> list[Sample]:
        """Some training samples, evenly spread, to take statistics from."""
        dataset = self.dataset("train")
        step = max(1, len(dataset.rows) // STATISTICS_SAMPLES)
        return [self.cache[row] for row in dataset.rows[::step]]
