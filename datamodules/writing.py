"""Writing a data set: a journal that survives a kill, and a finished folder that appears in one step.

While a data set is built, `<out>.partial` holds a journal with the outcome of every input so far. When all inputs are
done the journal is written out in order of the ids and the folder takes its final name, so that what is at `<out>` is
always complete, and its bytes do not depend on the order in which the workers finished.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import msgpack

from datamodules.records import SCHEMA_VERSION
from datamodules.store import (
    STORE_VERSION,
    Manifest,
    Reject,
    close_store,
    features_key,
    partial_path,
    record_key,
    write_json,
)
from mlrim.errors import UserError

MAP_SIZE = 1 << 38
"""Address space of a data set, bytes; the files only grow as far as they are filled."""


class Outcome(NamedTuple):
    """What became of one input."""

    input: str
    input_hash: str
    reason: str
    """Why there is no record; empty when there is one."""
    entry: dict[str, Any]
    record: bytes
    features: bytes
    """Encoded features; empty when they are computed later."""


@dataclass(frozen=True)
class Recipe:
    """What the content of a data set depends on besides its inputs."""

    importer: str
    settings: dict[str, Any]
    features: dict[str, str]
    content: str = "crystals"
    """What the entries are, as in the manifest."""
    schema_version: int = SCHEMA_VERSION


class StoreWriter:
    """Collects outcomes in the journal of a data set and turns them into the finished folder.

    Outcomes of an earlier, interrupted run with the same recipe are kept; with another recipe they are dropped.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path = Path(path).absolute()
        self.recipe = recipe
        self.partial = partial_path(self.path)
        self.journal = self._open_journal()

    def known(self) -> dict[str, str]:
        """Inputs whose outcome is in the journal, with the hash of what was read."""
        with self.journal.begin() as transaction:
            return {key.decode(): _outcome(value).input_hash for key, value in transaction.cursor()}

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Put outcomes into the journal, safe against a kill once this returns."""
        try:
            with self.journal.begin(write=True) as transaction:
                for outcome in outcomes:
                    transaction.put(outcome.input.encode(), msgpack.packb(tuple(outcome), use_bin_type=True))
        except lmdb.Error as error:
            raise UserError(
                f"cannot write to {self.partial} ({error}): the disk is full or not writable; free some space and run "
                f"the same command again, it goes on where it stopped"
            ) from error

    def close(self) -> None:
        """Let go of the journal; it stays for the next run."""
        self.journal.close()

    def finish(self, inputs: Iterable[str], overwrite: bool = False) -> Manifest:
        """Write the data set of these inputs, all of which must be in the journal, to its final place."""
        folder = self.partial / "finished"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            manifest = self._write(folder, sorted(inputs))
        except (lmdb.Error, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise UserError(
                f"cannot write the data set to {folder} ({error}): the disk is full or not writable; free some space "
                f"and run the same command again"
            ) from error
        self.close()
        close_store(self.path)
        if self.path.exists() and overwrite:
            shutil.rmtree(self.path)
        folder.rename(self.path)
        shutil.rmtree(self.partial)
        return manifest

    def _open_journal(self) -> lmdb.Environment:
        recipe_file = self.partial / "recipe.json"
        recipe = json.dumps(asdict(self.recipe), sort_keys=True)
        if self.partial.exists() and not (recipe_file.is_file() and recipe_file.read_text() == recipe):
            shutil.rmtree(self.partial)
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            if not recipe_file.is_file():
                temporary = recipe_file.with_suffix(".new")
                temporary.write_text(recipe)
                temporary.rename(recipe_file)
            return lmdb.open(str(self.partial / "journal"), map_size=MAP_SIZE, readahead=False, metasync=False)
        except (lmdb.Error, OSError) as error:
            raise UserError(f"cannot write to {self.partial} ({error}); choose another out=") from error

    def _write(self, folder: Path, inputs: list[str]) -> Manifest:
        ids, rejects, source_hash = self._sort(inputs)
        content, features = hashlib.sha256(), hashlib.sha256()
        entries = []
        with (
            lmdb.open(str(folder), map_size=MAP_SIZE, readahead=False, lock=False) as environment,
            self.journal.begin() as journal,
            environment.begin(write=True) as transaction,
        ):
            for name in sorted(ids):
                outcome = _outcome(journal.get(ids[name].encode()))
                transaction.put(record_key(name), outcome.record)
                if outcome.features:
                    transaction.put(features_key(name), outcome.features)
                    features.update(hashed_line(name, outcome.features))
                content.update(hashed_line(name, outcome.record))
                entries.append(outcome.entry)
        for reject in rejects:
            content.update(f"reject {reject.input} {reject.reason}\n".encode())
        manifest = Manifest(
            store_version=STORE_VERSION,
            schema_version=self.recipe.schema_version,
            importer=self.recipe.importer,
            source_hash=source_hash,
            settings=self.recipe.settings,
            counts={"inputs": len(inputs), "records": len(ids), "rejects": len(rejects)},
            content_hash=content.hexdigest(),
            features=self.recipe.features,
            features_hash=features.hexdigest() if self.recipe.features else "",
            content=self.recipe.content,
            data_bytes=(folder / "data.mdb").stat().st_size,
        )
        write_json(folder / "index.json", entries)
        write_rejects(folder / "rejects.csv", rejects)
        write_json(folder / "manifest.json", asdict(manifest))
        return manifest

    def _sort(self, inputs: list[str]) -> tuple[dict[str, str], list[Reject], str]:
        """Input of every id, the rejects, and the hash of all inputs; the first input of a repeated id counts."""
        ids: dict[str, str] = {}
        rejects = []
        source = hashlib.sha256()
        for outcome in self._outcomes(inputs):
            source.update(f"{outcome.input} {outcome.input_hash}\n".encode())
            if outcome.reason:
                rejects.append(Reject(outcome.input, outcome.reason))
            elif outcome.entry["id"] in ids:
                first = ids[outcome.entry["id"]]
                rejects.append(Reject(outcome.input, f"its id {outcome.entry['id']} is that of {first}"))
            else:
                ids[outcome.entry["id"]] = outcome.input
        return ids, rejects, source.hexdigest()

    def _outcomes(self, inputs: list[str]) -> Iterator[Outcome]:
        with self.journal.begin() as transaction:
            for name in inputs:
                yield _outcome(transaction.get(name.encode()))


def hashed_line(name: str, data: bytes) -> bytes:
    """What one entry adds to the hash of a data set."""
    return f"{name} {hashlib.sha256(data).hexdigest()}\n".encode()


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """The list of rejected inputs as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Reject._fields)
        writer.writerows(rejects)


def _outcome(data: bytes | None) -> Outcome:
    assert data is not None
    return Outcome(*msgpack.unpackb(data, raw=False))
