"""Errors of Born charges and ε∞: of the right size, neutral, symmetric, and the same in every process."""

from multiprocessing import get_context

import numpy as np
import pytest

from datamodules.perturbation import ResponseErrors, perturbed_response
from mlrim.errors import UserError
from mlrim.graph.crystal_graph import ResponseFeatures
from tests.graph.crystals import rutile

RUTILE = np.array([22, 22, 8, 8, 8, 8])
DRAWS = 4000


def rutile_response() -> ResponseFeatures:
    """TiO2: (110) planes through Ti and through O are mirrors; four-fold screw axes join the two halves."""
    titanium = np.array([[6.3, 1.0, 0.0], [1.0, 6.3, 0.0], [0.0, 0.0, 7.5]])
    oxygen = -np.array([[3.15, 1.8, 0.0], [1.8, 3.15, 0.0], [0.0, 0.0, 3.75]])
    mirrored = np.diag([1.0, -1.0, 1.0])
    turned = [mirrored @ tensor @ mirrored for tensor in (titanium, oxygen)]
    born = np.array([titanium, turned[0], oxygen, oxygen, turned[1], turned[1]])
    return ResponseFeatures(born, np.diag([6.8, 6.8, 8.1]))


def draw(number: int, errors: ResponseErrors | None = None, name: str = "mp-2657") -> ResponseFeatures:
    return perturbed_response(rutile_response(), RUTILE, errors or ResponseErrors(), name, number)


def test_errors_are_neutral_and_keep_the_symmetry() -> None:
    assert np.array_equal(rutile().numbers, RUTILE)
    for number in range(20):
        born, dielectric = draw(number)
        assert np.abs(born - rutile_response().born_charges).max() > 1e-3
        np.testing.assert_allclose(born.sum(axis=0), 0, atol=1e-12)
        mirrored = np.diag([1.0, -1.0, 1.0])
        np.testing.assert_allclose(mirrored @ born[[1, 0, 4, 5, 2, 3]] @ mirrored, born, atol=1e-12)
        swapped = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        np.testing.assert_allclose(swapped @ born @ swapped, born, atol=1e-12)
        np.testing.assert_array_equal(dielectric, np.diag(np.diag(dielectric)))
        assert dielectric[0, 0] == pytest.approx(dielectric[1, 1], rel=1e-12)
        assert dielectric[0, 0] > 1


def test_errors_have_the_size_that_is_asked_for() -> None:
    only = ResponseErrors(0.0, 0.0, 0.2, 0.0)
    factors = [np.log(draw(number, only).dielectric[2, 2] / 8.1) for number in range(DRAWS)]
    assert np.std(factors) == pytest.approx(0.2, rel=0.05)
    assert np.mean(factors) == pytest.approx(0, abs=0.02)
    np.testing.assert_array_equal(draw(0, only).born_charges, rutile_response().born_charges)
    # The excess, two Z_Ti (f_Ti − f_O), is spread over six atoms: Ti keeps f_Ti − (f_Ti − f_O) / 3.
    charges = [draw(number, ResponseErrors(0.1, 0, 0, 0)) for number in range(DRAWS)]
    means = np.array([np.trace(one.born_charges[0]) / 3 for one in charges])
    assert np.std(means / 6.7) == pytest.approx(0.1 * np.sqrt(5) / 3, rel=0.07)
    assert charges[0].dielectric == pytest.approx(rutile_response().dielectric, rel=1e-12)


def test_no_errors_change_nothing() -> None:
    born, dielectric = draw(3, ResponseErrors(0, 0, 0, 0))
    np.testing.assert_allclose(born, rutile_response().born_charges, atol=1e-12)
    np.testing.assert_allclose(dielectric, rutile_response().dielectric, atol=1e-12)


def test_draws_and_names_differ_and_repeat() -> None:
    first, second, other = draw(0), draw(1), draw(0, name="mp-2658")
    assert not np.allclose(first.born_charges, second.born_charges)
    assert not np.allclose(first.born_charges, other.born_charges)
    np.testing.assert_array_equal(draw(1).born_charges, second.born_charges)


def test_another_process_draws_the_same() -> None:
    with get_context("spawn").Pool(1) as pool:
        elsewhere = pool.map(draw, range(3))
    for number, (born, dielectric) in enumerate(elsewhere):
        np.testing.assert_array_equal(born, draw(number).born_charges)
        np.testing.assert_array_equal(dielectric, draw(number).dielectric)


def test_dielectric_does_not_fall_below_vacuum() -> None:
    response = ResponseFeatures(np.zeros((1, 3, 3)), np.diag([1.1, 1.2, 1.5]))
    values = [
        np.linalg.eigvalsh(perturbed_response(response, np.array([1]), ResponseErrors(0, 0, 1.0, 1.0), "x", n)[1]).min()
        for n in range(50)
    ]
    assert min(values) == pytest.approx(1.0, abs=1e-12)


def test_negative_deviations_are_told() -> None:
    with pytest.raises(UserError, match="response_errors.dielectric=-0.1"):
        ResponseErrors(dielectric=-0.1)
