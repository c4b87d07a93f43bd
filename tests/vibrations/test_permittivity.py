"""The infrared permittivity: closed forms, Kramers–Kronig, sum rules, LO modes, reflection, factorised form."""

import time

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mlrim.errors import UserError
from mlrim.vibrations.four_parameter import FourParameterForm, four_parameter_form
from mlrim.vibrations.gamma import gamma_modes
from mlrim.vibrations.infrared import InfraredModes, infrared_modes
from mlrim.vibrations.normal_modes import modes_along, transverse_modes
from mlrim.vibrations.optical_constants import (
    OpticalConstants,
    along,
    face_principal_axes,
    face_reflectivity,
    reflectivity,
)
from mlrim.vibrations.permittivity import Oscillators, lyddane_sachs_teller, oscillators
from tests.vibrations.ionic import magnesia, random_oscillators
from tests.vibrations.prototypes import prototype, symmetric_dynamics

Z = np.array([0.0, 0.0, 1.0])


def constants(model, grid, axis=Z):
    return OpticalConstants(grid, along(model.permittivity(grid), axis))


@pytest.mark.parametrize("seed", range(3))
def test_the_real_part_follows_from_the_imaginary_part_by_kramers_and_kronig(seed):
    """ε₁(ω) − ε∞ = (2/π) ∫ ω'ε₂(ω')/(ω'²−ω²) dω', with the pole taken out by subtraction; element by element."""
    model = random_oscillators(seed)
    grid = np.linspace(0, 20000, 200_001)[1:]
    imaginary = model.permittivity(grid).imag
    points = np.array([55.05, 310.05, 777.05])
    for value, expected in zip(points, model.permittivity(points), strict=True):
        subtracted = grid[:, None, None] * imaginary - value * expected.imag
        integral = np.trapezoid(subtracted / (grid**2 - value**2)[:, None, None], grid, axis=0)
        cut_off = expected.imag / 2 * np.log((grid[-1] - value) / (grid[-1] + value))
        found = 2 / np.pi * (integral + cut_off)
        assert found == pytest.approx(expected.real - model.electronic, abs=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(3))
def test_the_conductivity_obeys_the_f_sum_rule(seed):
    """∫ ω ε₂ dω = (π/2) Σ ω_p², tensor by tensor, whatever the damping."""
    model = random_oscillators(seed, overdamped=seed == 2)
    grid = np.concatenate([np.linspace(0, 5000, 100001), np.geomspace(5000, 1e8, 20001)[1:]])
    found = np.trapezoid(grid[:, None, None] * model.permittivity(grid).imag, grid, axis=0)
    assert found == pytest.approx(np.pi / 2 * model.couplings.T @ model.couplings, rel=1e-4, abs=10)


def test_the_static_permittivity_is_the_limit_of_the_dynamic_one():
    model = random_oscillators(4)
    assert model.permittivity(np.array([0.0]))[0] == pytest.approx(model.static.astype(complex))
    assert model.static - model.electronic == pytest.approx(model.contributions.sum(axis=0))
    assert model.permittivity(np.array([1e7]))[0] == pytest.approx(model.electronic.astype(complex), abs=1e-6)


def test_the_energy_loss_peaks_at_the_longitudinal_mode_and_the_absorption_at_the_transverse_one():
    grid = np.linspace(1, 1000, 99901)
    optical = constants(magnesia(1.0), grid)
    assert grid[np.argmax(optical.energy_loss)] == pytest.approx(718.07, abs=0.02)
    assert grid[np.argmax(optical.permittivity.imag)] == pytest.approx(401.0, abs=0.02)
    assert grid[np.argmax(optical.conductivity)] == pytest.approx(401.0, abs=0.02)
    ((start, end),) = optical.reststrahlen_bands
    assert (start, end) == (pytest.approx(401.0, abs=0.1), pytest.approx(718.07, abs=0.1))


@pytest.mark.parametrize("seed", range(3))
def test_undamped_longitudinal_frequencies_are_the_zeros_of_the_permittivity(seed):
    model = random_oscillators(seed)
    direction = np.random.default_rng(seed).normal(size=3)
    frequencies = model.longitudinal_frequencies(direction)
    undamped = Oscillators(model.electronic, model.frequencies, model.couplings, 0 * model.widths, np.zeros(0))
    values = along(undamped.permittivity(frequencies), direction)
    assert np.abs(values).max() < 1e-6
    assert np.prod((frequencies / model.frequencies) ** 2) == pytest.approx(
        float(along(model.static[None].astype(complex), direction)[0].real)
        / float(along(model.electronic[None].astype(complex), direction)[0].real)
    )


@pytest.mark.parametrize("name", ["rocksalt", "rutile", "wurtzite", "tetragonal BaTiO3", "corundum", "quartz"])
@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 0, 0), (0.3, -0.5, 0.9)])
def test_longitudinal_modes_of_the_dynamical_matrix_obey_lyddane_sachs_and_teller(name, direction):
    """Any direction of any crystal, stable or not; a wrong charge in one of the two routes shows."""
    dynamics = symmetric_dynamics(prototype(name))
    infrared = infrared_modes(transverse_modes(dynamics, gamma_modes(dynamics)), dynamics.dipole.born_charges)
    unit = np.array(direction, dtype=float)
    longitudinal = modes_along(dynamics, unit / np.linalg.norm(unit))
    check = lyddane_sachs_teller(infrared, dynamics.dipole.dielectric, longitudinal, unit)
    assert check.deviation < 1e-6
    assert check.stable == bool((infrared.frequencies > 0).all())
    wrong = infrared_modes(transverse_modes(dynamics, gamma_modes(dynamics)), 1.5 * dynamics.dipole.born_charges)
    assert lyddane_sachs_teller(wrong, dynamics.dipole.dielectric, longitudinal, unit).deviation > 1e-3


def test_imaginary_modes_are_left_out_and_named():
    frequencies = np.array([-120.0, 0.2, 300.0])
    infrared = InfraredModes(frequencies, np.eye(3), np.eye(3), 50.0)
    model = oscillators(infrared, 4 * np.eye(3), 10.0)
    assert model.frequencies.tolist() == [300.0]
    assert model.static.diagonal()[:2] == pytest.approx([4.0, 4.0])
    assert model.static[2, 2] > 4.0
    assert "2 mode(s)" in model.statement
    assert "(120i, 0 cm⁻¹)" in model.statement
    assert magnesia().statement == ""


def test_a_molecule_and_widths_that_are_not_positive_are_refused():
    molecule = InfraredModes(np.array([100.0]), np.ones((1, 3)), np.ones((1, 3)), None)
    with pytest.raises(ValueError, match="molecule"):
        oscillators(molecule, np.eye(3), 5.0)
    crystal = InfraredModes(np.array([100.0]), np.ones((1, 3)), np.ones((1, 3)), 20.0)
    with pytest.raises(ValueError, match="positive"):
        oscillators(crystal, np.eye(3), 0.0)


def test_optical_constants_are_those_of_one_complex_index():
    grid = np.linspace(1, 1500, 3000)
    optical = constants(magnesia(), grid)
    index = optical.refractive_index
    assert index**2 == pytest.approx(optical.permittivity)
    assert (index.imag >= 0).all()
    n, k = index.real, index.imag
    assert optical.reflectivity == pytest.approx(((n - 1) ** 2 + k**2) / ((n + 1) ** 2 + k**2))
    assert optical.absorption_coefficient == pytest.approx(4 * np.pi * grid * k)
    assert optical.conductivity == pytest.approx(grid * 2 * n * k / 59.9585, rel=1e-6)
    assert optical.energy_loss == pytest.approx(-(1 / optical.permittivity).imag)


def test_reflectivity_is_one_between_transverse_and_longitudinal_modes_without_damping():
    grid = np.linspace(402, 717, 500)
    assert constants(magnesia(1e-6), grid).reflectivity == pytest.approx(np.ones(500), abs=1e-6)
    static = constants(magnesia(), np.array([1e-6])).reflectivity[0]
    assert static == pytest.approx(((np.sqrt(9.48) - 1) / (np.sqrt(9.48) + 1)) ** 2, abs=1e-4)


def test_a_face_with_principal_axes_reflects_each_polarisation_as_its_axis():
    grid = np.linspace(10, 1200, 400)
    model = random_oscillators(1)
    couplings = np.diag([300.0, 500.0, 200.0])
    model = Oscillators(np.diag([3.0, 4.0, 5.0]), model.frequencies[:3], couplings, model.widths[:3], np.zeros(0))
    tensor = model.permittivity(grid)
    x, y, z = np.eye(3)
    for normal, axis in ((x, y), (x, z), (z, x), (y, z)):
        assert face_reflectivity(tensor, normal, axis) == pytest.approx(reflectivity(along(tensor, axis)))
    between = face_reflectivity(tensor, z, x + y)
    mean = (reflectivity(along(tensor, x)) + reflectivity(along(tensor, y))) / 2
    assert between == pytest.approx(mean)
    assert np.abs(between - reflectivity(along(tensor, x + y))).max() > 0.05


def test_rounding_does_not_turn_a_transparent_crystal_into_a_mirror():
    """Both axes in the face are alike, ε₂ is zero, and products with a turned cell leave noise in the tensor."""
    generator = np.random.default_rng(2)
    turned, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    tensors = (turned @ np.diag([8.8, 8.8, 9.7]) @ turned.T).astype(complex)[None].repeat(50, axis=0)
    noisy = tensors + 1e-15j * generator.normal(size=tensors.shape)
    expected = np.abs((np.sqrt(8.8) - 1) / (np.sqrt(8.8) + 1)) ** 2
    assert face_reflectivity(noisy, turned[:, 2], turned[:, 0]) == pytest.approx(expected, rel=1e-6)
    assert reflectivity(np.array([8.8 - 1e-16j, 8.8 + 0j])) == pytest.approx(expected)


def test_any_face_of_a_triclinic_crystal_reflects_as_the_waves_inside_it_demand():
    """Against the waves found from the impermeability ε⁻¹, whose part in the face they see."""
    grid = np.linspace(10, 1200, 60)
    tensor = random_oscillators(3).permittivity(grid)
    normal, field = np.array([0.3, -0.8, 0.5]), np.array([0.9, 0.2, -0.1])
    n = normal / np.linalg.norm(normal)
    u = field - n * (field @ n)
    u /= np.linalg.norm(u)
    frame = np.array([u, np.cross(n, u)])
    expected = []
    for matrix in tensor:
        impermeability = frame @ np.linalg.inv(matrix) @ frame.T
        index = sqrtm(np.linalg.inv(impermeability))
        values, vectors = np.linalg.eig(index)
        index = vectors @ np.diag(np.where(values.imag < 0, -values, values)) @ np.linalg.inv(vectors)
        reflected = np.linalg.inv(np.eye(2) + index) @ (np.eye(2) - index) @ np.array([1.0, 0.0])
        expected.append(np.sum(np.abs(reflected) ** 2))
    found = face_reflectivity(tensor, normal, field)
    assert found == pytest.approx(np.array(expected), rel=1e-9)
    assert found.max() <= 1
    with pytest.raises(ValueError, match="along its normal"):
        face_reflectivity(tensor, normal, 2 * normal)


def test_a_face_shows_the_axes_of_the_tensor_that_lie_in_it():
    first, second = face_principal_axes(np.diag([2.0, 3.0, 4.0]), Z)
    assert np.abs(first) == pytest.approx([1, 0, 0])
    assert np.abs(second) == pytest.approx([0, 1, 0])


@pytest.mark.parametrize("overdamped", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_factorised_form_is_the_same_function_as_the_sum(seed, overdamped):
    model = random_oscillators(seed, overdamped=overdamped)
    grid = np.linspace(0, 1500, 500)
    axis = np.random.default_rng(seed).normal(size=3)
    form = four_parameter_form(model, axis)
    assert form.permittivity(grid) == pytest.approx(along(model.permittivity(grid), axis), rel=1e-9)
    assert form.static == pytest.approx(along(model.static[None].astype(complex), axis)[0].real)
    assert form.longitudinal_widths.sum() == pytest.approx(form.transverse_widths.sum())


def test_the_factorised_form_lists_every_level_once_and_only_what_the_axis_sees():
    form = four_parameter_form(magnesia(8.0), np.array([1.0, 1.0, 0.0]))
    assert form.transverse.tolist() == [401.0]
    assert form.longitudinal == pytest.approx([718.07], abs=0.005)
    assert form.longitudinal_widths == pytest.approx([8.0])
    blind = Oscillators(2 * np.eye(3), np.array([300.0]), np.array([[100.0, 0, 0]]), np.array([5.0]), np.zeros(0))
    nothing = four_parameter_form(blind, Z)
    assert len(nothing.transverse) == 0
    assert nothing.permittivity(np.array([0.0, 100.0])) == pytest.approx(np.array([2, 2], dtype=complex))


def test_strengths_of_the_factorised_form_are_those_of_the_sum():
    model = random_oscillators(2)
    narrow = Oscillators(model.electronic, model.frequencies, model.couplings, 0 * model.widths + 1e-9, np.zeros(0))
    form = four_parameter_form(narrow, Z)
    assert form.contributions == pytest.approx(model.contributions[:, 2, 2], rel=1e-6)
    assert form.static == pytest.approx(form.electronic + form.contributions.sum())


def test_measured_sets_of_modes_that_cannot_be_factorised_are_refused():
    one, two = np.array([100.0]), np.array([100.0, 200.0])
    with pytest.raises(UserError, match="2 TO and 1 LO modes"):
        FourParameterForm(3.0, two, two, one, one)
    with pytest.raises(UserError, match="must be positive"):
        FourParameterForm(3.0, one, one, one, 0 * one)


def test_a_large_cell_takes_milliseconds():
    """Sixty atoms, 2000 points, tensor and all constants; the limit is ten times what one core needs."""
    model = random_oscillators(0, count=177)
    grid = np.linspace(0, 1200, 2000)
    constants(model, grid)
    start = time.perf_counter()
    optical = constants(model, grid)
    assert len(optical.reflectivity) == len(optical.energy_loss) == len(optical.absorption_coefficient)
    assert time.perf_counter() - start < 0.3
