"""Sets of VASP runs: phonopy_disp.yaml and one vasprun.xml for every displaced supercell, also compressed.

Where there is one run more than displacements, the first is the undisplaced supercell, whose forces are subtracted.
A file vasprun.xml-born gives the Born charges and ε∞ of the unit cell.
"""

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from phonopy import Phonopy
from phonopy.file_IO import get_io_module_to_decompress
from phonopy.interface.vasp import VasprunxmlExpat, parse_set_of_forces

from datamodules.importers.force_sets import DataSet
from datamodules.importers.phonopy_files import COMPRESSIONS, YAML_NAMES, identifier, load_phonopy_yaml
from datamodules.importers.phonopy_records import POSITION_TOLERANCE, record_from_phonopy
from datamodules.importers.registry import Importer, ImportOptions, Input, RejectedInput, folders_with
from datamodules.records import Record

NUMBERED_RUN = re.compile(r"vasprun\.xml-?(\d+)(\.(xz|gz|bz2|lzma))?$")
THEORY = "VASP"
LICENCE = "not stated"


def find_vasprun_sets(path: Path | None) -> list[Input]:
    """The directory itself, or all directories below it, that hold numbered vasprun files.

    Raises:
        UserError: there are none.
    """
    return folders_with(path, lambda folder: bool(_numbered_runs(folder)), "vasprun.xml-001, vasprun.xml-002, …")


def read_vasprun_set(source: Input, options: ImportOptions) -> Record:
    """The record of a set of VASP runs; raises RejectedInput when runs are missing, damaged or do not fit."""
    folder = source.path
    assert folder is not None
    names = [f"{name}{compression}" for name in YAML_NAMES for compression in COMPRESSIONS]
    yaml_file = next((folder / name for name in names if (folder / name).is_file()), None)
    if yaml_file is None:
        raise RejectedInput(f"the directory has none of {', '.join(YAML_NAMES)} (or compressed)")
    phonon, _ = load_phonopy_yaml(yaml_file, options)
    _add_forces(phonon, _numbered_runs(folder))
    born_charges, dielectric = _response(folder, phonon)
    return record_from_phonopy(
        phonon,
        name=identifier(source.name),
        source=f"set of VASP runs {source.name}",
        theory=THEORY,
        licence=LICENCE,
        born_charges=born_charges,
        dielectric=dielectric,
        options=options,
    )


def _add_forces(phonon: Phonopy, runs: list[Path]) -> None:
    dataset: DataSet = phonon.dataset or {}
    steps = dataset.get("first_atoms", [])
    if not steps:
        raise RejectedInput("the phonopy yaml file lists no displacements")
    if len(runs) - len(steps) not in (0, 1):
        raise RejectedInput(f"there are {len(runs)} numbered vasprun files for {len(steps)} displacements")
    forces = _read_forces(runs, len(phonon.supercell))
    if len(forces) > len(steps):
        forces = forces[1:] - forces[0]
    moved = [{**step, "forces": values} for step, values in zip(steps, forces, strict=True)]
    complete: DataSet = {**dataset, "first_atoms": moved}
    phonon.dataset = complete


def _read_forces(runs: list[Path], n_atoms: int) -> Float[ndarray, "runs images 3"]:
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            parsed = parse_set_of_forces(n_atoms, [str(run) for run in runs], verbose=False)
    except Exception as error:  # expat and the decompressors raise whatever they meet
        raise RejectedInput(f"a vasprun file is truncated or damaged ({error})") from error
    if not parsed:
        raise RejectedInput(f"a vasprun file has not the forces of {n_atoms} atoms ({said.getvalue().strip()})")
    return np.array(parsed["forces"])


def _response(folder: Path, phonon: Phonopy) -> tuple[Float[ndarray, "atoms 3 3"] | None, Float[ndarray, "3 3"] | None]:
    """Born charges of the primitive cell's atoms and ε∞ from vasprun.xml-born, if it is there."""
    files = [folder / f"vasprun.xml-born{compression}" for compression in COMPRESSIONS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return None, None
    try:
        with get_io_module_to_decompress(str(file)).open(str(file), "rb") as stream:
            run = VasprunxmlExpat(stream)
            run.parse()
            cell, born_charges, dielectric = run.cell, np.asarray(run.born), np.asarray(run.epsilon)
    except Exception as error:  # as above
        raise RejectedInput(f"{file.name} is truncated or damaged ({error})") from error
    if cell is None or born_charges.shape != (len(cell), 3, 3) or dielectric.shape != (3, 3):
        raise RejectedInput(f"{file.name} has no Born charges or no dielectric tensor")
    return _of_primitive_atoms(cell.positions, cell.numbers, born_charges, phonon), dielectric


def _of_primitive_atoms(
    positions: Float[ndarray, "cell 3"],
    numbers: ndarray,
    born_charges: Float[ndarray, "cell 3 3"],
    phonon: Phonopy,
) -> Float[ndarray, "atoms 3 3"]:
    """The charges of the atoms of a cell, averaged over those that are one atom of the primitive cell."""
    primitive = phonon.primitive
    difference = (positions[None] - primitive.positions[:, None]) @ np.linalg.inv(primitive.cell)
    distance = np.linalg.norm((difference - np.round(difference)) @ primitive.cell, axis=-1)
    same = (distance < POSITION_TOLERANCE) & (numbers[None] == primitive.numbers[:, None])
    counts = same.sum(axis=1)
    if not (counts.min() == counts.max() > 0 and counts.sum() == len(numbers)):
        raise RejectedInput("the cell of vasprun.xml-born is not that of the displaced supercells")
    return np.einsum("ij,jab->iab", same / counts[:, None], born_charges)


def _numbered_runs(folder: Path) -> list[Path]:
    found = {int(match[1]): file for file in folder.iterdir() if (match := NUMBERED_RUN.match(file.name))}
    return [found[number] for number in sorted(found)]


VASPRUN = Importer(
    "vasprun",
    "directories with phonopy_disp.yaml and vasprun.xml-001, …, vasprun.xml-born, also compressed",
    True,
    find_vasprun_sets,
    read_vasprun_set,
)
