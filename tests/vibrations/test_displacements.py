"""Thermal motion against phonopy and closed formulas; Debye temperatures; thermal properties per formula unit."""

import numpy as np
import pytest

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import space_group
from mlrim.report.phonopy_files import to_phonopy
from mlrim.units import BOLTZMANN_J_PER_K_MOL
from mlrim.vibrations.debye import debye_heat_capacity, debye_temperature, equivalent_debye_temperatures
from mlrim.vibrations.density_of_states import MeshModes, mesh_modes, refined_at_gamma
from mlrim.vibrations.displacements import cif_tensors, mean_square_displacements
from mlrim.vibrations.thermal import formula_units, thermal_properties
from tests.vibrations.prototypes import prototype, symmetric_dynamics

TEMPERATURES = np.array([0.0, 100.0, 300.0, 1000.0])


@pytest.fixture(scope="module")
def rutile():
    return symmetric_dynamics(prototype("rutile"))


@pytest.fixture(scope="module")
def quartz():
    return symmetric_dynamics(prototype("quartz"), seed=2)


def displacements(dynamics, modes, temperatures=TEMPERATURES):
    return mean_square_displacements(modes, dynamics.crystal, space_group(dynamics.crystal), temperatures)


@pytest.mark.parametrize(("name", "mesh"), [("rutile", (2, 2, 3)), ("quartz", (2, 2, 2))])
def test_displacement_tensors_are_those_of_phonopy(name, mesh, request):
    """On a mesh commensurate with the supercell, without the zero modes at Γ; Cartesian and CIF components."""
    dynamics = request.getfixturevalue(name)
    phonon = to_phonopy(dynamics, Supercell(dynamics.crystal, np.diag(mesh)))
    phonon.run_mesh(mesh, is_gamma_center=True, with_eigenvectors=True, is_mesh_symmetry=False)
    theirs = phonon.run_thermal_displacement_matrices(temperatures=TEMPERATURES, freq_min=1e-2)
    ours = displacements(dynamics, mesh_modes(dynamics, mesh))
    expected = np.array(theirs.thermal_displacement_matrices)
    assert ours.tensors == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())
    in_cif = np.array(theirs.thermal_displacement_matrices_cif)
    assert cif_tensors(ours.tensors, dynamics.crystal) == pytest.approx(in_cif, abs=1e-4 * np.abs(in_cif).max())
    assert ours.omitted_share == pytest.approx(3 / (3 * dynamics.crystal.n_atoms * np.prod(mesh)))


def test_tensors_have_the_symmetry_of_their_sites(rutile):
    """In rutile the principal axes of O lie along and across the Ti–O bond in the plane; Ti is equal for both atoms."""
    found = displacements(rutile, mesh_modes(rutile, (4, 4, 6)))
    titanium, oxygen = found.tensors[2, 0], found.tensors[2, 2]
    across = np.array([1, -1, 0]) / np.sqrt(2)
    if np.abs(oxygen @ across - (across @ oxygen @ across) * across).max() > 1e-9:
        across = np.array([1, 1, 0]) / np.sqrt(2)
    for tensor in (titanium, oxygen):
        assert tensor[2, :2] == pytest.approx(0, abs=1e-12)
        assert tensor @ across == pytest.approx((across @ tensor @ across) * across, abs=1e-12)
    assert np.sort(np.linalg.eigvalsh(found.tensors[2, 0])) == pytest.approx(
        np.sort(np.linalg.eigvalsh(found.tensors[2, 1])), rel=1e-9
    )


def test_an_oscillator_has_the_closed_formulas():
    """u² = ħ/(2 m ω) coth(ħω/2kT): 0.505379 Å² for 1 amu and 1 THz at rest, kT/(m ω²) when it is hot."""
    crystal = Crystal(4 * np.eye(3), np.zeros((1, 3)), np.array([6]), np.array([12.0]))
    modes = MeshModes((1, 1, 1), np.zeros((1, 3)), np.ones(1), np.full((1, 3), 5.0), {}, np.eye(3)[None] + 0j)
    found = mean_square_displacements(modes, crystal, space_group(crystal), np.array([0.0, 300.0, 1e5]))
    at_rest = 0.505379 / 12 / 5
    x = 47.9924307 * 5 / 300
    assert found.isotropic[0] == pytest.approx([at_rest], rel=1e-6)
    assert found.isotropic[1] == pytest.approx([at_rest / np.tanh(x / 2)], rel=1e-6)
    hot = 1.380649e-23 * 1e5 / (12 * 1.66053906660e-27 * (2 * np.pi * 5e12) ** 2) * 1e20
    assert found.isotropic[2] == pytest.approx([hot], rel=1e-5)
    assert found.b_factors[0] == pytest.approx([8 * np.pi**2 * at_rest], rel=1e-6)
    assert found.omitted_share == 0


def test_refining_gamma_brings_a_coarse_mesh_near_a_fine_one(rutile):
    coarse, fine = mesh_modes(rutile, (4, 4, 6)), mesh_modes(rutile, (12, 12, 18))
    limit = displacements(rutile, refined_at_gamma(rutile, fine)).isotropic[2]
    plain = displacements(rutile, coarse)
    refined = displacements(rutile, refined_at_gamma(rutile, coarse))
    assert np.abs(plain.isotropic[2] / limit - 1).max() > 0.04
    assert np.abs(refined.isotropic[2] / limit - 1).max() < 0.012
    assert refined.omitted_share == pytest.approx(plain.omitted_share / 27**3, rel=1e-6)


@pytest.mark.parametrize("name", ["fluorite", "wurtzite", "corundum", "rutile", "GdFeO3", "baddeleyite"])
def test_refining_gamma_with_symmetry_is_refining_it_without(name):
    """All lattices, also those whose reciprocal cell is not mapped onto itself by the point group."""
    dynamics = symmetric_dynamics(prototype(name))
    shape = (3, 3, 2) if name in ("wurtzite", "rutile", "GdFeO3", "baddeleyite") else (3, 3, 3)
    refined = refined_at_gamma(dynamics, mesh_modes(dynamics, shape), levels=1)
    steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    points = steps[np.any(steps != 0, axis=1)] / (3 * np.array(shape))
    inner = refined.weights[len(mesh_modes(dynamics, shape).weights) :] * 27 * np.prod(shape)
    listed = np.sort(np.repeat(refined.frequencies[-len(inner) :], np.round(inner).astype(int), axis=0), axis=None)
    assert inner == pytest.approx(np.round(inner))
    assert listed == pytest.approx(np.sort(dynamics.frequencies(points), axis=None), abs=1e-6)
    assert refined.weights.sum() == pytest.approx(1)


def test_imaginary_modes_are_left_out_and_stated():
    crystal = Crystal(4 * np.eye(3), np.zeros((1, 3)), np.array([6]))
    frequencies = np.array([[-2.0, 3.0, 4.0]])
    modes = MeshModes((1, 1, 1), np.zeros((1, 3)), np.ones(1), frequencies, {}, np.eye(3)[None] + 0j)
    found = mean_square_displacements(modes, crystal, space_group(crystal), np.array([300.0]))
    assert found.imaginary_share == found.omitted_share == pytest.approx(1 / 3)
    assert np.all(found.isotropic > 0)


def test_cif_components_of_a_hexagonal_crystal():
    """An isotropic tensor has U11 = U22 = 2 U12 = U in hexagonal axes."""
    crystal = prototype("wurtzite")
    tensors = 0.01 * np.broadcast_to(np.eye(3), (crystal.n_atoms, 3, 3))
    assert cif_tensors(tensors, crystal)[0] == pytest.approx(
        0.01 * np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]), abs=1e-9
    )


def test_a_debye_solid_has_its_own_debye_temperature():
    """A spectrum g ∝ ν² up to 8 THz, three modes at each: θ = 47.9924 · 8 K by both definitions."""
    frequencies = np.cbrt((np.arange(40000) + 0.5) / 40000)[:, None] * 8 * np.ones(3)
    weights = np.full(40000, 1 / 40000)
    theta = 47.9924307 * 8
    assert debye_temperature(frequencies, weights) == pytest.approx(theta, rel=1e-6)
    thermal = thermal_properties(frequencies, weights, np.array([0.0, 60.0, 150.0, 400.0, 3000.0]))
    found = equivalent_debye_temperatures(thermal)
    assert found[1:4] == pytest.approx(np.full(3, theta), rel=2e-3)
    assert np.isnan(found[[0, 4]]).all()
    capacity = [debye_heat_capacity(value / theta) * 3 * BOLTZMANN_J_PER_K_MOL for value in (60.0, 150.0, 400.0)]
    assert thermal.heat_capacity[1:4] == pytest.approx(capacity, rel=1e-3)


def test_thermal_properties_per_formula_unit_and_per_atom(rutile):
    modes = mesh_modes(rutile, (4, 4, 6))
    cell = thermal_properties(modes.frequencies, modes.weights, np.array([300.0, 1e5]))
    assert formula_units(rutile.crystal) == 2
    unit = cell.per(formula_units(rutile.crystal))
    assert unit.heat_capacity_limit == pytest.approx(9 * BOLTZMANN_J_PER_K_MOL)
    assert unit.entropy * 2 == pytest.approx(cell.entropy)
    assert unit.zero_point_energy * 2 == pytest.approx(cell.zero_point_energy)
    assert cell.per(6).heat_capacity[1] == pytest.approx(3 * BOLTZMANN_J_PER_K_MOL, rel=2e-3)
    assert unit.temperatures is cell.temperatures
