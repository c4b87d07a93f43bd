"""Line shapes: widths are FWHM, areas are kept on every grid, Voigt and damped oscillators against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, wofz

from mlrim.errors import UserError
from mlrim.vibrations.line_shapes import (
    FWHM_PER_SIGMA,
    SHAPES,
    broaden,
    damped_oscillator,
    damped_oscillator_scattering,
    gaussian,
    lorentzian,
    resolved,
)
from mlrim.vibrations.line_widths import mode_widths

FINE = np.linspace(0, 1000, 20001)


def one_line(shape, position=500.0, width=20.0, grid=FINE, instrument=0.0):
    return broaden(np.array([position]), np.array([1.0]), width, grid, shape, instrument)


def full_width(grid, values):
    above = np.flatnonzero(values > values.max() / 2)
    low, high = above[0], above[-1]
    rise = np.interp(values.max() / 2, values[low - 1 : low + 1], grid[low - 1 : low + 1])
    fall = np.interp(-values.max() / 2, -values[high : high + 2], grid[high : high + 2])
    return fall - rise


@pytest.mark.parametrize("shape", ["lorentzian", "gaussian", "voigt", "damped_oscillator"])
def test_the_width_of_every_shape_is_the_full_width_at_half_maximum(shape):
    grid = np.linspace(-500, 1500, 40001)
    assert full_width(grid, one_line(shape, grid=grid)) == pytest.approx(20.0, abs=1e-3)


def test_an_instrument_widens_a_gaussian_in_quadrature():
    assert full_width(FINE, one_line("gaussian", width=12.0, instrument=16.0)) == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize(
    ("shape", "closed_form"),
    [
        ("lorentzian", lambda x: lorentzian(x - 500, 20.0) + lorentzian(x + 500, 20.0)),
        ("gaussian", lambda x: gaussian(x - 500, 20.0)),
        ("damped_oscillator", lambda x: damped_oscillator(x, 500.0, 20.0)),
        ("damped_oscillator_scattering", lambda x: damped_oscillator_scattering(x, 500.0, 20.0)),
    ],
)
def test_on_a_fine_grid_the_spectrum_is_the_closed_form(shape, closed_form):
    expected, cell = closed_form(FINE), FINE[1] - FINE[0]
    curvature = cell**2 / 3 / 20.0**2  # what the mean over a cell differs by at the top of a Lorentzian
    assert one_line(shape)[1:-1] == pytest.approx(expected[1:-1], abs=1.01 * curvature * expected.max())


@pytest.mark.parametrize("instrument", [0.5, 7.0, 60.0])
def test_a_lorentzian_seen_by_an_instrument_is_a_voigt_profile(instrument):
    sigma, grid = instrument / FWHM_PER_SIGMA, np.linspace(400, 600, 20001)
    centres = np.array([[500.0], [-500.0]])  # the line and its image
    expected = wofz((grid - centres + 10j) / sigma / np.sqrt(2)).real.sum(axis=0) / (sigma * np.sqrt(2 * np.pi))
    assert one_line("lorentzian", grid=grid, instrument=instrument)[1:-1] == pytest.approx(expected[1:-1], rel=2e-5)


@pytest.mark.parametrize(("position", "width"), [(40.0, 10.0), (36.0, 180.0), (50.0, 100.0), (10.0, 30.0)])
@pytest.mark.parametrize("shape", ["damped_oscillator", "damped_oscillator_scattering"])
def test_an_instrument_convolves_a_damped_oscillator_with_its_gaussian(shape, position, width):
    """Underdamped, overdamped and critical: against the convolution done numerically."""
    grid = np.linspace(-1200, 1200, 24001)
    closed_form = damped_oscillator if shape == "damped_oscillator" else damped_oscillator_scattering
    kernel = gaussian(np.arange(-1000, 1001) * 0.1, 12.0) * 0.1
    expected = np.convolve(closed_form(grid, position, width), kernel, mode="same")[12001:18000]
    found = one_line(shape, position, width, np.linspace(0, 1200, 12001), instrument=12.0)[1:6000]
    assert found == pytest.approx(expected, abs=2e-4 * expected.max())


def test_an_oscillator_without_restoring_force_absorbs_as_free_charges_do():
    spectrum = one_line("damped_oscillator", 0.0, 30.0)
    assert spectrum[1:-1] == pytest.approx(2 * lorentzian(FINE[1:-1], 60.0), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    position=st.floats(0.5, 900),
    width=st.floats(0.2, 300),
    instrument=st.sampled_from([0.0, 2.0, 40.0]),
    points=st.integers(2, 200),
    seed=st.integers(0, 99),
)
def test_areas_are_kept_on_any_grid_and_next_to_zero(shape, position, width, instrument, points, seed):
    """The trapezoidal sum over coarse, uneven grids is the area, also of lines that are wider than their position."""
    inner = np.random.default_rng(seed).uniform(0.1, 4000, points)
    grid = np.concatenate([[0.0], np.unique(np.round(inner, 3)), [4e6]])
    spectrum = broaden(np.array([position]), np.array([3.0]), width, grid, shape, instrument)
    assert np.trapezoid(spectrum, grid) == pytest.approx(3.0, rel=2e-4)
    assert spectrum.min() >= -1e-12 * spectrum.max()


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_line_far_narrower_than_the_grid_goes_into_its_cell(shape):
    grid = np.arange(0.0, 1001.0, 50.0)
    spectrum = one_line(shape, 512.0, 0.01, grid)
    assert spectrum[10] * 50 == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_anti_stokes_lines_mirror_stokes_lines(shape):
    grid = np.linspace(-800, 800, 1601)
    stokes, anti = one_line(shape, 300.0, 30.0, grid, 5.0), one_line(shape, -300.0, 30.0, grid, 5.0)
    assert anti[::-1] == pytest.approx(stokes, abs=1e-12)


def test_an_overdamped_mode_absorbs_around_its_relaxation_and_fluctuates_at_zero():
    """The scattering form of an overdamped mode is a central peak of half width ω₀²/Γ."""
    grid = np.linspace(0, 200, 20001)
    spectrum = one_line("damped_oscillator_scattering", 36.0, 360.0, grid)
    assert np.argmax(spectrum[1:]) == 0
    assert np.interp(-spectrum[1] / 2, -spectrum[1:], grid[1:]) == pytest.approx(36.0**2 / 360.0, rel=0.02)


def test_several_spectra_are_broadened_at_once_and_silent_lines_do_not_matter():
    positions, widths = np.array([100.0, 200.0, 300.0]), np.array([5.0, 10.0, 20.0])
    areas = np.array([[1.0, 0.0, 2.0], [0.5, 0.0, 0.0]])
    both = broaden(positions, areas, widths, FINE, "voigt")
    one_by_one = [broaden(positions, row, widths, FINE, "voigt") for row in areas]
    assert both == pytest.approx(np.array(one_by_one))
    assert not broaden(positions, np.zeros(3), widths, FINE).any()


def test_a_resolved_step_is_an_error_function_and_a_resolved_line_a_voigt_profile():
    grid = np.concatenate([np.linspace(0, 480, 961)[:-1], np.linspace(480, 1000, 2081)])
    step = resolved(grid, (grid > 500).astype(float), 20.0)
    assert step == pytest.approx(ndtr((grid - 500.125) * FWHM_PER_SIGMA / 20.0), abs=2e-3)
    line = resolved(grid, lorentzian(grid - 500, 10.0) + lorentzian(grid + 500, 10.0), 20.0)
    assert line[800:-800] == pytest.approx(one_line("lorentzian", 500.0, 10.0, grid, 20.0)[800:-800], rel=2e-3)
    assert resolved(grid, line, 0.0) is line


def test_mistakes_are_named():
    with pytest.raises(UserError, match=r"shape 'lorentz' is unknown; choose one of lorentzian, gaussian, voigt"):
        one_line("lorentz")
    with pytest.raises(UserError, match="must be positive"):
        one_line("gaussian", width=-1.0)
    with pytest.raises(UserError, match="instrument"):
        one_line("gaussian", instrument=-1.0)
    with pytest.raises(ValueError, match="imaginary"):
        one_line("gaussian", position=-50.0)
    with pytest.raises(ValueError, match="ascending"):
        one_line("gaussian", grid=np.array([0.0, 0.0]))


FREQUENCIES = np.array([300.0, 100.0, 200.0])


def test_widths_come_from_a_number_a_list_or_a_file(tmp_path):
    assert mode_widths(8, FREQUENCIES).tolist() == [8.0] * 3
    assert mode_widths([3.0, 1.0, 2.0], FREQUENCIES).tolist() == [3.0, 1.0, 2.0]
    path = tmp_path / "widths.txt"
    path.write_text("# FWHM, ascending\n1.0\n2.0  # the second\n\n3.0\n")
    assert mode_widths(path, FREQUENCIES).tolist() == [3.0, 1.0, 2.0]
    path.write_text("250, 20\n150, 10\n")
    assert mode_widths(str(path), FREQUENCIES).tolist() == [20.0, 10.0, 15.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n2\n", "2 widths, but the structure has 3 optical modes"),
        ("1\n2\nten\n", "line 3: 'ten' is not numbers"),
        ("1 2\n3\n", "line 2: 1 columns"),
        ("1 2 3\n", "line 1: 3 columns"),
        ("100 -4\n", "must be a positive number .* got -4"),
        ("100 nan\n", "got nan"),
        ("# nothing\n", "holds no numbers"),
    ],
)
def test_width_files_that_cannot_be_used_say_why(tmp_path, content, message):
    path = tmp_path / "widths.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        mode_widths(path, FREQUENCIES)


def test_missing_and_binary_width_files_and_short_lists_say_why(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        mode_widths(tmp_path / "none.txt", FREQUENCIES)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text file"):
        mode_widths(tmp_path / "binary", FREQUENCIES)
    with pytest.raises(UserError, match="2 line widths for 3 optical modes"):
        mode_widths([1.0, 2.0], FREQUENCIES)
    with pytest.raises(UserError, match="got 0"):
        mode_widths(0.0, FREQUENCIES)
