"""Thermochemistry of molecules: tables of measured gases, numbers of PySCF, limits."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from datamodules.molecules.shipped import molecule_names, reference, shipped_configurations
from mlrim.units import BOLTZMANN_J_PER_K_MOL, EV_TO_KJ_PER_MOL
from mlrim.vibrations.ideal_gas import ideal_gas, rotational_constants
from mlrim.vibrations.molecules import molecular_vibrations
from tests.vibrations.test_molecules import BUILT, springs

ROOM = np.array([298.15])


def vibrations_of(configuration):
    return molecular_vibrations(
        configuration.numbers, configuration.positions, configuration.hessian, configuration.masses
    )


@pytest.mark.parametrize("name", molecule_names())
def test_vibrational_parts_are_those_of_pyscf(name):
    expected = reference(name)
    gas = ideal_gas(vibrations_of(shipped_configurations(name)[0]), ROOM)
    assert gas.zero_point_energy == pytest.approx(expected["zero_point_energy"] * EV_TO_KJ_PER_MOL, rel=1e-5)
    assert gas.vibrational.entropy[0] == pytest.approx(expected["vibrational_entropy"], rel=1e-4, abs=1e-5)
    assert gas.vibrational.heat_capacity[0] == pytest.approx(expected["vibrational_heat_capacity"], rel=1e-4, abs=1e-5)


def test_whole_thermochemistry_of_water_is_that_of_pyscf():
    """PySCF 2.14, RHF/STO-3G at O 0 0 0, H 0 ±0.757 0.587 Å, 298.15 K, 101325 Pa (thermo.thermo), from Eh."""
    atoms = Atoms("OHH", [(0, 0, 0), (0, 0.757, 0.587), (0, -0.757, 0.587)])
    hartree = 2625.4996  # kJ/mol
    gas = ideal_gas(with_frequencies(atoms, [2044.55047906, 4486.65680661, 4788.27018224]), ROOM, 101325.0)
    assert gas.entropy[0] == pytest.approx(7.181049420253104e-05 * hartree * 1e3, rel=1e-6)
    assert gas.heat_capacity[0] == pytest.approx(9.516430753665084e-06 * hartree * 1e3, rel=1e-6)
    assert gas.enthalpy[0] == pytest.approx((-74.93349824091803 + 74.96306312972763) * hartree, rel=1e-6)
    assert gas.gibbs_energy[0] == pytest.approx((-74.95490853976452 + 74.96306312972763) * hartree, rel=1e-5)
    assert gas.rotational_constants * 29.9792458 == pytest.approx([819.20368462, 437.4565388, 285.17335217], rel=1e-6)


def with_frequencies(atoms, frequencies):
    """Vibrations with the modes of springs and other frequencies."""
    found = molecular_vibrations(atoms.numbers, atoms.positions, springs(atoms), atoms.get_masses())
    modes = [replace(mode, frequency_cm1=value) for mode, value in zip(found.modes, frequencies, strict=True)]
    return replace(found, modes=modes)


MEASURED = {
    "N2": (Atoms("N2", [(0, 0, 0), (0, 0, 1.0977)]), [2330.0], 191.61, 29.12),
    "CO": (Atoms("CO", [(0, 0, 0), (0, 0, 1.1283)]), [2143.0], 197.66, 29.14),
    "CO2": (Atoms("CO2", [(0, 0, 0), (0, 0, 1.16), (0, 0, -1.16)]), [667.4, 1333.0, 2349.0], 213.79, 37.13),
    "H2O": (
        Atoms("OH2", [(0, 0, 0), (0, 0.7572, 0.5859), (0, -0.7572, 0.5859)]),
        [1595.0, 3657.0, 3756.0],
        188.83,
        33.59,
    ),
    "CH4": (
        Atoms("CH4", [(0, 0, 0), *(1.087 / np.sqrt(3) * np.array([(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)]))]),
        [1306.0, 1534.0, 2917.0, 3019.0],
        186.25,
        35.64,
    ),
}
"""Geometry and fundamentals (G. Herzberg); S° and C_p at 298.15 K and 1 bar (NIST-JANAF tables, 1998), J/K/mol."""


@pytest.mark.parametrize("name", MEASURED)
def test_entropies_and_heat_capacities_are_those_of_tables(name):
    """The tables have anharmonic vibrations and centrifugal stretching too, which is worth 0.17 J/K/mol in water."""
    atoms, frequencies, entropy, capacity = MEASURED[name]
    gas = ideal_gas(with_frequencies(atoms, frequencies), ROOM, 1e5)
    assert gas.entropy[0] == pytest.approx(entropy, abs=0.2)
    assert gas.heat_capacity_at_constant_pressure[0] == pytest.approx(capacity, abs=0.2)


@pytest.mark.parametrize(
    ("name", "number"), [("H2O", 2), ("NH3", 3), ("CH4", 12), ("C6H6", 12), ("CO2", 2), ("HCN", 1), ("SF6", 24)]
)
def test_symmetry_numbers(name, number):
    atoms = BUILT[name] if name in BUILT else molecule(name)
    found = molecular_vibrations(atoms.numbers, atoms.positions, springs(atoms), tolerance=0.02)
    assert ideal_gas(found, ROOM).symmetry_number == number


def test_cold_and_hot_limits():
    atoms = molecule("CO2")
    found = molecular_vibrations(atoms.numbers, atoms.positions, springs(atoms))
    gas = ideal_gas(found, np.array([0.0, 1e6]))
    assert gas.energy[0] == gas.enthalpy[0] == gas.gibbs_energy[0] == pytest.approx(gas.zero_point_energy)
    assert np.isnan(gas.entropy[0])
    assert gas.heat_capacity[1] == pytest.approx((5 / 2 + 4) * BOLTZMANN_J_PER_K_MOL, rel=1e-4)


def test_entropy_and_energies_obey_thermodynamics():
    """C_v = dU/dT, S = −dG/dT at constant pressure, G falls by R T ln(p/p') when the pressure does."""
    atoms = molecule("C6H6")
    found = molecular_vibrations(atoms.numbers, atoms.positions, springs(atoms), tolerance=0.02)
    gas = ideal_gas(found, np.array([299.99, 300.0, 300.01]))
    assert np.gradient(gas.energy, gas.temperatures)[1] * 1e3 == pytest.approx(gas.heat_capacity[1], rel=1e-6)
    assert -np.gradient(gas.gibbs_energy, gas.temperatures)[1] * 1e3 == pytest.approx(gas.entropy[1], rel=1e-6)
    thin = ideal_gas(found, np.array([300.0]), gas.pressure / 10)
    fall = BOLTZMANN_J_PER_K_MOL * 0.3 * np.log(10)
    assert gas.gibbs_energy[1] - thin.gibbs_energy[0] == pytest.approx(fall, rel=1e-9)


def test_rotational_constants_do_not_depend_on_the_orientation():
    atoms = molecule("CH3OH")
    reference_constants = rotational_constants(atoms.positions, atoms.get_masses())
    atoms.rotate(33, (1, 2, 3))
    assert rotational_constants(atoms.positions + 5.0, atoms.get_masses()) == pytest.approx(reference_constants)
