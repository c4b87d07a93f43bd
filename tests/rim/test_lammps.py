"""Rigid ions against LAMMPS numbers; `lammps_reference.py` made them and says how."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.rim.library import LIBRARY, species_interaction
from mlrim.rim.rigid_ion import RigidIonModel
from tests.rim.lammps_reference import CASES, REFERENCE


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads(REFERENCE.read_text())


def model_of(stored: dict, name: str) -> RigidIonModel:
    case = stored["cases"][name]
    crystal = Crystal(np.array(case["lattice"]), np.array(case["positions"]), np.array(case["numbers"]))
    entry = replace(LIBRARY[case["parameters"]], cutoff=case["cutoff"])
    charges = np.array([entry.charges[symbol] for symbol in crystal.symbols])
    return RigidIonModel(crystal, charges, species_interaction(entry, crystal, 0.0))


@pytest.mark.parametrize("name", CASES)
def test_energy_is_that_of_lammps(stored, name):
    assert model_of(stored, name).energy_forces_stress().energy == pytest.approx(
        stored["cases"][name]["energy"], rel=1e-8
    )


@pytest.mark.parametrize("name", CASES)
def test_forces_are_those_of_lammps(stored, name):
    expected = np.array(stored["cases"][name]["forces"])
    error = np.abs(model_of(stored, name).energy_forces_stress().forces - expected).max()
    assert error < 1e-8 * np.abs(expected).max()


@pytest.mark.parametrize("name", CASES)
def test_hessian_is_that_of_lammps(stored, name):
    expected = np.array(stored["cases"][name]["hessian"])
    model = model_of(stored, name)
    compact = model.supercell_force_constants(Supercell(model.crystal, np.eye(3, dtype=int)))
    error = np.abs(compact.transpose(0, 2, 1, 3) - expected).max()
    assert error < 1e-5 * np.abs(expected).max()
