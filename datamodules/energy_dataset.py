"""Samples of energies by position, and which of them an epoch shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from datamodules.energy_cache import EnergyCache
from datamodules.energy_samples import Reading, cell_sample, displaced_sample
from datamodules.split_datamodule import PartOfSplit
from mlrim.graph.energy_labels import EnergyLabels, LabelledGraph

HESSIAN_COST = 3.0
"""Work of a sample with a Hessian over that of one with energy and forces alone."""

KEPT_IN_MEMORY = 8000
"""Samples that a process keeps of a data set; about 60 kB each."""


@dataclass(frozen=True)
class LabelChoice:
    """Which labels are used; what is not used is as if it were unknown."""

    energy: bool = True
    forces: bool = True
    stress: bool = True
    hessian: bool = True

    def apply(self, labels: EnergyLabels) -> EnergyLabels:
        """The labels that are used."""
        if not self.energy:
            labels = labels._replace(energy=torch.full_like(labels.energy, torch.nan))
        if not self.forces:
            labels = labels._replace(forces=torch.full_like(labels.forces, torch.nan))
        if not self.stress:
            labels = labels._replace(stress=torch.full_like(labels.stress, torch.nan))
        return labels if self.hessian else _without_hessians(labels)


def _without_hessians(labels: EnergyLabels) -> EnergyLabels:
    nothing = [labels.energy.new_zeros(0, 0)] * len(labels.hessian)
    frequencies = [matrix.reshape(0) for matrix in nothing]
    return labels._replace(hessian=nothing, rest=nothing, eigenvectors=nothing, frequencies=frequencies)


Kind = Literal["cell", "displaced"]


class Place(NamedTuple):
    """Where a sample is."""

    kind: Kind
    row: int
    """In the cache."""
    choice: int
    """Which of the record's cells or displaced supercells."""


@dataclass(frozen=True, eq=False)
class EnergyDataset(Dataset[LabelledGraph]):
    """Samples of one part of a split.

    Attributes:
        cache: where they are.
        places: which they are.
        reading: how they become graphs.
        labels: which labels are used.
        gamma_share: how often an epoch shows the primitive cell of a crystal that has other cells as well.
        displaced_share: displaced supercells that an epoch shows for each crystal.
        in_memory: keep the samples of cells that were read, for a process that reads them again every epoch.
    """

    cache: EnergyCache
    places: Sequence[Place]
    reading: Reading
    labels: LabelChoice = field(default_factory=LabelChoice)
    gamma_share: float = 0.25
    displaced_share: float = 0.0
    in_memory: bool = False

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> LabelledGraph:
        place = self.places[index]
        sample = self._cell(place) if place.kind == "cell" else self._displaced(place)
        return sample._replace(labels=self.labels.apply(sample.labels))

    @cached_property
    def _cell(self) -> Callable[[Place], LabelledGraph]:
        return lru_cache(KEPT_IN_MEMORY)(self._read_cell) if self.in_memory else self._read_cell

    def _read_cell(self, place: Place) -> LabelledGraph:
        return cell_sample(self.cache[place.row], place.choice, self.reading)

    def _displaced(self, place: Place) -> LabelledGraph:
        return displaced_sample(self.cache[place.row], place.choice, self.reading)

    @property
    def costs(self) -> list[int]:
        """Work of every sample, in edges of an energy with forces."""
        return [round(self._cost(place)) for place in self.places]

    def _cost(self, place: Place) -> float:
        shape = self.cache.shapes[place.row]
        if place.kind == "displaced":
            return shape.edges(shape.n_images, self.reading.cutoff)
        edges = shape.edges(shape.n_atoms * shape.cells[place.choice], self.reading.cutoff)
        return edges * (HESSIAN_COST if self.labels.hessian else 1)

    @property
    def ids(self) -> list[str]:
        """Ids of the records."""
        return [self.cache.index["ids"][place.row] for place in self.places]

    @property
    def n_crystals(self) -> int:
        """Number of different crystals."""
        return len({place.row for place in self.places})

    def draw(self, generator: np.random.Generator) -> list[list[int]]:
        """The samples of an epoch: one cell of every crystal, and displaced supercells."""
        cells, displaced = self._by_crystal("cell"), self._by_crystal("displaced")
        chosen = [
            of_crystal[0]
            if len(of_crystal) == 1 or generator.random() < self.gamma_share
            else int(generator.choice(of_crystal[1:]))
            for of_crystal in cells
        ]
        count = round(self.displaced_share * self.n_crystals)
        shown = [int(generator.choice(displaced[index])) for index in drawn_evenly(generator, len(displaced), count)]
        return [chosen, shown]

    def _by_crystal(self, kind: str) -> list[list[int]]:
        """Positions of the samples of a kind, crystal by crystal; the primitive cell is the first of its crystal."""
        found: dict[int, list[int]] = {}
        for index, place in enumerate(self.places):
            if place.kind == kind:
                found.setdefault(place.row, []).append(index)
        return list(found.values())


class Mixture(Dataset[LabelledGraph]):
    """Crystals and, where there are some, configurations of another data set.

    Args:
        crystals: samples of the crystals; they come first.
        configurations: other samples.
        ratio: configurations that an epoch shows for each crystal.
    """

    def __init__(self, crystals: EnergyDataset, configurations: PartOfSplit | None = None, ratio: float = 0.0) -> None:
        self.crystals, self.configurations, self.ratio = crystals, configurations, ratio

    def __len__(self) -> int:
        return len(self.crystals) + (0 if self.configurations is None else len(self.configurations))

    def __getitem__(self, index: int) -> LabelledGraph:
        if self.configurations is None or index < len(self.crystals):
            return self.crystals[index]
        return self.configurations[index - len(self.crystals)]

    @property
    def costs(self) -> list[int]:
        """Work of every sample."""
        return self.crystals.costs + ([] if self.configurations is None else self.configurations.costs)

    def draw(self, generator: np.random.Generator) -> list[list[int]]:
        """The samples of an epoch, a list for each kind: cells, displaced supercells, configurations."""
        cells, displaced = self.crystals.draw(generator)
        if self.configurations is None:
            return [cells, displaced]
        count = round(self.ratio * self.crystals.n_crystals)
        others = drawn_evenly(generator, len(self.configurations), count)
        return [cells, displaced, [len(self.crystals) + index for index in others]]


def drawn_evenly(generator: np.random.Generator, size: int, count: int) -> list[int]:
    """So many of `size` things in random order; each comes once before any comes twice."""
    rounds = -(-count // size) if size else 0
    order = [generator.permutation(size) for _ in range(rounds)]
    return np.concatenate(order).tolist()[:count] if order else []
