"""Reading crystal structures from files, with every check that makes a later result trustworthy.

A file becomes the primitive cell of the crystal in the file's own orientation, with positions and lattice
averaged over the space group found within a tolerance, so that symmetry-equivalent atoms are equivalent to
the last digit. What was changed is said in `InputStructure.notes`.
"""

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import sqrtm

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import symmetry_dataset
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.phonopy_yaml import read_phonopy_yaml

if TYPE_CHECKING:
    from ase import Atoms

SHORTEST_DISTANCE = 0.4
"""Atoms closer than this share of the sum of their covalent radii are taken for a mistake in the file."""
VACUUM = 8.0
"""A layer without atoms thicker than this (Å) is taken for vacuum."""
LARGEST_NUMBER = 103
"""Atomic number of the last element with a usable mass."""
POSITION_TOLERANCE = 1e-3
"""Atoms within this distance (Å) of a symmetric position are moved onto it."""
FORMATS = "CIF, POSCAR/CONTCAR, phonopy yaml (also .xz), or any format that ASE reads"


class InputStructure(NamedTuple):
    """A crystal as read from a file, and what the reader should be told about it."""

    name: str
    """Name for the output folder: the file's name without suffix."""
    path: Path
    crystal: Crystal
    """Primitive cell."""
    notes: list[str]
    warnings: list[str]


def read_structure(path: str | Path, symprec: float = POSITION_TOLERANCE) -> InputStructure:
    """The primitive crystal in a file of any supported format.

    Args:
        symprec: tolerance (Å) within which the space group is looked for.

    Raises:
        UserError: the file is missing, unreadable, not a three-dimensional crystal, disordered, or not
            physical.
    """
    return crystal_structure(read_atoms(path), Path(path), symprec)


def read_atoms(path: str | Path) -> "Atoms":
    """What a file of any supported format says of its atoms, unchecked.

    Raises:
        UserError: the file is missing or unreadable.
    """
    path = Path(path)
    _check_file(path)
    return _read_phonopy_yaml(path) if ".yaml" in path.suffixes else _read_with_ase(path)


def crystal_structure(atoms: "Atoms", path: Path, symprec: float = POSITION_TOLERANCE) -> InputStructure:
    """The primitive crystal of atoms that were read from a file, one element on every site; see `read_structure`."""
    check_ordered(atoms, path)
    return average_structure(atoms, path, symprec)


def average_structure(atoms: "Atoms", path: Path, symprec: float = POSITION_TOLERANCE) -> InputStructure:
    """The same whatever is on the sites; atoms of different masses are different to symmetry."""
    crystal = _checked_crystal(atoms, path)
    found = _vacuum_warnings(crystal, path)
    crystal, notes = primitive_crystal(crystal, symprec)
    return InputStructure(structure_name(path), path, crystal, notes, found)


def structure_name(path: Path) -> str:
    """The file's name without suffixes; the folder's name too where the file is called POSCAR or the like."""
    stem = path.name.split(".")[0] or path.name
    generic = stem.upper() in {"POSCAR", "CONTCAR", "PHONOPY", "PHONOPY_DISP", "PHONOPY_PARAMS", "STRUCTURE"}
    parent = path.resolve().parent.name
    return f"{parent}_{stem}" if generic and parent else stem


def primitive_crystal(crystal: Crystal, symprec: float = POSITION_TOLERANCE) -> tuple[Crystal, list[str]]:
    """The primitive cell in the same orientation, averaged over the space group; and what was done.

    A cell that is primitive already keeps its vectors; atoms stay in the order of the file.

    Raises:
        UserError: spglib finds no symmetry.
    """
    notes = []
    dataset = symmetry_dataset(crystal, symprec)
    if dataset is None:
        raise UserError(
            f"spglib cannot find the symmetry of the structure within symprec={symprec:g} Å; a tolerance near an "
            f"interatomic distance does not work, {POSITION_TOLERANCE:g} does for most files"
        )
    _, kept = np.unique(dataset.mapping_to_primitive, return_index=True)
    if len(kept) < crystal.n_atoms:
        notes.append(f"reduced the cell of {crystal.n_atoms} atoms to the primitive cell of {len(kept)}")
        kept = np.sort(kept)
        crystal = Crystal(
            dataset.primitive_lattice, crystal.positions[kept], crystal.numbers[kept], crystal.masses[kept]
        )
    symmetric = symmetrized_crystal(crystal, symprec)
    moved = float(np.abs(symmetric.positions - crystal.positions).max())
    if moved > 1e-9:
        notes.append(f"moved atoms and lattice by up to {moved:.1e} Å onto the symmetry found within {symprec:g} Å")
    return symmetric, notes


def symmetrized_crystal(crystal: Crystal, symprec: float = POSITION_TOLERANCE) -> Crystal:
    """The crystal with lattice metric and positions averaged over its space group (orientation kept)."""
    dataset = symmetry_dataset(crystal, symprec)
    if dataset is None:
        return crystal
    metric = crystal.lattice @ crystal.lattice.T
    average = np.mean(dataset.rotations.transpose(0, 2, 1) @ metric @ dataset.rotations, axis=0)
    inverse = np.linalg.inv(crystal.lattice)
    lattice = crystal.lattice @ np.real(sqrtm(inverse @ average @ inverse.T))
    fractional = crystal.fractional
    total = np.zeros_like(fractional)
    for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True):
        moved = fractional @ rotation.T + translation
        difference = moved[:, None, :] - fractional[None, :, :]
        difference -= np.round(difference)
        distance = np.linalg.norm(difference @ crystal.lattice, axis=-1)
        target = np.argmin(distance, axis=1)
        total[target] += difference[np.arange(len(target)), target]
    return Crystal.from_fractional(
        lattice, fractional + total / len(dataset.rotations), crystal.numbers, crystal.masses
    )


# --- reading ---


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UserError(f"structure file '{path}' does not exist; check the path (formats: {FORMATS})")
    if path.is_dir():
        raise UserError(f"'{path}' is a folder; give a structure file, or a glob such as '{path}/*.cif'")
    if path.stat().st_size == 0:
        raise UserError(f"structure file '{path}' is empty; copy it again (formats: {FORMATS})")


def _read_with_ase(path: Path) -> "Atoms":
    from ase import Atoms
    from ase.io import read

    poscar = path.name.upper().startswith(("POSCAR", "CONTCAR")) or path.suffix.lower() in {
        ".vasp",
        ".poscar",
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = read(path, format="vasp" if poscar else None)
    except Exception as error:
        raise UserError(f"cannot read a structure from '{path}': {_reading_problem(error)}") from error
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise UserError(f"structure file '{path}' holds no atoms; is it complete? (formats: {FORMATS})")
    return atoms


def _reading_problem(error: Exception) -> str:
    """What a parser stumbled over, for people who do not know the parser."""
    from ase.io.formats import UnknownFileTypeError

    symbol = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(symbol, str) and re.fullmatch("[A-Z][A-Za-z]?", symbol):
        return f"'{symbol}' is no element; write the symbols of the periodic table, H to Lr"
    reason = " ".join(str(error).split())[:300]
    if isinstance(error, UnknownFileTypeError):
        return f"unknown kind of file ({reason}); give {FORMATS}, and the suffix of that format"
    said = f"{type(error).__name__}: {reason}" if reason else "it ends too early"
    return f"the file is incomplete or not of the format that its name says ({said}); expected {FORMATS}"


def _read_phonopy_yaml(path: Path) -> "Atoms":
    from ase import Atoms

    try:
        content = read_phonopy_yaml(path)
        cell = next(c for c in (content.primitive, content.unitcell, content.supercell) if c is not None)
    except StopIteration as error:
        raise UserError(f"'{path}' holds no primitive_cell, unit_cell or supercell; is it a phonopy yaml?") from error
    except Exception as error:
        raise UserError(
            f"cannot read '{path}' as a phonopy yaml file ({type(error).__name__}: {' '.join(str(error).split())}); "
            "is it complete? Other formats need another suffix"
        ) from error
    return Atoms(
        numbers=cell.numbers,
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        masses=cell.masses,
        pbc=True,
    )


# --- checks ---


def _checked_crystal(atoms: "Atoms", path: Path) -> Crystal:
    lattice, positions = atoms.cell.array, atoms.positions
    if not np.isfinite(lattice).all():
        raise UserError(f"'{path}' holds lattice vectors that are not finite numbers; correct them in the file")
    check_positions(atoms, path)
    _check_periodic(atoms, path)
    check_elements(atoms.numbers, path)
    check_masses(atoms, path)
    crystal = Crystal(lattice, positions, atoms.numbers, atoms.get_masses())
    _check_distances(crystal, path)
    return crystal


def _check_periodic(atoms: "Atoms", path: Path) -> None:
    lengths = np.linalg.norm(atoms.cell.array, axis=1)
    volume = abs(np.linalg.det(atoms.cell.array))
    if np.any(lengths < 1e-6) or not any(atoms.pbc):
        raise UserError(
            f"'{path}' is not a crystal: it has no lattice in three directions (a molecule?); "
            "phonons need a cell that repeats along three vectors"
        )
    if volume < 1e-3 * lengths.prod():
        raise UserError(
            f"'{path}': the three lattice vectors lie (almost) in one plane (volume {volume:.2g} Å³); correct the cell"
        )
    gaps = vacuum_thickness(Crystal(atoms.cell.array, atoms.positions, atoms.numbers, np.ones(len(atoms))))
    if np.all(gaps > VACUUM):
        raise UserError(
            f"'{path}' looks like a molecule in a box: at least {gaps.min():.1f} Å empty in every direction; give "
            "the crystal's own cell, or the molecule without a cell (.xyz) together with a model of energies"
        )


def check_positions(atoms: "Atoms", path: Path) -> None:
    """Raise UserError for positions that are not finite numbers."""
    if not np.isfinite(atoms.positions).all():
        atom = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise UserError(
            f"'{path}' holds positions that are not finite numbers, the first for atom {atom + 1} "
            f"({atoms.symbols[atom]}); correct them in the file"
        )


def check_masses(atoms: "Atoms", path: Path) -> None:
    """Raise UserError for masses that are not positive."""
    if not np.all(atoms.get_masses() > 0):
        raise UserError(f"'{path}' gives masses that are not positive; correct or remove them")


def check_elements(numbers: Int[ndarray, "atoms"], path: Path) -> None:
    """Raise UserError for atoms that are of no element with a mass."""
    unknown = sorted({int(number) for number in numbers if not 1 <= number <= LARGEST_NUMBER})
    if unknown:
        names = ", ".join(chemical_symbols[n] if 0 <= n < len(chemical_symbols) else str(n) for n in unknown)
        raise UserError(f"'{path}' holds unknown or dummy elements ({names}); allowed are the symbols H to Lr")


def shared_sites(atoms: "Atoms") -> list[str]:
    """The sites that are not fully occupied by one element, in words."""
    occupancies = atoms.info.get("occupancy") or {}
    partial = [
        " + ".join(f"{symbol} {float(share):g}" for symbol, share in sorted(site.items()))
        for site in occupancies.values()
        if len(site) > 1 or any(abs(float(share) - 1) > 1e-3 for share in site.values())
    ]
    return sorted(set(partial))


def check_ordered(atoms: "Atoms", path: Path) -> None:
    """Raise UserError for sites that are not fully occupied by one element."""
    partial = shared_sites(atoms)
    if partial:
        raise UserError(disordered(path, partial))


def disordered(path: Path, sites: list[str]) -> str:
    """The message for a crystal whose sites are shared, where that is of no use."""
    return (
        f"'{path}' is disordered: sites with occupancy {'; '.join(sites[:5])}; force constants need an ordered "
        "structure in which every site is fully occupied by one element. Direct models take disordered crystals: "
        "ckpt=direct, or the checkpoint of one"
    )


def _check_distances(crystal: Crystal, path: Path) -> None:
    pairs = neighbour_pairs(crystal, 2 * SHORTEST_DISTANCE * float(covalent_radii[crystal.numbers].max()) + 0.05)
    if len(pairs.i) == 0:
        return
    lengths = np.linalg.norm(pair_vectors(crystal, pairs), axis=1)
    allowed = SHORTEST_DISTANCE * (covalent_radii[crystal.numbers[pairs.i]] + covalent_radii[crystal.numbers[pairs.j]])
    if np.any(lengths < allowed):
        worst = int(np.argmin(lengths / allowed))
        i, j = int(pairs.i[worst]), int(pairs.j[worst])
        raise UserError(
            f"'{path}': atoms overlap: {crystal.symbols[i]} (atom {i + 1}) and {crystal.symbols[j]} "
            f"(atom {j + 1}) are {lengths[worst]:.3f} Å apart; remove duplicates or check units and scaling"
        )


def vacuum_thickness(crystal: Crystal) -> Float[ndarray, "3"]:
    """Thickness (Å) of the widest layer without atoms between the lattice planes of each direction."""
    heights = 1 / np.linalg.norm(crystal.reciprocal, axis=1)
    wrapped = np.sort(crystal.fractional % 1.0, axis=0)
    gaps = np.diff(np.vstack([wrapped, wrapped[:1] + 1.0]), axis=0)
    return gaps.max(axis=0) * heights


def _vacuum_warnings(crystal: Crystal, path: Path) -> list[str]:
    empty = np.flatnonzero(vacuum_thickness(crystal) > VACUUM)
    if len(empty) == 0:
        return []
    kind = "a slab" if len(empty) == 1 else "a wire"
    message = (
        f"'{path}' looks like {kind} with vacuum; its long-range interaction is treated as that of a "
        "three-dimensional crystal, so that LO modes and bands near Γ are not those "
        "of the isolated layer or chain"
    )
    return [message]
