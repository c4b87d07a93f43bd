"""A data set on disk: a folder with records in LMDB, an index, a manifest and the list of rejected inputs.

    data.mdb        records or configurations (key `r:<id>`) and features (key `f:<id>`), in the order of their ids
    index.json      one row per record with what filters, splits and batching need, so that they open no record
    manifest.json   schema version, counts, source hashes, settings, content hash
    rejects.csv     every input that did not become a record, and why

The reader is lazy, read-only, and safe under fork, spawn and pickling; it travels as a path. `datamodules.writing`
makes these folders.
"""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import lmdb
import numpy as np
from jaxtyping import Int
from numpy import ndarray

from datamodules.records import Record, decode, decode_arrays
from mlrim.errors import UserError

STORE_VERSION = 1
"""Version of the folder's layout; the records have their own."""

EDGE_CUTOFF = 6.0
"""Å; the edge counts in the index, which balance batches, are those within this distance."""


class Reject(NamedTuple):
    """An input that did not become a record."""

    input: str
    """Name relative to the source folder."""
    reason: str


@dataclass(frozen=True)
class IndexEntry:
    """What is known of a record without reading it."""

    id: str
    formula: str
    elements: tuple[str, ...]
    """Sorted by atomic number."""
    n_atoms: int
    n_images: int
    n_edges: int
    """Directed pairs within `EDGE_CUTOFF`."""
    space_group: int
    crystal_system: str
    levels: tuple[str, ...]
    """Names of the force constants it holds."""
    has_born: bool
    quality: dict[str, float]


@dataclass(frozen=True)
class Manifest:
    """What a data set is and what it was made from."""

    store_version: int
    schema_version: int
    importer: str
    source_hash: str
    """SHA-256 over the hashes of all input files in order of their names."""
    settings: dict[str, Any]
    """Every build option that the content depends on."""
    counts: dict[str, int]
    content_hash: str
    """SHA-256 over all records and rejects; independent of the order and the number of workers."""
    features: dict[str, str]
    """Descriptor name: what it is and its parameters."""
    features_hash: str = ""
    """SHA-256 over the descriptors of all records; they can be computed again without changing the content hash."""
    content: str = "crystals"
    """What it holds: `crystals` (records) or `configurations`."""
    data_bytes: int = field(default=0, compare=False)
    """Size of data.mdb; a shorter file was copied incompletely, and reading it would end the process."""


class Store:
    """Read-only view of a folder with entries in LMDB, an index and a manifest; what the entries are, others say.

    Raises:
        UserError: no data set at the path, an unfinished one, one of an unknown version, or one of other things.
    """

    content: ClassVar[str]
    """What the entries are."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        _require_finished(self.path)
        found = content_of(self.path)
        if found != self.content:
            raise UserError(f"the data set {self.path} holds {found}; {self.content} are needed here")

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return type(self), (str(self.path),)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def read(self, name: str) -> tuple[bytes, bytes | None]:
        """The stored bytes of an id, and those of its features; raises UserError when there is none."""
        try:
            with _environment(self.path).begin(buffers=False) as transaction:
                data = transaction.get(record_key(name))
                features = transaction.get(features_key(name))
        except lmdb.Error as error:
            raise UserError(
                f"the data set {self.path} cannot be read any more ({error}): if it is being written, start again when "
                "that has ended; if not, it is damaged, build it again with overwrite=true"
            ) from error
        if data is None:
            raise UserError(f"there is no record '{name}' in {self.path} ({len(self)} records)")
        return data, features

    @cached_property
    def manifest(self) -> Manifest:
        """The data set's manifest."""
        content = _read_json(self.path / "manifest.json")
        with _damage_told(self.path / "manifest.json"):
            return Manifest(**content)

    @cached_property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """The index as plain data, sorted by id."""
        rows = _read_json(self.path / "index.json")
        with _damage_told(self.path / "index.json"):
            return tuple(
                {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
                for row in rows
            )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids in the order of the entries."""
        with _damage_told(self.path / "index.json"):
            return tuple(row["id"] for row in self.rows)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def rejects(self) -> tuple[Reject, ...]:
        """The inputs that are not in the data set, and why."""
        with (self.path / "rejects.csv").open(newline="", encoding="utf-8") as file:
            return tuple(Reject(row["input"], row["reason"]) for row in csv.DictReader(file))


class RecordStore(Store):
    """The crystals of a data set; `store[0]`, `store["mp-1265"]`, iteration, `len`.

    Raises:
        UserError: no data set at the path, an unfinished one, one of an unknown version, or one of configurations.
    """

    content = "crystals"

    def __iter__(self) -> Iterator[Record]:
        return (self[name] for name in self.ids)

    def __getitem__(self, key: int | str) -> Record:
        """The record at a position or with an id, its features included."""
        data, features = self.read(self.ids[key] if isinstance(key, int | np.integer) else key)
        record = decode(data)
        return record if features is None else record.with_features(decode_arrays(features))

    @cached_property
    def index(self) -> tuple[IndexEntry, ...]:
        """One entry per record, sorted by id."""
        with _damage_told(self.path / "index.json"):
            return tuple(IndexEntry(**row) for row in self.rows)

    def entry(self, name: str) -> IndexEntry:
        """The index entry of an id; raises UserError when there is none."""
        if name not in self._rows:
            raise UserError(f"there is no record '{name}' in {self.path} ({len(self)} records)")
        return self.index[self._rows[name]]

    @cached_property
    def n_atoms(self) -> Int[ndarray, "records"]:
        """Atoms of every primitive cell, for size-balanced batches."""
        return np.array([entry.n_atoms for entry in self.index], dtype=np.int64)

    @cached_property
    def n_edges(self) -> Int[ndarray, "records"]:
        """Directed pairs within `EDGE_CUTOFF` of every record."""
        return np.array([entry.n_edges for entry in self.index], dtype=np.int64)


def record_key(name: str) -> bytes:
    """Where the record of an id is stored."""
    return b"r:" + name.encode()


def features_key(name: str) -> bytes:
    """Where the features of an id are stored."""
    return b"f:" + name.encode()


def write_json(path: Path, content: Any) -> None:
    """Plain data or dataclasses as readable JSON, replaced in one step."""
    text = json.dumps(content, indent=1, ensure_ascii=False, default=asdict)
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def partial_path(path: Path) -> Path:
    """The folder in which the unfinished data set of a path is kept."""
    return path.with_name(path.name + ".partial")


def content_of(path: Path) -> str:
    """What the finished data set of a path holds."""
    manifest = _read_json(path / "manifest.json")
    with _damage_told(path / "manifest.json"):
        return manifest.get("content", RecordStore.content)


def _require_finished(path: Path) -> None:
    if not (path / "manifest.json").is_file() or not (path / "data.mdb").is_file():
        if partial_path(path).exists():
            raise UserError(
                f"the data set {path} is not finished; run the same python -m datamodules.build command again, "
                f"it goes on where it stopped"
            )
        raise UserError(
            f"there is no data set at {path}; make one with python -m datamodules.build source=… path=… out={path} "
            f"(source=embedded needs no path)"
        )
    manifest = _read_json(path / "manifest.json")
    with _damage_told(path / "manifest.json"):
        version, needed = manifest.get("store_version"), manifest.get("data_bytes", 0)
    if version != STORE_VERSION:
        raise UserError(
            f"the data set {path} has layout version {version}, this program reads {STORE_VERSION}; build it again"
        )
    found = (path / "data.mdb").stat().st_size
    if found < needed:
        raise UserError(
            f"{path / 'data.mdb'} is incomplete ({found} of {needed} bytes); copy the data set or build it again"
        )


def _read_json(path: Path) -> Any:
    with _damage_told(path):
        return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Contents of a file that are not what this program writes become a message about the file."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {error}); the data set is damaged, build it again with "
            "overwrite=true"
        ) from error


_OPEN: dict[Path, tuple[int, lmdb.Environment]] = {}
"""Environments of this process. LMDB allows one per path, and takes a forked child for the same process: an
environment that was inherited through a fork is closed (which leaves the parent's alone) and opened anew."""


def _environment(path: Path) -> lmdb.Environment:
    pid, environment = _OPEN.get(path, (None, None))
    if environment is not None and pid == os.getpid():
        return environment
    if environment is not None:
        environment.close()
    try:
        environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, max_readers=1)
    except lmdb.Error as error:
        raise UserError(f"the data set {path} cannot be opened ({error}); build it again") from error
    _OPEN[path] = (os.getpid(), environment)
    return environment


def close_store(path: str | os.PathLike[str]) -> None:
    """Let go of a data set's file in this process, before it is replaced or written to."""
    _, environment = _OPEN.pop(Path(path).absolute(), (None, None))
    if environment is not None:
        environment.close()
