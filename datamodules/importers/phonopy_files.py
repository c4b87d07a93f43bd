"""Phonopy's own files: directories with a phonopy yaml and FORCE_SETS or force constants, and phonopy_params files.

A directory holds phonopy_params.yaml, phonopy.yaml or phonopy_disp.yaml (also compressed: .xz, .gz, .bz2), and where
that has no forces, FORCE_SETS, FORCE_CONSTANTS or force_constants.hdf5; Born charges are in the yaml or in BORN.
"""

from pathlib import Path
from typing import Any

import numpy as np
from phonopy import Phonopy
from phonopy.file_IO import parse_FORCE_CONSTANTS, read_force_constants_hdf5
from phonopy.interface.phonopy_yaml import PhonopyYaml
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms

from datamodules.importers.force_sets import DataSet, parse_force_sets
from datamodules.importers.phonondb import read_born
from datamodules.importers.phonopy_records import record_from_phonopy
from datamodules.importers.registry import Importer, ImportOptions, Input, RejectedInput, folders_with, relative_name
from datamodules.records import Record
from mlrim.errors import UserError
from mlrim.phonopy_yaml import read_phonopy_yaml

YAML_NAMES = ("phonopy_params.yaml", "phonopy.yaml", "phonopy_disp.yaml")
COMPRESSIONS = ("", ".xz", ".gz", ".bz2", ".lzma")
UNKNOWN = "not stated"


def find_phonopy_directories(path: Path | None) -> list[Input]:
    """The directory itself, or all directories below it, that hold a phonopy yaml.

    Raises:
        UserError: there are none.
    """
    names = f"one of {', '.join(YAML_NAMES)}"
    return folders_with(path, lambda folder: _yaml_of(folder) is not None and not any(folder.glob("vasprun*")), names)


def find_phonopy_params(path: Path | None) -> list[Input]:
    """The file itself, or all phonopy*.yaml files (also compressed) below a folder, phonopy_disp.yaml left out.

    Raises:
        UserError: there are none.
    """
    assert path is not None
    patterns = [f"phonopy*.yaml{compression}" for compression in COMPRESSIONS]
    files = sorted(file for pattern in patterns for file in path.rglob(pattern)) if path.is_dir() else [path]
    files = [file for file in files if file == path or not file.name.startswith("phonopy_disp")]
    if not files:
        raise UserError(f"there is no phonopy*.yaml file (or compressed) at {path}")
    return [Input(relative_name(file, path), file) for file in files]


def read_phonopy_directory(source: Input, options: ImportOptions) -> Record:
    """The record of a phonopy directory; raises RejectedInput when something is missing or does not fit."""
    folder = source.path
    assert folder is not None
    yaml_file = _yaml_of(folder)
    if yaml_file is None:
        raise RejectedInput("the directory has no phonopy yaml file")
    phonon, contents = load_phonopy_yaml(yaml_file, options)
    if phonon.force_constants is None:
        _load_forces(phonon, folder)
    return _record(source, phonon, contents, options, folder / "BORN")


def read_phonopy_params(source: Input, options: ImportOptions) -> Record:
    """The record of a phonopy_params file; raises RejectedInput when it has neither force constants nor forces."""
    assert source.path is not None
    phonon, contents = load_phonopy_yaml(source.path, options)
    return _record(source, phonon, contents, options, None)


def load_phonopy_yaml(path: Path, options: ImportOptions) -> tuple[Phonopy, PhonopyYaml]:
    """A phonopy object in eV and Å from a phonopy yaml file, with whatever forces or force constants are in it."""
    try:
        contents = read_phonopy_yaml(path)
    except Exception as error:  # the parser raises whatever it meets
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise RejectedInput(f"{path.name} cannot be read as phonopy yaml ({reason})") from error
    if contents.unitcell is None or contents.supercell_matrix is None:
        raise RejectedInput(f"{path.name} has no unit cell or no supercell matrix")
    units = get_calculator_physical_units(contents.calculator)
    primitive = contents.primitive_matrix
    phonon = Phonopy(
        _scaled_cell(contents.unitcell, units.distance_to_A),
        supercell_matrix=contents.supercell_matrix,
        primitive_matrix="auto" if primitive is None else primitive,
        symprec=options.symprec,
        log_level=0,
    )
    if contents.dataset:
        phonon.dataset = _scaled_dataset(contents.dataset, units.distance_to_A, units.force_to_eVperA)
    if contents.force_constants is not None:
        scale = units.force_to_eVperA / units.distance_to_A
        phonon.force_constants = np.asarray(contents.force_constants) * scale
    return phonon, contents


def _record(
    source: Input, phonon: Phonopy, contents: PhonopyYaml, options: ImportOptions, born_file: Path | None
) -> Record:
    if contents.nac_params is not None:
        response: Any = (np.asarray(contents.nac_params["born"]), np.asarray(contents.nac_params["dielectric"]))
    else:
        text = born_file.read_text() if born_file is not None and born_file.is_file() else None
        response = read_born(text, phonon)
    born_charges, dielectric = response
    return record_from_phonopy(
        phonon,
        name=identifier(source.name),
        source=f"phonopy calculation {source.name}",
        theory=contents.calculator or UNKNOWN,
        licence=UNKNOWN,
        born_charges=born_charges,
        dielectric=dielectric,
        options=options,
    )


def _load_forces(phonon: Phonopy, folder: Path) -> None:
    """FORCE_SETS, else force constants, of a directory; in the units of eV and Å that phonopy writes for VASP."""
    n_atoms = len(phonon.supercell)
    if (folder / "FORCE_SETS").is_file():
        phonon.dataset = parse_force_sets((folder / "FORCE_SETS").read_text(), n_atoms)
    elif (folder / "FORCE_CONSTANTS").is_file():
        phonon.force_constants = parse_FORCE_CONSTANTS(folder / "FORCE_CONSTANTS", p2s_map=phonon.primitive.p2s_map)
    elif (folder / "force_constants.hdf5").is_file():
        stored = read_force_constants_hdf5(folder / "force_constants.hdf5", p2s_map=phonon.primitive.p2s_map)
        phonon.force_constants = np.asarray(stored)


def _scaled_cell(cell: PhonopyAtoms, length: float) -> PhonopyAtoms:
    return PhonopyAtoms(
        cell=cell.cell * length, scaled_positions=cell.scaled_positions, numbers=cell.numbers, masses=cell.masses
    )


def _scaled_dataset(dataset: DataSet, length: float, force: float) -> DataSet:
    """A phonopy data set in Å and eV/Å, forces only where there are some."""
    scales = {"displacement": length, "displacements": length, "forces": force}
    scaled = {
        key: np.asarray(value) * scales[key] if key in scales and value is not None else value
        for key, value in dataset.items()
    }
    if "first_atoms" in dataset:
        scaled["first_atoms"] = [_scaled_dataset(step, length, force) for step in dataset["first_atoms"]]
    return scaled


def identifier(name: str) -> str:
    """An id from the name of a file or folder: no slashes, no endings."""
    stem = name.replace("/", "_")
    for ending in (*COMPRESSIONS[1:], ".yaml"):
        stem = stem.removesuffix(ending)
    return stem


def _yaml_of(folder: Path) -> Path | None:
    names = [folder / f"{name}{compression}" for name in YAML_NAMES for compression in COMPRESSIONS]
    return next((file for file in names if file.is_file()), None)


PHONOPY = Importer(
    "phonopy",
    "phonopy directories: phonopy_disp.yaml with FORCE_SETS and BORN, or with force constants",
    True,
    find_phonopy_directories,
    read_phonopy_directory,
)
PHONOPY_PARAMS = Importer(
    "phonopy_params", "phonopy_params*.yaml files, also compressed", True, find_phonopy_params, read_phonopy_params
)
