"""Build a data set from any supported source.

    python -m datamodules.build source=phonondb path=../shared/data/phonondb out=data/phonondb
    python -m datamodules.build source=embedded out=data/embedded
    python -m datamodules.build source=extxyz path=training.xyz out=data/training
    python -m datamodules.build source=molecules out=data/molecules

Inputs are read in parallel and every one of them becomes a record or a line in rejects.csv. A build that was stopped,
in whatever way, goes on where it was when the same command is given again.
"""

import fnmatch
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datamodules import configurations, records
from datamodules.features import FEATURES
from datamodules.importers import IMPORTERS, ImportOptions, Input
from datamodules.options import run_command
from datamodules.reading import Task, read_input
from datamodules.store import Manifest, RecordStore, Store, content_of
from datamodules.threads import worker_pool
from datamodules.writing import Outcome, Recipe, StoreWriter
from mlrim.configuration.types import Above, AtLeast
from mlrim.errors import UserError

WAITING_PER_WORKER = 8
SAVED_AT_ONCE = 32
NOUNS = {"crystals": "records", "configurations": "configurations"}
STORES: dict[str, type[Store]] = {"crystals": RecordStore, "configurations": configurations.ConfigurationStore}


@dataclass(frozen=True)
class BuildOptions:
    """What to build.

    Attributes:
        source: format of the input.
        out: folder of the data set.
        path: file or folder of the input; none for the embedded source, and for the molecules that come with mlrim.
        workers: processes; all cores when not given.
        limit: read only the first so many inputs.
        select: read only inputs whose name matches this pattern (* and ?), commas between several.
        symprec: tolerance of the symmetry search of crystals, Å.
        store_forces: keep displacements and forces beside the force constants of crystals.
        features: compute SOAP, coordination and charges of crystals now (else later with `python -m
            datamodules.features`).
        prefix: what the names of labels in extended XYZ begin with, for example `REF_`; found out when not given.
        overwrite: replace a finished data set of that name.
        quiet: no progress bar.
    """

    source: Literal[tuple(IMPORTERS)]  # type: ignore[valid-type]
    out: Path
    path: Path | None = None
    workers: Annotated[int, AtLeast(1)] | None = None
    limit: Annotated[int, AtLeast(1)] | None = None
    select: str | None = None
    symprec: Annotated[float, Above(0)] = 1e-5
    store_forces: bool = True
    features: bool = True
    prefix: str | None = None
    overwrite: bool = False
    quiet: bool = False


def main() -> None:
    """The command."""
    run_command("datamodules.build", BuildOptions, build_and_report)


def build_and_report(options: BuildOptions) -> None:
    """Build a data set and say what became of the inputs.

    Raises:
        UserError: as `build` does, or no input became a record.
    """
    manifest = build(options)
    if manifest.counts["records"] == 0:
        first = _open(options.out).rejects()[0]
        raise UserError(
            f"none of {manifest.counts['inputs']} inputs became a record; {options.out / 'rejects.csv'} says why, for "
            f"example {first.input}: {first.reason}. Is source={options.source} right "
            f"({IMPORTERS[options.source].describes})?"
        )
    print(summary(manifest, options.out))


def build(options: BuildOptions) -> Manifest:
    """Build a data set and return its manifest; one that holds no records is replaced without being asked.

    Raises:
        UserError: no such path, nothing to read, a finished data set in the way, or no room on the disk.
    """
    _require_free(options)
    replaces = options.out.exists()
    inputs = _find_inputs(options)
    writer = StoreWriter(options.out, _recipe(options))
    try:
        with _progress(options.quiet) as progress:
            task = progress.add_task(f"reading {options.source}", total=len(inputs))
            for outcomes in _saved_together(_read_all(inputs, writer.known(), options)):
                writer.add(outcome for outcome in outcomes if outcome is not None)
                progress.advance(task, len(outcomes))
        return writer.finish((one.name for one in inputs), replaces)
    finally:
        writer.close()


def summary(manifest: Manifest, out: Path) -> str:
    """What was built, in a few lines."""
    counts = manifest.counts
    lines = [
        f"{counts['records']} {NOUNS[manifest.content]} of {counts['inputs']} inputs in {out}",
        f"content hash {manifest.content_hash}",
    ]
    if counts["rejects"]:
        lines.append(f"{counts['rejects']} inputs were rejected; {out / 'rejects.csv'} says why")
    return "\n".join(lines)


def _recipe(options: BuildOptions) -> Recipe:
    chosen: dict[str, Any] = {"limit": options.limit, "select": options.select}
    if IMPORTERS[options.source].content == "configurations":
        chosen["prefix"] = options.prefix
        return Recipe(options.source, chosen, {}, "configurations", configurations.SCHEMA_VERSION)
    settings = {"symprec": options.symprec, "store_forces": options.store_forces, **chosen}
    features = dict(FEATURES) if options.features else {}
    return Recipe(options.source, settings, features, "crystals", records.SCHEMA_VERSION)


def _open(path: Path) -> Store:
    """The data set at a path, whatever it holds."""
    return STORES[content_of(path)](path)


def _require_free(options: BuildOptions) -> None:
    if not options.out.exists():
        return
    if not (options.out / "manifest.json").is_file() or not (options.out / "data.mdb").is_file():
        raise UserError(f"out={options.out} exists and is no data set; choose another folder or remove it")
    entries = 0 if options.overwrite else len(_open(options.out))
    if entries == 0:
        return
    raise UserError(
        f"out={options.out} is a finished data set of {entries} {NOUNS[content_of(options.out)]}; choose another "
        "folder, or say overwrite=true"
    )


def _find_inputs(options: BuildOptions) -> list[Input]:
    importer = IMPORTERS[options.source]
    if importer.needs_path and options.path is None:
        raise UserError(f"source={importer.name} needs path=…: {importer.describes}")
    if not importer.needs_path and not importer.takes_path and options.path is not None:
        raise UserError(f"source={importer.name} generates its records and takes no path; leave path=… out")
    if options.path is not None and not options.path.exists():
        raise UserError(f"path={options.path} does not exist; source={importer.name} reads {importer.describes}")
    inputs = importer.find(options.path)
    if options.select is not None:
        patterns = options.select.split(",")
        inputs = [one for one in inputs if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)]
        if not inputs:
            raise UserError(f"select={options.select} matches none of the inputs; * and ? stand for any characters")
    return inputs[: options.limit]


def _read_all(inputs: list[Input], known: dict[str, str], options: BuildOptions) -> Iterator[Outcome | None]:
    """Outcomes as they come; none for an input that is in the journal and has not changed."""
    settings = ImportOptions(options.symprec, options.store_forces, options.prefix)
    tasks = [Task(options.source, one, settings, options.features, known.get(one.name, "")) for one in inputs]
    workers = min(options.workers or os.cpu_count() or 1, len(tasks))
    if workers <= 1:
        yield from map(read_input, tasks)
        return
    yield from _read_in_processes(tasks, workers)


def _read_in_processes(tasks: list[Task], workers: int) -> Iterator[Outcome | None]:
    """Read with several processes; inputs in flight when one dies are read again one by one, to find the culprit."""
    waiting = iter(tasks)
    unfinished: dict[str, Task] = {}
    broken = True
    while broken:
        with worker_pool(workers) as pool:
            try:
                yield from _read_with(pool, waiting, unfinished, workers * WAITING_PER_WORKER)
                broken = False
            except BrokenProcessPool:
                pass
        yield from map(_read_alone, list(unfinished.values()))
        unfinished.clear()


def _read_with(
    pool: ProcessPoolExecutor, waiting: Iterator[Task], unfinished: dict[str, Task], at_once: int
) -> Iterator[Outcome | None]:
    """Outcomes of the waiting tasks; `unfinished` holds those that were taken and have no outcome yet."""
    in_flight: dict[Future, str] = {}
    while True:
        for task in islice(waiting, at_once - len(in_flight)):
            unfinished[task.input.name] = task
            in_flight[pool.submit(read_input, task)] = task.input.name
        if not in_flight:
            return
        for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
            result = future.result()
            del unfinished[in_flight.pop(future)]
            yield result


def _read_alone(task: Task) -> Outcome | None:
    with worker_pool(1) as pool:
        try:
            return pool.submit(read_input, task).result()
        except BrokenProcessPool:
            reason = "the process that read it died (out of memory?)"
            return Outcome(task.input.name, "", reason, {}, b"", b"")


def _saved_together(outcomes: Iterator[Outcome | None]) -> Iterator[list[Outcome | None]]:
    while group := list(islice(outcomes, SAVED_AT_ONCE)):
        yield group


def _progress(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, disable=quiet)


if __name__ == "__main__":
    main()
