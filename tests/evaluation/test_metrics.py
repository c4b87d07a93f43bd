"""The metrics of the protocol on cases whose answer is known in closed form."""

import numpy as np
import pytest

from mlrim.evaluation.commensurate import CommensurateDynamics
from mlrim.evaluation.metrics import compare, gamma_optical_mae
from mlrim.evaluation.statistics import stability_scores, statistics
from mlrim.lattice.supercell import Supercell
from mlrim.units import THZ_TO_CM1
from tests.vibrations.prototypes import prototype, symmetric_dynamics


@pytest.fixture(scope="module")
def reference() -> CommensurateDynamics:
    dynamics = symmetric_dynamics(prototype("rutile"))
    supercell = Supercell(dynamics.crystal, np.diag([2, 2, 3]))
    return CommensurateDynamics(dynamics.folded(supercell), supercell, dynamics.dipole)


def scaled(reference: CommensurateDynamics, factor: float) -> CommensurateDynamics:
    """Every frequency without field times √factor."""
    return CommensurateDynamics(factor * reference.compact, reference.supercell, reference.dipole)


def test_frequencies_are_those_of_the_lattice_dynamics(reference):
    dynamics = symmetric_dynamics(prototype("rutile"))
    qpoints = reference.supercell.commensurate_qpoints
    direct = dynamics.frequencies(qpoints)
    ours = np.repeat(reference.frequencies, np.round(reference.weights * 12).astype(int), axis=0)
    assert len(ours) == 12
    assert np.sort(ours.ravel() ** 2) == pytest.approx(np.sort(direct.ravel() ** 2), abs=1e-7)
    along_c = dynamics.frequencies(np.zeros((1, 3)), np.array([0.0, 0, 1]))[0]
    assert reference.directional_frequencies[2] ** 2 == pytest.approx(along_c**2, abs=1e-7)


def test_a_perfect_prediction_has_no_error(reference):
    values = compare(scaled(reference, 1.0), reference)
    assert len(values) == 12
    assert all(value == 0 for value in values.values())


def test_a_uniform_softening_has_closed_errors(reference):
    """Force constants times 0.81: every frequency is 10 % too low."""
    values = compare(scaled(reference, 0.81), reference)
    optical = np.abs(reference.optical_frequencies)
    assert len(optical) == 15
    assert values["gamma_optical_mae"] == pytest.approx(0.1 * optical.mean() * THZ_TO_CM1)
    assert values["omega_max_error"] == pytest.approx(0.1 * reference.frequencies.max() * 47.992430733)
    assert values["dos_wasserstein"] == pytest.approx(values["mesh_mae"])
    assert values["matrix_norm"] == pytest.approx(0.19)
    assert values["entropy_error"] > 0


def test_acoustic_modes_are_left_out_by_what_they_are_not_by_where_they_are(reference):
    """All optical modes imaginary: the three translations are then the highest modes."""
    flipped = CommensurateDynamics(-reference.compact, reference.supercell)
    assert len(flipped.optical_frequencies) == 15
    assert flipped.optical_frequencies.max() < -0.5
    assert flipped.frequencies[0][-3:] == pytest.approx(np.zeros(3), abs=1e-4)


def test_imaginary_optical_modes_count_with_their_sign(reference):
    flipped = CommensurateDynamics(-reference.compact, reference.supercell)
    expected = 2 * np.abs(reference.optical_frequencies).mean() * THZ_TO_CM1
    assert gamma_optical_mae(flipped, reference) == pytest.approx(expected)
    values = compare(flipped, reference)
    assert (values["reference_imaginary"], values["predicted_imaginary"]) == (0.0, 1.0)


def test_without_born_charges_there_is_no_splitting_to_compare(reference):
    bare = CommensurateDynamics(reference.compact, reference.supercell)
    assert "loto_error" not in compare(bare, reference)


def test_the_splitting_error_sees_the_charges(reference):
    assert compare(scaled(reference, 1.0), reference)["loto_error"] == 0
    weaker = reference.dipole.__class__(
        reference.supercell.crystal, 0.5 * reference.dipole.born_charges, reference.dipole.dielectric
    )
    changed = CommensurateDynamics(reference.compact, reference.supercell, weaker)
    assert compare(changed, reference)["loto_error"] > 1


def test_statistics_of_a_known_sample():
    values = [*range(1, 20), 1000]
    summary = statistics(values)
    assert summary.mean == pytest.approx(59.5)
    assert summary.median == 10.5
    assert summary.trimmed_mean == pytest.approx(np.mean(range(3, 19)))
    assert summary.mean_low < 59.5 < summary.mean_high
    assert summary.median_low < 10.5 < summary.median_high
    assert summary == statistics(values)


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        summary = statistics(generator.exponential(size=60).tolist())
        covered += summary.mean_low <= 1.0 <= summary.mean_high
    assert 86 <= covered <= 99


def test_stability_scores_of_a_known_table():
    scores = stability_scores([1, 1, 1, 0, 0], [1, 0, 1, 1, 0])
    assert scores.precision == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.f1 == pytest.approx(2 / 3)
    assert (scores.compounds, scores.unstable) == (5, 3)
    assert np.isnan(stability_scores([0, 0], [0, 0]).f1)
