"""Archives of the Kyoto phonon database: `materials-id-<id>-<formula>-<space group>.tar.lzma`.

Each holds the unit cell (POSCAR-unitcell), the supercell and primitive matrices relative to it (phonopy.conf), the
forces (FORCE_SETS, type 1) and BORN: ε∞ and the Born charges of the symmetry-inequivalent atoms.
"""

import io
import lzma
import re
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from phonopy import Phonopy
from phonopy.file_IO import get_born_parameters
from phonopy.interface.vasp import read_vasp_from_strings

from datamodules.importers.force_sets import parse_force_sets
from datamodules.importers.phonopy_records import record_from_phonopy
from datamodules.importers.registry import Importer, ImportOptions, Input, RejectedInput
from datamodules.records import Record
from mlrim.errors import UserError

NEEDED = ("POSCAR-unitcell", "phonopy.conf", "FORCE_SETS")
THEORY = "VASP PAW PBEsol, non-spin-polarised, finite displacements of 0.01 Å"
SOURCE = "Kyoto University phonon database (A. Togo), version 2018-04-17"
LICENCE = "CC BY 4.0"


def find_phonondb(path: Path | None) -> list[Input]:
    """The archives in a folder, or the archive itself.

    Raises:
        UserError: there are none.
    """
    assert path is not None
    archives = sorted(path.glob("*.tar.lzma")) if path.is_dir() else [path]
    if not archives:
        raise UserError(f"there is no phonondb archive (*.tar.lzma) in {path}")
    return [Input(archive.name, archive) for archive in archives]


def read_phonondb(source: Input, options: ImportOptions) -> Record:
    """The record of one archive.

    Raises:
        RejectedInput: damaged or incomplete archive, or contents that do not fit together.
    """
    assert source.path is not None
    files = _read_archive(source.path)
    supercell_matrix, primitive_matrix = _read_matrices(files["phonopy.conf"])
    phonon = Phonopy(
        read_vasp_from_strings(files["POSCAR-unitcell"]),
        supercell_matrix=supercell_matrix,
        primitive_matrix=primitive_matrix,
        symprec=options.symprec,
        log_level=0,
    )
    phonon.dataset = parse_force_sets(files["FORCE_SETS"], len(phonon.supercell))
    born_charges, dielectric = read_born(files.get("BORN"), phonon)
    return record_from_phonopy(
        phonon,
        name=_identifier(source.name),
        source=SOURCE,
        theory=THEORY,
        licence=LICENCE,
        born_charges=born_charges,
        dielectric=dielectric,
        options=options,
    )


def read_born(
    text: str | None, phonon: Phonopy
) -> tuple[Float[ndarray, "atoms 3 3"] | None, Float[ndarray, "3 3"] | None]:
    """Born charges of the primitive cell (e) and ε∞ from the text of a BORN file, if there is one."""
    if text is None:
        return None, None
    parameters = get_born_parameters(io.StringIO(text), phonon.primitive, phonon.primitive_symmetry)
    return np.asarray(parameters["born"]), np.asarray(parameters["dielectric"])


def _read_archive(path: Path) -> dict[str, str]:
    try:
        with tarfile.open(path, mode="r:xz") as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            wanted = [name for name in (*NEEDED, "BORN") if name in members]
            files = {name: _contents(archive, members[name]) for name in wanted}
    except (tarfile.TarError, lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
        raise RejectedInput(f"the archive is truncated or damaged ({error})") from error
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise RejectedInput(f"the archive has no {', '.join(missing)}")
    return files


def _contents(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    return "" if stream is None else stream.read().decode()


def _read_matrices(configuration: str) -> tuple[Int[ndarray, "3 3"], Float[ndarray, "3 3"]]:
    """DIM and PRIMITIVE_AXIS of phonopy.conf, both relative to the unit cell, columns are new vectors."""
    values = dict(re.findall(r"^\s*(DIM|PRIMITIVE_AXIS|PRIMITIVE_AXES)\s*=\s*(.+?)\s*$", configuration, re.M))
    numbers = {name: [Fraction(number) for number in text.split()] for name, text in values.items()}
    dimension = numbers.get("DIM", [])
    if len(dimension) not in (3, 9):
        raise RejectedInput("phonopy.conf has no DIM of three or nine numbers")
    square = np.array([int(number) for number in dimension])
    supercell = np.diag(square) if len(square) == 3 else square.reshape(3, 3)
    axes = numbers.get("PRIMITIVE_AXIS", numbers.get("PRIMITIVE_AXES"))
    if axes is None:
        return supercell, np.eye(3)
    if len(axes) != 9:
        raise RejectedInput("phonopy.conf has no PRIMITIVE_AXIS of nine numbers")
    return supercell, np.array([float(number) for number in axes]).reshape(3, 3)


def _identifier(name: str) -> str:
    found = re.match(r"materials-id-(\d+)-", name)
    return f"mp-{found[1]}" if found else name.removesuffix(".tar.lzma")


PHONONDB = Importer(
    "phonondb", "archives (*.tar.lzma) of the Kyoto phonon database", True, find_phonondb, read_phonondb
)
