"""What is not learned: the rigid-ion model's own numbers, harmonic forces, and names."""

import numpy as np
import pytest
from hypothesis import given, settings

from mlrim.errors import UserError
from mlrim.lattice.commensurate_cells import dense_hessian
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.force_constants import acoustic_residual, fold, symmetrize_compact
from mlrim.lattice.neighbours import pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.rim.background import SMEARING, background_hessian, background_of, harmonic_forces
from mlrim.rim.rigid_ion import rigid_ion_model
from mlrim.units import COULOMB_EV_ANGSTROM
from tests.lattice.crystals import (
    fluorite,
    random_born_charges,
    random_crystal,
    random_dielectric,
    rutile,
    seeds,
    supercell_matrices,
)

QPOINTS = np.array([[0.0, 0, 0], [0.5, 0, 0.25], [0.1, 0.2, 0.33]])


@pytest.mark.parametrize("crystal", [rutile(), fluorite(5.4)], ids=["rutile", "fluorite"])
def test_both_parts_without_born_charges_are_the_rigid_ion_model(crystal):
    background = background_of(["dipole", "rim"], crystal)
    expected = rigid_ion_model(crystal).lattice_dynamics().dynamical_matrices(QPOINTS)
    np.testing.assert_allclose(background.dynamical_matrices(QPOINTS), expected, atol=1e-12)


def test_parts_add_up_and_nothing_is_nothing():
    crystal, born, dielectric = rutile(), random_born_charges(3, 6), random_dielectric(3)
    alone = [background_of([name], crystal, born, dielectric) for name in ("dipole", "rim")]
    both = background_of(["rim", "dipole"], crystal, born, dielectric).dynamical_matrices(QPOINTS)
    np.testing.assert_allclose(sum(part.dynamical_matrices(QPOINTS) for part in alone), both, atol=1e-12)
    assert np.abs(alone[1].dynamical_matrices(QPOINTS)).max() > 0.01
    np.testing.assert_array_equal(background_of([], crystal).dynamical_matrices(QPOINTS), 0)


def test_half_known_responses_are_not_known():
    crystal, born = fluorite(5.4), random_born_charges(0, 3)
    found = background_of(["dipole"], crystal, born, None).dynamical_matrices(QPOINTS)
    np.testing.assert_array_equal(found, background_of(["dipole"], crystal).dynamical_matrices(QPOINTS))


@pytest.mark.parametrize("names", [["dipol"], ["rim", "rim"]])
def test_unknown_and_repeated_parts_are_refused(names):
    with pytest.raises(UserError, match="dipole, smeared, rim"):
        background_of(names, rutile())


@given(seeds, supercell_matrices)
@settings(max_examples=10, deadline=None)
def test_harmonic_forces_are_those_of_the_full_hessian(seed, matrix):
    """Against the matrix of all images of all atoms, which knows nothing of home cells."""
    crystal = random_crystal(seed)
    supercell = Supercell(crystal, matrix)
    background = background_of(["dipole"], crystal, random_born_charges(seed), random_dielectric(seed))
    generator = np.random.default_rng(seed)
    displacements = np.zeros((supercell.n_atoms, 3))
    displacements[generator.integers(supercell.n_atoms, size=3)] = generator.normal(size=(3, 3))
    forces = harmonic_forces(background.folded(supercell), supercell, displacements)
    hessian = background_hessian(background, supercell)
    np.testing.assert_allclose(forces.reshape(-1), -hessian @ displacements.reshape(-1), atol=1e-11)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-10)


def test_a_full_hessian_does_not_know_which_cell_is_home():
    """Blocks of another cell, moved home, are those of the first."""
    crystal, matrix = random_crystal(2, 3), np.array([[2, 1, 0], [0, 2, 0], [1, 0, 3]])
    supercell = Supercell(crystal, matrix)
    compact = background_of(["dipole"], crystal, random_born_charges(2, 3), random_dielectric(2)).folded(supercell)
    full = dense_hessian(compact, supercell).reshape(supercell.n_atoms, 3, supercell.n_atoms, 3)
    vectors = supercell.positions[None, :] - supercell.positions[:, None]
    for i, j in np.random.default_rng(0).integers(supercell.n_atoms, size=(40, 2)):
        home = i // supercell.n_cells
        difference = supercell.positions - crystal.positions[home] - vectors[i, j]
        fractional = difference @ np.linalg.inv(supercell.lattice)
        image = int(np.abs(fractional - np.round(fractional)).sum(axis=1).argmin())
        np.testing.assert_allclose(full[i, :, j], compact[home, image], atol=1e-12)


def gaussian_dipoles(crystal, born, dielectric, smearing, qpoint):
    """Φ(q) of Gaussian charges by one sum over reciprocal vectors, which needs no Ewald splitting; eV/Å²."""
    width = smearing * np.sqrt(np.trace(dielectric) / 3)
    integers = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
    total = np.zeros((crystal.n_atoms, crystal.n_atoms, 3, 3), dtype=complex)
    for integer in integers:
        vector = 2 * np.pi * (integer + qpoint) @ crystal.reciprocal
        square = vector @ dielectric @ vector
        if square > 1e-12:
            charges = np.einsum("a,nab->nb", vector, born)
            phase = np.exp(-2j * np.pi * crystal.fractional @ integer)
            strength = 4 * np.pi * COULOMB_EV_ANGSTROM / crystal.volume * np.exp(-square / (4 * width**2)) / square
            ends = charges * phase[:, None]
            total += strength * np.einsum("ia,jb->ijab", ends.conj(), ends)
    return total


@pytest.mark.parametrize("crystal", [rutile(), fluorite(5.4)], ids=["rutile", "fluorite"])
def test_smeared_dipoles_are_gaussian_charges(crystal):
    """Against their own lattice sum, on-site blocks by the sum rule; Born charges with the symmetry of the sites."""
    born = np.where(crystal.numbers == crystal.numbers[0], 4.0, -2.0)[:, None, None] * np.diag([1.0, 1.0, 1.2])
    dielectric = np.diag([5.0, 5.0, 6.0])
    background = background_of(["dipole", "smeared"], crystal, born, dielectric)
    at_gamma = gaussian_dipoles(crystal, born, dielectric, SMEARING, np.zeros(3)).sum(axis=1)
    atoms, roots = np.arange(crystal.n_atoms), np.sqrt(np.repeat(crystal.masses, 3))
    for qpoint in QPOINTS:
        expected = gaussian_dipoles(crystal, born, dielectric, SMEARING, qpoint)
        expected[atoms, atoms] -= at_gamma
        found = background.dynamical_matrices(qpoint[None])[0] * roots[:, None] * roots
        np.testing.assert_allclose(found, expected.transpose(0, 2, 1, 3).reshape(found.shape), atol=1e-8)


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_what_smearing_takes_away_keeps_the_sum_rule_and_the_permutation_symmetry(seed):
    crystal = random_crystal(seed)
    dipole = DipoleInteraction(crystal, random_born_charges(seed), random_dielectric(seed))
    near = dipole.near_field(SMEARING)
    assert acoustic_residual(near, crystal.n_atoms) < 1e-9
    folded = fold(near, Supercell(crystal, np.diag([2, 1, 2])))
    np.testing.assert_allclose(folded, symmetrize_compact(folded, Supercell(crystal, np.diag([2, 1, 2]))), atol=1e-9)
    lengths = np.linalg.norm(pair_vectors(crystal, near.pairs), axis=1)
    far = np.abs(near.blocks[lengths > 9]).max()
    assert far < 1e-6 * np.abs(near.blocks).max()


def test_smearing_needs_dipoles():
    with pytest.raises(UserError, match="name dipole"):
        background_of(["smeared"], rutile())
