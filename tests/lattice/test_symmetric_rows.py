"""Rows of Hessians completed by symmetry."""

from functools import lru_cache

import numpy as np
import pytest

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetric_rows import Row, complete_force_constants, inequivalent_probes, without_zeros
from mlrim.lattice.symmetry import operations_of, space_group
from mlrim.rim.rigid_ion import rigid_ion_model
from mlrim.symmetrization import impose_symmetry, largest_difference
from tests.lattice.crystals import caesium_chloride, fluorite, random_crystal, rocksalt, rutile, zincblende

CRYSTALS = {
    "rocksalt": rocksalt(4.2),
    "zincblende": zincblende(5.4),
    "fluorite": fluorite(5.46),
    "CsCl": caesium_chloride(4.1),
    "rutile": rutile(),
    "triclinic": random_crystal(1, 3),
}


@lru_cache
def force_constants(name):
    """Short-range rigid-ion force constants with random anisotropic additions that keep the symmetry."""
    crystal = CRYSTALS[name]
    group = space_group(crystal)
    pairs, blocks = rigid_ion_model(crystal).short_range_force_constants()
    noisy = PairForceConstants(pairs, blocks + np.random.default_rng(0).normal(size=blocks.shape))
    return crystal, group, impose_symmetry(noisy, crystal, group)[0]


def rows_of(constants, probes):
    """What moving atoms does according to known force constants."""
    pairs, blocks = constants
    rows = []
    for probe in probes:
        mine = pairs.i == probe.atom
        values = np.einsum("ka,mab->kmb", probe.directions, blocks[mine])
        rows.append(Row(probe, pairs.j[mine], pairs.shifts[mine], values))
    return rows


@pytest.mark.parametrize("name", CRYSTALS)
def test_rows_of_inequivalent_atoms_give_all_force_constants(name):
    crystal, group, known = force_constants(name)
    probes = inequivalent_probes(group)
    found = complete_force_constants(rows_of(known, probes), group)
    scale = np.abs(known.blocks).max()
    assert largest_difference(found, known) < 1e-12 * scale
    qpoint = np.array([[0.13, -0.29, 0.41]])
    expected = LatticeDynamics(crystal, known).frequencies(qpoint)
    np.testing.assert_allclose(LatticeDynamics(crystal, found).frequencies(qpoint), expected, rtol=0, atol=1e-9)


def test_one_displacement_of_each_element_is_enough_in_cubic_crystals():
    for name in ("rocksalt", "zincblende", "CsCl"):
        assert [len(probe.directions) for probe in inequivalent_probes(space_group(CRYSTALS[name]))] == [1, 1]
    assert [probe.atom for probe in inequivalent_probes(space_group(CRYSTALS["fluorite"]))] == [0, 1]
    assert [len(probe.directions) for probe in inequivalent_probes(space_group(CRYSTALS["triclinic"]))] == [3, 3, 3]


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_directions_are_unit_vectors_that_rotations_make_complete(name):
    group = space_group(CRYSTALS[name])
    for atom, directions in inequivalent_probes(group):
        np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-12)
        site = group.cartesian[group.permutations[:, atom] == atom]
        rotated = (directions @ site.transpose(0, 2, 1)).reshape(-1, 3)
        values = np.linalg.svd(rotated, compute_uv=False)
        assert values[2] > 0.15 * values[0]


def test_only_operations_that_keep_the_supercell_are_used():
    crystal, group, known = force_constants("rocksalt")
    kept = operations_of(Supercell(crystal, np.diag([1, 2, 3])), group)
    assert 1 < len(kept) < len(group.rotations)
    probes = inequivalent_probes(group, kept)
    assert sum(len(probe.directions) for probe in probes) > 2
    found = complete_force_constants(rows_of(known, probes), group, kept)
    assert largest_difference(found, known) < 1e-12 * np.abs(known.blocks).max()


def test_asymmetric_rows_give_symmetric_force_constants():
    crystal, group, known = force_constants("rutile")
    noise = np.random.default_rng(1)
    rows = [
        row._replace(values=row.values + noise.normal(size=row.values.shape))
        for row in rows_of(known, inequivalent_probes(group))
    ]
    _, residuals = impose_symmetry(complete_force_constants(rows, group), crystal, group)
    assert residuals["space_group"] < 1e-10 < residuals["acoustic_sum_rule"]


def test_pairs_that_do_nothing_are_left_out():
    known = force_constants("CsCl")[2]
    assert len(without_zeros(known, 1e3).pairs.i) == 0
    assert len(without_zeros(known).pairs.i) == len(known.pairs.i)
