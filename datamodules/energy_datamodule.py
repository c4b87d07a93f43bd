"""The Lightning data module of energies: cells with Hessians and displaced supercells of the crystals of a data set."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated

import numpy as np
from ase.data import atomic_numbers
from torch.utils.data import DataLoader

from datamodules.configuration_datamodule import ConfigurationDataModule
from datamodules.energy_cache import EnergyCache, ensure_energy_samples
from datamodules.energy_dataset import EnergyDataset, Kind, LabelChoice, Mixture, Place
from datamodules.energy_samples import EnergySettings, Reading
from datamodules.filters import RecordFilter
from datamodules.mixed_batches import MixedBatches
from datamodules.split_datamodule import Loading, PartOfSplit, SplitDataModule
from datamodules.splits import PARTS
from datamodules.store import RecordStore
from mlrim.configuration.types import AtLeast, Between
from mlrim.errors import UserError
from mlrim.graph.energy_labels import LabelledGraph, join_labelled
from mlrim.rim.background import check_names

STATISTICS_SAMPLES = 400
"""Samples of each kind that statistics of a training set are taken from."""

EVALUATED: dict[str, tuple[Kind, int]] = {"gamma": ("cell", 0), "wave": ("cell", 1), "displaced": ("displaced", 0)}
"""Which sample of every crystal is validated and tested on, loader by loader."""


class EnergyDataModule(SplitDataModule):
    """Batches of crystals with what is known of their energies.

    Each epoch shows every training crystal once, in its primitive cell or in one of the small cells that other wave
    vectors of its supercell fit, and some displaced supercells. There are several loaders for validation and test,
    named by `evaluation_names`.

    Args:
        path: folder of the data set (`python -m datamodules.build` makes it).
        background: parts that are not learned: some of dipole, rim.
        label: level of theory to learn.
        cutoff: Å.
        selection: which records are used; those of good quality when not given.
        train_selection: which records are trained on, where not those of `selection`.
        split: split file; when not given the split is made from `split_seed`.
        split_seed: seed of the split.
        wave_cells: cells of other wave vectors kept for each crystal.
        max_cells: primitive cells in the largest of them; 1 for Γ alone.
        max_cell_atoms: atoms in the largest of them.
        gamma_share: how often the primitive cell is shown of a crystal that has other cells as well.
        displaced: displaced supercells kept for each crystal.
        displaced_share: displaced supercells that an epoch shows for each crystal.
        stationary: the forces of reference structures are known to be zero.
        unstressed: the stress of reference structures is known to be zero.
        labels: which labels of the crystals are trained on; all when not given.
        configurations: other samples to train on, such as molecules, with energies, forces or stresses.
        ratio: how many of them an epoch shows for each training crystal.
        batch_size: samples per batch, on average.
        workers: processes that read batches; 0 reads them in this process, and keeps them in memory.
        sample_workers: processes that make samples when the data set is used for the first time.
        max_train: use at most so many training records.
        max_validation: use at most so many validation records.
        max_validation_atoms: leave out larger cells from validation.
        seed: of the choice of samples and the order of the batches.
        quiet: no progress bar.
    """

    def __init__(
        self,
        path: str,
        background: Sequence[str] = ("dipole",),
        label: str = "dft",
        cutoff: Annotated[float, AtLeast(0.1)] = 5.0,
        selection: RecordFilter | None = None,
        train_selection: RecordFilter | None = None,
        split: str | None = None,
        split_seed: Annotated[int, AtLeast(0)] = 0,
        wave_cells: Annotated[int, AtLeast(0)] = 4,
        max_cells: Annotated[int, AtLeast(1)] = 4,
        max_cell_atoms: Annotated[int, AtLeast(1)] = 40,
        gamma_share: Annotated[float, Between(0, 1)] = 0.25,
        displaced: Annotated[int, AtLeast(0)] = 0,
        displaced_share: Annotated[float, AtLeast(0)] = 0.0,
        stationary: bool = True,
        unstressed: bool = False,
        labels: LabelChoice | None = None,
        configurations: ConfigurationDataModule | None = None,
        ratio: Annotated[float, AtLeast(0)] = 4.0,
        batch_size: Annotated[int, AtLeast(1)] = 16,
        workers: Annotated[int, AtLeast(0)] = 0,
        sample_workers: Annotated[int, AtLeast(0)] = 2,
        max_train: Annotated[int, AtLeast(1)] | None = None,
        max_validation: Annotated[int, AtLeast(1)] | None = None,
        max_validation_atoms: Annotated[int, AtLeast(1)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
        quiet: bool = False,
    ) -> None:
        check_names(background)
        if displaced_share > 0 and displaced == 0:
            raise UserError(
                f"data.displaced_share={displaced_share:g} shows displaced supercells, but data.displaced=0 keeps none "
                "of them; set data.displaced to how many are kept for each crystal, for example 4"
            )
        selection = selection or RecordFilter(level=label)
        loading = Loading(batch_size, workers, sample_workers, max_train, seed, quiet)
        super().__init__(RecordStore(path), selection, train_selection, split, split_seed, loading)
        self.background = list(background)
        self.settings = EnergySettings(tuple(self.background), label, wave_cells, max_cells, max_cell_atoms, displaced)
        self.reading = Reading(float(cutoff), stationary, unstressed)
        self.labels = labels or LabelChoice()
        self.configurations, self.ratio = configurations, ratio
        self.gamma_share, self.displaced_share = gamma_share, displaced_share
        self.max_validation, self.max_validation_atoms = max_validation, max_validation_atoms

    @cached_property
    def cache(self) -> EnergyCache:
        """The samples of all selected records."""
        names = sorted({name for part in PARTS for name in self.ids[part]})
        return ensure_energy_samples(self.store, names, self.settings, self.loading.sample_workers, self.loading.quiet)

    @property
    def theories(self) -> list[str]:
        """Levels of theory that are trained on."""
        own = {self.store[self.names("train")[0]].theory}
        return sorted(own.union(self.configurations.theories if self.configurations else ()))

    @property
    def elements(self) -> list[int]:
        """Atomic numbers of the training set."""
        names = set(self.names("train"))
        symbols = {symbol for entry in self.store.index if entry.id in names for symbol in entry.elements}
        own = {atomic_numbers[symbol] for symbol in symbols}
        return sorted(own.union(self.configurations.elements if self.configurations else ()))

    @cached_property
    def evaluation_names(self) -> list[str]:
        """What the loaders for validation and test hold: `gamma` primitive cells, `wave` one cell of another wave
        vector for each crystal, `displaced` one displaced supercell for each crystal, `configurations` the others.

        A loader that would be empty in validation or test is left out.
        """
        names = [*EVALUATED, *(["configurations"] if self.configurations is not None else [])]
        return [name for name in names if all(len(self.evaluation(part, name)) for part in ("validation", "test"))]

    collate = staticmethod(join_labelled)

    def prepare_data(self) -> None:
        """Make the samples, once for all processes."""
        len(self.cache)

    def names(self, part: str) -> list[str]:
        """The ids of a part, at most `max_train` of them for training and `max_validation` for validation."""
        if part != "validation" or self.max_validation is None:
            return super().names(part)
        order = np.random.default_rng(0).permutation(len(self.ids[part]))[: self.max_validation]
        return [self.ids[part][index] for index in sorted(order)]

    def dataset(self, part: str) -> EnergyDataset:
        """All samples of the crystals of `train`, `validation` or `test` with the labels that were chosen.

        Raises:
            UserError: nothing is known of any sample.
        """
        known = self.labels.hessian or (self.labels.forces and self.reading.stationary)
        shapes = self.cache.shapes
        places = []
        for row in (self.cache.row_of[name] for name in self.names(part)):
            places += [Place("cell", row, choice) for choice in range(len(shapes[row].cells)) if known]
            places += [Place("displaced", row, choice) for choice in range(shapes[row].n_displaced)]
        if not places:
            raise UserError(
                "nothing is left to train on: data.labels leaves out Hessians, and there are no displaced supercells; "
                "set data.displaced, data.stationary=true or data.labels.hessian=true"
            )
        shares = self.gamma_share, self.displaced_share
        return EnergyDataset(self.cache, places, self.reading, self.labels, *shares, self.loading.in_memory)

    @property
    def mixture(self) -> Mixture:
        """What is trained on."""
        others = None if self.configurations is None else self.configurations.dataset("train", source=1)
        return Mixture(self.dataset("train"), others, self.ratio)

    def evaluation(self, part: str, name: str) -> PartOfSplit:
        """The samples of one of the loaders for `validation` or `test`, with all that is known of them."""
        if self.configurations is not None and name == "configurations":
            return self.configurations.dataset(part, source=1)
        kind, choice = EVALUATED[name]
        limit = self.max_validation_atoms if part == "validation" else None
        places = [Place(kind, self.cache.row_of[name], choice) for name in self.names(part)]
        kept = [place for place in places if self._exists(place) and (limit is None or self._n_atoms(place) <= limit)]
        return EnergyDataset(self.cache, kept, self.reading, in_memory=self.loading.in_memory)

    def _exists(self, place: Place) -> bool:
        shape = self.cache.shapes[place.row]
        return place.choice < (len(shape.cells) if place.kind == "cell" else shape.n_displaced)

    def _n_atoms(self, place: Place) -> int:
        shape = self.cache.shapes[place.row]
        return shape.n_atoms * shape.cells[place.choice] if place.kind == "cell" else shape.n_images

    def train_dataloader(self) -> DataLoader:
        """Batches that are drawn anew for every epoch."""
        samples = self.mixture
        return self._loader_of(samples, MixedBatches(samples, self.loading.batch_size, self.loading.seed, *self._ranks))

    def val_dataloader(self) -> list[DataLoader]:
        """Validation batches, a loader for each of `evaluation_names`."""
        return self._evaluation_loaders("validation")

    def test_dataloader(self) -> list[DataLoader]:
        """Test batches, a loader for each of `evaluation_names`."""
        return self._evaluation_loaders("test")

    def _evaluation_loaders(self, part: str) -> list[DataLoader]:
        parts = [self.evaluation(part, name) for name in self.evaluation_names]
        return [self._batches(samples, self.loading.batch_size, shuffle=False) for samples in parts]

    def training_samples(self) -> list[LabelledGraph]:
        """Some training samples, evenly spread, to take statistics from."""
        samples = self.mixture
        found = []
        for kind in samples.draw(np.random.default_rng(0)):
            step = max(1, len(kind) // STATISTICS_SAMPLES)
            found += [samples[index] for index in kind[::step]]
        return found
