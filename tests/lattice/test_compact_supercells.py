"""Compact supercells."""

import numpy as np
import pytest

from mlrim.lattice.compact_supercells import compact_supercell, image_distance
from mlrim.lattice.symmetry import operations_of, space_group
from tests.lattice.crystals import fluorite, random_crystal, rocksalt, rutile

CRYSTALS = {
    "rocksalt": rocksalt(4.2),
    "fluorite": fluorite(5.46),
    "rutile": rutile(),
    "triclinic": random_crystal(1, 3),
}


@pytest.mark.parametrize("name", CRYSTALS)
def test_images_are_far_apart_and_the_symmetry_is_kept(name):
    crystal = CRYSTALS[name]
    group = space_group(crystal)
    supercell = compact_supercell(crystal, group, 12.0, 1000)
    assert image_distance(supercell.lattice) >= 12.0
    assert supercell.n_atoms <= 1000
    assert len(operations_of(supercell, group)) == len(group.rotations)


def test_the_cell_with_the_fewest_atoms_is_taken():
    crystal = rocksalt(4.0)
    found = compact_supercell(crystal, space_group(crystal), 12.0, 1000)
    assert found.n_atoms == 2 * 27 * 4  # 3×3×3 conventional cells: 12 Å; 5×5×5 primitive ones are 14.1 Å and more
    assert image_distance(found.lattice) == pytest.approx(12.0)


def test_too_few_atoms_give_the_largest_distance_that_they_allow():
    crystal = rocksalt(4.0)
    group = space_group(crystal)
    found = compact_supercell(crystal, group, 50.0, 60)
    assert found.n_atoms <= 60
    assert image_distance(found.lattice) == pytest.approx(3 * 4.0 / np.sqrt(2))
    assert compact_supercell(crystal, group, 0.0, 1).n_cells == 1
