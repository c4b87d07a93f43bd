"""Predicting many structures: which ones, with progress, and what failed."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from mlrim.errors import UserError
from mlrim.output_folder import DISK_ERRORS

if TYPE_CHECKING:
    from rich.console import Console

    from mlrim.direct.predictor import DirectPredictor
    from mlrim.disorder import MixedStructure
    from mlrim.molecules.structures import InputMolecule
    from mlrim.pipeline import Settings
    from mlrim.predictors import Known, Predictor
    from mlrim.responses import ResponsePredictor
    from mlrim.structures import InputStructure

SUFFIXES = (".cif", ".vasp", ".poscar", ".yaml", ".xz", ".xyz", ".extxyz", ".json", ".res", ".gen", ".in", ".xsf")
NAMES = ("POSCAR", "CONTCAR")


if TYPE_CHECKING:
    Read = tuple[InputStructure, Known] | MixedStructure | InputMolecule


@dataclass(frozen=True)
class Job:
    """One structure to predict: its name, and how to get at it and at what is known about it."""

    label: str
    read: "Callable[[], Read]"


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

    def reader(path: Path, name: str) -> "Callable[[], Read]":
        return lambda: read_with_response(path, name, symprec, born)

    from mlrim.structures import structure_name

    names = unique_names([structure_name(path) for path in paths])
    return [Job(str(path), reader(path, name)) for path, name in zip(paths, names, strict=True)]


def read_with_response(path: Path, name: str, symprec: float, born: str | None) -> "Read":
    """A crystal with what a BORN file knows of it, one with shared sites, or a molecule.

    Raises:
        UserError: a file cannot be read, or a BORN file is given for a molecule.
    """
    from mlrim.disorder import MixedStructure
    from mlrim.inputs import read_any
    from mlrim.molecules.structures import InputMolecule
    from mlrim.predictors import Known

    structure = read_any(path, symprec)
    if isinstance(structure, MixedStructure):
        return structure.renamed(name)
    structure = structure._replace(name=name)
    if isinstance(structure, InputMolecule):
        if born is not None:
            raise UserError(
                f"'{path}' is a molecule, and born={born} is a file of crystals; the derivatives of a molecule's "
                "dipole are the columns dipole_derivatives of an extended XYZ file"
            )
        return structure
    if born is None:
        return structure, Known()
    from mlrim.born_file import read_born

    return structure, Known(long_range=read_born(born, structure.crystal))


def run_jobs(
    jobs: Sequence[Job],
    predictor: "Predictor | DirectPredictor",
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
    predictor: "Predictor | DirectPredictor",
    settings: "Settings",
    out: Path,
    figures: Sequence[str],
    console: "Console",
    response: "ResponsePredictor | None" = None,
) -> Path:
    """Predict one crystal or molecule, write its folder, show its modes."""
    from mlrim.direct.predictor import DirectPredictor
    from mlrim.disorder import MixedStructure, require_ordered
    from mlrim.molecules.structures import InputMolecule

    with console.status(job.label) as status:
        read = job.read()
        name = read.name if isinstance(read, InputMolecule | MixedStructure) else read[0].name

        def stage(what: str) -> None:
            status.update(f"{name}: {what}")

        if isinstance(predictor, DirectPredictor):
            folder, show = run_direct(read, predictor, settings, out, figures, stage)
        elif isinstance(read, InputMolecule):
            folder, show = run_molecule(read, predictor, settings, out, figures, stage)
        else:
            structure, known = require_ordered(read)
            folder, show = run_crystal(structure, known, predictor, settings, out, figures, response, stage)
    show(console)
    return folder


def run_crystal(
    structure: "InputStructure",
    known: "Known",
    predictor: "Predictor",
    settings: "Settings",
    out: Path,
    figures: Sequence[str],
    response: "ResponsePredictor | None",
    stage: Callable[[str], object],
) -> "tuple[Path, Callable[[Console], None]]":
    """Predict a crystal and write its folder; the folder, and what shows the Γ table."""
    from mlrim.pipeline import predict_structure
    from mlrim.report.console import show
    from mlrim.report.folder import write_prediction

    prediction = predict_structure(structure, predictor, settings, known, response, stage)
    stage("files and report")
    return write_prediction(prediction, out, figures), partial(show, prediction)


def run_direct(
    read: "Read",
    predictor: "DirectPredictor",
    settings: "Settings",
    out: Path,
    figures: Sequence[str],
    stage: Callable[[str], object],
) -> "tuple[Path, Callable[[Console], None]]":
    """Predict a crystal, ordered or not, by a direct model and write its folder; the folder, and what shows the modes.

    Raises:
        UserError: it is a molecule.
    """
    from mlrim.direct.pipeline import predict_direct
    from mlrim.disorder import MixedStructure
    from mlrim.molecules.structures import InputMolecule
    from mlrim.report.direct.console import show_direct
    from mlrim.report.direct.folder import write_direct

    if isinstance(read, InputMolecule):
        raise UserError(
            f"'{read.source}' is a molecule, and {predictor.description} is trained on crystals; give the checkpoint "
            "of an energy, or a structure with a lattice"
        )
    structure, occupancy = read if isinstance(read, MixedStructure) else (read[0], None)
    prediction = predict_direct(structure, predictor, settings, occupancy, stage)
    stage("files and report")
    return write_direct(prediction, out, figures), partial(show_direct, prediction)


def run_molecule(
    molecule: "InputMolecule",
    predictor: "Predictor",
    settings: "Settings",
    out: Path,
    figures: Sequence[str],
    stage: Callable[[str], object],
) -> "tuple[Path, Callable[[Console], None]]":
    """Predict a molecule and write its folder; the folder, and what shows the table of modes."""
    from mlrim.molecules.pipeline import MoleculeSettings, predict_molecule
    from mlrim.pipeline import temperature_grid
    from mlrim.report.molecule.console import show_molecule
    from mlrim.report.molecule.folder import write_molecule

    chosen = MoleculeSettings(settings.relaxation, temperature_grid(settings.temperatures), spectra=settings.spectra)
    prediction = predict_molecule(molecule, predictor, chosen, stage)
    stage("files and report")
    return write_molecule(prediction, out, figures), partial(show_molecule, prediction)


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
