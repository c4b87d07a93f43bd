"""The Lightning data module of direct models: bare structures with frequencies, split and batched."""

from functools import cached_property, lru_cache
from typing import Annotated

import numpy as np
from torch.utils.data import Dataset

from datamodules.direct_cache import DirectCache, ensure_direct_samples
from datamodules.direct_samples import DirectSample, LabelledStructure, chosen_waves, join_direct
from datamodules.filters import RecordFilter
from datamodules.split_datamodule import Loading, SplitDataModule
from datamodules.store import RecordStore
from mlrim.configuration.types import Above, AtLeast


class DirectDataset(Dataset[LabelledStructure]):
    """Samples of one part of a split.

    Args:
        cache: where the samples are.
        rows: the samples.
        waves: wave vectors besides Γ that each sample comes with.
        seed: of a random choice of wave vectors; none takes the first ones, always the same.
        in_memory: keep what was read, for a process that reads it again every epoch.
    """

    def __init__(self, cache: DirectCache, rows: list[int], waves: int, seed: int | None, in_memory: bool) -> None:
        self.cache, self.rows, self.waves = cache, rows, waves
        self.generator = None if seed is None else np.random.default_rng(seed)
        self.read = lru_cache(maxsize=None)(self._read) if in_memory else self._read

    def _read(self, row: int) -> DirectSample:
        return self.cache[row]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> LabelledStructure:
        return chosen_waves(self.read(self.rows[index]), self.waves, self.generator)

    @property
    def costs(self) -> list[int]:
        """Work of every sample."""
        return [self.cache.costs[row] for row in self.rows]

    @property
    def ids(self) -> list[str]:
        """Ids of the records."""
        return [self.cache.index["ids"][row] for row in self.rows]


class DirectDataModule(SplitDataModule):
    """Batches of structures with their frequencies at Γ and at other wave vectors.

    Args:
        path: folder of the data set (`python -m datamodules.build` makes it).
        cutoff: Å.
        selection: which records are used.
        train_selection: which records are trained on, where not those of `selection`.
        split: split file; when not given the split is made from `split_seed`.
        split_seed: seed of the split.
        wave_vectors: wave vectors kept per crystal besides Γ.
        waves: of these, how many enter each training step.
        batch_size: crystals per batch, on average.
        workers: processes that read batches; 0 keeps all samples in this process's memory.
        sample_workers: processes that make samples when the data set is used for the first time.
        max_train: use at most so many training records (for quick experiments).
        seed: of the order of the batches and the choice of wave vectors.
        quiet: no progress bar.
    """

    collate = staticmethod(join_direct)

    def __init__(
        self,
        path: str,
        cutoff: Annotated[float, Above(1)] = 5.0,
        selection: RecordFilter | None = None,
        train_selection: RecordFilter | None = None,
        split: str | None = None,
        split_seed: Annotated[int, AtLeast(0)] = 0,
        wave_vectors: Annotated[int, AtLeast(1)] = 8,
        waves: Annotated[int, AtLeast(1)] = 1,
        batch_size: Annotated[int, AtLeast(1)] = 32,
        workers: Annotated[int, AtLeast(0)] = 0,
        sample_workers: Annotated[int, AtLeast(0)] = 2,
        max_train: Annotated[int, AtLeast(1)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
        quiet: bool = False,
    ) -> None:
        loading = Loading(batch_size, workers, sample_workers, max_train, seed, quiet)
        super().__init__(RecordStore(path), selection or RecordFilter(), train_selection, split, split_seed, loading)
        self.cutoff, self.wave_vectors, self.waves = float(cutoff), wave_vectors, waves

    @cached_property
    def cache(self) -> DirectCache:
        """The samples of all selected records."""
        names = sorted({name for part in self.ids.values() for name in part})
        return ensure_direct_samples(
            self.store, names, self.cutoff, self.wave_vectors, self.loading.sample_workers, self.loading.quiet
        )

    def prepare_data(self) -> None:
        """Make the samples, once for all processes."""
        len(self.cache)

    def dataset(self, part: str) -> DirectDataset:
        """The samples of `train`, `validation` or `test`."""
        rows = [self.cache.row_of[name] for name in self.names(part)]
        seed = self.loading.seed if part == "train" else None
        return DirectDataset(self.cache, rows, self.waves, seed, self.loading.in_memory)
