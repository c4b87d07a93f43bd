"""Samples of energies on disk, beside the data set that they were made from; see `sample_cache`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import NamedTuple

import numpy as np
from rich.progress import track

from datamodules.energy_samples import (
    ENERGY_SAMPLE_VERSION,
    CrystalEnergies,
    EnergySettings,
    arrays_of,
    crystal_energies,
    energies_of,
)
from datamodules.records import decode_arrays, encode_arrays
from datamodules.sample_cache import SampleCache, encoded, make_once, narrow, widen
from datamodules.store import RecordStore

Argument = tuple[str, str, EnergySettings]


class StoredShape(NamedTuple):
    """How large what is stored of a record is, without the numbers."""

    n_atoms: int
    volume: float
    """Of the primitive cell, Å³."""
    cells: tuple[int, ...]
    """Primitive cells in each of its cells."""
    n_displaced: int
    n_images: int
    """Atoms in a displaced supercell."""

    def edges(self, n_atoms: int, cutoff: float) -> float:
        """Directed pairs within a cut-off (Å) that so many atoms at this density have."""
        return n_atoms * self.n_atoms / self.volume * 4 / 3 * np.pi * cutoff**3


class EnergyCache(SampleCache):
    """Force constants of small cells and forces of displaced supercells of some records, by position."""

    def __getitem__(self, row: int) -> CrystalEnergies:  # type: ignore[override]
        start, stop = self.index["offsets"][row : row + 2]
        stored = decode_arrays(self._bytes[start:stop].tobytes())
        return energies_of({name: widen(name, array) for name, array in stored.items()})

    @cached_property
    def shapes(self) -> list[StoredShape]:
        """The sizes of everything, in the order of the rows."""
        return [_shape(self[row]) for row in range(len(self))]


def _shape(energies: CrystalEnergies) -> StoredShape:
    crystal, displaced = energies.crystal, energies.displaced
    n_displaced, n_images = (0, 0) if displaced is None else displaced.forces.shape[:2]
    cells = tuple(cell.target.shape[1] // crystal.n_atoms for cell in energies.cells)
    return StoredShape(crystal.n_atoms, crystal.volume, cells, n_displaced, n_images)


def ensure_energy_samples(
    store: RecordStore, ids: Sequence[str], settings: EnergySettings, workers: int, quiet: bool = False
) -> EnergyCache:
    """The samples of the given records, from disk or made now by `workers` processes (0: in this one).

    Raises:
        UserError: a record lacks what the settings ask for, or the disk is full.
    """
    arguments = [(str(store.path), name, settings) for name in ids]
    made = make_once(
        store.path.with_name(store.path.name + ".samples") / ("energy-" + _key(store, ids, settings)),
        {"settings": asdict(settings), "ids": list(ids)},
        lambda: track(encoded(_encode_one, arguments, workers), "energy samples", total=len(ids), disable=quiet),
    )
    return EnergyCache(made)


def _key(store: RecordStore, ids: Sequence[str], settings: EnergySettings) -> str:
    manifest = store.manifest
    parts = [ENERGY_SAMPLE_VERSION, manifest.content_hash, manifest.features_hash, asdict(settings), sorted(ids)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _encode_one(argument: Argument) -> tuple[bytes, int]:
    path, name, settings = argument
    arrays = arrays_of(crystal_energies(RecordStore(path)[name], settings))
    narrowed = {key: narrow(array) for key, array in arrays.items()}
    return encode_arrays(narrowed), sum(array.nbytes for array in narrowed.values())
