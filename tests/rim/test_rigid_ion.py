"""Rigid ions against recomputed literature models, finite differences and the properties of any lattice model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, fsolve

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import reverse_index
from mlrim.lattice.supercell import Supercell
from mlrim.rim.library import published_rigid_ion_model
from mlrim.rim.pair_potentials import Buckingham, SpeciesInteraction
from mlrim.rim.rigid_ion import RigidIonModel, rigid_ion_model
from mlrim.units import THZ_TO_CM1
from tests.rim.crystals import fluorite, ionic_crystals, low_symmetry, random_rotation, rocksalt, rutile

GAMMA = np.zeros((1, 3))
ALONG_X = np.array([1.0, 0.0, 0.0])


def at_zero_stress(name: str, make, low: float, high: float) -> tuple[float, RigidIonModel]:
    def pressure(a: float) -> float:
        return float(np.trace(published_rigid_ion_model(name, make(a)).energy_forces_stress().stress))

    a = brentq(pressure, low, high, xtol=1e-8)
    return a, published_rigid_ion_model(name, make(a))


# Zero-stress geometries and frequencies recomputed with an independent differentiable Ewald code.
@pytest.mark.parametrize(
    ("name", "make", "a", "transverse", "longitudinal"),
    [
        ("lewis_catlow", lambda a: rocksalt("MgO", a), 4.210, 322.4, 1094.0),
        ("ball_grimes", lambda a: rocksalt("MgO", a), 4.219, 324.2, 944.0),
        ("pedone", lambda a: rocksalt("MgO", a), 4.240, 367.7, 721.5),
        ("fumi_tosi", lambda a: rocksalt("NaCl", a), 5.619, 155.6, 322.0),
    ],
)
def test_rocksalt_models_have_their_lattice_constant_and_frequencies(name, make, a, transverse, longitudinal):
    found, model = at_zero_stress(name, make, a - 0.2, a + 0.2)
    dynamics = model.lattice_dynamics()
    assert found == pytest.approx(a, abs=0.001)
    assert dynamics.frequencies(GAMMA)[0, -1] * THZ_TO_CM1 == pytest.approx(transverse, abs=0.5)
    assert dynamics.frequencies(GAMMA, ALONG_X)[0, -1] * THZ_TO_CM1 == pytest.approx(longitudinal, abs=1.0)


def test_sodium_chloride_has_its_lattice_energy():
    _, model = at_zero_stress("fumi_tosi", lambda a: rocksalt("NaCl", a), 5.4, 5.8)
    assert model.energy_forces_stress().energy == pytest.approx(-8.06, abs=0.01)


def test_fluorite_model_has_its_lattice_constant_and_frequencies():
    a, model = at_zero_stress("catlow_fluorite", fluorite, 5.3, 5.7)
    frequencies = model.lattice_dynamics().frequencies(GAMMA, ALONG_X)[0] * THZ_TO_CM1
    assert a == pytest.approx(5.491, abs=0.001)
    np.testing.assert_allclose(frequencies[3:5], 246.0, atol=1.0)
    np.testing.assert_allclose(frequencies[5:8], 310.0, atol=1.0)
    assert frequencies[8] == pytest.approx(551.0, abs=1.0)


def test_rutile_model_has_the_recomputed_optical_modes():
    def imbalance(x: np.ndarray) -> np.ndarray:
        state = published_rigid_ion_model("matsui_akaogi", rutile(*x)).energy_forces_stress()
        return np.array([state.stress[0, 0], state.stress[2, 2], state.forces[2, 0]])

    a, c, u = fsolve(imbalance, [4.493, 3.009, 0.305])
    assert (a, c) == (pytest.approx(4.493, abs=0.002), pytest.approx(3.009, abs=0.002))
    frequencies = published_rigid_ion_model("matsui_akaogi", rutile(a, c, u)).lattice_dynamics().frequencies(GAMMA)
    expected = [145, 259, 349, 349, 454, 454, 464, 464, 525, 577, 611, 667, 678, 678, 870]
    np.testing.assert_allclose(frequencies[0, 3:] * THZ_TO_CM1, expected, atol=1.5)


def displaced(model: RigidIonModel, atom: int, axis: int, step: float) -> RigidIonModel:
    positions = model.crystal.positions.copy()
    positions[atom, axis] += step
    crystal = Crystal(model.crystal.lattice, positions, model.crystal.numbers)
    return RigidIonModel(crystal, model.charges, model.short_range)


def test_forces_are_minus_the_gradient_of_the_energy():
    model, step = rigid_ion_model(low_symmetry()), 1e-4
    forces = model.energy_forces_stress().forces
    for atom, axis in ((0, 0), (1, 2), (3, 1)):
        ahead = displaced(model, atom, axis, step).energy_forces_stress().energy
        behind = displaced(model, atom, axis, -step).energy_forces_stress().energy
        assert forces[atom, axis] == pytest.approx(-(ahead - behind) / (2 * step), abs=1e-6)


def test_stress_is_the_derivative_of_the_energy_with_strain():
    model, step = rigid_ion_model(low_symmetry()), 1e-5
    energies = np.zeros((3, 3, 2))
    for row in range(3):
        for column in range(3):
            for side, sign in enumerate((1, -1)):
                strain = np.eye(3)
                strain[row, column] += sign * step
                crystal = Crystal(
                    model.crystal.lattice @ strain.T, model.crystal.positions @ strain.T, model.crystal.numbers
                )
                strained = RigidIonModel(crystal, model.charges, model.short_range)
                energies[row, column, side] = strained.energy_forces_stress().energy
    numerical = (energies[..., 0] - energies[..., 1]) / (2 * step) / model.crystal.volume
    np.testing.assert_allclose(model.energy_forces_stress().stress, numerical, atol=1e-7)


def test_force_constants_are_minus_the_derivative_of_the_forces():
    model, step = published_rigid_ion_model("lewis_catlow", low_symmetry(), switch_width=2.0), 1e-4
    compact = model.supercell_force_constants(Supercell(model.crystal, np.eye(3, dtype=int)))
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        ahead = displaced(model, atom, axis, step).energy_forces_stress().forces
        behind = displaced(model, atom, axis, -step).energy_forces_stress().forces
        np.testing.assert_allclose(compact[atom, :, axis, :], -(ahead - behind) / (2 * step), atol=3e-6)


@settings(max_examples=10, deadline=None)
@given(ionic_crystals())
def test_force_constants_obey_permutation_and_sum_rule(crystal):
    pairs, blocks = rigid_ion_model(crystal).short_range_force_constants()
    reverse = reverse_index(pairs)
    np.testing.assert_allclose(blocks, blocks[reverse].transpose(0, 2, 1), atol=1e-10)
    total = np.zeros((crystal.n_atoms, 3, 3))
    np.add.at(total, pairs.i, blocks)
    np.testing.assert_allclose(total, 0.0, atol=1e-10)


@settings(max_examples=10, deadline=None)
@given(ionic_crystals(), st.integers(0, 1000))
def test_force_constants_turn_with_the_crystal(crystal, seed):
    rotation = random_rotation(np.random.default_rng(seed))
    turned = Crystal(crystal.lattice @ rotation.T, crystal.positions @ rotation.T, crystal.numbers)
    supercell = Supercell(crystal, np.diag([2, 1, 1]))
    expected = rigid_ion_model(crystal).supercell_force_constants(supercell)
    found = rigid_ion_model(turned).supercell_force_constants(Supercell(turned, supercell.matrix))
    np.testing.assert_allclose(found, rotation @ expected @ rotation.T, atol=1e-8)


@settings(max_examples=8, deadline=None)
@given(ionic_crystals())
def test_supercell_taken_as_a_crystal_has_the_same_force_constants(crystal):
    supercell = Supercell(crystal, np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2]]))
    expected = rigid_ion_model(crystal).supercell_force_constants(supercell)
    big = supercell.to_crystal()
    found = rigid_ion_model(big).supercell_force_constants(Supercell(big, np.eye(3, dtype=int)))
    home = np.arange(crystal.n_atoms) * supercell.n_cells
    np.testing.assert_allclose(found[home], expected, atol=1e-8)


@pytest.mark.parametrize("crystal", [rocksalt("MgO", 4.21), fluorite()], ids=["MgO", "CaF2"])
def test_cubic_triplets_are_degenerate(crystal):
    frequencies = rigid_ion_model(crystal).lattice_dynamics().frequencies(GAMMA)[0] * THZ_TO_CM1
    triplets = frequencies[3:].reshape(-1, 3)
    assert np.ptp(triplets, axis=1).max() < 1e-6
    assert np.ptp(frequencies[:3]) < 1e-3


def test_force_constants_are_smooth_when_atoms_cross_the_cut_off():
    a = 4.21
    cutoff = np.sqrt(2) * a
    interaction = SpeciesInteraction(np.array([12, 8]), {(12, 12): Buckingham(5000.0, 0.8)}, cutoff, 2.0)
    blocks = np.array(
        [
            RigidIonModel(rocksalt("MgO", a * (1 + strain)), np.zeros(2), interaction)
            .short_range_force_constants()
            .blocks[-2, 0, 0]
            for strain in np.linspace(-2e-4, 2e-4, 9)
        ]
    )
    slopes = np.diff(blocks)
    assert np.ptp(slopes) < 2e-3 * np.abs(slopes).max()


def test_charges_and_dielectric_can_be_replaced_by_response_tensors():
    model = rigid_ion_model(rocksalt("MgO", 4.21))
    born = np.array([1.98, -1.98])[:, None, None] * np.eye(3)
    dynamics = model.lattice_dynamics(born, 3.1 * np.eye(3))
    np.testing.assert_allclose(dynamics.dipole.born_charges, born)
    with pytest.raises(ValueError, match="both"):
        model.lattice_dynamics(born)


def test_charges_can_be_chosen_in_every_way(tmp_path):
    crystal = rocksalt("MgO", 4.21)
    (tmp_path / "charges.yaml").write_text("Mg: 1.7\nO: -1.7\n")
    born, dielectric = np.array([1.98, -1.98])[:, None, None] * np.eye(3), 3.0 * np.eye(3)
    for choice, expected in (("scaled", 1.2), ("formal", 2.0), ({"Mg": 1.5, "O": -1.5}, 1.5)):
        np.testing.assert_allclose(rigid_ion_model(crystal, choice).charges, [expected, -expected])
    np.testing.assert_allclose(rigid_ion_model(crystal, tmp_path / "charges.yaml").charges, [1.7, -1.7])
    screened = rigid_ion_model(crystal, "born", born_charges=born, dielectric=dielectric)
    np.testing.assert_allclose(screened.charges[0], 1.98 / np.sqrt(3.0))
    with pytest.raises(UserError, match="BORN file"):
        rigid_ion_model(crystal, "born")


def test_formal_charges_have_a_softer_wall_and_still_sensible_modes():
    frequencies = rigid_ion_model(rocksalt("MgO", 4.21), "formal").lattice_dynamics().frequencies(GAMMA)
    assert frequencies[0, -1] * THZ_TO_CM1 == pytest.approx(391, rel=0.25)


def test_unknown_choice_of_charges_is_explained():
    with pytest.raises(UserError, match="'scaled', 'formal'"):
        rigid_ion_model(rocksalt("MgO", 4.21), charges="mulliken")


def test_every_pair_is_listed_once():
    crystal = low_symmetry()
    pairs = rigid_ion_model(crystal).short_range_force_constants().pairs
    assert len(np.unique(np.column_stack([pairs.i, pairs.j, pairs.shifts]), axis=0)) == len(pairs.i)
