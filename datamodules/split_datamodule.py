"""What the Lightning data modules share: one split of a data set, filters, and loaders of balanced batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.batching import BalancedBatches
from datamodules.filters import RecordFilter
from datamodules.splits import FRACTIONS, PARTS, Split, load_split, make_split
from datamodules.store import RecordStore
from mlrim.errors import UserError


@dataclass(frozen=True)
class Loading:
    """How samples are made and read.

    Attributes:
        batch_size: crystals per batch, on average.
        workers: processes that read batches; 0 keeps all samples in this process's memory.
        sample_workers: processes that make samples when the data set is used for the first time.
        max_train: use at most so many training records.
        seed: of the order of the batches.
        quiet: no progress bar.
    """

    batch_size: int
    workers: int
    sample_workers: int
    max_train: int | None
    seed: int
    quiet: bool

    @property
    def in_memory(self) -> bool:
        """Whether this process keeps what it read."""
        return self.workers == 0


@runtime_checkable
class PartOfSplit(Protocol):
    """The samples of one part."""

    @property
    def costs(self) -> list[int]:
        """Work of every sample."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any:
        """A sample with its labels."""
        ...


class LoadingDataModule(LightningDataModule):
    """Makes loaders of balanced batches.

    Args:
        loading: how samples are made and read.
    """

    collate: Callable[[Sequence[Any]], Any]

    def __init__(self, loading: Loading) -> None:
        super().__init__()
        self.loading = loading

    @property
    def _ranks(self) -> tuple[int, int]:
        """Rank of this process, and number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches(self, samples: PartOfSplit, batch_size: int, shuffle: bool) -> DataLoader:
        """All samples, in balanced batches."""
        plan = BalancedBatches(samples.costs, batch_size, shuffle, self.loading.seed, *self._ranks)
        return self._loader_of(samples, plan)

    def _loader_of(self, samples: PartOfSplit, batches: BalancedBatches) -> DataLoader:
        return DataLoader(
            samples,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=self.collate,
            num_workers=self.loading.workers,
            generator=torch.Generator().manual_seed(self.loading.seed),
            persistent_workers=self.loading.workers > 0,
            multiprocessing_context="forkserver" if self.loading.workers > 0 else None,
        )


class SplitDataModule(LoadingDataModule):
    """Base of the data modules.

    Args:
        store: the data set.
        selection: which records are used.
        train_selection: which records are trained on, where not those of `selection`.
        split: split file; when not given the split is made from `split_seed`.
        split_seed: seed of the split.
        loading: how samples are made and read.
    """

    def __init__(
        self,
        store: RecordStore,
        selection: RecordFilter,
        train_selection: RecordFilter | None,
        split: str | None,
        split_seed: int,
        loading: Loading,
    ) -> None:
        super().__init__(loading)
        self.store = store
        self.selection, self.train_selection = selection, train_selection or selection
        self.split_file, self.split_seed = split, split_seed

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
        chosen, trained = (
            set(selection.select(self.store.index).ids) for selection in (self.selection, self.train_selection)
        )
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

    def names(self, part: str) -> list[str]:
        """The ids of a part, at most `max_train` of them for training."""
        names, most = self.ids[part], self.loading.max_train
        if part != "train" or most is None:
            return names
        order = np.random.default_rng(0).permutation(len(names))[:most]
        return [names[index] for index in sorted(order)]

    def dataset(self, part: str) -> PartOfSplit:
        """The samples of `train`, `validation` or `test`."""
        raise NotImplementedError

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches."""
        return self._batches(self.dataset("train"), self.loading.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """Validation batches."""
        return self._batches(self.dataset("validation"), 2 * self.loading.batch_size, shuffle=False)

    def test_dataloader(self) -> DataLoader | list[DataLoader]:
        """Test batches."""
        return self._batches(self.dataset("test"), 2 * self.loading.batch_size, shuffle=False)
