"""The Lightning data module of response models: records of one or two data sets, split, made samples of and batched."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Annotated, NamedTuple

from torch.utils.data import Dataset

from datamodules.filters import RecordFilter
from datamodules.response_cache import ResponseCache, ensure_response_samples
from datamodules.response_samples import LabelledResponse, join_responses
from datamodules.split_datamodule import Loading, SplitDataModule
from datamodules.splits import PARTS
from datamodules.store import RecordStore
from mlrim.configuration.types import AtLeast
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


class ResponseDataModule(SplitDataModule):
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
        selection = selection or RecordFilter(need_born=True)
        loading = Loading(batch_size, workers, sample_workers, max_train, seed, quiet)
        super().__init__(RecordStore(path), selection, train_selection, split, split_seed, loading)
        self.second = None if also is None else RecordStore(also)
        self.repeats, self.cutoff = repeats, float(cutoff)

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
                self.loading.sample_workers,
                self.loading.quiet,
            )
            for store, ids in wanted
        ]

    @cached_property
    def theories(self) -> list[str]:
        """Levels of theory that are trained on."""
        stores = [store for store in (self.store, self.second) if store is not None]
        return sorted({THEORIES[theory_index(store[0].theory)] for store in stores})

    collate = staticmethod(join_responses)

    def prepare_data(self) -> None:
        """Make the samples, once for all processes."""
        len(self.caches)

    def dataset(self, part: str) -> ResponseDataset:
        """The samples of `train`, `validation` or `test`."""
        places = [Place(0, self.caches[0].row_of[name]) for name in self.names(part)]
        for name in self.second_ids[part] * (self.repeats if part == "train" else 1):
            places.append(Place(1, self.caches[1].row_of[name]))
        return ResponseDataset(self.caches, places, in_memory=self.loading.in_memory)

    def training_samples(self) -> list[LabelledResponse]:
        """Some training samples, evenly spread, to take statistics from."""
        dataset = self.dataset("train")
        step = max(1, len(dataset) // STATISTICS_SAMPLES)
        return [dataset[index] for index in range(0, len(dataset), step)]
