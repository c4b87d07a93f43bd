"""Predicting many structures: which ones, with progress, and what failed."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from mlrim.errors import UserError
from mlrim.output_folder import DISK_ERRORS

if TYPE_CHECKING:
    from rich.console import Console

    from mlrim.pipeline import Settings
    from mlrim.predictors import Known, Predictor
    from mlrim.responses import ResponsePredictor
    from mlrim.structures import InputStructure

SUFFIXES = (".cif", ".vasp", ".poscar", ".yaml", ".xz", ".xyz", ".extxyz", ".json", ".res", ".gen", ".in", ".xsf")
NAMES = ("POSCAR", "CONTCAR")


@dataclass(frozen=True)
class Job:
    """One structure to predict: its name, and how to get at it and at what is known about it."""

    label: str
    read: "Callable[[], tuple[InputStructure, Known]]"


@dataclass(frozen=True)
class Failure:
    """A structure that could not be predicted, and why."""

    label: str
    message: str


def structure_files(pattern: str) -> list[Path]:
    """The structure files that a path, a glob or a folder stands for, sorted.

    Raises:
        UserError: nothing matches.
    """
    if has_magic(pattern) and not Path(pattern).exists():
        found = sorted(path for path in map(Path, glob(pattern, recursive=True)) if path.is_file())
        if not found:
            raise UserError(f"no file matches structure={pattern}; * and ? stand for any characters")
        return found
    folder = Path(pattern)
    if not folder.is_dir():
        return [folder]
    found = sorted(path for path in folder.iterdir() if path.is_file() and _looks_like_structure(path))
    if not found:
        raise UserError(f"no structure file in the folder '{folder}' (suffixes: {', '.join(SUFFIXES)})")
    return found


def file_jobs(paths: Sequence[Path], symprec: float, born: str | None) -> list[Job]:
    """Jobs for structure files, all with the same BORN file if one is given; names are made unique."""

    def reader(path: Path, name: str) -> "Callable[[], tuple[InputStructure, Known]]":
        def read() -> "tuple[InputStructure, Known]":
            from mlrim.predictors import Known
            from mlrim.structures import read_structure

            structure = read_structure(path, symprec)._replace(name=name)
            if born is None:
                return structure, Known()
            from mlrim.born_file import read_born

            return structure, Known(long_range=read_born(born, structure.crystal))

        return read

    from mlrim.structures import structure_name

    names = unique_names([structure_name(path) for path in paths])
    return [Job(str(path), reader(path, name)) for path, name in zip(paths, names, strict=True)]


def run_jobs(
    jobs: Sequence[Job],
    predictor: "Predictor",
    settings: "Settings",
    out: Path,
    figures: Sequence[str],
    console: "Console",
    response: "ResponsePredictor | None" = None,
) -> list[Failure]:
    """Predict every structure and write its folder; the ones that failed, with the reason."""
    failures = []
    for index, job in enumerate(jobs, start=1):
        try:
            folder = run_job(job, predictor, settings, out, figures, console, response)
            console.print(f"{_counter(index, jobs)}[green]wrote[/green] {folder}", highlight=False, soft_wrap=True)
            console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)
        except UserError as error:
            failures.append(Failure(job.label, str(error)))
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            reason = f"cannot write to '{out}': {os.strerror(error.errno)}; free some space or choose another out=…"
            failures.append(Failure(job.label, reason))
        except Exception as error:
            if len(jobs) == 1:
                raise
            failures.append(Failure(job.label, f"unexpected {type(error).__name__}: {error}"))
        if failures and failures[-1].label == job.label and len(jobs) > 1:
            console.print(f"{_counter(index, jobs)}[red]failed[/red] {job.label}", highlight=False)
    if len(jobs) > len(failures) and len(jobs) > 1:
        from mlrim.report.html import write_index

        path = write_index(out, {failure.label: failure.message for failure in failures})
        console.print(f"index of all structures: {path}", highlight=False, soft_wrap=True)
    return failures


def run_job(
    job: Job,
    predictor: "Predictor",
    settings: "Settings",
    out: Path,
    figures: Sequence[str],
    console: "Console",
    response: "ResponsePredictor | None" = None,
) -> Path:
    """Predict one structure, show its Γ table, write its folder."""
    from mlrim.pipeline import predict_structure
    from mlrim.report.console import show
    from mlrim.report.folder import write_prediction

    with console.status(job.label) as status:
        structure, known = job.read()

        def stage(name: str) -> None:
            status.update(f"{structure.name}: {name}")

        prediction = predict_structure(structure, predictor, settings, known, response, stage)
        stage("files and report")
        folder = write_prediction(prediction, out, figures)
    show(prediction, console)
    return folder


def raise_failures(failures: Sequence[Failure], total: int) -> None:
    """End a run in which something failed.

    Raises:
        UserError: with every failure and its reason.
    """
    if not failures:
        return
    if total == 1:
        raise UserError(failures[0].message)
    lines = [f"  {failure.label}: {failure.message}" for failure in failures]
    raise UserError("\n".join([f"{len(failures)} of {total} structures failed:", *lines]))


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, numbered from the second occurrence on: a, a_2, a_3."""
    result: list[str] = []
    for name in names:
        candidate, count = name, 1
        while candidate in result:
            count += 1
            candidate = f"{name}_{count}"
        result.append(candidate)
    return result


def _looks_like_structure(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or path.name.upper().startswith(NAMES)


def _counter(index: int, jobs: Sequence[Job]) -> str:
    return f"\\[{index}/{len(jobs)}] " if len(jobs) > 1 else ""
