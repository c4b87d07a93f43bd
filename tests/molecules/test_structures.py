"""Reading molecules: what is a molecule and what a crystal, what is refused, what else a file may hold."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from mlrim.errors import UserError
from mlrim.inputs import read_any
from mlrim.molecules.structures import InputMolecule
from mlrim.structures import InputStructure
from tests.molecules.energies import methane, xyz

MALFORMED = {
    "one atom": ("1\n\nC 0 0 0\n", "single atom"),
    "overlapping atoms": ("3\n\nC 0 0 0\nH 0 0 1.09\nH 0 0 1.12\n", "overlap.*atom 2.*atom 3"),
    "the same place twice": ("2\n\nN 0 0 0\nN 0 0 0\n", "overlap"),
    "unknown element": ("2\n\nC 0 0 0\nQq 0 0 1.1\n", "'Qq' is no element"),
    "dummy element": ("2\n\nC 0 0 0\nX 0 0 1.1\n", "unknown or dummy"),
    "not a number": ("2\n\nC 0 0 0\nH 0 0 nan\n", "not finite"),
    "too few lines": ("5\n\nC 0 0 0\nH 0 0 1.1\n", "incomplete"),
    "no atoms": ("0\n\n", "no atoms|incomplete"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_molecules_are_told_in_one_message(tmp_path, kind):
    text, message = MALFORMED[kind]
    path = tmp_path / "bad.xyz"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as told:
        read_any(path)
    assert str(path) in str(told.value)


def test_two_atoms_are_a_molecule(tmp_path):
    found = read_any(xyz(tmp_path / "N2.xyz", Atoms("N2", [(0, 0, 0), (0, 0, 1.1)])))
    assert isinstance(found, InputMolecule)
    assert (found.name, found.symbols) == ("N2", ["N", "N"])


@pytest.mark.parametrize("suffix", ["xyz", "extxyz", "json", "gen"])
def test_files_without_a_lattice_are_molecules(tmp_path, suffix):
    path = tmp_path / f"methane.{suffix}"
    write(path, methane())
    found = read_any(path)
    assert isinstance(found, InputMolecule)
    assert found.positions == pytest.approx(methane().positions, abs=1e-6)


def test_a_cell_that_is_flagged_as_not_periodic_is_a_molecule_and_a_periodic_one_is_a_crystal(tmp_path):
    atoms = methane()
    atoms.cell = 3.5 * np.eye(3)
    assert isinstance(read_any(xyz(tmp_path / "free.xyz", atoms)), InputMolecule)
    atoms.pbc = True
    assert isinstance(read_any(xyz(tmp_path / "packed.xyz", atoms)), InputStructure)
    write(tmp_path / "POSCAR", atoms, format="vasp")
    assert isinstance(read_any(tmp_path / "POSCAR"), InputStructure)


def test_derivatives_are_read_from_the_columns_of_extended_xyz(tmp_path):
    generator = np.random.default_rng(0)
    dipole, polarizability = generator.normal(size=(5, 3, 3)), generator.normal(size=(5, 3, 3, 3))
    atoms = methane()
    atoms.arrays["dipole_derivatives"] = dipole.reshape(5, 9)
    atoms.arrays["polarizability_derivatives"] = polarizability.reshape(5, 27)
    found = read_any(xyz(tmp_path / "full.xyz", atoms)).derivatives
    assert found.dipole == pytest.approx(dipole, abs=1e-7)
    assert found.polarizability == pytest.approx(polarizability, abs=1e-7)
    assert "full.xyz" in found.source
    assert read_any(xyz(tmp_path / "bare.xyz", methane())).derivatives.dipole is None


def test_derivatives_with_too_few_columns_are_told(tmp_path):
    atoms = methane()
    atoms.arrays["dipole_derivatives"] = np.zeros((5, 3))
    with pytest.raises(UserError, match="dipole_derivatives must hold 9 finite numbers"):
        read_any(xyz(tmp_path / "bad.xyz", atoms))


def test_isotopes_and_charges_are_noticed(tmp_path):
    atoms = methane()
    masses = atoms.get_masses()
    masses[1] = 2.014
    atoms.set_masses(masses)
    atoms.info["charge"] = 1
    found = read_any(xyz(tmp_path / "CH3D.xyz", atoms))
    assert found.masses[1] == pytest.approx(2.014)
    assert any("charge of 1 e" in warning for warning in found.warnings)
