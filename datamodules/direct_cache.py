"""Samples of the direct networks on disk, beside the data set that they were made from; see `sample_cache`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.progress import track

from datamodules.direct_samples import DirectSample, DirectSettings, make_direct_sample
from datamodules.records import decode_arrays, encode_arrays
from datamodules.sample_cache import SampleCache, encoded, make_once, narrow, widen
from datamodules.store import RecordStore
from mlrim.graph.structure_graph import StructureGraph

DIRECT_SAMPLE_VERSION = 2
"""Raised whenever samples made before would differ."""

Argument = tuple[str, str, DirectSettings]


class DirectCache(SampleCache):
    """Direct samples of some records, by position."""

    def __getitem__(self, row: int) -> DirectSample:  # type: ignore[override]
        start, stop = self.index["offsets"][row : row + 2]
        stored = decode_arrays(self._bytes[start:stop].tobytes())
        arrays = {name: torch.from_numpy(widen(name, array)) for name, array in stored.items()}
        graph = StructureGraph(*(arrays.pop(f"graph.{name}") for name in StructureGraph._fields))
        return DirectSample(graph, **arrays)


def ensure_direct_samples(
    store: RecordStore, ids: Sequence[str], settings: DirectSettings, workers: int, quiet: bool = False
) -> DirectCache:
    """Samples of the given records at least, from disk or made now by `workers` processes (0: in this one).

    Samples made for a larger selection serve a smaller one.

    Raises:
        UserError: a record has no force constants, or the disk is full.
    """
    parent, key = store.path.with_name(store.path.name + ".samples"), settings_key(store, settings)
    known = larger_cache(parent, key, ids)
    if known is not None:
        return known
    arguments = [(str(store.path), name, settings) for name in ids]
    made = make_once(
        parent / f"direct-{key}-{_hash(sorted(ids))}",
        {"settings": asdict(settings), "ids": list(ids)},
        lambda: track(encoded(_encode_one, arguments, workers), "direct samples", total=len(ids), disable=quiet),
    )
    return DirectCache(made)


def larger_cache(parent: Path, key: str, ids: Sequence[str]) -> DirectCache | None:
    """A finished cache of the same settings that holds all of the ids."""
    for folder in sorted(parent.glob(f"direct-{key}-*")):
        if (folder / "index.json").is_file():
            cache = DirectCache(folder)
            if cache.row_of.keys() >= set(ids):
                return cache
    return None


def settings_key(store: RecordStore, settings: DirectSettings) -> str:
    """Names everything that samples depend on besides the choice of records."""
    return _hash([DIRECT_SAMPLE_VERSION, store.manifest.content_hash, asdict(settings)])


def _hash(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _encode_one(argument: Argument) -> tuple[bytes, int]:
    path, name, settings = argument
    sample = make_direct_sample(RecordStore(path)[name], settings)
    named = {f"graph.{field}": tensor for field, tensor in sample.graph._asdict().items()}
    named |= {field: getattr(sample, field) for field in DirectSample._fields[1:]}
    data = encode_arrays({key: narrow(tensor.numpy()) for key, tensor in named.items()})
    return data, len(sample.graph.receiver) + 20 * len(sample.graph.masses)
