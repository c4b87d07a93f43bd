"""Permittivity, reflectivity and powder spectra against PDielec 10.0.0 (see pdielec_reference.py)."""

import json

import numpy as np
import pytest

from mlrim.units import CHARGE_TO_DEBYE_PER_ANGSTROM
from mlrim.vibrations.effective_medium import bruggeman, depolarization, maxwell_garnett
from mlrim.vibrations.infrared import infrared_modes
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.optical_constants import along, face_reflectivity, reflectivity
from mlrim.vibrations.permittivity import Oscillators, oscillators
from tests.vibrations.pdielec_reference import REFERENCE

CONTENT = json.loads(REFERENCE.read_text())
GRID = np.array(CONTENT["grid"])
MATERIALS = CONTENT["materials"]


def complex_array(stored):
    return np.array(stored["real"]) + 1j * np.array(stored["imag"])


def model_of(name) -> Oscillators:
    given = {key: np.array(value) for key, value in MATERIALS[name]["inputs"].items()}
    if "contributions" in given:
        axes = np.argmax(given["contributions"].diagonal(axis1=1, axis2=2), axis=1)
        strengths = np.sqrt(given["contributions"][np.arange(len(axes)), axes, axes])
        couplings = np.eye(3)[axes] * (strengths * given["frequencies"])[:, None]
        return Oscillators(given["dielectric"], given["frequencies"], couplings, given["widths"], np.zeros(0))
    return oscillators(infrared_modes(modes_of(name), given["born_charges"]), given["dielectric"], given["widths"])


def modes_of(name) -> NormalModes:
    given = {key: np.array(value) for key, value in MATERIALS[name]["inputs"].items()}
    return NormalModes(given["frequencies"], given["eigenvectors"], given["masses"], float(given["volume"]))


@pytest.mark.parametrize("name", ["MgO", "rutile", "quartz", "triclinic"])
def test_permittivity_is_that_of_pdielec(name):
    expected = complex_array(MATERIALS[name]["permittivity"])
    assert np.abs(model_of(name).permittivity(GRID) - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["MgO", "triclinic"])
def test_strengths_and_longitudinal_modes_are_those_of_pdielec(name):
    modes = MATERIALS[name]["modes"]
    infrared = infrared_modes(modes_of(name), np.array(MATERIALS[name]["inputs"]["born_charges"]))
    strengths = np.sum(infrared.charges**2, axis=1) * CHARGE_TO_DEBYE_PER_ANGSTROM**2
    assert strengths == pytest.approx(np.array(modes["intensities"]), rel=1e-7)
    if "longitudinal" in modes:
        found = model_of(name).longitudinal_frequencies(np.array(CONTENT["direction"]))
        assert found == pytest.approx(np.array(modes["longitudinal"]), rel=1e-6)


@pytest.mark.parametrize("name", ["MgO", "rutile", "quartz", "triclinic"])
def test_reflectivity_is_that_of_pdielecs_transfer_matrices(name):
    """Face (100) with the field along b or c for the others; a general face and field for the triclinic crystal."""
    tensor = model_of(name).permittivity(GRID)
    for face in MATERIALS[name]["faces"]:
        normal, field = np.array(face["normal"], dtype=float), np.array(face["field"], dtype=float)
        expected = np.array(face["reflectivity"])
        assert np.abs(face_reflectivity(tensor, normal, field) - expected).max() < 1e-6
        if name != "triclinic":
            assert np.abs(reflectivity(along(tensor, field)) - expected).max() < 1e-6


@pytest.mark.parametrize("shape", ["sphere", "plate", "needle"])
@pytest.mark.parametrize("name", ["MgO", "rutile", "quartz", "triclinic"])
def test_powders_by_maxwell_garnett_are_those_of_pdielec(name, shape):
    expected = complex_array(MATERIALS[name]["powders"][shape])
    matrix = np.full(len(GRID), CONTENT["matrix"], dtype=complex)
    factors = depolarization(shape, np.array(CONTENT["axis"]))
    found = maxwell_garnett(model_of(name).permittivity(GRID), matrix, CONTENT["fraction"], factors)
    assert np.abs(found - expected).max() < 1e-7 * np.abs(expected).max()


def test_powders_by_bruggeman_are_those_of_pdielec():
    """Isotropic spheres; PDielec stops at a residual of 1e-8."""
    expected = complex_array(MATERIALS["MgO"]["bruggeman"])
    matrix = np.full(len(GRID), CONTENT["matrix"], dtype=complex)
    found = bruggeman(model_of("MgO").permittivity(GRID), matrix, CONTENT["fraction"], np.eye(3) / 3)
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()
