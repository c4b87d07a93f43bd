"""Samples on disk: one flat file per data set and settings, made once, read lazily through a memory map.

    <data set>.samples/<key>/samples.bin     encoded samples, one after the other
    <data set>.samples/<key>/index.json      settings, ids, offsets and sizes; written last

The key is a hash of the settings, the content of the data set, its descriptors and the version of the sample format,
so a folder is either right or not there. Arrays are raw little-endian bytes in msgpack, as in records.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from rich.progress import track

from datamodules.records import decode_arrays, encode_arrays
from datamodules.samples import SAMPLE_VERSION, LongRangePart, Sample, SampleSettings, make_sample
from datamodules.store import RecordStore
from datamodules.threads import worker_pool
from mlrim.graph.crystal_graph import CrystalGraph
from mlrim.graph.labels import FoldedLabels, ModeArrays
from mlrim.output_folder import writing_to

NARROW = {"f": "<f4", "i": "<i4", "b": "|u1"}
"""Stored types of floating-point, integer and truth values."""

Encoder = Callable[[Any], tuple[bytes, int]]
"""Makes one sample as bytes, and says how much work it makes."""


@dataclass(frozen=True)
class SampleCache:
    """Samples of some records, by position; cheap to send to another process."""

    folder: Path

    @cached_property
    def index(self) -> dict[str, Any]:
        """The content of index.json."""
        return json.loads((self.folder / "index.json").read_text(encoding="utf-8"))

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Position of every id."""
        return {name: row for row, name in enumerate(self.index["ids"])}

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __len__(self) -> int:
        return len(self.index["ids"])

    @cached_property
    def _bytes(self) -> np.memmap:
        return np.memmap(self.folder / "samples.bin", dtype=np.uint8, mode="r")

    def __getitem__(self, row: int) -> Sample:
        start, stop = self.index["offsets"][row : row + 2]
        return decode_sample(self._bytes[start:stop].tobytes())

    @property
    def costs(self) -> list[int]:
        """Work that each sample makes, in edges that messages travel on."""
        return self.index["costs"]


def ensure_samples(
    store: RecordStore, ids: Sequence[str], settings: SampleSettings, workers: int, quiet: bool = False
) -> SampleCache:
    """The samples of the given records, from disk or made now by `workers` processes (0: in this one).

    Raises:
        UserError: a record lacks what the settings ask for, or the disk is full.
    """
    arguments = [(str(store.path), name, settings) for name in ids]
    made = make_once(
        store.path.with_name(store.path.name + ".samples") / _key(store, ids, settings),
        {"settings": asdict(settings), "ids": list(ids)},
        lambda: track(encoded(_encode_one, arguments, workers), "training samples", total=len(ids), disable=quiet),
    )
    return SampleCache(made)


def make_once(folder: Path, index: Mapping[str, Any], samples: Callable[[], Iterable[tuple[bytes, int]]]) -> Path:
    """A folder with samples, made now unless it is there; returns it.

    Args:
        index: what index.json says besides offsets and costs.
        samples: makes the encoded samples and the work of each, one after the other.

    Raises:
        UserError: the disk is full.
    """
    if (folder / "index.json").is_file():
        return folder
    unfinished = folder.with_name(f"{folder.name}.{uuid4().hex[:8]}")
    try:
        with writing_to(folder, "free some space, or move the data set to where there is some"):
            unfinished.mkdir(parents=True)
            _write(unfinished, index, samples())
            publish(unfinished, folder)
    finally:
        rmtree(unfinished, ignore_errors=True)
    return folder


def publish(unfinished: Path, folder: Path) -> None:
    """Give a finished folder its name; another process may have been faster."""
    try:
        os.rename(unfinished, folder)
    except OSError:
        if not (folder / "index.json").is_file():
            raise


def _key(store: RecordStore, ids: Sequence[str], settings: SampleSettings) -> str:
    manifest = store.manifest
    parts = [SAMPLE_VERSION, manifest.content_hash, manifest.features_hash, asdict(settings), sorted(ids)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _write(folder: Path, index: Mapping[str, Any], samples: Iterable[tuple[bytes, int]]) -> None:
    offsets, costs = [0], []
    with (folder / "samples.bin").open("wb") as file:
        for data, cost in samples:
            file.write(data)
            offsets.append(offsets[-1] + len(data))
            costs.append(cost)
    text = json.dumps({**index, "offsets": offsets, "costs": costs})
    (folder / "index.json").write_text(text, encoding="utf-8")


def encoded(encode: Encoder, arguments: Sequence[Any], workers: int) -> Iterator[tuple[bytes, int]]:
    """The results of `encode` in order, by so many processes of one thread each (0: in this one)."""
    if workers == 0:
        yield from map(encode, arguments)
        return
    with worker_pool(workers) as pool:
        yield from pool.map(partial(_in_worker, encode), arguments, chunksize=8)


def _in_worker(encode: Encoder, argument: Any) -> tuple[bytes, int]:
    torch.set_num_threads(1)
    return encode(argument)


def _encode_one(argument: tuple[str, str, SampleSettings]) -> tuple[bytes, int]:
    path, name, settings = argument
    sample = make_sample(RecordStore(path)[name], settings)
    cost = len(sample.graph.receiver) + 2 * len(sample.graph.pair_i) + len(sample.graph.edge_i) // 4
    return encode_sample(sample), cost


def encode_sample(sample: Sample) -> bytes:
    """A sample as bytes, in single precision."""
    named = {f"graph.{name}": tensor.numpy() for name, tensor in sample.graph._asdict().items()}
    parts: dict[str, Any] = {"folded": sample.folded, "gamma": sample.gamma, "waves": sample.waves}
    if sample.rigid is not None:
        parts["rigid"] = sample.rigid
    parts |= {f"perturbed{draw}": part for draw, part in enumerate(sample.perturbed)}
    for prefix, part in parts.items():
        named |= {f"{prefix}.{name}": array for name, array in part._asdict().items()}
    return encode_arrays({name: narrow(array) for name, array in named.items()})


def narrow(array: np.ndarray) -> np.ndarray:
    """An array in the type that samples are stored in."""
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
    return array.astype(NARROW[array.dtype.kind])


def decode_sample(data: bytes) -> Sample:
    """The sample in some bytes."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for key, array in decode_arrays(data).items():
        prefix, _, name = key.partition(".")
        parts.setdefault(prefix, {})[name] = widen(key, array)
    graph = CrystalGraph(**{name: torch.from_numpy(array) for name, array in parts["graph"].items()})
    rigid = LongRangePart(**parts["rigid"]) if "rigid" in parts else None
    draws = sorted(prefix for prefix in parts if prefix.startswith("perturbed"))
    perturbed = tuple(LongRangePart(**parts[prefix]) for prefix in draws)
    labels = FoldedLabels(**parts["folded"]), ModeArrays(**parts["gamma"]), ModeArrays(**parts["waves"])
    return Sample(graph, *labels, rigid, perturbed)


def widen(name: str, array: np.ndarray) -> np.ndarray:
    """The array that was stored under a name, in the type that networks read."""
    if name in ("waves.basis", "waves.target") or name.endswith(".waves_target"):
        return array.view(np.complex64)[..., 0]
    if array.dtype.kind == "u":
        return array.astype(bool)
    return array.astype(np.int64) if array.dtype.kind == "i" else array
