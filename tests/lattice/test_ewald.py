import numpy as np
import pytest
from hypothesis import given, settings

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.ewald import point_charge_energy_forces
from mlrim.units import COULOMB_EV_ANGSTROM
from tests.lattice.crystals import (
    caesium_chloride,
    fluorite,
    random_born_charges,
    random_crystal,
    random_dielectric,
    rocksalt,
    seeds,
    zincblende,
)

CHARGES = np.array([1.0, -2.0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("crystal", "charges", "nearest", "madelung"),
    [
        (rocksalt(4.0), [1, -1], 2.0, 1.7475645946331821906),  # OEIS A085469
        (caesium_chloride(4.0), [1, -1], 2 * np.sqrt(3), 1.7626747730709883),  # OEIS A181152
        (zincblende(4.0), [1, -1], np.sqrt(3), 1.6380550533888894),  # OEIS A182566
        # two zincblende lattices and one CsCl lattice of charges superpose to fluorite
        (fluorite(4.0), [2, -1, -1], np.sqrt(3), 2 * 1.6380550533888894 + 1.7626747730709883),
    ],
    ids=["NaCl", "CsCl", "ZnS", "CaF2"],
)
def test_madelung_constants_to_ten_digits(crystal, charges, nearest, madelung):
    energy = point_charge_energy_forces(crystal, np.array(charges, dtype=float)).energy
    assert -energy * nearest / COULOMB_EV_ANGSTROM == pytest.approx(madelung, rel=1e-10)


@pytest.mark.parametrize("width", [0.35, 0.6, 1.0])
def test_energy_forces_and_stress_do_not_depend_on_the_ewald_parameter(width):
    crystal = random_crystal(0)
    reference = point_charge_energy_forces(crystal, CHARGES)
    result = point_charge_energy_forces(crystal, CHARGES, width)
    for value, expected in zip(result, reference, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-10)


def test_forces_and_stress_are_derivatives_of_the_energy():
    crystal, step = random_crystal(1), 1e-4

    def energy(displacement=None, strain=None):
        deformation = np.eye(3) if strain is None else np.eye(3) + strain
        moved = crystal.positions if displacement is None else crystal.positions + displacement
        deformed = Crystal(crystal.lattice @ deformation, moved @ deformation, crystal.numbers)
        return point_charge_energy_forces(deformed, CHARGES).energy

    analytic = point_charge_energy_forces(crystal, CHARGES)
    for atom, axis in [(0, 0), (1, 2), (3, 1)]:
        move = np.zeros((4, 3))
        move[atom, axis] = step
        assert -(energy(move) - energy(-move)) / (2 * step) == pytest.approx(analytic.forces[atom, axis], abs=1e-7)
    for a, b in [(0, 0), (0, 1), (2, 1)]:
        strain = np.zeros((3, 3))
        strain[a, b] = step
        numeric = (energy(strain=strain) - energy(strain=-strain)) / (2 * step * crystal.volume)
        assert numeric == pytest.approx(analytic.stress[a, b], abs=1e-8)


@settings(max_examples=5, deadline=None)
@given(seeds)
def test_dipole_sum_does_not_depend_on_the_ewald_parameter(seed):
    crystal, born, dielectric = random_crystal(seed), random_born_charges(seed), random_dielectric(seed)
    qpoints = np.random.default_rng(seed).normal(size=(3, 3))
    reference = DipoleInteraction(crystal, born, dielectric).force_constants(qpoints)
    for width in (0.5, 0.8, 1.3):
        other = DipoleInteraction(crystal, born, dielectric, width).force_constants(qpoints)
        np.testing.assert_allclose(other, reference, rtol=0, atol=1e-9)


def test_dipole_sum_of_point_charges_is_the_hessian_of_the_coulomb_energy():
    crystal, step = random_crystal(2), 1e-4
    interaction = DipoleInteraction(crystal, CHARGES[:, None, None] * np.eye(3), np.eye(3))
    hessian = interaction.force_constants(np.zeros((1, 3)))[0].real
    for atom, axis in [(0, 0), (2, 1)]:
        move = np.zeros((4, 3))
        move[atom, axis] = step
        forces = [
            point_charge_energy_forces(Crystal(crystal.lattice, crystal.positions + s * move, crystal.numbers), CHARGES)
            for s in (1, -1)
        ]
        column = -(forces[0].forces - forces[1].forces) / (2 * step)
        np.testing.assert_allclose(hessian[:, atom, :, axis], column, atol=1e-7)


def test_net_charge_is_balanced_by_a_background():
    crystal = rocksalt(4.0)
    widths = [0.4, 0.7, 1.1]
    energies = [point_charge_energy_forces(crystal, np.array([1.0, 0.5]), width).energy for width in widths]
    np.testing.assert_allclose(energies, energies[0], rtol=1e-11)
