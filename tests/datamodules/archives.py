"""Archives in the format of the Kyoto phonon database, made here with a pair potential of ASE."""

import io
import tarfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.morse import MorsePotential
from phonopy import Phonopy
from phonopy.file_IO import get_FORCE_SETS_lines
from phonopy.interface.vasp import get_vasp_structure_lines
from phonopy.structure.atoms import PhonopyAtoms

F_CENTRED = "0 1/2 1/2 1/2 0 1/2 1/2 1/2 0"
BORN = (
    "# epsilon and Z* of atoms 1 5\n" + "3 0 0 0 3 0 0 0 3\n" + "2 0 0 0 2 0 0 0 2\n" + "-2.1 0 0 0 -2.1 0 0 0 -2.1\n"
)


def rocksalt(metal: str, anion: str, length: float) -> Atoms:
    return bulk(f"{metal}{anion}", "rocksalt", a=length, cubic=True)


def phonopy_calculation(atoms: Atoms, matrix: np.ndarray, primitive: np.ndarray | str) -> Phonopy:
    """Displacements and forces of a Morse crystal at its equilibrium."""
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(), cell=atoms.cell[:], scaled_positions=atoms.get_scaled_positions()
    )
    phonon = Phonopy(cell, matrix, primitive_matrix=primitive, log_level=0)
    phonon.generate_displacements(distance=0.01)
    forces = []
    for supercell in phonon.supercells_with_displacements:
        displaced = Atoms(numbers=supercell.numbers, cell=supercell.cell, positions=supercell.positions, pbc=True)
        nearest = atoms.get_all_distances(mic=True)
        displaced.calc = MorsePotential(
            epsilon=0.8, rho0=4.0, r0=float(nearest[nearest > 0.1].min()), rcut1=4.0, rcut2=4.8
        )
        forces.append(np.round(displaced.get_forces(), 10))
    phonon.forces = forces
    return phonon


def archive_files(
    phonon: Phonopy, matrix: np.ndarray, axis: str | None = F_CENTRED, born: str | None = BORN
) -> dict[str, str]:
    configuration = "DIM = " + " ".join(str(number) for number in np.asarray(matrix).reshape(-1))
    files = {
        "POSCAR-unitcell": "\n".join(get_vasp_structure_lines(phonon.unitcell)),
        "phonopy.conf": configuration + (f"\nPRIMITIVE_AXIS = {axis}" if axis else ""),
        "FORCE_SETS": "\n".join(get_FORCE_SETS_lines(phonon.dataset)),
    }
    return files | ({"BORN": born} if born else {})


def write_archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:xz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"folder/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def rocksalt_archives(folder: Path, count: int) -> list[Path]:
    """Archives of rocksalt crystals, quick to read: supercells of 16 or 32 atoms."""
    folder.mkdir(parents=True, exist_ok=True)
    compounds = [
        ("Mg", "O", 4.2),
        ("Na", "Cl", 5.6),
        ("Li", "F", 4.0),
        ("Ca", "O", 4.8),
        ("K", "Br", 6.6),
        ("Ba", "S", 6.4),
    ]
    written = []
    for number in range(count):
        metal, anion, length = compounds[number % len(compounds)]
        atoms = rocksalt(metal, anion, length + 0.01 * (number // len(compounds)))
        matrix = np.diag([2, 1, 1]) if number % 2 else np.diag([2, 2, 1])
        phonon = phonopy_calculation(atoms, matrix, "F")
        name = f"materials-id-{1000 + number}-{metal.lower()}{anion.lower()}-fm-3m-225.tar.lzma"
        written.append(write_archive(folder / name, archive_files(phonon, matrix)))
    return written
