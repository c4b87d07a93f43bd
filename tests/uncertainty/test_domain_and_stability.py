"""The training domain, and calibrated probabilities."""

import numpy as np
import pytest

from mlrim.uncertainty.stability import StabilityCalibration, expected_calibration_error, fit_stability
from mlrim.uncertainty.training_domain import domain_warnings, fit_domain


@pytest.fixture
def cloud() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(400, 6)) * np.array([1, 1, 1, 10, 10, 0.1])


def test_crystals_like_those_trained_on_are_inside_and_others_outside(cloud: np.ndarray) -> None:
    domain = fit_domain(cloud[:300], cloud[300:], (8, 12))
    inside = domain.verdict(cloud[350], np.array([12, 8]))
    assert not inside.outside
    assert domain_warnings(inside) == []
    assert np.median([domain.distance(point) for point in cloud[300:]]) == pytest.approx(1)
    far = domain.verdict(cloud[350] + np.array([8.0, 0, 0, 0, 0, 0]), np.array([12, 8]))
    assert far.outside
    assert "unlike" in domain_warnings(far)[0]
    flagged = np.mean([domain.verdict(point, np.array([8])).outside for point in cloud[300:]])
    assert flagged == pytest.approx(0.05, abs=0.011)


def test_unseen_elements_are_outside_wherever_they_are(cloud: np.ndarray) -> None:
    domain = fit_domain(cloud[:300], cloud[300:], (8, 12))
    verdict = domain.verdict(cloud[0], np.array([12, 35, 8]))
    assert verdict.outside
    assert verdict.unseen == ("Br",)
    assert "without Br" in domain_warnings(verdict)[0]


def test_overconfident_probabilities_are_calibrated() -> None:
    generator = np.random.default_rng(1)
    true = generator.normal(0.5, 1.5, 4000)
    stable = (generator.random(4000) < 1 / (1 + np.exp(-true))).astype(float)
    loud = 3 * true + 1
    line = fit_stability(loud, stable)
    assert line.slope == pytest.approx(1 / 3, rel=0.1)
    assert line.offset == pytest.approx(-1 / 3, abs=0.1)
    before, after = (1 / (1 + np.exp(-values)) for values in (loud, line.slope * loud + line.offset))
    assert expected_calibration_error(after, stable) < 0.03 < expected_calibration_error(before, stable)


def test_log_odds_stay_where_nothing_can_be_learned() -> None:
    assert fit_stability(np.array([1.0, 2.0]), np.ones(2)) == StabilityCalibration()
    assert fit_stability(np.zeros(0), np.zeros(0)) == StabilityCalibration()
