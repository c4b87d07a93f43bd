"""Samples of the response network on disk, beside the data set that they were made from; see `sample_cache`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

import torch
from rich.progress import track

from datamodules.records import decode_arrays, encode_arrays
from datamodules.response_samples import LabelledResponse, arrays_of, make_response_sample, sample_of
from datamodules.sample_cache import SampleCache, narrow, publish, widen
from datamodules.store import RecordStore
from datamodules.threads import worker_pool
from mlrim.output_folder import writing_to
from mlrim.rim.bond_polarizability import default_parameters

RESPONSE_SAMPLE_VERSION = 1
"""Raised whenever samples made before would differ."""

Argument = tuple[str, str, float]


class ResponseCache(SampleCache):
    """Response samples of some records, by position."""

    def __getitem__(self, row: int) -> LabelledResponse:  # type: ignore[override]
        start, stop = self.index["offsets"][row : row + 2]
        stored = decode_arrays(self._bytes[start:stop].tobytes())
        return sample_of({name: widen(name, array) for name, array in stored.items()})


def ensure_response_samples(
    store: RecordStore, ids: Sequence[str], cutoff: float, workers: int, quiet: bool = False
) -> ResponseCache:
    """The samples of the given records, from disk or made now by `workers` processes (0: in this one).

    Raises:
        UserError: a record's level of theory is unknown, or the disk is full.
    """
    folder = store.path.with_name(store.path.name + ".samples") / ("response-" + _key(store, ids, cutoff))
    if not (folder / "index.json").is_file():
        unfinished = folder.with_name(f"{folder.name}.{uuid4().hex[:8]}")
        try:
            with writing_to(folder, "free some space, or move the data set to where there is some"):
                unfinished.mkdir(parents=True)
                _write(unfinished, [(str(store.path), name, cutoff) for name in ids], workers, quiet)
                publish(unfinished, folder)
        finally:
            rmtree(unfinished, ignore_errors=True)
    return ResponseCache(folder)


def _key(store: RecordStore, ids: Sequence[str], cutoff: float) -> str:
    manifest = store.manifest
    prior = default_parameters().coefficients.tolist()
    parts = [RESPONSE_SAMPLE_VERSION, prior, manifest.content_hash, manifest.features_hash, cutoff, sorted(ids)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _write(folder: Path, arguments: list[Argument], workers: int, quiet: bool) -> None:
    offsets, costs = [0], []
    with (folder / "samples.bin").open("wb") as file:
        for data, cost in track(_encoded(arguments, workers), "response samples", total=len(arguments), disable=quiet):
            file.write(data)
            offsets.append(offsets[-1] + len(data))
            costs.append(cost)
    index = {"ids": [name for _, name, _ in arguments], "offsets": offsets, "costs": costs}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _encoded(arguments: list[Argument], workers: int) -> Iterator[tuple[bytes, int]]:
    if workers == 0:
        yield from map(_encode_one, arguments)
        return
    with worker_pool(workers) as pool:
        yield from pool.map(_encode_in_worker, arguments, chunksize=8)


def _encode_in_worker(argument: Argument) -> tuple[bytes, int]:
    torch.set_num_threads(1)
    return _encode_one(argument)


def _encode_one(argument: Argument) -> tuple[bytes, int]:
    path, name, cutoff = argument
    sample = make_response_sample(RecordStore(path)[name], cutoff)
    arrays = {key: narrow(array) for key, array in arrays_of(sample).items()}
    return encode_arrays(arrays), len(sample.graph.crystal.receiver)
