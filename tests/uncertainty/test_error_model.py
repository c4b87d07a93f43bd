"""Error models on invented errors whose size is known."""

import numpy as np
import pytest

from mlrim.uncertainty.error_model import (
    LEVELS,
    ErrorModel,
    Residuals,
    coverage,
    fit_error_model,
    miscalibration_area,
    weighted_quantiles,
)


def invented(generator: np.random.Generator, count: int, heavy: bool = False) -> Residuals:
    """σ = 0.5 · (s + 0.1) · d^0.8 with median s = 1, errors Gaussian or with heavy tails."""
    spread, distance = np.exp(generator.normal(0, 1, count)), np.exp(generator.normal(0, 0.4, count))
    noise = generator.standard_t(3, count) if heavy else generator.normal(size=count)
    value = generator.uniform(50, 800, count)
    return Residuals(value, 0.5 * (spread + 0.1) * distance**0.8 * noise, spread, distance, np.ones(count))


@pytest.mark.parametrize("heavy", [False, True])
def test_powers_and_coverage_are_found_again(heavy: bool) -> None:
    generator = np.random.default_rng(0)
    model = fit_error_model(invented(generator, 6000, heavy))
    assert model.powers[1] == pytest.approx(1.0, abs=0.05)
    assert model.powers[2] == pytest.approx(0.8, abs=0.1)
    assert model.powers[3] == pytest.approx(0.0, abs=0.1)
    test = invented(generator, 6000, heavy)
    covered = coverage(model, test)
    assert miscalibration_area(covered) < 0.02
    assert np.abs(covered - LEVELS).max() < 0.03


def test_standard_error_of_gaussian_errors_is_their_deviation() -> None:
    generator = np.random.default_rng(1)
    model = fit_error_model(invented(generator, 8000))
    found = model.half_width(np.array([300.0]), np.array([2.0]), 1.5)
    assert float(found[0]) == pytest.approx(0.5 * 2.1 * 1.5**0.8, rel=0.1)
    wider = model.half_width(np.array([300.0]), np.array([2.0]), 1.5, level=0.95)
    assert float(wider[0] / found[0]) == pytest.approx(1.96, rel=0.1)


def test_errors_never_shrink_with_spread_or_distance() -> None:
    generator = np.random.default_rng(2)
    residuals = invented(generator, 500)
    opposite = residuals._replace(error=generator.normal(size=500) / residuals.spread / residuals.distance)
    model = fit_error_model(opposite)
    assert model.powers[1] == 0
    assert model.powers[2] == 0


def test_a_single_network_has_errors_too() -> None:
    residuals = invented(np.random.default_rng(3), 400)
    model = fit_error_model(residuals._replace(spread=np.zeros(400)))
    assert model.powers[1] == 0
    assert float(model.half_width(np.array(100.0), np.array(0.0), 1.0)) > 0


def test_crystals_count_once_whatever_their_number_of_modes() -> None:
    value, ones = np.full(1000, 100.0), np.ones(1000)
    error = np.where(np.arange(1000) < 990, 1.0, 100.0)
    weight = np.where(np.arange(1000) < 990, 1 / 990, 1 / 10)  # two crystals of 990 and 10 modes
    quantiles = weighted_quantiles(error, weight)
    assert quantiles[10] == 1.0
    assert quantiles[30] == 100.0
    model = fit_error_model(Residuals(value, error, ones, ones, weight))
    assert float(model.scale(np.array(100.0), np.array(1.0), 1.0)) == pytest.approx(50.5, rel=1e-3)


def test_too_few_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        fit_error_model(invented(np.random.default_rng(0), 5))


def test_models_survive_as_plain_data() -> None:
    model = fit_error_model(invented(np.random.default_rng(4), 200))
    assert ErrorModel.from_plain(model.as_plain()) == model


def test_miscalibration_of_intervals_that_hold_everything_is_one_half() -> None:
    assert miscalibration_area(np.ones(len(LEVELS))) == pytest.approx(0.5, abs=0.02)
