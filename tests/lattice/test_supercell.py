import numpy as np
import pytest
from hypothesis import given, settings
from phonopy import Phonopy

from mlrim.lattice.force_constants import (
    acoustic_residual,
    fold,
    symmetrize_compact,
    symmetrize_permutation,
    truncate,
    unfold,
    with_self_blocks,
)
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors, reverse_index
from mlrim.lattice.supercell import Supercell, lattice_points, suggest_supercell_matrix
from mlrim.lattice.symmetry import project_pairs, project_space_group, space_group
from tests.lattice.crystals import random_crystal, rocksalt, rutile, seeds, supercell_matrices


@given(supercell_matrices)
def test_lattice_points_are_one_of_every_coset(matrix):
    points = lattice_points(matrix)
    assert len(points) == abs(round(np.linalg.det(matrix)))
    assert not points[0].any()
    differences = (points[:, None] - points[None]) @ np.linalg.inv(matrix)
    same = np.all(np.abs(differences - np.round(differences)) < 1e-9, axis=-1)
    np.testing.assert_array_equal(same, np.eye(len(points), dtype=bool))


@given(seeds, supercell_matrices)
@settings(max_examples=20, deadline=None)
def test_image_index_finds_the_atom_at_that_place(seed, matrix):
    supercell = Supercell(random_crystal(seed), matrix)
    generator = np.random.default_rng(seed)
    atoms, shifts = generator.integers(0, 4, 50), generator.integers(-7, 8, (50, 3))
    places = supercell.crystal.positions[atoms] + shifts @ supercell.crystal.lattice
    found = supercell.positions[supercell.image_index(atoms, shifts)]
    difference = (places - found) @ np.linalg.inv(supercell.lattice)
    np.testing.assert_allclose(difference, np.round(difference), atol=1e-9)


@given(seeds, supercell_matrices)
@settings(max_examples=10, deadline=None)
def test_commensurate_wave_vectors_have_the_period_of_the_supercell(seed, matrix):
    supercell = Supercell(random_crystal(seed), matrix)
    phases = supercell.commensurate_qpoints @ supercell.matrix
    np.testing.assert_allclose(phases, np.round(phases), atol=1e-9)
    assert len(np.unique(np.round(supercell.commensurate_qpoints, 6), axis=0)) == supercell.n_cells


@pytest.mark.parametrize("crystal", [rocksalt(4.2), rutile(), random_crystal(5)], ids=["fcc", "rutile", "triclinic"])
@pytest.mark.parametrize("matrix", [np.diag([2, 2, 2]), np.array([[-2, 2, 2], [2, -2, 2], [2, 2, -2]])])
def test_shortest_images_and_multiplicities_are_phonopys(crystal, matrix):
    phonon = Phonopy(crystal.to_phonopy(), supercell_matrix=matrix, primitive_matrix="P")
    vectors, multiplicity = phonon.primitive.get_smallest_vectors()
    supercell = Supercell(crystal, matrix)
    images = supercell.shortest_images()
    ours = pair_vectors(crystal, images.pairs)
    assert len(ours) == multiplicity[..., 0].sum()
    theirs = vectors @ crystal.lattice
    key = [np.lexsort(np.round(part, 4).T) for part in (ours, theirs)]
    np.testing.assert_allclose(np.round(ours, 4)[key[0]], np.round(theirs, 4)[key[1]], atol=2e-4)
    assert images.weight.sum() == pytest.approx(crystal.n_atoms * supercell.n_atoms)


@given(seeds, supercell_matrices)
@settings(max_examples=10, deadline=None)
def test_folding_takes_back_what_unfolding_shared(seed, matrix):
    supercell = Supercell(random_crystal(seed), matrix)
    compact = np.random.default_rng(seed).normal(size=(4, supercell.n_atoms, 3, 3))
    np.testing.assert_allclose(fold(unfold(compact, supercell), supercell), compact, atol=1e-12)


@given(seeds, supercell_matrices)
@settings(max_examples=10, deadline=None)
def test_sum_rule_and_permutation_survive_folding(seed, matrix):
    crystal = random_crystal(seed)
    pairs = neighbour_pairs(crystal, 6.0)
    blocks = np.random.default_rng(seed).normal(size=(len(pairs.i), 3, 3))
    blocks = blocks + blocks[reverse_index(pairs)].transpose(0, 2, 1)
    force_constants = with_self_blocks(pairs, blocks, 4)
    assert acoustic_residual(force_constants, 4) < 1e-10
    supercell = Supercell(crystal, matrix)
    compact = fold(force_constants, supercell)
    assert np.abs(compact.sum(axis=1)).max() < 1e-10
    symmetric = symmetrize_compact(compact, supercell)
    # the self blocks of random blocks are not symmetric; everything else must be untouched
    np.testing.assert_allclose(symmetric.sum(axis=1), 0, atol=1e-10)


def test_symmetrized_random_force_constants_obey_both_rules():
    supercell = Supercell(random_crystal(1), np.array([[2, 1, 0], [0, 2, 0], [1, 0, 3]]))
    compact = np.random.default_rng(0).normal(size=(4, supercell.n_atoms, 3, 3))
    symmetric = symmetrize_compact(compact, supercell)
    assert np.abs(symmetric.sum(axis=1)).max() < 1e-10
    again = symmetrize_compact(symmetric, supercell)
    np.testing.assert_allclose(again, symmetric, atol=1e-8)
    pairs = symmetrize_permutation(truncate(unfold(symmetric, supercell), supercell.crystal, 2.5))
    np.testing.assert_allclose(pairs.blocks, pairs.blocks[reverse_index(pairs.pairs)].transpose(0, 2, 1), atol=1e-12)


@pytest.mark.parametrize("crystal", [rocksalt(4.2), rutile()], ids=["rocksalt", "rutile"])
def test_projection_is_idempotent_and_leaves_invariant_force_constants_alone(crystal):
    group = space_group(crystal)
    supercell = Supercell(crystal, np.diag([2, 2, 2]))
    compact = np.random.default_rng(0).normal(size=(crystal.n_atoms, supercell.n_atoms, 3, 3))
    projected = project_space_group(compact, supercell, group)
    assert np.abs(projected - compact).max() > 0.1
    np.testing.assert_allclose(project_space_group(projected, supercell, group), projected, atol=1e-12)
    through_pairs = fold(project_pairs(unfold(compact, supercell), crystal, group), supercell)
    np.testing.assert_allclose(through_pairs, projected, atol=1e-12)


@pytest.mark.parametrize("crystal", [rocksalt(4.2), rutile(), random_crystal(8)], ids=["fcc", "rutile", "triclinic"])
def test_suggested_supercell_is_thick_enough_and_keeps_the_symmetry(crystal):
    matrix = suggest_supercell_matrix(crystal, min_length=8.0, max_atoms=500)
    supercell = Supercell(crystal, matrix)
    thickness = 1 / np.linalg.norm(np.linalg.inv(supercell.lattice), axis=0)
    assert thickness.min() >= 8.0 - 1e-6
    rotations = space_group(crystal).rotations
    moved = np.linalg.inv(matrix) @ rotations @ matrix
    np.testing.assert_allclose(moved, np.round(moved), atol=1e-9)


def test_suggested_supercell_respects_the_atom_limit():
    matrix = suggest_supercell_matrix(rutile(), min_length=30.0, max_atoms=100)
    assert Supercell(rutile(), matrix).n_atoms <= 100
