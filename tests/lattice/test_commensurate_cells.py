"""Smallest cells of wave vectors: their size, their place in supercells, and the modes that they hold."""

from math import lcm

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlrim.lattice.commensurate_cells import cell_hessian, commensurate_cells, fold_onto, smallest_cell
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import symmetrize_compact
from mlrim.lattice.supercell import Supercell
from mlrim.rim.rigid_ion import rigid_ion_model
from tests.lattice.crystals import (
    random_born_charges,
    random_crystal,
    random_dielectric,
    rocksalt,
    seeds,
    supercell_matrices,
)

BODY_CENTRED = np.array([[-2, 2, 2], [2, -2, 2], [2, 2, -2]])
fractions = st.fractions(-2, 2, max_denominator=6)


@given(st.tuples(fractions, fractions, fractions))
@settings(max_examples=60, deadline=None)
def test_a_cell_is_as_large_as_the_least_common_denominator(qpoint):
    cell = smallest_cell(random_crystal(0, 1), np.array([float(value) for value in qpoint]))
    assert cell.n_cells == lcm(*(value.denominator for value in qpoint))
    phases = np.array([float(value) for value in qpoint]) @ cell.matrix
    np.testing.assert_allclose(phases, np.round(phases), atol=1e-9)
    assert np.linalg.det(cell.matrix) > 0


@given(st.tuples(fractions, fractions, fractions))
@settings(max_examples=30, deadline=None)
def test_wave_vectors_of_a_cell_are_the_multiples_of_one(qpoint):
    qpoint = np.array([float(value) for value in qpoint])
    cell = smallest_cell(random_crystal(0, 1), qpoint)
    multiples = np.arange(cell.n_cells)[:, None] * qpoint
    difference = multiples[:, None] - cell.commensurate_qpoints[None]
    same = np.all(np.abs(difference - np.round(difference)) < 1e-9, axis=-1)
    np.testing.assert_array_equal(same.sum(axis=0), 1)
    np.testing.assert_array_equal(same.sum(axis=1), 1)


def test_cells_are_compact():
    """A cell for (¼ ¼ ½) of a cube has rows in its Hermite normal form that are nearly parallel; the cell has not."""
    cube = random_crystal(0, 1)
    cell = smallest_cell(type(cube)(3 * np.eye(3), cube.positions, cube.numbers), np.array([0.25, 0.25, 0.5]))
    lengths = np.linalg.norm(cell.lattice, axis=1)
    assert lengths.max() <= 3 * np.sqrt(3) + 1e-9
    assert np.prod(lengths) <= 2 * abs(np.linalg.det(cell.lattice))


def test_wave_vectors_that_are_no_fractions_are_refused():
    with pytest.raises(ValueError, match="rational"):
        smallest_cell(rocksalt(4.2), np.array([0.5, 1 / np.pi, 0.0]))


def dynamics_and_supercell(seed, matrix):
    crystal = random_crystal(seed)
    rigid = rigid_ion_model(crystal).short_range_force_constants()
    dipole = DipoleInteraction(crystal, random_born_charges(seed), random_dielectric(seed))
    return LatticeDynamics(crystal, rigid, dipole), Supercell(crystal, matrix)


@given(seeds, supercell_matrices)
@settings(max_examples=8, deadline=None)
def test_folded_hessians_have_the_modes_of_all_their_wave_vectors(seed, matrix):
    """Two routes to the same numbers: the folded supercell, and Fourier sums with the dipole interaction at q."""
    dynamics, supercell = dynamics_and_supercell(seed, matrix)
    compact = dynamics.folded(supercell)
    for chosen in commensurate_cells(supercell):
        cell = Supercell(dynamics.crystal, chosen.matrix)
        roots = np.sqrt(np.repeat(cell.to_crystal().masses, 3))
        hessian = cell_hessian(compact, supercell, cell)
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-10)
        found = np.linalg.eigvalsh(hessian / (roots[:, None] * roots))
        expected = np.linalg.eigvalsh(dynamics.dynamical_matrices(cell.commensurate_qpoints))
        np.testing.assert_allclose(found, np.sort(expected.reshape(-1)), atol=1e-9)


@given(seeds, supercell_matrices)
@settings(max_examples=15, deadline=None)
def test_every_wave_vector_of_a_supercell_is_counted_once_and_fits_a_cell_that_divides_it(seed, matrix):
    supercell = Supercell(random_crystal(seed, 2), matrix)
    cells = commensurate_cells(supercell, symprec=1e-6)
    assert sum(cell.multiplicity for cell in cells) == supercell.n_cells
    assert cells[0].n_cells == 1
    np.testing.assert_array_equal(cells[0].qpoint, 0)
    for cell in cells:
        multiple = np.linalg.solve(cell.matrix, supercell.matrix)
        np.testing.assert_allclose(multiple, np.round(multiple), atol=1e-9)
    assert [cell.n_cells for cell in commensurate_cells(supercell, max_cells=1)] == [1]


def test_symmetry_leaves_the_special_points_of_rocksalt():
    """Of the 32 wave vectors of the 2×2×2 conventional cell: Γ, L (4), X (3), W (6), Δ (6) and Σ (12)."""
    cells = commensurate_cells(Supercell(rocksalt(4.2), BODY_CENTRED))
    assert sorted((cell.n_cells, cell.multiplicity) for cell in cells) == [
        (1, 1),
        (2, 3),
        (2, 4),
        (4, 6),
        (4, 6),
        (4, 12),
    ]
    assert [cell.n_cells for cell in commensurate_cells(Supercell(rocksalt(4.2), BODY_CENTRED), max_cells=2)] == [
        1,
        2,
        2,
    ]


def test_cells_that_symmetry_makes_alike_have_the_same_modes():
    crystal = rocksalt(4.2)
    supercell = Supercell(crystal, BODY_CENTRED)
    dynamics = rigid_ion_model(crystal).lattice_dynamics()
    compact = dynamics.folded(supercell)
    spectra = {}
    for qpoint in supercell.commensurate_qpoints:
        cell = smallest_cell(crystal, qpoint)
        roots = np.sqrt(np.repeat(cell.to_crystal().masses, 3))
        values = np.linalg.eigvalsh(cell_hessian(compact, supercell, cell) / (roots[:, None] * roots))
        spectra[tuple(np.round(values, 6) + 0.0)] = cell.n_cells
    assert len(spectra) == len(commensurate_cells(supercell)) == 6


def test_only_divisors_are_folded_onto():
    crystal = rocksalt(4.2)
    supercell = Supercell(crystal, np.diag([3, 3, 3]))
    compact = np.zeros((2, supercell.n_atoms, 3, 3))
    with pytest.raises(ValueError, match="no multiple"):
        fold_onto(compact, supercell, Supercell(crystal, np.diag([2, 1, 1])))


def test_folding_keeps_the_sum_rule_and_the_permutation_symmetry():
    crystal = random_crystal(1)
    supercell = Supercell(crystal, np.diag([2, 2, 3]))
    noise = np.random.default_rng(0).normal(size=(4, supercell.n_atoms, 3, 3))
    compact = symmetrize_compact(noise, supercell)
    for chosen in commensurate_cells(supercell, max_cells=6):
        hessian = cell_hessian(compact, supercell, Supercell(crystal, chosen.matrix))
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
        np.testing.assert_allclose(hessian.reshape(len(hessian), -1, 3).sum(axis=1), 0, atol=1e-11)
