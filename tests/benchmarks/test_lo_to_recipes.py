"""Dispersions of a polar crystal from supercells: the recipe that is exact, and those that count the dipoles twice."""

import numpy as np
import pytest

from benchmarks.lo_to_recipes import (
    branches,
    branches_of,
    commensurate_fractions,
    line,
    nothing_added,
    reciprocal_added,
    reciprocal_term,
    subtracted,
    subtracted_afterwards,
    whole_added,
)
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants, fold, with_self_blocks
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.units import THZ_TO_CM1
from tests.lattice.crystals import rocksalt

FRACTIONS = np.linspace(0.04, 0.94, 10)


def springs(crystal: Crystal) -> PairForceConstants:
    """Stiff bonds between neighbours."""
    pairs = neighbour_pairs(crystal, 2.9)
    vectors = pair_vectors(crystal, pairs)
    bonds = vectors[:, :, None] * vectors[:, None, :] / 2.82**2
    return with_self_blocks(pairs, -2.5 * bonds + 0.1 * np.eye(3), 2)


@pytest.fixture(scope="module")
def polar() -> LatticeDynamics:
    """A rock-salt crystal of springs and dipoles in a dielectric."""
    crystal = rocksalt(5.64, (11, 17))
    charges = 1.1 * np.array([1.0, -1.0])[:, None, None] * np.eye(3)
    return LatticeDynamics(crystal, springs(crystal), DipoleInteraction(crystal, charges, 2.4 * np.eye(3)))


def cells(dynamics: LatticeDynamics, size: int) -> Supercell:
    return Supercell(dynamics.crystal, size * np.eye(3, dtype=int))


@pytest.mark.parametrize("name", ["Γ–X", "Γ–L"])
def test_branches_are_the_eigenvalues_of_the_whole_matrix(polar, name):
    along = line(polar.crystal, name, np.array([0.0, 0.3, 1.0]))
    found = branches_of(polar, along)
    expected = polar.frequencies(along.qpoints, along.direction) * THZ_TO_CM1
    np.testing.assert_allclose(np.sort(found[:, [0, 0, 1, 2, 2, 3]], axis=1), np.sort(expected, axis=1), atol=1e-3)


def test_the_longitudinal_optical_branch_is_the_one_that_dipoles_stiffen(polar):
    along = line(polar.crystal, "Γ–X", np.array([0.0]))
    _, _, transverse, longitudinal = branches_of(polar, along)[0]
    without = branches(polar.dynamical_matrices(along.qpoints), along.direction)[0]
    assert longitudinal > transverse + 30
    np.testing.assert_allclose(without[2:], transverse, rtol=1e-6)


def test_fractions_of_a_supercell_are_commensurate(polar):
    for size in (2, 3, 4, 5, 6):
        for name in ("Γ–X", "Γ–L"):
            qpoints = line(polar.crystal, name, commensurate_fractions(size)).qpoints * size
            np.testing.assert_allclose(qpoints, np.round(qpoints), atol=1e-9)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", ["Γ–X", "Γ–L"])
def test_subtracting_is_exact_in_any_supercell_and_adding_twice_is_not(polar, size, name):
    supercell, along = cells(polar, size), line(polar.crystal, name, FRACTIONS)
    expected, whole = branches_of(polar, along), polar.folded(supercell)
    remainder = fold(polar.short_range, supercell)
    assert np.abs(subtracted(remainder, supercell, polar.dipole, along) - expected).max() < 1e-6
    assert np.abs(subtracted_afterwards(whole, supercell, polar.dipole, along) - expected).max() < 1e-6
    twice = np.abs(whole_added(whole, supercell, polar.dipole, along) - expected)
    assert twice[0, 2:].min() > 15  # optical branches near Γ
    without = nothing_added(whole, supercell, along)
    assert np.abs(without[0, 3] - without[0, 2]) < 10  # the longitudinal branch falls onto the transverse one
    assert np.abs(expected[0, 3] - expected[0, 2]) > 30


def test_the_reciprocal_half_holds_the_non_analytic_term(polar):
    direction = np.array([0.6, 0.0, 0.8])
    term = [reciprocal_term(polar.dipole, np.zeros(3), towards, 0.31) for towards in (direction, None)]
    expected = polar.dipole.non_analytic(direction).transpose(0, 2, 1, 3).reshape(6, 6)
    np.testing.assert_allclose(term[0] - term[1], expected, atol=1e-9)


def test_the_reciprocal_half_becomes_the_whole_and_depends_on_its_width(polar):
    supercell, along = cells(polar, 2), line(polar.crystal, "Γ–X", FRACTIONS)
    whole = polar.folded(supercell)
    twice = whole_added(whole, supercell, polar.dipole, along)
    narrow, middle, wide = (
        reciprocal_added(whole, supercell, polar.dipole, along, width) for width in (0.2, 0.31, 2.5)
    )
    np.testing.assert_allclose(wide, twice, atol=1e-4)
    assert np.abs(narrow - middle).max() > 5
