"""Thermal properties against closed limits and phonopy; densities of states count every mode once."""

import numpy as np
import pytest

from mlrim.lattice.qpath import path_through
from mlrim.lattice.supercell import Supercell
from mlrim.report.phonopy_files import to_phonopy
from mlrim.units import BOLTZMANN_J_PER_K_MOL
from mlrim.vibrations.density_of_states import density_of_states, mesh_modes
from mlrim.vibrations.dispersion import dispersion
from mlrim.vibrations.thermal import thermal_properties
from tests.vibrations.prototypes import prototype, symmetric_dynamics


@pytest.fixture(scope="module")
def rutile():
    return symmetric_dynamics(prototype("rutile"))


@pytest.fixture(scope="module")
def rutile_modes(rutile):
    return mesh_modes(rutile, (4, 4, 6))


def test_one_oscillator_has_the_closed_formulas():
    """10 THz at 300 K: x = 1.59975, from the formulas of any textbook evaluated by hand."""
    thermal = thermal_properties(np.array([[10.0]]), np.ones(1), np.array([300.0]))
    x = 6.62607015e-34 * 1e13 / (1.380649e-23 * 300)
    molar = 8.31446261815324
    assert thermal.entropy[0] == pytest.approx(molar * (x / np.expm1(x) - np.log(1 - np.exp(-x))), rel=1e-12)
    assert thermal.heat_capacity[0] == pytest.approx(molar * x**2 * np.exp(x) / np.expm1(x) ** 2, rel=1e-12)
    assert thermal.free_energy[0] == pytest.approx(molar * 0.3 * (x / 2 + np.log(1 - np.exp(-x))), rel=1e-12)
    assert thermal.zero_point_energy == pytest.approx(molar * 0.3 * x / 2, rel=1e-12)


def test_heat_capacity_tends_to_three_n_k(rutile_modes):
    thermal = thermal_properties(rutile_modes.frequencies, rutile_modes.weights, np.array([0.0, 1e5]))
    without_acoustic = 3 / (18 * 4 * 4 * 6)  # the three zero modes at Γ
    assert thermal.heat_capacity_limit == pytest.approx(18 * BOLTZMANN_J_PER_K_MOL)
    assert thermal.heat_capacity[1] == pytest.approx(thermal.heat_capacity_limit * (1 - without_acoustic), rel=1e-5)
    assert thermal.entropy[0] == thermal.heat_capacity[0] == 0
    assert thermal.free_energy[0] == thermal.energy[0] == thermal.zero_point_energy


def test_energy_and_entropy_are_consistent(rutile_modes):
    temperatures = np.array([299.9, 300.0, 300.1])
    thermal = thermal_properties(rutile_modes.frequencies, rutile_modes.weights, temperatures)
    slope = (thermal.free_energy[2] - thermal.free_energy[0]) / 0.2 * 1e3
    assert -slope == pytest.approx(thermal.entropy[1], rel=1e-6)
    assert (thermal.energy[2] - thermal.energy[0]) / 0.2 * 1e3 == pytest.approx(thermal.heat_capacity[1], rel=1e-6)


def test_imaginary_modes_are_counted_and_left_out():
    frequencies = np.array([[-2.0, 1.0, 5.0], [-1.0, -0.5, 4.0]])
    thermal = thermal_properties(frequencies, np.array([0.25, 0.75]), np.array([1e6]))
    assert thermal.imaginary_modes == 3
    assert thermal.imaginary_share == pytest.approx((0.25 + 2 * 0.75) / 3)
    assert thermal.heat_capacity[0] == pytest.approx((0.25 * 2 + 0.75) * BOLTZMANN_J_PER_K_MOL, rel=1e-6)


def test_thermal_properties_are_those_of_phonopy(rutile):
    """With a mesh commensurate with the supercell, where phonopy has the same dynamical matrices."""
    phonon = to_phonopy(rutile, Supercell(rutile.crystal, np.diag([2, 2, 3])))
    mesh = mesh_modes(rutile, (2, 2, 3))
    thermal = thermal_properties(mesh.frequencies, mesh.weights, np.array([300.0]))
    phonon.run_mesh((2, 2, 3), is_gamma_center=True)
    theirs = phonon.run_thermal_properties(t_min=300, t_max=300, t_step=10, cutoff_frequency=1e-3)
    assert thermal.free_energy[0] == pytest.approx(theirs.free_energy[0], rel=1e-4)
    assert thermal.entropy[0] == pytest.approx(theirs.entropy[0], rel=1e-4)
    assert thermal.heat_capacity[0] == pytest.approx(theirs.heat_capacity[0], rel=1e-4)


def test_density_of_states_integrates_to_three_per_atom(rutile_modes):
    dos = density_of_states(rutile_modes)
    assert np.trapezoid(dos.total, dos.frequencies) == pytest.approx(18, rel=1e-4)
    assert dos.projected["Ti"] + dos.projected["O"] == pytest.approx(dos.total, abs=1e-9)
    assert np.trapezoid(dos.projected["Ti"], dos.frequencies) == pytest.approx(6, rel=1e-3)
    assert np.trapezoid(dos.projected["O"], dos.frequencies) == pytest.approx(12, rel=1e-3)


def test_symmetry_reduction_does_not_change_the_density_of_states(rutile, rutile_modes):
    full = np.stack(np.meshgrid(*[np.arange(n) / n for n in (4, 4, 6)], indexing="ij"), axis=-1).reshape(-1, 3)
    direct = np.sort(rutile.frequencies(full).ravel())
    reduced = np.sort(
        np.repeat(rutile_modes.frequencies, np.round(rutile_modes.weights * 96).astype(int), axis=0).ravel()
    )
    assert reduced == pytest.approx(direct, abs=1e-5)


def test_bands_at_gamma_have_the_splitting_of_their_direction(rutile):
    path = path_through(
        rutile.crystal, [(np.zeros(3), np.array([0, 0, 0.5])), (np.array([0.5, 0, 0]), np.zeros(3))],
        [("Γ", "Z"), ("X", "Γ")], spacing=0.05,
    )  # fmt: skip
    bands = dispersion(rutile, path=path)
    along_c = rutile.frequencies(np.zeros((1, 3)), np.array([0.0, 0, 1]))[0]
    along_a = rutile.frequencies(np.zeros((1, 3)), np.array([1.0, 0, 0]))[0]
    assert bands.frequencies[0] == pytest.approx(along_c, abs=1e-9)
    assert bands.frequencies[-1] == pytest.approx(along_a, abs=1e-9)
    assert np.abs(along_c - along_a).max() > 0.05
