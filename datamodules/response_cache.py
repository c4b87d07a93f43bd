"""Samples of the response network on disk, beside the data set that they were made from; see `sample_cache`."""

import hashlib
import json
from collections.abc import Sequence

from rich.progress import track

from datamodules.records import decode_arrays, encode_arrays
from datamodules.response_samples import LabelledResponse, arrays_of, make_response_sample, sample_of
from datamodules.sample_cache import SampleCache, encoded, make_once, narrow, widen
from datamodules.store import RecordStore
from mlrim.rim.bond_polarizability import default_parameters

RESPONSE_SAMPLE_VERSION = 2
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
    arguments = [(str(store.path), name, cutoff) for name in ids]
    made = make_once(
        store.path.with_name(store.path.name + ".samples") / ("response-" + _key(store, ids, cutoff)),
        {"ids": list(ids)},
        lambda: track(encoded(_encode_one, arguments, workers), "response samples", total=len(ids), disable=quiet),
    )
    return ResponseCache(made)


def _key(store: RecordStore, ids: Sequence[str], cutoff: float) -> str:
    manifest = store.manifest
    prior = default_parameters().coefficients.tolist()
    parts = [RESPONSE_SAMPLE_VERSION, prior, manifest.content_hash, manifest.features_hash, cutoff, sorted(ids)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _encode_one(argument: Argument) -> tuple[bytes, int]:
    path, name, cutoff = argument
    sample = make_response_sample(RecordStore(path)[name], cutoff)
    arrays = {key: narrow(array) for key, array in arrays_of(sample).items()}
    return encode_arrays(arrays), len(sample.graph.crystal.receiver)
