"""Silicon with Stillinger–Weber against LAMMPS numbers; `stillinger_weber_reference.py` made them and says how."""

import json
import shutil

import numpy as np
import pytest

from benchmarks.lammps_silicon import evaluate, find_lammps, hessian
from mlrim.derivatives.engine import EnergyDerivatives, differentiate
from mlrim.graph.energy_graph import periodic_graph
from mlrim.lattice.crystal import Crystal
from mlrim.models.stillinger_weber import StillingerWeber
from tests.models.stillinger_weber_reference import CASES, REFERENCE, displaced


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads(REFERENCE.read_text())["cases"]


def ours(crystal: Crystal) -> EnergyDerivatives:
    energy = StillingerWeber()
    return differentiate(energy, periodic_graph(crystal, energy.cutoff))


def derivatives_of(case: dict) -> EnergyDerivatives:
    positions = np.array(case["positions"])
    return ours(Crystal(np.array(case["lattice"]), positions, np.full(len(positions), 14)))


@pytest.mark.parametrize("name", CASES)
def test_energy_and_forces_are_those_of_lammps(stored, name):
    found, expected = derivatives_of(stored[name]), stored[name]
    assert found.energy.item() == pytest.approx(expected["energy"], rel=1e-9)
    np.testing.assert_allclose(found.forces.numpy(), expected["forces"], rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_hessian_is_that_of_lammps(stored, name):
    expected = np.array(stored[name]["hessian"])
    error = np.abs(derivatives_of(stored[name]).hessian()[0].numpy() - expected).max()
    assert error < 1e-6 * np.abs(expected).max()


@pytest.mark.skipif(shutil.which("lmp") is None, reason="no LAMMPS (lmp)")
def test_one_lammps_process_answers_for_many_configurations():
    crystals = [displaced(1, 0.1, seed) for seed in range(3)]
    lammps = find_lammps()
    for crystal, answer in zip(crystals, evaluate(lammps, crystals), strict=True):
        found = ours(crystal)
        assert answer.energy == pytest.approx(found.energy.item(), rel=1e-9)
        np.testing.assert_allclose(answer.forces, found.forces.numpy(), rtol=0, atol=1e-8)
    rows = hessian(lammps, crystals[0], [1])
    np.testing.assert_allclose(rows, ours(crystals[0]).hessian()[0].numpy()[3:], rtol=0, atol=1e-5)
