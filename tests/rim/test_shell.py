"""The shell model against closed formulas, finite differences of the relaxed energy and its own limits."""

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.rim.core_shell import Shell, ShellModel
from mlrim.rim.library import (
    LIBRARY,
    potential_set,
    published_rigid_ion_model,
    published_shell_model,
    species_interaction,
)
from mlrim.rim.shell import default_shell_model
from mlrim.units import COULOMB_EV_ANGSTROM, SQRT_EIGENVALUE_TO_CM1, THZ_TO_CM1
from tests.rim.crystals import corundum, fluorite, ionic_crystals, low_symmetry, random_rotation, rocksalt, rutile

GAMMA = np.zeros((1, 3))
DIRECTION = np.array([0.3, -0.5, 0.8])


def magnesia(crystal: Crystal) -> ShellModel:
    return published_shell_model("magnesia_shell", crystal, switch_width=2.0)


def closed_form(a: float) -> tuple[float, float, float, float]:
    """Z*, ε∞, TO and LO (cm⁻¹) of GULP's MgO: two ions and a shell in the Lorentz field 4πP/3 of a cubic crystal."""
    entry = LIBRARY["magnesia_shell"]
    bond, shell, volume = a / 2, entry.shells["O"], a**3 / 4
    integers = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = bond * np.linalg.norm(integers[integers.sum(axis=1) % 2 == 1], axis=1)
    cation = entry.pairs["Mg", "O"].derivatives(distance)
    stiffness = (cation.second + 2 * cation.first / distance).sum() / 3
    charges = np.array([2.0, -2.0 - shell.charge, shell.charge])
    springs = np.array(
        [
            [stiffness, 0, -stiffness],
            [0, shell.spring, -shell.spring],
            [-stiffness, -shell.spring, stiffness + shell.spring],
        ]
    )
    field = 4 * np.pi * COULOMB_EV_ANGSTROM / volume
    hessian = springs - field / 3 * np.outer(charges, charges)
    response = hessian[2, :2] / hessian[2, 2]
    born = charges[:2] - charges[2] * response
    effective = hessian[:2, :2] - np.outer(hessian[:2, 2], response)
    dielectric = 1 + field * charges[2] ** 2 / hessian[2, 2]
    mass = 24.305 * 15.999 / (24.305 + 15.999)
    transverse = effective[0, 0] / mass
    longitudinal = transverse + field * born[0] ** 2 / dielectric / mass
    return born[0], dielectric, *(np.sqrt([transverse, longitudinal]) * SQRT_EIGENVALUE_TO_CM1)


def test_magnesia_has_the_closed_form_charges_permittivity_and_frequencies():
    born, dielectric, transverse, longitudinal = closed_form(4.212)
    model = published_shell_model("magnesia_shell", rocksalt("MgO", 4.212))
    np.testing.assert_allclose(model.born_charges[0], born * np.eye(3), atol=1e-9)
    np.testing.assert_allclose(model.dielectric, dielectric * np.eye(3), atol=1e-9)
    dynamics = model.lattice_dynamics(Supercell(model.crystal, np.diag([2, 2, 2])))
    assert dynamics.frequencies(GAMMA)[0, -1] * THZ_TO_CM1 == pytest.approx(transverse, rel=1e-4)
    assert dynamics.frequencies(GAMMA, DIRECTION)[0, -1] * THZ_TO_CM1 == pytest.approx(longitudinal, rel=1e-4)


def test_lone_shells_obey_clausius_mossotti():
    """Shells on every anion, no short range: (ε − 1)/(ε + 2) = 4πα/3V with α = Y²/k."""
    crystal = rocksalt("NaCl", 5.64)
    nothing = species_interaction(LIBRARY["magnesia_shell"], crystal, 0.0)
    model = ShellModel.relaxed(crystal, np.array([1.0, -1.0]), [None, Shell(-2.5, 30.0)], nothing)
    alpha = COULOMB_EV_ANGSTROM * 2.5**2 / 30.0
    ratio = 4 * np.pi * alpha / (3 * crystal.volume)
    np.testing.assert_allclose(model.dielectric, np.eye(3) * (1 + 2 * ratio) / (1 - ratio), atol=1e-10)


def moved(model: ShellModel, atom: int, axis: int, step: float) -> ShellModel:
    positions = model.crystal.positions.copy()
    positions[atom, axis] += step
    return magnesia(Crystal(model.crystal.lattice, positions, model.crystal.numbers))


def test_forces_are_minus_the_gradient_of_the_relaxed_energy():
    model, step = magnesia(low_symmetry()), 1e-4
    assert np.abs(model.shell_offsets()).max() > 1e-3
    forces = model.forces()
    for atom, axis in ((0, 0), (1, 2), (3, 1)):
        ahead, behind = moved(model, atom, axis, step).energy(), moved(model, atom, axis, -step).energy()
        assert forces[atom, axis] == pytest.approx(-(ahead - behind) / (2 * step), abs=1e-6)


def test_force_constants_are_the_second_derivative_of_the_relaxed_energy():
    model, step = magnesia(low_symmetry()), 1e-4
    blocks = model.force_constants(GAMMA)[0].real
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        ahead, behind = moved(model, atom, axis, step).forces(), moved(model, atom, axis, -step).forces()
        np.testing.assert_allclose(blocks[atom, :, axis, :], -(ahead - behind) / (2 * step), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "cells"),
    [
        (published_shell_model("magnesia_shell", rocksalt("MgO", 4.212)), [3, 3, 3]),
        (published_shell_model("bush_alumina", corundum()), [2, 2, 1]),
    ],
    ids=["MgO", "Al2O3"],
)
def test_lattice_dynamics_is_exact_at_commensurate_wave_vectors_and_near_gamma(model, cells):
    supercell = Supercell(model.crystal, np.diag(cells))
    dynamics = model.lattice_dynamics(supercell)
    size = 3 * model.crystal.n_atoms
    root_mass = np.sqrt(np.repeat(model.crystal.masses, 3))

    def direct(blocks: np.ndarray) -> np.ndarray:
        eigenvalues = np.linalg.eigvalsh(blocks / np.outer(root_mass, root_mass))
        return np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues)) * SQRT_EIGENVALUE_TO_CM1

    qpoints = supercell.commensurate_qpoints
    blocks = model.force_constants(qpoints).transpose(0, 1, 3, 2, 4).reshape(-1, size, size)
    found = dynamics.frequencies(qpoints) * THZ_TO_CM1
    np.testing.assert_allclose(found[1:], direct(blocks)[1:], atol=1e-4)
    limit = dynamics.frequencies(GAMMA, DIRECTION)[0] * THZ_TO_CM1
    np.testing.assert_allclose(limit[3:], direct(model.force_constants_along(GAMMA[0], DIRECTION))[3:], atol=1e-4)


def test_between_commensurate_wave_vectors_the_interpolation_converges():
    """Octupoles and the dispersion of ε∞ decay as 1/r⁵: they are in the remainder, which the supercell must hold."""
    model = published_shell_model("magnesia_shell", rocksalt("MgO", 4.212))
    qpoints = np.array([[0.1, 0.13, 0.07], [0.31, 0.12, 0.4]])
    root_mass = np.sqrt(np.repeat(model.crystal.masses, 3))
    blocks = model.force_constants(qpoints).transpose(0, 1, 3, 2, 4).reshape(2, 6, 6)
    direct = np.sqrt(np.linalg.eigvalsh(blocks / np.outer(root_mass, root_mass))) * SQRT_EIGENVALUE_TO_CM1
    errors = []
    for cells in (2, 4, 6):
        dynamics = model.lattice_dynamics(Supercell(model.crystal, np.diag([cells] * 3)))
        errors.append(np.abs(dynamics.frequencies(qpoints) * THZ_TO_CM1 - direct).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1.5


def test_stiff_springs_give_the_rigid_ion_model_back():
    crystal = low_symmetry()
    entry = potential_set("magnesia_shell", crystal)
    shells = [None, None, Shell(-2.87, 1e8), Shell(-2.87, 1e8)]
    stiff = ShellModel.relaxed(
        crystal, np.array([2.0, 2.0, -2.0, -2.0]), shells, species_interaction(entry, crystal, 2.0)
    )
    rigid = published_rigid_ion_model("magnesia_shell", crystal, switch_width=2.0)
    supercell = Supercell(crystal, np.diag([2, 1, 1]))
    np.testing.assert_allclose(stiff.folded(supercell), rigid.supercell_force_constants(supercell), atol=1e-5)
    np.testing.assert_allclose(stiff.dielectric, np.eye(3), atol=1e-5)
    assert stiff.energy() == pytest.approx(rigid.energy_forces_stress().energy, abs=1e-6)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_published_model_obeys_sum_rule_permutation_and_neutrality(seed):
    crystal = low_symmetry()
    rng = np.random.default_rng(seed)
    crystal = Crystal(crystal.lattice, crystal.positions + rng.normal(scale=0.05, size=(4, 3)), crystal.numbers)
    model = magnesia(crystal)
    blocks = model.force_constants(np.array([[0.0, 0, 0], [0.2, 0.1, -0.4]]))
    np.testing.assert_allclose(blocks[0].sum(axis=1), 0.0, atol=1e-9)
    np.testing.assert_allclose(blocks, blocks.conj().transpose(0, 2, 1, 4, 3), atol=1e-10)
    np.testing.assert_allclose(model.born_charges.sum(axis=0), 0.0, atol=1e-9)
    compact = model.folded(Supercell(crystal, np.diag([1, 2, 1])))
    np.testing.assert_allclose(compact.sum(axis=1), 0.0, atol=1e-10)


@settings(max_examples=6, deadline=None)
@given(ionic_crystals(), st.integers(0, 1000))
def test_default_model_turns_with_the_crystal(crystal, seed):
    rotation = random_rotation(np.random.default_rng(seed))
    turned = Crystal(crystal.lattice @ rotation.T, crystal.positions @ rotation.T, crystal.numbers)
    first, second = default_shell_model(crystal), default_shell_model(turned)
    supercell = Supercell(crystal, np.diag([2, 1, 1]))
    expected = rotation @ first.folded(supercell) @ rotation.T
    np.testing.assert_allclose(second.folded(Supercell(turned, supercell.matrix)), expected, atol=1e-8)
    np.testing.assert_allclose(second.dielectric, rotation @ first.dielectric @ rotation.T, atol=1e-8)


@settings(max_examples=4, deadline=None)
@given(ionic_crystals())
def test_default_model_of_a_supercell_is_the_folded_one(crystal):
    supercell = Supercell(crystal, np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2]]))
    big = supercell.to_crystal()
    found = default_shell_model(big).folded(Supercell(big, np.eye(3, dtype=int)))
    home = np.arange(crystal.n_atoms) * supercell.n_cells
    np.testing.assert_allclose(found[home], default_shell_model(crystal).folded(supercell), atol=1e-8)


@pytest.mark.parametrize(
    ("crystal", "modes", "permittivity"),
    [
        (rocksalt("MgO", 4.217), (300, 520), (1.8, 4.0)),
        (fluorite(5.413), (190, 380), (1.3, 3.0)),
        (rutile(), (100, 900), (2.0, 9.0)),
        (corundum(), (250, 850), (2.0, 5.0)),
    ],
    ids=["MgO", "CaF2", "TiO2", "Al2O3"],
)
def test_default_model_is_sensible(crystal, modes, permittivity):
    model = default_shell_model(crystal)
    frequencies = model.lattice_dynamics().frequencies(GAMMA)[0, 3:] * THZ_TO_CM1
    assert modes[0] < frequencies.min() < frequencies.max() < modes[1]
    assert permittivity[0] < np.linalg.eigvalsh(model.dielectric).min()
    assert np.linalg.eigvalsh(model.dielectric).max() < permittivity[1]


@pytest.mark.parametrize("crystal", [rocksalt("MgO", 4.217), fluorite(5.413)], ids=["MgO", "CaF2"])
def test_cubic_triplets_are_degenerate(crystal):
    frequencies = default_shell_model(crystal).lattice_dynamics().frequencies(GAMMA)[0, 3:] * THZ_TO_CM1
    assert np.ptp(frequencies.reshape(-1, 3), axis=1).max() < 1e-6


def test_elements_have_no_shells():
    model = default_shell_model(Crystal.from_ase(bulk("Si")))
    np.testing.assert_allclose(model.dielectric, np.eye(3))
    assert np.isfinite(model.lattice_dynamics().frequencies(GAMMA)).all()


def test_polarisation_catastrophe_is_explained():
    crystal = rocksalt("MgO", 4.2)
    interaction = species_interaction(LIBRARY["magnesia_shell"], crystal, 0.0)
    with pytest.raises(UserError, match="polarisation catastrophe"):
        ShellModel.relaxed(crystal, np.array([2.0, -2.0]), [None, Shell(-2.9, -70.0)], interaction)
