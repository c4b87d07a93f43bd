"""Potentials as predictors of force constants."""

import numpy as np
import pytest
import torch

from mlrim import checkpoint
from mlrim.checkpoint import class_of, default_arguments, export_model, load_model, save_model
from mlrim.derivatives.capabilities import ALL, Capabilities, DeclaredEnergy, Derivative
from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import fold
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import space_group
from mlrim.models.potential_predictor import PotentialPhonons, cutoff_of
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.potentials.settings import PotentialSettings
from mlrim.predictors import (
    EnergyPredictor,
    Known,
    LongRange,
    PotentialPredictor,
    RigidIonPredictor,
    load_predictor,
    require_energy,
    rigid_ion_baseline,
    rigid_ion_charges,
)
from mlrim.symmetrization import impose_symmetry, largest_difference
from mlrim.units import THZ_TO_CM1
from tests.lattice.crystals import random_crystal, random_rotation, rocksalt, rutile, zincblende
from tests.potentials.energies import SMALL, CubicDoubleWell, caesium_chloride_at, small_network

SILICON = zincblende(5.431, (14, 14))
METHODS = ("extended", "supercell", "bloch")
Q = np.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.0]])


def saved(folder, kind, **metadata):
    config = default_arguments(kind) | SMALL[kind]
    torch.manual_seed(0)
    return str(save_model(folder / f"{kind}.ckpt", class_of(kind)(**config), kind, config, metadata))


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("crystal", [rocksalt(5.0), random_crystal(2, 2)], ids=["rocksalt", "triclinic"])
def test_three_ways_agree_for_networks(kind, crystal):
    energy, basis = small_network(kind), Supercell(crystal, np.diag([2, 2, 2]))
    frequencies = []
    for method in METHODS:
        phonons = PotentialPhonons(energy, crystal, PotentialSettings(method=method, min_length=0.0), basis)
        frequencies.append(LatticeDynamics(crystal, phonons.force_constants).frequencies(Q) * THZ_TO_CM1)
    np.testing.assert_allclose(frequencies[1], frequencies[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(frequencies[2], frequencies[0], rtol=0, atol=1e-6)


def test_finite_displacements_are_the_independent_way():
    settings = PotentialSettings(method="finite_displacements", displacement=0.003, min_length=10.0)
    phonons = PotentialPhonons(StillingerWeber(), SILICON, settings)
    exact = LatticeDynamics(SILICON, PotentialPhonons(StillingerWeber(), SILICON).force_constants).frequencies(Q)
    found = LatticeDynamics(SILICON, phonons.force_constants).frequencies(Q)
    assert 0 < np.abs(found - exact).max() * THZ_TO_CM1 < 0.01
    assert "0.003 Å" in phonons.description


def test_a_few_wave_vectors_are_had_by_bloch_products_alone():
    phonons = PotentialPhonons(StillingerWeber(), SILICON)
    expected = LatticeDynamics(SILICON, phonons.force_constants).dynamical_matrices(Q)
    np.testing.assert_allclose(phonons.dynamical_matrices(Q), expected, rtol=0, atol=1e-12)
    assert phonons.extended is phonons.extended
    assert phonons.force_constants is phonons.force_constants


def test_the_extended_way_is_taken_where_it_is_small():
    short = PotentialPhonons(StillingerWeber(), SILICON)
    assert short.method == "extended"
    assert "exact at every wave vector" in short.description
    assert short.n_products == 1
    far = PotentialPhonons(small_network("potential"), rutile(), PotentialSettings(min_length=6.0, max_atoms=100))
    assert far.method == "supercell"
    wide = PotentialPhonons(small_network("potential"), rutile(), PotentialSettings(min_length=14.0, memory=100.0))
    assert wide.method == "extended"
    assert 1e-6 < wide._memory_per_atom < 1e-2
    lean = PotentialPhonons(small_network("potential"), rutile(), PotentialSettings(min_length=14.0, memory=1e-3))
    assert lean.method == "supercell"
    assert f"{far.supercell.n_atoms} atoms" in far.description
    assert far.supercell.n_atoms <= 100


def test_energies_that_are_no_sums_of_local_ones_are_taken_in_supercells():
    energy = small_network("potential")
    energy.capabilities = Capabilities("charged", ALL - {Derivative.BLOCH})
    settings = PotentialSettings(min_length=6.0)
    assert PotentialPhonons(energy, rocksalt(4.2), settings).method == "supercell"
    with pytest.raises(UserError, match="any wave vector"):
        PotentialPhonons(energy, rocksalt(4.2), PotentialSettings("extended")).force_constants  # noqa: B018


def test_a_supercell_that_must_be_exact_is_multiplied():
    basis = Supercell(rocksalt(4.2), np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]))
    supercell = PotentialPhonons(StillingerWeber(), rocksalt(4.2), PotentialSettings(min_length=8.0), basis).supercell
    multiple = np.linalg.solve(basis.matrix, supercell.matrix)
    np.testing.assert_allclose(multiple, np.round(multiple), atol=1e-9)
    np.testing.assert_allclose(supercell.lattice, 8.4 * np.eye(3), atol=1e-9)
    tight = PotentialSettings(min_length=8.0, max_atoms=1)
    np.testing.assert_array_equal(
        PotentialPhonons(StillingerWeber(), rocksalt(4.2), tight, basis).supercell.matrix, basis.matrix
    )


@pytest.mark.parametrize("kind", SMALL)
def test_force_constants_have_their_symmetries_before_they_are_imposed(kind):
    crystal = rutile()
    phonons = PotentialPhonons(small_network(kind), crystal, PotentialSettings("supercell", min_length=6.0))
    _, residuals = impose_symmetry(phonons.force_constants, crystal, space_group(crystal))
    assert max(residuals.values()) < 1e-10 * np.abs(phonons.force_constants.blocks).max()


@pytest.mark.parametrize("kind", SMALL)
def test_turned_crystals_and_exchanged_atoms_have_the_same_frequencies(kind):
    energy, crystal, settings = small_network(kind), rutile(), PotentialSettings("supercell", min_length=6.0)
    rotation, order = random_rotation(4), np.array([3, 0, 5, 2, 4, 1])
    turned = Crystal(crystal.lattice @ rotation.T, crystal.positions @ rotation.T, crystal.numbers)
    exchanged = Crystal(crystal.lattice, crystal.positions[order], crystal.numbers[order])
    frequencies = [
        LatticeDynamics(one, PotentialPhonons(energy, one, settings).force_constants).frequencies(Q)
        for one in (crystal, turned, exchanged)
    ]
    np.testing.assert_allclose(frequencies[1], frequencies[0], rtol=0, atol=1e-8)
    np.testing.assert_allclose(frequencies[2], frequencies[0], rtol=0, atol=1e-8)


def test_an_energy_needs_a_cutoff():
    with pytest.raises(UserError, match="cutoff"):
        cutoff_of(DeclaredEnergy(lambda graph: graph.positions.sum(), Capabilities("nothing", ALL)))


@pytest.mark.parametrize("kind", SMALL)
def test_a_checkpoint_of_a_potential_predicts_and_so_does_its_folder(kind, tmp_path):
    path = saved(tmp_path, kind, background=["dipole"], elements=[8, 12])
    folder = export_model(load_model(path), tmp_path / "folder")
    settings = PotentialSettings("supercell", min_length=6.0)
    predictions = []
    for ckpt in (path, str(folder)):
        predictor = load_predictor(ckpt, settings)
        assert isinstance(predictor, PotentialPredictor)
        assert isinstance(predictor, EnergyPredictor)
        assert require_energy(predictor, "a test") is predictor
        assert "dipole + potential" in predictor.description
        assert next(predictor.energy.parameters()).dtype == torch.float64
        predictions.append(predictor(rocksalt(4.2), Known()))
    assert largest_difference(predictions[0].short_range, predictions[1].short_range) < 1e-12
    assert predictions[0].warnings == []
    assert "supercell" in predictions[0].notes[0]


def test_single_precision_is_near_double(tmp_path):
    path = saved(tmp_path, "potential")
    found = [
        load_predictor(path, PotentialSettings("supercell", min_length=6.0, precision=precision))(
            rocksalt(4.2), Known()
        )
        for precision in ("double", "single")
    ]
    difference = largest_difference(found[0].short_range, found[1].short_range)
    assert 0 < difference < 1e-4 * np.abs(found[0].short_range.blocks).max()


def test_elements_that_were_not_trained_are_told(tmp_path):
    predictor = load_predictor(saved(tmp_path, "potential", elements=[8]), PotentialSettings("supercell", 6.0))
    assert "without Mg" in predictor(rocksalt(4.2), Known()).warnings[0]


BORN = LongRange(np.array([1.9, -1.9])[:, None, None] * np.eye(3), 3.0 * np.eye(3), "a test")


def network_alone(path):
    energy = load_model(path).model.double()
    return PotentialPhonons(energy, rocksalt(4.2), PotentialSettings("supercell", min_length=6.0)).force_constants


def test_the_rigid_ions_of_the_background_are_added(tmp_path):
    path = saved(tmp_path, "potential", background=["dipole", "rim"])
    crystal = rocksalt(4.2)
    found = load_predictor(path, PotentialSettings("supercell", min_length=6.0))(crystal, Known(BORN))
    charges, _ = rigid_ion_charges(crystal, Known())
    qpoints = np.array([[0.1, 0.2, 0.3]])
    parts = [network_alone(path), rigid_ion_baseline(crystal, charges)]
    expected = sum(LatticeDynamics(crystal, part).dynamical_matrices(qpoints) for part in parts)
    np.testing.assert_allclose(
        LatticeDynamics(crystal, found.short_range).dynamical_matrices(qpoints), expected, rtol=0, atol=1e-12
    )
    assert found.long_range is not None
    assert "rigid-ion" in found.long_range.source


def test_dipoles_are_not_counted_twice_where_the_network_has_learned_them(tmp_path):
    """Without background the network holds everything: in the supercell the sum is the network's own."""
    path, crystal = saved(tmp_path, "potential", background=[]), rocksalt(4.2)
    supercell = Supercell(crystal, np.diag([2, 2, 2]))
    settings = PotentialSettings("supercell", min_length=0.0)
    found = load_predictor(path, settings)(crystal, Known(BORN, supercell=supercell))
    dipole = DipoleInteraction(crystal, BORN.born_charges, BORN.dielectric)
    total = LatticeDynamics(crystal, found.short_range, dipole).folded(supercell)
    alone = PotentialPhonons(load_model(path).model.double(), crystal, settings, supercell).force_constants
    np.testing.assert_allclose(total, fold(alone, supercell), rtol=0, atol=1e-10)
    assert found.long_range is None
    without = load_predictor(path, settings)(crystal, Known(supercell=supercell))
    assert largest_difference(without.short_range, alone) < 1e-12


def test_predictors_without_energy_are_refused_where_one_is_needed():
    with pytest.raises(UserError, match="relax=cell needs a model with an energy, and rigid-ion model has none"):
        require_energy(RigidIonPredictor(), "relax=cell")


def test_any_energy_with_capabilities_will_do(tmp_path, monkeypatch):
    monkeypatch.setitem(checkpoint.KINDS, "stillinger_weber", "mlrim.models.stillinger_weber.StillingerWeber")
    monkeypatch.setattr(checkpoint, "POTENTIALS", ("stillinger_weber",))
    path = save_model(tmp_path / "sw.ckpt", StillingerWeber(), "stillinger_weber", {}, {})
    found = load_predictor(str(path))(SILICON, Known())
    frequencies = LatticeDynamics(SILICON, found.short_range).frequencies(np.zeros((1, 3)))
    np.testing.assert_allclose(frequencies[0, 3:], 17.83, atol=0.01)
    well = PotentialPhonons(CubicDoubleWell(), caesium_chloride_at())
    assert well.method == "extended"
