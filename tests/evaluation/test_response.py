"""Metrics of a predicted response: closed forms, and the whole command's arithmetic on a crystal with known springs."""

import numpy as np
import pytest

from benchmarks.response_accuracy import table
from mlrim.evaluation.response import (
    UNITS,
    compare_born,
    compare_dielectric,
    compare_splittings,
    gamma_matrix,
)
from mlrim.lattice.supercell import Supercell
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import gamma_modes, main_directions
from tests.vibrations.prototypes import prototype, symmetric_dynamics

EVERYWHERE = [np.array([0.0, 0.0, 1.0])]


@pytest.mark.parametrize("name", ["rutile", "quartz", "rocksalt"])
def test_the_matrix_without_field_has_the_frequencies_of_the_dynamics(name: str) -> None:
    dynamics = symmetric_dynamics(prototype(name))
    supercell = Supercell(dynamics.crystal, np.diag([2, 2, 2]))
    matrix = gamma_matrix(dynamics.folded(supercell), dynamics.crystal)
    expected = np.linalg.eigvalsh(dynamics.dynamical_matrices(np.zeros((1, 3)))[0])
    assert np.linalg.eigvalsh(matrix) == pytest.approx(expected, abs=1e-9)


def test_the_error_of_a_splitting_is_that_of_the_lo_frequency() -> None:
    dynamics = symmetric_dynamics(prototype("rocksalt"))
    crystal, dipole = dynamics.crystal, dynamics.dipole
    assert dipole is not None
    matrix = gamma_matrix(dynamics.folded(Supercell(crystal, np.diag([2, 2, 2]))), crystal)
    scaled = (1.1 * dipole.born_charges, dipole.dielectric)
    found = compare_splittings(matrix, crystal, scaled, (dipole.born_charges, dipole.dielectric), EVERYWHERE)
    gamma = gamma_modes(dynamics)
    transverse = next(mode.frequency_cm1 for mode in gamma.modes if not mode.acoustic)
    (longitudinal,) = [m.frequency_cm1 for m in gamma.directional["[100]"] if m.polarization == "LO"]
    raised = np.sqrt(transverse**2 + 1.21 * (longitudinal**2 - transverse**2))
    assert found["lo_to_mae"] == pytest.approx(raised - longitudinal, rel=1e-6)
    assert found["lo_to_highest"] == found["lo_to_mae"]


def test_the_right_response_has_no_error() -> None:
    dynamics = symmetric_dynamics(prototype("quartz"))
    crystal, dipole = dynamics.crystal, dynamics.dipole
    assert dipole is not None
    matrix = gamma_matrix(dynamics.folded(Supercell(crystal, np.diag([2, 2, 2]))), crystal)
    truth = (dipole.born_charges, dipole.dielectric)
    directions = list(main_directions(gamma_modes(dynamics).action).values())
    found = compare_splittings(matrix, crystal, truth, truth, directions)
    assert set(found) == {"lo_to_mae", "lo_to_highest"}
    assert max(found.values()) < 1e-9
    assert max(compare_born(*[dipole.born_charges] * 2).values()) == 0
    assert max(compare_dielectric(*[dipole.dielectric] * 2).values()) < 1e-12


def test_a_crystal_without_charges_has_no_splitting_to_compare() -> None:
    dynamics = symmetric_dynamics(prototype("rocksalt"))
    crystal = dynamics.crystal
    nothing = (np.zeros((2, 3, 3)), 3 * np.eye(3))
    assert compare_splittings(np.eye(6) / THZ_TO_CM1, crystal, nothing, nothing, EVERYWHERE) == {}
    assert "born_relative" not in compare_born(np.ones((2, 3, 3)), np.zeros((2, 3, 3)))


def test_errors_of_born_charges_are_means_over_components() -> None:
    reference = np.stack([2 * np.eye(3), -2 * np.eye(3)])
    found = compare_born(1.1 * reference, reference)
    assert found["born_mae"] == pytest.approx(0.2 / 3)
    assert found["born_isotropic_mae"] == pytest.approx(0.2)
    assert found["born_relative"] == pytest.approx(0.1)


def test_the_table_has_a_row_for_every_metric_that_occurs() -> None:
    rows = [{"born_mae": 0.1, "dielectric_relative": 0.05}, {"born_mae": 0.3}]
    shown = table("title", rows)
    assert shown.row_count == 2
    assert set(UNITS) > set(rows[0])
