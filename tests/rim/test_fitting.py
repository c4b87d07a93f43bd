"""Fits recover the model that made the data."""

import numpy as np
import pytest

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.rim.fitting import assign_modes, fit_rigid_ion, fit_rigid_ion_to_gamma
from mlrim.rim.mode_space import ModeSpace
from mlrim.rim.pair_potentials import Buckingham, SpeciesInteraction
from mlrim.rim.rigid_ion import RigidIonModel
from tests.rim.crystals import fluorite, low_symmetry

GAMMA = np.zeros((1, 3))


def known_model(switch_width: float = 1.5) -> RigidIonModel:
    """CaF₂ with known parameters, in the functional form that the fit uses."""
    crystal = fluorite()
    charges = 0.78 * np.array([2.0, -1.0, -1.0])
    potentials = {(9, 20): Buckingham(6000.0, 0.24), (9, 9): Buckingham(1500.0, 0.27)}
    return RigidIonModel(crystal, charges, SpeciesInteraction(crystal.numbers, potentials, 6.5, switch_width))


def test_fit_to_force_constants_recovers_the_model():
    model = known_model()
    supercell = Supercell(model.crystal, np.diag([2, 2, 2]))
    fit = fit_rigid_ion(model.crystal, model.supercell_force_constants(supercell), supercell)
    assert fit.charge_scale == pytest.approx(0.78, abs=0.005)
    assert fit.softness[0] == pytest.approx(0.24, abs=0.005)
    assert fit.residual < 0.01
    expected = model.lattice_dynamics().frequencies(GAMMA)
    np.testing.assert_allclose(fit.model.lattice_dynamics().frequencies(GAMMA), expected, atol=0.05)


def test_fit_with_given_response_leaves_the_long_range_part_alone():
    model = known_model()
    supercell = Supercell(model.crystal, np.diag([2, 2, 2]))
    born, dielectric = np.sqrt(2.1) * model.charges[:, None, None] * np.eye(3), 2.1 * np.eye(3)
    total = model.lattice_dynamics(born, dielectric).folded(supercell)
    fit = fit_rigid_ion(model.crystal, total, supercell, born_charges=born, dielectric=dielectric)
    assert fit.residual < 0.01
    assert fit.softness[0] == pytest.approx(0.24, abs=0.005)


def test_fit_to_zone_centre_modes_recovers_their_frequencies():
    model = known_model()
    modes = model.lattice_dynamics().modes(GAMMA)
    fit = fit_rigid_ion_to_gamma(model.crystal, modes.frequencies[0], modes.eigenvectors[0])
    found = fit.model.lattice_dynamics().frequencies(GAMMA)[0]
    np.testing.assert_allclose(found, modes.frequencies[0], atol=0.02)


def test_fit_to_a_low_symmetry_crystal_follows_modes_by_overlap():
    crystal = low_symmetry()
    potentials = {(8, 12): Buckingham(900.0, 0.31), (8, 8): Buckingham(2000.0, 0.2)}
    interaction = SpeciesInteraction(crystal.numbers, potentials, 6.5, 1.5)
    truth = RigidIonModel(crystal, 0.6 * np.array([2.0, 2.0, -2.0, -2.0]), interaction)
    modes = truth.lattice_dynamics().modes(GAMMA)
    fit = fit_rigid_ion_to_gamma(crystal, modes.frequencies[0], modes.eigenvectors[0])
    found = fit.model.lattice_dynamics().modes(GAMMA)
    order = assign_modes(found.eigenvectors[0], modes.eigenvectors[0])
    assert np.abs(found.frequencies[0][order] - modes.frequencies[0]).mean() < 0.3


def test_modes_are_assigned_by_overlap_and_not_by_order():
    rng = np.random.default_rng(3)
    vectors = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    order = rng.permutation(6)
    np.testing.assert_array_equal(vectors[:, order][:, assign_modes(vectors[:, order], vectors)], vectors)


def test_mode_space_measures_frequency_errors():
    """Scaling all force constants by (1 + x)² changes every frequency by x ω: the diagonal must say so."""
    model, x = known_model(), 1e-4
    supercell = Supercell(model.crystal, np.diag([2, 1, 1]))
    compact = model.supercell_force_constants(supercell)
    space = ModeSpace.of(compact, supercell)
    elements = space.project(compact * ((1 + x) ** 2 - 1))
    size = 3 * model.crystal.n_atoms
    diagonal = elements[: supercell.n_cells * size**2].reshape(supercell.n_cells, size, size)
    found = np.sort(np.diagonal(diagonal, axis1=1, axis2=2)[0])[3:]
    frequencies = LatticeDynamics.from_supercell(compact, supercell).frequencies(GAMMA)[0, 3:]
    expected = x * frequencies / 15.633304
    np.testing.assert_allclose(found, expected, rtol=0.06)
