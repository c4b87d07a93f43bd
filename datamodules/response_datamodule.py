"""The Lightning data module of response models: records of one or two data sets, split, made samples of and batched."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from datamodules.batching import BalancedBatches
from datamodules.filters import RecordFilter
from datamodules.response_cache import ResponseCache, ensure_response_samples
from datamodules.response_samples import LabelledResponse, join_responses
from datamodules.splits import FRACTIONS, PARTS, Split, load_split, make_split
from datamodules.store import RecordStore
from mlrim.configuration.types import AtLeast
from mlrim.errors import UserError
from mlrim.graph.response_graph import THEORIES, theory_index

STATISTICS_SAMPLES = 400
"""Samples that statistics of a training set are taken from."""


class Place(NamedTuple):
    """Where a sample is."""

    cache: int
    row: int


class ResponseDataset(Dataset[LabelledResponse]):
    """Samples of one part of a split.

    Args:
        caches: where the samples are.
        places: the samples; one may appear several times.
        in_memory: keep what was read, for a process that reads it again every epoch.
    """

    def __init__(self, caches: Sequence[ResponseCache], places: Sequence[Place], in_memory: bool) -> None:
        self.caches, self.places = list(caches), list(places)
        self.read = lru_cache(maxsize=None)(self._read) if in_memory else self._read

    def _read(self, place: Place) -> LabelledResponse:
        return self.caches[place.cache][place.row]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> LabelledResponse:
        return self.read(self.places[index])

    @property
    def costs(self) -> list[int]:
        """Work of every sample."""
        return [self.caches[place.cache].costs[place.row] for place in self.places]

    @property
    def ids(self) -> list[str]:
        """Ids of the records."""
        return [self.caches[place.cache].index["ids"][place.row] for place in self.places]


class ResponseDataModule(LightningDataModule):
    """Batches of crystals with Born charges, ε∞ and Raman tensors, as far as they are known.

    Args:
        path: folder of the data set (`python -m datamodules.build` makes it).
        also: folder of a second data set, such as one with Raman tensors. Its records go to the part of the split where
            the first data set has their formula, and to the training set where it does not know the formula.
        repeats: how often an epoch shows each training record of the second data set.
        cutoff: Å.
        selection: which records are tested on.
        train_selection: which records are trained on; those of `selection` when not given. Metals are worth having:
            the network learns to tell them.
        split: split file; when not given the split is made from `split_seed`.
        split_seed: seed of the split.
        batch_size: crystals per batch, on average.
        workers: processes that read batches; 0 keeps all samples in this process's memory.
        sample_workers: processes that make samples when the data set is used for the first time.
        max_train: use at most so many training records (for quick experiments).
        seed: of the order of the batches.
        quiet: no progress bar.
    """

    def __init__(
        self,
        path: str,
        also: str | None = None,
        repeats: Annotated[int, AtLeast(1)] = 1,
        cutoff: Annotated[float, AtLeast(0.1)] = 6.0,
        selection: RecordFilter | None = None,
        train_selection: RecordFilter | None = None,
        split: str | None = None,
        split_seed: Annotated[int, AtLeast(0)] = 0,
        batch_size: Annotated[int, AtLeast(1)] = 16,
        workers: Annotated[int, AtLeast(0)] = 0,
        sample_workers: Annotated[int, AtLeast(0)] = 2,
        max_train: Annotated[int, AtLeast(1)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
        quiet: bool = False,
    ) -> None:
        super().__init__()
        self.store = RecordStore(path)
        self.second = None if also is None else RecordStore(also)
        self.repeats = repeats
        self.cutoff = float(cutoff)
        self.selection = selection or RecordFilter(need_born=True)
        self.train_selection = train_selection or self.selection
        self.split_file, self.split_seed = split, split_seed
        self.batch_size, self.workers, self.sample_workers = batch_size, workers, sample_workers
        self.max_train, self.seed, self.quiet = max_train, seed, quiet

    @property
    def content_hash(self) -> str:
        """Of the data set, for provenance."""
        return self.store.manifest.content_hash

    @cached_property
    def split(self) -> Split:
        """The split of the whole data set, before any filter, so that it is the same for every filter."""
        if self.split_file is not None:
            return load_split(Path(self.split_file), self.store.index)
        return make_split(self.store.index, self.split_seed, FRACTIONS, self.content_hash)

    @cached_property
    def ids(self) -> dict[str, list[str]]:
        """Selected ids of the three parts.

        Raises:
            UserError: a part would be empty.
        """
        index = self.store.index
        chosen, trained = (set(which.select(index).ids) for which in (self.selection, self.train_selection))
        parts = {
            part: [name for name in getattr(self.split, part) if name in (trained if part == "train" else chosen)]
            for part in PARTS
        }
        empty = [part for part, names in parts.items() if not names]
        if empty:
            raise UserError(
                f"no records are left for {' and '.join(empty)} after filtering {self.store.path} "
                f"({len(self.store)} records, {len(chosen)} selected); loosen data.selection or use more data"
            )
        return parts

    @cached_property
    def second_ids(self) -> dict[str, list[str]]:
        """Ids of the second data set in the three parts, by the formulas of the first."""
        part_of_id = {name: part for part in PARTS for name in getattr(self.split, part)}
        part_of_formula = {entry.formula: part_of_id[entry.id] for entry in self.store.index if entry.id in part_of_id}
        parts: dict[str, list[str]] = {part: [] for part in PARTS}
        for entry in () if self.second is None else self.second.index:
            parts[part_of_formula.get(entry.formula, "train")].append(entry.id)
        return parts

    @cached_property
    def caches(self) -> list[ResponseCache]:
        """The samples of all selected records, a cache for each data set."""
        wanted = [(self.store, self.ids)] + ([] if self.second is None else [(self.second, self.second_ids)])
        return [
            ensure_response_samples(
                store,
                sorted({name for part in ids.values() for name in part}),
                self.cutoff,
                self.sample_workers,
                self.quiet,
            )
            for store, ids in wanted
        ]

    @cached_property
    def theories(self) -> list[str]:
        """Levels of theory that are trained on."""
        stores = [store for store in (self.store, self.second) if store is not None]
        return sorted({THEORIES[theory_index(store[0].theory)] for store in stores})

    def prepare_data(self) -> None:
        """Make the samples, once for all processes."""
        len(self.caches)

    def dataset(self, part: str) -> ResponseDataset:
        """The samples of `train`, `validation` or `test`."""
        names = self.ids[part]
        training = part == "train"
        if training and self.max_train is not None:
            order = np.random.default_rng(0).permutation(len(names))[: self.max_train]
            names = [names[index] for index in sorted(order)]
        places = [Place(0, self.caches[0].row_of[name]) for name in names]
        for name in self.second_ids[part] * (self.repeats if training else 1):
            places.append(Place(1, self.caches[1].row_of[name]))
        return ResponseDataset(self.caches, places, in_memory=self.workers == 0)

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches."""
        return self._loader("train", self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Validation batches."""
        return self._loader("validation", 2 * self.batch_size, shuffle=False)

    def test_dataloader(self) -> DataLoader:
        """Test batches."""
        return self._loader("test", 2 * self.batch_size, shuffle=False)

    def _loader(self, part: str, batch_size: int, shuffle: bool) -> DataLoader:
        dataset = self.dataset(part)
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(
            dataset,
            batch_sampler=BalancedBatches(dataset.costs, batch_size, shuffle, self.seed, rank, world),
            collate_fn=join_responses,
            num_workers=self.workers,
            generator=torch.Generator().manual_seed(self.seed),
            persistent_workers=self.workers > 0,
            multiprocessing_context="forkserver" if self.workers > 0 else None,
        )

    def training_samples(self) -> list[LabelledResponse]:
        """Some training samples, evenly spread, to take statistics from."""
        dataset = self.dataset("train")
        step = max(1, len(dataset) // STATISTICS_SAMPLES)
        return [dataset[index] for index in range(0, len(dataset), step)]
