"""The Lightning data module of configurations: molecules and cells with energies, forces, stresses or Hessians."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from ase.data import atomic_numbers
from torch.utils.data import DataLoader, Dataset

from datamodules.configuration_samples import labelled_configuration
from datamodules.configurations import ConfigurationEntry, ConfigurationStore
from datamodules.energy_dataset import HESSIAN_COST, KEPT_IN_MEMORY, LabelChoice
from datamodules.split_datamodule import Loading, LoadingDataModule
from datamodules.splits import FRACTIONS, PARTS
from datamodules.store import EDGE_CUTOFF
from mlrim.configuration.types import AtLeast
from mlrim.errors import UserError
from mlrim.graph.energy_labels import LabelledGraph, join_labelled

STATISTICS_SAMPLES = 2000
"""Samples that statistics of a training set are taken from."""


@dataclass(frozen=True, eq=False)
class ConfigurationDataset(Dataset[LabelledGraph]):
    """Some configurations of a data set.

    Attributes:
        store: the data set.
        rows: their positions in it.
        cutoff: Å.
        labels: which labels are used.
        source: number of the data set.
        in_memory: keep what was read, for a process that reads it again every epoch.
    """

    store: ConfigurationStore
    rows: Sequence[int]
    cutoff: float
    labels: LabelChoice = field(default_factory=LabelChoice)
    source: int = 0
    in_memory: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> LabelledGraph:
        return self._sample(self.rows[index])

    @cached_property
    def _sample(self) -> Callable[[int], LabelledGraph]:
        return lru_cache(KEPT_IN_MEMORY)(self._read) if self.in_memory else self._read

    def _read(self, row: int) -> LabelledGraph:
        sample = labelled_configuration(self.store[row], self.cutoff, torch.float32, self.source)
        return sample._replace(labels=self.labels.apply(sample.labels))

    @property
    def costs(self) -> list[int]:
        """Work of every sample, in edges of an energy with forces."""
        return [self._cost(self.store.index[row]) for row in self.rows]

    def _cost(self, entry: ConfigurationEntry) -> int:
        edges = entry.n_edges * (self.cutoff / EDGE_CUTOFF) ** 3
        if not entry.periodic:
            edges = min(edges, entry.n_atoms * (entry.n_atoms - 1))
        return 1 + round(edges * (HESSIAN_COST if self.labels.hessian and entry.has_hessian else 1))

    @property
    def ids(self) -> list[str]:
        """Ids of the configurations."""
        return [self.store.index[row].id for row in self.rows]

    @property
    def elements(self) -> list[int]:
        """Atomic numbers that occur."""
        symbols = {symbol for row in self.rows for symbol in self.store.index[row].elements}
        return sorted(atomic_numbers[symbol] for symbol in symbols)

    @property
    def theories(self) -> list[str]:
        """Levels of theory that occur."""
        return sorted({self.store.index[row].theory for row in self.rows})


def split_configurations(
    index: Sequence[ConfigurationEntry], seed: int, by: Literal["group", "configuration"]
) -> dict[str, list[int]]:
    """Positions of the configurations for `train`, `validation` and `test`: 70/15/15.

    Args:
        by: `group` keeps configurations of one group, such as one molecule, together; `configuration` splits every
            group.
    """
    generator = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for row in sorted(range(len(index)), key=lambda row: index[row].id):
        members.setdefault(index[row].group, []).append(row)
    groups = [members[name] for name in sorted(members)]
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    if by == "configuration":
        for group in groups:
            for part, chosen in zip(PARTS, _cut(generator.permutation(group)), strict=True):
                parts[part] += chosen
    else:
        for part, chosen in zip(PARTS, _cut(generator.permutation(len(groups))), strict=True):
            parts[part] += [row for group in chosen for row in groups[group]]
    return {part: sorted(rows) for part, rows in parts.items()}


def _cut(things: np.ndarray) -> list[list[int]]:
    """The things in three parts, each as near to its share as can be."""
    stops = np.round(np.cumsum(FRACTIONS)[:2] * len(things)).astype(int)
    return [part.tolist() for part in np.split(things, stops)]


class ConfigurationDataModule(LoadingDataModule):
    """Batches of configurations with what is known of their energies.

    Args:
        path: folder of the data set (`python -m datamodules.build` makes it).
        cutoff: Å.
        groups: only configurations of these groups, such as the names of molecules; all when not given.
        split_by: `group` tests on groups that were not trained on, `configuration` on other configurations of them.
        split_seed: seed of the split.
        labels: which labels are trained on; all when not given.
        batch_size: configurations per batch, on average.
        workers: processes that read batches; 0 reads them in this process, and keeps them in memory.
        max_train: use at most so many training configurations; more of them include those of fewer.
        max_validation: use at most so many validation configurations.
        seed: of the order of the batches.
        quiet: no progress bar.
    """

    evaluation_names = ("configurations",)
    background: tuple[str, ...] = ()

    def __init__(
        self,
        path: str,
        cutoff: Annotated[float, AtLeast(0.1)] = 5.0,
        groups: Sequence[str] | None = None,
        split_by: Literal["group", "configuration"] = "group",
        split_seed: Annotated[int, AtLeast(0)] = 0,
        labels: LabelChoice | None = None,
        batch_size: Annotated[int, AtLeast(1)] = 8,
        workers: Annotated[int, AtLeast(0)] = 0,
        max_train: Annotated[int, AtLeast(1)] | None = None,
        max_validation: Annotated[int, AtLeast(1)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
        quiet: bool = False,
    ) -> None:
        super().__init__(Loading(batch_size, workers, 0, max_train, seed, quiet))
        self.store, self.cutoff, self.groups = ConfigurationStore(path), float(cutoff), groups
        self.split_by, self.split_seed = split_by, split_seed
        self.labels, self.max_validation = labels or LabelChoice(), max_validation

    @property
    def content_hash(self) -> str:
        """Of the data set, for provenance."""
        return self.store.content_hash

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """Positions of the configurations of the three parts.

        Raises:
            UserError: a group is not there, or a part would be empty.
        """
        known = sorted({entry.group for entry in self.store.index})
        unknown = sorted(set(self.groups or ()).difference(known))
        if unknown:
            raise UserError(f"{self.store.path} has no groups {', '.join(unknown)}; it has {', '.join(known)}")
        parts = split_configurations(self.store.index, self.split_seed, self.split_by)
        if self.groups is not None:
            wanted = set(self.groups)
            parts = {
                part: [row for row in rows if self.store.index[row].group in wanted] for part, rows in parts.items()
            }
        empty = [part for part, rows in parts.items() if not rows]
        if empty:
            raise UserError(
                f"no configurations of {self.store.path} are left for {' and '.join(empty)}; "
                "choose more groups, or data.split_by=configuration"
            )
        return parts

    collate = staticmethod(join_labelled)

    def dataset(self, part: str, source: int = 0) -> ConfigurationDataset:
        """The samples of `train`, `validation` or `test`; for training with the labels that were chosen.

        Args:
            source: number of the data set, where it is one of several.
        """
        limit = {"train": self.loading.max_train, "validation": self.max_validation}.get(part)
        rows = self.rows[part]
        if limit is not None:
            rows = sorted(np.random.default_rng(0).permutation(rows)[:limit].tolist())
        labels = self.labels if part == "train" else LabelChoice()
        return ConfigurationDataset(self.store, rows, self.cutoff, labels, source, self.loading.in_memory)

    @property
    def theories(self) -> list[str]:
        """Levels of theory that are trained on."""
        return self.dataset("train").theories

    @property
    def elements(self) -> list[int]:
        """Atomic numbers of the training set."""
        return self.dataset("train").elements

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches."""
        return self._batches(self.dataset("train"), self.loading.batch_size, shuffle=True)

    def val_dataloader(self) -> list[DataLoader]:
        """Validation batches."""
        return [self._batches(self.dataset("validation"), self.loading.batch_size, shuffle=False)]

    def test_dataloader(self) -> list[DataLoader]:
        """Test batches."""
        return [self._batches(self.dataset("test"), self.loading.batch_size, shuffle=False)]

    def training_samples(self) -> list[LabelledGraph]:
        """Some training samples, evenly spread, to take statistics from."""
        return statistics_samples(self.dataset("train"))


def statistics_samples(dataset: ConfigurationDataset) -> list[LabelledGraph]:
    """Some samples, evenly spread."""
    step = max(1, len(dataset) // STATISTICS_SAMPLES)
    return [dataset[index] for index in range(0, len(dataset), step)]
