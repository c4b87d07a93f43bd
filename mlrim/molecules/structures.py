"""Reading molecules from files, with every check that makes a later result trustworthy.

A file without a lattice (xyz), or with one that is flagged as not periodic, is a molecule; all else is a crystal.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.structures import (
    SHORTEST_DISTANCE,
    check_elements,
    check_masses,
    check_positions,
    structure_name,
)
from mlrim.vibrations.molecular_spectra import DipoleDerivatives

if TYPE_CHECKING:
    from ase import Atoms

DERIVATIVES = {"dipole": ("dipole_derivatives", (3, 3)), "polarizability": ("polarizability_derivatives", (3, 3, 3))}
"""Columns of extended XYZ files that hold the derivatives of a molecule, in rows [atom][field…][displacement]."""


class InputMolecule(NamedTuple):
    """A molecule as read from a file or a record, and what the reader should be told about it."""

    name: str
    """Name for the output folder."""
    source: str
    """The file or record, in words."""
    numbers: Int[ndarray, "atoms"]
    positions: Float[ndarray, "atoms 3"]
    """Å"""
    masses: Float[ndarray, "atoms"]
    """amu"""
    notes: list[str]
    warnings: list[str]
    derivatives: DipoleDerivatives = DipoleDerivatives()
    """What is known of dipole and polarisability."""

    @property
    def symbols(self) -> list[str]:
        """Element symbols."""
        return [chemical_symbols[number] for number in self.numbers]


def is_molecule(atoms: "Atoms") -> bool:
    """Whether atoms do not repeat along any direction."""
    return not atoms.pbc.any()


def molecule_from_atoms(atoms: "Atoms", path: Path) -> InputMolecule:
    """The molecule that a file holds, checked.

    Raises:
        UserError: a single atom, atoms on top of each other, elements or masses that do not exist.
    """
    check_positions(atoms, path)
    check_elements(atoms.numbers, path)
    check_masses(atoms, path)
    if len(atoms) < 2:
        raise UserError(f"'{path}' holds a single atom ({atoms.symbols[0]}), which has no vibrations; give two or more")
    _check_distances(atoms, path)
    charge = float(atoms.info.get("charge", 0) or 0)
    warnings = [f"the file gives a charge of {charge:g} e, which models of energies know nothing of"] if charge else []
    numbers, masses = np.asarray(atoms.numbers, dtype=np.int64), atoms.get_masses()
    derivatives = _derivatives(atoms, path)
    return InputMolecule(
        structure_name(path), str(path), numbers, atoms.positions.copy(), masses, [], warnings, derivatives
    )


def _check_distances(atoms: "Atoms", path: Path) -> None:
    first, second = np.triu_indices(len(atoms), 1)
    lengths = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    allowed = SHORTEST_DISTANCE * (covalent_radii[atoms.numbers[first]] + covalent_radii[atoms.numbers[second]])
    if np.any(lengths < allowed):
        worst = int(np.argmin(lengths / allowed))
        i, j = int(first[worst]), int(second[worst])
        raise UserError(
            f"'{path}': atoms overlap: {atoms.symbols[i]} (atom {i + 1}) and {atoms.symbols[j]} (atom {j + 1}) are "
            f"{lengths[worst]:.3f} Å apart; remove duplicates or check units (positions are in Å)"
        )


def _derivatives(atoms: "Atoms", path: Path) -> DipoleDerivatives:
    """The derivatives in the columns of an extended XYZ file; none where there are no such columns."""
    found: dict[str, ndarray] = {}
    for name, (column, shape) in DERIVATIVES.items():
        if column not in atoms.arrays:
            continue
        values = np.asarray(atoms.arrays[column], dtype=float)
        if values.size != len(atoms) * np.prod(shape) or not np.isfinite(values).all():
            raise UserError(
                f"'{path}': the column {column} must hold {int(np.prod(shape))} finite numbers for every atom "
                f"({'dipole, displacement' if len(shape) == 2 else 'two axes of the polarisability, displacement'})"
            )
        found[name] = values.reshape(len(atoms), *shape)
    return DipoleDerivatives(**found, source=str(path) if found else "")
