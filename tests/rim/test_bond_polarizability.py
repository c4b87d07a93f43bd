"""The bond-polarisability model: sum rules, symmetry, finite differences, closed forms, and its fit."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import space_group
from mlrim.rim.bond_polarizability import (
    BondPolarizability,
    bond_polarizability_tensors,
    bonds,
    default_parameters,
    fit_bond_polarizability,
    write_parameters,
)
from tests.vibrations.prototypes import prototype

STRUCTURES = ["rocksalt", "zincblende", "rutile", "calcite", "quartz", "LiNbO3", "MoS2", "GdFeO3", "baddeleyite"]
EVERYTHING = np.full(3, -10.0), np.full(3, 10.0)


def parameters(seed: int = 0) -> BondPolarizability:
    """Parameters that depend on everything."""
    return BondPolarizability(np.random.default_rng(seed).normal(size=(3, 10)), *EVERYTHING, "a test")


@pytest.mark.parametrize("name", STRUCTURES)
def test_tensors_have_the_symmetry_of_the_crystal(name):
    crystal = prototype(name)
    tensors, group = bond_polarizability_tensors(crystal), space_group(crystal)
    scale = max(np.abs(tensors).max(), 1e-3)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
        turned = np.einsum("ai,bj,ck,nijk->nabc", rotation, rotation, rotation, tensors)
        assert tensors[permutation] == pytest.approx(turned, abs=1e-8 * scale)


def test_atoms_at_centres_of_inversion_have_none_and_others_do():
    assert bond_polarizability_tensors(prototype("rocksalt")) == pytest.approx(np.zeros((2, 3, 3, 3)), abs=1e-10)
    assert np.abs(bond_polarizability_tensors(prototype("zincblende"))).max() > 0.01


@pytest.mark.parametrize("name", STRUCTURES)
def test_translations_change_nothing_and_field_indices_are_symmetric(name):
    tensors = bond_polarizability_tensors(prototype(name))
    assert tensors.sum(axis=0) == pytest.approx(np.zeros((3, 3, 3)), abs=1e-10)
    assert tensors == pytest.approx(tensors.swapaxes(1, 2), abs=1e-12)


def test_tensors_turn_with_the_crystal():
    crystal, rotation = prototype("GdFeO3"), Rotation.from_euler("xyz", [0.4, -1.0, 2.0]).as_matrix()
    turned = Crystal(crystal.lattice @ rotation.T, crystal.positions @ rotation.T, crystal.numbers)
    expected = np.einsum("ai,bj,ck,nijk->nabc", *[rotation] * 3, bond_polarizability_tensors(crystal))
    assert bond_polarizability_tensors(turned) == pytest.approx(expected, abs=1e-10)


def test_tensors_are_derivatives_of_a_sum_over_bonds():
    """Independent of the formula for derivatives: displace an atom and differentiate the polarisabilities themselves.

    ⅓(α∥ + 2α⊥) and α∥ − α⊥ of a bond are linear in its length, with values and slopes as the parameters say.
    """
    crystal, model = prototype("quartz"), parameters()
    rest = bonds(crystal)
    first, second = np.triu_indices(3)
    properties = np.column_stack(
        [np.ones(len(rest.sizes)), rest.properties, rest.properties[:, first] * rest.properties[:, second]]
    )
    strength = (properties @ model.coefficients.T) * (rest.weights * rest.sizes**2)[:, None]

    def polarizability(positions: np.ndarray) -> np.ndarray:
        pairs = rest.pairs
        vectors = positions[pairs.j] + pairs.shifts @ crystal.lattice - positions[pairs.i]
        length = np.linalg.norm(vectors, axis=1)
        stretch = length - rest.distances
        mean = strength[:, 0] * stretch
        anisotropy = strength[:, 1] * stretch + strength[:, 2] * rest.sizes
        shape = np.einsum("pi,pj->pij", vectors, vectors) / length[:, None, None] ** 2 - np.eye(3) / 3
        return (mean[:, None, None] * np.eye(3) + anisotropy[:, None, None] * shape).sum(axis=0) / 2

    step, found = 1e-4, np.zeros((crystal.n_atoms, 3, 3, 3))
    for atom in range(crystal.n_atoms):
        for axis in range(3):
            shift = np.zeros_like(crystal.positions)
            shift[atom, axis] = step
            difference = polarizability(crystal.positions + shift) - polarizability(crystal.positions - shift)
            found[atom, :, :, axis] = difference / (2 * step)
    assert bond_polarizability_tensors(crystal, model) == pytest.approx(found, abs=1e-5 * np.abs(found).max())


def test_the_closed_form_of_zincblende():
    """With nearest neighbours alone, ∂α_xy/∂u_z = −4/(3√3) [(α∥′ − α⊥′) − 2(α∥ − α⊥)/r] of the atom at the origin."""
    edge, model = 8.6, parameters(1)
    lattice = edge / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])
    crystal = Crystal(lattice, np.array([[0, 0, 0], [edge / 4] * 3]), np.array([55, 53]))
    found = bonds(crystal)
    assert np.sum(found.weights > 0) == 8
    terms = found.properties[0]
    quadratic = np.concatenate([[1], terms, np.outer(terms, terms)[np.triu_indices(3)]])
    _, stretch, turn = model.coefficients @ quadratic * found.weights[0] * found.sizes[0] ** 2
    turn *= found.sizes[0] / found.distances[0]
    tensors = bond_polarizability_tensors(crystal, model)
    assert tensors[0, 0, 1, 2] == pytest.approx(-4 / (3 * np.sqrt(3)) * (stretch - 2 * turn))
    assert np.abs(tensors[0, 0]).sum() == pytest.approx(2 * abs(tensors[0, 0, 1, 2]))


def test_no_bond_switches_on_suddenly():
    """An atom that comes from afar: tensors are continuous, with continuous slope."""
    distances = np.linspace(3.0, 7.0, 401)
    values = [
        bond_polarizability_tensors(
            Crystal(20 * np.eye(3), np.array([[5.0, 5, 5], [5 + distance, 5, 5]]), np.array([14, 8])), parameters()
        )[1, 0, 0, 0]
        for distance in distances
    ]
    slope = np.gradient(values, distances)
    assert np.abs(np.diff(slope)).max() < 0.05 * np.abs(slope).max()
    assert values[-1] == 0
    assert abs(values[0]) > 0


def test_a_fit_finds_the_parameters_that_made_the_tensors():
    truth = parameters(3)
    crystals = [prototype(name) for name in STRUCTURES if name != "rocksalt"]
    tensors = [1.0 * bond_polarizability_tensors(crystal, truth) for crystal in crystals]
    fitted = fit_bond_polarizability(crystals, tensors, ridge=1e-13)
    wide = BondPolarizability(fitted.coefficients, *EVERYTHING, "")
    for crystal, tensor in zip(crystals, tensors, strict=True):
        error = bond_polarizability_tensors(crystal, wide) - tensor
        assert np.linalg.norm(error) < 0.02 * np.linalg.norm(tensor)


def test_compounds_count_alike_whatever_their_magnitude():
    """Two compounds that disagree: scaling one of them does not let it win; each is met half way in relative terms."""
    crystal, truth = prototype("quartz"), parameters(3)
    tensors = bond_polarizability_tensors(crystal, truth)
    alone = bond_polarizability_tensors(crystal, fit_bond_polarizability([crystal], [tensors], ridge=1e-9))
    both = fit_bond_polarizability([crystal, crystal], [tensors, 100 * tensors], ridge=1e-9)
    found = bond_polarizability_tensors(crystal, both)
    assert found == pytest.approx((1 + 1 / 100) / (1 + 1 / 100**2) * alone, abs=1e-4 * np.abs(alone).max())


def test_displacements_say_what_a_fit_cares_about():
    """With one pattern alone, that pattern is met exactly and the rest is free."""
    crystal = prototype("quartz")
    target = np.random.default_rng(0).normal(size=(crystal.n_atoms, 3, 3, 3))
    group = space_group(crystal)
    symmetric = np.zeros_like(target)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
        symmetric[permutation] += np.einsum("ai,bj,ck,nijk->nabc", *[rotation] * 3, target)
    symmetric = symmetric + symmetric.swapaxes(1, 2)
    symmetric -= symmetric.mean(axis=0)
    pattern = np.zeros((1, crystal.n_atoms, 3))
    pattern[0, 0, 2] = 1.0
    fitted = fit_bond_polarizability([crystal], [symmetric], [pattern], ridge=1e-10)
    error = bond_polarizability_tensors(crystal, fitted) - symmetric
    assert np.abs(error[0, :, :, 2]).max() < 1e-4 * np.abs(symmetric).max()
    assert np.abs(error).max() > 0.1 * np.abs(symmetric).max()


def test_the_dielectric_constant_sets_the_magnitude():
    """Three copies of a compound whose tensors grow with (ε − 1)²: the sum over bonds meets none, the factor all."""
    crystal = prototype("quartz")
    tensors = bond_polarizability_tensors(crystal, parameters(3))
    dielectrics = [np.diag([epsilon - 0.5, epsilon, epsilon + 0.5]) for epsilon in (2.0, 4.0, 8.0)]
    known = [(np.trace(epsilon) / 3 - 1) ** 2 * tensors for epsilon in dielectrics]
    fitted = fit_bond_polarizability([crystal] * 3, known, dielectrics=dielectrics, ridge=1e-9)
    assert fitted.exponent == pytest.approx(2)
    norms = [np.linalg.norm(bond_polarizability_tensors(crystal, fitted, epsilon)) for epsilon in (*dielectrics, None)]
    assert norms[1:3] == pytest.approx([9 * norms[0], 49 * norms[0]])
    assert bond_polarizability_tensors(crystal, fitted, np.eye(3)) == pytest.approx(
        bond_polarizability_tensors(crystal, fitted)
    )


def test_stored_parameters_survive_writing(tmp_path):
    import yaml

    default = default_parameters()
    write_parameters(default, tmp_path / "copy.yaml")
    stored = yaml.safe_load((tmp_path / "copy.yaml").read_text())
    assert np.array(stored["coefficients"]) == pytest.approx(default.coefficients)
    assert stored["lowest"] == pytest.approx(default.lowest)
    assert "raman_pbe0" in stored["source"]


def test_stretching_a_bond_makes_it_more_polarisable():
    """α∥′ > 0 for common bonds, as every published set of parameters has it."""
    for pair, distance in (((14, 8), 1.61), ((6, 8), 1.29), ((22, 8), 1.95), ((16, 16), 2.05), ((30, 16), 2.34)):
        crystal = Crystal(30 * np.eye(3), np.array([[5.0, 5, 5], [5 + distance, 5, 5]]), np.array(pair))
        assert bond_polarizability_tensors(crystal)[1, 0, 0, 0] > 0.3
