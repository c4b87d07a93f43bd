"""Potentials as ASE calculators."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.verlet import VelocityVerlet

from mlrim.checkpoint import default_arguments, save_model
from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.potentials.calculators import PotentialCalculator, as_ase_calculator, periodic_cell
from tests.potentials.energies import SMALL, small_network


def silicon(noise: float = 0.1) -> Atoms:
    atoms = bulk("Si", cubic=True, a=5.431)
    atoms.rattle(noise, seed=1)
    return atoms


@pytest.fixture(params=["stillinger_weber", *SMALL])
def energy(request):
    return StillingerWeber() if request.param == "stillinger_weber" else small_network(request.param)


def test_forces_and_stress_are_those_of_finite_differences(energy):
    atoms = silicon()
    atoms.calc = as_ase_calculator(energy)
    forces, stress = atoms.get_forces(), atoms.get_stress()
    scale = max(np.abs(forces).max(), 1e-3)
    assert np.abs(forces - calculate_numerical_forces(atoms, eps=1e-4)).max() < 1e-5 * scale
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    assert np.abs(stress - numerical).max() < 1e-6 * max(np.abs(stress).max(), 1e-3)


def test_the_hessian_is_that_of_finite_differences(energy):
    atoms = silicon()
    calculator = as_ase_calculator(energy)
    atoms.calc = calculator
    hessian = calculator.get_hessian(atoms)
    column, step = 7, 1e-4
    forces = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[column // 3, column % 3] += sign * step
        moved.calc = calculator
        forces.append(moved.get_forces().reshape(-1))
    numerical = (forces[1] - forces[0]) / (2 * step)
    assert np.abs(hessian[column] - numerical).max() < 1e-5 * np.abs(hessian).max()
    np.testing.assert_allclose(calculator.hessian.shape, (24, 24))


def test_molecular_dynamics_conserves_energy_and_searches_neighbours_rarely():
    atoms = silicon() * (2, 1, 1)
    calculator = as_ase_calculator(StillingerWeber())
    atoms.calc = calculator
    kick = np.random.default_rng(0).normal(size=(len(atoms), 3))
    atoms.set_momenta(kick * np.sqrt(atoms.get_masses() * units.kB * 600)[:, None])
    dynamics, totals, kinetic = VelocityVerlet(atoms, 0.5 * units.fs), [], []
    for _ in range(40):
        dynamics.run(5)
        totals.append(atoms.get_total_energy())
        kinetic.append(atoms.get_kinetic_energy())
    assert np.ptp(kinetic) > 100 * np.ptp(totals)
    assert np.ptp(totals) < 1e-3 * len(atoms)
    assert abs(totals[-1] - totals[0]) < 2e-4 * len(atoms)
    assert 1 < calculator.neighbours.searches < 100


def test_a_skin_changes_nothing_but_the_searches():
    plain, skinned = (as_ase_calculator(small_network("potential"), skin=skin) for skin in (0.0, 1.0))
    atoms = silicon()
    for step in range(4):
        atoms.rattle(0.05, seed=step)
        found = []
        for calculator in (plain, skinned):
            atoms.calc = calculator
            found.append((atoms.get_potential_energy(), atoms.get_forces()))
        assert found[0][0] == pytest.approx(found[1][0], abs=1e-12)
        np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=1e-12)
    assert plain.neighbours.searches == 4
    assert skinned.neighbours.searches == 1


def test_a_changed_cell_or_composition_is_noticed():
    calculator = as_ase_calculator(StillingerWeber())
    small, large = silicon(), silicon() * (1, 1, 2)
    small.calc = large.calc = calculator
    first = small.get_potential_energy()
    assert large.get_potential_energy() == pytest.approx(2 * first, rel=1e-12)
    strained = small.copy()
    strained.set_cell(1.01 * strained.cell, scale_atoms=True)
    strained.calc = calculator
    again = strained.get_potential_energy()
    strained.calc = as_ase_calculator(StillingerWeber())
    strained.calc.reset()
    assert again == strained.get_potential_energy() != first


def test_molecules_need_no_cell_and_have_no_stress(energy):
    water = molecule("CH3CH2OH")
    water.numbers[:] = 14
    water.positions *= 1.6
    water.calc = as_ase_calculator(energy)
    forces = water.get_forces()
    scale = max(np.abs(forces).max(), 1e-3)
    assert np.abs(forces - calculate_numerical_forces(water, eps=1e-4)).max() < 1e-5 * scale
    assert np.abs(forces.sum(axis=0)).max() < 1e-10
    with pytest.raises(PropertyNotImplementedError, match="periodic"):
        water.get_stress()


def test_a_slab_is_a_crystal_with_much_vacuum(energy):
    slab = silicon()
    slab.pbc = (True, True, False)
    wide = slab.copy()
    wide.pbc = True
    wide.cell[2, 2] += 20.0
    for atoms in (slab, wide):
        atoms.calc = as_ase_calculator(energy)
    assert slab.get_potential_energy() == pytest.approx(wide.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(slab.get_forces(), wide.get_forces(), rtol=0, atol=1e-10)


def test_directions_that_are_not_periodic_get_a_cell_out_of_reach():
    chain = Atoms("Si3", positions=[[0, 0, 0], [0, 3, 0], [0, 0, 5.0]], cell=[2.5, 0, 0], pbc=(True, False, False))
    cell = periodic_cell(chain, 4.0)
    np.testing.assert_allclose(cell[0], [2.5, 0, 0])
    assert np.linalg.norm(cell[1]) > 7.0
    assert np.linalg.norm(cell[2]) > 9.0
    assert abs(cell[1] @ cell[2]) < 1e-12


def save(folder, background):
    config = default_arguments("potential") | SMALL["potential"]
    torch.manual_seed(0)
    from mlrim.checkpoint import class_of

    return save_model(
        folder / "net.ckpt", class_of("potential")(**config), "potential", config, {"background": background}
    )


def test_a_checkpoint_gives_the_calculator_of_its_energy(tmp_path):
    atoms = silicon()
    energies = []
    for model in (save(tmp_path, []), small_network("potential")):
        atoms.calc = as_ase_calculator(model)
        energies.append(atoms.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)
    atoms.calc = as_ase_calculator(save(tmp_path, []), precision="single")
    assert 0 < abs(atoms.get_potential_energy() - energies[0]) < 1e-3


def rocksalt() -> Atoms:
    return bulk("MgO", "rocksalt", a=4.2, cubic=True)


def test_the_background_is_counted_from_the_reference(tmp_path):
    """Its forces are those of the dipole interaction, which somebody else adds up by hand here."""
    path, reference = save(tmp_path, ["dipole"]), rocksalt()
    born = np.array([2.0 if number == 12 else -2.0 for number in reference.numbers])[:, None, None] * np.eye(3)
    calculator = as_ase_calculator(path, reference=reference, born_charges=born, dielectric=3 * np.eye(3))
    alone = as_ase_calculator(path, background="none")
    reference.calc = alone
    at_rest = reference.get_potential_energy()
    reference.calc = calculator
    assert reference.get_potential_energy() == pytest.approx(at_rest, abs=1e-12)
    moved = rocksalt()
    displacement = 0.05 * np.random.default_rng(0).normal(size=(8, 3))
    moved.positions += displacement + moved.cell[0]  # a lattice vector away is the same place
    dipole = DipoleInteraction(Crystal.from_ase(rocksalt()), born, 3 * np.eye(3))
    matrix = dipole.force_constants(np.zeros((1, 3)))[0].real.transpose(0, 2, 1, 3).reshape(24, 24)
    moved.calc = alone
    energy, forces = moved.get_potential_energy(), moved.get_forces()
    moved.calc = calculator
    flat = displacement.reshape(-1)
    assert moved.get_potential_energy() - energy == pytest.approx(flat @ matrix @ flat / 2, abs=1e-9)
    assert calculator.energy_alone(moved) == pytest.approx(moved.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(moved.get_forces() - forces, -(matrix @ flat).reshape(-1, 3), rtol=0, atol=1e-9)
    change = calculator.get_hessian(moved) - alone.get_hessian(moved)
    np.testing.assert_allclose(change, matrix, rtol=0, atol=1e-9)
    with pytest.raises(PropertyNotImplementedError, match="background"):
        moved.get_stress()


def test_a_background_needs_its_reference_and_no_other_structure(tmp_path):
    path = save(tmp_path, ["dipole"])
    with pytest.raises(UserError, match="reference"):
        as_ase_calculator(path)
    strained = rocksalt()
    strained.calc = as_ase_calculator(path, reference=rocksalt())
    strained.set_cell(1.01 * strained.cell, scale_atoms=True)
    with pytest.raises(UserError, match="same cell"):
        strained.get_potential_energy()


def test_a_calculator_without_atoms_says_so():
    with pytest.raises(UserError, match="no atoms"):
        PotentialCalculator(StillingerWeber()).get_hessian()
