"""One input, read in a worker process: to an entry with its row of the index and features, or to a reason why not."""

import hashlib
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datamodules.configurations import Configuration, describe_configuration, encode_configuration
from datamodules.features import compute_features
from datamodules.importers import IMPORTERS, ImportOptions, Input, RejectedInput
from datamodules.records import Record, encode, encode_arrays
from datamodules.store import EDGE_CUTOFF, IndexEntry
from datamodules.writing import Outcome
from mlrim.errors import UserError
from mlrim.lattice.neighbours import neighbour_pairs


@dataclass(frozen=True)
class Task:
    """One input to read.

    Attributes:
        source: name of the importer.
        input: what to read.
        options: settings of the importer.
        features: whether to compute the features as well.
        known_hash: hash of the input when its outcome was put into the journal; empty when it was not.
    """

    source: str
    input: Input
    options: ImportOptions
    features: bool
    known_hash: str


def read_input(task: Task) -> Outcome | None:
    """The outcome of one input; none when it is what the journal has already. Never raises for a bad input."""
    try:
        input_hash = _hash(task)
    except OSError as error:
        return _rejected(task, "", f"the input cannot be read ({error.strerror})")
    if input_hash == task.known_hash:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = IMPORTERS[task.source].read(task.input, task.options)
            entry, data, features = _stored(record, task.features)
    except (RejectedInput, UserError) as error:
        return _rejected(task, input_hash, str(error))
    except Exception as error:  # whatever a parser stumbles over is the input's reason, not the end of the build
        return _rejected(task, input_hash, f"{type(error).__name__}: {error}")
    return Outcome(task.input.name, input_hash, "", entry, data, features)


def _stored(item: Record | Configuration, features: bool) -> tuple[dict[str, Any], bytes, bytes]:
    """Index entry, bytes and features of what was read; configurations have no features."""
    if isinstance(item, Configuration):
        return asdict(describe_configuration(item)), encode_configuration(item), b""
    computed = encode_arrays(compute_features(item.crystal)) if features else b""
    return asdict(describe(item)), encode(item), computed


def _rejected(task: Task, input_hash: str, reason: str) -> Outcome:
    return Outcome(task.input.name, input_hash, reason, {}, b"", b"")


def describe(record: Record) -> IndexEntry:
    """The index entry of a record."""
    crystal = record.crystal
    numbers = dict(sorted(zip(crystal.numbers.tolist(), crystal.symbols, strict=True)))
    return IndexEntry(
        id=record.id,
        formula=record.formula,
        elements=tuple(numbers.values()),
        n_atoms=crystal.n_atoms,
        n_images=record.supercell.n_atoms,
        n_edges=len(neighbour_pairs(crystal, EDGE_CUTOFF).i),
        space_group=record.space_group,
        crystal_system=record.crystal_system,
        levels=tuple(sorted(record.force_constants)),
        has_born=record.born_charges is not None,
        quality=record.quality,
    )


def _hash(task: Task) -> str:
    """SHA-256 of what an input is made of: its part of a file, a file, or all files of a folder with their names."""
    source, fingerprint = task.input, IMPORTERS[task.source].fingerprint
    if fingerprint is not None:
        return hashlib.sha256(fingerprint(source)).hexdigest()
    if source.path is None:
        return hashlib.sha256(source.name.encode()).hexdigest()
    files = sorted(file for file in source.path.rglob("*") if file.is_file()) if source.path.is_dir() else [source.path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{_relative(file, source.path)}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _relative(file: Path, folder: Path) -> str:
    return file.name if file == folder else file.relative_to(folder).as_posix()
