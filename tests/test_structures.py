"""Structure files become primitive, exactly symmetric crystals, and what was done is said."""

import numpy as np
import pytest
from ase.build import bulk, graphene, surface
from ase.io import write

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import space_group
from mlrim.structures import primitive_crystal, read_structure, structure_name, symmetrized_crystal, vacuum_thickness
from tests.lattice.crystals import random_rotation, rutile
from tests.vibrations.prototypes import PARAMETERS, prototype


def distances(crystal: Crystal) -> np.ndarray:
    return np.sort(crystal.to_ase().get_all_distances(mic=True).ravel())


def test_a_conventional_cell_is_reduced_without_rotation(tmp_path):
    path = tmp_path / "NaCl.cif"
    write(path, bulk("NaCl", "rocksalt", a=5.64, cubic=True))
    structure = read_structure(path)
    assert structure.crystal.n_atoms == 2
    assert structure.crystal.volume == pytest.approx(5.64**3 / 4)
    assert "8 atoms" in structure.notes[0]
    in_cube = structure.crystal.lattice / 5.64 * 2
    assert in_cube == pytest.approx(np.round(in_cube), abs=1e-9)


def test_a_supercell_is_reduced_and_keeps_the_order_of_species():
    crystal = prototype("rutile")
    repeated = Crystal.from_ase(crystal.to_ase().repeat((1, 2, 2)))
    primitive, _ = primitive_crystal(repeated)
    assert primitive.symbols == ["Ti", "Ti", "O", "O", "O", "O"]
    assert primitive.volume == pytest.approx(crystal.volume)


def test_a_primitive_cell_is_left_as_it_is():
    crystal = rutile()
    primitive, notes = primitive_crystal(crystal)
    assert primitive.lattice == pytest.approx(crystal.lattice, abs=1e-12)
    assert primitive.positions == pytest.approx(crystal.positions, abs=1e-12)
    assert notes == []


@pytest.mark.parametrize("name", ["wurtzite", "corundum", "quartz", "GdFeO3", "baddeleyite", "scheelite"])
def test_rounded_coordinates_regain_their_symmetry(name):
    """Four digits, as in many a CIF file, break the symmetry at 1e-5 Å."""
    exact = prototype(name)
    rotated = exact.lattice @ random_rotation(3)
    rounded = Crystal.from_fractional(np.round(rotated, 4), np.round(exact.fractional, 4), exact.numbers)
    symmetric = symmetrized_crystal(rounded, 2e-3)
    assert space_group(symmetric, 1e-6).number == PARAMETERS[name][0]
    assert np.abs(symmetric.positions - rounded.positions).max() < 2e-3
    assert np.abs(symmetric.lattice - rounded.lattice).max() < 2e-3


def test_isotopes_are_different_atoms():
    """Half of the lithium exchanged: the conventional cell with two isotopes has no smaller primitive cell."""
    atoms = bulk("LiF", "rocksalt", a=4.03, cubic=True)
    masses = atoms.get_masses()
    masses[np.flatnonzero(atoms.numbers == 3)[:2]] = 6.015
    primitive, _ = primitive_crystal(Crystal(atoms.cell.array, atoms.positions, atoms.numbers, masses))
    assert primitive.n_atoms == 4
    assert np.sum(np.isclose(primitive.masses, 6.015)) == 1


def test_vacuum_is_measured_between_planes():
    crystal = Crystal.from_fractional(np.diag([3.0, 3, 20]), np.array([[0, 0, 0], [0.5, 0.5, 0.1]]), np.array([12, 8]))
    assert vacuum_thickness(crystal) == pytest.approx([1.5, 1.5, 18.0])


def test_a_slab_is_warned_about_and_a_layered_crystal_is_not(tmp_path):
    slab = surface(bulk("MgO", "rocksalt", a=4.21), (0, 0, 1), 2, vacuum=10.0, periodic=True)
    write(tmp_path / "slab.vasp", slab, format="vasp")
    assert "slab" in read_structure(tmp_path / "slab.vasp").warnings[0]
    graphite = graphene(vacuum=1.7)
    graphite.pbc = True
    write(tmp_path / "graphite.vasp", graphite, format="vasp")
    assert read_structure(tmp_path / "graphite.vasp").warnings == []


def test_generic_file_names_take_the_name_of_their_folder(tmp_path):
    assert structure_name(tmp_path / "quartz" / "POSCAR") == "quartz_POSCAR"
    assert structure_name(tmp_path / "quartz.cif") == "quartz"
