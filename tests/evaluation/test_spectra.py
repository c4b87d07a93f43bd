"""Similarity of Raman spectra: what it sees and what it does not."""

import numpy as np
import pytest

from mlrim.evaluation.spectra import (
    compare_raman,
    cosine,
    lines_spectrum,
    powder_grid,
    powder_spectrum,
    spectral_displacements,
)
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.raman import differential_cross_sections, mode_raman_tensors

FREQUENCIES = np.array([-50.0, 150.0, 400.0, 700.0, 900.0, 1200.0])


def molecule() -> NormalModes:
    """Two atoms whose six coordinates are the modes."""
    return NormalModes(FREQUENCIES, np.eye(6), np.array([10.0, 20.0]), 30.0)


def isotropic(strengths: list[float]) -> np.ndarray:
    """Raman tensors that give every mode a multiple of the unit tensor."""
    return np.einsum("nk,ij->nijk", np.array(strengths).reshape(2, 3), np.eye(3))


REFERENCE = isotropic([9.0, 1.0, 1.0, 0.0, 4.0, 1.0])


def test_equal_tensors_agree_in_everything_at_any_scale():
    same = compare_raman(REFERENCE, REFERENCE, molecule())
    assert same["spectrum_cosine"] == pytest.approx(1)
    assert same["strongest_line"] == same["strongest_maximum"] == 1
    assert same["depolarization_mae"] == same["tensor_error"] == same["activity_log_error"] == 0
    scaled = compare_raman(-3 * REFERENCE, REFERENCE, molecule())
    assert scaled["spectrum_cosine"] == pytest.approx(1)
    assert scaled["tensor_error"] == pytest.approx(4)
    assert scaled["activity_log_error"] == pytest.approx(2 * np.log10(3))


def test_lines_far_apart_have_the_cosine_of_their_strengths():
    predicted = isotropic([0.0, 1.0, 0.0, 0.0, 4.0, 0.0])
    found = compare_raman(predicted, REFERENCE, molecule())
    areas = [
        differential_cross_sections(FREQUENCIES, mode_raman_tensors(molecule(), tensors)[:, 0, 0] ** 2)
        for tensors in (predicted, REFERENCE)
    ]
    expected = areas[0] @ areas[1] / np.linalg.norm(areas[0]) / np.linalg.norm(areas[1])
    assert found["spectrum_cosine"] == pytest.approx(expected, abs=0.01)


def test_a_wrong_strongest_line_is_seen():
    predicted = isotropic([0.0, 0.5, 0.5, 0.0, 1.0, 9.0])
    found = compare_raman(predicted, REFERENCE, molecule())
    assert found["strongest_line"] == found["strongest_maximum"] == 0
    assert found["spectrum_cosine"] < 0.6


def test_depolarisation_is_compared_for_visible_lines_only():
    sheared = REFERENCE.copy()
    shear = np.array([[0, 1.0, 0], [1, 0, 0], [0, 0, 0]])
    sheared[0, :, :, 2] = shear
    sheared[1, :, :, 0] = 100 * shear
    found = compare_raman(sheared, REFERENCE, molecule())
    assert found["depolarization_mae"] == pytest.approx(0.75 / 4)


def test_vanishing_predictions_and_references():
    nothing = compare_raman(0 * REFERENCE, REFERENCE, molecule())
    assert nothing["spectrum_cosine"] == 0
    assert "activity_log_error" not in nothing
    assert compare_raman(REFERENCE, 0 * REFERENCE, molecule()) == {}


def test_imaginary_modes_are_left_out():
    only = isotropic([9.0, 0, 0, 0, 0, 0])
    assert not powder_spectrum(molecule(), only, powder_grid(molecule())).any()
    assert not spectral_displacements(molecule())[0].any()


def test_displacements_carry_the_root_of_the_cross_section():
    patterns = spectral_displacements(molecule())
    sections = np.einsum("mnk,nk->m", patterns, np.repeat([[10.0], [20.0]], 3, axis=1) ** 0.5) ** 2
    expected = differential_cross_sections(FREQUENCIES, np.ones(6))
    assert sections == pytest.approx(expected / expected.max())


def test_the_area_of_a_spectrum_is_that_of_its_lines():
    grid = np.arange(0.0, 3000.0, 1.0)
    spectrum = lines_spectrum(np.array([500.0]), np.array([45.0]), grid)
    assert spectrum.sum() == pytest.approx(differential_cross_sections(np.array([500.0]), np.ones(1))[0], rel=0.01)
    assert cosine(spectrum, 2 * spectrum) == pytest.approx(1)
