import numpy as np
import pytest
from hypothesis import given, settings

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction, neutralize_born_charges
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import no_force_constants
from mlrim.lattice.supercell import Supercell
from tests.lattice.crystals import (
    random_born_charges,
    random_crystal,
    random_dielectric,
    random_rotation,
    rocksalt,
    seeds,
    supercell_matrices,
)


def interaction_of(seed: int) -> DipoleInteraction:
    return DipoleInteraction(random_crystal(seed), random_born_charges(seed), random_dielectric(seed))


@settings(max_examples=8, deadline=None)
@given(seeds, supercell_matrices)
def test_folded_interaction_obeys_sum_rule_and_permutation(seed, matrix):
    interaction = interaction_of(seed)
    supercell = Supercell(interaction.crystal, matrix)
    folded = interaction.folded(supercell)
    assert np.abs(folded.sum(axis=1)).max() < 1e-10
    on_gamma = folded.reshape(4, 4, supercell.n_cells, 3, 3).sum(axis=2)
    np.testing.assert_allclose(on_gamma, on_gamma.transpose(1, 0, 3, 2), atol=1e-10)


@settings(max_examples=6, deadline=None)
@given(seeds, supercell_matrices)
def test_folded_interaction_is_that_of_the_supercell_taken_as_a_crystal(seed, matrix):
    interaction = interaction_of(seed)
    supercell = Supercell(interaction.crystal, matrix)
    big = DipoleInteraction(
        supercell.to_crystal(),
        np.repeat(interaction.born_charges, supercell.n_cells, axis=0),
        interaction.dielectric,
    )
    rows = np.arange(4) * supercell.n_cells
    expected = big.force_constants(np.zeros((1, 3)))[0].real[rows]
    np.testing.assert_allclose(interaction.folded(supercell), expected, atol=1e-8)


@settings(max_examples=6, deadline=None)
@given(seeds)
def test_interaction_turns_with_the_crystal(seed):
    interaction, rotation = interaction_of(seed), random_rotation(seed)
    crystal = interaction.crystal
    turned = DipoleInteraction(
        Crystal(crystal.lattice @ rotation.T, crystal.positions @ rotation.T, crystal.numbers),
        rotation @ interaction.born_charges @ rotation.T,
        rotation @ interaction.dielectric @ rotation.T,
    )
    qpoints = np.array([[0.1, 0.2, -0.3]])
    expected = rotation @ interaction.force_constants(qpoints) @ rotation.T
    np.testing.assert_allclose(turned.force_constants(qpoints), expected, atol=1e-9)


@settings(max_examples=6, deadline=None)
@given(seeds)
def test_limit_of_small_wave_vectors_is_the_non_analytic_term(seed):
    interaction = interaction_of(seed)
    qpoint = np.array([0.3, -0.2, 0.5])
    direction = qpoint @ interaction.crystal.reciprocal
    near = interaction.force_constants(1e-5 * qpoint[None])[0]
    limit = interaction.force_constants(np.zeros((1, 3)))[0] + interaction.non_analytic(direction)
    np.testing.assert_allclose(near.real, limit.real, atol=2e-4)


def test_lo_to_splitting_of_a_cubic_diatomic_is_the_closed_form():
    """ω_LO² − ω_TO² = e²Z*²/(ε₀ ε∞ V μ): MgO with Z* = 1.96, ε∞ = 2.956, V = 18.68 Å³."""
    crystal = rocksalt((4 * 18.68) ** (1 / 3))
    born = np.array([1.96, -1.96])[:, None, None] * np.eye(3)
    dynamics = LatticeDynamics(crystal, no_force_constants(2), DipoleInteraction(crystal, born, 2.956 * np.eye(3)))
    gamma = np.zeros((1, 3))
    squares = np.linalg.eigvalsh(dynamics.dynamical_matrices(gamma, np.array([0, 0, 1.0])))[0]
    reduced_mass = crystal.masses.prod() / crystal.masses.sum()
    expected = 44224.5297 * 1.96**2 / (2.956 * 18.68 * reduced_mass)  # THz²; e²/(ε₀ Å³ amu) = 44224.5297 THz²
    assert (squares.max() - squares.min()) * 15.6333042399**2 == pytest.approx(expected, rel=1e-8)


def test_wave_vectors_of_other_zones_give_the_same_frequencies_with_the_limit_along_a_direction():
    interaction = interaction_of(3)
    dynamics = LatticeDynamics(interaction.crystal, no_force_constants(4), interaction)
    direction = np.array([1.0, 0.2, -0.4])
    spectra = np.linalg.eigvalsh(dynamics.dynamical_matrices(np.array([[0.0, 0, 0], [0, 1, 0], [2, 0, -1]]), direction))
    np.testing.assert_allclose(spectra[1:], np.broadcast_to(spectra[0], spectra[1:].shape), atol=1e-9)


def test_a_dielectric_tensor_that_is_not_positive_definite_is_refused():
    with pytest.raises(ValueError, match="positive definite"):
        DipoleInteraction(rocksalt(4.0), np.zeros((2, 3, 3)), np.diag([1.0, 1.0, -1.0]))


def test_neutralized_born_charges_sum_to_zero():
    born = np.random.default_rng(0).normal(size=(5, 3, 3))
    assert np.abs(neutralize_born_charges(born).sum(axis=0)).max() < 1e-14
