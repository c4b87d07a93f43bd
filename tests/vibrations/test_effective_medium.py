"""Powders: Fröhlich modes of small particles, closed forms, bounds, orientation, solutions that absorb."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlrim.errors import UserError
from mlrim.vibrations.effective_medium import (
    METHODS,
    bruggeman,
    crystal_density,
    depolarization,
    maxwell_garnett,
    plane_normal,
    powder_spectrum,
    volume_fraction,
    zone_axis,
)
from mlrim.vibrations.matrices import MATRICES, constant_matrix, matrix_named
from mlrim.vibrations.permittivity import Oscillators
from tests.vibrations.ionic import magnesia, random_oscillators

GRID = np.linspace(300, 800, 5001)
Z = np.array([0.0, 0.0, 1.0])


def magnesia_powder(fraction=0.001, shape="sphere", method="maxwell-garnett", matrix=None, width=2.0):
    tensor = magnesia(width).permittivity(GRID)
    return powder_spectrum(GRID, tensor, 18.68, matrix or constant_matrix(2.25, 2.75), fraction, shape, Z, method)


def crossing(condition):
    """Wavenumber at which ε₁ of MgO takes a value, between TO and LO."""
    real = magnesia(2.0).permittivity(GRID)[:, 0, 0].real
    between = GRID > 402
    return np.interp(condition, real[between], GRID[between])


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize(("shape", "condition"), [("sphere", -2 * 2.25), ("needle", -2.25)])
def test_few_small_particles_absorb_at_their_froehlich_mode(shape, condition, method):
    """ε₁ = −2ε_m for spheres, −ε_m across needles: between TO and LO; needles also absorb at TO along their axis."""
    absorption = magnesia_powder(1e-4, shape, method).absorption_coefficient
    between = GRID > 450
    assert GRID[between][np.argmax(absorption[between])] == pytest.approx(crossing(condition), abs=0.5)
    at_transverse = absorption[np.abs(GRID - 401) < 5].max() / absorption.max()
    assert at_transverse < 0.01 if shape == "sphere" else at_transverse > 0.3


def test_plates_absorb_at_transverse_and_longitudinal_modes_only():
    """The field across a thin plate is D: it finds LO (for small amounts), the field in its plane finds TO."""
    absorption = magnesia_powder(1e-5, "plate").absorption_coefficient
    peaks = GRID[1:-1][(absorption[1:-1] > absorption[:-2]) & (absorption[1:-1] > absorption[2:])]
    assert peaks == pytest.approx([401.0, 718.1], abs=0.3)


def test_the_absorption_of_few_spheres_is_that_of_a_dipole():
    """α = f ω/√ε_m · 9 ε_m² ε₂ / |ε + 2ε_m|² (Bohren and Huffman, eq. 5.10), in units of 2π/λ."""
    fraction = 1e-6
    tensor = magnesia(2.0).permittivity(GRID)[:, 0, 0]
    expected = fraction * 2 * np.pi * GRID * 9 * 2.25**1.5 * tensor.imag / np.abs(tensor + 4.5) ** 2
    assert magnesia_powder(fraction).absorption_coefficient == pytest.approx(expected, rel=1e-3)


def test_bruggeman_spheres_have_the_closed_form():
    """2ε² − bε − ε₁ε₂ = 0 with b = (3f₁−1)ε₁ + (3f₂−1)ε₂, the root that absorbs; also beyond percolation."""
    particle = magnesia(2.0).permittivity(GRID[::10])
    matrix = np.full(len(particle), 2.25 + 0j)
    for fraction in (0.05, 0.33, 0.6, 0.97):
        inside = particle[:, 0, 0]
        linear = (3 * fraction - 1) * inside + (2 - 3 * fraction) * matrix
        root = np.sqrt(linear**2 + 8 * inside * matrix)
        options = np.array([linear + root, linear - root]) / 4
        expected = options[np.argmax(options.imag, axis=0), np.arange(len(particle))]
        assert bruggeman(particle, matrix, fraction, np.eye(3) / 3) == pytest.approx(expected, rel=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 30),
    damping=st.sampled_from([0.001, 0.1, 1.0]),
    fraction=st.floats(0.001, 0.999),
    shape=st.sampled_from(["sphere", "plate", "needle"]),
    method=st.sampled_from(sorted(METHODS)),
)
def test_every_mixture_absorbs(seed, damping, fraction, shape, method):
    """Im ε > 0 for any crystal, shape and line width, by Bruggeman in any amount; it solves its equation."""
    if method == "maxwell-garnett" and shape != "sphere":
        fraction /= 10
    grid = np.linspace(20, 1400, 100)
    model = random_oscillators(seed)
    particle = replace(model, widths=damping * model.widths).permittivity(grid)
    matrix, factors = np.full(len(grid), 2.3 + 0j), depolarization(shape, np.array([0.2, 0.7, -0.4]))
    mixed = METHODS[method](particle, matrix, fraction, factors)
    assert (mixed.imag > 0).all()
    if method == "bruggeman":
        unit = np.eye(3)
        effective = mixed[:, None, None] * unit
        total = 0
        for share, inside in ((fraction, particle), (1 - fraction, matrix[:, None, None] * unit)):
            contrast = inside - effective
            total += share * np.trace(contrast @ np.linalg.inv(effective + factors @ contrast), axis1=1, axis2=2)
        assert np.abs(total).max() < 1e-6


def test_maxwell_garnett_refuses_amounts_for_which_it_would_create_light():
    """Plates at random orientation in large amounts: the formula leaves the range of passive media."""
    grid, axis = np.linspace(20, 1400, 300), np.array([0.2, 0.7, -0.4])
    tensor = random_oscillators(0).permittivity(grid)
    assert (maxwell_garnett(tensor, np.full(300, 2.3 + 0j), 0.75, depolarization("plate", axis)).imag < 0).any()
    with pytest.raises(UserError, match="does not hold for 75 % plates; use bruggeman"):
        powder_spectrum(grid, tensor, 50.0, constant_matrix(2.3, 1.0), 0.75, "plate", axis)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("shape", ["sphere", "plate", "needle"])
def test_turning_crystal_and_particle_together_changes_nothing(shape, method):
    grid = np.linspace(50, 1000, 200)
    model = random_oscillators(5)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = Oscillators(
        turn @ model.electronic @ turn.T, model.frequencies, model.couplings @ turn.T, model.widths, np.zeros(0)
    )
    before, after = (
        powder_spectrum(grid, item.permittivity(grid), 50.0, MATRICES["KBr"], 0.2, shape, axis, method).permittivity
        for item, axis in ((model, Z), (turned, turn @ Z))
    )
    assert after == pytest.approx(before, rel=1e-8)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_mean_over_orientations_is_what_the_formula_says(method):
    """Against particles turned one by one over a fine set of directions, for few anisotropic needles."""
    grid = np.linspace(100, 900, 50)
    particle, fraction, outside = random_oscillators(2).permittivity(grid), 1e-7, 2.3
    factors = depolarization("needle", np.array([1.0, 2.0, 0.5]))
    generator = np.random.default_rng(0)
    mean = np.zeros(len(grid), dtype=complex)
    for _ in range(400):
        turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        contrast = turn @ (particle - outside * np.eye(3)) @ turn.T
        field = np.linalg.inv(np.eye(3) + turn @ factors @ turn.T @ contrast / outside)
        mean += np.trace(contrast @ field, axis1=1, axis2=2) / 3 / 400
    mixed = METHODS[method](particle, np.full(len(grid), outside + 0j), fraction, factors)
    assert (mixed - outside) / fraction == pytest.approx(mean, rel=1e-3, abs=1e-3 * np.abs(mean).max())


def test_without_contrast_the_mixture_is_the_material():
    uniform = np.broadcast_to((2.25 + 0.1j) * np.eye(3), (100, 3, 3)).copy()
    matrix = np.full(100, 2.25 + 0.1j)
    for shape in ("sphere", "plate", "needle"):
        for mix in (maxwell_garnett, bruggeman):
            assert mix(uniform, matrix, 0.3, depolarization(shape, Z)) == pytest.approx(matrix, rel=1e-9)


def test_molar_absorption_and_transmission_follow_from_one_coefficient():
    powder = magnesia_powder(0.01)
    absorption = powder.absorption_coefficient
    assert powder.concentration == pytest.approx(0.01 * 1e27 / (18.68 * 6.02214076e23))
    assert powder.molar_absorption * powder.concentration == pytest.approx(absorption)
    assert powder.decadic_molar_absorption * np.log(10) == pytest.approx(powder.molar_absorption)
    assert powder.internal_transmission(0.5) == pytest.approx(np.exp(-absorption * 0.05))
    assert -np.log10(powder.internal_transmission(0.5)) == pytest.approx(powder.absorbance(0.5))
    assert (powder.transmission(0.5) < powder.internal_transmission(0.5)).all()
    clear = powder_spectrum(GRID, np.full((5001, 3, 3), 0j) + 2.25 * np.eye(3), 10.0, constant_matrix(2.25, 1), 0.5)
    lost = ((1.5 - 1) / (1.5 + 1)) ** 2
    assert clear.transmission(1.0) == pytest.approx((1 - lost) / (1 + lost))


def test_amounts_by_mass_become_amounts_by_volume():
    density = crystal_density(np.array([24.305, 15.999]), 18.68)
    assert density == pytest.approx(3.58, abs=0.01)
    assert volume_fraction(0.5, 2.0, 2.0) == 0.5
    assert volume_fraction(0.01, density, 2.75) == pytest.approx(0.00769, abs=1e-5)


def test_planes_and_zones_have_their_directions():
    hexagonal = np.array([[3.0, 0, 0], [-1.5, 1.5 * np.sqrt(3), 0], [0, 0, 5.0]])
    assert plane_normal(hexagonal, (0, 0, 2)) == pytest.approx(Z)
    assert plane_normal(hexagonal, (1, 0, 0)) == pytest.approx([np.sqrt(3) / 2, 0.5, 0])
    assert zone_axis(hexagonal, (1, 0, 0)) == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(
    ("name", "wavelength", "index"),
    [("KBr", 10.0, 1.526), ("NaCl", 10.0, 1.495), ("KCl", 10.0, 1.457), ("CsI", 10.0, 1.739)],
)
def test_matrices_have_the_tabulated_refractive_index(name, wavelength, index):
    """At 10 μm: values of the tables in Li (1976), as quoted by makers of windows."""
    found = np.sqrt(MATRICES[name].permittivity(np.array([1e4 / wavelength])))
    assert found == pytest.approx([index], abs=1.5e-3)


def test_a_matrix_says_where_it_does_not_transmit():
    assert MATRICES["KBr"].warning(np.array([450.0, 1000.0])) == ""
    assert "from 400 to 40000 cm⁻¹" in MATRICES["KBr"].warning(np.array([100.0, 1000.0]))
    assert "722 cm⁻¹" in MATRICES["Nujol"].warning(np.array([100.0, 1000.0]))
    low = MATRICES["KBr"].permittivity(np.array([10.0, 1e4 / 42]))
    assert low[0] == low[1]


def test_mistakes_are_named():
    with pytest.raises(UserError, match=r"matrix 'kbr2' is unknown; choose one of KBr, KCl"):
        matrix_named("kbr2")
    assert matrix_named("csi ").name == "CsI"
    with pytest.raises(UserError, match="ε is at least one"):
        constant_matrix(0.5, 1.0)
    with pytest.raises(UserError, match="shape 'rod' is unknown; choose one of sphere, plate, needle"):
        depolarization("rod")
    with pytest.raises(UserError, match="'plate' need a direction: give the normal"):
        depolarization("plate")
    with pytest.raises(UserError, match="method 'mie' is unknown"):
        magnesia_powder(method="mie")
    with pytest.raises(UserError, match="between 0 and 1, got 1.5"):
        magnesia_powder(1.5)
    with pytest.raises(UserError, match="mass fraction"):
        volume_fraction(0.0, 1.0, 1.0)


def test_a_powder_takes_milliseconds():
    """2000 points of an anisotropic crystal; the limits are several times what one core needs."""
    grid = np.linspace(50, 1200, 2000)
    particle = random_oscillators(0, count=177).permittivity(grid)
    for method, limit in (("maxwell-garnett", 0.1), ("bruggeman", 1.0)):
        start = time.perf_counter()
        powder_spectrum(grid, particle, 600.0, MATRICES["KBr"], 0.1, "plate", Z, method)
        assert time.perf_counter() - start < limit
