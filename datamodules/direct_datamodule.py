"""The Lightning data module of direct models: bare structures with what is known of their vibrations."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Annotated, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from datamodules.direct_cache import DirectCache, ensure_direct_samples
from datamodules.direct_samples import (
    DirectSample,
    DirectSettings,
    LabelledStructure,
    chosen_waves,
    join_direct,
    spectra_alone,
)
from datamodules.filters import RecordFilter
from datamodules.split_datamodule import Loading, SplitDataModule
from datamodules.splits import PARTS
from datamodules.store import RecordStore
from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.frequency_bins import DENSITY_BINS, SPECTRUM_BINS, bins_from


class Place(NamedTuple):
    """Where a sample is."""

    cache: int
    row: int
    regular: bool
    """Whether all of its labels are used; else its stability, or of a second data set its Raman spectrum."""


class DirectDataset(Dataset[LabelledStructure]):
    """Samples of one part of a split.

    Args:
        caches: where the samples are.
        places: the samples.
        waves: wave vectors besides Γ that each sample comes with.
        seed: of a random choice of wave vectors; none takes the first ones, always the same.
        in_memory: keep what was read, for a process that reads it again every epoch.
    """

    def __init__(
        self, caches: Sequence[DirectCache], places: Sequence[Place], waves: int, seed: int | None, in_memory: bool
    ) -> None:
        self.caches, self.places, self.waves = list(caches), list(places), waves
        self.generator = None if seed is None else np.random.default_rng(seed)
        self.read = lru_cache(maxsize=None)(self._read) if in_memory else self._read

    def _read(self, place: Place) -> DirectSample:
        sample = self.caches[place.cache][place.row]
        return sample if place.cache == 0 else spectra_alone(sample)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> LabelledStructure:
        place = self.places[index]
        return chosen_waves(self.read(place), self.waves, self.generator, place.regular)

    @property
    def costs(self) -> list[int]:
        """Work of every sample."""
        return [self.caches[place.cache].costs[place.row] for place in self.places]

    @property
    def ids(self) -> list[str]:
        """Ids of the records."""
        return [self.caches[place.cache].index["ids"][place.row] for place in self.places]


class DirectDataModule(SplitDataModule):
    """Batches of structures with frequencies, densities of states, spectra and stability.

    Args:
        path: folder of the data set (`python -m datamodules.build` makes it).
        also: folder of a second data set, whose Raman spectra are learned. Its records go to the part of the split
            where the first data set has their formula, and to the training set where it does not know the formula.
        cutoff: Å.
        label: level of theory that is learned.
        selection: whose frequencies, densities and spectra are used.
        train_selection: the same for training, where not those of `selection`.
        stability_selection: further records, of which stability alone is used; none when not given.
        split: split file; when not given the split is made from `split_seed`.
        split_seed: seed of the split.
        density_bins: of densities of states: number, upper edge of the last one, frequency where they widen (cm⁻¹).
        spectrum_bins: the same of spectra.
        line_width: FWHM of the lines of spectra, cm⁻¹.
        mesh_spacing: distance of wave vectors that densities of states are made from, 1/Å without 2π.
        wave_vectors: wave vectors kept per crystal besides Γ.
        waves: of these, how many enter each training step.
        left_out: elements (symbols) of which nothing is trained on, to see what a model says of the unknown.
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
        also: str | None = None,
        cutoff: Annotated[float, Above(1)] = 5.0,
        label: str = "dft",
        selection: RecordFilter | None = None,
        train_selection: RecordFilter | None = None,
        stability_selection: RecordFilter | None = None,
        split: str | None = None,
        split_seed: Annotated[int, AtLeast(0)] = 0,
        density_bins: Sequence[int | float] = DENSITY_BINS,
        spectrum_bins: Sequence[int | float] = SPECTRUM_BINS,
        line_width: Annotated[float, Above(0)] = 20.0,
        mesh_spacing: Annotated[float, Above(0)] = 0.06,
        wave_vectors: Annotated[int, AtLeast(1)] = 8,
        waves: Annotated[int, AtLeast(1)] = 1,
        left_out: Sequence[str] = (),
        batch_size: Annotated[int, AtLeast(1)] = 32,
        workers: Annotated[int, AtLeast(0)] = 0,
        sample_workers: Annotated[int, AtLeast(0)] = 2,
        max_train: Annotated[int, AtLeast(1)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
        quiet: bool = False,
    ) -> None:
        loading = Loading(batch_size, workers, sample_workers, max_train, seed, quiet)
        super().__init__(RecordStore(path), selection or RecordFilter(), train_selection, split, split_seed, loading)
        self.second = None if also is None else RecordStore(also)
        self.stability_selection, self.left_out = stability_selection, frozenset(left_out)
        self.waves = waves
        self.settings = DirectSettings(
            label,
            float(cutoff),
            wave_vectors,
            bins_from(density_bins),
            bins_from(spectrum_bins),
            line_width,
            mesh_spacing,
        )

    @property
    def line_width(self) -> float:
        """FWHM of the lines of spectra, cm⁻¹."""
        return self.settings.line_width

    @cached_property
    def elements_of(self) -> dict[str, tuple[str, ...]]:
        """The elements of every record of both data sets."""
        stores = [store for store in (self.store, self.second) if store is not None]
        return {entry.id: entry.elements for store in stores for entry in store.index}

    @cached_property
    def elements(self) -> list[int]:
        """Atomic numbers of the training set's elements."""
        from ase.data import atomic_numbers

        symbols = {
            symbol for name in self.trained_on("train", self.names("train")) for symbol in self.elements_of[name]
        }
        return sorted(atomic_numbers[symbol] for symbol in symbols)

    @cached_property
    def stability_ids(self) -> dict[str, list[str]]:
        """Ids in the three parts that are used for their stability alone."""
        if self.stability_selection is None:
            return {part: [] for part in PARTS}
        chosen = set(self.stability_selection.select(self.store.index).ids)
        return {
            part: [name for name in getattr(self.split, part) if name in chosen - set(self.ids[part])] for part in PARTS
        }

    @cached_property
    def second_ids(self) -> dict[str, list[str]]:
        """Ids of the second data set in the three parts, by the formulas of the first."""
        part_of_id = {name: part for part in PARTS for name in getattr(self.split, part)}
        part_of_formula = {entry.formula: part_of_id[entry.id] for entry in self.store.index if entry.id in part_of_id}
        parts: dict[str, list[str]] = {part: [] for part in PARTS}
        for entry in () if self.second is None else self.second.index:
            if self.settings.label in entry.levels:
                parts[part_of_formula.get(entry.formula, "train")].append(entry.id)
        return parts

    @cached_property
    def caches(self) -> list[DirectCache]:
        """The samples of all selected records, a cache for each data set."""
        names = {name for ids in (self.ids, self.stability_ids) for part in ids.values() for name in part}
        wanted = [(self.store, names)]
        if self.second is not None:
            wanted.append((self.second, {name for part in self.second_ids.values() for name in part}))
        return [
            ensure_direct_samples(store, sorted(names), self.settings, self.loading.sample_workers, self.loading.quiet)
            for store, names in wanted
        ]

    def prepare_data(self) -> None:
        """Make the samples, once for all processes."""
        len(self.caches)

    def trained_on(self, part: str, names: Sequence[str]) -> list[str]:
        """The ids that are left when the elements to leave out are left out of training and validation."""
        if part == "test":
            return list(names)
        return [name for name in names if not self.left_out & set(self.elements_of[name])]

    def dataset(self, part: str) -> DirectDataset:
        """The samples of `train`, `validation` or `test`."""
        wanted = [(0, self.names(part), True), (0, self.stability_ids[part], False)]
        wanted.append((1, self.second_ids[part], False))
        places = [
            Place(cache, self.caches[cache].row_of[name], regular)
            for cache, names, regular in wanted
            for name in self.trained_on(part, names)
        ]
        seed = self.loading.seed if part == "train" else None
        return DirectDataset(self.caches, places, self.waves, seed, self.loading.in_memory)
